//! What idle nodes send.

use std::time::Duration;

use integration_tests::measure::{self, Kind};
use serde_json::json;

use crate::Bench;
use crate::row::Row;

/// Before traffic is counted: a node asks more while its tables are young.
const WARM_UP: Duration = Duration::from_secs(120);
/// How long it is counted.
const SPAN: Duration = Duration::from_secs(180);
/// Bytes a second that a node of ours may send of its own accord.
const MOST_OWN: f64 = 300.0;
/// What it must do of what it is asked to.
const LEAST_SERVED: f64 = 0.99;

/// Networks of so many idle nodes, one of ours and one of libtoxcore's, at the same time.
pub(crate) fn idle(bench: &mut Bench, nodes: usize) -> Row {
    let programs = &bench.programs;
    let measure = |kind| measure::idle(programs, kind, nodes, WARM_UP, SPAN);
    let (ours, theirs) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| measure(Kind::Theirs));
        (measure(Kind::Ours), theirs.join())
    });
    let theirs = theirs.unwrap_or_else(|_| panic!("libtoxcore's network did not stand"));
    let account = ours.account.unwrap_or_else(|| panic!("our client gives an account"));
    let (own, most, served) = (account.own / 1e3, account.most_own / 1e3, account.served);
    Row {
        what: format!("idle node, {nodes} nodes"),
        ours: format!(
            "{own:.3} kB/s of its own (at most {most:.3}), {:.1}% served, in all {:.3} kB/s",
            served * 100.0,
            ours.bytes / 1e3
        ),
        theirs: format!("in all {:.3} kB/s", theirs.bytes / 1e3),
        ratio: ours.bytes / theirs.bytes,
        required: "≤ 0.3 kB/s of its own, ≥ 99% served",
        reached: account.own <= MOST_OWN && served >= LEAST_SERVED,
        numbers: json!({
            "own_bytes": account.own, "most_own_bytes": account.most_own, "served": served,
            "bytes": ours.bytes, "packets": ours.packets,
            "libtoxcore": { "bytes": theirs.bytes, "packets": theirs.packets },
        }),
    }
}

//! Nodes requests answered for each second of processor time, tables full, by our node and by Debian's
//! tox-bootstrapd.

use integration_tests::bootstrapd::Bootstrapd;
use integration_tests::measure_dht::{self, Answering, OurNode, Target};
use serde_json::json;

use crate::Bench;
use crate::row::Row;

/// Requests of each kind.
const COUNT: usize = 40_000;

/// 200 keys that ask again and again.
pub(crate) fn repeating(bench: &mut Bench) -> Row {
    row(bench, false, "200 repeating keys", 3.0, "≥ 3× a CPU-second")
}

/// Every request with a key of its own.
pub(crate) fn fresh(bench: &mut Bench) -> Row {
    row(bench, true, "all-fresh keys", 1.0, "≥ 1× a CPU-second")
}

fn row(bench: &Bench, fresh: bool, keys: &str, least: f64, required: &'static str) -> Row {
    let this = std::env::current_exe().unwrap_or_else(|error| panic!("this program: {error}"));
    let ours = OurNode::start(&this);
    let of_ours = measure_dht::answering(ours.target, COUNT, fresh);
    drop(ours);
    let daemon = Bootstrapd::start(&bench.programs.folder);
    let key = daemon.key().parse().unwrap_or_else(|_| panic!("no key: {}", daemon.key()));
    let target = Target { address: daemon.udp(), key, process: daemon.process() };
    let of_theirs = measure_dht::answering(target, COUNT, fresh);
    let ratio = of_ours.per_cpu_second() / of_theirs.per_cpu_second();
    Row {
        what: format!("nodes requests answered, {keys}, beside tox-bootstrapd"),
        ours: text(&of_ours),
        theirs: text(&of_theirs),
        ratio,
        required,
        reached: ratio >= least,
        numbers: json!({ "ours": numbers(&of_ours), "tox_bootstrapd": numbers(&of_theirs) }),
    }
}

fn text(it: &Answering) -> String {
    let Answering { answered, asked, seconds, .. } = it;
    let (cpu_second, second) = (it.per_cpu_second(), *answered as f64 / seconds);
    format!("{cpu_second:.0} a CPU-second, {second:.0} a second, {answered} of {asked}")
}

fn numbers(it: &Answering) -> serde_json::Value {
    json!({
        "per_cpu_second": it.per_cpu_second(), "answered": it.answered, "asked": it.asked,
        "cpu_seconds": it.cpu, "seconds": it.seconds,
    })
}

//! First contacts: two fresh clients that know each other's identities.

use std::collections::BTreeMap;
use std::time::Duration;

use integration_tests::measure::{self, Contact, Kind, Programs};
use serde_json::json;

use crate::Bench;
use crate::row::Row;

/// Contacts of which the median is told.
const RUNS: usize = 10;
/// Of which so many at once, each in a network of its own: they wait for timers, not for the processor.
const AT_ONCE: usize = 5;
/// What ours must reach.
const LIMIT: Duration = Duration::from_millis(1_500);
/// As a share of libtoxcore's.
const SHARE: f64 = 0.3;

/// What was measured of a pair in a network of so many nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Median {
    met: f64,
    fastest: f64,
    slowest: f64,
    /// Until both were connected to the network.
    connected: f64,
}

/// All that was measured in this run.
#[derive(Default)]
pub(crate) struct Contacts(BTreeMap<([Kind; 2], usize), Median>);

impl Contacts {
    fn of(&mut self, programs: &Programs, pair: [Kind; 2], nodes: usize) -> Median {
        *self.0.entry((pair, nodes)).or_insert_with(|| measure(programs, pair, nodes))
    }
}

/// Each run has a network of its own, because nodes that left stay in the tables of the others for two
/// minutes.
fn measure(programs: &Programs, pair: [Kind; 2], nodes: usize) -> Median {
    let mut contacts: Vec<Contact> = Vec::new();
    while contacts.len() < RUNS {
        let count = AT_ONCE.min(RUNS - contacts.len());
        // The second one's kind is that of the network.
        let run = || measure::first_contact(programs, pair, pair[1], nodes);
        contacts.extend(std::thread::scope(|scope| {
            let runs: Vec<_> = (0..count).map(|_| scope.spawn(run)).collect();
            runs.into_iter().filter_map(|run| run.join().ok()).collect::<Vec<_>>()
        }));
    }
    let median_of = |time: fn(&Contact) -> Duration| {
        let mut seconds: Vec<f64> = contacts.iter().map(|it| time(it).as_secs_f64()).collect();
        seconds.sort_by(f64::total_cmp);
        let median = (seconds[(RUNS - 1) / 2] + seconds[RUNS / 2]) / 2.0;
        (median, seconds[0], seconds[RUNS - 1])
    };
    let (met, fastest, slowest) = median_of(|contact| contact.met);
    let (connected, ..) = median_of(|contact| contact.connected);
    Median { met, fastest, slowest, connected }
}

impl Median {
    fn text(&self) -> String {
        let Self { met, fastest, slowest, connected } = self;
        format!("{met:.2} s ({fastest:.2} to {slowest:.2}; self-connected {connected:.2})")
    }

    fn numbers(&self) -> serde_json::Value {
        json!({
            "median": self.met, "fastest": self.fastest, "slowest": self.slowest,
            "self_connected": self.connected,
        })
    }
}

fn row(bench: &mut Bench, pair: [Kind; 2], nodes: usize, what: &str) -> (Median, Median, Row) {
    let ours = bench.contacts.of(&bench.programs, pair, nodes);
    let theirs = bench.contacts.of(&bench.programs, [Kind::Theirs; 2], nodes);
    let row = Row {
        what: format!("first contact, {what}, {nodes} nodes, median of {RUNS}"),
        ours: ours.text(),
        theirs: theirs.text(),
        ratio: ours.met / theirs.met,
        required: "",
        reached: false,
        numbers: json!({ "ours": ours.numbers(), "libtoxcore": theirs.numbers() }),
    };
    (ours, theirs, row)
}

/// Ours to ours, in a network of ours.
pub(crate) fn ours(bench: &mut Bench, nodes: usize) -> Row {
    let (ours, theirs, mut row) = row(bench, [Kind::Ours; 2], nodes, "ours to ours");
    row.required = "≤ 1.5 s and ≤ 0.3×";
    row.reached = ours.met <= LIMIT.as_secs_f64() && ours.met <= SHARE * theirs.met;
    row
}

/// Ours to libtoxcore, in a network of libtoxcore's.
pub(crate) fn mixed(bench: &mut Bench, nodes: usize) -> Row {
    let pair = [Kind::Ours, Kind::Theirs];
    let (ours, theirs, mut row) = row(bench, pair, nodes, "ours to libtoxcore");
    row.required = "≤ 1×";
    row.reached = ours.met <= theirs.met;
    row
}

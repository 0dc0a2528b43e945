//! What Debian's libtoxcore reaches on this machine, as a table:
//!
//! ```text
//! cargo bench -p integration-tests --bench libtoxcore_baseline [-- contact2 contact24 packets file idle8 idle24]
//! ```
//!
//! Each run of a first contact has a network of its own, because nodes that left stay in the tables of the
//! others for two minutes. Nothing else should run on the machine meanwhile.
#![expect(clippy::print_stdout, reason = "its output is the table")]

use std::path::Path;
use std::time::Duration;

use integration_tests::measure::{self, Contact, Speed};

/// First contacts, of which the median is told; an odd number, so that there is one.
const RUNS: usize = 11;
/// Custom packets of 1373 bytes.
const PACKETS: u64 = 100_000;
/// Transfers of either kind, of which the best is told.
const TRANSFERS: usize = 3;
/// The file's length.
const FILE: usize = 64 << 20;
/// Before idle traffic is counted: a node asks more while its tables are young.
const WARM_UP: Duration = Duration::from_secs(120);
/// How long it is counted.
const SPAN: Duration = Duration::from_secs(120);

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    println!("| libtoxcore 0.2.18 | |\n|---|---|");
    for (name, nodes) in [("contact2", 2), ("contact24", 24)] {
        if wants(name) {
            contact(nodes);
        }
    }
    if wants("packets") {
        speed("lossless custom packets", || measure::custom_packets(folder(), PACKETS));
    }
    if wants("file") {
        speed("file of 64 MiB", || measure::file(folder(), FILE));
    }
    for (name, nodes) in [("idle8", 8), ("idle24", 24)] {
        if wants(name) {
            let idle = measure::idle(folder(), nodes, WARM_UP, SPAN);
            let (bytes, packets) = (idle.bytes / 1000.0, idle.packets);
            println!("| idle, {nodes} nodes | {bytes:.3} kB/s, {packets:.1} packets/s |");
        }
    }
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn contact(nodes: usize) {
    let mut contacts: Vec<Contact> =
        (0..RUNS).map(|_| measure::first_contact(folder(), nodes)).collect();
    contacts.sort_by_key(|contact| contact.met);
    let [first, .., last] = contacts[..] else { return };
    let median = contacts[RUNS / 2];
    println!(
        "| first contact, {nodes} nodes, median of {RUNS} (least to most) | {:.2} s ({:.2} to {:.2}); \
         connected to the network after {:.2} s |",
        median.met.as_secs_f64(),
        first.met.as_secs_f64(),
        last.met.as_secs_f64(),
        median.connected.as_secs_f64()
    );
}

fn speed(what: &str, measure: impl Fn() -> Speed) {
    let speeds = (0..TRANSFERS).map(|_| measure());
    let best = speeds.max_by(|left, right| left.mb_per_second().total_cmp(&right.mb_per_second()));
    let Some(best) = best else { return };
    println!(
        "| {what}, best of {TRANSFERS} | {:.1} MB/s, {:.1} MB for each CPU-second |",
        best.mb_per_second(),
        best.mb_per_cpu_second()
    );
}

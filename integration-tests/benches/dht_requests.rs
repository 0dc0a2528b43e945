//! Nodes requests answered for each second of processor time, tables full, by our node and by Debian's
//! tox-bootstrapd:
//!
//! ```text
//! cargo bench -p integration-tests --bench dht_requests [-- COUNT]
//! ```
#![expect(clippy::print_stdout, clippy::expect_used, reason = "its output is the table")]

use std::path::Path;

use integration_tests::bootstrapd::Bootstrapd;
use integration_tests::measure_dht::{self, OurNode, Target};

/// Requests of each kind, if nothing else is asked for.
const COUNT: usize = 40_000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "serve") {
        return measure_dht::serve();
    }
    let count = words.iter().find_map(|word| word.parse().ok()).unwrap_or(COUNT);
    println!(
        "| nodes requests | answered per CPU-second | a second | answered |\n|---|---|---|---|"
    );
    for fresh in [false, true] {
        let keys = if fresh { "all-fresh keys" } else { "200 repeating keys" };
        let ours = OurNode::start(&std::env::current_exe().expect("this program"));
        tell("ours", keys, measure_dht::answering(ours.target, count, fresh));
        drop(ours);
        let daemon = Bootstrapd::start(Path::new(env!("CARGO_TARGET_TMPDIR")));
        let key = daemon.key().parse().expect("a key");
        let target = Target { address: daemon.udp(), key, process: daemon.process() };
        tell("tox-bootstrapd", keys, measure_dht::answering(target, count, fresh));
    }
}

fn tell(who: &str, keys: &str, it: measure_dht::Answering) {
    let rate = it.answered as f64 / it.seconds;
    let (answered, asked) = (it.answered, it.asked);
    println!("| {who}, {keys} | {:.0} | {rate:.0} | {answered} of {asked} |", it.per_cpu_second());
}

//! How fast bytes go from one process to another.

use integration_tests::measure::{self, Kind, Speed};
use serde_json::json;

use crate::Bench;
use crate::row::Row;

/// Custom packets of 1373 bytes.
const PACKETS: u64 = 100_000;
/// Transfers of either kind, of which the best is told.
const TRANSFERS: usize = 3;
/// The file's length.
const FILE: usize = 64 << 20;

const OURS: [Kind; 2] = [Kind::Ours; 2];
const THEIRS: [Kind; 2] = [Kind::Theirs; 2];

fn best(measure: impl Fn() -> Speed) -> Speed {
    let mut best = measure();
    for _ in 1..TRANSFERS {
        let next = measure();
        if next.mb_per_second() > best.mb_per_second() {
            best = next;
        }
    }
    best
}

fn text(speed: &Speed) -> String {
    let (second, cpu_second) = (speed.mb_per_second(), speed.mb_per_cpu_second());
    format!("{second:.1} MB/s, {cpu_second:.1} MB a CPU-second")
}

fn row(what: &str, ours: &Speed, theirs: &Speed, least: f64, required: &'static str) -> Row {
    let ratio = ours.mb_per_second() / theirs.mb_per_second();
    let numbers = |it: &Speed| json!({ "mb_per_second": it.mb_per_second(), "mb_per_cpu_second": it.mb_per_cpu_second() });
    Row {
        what: format!("{what}, best of {TRANSFERS}"),
        ours: text(ours),
        theirs: text(theirs),
        ratio,
        required,
        reached: ratio >= least,
        numbers: json!({ "ours": numbers(ours), "libtoxcore": numbers(theirs) }),
    }
}

/// Lossless custom packets in a tight loop.
pub(crate) fn packets(bench: &mut Bench) -> Row {
    let programs = &bench.programs;
    let ours = best(|| measure::custom_packets(programs, OURS, PACKETS));
    let theirs = best(|| measure::custom_packets(programs, THEIRS, PACKETS));
    row("lossless custom packets, ours to ours", &ours, &theirs, 4.0, "≥ 4×")
}

fn file_row(
    bench: &mut Bench,
    pair: [Kind; 2],
    what: &str,
    least: f64,
    required: &'static str,
) -> Row {
    let programs = &bench.programs;
    let ours = best(|| measure::file(programs, pair, FILE));
    let theirs =
        *bench.their_file.get_or_insert_with(|| best(|| measure::file(programs, THEIRS, FILE)));
    row(&format!("file of 64 MiB, {what}"), &ours, &theirs, least, required)
}

/// A file from ours to ours.
pub(crate) fn file(bench: &mut Bench) -> Row {
    file_row(bench, OURS, "ours to ours", 10.0, "≥ 10×")
}

/// A file from ours to libtoxcore.
pub(crate) fn file_to(bench: &mut Bench) -> Row {
    file_row(bench, [Kind::Ours, Kind::Theirs], "ours to libtoxcore", 1.0, "≥ 1×")
}

/// A file from libtoxcore to ours.
pub(crate) fn file_from(bench: &mut Bench) -> Row {
    file_row(bench, [Kind::Theirs, Kind::Ours], "libtoxcore to ours", 1.0, "≥ 1×")
}

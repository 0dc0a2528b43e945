//! Whole programs, ours and Debian's libtoxcore's, in one run: who meets, sends and idles how fast, as
//! ratios with what is required of them.
//!
//! ```text
//! cargo xtask bench mesh [--json] [ROW…]
//! ```
//!
//! Rows are called `contact2 contact24 mixed2 mixed24 packets file file-to file-from requests
//! requests-fresh idle8 idle24`; all take about a quarter of an hour. Nothing else should run on the
//! machine meanwhile. The exit code is 1 if one falls short.
#![expect(clippy::print_stdout, reason = "its output is the table")]

mod contact;
mod idle;
mod requests;
mod row;
mod speed;

use std::path::Path;
use std::process::ExitCode;

use integration_tests::measure::{Programs, Speed};
use integration_tests::measure_dht;

use contact::Contacts;
use row::Row;

/// What every row may use.
struct Bench {
    programs: Programs,
    /// First contacts, which several rows look at.
    contacts: Contacts,
    /// A file between two of libtoxcore's, likewise.
    their_file: Option<Speed>,
}

/// Measures one row.
type Measure = fn(&mut Bench) -> Row;

const ROWS: [(&str, Measure); 12] = [
    ("contact2", |bench| contact::ours(bench, 2)),
    ("contact24", |bench| contact::ours(bench, 24)),
    ("mixed2", |bench| contact::mixed(bench, 2)),
    ("mixed24", |bench| contact::mixed(bench, 24)),
    ("packets", speed::packets),
    ("file", speed::file),
    ("file-to", speed::file_to),
    ("file-from", speed::file_from),
    ("requests", requests::repeating),
    ("requests-fresh", requests::fresh),
    ("idle8", |bench| idle::idle(bench, 8)),
    ("idle24", |bench| idle::idle(bench, 24)),
];

fn main() -> ExitCode {
    // Started by itself, it is the node of ours that answers requests.
    if std::env::args().nth(1).is_some_and(|word| word == measure_dht::SERVE) {
        measure_dht::serve();
        return ExitCode::SUCCESS;
    }
    let (options, wanted): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let json = options.iter().any(|option| option == "--json");
    if let Some(unknown) = wanted.iter().find(|word| ROWS.iter().all(|(name, _)| name != word)) {
        eprintln!("no row is called {unknown}");
        return ExitCode::from(2);
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).to_path_buf();
    let programs = Programs { folder, ours: env!("CARGO_BIN_EXE_mesh_client").into() };
    let mut bench = Bench { programs, contacts: Contacts::default(), their_file: None };
    if !json {
        println!("{}", row::HEAD);
    }
    let mut all_reached = true;
    for (name, measure) in ROWS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            let row = measure(&mut bench);
            all_reached &= row.reached;
            println!("{}", if json { row.json(name) } else { row.line() });
        }
    }
    if all_reached { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

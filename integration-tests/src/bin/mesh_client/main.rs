//! One client of ours in a process of its own, driven as `c/tox_client` is: the same options, the same
//! commands on standard input, the same events on standard output, one JSON object a line. So a test or
//! a measurement takes the one for the other. It knows those of them that measurements need:
//!
//! ```text
//! --folder PATH, --accept-files, --accept-friends, --allow-short-paths
//! --no-ipv6, --no-lan, --busy: change nothing here
//! bootstrap HOST PORT KEY · id · norequest FRIEND · file-send FRIEND data - PATH
//! flood FRIEND PACKETS BYTES · usage · traffic · quit
//! ```
//!
//! `traffic`, which `tox_client` has not, tells what the datagrams so far were for.
#![expect(clippy::expect_used, reason = "a peer that cannot go on ends")]

mod client;
mod disk;
mod events;
mod flood;
mod report;

use std::io::BufRead;
use std::path::PathBuf;

use client::Client;

/// What the command line asks for.
#[derive(Default)]
struct Options {
    folder: Option<PathBuf>,
    accept_files: bool,
    accept_friends: bool,
    allow_short_paths: bool,
}

fn options() -> Options {
    let (mut options, mut words) = (Options::default(), std::env::args().skip(1));
    while let Some(word) = words.next() {
        match word.as_str() {
            "--folder" => options.folder = words.next().map(PathBuf::from),
            "--accept-files" => options.accept_files = true,
            "--accept-friends" => options.accept_friends = true,
            "--allow-short-paths" => options.allow_short_paths = true,
            "--no-ipv6" | "--no-lan" | "--busy" => {}
            other => panic!("unknown option {other}"),
        }
    }
    options
}

fn main() {
    let client = Client::start(options());
    client.tell_id();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let verb = line.split(' ').next().unwrap_or_default();
        if verb == "quit" {
            report::done(verb);
            return;
        }
        match client.obey(&line) {
            Some(()) => report::done(verb),
            None => report::failed(verb),
        }
    }
}

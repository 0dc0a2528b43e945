//! The program `toktok`: see the crate's front page.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    toktok_node::cli::main()
}

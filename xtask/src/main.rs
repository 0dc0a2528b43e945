//! Every chore of the workspace: `cargo xtask <chore>`.

#![forbid(unsafe_code)]

mod codegen;
mod command;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use command::Outcome;

/// Every chore of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Compiles wire/proto/*.proto to the checked-in Rust of toktok-wire.
    Codegen {
        /// Only fail when the checked-in files are out of date.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match perform(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.code)
        }
    }
}

fn perform(chore: Chore) -> Outcome {
    match chore {
        Chore::Codegen { check } => codegen::codegen(check),
    }
}

//! Every chore of the workspace: `cargo xtask <chore>`.

#![forbid(unsafe_code)]

mod chores;
mod codegen;
mod command;
mod guests;
mod package;
mod setup;
mod tidy;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use command::Outcome;
use setup::Purpose;

/// Every chore of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Finds or installs the system packages that a chore needs (`demo` and `test` do so by themselves).
    Setup {
        /// What they are wanted for.
        #[arg(value_enum, default_value = "test")]
        purpose: Purpose,
    },
    /// Builds the node and shows the main job on this machine: `cargo xtask demo [-- FILE --nodes N --seed S --json]`.
    Demo {
        /// Handed to `toktok demo`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Runs every test of the workspace.
    Test {
        /// Handed to `cargo test`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Checks the rules of the house: layers, determinism, unfinished code, crate documentation, lengths.
    Tidy,
    /// Formatting, clippy, each layer without its runtime, documentation, generated code, dependencies.
    Lint,
    /// Compiles wire/proto/*.proto to the checked-in Rust of toktok-wire.
    Codegen {
        /// Only fail when the checked-in files are out of date.
        #[arg(long)]
        check: bool,
    },
    /// Fuzzes one decoder of foreign bytes, or each in turn, with coverage feedback.
    Fuzz {
        /// A name from tools/fuzz; all of them if absent.
        target: Option<String>,
        /// How often each is executed.
        #[arg(long, default_value_t = 1_000_000)]
        runs: u64,
    },
    /// Runs the benchmarks of one layer (wire, mesh, tdfs, tdc), or of all. Those of the mesh are whole
    /// programs beside libtoxcore's, as one table: `cargo xtask bench mesh [--json] [ROW…]`.
    Bench {
        /// The layer.
        layer: Option<String>,
        /// Handed to the benchmarks.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Compiles the C programs that workers run to the committed WebAssembly (byte-identical on Debian 12).
    Guests {
        /// Only fail when the committed files are not what the sources give.
        #[arg(long)]
        check: bool,
    },
    /// Packs every crate and builds and runs outside users of the layers against the packed form.
    Package,
    /// Runs the simulator: `cargo xtask sim mesh --nodes 1000 --minutes 10 --seed 1 --json`.
    Sim {
        /// Handed to `toktok-sim`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
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
        Chore::Setup { purpose } => setup::setup(purpose),
        Chore::Demo { arguments } => chores::demo(&arguments),
        Chore::Test { arguments } => chores::test(&arguments),
        Chore::Tidy => tidy::tidy(&command::root()),
        Chore::Lint => chores::lint(),
        Chore::Codegen { check } => codegen::codegen(check),
        Chore::Fuzz { target, runs } => chores::fuzz(target.as_deref(), runs),
        Chore::Bench { layer, arguments } => chores::bench(layer.as_deref(), &arguments),
        Chore::Guests { check } => guests::guests(check),
        Chore::Package => package::package(),
        Chore::Sim { arguments } => chores::sim(&arguments),
    }
}

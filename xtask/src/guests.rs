//! `cargo xtask guests`: the programs that workers run, from C to the committed WebAssembly.

use std::process::Command;

use crate::command::{Outcome, root, run};
use crate::setup::{Purpose, setup};

/// Builds them, or with `check` only fails when the committed files are not what the sources give.
pub(crate) fn guests(check: bool) -> Outcome {
    setup(Purpose::Guests)?;
    let mut command = Command::new("sh");
    command.current_dir(root()).arg("tdc/guest/build.sh");
    if check {
        command.arg("--check");
    }
    run(&mut command)
}

//! `cargo xtask tidy`: the rules of the house that no compiler checks.
//!
//! Each rule is a small heuristic over text or over what cargo says about the workspace; a test plants a
//! violation of each and sees it found. There is no list of exceptions: code that breaks a rule is moved or mended.
//!
//! The protocol of a layer crate is all of its `src` but `src/runtime` (the tokio side) and, in `toktok-tdc`,
//! `src/engine` (wasmtime and the processes around it, behind the feature of the same name). Code that is
//! compiled for tests alone (`#[cfg(test)]`) may use the clock, files and threads.

mod compiled_once;
mod docs;
mod edges;
mod mask;
mod protocol;
mod size;
mod trees;
mod unfinished;
mod workspace;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use crate::command::{Failure, Outcome};

/// A rule broken at a place.
#[derive(Debug)]
struct Finding {
    rule: Rule,
    /// The file and line, or the crate.
    place: String,
    /// What stands there and what to do.
    message: String,
}

/// What can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// A layer depends on what it must not know.
    Edge,
    /// A layer without its runtime has a forbidden package in its tree.
    Tree,
    /// A package that takes minutes would be compiled twice, for the program and for the tests.
    CompiledOnce,
    /// An async runtime, or async code, in a protocol.
    Async,
    /// A socket in a protocol.
    Socket,
    /// A clock in a protocol.
    Clock,
    /// Randomness that was not handed in.
    Randomness,
    /// A thread in a protocol.
    Thread,
    /// Files, environment or processes in a protocol.
    Surroundings,
    /// Iteration in an order that differs from run to run.
    HashIteration,
    /// A marker of unfinished code.
    Unfinished,
    /// A crate without its front page, changes, example or its ban of unsafe code.
    CrateDocs,
    /// A file too long to read.
    FileLength,
    /// A function too long to read.
    FunctionLength,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {:?}: {}", self.place, self.rule, self.message)
    }
}

/// Checks the workspace in `root` and fails with all findings.
pub(crate) fn tidy(root: &Path) -> Outcome {
    let findings = check(root)?;
    if findings.is_empty() {
        eprintln!("xtask: tidy");
        return Ok(());
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    Err(Failure::new(format!(
        "{} findings: mend or move the code (xtask/src/tidy/mod.rs says what each rule is for)",
        findings.len()
    )))
}

fn check(root: &Path) -> Outcome<Vec<Finding>> {
    let workspace = workspace::Workspace::load(root)?;
    let mut findings = edges::check(&workspace);
    findings.extend(trees::check(&workspace)?);
    findings.extend(compiled_once::check(&workspace)?);
    findings.extend(check_files(&workspace)?);
    Ok(findings)
}

/// The rules that read files only.
fn check_files(workspace: &workspace::Workspace) -> Outcome<Vec<Finding>> {
    let mut findings = protocol::check(workspace)?;
    findings.extend(unfinished::check(&workspace.root)?);
    findings.extend(docs::check(workspace));
    findings.extend(size::check(&workspace.root)?);
    Ok(findings)
}

//! The demo and the tests build RocksDB and wasmtime with the same features of everything beneath them.
//!
//! Cargo compiles a package again when any feature of any package beneath it differs, and features are
//! united over whatever is built together. One dependency of a tool can so double the time of a first
//! `cargo xtask demo` followed by `cargo xtask test`.

use std::collections::BTreeSet;

use crate::command::{Outcome, capture, cargo};

use super::workspace::{TOP, Workspace};
use super::{Finding, Rule};

/// What takes minutes to compile.
const HEAVY: [&str; 2] = ["librocksdb-sys", "wasmtime"];

/// Compares the features as the node is built by itself with those of the whole workspace under test.
pub(super) fn check(workspace: &Workspace) -> Outcome<Vec<Finding>> {
    let tree = |arguments: &[&str]| {
        let mut command = cargo();
        command.current_dir(&workspace.root).args(["tree", "--no-dedupe", "--prefix", "depth"]);
        capture(command.args(["--format", " {p} {f}"]).args(arguments))
    };
    let program = tree(&["--edges", "normal,build", "--package", TOP])?;
    let tests = tree(&["--edges", "normal,build,dev", "--workspace"])?;
    Ok(compare(&program, &tests))
}

/// Compares two trees with a depth, a package, its version and its features on each line.
pub(super) fn compare(program: &str, tests: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in HEAVY {
        let (alone, together) = (beneath(program, package), beneath(tests, package));
        for line in alone.symmetric_difference(&together) {
            findings.push(Finding {
                rule: Rule::CompiledOnce,
                place: package.to_owned(),
                message: format!(
                    "is built for the program and again for the tests, because one of them wants `{line}`: `cargo tree --workspace -e features -i` says who does"
                ),
            });
        }
    }
    findings
}

/// `package` and all that lies beneath it, each as the line behind its depth.
fn beneath<'a>(tree: &'a str, package: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut inside = None;
    for line in tree.lines() {
        let Some((depth, words)) = line.split_once(' ') else { continue };
        let Ok(depth) = depth.parse::<u32>() else { continue };
        if inside.is_some_and(|top| depth <= top) {
            inside = None;
        }
        if inside.is_none() && words.split(' ').next() == Some(package) {
            inside = Some(depth);
        }
        if inside.is_some() {
            found.insert(words);
        }
    }
    found
}

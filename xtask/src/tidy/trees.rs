//! A layer without its runtime brings no runtime in, not even through others.

use crate::command::{Outcome, capture, cargo};

use super::workspace::{LAYERS, Layer, Workspace};
use super::{Finding, Rule};

/// Asks cargo for the tree of each layer with its features off.
pub(super) fn check(workspace: &Workspace) -> Outcome<Vec<Finding>> {
    let mut findings = Vec::new();
    for layer in LAYERS.iter().filter(|layer| workspace.member(layer.name).is_some()) {
        let mut command = cargo();
        command
            .current_dir(&workspace.root)
            .args(["tree", "--edges", "normal", "--prefix", "none"]);
        command.args(["--no-default-features", "--format", "{p}", "--package", layer.name]);
        findings.extend(check_tree(layer, &capture(&mut command)?));
    }
    Ok(findings)
}

/// Reads a tree with one package a line, its name first.
pub(super) fn check_tree(layer: &Layer, tree: &str) -> Vec<Finding> {
    let mut names: Vec<&str> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.sort_unstable();
    names.dedup();
    let allowed = |name: &str| {
        let foreign = !name.starts_with("toktok-");
        let known = name == layer.name || layer.may_know.contains(&name);
        !layer.never_in_tree.contains(&name) && (foreign || known)
    };
    let finding = |name: &str| Finding {
        rule: Rule::Tree,
        place: layer.name.to_owned(),
        message: format!(
            "has {name} in its tree without default features: `cargo tree -e normal --no-default-features -p {} -i {name}` says why",
            layer.name
        ),
    };
    names.into_iter().filter(|name| !allowed(name)).map(finding).collect()
}

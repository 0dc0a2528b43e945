//! Layers by construction: no arrow points back.

use super::workspace::{LAYERS, TOP, Workspace};
use super::{Finding, Rule};

/// Every normal dependency of a layer on another crate of the workspace must be one that it may know.
pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for layer in LAYERS {
        let Some(member) = workspace.member(layer.name) else {
            findings
                .push(finding(layer.name, "this layer is missing from the workspace".to_owned()));
            continue;
        };
        let inside = member.dependencies.iter().filter(|name| workspace.member(name).is_some());
        for name in inside.filter(|name| !layer.may_know.contains(&name.as_str())) {
            findings.push(finding(layer.name, format!("must not depend on {name}")));
        }
    }
    let above: Vec<&str> = LAYERS.iter().map(|layer| layer.name).collect();
    let top = workspace.member(TOP).into_iter().flat_map(|member| &member.dependencies);
    for name in top.filter(|name| workspace.member(name).is_some()) {
        if !above.contains(&name.as_str()) {
            findings.push(finding(TOP, format!("is built on layers only, not on {name}")));
        }
    }
    findings
}

fn finding(place: &str, message: String) -> Finding {
    Finding { rule: Rule::Edge, place: place.to_owned(), message }
}

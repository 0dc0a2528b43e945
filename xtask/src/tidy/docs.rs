//! Every crate of a layer can be understood and used by itself.

use std::path::Path;

use super::workspace::{LAYERS, Member, TOP, Workspace};
use super::{Finding, Rule};

/// Front page, changes, example and the ban of unsafe code, for each layer and the node.
pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let names = LAYERS.iter().map(|layer| layer.name).chain([TOP]);
    names.filter_map(|name| workspace.member(name)).flat_map(check_member).collect()
}

fn check_member(member: &Member) -> Vec<Finding> {
    let text = |name: &str| std::fs::read_to_string(member.folder.join(name)).unwrap_or_default();
    let library = member.folder.join("src/lib.rs").is_file();
    let front = text(if library { "src/lib.rs" } else { "src/main.rs" });
    let mut findings = Vec::new();
    let mut demand = |met: bool, message: &str| {
        if !met {
            let (place, message) = (member.name.clone(), message.to_owned());
            findings.push(Finding { rule: Rule::CrateDocs, place, message });
        }
    };
    demand(front.contains("#![forbid(unsafe_code)]"), "does not forbid unsafe code at its root");
    demand(!text("README.md").is_empty(), "has no README.md");
    if library {
        let included = front.contains("#![doc = include_str!(\"../README.md\")]");
        demand(
            included,
            "does not show its README.md as its front page (`#![doc = include_str!(…)]`)",
        );
        demand(
            has_example(&text("README.md")),
            "has no Rust example in its README.md that is compiled",
        );
    }
    let changes = text("CHANGELOG.md");
    let heading =
        changes.lines().any(|line| line.starts_with('#') && line.contains(&member.version));
    demand(heading, "has no CHANGELOG.md with a heading for its version");
    demand(has_main(&member.folder.join("examples/hello.rs")), "has no runnable examples/hello.rs");
    findings
}

/// Whether a page has a block of Rust that its documentation test compiles.
fn has_example(page: &str) -> bool {
    let fences = page.lines().filter_map(|line| line.trim_start().strip_prefix("```"));
    // Every other fence closes a block.
    fences.step_by(2).any(|attributes| {
        let mut words = attributes.split([',', ' ']).filter(|word| !word.is_empty());
        words.all(|word| matches!(word, "rust" | "no_run" | "should_panic"))
    })
}

fn has_main(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.contains("fn main()"))
}

//! What is not done is said in the README or in an issue, not left in the code.

use std::path::Path;

use crate::command::{Outcome, read};

use super::mask::{line, words};
use super::workspace::files;
use super::{Finding, Rule};

/// Written in halves, so that this file does not break its own rule.
const MARKERS: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
];

const KINDS: [&str; 10] = ["rs", "toml", "md", "proto", "sh", "c", "h", "yml", "html", "run"];

/// Looks into every text file of the workspace, comments included.
pub(super) fn check(root: &Path) -> Outcome<Vec<Finding>> {
    let mut findings = Vec::new();
    for (place, path) in files(root, root) {
        let kind = path.extension().or(path.file_name()).unwrap_or_default().to_string_lossy();
        if KINDS.contains(&kind.as_ref()) {
            findings.extend(check_text(&place, &read(&path)?));
        }
    }
    Ok(findings)
}

fn check_text(place: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for marker in MARKERS {
        // A marker may be followed by anything: `words` must see it without its exclamation mark.
        let word = marker.trim_end_matches('!');
        for at in words(text, word).filter(|at| text[*at..].starts_with(marker)) {
            findings.push(Finding {
                rule: Rule::Unfinished,
                place: format!("{place}:{}", line(text, at)),
                message: format!("`{marker}` marks unfinished code: finish it or open an issue"),
            });
        }
    }
    findings
}

//! Files and functions that fit in a head.

use std::path::Path;

use crate::command::{Outcome, read};

use super::mask::{closing, code, is_word, line, words};
use super::workspace::files;
use super::{Finding, Rule};

/// Lines of a file; most have 150 to 400.
const FILE_LINES: usize = 1000;

/// Lines of a function from `fn` to its closing bracket; most have fewer than 35.
const FUNCTION_LINES: usize = 100;

/// Measures every Rust file that a person wrote.
pub(super) fn check(root: &Path) -> Outcome<Vec<Finding>> {
    let mut findings = Vec::new();
    for (place, path) in files(root, root) {
        if place.ends_with(".rs") && !place.ends_with("generated.rs") {
            findings.extend(check_text(&place, &read(&path)?));
        }
    }
    Ok(findings)
}

fn check_text(place: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES {
        let message = format!("{lines} lines, over {FILE_LINES}: split it by subject");
        findings.push(Finding { rule: Rule::FileLength, place: place.to_owned(), message });
    }
    let code = code(text);
    for at in words(&code, "fn") {
        let Some(open) = body(&code[at..]).map(|open| at + open) else { continue };
        let (first, last) = (line(&code, at), line(&code, closing(&code, open)));
        let lines = last - first + 1;
        if lines > FUNCTION_LINES {
            findings.push(Finding {
                rule: Rule::FunctionLength,
                place: format!("{place}:{first}"),
                message: format!("a function of {lines} lines, over {FUNCTION_LINES}: split it"),
            });
        }
    }
    findings
}

/// Where the body of the function at the start of `code` opens; `None` if it has none (a trait's, a pointer type).
fn body(code: &str) -> Option<usize> {
    let named = code["fn".len()..].trim_start().starts_with(is_word);
    let mut depth = 0_usize;
    for (at, letter) in code.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.checked_sub(1)?,
            '{' if depth == 0 => return named.then_some(at),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

//! A row of the table.

use serde_json::{Value, json};

/// The table's head.
pub(crate) const HEAD: &str = "| what | ours | libtoxcore 0.2.18 | ratio | required | |\n\
                               |---|---|---|---|---|---|";

/// What was measured, and what is required.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) ours: String,
    pub(crate) theirs: String,
    /// Ours divided by theirs.
    pub(crate) ratio: f64,
    pub(crate) required: &'static str,
    pub(crate) reached: bool,
    /// The bare numbers, for `--json`.
    pub(crate) numbers: Value,
}

impl Row {
    /// The row as a line of Markdown.
    pub(crate) fn line(&self) -> String {
        let Self { what, ours, theirs, ratio, required, .. } = self;
        let reached = if self.reached { "reached" } else { "**missed**" };
        format!("| {what} | {ours} | {theirs} | {ratio:.2} | {required} | {reached} |")
    }

    /// The row as one JSON object.
    pub(crate) fn json(&self, name: &str) -> String {
        let Self { what, ratio, required, reached, numbers, .. } = self;
        json!({
            "row": name, "what": what, "ratio": ratio, "required": required, "reached": reached,
            "numbers": numbers,
        })
        .to_string()
    }
}

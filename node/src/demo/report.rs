//! What the demo tells: a line a step for people, an object a step for programs.

use std::time::Instant;

use serde_json::{Value, json};

use crate::error::NodeError;
use crate::output::{self, Bar};

/// The demo's voice.
#[derive(Debug)]
pub(super) struct Report {
    json: bool,
    started: Instant,
    steps: Vec<(&'static str, f64)>,
}

/// A step that is under way.
#[derive(Debug)]
pub(super) struct Step {
    name: &'static str,
    title: &'static str,
    started: Instant,
    bar: Bar,
}

impl Step {
    /// Shows how far it is.
    pub(super) fn set(&self, done: u64, total: u64) {
        self.bar.set(done, total);
    }
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self { json, started: Instant::now(), steps: Vec::new() }
    }

    pub(super) fn begin(&self, name: &'static str, title: &'static str) -> Step {
        Step { name, title, started: Instant::now(), bar: Bar::new(title, self.json) }
    }

    /// Tells what came of a step, and how long it took.
    pub(super) fn finish(&mut self, step: Step, details: Value, sentence: &str) {
        let seconds = round(step.started.elapsed().as_secs_f64());
        let Step { name, title, bar, .. } = step;
        drop(bar);
        self.steps.push((name, seconds));
        if !self.json {
            output::line(&format!("{seconds:7.2} s  {title}: {sentence}"));
            return;
        }
        let mut object = json!({ "step": name, "seconds": seconds });
        if let (Value::Object(object), Value::Object(details)) = (&mut object, details) {
            object.extend(details);
        }
        output::json(&object);
    }

    /// Tells whether everything was as it should be.
    pub(super) fn end(&self, outcome: &Result<(), NodeError>) {
        let seconds = round(self.started.elapsed().as_secs_f64());
        if self.json {
            let steps: serde_json::Map<String, Value> = self
                .steps
                .iter()
                .map(|(name, seconds)| ((*name).to_owned(), json!(seconds)))
                .collect();
            let mut last = json!({ "ok": outcome.is_ok(), "seconds": seconds, "steps": steps });
            if let (Err(error), Value::Object(last)) = (outcome, &mut last) {
                last.insert("error".to_owned(), json!(error.to_string()));
            }
            output::json(&last);
        } else if outcome.is_ok() {
            output::line(&format!("{seconds:7.2} s  in all: everything was as it should be"));
        }
    }
}

/// Milliseconds are precise enough.
fn round(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

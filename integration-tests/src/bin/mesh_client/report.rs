//! Lines of output.

use std::io::Write;
use std::time::Instant;

use serde_json::{Value, json};

/// Says that something happened.
pub(crate) fn event(name: &str, mut fields: Value) {
    fields["event"] = name.into();
    let mut out = std::io::stdout().lock();
    // Nobody listens any more: standard input will end, too.
    let _ = writeln!(out, "{fields}");
    let _ = out.flush();
}

/// Says that a command was obeyed.
pub(crate) fn done(verb: &str) {
    event("done", json!({ "command": verb }));
}

/// Says that a command was not.
pub(crate) fn failed(verb: &str) {
    event("failed", json!({ "command": verb, "code": -1 }));
}

/// What this process has used of processors until now, in seconds: all its threads.
pub(crate) fn cpu_seconds() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux");
    let nanoseconds = threads.flatten().filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    nanoseconds.sum::<u64>() as f64 / 1e9
}

/// When something began, and what had been used of processors then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    begun: Instant,
    cpu: f64,
}

impl Effort {
    /// It begins now.
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now(), cpu: cpu_seconds() }
    }

    /// What it took until now: adds `seconds` and `cpu` to an event's fields.
    pub(crate) fn tell(self, mut fields: Value) -> Value {
        fields["seconds"] = self.begun.elapsed().as_secs_f64().into();
        fields["cpu"] = (cpu_seconds() - self.cpu).into();
        fields
    }
}

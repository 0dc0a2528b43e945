//! What a run cost this machine: the only numbers that differ between two runs of a seed.

use std::time::Instant;

use serde::Serialize;
use toktok_sim::scenario::Summary;

/// A run that is being measured.
pub(crate) struct Measure {
    began: Instant,
    cpu_before: Option<f64>,
    /// Memory before the run, in bytes.
    before: Option<u64>,
}

/// Its cost.
#[derive(Serialize)]
pub(crate) struct Cost {
    /// Seconds on the clock on the wall.
    pub(crate) wall_seconds: f64,
    /// Seconds that one core computed: less than on the wall when others share the machine.
    pub(crate) cpu_seconds: Option<f64>,
    /// Virtual seconds a wall second.
    pub(crate) times_real_time: f64,
    /// Virtual seconds a core's second.
    pub(crate) times_real_time_cpu: Option<f64>,
    /// The process's highest resident memory (`VmHWM`); `None` where Linux does not tell.
    pub(crate) peak_memory_bytes: Option<u64>,
    /// What of it came with the run, a node.
    pub(crate) memory_a_node_bytes: Option<u64>,
    /// What each node had on the heap at the end, where that was looked at.
    pub(crate) state_a_node_bytes: Option<Summary>,
}

impl Measure {
    pub(crate) fn begin() -> Self {
        let (cpu_before, before) = (cpu_seconds(), status_bytes("VmRSS:"));
        Self { began: Instant::now(), cpu_before, before }
    }

    pub(crate) fn end(self, virtual_seconds: u64, nodes: usize) -> Cost {
        let wall_seconds = self.began.elapsed().as_secs_f64();
        let peak = status_bytes("VmHWM:");
        let grown = peak.zip(self.before).map(|(peak, before)| peak.saturating_sub(before));
        let cpu = cpu_seconds().zip(self.cpu_before).map(|(after, before)| after - before);
        Cost {
            wall_seconds,
            cpu_seconds: cpu,
            times_real_time_cpu: cpu.map(|cpu| virtual_seconds as f64 / cpu),
            times_real_time: virtual_seconds as f64 / wall_seconds,
            peak_memory_bytes: peak,
            memory_a_node_bytes: grown.map(|grown| grown / nodes.max(1) as u64),
            state_a_node_bytes: None,
        }
    }
}

/// A line of `/proc/self/status` that counts in kibibytes.
fn status_bytes(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// What this process computed so far, from `/proc/self/stat`. The unit there is 10 ms on every Linux.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold spaces; user and system time are fields 14 and 15.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / 100.0)
}

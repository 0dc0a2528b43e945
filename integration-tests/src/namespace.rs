//! A network of its own for some processes: one loopback interface that nobody else uses, so that its
//! counters are theirs. Needs util-linux, iproute2, and a kernel that lets users make namespaces.
#![expect(clippy::expect_used, reason = "a test without its network has failed")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A network namespace, gone with the last process in it; the one that holds it ends when this is dropped.
#[derive(Debug)]
pub struct Namespace {
    holder: Child,
}

/// What went over a namespace's loopback interface so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Traffic {
    /// IP packets with their headers, in bytes.
    pub bytes: u64,
    /// IP packets.
    pub packets: u64,
}

impl Namespace {
    /// A fresh namespace whose loopback interface is up.
    ///
    /// # Panics
    /// If the kernel or a missing program does not let us.
    pub fn new() -> Self {
        // It waits for the end of its input: that is, of this process at the latest.
        let hold = "ip link set lo up && echo up && exec cat";
        let mut holder = Command::new("unshare")
            .args(["--map-root-user", "--net", "sh", "-c", hold])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare of util-linux: `cargo xtask setup` installs it");
        let mut said = String::new();
        let output = holder.stdout.as_mut().expect("it is piped");
        BufReader::new(output).read_line(&mut said).expect("text");
        assert_eq!(said, "up\n", "no network namespace (is `cargo xtask setup` done?)");
        Self { holder }
    }

    /// A command that runs `program` in this namespace, as the same user on the same files.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--preserve-credentials", "--user", "--net", "--target"]);
        command.arg(self.holder.id().to_string()).arg("--").arg(program);
        command
    }

    /// What was sent so far.
    ///
    /// # Panics
    /// If the kernel tells no counters.
    pub fn traffic(&self) -> Traffic {
        let path = format!("/proc/{}/net/dev", self.holder.id());
        let text = std::fs::read_to_string(path).expect("the holder runs");
        let line = text.lines().find_map(|line| line.trim().strip_prefix("lo:"));
        let numbers = line.expect("the loopback interface").split_whitespace();
        let numbers: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
        // Eight numbers of what was received, and as many of what was sent.
        Traffic { bytes: numbers[8], packets: numbers[9] }
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

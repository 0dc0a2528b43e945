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
        Self::try_new().expect("no network namespace (is `cargo xtask setup` done?)")
    }

    /// A fresh namespace; `None` if the kernel does not let us make one.
    ///
    /// # Panics
    /// If a program is missing: `cargo xtask setup` installs it.
    pub fn try_new() -> Option<Self> {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net"]);
        Self::held(command)
    }

    /// Another one with the same owner, so that cables can be laid between them.
    ///
    /// # Panics
    /// If the kernel does not let us.
    pub fn beside(&self) -> Self {
        let mut command = self.command(Path::new("unshare"));
        command.arg("--net");
        Self::held(command).expect("another network namespace")
    }

    /// Made by a command, to which the program that holds it is added.
    fn held(mut command: Command) -> Option<Self> {
        // It waits for the end of its input: that is, of this process at the latest.
        let hold = "ip link set lo up && echo up && exec cat";
        let mut holder = command
            .args(["sh", "-c", hold])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare of util-linux: `cargo xtask setup` installs it");
        let mut said = String::new();
        let output = holder.stdout.as_mut().expect("it is piped");
        BufReader::new(output).read_line(&mut said).expect("text");
        let made = Self { holder };
        (said == "up\n").then_some(made)
    }

    /// The process that holds it: its name for `ip`.
    pub fn holder(&self) -> u32 {
        self.holder.id()
    }

    /// Runs lines of shell in it, as the owner of its interfaces.
    ///
    /// # Panics
    /// If one of them fails.
    pub fn run(&self, lines: &str) {
        let mut command = self.command(Path::new("sh"));
        let output = command.args(["-ec", lines]).output().expect("a shell");
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{lines}\n{why}");
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

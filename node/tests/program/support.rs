//! The program under test, and nodes that stop with the test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The program that cargo built for this test.
pub(crate) const TOKTOK: &str = env!("CARGO_BIN_EXE_toktok");

/// The machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the program to its end.
pub(crate) fn toktok(args: &[&str]) -> Output {
    Command::new(TOKTOK).args(args).stdin(Stdio::null()).output().expect("the program starts")
}

/// What a failed command said; asserts that it failed, and not by a panic.
pub(crate) fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// The lines of a command that went well, each an object.
pub(crate) fn objects(mut command: Command) -> Vec<Value> {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// Asks again and again until there is an answer.
pub(crate) fn wait<T>(what: &str, ask: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A running node, killed when dropped.
pub(crate) struct Node {
    child: Child,
    /// Its first line, as JSON.
    pub(crate) hello: Value,
}

impl Node {
    /// Starts a node on loopback in `data_dir`.
    pub(crate) fn start(data_dir: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(TOKTOK);
        command
            .args(["run", "--json", "--bind", "127.0.0.1", "--udp-port", "0", "--no-lan"])
            .arg("--data-dir")
            .arg(data_dir)
            .args(more);
        Self::spawn(command)
    }

    /// Starts a node by a command that was made for it, `--json` and all.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the node says hello");
        Self { hello: serde_json::from_str(&line).expect("in JSON"), child }
    }

    /// What others give to `--bootstrap`.
    pub(crate) fn entry(&self) -> String {
        format!("127.0.0.1:{}:{}", self.hello["udp_port"], self.key())
    }

    /// Its node key.
    pub(crate) fn key(&self) -> &str {
        self.hello["node_key"].as_str().expect("a key")
    }

    /// A number of its first line.
    pub(crate) fn port(&self, name: &str) -> u16 {
        self.hello[name].as_u64().and_then(|port| port.try_into().ok()).expect("a port")
    }

    /// Sends it a signal and waits until it has ended.
    pub(crate) fn stop(mut self, signal: &str) -> ExitStatus {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().expect("kill");
        assert!(sent.success());
        self.child.wait().expect("it is our child")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

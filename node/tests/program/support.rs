//! The program under test, and nodes that stop with the test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The program that cargo built for this test.
pub(crate) const TOKTOK: &str = env!("CARGO_BIN_EXE_toktok");

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

/// A running node, killed when dropped.
pub(crate) struct Node {
    child: Child,
    /// Its first line, as JSON.
    pub(crate) hello: serde_json::Value,
}

impl Node {
    /// Starts a node on loopback in `data_dir`.
    pub(crate) fn start(data_dir: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(TOKTOK)
            .args(["run", "--json", "--bind", "127.0.0.1", "--udp-port", "0", "--data-dir"])
            .arg(data_dir)
            .args(more)
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
        let key = self.hello["node_key"].as_str().expect("a key");
        format!("127.0.0.1:{}:{key}", self.hello["udp_port"])
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Debian's toxic, a Tox client for terminals, in a terminal of its own: keys go in, the screen comes out.
#![expect(clippy::expect_used, reason = "a test without its client has failed")]

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::tox_client::LIMIT;

/// The terminal's columns and rows: a Tox ID fits into a line.
const SIZE: [&str; 2] = ["110", "24"];
/// Between two looks at the screen.
const LOOK: Duration = Duration::from_millis(250);
/// No list of nodes from a server, no signs that change by themselves.
const SETTINGS: &str =
    "ui = { nodeslist_update_freq=0; timestamps=false; mplex_away=false; native_colors=true; };\n";

/// A running toxic. It ends when dropped.
#[derive(Debug)]
pub struct Toxic {
    folder: tempfile::TempDir,
    /// What was typed, and what the screen showed when it was waited for.
    transcript: String,
}

impl Toxic {
    /// Starts it with a fresh profile and one bootstrap node, which is a TCP relay too.
    ///
    /// # Panics
    /// If tmux or toxic is missing: `cargo xtask setup` installs both.
    pub fn start(folder: &Path, udp: SocketAddr, tcp: SocketAddr, key: &str) -> Self {
        let folder = tempfile::tempdir_in(folder).expect("a folder");
        let node = serde_json::json!({
            "ipv4": udp.ip().to_string(), "ipv6": "-", "port": udp.port(), "tcp_ports": [tcp.port()],
            "public_key": key.to_uppercase(), "maintainer": "test", "location": "here",
            "status_udp": true, "status_tcp": true, "version": "1", "motd": "", "last_ping": 1,
        });
        let nodes = serde_json::json!({ "last_scan": 1, "last_refresh": 1, "nodes": [node] });
        std::fs::write(folder.path().join("nodes.json"), nodes.to_string()).expect("a file");
        std::fs::write(folder.path().join("settings"), SETTINGS).expect("a file");
        let toxic = Self { folder, transcript: String::new() };
        let program = "exec toxic -4 -L -n nodes.json -f profile -c settings 2>errors";
        let [columns, rows] = SIZE;
        let new = ["new-session", "-d", "-x", columns, "-y", rows, program];
        toxic.tmux(&[&["-f", "/dev/null"], &new[..]].concat());
        toxic
    }

    /// Types a text and presses Enter.
    pub fn enter(&mut self, text: &str) {
        let _ = writeln!(self.transcript, ">>> {text}");
        self.tmux(&["send-keys", "-l", text]);
        self.press("Enter");
    }

    /// Presses a key, by tmux's name of it.
    pub fn press(&mut self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// What stands on the screen.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-J"])
    }

    /// Waits until the screen shows a text; the screen.
    ///
    /// # Panics
    /// After [`LIMIT`], with what it shows instead.
    pub fn wait(&mut self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                let _ = writeln!(self.transcript, "{}", shown(&screen));
                return screen;
            }
            assert!(begun.elapsed() < LIMIT, "no `{text}` on the screen:\n{}", shown(&screen));
            std::thread::sleep(LOOK);
        }
    }

    /// What was typed and shown so far.
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-S", "socket"])
            .args(arguments)
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("LC_ALL", "C.UTF-8")
            .env_remove("TMUX")
            .output()
            .expect("tmux: `cargo xtask setup` installs it");
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {arguments:?}: {why}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// The screen without its empty lines, in a frame.
fn shown(screen: &str) -> String {
    let lines = screen.lines().filter(|line| !line.trim().is_empty());
    let lines: Vec<String> = lines.map(|line| format!("| {}", line.trim_end())).collect();
    lines.join("\n")
}

impl Drop for Toxic {
    fn drop(&mut self) {
        let _ = Command::new("tmux")
            .args(["-S", "socket", "kill-server"])
            .current_dir(self.folder.path())
            .output();
    }
}

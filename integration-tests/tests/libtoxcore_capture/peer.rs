//! libtoxcore, in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use integration_tests::foreign;
use toktok_wire::PublicKey;

pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) dht: PublicKey,
    pub(crate) real: PublicKey,
    lines: Receiver<String>,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Peer {
    /// Starts libtoxcore and waits until it has told its keys.
    pub(crate) fn start(arguments: &[String]) -> Self {
        let folder =
            tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("a folder");
        let program = foreign::compile("libtoxcore_peer", &["toxcore"], folder.path());
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program that was compiled just now");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let value = |name: &str| {
            let line = lines.recv_timeout(Duration::from_secs(10)).expect("libtoxcore starts");
            line.strip_prefix(name).expect("the lines in their order").trim().to_owned()
        };
        let port = value("port").parse().expect("a port");
        Self {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            dht: value("dht").parse().expect("a key"),
            real: value("real").parse().expect("a key"),
            lines,
            child,
            _folder: folder,
        }
    }

    /// What it has said since the last call.
    pub(crate) fn log(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

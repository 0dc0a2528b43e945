//! A client of Debian's libtoxcore in a process of its own, which a test tells what to do and asks what
//! happened. The program is `c/tox_client`; `main.c` there lists its options, `commands.c` its commands.
#![expect(clippy::expect_used, reason = "a test that cannot talk to its peer has failed")]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::foreign;

/// How long [`ToxClient::wait`] waits. libtoxcore needs some 10 s to meet anybody, and up to a minute when
/// its first try fails; the machine may be busy.
pub const LIMIT: Duration = Duration::from_secs(150);

/// How long a command may take to be answered.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Lines that a failure shows.
const SHOWN: usize = 80;

/// How each client is started unless [`ToxClient::spawn`] is told otherwise: on loopback, where LAN
/// discovery would make all tests of a machine one network.
const ON_LOOPBACK: [&str; 2] = ["--no-ipv6", "--no-lan"];

/// The compiled program, made once a process in `folder`: `Path::new(env!("CARGO_TARGET_TMPDIR"))`.
///
/// # Panics
/// If it does not compile: `cargo xtask setup` installs what it takes.
pub fn program(folder: &Path) -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // Another test may run the program just now: it is replaced, not written to.
        let own = tempfile::tempdir_in(folder).expect("a folder");
        let made = foreign::compile("tox_client", &["toxcore"], own.path());
        let place = folder.join("tox_client");
        std::fs::rename(made, &place).expect("both are in one file system");
        place
    })
}

/// A running client. It ends when dropped.
#[derive(Debug)]
pub struct ToxClient {
    name: String,
    child: Child,
    commands: Option<ChildStdin>,
    events: Receiver<(Instant, String)>,
    /// What happened and was not waited for yet.
    pending: VecDeque<Value>,
    /// All lines, both ways.
    log: Vec<String>,
    id: Value,
}

impl ToxClient {
    /// Starts a client on loopback without LAN discovery; `name` is what failures call it.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(folder: &Path, name: &str, options: &[&str]) -> Self {
        let mut command = Command::new(program(folder));
        command.args(ON_LOOPBACK).args(options);
        Self::spawn(name, command)
    }

    /// Starts a client by a command that was made for it: in a network of its own, or with other options.
    ///
    /// # Panics
    /// If it does not start.
    pub fn spawn(name: &str, mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program that was compiled just now");
        let commands = child.stdin.take();
        let events = read_lines(child.stdout.take().expect("it is piped"));
        let (pending, log) = (VecDeque::new(), Vec::new());
        let name = name.to_owned();
        let mut client = Self { name, child, commands, events, pending, log, id: Value::Null };
        client.id = client.wait("id", |_| true);
        client
    }

    /// Its first event, which says who it is and where.
    pub fn id(&self) -> &Value {
        &self.id
    }

    /// The long-term public key, in lower-case hexadecimal.
    pub fn key(&self) -> &str {
        self.id["key"].as_str().unwrap_or_default()
    }

    /// The Tox ID, in lower-case hexadecimal.
    pub fn address(&self) -> &str {
        self.id["address"].as_str().unwrap_or_default()
    }

    /// The key in the DHT.
    pub fn dht(&self) -> &str {
        self.id["dht"].as_str().unwrap_or_default()
    }

    /// Where its DHT node listens.
    pub fn udp(&self) -> SocketAddr {
        local(&self.id["udp"])
    }

    /// Where its TCP relay listens; port 0 if it is none.
    pub fn tcp(&self) -> SocketAddr {
        local(&self.id["tcp"])
    }

    /// The process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Gives a command and waits until it is done; the answer.
    ///
    /// # Panics
    /// If it fails.
    pub fn command(&mut self, line: &str) -> Value {
        match self.try_command(line) {
            Ok(answer) => answer,
            Err(code) => self.fail(&format!("`{line}` fails with {code}")),
        }
    }

    /// Gives a command and waits for the answer.
    ///
    /// # Errors
    /// libtoxcore's error code; -1 if the command made no sense.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn try_command(&mut self, line: &str) -> Result<Value, i64> {
        self.log.push(format!("> {line}"));
        let commands = self.commands.as_mut().expect("it is there until the end");
        let written = commands.write_all(format!("{line}\n").as_bytes());
        if written.is_err() {
            self.fail("it takes no commands any more");
        }
        let answered = |event: &Value| event["event"] == "done" || event["event"] == "failed";
        let Some(answer) = self.take(ANSWER_LIMIT, answered) else {
            self.fail(&format!("no answer to `{line}`"));
        };
        if answer["event"] == "done" {
            Ok(answer)
        } else {
            Err(answer["code"].as_i64().unwrap_or(-1))
        }
    }

    /// Repeats a command until it is done: for what must wait for room in a queue, or for a connection.
    ///
    /// # Panics
    /// If it fails for [`LIMIT`].
    pub fn insist(&mut self, line: &str) -> Value {
        let begun = Instant::now();
        loop {
            match self.try_command(line) {
                Ok(answer) => return answer,
                Err(code) if begun.elapsed() > LIMIT => {
                    self.fail(&format!("`{line}` still fails with {code}"))
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Waits for an event that `wanted` says yes to, and takes it. Events need not be waited for in the
    /// order in which they happen.
    ///
    /// # Panics
    /// After [`LIMIT`], with what happened instead.
    pub fn wait(&mut self, event: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = self.wait_within(LIMIT, event, wanted);
        found.unwrap_or_else(|| self.fail(&format!("no `{event}` as it is wanted")))
    }

    /// As [`wait`](Self::wait), for as long as `limit`; `None` if it did not happen.
    pub fn wait_within(
        &mut self,
        limit: Duration,
        event: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Option<Value> {
        self.take(limit, |found| found["event"] == event && wanted(found))
    }

    /// What happened of a kind and was not waited for; it is taken.
    pub fn drain(&mut self, event: &str) -> Vec<Value> {
        let mut taken = Vec::new();
        while let Some(found) = self.wait_within(Duration::ZERO, event, |_| true) {
            taken.push(found);
        }
        taken
    }

    /// Waits until a friend is online, by any way: its long-term key, the way.
    ///
    /// # Panics
    /// After [`LIMIT`].
    pub fn wait_online(&mut self, friend: &str) -> Value {
        self.wait("friend", |event| event["friend"] == friend && event["connection"] != "none")
    }

    /// Waits until a friend is offline.
    ///
    /// # Panics
    /// After [`LIMIT`].
    pub fn wait_offline(&mut self, friend: &str) -> Value {
        self.wait("friend", |event| event["friend"] == friend && event["connection"] == "none")
    }

    /// Bootstraps from a DHT node.
    pub fn bootstrap(&mut self, node: SocketAddr, key: &str) {
        self.command(&format!("bootstrap {} {} {key}", node.ip(), node.port()));
    }

    /// Uses a TCP relay.
    pub fn relay(&mut self, node: SocketAddr, key: &str) {
        self.command(&format!("relay {} {} {key}", node.ip(), node.port()));
    }

    /// Ends the program as its user would, and waits until it has ended.
    ///
    /// # Panics
    /// If it ended otherwise.
    pub fn quit(mut self) {
        self.command("quit");
        self.commands = None;
        let status = self.child.wait().expect("it is our child");
        assert!(status.success(), "{}: {status}", self.name);
    }

    /// The last lines, for a failure's message.
    pub fn log(&self) -> String {
        self.log[self.log.len().saturating_sub(SHOWN)..].join("\n")
    }

    /// Stops the test.
    ///
    /// # Panics
    /// Always.
    pub fn fail(&self, why: &str) -> ! {
        panic!("{}: {why}; what it said last:\n{}", self.name, self.log())
    }

    fn take(&mut self, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        if let Some(place) = self.pending.iter().position(&wanted) {
            return self.pending.remove(place);
        }
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = match self.events.recv_timeout(left) {
                Ok((at, line)) => self.read(at, line),
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => self.fail("it has ended"),
            };
            if wanted(&event) {
                return Some(event);
            }
            self.pending.push_back(event);
        }
    }

    /// An event. It is given the moment `at` which it came, in milliseconds on this process's clock:
    /// the same one for all clients.
    fn read(&mut self, at: Instant, line: String) -> Value {
        let event = serde_json::from_str::<Value>(&line);
        self.log.push(line);
        let mut event =
            event.unwrap_or_else(|error| self.fail(&format!("its last line is no JSON: {error}")));
        event["at"] = milliseconds(at).into();
        event
    }
}

impl Drop for ToxClient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets two clients meet: both bootstrap from the node and know each other's key.
///
/// # Panics
/// If they do not meet within [`LIMIT`].
pub fn meet(first: &mut ToxClient, second: &mut ToxClient, node: SocketAddr, key: &str) {
    for client in [&mut *first, &mut *second] {
        client.bootstrap(node, key);
    }
    first.command(&format!("norequest {}", second.key()));
    second.command(&format!("norequest {}", first.key()));
    first.wait_online(second.key());
    second.wait_online(first.key());
}

/// A moment on a clock that begins with its first use.
fn milliseconds(at: Instant) -> f64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    let begin = *BEGIN.get_or_init(|| at);
    let late = at.saturating_duration_since(begin).as_secs_f64();
    (late - begin.saturating_duration_since(at).as_secs_f64()) * 1000.0
}

/// A thread that reads lines. What is no UTF-8 (names are any bytes) is replaced.
fn read_lines(output: ChildStdout) -> Receiver<(Instant, String)> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(output).split(b'\n').map_while(Result::ok);
        for line in lines {
            let line = String::from_utf8_lossy(&line).into_owned();
            if send.send((Instant::now(), line)).is_err() {
                return;
            }
        }
    });
    receive
}

fn local(port: &Value) -> SocketAddr {
    let port = port.as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
    SocketAddr::from(([127, 0, 0, 1], port))
}

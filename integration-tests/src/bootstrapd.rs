//! Debian's tox-bootstrapd: a DHT node, and a TCP relay if wanted.
#![expect(clippy::expect_used, reason = "a test without its daemon has failed")]

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the daemon says of itself.
pub const MOTD: &str = "a node of Debian's";

/// The machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);

/// A running tox-bootstrapd, killed when dropped.
#[derive(Debug)]
pub struct Bootstrapd {
    process: Child,
    folder: tempfile::TempDir,
    udp: SocketAddr,
    tcp: Option<SocketAddr>,
    key: String,
}

impl Bootstrapd {
    /// Starts a DHT node on loopback, with its files in a new folder in `folder`.
    ///
    /// # Panics
    /// If it does not start: `cargo xtask setup` installs it.
    pub fn start(folder: &Path) -> Self {
        Self::spawn(folder, None, Command::new("tox-bootstrapd"))
    }

    /// Starts a DHT node that is a TCP relay too.
    ///
    /// # Panics
    /// If it does not start.
    pub fn with_relay(folder: &Path) -> Self {
        Self::spawn(folder, Some(free_tcp_port()), Command::new("tox-bootstrapd"))
    }

    /// Starts the daemon by a command that was made for it: in a network of its own.
    ///
    /// # Panics
    /// If it does not start.
    pub fn spawn(folder: &Path, tcp: Option<SocketAddr>, mut command: Command) -> Self {
        let folder = tempfile::tempdir_in(folder).expect("a folder");
        let udp = free_udp_port();
        let (config, log) = (folder.path().join("conf"), folder.path().join("log"));
        std::fs::write(&config, settings(folder.path(), udp, tcp)).expect("a file");
        let process = command
            .arg(format!("--config={}", config.display()))
            .args(["--foreground", "--log-backend=stdout"])
            .stdout(File::create(&log).expect("a file"))
            .stderr(Stdio::null())
            .spawn()
            .expect("tox-bootstrapd of Debian's toxcore-utils: `cargo xtask setup` installs it");
        let mut daemon = Self { process, folder, udp, tcp, key: String::new() };
        daemon.key = daemon.told_key();
        daemon
    }

    /// The key in the DHT and of the relay, in hexadecimal.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where the DHT node listens.
    pub fn udp(&self) -> SocketAddr {
        self.udp
    }

    /// Where the TCP relay listens.
    ///
    /// # Panics
    /// If it is none.
    pub fn tcp(&self) -> SocketAddr {
        self.tcp.expect("started as a relay")
    }

    /// The process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// The key that the daemon writes into its log.
    fn told_key(&self) -> String {
        let begun = Instant::now();
        while begun.elapsed() < LIMIT {
            let text = std::fs::read_to_string(self.folder.path().join("log")).expect("the log");
            let mut lines = text.lines().filter_map(|line| line.strip_prefix("Public Key: "));
            if let Some(key) = lines.next().filter(|key| key.trim().len() == 64) {
                return key.trim().to_lowercase();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("tox-bootstrapd did not tell its key");
    }
}

impl Drop for Bootstrapd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn settings(folder: &Path, udp: SocketAddr, tcp: Option<SocketAddr>) -> String {
    let relay = match tcp {
        Some(tcp) => format!("enable_tcp_relay = true\ntcp_relay_ports = [{}]\n", tcp.port()),
        None => "enable_tcp_relay = false\n".to_owned(),
    };
    format!(
        "port = {1}\nkeys_file_path = \"{0}/keys\"\npid_file_path = \"{0}/pid\"\n\
         enable_ipv6 = false\nenable_ipv4_fallback = true\nenable_lan_discovery = false\n\
         {relay}enable_motd = true\nmotd = \"{MOTD}\"\n",
        folder.display(),
        udp.port()
    )
}

/// A UDP port of the loopback interface that was free just now.
///
/// # Panics
/// If there is none.
pub fn free_udp_port() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.local_addr().expect("its address")
}

/// A TCP port of the loopback interface that was free just now.
///
/// # Panics
/// If there is none.
pub fn free_tcp_port() -> SocketAddr {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.local_addr().expect("its address")
}

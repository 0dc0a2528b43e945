//! Debian's tox-bootstrapd as bootstrap node of ours.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use toktok_mesh::{Address, Mesh, PublicKey};
use toktok_wire::bootstrap_info::{BootstrapInfo, BootstrapInfoRequest};
use toktok_wire::{Decode, Encode};

/// Nodes of ours.
const NODES: usize = 6;
/// All of them must have found all others by then; the machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);
/// What the daemon says of itself.
const MOTD: &str = "a node of Debian's";

/// A running tox-bootstrapd, killed when dropped.
struct Daemon {
    process: Child,
    _folder: tempfile::TempDir,
    address: SocketAddr,
    key: PublicKey,
}

impl Daemon {
    async fn start() -> Self {
        let folder =
            tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("a folder");
        let address = free_port();
        let (config, log) = (folder.path().join("conf"), folder.path().join("log"));
        std::fs::write(&config, settings(folder.path(), address.port())).expect("a file");
        let process = Command::new("tox-bootstrapd")
            .arg(format!("--config={}", config.display()))
            .args(["--foreground", "--log-backend=stdout"])
            .stdout(File::create(&log).expect("a file"))
            .stderr(Stdio::null())
            .spawn()
            .expect("tox-bootstrapd of Debian's toxcore-utils: `cargo xtask setup` installs it");
        let unknown = PublicKey([0; 32]);
        let mut daemon = Self { process, _folder: folder, address, key: unknown };
        daemon.key = timeout(LIMIT, told_key(&log)).await.expect("it tells its key");
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The key that the daemon writes into its log.
async fn told_key(log: &Path) -> PublicKey {
    loop {
        let text = std::fs::read_to_string(log).expect("the log");
        let key = text.lines().find_map(|line| line.strip_prefix("Public Key: "));
        if let Some(key) = key.and_then(|key| key.trim().parse().ok()) {
            return key;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn settings(folder: &Path, port: u16) -> String {
    format!(
        "port = {port}\nkeys_file_path = \"{0}/keys\"\npid_file_path = \"{0}/pid\"\n\
         enable_ipv6 = false\nenable_ipv4_fallback = true\nenable_lan_discovery = false\n\
         enable_tcp_relay = false\nenable_motd = true\nmotd = \"{MOTD}\"\n",
        folder.display()
    )
}

/// A port of the loopback interface that was free just now.
fn free_port() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.local_addr().expect("its address")
}

async fn node(daemon: &Daemon) -> Mesh {
    Mesh::builder()
        .udp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .bootstrap(Address::udp(daemon.address), daemon.key)
        .spawn()
        .await
        .expect("a node")
}

#[tokio::test(flavor = "multi_thread")]
async fn our_nodes_find_each_other_through_it() {
    let daemon = Daemon::start().await;
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        nodes.push(node(&daemon).await);
    }
    let begin = Instant::now();
    for from in &nodes {
        for to in &nodes {
            if from.public_key() != to.public_key() {
                let found = find(from, to.public_key(), begin + LIMIT).await;
                assert_eq!(found, to.addresses()[0]);
            }
        }
    }
    println!("{NODES} nodes found each other in {:?}", begin.elapsed());
    let drops = nodes[0].with_stack(|stack, _| stack.drops().clone()).await.expect("it runs");
    println!("{drops:?}");
}

/// Where `key` is, as soon as `mesh` finds it.
async fn find(mesh: &Mesh, key: PublicKey, limit: Instant) -> Address {
    while Instant::now() < limit {
        if let Some(address) = mesh.lookup(key).await.expect("it runs") {
            return address;
        }
    }
    panic!("{key} was not found within {LIMIT:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_our_question_for_its_bootstrap_info() {
    let daemon = Daemon::start().await;
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let mut answer = [0; 2_048];
    let mut len = 0;
    for _ in 0..10 {
        socket.send_to(&BootstrapInfoRequest.to_bytes(), daemon.address).await.expect("sent");
        if let Ok(received) = timeout(Duration::from_secs(3), socket.recv_from(&mut answer)).await {
            len = received.expect("received").0;
            break;
        }
    }
    let info = BootstrapInfo::from_bytes(&answer[..len]).expect("a bootstrap info");
    assert_eq!(info.text(), MOTD);
    assert!(info.version >= 1_000_000_000, "the daemon's numbering: {}", info.version);
}

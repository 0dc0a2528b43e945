//! The node that is flooded: a relay and provider, and a person beside it, in a process of their own.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use toktok_mesh::runtime::{Clock, Driver, Mesh, Transport, UdpTransport, system_rng};
use toktok_mesh::{Address, Config, KeyPair, PublicKey, Stack};

/// What the node speaks with its friend.
pub(crate) const ECHO: &str = "echo/1";
/// Set in the node's process.
const ROLE: &str = "TOKTOK_FLOODED_NODE";
/// Ticks of the system's account of processor time, a second.
const TICKS: f64 = 100.0;

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    process: Child,
    /// Its key.
    pub(crate) key: PublicKey,
    /// Its UDP address.
    pub(crate) address: Address,
    /// Its relay.
    pub(crate) relay: SocketAddr,
    /// The UDP address of the person in the same process.
    pub(crate) person: Address,
}

impl Node {
    /// Starts this program again, as the node.
    pub(crate) fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args(["node::under_flood", "--exact", "--ignored", "--nocapture"])
            .env(ROLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the node starts");
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let line = lines
            .map(|line| line.expect("the node speaks"))
            .find_map(|line| line.split_once("NODE ").map(|(_, rest)| rest.to_owned()))
            .expect("the node says where it is");
        let words: Vec<&str> = line.split(' ').collect();
        let port = |index: usize| words[index].parse::<u16>().expect("a port");
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            process,
            key: words[0].parse().expect("a key"),
            address: Address::udp(at(port(1))),
            relay: at(port(2)),
            person: Address::udp(at(port(3))),
        }
    }

    fn proc_file(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.process.id())).expect("the node lives")
    }

    /// Processor time that it took so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = self.proc_file("stat");
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
    }

    /// Memory that it has.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = self.proc_file("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.expect("the system's account") << 10
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "the process that the floods' test starts"]
fn under_flood() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.spawn(serve());
    // The parent ends: so do we.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

async fn serve() {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mesh = Mesh::builder().udp(local).relay_ports(vec![0]).spawn().await.expect("a node");
    let mut echo = mesh.listen(ECHO).await.expect("a listener");
    let transport = UdpTransport::bind(local).expect("a socket");
    let person = transport.local_address();
    let rng = system_rng().expect("randomness");
    let [identity, dht] = ["identity", "dht"].map(|label| KeyPair::generate(&mut rng.child(label)));
    let clock = Clock::start();
    let stack = Stack::with_identity(Config::person(), identity, dht, rng, clock.now());
    let _person = Driver::new(stack, clock, vec![Box::new(transport)]).spawn();
    let port = |address: &Address| address.as_udp().map_or(0, |address| address.port());
    let udp = port(&mesh.addresses()[0]);
    println!("NODE {} {udp} {} {}", mesh.public_key(), mesh.relay_ports()[0], port(&person));
    while let Some(mut channel) = echo.accept().await {
        tokio::spawn(async move {
            while let Some(message) = channel.recv().await {
                if channel.send(message).await.is_err() {
                    break;
                }
            }
        });
    }
}

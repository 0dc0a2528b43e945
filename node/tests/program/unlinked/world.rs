//! The world around the machine: nodes of ours on another host, run by this very test program in a
//! process there, which tells of every datagram that comes from the machine.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use integration_tests::{hex, lan::Lan};
use serde_json::{Value, json};
use toktok_mesh::runtime::transport::Capabilities;
use toktok_mesh::runtime::{Transport, UdpTransport};
use toktok_mesh::{Address, Config, Mesh, NodeKey, Rng};
use toktok_wire::dht::{Header, NODES_RESPONSE, NodesRequest, NodesResponse, PING_REQUEST, Ping};
use toktok_wire::lan::{LAN_DISCOVERY, LanDiscovery};
use toktok_wire::{Decode, KeyPair, PublicKey};

/// The world's nodes: the first one listens where LAN discovery looks, at a port that is no node's own
/// in the machine.
const PORTS: [u16; 4] = [33_447, 40_002, 40_003, 40_004];

/// Set in the process that is the world: the address of its host.
const IS_WORLD: &str = "TOKTOK_TEST_WORLD";

fn key(port: u16) -> NodeKey {
    let [high, low] = port.to_be_bytes();
    let mut seed = [42; 32];
    (seed[0], seed[1]) = (high, low);
    NodeKey::generate(&mut Rng::from_seed(seed))
}

/// A datagram of the machine's, as far as the world can read it.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) from: SocketAddr,
    /// The datagram.
    pub(super) raw: Vec<u8>,
    /// What is in its box, if that was for the world.
    pub(super) plain: Vec<u8>,
    /// The key that it says it is from.
    pub(super) sender: Option<PublicKey>,
    pub(super) nonce: Option<Vec<u8>>,
    /// The number of a request.
    pub(super) number: Option<Vec<u8>>,
    /// Nodes that it tells of.
    pub(super) told: Vec<(SocketAddr, PublicKey)>,
}

impl Heard {
    pub(super) fn is_lan_discovery(&self) -> bool {
        self.raw.first() == Some(&LAN_DISCOVERY)
    }

    /// Reads what came to the node with these keys.
    fn read(from: SocketAddr, raw: Vec<u8>, keys: &KeyPair) -> Self {
        let mut heard = Self {
            from,
            plain: Vec::new(),
            sender: None,
            nonce: None,
            number: None,
            told: Vec::new(),
            raw,
        };
        match heard.raw.first() {
            Some(&LAN_DISCOVERY) => {
                heard.sender = LanDiscovery::from_bytes(&heard.raw).ok().map(|lan| lan.key);
            }
            Some(&kind) if kind <= NODES_RESPONSE => heard.open(keys),
            _ => {}
        }
        heard
    }

    fn open(&mut self, keys: &KeyPair) {
        let mut raw = self.raw.clone();
        let Ok((header, boxed)) = Header::split(&mut raw) else { return };
        self.sender = Some(header.sender);
        self.nonce = Some(header.nonce.0.to_vec());
        let shared = keys.secret.shared_key(&header.sender);
        let Ok(plain) = shared.open_in_place(&header.nonce, boxed) else { return };
        self.plain = plain.to_vec();
        if let (true, Ok(ping)) = (header.kind == PING_REQUEST, Ping::from_bytes(plain)) {
            self.number = Some(ping.id.to_be_bytes().to_vec());
        } else if let (NODES_RESPONSE, Ok(nodes)) = (header.kind, NodesResponse::from_bytes(plain))
        {
            let nodes = nodes.nodes.iter();
            self.told = nodes.map(|node| (node.endpoint.address, node.key)).collect();
        } else if let Ok(request) = NodesRequest::from_bytes(plain) {
            self.number = Some(request.id.to_be_bytes().to_vec());
        }
    }
}

/// The world, as the test sees it. It ends when dropped.
pub(super) struct World {
    process: Child,
    entries: Vec<String>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl World {
    /// Starts it on a host.
    pub(super) fn start(lan: &Lan, host: usize) -> Self {
        let program = std::env::current_exe().expect("this test");
        let mut command: Command = lan.command(host, Path::new(&program));
        command.args(["--exact", "--nocapture", "--ignored", "unlinked::world::be_the_world"]);
        let mut process = command
            .env(IS_WORLD, Lan::ip(host).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (list, output) = (Arc::clone(&heard), process.stdout.take().expect("it is piped"));
        let (ready, is_ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let Some(at) = line.find('{') else { continue };
                let Ok(value) = serde_json::from_str::<Value>(&line[at..]) else { continue };
                if value["ready"] == true {
                    let _ = ready.send(());
                    continue;
                }
                let port = value["to"].as_u64().and_then(|port| port.try_into().ok());
                let from = value["from"].as_str().and_then(|from| from.parse().ok());
                let raw = value["raw"].as_str().and_then(hex::decode);
                if let (Some(port), Some(from), Some(raw)) = (port, from, raw) {
                    let read = Heard::read(from, raw, &key(port).mesh_keys());
                    list.lock().expect("no test panics with it").push(read);
                }
            }
        });
        is_ready.recv_timeout(crate::support::PATIENCE).expect("the world begins");
        let ip = Lan::ip(host);
        let entry = |port| format!("{ip}:{port}:{}", key(port).mesh_keys().public);
        Self { process, entries: PORTS.into_iter().map(entry).collect(), heard }
    }

    /// What `--bootstrap` is given.
    pub(super) fn entries(&self) -> &[String] {
        &self.entries
    }

    /// Looks at what was heard so far.
    pub(super) fn heard<T>(&self, look: impl FnOnce(&[Heard]) -> T) -> T {
        look(&self.heard.lock().expect("no test panics with it"))
    }

    /// Takes what was heard so far.
    pub(super) fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut *self.heard.lock().expect("no test panics with it"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A socket of the world's that tells of all that comes from elsewhere.
#[derive(Debug)]
struct Tap {
    socket: UdpTransport,
    own: SocketAddr,
}

impl Transport for Tap {
    fn capabilities(&self) -> Capabilities {
        self.socket.capabilities()
    }

    fn local_address(&self) -> Address {
        self.socket.local_address()
    }

    fn carries(&self, to: &Address) -> bool {
        self.socket.carries(to)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        to: &Address,
        datagram: &[u8],
    ) -> Poll<std::io::Result<()>> {
        self.socket.poll_send(cx, to, datagram)
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<std::io::Result<(usize, Address)>> {
        let received = ready!(self.socket.poll_recv(cx, buffer));
        if let Ok((length, from)) = &received
            && let Some(from) = from.as_udp().filter(|from| from.ip() != self.own.ip())
        {
            let raw = hex::encode(&buffer[..*length]);
            let line = json!({ "to": self.own.port(), "from": from.to_string(), "raw": raw });
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
        Poll::Ready(received)
    }
}

/// Not a test: the process on the other host.
#[test]
#[ignore = "the world of another test, started by it"]
fn be_the_world() {
    let Ok(ip) = std::env::var(IS_WORLD) else { return };
    let ip: std::net::IpAddr = ip.parse().expect("an address");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut nodes: Vec<Mesh> = Vec::new();
        for port in PORTS {
            // Broadcasts come to a socket that is bound to no address only.
            let everywhere = SocketAddr::from(([0, 0, 0, 0], port));
            let socket = UdpTransport::bind(everywhere).expect("a port of this host");
            let mut config = Config::default();
            config.dht.lan_discovery = port == PORTS[0];
            let mut builder = Mesh::builder()
                .key(&key(port))
                .config(config)
                .without_udp()
                .transport(Tap { socket, own: SocketAddr::new(ip, port) });
            if let Some(first) = nodes.first() {
                let entry = Address::udp(SocketAddr::new(ip, PORTS[0]));
                builder = builder.bootstrap(entry, first.public_key());
            }
            nodes.push(builder.spawn().await.expect("a node"));
        }
        let _ = writeln!(std::io::stdout(), "{}", json!({ "ready": true }));
        // Until whoever started it is gone.
        let ended = tokio::task::spawn_blocking(|| {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        });
        let _ = ended.await;
    });
}

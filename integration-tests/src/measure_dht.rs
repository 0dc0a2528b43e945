//! How many nodes requests a DHT node answers for a second of its processor time, its tables full: ours
//! and Debian's tox-bootstrapd, each a process of its own, asked over loopback by the same programs.
#![expect(clippy::expect_used, reason = "a measurement that cannot be made stops")]

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use toktok_mesh::wire::address::{IpPort, PackedNode};
use toktok_mesh::wire::dht::{
    Header, NODES_REQUEST, NODES_RESPONSE, NodesRequest, NodesResponse, PING_REQUEST,
    PING_RESPONSE, Ping,
};
use toktok_mesh::wire::{Decode, Encode, Nonce, SharedKey};
use toktok_mesh::{KeyPair, Mesh, PublicKey, Rng};

/// The argument with which a program is started to be a node of ours.
pub const SERVE: &str = "serve";

/// Nodes that fill the tables: they ask, and answer pings.
const FILLING: usize = 250;
/// Keys that ask again and again; also the sockets from which all requests come.
const ASKING: usize = 200;
/// Requests under way at once: no more than any socket's buffer holds.
const UNDER_WAY: usize = 128;
/// What was not answered after this got lost.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long the tables may take to fill.
const FILLING_TIME: Duration = Duration::from_secs(40);

/// A node to be asked.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its DHT key.
    pub key: PublicKey,
    /// Its process.
    pub process: u32,
}

/// What a node did.
#[derive(Clone, Copy, Debug)]
pub struct Answering {
    /// Requests that it answered.
    pub answered: u64,
    /// Requests in all; those that are missing got lost in full buffers.
    pub asked: u64,
    /// Seconds of processor time that the node took meanwhile.
    pub cpu: f64,
    /// Seconds.
    pub seconds: f64,
}

impl Answering {
    /// Requests answered for each second of processor time.
    pub fn per_cpu_second(&self) -> f64 {
        self.answered as f64 / self.cpu
    }
}

/// A node of ours in a process of its own; it ends when dropped.
#[derive(Debug)]
pub struct OurNode {
    process: Child,
    /// The node.
    pub target: Target,
}

impl OurNode {
    /// Starts `program` with the argument [`SERVE`], upon which it calls [`serve`].
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(program: &Path) -> Self {
        let mut process = Command::new(program)
            .arg(SERVE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut said = String::new();
        let output = process.stdout.as_mut().expect("it is piped");
        BufReader::new(output).read_line(&mut said).expect("text");
        let (address, key) = said.trim().split_once(' ').expect("address and key");
        let address = address.parse().expect("an address");
        let target = Target { address, key: key.parse().expect("a key"), process: process.id() };
        Self { process, target }
    }
}

impl Drop for OurNode {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Is a node of ours until the standard input ends; tells its address and key in one line.
///
/// # Panics
/// If it does not start.
#[expect(clippy::print_stdout, reason = "its parent reads it")]
pub fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        drop(end);
    });
    runtime.block_on(async {
        let node = Mesh::builder().udp((Ipv4Addr::LOCALHOST, 0).into()).spawn().await;
        let node = node.expect("a node");
        let address = node.addresses().first().and_then(|it| it.as_udp()).expect("a socket");
        println!("{address} {}", node.public_key());
        let _ = ended.await;
    });
}

/// A node that fills tables.
struct Filler {
    socket: UdpSocket,
    keys: KeyPair,
    shared: SharedKey,
}

impl Filler {
    fn new(rng: &mut Rng, target: &Target) -> Self {
        let keys = KeyPair::generate(rng);
        let shared = keys.secret.shared_key(&target.key);
        Self { socket: socket(), keys, shared }
    }

    fn send<P: Encode>(&self, rng: &mut Rng, target: &Target, kind: u8, payload: &P) {
        let header = Header { kind, sender: self.keys.public, nonce: Nonce::generate(rng) };
        let _ = self.socket.send_to(&header.seal(&self.shared, payload), target.address);
    }

    fn packed(&self) -> PackedNode {
        let address = self.socket.local_addr().expect("its address");
        PackedNode { endpoint: IpPort::udp(address), key: self.keys.public }
    }

    /// Answers what came; true if the target asked something.
    fn answer(&self, rng: &mut Rng, target: &Target, others: &[PackedNode]) -> bool {
        let mut buffer = [0; 2048];
        let mut asked = false;
        while let Ok((len, _)) = self.socket.recv_from(&mut buffer) {
            let Ok((header, boxed)) = Header::split(&mut buffer[..len]) else { continue };
            let Ok(plain) = self.shared.open_in_place(&header.nonce, boxed) else { continue };
            if let (PING_REQUEST, Ok(ping)) = (header.kind, Ping::from_bytes(plain)) {
                let answer = Ping { response: true, ..ping };
                self.send(rng, target, PING_RESPONSE, &answer);
                asked = true;
            } else if let (NODES_REQUEST, Ok(it)) = (header.kind, NodesRequest::from_bytes(plain)) {
                let start = rng.index(others.len().saturating_sub(4).max(1));
                let nodes = others.iter().skip(start).take(4).copied().collect();
                self.send(rng, target, NODES_RESPONSE, &NodesResponse { nodes, id: it.id });
                asked = true;
            }
        }
        asked
    }
}

/// Nodes that know the target, and that it knows; they stay until this is dropped.
struct Filling {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Filling {
    /// Starts them, and waits until the target has come to know them as far as it wants to.
    fn start(target: Target) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let known = Arc::new(AtomicUsize::new(0));
        let (stopped, knows) = (Arc::clone(&stop), Arc::clone(&known));
        let thread = std::thread::spawn(move || {
            let mut rng = Rng::from_seed([9; 32]);
            let fillers: Vec<Filler> =
                (0..FILLING).map(|_| Filler::new(&mut rng, &target)).collect();
            let others: Vec<PackedNode> = fillers.iter().map(Filler::packed).collect();
            let mut asked = vec![false; fillers.len()];
            let mut rounds = 0_u64;
            while !stopped.load(Ordering::Relaxed) {
                for (filler, asked) in fillers.iter().zip(&mut asked) {
                    // All introduce themselves, a few times: the target forgets whom it has no time for.
                    if rounds.is_multiple_of(400) && rounds < 2000 {
                        let request = NodesRequest { target: filler.keys.public, id: rng.u64() };
                        filler.send(&mut rng, &target, NODES_REQUEST, &request);
                    }
                    *asked |= filler.answer(&mut rng, &target, &others);
                }
                knows.store(asked.iter().filter(|asked| **asked).count(), Ordering::Relaxed);
                rounds += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let begun = Instant::now();
        let (mut last, mut quiet) = (0, 0);
        // Full: whoever is wanted was asked, and for five seconds no one else.
        while begun.elapsed() < FILLING_TIME && quiet < 5 {
            std::thread::sleep(Duration::from_secs(1));
            let now = known.load(Ordering::Relaxed);
            quiet = if now == last && now > 0 { quiet + 1 } else { 0 };
            last = now;
        }
        assert!(last > 16, "the target asked {last} nodes only");
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.set_nonblocking(true).expect("a socket that does not wait");
    socket
}

/// A request by `keys` for nodes near a key.
fn request(rng: &mut Rng, keys: &KeyPair, shared: &SharedKey) -> Vec<u8> {
    let header = Header { kind: NODES_REQUEST, sender: keys.public, nonce: Nonce::generate(rng) };
    header.seal(shared, &NodesRequest { target: PublicKey(rng.bytes()), id: rng.u64() })
}

/// Fills the target's tables, then has it answer `count` requests of 200 keys that repeat, or of as many
/// fresh ones.
///
/// # Panics
/// If the target cannot be measured, or answers less than nine in ten.
pub fn answering(target: Target, count: usize, fresh: bool) -> Answering {
    let _filling = Filling::start(target);
    let mut rng = Rng::from_seed([if fresh { 7 } else { 8 }; 32]);
    let mut packets = Vec::new();
    let mut keys = KeyPair::generate(&mut rng);
    let distinct = if fresh { count } else { ASKING };
    for _ in 0..distinct {
        keys = KeyPair::generate(&mut rng);
        let shared = keys.secret.shared_key(&target.key);
        let each = if fresh { 1 } else { 8 };
        packets.push((0..each).map(|_| request(&mut rng, &keys, &shared)).collect::<Vec<_>>());
    }
    drop(keys);
    let packet = |number: usize| {
        let of_key = &packets[number % distinct];
        &of_key[number / distinct % of_key.len()]
    };
    if !fresh {
        // The keys are known when it counts.
        ask(target, ASKING, packet);
    }
    ask(target, count, packet)
}

/// Has the target answer requests, a bounded number of them under way at once.
fn ask<'a>(target: Target, count: usize, packet: impl Fn(usize) -> &'a Vec<u8>) -> Answering {
    let sockets: Vec<UdpSocket> = (0..ASKING).map(|_| socket()).collect();
    let (cpu, begun) = (cpu_seconds(target.process), Instant::now());
    let (mut sent, mut answered, mut under_way) = (0, 0_u64, 0_usize);
    let mut heard = Instant::now();
    let mut buffer = [0; 2048];
    while sent < count || under_way > 0 {
        while sent < count && under_way < UNDER_WAY {
            let from = &sockets[sent % ASKING];
            from.send_to(packet(sent), target.address).expect("loopback takes it");
            (sent, under_way) = (sent + 1, under_way + 1);
        }
        let before = answered;
        for socket in &sockets {
            loop {
                match socket.recv_from(&mut buffer) {
                    // It may ask back who that is: an answer is what counts.
                    Ok(_) if buffer[0] == NODES_RESPONSE => {
                        answered += 1;
                        under_way = under_way.saturating_sub(1);
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("a socket failed: {error}"),
                }
            }
        }
        if answered > before {
            heard = Instant::now();
        } else if heard.elapsed() > PATIENCE {
            (under_way, heard) = (0, Instant::now());
        } else {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
    let (cpu, seconds) = (cpu_seconds(target.process) - cpu, begun.elapsed().as_secs_f64());
    let asked = sent as u64;
    assert!(answered * 10 >= asked * 9, "{answered} of {asked} requests were answered");
    Answering { answered, asked, cpu, seconds }
}

/// The processor time that a process has taken, all its threads together.
fn cpu_seconds(process: u32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    nanos.sum::<u64>() as f64 / 1e9
}

//! Strangers flood a node, one kind of packet at a time: a friend's messages still go, and the node
//! takes no more memory.
//!
//! The node is a process of its own (this program again), on loopback; so the flooder needs no network,
//! and has the other processor. For each kind the rate is found that takes one core of the node's, or
//! the highest that the flooder reaches, and then three times that is sent for some seconds while a
//! friend sends messages that the node sends back.
//!
//! On a machine that does other things too latencies say little: they are printed always, and held to
//! only if `TOKTOK_FLOOD_STRICT` is set.
#![expect(clippy::expect_used, reason = "a test that cannot go on stops")]
#![expect(clippy::print_stdout, reason = "the node tells its address, the test its measurements")]

mod flooder;
mod node;
mod packets;

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use toktok_mesh::runtime::{Channel, Mesh};

use self::flooder::Flooder;
use self::node::Node;
use self::packets::Kind;

/// How long a flood lasts.
const FLOOD: Duration = Duration::from_secs(3);
/// How long each rate is tried.
const TRIAL: Duration = Duration::from_millis(500);
/// The first rate that is tried, in packets a second.
const FIRST_RATE: u64 = 2_000;
/// A flood is so many times the rate that saturates the node.
const FLOOD_TIMES: u64 = 3;
/// Time between a friend's messages.
const PAUSE: Duration = Duration::from_millis(15);
/// A message that is not back by then is lost.
const LOST: Duration = Duration::from_secs(5);
/// What a node may take more for all floods.
const MAX_GROWTH: u64 = 8 << 20;
/// How many times its idle latency a friend's message may take.
const MAX_SLOWDOWN: f64 = 5.0;

/// A friend of the node.
struct Friend {
    runtime: Runtime,
    _mesh: Mesh,
    channel: Channel,
}

impl Friend {
    fn of(node: &Node) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (mesh, channel) = runtime.block_on(async {
            let mesh =
                Mesh::builder().udp(([127, 0, 0, 1], 0).into()).spawn().await.expect("a node");
            let session = mesh.connect_at(node.key, Some(node.address)).await.expect("a session");
            let channel = session.open(node::ECHO).await.expect("a channel");
            (mesh, channel)
        });
        Self { runtime, _mesh: mesh, channel }
    }

    /// Sends messages for this time, one after another; how long each took to come back.
    fn talk(&mut self, span: Duration) -> Vec<Duration> {
        let Self { runtime, channel, .. } = self;
        runtime.block_on(async {
            let (mut took, end) = (Vec::new(), Instant::now() + span);
            while Instant::now() < end {
                let sent = Instant::now();
                channel.send(vec![7; 100]).await.expect("the session stands");
                let back = tokio::time::timeout(LOST, channel.recv()).await;
                assert!(matches!(back, Ok(Some(_))), "a friend's message got lost");
                took.push(sent.elapsed());
                tokio::time::sleep(PAUSE).await;
            }
            took
        })
    }
}

fn quantile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let place = (times.len() * percent / 100).min(times.len() - 1);
    times[place].as_secs_f64() * 1e6
}

/// The rate at which a whole core of the node's is busy, or the highest that can be sent.
fn saturating_rate(flooder: &mut Flooder, node: &Node) -> (u64, f64) {
    let mut rate = FIRST_RATE;
    loop {
        let before = node.cpu_seconds();
        let began = Instant::now();
        let sent = flooder.send(rate, TRIAL);
        let span = began.elapsed().as_secs_f64();
        let load = (node.cpu_seconds() - before) / span;
        let reached = (sent as f64 / span) as u64;
        if load > 0.85 || reached < rate * 4 / 5 {
            return (reached, load);
        }
        rate *= 2;
    }
}

#[test]
fn floods_neither_stop_messages_nor_grow_memory() {
    let node = Node::start();
    let mut friend = Friend::of(&node);
    friend.talk(Duration::from_millis(500));
    let mut idle = friend.talk(Duration::from_secs(2));
    let (idle_median, idle_late) = (quantile(&mut idle, 50), quantile(&mut idle, 95));
    let base = node.resident_bytes();
    println!("idle: median {idle_median:.0} µs, p95 {idle_late:.0} µs, {} KiB", base >> 10);
    let mut failures = Vec::new();
    for kind in Kind::ALL {
        let mut flooder = Flooder::new(kind, &node);
        let (saturating, load) = saturating_rate(&mut flooder, &node);
        let wanted = saturating * FLOOD_TIMES;
        let (sent, mut took) = std::thread::scope(|scope| {
            let flood = scope.spawn(|| flooder.send(wanted, FLOOD));
            let took = friend.talk(FLOOD);
            (flood.join().expect("the flooder"), took)
        });
        let rate = sent / FLOOD.as_secs();
        let grown = node.resident_bytes().saturating_sub(base);
        let (median, late) = (quantile(&mut took, 50), quantile(&mut took, 95));
        let slowdown = median / idle_median;
        println!(
            "{kind:?}: saturated ({:.0}% of a core) at {saturating}/s, flooded with {rate}/s: median \
             {median:.0} µs = {slowdown:.1} × idle, p95 {late:.0} µs, {} messages; memory +{} KiB",
            load * 100.0,
            took.len(),
            grown >> 10,
        );
        assert!(took.len() > 10, "{kind:?}: service stopped");
        assert!(grown <= MAX_GROWTH, "{kind:?}: {grown} bytes more");
        if slowdown > MAX_SLOWDOWN {
            failures.push((kind, slowdown));
        }
    }
    let is_strict = std::env::var_os("TOKTOK_FLOOD_STRICT").is_some();
    assert!(!is_strict || failures.is_empty(), "too slow: {failures:?}");
}

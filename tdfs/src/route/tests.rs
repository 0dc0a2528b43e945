//! A network of routers in virtual time: links with latency, a store that is a map.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::block::BlockSize;

/// Most bytes that one link carries in a millisecond: 8 MB/s.
const BYTES_A_MILLI: u64 = 8_000;

enum Happening {
    Deliver {
        to: usize,
        from: usize,
        bytes: Bytes,
    },
    LinkUp {
        at: usize,
        peer: usize,
    },
    LinkDown {
        at: usize,
        peer: usize,
    },
    ConnectFailed {
        at: usize,
        peer: usize,
    },
    Wake {
        at: usize,
    },
    /// The link of `from` to `to` can take its next message.
    Free {
        from: usize,
        to: usize,
    },
}

struct Node {
    router: Router,
    store: BTreeMap<BlockAddress, Block>,
    alive: bool,
    /// Answers every search with another block, and signs nothing properly.
    liar: bool,
    ended: BTreeMap<RequestId, RouteEvent>,
    joined: bool,
    /// When it is woken next.
    wake: Time,
}

/// The whole network.
struct Net {
    now: Time,
    seq: u64,
    heap: BTreeMap<(Time, u64), Happening>,
    nodes: Vec<Node>,
    index: BTreeMap<PublicKey, usize>,
    links: BTreeSet<(usize, usize)>,
    busy: BTreeMap<(usize, usize), Time>,
    most_links: usize,
    rng: Rng,
}

impl Net {
    fn new(seed: u8) -> Self {
        Self {
            now: Time::ZERO,
            seq: 0,
            heap: BTreeMap::new(),
            nodes: Vec::new(),
            index: BTreeMap::new(),
            links: BTreeSet::new(),
            busy: BTreeMap::new(),
            most_links: 0,
            rng: Rng::from_seed([seed; 32]),
        }
    }

    /// A network of `count` nodes that came one after the other and have settled.
    fn settled(seed: u8, count: usize) -> Self {
        let mut net = Self::new(seed);
        for _ in 0..count {
            net.join();
            net.run(Duration::from_millis(100));
        }
        net.run(Duration::from_secs(60));
        net
    }

    fn join(&mut self) -> usize {
        let at = self.nodes.len();
        let config = RouteConfig::default().with_minimal_puzzle();
        let key = NodeKey::generate(&mut self.rng);
        let rng = self.rng.child(&format!("node {at}"));
        let mut router = Router::new(config, key, rng, self.now).unwrap();
        // The mesh supplies random service nodes.
        for _ in 0..3.min(at) {
            let peer = self.rng.index(at);
            router.add_candidate(self.now, self.nodes[peer].router.identity().key);
        }
        self.index.insert(router.identity().key, at);
        let (store, ended, wake) = (BTreeMap::new(), BTreeMap::new(), Time::ZERO);
        let (alive, liar, joined) = (true, false, false);
        self.nodes.push(Node { router, store, alive, liar, ended, joined, wake });
        self.drain(at);
        at
    }

    fn push(&mut self, after: Duration, happening: Happening) {
        self.seq += 1;
        self.heap.insert((self.now + after, self.seq), happening);
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some((&(at, seq), _)) = self.heap.first_key_value()
            && at <= end
        {
            self.now = at;
            let happening = self.heap.remove(&(at, seq)).unwrap();
            self.happen(happening);
        }
        self.now = end;
    }

    fn key(&self, at: usize) -> PublicKey {
        self.nodes[at].router.identity().key
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        let at = match happening {
            Happening::Deliver { to, from, bytes } => {
                if !self.links.contains(&(from, to)) {
                    return;
                }
                let peer = self.key(from);
                self.nodes[to].router.handle_message(now, peer, bytes);
                to
            }
            Happening::LinkUp { at, peer } => {
                let peer = self.key(peer);
                self.nodes[at].router.handle_link_up(now, peer);
                at
            }
            Happening::LinkDown { at, peer } => {
                let peer = self.key(peer);
                self.nodes[at].router.handle_link_down(now, peer);
                at
            }
            Happening::ConnectFailed { at, peer } => {
                let peer = self.key(peer);
                self.nodes[at].router.handle_connect_failed(now, peer);
                at
            }
            Happening::Wake { at } if self.nodes[at].wake > now => return,
            Happening::Wake { at } => at,
            Happening::Free { from, to } => {
                self.pump(from, to);
                return;
            }
        };
        self.drain(at);
    }

    /// Everything that a node wants done; dead ones do nothing.
    fn drain(&mut self, at: usize) {
        while self.nodes[at].alive {
            let now = self.now;
            match self.nodes[at].router.poll(now) {
                Output::Idle(deadline) => {
                    let wait = deadline.unwrap_or(Time::MAX).since(now);
                    let due = now + wait.max(Duration::from_millis(1));
                    let wake = self.nodes[at].wake;
                    if wake <= now || due < wake {
                        self.nodes[at].wake = due;
                        self.push(due.since(now), Happening::Wake { at });
                    }
                    break;
                }
                Output::Connect(peer) => self.connect(at, peer),
                Output::Part(peer, words) => self.part(at, peer, words),
                Output::Look { local, address, .. } => {
                    let block = self.nodes[at].store.get(&address).cloned();
                    self.nodes[at].router.handle_looked(now, local, block);
                }
                Output::Keep { local, block, .. } => {
                    self.nodes[at].store.insert(block.address(), block);
                    self.nodes[at].router.handle_kept(now, local, true);
                }
                Output::Event(event) => self.note(at, event),
            }
        }
        let waiting: Vec<_> = self.nodes[at].router.waiting().collect();
        for peer in waiting {
            let to = self.index[&peer];
            self.pump(at, to);
        }
        let links = self.nodes[at].router.neighbours().count();
        self.most_links = self.most_links.max(links);
    }

    fn note(&mut self, at: usize, event: RouteEvent) {
        let ended = &mut self.nodes[at].ended;
        let twice = match event {
            RouteEvent::Joined { .. } => {
                self.nodes[at].joined = true;
                None
            }
            RouteEvent::Stored { request, .. }
            | RouteEvent::PutFailed { request, .. }
            | RouteEvent::Fetched { request, .. }
            | RouteEvent::GetFailed { request, .. } => ended.insert(request, event),
            _ => None,
        };
        assert!(twice.is_none(), "a request ended twice");
    }

    fn connect(&mut self, at: usize, peer: PublicKey) {
        let to = self.index[&peer];
        let after = Duration::from_millis(80);
        if !self.nodes[to].alive {
            return self.push(Duration::from_secs(5), Happening::ConnectFailed { at, peer: to });
        }
        if self.links.insert((at, to)) {
            self.links.insert((to, at));
            self.push(after, Happening::LinkUp { at, peer: to });
            self.push(after, Happening::LinkUp { at: to, peer: at });
        }
    }

    fn part(&mut self, at: usize, peer: PublicKey, words: Option<Bytes>) {
        let to = self.index[&peer];
        if self.links.remove(&(at, to)) {
            if let (Some(bytes), true) = (words, self.nodes[to].alive) {
                let me = self.key(at);
                let now = self.now;
                self.nodes[to].router.handle_message(now, me, bytes);
            }
            self.links.remove(&(to, at));
            self.push(Duration::from_millis(30), Happening::LinkDown { at: to, peer: at });
        }
    }

    /// Sends the next message of a link if it is free.
    fn pump(&mut self, from: usize, to: usize) {
        let peer = self.key(to);
        let free = self.busy.get(&(from, to)).copied().unwrap_or(Time::ZERO);
        if free > self.now || !self.nodes[from].alive {
            return;
        }
        let Some(mut bytes) = self.nodes[from].router.next_message(&peer) else { return };
        if self.nodes[from].liar {
            bytes = lie(bytes);
        }
        let wire = Duration::from_micros(bytes.len() as u64 * 1000 / BYTES_A_MILLI + 1);
        self.busy.insert((from, to), self.now + wire);
        self.push(wire, Happening::Free { from, to });
        if self.nodes[to].alive {
            let latency = Duration::from_millis(10 + (from * 7 + to * 13) as u64 % 40);
            self.push(wire + latency, Happening::Deliver { to, from, bytes });
        }
    }

    /// Takes a node away without a word.
    fn kill(&mut self, at: usize) {
        self.nodes[at].alive = false;
        // Sessions notice after half a minute of silence.
        let peers: Vec<_> = self.links.iter().filter(|(a, _)| *a == at).map(|(_, b)| *b).collect();
        for peer in peers {
            self.push(Duration::from_secs(32), Happening::LinkDown { at: peer, peer: at });
        }
    }

    fn put(&mut self, at: usize, block: &Block, copies: u8) -> RequestId {
        let request = self.nodes[at].router.put_block(self.now, block.clone(), copies);
        self.drain(at);
        request
    }

    fn get(&mut self, at: usize, block: &Block) -> RequestId {
        let (address, size) = (block.address(), block.size());
        let request = self.nodes[at].router.get_block(self.now, address, size);
        self.drain(at);
        request
    }

    fn blocks(&mut self, count: usize, size: BlockSize) -> Vec<Block> {
        let block = |seed: [u8; 32]| {
            let mut bytes = vec![0; size.bytes()];
            bytes[..32].copy_from_slice(&seed);
            Block::new(bytes.into()).unwrap()
        };
        (0..count).map(|_| block(self.rng.bytes())).collect()
    }

    /// The living node nearest to a block.
    fn nearest(&self, block: &Block) -> Vec<usize> {
        let place = Location::of_block(&block.address());
        let mut all: Vec<_> = (0..self.nodes.len()).filter(|i| self.nodes[*i].alive).collect();
        all.sort_by_key(|i| place.distance(self.nodes[*i].router.identity().location));
        all
    }

    fn copies(&self, put: &(usize, RequestId)) -> u8 {
        match self.nodes[put.0].ended.get(&put.1) {
            Some(RouteEvent::Stored { copies, .. }) => *copies,
            _ => 0,
        }
    }

    fn hops(&self, get: &(usize, RequestId)) -> Option<u8> {
        match self.nodes[get.0].ended.get(&get.1) {
            Some(RouteEvent::Fetched { hops, .. }) => Some(*hops),
            _ => None,
        }
    }
}

/// Turns what a node says into lies: other blocks, receipts that it did not sign.
fn lie(bytes: Bytes) -> Bytes {
    use message::Answer;
    let Ok(message) = Message::decode(bytes.clone()) else { return bytes };
    let lie = match message {
        Message::Answer(number, Answer::Get { outcome: Ok(data), hops }) => {
            let other = vec![0x55; data.len()];
            Message::Answer(number, Answer::Get { outcome: Ok(other.into()), hops })
        }
        Message::Answer(number, Answer::Fetch(Some(data))) => {
            Message::Answer(number, Answer::Fetch(Some(vec![0x55; data.len()].into())))
        }
        Message::Answer(number, Answer::Hold(Some(mut receipt))) => {
            receipt.signature.0[5] ^= 1;
            Message::Answer(number, Answer::Hold(Some(receipt)))
        }
        _ => return bytes,
    };
    lie.encode()
}

fn median(mut values: Vec<u8>) -> u8 {
    values.sort_unstable();
    values[values.len() / 2]
}

#[test]
fn three_nodes_keep_a_block_and_find_it_when_one_is_gone() {
    let mut net = Net::settled(1, 3);
    assert!(net.nodes.iter().all(|node| node.joined && node.router.estimated_size() == 3));
    let block = net.blocks(1, BlockSize::Bulk).remove(0);
    let put = (0, net.put(0, &block, 2));
    net.run(Duration::from_secs(5));
    assert_eq!(net.copies(&put), 2);
    let holder = net.nearest(&block)[0];
    let asker = (0..3).find(|i| *i != holder).unwrap();
    net.kill(holder);
    let get = (asker, net.get(asker, &block));
    net.run(Duration::from_secs(20));
    assert!(net.hops(&get).is_some());
}

#[test]
fn a_node_alone_says_that_nobody_is_there() {
    let mut net = Net::settled(2, 1);
    let block = net.blocks(1, BlockSize::Small).remove(0);
    let (put, get) = (net.put(0, &block, 2), net.get(0, &block));
    net.run(Duration::from_secs(1));
    for request in [put, get] {
        let failure = match net.nodes[0].ended.get(&request) {
            Some(RouteEvent::PutFailed { failure, .. } | RouteEvent::GetFailed { failure, .. }) => {
                *failure
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(failure, BlockFailure::Unreachable);
    }
}

#[test]
fn two_hundred_nodes_route_to_the_region_and_survive_a_fifth_of_them() {
    let mut net = Net::settled(3, 200);
    let most = RouteConfig::default().max_neighbours;
    assert!(net.most_links <= most, "{} neighbours", net.most_links);
    assert!(net.nodes.iter().all(|node| node.joined));
    let sizes: Vec<u64> = net.nodes.iter().map(|n| n.router.estimated_size()).collect();
    let good = sizes.iter().filter(|size| (70..=600).contains(*size)).count();
    assert!(good >= 190, "{good} of 200 estimate the size well");

    let blocks = net.blocks(150, BlockSize::Small);
    let mut puts = Vec::new();
    for block in &blocks {
        let at = net.rng.index(200);
        puts.push((at, net.put(at, block, 2)));
        net.run(Duration::from_millis(50));
    }
    net.run(Duration::from_secs(45));
    let stored = puts.iter().filter(|put| net.copies(put) >= 2).count();
    assert_eq!(stored, 150, "blocks with two receipts");
    // The very nearest node holds nearly all of them.
    let exact = blocks.iter().filter(|b| {
        let nearest = net.nearest(b)[0];
        net.nodes[nearest].store.contains_key(&b.address())
    });
    assert!(exact.count() >= 135, "greedy routing ends at the nearest node");

    for at in 0..40 {
        net.kill(at * 5);
    }
    let mut gets = Vec::new();
    for block in &blocks {
        let at = net.nearest(block)[100];
        gets.push((at, net.get(at, block)));
        net.run(Duration::from_millis(50));
    }
    net.run(Duration::from_secs(45));
    let holders =
        |b: &Block| net.nodes.iter().any(|n| n.alive && n.store.contains_key(&b.address()));
    let possible = blocks.iter().filter(|b| holders(b)).count();
    let hops: Vec<u8> = gets.iter().filter_map(|get| net.hops(get)).collect();
    assert!(hops.len() * 100 >= possible * 97, "{} of {possible} found", hops.len());
    assert!(median(hops.clone()) >= 3, "{hops:?}");
}

#[test]
fn roots_find_eight_holders_and_liars_are_counted_and_passed_over() {
    let mut net = Net::settled(4, 40);
    for at in 0..6 {
        net.nodes[at * 6].liar = true;
    }
    let blocks = net.blocks(30, BlockSize::Small);
    let honest = |i: usize| 1 + (i % 6) * 6;
    let puts: Vec<_> = blocks
        .iter()
        .enumerate()
        .map(|(i, block)| (honest(i), net.put(honest(i), block, 8)))
        .collect();
    net.run(Duration::from_secs(45));
    let stored: Vec<u8> = puts.iter().map(|put| net.copies(put)).collect();
    assert!(stored.iter().all(|copies| *copies >= 4), "{stored:?}");
    let gets: Vec<_> = blocks
        .iter()
        .enumerate()
        .map(|(i, block)| (honest(i + 3), net.get(honest(i + 3), block)))
        .collect();
    net.run(Duration::from_secs(45));
    let found = gets.iter().filter(|get| net.hops(get).is_some()).count();
    assert!(found >= 29, "{found} of 30 found among liars");
    let sum = |count: fn(Stats) -> u64| -> u64 {
        net.nodes.iter().map(|node| count(node.router.stats())).sum()
    };
    assert!(sum(|stats| stats.poisoned) > 0, "poisoned answers are counted");
    assert!(sum(|stats| stats.bad_receipts) > 0, "forged receipts are counted");
}

#[test]
fn bulk_blocks_flow_at_the_speed_of_the_links() {
    let mut net = Net::settled(5, 12);
    let blocks: VecDeque<Block> = net.blocks(256, BlockSize::Bulk).into();
    let puts: Vec<_> = blocks.iter().map(|block| (0, net.put(0, block, 2))).collect();
    net.run(Duration::from_secs(15));
    let stored = puts.iter().filter(|put| net.copies(put) == 2).count();
    assert_eq!(stored, 256);
    assert_eq!(net.nodes[0].router.request_count(), 0);
    let gets: Vec<_> = blocks.iter().map(|block| (11, net.get(11, block))).collect();
    net.run(Duration::from_secs(15));
    assert_eq!(gets.iter().filter(|get| net.hops(get).is_some()).count(), 256);
}

#[test]
fn the_same_seed_gives_the_same_network() {
    let trace = |seed| {
        let mut net = Net::settled(seed, 30);
        let block = net.blocks(1, BlockSize::Small).remove(0);
        net.put(0, &block, 4);
        net.run(Duration::from_secs(5));
        (net.seq, net.nodes.iter().map(|n| (n.router.stats(), n.store.len())).collect::<Vec<_>>())
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}

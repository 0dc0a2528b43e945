//! DHT announcements and forwarding, between whole stacks in virtual time.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use support::{Weather, World, address};
use toktok_mesh::wire::announcement::{
    Announcement, Found, RetrieveRequest, SearchRequest, SearchResponse, StoreContents,
    StoreRequest, StoreResponse, hash,
};
use toktok_mesh::wire::dht::Header;
use toktok_mesh::wire::forwarding::{ForwardReply, ForwardRequest, Forwarding, forward_chain};
use toktok_mesh::wire::{Decode, Encode, Nonce, SecretKey};
use toktok_mesh::{
    Address, AnnouncementId, AnnouncementOutcome, AnnouncementPath, Config, DropReason, Event,
    KeyPair, PublicKey,
};

const DATA: &[u8] = &[0x5a; 400];
const LIFETIME: Duration = Duration::from_secs(900);

fn data_keys() -> KeyPair {
    KeyPair::from_secret(SecretKey::from_bytes([0x61; 32]))
}

/// So many nodes that all know each other, and have been there for so long.
fn network(count: usize, uptime: u64) -> World {
    let mut world = World::new(3, Weather::default());
    for _ in 0..count {
        world.add(Config::default());
    }
    let first = world.key(0);
    for node in 1..count {
        world.with(node, |stack, now| stack.bootstrap(now, address(0), first));
    }
    world.run_for(Duration::from_secs(uptime));
    world
}

fn direct(world: &World, node: usize) -> AnnouncementPath {
    AnnouncementPath::direct(world.key(node), address(node))
}

fn finish(world: &mut World, node: usize, request: Option<AnnouncementId>) -> AnnouncementOutcome {
    let wanted = request.expect("there is room");
    let outcome = |world: &World| {
        world.nodes[node].events.iter().find_map(|event| match event {
            Event::Announcement { request, outcome, .. } if *request == wanted => {
                Some(outcome.clone())
            }
            _ => None,
        })
    };
    assert!(world.run_until(Duration::from_secs(20), |world| outcome(world).is_some()));
    outcome(world).unwrap()
}

fn store(world: &mut World, path: &AnnouncementPath, data: &[u8]) -> AnnouncementOutcome {
    let request = world.with(0, |stack, now| {
        stack.store_announcement(now, data_keys(), data, LIFETIME, path.clone())
    });
    finish(world, 0, request)
}

fn retrieve(world: &mut World, path: &AnnouncementPath) -> AnnouncementOutcome {
    let key = data_keys().public;
    let request = world.with(0, |stack, now| stack.retrieve_announcement(now, key, path.clone()));
    finish(world, 0, request)
}

fn search(world: &mut World, path: &AnnouncementPath) -> AnnouncementOutcome {
    let key = data_keys().public;
    let request = world.with(0, |stack, now| stack.search_announcement(now, key, path.clone()));
    finish(world, 0, request)
}

#[test]
fn an_announcement_is_kept_found_and_retrieved_for_a_quarter_of_the_uptime() {
    let mut world = network(3, 400);
    let path = direct(&world, 1);
    assert_eq!(retrieve(&mut world, &path), AnnouncementOutcome::Absent);
    let AnnouncementOutcome::Stored(lifetime) = store(&mut world, &path, DATA) else {
        panic!("not stored")
    };
    assert_eq!(lifetime, Duration::from_secs(100));
    let AnnouncementOutcome::Found { stored, accepts, nodes } = search(&mut world, &path) else {
        panic!("not found")
    };
    assert_eq!((stored, accepts), (Some(hash(DATA)), true));
    let mut told: Vec<_> = nodes.into_iter().collect();
    told.sort();
    let mut others = vec![(world.key(0), address(0)), (world.key(2), address(2))];
    others.sort();
    assert_eq!(told, others, "both answered its probe");
    let retrieved = AnnouncementOutcome::Retrieved(DATA.to_vec().into());
    assert_eq!(retrieve(&mut world, &path), retrieved);
    world.run_for(Duration::from_secs(98));
    assert_eq!(retrieve(&mut world, &path), retrieved);
    world.run_for(Duration::from_secs(2));
    assert_eq!(retrieve(&mut world, &path), AnnouncementOutcome::Absent);
    let unknown = AnnouncementPath::direct(PublicKey([7; 32]), address(1));
    assert_eq!(search(&mut world, &unknown), AnnouncementOutcome::Silent);
}

#[test]
fn the_same_announcement_again_travels_as_its_hash_only() {
    let mut world = network(2, 400);
    let path = direct(&world, 1);
    let stores = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&stores);
    world.tap = Some(Box::new(move |_, datagram| {
        if datagram.bytes[0] == 0x97 {
            seen.borrow_mut().push(datagram.bytes.len());
        }
        true
    }));
    assert!(matches!(store(&mut world, &path, DATA), AnnouncementOutcome::Stored(_)));
    world.run_for(Duration::from_secs(80));
    assert!(matches!(store(&mut world, &path, DATA), AnnouncementOutcome::Stored(_)));
    world.run_for(Duration::from_secs(80));
    let retrieved = AnnouncementOutcome::Retrieved(DATA.to_vec().into());
    assert_eq!(retrieve(&mut world, &path), retrieved, "renewed");
    assert!(matches!(store(&mut world, &path, b"new"), AnnouncementOutcome::Stored(_)));
    let retrieved = AnnouncementOutcome::Retrieved(b"new".to_vec().into());
    assert_eq!(retrieve(&mut world, &path), retrieved, "replaced");
    let stores = stores.borrow();
    assert_eq!(*stores, [73 + 117 + 400, 73 + 117 + 32, 73 + 117 + 3]);
}

#[test]
fn one_to_four_forwarders_carry_it_and_a_lost_packet_is_sent_again() {
    let mut world = network(6, 400);
    world.weather.loss = 10;
    for forwarders in 1..=4 {
        let chain: Vec<_> = (2..2 + forwarders).map(|node| world.key(node)).collect();
        let path = AnnouncementPath::forwarded(address(1), &chain).unwrap();
        let data = [forwarders as u8; 300];
        assert!(
            matches!(store(&mut world, &path, &data), AnnouncementOutcome::Stored(_)),
            "{forwarders} forwarders"
        );
        let retrieved = AnnouncementOutcome::Retrieved(data.to_vec().into());
        assert_eq!(retrieve(&mut world, &path), retrieved);
    }
    assert_eq!(AnnouncementPath::forwarded(address(1), &[PublicKey([1; 32]); 5]), None);
    assert_eq!(AnnouncementPath::forwarded(address(1), &[]), None);
    world.weather.loss = 0;
    let stranger = AnnouncementPath::forwarded(address(1), &[PublicKey([9; 32])]).unwrap();
    assert_eq!(search(&mut world, &stranger), AnnouncementOutcome::Silent);
    assert!(world.nodes[1].stack.drops()[DropReason::NoRoute] >= 3);
}

#[test]
fn a_node_that_does_not_answer_the_probe_is_not_told() {
    let mut world = World::new(4, Weather::default());
    for _ in 0..3 {
        world.add(Config::default());
    }
    let mute = address(2);
    world.tap =
        Some(Box::new(move |_, datagram| datagram.bytes[0] != 0x94 || datagram.from != mute));
    let first = world.key(1);
    for node in [0, 2] {
        world.with(node, |stack, now| stack.bootstrap(now, address(1), first));
    }
    world.run_for(Duration::from_secs(60));
    let path = direct(&world, 1);
    let AnnouncementOutcome::Found { nodes, .. } = search(&mut world, &path) else {
        panic!("not found")
    };
    assert_eq!(nodes, [(world.key(0), address(0))]);
}

/// Datagrams, and where they go.
type Datagrams = Vec<(Address, Vec<u8>)>;

/// Somebody with keys at an address that is no node's, who writes packets by hand to node 0.
struct Stranger {
    keys: KeyPair,
    address: Address,
    sent: Rc<RefCell<Datagrams>>,
}

impl Stranger {
    fn new(world: &mut World, number: u8) -> Self {
        let keys = KeyPair::from_secret(SecretKey::from_bytes([number; 32]));
        let sent = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&sent);
        world.tap = Some(Box::new(move |_, datagram| {
            seen.borrow_mut().push((datagram.to, datagram.bytes.clone()));
            true
        }));
        Self { keys, address: address(60_000 + usize::from(number)), sent }
    }

    fn sealed<P: Encode>(&self, world: &World, kind: u8, payload: &P) -> Vec<u8> {
        let header = Header { kind, sender: self.keys.public, nonce: Nonce([kind; 24]) };
        header.seal(&self.keys.secret.shared_key(&world.key(0)), payload)
    }

    /// What node 0 says to `packet` from `from`: the last packet to there.
    fn say(&self, world: &mut World, from: Address, packet: &[u8]) -> Option<Vec<u8>> {
        self.sent.borrow_mut().clear();
        world.inject(0, from, packet);
        self.sent.borrow().iter().rev().find(|(to, _)| *to == from).map(|(_, it)| it.clone())
    }

    /// What node 0 answers to a request.
    fn ask<P: Encode>(&self, world: &mut World, kind: u8, payload: &P) -> Option<Vec<u8>> {
        let packet = self.sealed(world, kind, payload);
        self.say(world, self.address, &packet).map(|answer| self.open(world, kind, answer))
    }

    fn open(&self, world: &World, kind: u8, mut answer: Vec<u8>) -> Vec<u8> {
        let (header, boxed) = Header::split(&mut answer).unwrap();
        assert_eq!((header.kind, header.sender), (kind + 1, world.key(0)));
        let key = self.keys.secret.shared_key(&world.key(0));
        key.open_in_place(&header.nonce, boxed).unwrap().to_vec()
    }

    fn search(&self, world: &mut World, previous: Option<[u8; 32]>) -> Option<Found> {
        let key = data_keys().public;
        let answer = self.ask(world, 0x93, &SearchRequest { key, previous, id: 5 }).unwrap();
        let answer = SearchResponse::from_bytes(&answer).unwrap();
        assert_eq!((answer.key, answer.id), (key, 5));
        answer.found
    }

    fn store(&self, world: &mut World, contents: StoreContents<'_>) -> Option<StoreResponse> {
        let nonce = Nonce([3; 24]);
        let boxed = contents.seal(&data_keys().secret.shared_key(&world.key(0)), &nonce);
        let request = StoreRequest { key: data_keys().public, nonce, boxed: &boxed, id: 6 };
        let answer = self.ask(world, 0x97, &request)?;
        Some(StoreResponse::from_bytes(&answer).unwrap())
    }
}

#[test]
fn a_proof_is_good_for_whom_it_was_given_where_and_for_a_while() {
    let mut world = network(1, 400);
    let thief = Stranger::new(&mut world, 2);
    let owner = Stranger::new(&mut world, 1);
    let thief = Stranger { sent: Rc::clone(&owner.sent), ..thief };
    let found = owner.search(&mut world, None).unwrap();
    let contents =
        |proof| StoreContents { proof, timeout: 50, announcement: Announcement::Data(DATA) };
    let forged = |world: &World| world.nodes[0].stack.drops()[DropReason::Forged];
    assert_eq!(owner.store(&mut world, contents([0; 32])), None, "bad proof");
    assert_eq!(thief.store(&mut world, contents(found.proof)), None, "another's proof");
    let moved = Stranger { address: thief.address, ..Stranger::new(&mut world, 1) };
    assert_eq!(moved.store(&mut world, contents(found.proof)), None, "another address");
    assert_eq!(forged(&world), 3);
    let owner = Stranger::new(&mut world, 1);
    let stored = owner.store(&mut world, contents(found.proof)).unwrap();
    assert_eq!((stored.timeout, stored.time, stored.id), (50, world.now.as_secs(), 6));
    let request = |proof| RetrieveRequest { key: data_keys().public, proof, id: 7 };
    assert!(owner.ask(&mut world, 0x95, &request(found.proof)).is_some());
    assert_eq!(owner.ask(&mut world, 0x95, &request([1; 32])), None);
    world.run_for(Duration::from_secs(120));
    assert_eq!(owner.store(&mut world, contents(found.proof)), None, "too old");
    assert_eq!(forged(&world), 5);
}

#[test]
fn a_search_that_names_the_last_answer_gets_a_short_one() {
    let mut world = network(1, 400);
    let stranger = Stranger::new(&mut world, 1);
    let found = stranger.search(&mut world, None).unwrap();
    let previous = Some(found.hash(&data_keys().public));
    assert_eq!(stranger.search(&mut world, previous), None, "nothing new");
    let announcement = Announcement::Data(b"news");
    let contents = StoreContents { proof: found.proof, timeout: 50, announcement };
    assert!(stranger.store(&mut world, contents).is_some());
    let news = stranger.search(&mut world, previous).expect("news");
    assert_eq!(news.stored, Some(hash(b"news")));
    let announcement = Announcement::Refresh([0; 32]);
    let contents = StoreContents { proof: found.proof, timeout: 50, announcement };
    assert_eq!(stranger.store(&mut world, contents), None, "another hash");
    assert_eq!(stranger.search(&mut world, None).unwrap().stored, None, "it is outdated");
}

#[test]
fn a_forwarder_knows_its_sendbacks_and_sends_nothing_else() {
    let mut world = network(3, 60);
    let stranger = Stranger::new(&mut world, 1);
    let drops = |world: &World, reason| world.nodes[0].stack.drops()[reason];
    let next = world.key(1);
    let request = forward_chain(&[next], b"hello").unwrap();
    stranger.say(&mut world, stranger.address, &request);
    let sent = stranger.sent.borrow().last().cloned().unwrap();
    assert_eq!(sent.0, address(1));
    let forwarding = Forwarding::from_bytes(&sent.1).unwrap();
    assert_eq!((forwarding.sendback.len(), forwarding.data), (32 + 1 + 7, &b"hello"[..]));
    let reply = ForwardReply { sendback: forwarding.sendback, data: b"hi" }.to_bytes();
    world.inject(0, address(1), &reply);
    let sent = stranger.sent.borrow().last().cloned().unwrap();
    let arrived = Forwarding { sendback: &[], data: b"hi" }.to_bytes();
    assert_eq!(sent, (stranger.address, arrived));
    for at in 2..2 + forwarding.sendback.len() {
        let mut forged = reply.clone();
        forged[at] ^= 1;
        let before = stranger.sent.borrow().len();
        world.inject(0, address(1), &forged);
        assert_eq!(stranger.sent.borrow().len(), before, "damage at {at}");
    }
    assert_eq!(drops(&world, DropReason::Forged), 40);
    world.run_for(Duration::from_secs(7_200));
    world.inject(0, address(1), &reply);
    assert_eq!(drops(&world, DropReason::Forged), 41, "too old");
    let no_route = drops(&world, DropReason::NoRoute);
    let own = world.key(0);
    for key in [PublicKey([8; 32]), own] {
        let request = ForwardRequest { next: key, data: b"hello" }.to_bytes();
        assert_eq!(stranger.say(&mut world, stranger.address, &request), None);
    }
    assert_eq!(drops(&world, DropReason::NoRoute), no_route + 2);
    let (long, data) = ([1; 220], ForwardRequest { next, data: b"far" }.to_bytes());
    let chained = Forwarding { sendback: &long, data: &data }.to_bytes();
    let oversized = drops(&world, DropReason::Oversized);
    world.inject(0, stranger.address, &chained);
    assert_eq!(drops(&world, DropReason::Oversized), oversized + 1, "no room for our tag");
}

#[test]
fn operations_are_bounded_and_an_announcement_too() {
    let mut world = network(2, 60);
    let path = direct(&world, 1);
    world.with(0, |stack, now| {
        let store = stack.store_announcement(now, data_keys(), &[0; 513], LIFETIME, path.clone());
        assert_eq!(store, None);
        let begun = (0..100)
            .filter_map(|_| stack.search_announcement(now, data_keys().public, path.clone()));
        assert_eq!(begun.count(), 64);
    });
    world.run_for(Duration::from_secs(1));
    let found = world.nodes[0].events.iter().filter(|event| {
        matches!(event, Event::Announcement { outcome: AnnouncementOutcome::Found { .. }, .. })
    });
    assert_eq!(found.count(), 64);
}

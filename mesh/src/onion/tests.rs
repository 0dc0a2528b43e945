//! Whole paths through three hops, made by hand.

use std::collections::BTreeMap;

use super::{Onion, RelayedResponse};
use crate::dht::{Dht, DhtConfig};
use crate::drops::{DropReason, Drops};
use crate::outbox::{Context, Outbox};
use crate::relay::server::ClientId;
use crate::wire::address::{IpPort, Protocol};
use crate::wire::onion::{
    ANNOUNCE_REQUEST, ANNOUNCE_RESPONSE, AnnounceRequest, AnnounceRequestHeader, AnnounceResponse,
    AnnounceResponseHeader, DATA_RESPONSE, DataRequestHeader, DataResponseHeader, Hop, LastLayer,
    Layer, OnionData, ReturnPath, SendHeader, Stored,
};
use crate::wire::{Address, Decode, Encode, KeyPair, Nonce, PublicKey, Rng, SharedKey, Time};

struct Server {
    dht: Dht,
    onion: Onion,
    key: PublicKey,
    drops: Drops,
}

/// Servers that pass packets on at once; what is for nobody lands in `arrived`.
struct World {
    now: Time,
    rng: Rng,
    servers: BTreeMap<Address, Server>,
    arrived: Vec<(Address, Vec<u8>)>,
    /// What came back for clients of relays.
    relayed: Vec<RelayedResponse>,
}

fn address(number: u8) -> Address {
    Address::udp(([198, 18, 0, number], 33445).into())
}

fn endpoint(number: u8) -> IpPort {
    IpPort::udp(address(number).as_udp().unwrap())
}

/// The node behind the path; hops are 1, 2, 3, and the path's owner is 0.
const END: u8 = 4;

impl World {
    fn new() -> Self {
        let mut rng = Rng::from_seed([1; 32]);
        let now = Time::from_secs(1_000);
        let servers = (1..=END).map(|number| {
            let keys = KeyPair::generate(&mut rng);
            let key = keys.public;
            let dht = Dht::new(&DhtConfig::default(), keys, rng.child("dht"), now);
            let onion = Onion::new(rng.child(&format!("onion {number}")), now);
            (address(number), Server { dht, onion, key, drops: Drops::default() })
        });
        let servers = servers.collect();
        Self { now, rng, servers, arrived: Vec::new(), relayed: Vec::new() }
    }

    fn key(&self, number: u8) -> PublicKey {
        self.servers[&address(number)].key
    }

    fn drops(&self, number: u8, reason: DropReason) -> u64 {
        self.servers[&address(number)].drops[reason]
    }

    /// Delivers a datagram and all that follows from it.
    fn deliver(&mut self, from: Address, to: Address, datagram: Vec<u8>) {
        let mut flying = vec![(from, to, datagram)];
        while let Some((from, to, mut datagram)) = flying.pop() {
            let Some(server) = self.servers.get_mut(&to) else {
                self.arrived.push((from, datagram));
                continue;
            };
            let mut outbox = Outbox::default();
            let (now, drops) = (self.now, &mut server.drops);
            let mut cx = Context { now, outbox: &mut outbox, drops };
            let relayed = server.onion.handle(&mut cx, &mut server.dht, from, &mut datagram);
            self.relayed.extend(relayed);
            while let Some((next, datagram)) = outbox.pop() {
                flying.push((to, next, datagram));
            }
        }
    }

    /// Wraps `request` for node [`END`] in three layers.
    fn wrap(&mut self, request: &[u8]) -> Vec<u8> {
        let (nonce, path, second) = self.inner_layers(request);
        let layer = Layer { next: endpoint(2), key: path[1].0, boxed: &second };
        let header = SendHeader { hop: Hop::First, nonce, key: path[0].0 };
        header.seal(&path[0].1, &layer, &ReturnPath::EMPTY)
    }

    /// The box for the second hop, and the keys of all three.
    fn inner_layers(&mut self, request: &[u8]) -> (Nonce, Vec<(PublicKey, SharedKey)>, Vec<u8>) {
        let nonce = Nonce::generate(&mut self.rng);
        let path: Vec<_> = (1..=3)
            .map(|hop| {
                let pair = KeyPair::generate(&mut self.rng);
                let shared = pair.secret.shared_key(&self.key(hop));
                (pair.public, shared)
            })
            .collect();
        let last = LastLayer { destination: endpoint(END), request };
        let third = path[2].1.seal(&nonce, &last.to_bytes());
        let layer = Layer { next: endpoint(3), key: path[2].0, boxed: &third };
        let second = path[1].1.seal(&nonce, &layer.to_bytes());
        (nonce, path, second)
    }

    /// Sends a request through the path; what came back to its owner.
    fn ask(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let packet = self.wrap(request);
        self.deliver(address(0), address(1), packet);
        let (hop, response) = self.arrived.pop()?;
        assert_eq!(hop, address(1), "the owner hears from its first hop only");
        Some(response)
    }

    /// An announce request of `pair` through the path; what node [`END`] says.
    fn announce(
        &mut self,
        pair: &KeyPair,
        ping_id: [u8; 32],
        target: PublicKey,
        data_key: PublicKey,
    ) -> Stored {
        let shared = pair.secret.shared_key(&self.key(END));
        let nonce = Nonce::generate(&mut self.rng);
        let header = AnnounceRequestHeader { extended: false, nonce, requester: pair.public };
        let request = AnnounceRequest { ping_id, target, data_key, sendback: [7; 8], extra: &[] };
        let mut response = self.ask(&header.seal(&shared, &request)).expect("a response");
        let (header, boxed) = AnnounceResponseHeader::split(&mut response).unwrap();
        assert_eq!(header.sendback, [7; 8]);
        let plain = shared.open_in_place(&header.nonce, boxed).unwrap();
        AnnounceResponse::from_bytes(plain).unwrap().stored
    }

    fn pair(&mut self) -> KeyPair {
        KeyPair::generate(&mut self.rng)
    }
}

const ZERO: PublicKey = PublicKey([0; 32]);

#[test]
fn a_key_is_announced_found_and_sent_data_through_three_hops() {
    let mut world = World::new();
    let (alice, bob, data) = (world.pair(), world.pair(), world.pair());
    let Stored::No { ping_id } = world.announce(&alice, [0; 32], alice.public, data.public) else {
        panic!("nothing is announced yet");
    };
    let stored = world.announce(&alice, ping_id, alice.public, data.public);
    assert!(matches!(stored, Stored::Own { .. }), "{stored:?}");
    let found = world.announce(&bob, [0; 32], alice.public, ZERO);
    assert_eq!(found, Stored::Yes { data_key: data.public });

    let nonce = Nonce::generate(&mut world.rng);
    let once = world.pair();
    let header = DataRequestHeader { destination: alice.public, nonce, key: once.public };
    let boxed = bob.secret.shared_key(&alice.public).seal(&nonce, b"\x20hello");
    let payload = OnionData { sender: bob.public, boxed: &boxed };
    let packet = header.seal(&once.secret.shared_key(&data.public), &payload);
    let mut arrived = world.ask(&packet).expect("the data");
    assert_eq!(arrived[0], DATA_RESPONSE);
    let (header, boxed) = DataResponseHeader::split(&mut arrived).unwrap();
    let shared = data.secret.shared_key(&header.key);
    let plain = shared.open_in_place(&header.nonce, boxed).unwrap();
    assert_eq!(OnionData::from_bytes(plain).unwrap(), payload);
    assert!((1..=END).all(|number| world.servers[&address(number)].drops.total() == 0));
}

#[test]
fn an_announcement_is_forgotten_after_300_seconds_and_ping_ids_belong_to_one_key() {
    let mut world = World::new();
    let (alice, bob) = (world.pair(), world.pair());
    let Stored::No { ping_id } = world.announce(&alice, [0; 32], alice.public, alice.public) else {
        panic!("nothing is announced yet");
    };
    let stolen = world.announce(&bob, ping_id, bob.public, bob.public);
    assert!(matches!(stolen, Stored::No { .. }));
    world.announce(&alice, ping_id, alice.public, alice.public);
    world.now = Time::from_secs(1_299);
    let found = world.announce(&bob, [0; 32], alice.public, ZERO);
    assert!(matches!(found, Stored::Yes { .. }));
    world.now = Time::from_secs(1_300);
    let found = world.announce(&bob, [0; 32], alice.public, ZERO);
    assert!(matches!(found, Stored::No { .. }));
    world.now = Time::from_secs(1_600);
    let late = world.announce(&alice, ping_id, alice.public, alice.public);
    assert!(matches!(late, Stored::No { .. }), "a ping id grows old");
}

#[test]
fn what_does_not_open_or_leads_nowhere_is_counted() {
    let mut world = World::new();
    let alice = world.pair();
    let nonce = Nonce([1; 24]);
    let header = DataRequestHeader { destination: alice.public, nonce, key: alice.public };
    let payload = OnionData { sender: alice.public, boxed: &[0; 17] };
    let request = header.seal(&alice.secret.shared_key(&alice.public), &payload);
    assert_eq!(world.ask(&request), None);
    assert_eq!(world.drops(END, DropReason::NoRoute), 1);

    let mut forged = world.wrap(&request);
    forged[60] ^= 1;
    world.deliver(address(0), address(1), forged);
    assert_eq!(world.drops(1, DropReason::Forged), 1);
    let mut response = vec![0x8e; 60];
    response.extend_from_slice(&request);
    response[60] = DATA_RESPONSE;
    world.deliver(address(2), address(1), response);
    assert_eq!(world.drops(1, DropReason::Forged), 2, "the way back is not ours");
    world.deliver(address(2), address(1), vec![DATA_RESPONSE; 100]);
    assert_eq!(world.drops(1, DropReason::Unsolicited), 1);
    world.deliver(address(2), address(1), vec![ANNOUNCE_REQUEST; 100]);
    assert_eq!(world.drops(1, DropReason::Truncated), 1);
    assert!(world.arrived.is_empty());
}

#[test]
fn a_relay_is_the_first_hop_of_its_clients_paths() {
    let mut world = World::new();
    let (alice, shared) = (world.pair(), world.key(END));
    let shared = alice.secret.shared_key(&shared);
    let nonce = Nonce::generate(&mut world.rng);
    let header = AnnounceRequestHeader { extended: false, nonce, requester: alice.public };
    let (ping_id, target) = ([0; 32], alice.public);
    let request = AnnounceRequest { ping_id, target, data_key: ZERO, sendback: [7; 8], extra: &[] };
    let (nonce, path, second) = world.inner_layers(&header.seal(&shared, &request));
    let header = SendHeader { hop: Hop::Second, nonce, key: path[1].0 };
    let client = ClientId(u64::MAX);
    let send = |world: &mut World, next: IpPort| {
        let relay = world.servers.get_mut(&address(1)).unwrap();
        let mut outbox = Outbox::default();
        let drops = &mut relay.drops;
        let mut cx = Context { now: world.now, outbox: &mut outbox, drops };
        relay.onion.send_for_client(&mut cx, (client, &address(0)), header, (&next, &second));
        while let Some((next, datagram)) = outbox.pop() {
            world.deliver(address(1), next, datagram);
        }
    };
    send(&mut world, endpoint(2));
    let [RelayedResponse { client: to, response }] = &mut world.relayed[..] else {
        panic!("{:?}", world.relayed);
    };
    assert_eq!((*to, response[0]), (client, ANNOUNCE_RESPONSE));
    let (header, boxed) = AnnounceResponseHeader::split(response).unwrap();
    assert!(shared.open_in_place(&header.nonce, boxed).is_ok());
    assert!(world.arrived.is_empty());
    send(&mut world, IpPort::udp(([192, 168, 0, 1], 53).into()));
    send(&mut world, IpPort { protocol: Protocol::Tcp, ..endpoint(2) });
    assert_eq!((world.relayed.len(), world.drops(1, DropReason::Refused)), (1, 2));
}

#[test]
fn nobody_outside_makes_a_hop_write_into_the_local_network() {
    let mut world = World::new();
    let (owner, third) = (world.pair(), world.pair());
    let shared = owner.secret.shared_key(&world.key(1));
    let nonce = Nonce([2; 24]);
    let next = IpPort::udp(([192, 168, 0, 1], 53).into());
    let layer = Layer { next, key: third.public, boxed: &[0; 200] };
    let header = SendHeader { hop: Hop::First, nonce, key: owner.public };
    let packet = header.seal(&shared, &layer, &ReturnPath::EMPTY);
    world.deliver(address(0), address(1), packet);
    assert_eq!(world.drops(1, DropReason::Refused), 1);
    assert!(world.arrived.is_empty());
}

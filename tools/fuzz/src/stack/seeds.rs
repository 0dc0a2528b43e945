//! The seeds of the body, and what they reach: a seed that leads nowhere is worth nothing.

use std::fs;
use std::path::Path;

use toktok_mesh::DropReason;
use toktok_mesh::wire::announcement::{RetrieveRequest, SearchRequest, SearchResponse};
use toktok_mesh::wire::channel::{CHANNEL_VERSION, Frame, Hello};
use toktok_mesh::wire::dht::{NodesRequest, NodesResponse, Ping};
use toktok_mesh::wire::nat::NatPing;
use toktok_mesh::wire::onion::DhtKeyAnnounce;
use toktok_mesh::wire::relay::RelayPacket;
use toktok_mesh::wire::session::data_id;
use toktok_mesh::wire::{Encode, PackedNode};

use super::peer::known;
use super::{address, run, stack};

/// A command in its usual form: what, by which peer, where (a kind, a stream, what the user does).
fn say(what: u8, who: u8, place: u8, bytes: &[u8]) -> Vec<u8> {
    in_form(0, what, who, place, bytes)
}

fn in_form(form: u8, what: u8, who: u8, place: u8, bytes: &[u8]) -> Vec<u8> {
    let [high, low] = (bytes.len() as u16).to_be_bytes();
    [&[what + form * 32, place * 4 + who, high, low], bytes].concat()
}

fn wait(millis: u16) -> Vec<u8> {
    [31, (millis / 10) as u8, 0, 0].to_vec()
}

fn seconds(seconds: u8) -> Vec<u8> {
    [31 + 32, seconds, 0, 0].to_vec()
}

fn act(who: u8, what: u8) -> Vec<u8> {
    say(25, who, what, b"")
}

/// Two peers of the node, as answers name them.
fn nodes() -> NodesResponse {
    let node = |number: usize| {
        let at = address(number).as_udp().expect("an address");
        PackedNode::udp(at, known().peers[number].pair.public)
    };
    NodesResponse { nodes: vec![node(1), node(2)], id: 0 }
}

/// Without the id that the body adds.
fn without_id(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 8);
    bytes
}

fn garbage() -> Vec<u8> {
    let kinds =
        [0, 1, 2, 4, 0x18, 0x19, 0x1a, 0x1b, 0x20, 0x21, 0x80, 0x83, 0x8c, 0x90, 0x93, 0xf0];
    let said = kinds.map(|kind| say(0, kind % 4, 0, &[kind; 90]));
    let accepted = [say(17, 1, 0, b""), say(22, 1, 0, &[9; 128]), say(22, 1, 0, &[0, 40])];
    [said.concat(), accepted.concat()].concat()
}

fn dht() -> Vec<u8> {
    let answer = without_id(nodes().to_bytes());
    let ping = Ping { response: false, id: 1 }.to_bytes();
    let target = known().peers[3].pair.public;
    let wanted = NodesRequest { target, id: 2 }.to_bytes();
    let nat = NatPing { response: false, id: 3 }.to_bytes();
    let first = [act(0, 0), say(2, 0, 1, &answer), wait(500)].concat();
    // Whoever is told of is pinged, or asked for nodes.
    let rest = [1, 2, 1, 2].map(|who| {
        [say(2, who, 0, &[1]), say(2, who, 1, &answer), say(1, who, 0, &ping), wait(900)].concat()
    });
    let lookup = [act(3, 7), say(2, 1, 1, &answer), say(1, 1, 2, &wanted)].concat();
    let routed = [say(3, 1, 0, &nat), in_form(1, 3, 1, 0, &nat), seconds(65)].concat();
    [first, rest.concat(), lookup, routed].concat()
}

/// The peer begins a session.
fn begin(form: u8, who: u8) -> Vec<u8> {
    let hello = Hello { oldest: CHANNEL_VERSION, newest: CHANNEL_VERSION, extensions: &[] };
    let hello = [&[data_id::HELLO][..], &hello.to_bytes()].concat();
    let begun = [in_form(form, 10, who, 0, b""), in_form(form, 12, who, 0, b"")].concat();
    [begun, in_form(form, 13, who, 0, &hello)].concat()
}

fn frame(frame: &Frame<'_>) -> Vec<u8> {
    [&[data_id::CHANNEL][..], &frame.to_bytes()].concat()
}

/// The number of the first channel that the node opens to a peer, or the peer to the node: the smaller
/// key's channels are even.
fn first_channel(who: usize, by_node: bool) -> u32 {
    u32::from((known().identity.public < known().peers[who].pair.public) != by_node)
}

fn session() -> Vec<u8> {
    let channel = first_channel(1, false);
    let open = frame(&Frame::Open { channel, credit: 1_000, protocol: "fuzz" });
    let data = frame(&Frame::Data { channel, last: true, bytes: b"hello" });
    let credit = frame(&Frame::Credit { channel, bytes: 9 });
    let talk = [open, data, credit].map(|packet| say(13, 1, 0, &packet)).concat();
    let answered = [say(25, 0, 9, b"answer"), wait(30), say(13, 1, 0, &[data_id::ALIVE])].concat();
    let lost = [say(16, 1, 0, &[0, 3, 170, 1]), say(13, 1, 0, &[200, 1]), wait(300)].concat();
    let request = [say(13, 1, 0, &[data_id::REQUEST, 1, 0, 3]), say(13, 1, 0, &[2])].concat();
    [begin(0, 1), talk, answered, lost, request].concat()
}

fn session_out() -> Vec<u8> {
    let hello = [data_id::HELLO, CHANNEL_VERSION, CHANNEL_VERSION];
    let begun = [act(2, 1), say(11, 2, 0, b""), say(12, 2, 0, b""), say(13, 2, 0, &hello)].concat();
    let opened = [say(25, 2, 8, b""), say(25, 0, 9, &[7; 200]), say(25, 2, 11, &[64, 1])].concat();
    let accept = frame(&Frame::Accept { channel: first_channel(2, true), credit: 500 });
    let accepted = [say(13, 2, 0, &accept), wait(100), act(2, 6), seconds(40)].concat();
    [begun, opened, accepted].concat()
}

fn relay_server() -> Vec<u8> {
    let came = [0, 1].map(|who| [say(17, who, 0, b""), say(18, 0, who, b"")].concat()).concat();
    let ping = RelayPacket::Ping { id: 5 }.to_bytes();
    let pings = [0, 1].map(|place| say(19, 0, place, &ping)).concat();
    let routing = [say(20, 1, 0, &[0]), say(20, 0, 1, &[0])].concat();
    let data = [say(19, 0, 0, &[16, 1, 2, 3]), say(20, 0, 1, &[6, 9, 9])].concat();
    let to = address(2).as_udp().map(toktok_mesh::wire::address::IpPort::udp).expect("UDP");
    let forward = RelayPacket::ForwardRequest { to, data: &[0x93; 30] }.to_bytes();
    let (nonce, key) = (toktok_mesh::wire::Nonce([1; 24]), known().peers[2].pair.public);
    let onion = RelayPacket::OnionRequest { nonce, next: to, key, boxed: &[5; 160] }.to_bytes();
    let beyond = [say(19, 0, 0, &forward), say(19, 0, 1, &onion)].concat();
    let back = [say(9, 2, 0, b"back"), say(8, 2, 0, &[0x84; 60]), say(23, 0, 0, &[0; 9])].concat();
    let cut = [31, 0, 1].map(|piece| [24, piece, 0, 0]).concat();
    let gone = in_form(2, 23, 0, 0, b"");
    [cut, came, pings, routing, data, beyond, back, seconds(31), gone].concat()
}

fn relay_client() -> Vec<u8> {
    let up = [act(3, 5), say(23, 0, 0, b""), say(18, 0, 0, b""), act(1, 3)].concat();
    let ping = RelayPacket::Ping { id: 5 }.to_bytes();
    let talk = [say(19, 0, 0, &ping), say(20, 1, 0, &[7, 1, 2]), say(19, 0, 0, &[9, 0x84, 1])];
    let told = DhtKeyAnnounce { counter: 1, dht_key: known().peers[1].pair.public, nodes: vec![] };
    let friend = [say(4, 1, 0, &told.to_bytes()), say(21, 1, 0, &[1, 17]), say(19, 0, 0, &[2, 17])];
    let relayed = [begin(4, 1), in_form(5, 13, 1, 0, &[data_id::ALIVE]), seconds(31)].concat();
    [up, talk.concat(), friend.concat(), relayed, say(19, 0, 0, &[3, 17])].concat()
}

fn onion() -> Vec<u8> {
    let request = [&[0x83][..], &[4; 195]].concat();
    let layers = [(0, &[3; 200][..]), (1, &[3; 150]), (2, &request)];
    let layers = layers.map(|(hop, boxed)| in_form(2, 5, 0, hop, boxed)).concat();
    let back = say(8, 2, 0, &[&[0x84][..], &[6; 80]].concat());
    let announced = [say(6, 1, 1, b""), say(6, 1, 1, b""), say(6, 2, 1, b"")].concat();
    let data = [say(7, 2, 1, b"to the one who is announced"), say(7, 2, 3, b"?")].concat();
    [layers, back, announced, data, in_form(1, 6, 3, 1, b"")].concat()
}

fn announcements() -> Vec<u8> {
    let key = known().peers[0].pair.public;
    let search = SearchRequest { key, previous: None, id: 1 }.to_bytes();
    let retrieve = RetrieveRequest { key, proof: [0; 32], id: 2 }.to_bytes();
    let asked = [say(1, 0, 4, &search), say(1, 1, 6, &retrieve), in_form(3, 9, 0, 0, &search)];
    let not_found = without_id(SearchResponse { key, found: None, id: 0 }.to_bytes());
    let own = [act(1, 12), say(2, 1, 2, &not_found), say(25, 2, 13, b"!"), act(1, 14), seconds(3)];
    let forms = [0, 1, 2].map(|form| in_form(form, 9, 1, 0, &[0x93; 40])).concat();
    [asked.concat(), own.concat(), forms].concat()
}

fn seeds() -> [(&'static str, Vec<u8>); 8] {
    [
        ("garbage", garbage()),
        ("dht", dht()),
        ("session", session()),
        ("session_out", session_out()),
        ("relay_server", relay_server()),
        ("relay_client", relay_client()),
        ("onion", onion()),
        ("announcements", announcements()),
    ]
}

#[test]
fn the_corpus_has_the_seeds_of_now() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/stack");
    for (name, seed) in seeds() {
        let file = folder.join(name);
        if std::env::var_os("TOKTOK_WRITE_SEEDS").is_some() {
            fs::write(&file, &seed).expect("a seed is written");
        }
        let is_there = fs::read(&file).is_ok_and(|there| there == seed);
        assert!(is_there, "{name} is not as it was: TOKTOK_WRITE_SEEDS=1 writes all seeds");
    }
}

#[test]
fn the_seeds_lead_deep_into_the_node() {
    let world = run(&dht());
    assert!(world.stack.close_nodes().count() >= 2, "peers that answered are known");
    let opened = session().len() - say(13, 1, 0, &[2]).len();
    let world = run(&session()[..opened]);
    assert_eq!((world.stack.session_count(), world.channels.len()), (1, 1));
    assert_eq!(run(&session()).stack.session_count(), 0, "the peer said goodbye");
    let before = session_out().len() - seconds(40).len() - act(2, 6).len();
    let world = run(&session_out()[..before]);
    assert_eq!((world.stack.session_count(), world.channels.len()), (1, 1));
    let world = run(&relay_client());
    assert_eq!(world.stack.session_count(), 1, "a session by relay");
}

#[test]
fn two_clients_of_the_relay_are_connected() {
    let all = relay_server();
    let world = run(&all[..all.len() - seconds(31).len() - 4]);
    assert_eq!(world.stack.relay_client_count(), 2);
    assert!(world.stack.relay_clients().all(|(_, peers)| peers.len() == 1));
}

#[test]
fn somebody_is_announced_at_the_node_and_gets_data() {
    let world = run(&onion());
    let dropped: Vec<_> = world.stack.drops().iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(dropped, [(DropReason::NoRoute, 1)], "only data for one who is not announced");
}

#[test]
fn a_run_ends_however_long_the_input_is() {
    stack(&wait(10).repeat(1_000));
}

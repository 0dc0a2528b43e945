//! Bytes written by hand from the layouts in the research note, and the limits. Laws for arbitrary
//! values stand in `tests/codecs/`.

use super::direct::{MAX_PEERS, MAX_PEERS_LEN};
use super::message::MAX_CONFERENCE_MESSAGE;
use super::*;
use crate::key::PublicKey;
use crate::messenger::MessageKind;

const CONFERENCE: ConferenceId = ConferenceId { kind: ConferenceKind::Audio, random: [0xcc; 32] };
const KEYS: [PublicKey; 2] = [PublicKey([0xaa; 32]), PublicKey([0xdd; 32])];

#[track_caller]
fn assert_golden(packet: &ConferencePacket<'_>, parts: &[&[u8]]) {
    let bytes = parts.concat();
    assert_eq!(packet.to_bytes(), bytes);
    assert_eq!(ConferencePacket::from_bytes(&bytes).as_ref(), Ok(packet));
    assert_eq!(packet.body(), bytes[1..]);
    assert_eq!(ConferencePacket::from_parts(packet.id(), &bytes[1..]).as_ref(), Ok(packet));
}

fn message(body: MessageBody<'_>) -> ConferencePacket<'_> {
    let message = ConferenceMessage { peer: 0x0a0b, number: 0x0102_0304, body };
    ConferencePacket::Message { to: 5, message }
}

fn direct(direct: Direct<'_>) -> ConferencePacket<'_> {
    ConferencePacket::Direct { to: 0x0506, direct }
}

#[test]
fn golden_invitations() {
    let (conference, id) = (CONFERENCE, &[0xcc; 32][..]);
    assert_golden(
        &ConferencePacket::Invite { from: 0x0102, conference },
        &[b"\x60\0\x01\x02\x01", id],
    );
    let accept = ConferencePacket::Accept { from: 0x0304, to: 0x0102, conference };
    assert_golden(&accept, &[b"\x60\x01\x03\x04\x01\x02\x01", id]);
    let member = ConferencePacket::Member { from: 0x0304, to: 0x0102, conference, peer: 0x0506 };
    assert_golden(&member, &[b"\x60\x02\x03\x04\x01\x02\x01", id, b"\x05\x06"]);
    assert_golden(&ConferencePacket::Online { from: 7, conference }, &[b"\x61\0\x07\x01", id]);
    assert_golden(&ConferencePacket::Rejoin { conference }, &[b"\x64\x01", id]);
}

#[test]
fn golden_words_between_two() {
    assert_golden(&direct(Direct::Introduced), &[b"\x62\x05\x06\x01"]);
    assert_golden(&direct(Direct::Query), &[b"\x62\x05\x06\x08"]);
    assert_golden(&direct(Direct::Title(b"tea")), &[b"\x62\x05\x06\x0atea"]);
    let [key, dht_key] = KEYS;
    let peer = |number, name| ConferencePeer { number, key, dht_key, name };
    let keys = [[0xaa; 32], [0xdd; 32]].concat();
    let peers = Direct::Peers(vec![peer(0, b"Ada"), peer(0x0102, b"")]);
    assert_golden(
        &direct(peers),
        &[b"\x62\x05\x06\x09", b"\0\0", &keys, b"\x03Ada", b"\x01\x02", &keys, b"\0"],
    );
}

#[test]
fn golden_words_to_all() {
    let head = &b"\x63\0\x05\x0a\x0b\x01\x02\x03\x04"[..];
    let [key, dht_key] = KEYS;
    assert_golden(&message(MessageBody::Ping), &[head, &[0]]);
    let new_peer = MessageBody::NewPeer { peer: 0x0c0d, key, dht_key };
    assert_golden(&message(new_peer), &[head, &[16, 0x0c, 0x0d], &[0xaa; 32], &[0xdd; 32]]);
    assert_golden(&message(MessageBody::KillPeer { peer: 9 }), &[head, &[17, 0, 9]]);
    assert_golden(&message(MessageBody::FreezePeer { peer: 9 }), &[head, &[18, 0, 9]]);
    assert_golden(&message(MessageBody::Name(b"Ada")), &[head, b"\x30Ada"]);
    assert_golden(&message(MessageBody::Title(b"tea")), &[head, b"\x31tea"]);
    let text = |kind| MessageBody::Text { kind, text: b"hi" };
    assert_golden(&message(text(MessageKind::Normal)), &[head, b"\x40hi"]);
    assert_golden(&message(text(MessageKind::Action)), &[head, b"\x41hi"]);

    let (kind, data) = (LOSSY_AUDIO, &b"opus"[..]);
    let lossy = ConferencePacket::Lossy { to: 5, peer: 0x0a0b, number: 0x0102, kind, data };
    assert_golden(&lossy, &[b"\xc7\0\x05\x0a\x0b\x01\x02\xc0opus"]);
}

#[test]
fn every_text_has_its_limit() {
    let decode = |head: &[u8], len: usize| {
        ConferencePacket::from_bytes(&[head, &vec![b'x'; len]].concat()).map(|_| ())
    };
    let over = |what, limit| Err(DecodeError::Limit { what, limit, got: limit + 1 });
    let to_all = |id| [99, 0, 5, 0, 1, 0, 0, 0, 1, id];
    for (id, what) in [(48, "name"), (49, "title")] {
        assert_eq!(decode(&to_all(id), 128), Ok(()));
        assert_eq!(decode(&to_all(id), 129), over(what, 128));
    }
    for id in [64, 65] {
        assert_eq!(MAX_CONFERENCE_MESSAGE, 1363);
        assert_eq!(decode(&to_all(id), 1363), Ok(()));
        assert_eq!(decode(&to_all(id), 1364), over("message", 1363));
    }
    for head in [&[98, 0, 5, 10][..], &to_all(49), &to_all(64), &to_all(65), &[98, 0, 5, 9]] {
        assert_eq!(decode(head, 0), Err(DecodeError::Truncated { need: 1, have: 0 }));
    }
    assert_eq!(decode(&[98, 0, 5, 10], 129), over("title", 128));
    let long_name = [&[98, 0, 5, 9][..], &[0; 66], &[129]].concat();
    assert_eq!(decode(&long_name, 129), over("name of a member", 128));
}

#[test]
fn what_nobody_writes_is_refused() {
    let refused = |bytes: &[u8], error| {
        assert_eq!(ConferencePacket::from_bytes(bytes), Err(error));
    };
    let id = |kind: u8| [&[kind][..], &[0; 32]].concat();
    let invitation = |step: u8, kind: u8| [&[96, step, 0, 1][..], &id(kind)].concat();
    refused(&invitation(3, 0), DecodeError::Invalid("step of an invitation"));
    refused(&invitation(0, 2), DecodeError::Invalid("conference kind"));
    refused(&[98, 0, 5, 2], DecodeError::Invalid("kind of a direct packet"));
    refused(&[98, 0, 5, 8, 0], DecodeError::Trailing(1));
    let kind = DecodeError::Invalid("kind of a conference message");
    refused(&[99, 0, 5, 0, 1, 0, 0, 0, 1, 66], kind);
    refused(&[64, b'x'], DecodeError::Kind(64));
}

#[test]
fn many_peers_take_several_packets() {
    let [key, dht_key] = KEYS;
    let peers =
        |count, name| (0..count).map(move |number| ConferencePeer { number, key, dht_key, name });
    let lens = |packets: Vec<Direct<'_>>| {
        let lens = packets.iter().map(|direct| match direct {
            Direct::Peers(peers) => peers.len(),
            _ => 0,
        });
        assert!(packets.iter().all(|direct| direct.encoded_len() <= 1 + MAX_PEERS_LEN));
        lens.collect::<Vec<_>>()
    };
    assert_eq!(lens(Direct::all_peers(peers(0, b""))), []);
    assert_eq!(lens(Direct::all_peers(peers(20, b""))), [MAX_PEERS]);
    assert_eq!(lens(Direct::all_peers(peers(41, b""))), [20, 20, 1]);
    assert_eq!(lens(Direct::all_peers(peers(8, &[b'x'; 128]))), [7, 1]);
}

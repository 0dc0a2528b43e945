//! Whole files: round trips, damage, and what is kept although nobody here knows it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::address::IpPort;
use crate::codec::DecodeError;
use crate::key::{PublicKey, SecretKey};

fn text(limit: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..=20), vec(any::<u8>(), limit..=limit)]
}

fn key() -> impl Strategy<Value = PublicKey> {
    any::<[u8; 32]>().prop_map(PublicKey)
}

fn nodes() -> impl Strategy<Value = Vec<PackedNode>> {
    let node = (any::<(std::net::IpAddr, u16)>(), key())
        .prop_map(|(at, key)| PackedNode { endpoint: IpPort::udp(at.into()), key });
    vec(node, 0..9)
}

fn friend() -> impl Strategy<Value = Friend> {
    let requested = (any::<bool>(), any::<[u8; 4]>(), text(MAX_SAVED_REQUEST))
        .prop_map(|(sent, nospam, message)| FriendState::Requested { sent, nospam, message });
    let confirmed = (text(MAX_NAME), text(MAX_STATUS_MESSAGE), any::<u8>(), any::<u64>()).prop_map(
        |(name, status_message, status, last_seen)| FriendState::Confirmed {
            name,
            status_message,
            status,
            last_seen,
        },
    );
    (key(), prop_oneof![requested, confirmed]).prop_map(|(key, state)| Friend { key, state })
}

fn conference() -> impl Strategy<Value = Conference> {
    let peer = (key(), key(), any::<u16>(), any::<u64>(), text(MAX_NAME)).prop_map(
        |(key, dht_key, number, last_active, name)| ConferencePeer {
            key,
            dht_key,
            number,
            last_active,
            name,
        },
    );
    let numbers = any::<(u8, [u8; 32], u32, u16, u16)>();
    (numbers, text(MAX_NAME), vec(peer, 0..4)).prop_map(|(numbers, title, peers)| {
        let (kind, id, message_number, lossy_number, peer_number) = numbers;
        Conference { kind, id, message_number, lossy_number, peer_number, title, peers }
    })
}

fn other() -> impl Strategy<Value = OtherSection> {
    let kind = prop::sample::select(&[0, 7, 8, 9, 12, 19, 21, 254, 256, 0xffff][..]);
    (kind, text(300)).prop_map(|(kind, data)| OtherSection { kind, data })
}

fn save() -> impl Strategy<Value = Save> {
    let person = (any::<([u8; 32], [u8; 4], u8)>(), text(MAX_NAME), text(MAX_STATUS_MESSAGE));
    let lists = (vec(friend(), 0..4), vec(conference(), 0..3), vec(other(), 0..3));
    (person, (nodes(), nodes(), nodes()), lists).prop_map(|(person, network, lists)| {
        let ((secret, nospam, status), name, status_message) = person;
        let keys = KeyPair::from_secret(SecretKey::from_bytes(secret));
        let (nodes, relays, path_nodes) = network;
        let (friends, conferences, others) = lists;
        let new = Save::new(keys, nospam);
        Save {
            nodes,
            friends,
            name,
            status_message,
            status,
            relays,
            path_nodes,
            conferences,
            others,
            ..new
        }
    })
}

/// Everything but the keys.
fn same(a: &Save, b: &Save) -> bool {
    a.tox_id() == b.tox_id()
        && a.keys.secret.expose() == b.keys.secret.expose()
        && (&a.nodes, &a.relays, &a.path_nodes) == (&b.nodes, &b.relays, &b.path_nodes)
        && (&a.name, &a.status_message, a.status) == (&b.name, &b.status_message, b.status)
        && (&a.friends, &a.conferences, &a.others) == (&b.friends, &b.conferences, &b.others)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_save_is_read_as_it_was_written(save in save(), room in 0..50usize) {
        let mut file = save.write();
        file.resize(file.len() + room, 0);
        let read = Save::read(&file);
        prop_assert!(same(read.as_ref().expect("readable"), &save));
        prop_assert_eq!(&read.expect("readable").write()[..], &file[..file.len() - room]);
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_is_refused(save in save(), cut: prop::sample::Index) {
        let file = save.write();
        let cut = cut.index(file.len());
        match Save::read(&file[..cut]) {
            Err(SaveError::NotASave) => prop_assert!(cut < 8),
            Err(SaveError::Damaged { at, cause: DecodeError::Truncated { .. } }) => {
                prop_assert!((8..=cut).contains(&at));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn damage_makes_nobody_panic(save in save(), damage in vec(any::<(prop::sample::Index, u8)>(), 1..9)) {
        let mut file = save.write();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(read) = Save::read(&file) {
            let again = Save::read(&read.write());
            prop_assert!(same(&again.expect("what is written can be read"), &read));
        }
    }
}

fn someone() -> Save {
    Save::new(KeyPair::from_secret(SecretKey::from_bytes([7; 32])), [1, 2, 3, 4])
}

/// Where the content of the first section of a kind begins.
fn find(file: &[u8], kind: u16) -> usize {
    let [low, high] = kind.to_le_bytes();
    let mark = [low, high, 0xce, 0x01];
    4 + file.windows(4).position(|window| window == mark).expect("the section")
}

#[test]
fn lengths_are_those_of_the_research_note() {
    assert_eq!(Friend::LEN, 2216);
    let file = someone().write();
    assert_eq!(file[..8], [0, 0, 0, 0, 0x1f, 0x1b, 0xed, 0x15]);
    // Cookie, ten headers, keys, the DHT's cookie and header, status.
    assert_eq!(file.len(), 8 + 10 * 8 + 68 + 12 + 1);
}

#[test]
fn what_is_no_save_is_told_apart() {
    let read = |file: &[u8]| Save::read(file).expect_err("no save");
    assert_eq!(read(b""), SaveError::NotASave);
    assert_eq!(read(b"toxEsave and more"), SaveError::Encrypted);
    assert_eq!(read(&vec![0; MAX_SAVE + 1]), SaveError::TooLong);
    let file = someone().write();
    let without_keys = [&file[..8], &file[8 + 8 + 68..]].concat();
    assert_eq!(read(&without_keys), SaveError::NoKeys);
}

#[test]
fn damage_is_told_with_its_place() {
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut save = someone();
        let state = FriendState::Requested { sent: true, nospam: [0; 4], message: vec![5; 9] };
        save.friends.push(Friend { key: PublicKey([9; 32]), state });
        let mut file = save.write();
        change(&mut file);
        match Save::read(&file) {
            Err(SaveError::Damaged { at, cause }) => (at, cause),
            other => panic!("{other:?}"),
        }
    };
    let public_key = DecodeError::Invalid("public key: it does not belong to the secret one");
    assert_eq!(damaged(&|file| file[8 + 8 + 4] ^= 1), (20, public_key));
    assert_eq!(damaged(&|file| file[8 + 6] ^= 1), (8, DecodeError::Invalid("section cookie")));
    let (at, cause) = damaged(&|file| {
        let friends = find(file, 3);
        file[friends + 1 + 32 + 1025] = 0xff;
    });
    let friends = find(&someone().write(), 3);
    let limit = DecodeError::Limit { what: "friend request", limit: 1024, got: 0xff09 };
    assert_eq!((at, cause), (friends + 1 + 32 + 1025, limit));
    let (_, cause) = damaged(&|file| {
        let again = file[8..8 + 8 + 68].to_vec();
        file.splice(8..8, again);
    });
    assert!(matches!(cause, DecodeError::Invalid(_)));
}

#[test]
fn nodes_that_cannot_be_read_lock_nobody_out_and_stay_where_they_are() {
    let mut save = someone();
    save.relays.push(PackedNode::udp(([192, 0, 2, 1], 1).into(), PublicKey([3; 32])));
    let mut file = save.write();
    let relays = find(&file, 10);
    file[relays] = 99;
    let mut read = Save::read(&file).expect("readable all the same");
    assert!(read.relays.is_empty());
    assert_eq!((read.others.len(), read.others[0].kind), (1, 10));
    assert_eq!(read.write(), file);
    read.relays = save.relays.clone();
    assert_eq!(read.write(), save.write(), "new ones take their place");
}

#[test]
fn empty_friends_are_skipped_as_c_toxcore_does() {
    let mut save = someone();
    let state = FriendState::Requested { sent: false, nospam: [1; 4], message: Vec::new() };
    save.friends.push(Friend { key: PublicKey([9; 32]), state });
    let mut file = save.write();
    let friends = find(&file, 3);
    file[friends] = 0;
    assert!(Save::read(&file).expect("readable").friends.is_empty());
    file[friends] = 4;
    let read = Save::read(&file).expect("readable");
    assert!(matches!(read.friends[0].state, FriendState::Confirmed { .. }));
}

#[test]
fn texts_are_cut_at_their_limits() {
    let mut save = someone();
    save.name = vec![b'n'; 500];
    save.status_message = vec![b's'; 5_000];
    let read = Save::read(&save.write()).expect("readable");
    assert_eq!((read.name.len(), read.status_message.len()), (MAX_NAME, MAX_STATUS_MESSAGE));
}

//! What friends say to each other: requests, friend connections, the messenger.

use proptest::collection::vec;
use proptest::prelude::*;
use toktok_wire::address::{IpPort, Protocol};
use toktok_wire::friend::{FriendPacket, FriendRequest, MAX_FRIEND_REQUEST, SharedRelays};
use toktok_wire::messenger::file::MAX_FILE_NAME;
use toktok_wire::messenger::{
    FileControl, FileControlPacket, FileKind, FileRequest, FileSide, MAX_FILE_DATA, MAX_MESSAGE,
    MAX_NAME, MAX_STATUS_MESSAGE, MessageKind, MessengerPacket, UserStatus,
};
use toktok_wire::{Decode, Encode, PackedNode};

use crate::strategies::{bytes, key, udp};

/// One to three relays, and where in their encoding a shorter packet ends.
fn relays() -> impl Strategy<Value = (SharedRelays, Vec<usize>)> {
    let relay = (udp(), key()).prop_map(|(IpPort { address, .. }, key)| PackedNode {
        endpoint: IpPort { protocol: Protocol::Tcp, address },
        key,
    });
    vec(relay, 1..=3).prop_map(|relays| {
        let ends = relays.iter().scan(1, |end, relay| {
            *end += relay.encoded_len();
            Some(*end)
        });
        let ends = ends.collect();
        (SharedRelays::new(relays).expect("relays"), ends)
    })
}

fn control() -> impl Strategy<Value = FileControl> {
    prop_oneof![
        Just(FileControl::Accept),
        Just(FileControl::Pause),
        Just(FileControl::Kill),
        any::<u64>().prop_map(FileControl::Seek),
    ]
}

proptest! {
    #[test]
    fn friend_requests(nospam: [u8; 4], message in bytes(1..=MAX_FRIEND_REQUEST)) {
        let request = FriendRequest { nospam, message: &message };
        assert_open_ended!(FriendRequest<'_>, request, 6);
        assert_open_ended!(FriendPacket<'_>, FriendPacket::Request(request), 6);
        assert_exact!(FriendPacket<'_>, FriendPacket::Alive);
    }

    #[test]
    fn shared_relays((relays, ends) in relays()) {
        let bytes = assert_round_trip!(FriendPacket<'_>, FriendPacket::ShareRelays(relays));
        for len in 0..bytes.len() {
            let accepted = FriendPacket::from_bytes(&bytes[..len]).is_ok();
            prop_assert_eq!(accepted, ends.contains(&len), "prefix of {} bytes", len);
        }
    }

    #[test]
    fn presence(typing: bool, status in 0u8..3, text in bytes(0..=MAX_NAME), long in bytes(0..=MAX_STATUS_MESSAGE)) {
        let status = UserStatus::from_byte(status).expect("known");
        assert_exact!(MessengerPacket<'_>, MessengerPacket::Online);
        assert_exact!(MessengerPacket<'_>, MessengerPacket::Offline);
        assert_exact!(MessengerPacket<'_>, MessengerPacket::UserStatus(status));
        assert_exact!(MessengerPacket<'_>, MessengerPacket::Typing(typing));
        assert_open_ended!(MessengerPacket<'_>, MessengerPacket::Name(&text), 1);
        assert_open_ended!(MessengerPacket<'_>, MessengerPacket::StatusMessage(&long), 1);
    }

    #[test]
    fn messages(action: bool, text in bytes(1..=MAX_MESSAGE)) {
        let kind = if action { MessageKind::Action } else { MessageKind::Normal };
        assert_open_ended!(MessengerPacket<'_>, MessengerPacket::Message { kind, text: &text }, 2);
    }

    #[test]
    fn files(
        file: u8,
        (kind, size, id) in any::<(u32, u64, [u8; 32])>(),
        name in bytes(0..=MAX_FILE_NAME),
        sender: bool,
        control in control(),
        data in bytes(0..=MAX_FILE_DATA),
    ) {
        let request = FileRequest { file, kind: FileKind(kind), size, id, name: &name };
        assert_open_ended!(MessengerPacket<'_>, MessengerPacket::FileRequest(request), 46);
        let side = if sender { FileSide::Sender } else { FileSide::Receiver };
        let control = FileControlPacket { side, file, control };
        assert_exact!(MessengerPacket<'_>, MessengerPacket::FileControl(control));
        assert_open_ended!(MessengerPacket<'_>, MessengerPacket::FileData { file, data: &data }, 2);
    }
}

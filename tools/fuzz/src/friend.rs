//! What friends say to each other over a session, and the request to become one.

use toktok_wire::friend::{FriendPacket, FriendRequest, MAX_FRIEND_REQUEST, MAX_SHARED_RELAYS};
use toktok_wire::messenger::file::MAX_FILE_NAME;
use toktok_wire::messenger::{
    MAX_FILE_DATA, MAX_MESSAGE, MAX_NAME, MAX_STATUS_MESSAGE, MessengerPacket,
};

use crate::check::canonical;

/// A friend request as the onion brings it, or a packet of a friend connection.
pub fn friend(data: &[u8]) {
    if let Some(request) = canonical::<FriendRequest<'_>>(data) {
        assert!((1..=MAX_FRIEND_REQUEST).contains(&request.message.len()));
    }
    let Some(packet) = canonical::<FriendPacket<'_>>(data) else { return };
    assert_eq!(FriendPacket::from_parts(packet.id(), &packet.body()), Ok(packet));
    if let FriendPacket::ShareRelays(relays) = packet {
        assert!((1..=MAX_SHARED_RELAYS).contains(&relays.iter().count()));
    }
}

/// A packet of the messenger.
pub fn messenger(data: &[u8]) {
    let Some(packet) = canonical::<MessengerPacket<'_>>(data) else { return };
    assert_eq!(MessengerPacket::from_parts(packet.id(), &packet.body()), Ok(packet));
    match packet {
        MessengerPacket::Name(name) => assert!(name.len() <= MAX_NAME),
        MessengerPacket::StatusMessage(text) => assert!(text.len() <= MAX_STATUS_MESSAGE),
        MessengerPacket::Message { text, .. } => assert!((1..=MAX_MESSAGE).contains(&text.len())),
        MessengerPacket::FileRequest(request) => assert!(request.name.len() <= MAX_FILE_NAME),
        MessengerPacket::FileData { data, .. } => assert!(data.len() <= MAX_FILE_DATA),
        _ => {}
    }
}

//! Packets of conferences.

use toktok_wire::Encode;
use toktok_wire::conference::direct::MAX_PEERS;
use toktok_wire::conference::message::MAX_CONFERENCE_MESSAGE;
use toktok_wire::conference::{ConferencePacket, Direct, MAX_CONFERENCE_NAME, MessageBody};

use crate::check::canonical;

/// A packet of a conference.
pub fn conference(data: &[u8]) {
    let Some(packet) = canonical::<ConferencePacket<'_>>(data) else { return };
    let body = packet.body();
    assert_eq!(ConferencePacket::from_parts(packet.id(), &body).as_ref(), Ok(&packet));
    match packet {
        ConferencePacket::Direct { direct: Direct::Peers(peers), .. } => {
            assert!((1..=MAX_PEERS).contains(&peers.len()));
            assert!(peers.iter().all(|peer| peer.name.len() <= MAX_CONFERENCE_NAME));
            let again = Direct::all_peers(peers.iter().copied());
            assert_eq!(again, [Direct::Peers(peers)], "members of one packet fit into one");
        }
        ConferencePacket::Message { message, .. } => {
            if let MessageBody::Text { text, .. } = message.body {
                assert!((1..=MAX_CONFERENCE_MESSAGE).contains(&text.len()));
            }
            assert!(message.encoded_len() <= data.len());
        }
        _ => {}
    }
}

//! The packets of conferences.

use proptest::collection::vec;
use proptest::prelude::*;
use toktok_wire::conference::direct::ConferencePeer;
use toktok_wire::conference::message::MAX_CONFERENCE_MESSAGE;
use toktok_wire::conference::{
    ConferenceId, ConferenceKind, ConferenceMessage, ConferencePacket, Direct, MAX_CONFERENCE_NAME,
    MessageBody,
};
use toktok_wire::messenger::MessageKind;
use toktok_wire::{Decode, Encode, PublicKey};

use crate::strategies::{bytes, key};

fn conference() -> impl Strategy<Value = ConferenceId> {
    (any::<bool>(), any::<[u8; 32]>()).prop_map(|(audio, random)| {
        let kind = if audio { ConferenceKind::Audio } else { ConferenceKind::Text };
        ConferenceId { kind, random }
    })
}

/// Number, keys and name of a member, whose name the packet borrows.
fn member() -> impl Strategy<Value = (u16, PublicKey, PublicKey, Vec<u8>)> {
    (any::<u16>(), key(), key(), bytes(0..=MAX_CONFERENCE_NAME))
}

/// A message whose data ends where the packet ends begins so late.
const LEAST_MESSAGE: usize = 1 + 2 + ConferenceMessage::HEAD;

proptest! {
    #[test]
    fn invitations(from: u16, to: u16, conference in conference(), peer: u16) {
        assert_exact!(ConferenceId, conference);
        assert_exact!(ConferencePacket<'_>, ConferencePacket::Invite { from, conference });
        assert_exact!(ConferencePacket<'_>, ConferencePacket::Accept { from, to, conference });
        assert_exact!(ConferencePacket<'_>, ConferencePacket::Member { from, to, conference, peer });
        assert_exact!(ConferencePacket<'_>, ConferencePacket::Online { from, conference });
        assert_exact!(ConferencePacket<'_>, ConferencePacket::Rejoin { conference });
    }

    #[test]
    fn between_two(to: u16, members in vec(member(), 1..=6), title in bytes(1..=MAX_CONFERENCE_NAME)) {
        let direct = |direct| ConferencePacket::Direct { to, direct };
        assert_exact!(ConferencePacket<'_>, direct(Direct::Introduced));
        assert_exact!(ConferencePacket<'_>, direct(Direct::Query));
        assert_open_ended!(ConferencePacket<'_>, direct(Direct::Title(&title)), 5);
        let peers = members.iter().map(|(number, key, dht_key, name)| ConferencePeer {
            number: *number,
            key: *key,
            dht_key: *dht_key,
            name,
        });
        for packet in Direct::all_peers(peers) {
            assert_open_ended!(ConferencePacket<'_>, direct(packet), 4 + ConferencePeer::HEAD);
        }
    }

    #[test]
    fn to_all(
        (to, peer, number) in any::<(u16, u16, u32)>(),
        (other, key, dht_key, name) in member(),
        action: bool,
        text in bytes(1..=MAX_CONFERENCE_MESSAGE),
    ) {
        let message = |body| {
            ConferencePacket::Message { to, message: ConferenceMessage { peer, number, body } }
        };
        let new_peer = MessageBody::NewPeer { peer: other, key, dht_key };
        let kind = if action { MessageKind::Action } else { MessageKind::Normal };
        assert_exact!(ConferencePacket<'_>, message(MessageBody::Ping));
        assert_exact!(ConferencePacket<'_>, message(new_peer));
        assert_exact!(ConferencePacket<'_>, message(MessageBody::KillPeer { peer: other }));
        assert_exact!(ConferencePacket<'_>, message(MessageBody::FreezePeer { peer: other }));
        assert_open_ended!(ConferencePacket<'_>, message(MessageBody::Name(&name)), LEAST_MESSAGE);
        let text = MessageBody::Text { kind, text: &text };
        assert_open_ended!(ConferencePacket<'_>, message(text), LEAST_MESSAGE + 1);
        if !name.is_empty() {
            let title = MessageBody::Title(&name);
            assert_open_ended!(ConferencePacket<'_>, message(title), LEAST_MESSAGE + 1);
        }
    }

    #[test]
    fn lossy((to, peer, number) in any::<(u16, u16, u16)>(), kind: u8, data in bytes(0..=1300)) {
        let packet = ConferencePacket::Lossy { to, peer, number, kind, data: &data };
        assert_open_ended!(ConferencePacket<'_>, packet, 8);
    }
}

//! Packets of TCP relays.

use proptest::prelude::*;
use toktok_wire::relay::{
    ConnectionId, MAX_OOB_DATA, RelayAnswerHeader, RelayHelloHeader, RelayKeys, RelayPacket,
};
use toktok_wire::{Decode, Encode};

use crate::strategies::{bytes, endpoint, key, nonce, packet};

fn connection() -> impl Strategy<Value = ConnectionId> {
    (16u8..).prop_map(|id| ConnectionId::new(id).expect("16 or more"))
}

proptest! {
    #[test]
    fn hellos(client in key(), nonce in nonce(), session_key in key(), base_nonce in nonce()) {
        assert_exact!(RelayHelloHeader, RelayHelloHeader { client, nonce });
        assert_exact!(RelayAnswerHeader, RelayAnswerHeader { nonce });
        assert_exact!(RelayKeys, RelayKeys { session_key, base_nonce });
    }

    #[test]
    fn routing(key in key(), connection in connection(), refused: bool, id: u64) {
        assert_exact!(ConnectionId, connection);
        assert_exact!(RelayPacket<'_>, RelayPacket::RoutingRequest { key });
        let answer = (!refused).then_some(connection);
        assert_exact!(RelayPacket<'_>, RelayPacket::RoutingResponse { connection: answer, key });
        assert_exact!(RelayPacket<'_>, RelayPacket::Connected { connection });
        assert_exact!(RelayPacket<'_>, RelayPacket::Disconnected { connection });
        assert_exact!(RelayPacket<'_>, RelayPacket::Ping { id });
        assert_exact!(RelayPacket<'_>, RelayPacket::Pong { id });
    }

    #[test]
    fn data(key in key(), connection in connection(), to in endpoint(), data in bytes(1..=MAX_OOB_DATA)) {
        assert_open_ended!(RelayPacket<'_>, RelayPacket::OobSend { to: key, data: &data }, 34);
        assert_open_ended!(RelayPacket<'_>, RelayPacket::OobReceive { from: key, data: &data }, 34);
        assert_open_ended!(RelayPacket<'_>, RelayPacket::Forwarding { data: &data }, 2);
        assert_open_ended!(RelayPacket<'_>, RelayPacket::Data { connection, data: &data }, 2);
        let least = 1 + to.encoded_len() + 1;
        assert_open_ended!(RelayPacket<'_>, RelayPacket::ForwardRequest { to, data: &data }, least);
    }

    #[test]
    fn onion(
        nonce in nonce(),
        next in endpoint(),
        key in key(),
        boxed in bytes(17..=200),
        response in packet(&[0x84, 0x86, 0x88], 200),
    ) {
        let request = RelayPacket::OnionRequest { nonce, next, key, boxed: &boxed };
        assert_open_ended!(RelayPacket<'_>, request, 1 + 24 + 19 + 32 + 17);
        assert_open_ended!(RelayPacket<'_>, RelayPacket::OnionResponse { response: &response }, 2);
    }
}

//! DHT announcements and forwarding.

use proptest::option;
use proptest::prelude::*;
use toktok_wire::announcement::{
    Announcement, Found, MAX_ANNOUNCEMENT, RetrieveRequest, RetrieveResponse, SearchRequest,
    SearchResponse, StoreContents, StoreRequest, StoreResponse,
};
use toktok_wire::forwarding::{
    ForwardReply, ForwardRequest, Forwarding, MAX_FORWARD_DATA, MAX_SENDBACK, ReturnRoute,
};
use toktok_wire::{Decode, Encode};

use crate::strategies::{bytes, endpoint, key, nonce, udp_nodes};

prop_compose! {
    fn found()(
        stored in option::of(any::<[u8; 32]>()),
        proof: [u8; 32],
        accepts: bool,
        nodes in udp_nodes(),
    ) -> Found {
        Found { stored, proof, accepts, nodes }
    }
}

proptest! {
    #[test]
    fn searches(key in key(), found in option::of(found()), id: u64) {
        assert_open_ended!(SearchRequest, SearchRequest { key, previous: None, id }, 40);
        let previous = found.as_ref().map(|found| found.hash(&key));
        assert_open_ended!(SearchRequest, SearchRequest { key, previous, id }, 40);
        assert_open_ended!(SearchResponse, SearchResponse { key, found: found.clone(), id }, 40);
        if let Some(found) = found {
            assert_exact!(Found, found);
        }
    }

    #[test]
    fn retrievals(key in key(), proof: [u8; 32], data in option::of(bytes(0..=MAX_ANNOUNCEMENT)), id: u64) {
        assert_exact!(RetrieveRequest, RetrieveRequest { key, proof, id });
        let response = RetrieveResponse { key, data: data.as_deref(), id };
        assert_open_ended!(RetrieveResponse<'_>, response, 41);
    }

    #[test]
    fn stores(
        key in key(),
        nonce in nonce(),
        proof: [u8; 32],
        numbers: (u32, u64, u64),
        data in bytes(0..=MAX_ANNOUNCEMENT),
    ) {
        let (timeout, time, id) = numbers;
        let announcement = Announcement::Data(&data);
        assert_open_ended!(StoreContents<'_>, StoreContents { proof, timeout, announcement }, 37);
        let announcement = Announcement::Refresh(proof);
        assert_exact!(StoreContents<'_>, StoreContents { proof, timeout, announcement });
        let boxed = [&[0; 53], data.as_slice()].concat();
        assert_open_ended!(StoreRequest<'_>, StoreRequest { key, nonce, boxed: &boxed, id }, 117);
        assert_exact!(StoreResponse, StoreResponse { key, timeout, time, id });
    }

    #[test]
    fn forwarding(
        next in key(),
        sendback in bytes(0..=MAX_SENDBACK),
        data in bytes(0..=MAX_FORWARD_DATA),
    ) {
        let (sendback, data) = (&sendback[..], &data[..]);
        let least = 2 + sendback.len();
        assert_open_ended!(ForwardRequest<'_>, ForwardRequest { next, data }, 33);
        assert_open_ended!(Forwarding<'_>, Forwarding { sendback, data }, least);
        assert_open_ended!(ForwardReply<'_>, ForwardReply { sendback, data }, least);
    }

    #[test]
    fn return_routes(address in endpoint(), sendback in bytes(0..=MAX_SENDBACK), number: u64) {
        assert_exact!(ReturnRoute<'_>, ReturnRoute::Requester(address));
        assert_exact!(ReturnRoute<'_>, ReturnRoute::Client(number));
        let route = ReturnRoute::Forwarder { address, sendback: &sendback };
        assert_open_ended!(ReturnRoute<'_>, route, 1 + address.encoded_len());
    }
}

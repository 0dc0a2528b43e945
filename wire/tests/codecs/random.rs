//! Bytes from nowhere: no decoder panics, and what one accepts re-encodes to itself.

use proptest::prelude::*;
use toktok_wire::address::IpPort;
use toktok_wire::announcement::{
    Found, RetrieveRequest, RetrieveResponse, SearchRequest, SearchResponse, StoreContents,
    StoreRequest, StoreResponse,
};
use toktok_wire::bootstrap_info::{BootstrapInfo, BootstrapInfoRequest};
use toktok_wire::channel::{Frame, Hello};
use toktok_wire::conference::{ConferenceId, ConferenceMessage, ConferencePacket, Direct};
use toktok_wire::dht::{DhtRequestHeader, Header, NodesRequest, NodesResponse, Ping};
use toktok_wire::forwarding::{ForwardReply, ForwardRequest, Forwarding, ReturnRoute};
use toktok_wire::friend::{FriendPacket, FriendRequest};
use toktok_wire::lan::LanDiscovery;
use toktok_wire::messenger::MessengerPacket;
use toktok_wire::nat::NatPing;
use toktok_wire::onion::{
    AnnounceRequest, AnnounceRequestHeader, AnnounceResponse, AnnounceResponseHeader,
    DataRequestHeader, DataResponseHeader, DhtKeyAnnounce, ExtendedAnnounceResponse, LastLayer,
    Layer, OnionData, OnionResponse, RoutedDhtKey, SendHeader, Stored, split_request,
};
use toktok_wire::relay::{
    ConnectionId, RelayAnswerHeader, RelayHelloHeader, RelayKeys, RelayPacket, split_frame,
};
use toktok_wire::session::{
    Cookie, CookieContents, CookieRequest, CookieRequestHeader, CookieResponse,
    CookieResponseHeader, CryptoData, DataHeader, Handshake, HandshakeHeader, PacketRequest,
    split_crypto_data,
};
use toktok_wire::{Decode, Encode, Kind, Nonce, PackedNode, PublicKey, ToxId};

use crate::strategies::bytes;

/// Random bytes; half of them begin like a packet or a frame, or carry one of a session's data ids, so
/// that they come further.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![prop::sample::select(&Kind::ALL[..]).prop_map(Kind::byte), 0u8..=105];
    prop_oneof![
        bytes(0..=300),
        bytes(1300..=1500),
        (first, bytes(0..=300)).prop_map(|(first, mut bytes)| {
            bytes.insert(0, first);
            bytes
        }),
    ]
}

/// [`assert_canonical`] for each of many kinds.
macro_rules! assert_all_canonical {
    ($bytes:expr; $($kind:ty),+ $(,)?) => {
        $(assert_canonical!($kind, $bytes);)+
    };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn accepted_bytes_encode_to_themselves(bytes in anything()) {
        assert_all_canonical!(
            &bytes[..];
            PublicKey, Nonce, IpPort, PackedNode, ToxId,
            Header, Ping, NodesRequest, NodesResponse, DhtRequestHeader,
            NatPing, LanDiscovery, BootstrapInfo<'_>,
            CookieRequestHeader, CookieRequest, CookieResponseHeader, CookieResponse, Cookie,
            CookieContents, HandshakeHeader, Handshake, DataHeader, CryptoData<'_>,
            PacketRequest<'_>, Hello<'_>, Frame<'_>,
            SendHeader, Layer<'_>, LastLayer<'_>, OnionResponse<'_>,
            AnnounceRequestHeader, AnnounceRequest<'_>, AnnounceResponseHeader, Stored,
            AnnounceResponse, ExtendedAnnounceResponse<'_>,
            DataRequestHeader, DataResponseHeader, OnionData<'_>, DhtKeyAnnounce,
            RoutedDhtKey<'_>,
            RelayKeys, RelayHelloHeader, RelayAnswerHeader, ConnectionId, RelayPacket<'_>,
            FriendRequest<'_>, FriendPacket<'_>, MessengerPacket<'_>,
            ConferenceId, ConferencePacket<'_>, Direct<'_>, ConferenceMessage<'_>,
            ForwardRequest<'_>, Forwarding<'_>, ForwardReply<'_>, ReturnRoute<'_>, SearchRequest,
            SearchResponse, Found, RetrieveRequest, RetrieveResponse<'_>, StoreRequest<'_>,
            StoreContents<'_>, StoreResponse,
        );
        // The one kind with bytes that nobody reads: its length and its first byte count.
        let accepted = BootstrapInfoRequest::from_bytes(&bytes).is_ok();
        prop_assert_eq!(accepted, bytes.len() == 78 && bytes[0] == 0xf0);
    }

    #[test]
    fn what_is_split_is_the_whole_packet(bytes in anything()) {
        macro_rules! assert_splits {
            ($($header:ty),+) => {$(
                if let Ok((header, boxed)) = <$header>::split(&mut bytes.clone()) {
                    prop_assert_eq!([header.to_bytes(), boxed.to_vec()].concat(), &bytes[..]);
                }
            )+};
        }
        assert_splits!(
            Header, DhtRequestHeader, CookieRequestHeader, CookieResponseHeader, HandshakeHeader,
            AnnounceRequestHeader, AnnounceResponseHeader, DataRequestHeader, DataResponseHeader,
            RelayHelloHeader, RelayAnswerHeader
        );
        if let Ok((header, boxed, back)) = SendHeader::split(&mut bytes.clone()) {
            let whole = [&header.to_bytes()[..], boxed, back.as_bytes()].concat();
            prop_assert_eq!(whole, &bytes[..]);
        }
        if let Ok((request, back)) = split_request(&mut bytes.clone()) {
            prop_assert_eq!([&*request, back.as_bytes()].concat(), &bytes[..]);
        }
        if let Ok((low, boxed)) = split_crypto_data(&mut bytes.clone()) {
            let whole = [&[0x1b][..], &low.to_be_bytes(), boxed].concat();
            prop_assert_eq!(whole, &bytes[..]);
        }
        if let Ok(Some((boxed, rest))) = split_frame(&mut bytes.clone()) {
            let length = (boxed.len() as u16).to_be_bytes();
            prop_assert_eq!([&length[..], boxed, rest].concat(), &bytes[..]);
        }
    }
}

//! The first byte of a datagram (Tox Reference, "Packet kind"; research note `tox.md` 1.1).
//!
//! Each kind's constant stands with its subject; here they stand together, for whoever sorts
//! datagrams or counts them.

use crate::onion::Hop;
use crate::{announcement, bootstrap_info, dht, forwarding, lan, onion, session};

/// What kind of packet a datagram claims to be.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
#[repr(u8)]
pub enum Kind {
    /// [`dht::Ping`].
    PingRequest = dht::PING_REQUEST,
    /// [`dht::Ping`].
    PingResponse = dht::PING_RESPONSE,
    /// [`dht::NodesRequest`].
    NodesRequest = dht::NODES_REQUEST,
    /// [`dht::NodesResponse`].
    NodesResponse = dht::NODES_RESPONSE,
    /// [`session::CookieRequest`].
    CookieRequest = session::COOKIE_REQUEST,
    /// [`session::CookieResponse`].
    CookieResponse = session::COOKIE_RESPONSE,
    /// [`session::Handshake`].
    Handshake = session::HANDSHAKE,
    /// [`session::CryptoData`].
    CryptoData = session::CRYPTO_DATA,
    /// [`dht::DhtRequestHeader`].
    DhtRequest = dht::DHT_REQUEST,
    /// [`lan::LanDiscovery`].
    LanDiscovery = lan::LAN_DISCOVERY,
    /// [`onion::SendHeader`] for the first hop.
    OnionSend1 = Hop::First.send_kind(),
    /// [`onion::SendHeader`] for the second hop.
    OnionSend2 = Hop::Second.send_kind(),
    /// [`onion::SendHeader`] for the third hop.
    OnionSend3 = Hop::Third.send_kind(),
    /// [`onion::AnnounceRequest`].
    AnnounceRequest = onion::ANNOUNCE_REQUEST,
    /// [`onion::AnnounceResponse`].
    AnnounceResponse = onion::ANNOUNCE_RESPONSE,
    /// [`onion::DataRequestHeader`].
    DataRequest = onion::DATA_REQUEST,
    /// [`onion::DataResponseHeader`].
    DataResponse = onion::DATA_RESPONSE,
    /// [`onion::AnnounceRequest`] with extra data.
    ExtendedAnnounceRequest = onion::EXTENDED_ANNOUNCE_REQUEST,
    /// [`onion::ExtendedAnnounceResponse`].
    ExtendedAnnounceResponse = onion::EXTENDED_ANNOUNCE_RESPONSE,
    /// [`onion::OnionResponse`] for the third hop.
    OnionResponse3 = Hop::Third.response_kind(),
    /// [`onion::OnionResponse`] for the second hop.
    OnionResponse2 = Hop::Second.response_kind(),
    /// [`onion::OnionResponse`] for the first hop.
    OnionResponse1 = Hop::First.response_kind(),
    /// [`forwarding::ForwardRequest`].
    ForwardRequest = forwarding::FORWARD_REQUEST,
    /// [`forwarding::Forwarding`].
    Forwarding = forwarding::FORWARDING,
    /// [`forwarding::ForwardReply`].
    ForwardReply = forwarding::FORWARD_REPLY,
    /// [`announcement::SearchRequest`].
    SearchRequest = announcement::SEARCH_REQUEST,
    /// [`announcement::SearchResponse`].
    SearchResponse = announcement::SEARCH_RESPONSE,
    /// [`announcement::RetrieveRequest`].
    RetrieveRequest = announcement::RETRIEVE_REQUEST,
    /// [`announcement::RetrieveResponse`].
    RetrieveResponse = announcement::RETRIEVE_RESPONSE,
    /// [`announcement::StoreRequest`].
    StoreRequest = announcement::STORE_REQUEST,
    /// [`announcement::StoreResponse`].
    StoreResponse = announcement::STORE_RESPONSE,
    /// [`bootstrap_info::BootstrapInfo`] and its request.
    BootstrapInfo = bootstrap_info::BOOTSTRAP_INFO,
}

impl Kind {
    /// All kinds, in the order of their bytes.
    pub const ALL: [Self; 32] = [
        Self::PingRequest,
        Self::PingResponse,
        Self::NodesRequest,
        Self::NodesResponse,
        Self::CookieRequest,
        Self::CookieResponse,
        Self::Handshake,
        Self::CryptoData,
        Self::DhtRequest,
        Self::LanDiscovery,
        Self::OnionSend1,
        Self::OnionSend2,
        Self::OnionSend3,
        Self::AnnounceRequest,
        Self::AnnounceResponse,
        Self::DataRequest,
        Self::DataResponse,
        Self::ExtendedAnnounceRequest,
        Self::ExtendedAnnounceResponse,
        Self::OnionResponse3,
        Self::OnionResponse2,
        Self::OnionResponse1,
        Self::ForwardRequest,
        Self::Forwarding,
        Self::ForwardReply,
        Self::SearchRequest,
        Self::SearchResponse,
        Self::RetrieveRequest,
        Self::RetrieveResponse,
        Self::StoreRequest,
        Self::StoreResponse,
        Self::BootstrapInfo,
    ];

    /// The byte.
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// The kind that a datagram's first byte names.
    pub fn of(datagram: &[u8]) -> Option<Self> {
        let first = datagram.first()?;
        let index = Self::ALL.binary_search_by_key(first, |kind| kind.byte()).ok()?;
        Self::ALL.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_its_own_kind_or_none() {
        assert!(Kind::ALL.is_sorted_by(|a, b| a.byte() < b.byte()));
        for byte in 0..=u8::MAX {
            let expected = Kind::ALL.into_iter().find(|kind| kind.byte() == byte);
            assert_eq!(Kind::of(&[byte, 0]), expected);
        }
        assert_eq!(Kind::of(&[]), None);
    }
}

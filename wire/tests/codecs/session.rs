//! The packets of sessions, and the frames of channels within them.

use proptest::prelude::*;
use toktok_wire::channel::{Frame, Hello, MAX_FRAGMENT};
use toktok_wire::session::Cookie;
use toktok_wire::session::{
    CookieContents, CookieRequest, CookieRequestHeader, CookieResponse, CookieResponseHeader,
    CryptoData, DataHeader, Handshake, HandshakeHeader, PacketRequest,
};
use toktok_wire::{Decode, Encode};

use crate::strategies::{bytes, cookie, key, nonce};

proptest! {
    #[test]
    fn cookies(time: u64, a in key(), b in key(), cookie in cookie()) {
        assert_exact!(CookieContents, CookieContents { time, key: a, dht_key: b });
        assert_exact!(Cookie, cookie);
    }

    #[test]
    fn cookie_requests(sender in key(), nonce in nonce(), key in key(), unused: [u8; 32], echo: [u8; 8]) {
        assert_exact!(CookieRequestHeader, CookieRequestHeader { sender, nonce });
        assert_exact!(CookieRequest, CookieRequest { key, unused, echo });
    }

    #[test]
    fn cookie_responses(nonce in nonce(), cookie in cookie(), echo: [u8; 8]) {
        assert_exact!(CookieResponseHeader, CookieResponseHeader { nonce });
        assert_exact!(CookieResponse, CookieResponse { cookie, echo });
    }

    #[test]
    fn handshakes(
        cookies in (cookie(), cookie()),
        nonces in (nonce(), nonce()),
        session_key in key(),
        hash in bytes(64..=64),
    ) {
        assert_exact!(HandshakeHeader, HandshakeHeader { cookie: cookies.0, nonce: nonces.0 });
        assert_exact!(Handshake, Handshake {
            base_nonce: nonces.1,
            session_key,
            cookie_hash: hash.try_into().expect("64 bytes"),
            other_cookie: cookies.1,
        });
    }

    #[test]
    fn crypto_data(received: u32, number: u32, padding in 0usize..20, id in 1u8.., data in bytes(0..=60)) {
        let header = DataHeader { received, number };
        assert_exact!(DataHeader, header);
        let value = CryptoData { header, padding, id, data: &data };
        assert_open_ended!(CryptoData<'_>, value, DataHeader::LEN + padding + 1);
    }

    #[test]
    fn packet_requests(distances in bytes(0..=60)) {
        assert_open_ended!(PacketRequest<'_>, PacketRequest { distances: &distances }, 0);
    }

    #[test]
    fn hellos(oldest in 1u8.., more: u8, extensions in bytes(0..=60)) {
        let newest = oldest.saturating_add(more);
        assert_open_ended!(Hello<'_>, Hello { oldest, newest, extensions: &extensions }, 2);
    }

    #[test]
    fn frames(channel: u32, credit: u32, last: bool, protocol in "[a-z0-9/é]{1,32}", data in bytes(0..=MAX_FRAGMENT)) {
        assert_exact!(Frame<'_>, Frame::Accept { channel, credit });
        assert_exact!(Frame<'_>, Frame::Refuse { channel });
        assert_exact!(Frame<'_>, Frame::Credit { channel, bytes: credit });
        assert_exact!(Frame<'_>, Frame::Close { channel });
        assert_open_ended!(Frame<'_>, Frame::Open { channel, credit, protocol: &protocol }, 10);
        assert_open_ended!(Frame<'_>, Frame::Data { channel, last, bytes: &data }, 5);
    }
}

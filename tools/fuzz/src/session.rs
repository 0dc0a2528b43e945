//! Session packets: whole datagrams, and what their boxes contain.

use toktok_wire::Encode;
use toktok_wire::session::{
    Cookie, CookieContents, CookieRequest, CookieRequestHeader, CookieResponse,
    CookieResponseHeader, CryptoData, Handshake, HandshakeHeader, PacketRequest, split_crypto_data,
};

use crate::check::{canonical, whole};

/// A datagram of a session, or a payload of one.
pub fn session(data: &[u8]) {
    datagrams(data);
    canonical::<CookieRequest>(data);
    canonical::<CookieResponse>(data);
    canonical::<Cookie>(data);
    canonical::<CookieContents>(data);
    canonical::<Handshake>(data);
    if let Some(data) = canonical::<CryptoData<'_>>(data) {
        assert_ne!(data.id, 0, "padding taken for a data id");
    }
    if let Some(request) = canonical::<PacketRequest<'_>>(data) {
        requests(request);
    }
}

fn datagrams(data: &[u8]) {
    let mut packet = data.to_vec();
    if let Ok((header, boxed)) = CookieRequestHeader::split(&mut packet) {
        whole(data, &[&header.to_bytes(), boxed]);
    }
    if let Ok((header, boxed)) = CookieResponseHeader::split(&mut packet) {
        whole(data, &[&header.to_bytes(), boxed]);
    }
    if let Ok((header, boxed)) = HandshakeHeader::split(&mut packet) {
        whole(data, &[&header.to_bytes(), boxed]);
    }
    if let Ok((low, boxed)) = split_crypto_data(&mut packet) {
        whole(data, &[&[0x1b], &low.to_be_bytes(), boxed]);
    }
}

/// What a request names as missing is ascending and within what it covers, and writing it again
/// names the same.
fn requests(request: PacketRequest<'_>) {
    let missing: Vec<_> = request.missing().collect();
    assert!(missing.is_sorted_by(|a, b| a < b));
    assert!(missing.last().is_none_or(|last| *last < request.covered()));
    let mut again = Vec::new();
    PacketRequest::write(missing.iter().copied(), request.covered(), usize::MAX, &mut again);
    assert!(PacketRequest { distances: &again }.missing().eq(missing));
}

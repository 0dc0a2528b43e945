//! Unsealed datagrams: LAN discovery and bootstrap info.

use toktok_wire::Decode;
use toktok_wire::bootstrap_info::{BootstrapInfo, BootstrapInfoRequest, MAX_MOTD};
use toktok_wire::lan::LanDiscovery;

use crate::check::canonical;

/// A datagram that anyone can write.
pub fn lan(data: &[u8]) {
    canonical::<LanDiscovery>(data);
    if let Some(info) = canonical::<BootstrapInfo<'_>>(data) {
        assert!(info.text().len() <= MAX_MOTD);
    }
    // The request's 77 bytes are never read, so that it has many encodings: only its shape counts.
    let accepted = BootstrapInfoRequest::from_bytes(data).is_ok();
    assert_eq!(accepted, data.len() == BootstrapInfoRequest::LEN && data.first() == Some(&0xf0));
}

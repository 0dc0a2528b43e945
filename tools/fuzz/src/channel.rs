//! TokTok's packets inside a session: hello and channel frames.

use toktok_wire::channel::{Frame, Hello, MAX_PROTOCOL_NAME};

use crate::check::canonical;

/// The data of a custom lossless packet, its id taken off.
pub fn channel(data: &[u8]) {
    if let Some(hello) = canonical::<Hello<'_>>(data) {
        assert!(!hello.versions().is_empty() && !hello.versions().contains(&0));
    }
    match canonical::<Frame<'_>>(data) {
        Some(Frame::Open { protocol, .. }) => {
            assert!((1..=MAX_PROTOCOL_NAME).contains(&protocol.len()));
        }
        Some(Frame::Data { channel, last, bytes }) => {
            assert_eq!([&Frame::data_head(channel, last)[..], bytes].concat(), data);
        }
        _ => {}
    }
}

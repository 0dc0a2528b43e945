//! TCP relays: hello and answer, a stream of frames, and the packets in them.

use toktok_wire::Encode;
use toktok_wire::relay::{
    MAX_FRAME, RelayAnswerHeader, RelayHelloHeader, RelayKeys, RelayPacket, split_frame,
};
use toktok_wire::sealed::TAG_LEN;

use crate::check::{canonical, whole};

/// What a TCP connection brings, or a packet of it.
pub fn relay(data: &[u8]) {
    let mut message = data.to_vec();
    if let Ok((header, boxed)) = RelayHelloHeader::split(&mut message) {
        whole(data, &[&header.to_bytes(), boxed]);
    }
    if let Ok((header, boxed)) = RelayAnswerHeader::split(&mut message) {
        whole(data, &[&header.to_bytes(), boxed]);
    }
    canonical::<RelayKeys>(data);
    canonical::<RelayPacket<'_>>(data);
    stream(&mut message);
}

/// Takes frame after frame off the stream, as far as there are any. The boxes are read as if they
/// were open already, for no fuzzer seals one.
fn stream(mut stream: &mut [u8]) {
    while let Ok(Some((boxed, rest))) = split_frame(stream) {
        assert!(boxed.len() <= MAX_FRAME);
        canonical::<RelayPacket<'_>>(&boxed[TAG_LEN..]);
        stream = rest;
    }
}

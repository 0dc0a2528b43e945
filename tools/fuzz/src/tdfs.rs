//! What neighbours of the file system tell each other.

use bytes::Bytes;
use toktok_tdfs::route::message::Message;

/// A message that is accepted is written again as the same message. (Not as the same bytes: protobuf
/// lets a sender order fields as it likes, and later versions may add some.)
pub fn tdfs_message(data: &[u8]) {
    let Ok(message) = Message::decode(Bytes::copy_from_slice(data)) else { return };
    let written = message.encode();
    assert_eq!(Message::decode(written.clone()).as_ref(), Ok(&message));
    assert_eq!(message.encode(), written, "one message, one encoding");
}

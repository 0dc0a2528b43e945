//! Bytes written by hand from the layouts in the research note, and the limits. Laws for arbitrary
//! values stand in `tests/codecs/`.

use super::file::{FILE_ID_LEN, MAX_FILE_NAME, UNKNOWN_FILE_SIZE};
use super::*;

fn assert_golden(packet: MessengerPacket<'_>, bytes: &[u8]) {
    assert_eq!(packet.to_bytes(), bytes);
    assert_eq!(MessengerPacket::from_bytes(bytes), Ok(packet));
    assert_eq!(packet.body(), bytes[1..]);
    assert_eq!(MessengerPacket::from_parts(packet.id(), &bytes[1..]), Ok(packet));
}

#[test]
fn golden_presence_and_messages() {
    assert_golden(MessengerPacket::Online, &[24]);
    assert_golden(MessengerPacket::Offline, &[25]);
    assert_golden(MessengerPacket::Name(b"Ada"), b"\x30Ada");
    assert_golden(MessengerPacket::Name(b""), b"\x30");
    assert_golden(MessengerPacket::StatusMessage(b"here"), b"\x31here");
    assert_golden(MessengerPacket::UserStatus(UserStatus::Busy), &[50, 2]);
    assert_golden(MessengerPacket::Typing(true), &[51, 1]);
    let (kind, text) = (MessageKind::Normal, &b"hi"[..]);
    assert_golden(MessengerPacket::Message { kind, text }, b"\x40hi");
    let kind = MessageKind::Action;
    assert_golden(MessengerPacket::Message { kind, text }, b"\x41hi");
}

#[test]
fn golden_files() {
    let (kind, id) = (FileKind::AVATAR, [9; FILE_ID_LEN]);
    let request = FileRequest { file: 5, kind, size: 0x0102, id, name: b"a.png" };
    let mut bytes = vec![80, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2];
    bytes.extend([9; 32]);
    bytes.extend(b"a.png");
    assert_golden(MessengerPacket::FileRequest(request), &bytes);

    let (side, file) = (FileSide::Receiver, 5);
    let accept = FileControlPacket { side, file, control: FileControl::Accept };
    assert_golden(MessengerPacket::FileControl(accept), &[81, 1, 5, 0]);
    let seek = FileControlPacket { side, file, control: FileControl::Seek(0x0304) };
    assert_golden(MessengerPacket::FileControl(seek), &[81, 1, 5, 3, 0, 0, 0, 0, 0, 0, 3, 4]);
    let kill = FileControlPacket { side: side.other(), file, control: FileControl::Kill };
    assert_golden(MessengerPacket::FileControl(kill), &[81, 0, 5, 2]);

    assert_golden(MessengerPacket::FileData { file: 5, data: b"data" }, b"\x52\x05data");
    assert_golden(MessengerPacket::FileData { file: 255, data: b"" }, &[82, 255]);
}

/// What the field's longest value and one byte more decode to.
fn edge(packet: impl Fn(&[u8]) -> Vec<u8>, limit: usize) -> [Result<(), DecodeError>; 2] {
    [limit, limit + 1].map(|len| MessengerPacket::from_bytes(&packet(&vec![b'x'; len])).map(|_| ()))
}

#[test]
fn every_text_has_its_limit() {
    let over = |what, limit| [Ok(()), Err(DecodeError::Limit { what, limit, got: limit + 1 })];
    let after = |head: &'static [u8]| move |text: &[u8]| [head, text].concat();
    assert_eq!(edge(after(&[48]), MAX_NAME), over("name", 128));
    assert_eq!(edge(after(&[49]), MAX_STATUS_MESSAGE), over("status message", 1007));
    assert_eq!(edge(after(&[64]), MAX_MESSAGE), over("message", 1372));
    assert_eq!(edge(after(&[65]), MAX_MESSAGE), over("message", 1372));
    assert_eq!(edge(after(&[82, 0]), MAX_FILE_DATA), over("file data", 1371));
    let request = |name: &[u8]| {
        let (kind, size, id) = (FileKind(77), UNKNOWN_FILE_SIZE, [0; FILE_ID_LEN]);
        MessengerPacket::FileRequest(FileRequest { file: 0, kind, size, id, name }).to_bytes()
    };
    assert_eq!(edge(request, MAX_FILE_NAME), over("file name", 255));
}

#[test]
fn what_nobody_writes_is_refused() {
    let refused = |bytes: &[u8], error| assert_eq!(MessengerPacket::from_bytes(bytes), Err(error));
    refused(&[64], DecodeError::Truncated { need: 1, have: 0 });
    refused(&[24, 0], DecodeError::Trailing(1));
    refused(&[50, 3], DecodeError::Invalid("user status"));
    refused(&[51, 2], DecodeError::Invalid("typing"));
    refused(&[81, 2, 0, 0], DecodeError::Invalid("file side"));
    refused(&[81, 0, 0, 4], DecodeError::Invalid("file control"));
    refused(&[81, 0, 0, 0, 0], DecodeError::Trailing(1));
    refused(&[96, 0], DecodeError::Kind(96));
}

//! File transfers between friends: the offer of a file, and what both sides say about it (research
//! note `tox.md` 1.10). Each side numbers the files that it sends, from 0 to 255.

use crate::codec::{Decode, DecodeError, Encode, Reader};

/// Files that one side can send at a time: as many as there are numbers.
pub const MAX_FILES: usize = 256;
/// Longest name of a file.
pub const MAX_FILE_NAME: usize = 255;
/// Length of a file's id.
pub const FILE_ID_LEN: usize = 32;
/// The size of a file, if nobody knows it: a stream.
pub const UNKNOWN_FILE_SIZE: u64 = u64::MAX;

/// What a file is for. Numbers without a name are passed on to the person's client as they are.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileKind(pub u32);

impl FileKind {
    /// A file as any other.
    pub const DATA: Self = Self(0);
    /// The sender's picture: its id is its hash, and no bytes mean that there is none.
    pub const AVATAR: Self = Self(1);
    /// A sticker; its id is its hash.
    pub const STICKER: Self = Self(2);
    /// A file whose id is its SHA-1 hash, padded.
    pub const SHA1: Self = Self(3);
    /// A file whose id is its SHA-256 hash.
    pub const SHA256: Self = Self(4);
}

/// 80: the sender offers a file. Number 1, kind 4, size 8, id 32, and its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileRequest<'a> {
    /// The number that the sender gives to it.
    pub file: u8,
    /// What it is for.
    pub kind: FileKind,
    /// Bytes, or [`UNKNOWN_FILE_SIZE`].
    pub size: u64,
    /// By this both sides know it again after a break.
    pub id: [u8; FILE_ID_LEN],
    /// Up to [`MAX_FILE_NAME`] bytes, UTF-8 by custom only. A stranger chose it: it is no path.
    pub name: &'a [u8],
}

impl FileRequest<'_> {
    const HEAD: usize = 1 + 4 + 8 + FILE_ID_LEN;
}

impl Encode for FileRequest<'_> {
    fn encoded_len(&self) -> usize {
        Self::HEAD + self.name.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.file);
        out.extend_from_slice(&self.kind.0.to_be_bytes());
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend_from_slice(&self.id);
        out.extend_from_slice(self.name);
    }
}

impl<'a> Decode<'a> for FileRequest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            file: reader.u8()?,
            kind: FileKind(reader.u32()?),
            size: reader.u64()?,
            id: reader.array()?,
            name: reader.rest_within("file name", 0..=MAX_FILE_NAME)?,
        })
    }
}

/// Which side of a transfer the sender of a control is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum FileSide {
    /// 0: it sends the file.
    Sender,
    /// 1: it receives the file.
    Receiver,
}

impl FileSide {
    /// The other side.
    pub const fn other(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }
}

/// What one side wants of a transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FileControl {
    /// 0: begin, or go on after a pause.
    Accept,
    /// 1: pause.
    Pause,
    /// 2: end it; the file is not wanted, not there, or not known.
    Kill,
    /// 3: begin at this byte. Only the receiver says so, and before it accepts.
    Seek(u64),
}

const ACCEPT: u8 = 0;
const PAUSE: u8 = 1;
const KILL: u8 = 2;
const SEEK: u8 = 3;

/// 81: one side of a transfer wants something. Side 1, number 1, control 1, and of a seek the place 8.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileControlPacket {
    /// Which side of the transfer the sender of this packet is. c-toxcore takes any number but 1 for
    /// [`FileSide::Sender`] and writes 0; here any other number is refused.
    pub side: FileSide,
    /// The number that the file's sender gave to it.
    pub file: u8,
    /// What is wanted.
    pub control: FileControl,
}

impl Encode for FileControlPacket {
    fn encoded_len(&self) -> usize {
        match self.control {
            FileControl::Seek(_) => 3 + 8,
            FileControl::Accept | FileControl::Pause | FileControl::Kill => 3,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.side == FileSide::Receiver));
        out.push(self.file);
        match self.control {
            FileControl::Accept => out.push(ACCEPT),
            FileControl::Pause => out.push(PAUSE),
            FileControl::Kill => out.push(KILL),
            FileControl::Seek(position) => {
                out.push(SEEK);
                out.extend_from_slice(&position.to_be_bytes());
            }
        }
    }
}

impl<'a> Decode<'a> for FileControlPacket {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let side = match reader.u8()? {
            0 => FileSide::Sender,
            1 => FileSide::Receiver,
            _ => return Err(DecodeError::Invalid("file side")),
        };
        let file = reader.u8()?;
        let control = match reader.u8()? {
            ACCEPT => FileControl::Accept,
            PAUSE => FileControl::Pause,
            KILL => FileControl::Kill,
            SEEK => FileControl::Seek(reader.u64()?),
            _ => return Err(DecodeError::Invalid("file control")),
        };
        Ok(Self { side, file, control })
    }
}

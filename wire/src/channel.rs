//! TokTok's own packets inside a Tox session: a greeting ([`Hello`], data id 160) and the frames of
//! channels ([`Frame`], data id 161). Both are custom lossless packets, which other Tox clients ignore.

use core::ops::RangeInclusive;

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::session::MAX_CRYPTO_DATA;

/// The version of channels that this code speaks.
pub const CHANNEL_VERSION: u8 = 1;

/// Longest protocol name in bytes.
pub const MAX_PROTOCOL_NAME: usize = 64;

/// Bytes of a data frame that are not message: data id, frame kind, channel.
pub const DATA_FRAME_OVERHEAD: usize = 1 + 1 + 4;

/// Most bytes of a message in one data frame.
pub const MAX_FRAGMENT: usize = MAX_CRYPTO_DATA - DATA_FRAME_OVERHEAD;

/// The first packet on a session between TokTok nodes: versions 2, and fields that later versions
/// append, which this one skips.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hello<'a> {
    /// Oldest version of channels that the sender speaks; 1 or more.
    pub oldest: u8,
    /// Newest version of channels that the sender speaks; not below `oldest`.
    pub newest: u8,
    /// What later versions append.
    pub extensions: &'a [u8],
}

impl Hello<'_> {
    /// All versions that the sender speaks.
    pub fn versions(&self) -> RangeInclusive<u8> {
        self.oldest..=self.newest
    }
}

impl Encode for Hello<'_> {
    fn encoded_len(&self) -> usize {
        2 + self.extensions.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.oldest, self.newest]);
        out.extend_from_slice(self.extensions);
    }
}

impl<'a> Decode<'a> for Hello<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (oldest, newest) = (reader.u8()?, reader.u8()?);
        if oldest == 0 || newest < oldest {
            return Err(DecodeError::Invalid("channel versions"));
        }
        Ok(Self { oldest, newest, extensions: reader.take_rest() })
    }
}

/// One step in the life of a channel. Channels are numbered by who opens them: the side with the
/// smaller long-term key takes even numbers, the other odd ones, none twice in a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Frame<'a> {
    /// The sender wants to speak `protocol`.
    Open {
        /// The channel's number.
        channel: u32,
        /// Bytes of messages that the receiver may send before it is given more credit.
        credit: u32,
        /// 1 to [`MAX_PROTOCOL_NAME`] bytes.
        protocol: &'a str,
    },
    /// Answers [`Frame::Open`]: the channel stands.
    Accept {
        /// The channel's number.
        channel: u32,
        /// Bytes of messages that the receiver may send before it is given more credit.
        credit: u32,
    },
    /// Answers [`Frame::Open`]: the sender does not speak this protocol (here, now, with you).
    Refuse {
        /// The channel's number.
        channel: u32,
    },
    /// A piece of a message.
    Data {
        /// The channel's number.
        channel: u32,
        /// True for a message's last piece.
        last: bool,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The receiver may send so many bytes more.
    Credit {
        /// The channel's number.
        channel: u32,
        /// Bytes of messages.
        bytes: u32,
    },
    /// The sender has said everything and hears no more.
    Close {
        /// The channel's number.
        channel: u32,
    },
}

const OPEN: u8 = 0;
const ACCEPT: u8 = 1;
const REFUSE: u8 = 2;
const MORE: u8 = 3;
const LAST: u8 = 4;
const CREDIT: u8 = 5;
const CLOSE: u8 = 6;

impl Frame<'_> {
    /// The channel it is about.
    pub const fn channel(&self) -> u32 {
        match *self {
            Self::Open { channel, .. }
            | Self::Accept { channel, .. }
            | Self::Refuse { channel }
            | Self::Data { channel, .. }
            | Self::Credit { channel, .. }
            | Self::Close { channel } => channel,
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Open { .. } => OPEN,
            Self::Accept { .. } => ACCEPT,
            Self::Refuse { .. } => REFUSE,
            Self::Data { last: false, .. } => MORE,
            Self::Data { last: true, .. } => LAST,
            Self::Credit { .. } => CREDIT,
            Self::Close { .. } => CLOSE,
        }
    }

    /// The bytes in front of a data frame's piece: what `encode` would write before it.
    pub fn data_head(channel: u32, last: bool) -> [u8; 5] {
        let [a, b, c, d] = channel.to_be_bytes();
        [if last { LAST } else { MORE }, a, b, c, d]
    }
}

impl Encode for Frame<'_> {
    fn encoded_len(&self) -> usize {
        5 + match self {
            Self::Open { protocol, .. } => 4 + protocol.len(),
            Self::Accept { .. } | Self::Credit { .. } => 4,
            Self::Refuse { .. } | Self::Close { .. } => 0,
            Self::Data { bytes, .. } => bytes.len(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind());
        out.extend_from_slice(&self.channel().to_be_bytes());
        match self {
            Self::Open { credit, protocol, .. } => {
                out.extend_from_slice(&credit.to_be_bytes());
                out.extend_from_slice(protocol.as_bytes());
            }
            Self::Accept { credit: bytes, .. } | Self::Credit { bytes, .. } => {
                out.extend_from_slice(&bytes.to_be_bytes());
            }
            Self::Refuse { .. } | Self::Close { .. } => {}
            Self::Data { bytes, .. } => out.extend_from_slice(bytes),
        }
    }
}

impl<'a> Decode<'a> for Frame<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let kind = reader.u8()?;
        let channel = reader.u32()?;
        Ok(match kind {
            OPEN => Self::Open { channel, credit: reader.u32()?, protocol: protocol_name(reader)? },
            ACCEPT => Self::Accept { channel, credit: reader.u32()? },
            REFUSE => Self::Refuse { channel },
            MORE | LAST => Self::Data { channel, last: kind == LAST, bytes: reader.take_rest() },
            CREDIT => Self::Credit { channel, bytes: reader.u32()? },
            CLOSE => Self::Close { channel },
            _ => return Err(DecodeError::Invalid("channel frame kind")),
        })
    }
}

/// All that is left, as a protocol's name.
fn protocol_name<'a>(reader: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
    let bytes = reader.take_rest();
    if bytes.is_empty() {
        return Err(DecodeError::Truncated { need: 1, have: 0 });
    }
    if bytes.len() > MAX_PROTOCOL_NAME {
        let (limit, got) = (MAX_PROTOCOL_NAME, bytes.len());
        return Err(DecodeError::Limit { what: "protocol name", limit, got });
    }
    core::str::from_utf8(bytes).map_err(|_| DecodeError::Invalid("protocol name"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_round_trip(
            kind in 0u8..7,
            channel: u32,
            number: u32,
            name in "[a-z/0-9é]{1,32}",
            bytes in prop::collection::vec(any::<u8>(), 0..MAX_FRAGMENT),
        ) {
            let frame = match kind {
                OPEN => Frame::Open { channel, credit: number, protocol: &name },
                ACCEPT => Frame::Accept { channel, credit: number },
                REFUSE => Frame::Refuse { channel },
                CREDIT => Frame::Credit { channel, bytes: number },
                CLOSE => Frame::Close { channel },
                kind => Frame::Data { channel, last: kind == LAST, bytes: &bytes },
            };
            let encoded = frame.to_bytes();
            prop_assert_eq!(Frame::from_bytes(&encoded), Ok(frame));
            if let Frame::Data { last, bytes, .. } = frame {
                prop_assert_eq!(&encoded[..5], &Frame::data_head(channel, last));
                prop_assert_eq!(&encoded[5..], bytes);
            } else {
                for len in 0..encoded.len() {
                    let shorter = Frame::from_bytes(&encoded[..len]);
                    prop_assert!(shorter.is_err() || kind == OPEN);
                }
            }
        }

        #[test]
        fn hellos_round_trip(oldest: u8, newest: u8, extensions: Vec<u8>) {
            let hello = Hello { oldest, newest, extensions: &extensions };
            let bytes = hello.to_bytes();
            let valid = oldest > 0 && newest >= oldest;
            prop_assert_eq!(Hello::from_bytes(&bytes).ok(), valid.then_some(hello));
        }

        #[test]
        fn accepted_bytes_encode_to_themselves(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(frame) = Frame::from_bytes(&bytes) {
                prop_assert_eq!(frame.to_bytes(), bytes.clone());
            }
            if let Ok(hello) = Hello::from_bytes(&bytes) {
                prop_assert_eq!(hello.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn a_name_is_text_of_1_to_64_bytes() {
        let open = |name: &[u8]| {
            let mut bytes = vec![OPEN, 0, 0, 0, 0, 0, 0, 0, 0];
            bytes.extend_from_slice(name);
            Frame::from_bytes(&bytes).map(|frame| frame.channel())
        };
        assert_eq!(open(&[b'x'; 64]), Ok(0));
        assert!(matches!(open(&[b'x'; 65]), Err(DecodeError::Limit { got: 65, .. })));
        assert!(matches!(open(b""), Err(DecodeError::Truncated { .. })));
        assert_eq!(open(&[0xff]), Err(DecodeError::Invalid("protocol name")));
        assert_eq!(
            Frame::from_bytes(&[7, 0, 0, 0, 0]),
            Err(DecodeError::Invalid("channel frame kind"))
        );
    }
}

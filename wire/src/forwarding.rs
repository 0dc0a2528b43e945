//! Forwarding: a node hands data to a node that it knows, for somebody who does not reach that node
//! himself, and the answer goes back the way the data came. The Tox Reference does not know it;
//! research note `tox.md` 1.4.
//!
//! A [`ForwardRequest`] goes to the forwarder, which sends a [`Forwarding`] to the next node; in front of
//! the data stands a sendback, which that node repeats in its [`ForwardReply`]. Nobody but the forwarder
//! can make one, so it keeps nothing. If the data is a forward request again, the next node is a
//! forwarder too: up to [`MAX_FORWARD_CHAIN`] of them.

use crate::address::IpPort;
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::PublicKey;

/// Packet kind of a forward request.
pub const FORWARD_REQUEST: u8 = 0x90;
/// Packet kind of forwarded data.
pub const FORWARDING: u8 = 0x91;
/// Packet kind of an answer to forwarded data.
pub const FORWARD_REPLY: u8 = 0x92;

/// Most forwarders of one packet.
pub const MAX_FORWARD_CHAIN: usize = 4;
/// Longest sendback; a length of 255 is reserved.
pub const MAX_SENDBACK: usize = 254;
/// Most bytes that are forwarded: with kind and the longest sendback they fill a datagram.
pub const MAX_FORWARD_DATA: usize = 2048 - (1 + 1 + MAX_SENDBACK);

/// To a forwarder: hand `data` to the node with this key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ForwardRequest<'a> {
    /// The DHT key of the node.
    pub next: PublicKey,
    /// At most [`MAX_FORWARD_DATA`] bytes: a packet for the node, or another forward request.
    pub data: &'a [u8],
}

impl Encode for ForwardRequest<'_> {
    fn encoded_len(&self) -> usize {
        1 + PublicKey::LEN + self.data.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORWARD_REQUEST);
        self.next.encode(out);
        out.extend_from_slice(self.data);
    }
}

impl<'a> Decode<'a> for ForwardRequest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(FORWARD_REQUEST)?;
        Ok(Self { next: PublicKey::decode(reader)?, data: forward_data(reader)? })
    }
}

/// Wraps `data` into one forward request for each key of `chain`, of which the last is the receiver's:
/// the first forwarder hands it to the first key, and so on. `None` if the chain is empty or longer
/// than [`MAX_FORWARD_CHAIN`], or the whole too long for the first forwarder.
pub fn forward_chain(chain: &[PublicKey], data: &[u8]) -> Option<Vec<u8>> {
    let len = chain.len() * (1 + PublicKey::LEN) + data.len();
    let is_fit = (1..=MAX_FORWARD_CHAIN).contains(&chain.len())
        && len - (1 + PublicKey::LEN) <= MAX_FORWARD_DATA;
    is_fit.then(|| {
        let mut packet = Vec::with_capacity(len);
        for next in chain {
            ForwardRequest { next: *next, data: &[] }.encode(&mut packet);
        }
        packet.extend_from_slice(data);
        packet
    })
}

/// From a forwarder: `data`, and the sendback to repeat in the answer. Without a sendback this is
/// the answer, at the end of its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Forwarding<'a> {
    /// At most [`MAX_SENDBACK`] bytes.
    pub sendback: &'a [u8],
    /// At most [`MAX_FORWARD_DATA`] bytes.
    pub data: &'a [u8],
}

impl Encode for Forwarding<'_> {
    fn encoded_len(&self) -> usize {
        1 + returned_len(self.sendback, self.data)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORWARDING);
        encode_returned(self.sendback, self.data, out);
    }
}

impl<'a> Decode<'a> for Forwarding<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(FORWARDING)?;
        Ok(Self { sendback: sendback(reader)?, data: forward_data(reader)? })
    }
}

/// To a forwarder: the answer `data` for whoever the sendback leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ForwardReply<'a> {
    /// The sendback of the [`Forwarding`] that is answered.
    pub sendback: &'a [u8],
    /// At most [`MAX_FORWARD_DATA`] bytes.
    pub data: &'a [u8],
}

impl Encode for ForwardReply<'_> {
    fn encoded_len(&self) -> usize {
        1 + returned_len(self.sendback, self.data)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORWARD_REPLY);
        encode_returned(self.sendback, self.data, out);
    }
}

impl<'a> Decode<'a> for ForwardReply<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(FORWARD_REPLY)?;
        Ok(Self { sendback: sendback(reader)?, data: forward_data(reader)? })
    }
}

fn returned_len(sendback: &[u8], data: &[u8]) -> usize {
    1 + sendback.len() + data.len()
}

fn encode_returned(sendback: &[u8], data: &[u8], out: &mut Vec<u8>) {
    out.push(sendback.len() as u8);
    out.extend_from_slice(sendback);
    out.extend_from_slice(data);
}

fn sendback<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    match usize::from(reader.u8()?) {
        len @ 0..=MAX_SENDBACK => reader.take(len),
        got => Err(DecodeError::Limit { what: "sendback", limit: MAX_SENDBACK, got }),
    }
}

fn forward_data<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    reader.rest_within("forwarded data", 0..=MAX_FORWARD_DATA)
}

/// What a sendback leads to, behind the 32 bytes by which its maker knows it again (c-toxcore's
/// layout, though nobody else reads it).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReturnRoute<'a> {
    /// 0: who sent the request.
    Requester(IpPort),
    /// 1: the forwarder before, with its own sendback.
    Forwarder {
        /// Where it is.
        address: IpPort,
        /// What it expects back.
        sendback: &'a [u8],
    },
    /// 2: a client of the maker's TCP relay, by a number of the maker's.
    Client(u64),
}

impl Encode for ReturnRoute<'_> {
    fn encoded_len(&self) -> usize {
        1 + match self {
            Self::Requester(address) => address.encoded_len(),
            Self::Forwarder { address, sendback } => address.encoded_len() + sendback.len(),
            Self::Client(_) => 8,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Requester(address) => {
                out.push(0);
                address.encode(out);
            }
            Self::Forwarder { address, sendback } => {
                out.push(1);
                address.encode(out);
                out.extend_from_slice(sendback);
            }
            Self::Client(number) => {
                out.push(2);
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
    }
}

impl<'a> Decode<'a> for ReturnRoute<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Requester(IpPort::decode(reader)?),
            1 => Self::Forwarder {
                address: IpPort::decode(reader)?,
                sendback: reader.rest_within("sendback", 0..=MAX_SENDBACK)?,
            },
            2 => Self::Client(reader.u64()?),
            _ => return Err(DecodeError::Invalid("return route")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_unwraps_key_by_key_and_is_bounded() {
        let chain: Vec<_> = (1..=4).map(|byte| PublicKey([byte; 32])).collect();
        let packet = forward_chain(&chain, b"inside").unwrap();
        let mut data = packet.as_slice();
        for key in &chain {
            let request = ForwardRequest::from_bytes(data).unwrap();
            assert_eq!(request.next, *key);
            data = request.data;
        }
        assert_eq!(data, b"inside");
        assert_eq!(forward_chain(&[], b"inside"), None);
        assert_eq!(forward_chain(&[chain[0]; 5], b"inside"), None);
        let most = MAX_FORWARD_DATA - 3 * 33;
        assert!(forward_chain(&chain, &vec![0; most]).is_some());
        assert_eq!(forward_chain(&chain, &vec![0; most + 1]), None);
    }

    #[test]
    fn the_reserved_length_of_a_sendback_is_refused() {
        let mut packet = vec![FORWARD_REPLY, 255];
        packet.extend_from_slice(&[0; 300]);
        let limit = DecodeError::Limit { what: "sendback", limit: 254, got: 255 };
        assert_eq!(ForwardReply::from_bytes(&packet), Err(limit));
        packet[1] = 254;
        assert!(ForwardReply::from_bytes(&packet).is_ok());
    }
}

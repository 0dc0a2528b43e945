//! Crypto data: what follows the handshake, lossless and lossy, and the requests for what got lost
//! (Tox Reference, "Net crypto"; research note `tox.md` 1.6).

use super::{CRYPTO_DATA, CRYPTO_OVERHEAD, MAX_CRYPTO_DATA, MAX_CRYPTO_PACKET, data_id};
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::SharedKey;
use crate::nonce::Nonce;
use crate::sealed::TAG_LEN;

/// Data is padded so that its length leaves the same remainder by this as [`MAX_CRYPTO_DATA`].
const PADDING_BLOCK: usize = 8;

/// Splits a crypto data packet into the last two bytes of its nonce and its box.
///
/// # Errors
/// A [`DecodeError`] for another kind, a box without data, or more than [`MAX_CRYPTO_PACKET`] bytes.
pub fn split_crypto_data(packet: &mut [u8]) -> Result<(u16, &mut [u8]), DecodeError> {
    let have = packet.len();
    if have > MAX_CRYPTO_PACKET {
        let limit = MAX_CRYPTO_PACKET;
        return Err(DecodeError::Limit { what: "crypto data", limit, got: have });
    }
    let need = CRYPTO_OVERHEAD + 1;
    let [kind, high, low, boxed @ ..] = packet else {
        return Err(DecodeError::Truncated { need, have });
    };
    match (*kind, have < need) {
        (CRYPTO_DATA, false) => Ok((u16::from_be_bytes([*high, *low]), boxed)),
        (CRYPTO_DATA, true) => Err(DecodeError::Truncated { need, have }),
        (kind, _) => Err(DecodeError::Kind(kind)),
    }
}

/// A whole crypto data packet: `header`, padding, `id` and the concatenated `parts` of the data.
/// At most [`MAX_CRYPTO_DATA`] bytes of id and data fit; the caller sees to it.
pub fn seal_crypto_data(
    key: &SharedKey,
    nonce: &Nonce,
    header: DataHeader,
    id: u8,
    parts: [&[u8]; 2],
) -> Vec<u8> {
    let len = 1 + parts[0].len() + parts[1].len();
    debug_assert!(len <= MAX_CRYPTO_DATA);
    let padding = MAX_CRYPTO_DATA.saturating_sub(len) % PADDING_BLOCK;
    let mut out = Vec::with_capacity(CRYPTO_OVERHEAD + padding + len);
    out.push(CRYPTO_DATA);
    out.extend_from_slice(&nonce.low_u16().to_be_bytes());
    let boxed = out.len();
    out.resize(boxed + TAG_LEN, 0);
    header.encode(&mut out);
    out.resize(out.len() + padding, data_id::PADDING);
    out.push(id);
    out.extend_from_slice(parts[0]);
    out.extend_from_slice(parts[1]);
    key.seal_in_place(nonce, &mut out[boxed..]);
    out
}

/// The two numbers at the start of every crypto data packet's box.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DataHeader {
    /// The number of the first lossless packet that the sender has not received: all before it are
    /// acknowledged.
    pub received: u32,
    /// Of a lossless packet its number, of any other the number that the next lossless one will have.
    pub number: u32,
}

impl DataHeader {
    /// Length in bytes.
    pub const LEN: usize = 8;
}

impl Encode for DataHeader {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.received.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
    }
}

impl<'a> Decode<'a> for DataHeader {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { received: reader.u32()?, number: reader.u32()? })
    }
}

/// What the box of a crypto data packet contains. How much padding stands in front of the data id is
/// the sender's choice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CryptoData<'a> {
    /// Acknowledgement and number.
    pub header: DataHeader,
    /// Zero bytes in front of the data id.
    pub padding: usize,
    /// See [`data_id`]; never zero.
    pub id: u8,
    /// The data behind the id.
    pub data: &'a [u8],
}

impl Encode for CryptoData<'_> {
    fn encoded_len(&self) -> usize {
        DataHeader::LEN + self.padding + 1 + self.data.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.header.encode(out);
        out.resize(out.len() + self.padding, data_id::PADDING);
        out.push(self.id);
        out.extend_from_slice(self.data);
    }
}

impl<'a> Decode<'a> for CryptoData<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let header = DataHeader::decode(reader)?;
        let rest = reader.take_rest();
        let padding = rest
            .iter()
            .position(|byte| *byte != data_id::PADDING)
            .ok_or(DecodeError::Truncated { need: 1, have: 0 })?;
        match rest.get(padding..) {
            Some([id, data @ ..]) => Ok(Self { header, padding, id: *id, data }),
            _ => Err(DecodeError::Invalid("data id")),
        }
    }
}

/// The data of a packet request: distances between the numbers of missing packets. A byte other than
/// zero is the distance to the next missing packet, a zero says that 255 packets in a row are there.
/// Packets that it passes over have been received. Any bytes are a valid request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PacketRequest<'a> {
    /// The distances.
    pub distances: &'a [u8],
}

impl<'a> PacketRequest<'a> {
    /// How many packets the request says something of, and for each missing one its offset. Offsets
    /// count from the acknowledgement in the packet's own header.
    pub fn missing(&self) -> impl Iterator<Item = u64> + use<'a> {
        let mut next = 0_u64;
        self.distances.iter().filter_map(move |&byte| {
            next += if byte == 0 { 255 } else { u64::from(byte) };
            (byte != 0).then(|| next - 1)
        })
    }

    /// How many packets from the acknowledgement on the request speaks of: all of them that are not
    /// [missing](Self::missing) have been received.
    pub fn covered(&self) -> u64 {
        self.distances.iter().map(|&byte| if byte == 0 { 255 } else { u64::from(byte) }).sum()
    }

    /// Appends the distances that name the ascending offsets `missing`, as many as fit into `limit`
    /// bytes, and then tell that the packets up to `end` (exclusive) are there, as far as whole
    /// blocks of 255 can.
    pub fn write(missing: impl Iterator<Item = u64>, end: u64, limit: usize, out: &mut Vec<u8>) {
        let limit = out.len().saturating_add(limit);
        let mut next = 0;
        for offset in missing {
            while offset - next >= 255 && out.len() < limit {
                out.push(0);
                next += 255;
            }
            if out.len() >= limit {
                return;
            }
            out.push((offset - next + 1) as u8);
            next = offset + 1;
        }
        while next + 255 <= end && out.len() < limit {
            out.push(0);
            next += 255;
        }
    }
}

impl Encode for PacketRequest<'_> {
    fn encoded_len(&self) -> usize {
        self.distances.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.distances);
    }
}

impl<'a> Decode<'a> for PacketRequest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { distances: reader.take_rest() })
    }
}

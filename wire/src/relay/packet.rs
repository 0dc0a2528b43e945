//! What a relay and its clients say to each other (Tox Reference, "TCP server"; research note
//! `tox.md` 1.5 for the ids 10 and 11, and for the data packet, where the Reference is wrong).

use crate::address::IpPort;
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::PublicKey;
use crate::nonce::Nonce;
use crate::onion::check_response;
use crate::sealed::TAG_LEN;

/// Most bytes of an out-of-band message.
pub const MAX_OOB_DATA: usize = 1024;

/// Packet ids; from [`ConnectionId::FIRST`] on, the id is a connection's.
mod id {
    pub(super) const ROUTING_REQUEST: u8 = 0;
    pub(super) const ROUTING_RESPONSE: u8 = 1;
    pub(super) const CONNECTED: u8 = 2;
    pub(super) const DISCONNECTED: u8 = 3;
    pub(super) const PING: u8 = 4;
    pub(super) const PONG: u8 = 5;
    pub(super) const OOB_SEND: u8 = 6;
    pub(super) const OOB_RECEIVE: u8 = 7;
    pub(super) const ONION_REQUEST: u8 = 8;
    pub(super) const ONION_RESPONSE: u8 = 9;
    pub(super) const FORWARD_REQUEST: u8 = 10;
    pub(super) const FORWARDING: u8 = 11;
}

/// A connection between two clients of a relay, as the relay numbered it for one of them: 16 to 255.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(u8);

impl ConnectionId {
    /// Smallest id: those below are packet ids.
    pub const FIRST: u8 = 16;

    /// The connection of this number; `None` below 16.
    pub const fn new(id: u8) -> Option<Self> {
        if id < Self::FIRST { None } else { Some(Self(id)) }
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl Encode for ConnectionId {
    fn encoded_len(&self) -> usize {
        1
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }
}

impl<'a> Decode<'a> for ConnectionId {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Self::new(reader.u8()?).ok_or(DecodeError::Invalid("connection id"))
    }
}

/// A packet between a relay and its client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RelayPacket<'a> {
    /// 0, client to relay: connect me to `key` as soon as it asks for me too.
    RoutingRequest {
        /// The other client.
        key: PublicKey,
    },
    /// 1, relay to client: answers a routing request.
    RoutingResponse {
        /// The number of the connection; `None` if the relay has no room for it.
        connection: Option<ConnectionId>,
        /// The other client.
        key: PublicKey,
    },
    /// 2, relay to client: both clients have asked for each other, and data may flow.
    Connected {
        /// Which connection.
        connection: ConnectionId,
    },
    /// 3, relay to client: the other client is gone. Client to relay: forget this connection.
    Disconnected {
        /// Which connection.
        connection: ConnectionId,
    },
    /// 4, both ways: are you there?
    Ping {
        /// Random, and not 0.
        id: u64,
    },
    /// 5, both ways: answers a ping.
    Pong {
        /// The ping's.
        id: u64,
    },
    /// 6, client to relay: a message to a client that there need be no connection with.
    OobSend {
        /// The other client.
        to: PublicKey,
        /// 1 to [`MAX_OOB_DATA`] bytes.
        data: &'a [u8],
    },
    /// 7, relay to client: such a message.
    OobReceive {
        /// The other client.
        from: PublicKey,
        /// 1 to [`MAX_OOB_DATA`] bytes.
        data: &'a [u8],
    },
    /// 8, client to relay: an onion packet of which the relay is the first hop. The relay knows its
    /// client, so that the first layer needs no box.
    OnionRequest {
        /// The same for the two boxes that are left.
        nonce: Nonce,
        /// The second hop's endpoint.
        next: IpPort,
        /// The key for the second hop's header.
        key: PublicKey,
        /// The second hop's box.
        boxed: &'a [u8],
    },
    /// 9, relay to client: what came back.
    OnionResponse {
        /// An announce response or a data response.
        response: &'a [u8],
    },
    /// 10, client to relay: hand this to a node, for the client can not reach it by UDP.
    ForwardRequest {
        /// The node.
        to: IpPort,
        /// The data.
        data: &'a [u8],
    },
    /// 11, relay to client: an answer to such data.
    Forwarding {
        /// The data.
        data: &'a [u8],
    },
    /// 16 to 255, both ways: data from one end of a connection to the other.
    Data {
        /// Which connection: its number is the packet's id.
        connection: ConnectionId,
        /// 1 byte or more.
        data: &'a [u8],
    },
}

impl RelayPacket<'_> {
    /// The packet's first byte.
    pub const fn id(&self) -> u8 {
        match self {
            Self::RoutingRequest { .. } => id::ROUTING_REQUEST,
            Self::RoutingResponse { .. } => id::ROUTING_RESPONSE,
            Self::Connected { .. } => id::CONNECTED,
            Self::Disconnected { .. } => id::DISCONNECTED,
            Self::Ping { .. } => id::PING,
            Self::Pong { .. } => id::PONG,
            Self::OobSend { .. } => id::OOB_SEND,
            Self::OobReceive { .. } => id::OOB_RECEIVE,
            Self::OnionRequest { .. } => id::ONION_REQUEST,
            Self::OnionResponse { .. } => id::ONION_RESPONSE,
            Self::ForwardRequest { .. } => id::FORWARD_REQUEST,
            Self::Forwarding { .. } => id::FORWARDING,
            Self::Data { connection, .. } => connection.number(),
        }
    }
}

impl Encode for RelayPacket<'_> {
    fn encoded_len(&self) -> usize {
        1 + match self {
            Self::RoutingRequest { .. } => PublicKey::LEN,
            Self::RoutingResponse { .. } => 1 + PublicKey::LEN,
            Self::Connected { .. } | Self::Disconnected { .. } => 1,
            Self::Ping { .. } | Self::Pong { .. } => 8,
            Self::OobSend { data, .. } | Self::OobReceive { data, .. } => {
                PublicKey::LEN + data.len()
            }
            Self::OnionRequest { boxed, .. } => {
                Nonce::LEN + IpPort::PADDED_LEN + PublicKey::LEN + boxed.len()
            }
            Self::ForwardRequest { to, data } => to.encoded_len() + data.len(),
            Self::OnionResponse { response: data }
            | Self::Forwarding { data }
            | Self::Data { data, .. } => data.len(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.id());
        match self {
            Self::RoutingRequest { key } => key.encode(out),
            Self::RoutingResponse { connection, key } => {
                out.push(connection.map_or(0, ConnectionId::number));
                key.encode(out);
            }
            Self::Connected { connection } | Self::Disconnected { connection } => {
                connection.encode(out);
            }
            Self::Ping { id } | Self::Pong { id } => out.extend_from_slice(&id.to_be_bytes()),
            Self::OobSend { to: key, data } | Self::OobReceive { from: key, data } => {
                key.encode(out);
                out.extend_from_slice(data);
            }
            Self::OnionRequest { nonce, next, key, boxed } => {
                nonce.encode(out);
                next.encode_padded(out);
                key.encode(out);
                out.extend_from_slice(boxed);
            }
            Self::ForwardRequest { to, data } => {
                to.encode(out);
                out.extend_from_slice(data);
            }
            Self::OnionResponse { response: data }
            | Self::Forwarding { data }
            | Self::Data { data, .. } => out.extend_from_slice(data),
        }
    }
}

impl<'a> Decode<'a> for RelayPacket<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            id::ROUTING_REQUEST => Self::RoutingRequest { key: PublicKey::decode(reader)? },
            id::ROUTING_RESPONSE => Self::RoutingResponse {
                connection: connection_or_none(reader)?,
                key: PublicKey::decode(reader)?,
            },
            id::CONNECTED => Self::Connected { connection: ConnectionId::decode(reader)? },
            id::DISCONNECTED => Self::Disconnected { connection: ConnectionId::decode(reader)? },
            id::PING => Self::Ping { id: reader.u64()? },
            id::PONG => Self::Pong { id: reader.u64()? },
            id::OOB_SEND => {
                Self::OobSend { to: PublicKey::decode(reader)?, data: oob_data(reader)? }
            }
            id::OOB_RECEIVE => {
                Self::OobReceive { from: PublicKey::decode(reader)?, data: oob_data(reader)? }
            }
            id::ONION_REQUEST => Self::OnionRequest {
                nonce: Nonce::decode(reader)?,
                next: IpPort::decode_padded(reader)?,
                key: PublicKey::decode(reader)?,
                boxed: rest(reader, TAG_LEN + 1)?,
            },
            id::ONION_RESPONSE => {
                let response = reader.take_rest();
                check_response(response)?;
                Self::OnionResponse { response }
            }
            id::FORWARD_REQUEST => {
                Self::ForwardRequest { to: IpPort::decode(reader)?, data: rest(reader, 1)? }
            }
            id::FORWARDING => Self::Forwarding { data: rest(reader, 1)? },
            other => Self::Data {
                connection: ConnectionId::new(other).ok_or(DecodeError::Kind(other))?,
                data: rest(reader, 1)?,
            },
        })
    }
}

/// A connection id, or 0 for none.
fn connection_or_none(reader: &mut Reader<'_>) -> Result<Option<ConnectionId>, DecodeError> {
    match reader.u8()? {
        0 => Ok(None),
        id => ConnectionId::new(id).ok_or(DecodeError::Invalid("connection id")).map(Some),
    }
}

/// All that is left, `need` bytes or more.
fn rest<'a>(reader: &mut Reader<'a>, need: usize) -> Result<&'a [u8], DecodeError> {
    match reader.remaining() {
        have if have < need => Err(DecodeError::Truncated { need, have }),
        _ => Ok(reader.take_rest()),
    }
}

/// All that is left, as an out-of-band message.
fn oob_data<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let data = rest(reader, 1)?;
    match data.len() {
        0..=MAX_OOB_DATA => Ok(data),
        got => Err(DecodeError::Limit { what: "out-of-band data", limit: MAX_OOB_DATA, got }),
    }
}

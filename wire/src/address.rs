//! Where a packet comes from or goes to, and the packed forms of it that travel (Tox Reference,
//! "Packed node format").

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::PublicKey;

/// Most opaque bytes a custom transport's address may have.
pub const MAX_CUSTOM_ADDRESS: usize = 62;

/// The number of a custom transport; `docs/` keeps the registry.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TransportId(pub u16);

/// An address that only its transport understands.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CustomAddress {
    transport: TransportId,
    len: u8,
    bytes: [u8; MAX_CUSTOM_ADDRESS],
}

impl CustomAddress {
    /// An address of `transport`; `None` if `bytes` is longer than [`MAX_CUSTOM_ADDRESS`].
    pub fn new(transport: TransportId, bytes: &[u8]) -> Option<Self> {
        let mut padded = [0; MAX_CUSTOM_ADDRESS];
        padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { transport, len: bytes.len() as u8, bytes: padded })
    }

    /// The transport that understands it.
    pub const fn transport(&self) -> TransportId {
        self.transport
    }

    /// The opaque bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for CustomAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.transport.0)?;
        crate::key::hex(self.as_bytes(), f)
    }
}

/// Where a datagram comes from or goes to.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Address {
    /// A UDP endpoint. IPv4 addresses are never in their IPv6-mapped form.
    Udp(SocketAddr),
    /// An endpoint of a custom transport.
    Custom(CustomAddress),
}

impl Address {
    /// A UDP address, an IPv6-mapped IPv4 address unmapped.
    pub fn udp(address: SocketAddr) -> Self {
        Self::Udp(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    /// The UDP endpoint, if it is one.
    pub const fn as_udp(&self) -> Option<SocketAddr> {
        match self {
            Self::Udp(address) => Some(*address),
            Self::Custom(_) => None,
        }
    }

    /// True for UDP endpoints of one IP address.
    pub fn shares_ip(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Udp(one), Self::Udp(other)) if one.ip() == other.ip())
    }

    /// True for addresses that mean something on this machine or this local network only: such a
    /// node is not told to a stranger outside of it.
    pub fn is_lan(&self) -> bool {
        match self {
            Self::Udp(address) => is_lan_ip(address.ip()),
            Self::Custom(_) => true,
        }
    }
}

/// Loopback, private, link-local and carrier-grade NAT ranges (c-toxcore's list, which the LAN
/// discovery handler and the nodes response share).
fn is_lan_ip(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.segments()[0] & 0xffc0 == 0xfe80,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => address.fmt(f),
            Self::Custom(address) => fmt::Debug::fmt(address, f),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a packed endpoint is reached: the upper half of the family byte.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    /// UDP: families 2 (IPv4) and 10 (IPv6).
    Udp,
    /// TCP relay: families 130 (IPv4) and 138 (IPv6).
    Tcp,
}

const FAMILY_IPV4: u8 = 2;
const FAMILY_IPV6: u8 = 10;
const FAMILY_TCP: u8 = 0x80;

/// An endpoint on the Internet in its packed form: family 1, address 4 or 16, port 2.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IpPort {
    /// UDP or TCP.
    pub protocol: Protocol,
    /// Address and port.
    pub address: SocketAddr,
}

impl IpPort {
    /// A UDP endpoint.
    pub const fn udp(address: SocketAddr) -> Self {
        Self { protocol: Protocol::Udp, address }
    }

    /// Length of the form padded to the size of IPv6, which onion packets carry.
    pub const PADDED_LEN: usize = 19;

    fn family(&self) -> u8 {
        let ip = if self.address.is_ipv4() { FAMILY_IPV4 } else { FAMILY_IPV6 };
        match self.protocol {
            Protocol::Udp => ip,
            Protocol::Tcp => ip | FAMILY_TCP,
        }
    }

    /// Appends the padded form: an IPv4 address is followed by twelve zero bytes.
    pub fn encode_padded(&self, out: &mut Vec<u8>) {
        out.push(self.family());
        match self.address.ip() {
            IpAddr::V4(ip) => {
                out.extend_from_slice(&ip.octets());
                out.extend_from_slice(&[0; 12]);
            }
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
        out.extend_from_slice(&self.address.port().to_be_bytes());
    }

    /// Reads the padded form. Padding that is not zero is refused, so that accepted bytes re-encode
    /// to themselves.
    ///
    /// # Errors
    /// A [`DecodeError`] for an unknown family, padding that is not zero, or missing bytes.
    pub fn decode_padded(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (protocol, ipv4) = family(reader.u8()?)?;
        let bytes: [u8; 16] = reader.array()?;
        let ip = if ipv4 {
            let [a, b, c, d, padding @ ..] = bytes;
            if padding != [0; 12] {
                return Err(DecodeError::Invalid("address padding"));
            }
            IpAddr::from([a, b, c, d])
        } else {
            IpAddr::from(bytes)
        };
        Ok(Self { protocol, address: SocketAddr::new(ip, reader.u16()?) })
    }
}

/// What a family byte says: the protocol, and whether the address is IPv4.
fn family(byte: u8) -> Result<(Protocol, bool), DecodeError> {
    let protocol = if byte & FAMILY_TCP == 0 { Protocol::Udp } else { Protocol::Tcp };
    match byte & !FAMILY_TCP {
        FAMILY_IPV4 => Ok((protocol, true)),
        FAMILY_IPV6 => Ok((protocol, false)),
        _ => Err(DecodeError::Invalid("address family")),
    }
}

impl Encode for IpPort {
    fn encoded_len(&self) -> usize {
        if self.address.is_ipv4() { 7 } else { 19 }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.family());
        match self.address.ip() {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
        out.extend_from_slice(&self.address.port().to_be_bytes());
    }
}

impl<'a> Decode<'a> for IpPort {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (protocol, ipv4) = family(reader.u8()?)?;
        let ip = if ipv4 {
            IpAddr::V4(Ipv4Addr::from(reader.array::<4>()?))
        } else {
            IpAddr::V6(Ipv6Addr::from(reader.array::<16>()?))
        };
        Ok(Self { protocol, address: SocketAddr::new(ip, reader.u16()?) })
    }
}

/// A node as nodes tell each other of it: 39 bytes with an IPv4 address, 51 with an IPv6 one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PackedNode {
    /// Where it is.
    pub endpoint: IpPort,
    /// Its DHT key.
    pub key: PublicKey,
}

impl PackedNode {
    /// A node reached by UDP.
    pub const fn udp(address: SocketAddr, key: PublicKey) -> Self {
        Self { endpoint: IpPort::udp(address), key }
    }
}

impl Encode for PackedNode {
    fn encoded_len(&self) -> usize {
        self.endpoint.encoded_len() + PublicKey::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.endpoint.encode(out);
        self.key.encode(out);
    }
}

impl<'a> Decode<'a> for PackedNode {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { endpoint: IpPort::decode(reader)?, key: PublicKey::decode(reader)? })
    }
}

//! Who is one and the same, as far as one can tell from outside: for limits that no stranger shall use
//! up for all others.

use core::net::IpAddr;

use crate::wire::Address;

/// What packets have in common that one owner may have sent.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Source {
    /// A prefix of the Internet that one customer may have: IPv4 /24, IPv6 /48.
    Prefix([u8; 6]),
    /// An address in the local network or of a custom transport, port and all: there everybody shares
    /// a prefix, and nobody has many.
    Address(Address),
}

impl Source {
    /// The source of what comes from an address.
    pub(crate) fn of(address: &Address) -> Self {
        match address.as_udp() {
            Some(udp) if !address.is_lan() => Self::Prefix(prefix(udp.ip())),
            _ => Self::Address(*address),
        }
    }
}

fn prefix(ip: IpAddr) -> [u8; 6] {
    let ip = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let octets = ip.octets();
    match ip.to_ipv4_mapped() {
        Some(_) => [0, 0, 0, octets[12], octets[13], octets[14]],
        None => [octets[0], octets[1], octets[2], octets[3], octets[4], octets[5]],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_of_the_internet_is_one_source_and_each_local_address_is_another() {
        let source = |text: &str| Source::of(&Address::udp(text.parse().unwrap()));
        assert_eq!(source("198.51.100.1:1"), source("198.51.100.200:2"));
        assert_eq!(source("198.51.100.1:1"), source("[::ffff:198.51.100.1]:1"));
        assert_ne!(source("198.51.100.1:1"), source("198.51.101.1:1"));
        assert_eq!(source("[2001:db8:1:2::1]:1"), source("[2001:db8:1:9::2]:1"));
        assert_ne!(source("[2001:db8:1::1]:1"), source("[2001:db8:2::1]:1"));
        assert_ne!(source("127.0.0.1:1"), source("127.0.0.1:2"));
        assert_ne!(source("192.168.0.1:1"), source("192.168.0.2:1"));
    }
}

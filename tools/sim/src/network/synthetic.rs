//! Addresses for nodes that have none: distinct, public-looking, spread over many prefixes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The port on which every node listens inside of its realm: Tox's first default port.
pub const PORT: u16 = 33445;

/// First octets in use: 11 to 90 hold no private, loopback or shared range.
const FIRST_OCTET: u32 = 11;
const FIRST_OCTETS: u32 = 80;

/// Most addresses of each kind.
pub const MAX_PUBLIC: u32 = FIRST_OCTETS << 24;

/// Spreads neighbouring numbers over the 24-bit space; odd, so that no two meet.
fn spread(number: u32) -> u32 {
    number.wrapping_mul(0x9e_3779) & 0xff_ffff
}

/// The public IPv4 address number `number`.
pub fn public_ipv4(number: u32) -> IpAddr {
    let [_, b, c, d] = spread(number / FIRST_OCTETS).to_be_bytes();
    let first = FIRST_OCTET + number % FIRST_OCTETS;
    IpAddr::V4(Ipv4Addr::new(first as u8, b, c, d))
}

/// The public IPv6 address number `number`: each in a /48 of its own.
pub fn public_ipv6(number: u32) -> IpAddr {
    let high = (number / FIRST_OCTETS / 0x1_0000 * FIRST_OCTETS + number % FIRST_OCTETS) as u16;
    let low = (number / FIRST_OCTETS) as u16;
    IpAddr::V6(Ipv6Addr::new(0x2a00 + high, low, low.rotate_left(5), 0, 0, 0, 0, 1))
}

/// The private IPv4 address number `number` of a home network.
pub fn home_ipv4(number: u32) -> IpAddr {
    let [_, _, c, d] = (number + 2).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(192, 168, c, d))
}

/// The address number `number` of routers behind a carrier's NAT (RFC 6598).
pub fn carrier_ipv4(number: u32) -> IpAddr {
    let [_, b, c, d] = (number + 2).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(100, 64 + b % 64, c, d))
}

/// The node's endpoint at `ip`.
pub fn endpoint(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, PORT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use toktok_mesh::Address;

    use super::*;

    #[test]
    fn public_addresses_are_distinct_and_public() {
        let numbers = (0..20_000).chain(5_000_000..5_010_000);
        let (mut v4, mut v6, mut prefixes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for number in numbers {
            assert!(v4.insert(public_ipv4(number)) && v6.insert(public_ipv6(number)));
            for ip in [public_ipv4(number), public_ipv6(number)] {
                assert!(!Address::udp(endpoint(ip)).is_lan(), "{ip}");
            }
            if let IpAddr::V4(ip) = public_ipv4(number) {
                prefixes.insert(ip.octets()[..2].to_vec());
            }
        }
        assert!(prefixes.len() > 5_000, "{} prefixes", prefixes.len());
    }

    #[test]
    fn private_addresses_are_private() {
        for ip in [home_ipv4(0), home_ipv4(65_000), carrier_ipv4(0), carrier_ipv4(4_000_000)] {
            assert!(Address::udp(endpoint(ip)).is_lan(), "{ip}");
        }
    }
}

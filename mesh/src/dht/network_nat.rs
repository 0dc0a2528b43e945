//! A NAT for the DHT's test network (RFC 4787; `tools/sim` has the thorough one).

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use crate::wire::Address;

/// On how much of the remote endpoint something depends: nothing, its address, its address and port.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Dependence {
    Nothing,
    Address,
    Port,
}

impl Dependence {
    pub(super) const ALL: [Self; 3] = [Self::Nothing, Self::Address, Self::Port];

    fn scope(self, remote: SocketAddr) -> Option<(IpAddr, Option<u16>)> {
        match self {
            Self::Nothing => None,
            Self::Address => Some((remote.ip(), None)),
            Self::Port => Some((remote.ip(), Some(remote.port()))),
        }
    }
}

/// A NAT with one node behind it, which hands out ports one after the other.
#[derive(Clone, Debug)]
pub(super) struct Nat {
    pub(super) mapping: Dependence,
    pub(super) filtering: Dependence,
    pub(super) outside: IpAddr,
    ports: BTreeMap<Option<(IpAddr, Option<u16>)>, u16>,
    /// Whom packets were sent to, from each port.
    permits: BTreeMap<u16, Vec<SocketAddr>>,
}

impl Nat {
    pub(super) fn new(mapping: Dependence, filtering: Dependence, outside: IpAddr) -> Self {
        let (ports, permits) = (BTreeMap::new(), BTreeMap::new());
        Self { mapping, filtering, outside, ports, permits }
    }

    /// The outer endpoint of a packet to `remote`.
    pub(super) fn translate_out(&mut self, remote: Address) -> Option<Address> {
        let remote = remote.as_udp()?;
        let next = 33_445 + self.ports.len() as u16;
        let port = *self.ports.entry(self.mapping.scope(remote)).or_insert(next);
        let permits = self.permits.entry(port).or_default();
        if !permits.contains(&remote) {
            permits.push(remote);
        }
        Some(Address::udp((self.outside, port).into()))
    }

    /// True if a packet from `remote` to this outer port is let in.
    pub(super) fn lets_in(&self, remote: Address, port: u16) -> bool {
        let Some(remote) = remote.as_udp() else { return false };
        let scope = |of: SocketAddr| self.filtering.scope(of);
        let permits = self.permits.get(&port);
        permits.is_some_and(|sent| sent.iter().any(|to| scope(*to) == scope(remote)))
    }
}

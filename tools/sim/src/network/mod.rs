//! The Internet between the nodes: access links, NATs within NATs, torn routes.
//!
//! A datagram's way is `depart` (the sender's uplink, then its NATs from the inside out) and, when it
//! has travelled, `arrive` (the receiver's NATs from the outside in, the partition, its downlink). NATs
//! act at the moment the packet passes them, as hole punching needs it.

mod chance;
mod link;
mod loss;
mod nat;
mod partition;
mod streams;
pub mod synthetic;

use core::net::{IpAddr, SocketAddr};
use std::collections::HashMap;

use toktok_mesh::{Address, Rng, Time};

pub use chance::Chance;
pub use link::{Carried, HEADER_BYTES, Link, LinkModel};
pub use loss::Loss;
pub use nat::{Dependence, Nat, NatModel, PortAllocation};
pub use partition::{Partition, Side};

/// Why a datagram did not arrive.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Lost {
    /// A link lost it.
    Link,
    /// A line's queue was full.
    QueueFull,
    /// A NAT had no mapping or did not let this sender in.
    Filtered,
    /// A NAT without hairpinning was asked to turn it round.
    NoHairpin,
    /// A NAT had no external port left.
    PortsExhausted,
    /// Nobody has that address, or the sender has none of its family.
    Unroutable,
    /// The route is cut.
    Partitioned,
    /// The receiver is not running.
    Dead,
}

impl Lost {
    /// Every reason, in the order of [`LostCounts`].
    pub const ALL: [Self; 8] = [
        Self::Link,
        Self::QueueFull,
        Self::Filtered,
        Self::NoHairpin,
        Self::PortsExhausted,
        Self::Unroutable,
        Self::Partitioned,
        Self::Dead,
    ];
}

/// How many datagrams were lost for each reason.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LostCounts([u64; Lost::ALL.len()]);

impl LostCounts {
    /// Counts one more.
    pub fn count(&mut self, reason: Lost) {
        self.0[reason as usize] += 1;
    }

    /// Lost in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl core::ops::Index<Lost> for LostCounts {
    type Output = u64;

    fn index(&self, reason: Lost) -> &u64 {
        &self.0[reason as usize]
    }
}

/// A network in which addresses mean something: the Internet, or the inside of a NAT.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Realm(u32);

impl Realm {
    /// The public Internet.
    pub const INTERNET: Self = Self(0);
}

/// How a node is attached.
#[derive(Clone, Copy, Debug)]
pub struct Attachment {
    /// In which network.
    pub realm: Realm,
    /// Whether it has an IPv6 address too. Only on the Internet: our NATs speak IPv4.
    pub ipv6: bool,
    /// From the node.
    pub up: LinkModel,
    /// To the node.
    pub down: LinkModel,
}

impl Default for Attachment {
    /// A public IPv4 address on a perfect link.
    fn default() -> Self {
        Self {
            realm: Realm::INTERNET,
            ipv6: false,
            up: LinkModel::default(),
            down: LinkModel::default(),
        }
    }
}

#[derive(Debug)]
struct Host {
    realm: Realm,
    ipv4: SocketAddr,
    ipv6: Option<SocketAddr>,
    up: Link,
    down: Link,
}

#[derive(Debug)]
struct Router {
    nat: Nat,
    /// The realm that it stands in; it opens another one inside.
    outside: Realm,
    ip: IpAddr,
}

#[derive(Clone, Copy, Debug)]
enum Owner {
    Host(usize),
    /// The router whose inside is this realm.
    Router(Realm),
}

/// A datagram on its way, without its payload.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    origin: usize,
    realm: Realm,
    from: SocketAddr,
    to: SocketAddr,
}

/// A datagram at its receiver, behind all NATs.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Who gets it.
    pub node: usize,
    /// Whom it comes from, as the receiver sees it.
    pub from: SocketAddr,
    /// The receiver's own endpoint.
    pub to: SocketAddr,
    /// When it is handed over.
    pub carried: Carried,
}

/// Nodes, NATs and links. Nodes are numbered as they are attached.
#[derive(Debug)]
pub struct Network {
    rng: Rng,
    hosts: Vec<Host>,
    /// The router between realm `i + 1` and its outside.
    routers: Vec<Router>,
    owners: HashMap<(Realm, IpAddr), Owner>,
    /// How many addresses each realm has given out.
    given: Vec<u32>,
    partition: Partition,
}

impl Network {
    /// An empty Internet.
    pub fn new(rng: Rng) -> Self {
        Self {
            rng,
            hosts: Vec::new(),
            routers: Vec::new(),
            owners: HashMap::new(),
            given: vec![0],
            partition: Partition::whole(),
        }
    }

    /// Sets up a NAT in `outside` and opens the realm behind it. Nested, it makes a carrier's NAT.
    pub fn add_nat(&mut self, outside: Realm, model: NatModel) -> Realm {
        let number = self.next_number(outside);
        let ip = if outside == Realm::INTERNET {
            synthetic::public_ipv4(number)
        } else {
            synthetic::carrier_ipv4(number)
        };
        self.routers.push(Router { nat: Nat::new(model), outside, ip });
        let inside = Realm(self.routers.len() as u32);
        self.owners.insert((outside, ip), Owner::Router(inside));
        self.given.push(0);
        inside
    }

    /// Attaches a node and returns its number.
    pub fn attach(&mut self, attachment: Attachment) -> usize {
        let Attachment { realm, ipv6, up, down } = attachment;
        let number = self.next_number(realm);
        let public = realm == Realm::INTERNET;
        let ip = if public { synthetic::public_ipv4(number) } else { synthetic::home_ipv4(number) };
        let index = self.hosts.len();
        self.owners.insert((realm, ip), Owner::Host(index));
        let ipv6 = (ipv6 && public).then(|| synthetic::public_ipv6(number));
        if let Some(ip) = ipv6 {
            self.owners.insert((realm, ip), Owner::Host(index));
        }
        self.hosts.push(Host {
            realm,
            ipv4: synthetic::endpoint(ip),
            ipv6: ipv6.map(synthetic::endpoint),
            up: Link::new(up),
            down: Link::new(down),
        });
        index
    }

    /// The node's IPv4 endpoint as itself sees it.
    pub fn address(&self, node: usize) -> Address {
        Address::udp(self.hosts[node].ipv4)
    }

    /// The node's IPv6 endpoint, if it has one.
    pub fn address_v6(&self, node: usize) -> Option<Address> {
        self.hosts[node].ipv6.map(Address::udp)
    }

    /// The node's uplink and downlink, to change how they behave.
    pub fn links(&mut self, node: usize) -> (&mut Link, &mut Link) {
        let host = &mut self.hosts[node];
        (&mut host.up, &mut host.down)
    }

    /// The NAT that opens `realm`; `None` for the Internet.
    pub fn nat(&mut self, realm: Realm) -> Option<&mut Nat> {
        Some(&mut self.router(realm)?.nat)
    }

    /// Tears the network, or mends it with [`Partition::whole`].
    pub fn set_partition(&mut self, partition: Partition) {
        self.partition = partition;
    }

    /// Sends a datagram of `bytes` out: its flight and when it gets to the far end.
    ///
    /// # Errors
    /// Why it is lost already.
    pub fn depart(
        &mut self,
        now: Time,
        origin: usize,
        to: Address,
        bytes: usize,
    ) -> Result<(Flight, Carried), Lost> {
        let to = to.as_udp().ok_or(Lost::Unroutable)?;
        let host = &mut self.hosts[origin];
        let own = if to.is_ipv4() { Some(host.ipv4) } else { host.ipv6 };
        let mut from = own.ok_or(Lost::Unroutable)?;
        let carried = host.up.carry(now, bytes, &mut self.rng)?;
        let mut realm = host.realm;
        while !self.owners.contains_key(&(realm, to.ip())) {
            let index = router_index(realm).ok_or(Lost::Unroutable)?;
            let router = &mut self.routers[index];
            let port = router.nat.translate_out(now, from, to, &mut self.rng)?;
            from = SocketAddr::new(router.ip, port);
            realm = router.outside;
        }
        Ok((Flight { origin, realm, from, to }, carried))
    }

    /// Lets a flight of `bytes` come in: who gets it, and when.
    ///
    /// # Errors
    /// Why it is lost.
    pub fn arrive(&mut self, now: Time, flight: &Flight, bytes: usize) -> Result<Arrival, Lost> {
        let &Flight { origin, mut realm, from, mut to } = flight;
        let node = loop {
            match self.owners.get(&(realm, to.ip())) {
                None => return Err(Lost::Unroutable),
                Some(&Owner::Host(node)) => break node,
                Some(&Owner::Router(inside)) => {
                    let turns_round = self.is_within(self.hosts[origin].realm, inside);
                    let router = self.router(inside).ok_or(Lost::Unroutable)?;
                    if turns_round && !router.nat.model.hairpin {
                        return Err(Lost::NoHairpin);
                    }
                    to = router.nat.translate_in(now, from, to.port())?;
                    realm = inside;
                }
            }
        };
        if to.port() != synthetic::PORT {
            return Err(Lost::Unroutable);
        }
        if !self.partition.passes(origin, node) {
            return Err(Lost::Partitioned);
        }
        let carried = self.hosts[node].down.carry(now, bytes, &mut self.rng)?;
        Ok(Arrival { node, from, to, carried })
    }

    /// Whether `realm` is `outer` or lies behind it.
    fn is_within(&self, mut realm: Realm, outer: Realm) -> bool {
        loop {
            if realm == outer {
                return true;
            }
            match router_index(realm) {
                Some(index) => realm = self.routers[index].outside,
                None => return false,
            }
        }
    }

    fn router(&mut self, inside: Realm) -> Option<&mut Router> {
        self.routers.get_mut(router_index(inside)?)
    }

    fn next_number(&mut self, realm: Realm) -> u32 {
        let given = &mut self.given[realm.0 as usize];
        *given += 1;
        *given - 1
    }
}

/// Where the router that opens `realm` is kept.
fn router_index(realm: Realm) -> Option<usize> {
    (realm.0 as usize).checked_sub(1)
}

#[cfg(test)]
mod tests;

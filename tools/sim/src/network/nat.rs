//! A network address translator as RFC 4787 describes them: how it maps, what it lets in, which
//! ports it takes, when it forgets.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;

use toktok_mesh::{Rng, Time};

use super::Lost;

/// On what of the remote endpoint a behaviour depends (RFC 4787, sections 4.1 and 5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dependence {
    /// On nothing.
    EndpointIndependent,
    /// On its address.
    AddressDependent,
    /// On its address and port.
    AddressAndPortDependent,
}

impl Dependence {
    /// Every kind.
    pub const ALL: [Self; 3] =
        [Self::EndpointIndependent, Self::AddressDependent, Self::AddressAndPortDependent];

    /// What of the remote endpoint it is that matters, in a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EndpointIndependent => "nothing",
            Self::AddressDependent => "address",
            Self::AddressAndPortDependent => "port",
        }
    }

    /// The part of `remote` that matters.
    fn scope(self, remote: SocketAddr) -> Scope {
        match self {
            Self::EndpointIndependent => Scope::Any,
            Self::AddressDependent => Scope::Address(remote.ip()),
            Self::AddressAndPortDependent => Scope::Endpoint(remote),
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Scope {
    Any,
    Address(IpAddr),
    Endpoint(SocketAddr),
}

/// Which external port a new mapping takes (RFC 4787, section 4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PortAllocation {
    /// The internal one if it is free, else the next free one above.
    Preserving,
    /// One after the other, this many apart.
    Sequential(u16),
    /// A random one.
    Random,
}

/// How a NAT behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NatModel {
    /// When two flows of an internal endpoint share an external port.
    pub mapping: Dependence,
    /// Who may send to it from outside.
    pub filtering: Dependence,
    /// Which port.
    pub ports: PortAllocation,
    /// How long a mapping lives unused. RFC 4787 wants at least 2 minutes; many have 30 s.
    pub expiry: Duration,
    /// Whether packets from outside count as use.
    pub inbound_refreshes: bool,
    /// Whether an internal host reaches another by its external endpoint.
    pub hairpin: bool,
}

impl Default for NatModel {
    /// A good home router: endpoint-independent mapping, address and port-dependent filtering.
    fn default() -> Self {
        Self {
            mapping: Dependence::EndpointIndependent,
            filtering: Dependence::AddressAndPortDependent,
            ports: PortAllocation::Preserving,
            expiry: Duration::from_secs(120),
            inbound_refreshes: false,
            hairpin: true,
        }
    }
}

impl core::fmt::Display for NatModel {
    /// What it maps and filters by.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "maps by {}, filters by {}", self.mapping.name(), self.filtering.name())
    }
}

/// First external port that a NAT hands out; those below are reserved.
const FIRST_PORT: u16 = 1024;

#[derive(Clone, Debug)]
struct Mapping {
    inside: SocketAddr,
    scope: Scope,
    last_use: Time,
    /// Remote endpoints that were sent to, in the granularity of the filter.
    permits: BTreeMap<Scope, Time>,
}

/// A NAT and its mappings.
#[derive(Clone, Debug)]
pub struct Nat {
    /// How it behaves.
    pub model: NatModel,
    by_inside: BTreeMap<(SocketAddr, Scope), u16>,
    by_port: BTreeMap<u16, Mapping>,
    /// Where a sequential one goes on; it began at a random port.
    next_port: Option<u16>,
}

impl Nat {
    /// A NAT without mappings.
    pub fn new(model: NatModel) -> Self {
        Self { model, by_inside: BTreeMap::new(), by_port: BTreeMap::new(), next_port: None }
    }

    /// Forgets all mappings, as a power cut does.
    pub fn reboot(&mut self) {
        self.by_inside.clear();
        self.by_port.clear();
    }

    /// The external port for a packet from `inside` to `remote`.
    ///
    /// # Errors
    /// [`Lost::PortsExhausted`].
    pub fn translate_out(
        &mut self,
        now: Time,
        inside: SocketAddr,
        remote: SocketAddr,
        rng: &mut Rng,
    ) -> Result<u16, Lost> {
        let scope = self.model.mapping.scope(remote);
        let known = self.by_inside.get(&(inside, scope)).copied();
        let port = match known.filter(|port| self.is_alive(now, *port)) {
            Some(port) => port,
            None => self.open(now, inside, scope, rng)?,
        };
        let (filtering, expiry) = (self.model.filtering, self.model.expiry);
        if let Some(mapping) = self.by_port.get_mut(&port) {
            mapping.last_use = now;
            mapping.permits.retain(|_, since| now.since(*since) < expiry);
            mapping.permits.insert(filtering.scope(remote), now);
        }
        Ok(port)
    }

    /// The internal endpoint for a packet from `remote` to the external `port`.
    ///
    /// # Errors
    /// [`Lost::Filtered`].
    pub fn translate_in(
        &mut self,
        now: Time,
        remote: SocketAddr,
        port: u16,
    ) -> Result<SocketAddr, Lost> {
        if !self.is_alive(now, port) {
            return Err(Lost::Filtered);
        }
        let (filtering, expiry) = (self.model.filtering, self.model.expiry);
        let mapping = self.by_port.get_mut(&port).ok_or(Lost::Filtered)?;
        let permit = mapping.permits.get_mut(&filtering.scope(remote)).ok_or(Lost::Filtered)?;
        if now.since(*permit) >= expiry {
            return Err(Lost::Filtered);
        }
        if self.model.inbound_refreshes {
            *permit = now;
            mapping.last_use = now;
        }
        Ok(mapping.inside)
    }

    fn is_alive(&self, now: Time, port: u16) -> bool {
        self.by_port
            .get(&port)
            .is_some_and(|mapping| now.since(mapping.last_use) < self.model.expiry)
    }

    fn open(
        &mut self,
        now: Time,
        inside: SocketAddr,
        scope: Scope,
        rng: &mut Rng,
    ) -> Result<u16, Lost> {
        let (first, step) = match self.model.ports {
            PortAllocation::Preserving => (inside.port().max(FIRST_PORT), 1),
            PortAllocation::Sequential(step) => {
                (self.next_port.unwrap_or_else(|| random_port(rng)), step.max(1))
            }
            PortAllocation::Random => (random_port(rng), 1),
        };
        let port = self.free_port(now, first, step)?;
        self.next_port = Some(advance(port, step));
        if let Some(old) = self.by_port.remove(&port) {
            self.by_inside.remove(&(old.inside, old.scope));
        }
        if let Some(old) = self.by_inside.insert((inside, scope), port) {
            self.by_port.remove(&old);
        }
        let mapping = Mapping { inside, scope, last_use: now, permits: BTreeMap::new() };
        self.by_port.insert(port, mapping);
        Ok(port)
    }

    fn free_port(&self, now: Time, first: u16, step: u16) -> Result<u16, Lost> {
        let mut port = first;
        for _ in 0..=u16::MAX - FIRST_PORT {
            if !self.is_alive(now, port) {
                return Ok(port);
            }
            port = advance(port, step);
        }
        Err(Lost::PortsExhausted)
    }
}

fn random_port(rng: &mut Rng) -> u16 {
    FIRST_PORT + rng.below(u64::from(u16::MAX - FIRST_PORT) + 1) as u16
}

/// The port `step` above, wrapping over the reserved ones.
fn advance(port: u16, step: u16) -> u16 {
    let span = u32::from(u16::MAX - FIRST_PORT) + 1;
    let offset = (u32::from(port - FIRST_PORT) + u32::from(step)) % span;
    FIRST_PORT + offset as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSIDE: SocketAddr = endpoint([192, 168, 0, 2], 33445);
    const SERVER: SocketAddr = endpoint([11, 0, 0, 1], 1000);
    const SERVER_OTHER_PORT: SocketAddr = endpoint([11, 0, 0, 1], 1001);
    const STRANGER: SocketAddr = endpoint([12, 0, 0, 1], 1000);

    const fn endpoint([a, b, c, d]: [u8; 4], port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(core::net::Ipv4Addr::new(a, b, c, d)), port)
    }

    fn rng() -> Rng {
        Rng::from_seed([4; 32])
    }

    fn ports_of(mapping: Dependence) -> [u16; 3] {
        let mut nat = Nat::new(NatModel { mapping, ..NatModel::default() });
        [SERVER, SERVER_OTHER_PORT, STRANGER]
            .map(|remote| nat.translate_out(Time::ZERO, INSIDE, remote, &mut rng()).unwrap())
    }

    #[test]
    fn maps_by_what_it_depends_on() {
        assert_eq!(ports_of(Dependence::EndpointIndependent), [33445, 33445, 33445]);
        assert_eq!(ports_of(Dependence::AddressDependent), [33445, 33445, 33446]);
        assert_eq!(ports_of(Dependence::AddressAndPortDependent), [33445, 33446, 33447]);
    }

    #[test]
    fn filters_by_what_it_depends_on() {
        for (filtering, let_in) in [
            (Dependence::EndpointIndependent, [true, true, true]),
            (Dependence::AddressDependent, [true, true, false]),
            (Dependence::AddressAndPortDependent, [true, false, false]),
        ] {
            let mut nat = Nat::new(NatModel { filtering, ..NatModel::default() });
            let port = nat.translate_out(Time::ZERO, INSIDE, SERVER, &mut rng()).unwrap();
            let got = [SERVER, SERVER_OTHER_PORT, STRANGER]
                .map(|remote| nat.translate_in(Time::ZERO, remote, port) == Ok(INSIDE));
            assert_eq!(got, let_in, "{filtering:?}");
        }
    }

    #[test]
    fn allocates_ports_as_it_says() {
        let ports = |allocation| {
            let mut nat = Nat::new(NatModel { ports: allocation, ..NatModel::default() });
            let mut rng = rng();
            [2, 3, 4].map(|host| {
                let inside = endpoint([192, 168, 0, host], 33445);
                nat.translate_out(Time::ZERO, inside, SERVER, &mut rng).unwrap()
            })
        };
        assert_eq!(ports(PortAllocation::Preserving), [33445, 33446, 33447]);
        let [a, b, c] = ports(PortAllocation::Sequential(4));
        assert_eq!([advance(a, 4), advance(b, 4)], [b, c]);
        let [a, b, c] = ports(PortAllocation::Random);
        assert!(a != b && b != c && a.abs_diff(b) > 1);
        assert_eq!(advance(u16::MAX, 1), FIRST_PORT);
    }

    #[test]
    fn forgets_what_is_not_used() {
        for inbound_refreshes in [false, true] {
            let mut nat = Nat::new(NatModel { inbound_refreshes, ..NatModel::default() });
            let port = nat.translate_out(Time::ZERO, INSIDE, SERVER, &mut rng()).unwrap();
            let at = |seconds| Time::from_secs(seconds);
            assert_eq!(nat.translate_in(at(119), SERVER, port), Ok(INSIDE));
            assert_eq!(nat.translate_in(at(121), SERVER, port).is_ok(), inbound_refreshes);
            assert_eq!(nat.translate_in(at(300), SERVER, port), Err(Lost::Filtered));
        }
    }

    #[test]
    fn an_expired_port_goes_to_the_next_and_a_reboot_forgets_all() {
        let mut nat = Nat::new(NatModel::default());
        let other = endpoint([192, 168, 0, 3], 33445);
        let port = nat.translate_out(Time::ZERO, INSIDE, SERVER, &mut rng()).unwrap();
        let later = Time::from_secs(200);
        assert_eq!(nat.translate_out(later, other, SERVER, &mut rng()), Ok(port));
        assert_eq!(nat.translate_in(later, SERVER, port), Ok(other));
        assert_eq!(nat.translate_out(later, INSIDE, SERVER, &mut rng()), Ok(port + 1));
        nat.reboot();
        assert_eq!(nat.translate_in(later, SERVER, port), Err(Lost::Filtered));
    }

    #[test]
    fn a_full_nat_says_so() {
        let model = NatModel {
            mapping: Dependence::AddressAndPortDependent,
            ports: PortAllocation::Sequential(1),
            ..NatModel::default()
        };
        let (mut nat, mut rng) = (Nat::new(model), rng());
        for i in 0..=u32::from(u16::MAX - FIRST_PORT) {
            let [_, b, c, d] = i.to_be_bytes();
            let remote = endpoint([13, b, c, d], 1);
            assert!(nat.translate_out(Time::ZERO, INSIDE, remote, &mut rng).is_ok());
        }
        let refused = nat.translate_out(Time::ZERO, INSIDE, STRANGER, &mut rng);
        assert_eq!(refused, Err(Lost::PortsExhausted));
    }
}

//! LAN discovery, the sending side: this node's key goes to everyone in the local network now and then
//! (Tox Reference, "LAN discovery"; c-toxcore `friend_connection.c` for the ports, `LAN_discovery.c`
//! for the addresses).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use super::config::{
    LAN_INTERVAL, LAN_PORT, LAN_PORT_LAST, LAN_PORTS_A_TIME, MAX_BROADCAST_ADDRESSES,
};
use crate::wire::{Address, Time};

/// All nodes of the local link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The addresses that every machine has.
const EVERYWHERE: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::BROADCAST), IpAddr::V6(ALL_NODES)];

/// When and where to shout.
#[derive(Debug)]
pub(super) struct Lan {
    /// `None` if this node does not shout.
    next: Option<Time>,
    /// First of the further ports of the next time.
    port: u16,
    /// Broadcast addresses of this machine's interfaces.
    broadcast: Vec<IpAddr>,
}

impl Lan {
    pub(super) fn new(is_enabled: bool, now: Time) -> Self {
        Self { next: is_enabled.then_some(now), port: LAN_PORT + 1, broadcast: EVERYWHERE.into() }
    }

    /// True if this node takes part.
    pub(super) fn is_enabled(&self) -> bool {
        self.next.is_some()
    }

    /// Takes over the interfaces' broadcast addresses, beside the two that every machine has. Not
    /// loopback's: many nodes of one machine are its own business. A network that is new is shouted into
    /// at once, from the first port on.
    pub(super) fn set_broadcast(&mut self, addresses: &[IpAddr]) {
        let before = core::mem::replace(&mut self.broadcast, EVERYWHERE.into());
        for address in addresses {
            let is_new = !self.broadcast.contains(address);
            if is_new && !address.is_loopback() && self.broadcast.len() < MAX_BROADCAST_ADDRESSES {
                self.broadcast.push(*address);
            }
        }
        if self.broadcast.iter().any(|address| !before.contains(address)) {
            self.port = LAN_PORT + 1;
            self.next = self.next.map(|_| Time::ZERO);
        }
    }

    /// Where to shout now: at each address the port that everyone tries first, and some of the others,
    /// by turns. The next time is `delay` later than it need be.
    pub(super) fn take_due(&mut self, now: Time, delay: Duration) -> Vec<Address> {
        if self.next.is_none_or(|next| now < next) {
            return Vec::new();
        }
        self.next = Some(now + LAN_INTERVAL + delay);
        let last = LAN_PORT_LAST.min(self.port + LAN_PORTS_A_TIME);
        let ports = core::iter::once(LAN_PORT).chain(self.port..last);
        self.port = if last == LAN_PORT_LAST { LAN_PORT + 1 } else { last };
        let at = |port| self.broadcast.iter().map(move |ip| Address::udp((*ip, port).into()));
        ports.flat_map(at).collect()
    }

    /// When the next time is.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn shouts_every_ten_seconds_at_all_ports_by_turns() {
        let mut lan = Lan::new(true, Time::ZERO);
        let (mut ports, mut now) = (BTreeSet::new(), Time::ZERO);
        for _ in 0..10 {
            assert_eq!(lan.deadline(), Some(now));
            let delay = Duration::from_millis(7);
            let to = lan.take_due(now, delay);
            assert!(to.len() <= 2 * 11 && lan.take_due(now, delay).is_empty());
            assert_eq!(to[0], Address::udp("255.255.255.255:33445".parse().unwrap()));
            assert_eq!(to[1], Address::udp("[ff02::1]:33445".parse().unwrap()));
            ports.extend(to.iter().filter_map(Address::as_udp).map(|to| to.port()));
            now += LAN_INTERVAL + delay;
        }
        assert_eq!(ports, (33_445..33_545).collect());
        assert_eq!(lan.port, 33_446, "and anew");
    }

    #[test]
    fn interfaces_add_their_addresses_but_loopback_does_not() {
        let mut lan = Lan::new(true, Time::ZERO);
        let many = (0..100).flat_map(|last| [[10, 0, last, 255]; 2]).map(IpAddr::from);
        let all: Vec<IpAddr> =
            [IpAddr::from([127, 255, 255, 255])].into_iter().chain(many).collect();
        lan.set_broadcast(&all);
        assert_eq!(lan.broadcast.len(), MAX_BROADCAST_ADDRESSES);
        assert_eq!(lan.broadcast[2], IpAddr::from([10, 0, 0, 255]));
        lan.set_broadcast(&all[..1]);
        assert_eq!(lan.broadcast, EVERYWHERE, "what has gone is forgotten");
    }

    #[test]
    fn a_new_network_need_not_wait() {
        let mut lan = Lan::new(true, Time::ZERO);
        let now = Time::from_secs(1);
        assert_eq!(lan.take_due(now, Duration::ZERO).len(), 2 * 11);
        let broadcast = IpAddr::from([10, 0, 0, 255]);
        lan.set_broadcast(&[broadcast]);
        let to = lan.take_due(now, Duration::ZERO);
        let first = Address::udp((broadcast, LAN_PORT + 1).into());
        assert!(to.contains(&first), "the ports that the others look at first");
        lan.set_broadcast(&[broadcast]);
        assert!(lan.take_due(now, Duration::ZERO).is_empty(), "nothing is new");
    }

    #[test]
    fn is_silent_if_it_shall_be() {
        let mut lan = Lan::new(false, Time::ZERO);
        lan.set_broadcast(&[IpAddr::from([10, 0, 0, 255])]);
        assert!(lan.take_due(Time::from_secs(100), Duration::ZERO).is_empty());
        assert_eq!(lan.deadline(), None);
    }
}

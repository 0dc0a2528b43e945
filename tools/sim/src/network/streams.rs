//! Who can reach whom by a byte stream, and how long it takes.

use core::net::SocketAddr;
use core::time::Duration;

use toktok_mesh::Time;

use super::{Network, Owner, router_index};

impl Network {
    /// Whom a stream from `port` of `origin` to `to` reaches, and as whom the sender is seen there.
    /// NATs let streams out and none in, and forget no stream; `None` if nobody is there.
    pub fn reach(&self, origin: usize, port: u16, to: SocketAddr) -> Option<(usize, SocketAddr)> {
        let host = &self.hosts[origin];
        let own = if to.is_ipv4() { Some(host.ipv4) } else { host.ipv6 };
        let (mut from, mut realm) = (SocketAddr::new(own?.ip(), port), host.realm);
        loop {
            match self.owners.get(&(realm, to.ip())) {
                Some(&Owner::Host(node)) => return Some((node, from)),
                Some(Owner::Router(_)) => return None,
                None => {
                    let router = &self.routers[router_index(realm)?];
                    from.set_ip(router.ip);
                    realm = router.outside;
                }
            }
        }
    }

    /// Whether the route between two nodes is whole in both directions, as streams need it.
    pub fn is_whole_between(&self, a: usize, b: usize) -> bool {
        self.partition.passes(a, b) && self.partition.passes(b, a)
    }

    /// How long a packet without content takes from `from` to `to`.
    pub fn delay(&self, from: usize, to: usize) -> Duration {
        self.hosts[from].up.model.latency + self.hosts[to].down.model.latency
    }

    /// When a segment leaves the far end of its sender's access.
    pub fn segment_up(&mut self, now: Time, node: usize, bytes: usize) -> Time {
        self.hosts[node].up.carry_segment(now, bytes, &mut self.rng)
    }

    /// When a segment is with its receiver.
    pub fn segment_down(&mut self, now: Time, node: usize, bytes: usize) -> Time {
        self.hosts[node].down.carry_segment(now, bytes, &mut self.rng)
    }
}

//! Paths of our own: three nodes between us and whomever we ask.
//!
//! All keys of a path are made for it, the first hop's too, where c-toxcore uses its DHT key: so no
//! hop but the first, which sees our address, can tell two paths of one owner. The same nonce stands
//! in all three layers and thus at all three hops: the wire format forces it, so two hops that work
//! together recognise a packet. It is a new one for each packet, and what lies inside, which the node
//! at the end sees, has another.

use std::collections::VecDeque;

use super::config::{
    KNOWN_WEIGHT, MAX_RETIRED, NEW_PATH_MISSES, PATH_ECHO, PATH_LIFETIME, PATH_MISSES,
};
use super::pool::{Node, Pool, Side};
use crate::wire::address::IpPort;
use crate::wire::onion::{Hop, LastLayer, Layer, SendHeader};
use crate::wire::relay::RelayPacket;
use crate::wire::{Address, Encode, KeyPair, Nonce, PublicKey, Rng, SharedKey, Time};

/// Hops of a path.
const HOPS: usize = 3;

/// Who receives our packets first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum FirstHop {
    /// A node, by UDP: the packet is a datagram.
    Udp(Address),
    /// A TCP relay that we are connected to, by its key: the packet is a relay packet (8).
    Relay(PublicKey),
}

/// Names a path; no two of one client have the same.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct PathId(pub(super) u64);

/// Which path a request would like to take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    /// Any: more of them than not are built and tried.
    Any,
    /// One that brought answers, if there is one: it is the node that is in doubt.
    Proven,
    /// This one, while it stands, else one that brought answers.
    This(PathId),
}

/// What building a path needs.
pub(super) struct Ground<'a> {
    pub(super) rng: &'a mut Rng,
    pub(super) pool: &'a mut Pool,
    /// If there are any, one of them is the first hop.
    pub(super) relays: &'a [PublicKey],
    pub(super) allow_short: bool,
}

/// A path.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) id: PathId,
    pub(super) first: FirstHop,
    /// The three hops, or the two behind a relay.
    hops: Vec<Node>,
    /// For each of `hops` a key of this path, and the secret shared with the hop.
    keys: Vec<(PublicKey, SharedKey)>,
    /// For whom it was built: paths serve nodes of the same kind, and a short one that contains this
    /// node serves it all the same.
    built_for: Node,
    created: Time,
    /// Requests in a row that brought no answer, and how much that says.
    misses: u8,
    doubt: u8,
    is_proven: bool,
}

impl Path {
    fn new(
        now: Time,
        rng: &mut Rng,
        relay: Option<PublicKey>,
        hops: Vec<Node>,
        built_for: Node,
    ) -> Option<Self> {
        let first = match relay {
            Some(key) => FirstHop::Relay(key),
            None => FirstHop::Udp(hops.first()?.address()),
        };
        let key_for = |hop: &Node| {
            let pair = KeyPair::generate(rng);
            (pair.public, pair.secret.shared_key(&hop.key))
        };
        let keys = hops.iter().map(key_for).collect();
        let id = PathId(rng.u64());
        let (created, misses, doubt, is_proven) = (now, 0, 0, false);
        Some(Self { id, first, hops, keys, built_for, created, misses, doubt, is_proven })
    }

    /// True if requests for `destination` may go along this path.
    fn serves(&self, destination: &Node) -> bool {
        self.built_for.kind() == destination.kind()
            && (self.built_for == *destination
                || self.first != FirstHop::Relay(destination.key)
                    && self.hops.iter().all(|hop| !hop.is_same(destination)))
    }

    fn is_dead(&self, now: Time, pool: &Pool, relays: &[PublicKey]) -> bool {
        let is_cut = match &self.first {
            FirstHop::Udp(_) => !relays.is_empty(),
            FirstHop::Relay(key) => !relays.contains(key),
        };
        let is_shorter_than_need_be = self.is_short() && pool.choice() > HOPS;
        let is_makeshift = !self.keeps_sides() && pool.has_both_sides(self.built_for.kind());
        is_cut
            || is_shorter_than_need_be
            || is_makeshift
            || self.has_failed()
            || now >= self.created + PATH_LIFETIME
    }

    /// True if a node occurs twice or is at the end as well.
    fn is_short(&self) -> bool {
        let (Some(first), Some(last)) = (self.hops.first(), self.hops.last()) else { return true };
        let ends_at_relay = self.first == FirstHop::Relay(self.built_for.key);
        first == last || ends_at_relay || self.hops.contains(&self.built_for)
    }

    /// True if its ends are nodes of the sides that they should be of. The relay is no matter of choice.
    fn keeps_sides(&self) -> bool {
        let is_entry = |hop: &Node| hop.side() == Side::Entry;
        let has_entry = self.hops.len() < HOPS || self.hops.first().is_some_and(is_entry);
        has_entry && self.hops.last().is_some_and(|hop| !is_entry(hop))
    }

    /// True if it was asked along, and only silence came.
    const fn is_silent(&self) -> bool {
        !self.is_proven && self.misses > 0
    }

    fn has_failed(&self) -> bool {
        match self.is_proven {
            true => self.doubt >= PATH_MISSES * KNOWN_WEIGHT,
            false => self.misses >= NEW_PATH_MISSES,
        }
    }

    /// Wraps a request for the node at `destination`: what to send to the first hop.
    pub(super) fn wrap(&self, rng: &mut Rng, destination: &Node, request: &[u8]) -> Vec<u8> {
        let nonce = Nonce::generate(rng);
        let last = LastLayer { destination: IpPort::udp(destination.endpoint), request };
        let mut boxed = last.to_bytes();
        let mut onward: Option<(&Node, PublicKey)> = None;
        for (hop, (public, shared)) in self.hops.iter().zip(&self.keys).rev() {
            if let Some((next, key)) = onward {
                let layer = Layer { next: IpPort::udp(next.endpoint), key, boxed: &boxed };
                boxed = layer.to_bytes();
            }
            shared.seal_suffix(&nonce, &mut boxed, 0);
            onward = Some((hop, *public));
        }
        match (&self.first, onward) {
            (FirstHop::Relay(_), Some((hop, key))) => {
                let next = IpPort::udp(hop.endpoint);
                RelayPacket::OnionRequest { nonce, next, key, boxed: &boxed }.to_bytes()
            }
            (FirstHop::Udp(_), Some((_, key))) => {
                let mut packet = SendHeader { hop: Hop::First, nonce, key }.to_bytes();
                packet.extend_from_slice(&boxed);
                packet
            }
            (_, None) => Vec::new(),
        }
    }
}

/// The hops of a path to `destination`: distinct, and none of them at its end. If that is impossible
/// and short paths are allowed, nodes repeat, but not one after the other if that can be avoided: a
/// node may be unable to send to itself.
fn choose_hops(
    ground: &mut Ground<'_>,
    relay: Option<PublicKey>,
    destination: &Node,
) -> Option<Vec<Node>> {
    let count = if relay.is_some() { HOPS - 1 } else { HOPS };
    let places = &[Some(Side::Entry), None, Some(Side::Exit)][HOPS - count..];
    let drawn = ground.pool.draw(ground.rng, places, destination, relay);
    if drawn.len() == count {
        return Some(drawn);
    }
    if !ground.allow_short {
        return None;
    }
    let last = *drawn.first().unwrap_or(destination);
    let middle = *drawn.get(1).unwrap_or(destination);
    Some([last, middle, last][HOPS - count..].to_vec())
}

/// A few paths for one purpose.
#[derive(Debug)]
pub(super) struct Paths {
    limit: usize,
    paths: Vec<Path>,
    /// First hops of paths that are no more, and since when; oldest first.
    retired: VecDeque<(FirstHop, Time)>,
}

impl Paths {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, paths: Vec::new(), retired: VecDeque::new() }
    }

    /// A path to `destination`, a new one if there are not enough that serve.
    pub(super) fn choose(
        &mut self,
        now: Time,
        ground: &mut Ground<'_>,
        destination: &Node,
        wish: Wish,
    ) -> Option<&Path> {
        self.remove_dead(now, ground.pool, ground.relays);
        let place = self.place(ground.rng, destination, wish);
        if place.is_none()
            && let Some(path) = build(now, ground, destination)
        {
            if self.paths.len() >= self.limit {
                let oldest = self.paths.remove(0);
                if oldest.is_silent() {
                    // With few nodes each destination needs another path, and none gets a second chance.
                    ground.pool.blame(now, &oldest.hops);
                }
                self.retire(now, oldest.first);
            }
            self.paths.push(path);
            return self.paths.last();
        }
        let serving = self.serving(destination, |_| true);
        place.or_else(|| ground.rng.choose(&serving).copied()).and_then(|i| self.paths.get(i))
    }

    /// Places of the paths that serve a node and pass the filter.
    fn serving(&self, destination: &Node, filter: impl Fn(&Path) -> bool) -> Vec<usize> {
        let is_fit = |path: &Path| path.serves(destination) && filter(path);
        (0..self.paths.len()).filter(|&place| is_fit(&self.paths[place])).collect()
    }

    /// The place of the path to take; `None` for a new one.
    fn place(&self, rng: &mut Rng, destination: &Node, wish: Wish) -> Option<usize> {
        if let Wish::This(id) = wish {
            let wished = self.serving(destination, |path| path.id == id).first().copied();
            if wished.is_some() {
                return wished;
            }
        }
        let proven = self.serving(destination, |path| path.is_proven);
        let enough = (self.limit / 2).max(1);
        if !proven.is_empty() && (wish != Wish::Any || rng.index(enough) < proven.len()) {
            return rng.choose(&proven).copied();
        }
        let place = rng.index(self.limit);
        let serving = self.serving(destination, |_| true);
        match serving.contains(&place) {
            true => Some(place),
            false if self.paths.len() < self.limit => None,
            false => rng.choose(&serving).copied(),
        }
    }

    fn remove_dead(&mut self, now: Time, pool: &mut Pool, relays: &[PublicKey]) {
        while let Some(place) = self.paths.iter().position(|path| path.is_dead(now, pool, relays)) {
            let path = self.paths.remove(place);
            if path.has_failed() {
                pool.blame(now, &path.hops);
            }
            self.retire(now, path.first);
        }
    }

    fn retire(&mut self, now: Time, first: FirstHop) {
        while self.retired.len() >= MAX_RETIRED
            || self.retired.front().is_some_and(|(_, at)| *at + PATH_ECHO <= now)
        {
            self.retired.pop_front();
        }
        self.retired.push_back((first, now));
    }

    /// A request along this path was answered.
    pub(super) fn answered(&mut self, id: PathId, pool: &mut Pool) {
        if let Some(path) = self.paths.iter_mut().find(|path| path.id == id) {
            (path.misses, path.doubt) = (0, 0);
            path.is_proven = true;
            pool.praise(&path.hops);
        }
    }

    /// A request along this path was not answered in time; `is_known` if the node answered before.
    pub(super) fn missed(&mut self, id: PathId, is_known: bool) {
        if let Some(path) = self.paths.iter_mut().find(|path| path.id == id) {
            path.misses = path.misses.saturating_add(1);
            path.doubt = path.doubt.saturating_add(if is_known { KNOWN_WEIGHT } else { 1 });
        }
    }

    /// True if what announcements along these paths bring may come from there.
    pub(super) fn leads_from(&self, now: Time, first: &FirstHop) -> bool {
        self.paths.iter().any(|path| path.first == *first)
            || self.retired.iter().any(|(gone, at)| gone == first && now < *at + PATH_ECHO)
    }

    /// Gives up all paths.
    pub(super) fn clear(&mut self) {
        self.paths.clear();
        self.retired.clear();
    }
}

/// The relay that a path to `destination` begins at, if it must begin at one: another node than that,
/// unless short paths are allowed, and of the right side if there is a choice. `None` if there is none.
#[expect(clippy::option_option, reason = "no relay that will do, or no need of one")]
fn choose_relay(ground: &mut Ground<'_>, destination: &Node) -> Option<Option<PublicKey>> {
    if ground.relays.is_empty() {
        return Some(None);
    }
    let others = ground.relays.iter().copied().filter(|relay| *relay != destination.key);
    let (mut fit, rest): (Vec<PublicKey>, Vec<PublicKey>) =
        others.partition(|relay| Side::of(relay) == Side::Entry);
    if fit.is_empty() {
        fit = rest;
    }
    if fit.is_empty() && ground.allow_short {
        fit.extend(ground.relays);
    }
    ground.rng.choose(&fit).map(|relay| Some(*relay))
}

fn build(now: Time, ground: &mut Ground<'_>, destination: &Node) -> Option<Path> {
    let relay = choose_relay(ground, destination)?;
    let hops = choose_hops(ground, relay, destination)?;
    Path::new(now, ground.rng, relay, hops, *destination)
}

#[cfg(test)]
#[path = "paths_tests.rs"]
mod tests;

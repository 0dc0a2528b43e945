//! Nodes of which paths are built, and with which searches begin.
//!
//! They come from our own DHT and from nowhere else: who answers announce requests has chosen its
//! place near the key that is announced, and must not choose itself into our paths as well (weakness
//! 2a of `onionVulns.md`). Only behind a TCP relay, where there is no DHT, nodes that answered through
//! the onion fill the places that are left.

use core::net::SocketAddr;
use core::time::Duration;

use super::config::{
    ENOUGH_PATH_NODES, MAX_OFFERED, MAX_PATH_NODES, MAX_STRIKES, OFFER_PAUSE, OFFER_PAUSE_FEW,
    OFFER_PAUSE_MAX, PATH_NODE_LIFETIME,
};
use crate::dht::is_reachable;
use crate::wire::{Address, PublicKey, Rng, Time};

/// A node that onion packets can name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Node {
    /// Its DHT key.
    pub(super) key: PublicKey,
    /// Where it is.
    pub(super) endpoint: SocketAddr,
}

impl Node {
    /// `None` if onion packets have no form for such an address, or nobody can be there.
    pub(super) fn new(key: PublicKey, address: &Address) -> Option<Self> {
        let endpoint = address.as_udp().filter(|_| is_reachable(address))?;
        Some(Self { key, endpoint })
    }

    pub(super) fn address(&self) -> Address {
        Address::udp(self.endpoint)
    }

    /// True if the two are one: one key, or one endpoint under two keys.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.key == other.key || self.endpoint == other.endpoint
    }

    /// Which end of paths it serves.
    pub(super) fn side(&self) -> Side {
        Side::of(&self.key)
    }

    /// Nodes of one kind can send to each other: both families have their own Internet, and nobody
    /// outside is helped into a local network.
    pub(super) fn kind(&self) -> Kind {
        Kind { is_ipv4: self.endpoint.is_ipv4(), is_lan: self.address().is_lan() }
    }
}

/// Which end of paths a node serves, by its key: half of all nodes each.
///
/// The third hop of a packet for somebody sees to which identity it goes. The first hop of *that one's*
/// path sees the same box again, and to which address it goes. Were they one node, it would know who
/// is where; so clients of ours agree that nobody is both. (c-toxcore's do not: the third hop of a
/// packet of theirs is any node.)
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    /// First hops, which know an address.
    Entry,
    /// Third hops, which see an identity.
    Exit,
}

impl Side {
    /// Any bit that everybody takes will do, but one of the first, which neighbours in the DHT share.
    pub(super) fn of(key: &PublicKey) -> Self {
        if key.0[16] & 1 == 0 { Self::Entry } else { Self::Exit }
    }
}

/// Where a node is, roughly.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Kind {
    is_ipv4: bool,
    is_lan: bool,
}

/// A node of the pool.
#[derive(Debug)]
struct Pooled {
    node: Node,
    seen: Time,
    /// Paths with it that failed since one with it worked.
    strikes: u8,
    /// It answered through the onion: it may be a liar's.
    is_learned: bool,
}

/// The nodes.
#[derive(Debug)]
pub(super) struct Pool {
    own: PublicKey,
    nodes: Vec<Pooled>,
    next_offer: Time,
    pause: Duration,
    is_wanting: bool,
}

impl Pool {
    /// An empty pool of the node whose DHT key is `own`.
    pub(super) fn new(own: PublicKey) -> Self {
        let (next_offer, pause) = (Time::ZERO, OFFER_PAUSE);
        Self { own, nodes: Vec::new(), next_offer, pause, is_wanting: true }
    }

    /// True if more nodes are wanted.
    pub(super) fn wants_offer(&self) -> bool {
        self.is_wanting
    }

    /// When [`Pool::handle_timeout`] has something to do.
    pub(super) fn deadline(&self) -> Time {
        self.next_offer
    }

    /// Wants more nodes if it is time.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        if self.next_offer <= now {
            self.is_wanting = true;
            self.slow_down(now);
        }
    }

    /// Nothing new came, or nothing at all: the next offer is wanted later.
    fn slow_down(&mut self, now: Time) {
        let is_enough = self.nodes.len() >= ENOUGH_PATH_NODES;
        let longest = if is_enough { OFFER_PAUSE_MAX } else { OFFER_PAUSE_FEW };
        self.pause = (self.pause * 2).min(longest);
        self.next_offer = now + self.pause;
    }

    /// Nodes in it.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Takes over those nodes that we do not have, as far as there is place, a random choice of them;
    /// true if there were such.
    pub(super) fn offer(
        &mut self,
        now: Time,
        rng: &mut Rng,
        nodes: impl Iterator<Item = (PublicKey, Address)>,
    ) -> bool {
        let mut fresh: Vec<Node> = Vec::new();
        for node in nodes.take(MAX_OFFERED).filter_map(|(key, at)| Node::new(key, &at)) {
            match self.nodes.iter_mut().find(|known| known.node.key == node.key) {
                Some(known) => known.offered_again(now, node),
                None if node.key == self.own => {}
                None => fresh.push(node),
            }
        }
        self.forget_old(now);
        rng.shuffle(&mut fresh);
        let mut is_new = false;
        for node in fresh {
            is_new |= self.add(Pooled { node, seen: now, strikes: 0, is_learned: false });
        }
        self.is_wanting = false;
        if is_new {
            (self.pause, self.next_offer) = (OFFER_PAUSE, now + OFFER_PAUSE);
        } else if self.next_offer <= now {
            self.slow_down(now);
        }
        is_new
    }

    /// Takes over a node that answered through the onion, if there is place.
    pub(super) fn learn(&mut self, now: Time, node: Node) {
        let is_known = self.nodes.iter().any(|known| known.node.is_same(&node));
        if !is_known && node.key != self.own {
            self.forget_old(now);
            self.add(Pooled { node, seen: now, strikes: 0, is_learned: true });
        }
    }

    fn forget_old(&mut self, now: Time) {
        self.nodes.retain(|known| now < known.seen + PATH_NODE_LIFETIME);
    }

    /// Adds a node, if need be in place of one that is worth less.
    fn add(&mut self, new: Pooled) -> bool {
        if self.nodes.iter().any(|known| known.node.is_same(&new.node)) {
            return false;
        }
        if self.nodes.len() < MAX_PATH_NODES {
            self.nodes.push(new);
            return true;
        }
        let is_worse = |known: &&mut Pooled| {
            known.strikes >= MAX_STRIKES || known.is_learned && !new.is_learned
        };
        match self.nodes.iter_mut().find(is_worse) {
            Some(worse) => {
                *worse = new;
                true
            }
            None => false,
        }
    }

    /// A path with these nodes brought an answer.
    pub(super) fn praise(&mut self, nodes: &[Node]) {
        for known in self.nodes.iter_mut().filter(|known| nodes.contains(&known.node)) {
            known.strikes = 0;
        }
    }

    /// A path with these nodes brings no answers.
    pub(super) fn blame(&mut self, nodes: &[Node]) {
        for known in self.nodes.iter_mut().filter(|known| nodes.contains(&known.node)) {
            known.strikes = known.strikes.saturating_add(1);
        }
    }

    /// The `count` nodes nearest to a key.
    pub(super) fn nearest(&self, target: &PublicKey, count: usize) -> Vec<Node> {
        let mut nodes: Vec<Node> = self.nodes.iter().map(|known| known.node).collect();
        nodes.sort_unstable_by_key(|node| node.key.distance(target));
        nodes.truncate(count);
        nodes
    }

    /// Random nodes for a path, one a place in it, all distinct and none of them `apart` or with the key
    /// `also_apart`: those first whose paths did not fail, and of the same kind as `apart` if there are
    /// enough. A place that asks for a side gets a node of it if there is one that works. Fewer than
    /// asked for if there are not enough.
    pub(super) fn draw(
        &self,
        rng: &mut Rng,
        places: &[Option<Side>],
        apart: &Node,
        also_apart: Option<PublicKey>,
    ) -> Vec<Node> {
        let is_free =
            |known: &&Pooled| !known.node.is_same(apart) && Some(known.node.key) != also_apart;
        let mut free: Vec<&Pooled> = self.nodes.iter().filter(is_free).collect();
        let of_kind = |known: &&Pooled| known.node.kind() == apart.kind();
        if free.iter().filter(|known| of_kind(known)).count() >= places.len() {
            free.retain(of_kind);
        }
        rng.shuffle(&mut free);
        free.sort_by_key(|known| known.strikes.min(MAX_STRIKES));
        let mut drawn = vec![None; places.len()];
        // Places that ask for nothing take what the others leave.
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|place| places[*place].is_none());
        for place in order {
            let is_fit = |known: &&Pooled| {
                known.strikes < MAX_STRIKES && Some(known.node.side()) == places[place]
            };
            let best = free.iter().position(is_fit).or((!free.is_empty()).then_some(0));
            let Some(chosen) = best.map(|best| free.remove(best).node) else { break };
            // A node that moved may have come to where another one is.
            free.retain(|known| !known.node.is_same(&chosen));
            drawn[place] = Some(chosen);
        }
        drawn.into_iter().flatten().collect()
    }

    /// True if [`Pool::draw`] finds working nodes of this kind for both sides, even if one is the relay
    /// and one the destination.
    pub(super) fn has_both_sides(&self, kind: Kind) -> bool {
        [Side::Entry, Side::Exit].into_iter().all(|side| {
            let is_fit = |known: &&Pooled| {
                let node = &known.node;
                known.strikes < MAX_STRIKES && node.side() == side && node.kind() == kind
            };
            self.nodes.iter().filter(is_fit).count() > 2
        })
    }
}

impl Pooled {
    fn offered_again(&mut self, now: Time, node: Node) {
        self.seen = now;
        self.is_learned = false;
        if self.node.endpoint != node.endpoint {
            self.node = node;
            self.strikes = 0;
        }
        // What failed a while ago may work again: the DHT still hears of it.
        if self.strikes >= MAX_STRIKES {
            self.strikes -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1_000);

    fn node(number: u16) -> (PublicKey, Address) {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&number.to_be_bytes());
        let [high, low] = number.to_be_bytes();
        (PublicKey(key), Address::udp(([198, 18, high, low], 33445).into()))
    }

    fn pool(count: u16) -> (Pool, Rng) {
        let (mut pool, mut rng) = (Pool::new(node(0).0), Rng::from_seed([1; 32]));
        pool.offer(NOW, &mut rng, (0..=count).map(node));
        (pool, rng)
    }

    #[test]
    fn a_random_choice_of_what_is_offered_stays_and_never_this_node() {
        let (mut pool, mut rng) = pool(500);
        assert_eq!(pool.nodes.len(), MAX_PATH_NODES);
        assert!(pool.nodes.iter().all(|known| known.node.key != node(0).0));
        let highest = pool.nodes.iter().map(|known| known.node.key).max().unwrap();
        assert!(highest > node(300).0, "not just the first ones");
        let before: Vec<_> = pool.nodes.iter().map(|known| known.node).collect();
        assert!(!pool.offer(NOW, &mut rng, (0..=500).map(node)));
        assert!(pool.nodes.iter().all(|known| before.contains(&known.node)), "it does not churn");
        let later = NOW + PATH_NODE_LIFETIME;
        assert!(pool.offer(later, &mut rng, (600..604).map(node)));
        assert_eq!(pool.nodes.len(), 4, "what is offered no more is forgotten");
    }

    #[test]
    fn offers_are_wanted_more_rarely_while_nothing_new_comes() {
        let (mut pool, mut rng) = pool(20);
        assert!(!pool.wants_offer());
        let (mut now, mut wanted) = (NOW, 0);
        while now < NOW + Duration::from_secs(300) {
            now = pool.deadline();
            pool.handle_timeout(now);
            assert!(pool.wants_offer());
            wanted += 1;
            pool.offer(now, &mut rng, (0..=20).map(node));
        }
        assert!((12..20).contains(&wanted), "{wanted}");
        assert!(pool.offer(now, &mut rng, (0..=21).map(node)));
        assert_eq!(pool.deadline(), now + OFFER_PAUSE);
    }

    #[test]
    fn few_nodes_are_not_enough() {
        let (mut pool, _) = pool(2);
        for _ in 0..20 {
            let now = pool.deadline();
            pool.handle_timeout(now);
            assert!(pool.deadline() <= now + OFFER_PAUSE_FEW);
        }
    }

    #[test]
    fn nodes_of_failed_paths_are_drawn_last_until_one_works() {
        let (mut pool, mut rng) = pool(10);
        let apart = pool.nodes[0].node;
        let bad: Vec<Node> = pool.nodes[1..4].iter().map(|known| known.node).collect();
        pool.blame(&bad);
        for _ in 0..50 {
            let drawn = pool.draw(&mut rng, &[None; 3], &apart, None);
            assert_eq!(drawn.len(), 3);
            assert!(drawn.iter().all(|node| !bad.contains(node) && *node != apart));
        }
        assert_eq!(pool.draw(&mut rng, &[None; 9], &apart, None).len(), 9, "better than none");
        assert_eq!(pool.draw(&mut rng, &[None; 9], &apart, Some(bad[0].key)).len(), 8);
        pool.praise(&bad);
        assert!((0..50).any(|_| pool.draw(&mut rng, &[None; 3], &apart, None).contains(&bad[0])));
    }

    /// A node that stands on a side.
    fn sided(number: u16, side: Side) -> (PublicKey, Address) {
        let (mut key, address) = node(number);
        key.0[16] = u8::from(side == Side::Exit);
        (key, address)
    }

    #[test]
    fn each_end_of_a_path_gets_a_node_of_its_side_while_there_is_one_that_works() {
        let (mut pool, mut rng) = (Pool::new(node(0).0), Rng::from_seed([1; 32]));
        let entries = (1..=3).map(|number| sided(number, Side::Entry));
        pool.offer(NOW, &mut rng, entries.chain([sided(4, Side::Exit)]));
        let places = [Some(Side::Entry), None, Some(Side::Exit)];
        let apart = Node::new(node(9).0, &node(9).1).unwrap();
        for _ in 0..50 {
            let sides = pool.draw(&mut rng, &places, &apart, None);
            let sides: Vec<Side> = sides.iter().map(Node::side).collect();
            assert_eq!(sides, [Side::Entry, Side::Entry, Side::Exit]);
        }
        assert!(!pool.has_both_sides(apart.kind()), "the only exit may be where a path leads to");
        let exit = pool.nodes.iter().find(|known| known.node.side() == Side::Exit);
        let exit = exit.unwrap().node;
        (0..MAX_STRIKES).for_each(|_| pool.blame(&[exit]));
        let makeshift = pool.draw(&mut rng, &places, &apart, None);
        assert!(makeshift.len() == 3 && !makeshift.contains(&exit));
        pool.offer(NOW, &mut rng, (5..=6).map(|number| sided(number, Side::Exit)));
        assert!(!pool.has_both_sides(apart.kind()));
        pool.praise(&[exit]);
        assert!(pool.has_both_sides(apart.kind()));
    }

    #[test]
    fn a_node_that_moved_to_where_another_one_is_does_not_share_a_path_with_it() {
        let (mut pool, mut rng) = pool(3);
        let moved = (node(1).0, node(2).1);
        pool.offer(NOW, &mut rng, core::iter::once(moved));
        let apart = Node::new(node(9).0, &node(9).1).unwrap();
        assert_eq!(pool.draw(&mut rng, &[None; 3], &apart, None).len(), 2);
    }

    #[test]
    fn two_keys_at_one_endpoint_are_one_node_and_learned_nodes_make_room() {
        let (mut pool, mut rng) = (Pool::new(node(0).0), Rng::from_seed([1; 32]));
        for number in 1..100 {
            let (key, address) = node(number);
            pool.learn(NOW, Node::new(key, &address).unwrap());
        }
        assert_eq!(pool.nodes.len(), MAX_PATH_NODES);
        assert!(pool.offer(NOW, &mut rng, (200..210).map(node)));
        assert_eq!(pool.nodes.iter().filter(|known| !known.is_learned).count(), 10);
        let twin = (PublicKey([9; 32]), node(200).1);
        assert!(!pool.offer(NOW, &mut rng, core::iter::once(twin)));
    }
}

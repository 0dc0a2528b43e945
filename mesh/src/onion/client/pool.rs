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
use crate::dht::{Neighbour, is_reachable};
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
    /// Paths with it that failed since one with it worked, but for those that were forgiven.
    strikes: u8,
    /// When one failed last, or was forgiven.
    judged: Time,
    /// It answered through the onion: it may be a liar's.
    is_learned: bool,
}

/// The nodes.
#[derive(Debug)]
pub(super) struct Pool {
    own: PublicKey,
    /// Paths may be shorter than three nodes.
    allow_short: bool,
    nodes: Vec<Pooled>,
    next_offer: Time,
    pause: Duration,
    is_wanting: bool,
}

impl Pool {
    /// An empty pool of the node whose DHT key is `own`. Where short paths are allowed and few nodes
    /// known, a node is in no path after the first one that failed, unless all have failed.
    pub(super) fn new(own: PublicKey, allow_short: bool) -> Self {
        let (next_offer, pause) = (Time::ZERO, OFFER_PAUSE);
        Self { own, allow_short, nodes: Vec::new(), next_offer, pause, is_wanting: true }
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

    /// Nodes of which paths are built.
    pub(super) fn choice(&self) -> usize {
        let is_drawn = |known: &&Pooled| !self.is_tiny() || self.works(known);
        self.nodes.iter().filter(is_drawn).count()
    }

    /// True if paths had better be short than with a node that may be dead: in a network of a few nodes
    /// one that is gone would be in all of them.
    fn is_tiny(&self) -> bool {
        self.allow_short && self.nodes.len() < ENOUGH_PATH_NODES
    }

    fn works(&self, known: &Pooled) -> bool {
        known.strikes < if self.is_tiny() { 1 } else { MAX_STRIKES }
    }

    /// Takes over those nodes that we do not have, as far as there is place, a random choice of them;
    /// true if there were such.
    pub(super) fn offer(
        &mut self,
        now: Time,
        rng: &mut Rng,
        nodes: impl Iterator<Item = Neighbour>,
    ) -> bool {
        let mut fresh: Vec<Node> = Vec::new();
        let fewest = if self.is_tiny() { 0 } else { MAX_STRIKES - 1 };
        let fit = |it: Neighbour| Some((Node::new(it.key, &it.address)?, it.alive));
        for (node, alive) in nodes.take(MAX_OFFERED).filter_map(fit) {
            match self.nodes.iter_mut().find(|known| known.node.key == node.key) {
                Some(known) => known.offered_again(now, node, alive, fewest),
                None if node.key == self.own => {}
                None => fresh.push(node),
            }
        }
        self.forget_old(now);
        // Who is offered where another one was is there in its place.
        self.nodes.retain(|known| {
            let is_there = |new: &Node| new.endpoint == known.node.endpoint;
            known.seen == now || !fresh.iter().any(is_there)
        });
        rng.shuffle(&mut fresh);
        let mut is_new = false;
        for node in fresh {
            is_new |= self.add(Pooled::new(now, node, false));
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
            self.add(Pooled::new(now, node, true));
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
    pub(super) fn blame(&mut self, now: Time, nodes: &[Node]) {
        for known in self.nodes.iter_mut().filter(|known| nodes.contains(&known.node)) {
            known.strikes = known.strikes.saturating_add(1);
            known.judged = now;
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
        if self.is_tiny() {
            self.keep_working(&mut free);
        }
        free.sort_by_key(|known| known.strikes.min(MAX_STRIKES));
        let mut drawn = vec![None; places.len()];
        // Places that ask for nothing take what the others leave.
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|place| places[*place].is_none());
        for place in order {
            let is_fit =
                |known: &&Pooled| self.works(known) && Some(known.node.side()) == places[place];
            let best = free.iter().position(is_fit).or((!free.is_empty()).then_some(0));
            let Some(chosen) = best.map(|best| free.remove(best).node) else { break };
            // A node that moved may have come to where another one is.
            free.retain(|known| !known.node.is_same(&chosen));
            drawn[place] = Some(chosen);
        }
        drawn.into_iter().flatten().collect()
    }

    /// Leaves those that work; or one alone, so that it is found out which do.
    fn keep_working(&self, free: &mut Vec<&Pooled>) {
        if free.iter().any(|known| self.works(known)) {
            free.retain(|known| self.works(known));
        } else {
            free.sort_by_key(|known| known.strikes);
            free.truncate(1);
        }
    }

    /// True if [`Pool::draw`] finds working nodes of this kind for both sides, even if one is the relay
    /// and one the destination.
    pub(super) fn has_both_sides(&self, kind: Kind) -> bool {
        [Side::Entry, Side::Exit].into_iter().all(|side| {
            let is_fit = |known: &&Pooled| {
                let node = &known.node;
                self.works(known) && node.side() == side && node.kind() == kind
            };
            self.nodes.iter().filter(is_fit).count() > 2
        })
    }
}

impl Pooled {
    const fn new(now: Time, node: Node, is_learned: bool) -> Self {
        Self { node, seen: now, strikes: 0, judged: now, is_learned }
    }

    /// The DHT still knows it; its last sign of life was at `alive`. `fewest` strikes stay.
    fn offered_again(&mut self, now: Time, node: Node, alive: Time, fewest: u8) {
        self.seen = now;
        self.is_learned = false;
        if self.node.endpoint != node.endpoint {
            self.node = node;
            self.strikes = 0;
        }
        // What failed a while ago may work again: the DHT has heard it since.
        if self.strikes > fewest && self.judged < alive {
            (self.strikes, self.judged) = (self.strikes - 1, alive);
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

    fn heard((key, address): (PublicKey, Address)) -> Neighbour {
        Neighbour { key, address, alive: NOW }
    }

    fn offered(number: u16) -> Neighbour {
        heard(node(number))
    }

    fn pool(count: u16) -> (Pool, Rng) {
        let (mut pool, mut rng) = (Pool::new(node(0).0, false), Rng::from_seed([1; 32]));
        pool.offer(NOW, &mut rng, (0..=count).map(offered));
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
        assert!(!pool.offer(NOW, &mut rng, (0..=500).map(offered)));
        assert!(pool.nodes.iter().all(|known| before.contains(&known.node)), "it does not churn");
        let later = NOW + PATH_NODE_LIFETIME;
        assert!(pool.offer(later, &mut rng, (600..604).map(offered)));
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
            pool.offer(now, &mut rng, (0..=20).map(offered));
        }
        assert!((12..20).contains(&wanted), "{wanted}");
        assert!(pool.offer(now, &mut rng, (0..=21).map(offered)));
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
        pool.blame(NOW, &bad);
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

    #[test]
    fn where_paths_may_be_short_a_node_that_failed_waits_until_the_dht_hears_it_again() {
        let (mut pool, mut rng) = (Pool::new(node(0).0, true), Rng::from_seed([1; 32]));
        pool.offer(NOW, &mut rng, (1..=4).map(offered));
        let apart = Node::new(node(9).0, &node(9).1).unwrap();
        let all: Vec<Node> = pool.nodes.iter().map(|known| known.node).collect();
        let mut draw = |pool: &Pool| pool.draw(&mut rng, &[None; 3], &apart, None);
        assert_eq!((draw(&pool).len(), pool.choice()), (3, 4));
        pool.blame(NOW, &all[..2]);
        assert!(draw(&pool).iter().all(|node| all[2..].contains(node)));
        assert_eq!((draw(&pool).len(), pool.choice()), (2, 2));
        pool.blame(NOW, &all[1..]);
        assert_eq!(draw(&pool).len(), 1, "one alone tells whether it works");
        pool.praise(&all[3..]);
        assert_eq!(draw(&pool), all[3..]);
        let (key, address) = (all[0].key, all[0].address());
        let mut rng = Rng::from_seed([2; 32]);
        for (alive, choice) in [(NOW, 1), (NOW + Duration::from_secs(1), 2)] {
            let heard = Neighbour { key, address, alive };
            pool.offer(NOW + Duration::from_secs(2), &mut rng, core::iter::once(heard));
            assert_eq!(pool.choice(), choice);
        }
    }

    #[test]
    fn who_is_offered_where_another_one_was_takes_its_place() {
        let (mut pool, mut rng) = pool(3);
        let restarted = Neighbour { key: PublicKey([9; 32]), ..offered(2) };
        assert!(pool.offer(NOW + Duration::from_secs(1), &mut rng, core::iter::once(restarted)));
        assert_eq!(pool.len(), 3);
        assert!(pool.nodes.iter().all(|known| known.node.key != node(2).0));
    }

    /// A node that stands on a side.
    fn sided(number: u16, side: Side) -> (PublicKey, Address) {
        let (mut key, address) = node(number);
        key.0[16] = u8::from(side == Side::Exit);
        (key, address)
    }

    #[test]
    fn each_end_of_a_path_gets_a_node_of_its_side_while_there_is_one_that_works() {
        let (mut pool, mut rng) = (Pool::new(node(0).0, false), Rng::from_seed([1; 32]));
        let entries = (1..=3).map(|number| sided(number, Side::Entry));
        pool.offer(NOW, &mut rng, entries.chain([sided(4, Side::Exit)]).map(heard));
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
        (0..MAX_STRIKES).for_each(|_| pool.blame(NOW, &[exit]));
        let makeshift = pool.draw(&mut rng, &places, &apart, None);
        assert!(makeshift.len() == 3 && !makeshift.contains(&exit));
        pool.offer(NOW, &mut rng, (5..=6).map(|number| heard(sided(number, Side::Exit))));
        assert!(!pool.has_both_sides(apart.kind()));
        pool.praise(&[exit]);
        assert!(pool.has_both_sides(apart.kind()));
    }

    #[test]
    fn a_node_that_moved_to_where_another_one_is_does_not_share_a_path_with_it() {
        let (mut pool, mut rng) = pool(3);
        let moved = (node(1).0, node(2).1);
        pool.offer(NOW, &mut rng, core::iter::once(heard(moved)));
        let apart = Node::new(node(9).0, &node(9).1).unwrap();
        assert_eq!(pool.draw(&mut rng, &[None; 3], &apart, None).len(), 2);
    }

    #[test]
    fn two_keys_at_one_endpoint_are_one_node_and_learned_nodes_make_room() {
        let (mut pool, mut rng) = (Pool::new(node(0).0, false), Rng::from_seed([1; 32]));
        for number in 1..100 {
            let (key, address) = node(number);
            pool.learn(NOW, Node::new(key, &address).unwrap());
        }
        assert_eq!(pool.nodes.len(), MAX_PATH_NODES);
        assert!(pool.offer(NOW, &mut rng, (200..210).map(offered)));
        assert_eq!(pool.nodes.iter().filter(|known| !known.is_learned).count(), 10);
        let twin = (PublicKey([9; 32]), node(200).1);
        assert!(!pool.offer(NOW, &mut rng, core::iter::once(heard(twin))));
    }
}

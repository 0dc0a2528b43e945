//! The nodes nearest to a key, as far as we know them: where the key is announced, if it is.
//!
//! Announcing and searching approach a key alike: nodes tell of nearer nodes, those are asked in turn,
//! and the nearest that answered are kept as members.

use super::config::{
    MAX_HEARD, MEMBER_PATH_TRIES, MEMBER_RETRIES, NO_PATH_PAUSE, STRANGER_RETRIES,
};
use super::paths::{PathId, Wish};
use super::pool::Node;
use crate::wire::{PublicKey, SharedKey, Time};

/// A node that answered, and what is known of it.
#[derive(Debug)]
pub(super) struct Member<S> {
    pub(super) node: Node,
    /// Between the key that asks and the node's.
    pub(super) shared: SharedKey,
    /// The path of its last answer.
    pub(super) path: PathId,
    pub(super) answered: Time,
    pub(super) asked: Time,
    /// When it is asked next.
    pub(super) due: Time,
    misses: usize,
    pub(super) state: S,
}

/// A node that we only heard of.
#[derive(Debug)]
struct Heard {
    node: Node,
    due: Time,
    tries: usize,
}

/// A question that is due.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) node: Node,
    /// Known already, if the node is a member.
    pub(super) shared: Option<SharedKey>,
    pub(super) wish: Wish,
}

/// The neighbourhood of a key.
#[derive(Debug)]
pub(super) struct Neighbourhood<S> {
    target: PublicKey,
    limit: usize,
    /// Nearest first.
    members: Vec<Member<S>>,
    heard: Vec<Heard>,
}

impl<S: Default> Neighbourhood<S> {
    /// Nobody is known yet; up to `limit` members will be kept.
    pub(super) const fn new(target: PublicKey, limit: usize) -> Self {
        Self { target, limit, members: Vec::new(), heard: Vec::new() }
    }

    pub(super) fn members(&self) -> &[Member<S>] {
        &self.members
    }

    pub(super) fn members_mut(&mut self) -> &mut [Member<S>] {
        &mut self.members
    }

    pub(super) fn member_mut(&mut self, key: &PublicKey) -> Option<&mut Member<S>> {
        self.members.iter_mut().find(|member| member.node.key == *key)
    }

    /// True if an answer of this node would make it a member.
    fn wants(&self, key: &PublicKey) -> bool {
        let furthest = self.members.last().map(|member| member.node.key.distance(&self.target));
        self.members.len() < self.limit
            || furthest.is_some_and(|furthest| key.distance(&self.target) < furthest)
    }

    /// A node that is said to be near: it will be asked, unless it is known or too far away.
    pub(super) fn hear(&mut self, now: Time, node: Node) {
        let is_member = self.members.iter().any(|member| member.node.key == node.key);
        if is_member || !self.wants(&node.key) {
            return;
        }
        match self.heard.iter_mut().find(|heard| heard.node.key == node.key) {
            Some(heard) if heard.node == node || heard.tries < 2 => {}
            // It did not answer there; perhaps it has moved.
            Some(heard) => *heard = Heard { node, due: now, tries: heard.tries },
            None => self.heard.push(Heard { node, due: now, tries: 0 }),
        }
        if self.heard.len() > MAX_HEARD {
            self.forget_one();
        }
    }

    /// Forgets of those heard of the furthest, silent ones first.
    fn forget_one(&mut self) {
        let worth = |heard: &Heard| (heard.tries > 1, heard.node.key.distance(&self.target));
        let worst = (0..self.heard.len()).max_by_key(|&place| worth(&self.heard[place]));
        if let Some(worst) = worst {
            self.heard.swap_remove(worst);
        }
    }

    /// The next question that is due, of a member or, nearest first, of one heard of. It counts as
    /// asked from now on.
    pub(super) fn next_ask(&mut self, now: Time) -> Option<Ask> {
        if let Some(member) = self.members.iter_mut().find(|member| member.due <= now) {
            (member.due, member.asked) = (Time::MAX, now);
            let has_path = member.misses < MEMBER_PATH_TRIES;
            let wish = if has_path { Wish::This(member.path) } else { Wish::Proven };
            return Some(Ask { node: member.node, shared: Some(member.shared.clone()), wish });
        }
        self.heard.retain(|heard| {
            let furthest = self.members.last().filter(|_| self.members.len() >= self.limit);
            furthest.is_none_or(|furthest| {
                heard.node.key.distance(&self.target) < furthest.node.key.distance(&self.target)
            })
        });
        let due = self.heard.iter_mut().filter(|heard| heard.due <= now);
        let heard = due.min_by_key(|heard| heard.node.key.distance(&self.target))?;
        heard.due = Time::MAX;
        let wish = if heard.tries == 0 { Wish::Any } else { Wish::Proven };
        Some(Ask { node: heard.node, shared: None, wish })
    }

    /// The question could not be sent.
    pub(super) fn postpone(&mut self, now: Time, key: &PublicKey) {
        let due = now + NO_PATH_PAUSE;
        if let Some(member) = self.member_mut(key) {
            member.due = due;
        }
        if let Some(heard) = self.heard.iter_mut().find(|heard| heard.node.key == *key) {
            heard.due = due;
        }
    }

    /// The node answered: the member, if it is one now. Nothing of it is due then.
    pub(super) fn answered(
        &mut self,
        now: Time,
        node: Node,
        shared: SharedKey,
        path: PathId,
    ) -> Option<&mut Member<S>> {
        self.heard.retain(|heard| heard.node.key != node.key);
        if let Some(place) = self.members.iter().position(|member| member.node.key == node.key) {
            let member = self.members.get_mut(place)?;
            (member.node, member.shared, member.path) = (node, shared, path);
            (member.answered, member.due, member.misses) = (now, Time::MAX, 0);
            return Some(member);
        }
        if !self.wants(&node.key) {
            return None;
        }
        let distance = node.key.distance(&self.target);
        let is_nearer = |member: &Member<S>| member.node.key.distance(&self.target) < distance;
        let place = self.members.partition_point(is_nearer);
        let (due, misses, state) = (Time::MAX, 0, S::default());
        let member = Member { node, shared, path, answered: now, asked: now, due, misses, state };
        self.members.insert(place, member);
        self.members.truncate(self.limit);
        self.members.get_mut(place)
    }

    /// The node did not answer in time. It is asked again, and is a member no longer if it keeps
    /// silent.
    pub(super) fn missed(&mut self, now: Time, key: &PublicKey) {
        if let Some(heard) = self.heard.iter_mut().find(|heard| heard.node.key == *key) {
            let last = STRANGER_RETRIES.len() - 1;
            heard.due = now + STRANGER_RETRIES[heard.tries.min(last)];
            heard.tries = heard.tries.saturating_add(1);
        }
        let Some(place) = self.members.iter().position(|member| member.node.key == *key) else {
            return;
        };
        let member = &mut self.members[place];
        match MEMBER_RETRIES.get(member.misses) {
            Some(pause) => {
                member.misses += 1;
                member.due = now + *pause;
            }
            None => {
                let node = self.members.remove(place).node;
                self.heard.retain(|heard| heard.node.key != node.key);
                self.heard.push(Heard { node, due: now + STRANGER_RETRIES[3], tries: 3 });
                if self.heard.len() > MAX_HEARD {
                    self.forget_one();
                }
            }
        }
    }

    /// Asks all over again: members are strangers, and those who kept silent get another chance.
    pub(super) fn restart(&mut self, now: Time) {
        let members = core::mem::take(&mut self.members);
        self.heard.retain(|heard| heard.tries < 3);
        for heard in &mut self.heard {
            (heard.due, heard.tries) = (now, 0);
        }
        for member in members {
            self.hear(now, member.node);
        }
    }

    /// Gives those who kept silent another chance if nobody answers at all: it may have been us who was
    /// cut off.
    pub(super) fn revive(&mut self) {
        if self.members.is_empty() && self.heard.iter().all(|heard| heard.tries > 1) {
            self.heard.clear();
        }
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Time {
        let members = self.members.iter().map(|member| member.due);
        members.chain(self.heard.iter().map(|heard| heard.due)).min().unwrap_or(Time::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Rng;

    const NOW: Time = Time::from_secs(1_000);
    const TARGET: PublicKey = PublicKey([0; 32]);

    fn node(distance: u8) -> Node {
        let endpoint = ([198, 18, 0, distance], 33445).into();
        let mut key = [0; 32];
        key[0] = distance;
        Node { key: PublicKey(key), endpoint }
    }

    fn answer(near: &mut Neighbourhood<()>, node: Node) -> bool {
        near.answered(NOW, node, SharedKey::from_bytes([0; 32]), PathId(1)).is_some()
    }

    fn asked(near: &mut Neighbourhood<()>, now: Time) -> Vec<u8> {
        core::iter::from_fn(|| near.next_ask(now)).map(|ask| ask.node.key.0[0]).collect()
    }

    #[test]
    fn the_nearest_are_asked_first_and_the_nearest_that_answer_are_kept() {
        let mut near = Neighbourhood::<()>::new(TARGET, 3);
        for distance in [9, 5, 7, 5] {
            near.hear(NOW, node(distance));
        }
        assert_eq!(asked(&mut near, NOW), [5, 7, 9]);
        for distance in [9, 5, 7] {
            assert!(answer(&mut near, node(distance)));
        }
        assert!(!answer(&mut near, node(10)), "too far away");
        near.hear(NOW, node(10));
        near.hear(NOW, node(7));
        near.hear(NOW, node(1));
        assert_eq!(asked(&mut near, NOW), [1]);
        assert!(answer(&mut near, node(1)));
        let kept: Vec<u8> = near.members().iter().map(|member| member.node.key.0[0]).collect();
        assert_eq!(kept, [1, 5, 7]);
        assert_eq!(near.deadline(), Time::MAX);
    }

    #[test]
    fn who_keeps_silent_is_asked_ever_more_rarely() {
        let mut near = Neighbourhood::<()>::new(TARGET, 3);
        near.hear(NOW, node(1));
        let (mut now, mut times) = (NOW, 0);
        while now < NOW + core::time::Duration::from_secs(3_600) {
            times += asked(&mut near, now).len();
            near.missed(now, &node(1).key);
            near.hear(now, node(1));
            now = near.deadline().max(now + core::time::Duration::from_secs(1));
        }
        assert!((12..=16).contains(&times), "{times}");
    }

    #[test]
    fn a_silent_member_is_asked_again_by_other_paths_and_then_a_stranger() {
        let mut near = Neighbourhood::<()>::new(TARGET, 3);
        assert!(answer(&mut near, node(1)));
        near.members_mut()[0].due = NOW;
        assert_eq!(near.next_ask(NOW).unwrap().wish, Wish::This(PathId(1)));
        near.missed(NOW, &node(1).key);
        assert_eq!(near.next_ask(NOW).unwrap().wish, Wish::This(PathId(1)));
        near.missed(NOW, &node(1).key);
        assert_eq!(near.next_ask(NOW).unwrap().wish, Wish::Proven);
        near.missed(NOW, &node(1).key);
        assert!(near.next_ask(NOW).is_none());
        let later = near.deadline();
        assert!(near.next_ask(later).is_some());
        near.missed(later, &node(1).key);
        assert!(near.members().is_empty());
        assert_eq!(near.deadline(), later + STRANGER_RETRIES[3]);
        near.restart(later);
        assert_eq!(near.deadline(), Time::MAX, "the pool tells of it if it lives");
    }

    #[test]
    fn those_heard_of_are_bounded_and_the_nearest_stay() {
        let (mut near, mut rng) = (Neighbourhood::<()>::new(TARGET, 3), Rng::from_seed([1; 32]));
        let mut keys: Vec<PublicKey> = (0..200).map(|_| PublicKey(rng.bytes())).collect();
        for key in &keys {
            near.hear(NOW, Node { key: *key, endpoint: node(1).endpoint });
        }
        assert_eq!(near.heard.len(), MAX_HEARD);
        keys.sort_unstable_by_key(|key| key.distance(&TARGET));
        assert_eq!(near.next_ask(NOW).map(|ask| ask.node.key), Some(keys[0]));
    }
}

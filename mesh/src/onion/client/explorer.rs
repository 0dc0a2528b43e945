//! Learning of nodes behind a TCP relay, where there is no DHT: nodes are asked for random keys, by
//! keys used once. So nothing of us is in these questions, and they may go along short paths.

use core::time::Duration;

use super::pool::{Node, Pool};
use crate::wire::{PublicKey, Rng, Time};

/// With so many nodes in the pool there is no need to explore.
const ENOUGH: usize = 16;
/// Questions follow each other so quickly at first …
const PAUSE: Duration = Duration::from_millis(200);
/// … then after twice as long, up to this.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// When to ask, and whom.
#[derive(Debug)]
pub(super) struct Explorer {
    next: Time,
    pause: Duration,
}

impl Explorer {
    pub(super) const fn new() -> Self {
        Self { next: Time::ZERO, pause: PAUSE }
    }

    fn is_needed(pool: &Pool, relays: &[PublicKey]) -> bool {
        !relays.is_empty() && (1..ENOUGH).contains(&pool.len())
    }

    /// A node to ask now, and for which key.
    pub(super) fn next_ask(
        &mut self,
        now: Time,
        rng: &mut Rng,
        pool: &Pool,
        relays: &[PublicKey],
    ) -> Option<(Node, PublicKey)> {
        if now < self.next || !Self::is_needed(pool, relays) {
            return None;
        }
        self.next = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        let nodes = pool.nearest(&PublicKey(rng.bytes()), 1);
        nodes.first().map(|node| (*node, PublicKey(rng.bytes())))
    }

    /// Something new was learned: where it came from may be more.
    pub(super) fn hurry(&mut self, now: Time) {
        (self.next, self.pause) = (self.next.min(now + PAUSE), PAUSE);
    }

    /// When a question is due.
    pub(super) fn deadline(&self, pool: &Pool, relays: &[PublicKey]) -> Time {
        if Self::is_needed(pool, relays) { self.next } else { Time::MAX }
    }
}

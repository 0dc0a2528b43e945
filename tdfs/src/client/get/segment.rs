//! Fetching one segment: which block to ask for next, when to ask for another one as well.

use core::ops::Range;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use toktok_wire::{Rng, Time};

use crate::block::{Block, BlockAddress};
use crate::client::{BlockFailure, OpId, backoff};
use crate::file::Segment;

#[derive(Debug)]
struct Pending {
    index: u16,
    since: Time,
    /// It takes so long that another request was begun in its place. Its answer is still welcome.
    slow: bool,
}

/// The state of one segment that is being fetched.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) segment: Segment,
    pub(super) addresses: Vec<BlockAddress>,
    /// The data blocks of which the plaintext is wanted.
    pub(super) wanted: Range<u16>,
    /// Blocks at hand.
    pub(super) have: BTreeMap<u16, Block>,
    /// Blocks that their region does not have.
    pub(super) missing: BTreeSet<u16>,
    /// True: any `segment.data` blocks will do, in random order. False: the wanted ones only.
    whole: bool,
    /// Candidates; the last one is next.
    order: Vec<u16>,
    tries: BTreeMap<u16, u8>,
    attempts: u8,
    pending: BTreeMap<OpId, Pending>,
    waiting: BTreeSet<(Time, u16)>,
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    /// The answer to nothing that is under way.
    None,
    /// A new block is at hand, and how long it took.
    Block(Duration),
    /// No block.
    Failed,
}

impl Fetch {
    /// Fetches `wanted` of a segment whose blocks have `addresses`, asking for each block at most
    /// `attempts` times. If all is wanted, any blocks will do: what is asked for first says nothing.
    pub(super) fn new(
        segment: Segment,
        addresses: Vec<BlockAddress>,
        wanted: Range<u16>,
        attempts: u8,
        rng: &mut Rng,
    ) -> Self {
        let whole = wanted == (0..segment.data);
        let mut order: Vec<u16> =
            if whole { (0..segment.blocks()).collect() } else { wanted.clone().collect() };
        rng.shuffle(&mut order);
        Self {
            segment,
            addresses,
            wanted,
            have: BTreeMap::new(),
            missing: BTreeSet::new(),
            whole,
            order,
            tries: BTreeMap::new(),
            attempts,
            pending: BTreeMap::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// Blocks that suffice.
    pub(super) fn need(&self) -> usize {
        if self.whole { usize::from(self.segment.data) } else { self.wanted.len() }
    }

    /// True if what is wanted can be made of what is at hand.
    pub(super) fn is_complete(&self) -> bool {
        self.have.len() >= self.need()
    }

    /// True if nothing is under way or left to try, and it is not complete.
    pub(super) fn is_exhausted(&self) -> bool {
        !self.is_complete()
            && self.pending.is_empty()
            && self.waiting.is_empty()
            && self.order.is_empty()
    }

    /// The block to ask for next and how often it was asked for, if one more is worth asking for.
    pub(super) fn next(&mut self, now: Time) -> Option<(u16, u8)> {
        while let Some(&(due, index)) = self.waiting.first()
            && due <= now
        {
            self.waiting.pop_first();
            // Behind all that were never asked for.
            self.order.insert(0, index);
        }
        let active = self.pending.values().filter(|pending| !pending.slow).count();
        if self.have.len() + active >= self.need() {
            return None;
        }
        while let Some(index) = self.order.pop() {
            if !self.have.contains_key(&index) {
                return Some((index, self.tries_of(index)));
            }
        }
        // Nothing else is left: ask again for what is slow, by another way.
        let is_active = |index| self.pending.values().any(|p| p.index == index && !p.slow);
        let slow = self.pending.values().map(|pending| pending.index);
        let again = slow.filter(|index| self.tries_of(*index) < self.attempts);
        let again = again.filter(|index| !is_active(*index)).min_by_key(|i| self.tries_of(*i));
        again.map(|index| (index, self.tries_of(index)))
    }

    /// How often a block was asked for.
    fn tries_of(&self, index: u16) -> u8 {
        self.tries.get(&index).copied().unwrap_or_default()
    }

    /// Notes that block `index` was asked for.
    pub(super) fn begin(&mut self, now: Time, op: OpId, index: u16) {
        let tries = self.tries.entry(index).or_default();
        *tries = tries.saturating_add(1);
        self.pending.insert(op, Pending { index, since: now, slow: false });
    }

    /// Takes an answer. A block that is not what was asked for counts as a failure.
    pub(super) fn handle(
        &mut self,
        now: Time,
        op: OpId,
        result: Result<Block, BlockFailure>,
        pause: Duration,
        rng: &mut Rng,
    ) -> Change {
        let Some(pending) = self.pending.remove(&op) else { return Change::None };
        let index = pending.index;
        let address = self.addresses.get(usize::from(index)).copied();
        let result = result.and_then(|block| {
            let right = address == Some(block.address()) && block.size() == self.segment.size;
            if right { Ok(block) } else { Err(BlockFailure::Unreachable) }
        });
        match result {
            Ok(block) => {
                self.have.insert(index, block);
                self.missing.remove(&index);
                return Change::Block(now.since(pending.since));
            }
            Err(BlockFailure::NotFound) => {
                self.missing.insert(index);
                self.widen(rng);
            }
            Err(BlockFailure::Unreachable) => self.widen(rng),
            Err(BlockFailure::Busy) => {
                if let Some(tries) = self.tries.get_mut(&index) {
                    *tries -= 1;
                }
            }
        }
        let again = self.tries_of(index) < self.attempts && !self.have.contains_key(&index);
        let elsewhere = self.pending.values().any(|pending| pending.index == index);
        if again && !elsewhere {
            self.waiting.insert((now + backoff(pause, self.tries_of(index).max(1)), index));
        }
        Change::Failed
    }

    /// A wanted block is not to be had: from now on any blocks of the segment will do.
    fn widen(&mut self, rng: &mut Rng) {
        if self.whole {
            return;
        }
        self.whole = true;
        let fresh = |index: &u16| !self.tries.contains_key(index) && !self.order.contains(index);
        let mut more: Vec<u16> = (0..self.segment.blocks()).filter(fresh).collect();
        rng.shuffle(&mut more);
        more.append(&mut self.order);
        self.order = more;
    }

    /// Marks requests older than `patience` as slow, so that others are begun in their place. Gives
    /// the moment when the next one becomes slow.
    pub(super) fn hedge(&mut self, now: Time, patience: Duration) -> Option<Time> {
        let mut next = None;
        for pending in self.pending.values_mut().filter(|pending| !pending.slow) {
            let due = pending.since + patience;
            pending.slow = due <= now;
            if !pending.slow {
                next = next.map_or(Some(due), |next: Time| Some(next.min(due)));
            }
        }
        next
    }

    /// When the next pause ends.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// The operations that are under way.
    pub(super) fn operations(&self) -> impl Iterator<Item = OpId> {
        self.pending.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BlockSize;

    const PAUSE: Duration = Duration::from_secs(1);

    fn block(index: u16) -> Block {
        Block::new(vec![index as u8; 4096].into()).unwrap()
    }

    /// Four data blocks and four of parity, block i filled with i.
    fn fetch(wanted: Range<u16>) -> (Fetch, Rng) {
        let segment = Segment {
            level: 0,
            number: 0,
            size: BlockSize::Small,
            data: 4,
            parity: 4,
            length: 4 * 4096,
            offset: 0,
        };
        let addresses = (0..8).map(|index| block(index).address()).collect();
        let mut rng = Rng::from_seed([1; 32]);
        (Fetch::new(segment, addresses, wanted, 2, &mut rng), rng)
    }

    fn begin_all(fetch: &mut Fetch, now: Time, next_op: &mut u64) -> Vec<(OpId, u16)> {
        let mut begun = Vec::new();
        while let Some((index, _)) = fetch.next(now) {
            let op = OpId(*next_op);
            *next_op += 1;
            fetch.begin(now, op, index);
            begun.push((op, index));
        }
        begun
    }

    #[test]
    fn no_more_is_asked_for_than_suffices() {
        let (mut fetch, mut rng) = fetch(0..4);
        let begun = begin_all(&mut fetch, Time::ZERO, &mut 0);
        assert_eq!(begun.len(), 4);
        for (op, index) in begun {
            assert!(!fetch.is_complete());
            let change = fetch.handle(Time::from_millis(5), op, Ok(block(index)), PAUSE, &mut rng);
            assert_eq!(change, Change::Block(Duration::from_millis(5)));
        }
        assert!(fetch.is_complete());
    }

    #[test]
    fn a_part_asks_for_its_blocks_and_widens_when_one_is_missing() {
        let (mut fetch, mut rng) = fetch(1..2);
        let mut ops = 0;
        let begun = begin_all(&mut fetch, Time::ZERO, &mut ops);
        assert!(matches!(begun[..], [(_, 1)]));
        let missing = Err(BlockFailure::NotFound);
        assert_eq!(fetch.handle(Time::ZERO, begun[0].0, missing, PAUSE, &mut rng), Change::Failed);
        assert_eq!(fetch.missing, BTreeSet::from([1]));
        let begun = begin_all(&mut fetch, Time::ZERO, &mut ops);
        assert_eq!(begun.len(), 4);
        assert!(begun.iter().all(|(_, index)| *index != 1));
    }

    #[test]
    fn a_slow_answer_is_hedged_and_still_welcome() {
        let (mut fetch, mut rng) = fetch(0..4);
        let mut ops = 0;
        let begun = begin_all(&mut fetch, Time::ZERO, &mut ops);
        for (op, index) in &begun[1..] {
            fetch.handle(Time::ZERO, *op, Ok(block(*index)), PAUSE, &mut rng);
        }
        assert_eq!(fetch.hedge(Time::ZERO, PAUSE), Some(Time::from_secs(1)));
        assert_eq!(fetch.next(Time::ZERO), None);
        assert_eq!(fetch.hedge(Time::from_secs(1), PAUSE), None);
        assert_eq!(begin_all(&mut fetch, Time::from_secs(1), &mut ops).len(), 1);
        let (op, index) = begun[0];
        fetch.handle(Time::from_secs(2), op, Ok(block(index)), PAUSE, &mut rng);
        assert!(fetch.is_complete());
    }

    #[test]
    fn each_block_is_tried_so_often_and_then_it_is_over() {
        let (mut fetch, mut rng) = fetch(0..4);
        let (mut ops, mut now) = (0, Time::ZERO);
        while !fetch.is_exhausted() {
            let begun = begin_all(&mut fetch, now, &mut ops);
            if begun.is_empty() {
                now = fetch.deadline().unwrap();
            }
            for (op, _) in begun {
                fetch.handle(now, op, Err(BlockFailure::Unreachable), PAUSE, &mut rng);
            }
        }
        assert_eq!((ops, now), (16, Time::from_secs(1)));
    }

    #[test]
    fn another_block_than_the_one_asked_for_is_a_failure() {
        let (mut fetch, mut rng) = fetch(0..1);
        let begun = begin_all(&mut fetch, Time::ZERO, &mut 0);
        let change = fetch.handle(Time::ZERO, begun[0].0, Ok(block(1)), PAUSE, &mut rng);
        assert_eq!((change, fetch.have.len()), (Change::Failed, 0));
        let again = fetch.handle(Time::ZERO, begun[0].0, Ok(block(0)), PAUSE, &mut rng);
        assert_eq!(again, Change::None);
    }
}

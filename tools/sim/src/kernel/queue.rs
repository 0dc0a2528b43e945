//! What will happen, ordered by moment and then by the order in which it was decided.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use toktok_mesh::Time;

/// The heap moves only these 24 bytes; what is to happen lies still in a slab.
type Key = (Time, u64, u32);

/// A queue of future happenings. Two of the same moment come out in the order they went in, so a
/// run never depends on how a heap breaks ties.
#[derive(Debug)]
pub struct EventQueue<T> {
    heap: BinaryHeap<Reverse<Key>>,
    slab: Vec<Option<T>>,
    free: Vec<u32>,
    sequence: u64,
}

impl<T> Default for EventQueue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), slab: Vec::new(), free: Vec::new(), sequence: 0 }
    }
}

impl<T> EventQueue<T> {
    /// Puts `what` in, to come out at `at`.
    pub fn push(&mut self, at: Time, what: T) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slab[slot as usize] = Some(what);
                slot
            }
            None => {
                self.slab.push(Some(what));
                (self.slab.len() - 1) as u32
            }
        };
        self.heap.push(Reverse((at, self.sequence, slot)));
        self.sequence += 1;
    }

    /// Takes the first one, if its moment is not after `until`.
    pub fn pop_until(&mut self, until: Time) -> Option<(Time, T)> {
        let &Reverse((at, _, slot)) = self.heap.peek()?;
        if at > until {
            return None;
        }
        self.heap.pop();
        self.free.push(slot);
        let what = self.slab[slot as usize].take()?;
        Some((at, what))
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_out_by_time_then_by_order_of_entry() {
        let mut queue = EventQueue::default();
        for (at, what) in [(3, 'd'), (1, 'a'), (2, 'b'), (2, 'c')] {
            queue.push(Time::from_secs(at), what);
        }
        let mut order = String::new();
        while let Some((_, what)) = queue.pop_until(Time::from_secs(2)) {
            order.push(what);
        }
        assert_eq!(order, "abc");
        assert_eq!(queue.len(), 1);
        assert_eq!(queue.pop_until(Time::MAX), Some((Time::from_secs(3), 'd')));
        assert!(queue.is_empty());
    }

    #[test]
    fn slots_are_used_again() {
        let mut queue = EventQueue::default();
        for i in 0..1_000 {
            queue.push(Time::from_millis(i), i);
            assert_eq!(queue.pop_until(Time::MAX).map(|(_, what)| what), Some(i));
        }
        assert_eq!(queue.slab.len(), 1);
    }
}

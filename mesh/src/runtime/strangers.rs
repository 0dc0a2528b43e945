//! Datagrams of strangers wait here while there is something more urgent.
//!
//! What sessions say is handled as it comes in. The rest, which anybody can send, may cost a
//! Diffie–Hellman each: it waits, in lanes that take turns, one datagram each. A network prefix has one
//! lane, so a flood from there fills that lane and makes nobody else wait but for its turns.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use crate::source::Source;
use crate::wire::Address;

/// Lanes: prefixes share one by chance.
const LANES: usize = 64;
/// Datagrams that wait in a lane; more are dropped. What a full lane holds is some 5 ms of work; an
/// honest stranger sends no more at once.
const MAX_IN_LANE: usize = 64;
/// Bytes that wait in all lanes.
const MAX_WAITING: usize = 1 << 20;

/// A datagram, and from where it came.
type Waiting = (Address, Vec<u8>);

/// The lanes.
#[derive(Debug)]
pub(super) struct Strangers {
    /// Nobody outside knows which prefixes share a lane.
    salt: RandomState,
    lanes: Vec<VecDeque<Waiting>>,
    /// Whose turn it is.
    turn: usize,
    datagrams: usize,
    bytes: usize,
}

impl Strangers {
    pub(super) fn new() -> Self {
        let lanes = std::iter::repeat_with(VecDeque::new).take(LANES).collect();
        Self { salt: RandomState::new(), lanes, turn: 0, datagrams: 0, bytes: 0 }
    }

    /// Lets a datagram wait; false, and it is lost, if too many do.
    pub(super) fn push(&mut self, from: Address, datagram: &[u8]) -> bool {
        let lane = self.lane(&from);
        let lane = &mut self.lanes[lane];
        let fits = lane.len() < MAX_IN_LANE && self.bytes + datagram.len() <= MAX_WAITING;
        if fits {
            lane.push_back((from, datagram.to_vec()));
            self.datagrams += 1;
            self.bytes += datagram.len();
        }
        fits
    }

    /// The next datagram, from the next lane that has one.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        if self.datagrams == 0 {
            return None;
        }
        let turns = (0..LANES).map(|step| (self.turn + step) % LANES);
        let lane = turns.into_iter().find(|lane| !self.lanes[*lane].is_empty())?;
        self.turn = (lane + 1) % LANES;
        let waiting = self.lanes[lane].pop_front()?;
        self.datagrams -= 1;
        self.bytes -= waiting.1.len();
        Some(waiting)
    }

    fn lane(&self, from: &Address) -> usize {
        (self.salt.hash_one(Source::of(from)) % LANES as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(ip: [u8; 4], port: u16) -> Address {
        Address::udp((ip, port).into())
    }

    #[test]
    fn a_flood_from_one_network_leaves_the_others_their_turns() {
        let mut strangers = Strangers::new();
        for port in 0..1_000 {
            strangers.push(from([198, 18, 0, port as u8], port), &[1; 100]);
        }
        assert_eq!(strangers.datagrams, MAX_IN_LANE);
        let others: Vec<Address> = (1..=20).map(|net| from([198, 18, net, 1], 1)).collect();
        let taken = others.iter().filter(|other| strangers.push(**other, &[2; 100])).count();
        assert!(taken >= 17, "at most a few share the lane of the flood: {taken}");
        let served = (0..50).filter_map(|_| strangers.pop()).filter(|it| it.1[0] == 2).count();
        assert_eq!(served, taken);
    }

    #[test]
    fn neighbours_in_the_local_network_have_lanes_of_their_own() {
        let strangers = Strangers::new();
        let lanes: std::collections::BTreeSet<usize> =
            (0..100).map(|port| strangers.lane(&from([127, 0, 0, 1], port))).collect();
        assert!(lanes.len() > 30);
        let lanes: std::collections::BTreeSet<usize> =
            (0..100).map(|port| strangers.lane(&from([198, 18, 0, 1], port))).collect();
        assert_eq!(lanes.len(), 1);
    }

    #[test]
    fn what_waits_is_bounded_and_comes_out_whole() {
        let mut strangers = Strangers::new();
        for number in 0..100_000_u32 {
            let [_, a, b, c] = number.to_be_bytes();
            strangers.push(from([100, a, b, c], 1), &[0; 2_048]);
        }
        assert!(strangers.bytes <= MAX_WAITING && strangers.bytes > MAX_WAITING - 2_048);
        let mut bytes = strangers.bytes;
        while let Some((_, datagram)) = strangers.pop() {
            bytes -= datagram.len();
        }
        assert_eq!((bytes, strangers.bytes, strangers.datagrams), (0, 0, 0));
    }
}

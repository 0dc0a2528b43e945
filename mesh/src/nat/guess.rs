//! Which ports a friend's NAT may have given it (research note `tox.md` 1.2, "NAT ping and hole
//! punching"): those that others saw and their neighbours, ever further away, then from 1024 up.
//!
//! Beyond c-toxcore we try those above the highest one that was seen: a NAT that gives one port after
//! the other has given the friend its port for us there.

use super::config::{
    ABOVE_PORTS, ABOVE_STEP, FIRST_PORT, MAX_PINGS, MAX_PORTS, NEAR_PORTS, NORMAL_TRIES, PHASE,
};

/// How far the guessing has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Guess {
    tries: u32,
    near: u32,
    /// The highest port that was reported, and how far above it the guessing has come.
    highest: u16,
    above: u32,
    upward: u32,
}

impl Guess {
    /// The ports of the next volley, given those that were reported. Each at most once, none is 0.
    pub(super) fn volley(&mut self, reported: &[u16]) -> Vec<u16> {
        let mut ports = Vec::new();
        let is_one = reported.iter().all(|port| Some(port) == reported.first());
        let goes_upward = self.tries > NORMAL_TRIES && (is_one || self.tries.is_multiple_of(2));
        match reported {
            [] => {}
            [first, ..] if is_one => ports.push(*first),
            _ => {
                let highest = reported.iter().copied().max().unwrap_or_default();
                if self.tries.is_multiple_of(PHASE) || highest != self.highest {
                    (self.above, self.highest) = (0, highest);
                }
                let steps = window(&mut self.above, ABOVE_PORTS, ABOVE_STEP);
                ports.extend(steps.map(|step| above(highest, step)));
                if !goes_upward {
                    let steps = window(&mut self.near, NEAR_PORTS, NEAR_PORTS);
                    ports.extend(steps.map(|step| neighbour(reported, step)));
                }
            }
        }
        if goes_upward {
            let room = MAX_PINGS.saturating_sub(ports.len() as u16).min(MAX_PORTS);
            // The port may have moved on meanwhile.
            let steps = window(&mut self.upward, room, room / 2);
            ports.extend(steps.map(|step| FIRST_PORT.wrapping_add(step as u16)));
        }
        self.tries = self.tries.saturating_add(1);
        ports.sort_unstable();
        ports.dedup();
        ports.retain(|port| *port != 0);
        ports
    }
}

/// The next so many steps from `from` on, which moves by `step`.
fn window(from: &mut u32, count: u16, step: u16) -> core::ops::Range<u32> {
    let steps = *from..from.saturating_add(u32::from(count));
    *from = from.saturating_add(u32::from(step));
    steps
}

/// The port so many above the next one; the last port is followed by [`FIRST_PORT`].
pub(super) fn above(port: u16, step: u32) -> u16 {
    let count = u32::from(u16::MAX - FIRST_PORT) + 1;
    match (u32::from(port) + 1).saturating_add(step) {
        last if last <= u32::from(u16::MAX) => last as u16,
        over => FIRST_PORT + ((over - u32::from(u16::MAX) - 1) % count) as u16,
    }
}

/// The guess with this number: each reported port in turn, twice, then each with a greater distance.
fn neighbour(reported: &[u16], step: u32) -> u16 {
    let count = reported.len() as u32;
    let base = reported[(step / 2 % count) as usize];
    let distance = (step / (2 * count)) as u16;
    if step.is_multiple_of(2) { base.wrapping_add(distance) } else { base.wrapping_sub(distance) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_port_is_not_guessed_around_until_that_has_failed_six_times() {
        let mut guess = Guess::default();
        for _ in 0..6 {
            assert_eq!(guess.volley(&[7_000; 5]), [7_000]);
        }
        let ports = guess.volley(&[7_000; 5]);
        assert_eq!(ports.len(), 49);
        assert_eq!((ports[0], ports[47], ports[48]), (1_024, 1_071, 7_000));
        assert_eq!(guess.volley(&[7_000; 5])[0], 1_048, "half of the window further");
    }

    #[test]
    fn several_ports_are_tried_with_their_neighbours_and_those_above_ever_further_away() {
        let mut guess = Guess::default();
        let first = guess.volley(&[100, 200]);
        let near: Vec<u16> = (93..108).chain(193..208).collect();
        let above: Vec<u16> = (201..265).collect();
        assert!(first.iter().all(|port| near.contains(port) || above.contains(port)));
        assert!(near.iter().chain(&above).all(|port| first.contains(port)));
        let second = guess.volley(&[100, 200]);
        assert!((241..305).all(|port| second.contains(&port)), "40 higher");
        assert!(second.contains(&92) && !second.contains(&93));
        let third = guess.volley(&[100, 400]);
        assert!((401..465).all(|port| third.contains(&port)), "from the new highest on");
    }

    #[test]
    fn after_the_last_port_comes_the_first_that_is_not_reserved() {
        assert_eq!([0, 1, 2].map(|step| above(65_533, step)), [65_534, 65_535, 1_024]);
        assert_eq!(above(65_535, u32::MAX - 65_536), above(65_535, (u32::MAX - 65_536) % 64_512));
    }

    #[test]
    fn guesses_wrap_around_and_are_never_zero_nor_more_than_two_windows() {
        let mut guess = Guess { near: u32::MAX - 100, upward: u32::MAX - 10, ..Guess::default() };
        for _ in 0..100 {
            let ports = guess.volley(&[1, 65_535, 3, 9]);
            assert!(ports.len() <= 96 && !ports.contains(&0));
        }
        assert_eq!(Guess::default().volley(&[]), []);
    }
}

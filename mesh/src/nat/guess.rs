//! Which ports a friend's NAT may have given it (research note `tox.md` 1.2, "NAT ping and hole
//! punching"): those that others saw, then their neighbours ever further away, then from 1024 up.

use super::config::{FIRST_PORT, MAX_PORTS, NORMAL_TRIES};

/// How far the guessing has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Guess {
    tries: u32,
    near: u32,
    upward: u32,
}

impl Guess {
    /// The ports of the next volley, given those that were reported. Each at most once, none is 0.
    pub(super) fn volley(&mut self, reported: &[u16]) -> Vec<u16> {
        let mut ports = Vec::new();
        match reported {
            [] => {}
            [first, others @ ..] if others.iter().all(|port| port == first) => ports.push(*first),
            _ => {
                let steps = self.near..self.near.saturating_add(u32::from(MAX_PORTS));
                ports.extend(steps.clone().map(|step| neighbour(reported, step)));
                self.near = steps.end;
            }
        }
        if self.tries > NORMAL_TRIES {
            let steps = self.upward..self.upward.saturating_add(u32::from(MAX_PORTS));
            ports.extend(steps.map(|step| FIRST_PORT.wrapping_add(step as u16)));
            // The windows overlap by half: the port may have moved on meanwhile.
            self.upward = self.upward.saturating_add(u32::from(MAX_PORTS) / 2);
        }
        self.tries = self.tries.saturating_add(1);
        ports.sort_unstable();
        ports.dedup();
        ports.retain(|port| *port != 0);
        ports
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
    fn several_ports_are_tried_with_their_neighbours_ever_further_away() {
        let mut guess = Guess::default();
        assert_eq!(guess.volley(&[100, 200]), {
            let near = |port: u16| (port - 11..port + 12).collect::<Vec<u16>>();
            [near(100), near(200)].concat()
        });
        let second = guess.volley(&[100, 200]);
        assert_eq!((second[0], second[11], second.len()), (77, 88, 48));
    }

    #[test]
    fn guesses_wrap_around_and_are_never_zero_nor_more_than_two_windows() {
        let mut guess = Guess { tries: 0, near: u32::MAX - 100, upward: u32::MAX - 10 };
        for _ in 0..100 {
            let ports = guess.volley(&[1, 65_535, 3, 9]);
            assert!(ports.len() <= 96 && !ports.contains(&0));
        }
        assert_eq!(Guess::default().volley(&[]), []);
    }
}

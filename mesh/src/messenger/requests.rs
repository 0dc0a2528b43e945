//! Friend requests of others: each is told once (research note `tox.md` 1.9). Whether a request showed
//! the right nospam is checked where it comes in.

use std::collections::VecDeque;

use crate::wire::PublicKey;

/// Requests remembered, as in c-toxcore: one that comes again is told again after so many others.
const MAX_REMEMBERED: usize = 32;

/// Those who asked lately.
#[derive(Debug, Default)]
pub(super) struct Requests {
    seen: VecDeque<PublicKey>,
}

impl Requests {
    /// Notes a request; false if it is one of the last that came.
    pub(super) fn admit(&mut self, from: PublicKey) -> bool {
        if self.seen.contains(&from) {
            return false;
        }
        if self.seen.len() == MAX_REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(from);
        true
    }

    /// Forgets a request, so that it may come again: its sender is no friend any more.
    pub(super) fn forget(&mut self, from: &PublicKey) {
        self.seen.retain(|seen| seen != from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_thirty_two_are_told_once() {
        let key = |number: u8| PublicKey([number; 32]);
        let mut requests = Requests::default();
        assert!((0..32).all(|number| requests.admit(key(number))));
        assert!((0..32).all(|number| !requests.admit(key(number))));
        assert!(requests.admit(key(32)));
        assert!(requests.admit(key(0)), "32 others came since");
        requests.forget(&key(9));
        assert!(requests.admit(key(9)));
    }
}

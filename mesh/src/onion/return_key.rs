//! The key of the boxes in which this hop writes where a packet came from.

use core::time::Duration;

use crate::wire::{Rng, SharedKey, Time};

/// A key is used for so long (c-toxcore `KEY_REFRESH_INTERVAL`; the Tox Reference says one hour). An
/// answer that is late by more than another such interval finds no way back.
const LIFETIME: Duration = Duration::from_secs(7_200);

/// The key of now and the one before.
#[derive(Debug)]
pub(super) struct ReturnKey {
    current: SharedKey,
    previous: Option<SharedKey>,
    since: Time,
}

impl ReturnKey {
    pub(super) fn new(rng: &mut Rng, now: Time) -> Self {
        Self { current: SharedKey::generate(rng), previous: None, since: now }
    }

    /// The key to seal with.
    pub(super) fn current(&mut self, rng: &mut Rng, now: Time) -> &SharedKey {
        self.rotate(rng, now);
        &self.current
    }

    /// The keys that may open a box, the likelier first.
    pub(super) fn all(&mut self, rng: &mut Rng, now: Time) -> impl Iterator<Item = &SharedKey> {
        self.rotate(rng, now);
        core::iter::once(&self.current).chain(&self.previous)
    }

    fn rotate(&mut self, rng: &mut Rng, now: Time) {
        let age = now.since(self.since);
        if age >= LIFETIME {
            let old = core::mem::replace(&mut self.current, SharedKey::generate(rng));
            self.previous = (age < 2 * LIFETIME).then_some(old);
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_replaced_after_two_hours_and_gone_after_four() {
        let mut rng = Rng::from_seed([1; 32]);
        let mut key = ReturnKey::new(&mut rng, Time::ZERO);
        let first = key.current(&mut rng, Time::from_secs(7_199)).clone();
        assert_eq!(key.all(&mut rng, Time::from_secs(7_199)).count(), 1);
        let later = Time::from_secs(7_200);
        assert_ne!(*key.current(&mut rng, later), first);
        assert!(key.all(&mut rng, later).any(|known| *known == first));
        let much_later = Time::from_secs(14_400);
        assert!(!key.all(&mut rng, much_later).any(|known| *known == first));
    }
}

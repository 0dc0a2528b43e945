//! Tags by which this node knows its own words again, and that they are not old.

use core::fmt;
use core::time::Duration;

use ring::hmac;

use crate::wire::{Rng, Time};

/// Length of a tag.
pub(super) const TAG_LEN: usize = 32;

/// Makes tags that are valid in the window of time in which they were made and in the next one: for one
/// window at least and two at most (c-toxcore `timed_auth.c`).
pub(super) struct TimedAuth {
    key: hmac::Key,
    window: Duration,
}

impl TimedAuth {
    /// A maker of tags with a key of its own.
    pub(super) fn new(rng: &mut Rng, window: Duration) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &rng.bytes::<32>()), window }
    }

    fn input(&self, now: Time, back: u64, data: &[u8]) -> Vec<u8> {
        let window = (now.as_secs() / self.window.as_secs()).wrapping_sub(back);
        [&window.to_be_bytes()[..], data].concat()
    }

    /// The tag of `data`.
    pub(super) fn tag(&self, now: Time, data: &[u8]) -> [u8; TAG_LEN] {
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(hmac::sign(&self.key, &self.input(now, 0, data)).as_ref());
        tag
    }

    /// True if `tag` was made for `data` in this window or the last; in constant time.
    pub(super) fn is_valid(&self, now: Time, data: &[u8], tag: &[u8]) -> bool {
        let is_of = |back| hmac::verify(&self.key, &self.input(now, back, data), tag).is_ok();
        is_of(0) || is_of(1)
    }
}

impl fmt::Debug for TimedAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TimedAuth(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_good_for_one_window_at_least_and_two_at_most() {
        let mut rng = Rng::from_seed([1; 32]);
        let auth = TimedAuth::new(&mut rng, Duration::from_secs(60));
        let tag = auth.tag(Time::from_secs(119), b"data");
        let is_valid = |secs| auth.is_valid(Time::from_secs(secs), b"data", &tag);
        assert!(is_valid(119) && is_valid(120) && is_valid(179));
        assert!(!is_valid(59) && !is_valid(180));
        assert!(!auth.is_valid(Time::from_secs(119), b"date", &tag));
        assert!(!auth.is_valid(Time::from_secs(119), b"data", &tag[..31]));
        let other = TimedAuth::new(&mut rng, Duration::from_secs(60));
        assert!(!other.is_valid(Time::from_secs(119), b"data", &tag));
    }
}

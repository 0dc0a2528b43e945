//! Randomness that is handed in: one seed a process, one labelled stream a child.

use core::fmt;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng};
use ring::hmac;

/// A cryptographic generator (ChaCha20) that a state machine is built with.
///
/// A machine gives each child its own [`Rng::child`] stream, so that one more draw in the DHT does
/// not shift every later choice of a recorded seed.
#[derive(Clone)]
pub struct Rng {
    seed: [u8; 32],
    stream: ChaCha20Rng,
}

impl fmt::Debug for Rng {
    /// Never shows the seed: every key made here follows from it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng(…)")
    }
}

impl Rng {
    /// The generator of a seed. A runtime takes the seed from the system, a simulator from its run.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { seed, stream: ChaCha20Rng::from_seed(seed) }
    }

    /// An independent generator for the child called `label`. It depends on the seed and the label
    /// only, not on what was drawn before: HMAC-SHA-256 of the label under the seed.
    #[must_use]
    pub fn child(&self, label: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.seed);
        let tag = hmac::sign(&key, label.as_bytes());
        let mut seed = [0; 32];
        seed.copy_from_slice(tag.as_ref());
        Self::from_seed(seed)
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Fills `out`.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.stream.fill_bytes(out);
    }

    /// A uniform 64-bit number.
    pub fn u64(&mut self) -> u64 {
        self.stream.next_u64()
    }

    /// A uniform number below `bound`, or 0 when `bound` is 0. Unbiased (Lemire's rejection).
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound <= 1 {
            return 0;
        }
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.u64()) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// A uniform index into a collection of `len` items, or 0 when it is empty.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// True with probability `numerator / denominator`.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }

    /// A random permutation in place (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.index(i + 1));
        }
    }

    /// A uniformly chosen item, or `None` when there is none.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.index(items.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_do_not_depend_on_earlier_draws() {
        let mut a = Rng::from_seed([7; 32]);
        let b = a.clone();
        a.u64();
        assert_eq!(a.child("dht").u64(), b.child("dht").u64());
        assert_ne!(b.child("dht").u64(), b.child("session").u64());
    }

    #[test]
    fn a_printed_generator_tells_nothing() {
        assert_eq!(format!("{:?}", Rng::from_seed([7; 32])), "Rng(…)");
    }

    #[test]
    fn below_is_below() {
        let mut rng = Rng::from_seed([1; 32]);
        assert!((0..1000).all(|_| rng.below(7) < 7));
        assert_eq!(rng.below(0), 0);
    }
}

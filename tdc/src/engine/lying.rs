//! A fault switch: an executor that lies. For demonstrations and tests of what catches it.

use bytes::{Bytes, BytesMut};

use super::{ExecuteError, Execution, Executor};
use crate::job::ResultHash;

/// How an executor lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lie {
    /// Of a thousand units, about how many get a false result; which ones follows from the unit.
    pub permille: u16,
    /// Liars with the same number tell the same lie, and so confirm each other.
    pub gang: u64,
}

impl Lie {
    /// Always, and in concert with nobody who has another number.
    pub const fn always(gang: u64) -> Self {
        Self { permille: 1_000, gang }
    }

    /// What the liar says instead of `truth`.
    pub fn tell(&self, truth: &[u8]) -> Bytes {
        let mut hasher = blake3::Hasher::new_derive_key("TokTok TDC 1 lie");
        hasher.update(&self.gang.to_le_bytes()).update(&ResultHash::of(truth).0);
        let dice = hasher.finalize();
        let [a, b, place, ..] = *dice.as_bytes();
        if u16::from_le_bytes([a, b]) % 1_000 >= self.permille {
            return Bytes::copy_from_slice(truth);
        }
        let mut lie = BytesMut::from(truth);
        let digits: Vec<usize> = (0..lie.len()).filter(|at| lie[*at].is_ascii_digit()).collect();
        match digits.get(usize::from(place) % digits.len().max(1)) {
            Some(at) => lie[*at] = b'0' + (lie[*at] - b'0' + 1) % 10,
            None => lie.extend_from_slice(&self.gang.to_le_bytes()),
        }
        lie.freeze()
    }
}

/// Runs a unit honestly, then alters what came out: a digit if there is one, so that the lie is a
/// plausible result.
#[derive(Clone, Debug)]
pub struct LyingExecutor<E> {
    inner: E,
    lie: Lie,
}

impl<E> LyingExecutor<E> {
    /// A liar who computes with `inner`.
    pub const fn new(inner: E, lie: Lie) -> Self {
        Self { inner, lie }
    }
}

impl<E: Executor> Executor for LyingExecutor<E> {
    fn execute(&self, execution: &Execution) -> Result<Bytes, ExecuteError> {
        self.inner.execute(execution).map(|truth| self.lie.tell(&truth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lie_is_plausible_and_shared_by_the_gang() {
        let lie = Lie::always(1);
        assert_ne!(lie.tell(b"the 12\n"), b"the 12\n"[..]);
        assert_eq!(lie.tell(b"the 12\n").len(), 7);
        assert_eq!(lie.tell(b"the 12\n"), Lie::always(1).tell(b"the 12\n"));
        assert_ne!(lie.tell(b"none"), Lie::always(2).tell(b"none"));
        assert_eq!(Lie { permille: 0, gang: 1 }.tell(b"the 12\n"), b"the 12\n"[..]);
    }
}

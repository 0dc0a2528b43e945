//! Probabilities in whole numbers, so that every machine draws the same.

use toktok_mesh::Rng;

/// A probability in millionths.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Chance(u32);

impl Chance {
    /// Never.
    pub const NEVER: Self = Self(0);
    /// Always.
    pub const ALWAYS: Self = Self(Self::WHOLE);
    const WHOLE: u32 = 1_000_000;

    /// `parts` in a million; more than a million means always.
    pub const fn per_million(parts: u32) -> Self {
        Self(if parts > Self::WHOLE { Self::WHOLE } else { parts })
    }

    /// `parts` in a hundred.
    pub const fn percent(parts: u32) -> Self {
        Self::per_million(parts.saturating_mul(10_000))
    }

    /// That share of `count` things, rounded down.
    pub const fn of(self, count: usize) -> usize {
        (count as u64 * self.0 as u64 / Self::WHOLE as u64) as usize
    }

    /// Draws. Certainty draws nothing, so that a fault that is off leaves the stream as it is.
    pub fn draw(self, rng: &mut Rng) -> bool {
        match self.0 {
            0 => false,
            Self::WHOLE => true,
            parts => rng.chance(u64::from(parts), u64::from(Self::WHOLE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_about_as_often_as_it_says() {
        let mut rng = Rng::from_seed([3; 32]);
        let hits = (0..100_000).filter(|_| Chance::percent(1).draw(&mut rng)).count();
        assert!((850..1150).contains(&hits), "{hits} of 100,000 at 1%");
    }

    #[test]
    fn certainty_draws_nothing() {
        let mut rng = Rng::from_seed([3; 32]);
        let mut other = rng.clone();
        assert!(!Chance::NEVER.draw(&mut rng));
        assert!(Chance::percent(200).draw(&mut rng));
        assert_eq!(rng.u64(), other.u64());
    }
}

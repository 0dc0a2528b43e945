//! Scores: how much a block is wanted, halving every 14 days, in integer arithmetic.
//!
//! A score s falls as s·2^(−Δt/H), and a block is dropped when s reaches 2^-6 (design page TDFS, "Used
//! is stored, forgotten is forgotten"). All scores fall alike, so a block's score is fully told by the
//! one moment at which it will reach 2^-6: its *expiry*. The smallest score is the earliest expiry, the
//! order never changes by itself, and one number a block is all that a store must keep. A score of 1
//! expires after 6 H; adding 1 to a score of 1 gives 2, which expires one H later.

use core::time::Duration;

use toktok_wire::Time;

/// H, the time in which every score halves. Two weeks: a file that is read monthly stays, one that
/// nobody asks for is gone within three months.
pub const HALF_LIFE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A block is dropped when its score falls to 2 to the minus this, full disk or not.
pub const FLOOR: u32 = 6;

/// Highest score, as a power of two. More demand than this is not told apart; it bounds the arithmetic.
pub const CEILING: u32 = 20;

/// H in microseconds.
const H: u64 = HALF_LIFE.as_micros() as u64;

/// Fraction bits of scores and of their logarithms.
const FRACTION: u32 = 32;

/// One, as a score.
pub const ONE: u64 = 1 << FRACTION;

/// `ROOTS[i]` is 2^(2^-(i+1)) with [`FRACTION`] + 30 fraction bits.
const ROOTS: [u64; FRACTION as usize] = {
    let mut roots = [0; FRACTION as usize];
    let mut root = 2_u128 << 62;
    let mut i = 0;
    while i < roots.len() {
        root = (root << 62).isqrt();
        roots[i] = root as u64;
        i += 1;
    }
    roots
};

/// 2^x, for x in units of 2^-32 from −[`FLOOR`] to [`CEILING`], as a score.
fn exp2(x: i64) -> u64 {
    let whole = x >> FRACTION;
    let fraction = (x & (ONE as i64 - 1)) as u64;
    let mut product = 1_u128 << 62;
    for (i, root) in ROOTS.iter().enumerate() {
        if fraction >> (FRACTION as usize - 1 - i) & 1 == 1 {
            product = (product * u128::from(*root)) >> 62;
        }
    }
    // `product` has 62 fraction bits; the result has 32.
    match whole + i64::from(FRACTION) - 62 {
        up @ 0.. => (product << up) as u64,
        down => (product >> -down) as u64,
    }
}

/// log2 of a positive score, in units of 2^-32.
fn log2(score: u64) -> i64 {
    let whole = i64::from(score.ilog2()) - i64::from(FRACTION);
    // Normalised to [1, 2) with 63 fraction bits, then squared once a bit.
    let mut mantissa = u128::from(score << score.leading_zeros());
    let mut fraction = 0_i64;
    for _ in 0..FRACTION {
        mantissa = (mantissa * mantissa) >> 63;
        fraction <<= 1;
        if mantissa >> 64 == 1 {
            fraction |= 1;
            mantissa >>= 1;
        }
    }
    (whole << FRACTION) + fraction
}

/// The score at `now` of a block that expires at `expires`, with 32 fraction bits; at most
/// 2^[`CEILING`], and 0 at and after the expiry.
pub fn at(now: Time, expires: Time) -> u64 {
    let left = expires.as_micros().saturating_sub(now.as_micros());
    if left == 0 {
        return 0;
    }
    // Bounded before it is shifted: H is below 2^41, the factor below 2^5.
    let left = left.min(u64::from(FLOOR + CEILING) * H);
    let halvings = ((u128::from(left) << FRACTION) / u128::from(H)) as i64;
    exp2(halvings - (i64::from(FLOOR) << FRACTION))
}

/// When a block of this score (32 fraction bits) at `now` expires.
pub fn expiry(now: Time, score: u64) -> Time {
    let score = score.min(ONE << CEILING);
    if score <= ONE >> FLOOR {
        return now;
    }
    let halvings = log2(score) + (i64::from(FLOOR) << FRACTION);
    let left = (u128::from(halvings.unsigned_abs()) * u128::from(H)) >> FRACTION;
    now + Duration::from_micros(left as u64)
}

/// The expiry of a block that was inserted at `now`: score 1, gone after 84 days if nobody asks.
pub fn fresh(now: Time) -> Time {
    expiry(now, ONE)
}

/// The expiry after one more insert or fetch: the score grows by 1.
pub fn wanted(now: Time, expires: Time) -> Time {
    // Never earlier than before, whatever was rounded.
    expiry(now, at(now, expires) + ONE).max(expires)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Time = Time::from_secs(1_000_000_000);

    /// |a − b| in seconds.
    fn apart(a: Time, b: Time) -> u64 {
        a.as_secs().abs_diff(b.as_secs())
    }

    #[test]
    fn a_fresh_block_lasts_six_half_lives() {
        assert!(apart(fresh(NOW), NOW + 6 * HALF_LIFE) <= 1);
        let score = at(NOW, fresh(NOW));
        assert!(score.abs_diff(ONE) < 16, "{score}");
        let score = at(NOW + HALF_LIFE, fresh(NOW));
        assert!(score.abs_diff(ONE / 2) < 16, "{score}");
        assert_eq!(at(fresh(NOW), fresh(NOW)), 0);
    }

    #[test]
    fn doubling_a_score_is_worth_one_half_life() {
        let twice = wanted(NOW, fresh(NOW));
        assert!(apart(twice, NOW + 7 * HALF_LIFE) <= 1);
        let four = wanted(NOW, wanted(NOW, twice));
        assert!(apart(four, NOW + 8 * HALF_LIFE) <= 1);
    }

    #[test]
    fn demand_of_one_a_half_life_settles_at_two() {
        let (mut now, mut expires) = (NOW, fresh(NOW));
        for _ in 0..40 {
            now += HALF_LIFE;
            expires = wanted(now, expires);
        }
        assert!(at(now, expires).abs_diff(2 * ONE) < ONE / 1000);
    }

    #[test]
    fn no_demand_lifts_a_score_over_the_ceiling() {
        let most = expiry(NOW, u64::MAX);
        assert!(apart(most, NOW + (FLOOR + CEILING) * HALF_LIFE) <= 1);
        assert!(wanted(NOW, Time::MAX) == Time::MAX && at(NOW, Time::MAX) <= ONE << CEILING);
    }

    proptest! {
        #[test]
        fn logarithm_and_power_agree_with_each_other(score in (ONE >> FLOOR) + 1..=ONE << CEILING) {
            let back = exp2(log2(score));
            prop_assert!(back.abs_diff(score) <= 8 + (score >> 28), "{score} {back}");
        }

        #[test]
        fn wanting_never_shortens_and_waiting_never_lifts(
            left in 0_u64..400 * 86_400, wait in 0_u64..400 * 86_400,
        ) {
            let expires = NOW + Duration::from_secs(left);
            prop_assert!(wanted(NOW, expires) >= expires);
            let later = NOW + Duration::from_secs(wait);
            prop_assert!(at(later, expires) <= at(NOW, expires));
            prop_assert!(wanted(later, expires) >= fresh(later));
        }
    }
}

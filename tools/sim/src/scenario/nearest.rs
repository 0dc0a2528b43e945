//! The truth about who is nearest to whom, which no node of the simulation knows.

use toktok_mesh::PublicKey;

/// All live keys in order, ready to be asked for neighbours.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<PublicKey>);

impl Keys {
    /// Sorts the keys.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        let mut keys: Vec<PublicKey> = keys.into_iter().collect();
        keys.sort_unstable();
        Self(keys)
    }

    /// The `count` keys nearest to `own` by XOR, nearest first, itself left out.
    ///
    /// Keys that share a longer prefix with it are nearer than those that share a shorter one, and
    /// all keys of a prefix stand in one run: only the smallest run that is large enough is sorted.
    pub fn nearest(&self, own: &PublicKey, count: usize) -> Vec<PublicKey> {
        let mut run = 0..self.0.len();
        for bits in 1..=256 {
            let inner = &self.0[run.clone()];
            let start =
                inner.partition_point(|key| key < own && key.common_prefix_bits(own) < bits);
            let end = inner.partition_point(|key| key < own || key.common_prefix_bits(own) >= bits);
            if end - start <= count {
                break;
            }
            run = run.start + start..run.start + end;
        }
        let others = self.0[run].iter().filter(|key| *key != own);
        let mut nearest: Vec<PublicKey> = others.copied().collect();
        nearest.sort_unstable_by_key(|key| key.distance(own));
        nearest.truncate(count);
        nearest
    }
}

#[cfg(test)]
mod tests {
    use toktok_mesh::Rng;

    use super::*;

    #[test]
    fn agrees_with_sorting_all() {
        let mut rng = Rng::from_seed([9; 32]);
        for size in [1, 2, 8, 9, 10, 500] {
            let all: Vec<PublicKey> = (0..size).map(|_| PublicKey(rng.bytes())).collect();
            let keys = Keys::new(all.iter().copied());
            for own in &all {
                let mut sorted: Vec<PublicKey> =
                    all.iter().copied().filter(|key| key != own).collect();
                sorted.sort_by_key(|key| key.distance(own));
                sorted.truncate(8);
                assert_eq!(keys.nearest(own, 8), sorted);
            }
        }
    }
}

//! Whom of a conference a member keeps connections with: its neighbours on the ring of all keys, two
//! on each side (c-toxcore `DESIRED_CLOSEST`). Each member finds the same neighbourhood from the other
//! side, so that all members together hang on one ring with shortcuts.

use std::collections::BTreeSet;

use crate::wire::PublicKey;

/// Neighbours on each side.
const EACH_SIDE: usize = 2;
/// Neighbours in all.
pub(super) const NEIGHBOURS: usize = 2 * EACH_SIDE;

/// Where a key stands on the ring.
fn place(key: &PublicKey) -> u64 {
    key.0.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// The neighbours of `me` among `others`: the two next behind it, and of the rest the two next before.
pub(super) fn neighbours(
    me: &PublicKey,
    others: impl Iterator<Item = PublicKey>,
) -> BTreeSet<PublicKey> {
    let mut others: Vec<PublicKey> = others.filter(|key| key != me).collect();
    let mut chosen = BTreeSet::new();
    others.sort_by_key(|key| (place(me).wrapping_sub(place(key)), *key));
    chosen.extend(others.drain(..EACH_SIDE.min(others.len())));
    others.sort_by_key(|key| (place(key).wrapping_sub(place(me)), *key));
    chosen.extend(others.into_iter().take(EACH_SIDE));
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(first: u8) -> PublicKey {
        let mut key = [0; 32];
        key[0] = first;
        PublicKey(key)
    }

    fn chosen(me: u8, others: &[u8]) -> Vec<u8> {
        let others = others.iter().map(|first| key(*first));
        neighbours(&key(me), others).iter().map(|key| key.0[0]).collect()
    }

    #[test]
    fn neighbours_stand_on_both_sides_of_a_ring() {
        assert_eq!(chosen(100, &[]), []);
        assert_eq!(chosen(100, &[100, 7]), [7]);
        assert_eq!(chosen(100, &[1, 2, 3]), [1, 2, 3]);
        assert_eq!(chosen(100, &[10, 90, 95, 101, 120, 200]), [90, 95, 101, 120]);
        assert_eq!(chosen(1, &[3, 80, 90, 100, 250]), [3, 80, 100, 250]);
    }

    #[test]
    fn neighbourhood_is_mutual() {
        let all: Vec<u8> = (0..50).map(|step| step * 5 + 1).collect();
        for me in &all {
            let others = chosen(*me, &all);
            assert_eq!(others.len(), NEIGHBOURS);
            assert!(others.iter().all(|other| chosen(*other, &all).contains(me)));
        }
    }
}

//! What makes two observations recognisable as parts of one story: bytes that cannot be the same by
//! chance.

/// A piece of bytes too unlikely to occur twice by chance, by its hash.
pub(super) type Atom = u64;

/// Bytes of a window.
const WINDOW: usize = 16;
/// Of so many windows in a row at least one is an atom: whatever shares `WINDOW + RUN - 1` bytes, 24,
/// shares an atom. So long is a nonce, the shortest thing that counts but for sendbacks.
const RUN: usize = 9;
/// A window with fewer different bytes is no secret: zeros, an address and its padding.
const MIN_DIFFERENT: usize = 11;

/// Mixes two words (the finaliser of SplitMix64).
fn mix(a: u64, b: u64) -> u64 {
    let mut word = a.rotate_left(32) ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

fn hash(window: &[u8]) -> Atom {
    let (high, low) = window.split_at(8);
    mix(word(high), word(low))
}

/// The hash of a whole byte string.
pub(super) fn hash_all(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(bytes.len() as u64, |sum, chunk| mix(sum, word(chunk)))
}

/// An atom that stands for something that is no bytes, such as a stream.
pub(super) fn named(space: u64, number: u64) -> Atom {
    mix(mix(space, u64::MAX), number)
}

fn is_telling(window: &[u8]) -> bool {
    let mut seen = [false; 256];
    window.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count() >= MIN_DIFFERENT
}

/// All windows of some bytes that everybody knows.
pub(super) fn windows(bytes: &[u8]) -> impl Iterator<Item = Atom> + '_ {
    bytes.windows(WINDOW).map(hash)
}

/// The atoms of a byte string: of each run of windows the one with the least hash.
pub(super) fn of(bytes: &[u8], out: &mut Vec<Atom>) {
    let hashes: Vec<Atom> = windows(bytes).collect();
    let mut last = usize::MAX;
    for (start, run) in hashes.windows(RUN.min(hashes.len().max(1))).enumerate() {
        let Some((place, atom)) = run.iter().enumerate().min_by_key(|(_, atom)| **atom) else {
            continue;
        };
        if start + place != last && is_telling(&bytes[start + place..][..WINDOW]) {
            out.push(*atom);
        }
        last = start + place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toktok_mesh::Rng;

    fn atoms(bytes: &[u8]) -> Vec<Atom> {
        let mut out = Vec::new();
        of(bytes, &mut out);
        out
    }

    #[test]
    fn a_nonce_is_found_again_wherever_it_stands() {
        let mut rng = Rng::from_seed([1; 32]);
        for _ in 0..300 {
            let nonce: [u8; 24] = rng.bytes();
            let [before, after] = [rng.index(90), rng.index(90)];
            let (one, other) = (rng.bytes::<100>(), rng.bytes::<100>());
            let first = atoms(&[&one[before..], &nonce[..], &one[..after]].concat());
            let second = atoms(&[&other[after..], &nonce[..], &other[..before]].concat());
            assert!(first.iter().any(|atom| second.contains(atom)));
            assert!(!atoms(&one).iter().any(|atom| atoms(&other).contains(atom)));
        }
    }

    #[test]
    fn zeros_addresses_and_short_strings_tell_nothing() {
        assert!(atoms(&[0; 100]).is_empty());
        assert!(
            atoms(&[2, 198, 18, 0, 7, 130, 165, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_empty()
        );
        assert!(atoms(b"short").is_empty());
        assert_eq!(atoms(b"just sixteen byt").len(), 1);
    }
}

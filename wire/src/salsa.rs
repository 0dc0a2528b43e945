//! XSalsa20's key stream, eight blocks at once (Bernstein, "Extending the Salsa20 nonce").
//!
//! A session spends most of its time here. The lanes of a vector are blocks that differ in their
//! counter only; which vectors the processor has is found out when the program runs.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u32x8};
use salsa20::cipher::consts::U10;

/// Blocks that are made at once.
const LANES: usize = 8;
/// Bytes of one block.
const BLOCK: usize = 64;
/// Bytes that are made at once.
const BATCH: usize = LANES * BLOCK;
/// The words that keys of 32 bytes stand between.
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
/// Bytes of the key stream that are the authenticator's key and encrypt nothing.
const MAC_KEY: usize = 32;

/// HSalsa20 of `input` as nonce: the key that it leads to.
pub(crate) fn hsalsa20(key: &[u8; 32], input: &[u8; 16]) -> [u8; 32] {
    salsa20::hsalsa::<U10>(&(*key).into(), &(*input).into()).into()
}

/// The key stream of one box, the first blocks made already.
pub(crate) struct KeyStream {
    level: Level,
    state: [u32; 16],
    batch: [u8; BATCH],
}

impl KeyStream {
    /// The key stream of a key and a nonce.
    pub(crate) fn new(key: &[u8; 32], nonce: &[u8; 24]) -> Self {
        let (input, rest) = nonce.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        let subkey = hsalsa20(key, input);
        let mut words = subkey.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
        let mut nonce = rest.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
        let state = core::array::from_fn(|place| match place {
            0 | 5 | 10 | 15 => CONSTANTS[place / 5],
            6 | 7 => nonce.next().unwrap_or(0),
            8 | 9 => 0,
            _ => words.next().unwrap_or(0),
        });
        let mut stream = Self { level: Level::new(), state, batch: [0; BATCH] };
        stream.refill();
        stream
    }

    /// The authenticator's key: the beginning of the stream.
    pub(crate) fn mac_key(&self) -> &[u8; MAC_KEY] {
        self.batch.first_chunk().unwrap_or(&[0; MAC_KEY])
    }

    /// Encrypts or decrypts a whole message, with what comes behind the authenticator's key.
    pub(crate) fn apply(mut self, message: &mut [u8]) {
        let (first, rest) = message.split_at_mut(message.len().min(BATCH - MAC_KEY));
        xor(first, &self.batch[MAC_KEY..]);
        for part in rest.chunks_mut(BATCH) {
            self.refill();
            xor(part, &self.batch);
        }
    }

    /// Makes the next blocks.
    fn refill(&mut self) {
        let (state, batch) = (&self.state, &mut self.batch);
        dispatch!(self.level, simd => blocks(simd, state, batch));
        let counter = counter(&self.state).wrapping_add(LANES as u64);
        (self.state[8], self.state[9]) = (counter as u32, (counter >> 32) as u32);
    }
}

fn counter(state: &[u32; 16]) -> u64 {
    u64::from(state[8]) | u64::from(state[9]) << 32
}

fn xor(message: &mut [u8], stream: &[u8]) {
    message.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
}

type Words<S> = [u32x8<S>; 16];

/// Eight blocks of the stream, from the counter in `state` on.
#[inline(always)]
fn blocks<S: Simd>(simd: S, state: &[u32; 16], out: &mut [u8; BATCH]) {
    let mut start: Words<S> = core::array::from_fn(|place| u32x8::splat(simd, state[place]));
    let counters: [u64; LANES] =
        core::array::from_fn(|lane| counter(state).wrapping_add(lane as u64));
    start[8] = u32x8::from_slice(simd, &counters.map(|counter| counter as u32));
    start[9] = u32x8::from_slice(simd, &counters.map(|counter| (counter >> 32) as u32));
    let mut words = start;
    for _ in 0..10 {
        double_round(&mut words);
    }
    for (word, start) in words.iter_mut().zip(start) {
        *word += start;
    }
    let (first, second) = words.split_at(LANES);
    for (half, words) in [first, second].into_iter().enumerate() {
        let rows = transpose(core::array::from_fn(|place| words[place]));
        for (row, block) in rows.into_iter().zip(out.as_chunks_mut::<BLOCK>().0) {
            let row: [u32; LANES] = row.into();
            let words = block.as_chunks_mut::<4>().0[half * LANES..].iter_mut();
            words.zip(row).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
        }
    }
}

#[inline(always)]
fn double_round<S: Simd>(words: &mut Words<S>) {
    for [a, b, c, d] in [[0, 4, 8, 12], [5, 9, 13, 1], [10, 14, 2, 6], [15, 3, 7, 11]] {
        quarter_round(words, a, b, c, d);
    }
    for [a, b, c, d] in [[0, 1, 2, 3], [5, 6, 7, 4], [10, 11, 8, 9], [15, 12, 13, 14]] {
        quarter_round(words, a, b, c, d);
    }
}

#[inline(always)]
fn quarter_round<S: Simd>(words: &mut Words<S>, a: usize, b: usize, c: usize, d: usize) {
    for (to, left, right, by) in [(b, a, d, 7), (c, b, a, 9), (d, c, b, 13), (a, d, c, 18)] {
        let sum = words[left] + words[right];
        words[to] ^= (sum << by) | (sum >> (32 - by));
    }
}

/// Rows become columns: three perfect shuffles.
#[inline(always)]
fn transpose<S: Simd>(mut rows: [u32x8<S>; LANES]) -> [u32x8<S>; LANES] {
    for _ in 0..LANES.ilog2() {
        let pairs: [_; LANES / 2] =
            core::array::from_fn(|place| rows[place].interleave(rows[place + LANES / 2]));
        for (place, (low, high)) in pairs.into_iter().enumerate() {
            (rows[2 * place], rows[2 * place + 1]) = (low, high);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use salsa20::XSalsa20;
    use salsa20::cipher::{KeyIvInit, StreamCipher};

    fn reference(key: [u8; 32], nonce: [u8; 24], message: &mut [u8]) -> [u8; MAC_KEY] {
        let mut cipher = XSalsa20::new(&key.into(), &nonce.into());
        let mut mac_key = [0; MAC_KEY];
        cipher.apply_keystream(&mut mac_key);
        cipher.apply_keystream(message);
        mac_key
    }

    proptest! {
        #[test]
        fn is_the_stream_that_the_portable_code_makes(
            key: [u8; 32], nonce: [u8; 24], message in prop::collection::vec(any::<u8>(), 0..2100),
        ) {
            let (mut ours, mut theirs) = (message.clone(), message);
            let stream = KeyStream::new(&key, &nonce);
            let mac_key = *stream.mac_key();
            stream.apply(&mut ours);
            prop_assert_eq!(mac_key, reference(key, nonce, &mut theirs));
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn every_kind_of_vector_makes_the_same_blocks(mut state: [u32; 16], near_the_end: bool) {
            if near_the_end {
                state[8] = u32::MAX - 3;
            }
            let mut best = [0; BATCH];
            dispatch!(Level::new(), simd => blocks(simd, &state, &mut best));
            let mut baseline = [0; BATCH];
            dispatch!(Level::baseline(), simd => blocks(simd, &state, &mut baseline));
            prop_assert_eq!(best, baseline);
        }
    }
}

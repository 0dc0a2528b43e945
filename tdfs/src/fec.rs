//! Forward error correction: `data` blocks become `data + parity`, and any `data` of them suffice.
//!
//! Reed–Solomon over GF(2^16) (the O(n log n) construction of Lin, Han and Chung, FOCS 2014, as
//! implemented by `reed-solomon-simd`). It is systematic: the first `data` shards are the data. Why
//! long segments instead of more copies: research note TDFS, section 6.4.

use std::collections::BTreeMap;

use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

/// Most data shards in a segment: 16 MiB of bulk blocks. Longer segments survive more, shorter ones
/// need less memory; at 256 the loss of a whole file is already unlikely at half the nodes gone.
pub const MAX_DATA: usize = 256;

/// Fewest shards of a segment in all, so that a file of one block survives as well as a large one.
pub const MIN_SHARDS: usize = 8;

/// Shards are encoded in columns of this many bytes, so that the working set of a full segment
/// (512 columns) stays within a processor's cache. A multiple of 64, as the code demands.
const ENCODE_COLUMN: usize = 4 << 10;

/// Shards are decoded in columns of this many bytes. Longer than [`ENCODE_COLUMN`], for each decoding
/// first solves for the places of what is lost, whatever the length.
const DECODE_COLUMN: usize = 16 << 10;

/// Parity shards of a segment of `data` data shards: max(data, 8 − data).
///
/// ```
/// use toktok_tdfs::fec::parity_count;
/// assert_eq!([1, 2, 4, 5, 256].map(parity_count), [7, 6, 4, 5, 256]);
/// ```
pub const fn parity_count(data: usize) -> usize {
    let at_least = MIN_SHARDS.saturating_sub(data);
    if data > at_least { data } else { at_least }
}

/// Why shards could not be coded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FecError {
    /// No data shard, or more than [`MAX_DATA`].
    #[error("{0} data shards: a segment has 1 to {MAX_DATA}")]
    Count(usize),
    /// Shards of different lengths, or of a length that is not a positive multiple of 64 bytes.
    #[error("shards must share one length, a positive multiple of 64 bytes")]
    Length,
    /// A shard's index is beyond the segment, or was given twice.
    #[error("shard {0} does not belong to the segment, or came twice")]
    Index(usize),
    /// Fewer shards than there are data shards.
    #[error("{have} shards of {need} needed: fetch more blocks of this segment")]
    TooFew {
        /// Shards at hand.
        have: usize,
        /// Shards needed.
        need: usize,
    },
}

/// Checks the number of data shards and their lengths; gives the common length.
fn check<'a>(data: usize, mut shards: impl Iterator<Item = &'a [u8]>) -> Result<usize, FecError> {
    if data == 0 || data > MAX_DATA {
        return Err(FecError::Count(data));
    }
    let length = shards.next().map_or(0, <[u8]>::len);
    if length == 0 || !length.is_multiple_of(64) || shards.any(|shard| shard.len() != length) {
        return Err(FecError::Length);
    }
    Ok(length)
}

/// The ranges of the columns of a shard.
fn columns(length: usize, width: usize) -> impl Iterator<Item = core::ops::Range<usize>> {
    (0..length).step_by(width).map(move |start| start..length.min(start + width))
}

/// What the coding library says about our own, checked arguments.
fn unexpected(error: reed_solomon_simd::Error) -> FecError {
    match error {
        reed_solomon_simd::Error::InvalidOriginalShardIndex { index, .. }
        | reed_solomon_simd::Error::InvalidRecoveryShardIndex { index, .. }
        | reed_solomon_simd::Error::DuplicateOriginalShardIndex { index }
        | reed_solomon_simd::Error::DuplicateRecoveryShardIndex { index } => FecError::Index(index),
        _ => FecError::Length,
    }
}

/// The parity shards of `data`, [`parity_count`] of them, each as long as a data shard.
///
/// # Errors
/// [`FecError::Count`] and [`FecError::Length`] if `data` is no segment.
pub fn encode(data: &[&[u8]]) -> Result<Vec<Vec<u8>>, FecError> {
    let length = check(data.len(), data.iter().copied())?;
    let count = parity_count(data.len());
    let mut parity = vec![Vec::with_capacity(length); count];
    let width = length.min(ENCODE_COLUMN);
    let mut encoder = ReedSolomonEncoder::new(data.len(), count, width).map_err(unexpected)?;
    for column in columns(length, width) {
        if column.len() != width {
            encoder.reset(data.len(), count, column.len()).map_err(unexpected)?;
        }
        for shard in data {
            let part = shard.get(column.clone()).ok_or(FecError::Length)?;
            encoder.add_original_shard(part).map_err(unexpected)?;
        }
        let result = encoder.encode().map_err(unexpected)?;
        for (shard, part) in parity.iter_mut().zip(result.recovery_iter()) {
            shard.extend_from_slice(part);
        }
    }
    Ok(parity)
}

/// The data shards that are missing from `have`, by index. `have` maps index to shard, data shards
/// first (`0..data`), then parity; any `data` of them suffice and further ones are not looked at.
///
/// # Errors
/// [`FecError`] if `have` is not enough of one segment.
pub fn recover(
    data: usize,
    have: &BTreeMap<usize, &[u8]>,
) -> Result<BTreeMap<usize, Vec<u8>>, FecError> {
    let length = check(data, have.values().copied())?;
    if have.len() < data {
        return Err(FecError::TooFew { have: have.len(), need: data });
    }
    let parity = parity_count(data);
    if let Some((&last, _)) = have.last_key_value()
        && last >= data + parity
    {
        return Err(FecError::Index(last));
    }
    let mut lost: BTreeMap<usize, Vec<u8>> = (0..data)
        .filter(|index| !have.contains_key(index))
        .map(|index| (index, Vec::with_capacity(length)))
        .collect();
    if lost.is_empty() {
        return Ok(lost);
    }
    let width = length.min(DECODE_COLUMN);
    let mut decoder = ReedSolomonDecoder::new(data, parity, width).map_err(unexpected)?;
    for column in columns(length, width) {
        if column.len() != width {
            decoder.reset(data, parity, column.len()).map_err(unexpected)?;
        }
        recover_column(&mut decoder, data, have, &column, &mut lost)?;
    }
    Ok(lost)
}

/// Recovers one column of the lost data shards.
fn recover_column(
    decoder: &mut ReedSolomonDecoder,
    data: usize,
    have: &BTreeMap<usize, &[u8]>,
    column: &core::ops::Range<usize>,
    lost: &mut BTreeMap<usize, Vec<u8>>,
) -> Result<(), FecError> {
    for (&index, shard) in have.iter().take(data) {
        let part = shard.get(column.clone()).ok_or(FecError::Length)?;
        match index.checked_sub(data) {
            None => decoder.add_original_shard(index, part),
            Some(parity) => decoder.add_recovery_shard(parity, part),
        }
        .map_err(unexpected)?;
    }
    let result = decoder.decode().map_err(unexpected)?;
    for (&index, shard) in lost {
        shard.extend_from_slice(result.restored_original(index).ok_or(FecError::Index(index))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use toktok_wire::Rng;

    use super::*;

    fn segment(data: usize, length: usize, rng: &mut Rng) -> Vec<Vec<u8>> {
        let mut shards = vec![vec![0; length]; data];
        shards.iter_mut().for_each(|shard| rng.fill(shard));
        let parts: Vec<&[u8]> = shards.iter().map(Vec::as_slice).collect();
        let parity = encode(&parts).unwrap();
        shards.extend(parity);
        shards
    }

    fn survives(data: usize, length: usize, rng: &mut Rng) {
        let shards = segment(data, length, rng);
        assert_eq!(shards.len(), data + parity_count(data));
        let mut order: Vec<usize> = (0..shards.len()).collect();
        rng.shuffle(&mut order);
        let have = order.iter().take(data).map(|&i| (i, shards[i].as_slice())).collect();
        let lost = recover(data, &have).unwrap();
        assert!((0..data).all(|i| have.contains_key(&i) != lost.contains_key(&i)));
        for (index, shard) in lost {
            assert_eq!(shard, shards[index]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_k_of_n_suffice(data in 1_usize..=40, seed: [u8; 32]) {
            survives(data, 128, &mut Rng::from_seed(seed));
        }
    }

    #[test]
    fn whole_segments_of_real_blocks_survive() {
        let mut rng = Rng::from_seed([3; 32]);
        survives(256, 4096, &mut rng);
        survives(5, 65536, &mut rng);
        survives(1, 4096, &mut rng);
    }

    #[test]
    fn columns_do_not_show_in_the_code() {
        // A shard longer than a column is the concatenation of its columns' codes.
        let mut rng = Rng::from_seed([4; 32]);
        let shards = segment(3, ENCODE_COLUMN + 64, &mut rng);
        let heads: Vec<&[u8]> = shards[..3].iter().map(|s| &s[..ENCODE_COLUMN]).collect();
        for (whole, head) in shards[3..].iter().zip(encode(&heads).unwrap()) {
            assert_eq!(whole[..ENCODE_COLUMN], head);
        }
    }

    #[test]
    fn what_is_no_segment_is_refused() {
        let shard = [0; 64];
        assert_eq!(encode(&[]), Err(FecError::Count(0)));
        assert_eq!(encode(&[&shard[..]; 257]), Err(FecError::Count(257)));
        assert_eq!(encode(&[&shard[..63]]), Err(FecError::Length));
        assert_eq!(encode(&[&shard[..], &[0; 128]]), Err(FecError::Length));
        let have = BTreeMap::from([(0, &shard[..])]);
        assert_eq!(recover(2, &have), Err(FecError::TooFew { have: 1, need: 2 }));
        let have = BTreeMap::from([(0, &shard[..]), (8, &shard[..])]);
        assert_eq!(recover(2, &have), Err(FecError::Index(8)));
    }
}

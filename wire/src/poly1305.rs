//! Poly1305 (RFC 8439, section 2.5): the authenticator of every box, in one go.
//!
//! Numbers modulo 2¹³⁰ − 5 are three limbs of 44, 44 and 42 bits, so that products of several blocks
//! add up in 128 bits before a carry is due. Four blocks are taken at once, each multiplied by the
//! power of the key that it would have met in the end. No branch and no index depends on a secret.

/// Bytes of an authenticator, and of a block.
pub(crate) const TAG_LEN: usize = 16;

const MASK_44: u64 = (1 << 44) - 1;
const MASK_42: u64 = (1 << 42) - 1;
/// The bit above a whole block, as part of the highest limb.
const BLOCK_BIT: u64 = 1 << 40;

type Limbs = [u64; 3];

/// A factor, and what its upper limbs are worth when they pass 2¹³⁰.
struct Factor {
    limbs: Limbs,
    wrapped: [u64; 2],
}

impl Factor {
    fn new(limbs: Limbs) -> Self {
        // The limb at 2⁴⁴ times that at 2⁸⁸ is worth 2¹³² = 4 · 2¹³⁰, and 2¹³⁰ is worth 5.
        Self { limbs, wrapped: [20 * limbs[1], 20 * limbs[2]] }
    }

    /// Adds the product with `number` to `sum`.
    #[inline(always)]
    fn add_product(&self, number: Limbs, sum: &mut [u128; 3]) {
        let [r0, r1, r2] = self.limbs;
        let [s1, s2] = self.wrapped;
        let [h0, h1, h2] = number;
        let term = |a, b| u128::from(a) * u128::from(b);
        let rows = [
            [term(h0, r0), term(h1, s2), term(h2, s1)],
            [term(h0, r1), term(h1, r0), term(h2, s2)],
            [term(h0, r2), term(h1, r1), term(h2, r0)],
        ];
        for (sum, row) in sum.iter_mut().zip(rows) {
            *sum = row.into_iter().fold(*sum, u128::wrapping_add);
        }
    }

    #[inline(always)]
    fn times(&self, number: Limbs) -> Limbs {
        let mut sum = [0; 3];
        self.add_product(number, &mut sum);
        carry(sum)
    }
}

/// Limbs of their size again, the lower two up to a few bits.
#[inline(always)]
fn carry([d0, d1, d2]: [u128; 3]) -> Limbs {
    let d1 = d1.wrapping_add(d0 >> 44);
    let d2 = d2.wrapping_add(d1 >> 44);
    let h0 = (d0 as u64 & MASK_44).wrapping_add(((d2 >> 42) as u64).wrapping_mul(5));
    [h0 & MASK_44, (d1 as u64 & MASK_44).wrapping_add(h0 >> 44), d2 as u64 & MASK_42]
}

/// Splits 16 bytes into limbs.
#[inline(always)]
fn limbs(bytes: &[u8; TAG_LEN]) -> Limbs {
    let number = u128::from_le_bytes(*bytes);
    [number as u64 & MASK_44, (number >> 44) as u64 & MASK_44, (number >> 88) as u64]
}

#[inline(always)]
fn add([a0, a1, a2]: Limbs, [b0, b1, b2]: Limbs) -> Limbs {
    [a0.wrapping_add(b0), a1.wrapping_add(b1), a2.wrapping_add(b2)]
}

/// A whole block as a number.
#[inline(always)]
fn block(bytes: &[u8; TAG_LEN]) -> Limbs {
    add(limbs(bytes), [0, 0, BLOCK_BIT])
}

/// The authenticator of a message under a key that serves once.
pub(crate) fn authenticate(key: &[u8; 32], message: &[u8]) -> [u8; TAG_LEN] {
    let (r, pad) = key.split_at(TAG_LEN);
    let [r, pad] = [r, pad].map(|half| half.first_chunk().copied().unwrap_or_default());
    let clamped = u128::from_le_bytes(r) & 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
    let factor = Factor::new(limbs(&clamped.to_le_bytes()));
    let (quads, rest) = message.as_chunks::<{ 4 * TAG_LEN }>();
    let mut sum = take_quads(&factor, quads);
    let (blocks, tail) = rest.as_chunks();
    for bytes in blocks {
        sum = factor.times(add(sum, block(bytes)));
    }
    if !tail.is_empty() {
        let mut last = [0; TAG_LEN];
        last[..tail.len()].copy_from_slice(tail);
        last[tail.len()] = 1;
        sum = factor.times(add(sum, limbs(&last)));
    }
    reduce(sum).wrapping_add(u128::from_le_bytes(pad)).to_le_bytes()
}

/// Takes four blocks at once.
fn take_quads(factor: &Factor, quads: &[[u8; 4 * TAG_LEN]]) -> Limbs {
    let mut total = [0; 3];
    if quads.is_empty() {
        return total;
    }
    let second = Factor::new(factor.times(factor.limbs));
    let third = Factor::new(factor.times(second.limbs));
    let fourth = Factor::new(factor.times(third.limbs));
    for quad in quads {
        let mut sum = [0; 3];
        let factors = [&fourth, &third, &second, factor];
        for (bytes, factor) in quad.as_chunks().0.iter().zip(factors) {
            let number = add(block(bytes), core::mem::take(&mut total));
            factor.add_product(number, &mut sum);
        }
        total = carry(sum);
    }
    total
}

/// The number modulo 2¹³⁰ − 5, of which the lower 128 bits count.
fn reduce(sum: Limbs) -> u128 {
    let [h0, h1, h2] = carry(carry(sum.map(u128::from)).map(u128::from));
    // What is at least 2¹³⁰ − 5 carries beyond 2¹³⁰ when 5 is added.
    let g0 = h0 + 5;
    let g1 = h1 + (g0 >> 44);
    let g2 = h2 + (g1 >> 44);
    let beyond = 0_u64.wrapping_sub(g2 >> 42);
    let choose = |h: u64, g: u64| (h & !beyond) | (g & beyond);
    let (low, middle) = (choose(h0, g0 & MASK_44), choose(h1, g1 & MASK_44));
    let high = choose(h2, g2 & MASK_42);
    u128::from(low) | u128::from(middle) << 44 | u128::from(high) << 88
}

#[cfg(test)]
mod tests {
    use super::*;
    use poly1305::Poly1305;
    use poly1305::universal_hash::KeyInit;
    use proptest::prelude::*;

    fn reference(key: [u8; 32], message: &[u8]) -> [u8; TAG_LEN] {
        Poly1305::new(&key.into()).compute_unpadded(message).into()
    }

    #[test]
    fn gives_the_tag_of_the_rfc() {
        let key = "85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b";
        let key = crate::key::parse_hex::<32>(key).unwrap_or_default();
        let tag = authenticate(&key, b"Cryptographic Forum Research Group");
        assert_eq!(tag, 0xa927_010c_af8b_2bc2_c636_5130_c11d_06a8_u128.to_le_bytes());
    }

    #[test]
    fn carries_where_carries_are_rare() {
        for fill in [0x00, 0x01, 0xfb, 0xfc, 0xff] {
            for key in [[0xff; 32], [1; 32], core::array::from_fn(|i| if i == 0 { 2 } else { 0 })] {
                for len in 0..300 {
                    let message = vec![fill; len];
                    assert_eq!(authenticate(&key, &message), reference(key, &message), "{len}");
                }
            }
        }
    }

    #[test]
    fn is_reduced_at_the_very_edge() {
        // RFC 8439, appendix A.3, vectors 7 to 11 in spirit: sums next to 2¹³⁰ − 5, and to 2¹²⁸.
        let mut key = [0; 32];
        key[0] = 1;
        for low in 0..=u8::MAX {
            let mut message = [0xff; 48];
            (message[0], message[16], message[32]) = (low, low.wrapping_mul(3), 255 - low);
            for len in [16, 32, 48] {
                let message = &message[..len];
                assert_eq!(authenticate(&key, message), reference(key, message));
            }
        }
    }

    proptest! {
        #[test]
        fn is_the_tag_that_others_make(
            key: [u8; 32], message in prop::collection::vec(any::<u8>(), 0..2100),
        ) {
            prop_assert_eq!(authenticate(&key, &message), reference(key, &message));
        }
    }
}

//! Where a node stands among the others: a place on a ring that cannot be chosen.
//!
//! A place is a 128-bit number; blocks have one too (the first 16 bytes of their address), and a block
//! belongs to the nodes around its place. The distance is the shorter way round. A ring, and not
//! Kademlia's XOR, because there a leaf set is mutual: if A is among B's nearest, B is among A's, so
//! that both sides want the same sessions and greedy routing ends only at the nearest node.
//!
//! A node's place is a hash of Argon2id(node key ‖ nonce), valid only if that output begins with enough
//! zero bits (S/Kademlia's static puzzle, Baumgart & Mies 2007, made memory-hard): whoever wants to
//! stand next to a certain block pays memory-hard work for each try.

use core::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use toktok_wire::PublicKey;
use toktok_wire::node_key::NodeId;

use crate::block::BlockAddress;

/// Domain of a location under the puzzle's output (BLAKE3 `derive_key` context).
const LOCATION_CONTEXT: &str = "toktok tdfs 2026-11 location of a solved puzzle";
/// Salt of the puzzle: it separates the domain, nothing else.
const PUZZLE_SALT: &[u8] = b"toktok tdfs 2026-11 location";

/// A place on the ring.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Location(pub u128);

impl Location {
    /// The place of a block.
    pub fn of_block(address: &BlockAddress) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(address.0.first_chunk::<16>().unwrap_or(&[0; 16]));
        Self(u128::from_be_bytes(bytes))
    }

    /// The shorter way round to `other`: at most half the ring.
    pub const fn distance(self, other: Self) -> u128 {
        let up = self.clockwise(other);
        let down = other.clockwise(self);
        if up < down { up } else { down }
    }

    /// The way to `other` in the direction of growing numbers.
    pub const fn clockwise(self, other: Self) -> u128 {
        other.0.wrapping_sub(self.0)
    }
}

impl fmt::Debug for Location {
    /// The first eight hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{:08x}", self.0 >> 96)
    }
}

/// How hard a location is to come by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Puzzle {
    /// Zero bits that the output must begin with: a solution takes 2^bits tries on average.
    pub zero_bits: u8,
    /// Memory of one try in KiB, at least 8.
    pub memory_kib: u32,
    /// Passes over that memory, at least 1.
    pub passes: u32,
}

impl Puzzle {
    /// One try in microseconds: for tests and the simulator, where ten thousand nodes need a place.
    pub const MINIMAL: Self = Self { zero_bits: 0, memory_kib: 8, passes: 1 };

    /// Argon2id of the node's key and a nonce; `None` if the parameters are out of range.
    fn run(&self, id: &NodeId, nonce: u64) -> Option<[u8; 32]> {
        let params = Params::new(self.memory_kib, self.passes, 1, Some(32)).ok()?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut password = [0; 40];
        password[..32].copy_from_slice(&id.0);
        password[32..].copy_from_slice(&nonce.to_be_bytes());
        let mut output = [0; 32];
        argon.hash_password_into(&password, PUZZLE_SALT, &mut output).ok()?;
        Some(output)
    }

    /// The place that `nonce` gives to the node; `None` if it does not solve the puzzle.
    pub fn location(&self, id: &NodeId, nonce: u64) -> Option<Location> {
        let output = self.run(id, nonce)?;
        let head = u128::from_be_bytes(*output.first_chunk::<16>()?);
        if head.leading_zeros() < u32::from(self.zero_bits) {
            return None;
        }
        let digest = blake3::derive_key(LOCATION_CONTEXT, &output);
        Some(Location(u128::from_be_bytes(*digest.first_chunk::<16>()?)))
    }

    /// The smallest nonce that solves the puzzle, and the place it gives. A node keeps its nonce.
    /// Takes 2^`zero_bits` tries; `None` only if the parameters are out of range.
    pub fn solve(&self, id: &NodeId) -> Option<(u64, Location)> {
        self.run(id, 0)?;
        (0..u64::MAX).find_map(|nonce| Some((nonce, self.location(id, nonce)?)))
    }
}

/// Who a node says it is, and whether that holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The Ed25519 key that signs its receipts.
    pub id: NodeId,
    /// The X25519 image of that key, under which the mesh knows it.
    pub key: PublicKey,
    /// Its place.
    pub location: Location,
    /// The solution that gives it that place.
    pub nonce: u64,
}

impl Identity {
    /// Checks a claim: the key must be on the curve, the nonce must solve the puzzle.
    pub fn verify(puzzle: &Puzzle, id: NodeId, nonce: u64) -> Option<Self> {
        let key = id.mesh_key()?;
        let location = puzzle.location(&id, nonce)?;
        Some(Self { id, key, location, nonce })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toktok_wire::NodeKey;

    #[test]
    fn the_distance_is_the_shorter_way_round() {
        let (a, b) = (Location(1), Location(u128::MAX));
        assert_eq!((a.distance(b), b.distance(a)), (2, 2));
        assert_eq!(a.distance(a), 0);
        assert_eq!(Location(0).distance(Location(1 << 127)), 1 << 127);
        assert_eq!(Location(5).clockwise(Location(3)), u128::MAX - 1);
    }

    #[test]
    fn a_solution_holds_for_its_key_only() {
        let puzzle = Puzzle { zero_bits: 6, ..Puzzle::MINIMAL };
        let (a, b) = (NodeKey::from_seed(&[1; 32]).id(), NodeKey::from_seed(&[2; 32]).id());
        let (nonce, location) = puzzle.solve(&a).unwrap();
        assert_eq!(puzzle.location(&a, nonce), Some(location));
        assert!((0..nonce).all(|nonce| puzzle.location(&a, nonce).is_none()));
        assert_ne!(puzzle.location(&b, nonce), Some(location));
        let identity = Identity::verify(&puzzle, a, nonce).unwrap();
        assert_eq!((Some(identity.key), identity.location), (a.mesh_key(), location));
    }

    #[test]
    fn impossible_parameters_have_no_solution() {
        let id = NodeKey::from_seed(&[1; 32]).id();
        assert_eq!(Puzzle { memory_kib: 0, ..Puzzle::MINIMAL }.solve(&id), None);
    }
}

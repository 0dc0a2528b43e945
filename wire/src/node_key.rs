//! The node key: one Ed25519 seed a provider node, which signs receipts and records, and whose X25519
//! image is the node's mesh address.

use core::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use crate::key::{KeyPair, PublicKey, SecretKey};
use crate::rng::Rng;

/// A provider node's identity. It says nothing about a person.
#[derive(Clone)]
pub struct NodeKey(SigningKey);

/// An Ed25519 public key, under which a node's signatures verify.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub [u8; 32]);

/// An Ed25519 signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Signature(pub [u8; 64]);

impl NodeKey {
    /// The key of a 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// A fresh key from the generator handed in.
    pub fn generate(rng: &mut Rng) -> Self {
        Self::from_seed(&rng.bytes())
    }

    /// The seed: for saving the key, nothing else.
    pub fn expose_seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public key that verifies this node's signatures.
    pub fn id(&self) -> NodeId {
        NodeId(self.0.verifying_key().to_bytes())
    }

    /// The X25519 image: the pair under which the mesh knows this node (RFC 7748, section 4.1: the
    /// birational map; the secret is the clamped first half of the expanded seed, RFC 8032, 5.1.5).
    pub fn mesh_keys(&self) -> KeyPair {
        KeyPair {
            public: PublicKey(self.0.verifying_key().to_montgomery().to_bytes()),
            secret: SecretKey::from_bytes(self.0.to_scalar_bytes()),
        }
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({:?})", self.id())
    }
}

impl NodeId {
    /// The mesh address of the node with this key; `None` if the bytes are no point of the curve.
    pub fn mesh_key(&self) -> Option<PublicKey> {
        let key = VerifyingKey::from_bytes(&self.0).ok()?;
        Some(PublicKey(key.to_montgomery().to_bytes()))
    }

    /// True if `signature` is this node's over `message` (strict: no small-order keys, no malleability).
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| {
            key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mesh_image_of_both_halves_agrees() {
        let key = NodeKey::from_seed(&[9; 32]);
        let pair = key.mesh_keys();
        assert_eq!(pair.secret.public_key(), pair.public);
        assert_eq!(key.id().mesh_key(), Some(pair.public));
    }

    #[test]
    fn signatures_verify_only_under_their_key_and_message() {
        let key = NodeKey::from_seed(&[1; 32]);
        let signature = key.sign(b"stored");
        assert!(key.id().verify(b"stored", &signature));
        assert!(!key.id().verify(b"lost", &signature));
        assert!(!NodeKey::from_seed(&[2; 32]).id().verify(b"stored", &signature));
    }
}

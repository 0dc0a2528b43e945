//! Commitments: a worker is bound to a result before it can learn anybody else's.

use toktok_wire::PublicKey;

use crate::job::{JobId, ResultHash};

/// What a worker sends before any result is shown. It names the worker, so that a copied commitment
/// opens for nobody else, and hides the result behind a random nonce.
pub fn commitment(
    job: JobId,
    unit: u32,
    worker: &PublicKey,
    result: &ResultHash,
    nonce: &[u8; 32],
) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("TokTok TDC 1 commitment");
    hasher
        .update(&job.0.to_le_bytes())
        .update(&unit.to_le_bytes())
        .update(worker.as_bytes())
        .update(&result.0)
        .update(nonce);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_opens_only_with_what_it_was_made_of() {
        let (a, b) = (PublicKey([1; 32]), PublicKey([2; 32]));
        let (x, y) = (ResultHash([3; 32]), ResultHash([4; 32]));
        let made = commitment(JobId(1), 2, &a, &x, &[5; 32]);
        assert_eq!(made, commitment(JobId(1), 2, &a, &x, &[5; 32]));
        assert_ne!(made, commitment(JobId(1), 2, &b, &x, &[5; 32]), "copied by another worker");
        assert_ne!(made, commitment(JobId(1), 2, &a, &y, &[5; 32]), "another result");
        assert_ne!(made, commitment(JobId(1), 3, &a, &x, &[5; 32]), "another unit");
        assert_ne!(made, commitment(JobId(1), 2, &a, &x, &[6; 32]), "another nonce");
    }
}

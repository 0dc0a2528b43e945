//! The names of things: results, seeds, and what a result was computed from. All BLAKE3.

use core::fmt;

use super::spec::{JobSpec, Limits};
use super::split::UnitSource;

/// BLAKE3 of a unit's result.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ResultHash(pub [u8; 32]);

impl ResultHash {
    /// The hash of these bytes.
    pub fn of(result: &[u8]) -> Self {
        Self(*blake3::hash(result).as_bytes())
    }
}

impl fmt::Debug for ResultHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResultHash({self})")
    }
}

impl fmt::Display for ResultHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

/// What a unit's result depends on, and nothing else: equal keys have equal results.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CacheKey([u8; 32]);

/// A hasher whose fields cannot run into each other: each goes in with its length before it.
struct Fields(blake3::Hasher);

impl Fields {
    fn new(context: &str) -> Self {
        Self(blake3::Hasher::new_derive_key(context))
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn texts(&mut self, texts: &[String]) -> &mut Self {
        self.number(texts.len() as u64);
        texts.iter().fold(self, |fields, text| fields.bytes(text.as_bytes()))
    }

    fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// The seed of a job: as its owner says, or derived from what the job is.
pub fn job_seed(spec: &JobSpec) -> [u8; 32] {
    spec.seed.unwrap_or_else(|| {
        Fields::new("TokTok TDC 1 job seed")
            .bytes(spec.program.as_bytes())
            .bytes(spec.input.as_deref().unwrap_or_default().as_bytes())
            .texts(&spec.arguments)
            .finish()
    })
}

/// The seed of one unit of a job: what the program's `random_get` is fed from.
pub fn unit_seed(job_seed: &[u8; 32], unit: u32) -> [u8; 32] {
    Fields::new("TokTok TDC 1 unit seed").bytes(job_seed).number(unit.into()).finish()
}

/// The key of a unit's result. A limit is part of it: a result that was too long for one job may fit
/// another.
pub fn cache_key(spec: &JobSpec, unit: u32, source: &UnitSource) -> CacheKey {
    let Limits { memory_bytes, wall: _, output_bytes } = spec.policy.limits;
    let mut fields = Fields::new("TokTok TDC 1 result");
    fields
        .bytes(spec.program.as_bytes())
        .bytes(spec.input.as_deref().unwrap_or_default().as_bytes())
        .texts(&spec.arguments)
        .bytes(&unit_seed(&job_seed(spec), unit))
        .number(memory_bytes)
        .number(output_bytes)
        .number(spec.policy.canonical_nans.into());
    match source {
        UnitSource::Piece(piece) => {
            fields.number(1).number(piece.from).number(piece.to).number(piece.boundary as u64)
        }
        UnitSource::Numbers { from, to } => fields.number(2).number(*from).number(*to),
    };
    CacheKey(fields.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Boundary, Piece};

    #[test]
    fn fields_do_not_run_into_each_other() {
        let mut a = JobSpec::map_reduce("p", "i");
        let mut b = a.clone();
        a.arguments = vec!["ab".into(), "c".into()];
        b.arguments = vec!["a".into(), "bc".into()];
        assert_ne!(job_seed(&a), job_seed(&b));
    }

    #[test]
    fn the_key_names_the_piece_and_the_terms() {
        let spec = JobSpec::map_reduce("p", "i");
        let piece = Piece { from: 0, to: 5, input_len: 9, boundary: Boundary::Newline };
        let key = |spec: &JobSpec, piece| cache_key(spec, 0, &UnitSource::Piece(piece));
        assert_eq!(key(&spec, piece), key(&spec.clone(), piece));
        assert_ne!(key(&spec, piece), key(&spec, Piece { to: 6, ..piece }));
        let mut other = spec.clone();
        other.policy.limits.output_bytes += 1;
        assert_ne!(key(&spec, piece), key(&other, piece));
    }
}

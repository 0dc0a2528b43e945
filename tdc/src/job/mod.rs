//! What is to be computed: a job, its units, and the names of their results.

mod hash;
mod spec;
mod split;

pub use hash::{CacheKey, ResultHash, cache_key, job_seed, unit_seed};
pub use spec::{InvalidJob, JobId, JobSpec, Limits, Policy, Reduce};
pub use split::{Boundary, Piece, Split, UnitSource, Units};

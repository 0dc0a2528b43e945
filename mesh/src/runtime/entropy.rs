//! The system's randomness, drawn once: it seeds the generator that a stack is handed.

use thiserror::Error;

use crate::wire::Rng;

/// The operating system gave no randomness.
#[derive(Clone, Copy, Debug, Error)]
#[error("the operating system gives no randomness ({0}); without it no key can be made")]
pub struct EntropyError(getrandom::Error);

/// A generator seeded by the operating system.
///
/// # Errors
/// [`EntropyError`] if the system has none to give (a broken container, a very early boot).
pub fn system_rng() -> Result<Rng, EntropyError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(EntropyError)?;
    Ok(Rng::from_seed(seed))
}

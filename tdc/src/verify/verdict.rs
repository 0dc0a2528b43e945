//! What a unit's opened commitments say together.

use toktok_wire::PublicKey;

use crate::job::ResultHash;

/// One worker's opened result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reveal {
    /// Whose.
    pub worker: PublicKey,
    /// Of what.
    pub result: ResultHash,
}

/// What the reveals of one unit amount to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// All say the same.
    Agree(ResultHash),
    /// Somebody lies, or is broken: the job's owner must compute the unit.
    Mismatch,
}

/// Judges the reveals of one unit; an empty list settles nothing.
pub fn judge(reveals: &[Reveal]) -> Verdict {
    match reveals.split_first() {
        Some((first, rest)) if rest.iter().all(|other| other.result == first.result) => {
            Verdict::Agree(first.result)
        }
        _ => Verdict::Mismatch,
    }
}

/// Who said something else than the truth.
pub fn liars(reveals: &[Reveal], truth: ResultHash) -> impl Iterator<Item = PublicKey> + '_ {
    reveals.iter().filter(move |reveal| reveal.result != truth).map(|reveal| reveal.worker)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reveal(worker: u8, result: u8) -> Reveal {
        Reveal { worker: PublicKey([worker; 32]), result: ResultHash([result; 32]) }
    }

    #[test]
    fn equal_results_agree_and_anything_else_does_not() {
        assert_eq!(judge(&[reveal(1, 7), reveal(2, 7)]), Verdict::Agree(ResultHash([7; 32])));
        assert_eq!(judge(&[reveal(1, 7), reveal(2, 8)]), Verdict::Mismatch);
        assert_eq!(judge(&[reveal(1, 7), reveal(2, 7), reveal(3, 8)]), Verdict::Mismatch);
        assert_eq!(judge(&[]), Verdict::Mismatch);
    }

    #[test]
    fn the_truth_names_the_liars() {
        let reveals = [reveal(1, 7), reveal(2, 8), reveal(3, 9)];
        let found: Vec<_> = liars(&reveals, ResultHash([8; 32])).collect();
        assert_eq!(found, [PublicKey([1; 32]), PublicKey([3; 32])]);
        assert_eq!(liars(&reveals[..1], ResultHash([7; 32])).count(), 0);
    }
}

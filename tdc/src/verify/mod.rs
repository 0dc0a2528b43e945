//! Believing results from machines that nobody trusts.
//!
//! The rule is **pair, arbiter, ban**: a unit's replicas are bound to their results before any is
//! shown; equal results are accepted; a mismatch is settled by the job's owner, who runs that one unit;
//! whoever lied is banned, and what only liars and their company vouched for is done again. With a fifth
//! of the workers lying in concert, "the first two that agree" accepts one result in ten that is wrong
//! (f²(3−2f)); with memory and an arbiter it is a few in ten thousand, at two executions a unit.

mod commit;
mod standing;
mod verdict;

pub use commit::commitment;
pub use standing::Standing;
pub use verdict::{Reveal, Verdict, judge, liars};

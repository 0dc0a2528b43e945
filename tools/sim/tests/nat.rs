//! Friends behind NATs speak directly wherever the ways of their NATs allow it, and through a relay
//! elsewhere: whole stacks, a pair of each two kinds. The NATs that map by the remote endpoint give one
//! port after the other here; `docs/src/nat.md` tells of those that give random ones.

use toktok_sim::scenario::env_seed;
use toktok_sim::scenario::nat::{self, Outcome, Plan, Side};

fn plan(pairs: Vec<[Side; 2]>, seed: u64) -> Plan {
    Plan { pairs, seed, ..Plan::default() }
}

/// The pairs of a plan that had to cross and did not.
fn uncrossed(plan: &Plan, outcome: &Outcome) -> Vec<[Side; 2]> {
    let both = plan.pairs.iter().zip(&outcome.cells);
    both.filter(|(_, cell)| cell.required && cell.direct.is_none()).map(|(pair, _)| *pair).collect()
}

/// Ports are guessed, so that a pair may have bad luck: but no two pairs, and not twice.
#[test]
fn every_pair_connects_and_those_cross_that_must() {
    let sides: Vec<Side> = Side::all().collect();
    let pairs = sides.iter().flat_map(|one| sides.iter().map(move |other| [*one, *other]));
    let (mut left, mut tables) = (pairs.collect::<Vec<[Side; 2]>>(), String::new());
    assert_eq!(left.iter().filter(|[one, other]| nat::must_cross(*one, *other)).count(), 76);
    for seed in [env_seed(1), env_seed(1) + 1] {
        let plan = plan(left, seed);
        let (outcome, _) = nat::run(&plan, |_| ());
        tables += &format!("seed {seed}\n{}\n", outcome.table().join("\n"));
        assert_eq!(outcome.unconnected, 0, "{tables}");
        left = uncrossed(&plan, &outcome);
        assert!(left.len() <= 1, "{tables}");
        if left.is_empty() {
            return;
        }
    }
    panic!("{left:?} do not cross\n{tables}");
}

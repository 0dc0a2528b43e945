//! The distributed computer in virtual time: whatever workers do, what is accepted is the truth.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and may print"
)]

mod support;

use core::time::Duration;

use support::{Nature, World, model};
use toktok_tdc::engine::Lie;
use toktok_tdc::job::{Boundary, Reduce, Split};
use toktok_tdc::wire::{Rng, Time};
use toktok_tdc::{JobError, JobEvent, JobReport, JobSpec};

/// A job over numbers, one a unit, whose result is the units' results one behind the other.
fn numbers(units: u64) -> JobSpec {
    let mut spec = JobSpec::map_reduce("program", "");
    spec.input = None;
    spec.split = Split::Numbers { from: 0, to: units, unit: 1 };
    spec.reduce = Reduce::Concatenate;
    spec
}

fn truth(units: u64) -> Vec<String> {
    (0..units).map(|n| model(format!("{n} {}\n", n + 1).as_bytes())).collect()
}

/// How many units of a concatenated result are false.
fn wrong(report: &JobReport, units: u64) -> usize {
    let text = String::from_utf8_lossy(&report.result).into_owned();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    assert_eq!(lines.len() as u64, units);
    lines.iter().zip(truth(units)).filter(|(got, true_one)| *got != true_one).count()
}

fn honest(count: u64) -> Vec<Nature> {
    (0..count).map(Nature::honest).collect()
}

/// `count` workers, of which a fifth always lies; `gang` says with whom each liar agrees.
fn with_liars(count: u64, seed: u8, lie: impl Fn(u64) -> Lie) -> Vec<Nature> {
    let mut natures = honest(count);
    let mut order: Vec<usize> = (0..natures.len()).collect();
    Rng::from_seed([seed; 32]).shuffle(&mut order);
    for index in order.into_iter().take(count as usize / 5) {
        natures[index].lie = Some(lie(index as u64));
    }
    natures
}

#[test]
fn honest_workers_compute_each_unit_twice_and_no_more() {
    let mut world = World::new(1, &honest(8));
    let report = world.run(numbers(100)).unwrap();
    assert_eq!(wrong(&report, 100), 0);
    assert_eq!((report.units, report.executions, report.arbitrations), (100, 200, 0));
    assert_eq!((report.lapsed, report.redone, report.workers), (0, 0, 8));
    assert!(report.liars.is_empty());
    assert!(world.given.values().all(|workers| workers.len() == 2), "never one worker twice");
    // 200 executions of a second on 8 workers: 25 s, and some for latency.
    assert!(report.elapsed < Duration::from_secs(31), "{:?}", report.elapsed);
}

#[test]
fn pieces_of_a_file_are_cut_at_words_and_joined_by_the_program() {
    let mut world = World::new(2, &honest(5));
    let text: String =
        (0..5_000).map(|n| format!("word{n}{}", if n % 7 == 0 { '\n' } else { ' ' })).collect();
    world.files.insert("text".into(), text.clone().into());
    let mut spec = JobSpec::map_reduce("program", "text");
    spec.split = Split::Bytes { unit_bytes: 1_000, boundary: Boundary::Newline };
    let report = world.run(spec).unwrap();
    let mut expected = 0;
    let mut rest = text.as_bytes();
    let mut at = 0;
    for unit in 1..=report.units as usize {
        let cut = unit * 1_000;
        let end = match text.as_bytes().get(cut - 1..) {
            Some(tail) => cut + tail.iter().position(|b| *b == b'\n').map_or(tail.len() - 1, |p| p),
            None => text.len(),
        };
        let (piece, behind) = rest.split_at(end - at);
        expected += model(piece).trim().parse::<u64>().unwrap();
        (rest, at) = (behind, end);
    }
    assert_eq!(String::from_utf8_lossy(&report.result).trim(), expected.to_string());
}

#[test]
fn every_lone_liar_is_found_and_nothing_false_is_accepted() {
    for seed in 0..3 {
        let natures = with_liars(40, seed, Lie::always);
        let mut world = World::new(seed, &natures);
        let report = world.run(numbers(1_000)).unwrap();
        assert_eq!(wrong(&report, 1_000), 0);
        let mut caught: Vec<_> = report.liars.clone();
        let mut liars: Vec<_> =
            (0..40).filter(|i| natures[*i].lie.is_some()).map(|i| world.key(i + 1)).collect();
        caught.sort_unstable();
        liars.sort_unstable();
        assert_eq!(caught, liars, "all liars and nobody else");
        let each = report.executions as f64 / 1_000.0;
        assert!(each < 2.05, "{each} executions a unit");
    }
}

#[test]
fn a_fifth_lying_in_concert_gets_next_to_nothing_through() {
    const UNITS: u64 = 4_000;
    let (mut false_ones, mut executions) = (0, 0);
    for seed in 10..13 {
        let natures = with_liars(100, seed, |_| Lie::always(7));
        let mut world = World::new(seed, &natures);
        let report = world.run(numbers(UNITS)).unwrap();
        false_ones += wrong(&report, UNITS);
        executions += report.executions;
    }
    let share = false_ones as f64 / (3 * UNITS) as f64;
    let each = executions as f64 / (3 * UNITS) as f64;
    println!("in concert: {:.4} % wrong at {each:.3} executions a unit", share * 100.0);
    assert!(share <= 0.000_5, "{share} of the units are wrong");
    assert!(each <= 2.05, "{each} executions a unit");
}

#[test]
fn patient_liars_in_concert_win_little_and_cost_little() {
    const UNITS: u64 = 4_000;
    let natures = with_liars(100, 20, |_| Lie { permille: 100, gang: 7 });
    let mut world = World::new(20, &natures);
    let report = world.run(numbers(UNITS)).unwrap();
    let (wrong, each) = (wrong(&report, UNITS), report.executions as f64 / UNITS as f64);
    println!("one in ten: {wrong} of {UNITS} wrong at {each:.3} executions a unit");
    assert!(wrong <= 8, "{wrong}");
    assert!(each <= 2.1, "{each}");
}

#[test]
fn audits_find_a_pair_that_agrees_on_everything() {
    let mut natures = honest(2);
    natures.iter_mut().for_each(|nature| nature.lie = Some(Lie::always(1)));
    natures.extend((2..5).map(|index| Nature { dies: Time::ZERO, ..Nature::honest(index) }));
    let mut spec = numbers(60);
    spec.policy.audit_permille = 200;
    spec.policy.deadline = Duration::from_secs(200);
    let mut world = World::new(21, &natures);
    // The only two living workers lie in concert: after the first audit nobody is left to work.
    let error = world.run(spec).unwrap_err();
    assert!(matches!(error, JobError::Deadline { .. }));
    let liars = world.events.iter().filter(|e| matches!(e, JobEvent::LiarFound { .. })).count();
    assert_eq!(liars, 2);
}

#[test]
fn a_third_of_the_workers_may_die_and_only_their_capacity_is_lost() {
    let mut natures = honest(30);
    let mut rng = Rng::from_seed([3; 32]);
    for nature in natures.iter_mut().take(10) {
        nature.dies = Time::from_millis(2_000 + rng.below(15_000));
    }
    let mut world = World::new(3, &natures);
    let report = world.run(numbers(300)).unwrap();
    assert_eq!(wrong(&report, 300), 0);
    assert!(report.lapsed >= 10, "each dead worker held a lease: {}", report.lapsed);
    // 600 unit-seconds on 20 to 30 workers: at most 30 s; a unit and a lease's silence more.
    assert!(report.elapsed < Duration::from_secs(30 + 7), "{:?}", report.elapsed);
}

#[test]
fn stragglers_do_not_hold_up_the_rest() {
    let mut natures = honest(40);
    natures.iter_mut().take(2).for_each(|nature| nature.unit = Duration::from_secs(10));
    let mut world = World::new(4, &natures);
    let report = world.run(numbers(400)).unwrap();
    assert_eq!(wrong(&report, 400), 0);
    assert!(report.speculative > 0);
    let ideal = 800.0 / 38.2;
    let ratio = report.elapsed.as_secs_f64() / ideal;
    println!("stragglers: {ratio:.2} of the ideal time");
    assert!(ratio < 1.3, "{ratio}");
}

#[test]
fn replicas_never_share_a_network() {
    let mut natures = honest(12);
    for (index, nature) in natures.iter_mut().enumerate() {
        nature.network = index as u64 % 3;
    }
    let mut world = World::new(5, &natures);
    let report = world.run(numbers(100)).unwrap();
    assert_eq!(wrong(&report, 100), 0);
    for workers in world.given.values() {
        let mut networks: Vec<_> = workers.iter().map(|worker| (worker - 1) % 3).collect();
        networks.sort_unstable();
        networks.dedup();
        assert_eq!(networks.len(), workers.len());
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let run = |seed| {
        let mut world = World::new(seed, &with_liars(20, 1, Lie::always));
        let report = world.run(numbers(200)).unwrap();
        (world.trace_hash(), report)
    };
    assert_eq!(run(6), run(6));
    assert_ne!(run(6).0, run(7).0);
}

#[test]
fn a_result_that_is_known_is_not_computed_again() {
    let mut world = World::new(8, &honest(4));
    let first = world.run(numbers(50)).unwrap();
    let second = world.run(numbers(50)).unwrap();
    assert_eq!(second.result, first.result);
    assert_eq!((second.cached, second.executions), (50, 0));
}

#[test]
fn a_program_that_fails_is_reported_after_its_owner_saw_it_too() {
    let mut world = World::new(9, &honest(4));
    let mut spec = numbers(50);
    spec.program = "broken".into();
    let error = world.run(spec).unwrap_err();
    assert!(error.to_string().contains("ended with code 3 (it wrote: no such luck)"), "{error}");
    assert!(world.now < Time::from_secs(5), "{}", world.now);
}

#[test]
fn missing_data_is_a_clear_error() {
    let mut world = World::new(10, &honest(4));
    let mut spec = numbers(5);
    spec.program = "lost".into();
    let error = world.run(spec).unwrap_err();
    assert_eq!(error.to_string(), "the program cannot be fetched: nobody has it");
    let error = world.run(JobSpec::map_reduce("program", "lost")).unwrap_err();
    assert_eq!(error.to_string(), "the input cannot be fetched: nobody has it");
}

#[test]
fn too_few_workers_are_named_at_the_deadline() {
    let mut world = World::new(11, &honest(1));
    let mut spec = numbers(5);
    spec.policy.deadline = Duration::from_secs(60);
    let error = world.run(spec).unwrap_err().to_string();
    assert!(error.contains("1 workers connected"), "{error}");
    assert!(error.contains("run more nodes"), "{error}");
}

#[test]
fn one_replica_believes_and_costs_half() {
    let mut world = World::new(12, &honest(4));
    let mut spec = numbers(40);
    spec.policy.replicas = 1;
    let report = world.run(spec).unwrap();
    assert_eq!((wrong(&report, 40), report.executions), (0, 40));
}

#[test]
fn messages_that_make_no_sense_are_dropped_and_counted() {
    use bytes::Bytes;
    use toktok_tdc::job::ResultHash;
    use toktok_tdc::message::{LeaseId, Message};
    use toktok_tdc::{Core, Donation, Role};

    let (me, peer) = (toktok_tdc::wire::PublicKey([1; 32]), toktok_tdc::wire::PublicKey([2; 32]));
    let mut core = Core::new(me, Donation::default(), &Rng::from_seed([1; 32]));
    let lease = LeaseId(9);
    let reveal =
        Message::Reveal { lease, nonce: [0; 32], result: ResultHash([0; 32]), length: 1 }.encode();
    // A stranger, garbage, an unknown lease, a message for the other role.
    core.handle_message(Time::ZERO, peer, Role::Client, reveal.clone());
    assert!(core.handle_peer_up(Time::ZERO, peer, Role::Client, None));
    core.handle_message(Time::ZERO, peer, Role::Client, Bytes::from_static(b"\xff\xff"));
    core.handle_message(Time::ZERO, peer, Role::Client, Bytes::new());
    core.handle_message(Time::ZERO, peer, Role::Client, reveal);
    core.handle_message(Time::ZERO, peer, Role::Client, Message::AskReveal { lease }.encode());
    let drops: Vec<_> = core.drops().iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(core.drops().total(), 5, "{drops:?}");
}

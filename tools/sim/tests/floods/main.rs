//! Strangers flood a node, and a person through the onion: what they make grow stays within named
//! limits, and friends' messages go through. Computing takes no time here, so this counts;
//! `integration-tests/tests/floods` measures.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]
#![expect(clippy::print_stdout, reason = "it tells what was measured")]

mod run;

use core::time::Duration;
use std::alloc::System;
use std::sync::{Mutex, PoisonError};

use cap::Cap;
use toktok_mesh::{Config, KeyPair, Stack};
use toktok_sim::NodeIndex;
use toktok_sim::fault::{Flood, Flooded};
use toktok_sim::weigh::weigh;

use self::run::{FLOOD, NODES, Run};

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// One test at a time: what another one allocates meanwhile would count too.
static TURN: Mutex<()> = Mutex::new(());

/// Half-open sessions of strangers (`MAX_STRANGERS`) and the friends' own: what may stand at once of
/// those that prove nothing.
const MAX_HALF_OPEN: usize = 64;
/// Friend requests that are opened at once, and then each second (`OPEN_BURST`, `OPEN_PACE`).
const REQUESTS: (u64, u64) = (64, 50);
/// The relay's clients (`MAX_CLIENTS`).
const MAX_CLIENTS: usize = 512;
/// What connections between clients take at most (`MAX_ROUTES_TOTAL`, `MIN_ROUTES` each), 56 bytes each.
const ROUTES: u64 = (4_096 + 8 * MAX_CLIENTS as u64) * 56;
/// What a node may weigh, whatever strangers leave behind.
const MAX_WEIGHT: u64 = 1 << 20;

/// After all that the victim weighs little.
fn assert_light(run: &mut Run, victim: NodeIndex) {
    let weight = weigh(&mut run.sim, victim, || HEAP.allocated());
    println!("the victim weighs {weight} bytes");
    assert!(weight <= MAX_WEIGHT, "{weight}");
}

#[test]
fn floods_at_a_provider_leave_its_friends_their_messages() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut run = Run::new();
    let ((victim, key), (friend, _)) = (run.nodes[5], run.nodes[6]);
    run.command(friend, |stack, now| stack.connect(now, key, None));
    run.pass(Duration::from_secs(5));
    assert!(run.told.up.contains(&(friend, key)));
    for kind in [Flood::Handshakes, Flood::Announces, Flood::Relays, Flood::Stores] {
        let flooder = run.flood(kind, 5, None);
        run.talk(friend, key);
        let answers = run.answers(flooder);
        let (sessions, clients) = (run.told.most, run.stack(victim).relay_client_count());
        println!("{kind:?}: {answers} answers, {sessions} sessions, {clients} relay clients");
        assert!(answers > 20, "{kind:?}: the flood was none");
        assert!(sessions <= 2 + MAX_HALF_OPEN, "{kind:?}: {sessions} sessions");
        assert!(clients <= MAX_CLIENTS);
        run.sim.crash(flooder);
    }
    assert_light(&mut run, victim);
}

#[test]
fn a_flood_of_friend_requests_leaves_a_person_its_friends() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut run = Run::new();
    let identities = ["alice", "bob"].map(|name| KeyPair::generate(&mut run.rng.child(name)));
    let people: Vec<NodeIndex> = (0..2)
        .map(|number| {
            let rng = run.rng.child(&format!("person {number}"));
            let dht = KeyPair::generate(&mut rng.child("dht"));
            let identity = identities[number].clone();
            let mut stack =
                Stack::with_identity(Config::person(), identity, dht, rng, run.sim.now());
            stack.add_friend(run.sim.now(), identities[1 - number].public);
            let node = run.start(Flooded::Node(Box::new(stack)));
            run.introduce(node);
            node
        })
        .collect();
    run.pass(Duration::from_secs(15));
    assert!(run.told.up.contains(&(people[1], identities[0].public)), "{:?}", run.told.up);
    let id = run.stack(people[0]).tox_id();
    let flooders: Vec<NodeIndex> =
        (0..NODES).step_by(5).map(|victim| run.flood(Flood::FriendRequests, victim, id)).collect();
    run.talk(people[1], identities[0].public);
    let sent: u64 = flooders.iter().map(|flooder| run.answers(*flooder)).sum();
    println!("friend requests: {sent} sent, {} told", run.told.requests);
    assert!(sent > 4_000 && run.told.requests > 100, "the flood was none: {sent}");
    let span = FLOOD.as_secs() + 2;
    assert!(run.told.requests <= REQUESTS.0 + REQUESTS.1 * span, "{}", run.told.requests);
    assert_light(&mut run, people[0]);
}

/// Flooders of each kind fill what a node has room for: the relay's clients, and those not confirmed;
/// sessions in the making; both stores of announcements; the cache of shared keys. What clients and
/// peers have on its way that have proved themselves is not in it; connections through the relay are
/// reckoned.
#[test]
fn a_node_that_many_flood_at_once_weighs_a_mebibyte_at_most() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut run = Run::new();
    let (victim, _) = run.nodes[5];
    // One address says hello 128 times and then 50 times a second.
    run.flood(Flood::Relays, 5, None);
    run.pass(Duration::from_secs(9));
    for (kind, count) in [(Flood::Handshakes, 3), (Flood::Announces, 4), (Flood::Stores, 2)] {
        for number in 0..count {
            run.flood_again(kind, 5, None, number);
        }
    }
    run.pass(FLOOD);
    let clients = run.stack(victim).relay_client_count();
    println!("{clients} relay clients");
    assert_eq!(clients, MAX_CLIENTS);
    let weight = weigh(&mut run.sim, victim, || HEAP.allocated());
    println!(
        "the victim weighs {weight} bytes, {} with all of its relay's connections",
        weight + ROUTES
    );
    assert!(weight + ROUTES <= MAX_WEIGHT, "{weight}");
}

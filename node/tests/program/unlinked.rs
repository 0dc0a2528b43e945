//! Nothing that leaves the machine links the node (the provider's core) with the person (the identity's
//! core), but the address that both have. The world here is another host of a local network: it hears the
//! machine's LAN discovery, is asked and answers as bootstrap nodes do, writes down every datagram, and
//! opens all boxes that are for it. The same judge must find links that are planted.

mod judge;
mod world;

use std::path::Path;
use std::time::Duration;

use integration_tests::lan::Lan;
use toktok_wire::save::Save;
use toktok_wire::{PublicKey, ToxId};

use self::judge::{Link, Machine, judge};
use self::world::{Heard, World};
use crate::support::{Node, PATIENCE, TOKTOK};

/// The machine under test is this host, the world the other one.
const HOST: usize = 1;

/// LAN discovery speaks every ten seconds: twice in this time.
const A_WHILE: Duration = Duration::from_secs(12);

fn run(lan: &Lan, dir: &Path, more: &[&str]) -> Node {
    let mut command = lan.command(HOST, Path::new(TOKTOK));
    command.args(["run", "--json", "--udp-port", "33445", "--data-dir"]).arg(dir).args(more);
    Node::spawn(command)
}

/// A run of the machine: who it is, and what it sent.
fn observe(world: &World, node: Node) -> (Machine, Vec<Heard>) {
    let id: ToxId = node.hello["tox_id"].as_str().expect("a Tox ID").parse().expect("valid");
    let machine = Machine {
        provider: node.key().parse().expect("a key"),
        provider_port: node.port("udp_port"),
        identity: id.key,
    };
    let is_person = |heard: &Heard| heard.from.port() != machine.provider_port;
    let begun = std::time::Instant::now();
    while begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
        let all_spoke = world.heard(|heard| heard.iter().any(is_person));
        if begun.elapsed() > A_WHILE && all_spoke {
            break;
        }
    }
    assert!(node.stop("TERM").success());
    (machine, world.take())
}

#[test]
fn nothing_but_the_address_links_the_two_cores() {
    let folder = tempfile::tempdir().unwrap();
    let lan = Lan::new();
    let world = World::start(&lan, 0);
    let dir = folder.path().join("node");
    let entries: Vec<&str> =
        world.entries().iter().flat_map(|entry| ["--bootstrap", entry.as_str()]).collect();
    let (machine, first) = observe(&world, run(&lan, &dir, &entries));
    // What each has learnt is its own, and the person knows nothing of the provider.
    let save = std::fs::read(dir.join("person.tox")).unwrap();
    let save = Save::read(&save).unwrap();
    assert!(!save.nodes.is_empty(), "the person saw the network");
    assert!(save.nodes.iter().all(|node| node.key != machine.provider));
    // Without bootstrap nodes, from what each has saved.
    let (again, second) = observe(&world, run(&lan, &dir, &[]));
    assert_eq!(again.provider, machine.provider);

    let runs = [first, second];
    assert_eq!(judge(&machine, &runs), []);
    check_that_the_judge_sees(&machine, &runs);
}

/// Plants one link after the other into what was really sent.
fn check_that_the_judge_sees(machine: &Machine, runs: &[Vec<Heard>; 2]) {
    let is_provider = |heard: &Heard| heard.from.port() == machine.provider_port;
    let of = |runs: &[Vec<Heard>; 2], provider: bool, run: usize| {
        let place = |heard: &Heard| is_provider(heard) == provider && heard.nonce.is_some();
        runs[run].iter().position(place).expect("both cores spoke to the world")
    };
    let plant = |change: &dyn Fn(&mut [Vec<Heard>; 2])| {
        let mut planted = runs.clone();
        change(&mut planted);
        judge(machine, &planted)
    };
    let found = plant(&|runs| {
        let at = of(runs, false, 0);
        runs[0][at].plain.extend_from_slice(&machine.provider.0);
    });
    assert_eq!(found, [Link::PersonNamesProvider]);
    let found = plant(&|runs| {
        let at = of(runs, true, 1);
        runs[1][at].raw.extend_from_slice(&machine.identity.0);
    });
    assert_eq!(found, [Link::IdentityInTheClear]);
    let found = plant(&|runs| {
        let nonce = runs[0][of(runs, true, 0)].nonce.clone();
        let at = of(runs, false, 1);
        runs[1][at].nonce = nonce;
    });
    assert_eq!(found, [Link::SharedNumber]);
    let found = plant(&|runs| {
        let key = runs[0][of(runs, false, 0)].sender;
        for heard in runs[1].iter_mut().filter(|heard| !is_provider(heard)) {
            heard.sender = heard.sender.and(key);
        }
    });
    assert_eq!(found, [Link::SameDhtKeyAgain]);
    let found = plant(&|runs| {
        // The provider's LAN discovery tells the person's key.
        let at = of(runs, false, 0);
        let key = runs[0][at].sender;
        let shout = runs[0].iter_mut().find(|it| is_provider(it) && it.is_lan_discovery());
        shout.expect("the provider shouts").sender = key;
    });
    assert_eq!(found, [Link::TwoKeysAtOnePort]);
    let found = plant(&|runs| {
        let at = of(runs, true, 0);
        let stranger = PublicKey([7; 32]);
        runs[0][at].told.push(("127.0.0.1:33446".parse().expect("an address"), stranger));
    });
    assert_eq!(found, [Link::TellsOfLoopback]);
}

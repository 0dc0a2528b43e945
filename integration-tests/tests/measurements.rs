//! What `cargo xtask bench mesh` measures, small: the harness works, and nothing is asserted of speed.

use std::path::Path;
use std::time::Duration;

use integration_tests::measure::{self, Kind, Programs};

fn programs() -> Programs {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).to_path_buf();
    Programs { folder, ours: env!("CARGO_BIN_EXE_mesh_client").into() }
}

#[test]
fn our_programs_meet_and_packets_come_in_order() {
    let programs = programs();
    let contact = measure::first_contact(&programs, [Kind::Ours; 2], Kind::Ours, 2);
    assert!(contact.met > Duration::ZERO);
    let speed = measure::custom_packets(&programs, [Kind::Ours; 2], 2_000);
    assert!(speed.bytes == 2_000 * 1_373 && speed.cpu > 0.0, "{speed:?}");
}

#[test]
fn files_go_to_libtoxcore_and_come_from_it() {
    let programs = programs();
    for pair in [[Kind::Ours, Kind::Theirs], [Kind::Theirs, Kind::Ours]] {
        let speed = measure::file(&programs, pair, 300_000);
        assert!(speed.seconds > 0.0 && speed.cpu > 0.0, "{pair:?}: {speed:?}");
    }
}

#[test]
fn an_idle_network_of_ours_gives_an_account() {
    let span = Duration::from_secs(5);
    let idle = measure::idle(&programs(), Kind::Ours, 4, Duration::ZERO, span);
    let account = idle.account.unwrap();
    // Whatever all of them sent went over the namespace's loopback interface.
    assert!(account.own <= idle.bytes * 1.5 && account.own > 0.0, "{idle:?}");
    assert!(account.served > 0.8, "{idle:?}");
}

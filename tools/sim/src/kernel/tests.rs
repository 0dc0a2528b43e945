use core::time::Duration;

use toktok_mesh::{Rng, Time};

use super::echo::{Echo, Said};
use super::{Clock, IoModel, NodeIndex, Sim};
use crate::network::{Attachment, Chance, LinkModel, Loss, Lost, Partition};

const LATENCY: Duration = Duration::from_millis(10);

/// Stores odd numbers after 3 ms, fails with even ones, never answers 0.
struct Disk;

impl IoModel<Echo> for Disk {
    fn handle_request(
        &mut self,
        _: Time,
        _: NodeIndex,
        request: u32,
        _: &mut Rng,
    ) -> Option<(Duration, bool)> {
        (request != 0).then_some((Duration::from_millis(3), request % 2 == 1))
    }
}

type Log = Vec<(Time, NodeIndex, Said)>;

fn log(log: &mut Log) -> impl FnMut(Time, NodeIndex, &mut Echo, Said) + '_ {
    |now, node, _, said| log.push((now, node, said))
}

fn link(loss: Loss) -> Attachment {
    let up = LinkModel { latency: LATENCY, loss, ..LinkModel::default() };
    Attachment { up, down: up, ..Attachment::default() }
}

/// A server (0) and a client (1) that pings it.
fn pair(seed: u8, loss: Loss, events: &mut Log) -> Sim<Echo, Disk> {
    let mut sim = Sim::new(&Rng::from_seed([seed; 32]), Disk);
    let [server, client] = [(); 2].map(|()| sim.attach(link(loss)));
    let address = sim.network().address(server.0);
    sim.start(server, Echo::server(), &mut log(events));
    sim.start(client, Echo::client(Time::ZERO, address), &mut log(events));
    sim
}

fn seconds(seconds: u64) -> Time {
    Time::from_secs(seconds)
}

#[test]
fn a_ping_takes_four_times_the_access_latency() {
    let mut events = Log::new();
    let mut sim = pair(1, Loss::Never, &mut events);
    let from = sim.network().address(0);
    sim.run_until(seconds(2), &mut log(&mut events));
    let pong = |at: u64, number| (Time::from_millis(at), NodeIndex(1), Said::Pong { from, number });
    assert_eq!(events, [pong(40, 1), pong(1040, 2)]);
    assert_eq!(sim.now(), seconds(2));
    assert_eq!(sim.traffic().delivered_packets, 4);
    assert_eq!(sim.traffic().sent_packets, 5);
    assert_eq!(sim.stale_deadlines(), 0);
}

#[test]
fn one_seed_one_trace() {
    let hash = |seed, until| {
        let mut events = Log::new();
        let mut sim = pair(seed, Loss::Independent(Chance::percent(20)), &mut events);
        sim.run_until(seconds(until), &mut log(&mut events));
        sim.trace().hash()
    };
    assert_eq!(hash(1, 60), hash(1, 60));
    assert_ne!(hash(1, 60), hash(2, 60));
    assert_ne!(hash(1, 60), hash(1, 61));
}

#[test]
fn running_in_steps_is_running_at_once() {
    let run = |steps: &[u64]| {
        let mut events = Log::new();
        let mut sim = pair(1, Loss::Independent(Chance::percent(20)), &mut events);
        for &step in steps {
            sim.run_until(seconds(step), &mut log(&mut events));
        }
        (sim.trace().hash(), events)
    };
    assert_eq!(run(&[30]), run(&[1, 2, 17, 30]));
}

#[test]
fn work_is_answered_late_failed_or_never() {
    let mut events = Log::new();
    let mut sim = pair(1, Loss::Never, &mut events);
    let server = NodeIndex(0);
    for what in [0, 1, 2] {
        sim.command(server, &mut log(&mut events), |echo, _| echo.store(what));
    }
    sim.run_until(Time::from_millis(9), &mut log(&mut events));
    let at = Time::from_millis(3);
    assert_eq!(events, [(at, server, Said::Stored(true)), (at, server, Said::Stored(false))]);
}

#[test]
fn a_crash_loses_timers_work_and_packets_and_a_restart_begins_anew() {
    let mut events = Log::new();
    let mut sim = pair(1, Loss::Never, &mut events);
    let (server, client) = (NodeIndex(0), NodeIndex(1));
    sim.run_until(Time::from_millis(500), &mut log(&mut events));
    sim.command(client, &mut log(&mut events), |echo, _| echo.store(1));
    assert!(sim.crash(client).is_some() && sim.crash(client).is_none());
    let nothing = sim.command(client, &mut log(&mut events), |_, _| ());
    assert_eq!(nothing, None);
    events.clear();
    sim.run_until(seconds(5), &mut log(&mut events));
    assert_eq!(events, []);
    assert_eq!(sim.running().count(), 1);
    let address = sim.network().address(server.0);
    let now = sim.now();
    sim.start(client, Echo::client(now, address), &mut log(&mut events));
    sim.crash(server);
    sim.run_until(seconds(6), &mut log(&mut events));
    assert_eq!((events.len(), sim.traffic().lost[Lost::Dead]), (0, 1));
    sim.start(server, Echo::server(), &mut log(&mut events));
    sim.run_until(seconds(7), &mut log(&mut events));
    assert_eq!(events.len(), 1);
}

#[test]
fn a_partition_may_cut_one_direction_only() {
    let mut events = Log::new();
    let mut sim = pair(1, Loss::Never, &mut events);
    let mut partition = Partition::whole();
    partition.place(0, 1);
    partition.cut(1, 0);
    sim.network().set_partition(partition);
    sim.run_until(Time::from_millis(2_500), &mut log(&mut events));
    assert_eq!(events, []);
    assert_eq!(sim.machine(NodeIndex(0)).map(|echo| echo.heard.len()), Some(3));
    assert_eq!(sim.traffic().lost[Lost::Partitioned], 3);
    sim.network().set_partition(Partition::whole());
    sim.run_until(Time::from_millis(3_500), &mut log(&mut events));
    assert_eq!(events.len(), 1);
}

#[test]
fn a_clock_that_steps_forward_wakes_early_and_one_that_steps_back_late() {
    for (forward, pings) in [(true, 4), (false, 1)] {
        let mut events = Log::new();
        let mut sim = pair(1, Loss::Never, &mut events);
        let client = NodeIndex(1);
        sim.run_until(Time::from_millis(99_500), &mut log(&mut events));
        events.clear();
        let mut clock = Clock::default();
        for millis in [100_200, 100_400, 100_600] {
            sim.run_until(Time::from_millis(millis), &mut log(&mut events));
            let step = Duration::from_secs(1);
            if forward {
                clock.step_forward(step)
            } else {
                clock.step_back(step)
            }
            sim.set_clock(client, clock, &mut log(&mut events));
        }
        sim.run_until(Time::from_millis(100_900), &mut log(&mut events));
        // One ping was due at 100 s; each step forward, by a second, makes one more due at once.
        assert_eq!(events.len(), pings, "forward: {forward}");
        let went_back = sim.machine(client).map(|echo| echo.clock_went_back);
        assert_eq!(went_back, Some(!forward));
        sim.run_until(Time::from_millis(103_900), &mut log(&mut events));
        assert_eq!(events.len(), if forward { 7 } else { 1 });
    }
}

#[test]
fn the_readable_trace_has_a_line_a_delivery() {
    #[derive(Clone, Default)]
    struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (mut events, out) = (Log::new(), Shared::default());
    let mut sim = pair(1, Loss::Never, &mut events);
    sim.trace().write_lines(Box::new(out.clone()));
    sim.run_until(Time::from_millis(500), &mut log(&mut events));
    sim.trace().finish_lines().unwrap();
    let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("0.020000s #0 ") && lines[0].ends_with(" 2 bytes, kind 00"));
    assert!(lines[2].contains("Pong"));
}

//! File transfers between two of ours.

use super::*;
use crate::messenger::commands::TransferCommand::{Accept, Cancel, Pause};
use crate::messenger::error::FileError;
use crate::wire::messenger::MAX_FILE_DATA;
use crate::wire::messenger::file::UNKNOWN_FILE_SIZE;

impl Duo {
    /// Offers a file, has it accepted, and lets so much time pass.
    fn send(&mut self, bytes: &[u8], size: u64, time: Duration) -> (TransferId, TransferId) {
        let from = self.offer(0, 1, bytes, size);
        self.run(Duration::from_millis(100));
        let to = *self.offered(1).last().unwrap();
        self.with(1, |core, _| core.with_transfer(to, Accept(0))).unwrap();
        self.run(time);
        (from, to)
    }

    fn pause(&mut self, end: usize, transfer: TransferId, paused: bool) {
        self.with(end, |core, _| core.with_transfer(transfer, Pause(paused))).unwrap();
    }

    #[track_caller]
    fn assert_whole(&self, (from, to): (TransferId, TransferId), bytes: &[u8]) {
        assert_eq!(self.outcome(0, from), Some(FileOutcome::Complete));
        assert_eq!(self.outcome(1, to), Some(FileOutcome::Complete));
        let sink = self.ends[1].sinks.get(&to).map_or(&[][..], |sink| sink);
        assert!(sink == bytes, "{} of {} bytes are not the same", sink.len(), bytes.len());
        assert_eq!(self.ends.each_ref().map(|end| end.core.transfers().count()), [0, 0]);
    }

    /// Lets time pass until an end has written so many bytes.
    fn run_until_written(&mut self, written: usize) {
        while self.ends[1].written < written {
            self.run(Duration::from_millis(5));
        }
    }
}

const LONG: Duration = Duration::from_secs(600);

#[test]
fn files_of_all_sizes_arrive_whole() {
    for length in [0, 1, MAX_FILE_DATA - 1, MAX_FILE_DATA, MAX_FILE_DATA + 1, 300_000] {
        for size in [length as u64, UNKNOWN_FILE_SIZE] {
            let (mut duo, bytes) = (Duo::online(1), bytes(length));
            let transfer = duo.send(&bytes, size, Duration::from_secs(5));
            duo.assert_whole(transfer, &bytes);
        }
    }
}

#[test]
fn a_stream_that_rests_is_seen_soon() {
    let (mut duo, bytes) = (Duo::online(2), bytes(10 * MAX_FILE_DATA));
    let (from, to) = duo.send(&bytes, bytes.len() as u64, Duration::from_millis(10));
    duo.pause(0, from, true);
    duo.run(Duration::from_secs(1));
    let came = duo.ends[1].sinks.get(&to).map_or(0, Vec::len);
    assert_eq!(
        duo.ends[1].core.transfers().map(|(_, _, it)| it.position).sum::<u64>(),
        came as u64
    );
    duo.pause(0, from, false);
    duo.run(LONG);
    duo.assert_whole((from, to), &bytes);
}

#[test]
fn a_break_costs_only_what_was_on_its_way() {
    let (mut duo, bytes) = (Duo::online(3), bytes(3_000_000));
    duo.window = 64;
    let transfer = duo.send(&bytes, bytes.len() as u64, Duration::ZERO);
    for at in [500_000, 1_500_000, 2_500_000] {
        duo.run_until_written(at);
        duo.cut();
        duo.run(Duration::from_secs(3));
        duo.connect();
    }
    duo.run(LONG);
    duo.assert_whole(transfer, &bytes);
    assert_eq!(duo.ends[1].written, bytes.len(), "no byte was sent twice");
    let interrupted = |event: &&Event| matches!(event, Event::FileInterrupted { .. });
    assert_eq!(duo.ends[0].events.iter().filter(interrupted).count(), 3);
}

#[test]
fn streams_go_on_after_a_break_too() {
    let (mut duo, bytes) = (Duo::online(4), bytes(1_000_000));
    duo.window = 64;
    let transfer = duo.send(&bytes, UNKNOWN_FILE_SIZE, Duration::ZERO);
    duo.run_until_written(400_000);
    duo.cut();
    duo.connect();
    duo.run(LONG);
    duo.assert_whole(transfer, &bytes);
}

#[test]
fn a_sender_that_missed_the_end_learns_it_in_the_next_session() {
    for length in [0, 1, 50_000] {
        let (mut duo, bytes) = (Duo::online(5), bytes(length));
        let transfer = duo.send(&bytes, length as u64, Duration::ZERO);
        while duo.outcome(1, transfer.1).is_none() {
            duo.run(Duration::from_millis(1));
        }
        assert_eq!(duo.outcome(0, transfer.0), None);
        duo.cut();
        duo.connect();
        duo.run(LONG);
        duo.assert_whole(transfer, &bytes);
        assert_eq!(duo.ends[1].written, length);
    }
}

#[test]
fn a_file_flows_when_neither_side_holds_it_up() {
    let (mut duo, bytes) = (Duo::online(6), bytes(2_000_000));
    duo.window = 64;
    let (from, to) = duo.send(&bytes, bytes.len() as u64, Duration::ZERO);
    duo.run_until_written(500_000);
    duo.pause(0, from, true);
    duo.pause(1, to, true);
    duo.run(Duration::from_secs(2));
    let written = duo.ends[1].written;
    assert!(written < bytes.len());
    for (end, transfer) in [(0, from), (1, to)] {
        assert!(duo.ends[end].events.iter().any(|event| matches!(event, Event::FilePaused { .. })));
        duo.run(Duration::from_secs(2));
        assert_eq!(duo.ends[1].written, written, "held up by one side at least");
        duo.pause(end, transfer, false);
    }
    duo.run(LONG);
    duo.assert_whole((from, to), &bytes);
}

#[test]
fn a_pause_outlives_a_break() {
    for end in 0..2 {
        let (mut duo, bytes) = (Duo::online(7), bytes(2_000_000));
        duo.window = 64;
        let both = duo.send(&bytes, bytes.len() as u64, Duration::ZERO);
        let transfer = if end == 0 { both.0 } else { both.1 };
        duo.run_until_written(500_000);
        duo.pause(end, transfer, true);
        duo.run(Duration::from_secs(2));
        duo.cut();
        duo.connect();
        duo.run(Duration::from_millis(100));
        let written = duo.ends[1].written;
        duo.run(Duration::from_secs(10));
        assert!(duo.ends[1].written <= written + 128 * MAX_FILE_DATA);
        duo.pause(end, transfer, false);
        duo.run(LONG);
        duo.assert_whole(both, &bytes);
    }
}

#[test]
fn a_receiver_may_begin_in_the_middle() {
    let (mut duo, bytes) = (Duo::online(8), bytes(100_000));
    let from = duo.offer(0, 1, &bytes, 100_000);
    duo.run(Duration::from_secs(1));
    let to = duo.offered(1)[0];
    let bad = duo.with(1, |core, _| core.with_transfer(to, Accept(100_000)));
    assert_eq!(bad, Err(FileError::BadPosition));
    duo.with(1, |core, _| core.with_transfer(to, Accept(70_001))).unwrap();
    let again = duo.with(1, |core, _| core.with_transfer(to, Accept(0)));
    assert_eq!(again, Err(FileError::NotOffered));
    duo.run(LONG);
    assert_eq!(duo.outcome(0, from), Some(FileOutcome::Complete));
    assert_eq!(duo.ends[1].sinks[&to][70_001..], bytes[70_001..]);
    assert_eq!(duo.ends[1].written, 29_999);
}

#[test]
fn either_side_may_end_it_at_any_time() {
    for (end, started) in [(0, false), (1, false), (0, true), (1, true)] {
        let (mut duo, bytes) = (Duo::online(9), bytes(1_000_000));
        duo.window = 16;
        let from = duo.offer(0, 1, &bytes, 1_000_000);
        duo.run(Duration::from_secs(1));
        let to = duo.offered(1)[0];
        if started {
            duo.with(1, |core, _| core.with_transfer(to, Accept(0))).unwrap();
            duo.run(Duration::from_secs(1));
        }
        let both = [from, to];
        duo.with(end, |core, _| core.with_transfer(both[end], Cancel)).unwrap();
        duo.run(LONG);
        assert_eq!(duo.outcome(end, both[end]), Some(FileOutcome::CancelledHere));
        assert_eq!(duo.outcome(1 - end, both[1 - end]), Some(FileOutcome::CancelledByFriend));
        let unknown = duo.with(end, |core, _| core.with_transfer(both[end], Cancel));
        assert_eq!(unknown, Err(FileError::UnknownTransfer));
        assert!(duo.later.is_empty(), "nobody has anything more to say");
    }
}

#[test]
fn two_that_end_it_at_once_do_not_answer_each_other() {
    let (mut duo, bytes) = (Duo::online(10), bytes(1_000_000));
    duo.window = 16;
    let (from, to) = duo.send(&bytes, 1_000_000, Duration::from_millis(200));
    duo.with(0, |core, _| core.with_transfer(from, Cancel)).unwrap();
    duo.with(1, |core, _| core.with_transfer(to, Cancel)).unwrap();
    duo.run(LONG);
    let kills = |end: usize| duo.ends[end].line.log.iter().filter(|id| **id == 81).count();
    assert_eq!((kills(0), kills(1)), (1, 2), "accepted once, and ended once by each");
}

#[test]
fn hundreds_of_files_share_the_numbers_and_the_session() {
    let (mut duo, bytes) = (Duo::online(11), bytes(20_000));
    let from: Vec<_> = (0..400_usize)
        .map(|number| duo.offer(0, number as u8, &bytes[number..], (20_000 - number) as u64))
        .collect();
    duo.run(Duration::from_secs(1));
    assert_eq!(duo.offered(1).len(), 256, "as many as there are numbers");
    for _ in 0..10 {
        for to in duo.offered(1) {
            // Those that were accepted before refuse.
            let _ = duo.with(1, |core, _| core.with_transfer(to, Accept(0)));
        }
        duo.run(Duration::from_secs(20));
    }
    for transfer in from {
        assert_eq!(duo.outcome(0, transfer), Some(FileOutcome::Complete));
    }
    assert_eq!(duo.ends[1].sinks.len(), 400);
    assert!(duo.ends[1].sinks.values().all(|sink| bytes.ends_with(sink)));
}

#[test]
fn messages_overtake_files() {
    use crate::wire::messenger::MessageKind;
    let (mut duo, bytes) = (Duo::online(12), bytes(5_000_000));
    duo.window = 8;
    duo.send(&bytes, bytes.len() as u64, Duration::from_secs(1));
    let text = Bytes::from_static(b"hi");
    duo.with(0, |core, peer| core.send_message(peer, MessageKind::Normal, text)).unwrap();
    // Behind the 64 packets that may wait, eight of them every 40 ms.
    duo.run(Duration::from_millis(64 / 8 * 40 + 100));
    assert_eq!(duo.ends[1].texts().len(), 1);
    assert!(duo.ends[1].written < bytes.len() / 2);
}

#[test]
fn a_slow_disk_holds_the_sender_up() {
    let (mut duo, bytes) = (Duo::online(13), bytes(40_000_000));
    (duo.window, duo.ends[1].disk) = (4096, Duration::from_secs(3));
    let transfer = duo.send(&bytes, bytes.len() as u64, Duration::from_secs(1));
    assert!(duo.ends[1].line.log.contains(&81));
    let came = duo.ends[1].core.transfers().map(|(_, _, it)| it.position).sum::<u64>();
    assert!(came < 20_000_000, "{came} bytes wait");
    duo.run(LONG);
    duo.assert_whole(transfer, &bytes);
}

#[test]
fn what_can_not_be_read_ends_for_both() {
    let mut duo = Duo::online(14);
    let (from, to) = duo.send(&bytes(1000), 2000, Duration::from_secs(1));
    assert_eq!(duo.outcome(0, from), Some(FileOutcome::Failed));
    assert_eq!(duo.outcome(1, to), Some(FileOutcome::CancelledByFriend));
}

#[test]
fn avatars_and_unanswered_offers_end_with_the_session() {
    let mut duo = Duo::online(15);
    let kind = FileKind::AVATAR;
    let offer = FileOffer { kind, size: 10, file_id: [1; 32], name: Vec::new() };
    let avatar = duo.with(0, |core, peer| core.send_file(peer, offer)).unwrap();
    let plain = duo.offer(0, 2, &[0; 10], 10);
    duo.run(Duration::from_secs(1));
    let offered = duo.offered(1);
    duo.cut();
    assert_eq!(duo.outcome(0, avatar), Some(FileOutcome::Disconnected));
    assert_eq!(duo.outcome(0, plain), None);
    for transfer in offered {
        assert_eq!(duo.outcome(1, transfer), Some(FileOutcome::Disconnected));
    }
    duo.connect();
    duo.run(Duration::from_secs(1));
    assert_eq!(duo.offered(1).len(), 1, "what is no avatar is offered again");
}

#[test]
fn a_removed_friend_takes_its_files_along() {
    let mut duo = Duo::online(16);
    let (from, _) = duo.send(&bytes(10), 100, Duration::ZERO);
    let friend = duo.ends[1].key;
    let this = &mut duo.ends[0];
    this.core.remove_friend(friend, &mut this.line).unwrap();
    duo.run(Duration::from_secs(1));
    assert_eq!(duo.outcome(0, from), Some(FileOutcome::CancelledHere));
    assert_eq!(duo.ends[0].core.transfers().count(), 0);
}

#[test]
fn a_restart_of_both_goes_on_where_the_bytes_on_disk_end() {
    use crate::messenger::Unfinished;
    use crate::wire::messenger::MessageKind;
    use crate::wire::{Decode, Encode};
    let (mut duo, bytes) = (Duo::online(17), bytes(2_000_000));
    duo.window = 64;
    let both = duo.send(&bytes, bytes.len() as u64, Duration::ZERO);
    duo.run_until_written(700_000);
    duo.cut();
    let text = Bytes::from_static(b"kept");
    let message =
        duo.with(0, |core, peer| core.send_message(peer, MessageKind::Normal, text.clone()));
    for end in 0..2 {
        let kept = Unfinished::of(&duo.ends[end].core).to_bytes();
        let mut core = core_of(duo.ends[end].key, 0);
        core.add_friend(duo.ends[1 - end].key, None, false);
        Unfinished::from_bytes(&kept).unwrap().restore(&mut core);
        assert_eq!(Unfinished::of(&core).to_bytes(), kept);
        duo.ends[end].core = core;
    }
    // What was being written when it stopped never came to the disk's knowledge.
    duo.later.clear();
    duo.connect();
    duo.run(LONG);
    duo.assert_whole(both, &bytes);
    assert_eq!(duo.ends[1].texts(), [text]);
    let (friend, message) = (duo.ends[1].key, message.unwrap());
    assert!(duo.ends[0].events.contains(&Event::Receipt { friend, message }));
    assert!(duo.ends[1].written < bytes.len() + 2 * 262_144);
}

//! What a peer that is not ours, or not well, may send.

use super::*;
use crate::drops::DropReason;
use crate::messenger::commands::TransferCommand::Accept;
use crate::wire::messenger::{FileRequest, MAX_FILE_DATA, MessengerPacket};

impl Duo {
    /// One whose peer is played by the test: what it sends goes nowhere.
    fn alone() -> Self {
        let mut duo = Self::online(1);
        duo.ends[0].line.log.clear();
        duo
    }

    /// The last packets that end 0 sent, with their data.
    fn said(&mut self) -> Vec<(u8, Vec<u8>)> {
        let said = self.later.values().filter_map(|(to, later)| match later {
            Later::Packet(id, data) if *to == 1 => Some((*id, data.to_vec())),
            _ => None,
        });
        let said = said.collect();
        self.later.retain(|_, (_, later)| matches!(later, Later::Work(..)));
        said
    }

    fn request(&mut self, file: u8, size: u64) {
        let request =
            FileRequest { file, kind: FileKind::DATA, size, id: [file; 32], name: b"file" };
        let packet = MessengerPacket::FileRequest(request);
        self.inject(0, packet.id(), &packet.body());
    }

    fn drops(&self, reason: DropReason) -> u64 {
        self.ends[0].core.drops()[reason]
    }
}

const ACCEPT: u8 = 0;
const PAUSE: u8 = 1;
const KILL: u8 = 2;

#[test]
fn controls_of_unknown_files_are_answered_with_kill() {
    let mut duo = Duo::alone();
    for wanted in [ACCEPT, PAUSE] {
        duo.inject(0, id::FILE_CONTROL, &[1, 7, wanted]);
        assert_eq!(duo.said(), [(81, vec![0, 7, KILL])]);
        duo.inject(0, id::FILE_CONTROL, &[0, 7, wanted]);
        assert_eq!(duo.said(), [(81, vec![1, 7, KILL])]);
    }
    duo.inject(0, id::FILE_CONTROL, &[1, 7, KILL]);
    duo.inject(0, id::FILE_DATA, b"\x07data");
    assert_eq!(duo.said(), []);
    assert_eq!(duo.drops(DropReason::Unsolicited), 6);
}

#[test]
fn the_sender_obeys_c_toxcores_rules() {
    let mut duo = Duo::alone();
    let transfer = duo.offer(0, 1, &bytes(5000), 5000);
    assert_eq!(duo.said()[0].0, 80);
    // Before it is accepted there is nothing to pause.
    duo.inject(0, id::FILE_CONTROL, &[1, 0, PAUSE]);
    assert_eq!(duo.drops(DropReason::Refused), 1);
    // A seek must lie within the file, and the last one counts.
    for position in [5000_u64, 4000, 1000] {
        let mut seek = vec![1, 0, 3];
        seek.extend(position.to_be_bytes());
        duo.inject(0, id::FILE_CONTROL, &seek);
    }
    assert_eq!(duo.drops(DropReason::Refused), 2);
    duo.inject(0, id::FILE_CONTROL, &[1, 0, ACCEPT]);
    duo.run(Duration::from_millis(10));
    let said = duo.said();
    let sent: Vec<u8> = said.iter().flat_map(|(_, data)| data[1..].to_vec()).collect();
    assert!(said.iter().all(|(id, data)| *id == 82 && data[0] == 0));
    assert_eq!(sent, bytes(5000)[1000..]);
    assert_eq!(said.iter().map(|(_, data)| data.len()).max(), Some(1 + MAX_FILE_DATA));
    // It is over when the last packet was received.
    assert_eq!(duo.outcome(0, transfer), None);
    let all = PacketNumber(duo.ends[0].line.next);
    duo.with(0, |core, peer| core.handle_delivered(peer, all));
    assert_eq!(duo.outcome(0, transfer), Some(FileOutcome::Complete));
}

#[test]
fn the_receiver_obeys_c_toxcores_rules() {
    let mut duo = Duo::alone();
    duo.request(9, 2 * MAX_FILE_DATA as u64);
    duo.request(9, 77);
    assert_eq!(duo.drops(DropReason::Refused), 1, "this number is in use");
    let transfer = duo.offered(0)[0];
    let piece = [&[9][..], &[1; MAX_FILE_DATA]].concat();
    duo.inject(0, id::FILE_DATA, &piece);
    assert_eq!(duo.drops(DropReason::Refused), 2, "it is not accepted");
    duo.with(0, |core, _| core.with_transfer(transfer, Accept(0))).unwrap();
    assert_eq!(duo.said(), [(81, vec![1, 9, ACCEPT])]);
    // Only who receives may seek.
    duo.inject(0, id::FILE_CONTROL, &[0, 9, 3, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(duo.drops(DropReason::Refused), 3);
    for wanted in [PAUSE, ACCEPT] {
        duo.inject(0, id::FILE_CONTROL, &[0, 9, wanted]);
        duo.inject(0, id::FILE_CONTROL, &[0, 9, wanted]);
    }
    assert_eq!(duo.drops(DropReason::Refused), 5, "each counts once");
    duo.inject(0, id::FILE_DATA, &piece);
    duo.inject(0, id::FILE_DATA, &piece);
    duo.run(Duration::from_secs(1));
    assert_eq!(duo.outcome(0, transfer), Some(FileOutcome::Complete));
    assert_eq!(duo.ends[0].sinks[&transfer], [1; 2 * MAX_FILE_DATA]);
}

#[test]
fn a_sender_that_stops_early_has_sent_less() {
    let mut duo = Duo::alone();
    duo.request(0, 5000);
    let transfer = duo.offered(0)[0];
    duo.with(0, |core, _| core.with_transfer(transfer, Accept(0))).unwrap();
    duo.inject(0, id::FILE_DATA, b"\0short");
    duo.run(Duration::from_secs(1));
    assert_eq!(duo.outcome(0, transfer), Some(FileOutcome::Truncated));
}

#[test]
fn a_flood_of_anything_stays_within_its_limits() {
    let mut duo = Duo::alone();
    duo.window = 0;
    for round in 0..20 {
        for file in 0..=255 {
            duo.inject(0, id::FILE_CONTROL, &[1, file, ACCEPT]);
            duo.inject(0, id::ONLINE, &[]);
            duo.request(file, round);
            duo.inject(0, id::FILE_CONTROL, &[0, file, KILL]);
        }
    }
    assert!(duo.ends[0].core.transfers().count() <= 256);
    assert!(duo.ends[0].line.waiting.len() <= QUEUE);
    assert!(duo.drops(DropReason::LimitReached) > 0);
}

#[test]
fn garbage_is_counted_and_nothing_else() {
    let mut duo = Duo::alone();
    let mut rng = Rng::from_seed([77; 32]);
    for _ in 0..20_000 {
        let mut data = vec![0; rng.below(60) as usize];
        rng.fill(&mut data);
        if let Some(first) = data.first_mut() {
            *first %= 4;
        }
        let known = [24, 25, 48, 49, 50, 51, 64, 65, 69, 80, 81, 82, 95, 96, 0, 16, 255];
        let id = *rng.choose(&known).unwrap();
        duo.inject(0, id, &data);
        for transfer in duo.offered(0) {
            let _ = duo.with(0, |core, _| core.with_transfer(transfer, Accept(rng.below(9))));
        }
        duo.ends[0].events.clear();
        duo.said();
    }
    duo.run(Duration::from_secs(10));
    assert!(duo.ends[0].core.drops().total() > 1000);
}

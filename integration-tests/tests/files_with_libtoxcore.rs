//! Files between ours and Debian's libtoxcore: held up, sought, cancelled, avatars, and files that go on
//! after either side has started again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test or a measurement: it says so and stops"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use integration_tests::bootstrapd::Bootstrapd;
use integration_tests::our_client::{OurClient, Settings};
use integration_tests::tox_client::{LIMIT, ToxClient};
use serde_json::Value;
use toktok_mesh::PublicKey;
use toktok_mesh::messenger::{
    FileKind, FileOffer, FileOutcome, MessengerEvent as Event, TransferId, TransferState,
};

/// Long enough that a file is seen on its way.
const FILE: usize = 6 << 20;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Bytes that do not repeat soon.
fn bytes(length: usize) -> Vec<u8> {
    (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Two friends, what they know of each other, and a folder for libtoxcore's files.
struct Pair {
    node: Bootstrapd,
    place: tempfile::TempDir,
    ours: OurClient,
    theirs: ToxClient,
    friend: PublicKey,
}

impl Pair {
    fn new() -> Self {
        let node = Bootstrapd::start(folder());
        let place = tempfile::tempdir_in(folder()).unwrap();
        let ours = OurClient::start("ours", Settings::default());
        let target = place.path().to_str().unwrap();
        let theirs = ToxClient::start(folder(), "theirs", &["--folder", target]);
        let friend = theirs.key().parse().unwrap();
        let mut pair = Self { node, place, ours, theirs, friend };
        pair.theirs.bootstrap(pair.node.udp(), pair.node.key());
        let our_key = pair.ours.key();
        pair.theirs.command(&format!("norequest {our_key}"));
        pair.join();
        pair
    }

    /// Ours knows the node and the friend, and both are there.
    fn join(&mut self) {
        let friend = self.friend;
        self.ours.bootstrap(self.node.udp(), self.node.key());
        self.ours.call(move |it, now| it.add_friend(now, friend)).unwrap();
        self.ours.wait_online(friend);
        self.theirs.wait_online(&self.ours.key());
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.place.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// libtoxcore offers a file under an id; its number, and what we call it.
    fn offered_by_theirs(&mut self, kind: &str, id: &str, path: &Path) -> (Value, TransferId) {
        let send = format!("file-send {} {kind} {id} {}", self.ours.key(), path.display());
        let number = self.theirs.command(&send)["number"].clone();
        (number, self.offer().0)
    }

    fn offer(&self) -> (TransferId, FileOffer) {
        self.ours.wait("offer", |it| match it {
            Event::FileOffered { transfer, offer, .. } => Some((*transfer, offer.clone())),
            _ => None,
        })
    }

    /// How a transfer of ours ends.
    fn outcome(&self, wanted: TransferId) -> FileOutcome {
        self.ours.wait("end", |it| match it {
            Event::FileEnded { transfer, outcome, .. } if *transfer == wanted => Some(*outcome),
            _ => None,
        })
    }

    fn state(&self, wanted: TransferId) -> Option<TransferState> {
        self.ours.call(move |it, _| {
            it.transfers().find(|(_, transfer, _)| *transfer == wanted).map(|(.., state)| state)
        })
    }

    /// The position at which a transfer stands still.
    fn rests(&self, transfer: TransferId) -> u64 {
        let (begun, mut last) = (Instant::now(), None);
        loop {
            let position = self.state(transfer).map(|state| state.position);
            if position == last && position > Some(0) {
                return position.unwrap();
            }
            assert!(begun.elapsed() < LIMIT, "it does not rest: {position:?}");
            last = position;
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// What ours waits for.
    fn sees<T>(&self, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> T {
        self.ours.wait(what, wanted)
    }
}

#[test]
fn files_of_libtoxcore_are_paused_resumed_sought_and_cancelled() {
    let mut pair = Pair::new();
    let content = bytes(FILE);
    let path = pair.file("from theirs", &content);

    // The sender holds it up and lets it go on.
    pair.theirs.command(&format!("pause-at {}", FILE / 2));
    let (number, transfer) = pair.offered_by_theirs("data", "-", &path);
    pair.ours.call(move |it, _| it.accept_file(transfer)).unwrap();
    pair.sees("pause", |it| matches!(it, Event::FilePaused { .. }).then_some(()));
    let position = pair.rests(transfer) as usize;
    assert!((FILE / 2..FILE).contains(&position), "{position}");
    // And we too: it flows when neither holds it up.
    pair.ours.call(move |it, _| it.pause_file(transfer)).unwrap();
    pair.theirs.wait("file-control", |event| event["control"] == "pause");
    pair.theirs.command("pause-at 0");
    pair.theirs.command(&format!("file-control {} {number} resume", pair.ours.key()));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(pair.rests(transfer) as usize, position, "we hold it up");
    pair.ours.call(move |it, _| it.resume_file(transfer)).unwrap();
    assert_eq!(pair.outcome(transfer), FileOutcome::Complete);
    assert!(pair.ours.file(transfer) == content, "it differs");
    pair.theirs.wait("file-sent", |event| event["file"] == number);

    // Only the end of it is wanted.
    let (_, transfer) = pair.offered_by_theirs("data", "-", &path);
    let from = FILE - 100_001;
    pair.ours.call(move |it, _| it.accept_file_from(transfer, from as u64)).unwrap();
    assert_eq!(pair.outcome(transfer), FileOutcome::Complete);
    assert!(pair.ours.file(transfer)[from..] == content[from..], "it differs");
    assert!(pair.ours.file(transfer)[..from].iter().all(|byte| *byte == 0), "more than the end");

    // Refused, cancelled under way here, and there.
    let (number, transfer) = pair.offered_by_theirs("data", "-", &path);
    pair.ours.call(move |it, _| it.cancel_file(transfer)).unwrap();
    let cancelled = |event: &Value| event["control"] == "cancel" && event["file"] == number;
    pair.theirs.wait("file-control", cancelled);
    pair.theirs.command("pause-at 1000000");
    let (number, transfer) = pair.offered_by_theirs("data", "-", &path);
    pair.ours.call(move |it, _| it.accept_file(transfer)).unwrap();
    pair.theirs.wait("file-paused", |event| event["file"] == number);
    pair.ours.call(move |it, _| it.cancel_file(transfer)).unwrap();
    let cancelled = |event: &Value| event["control"] == "cancel" && event["file"] == number;
    pair.theirs.wait("file-control", cancelled);
    let (number, transfer) = pair.offered_by_theirs("data", "-", &path);
    pair.ours.call(move |it, _| it.accept_file(transfer)).unwrap();
    pair.theirs.wait("file-paused", |event| event["file"] == number);
    pair.theirs.command(&format!("file-control {} {number} cancel", pair.ours.key()));
    assert_eq!(pair.outcome(transfer), FileOutcome::CancelledByFriend);
}

#[test]
fn files_to_libtoxcore_are_paused_resumed_sought_and_cancelled() {
    let mut pair = Pair::new();
    let (friend, content, to_ours) = (pair.friend, bytes(FILE), pair.ours.key());

    // The receiver holds it up; then both do.
    pair.theirs.command(&format!("pause-at {}", FILE / 2));
    let transfer = pair.ours.send_file(friend, "a", content.clone());
    let number = pair.theirs.wait("file-offered", |event| event["name"] == "a")["file"].clone();
    pair.theirs.command(&format!("file-accept {to_ours} {number} 0"));
    pair.sees("pause", |it| matches!(it, Event::FilePaused { .. }).then_some(()));
    pair.ours.call(move |it, _| it.pause_file(transfer)).unwrap();
    pair.theirs.wait("file-control", |event| event["control"] == "pause");
    pair.theirs.command("pause-at 0");
    pair.theirs.command(&format!("file-control {to_ours} {number} resume"));
    let early = pair.theirs.wait_within(Duration::from_secs(2), "file-received", |_| true);
    assert_eq!(early, None, "we hold it up");
    pair.ours.call(move |it, _| it.resume_file(transfer)).unwrap();
    let received = pair.theirs.wait("file-received", |event| event["file"] == number);
    assert!(std::fs::read(received["path"].as_str().unwrap()).unwrap() == content, "it differs");
    assert_eq!(pair.outcome(transfer), FileOutcome::Complete);

    // It wants the end only.
    let from = FILE - 100_001;
    let half = pair.file("b", &vec![0; from]);
    let transfer = pair.ours.send_file(friend, "b", content.clone());
    let number = pair.theirs.wait("file-offered", |event| event["name"] == "b")["file"].clone();
    pair.theirs.command(&format!("file-accept {to_ours} {number} {from}"));
    pair.theirs.wait("file-received", |event| event["file"] == number);
    let written = std::fs::read(half).unwrap();
    assert!(written[from..] == content[from..] && written[..from].iter().all(|byte| *byte == 0));
    assert_eq!(pair.outcome(transfer), FileOutcome::Complete);

    // Cancelled by us before and by them after the beginning.
    let transfer = pair.ours.send_file(friend, "c", content.clone());
    let number = pair.theirs.wait("file-offered", |event| event["name"] == "c")["file"].clone();
    pair.ours.call(move |it, _| it.cancel_file(transfer)).unwrap();
    let cancelled = |event: &Value| event["control"] == "cancel" && event["file"] == number;
    pair.theirs.wait("file-control", cancelled);
    pair.theirs.command("pause-at 1000000");
    let transfer = pair.ours.send_file(friend, "d", content.clone());
    let number = pair.theirs.wait("file-offered", |event| event["name"] == "d")["file"].clone();
    pair.theirs.command(&format!("file-accept {to_ours} {number} 0"));
    pair.theirs.wait("file-paused", |event| event["file"] == number);
    pair.theirs.command(&format!("file-control {to_ours} {number} cancel"));
    assert_eq!(pair.outcome(transfer), FileOutcome::CancelledByFriend);
}

#[test]
fn avatars_go_both_ways() {
    let mut pair = Pair::new();
    let picture = bytes(5_000);
    let path = pair.file("picture.png", &picture);
    let send = format!("file-send {} avatar - {}", pair.ours.key(), path.display());
    pair.theirs.command(&send);
    let (transfer, offer) = pair.offer();
    assert_eq!((offer.kind, offer.size), (FileKind::AVATAR, 5_000));
    pair.ours.call(move |it, _| it.accept_file(transfer)).unwrap();
    assert_eq!(pair.outcome(transfer), FileOutcome::Complete);
    assert!(pair.ours.file(transfer) == picture, "it differs");

    // The same picture back: its id is the hash of its bytes, which libtoxcore has told us.
    let transfer = pair.ours.offer_file(pair.friend, offer, picture);
    let offered = pair.theirs.wait("file-offered", |event| event["kind"] == "avatar");
    pair.theirs.command(&format!("file-accept {} {} 0", pair.ours.key(), offered["file"]));
    let received = pair.theirs.wait("file-received", |event| event["file"] == offered["file"]);
    assert_eq!(received["sha256"], offered["id"]);
    assert_eq!(pair.outcome(transfer), FileOutcome::Complete);
}

#[test]
fn files_go_on_after_ours_starts_again() {
    let mut pair = Pair::new();
    let (friend, content, to_ours) = (pair.friend, bytes(FILE), pair.ours.key());
    let (half, id) = (FILE / 2, "0b".repeat(32));
    let path = pair.file("to ours", &content);
    pair.theirs.command(&format!("pause-at {half}"));
    let (_, coming) = pair.offered_by_theirs("data", &id, &path);
    pair.ours.call(move |it, _| it.accept_file(coming)).unwrap();
    pair.sees("pause", |it| matches!(it, Event::FilePaused { .. }).then_some(()));
    let going = pair.ours.send_file(friend, "to theirs", content.clone());
    let offered = pair.theirs.wait("file-offered", |_| true);
    pair.theirs.command(&format!("file-accept {to_ours} {} 0", offered["file"]));
    pair.theirs.wait("file-paused", |event| event["file"] == offered["file"]);
    let position = pair.rests(coming);
    let (unfinished, came) = (pair.ours.call(|it, _| it.unfinished()), pair.ours.file(coming));
    assert!(came.len() as u64 >= position && position >= half as u64, "{position}");

    let identity = Some(pair.ours.identity.clone());
    pair.ours = OurClient::start("ours again", Settings { identity, ..Settings::default() });
    pair.theirs.wait_offline(&to_ours);
    pair.theirs.command("pause-at 0");
    pair.ours.keep_file(coming, came);
    pair.ours.keep_file(going, content.clone());
    pair.ours.call(move |it, now| it.add_friend(now, friend)).unwrap();
    pair.ours.call(move |it, _| it.restore(unfinished));
    pair.ours.bootstrap(pair.node.udp(), pair.node.key());
    pair.theirs.wait_online(&to_ours);

    // We offer ours again, and libtoxcore's client goes on where it was.
    let again = pair.theirs.wait("file-offered", |event| event["name"] == "to theirs");
    assert_eq!(again["id"], offered["id"]);
    pair.theirs.command(&format!("file-accept {to_ours} {} {half}", again["file"]));
    let received = pair.theirs.wait("file-received", |event| event["file"] == again["file"]);
    assert!(std::fs::read(received["path"].as_str().unwrap()).unwrap() == content, "it differs");
    assert_eq!(pair.outcome(going), FileOutcome::Complete);

    // It offers its own again, and we go on by ourselves.
    let send = format!("file-send {to_ours} data {id} {}", path.display());
    pair.theirs.command(&send);
    let from = pair.sees("start", |it| match it {
        Event::FileStarted { transfer, position, .. } if *transfer == coming => Some(*position),
        _ => None,
    });
    assert_eq!(from, position, "not a byte twice");
    assert_eq!(pair.outcome(coming), FileOutcome::Complete);
    assert!(pair.ours.file(coming) == content, "it differs");
}

#[test]
fn a_file_goes_on_after_libtoxcore_starts_again() {
    let mut pair = Pair::new();
    let (friend, content, to_ours) = (pair.friend, bytes(FILE), pair.ours.key());
    let half = FILE / 2;
    pair.theirs.command(&format!("pause-at {half}"));
    let transfer = pair.ours.send_file(friend, "a file", content.clone());
    let offered = pair.theirs.wait("file-offered", |_| true);
    pair.theirs.command(&format!("file-accept {to_ours} {} 0", offered["file"]));
    pair.theirs.wait("file-paused", |event| event["file"] == offered["file"]);

    let save = pair.place.path().join("save");
    pair.theirs.command(&format!("save {}", save.display()));
    let target = pair.place.path().to_str().unwrap().to_owned();
    let options = ["--folder", &target, "--load", save.to_str().unwrap()];
    let again = ToxClient::start(folder(), "theirs again", &options);
    std::mem::replace(&mut pair.theirs, again).quit();
    pair.theirs.bootstrap(pair.node.udp(), pair.node.key());
    pair.sees("break", |it| matches!(it, Event::FileInterrupted { .. }).then_some(()));
    let again = pair.theirs.wait("file-offered", |event| event["id"] == offered["id"]);
    pair.theirs.command(&format!("file-accept {to_ours} {} {half}", again["file"]));
    let received = pair.theirs.wait("file-received", |event| event["file"] == again["file"]);
    assert!(std::fs::read(received["path"].as_str().unwrap()).unwrap() == content, "it differs");
    assert_eq!(pair.outcome(transfer), FileOutcome::Complete);
}

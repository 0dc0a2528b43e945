//! Save files, plain and encrypted: what Debian's libtoxcore writes we read, and the other way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test: it says what is wrong and stops"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::{foreign, hex};
use tempfile::TempDir;
use toktok_wire::encrypted_save::{EncryptedSaveError, PassKey};
use toktok_wire::save::{
    Conference, ConferencePeer, Friend, FriendState, OtherSection, Save, SaveError,
};
use toktok_wire::{KeyPair, PackedNode, PublicKey, Rng, ToxId};

const PASSWORD: &str = "correct horse, Füllfederhalter";

struct Foreign {
    folder: TempDir,
    program: PathBuf,
}

impl Foreign {
    fn new() -> Self {
        let folder =
            tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("a folder");
        let program = foreign::compile("libtoxcore_save", &["toxcore"], folder.path());
        Self { folder, program }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("save.tox")
    }

    /// Runs `verb` on the file; the lines that it prints.
    fn run(&self, verb: &str, arguments: &[&str]) -> Vec<String> {
        let output = Command::new(&self.program)
            .arg(verb)
            .arg(self.file())
            .args(arguments)
            .output()
            .expect("the program that was compiled just now");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    /// Has libtoxcore make a save with one who was asked, one friend and one conference.
    fn make(&self, asked: &ToxId, friend: &PublicKey, password: &[&str]) -> (Vec<String>, Vec<u8>) {
        let (asked, friend) = (asked.to_string(), friend.to_string());
        let told = self.run("make", &[&[&asked[..], &friend], password].concat());
        (told, fs::read(self.file()).expect("the file that it wrote"))
    }
}

fn person(rng: &mut Rng) -> (KeyPair, ToxId) {
    let keys = KeyPair::generate(rng);
    let id = ToxId { key: keys.public, nospam: rng.bytes() };
    (keys, id)
}

/// What the C program prints of a save.
fn told_of(save: &Save) -> Vec<String> {
    let text = |text: &[u8]| if text.is_empty() { "-".to_owned() } else { hex::encode(text) };
    let mut lines = vec![
        format!("id {:x}", save.tox_id()),
        format!("name {}", text(&save.name)),
        format!("message {}", text(&save.status_message)),
        format!("status {}", save.status),
    ];
    for friend in &save.friends {
        lines.push(match &friend.state {
            FriendState::Requested { .. } => format!("friend {} - - 0", friend.key),
            FriendState::Confirmed { name, status_message, last_seen, .. } => {
                let (name, message) = (text(name), text(status_message));
                format!("friend {} {name} {message} {last_seen}", friend.key)
            }
        });
    }
    for conference in &save.conferences {
        lines.push(format!("conference {}", text(&conference.title)));
    }
    lines
}

/// Checks what we read of the save that libtoxcore made.
fn check(save: &Save, asked: &ToxId, friend: &PublicKey, told: &[String]) {
    assert_eq!(told_of(save), told);
    assert_eq!((&save.name[..], save.status), ("Renée".as_bytes(), 2));
    assert_eq!(save.status_message, "über den Wolken".as_bytes());
    let [first, second] = &save.friends[..] else { panic!("{:?}", save.friends) };
    let message = "It is me, Renée".as_bytes().to_vec();
    let state = FriendState::Requested { sent: false, nospam: asked.nospam, message };
    assert_eq!(*first, Friend { key: asked.key, state });
    assert_eq!(second.key, *friend);
    assert!(matches!(second.state, FriendState::Confirmed { .. }));
    assert_eq!(save.conferences[0].title, b"Tea at five");
    assert!(save.others.is_empty());
}

#[test]
fn we_read_what_libtoxcore_saves_and_write_the_same_bytes() {
    let (foreign, mut rng) = (Foreign::new(), Rng::from_seed([1; 32]));
    let ((_, asked), (friend, _)) = (person(&mut rng), person(&mut rng));
    let (told, file) = foreign.make(&asked, &friend.public, &[]);
    let save = Save::read(&file).expect("a save");
    check(&save, &asked, &friend.public, &told);
    let written = save.write();
    assert_eq!(file[..written.len()], written, "byte by byte");
    assert!(file[written.len()..].iter().all(|byte| *byte == 0), "libtoxcore leaves room");
}

#[test]
fn we_open_what_libtoxcore_encrypts_with_its_password_only() {
    let (foreign, mut rng) = (Foreign::new(), Rng::from_seed([2; 32]));
    let ((_, asked), (friend, _)) = (person(&mut rng), person(&mut rng));
    let (told, file) = foreign.make(&asked, &friend.public, &[PASSWORD]);
    assert_eq!(Save::read(&file).err(), Some(SaveError::Encrypted));
    let key = PassKey::of_file(PASSWORD.as_bytes(), &file).expect("an encrypted save");
    let save = Save::read(&key.open(&file).expect("its password")).expect("a save");
    check(&save, &asked, &friend.public, &told);
    let wrong = PassKey::of_file(b"wrong", &file).expect("an encrypted save");
    assert_eq!(wrong.open(&file), Err(EncryptedSaveError::WrongPassword));
}

/// A save of ours with something in every section.
fn ours(rng: &mut Rng) -> Save {
    let (keys, id) = person(rng);
    let mut save = Save::new(keys, id.nospam);
    save.name = b"Ours".to_vec();
    save.status_message = "läuft".as_bytes().to_vec();
    save.status = 1;
    save.nodes = vec![PackedNode::udp(([192, 0, 2, 1], 33445).into(), person(rng).1.key)];
    save.path_nodes = save.nodes.clone();
    let (_, asked) = person(rng);
    let message = b"Will you?".to_vec();
    let requested = FriendState::Requested { sent: true, nospam: asked.nospam, message };
    let confirmed = FriendState::Confirmed {
        name: b"Friend".to_vec(),
        status_message: b"here".to_vec(),
        status: 2,
        last_seen: 1_700_000_000,
    };
    let friend = person(rng).1.key;
    save.friends =
        vec![Friend { key: asked.key, state: requested }, Friend { key: friend, state: confirmed }];
    let peer = ConferencePeer {
        key: friend,
        dht_key: person(rng).1.key,
        number: 3,
        last_active: 1_700_000_000,
        name: b"Friend".to_vec(),
    };
    save.conferences = vec![Conference {
        kind: 0,
        id: rng.bytes(),
        message_number: 1 << 16,
        lossy_number: 1 << 13,
        peer_number: 7,
        title: b"Title".to_vec(),
        peers: vec![peer],
    }];
    save.others = vec![OtherSection { kind: 77, data: b"of a later version".to_vec() }];
    save
}

#[test]
fn libtoxcore_reads_what_we_save() {
    let (foreign, mut rng) = (Foreign::new(), Rng::from_seed([3; 32]));
    let save = ours(&mut rng);
    fs::write(foreign.file(), save.write()).expect("writable");
    assert_eq!(foreign.run("read", &[]), told_of(&save));
    let sealed = PassKey::generate(PASSWORD.as_bytes(), &mut rng).seal(&save.write(), &mut rng);
    fs::write(foreign.file(), sealed).expect("writable");
    assert_eq!(foreign.run("read", &[PASSWORD]), told_of(&save));
}

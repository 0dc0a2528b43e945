//! Two people who know each other's Tox IDs meet through a third node, talk, send files, and miss
//! nothing while one of them is away.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::support::{Node, complaint, toktok, wait};

/// A person's running node.
struct Person {
    dir: String,
    entry: String,
    node: Option<Node>,
    tox_id: String,
}

impl Person {
    fn start(dir: &Path, entry: &str) -> Self {
        let dir = dir.to_str().expect("temporary paths are UTF-8").to_owned();
        let mut person = Self { dir, entry: entry.to_owned(), node: None, tox_id: String::new() };
        person.restart();
        person
    }

    fn restart(&mut self) {
        self.node = None;
        let args = ["--allow-short-paths", "--bootstrap", &self.entry];
        let node = Node::start(Path::new(&self.dir), &args);
        self.tox_id = node.hello["tox_id"].as_str().expect("a Tox ID").to_owned();
        self.node = Some(node);
    }

    fn key(&self) -> String {
        self.tox_id[..64].to_lowercase()
    }

    /// Runs a command of this person and returns what it printed, an object a line.
    fn run(&self, command: &[&str], more: &[&str]) -> Vec<Value> {
        let args = [command, &["--json", "--data-dir", &self.dir], more].concat();
        let output = toktok(&args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn friend(&self) -> Value {
        let said = self.run(&["friend", "list"], &[]);
        said[0]["friends"].get(0).cloned().unwrap_or_default()
    }

    /// Waits for a line of the log of which `wanted` is true.
    fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = wait(what, || {
            self.run(&["message", "log"], &[]).into_iter().find(|entry| wanted(entry))
        });
        assert!(found["time"].as_u64() > Some(1_700_000_000));
        found
    }
}

#[test]
fn people_meet_talk_and_miss_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let first = Node::start(&folder.path().join("first"), &[]);
    let ada = Person::start(&folder.path().join("ada"), &first.entry());
    let mut bob = Person::start(&folder.path().join("bob"), &first.entry());

    ada.run(&["name"], &["Ada"]);
    let begun = Instant::now();
    ada.run(&["friend", "add"], &[&bob.tox_id, "--message", "hello, Bob"]);
    let asks = wait("the request", || Some(bob.friend()).filter(|friend| friend["asks"] == true));
    println!("the request came after {} ms", begun.elapsed().as_millis());
    assert_eq!(
        (asks["key"].as_str(), asks["request"].as_str()),
        (Some(ada.key().as_str()), Some("hello, Bob"))
    );
    bob.run(&["friend", "accept"], &[&ada.key()]);
    wait("Ada by her name", || {
        Some(bob.friend()).filter(|it| it["online"] == true && it["name"] == "Ada")
    });
    println!("they were connected after {} ms", begun.elapsed().as_millis());

    let sent = ada.run(&["message", "send"], &[&bob.key(), "how are you?"]);
    bob.wait("the message", |it| it["event"] == "message" && it["text"] == "how are you?");
    ada.wait("the receipt", |it| it["event"] == "receipt" && it["id"] == sent[0]["id"]);
    bob.run(&["message", "send"], &[&ada.key(), "fine"]);
    ada.wait("the answer", |it| it["way"] == "in" && it["text"] == "fine");

    let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let path = folder.path().join("numbers.bin");
    fs::write(&path, &content).unwrap();
    ada.run(&["file", "send"], &[&bob.key(), path.to_str().expect("UTF-8")]);
    let file = bob.wait("the file", |it| it["event"] == "file");
    assert_eq!(file["outcome"], "complete");
    assert_eq!(fs::read(file["path"].as_str().expect("a path")).unwrap(), content);

    bob.node = None;
    let gone = ada.wait("that Bob is gone", |it| it["event"] == "offline");
    let seconds = |value: &Value| value.as_u64().expect("seconds since 1970");
    let seen = seconds(&ada.friend()["last_seen"]);
    assert!(seen.abs_diff(seconds(&gone["time"])) <= 1, "last seen {seen}, {gone}");
    ada.run(&["message", "send"], &[&bob.key(), "while you were away"]);
    let id = bob.tox_id.clone();
    bob.restart();
    assert_eq!(bob.tox_id, id, "the identity stays");
    bob.wait("what came meanwhile", |it| it["text"] == "while you were away");
}

#[test]
fn what_was_said_to_be_done_outlives_a_power_cut() {
    let folder = tempfile::tempdir().unwrap();
    let first = Node::start(&folder.path().join("first"), &[]);
    let mut bob = Person::start(&folder.path().join("bob"), &first.entry());
    let ada = "ab".repeat(31) + "02";
    bob.run(&["friend", "accept"], &[&ada]);
    bob.restart();
    assert_eq!(bob.friend()["key"], ada);
    bob.run(&["friend", "remove"], &[&ada]);
    bob.restart();
    assert_eq!(bob.friend(), Value::Null);
}

#[test]
fn what_is_no_friend_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().expect("UTF-8").to_owned();
    let node = Node::start(folder.path(), &["--udp-port", "off"]);
    let own = node.hello["tox_id"].as_str().expect("a Tox ID");
    let wrong = format!("{}{}", &own[..75], if own.ends_with('0') { '1' } else { '0' });
    let run = |args: &[&str]| complaint(&toktok(&[args, &["--data-dir", &dir]].concat()));
    assert!(run(&["friend", "add", &wrong]).contains("checksum"));
    assert!(run(&["friend", "add", own]).contains("own friend"));
    assert!(run(&["message", "send", &"ab".repeat(32), "hi"]).contains("no such friend"));
    assert!(run(&["message", "send", "abc", "hi"]).contains("key"));
    assert!(run(&["file", "send", &"ab".repeat(32), "/nonexistent/file"]).contains("/nonexistent"));
    assert!(run(&["put", "/etc/hostname"]).contains("--udp-port off"));
}

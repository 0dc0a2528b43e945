//! A person moves from a Tox client to a node and back, with their save file: libtoxcore's (which is
//! qTox's and toxic's), plain and sealed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::foreign;
use serde_json::Value;
use tempfile::TempDir;
use toktok_wire::{KeyPair, Rng, ToxId};

use crate::support::{Node, TOKTOK, complaint, objects, text, toktok, wait};

const PASSWORD: &str = "correct horse, Füllfederhalter";

/// A folder with libtoxcore's program in it.
struct Place {
    folder: TempDir,
    libtoxcore: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let libtoxcore = foreign::compile("libtoxcore_save", &["toxcore"], folder.path());
        Self { folder, libtoxcore }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What libtoxcore says of a save, or makes of one: a line a fact.
    fn libtoxcore(&self, verb: &str, file: &Path, more: &[&str]) -> Vec<String> {
        let mut command = Command::new(&self.libtoxcore);
        let output = command.arg(verb).arg(file).args(more).output().expect("it was compiled");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    /// Has libtoxcore make a save with a friend, one who was asked, and a conference.
    fn client(&self, name: &str, more: &[&str]) -> (PathBuf, Vec<String>) {
        let mut rng = Rng::from_seed([name.len() as u8; 32]);
        let [asked, friend] = [1, 2].map(|_| KeyPair::generate(&mut rng).public);
        let asked = ToxId { key: asked, nospam: [1, 2, 3, 4] }.to_string();
        let file = self.path(name);
        let told = self.libtoxcore(
            "make",
            &file,
            &[&[asked.as_str(), &friend.to_string()], more].concat(),
        );
        (file, told)
    }

    fn run(&self, verb: &str, dir: &Path, file: &Path, more: &[&str]) -> Value {
        let mut command = Command::new(TOKTOK);
        command.args([verb, "--json", "--data-dir"]).arg(dir).arg(file).args(more);
        objects(command).remove(0)
    }
}

fn id_of(told: &[String]) -> String {
    told[0].strip_prefix("id ").expect("the id is the first line").to_uppercase()
}

/// Friends have no order.
fn sorted(mut told: Vec<String>) -> Vec<String> {
    told.sort();
    told
}

/// What a running node of the folder calls its friends.
fn friends(dir: &Path) -> Vec<Value> {
    let mut command = Command::new(TOKTOK);
    command.args(["friend", "list", "--json", "--data-dir"]).arg(dir);
    objects(command)[0]["friends"].as_array().expect("a list").clone()
}

#[test]
fn a_tox_client_becomes_a_node_and_comes_back() {
    let place = Place::new();
    let (file, told) = place.client("toxic.tox", &[]);
    let dir = place.path("node");
    let said = place.run("import-save", &dir, &file, &[]);
    assert_eq!(said["tox_id"], id_of(&told));
    assert_eq!((&said["name"], &said["friends"]), (&"Renée".into(), &2.into()));

    let node = Node::start(&dir, &["--udp-port", "off"]);
    assert_eq!(node.hello["tox_id"], id_of(&told));
    assert_eq!(friends(&dir).len(), 2);
    let said = complaint(&toktok(&["import-save", "--data-dir", text(&dir), text(&file)]));
    assert!(said.contains("another node runs"), "{said}");
    // What changes here is there afterwards.
    let mut command = Command::new(TOKTOK);
    command.args(["name", "Zoë", "--json", "--data-dir"]).arg(&dir);
    objects(command);
    let back = place.path("back.tox");
    let said = place.run("export-save", &dir, &back, &["--plain"]);
    assert_eq!(said["name"], "Zoë");
    drop(node);

    let hex: String = "Zoë".bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut expected = told;
    expected[1] = format!("name {hex}");
    assert_eq!(sorted(place.libtoxcore("read", &back, &[])), sorted(expected));
}

#[test]
fn sealed_saves_go_both_ways_with_their_password() {
    let place = Place::new();
    let (file, told) = place.client("qtox.tox", &[PASSWORD]);
    let dir = place.path("node");
    let run = |more: &[&str]| {
        let args = [&["import-save", "--data-dir", text(&dir), text(&file)], more].concat();
        complaint(&toktok(&args))
    };
    assert!(run(&[]).contains("--password-file"), "there is no terminal");
    let secret = place.path("password");
    fs::write(&secret, "wrong\n").unwrap();
    assert!(run(&["--password-file", text(&secret)]).contains("wrong password"));
    fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
    let with_password = ["--password-file", text(&secret)];
    let said = place.run("import-save", &dir, &file, &with_password);
    assert_eq!(said["tox_id"], id_of(&told));

    let back = place.path("back.tox");
    place.run("export-save", &dir, &back, &with_password);
    assert!(fs::read(&back).unwrap().starts_with(b"toxEsave"));
    assert_eq!(place.libtoxcore("read", &back, &[PASSWORD]), told);
}

#[test]
fn nodes_and_relays_of_a_save_lead_into_the_network() {
    let place = Place::new();
    let first = Node::start(&place.path("first"), &["--tcp-relay-port", "0"]);
    let relay_port = first.hello["tcp_relay_ports"][0].as_u64().expect("a port");
    let relay = format!("127.0.0.1:{relay_port}:{}", first.key());
    let entry = first.entry();
    let told = ["--bootstrap", &entry, "--tcp-relay", &relay];
    let node = Node::start(&place.path("node"), &told);
    let clients = || {
        let mut command = Command::new(TOKTOK);
        command.args(["status", "--json", "--data-dir"]).arg(place.path("first"));
        objects(command)[0]["relay_clients"].as_u64()
    };
    wait("a client of the relay", || (clients() >= Some(1)).then_some(()));
    let file = place.path("saved.tox");
    let said = wait("nodes and a relay in the save", || {
        let _ = fs::remove_file(&file);
        let said = place.run("export-save", &place.path("node"), &file, &["--plain"]);
        (said["nodes"].as_u64() >= Some(1) && said["relays"] == 1).then_some(said)
    });
    assert_eq!(said["tox_id"], node.hello["tox_id"]);
    drop(node);
    wait("that it has gone", || (clients() == Some(0)).then_some(()));

    // Elsewhere, without being told anything.
    let dir = place.path("elsewhere");
    place.run("import-save", &dir, &file, &[]);
    let _node = Node::start(&dir, &[]);
    wait("it at its relay again", || (clients() >= Some(1)).then_some(()));
}

//! LAN discovery: a node and libtoxcore, or two nodes, on two hosts of a local network with no way out
//! find each other although nobody tells them of anybody.

use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::lan::Lan;
use integration_tests::tox_client::{ToxClient, program};
use serde_json::Value;

use crate::support::{Node, TOKTOK, objects, wait};

/// A port at which nobody looks for anybody.
const ELSEWHERE: &str = "40000";

/// A node of ours on a host.
struct Ours<'a> {
    lan: &'a Lan,
    host: usize,
    dir: PathBuf,
    node: Node,
}

impl<'a> Ours<'a> {
    fn start(lan: &'a Lan, host: usize, folder: &Path, port: &str) -> Self {
        let dir = folder.join(format!("host{host}"));
        let mut command = lan.command(host, Path::new(TOKTOK));
        command.args(["run", "--json", "--allow-short-paths", "--udp-port", port, "--data-dir"]);
        command.arg(&dir);
        Self { lan, host, node: Node::spawn(command), dir }
    }

    fn run(&self, args: &[&str]) -> Value {
        let mut command: Command = self.lan.command(self.host, Path::new(TOKTOK));
        command.args(args).arg("--json").arg("--data-dir").arg(&self.dir);
        objects(command).remove(0)
    }

    fn wait_for_nodes(&self) {
        let nodes = || self.run(&["status"])["dht_nodes"].as_u64();
        wait("a node in the local network", || (nodes() >= Some(1)).then_some(()));
    }
}

fn libtoxcore(lan: &Lan, options: &[&str]) -> ToxClient {
    let program = program(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let mut command = lan.command(0, program);
    command.arg("--accept-friends").args(options);
    ToxClient::spawn("theirs", command)
}

#[test]
fn libtoxcore_finds_us_where_we_cannot_hear_it() {
    let folder = tempfile::tempdir().unwrap();
    let lan = Lan::new();
    let mut theirs = libtoxcore(&lan, &[]);
    let ours = Ours::start(&lan, 1, folder.path(), ELSEWHERE);
    ours.wait_for_nodes();
    // The person as well: the two become friends.
    ours.run(&["friend", "add", theirs.address()]);
    let id = ours.node.hello["tox_id"].as_str().expect("a Tox ID");
    theirs.wait_online(&id[..64].to_lowercase());
}

#[test]
fn we_find_libtoxcore_where_it_cannot_hear_us() {
    let folder = tempfile::tempdir().unwrap();
    let lan = Lan::new();
    let mut theirs = libtoxcore(&lan, &["--port", ELSEWHERE]);
    let ours = Ours::start(&lan, 1, folder.path(), "33445");
    ours.wait_for_nodes();
    let id = ours.node.hello["tox_id"].as_str().expect("a Tox ID");
    theirs.command(&format!("add {id} hello"));
    let asks = || Some(ours.run(&["friend", "list"])["friends"][0].clone());
    let friend = wait("the request", || asks().filter(|friend| friend["asks"] == true));
    ours.run(&["friend", "accept", friend["key"].as_str().expect("a key")]);
    theirs.wait_online(&id[..64].to_lowercase());
}

#[test]
fn two_nodes_find_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let lan = Lan::new();
    let one = Ours::start(&lan, 0, folder.path(), "33445");
    let other = Ours::start(&lan, 1, folder.path(), "33445");
    one.wait_for_nodes();
    other.wait_for_nodes();
    let id = other.node.hello["tox_id"].as_str().expect("a Tox ID");
    one.run(&["friend", "add", id]);
    wait("the request", || {
        (other.run(&["friend", "list"])["friends"][0]["asks"] == true).then_some(())
    });
}

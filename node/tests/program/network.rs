//! What the node is to the network: it comes back by itself, it listens where it is told to, it is a
//! bootstrap node and a relay, and it ends when it is asked to.

use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use toktok_wire::bootstrap_info::{BootstrapInfo, BootstrapInfoRequest};
use toktok_wire::{Decode, Encode};

use crate::support::{Node, PATIENCE, TOKTOK, complaint, objects, text, toktok, wait};

fn status(dir: &Path) -> Value {
    let mut command = Command::new(TOKTOK);
    command.args(["status", "--json", "--data-dir"]).arg(dir);
    objects(command).remove(0)
}

fn wait_for_nodes(dir: &Path, count: u64) {
    wait("nodes of the DHT", || (status(dir)["dht_nodes"].as_u64() >= Some(count)).then_some(()));
}

#[test]
fn a_node_that_starts_again_needs_no_bootstrap_node() {
    let folder = tempfile::tempdir().unwrap();
    let dir = |name: &str| folder.path().join(name);
    let first = Node::start(&dir("first"), &[]);
    let entry = first.entry();
    let short = ["--allow-short-paths", "--bootstrap", &entry];
    let second = Node::start(&dir("second"), &short);
    let third = Node::start(&dir("third"), &short);
    // Provider and person of each of the others.
    wait_for_nodes(&dir("third"), 3);
    let (key, id) = (third.key().to_owned(), third.hello["tox_id"].clone());
    assert!(third.stop("TERM").success(), "it ends well when it is asked to");
    // The one that everybody began with is gone.
    assert!(first.stop("INT").success());
    let again = Node::start(&dir("third"), &short[..1]);
    assert_eq!((again.key(), &again.hello["tox_id"]), (key.as_str(), &id));
    wait_for_nodes(&dir("third"), 1);
    wait("neighbours", || (status(&dir("third"))["neighbours"].as_u64() >= Some(1)).then_some(()));
    // The person is in the network too: somebody new asks it for friendship through the onion.
    let _fourth =
        Node::start(&dir("fourth"), &["--allow-short-paths", "--bootstrap", &second.entry()]);
    let id = again.hello["tox_id"].as_str().expect("a Tox ID");
    let mut command = Command::new(TOKTOK);
    command.args(["friend", "add", id, "--json", "--data-dir"]).arg(dir("fourth"));
    objects(command);
    wait("the request", || {
        let mut command = Command::new(TOKTOK);
        command.args(["friend", "list", "--json", "--data-dir"]).arg(dir("third"));
        (objects(command)[0]["friends"][0]["asks"] == true).then_some(())
    });
}

#[test]
fn a_public_node_is_bootstrap_node_and_relay_in_both_families() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--bind", "::1", "--motd", "a public node", "--tcp-relay-port", "0"];
    let node = Node::start(folder.path(), &[&more[..], &["--tcp-relay-port", "0"]].concat());
    let ports = node.hello["tcp_relay_ports"].as_array().expect("a list").clone();
    assert_eq!(ports.len(), 2);
    let api: SocketAddr = node.hello["api"].as_str().expect("text").parse().expect("an address");
    assert!(api.ip().is_loopback());
    for ip in ["127.0.0.1", "::1"] {
        for port in &ports {
            let at = format!("{ip}:{port}").replace("::1:", "[::1]:");
            TcpStream::connect(at).expect("a relay");
        }
        let socket = UdpSocket::bind((ip, 0)).expect("a free port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let question = BootstrapInfoRequest.to_bytes();
        socket.send_to(&question, (ip, node.port("udp_port"))).expect("sent");
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).expect("an answer");
        let info = BootstrapInfo::from_bytes(&answer[..length]).expect("well-formed");
        assert!(info.text().starts_with("a public node toktok/tdfs/1"), "{}", info.text());
        assert_eq!(info.version, 1_000);
    }
    assert_eq!(status(folder.path())["tcp_relay_ports"], node.hello["tcp_relay_ports"]);
}

#[test]
fn what_cannot_be_listened_at_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let dir = text(folder.path());
    let run = |args: &[&str]| {
        complaint(&toktok(&[&["run", "--no-lan", "--data-dir", dir], args].concat()))
    };
    assert!(run(&["--udp-port", "off", "--tcp-relay-port", "0"]).contains("--udp-port off"));
    assert!(run(&["--bind", "127.0.0.1", "--bind", "127.0.0.2"]).contains("--bind"));
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let args = ["--bind", "127.0.0.1", "--udp-port", "0", "--tcp-relay-port", &port];
    assert!(run(&args).contains(&port));
    let _node = Node::start(folder.path(), &["--udp-port", "off"]);
    assert!(run(&["--udp-port", "off"]).contains("another node runs"));
}

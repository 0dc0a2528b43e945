//! What a person can get wrong is said clearly, with what to do, and nothing panics.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;

use crate::support::{Node, complaint, text, toktok};

#[test]
fn a_data_folder_that_cannot_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let said = complaint(&toktok(&["run", "--udp-port", "0", "--data-dir", text(&file.join("x"))]));
    assert!(said.contains("--data-dir"), "{said}");
}

#[test]
fn a_port_in_use() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let dir = text(folder.path()).to_owned();
    let args = ["run", "--bind", "127.0.0.1", "--udp-port", &port, "--data-dir", &dir];
    let said = complaint(&toktok(&args));
    assert!(said.contains(&port) && said.contains("in use"), "{said}");
}

#[test]
fn a_data_folder_that_another_node_uses() {
    let folder = tempfile::tempdir().unwrap();
    let _node = Node::start(folder.path(), &[]);
    let dir = text(folder.path()).to_owned();
    let said = complaint(&toktok(&["run", "--udp-port", "0", "--data-dir", &dir]));
    assert!(said.contains("another"), "{said}");
}

#[test]
fn no_node_is_running() {
    let folder = tempfile::tempdir().unwrap();
    let said = complaint(&toktok(&["status", "--data-dir", text(folder.path())]));
    assert!(said.contains("toktok run"), "{said}");
}

#[test]
fn capabilities_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let _node = Node::start(folder.path(), &[]);
    let dir = text(folder.path()).to_owned();
    let output = text(&folder.path().join("out")).to_owned();
    let get = |capability: &str| {
        complaint(&toktok(&["get", "--data-dir", &dir, capability, "--output", &output]))
    };
    assert!(get("toktok:abc").contains("length") || get("toktok:abc").contains("characters"));
    assert!(get("toktok:ab!c").contains("position"));
    assert!(!Path::new(&output).exists(), "nothing is written for a bad capability");
}

#[test]
fn a_file_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let _node = Node::start(folder.path(), &[]);
    let dir = text(folder.path()).to_owned();
    let said = complaint(&toktok(&["put", "--data-dir", &dir, "/nonexistent/file"]));
    assert!(said.contains("/nonexistent/file"), "{said}");
}

#[test]
fn programs_that_are_none_or_never_end() {
    let folder = tempfile::tempdir().unwrap();
    let first = Node::start(&folder.path().join("a"), &[]);
    let entry = first.entry();
    let others: Vec<Node> = ["b", "c", "d"]
        .iter()
        .map(|name| Node::start(&folder.path().join(name), &["--bootstrap", &entry]))
        .collect();
    assert_eq!(others.len(), 3);
    let dir = text(&folder.path().join("b")).to_owned();
    let input = folder.path().join("input");
    fs::write(&input, "some words\n".repeat(1000)).unwrap();
    let capability = put_when_joined(&dir, text(&input));

    let compute = |program: &[u8], timeout: &str| {
        let path = folder.path().join("program.wasm");
        fs::write(&path, program).unwrap();
        complaint(&toktok(&[
            "compute",
            "--data-dir",
            &dir,
            text(&path),
            &capability,
            "--unit-timeout",
            timeout,
            "--one-network",
        ]))
    };
    let said = compute(b"#!/bin/sh\necho hello\n", "5");
    assert!(said.contains("WebAssembly"), "{said}");
    let said = compute(FOREVER, "1");
    assert!(said.contains("did not end within 1000 ms"), "{said}");
}

/// `(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))`
const FOREVER: &[u8] = &[
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x03, 0x02,
    0x01, 0x00, 0x05, 0x03, 0x01, 0x00, 0x01, 0x07, 0x13, 0x02, 0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72,
    0x79, 0x02, 0x00, 0x06, 0x5f, 0x73, 0x74, 0x61, 0x72, 0x74, 0x00, 0x00, 0x0a, 0x09, 0x01, 0x07,
    0x00, 0x03, 0x40, 0x0c, 0x00, 0x0b, 0x0b,
];

/// Stores a file, trying again while the nodes still find each other.
fn put_when_joined(dir: &str, file: &str) -> String {
    for _ in 0..30 {
        let output = toktok(&["put", "--data-dir", dir, file]);
        if output.status.success() {
            return String::from_utf8(output.stdout).expect("text").trim().to_owned();
        }
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    panic!("the file could not be stored within 15 seconds");
}

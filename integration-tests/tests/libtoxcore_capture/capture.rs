//! What is seen, and what of it is written down.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use integration_tests::hex;
use toktok_wire::Kind;

/// Packets of one kind that are written down.
const EACH_KIND: usize = 4;

/// The packets, in the order in which they came.
#[derive(Default)]
pub(crate) struct Capture {
    seen: BTreeMap<Kind, usize>,
    lines: String,
    relay_frames: usize,
}

impl Capture {
    /// A line of the file's head: whose key, which key.
    pub(crate) fn note(&mut self, line: &str) {
        self.lines.push_str(line);
        self.lines.push('\n');
    }

    /// A datagram that the node of this name received.
    pub(crate) fn datagram(&mut self, kind: Kind, receiver: &str, packet: &[u8]) {
        let seen = self.seen.entry(kind).or_default();
        *seen += 1;
        if *seen <= EACH_KIND {
            let _ = writeln!(self.lines, "packet {receiver} {}", hex::encode(packet));
        }
    }

    /// A message on the relay's TCP connection.
    pub(crate) fn relay(&mut self, what: &str, bytes: &[u8]) {
        self.relay_frames += usize::from(what == "frame");
        if self.relay_frames <= EACH_KIND {
            let _ = writeln!(self.lines, "relay-{what} {}", hex::encode(bytes));
        }
    }

    pub(crate) fn has_seen(&self, kinds: &[Kind]) -> bool {
        kinds.iter().all(|kind| self.seen.contains_key(kind))
    }

    pub(crate) fn has_seen_relay_frames(&self) -> bool {
        self.relay_frames > 0
    }

    pub(crate) fn write(&self, path: &Path) {
        let head = "# What Debian's libtoxcore sent to the fake network of integration-tests/tests/\n\
                    # libtoxcore_capture, which wrote this file and says how. The secret keys are the\n\
                    # network's; \"peer\" are libtoxcore's public keys.\n";
        std::fs::write(path, format!("{head}{}", self.lines)).expect("the capture file");
    }
}

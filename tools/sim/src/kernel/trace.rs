//! What happened, as a hash: one seed, one trace.

use core::fmt::Write as _;
use std::io;

use toktok_mesh::{Address, StreamEvent, StreamId, Time};

use super::NodeIndex;

/// Bytes gathered before they are hashed: BLAKE3 is several times faster on long runs.
const BATCH: usize = 64 * 1024;

/// The kinds of record, so that no two differently shaped ones can read as the same bytes.
#[derive(Clone, Copy)]
enum Kind {
    Delivery = 1,
    Timer = 2,
    Io = 3,
    Event = 4,
    Note = 5,
    Stream = 6,
}

/// A running BLAKE3 hash over every delivery, stream event, timer, finished work and event of a run, and, when
/// asked for, a readable line for each.
pub struct Trace {
    hasher: blake3::Hasher,
    batch: Vec<u8>,
    text: String,
    lines: Option<Box<dyn io::Write>>,
    failure: Option<io::Error>,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            hasher: blake3::Hasher::new(),
            batch: Vec::with_capacity(BATCH + 4096),
            text: String::new(),
            lines: None,
            failure: None,
        }
    }
}

impl core::fmt::Debug for Trace {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Trace").field("hash", &self.hash()).finish_non_exhaustive()
    }
}

impl Trace {
    /// Writes a readable line for each record to `out` from now on.
    pub fn write_lines(&mut self, out: Box<dyn io::Write>) {
        self.lines = Some(out);
    }

    /// Ends the readable trace.
    ///
    /// # Errors
    /// The first error that writing met; the run itself went on.
    pub fn finish_lines(&mut self) -> io::Result<()> {
        match (self.failure.take(), self.lines.take()) {
            (Some(failure), _) => Err(failure),
            (None, Some(mut lines)) => lines.flush(),
            (None, None) => Ok(()),
        }
    }

    /// The hash of everything so far, in hexadecimal.
    pub fn hash(&self) -> String {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.batch);
        hasher.finalize().to_hex().to_string()
    }

    /// A datagram is handed to `node`.
    pub fn delivery(
        &mut self,
        now: Time,
        node: NodeIndex,
        from: Address,
        to: Address,
        payload: &[u8],
    ) {
        self.head(Kind::Delivery, now, node);
        self.address(from);
        self.address(to);
        self.batch.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        self.batch.extend_from_slice(payload);
        self.settle();
        if self.lines.is_some() {
            let kind = payload.first().copied().unwrap_or_default();
            self.line(format_args!(
                "{now} #{} {from} > {to} {} bytes, kind {kind:02x}",
                node.0,
                payload.len()
            ));
        }
    }

    /// Something happens to a stream of `node`.
    pub fn stream(&mut self, now: Time, node: NodeIndex, id: StreamId, event: StreamEvent<'_>) {
        self.head(Kind::Stream, now, node);
        let (direction, number) = match id {
            StreamId::Outgoing(number) => (0, number),
            StreamId::Incoming(number) => (1, number),
        };
        self.batch.push(direction);
        self.batch.extend_from_slice(&number.to_le_bytes());
        let (kind, name, len) = match event {
            StreamEvent::Accepted { .. } => (0, "accepted", 0),
            StreamEvent::Connected => (1, "connected", 0),
            StreamEvent::Received(bytes) => (2, "received", bytes.len()),
            StreamEvent::Sent(len) => (3, "sent", len),
            StreamEvent::Closed => (4, "closed", 0),
        };
        self.batch.push(kind);
        self.batch.extend_from_slice(&(len as u64).to_le_bytes());
        match event {
            StreamEvent::Received(bytes) => self.batch.extend_from_slice(bytes),
            StreamEvent::Accepted { from, .. } => self.address(Address::udp(from)),
            _ => {}
        }
        self.settle();
        if self.lines.is_some() {
            self.line(format_args!("{now} #{} {id:?} {name} {len} bytes", node.0));
        }
    }

    /// The deadline of `node` passes.
    pub fn timer(&mut self, now: Time, node: NodeIndex) {
        self.head(Kind::Timer, now, node);
        self.settle();
    }

    /// Work that `node` asked for is finished.
    pub fn io(&mut self, now: Time, node: NodeIndex, token: u64) {
        self.head(Kind::Io, now, node);
        self.batch.extend_from_slice(&token.to_le_bytes());
        self.settle();
        if self.lines.is_some() {
            self.line(format_args!("{now} #{} io {token} done", node.0));
        }
    }

    /// `node` tells its user something.
    pub fn event(&mut self, now: Time, node: NodeIndex, event: &impl core::fmt::Debug) {
        self.record_text(Kind::Event, now, node, format_args!("{event:?}"));
    }

    /// The scenario did something to `node`: a crash, a restart, a command.
    pub fn note(&mut self, now: Time, node: NodeIndex, what: &str) {
        self.record_text(Kind::Note, now, node, format_args!("{what}"));
    }

    fn record_text(
        &mut self,
        kind: Kind,
        now: Time,
        node: NodeIndex,
        what: core::fmt::Arguments<'_>,
    ) {
        let mut text = core::mem::take(&mut self.text);
        text.clear();
        // Writing to a string fails only if the value's own formatting does.
        let _ = text.write_fmt(what);
        self.head(kind, now, node);
        self.batch.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.batch.extend_from_slice(text.as_bytes());
        self.settle();
        if self.lines.is_some() {
            self.line(format_args!("{now} #{} {text}", node.0));
        }
        self.text = text;
    }

    fn head(&mut self, kind: Kind, now: Time, node: NodeIndex) {
        self.batch.push(kind as u8);
        self.batch.extend_from_slice(&now.as_micros().to_le_bytes());
        self.batch.extend_from_slice(&(node.0 as u64).to_le_bytes());
    }

    fn address(&mut self, address: Address) {
        match address {
            Address::Udp(address) => {
                match address.ip() {
                    core::net::IpAddr::V4(ip) => {
                        self.batch.push(4);
                        self.batch.extend_from_slice(&ip.octets());
                    }
                    core::net::IpAddr::V6(ip) => {
                        self.batch.push(6);
                        self.batch.extend_from_slice(&ip.octets());
                    }
                }
                self.batch.extend_from_slice(&address.port().to_le_bytes());
            }
            other => {
                self.batch.push(0);
                let text = other.to_string();
                self.batch.extend_from_slice(&(text.len() as u64).to_le_bytes());
                self.batch.extend_from_slice(text.as_bytes());
            }
        }
    }

    fn settle(&mut self) {
        if self.batch.len() >= BATCH {
            self.hasher.update(&self.batch);
            self.batch.clear();
        }
    }

    fn line(&mut self, line: core::fmt::Arguments<'_>) {
        if let Some(lines) = &mut self.lines
            && let Err(error) = writeln!(lines, "{line}")
        {
            self.lines = None;
            self.failure = Some(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Address {
        Address::udp(core::net::SocketAddr::from(([11, 0, 0, 1], port)))
    }

    #[test]
    fn every_part_of_a_record_changes_the_hash() {
        let (node, now) = (NodeIndex(1), Time::from_secs(1));
        let hash = |record: &dyn Fn(&mut Trace)| {
            let mut trace = Trace::default();
            record(&mut trace);
            trace.hash()
        };
        let hashes = [
            hash(&|_| {}),
            hash(&|t| t.delivery(now, node, address(1), address(2), b"hello")),
            hash(&|t| t.delivery(now, node, address(1), address(2), b"hellp")),
            hash(&|t| t.delivery(now, node, address(3), address(2), b"hello")),
            hash(&|t| t.delivery(Time::ZERO, node, address(1), address(2), b"hello")),
            hash(&|t| t.delivery(now, NodeIndex(2), address(1), address(2), b"hello")),
            hash(&|t| t.stream(now, node, StreamId::Incoming(1), StreamEvent::Connected)),
            hash(&|t| t.stream(now, node, StreamId::Outgoing(1), StreamEvent::Connected)),
            hash(&|t| t.stream(now, node, StreamId::Incoming(1), StreamEvent::Received(b"1"))),
            hash(&|t| t.stream(now, node, StreamId::Incoming(1), StreamEvent::Received(b"2"))),
            hash(&|t| t.stream(now, node, StreamId::Incoming(1), StreamEvent::Closed)),
            hash(&|t| t.timer(now, node)),
            hash(&|t| t.io(now, node, 7)),
            hash(&|t| t.event(now, node, &7)),
            hash(&|t| t.note(now, node, "7")),
        ];
        for (i, a) in hashes.iter().enumerate() {
            assert!(hashes[i + 1..].iter().all(|b| a != b), "record {i}");
        }
    }

    #[test]
    fn batching_does_not_show() {
        let payload = vec![9; 1000];
        let mut trace = Trace::default();
        let mut plain = blake3::Hasher::new();
        for _ in 0..200 {
            trace.event(Time::ZERO, NodeIndex(0), &payload);
            let text = format!("{payload:?}");
            plain.update(&[Kind::Event as u8]);
            plain.update(&[0; 16]);
            plain.update(&(text.len() as u64).to_le_bytes());
            plain.update(text.as_bytes());
        }
        assert_eq!(trace.hash(), plain.finalize().to_hex().to_string());
    }
}

//! A stack whose every packet is looked at, as the one who runs it could.

use core::convert::Infallible;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use toktok_mesh::wire::onion::Hop;
use toktok_mesh::wire::relay::RelayHelloHeader;
use toktok_mesh::wire::{Nonce, dht};
use toktok_mesh::{
    Address, Event, IoToken, KeyPair, Machine, Output, PublicKey, Stack, StreamEvent, StreamId,
    StreamRequest, Time,
};

use super::atoms::{self, Atom};
use super::knowledge::{Person, Watch};
use super::reading::{Part, Reader, sendback, sender};
use crate::kernel::NodeIndex;

/// Bytes of a relay's hello that no two have in common: key and nonce.
const HELLO_HEAD: usize = PublicKey::LEN + Nonce::LEN;
const HELLO_LEN: usize = RelayHelloHeader::PACKET_LEN;

/// Spaces of named atoms.
const CAUSE: u64 = 1;
const STREAM: u64 = 2;
const SENDBACK: u64 = 3;

/// The key of packets that name none.
const NOBODY: PublicKey = PublicKey([0; 32]);

/// What made a node send what it sends now.
#[derive(Clone, Copy, Debug)]
enum Cause {
    /// Itself: a timer, a command.
    Own,
    /// A datagram of this kind, which names this key as the sender's.
    Datagram(u8, Atom, PublicKey),
    /// A client of its relay, whose stream this is.
    Client(Atom),
}

impl Cause {
    /// What a packet of `kind` that is sent now has to do with the cause, if it only passes through
    /// or answers it. What else a node says then, it would have said at that moment anyway.
    fn of(self, kind: u8) -> Option<Atom> {
        match self {
            Self::Datagram(from, atom, _) => {
                let passes = match kind {
                    0x81..=0x83 | 0x85 | 0x87 => Hop::from_send_kind(from).is_some(),
                    0x84 | 0x86 | 0x88 | 0x8d | 0x8e => Hop::from_response_kind(from).is_some(),
                    0x8c => matches!(from, 0x83 | 0x85 | 0x87),
                    dht::DHT_REQUEST => from == dht::DHT_REQUEST,
                    _ => false,
                };
                passes.then_some(atom)
            }
            Self::Client(atom) => (kind == Hop::Second.send_kind()).then_some(atom),
            Self::Own => None,
        }
    }
}

/// A [`Stack`] under observation. It does exactly what the stack does, but for hand-made packets that
/// [`Watched::plant`] lets it send, and for datagrams if its host has no UDP.
#[derive(Debug)]
pub struct Watched {
    stack: Stack,
    host: NodeIndex,
    person: Option<Person>,
    has_udp: bool,
    reader: Reader,
    watch: Rc<RefCell<Watch>>,
    cause: Cause,
    /// Beginnings of clients' streams.
    hellos: BTreeMap<u64, Vec<u8>>,
    planted: VecDeque<(Address, Vec<u8>)>,
    /// The last announce answer that came without a path.
    answer: Option<Vec<u8>>,
}

impl Watched {
    /// Watches a stack with these DHT keys on a host.
    pub fn new(
        stack: Stack,
        keys: KeyPair,
        host: NodeIndex,
        person: Option<Person>,
        watch: &Rc<RefCell<Watch>>,
    ) -> Self {
        watch.borrow_mut().add_dht_key(keys.public, person);
        Self {
            stack,
            host,
            person,
            has_udp: true,
            reader: Reader::new(keys),
            watch: Rc::clone(watch),
            cause: Cause::Own,
            hellos: BTreeMap::new(),
            planted: VecDeque::new(),
            answer: None,
        }
    }

    /// Lets no datagram in or out.
    #[must_use]
    pub fn without_udp(mut self) -> Self {
        self.has_udp = false;
        self
    }

    /// The stack, to give it commands.
    pub fn stack(&mut self) -> &mut Stack {
        &mut self.stack
    }

    /// Sends a hand-made datagram.
    pub fn plant(&mut self, to: Address, datagram: Vec<u8>) {
        self.planted.push_back((to, datagram));
    }

    /// The last announce answer (8c) that came here.
    pub fn last_answer(&self) -> Option<&[u8]> {
        self.answer.as_deref()
    }

    /// Looks at what the clients of this node's relay have asked for, which frames hide from us and
    /// not from the relay.
    pub fn look_at_clients(&mut self, now: Time) {
        let bytes = |key: PublicKey| Part { bytes: key.0.to_vec(), is_directory: false };
        for (client, sought) in self.stack.relay_clients() {
            let parts: Vec<Part> = core::iter::once(client).chain(sought).map(bytes).collect();
            let what = (now, "relay's client", 0xff);
            self.watch.borrow_mut().see(self.host, what, &parts, Vec::new(), None);
        }
    }

    fn see_datagram(&mut self, now: Time, datagram: &[u8]) {
        let mut watch = self.watch.borrow_mut();
        let kind = datagram.first().copied().unwrap_or_default();
        let parts = self.reader.read(datagram);
        let cause = atoms::named(CAUSE, watch.number());
        self.cause = Cause::Datagram(kind, cause, sender(datagram).unwrap_or(NOBODY));
        let origin = watch.origin(datagram);
        let mut known = vec![cause];
        known.extend(sendback_atom(datagram, &parts));
        watch.see(self.host, (now, "received", kind), &parts, known, origin);
    }

    /// What a node says of itself tells it nothing new; what it passes on or answers does.
    fn see_sent(&mut self, now: Time, datagram: &[u8]) {
        let mut watch = self.watch.borrow_mut();
        let kind = datagram.first().copied().unwrap_or_default();
        if let Some(cause) = self.cause.of(kind) {
            let mut parts = vec![Part { bytes: datagram.to_vec(), is_directory: false }];
            if let Cause::Datagram(_, _, asker) = self.cause {
                parts.extend(self.reader.read_own_answer(datagram, asker));
            }
            let mut known = vec![cause];
            known.extend(sendback_atom(datagram, &parts));
            watch.see(self.host, (now, "sent", kind), &parts, known, None);
        } else if let Some(person) = self.person {
            watch.note_origin(person, datagram);
        }
    }

    fn see_client(&mut self, now: Time, number: u64, event: &StreamEvent<'_>) {
        self.cause = Cause::Client(self.stream_atom(number));
        let StreamEvent::Received(bytes) = event else { return };
        let hello = self.hellos.entry(number).or_default();
        if hello.len() >= HELLO_LEN {
            return;
        }
        hello.extend_from_slice(bytes);
        if hello.len() >= HELLO_LEN {
            hello.truncate(HELLO_LEN);
            let hello = hello.clone();
            let parts = self.reader.read_hello(&hello);
            let known = vec![self.stream_atom(number)];
            let mut watch = self.watch.borrow_mut();
            let origin = watch.origin(&hello[..HELLO_HEAD]);
            watch.see(self.host, (now, "hello", 0xff), &parts, known, origin);
        }
    }

    fn stream_atom(&self, number: u64) -> Atom {
        atoms::named(STREAM, (self.host.0 as u64) << 40 | number)
    }

    fn see_written(&mut self, now: Time, stream: StreamId, bytes: &[u8]) {
        let mut watch = self.watch.borrow_mut();
        match (stream, self.cause) {
            // The way back from the onion to a client.
            (StreamId::Incoming(number), Cause::Datagram(0x8e, cause, _)) => {
                let known = vec![cause, self.stream_atom(number)];
                watch.see(self.host, (now, "wrote", 0xff), &[], known, None);
            }
            (StreamId::Outgoing(_), _) => {
                if let (Some(person), Some(head)) = (self.person, bytes.get(..HELLO_HEAD)) {
                    watch.note_origin(person, head);
                }
            }
            _ => {}
        }
    }
}

fn sendback_atom(datagram: &[u8], parts: &[Part]) -> Option<Atom> {
    let number = u64::from_be_bytes(sendback(datagram, parts)?);
    Some(atoms::named(SENDBACK, number))
}

impl Machine for Watched {
    type Event = Event;
    type IoRequest = Infallible;
    type IoResult = Infallible;

    fn handle_datagram(&mut self, now: Time, from: Address, datagram: &mut [u8]) {
        if !self.has_udp {
            return;
        }
        if datagram.first() == Some(&Hop::Third.response_kind()) {
            self.answer = Some(datagram.to_vec());
        }
        self.see_datagram(now, datagram);
        self.stack.handle_datagram(now, from, datagram);
    }

    fn handle_stream(&mut self, now: Time, stream: StreamId, event: StreamEvent<'_>) {
        if let StreamId::Incoming(number) = stream {
            self.see_client(now, number, &event);
        }
        self.stack.handle_stream(now, stream, event);
    }

    fn handle_io(&mut self, _: Time, _: IoToken, result: Infallible) {
        match result {}
    }

    fn poll(&mut self, now: Time) -> Output<Event, Infallible> {
        if let Some((to, payload)) = self.planted.pop_front() {
            if let Some(person) = self.person {
                self.watch.borrow_mut().note_origin(person, &payload);
            }
            return Output::Transmit { to, payload };
        }
        loop {
            let output = self.stack.poll(now);
            match &output {
                Output::Transmit { .. } if !self.has_udp => continue,
                Output::Transmit { payload, .. } => self.see_sent(now, payload),
                Output::Stream(stream, StreamRequest::Write(bytes)) => {
                    self.see_written(now, *stream, bytes);
                }
                Output::Idle(_) => self.cause = Cause::Own,
                _ => {}
            }
            return output;
        }
    }
}

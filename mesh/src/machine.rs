//! The one contract between a layer's `Stack` and whoever drives it: tokio in a process, the simulator
//! in virtual time, a fuzzer.
//!
//! A driver hands in what came from outside (`handle_*`), calls the stack's own verbs (`connect`,
//! `put`, `submit`), and after every such call (or several, for what came at once) drains
//! [`Machine::poll`] until it returns [`Output::Idle`]. A deadline that passes is such a call too: it is just another `poll`.

use core::net::SocketAddr;

use crate::wire::{Address, Time};

/// Names one piece of work that a machine asked its driver to do; unique within the machine.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IoToken(pub u64);

/// Names one byte stream (a TCP connection) between a machine and the world; never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum StreamId {
    /// One that the machine asked for, numbered by the machine.
    Outgoing(u64),
    /// One that came in at a listener of the driver, numbered by the driver.
    Incoming(u64),
}

/// What a machine wants done with a stream. Requests for a stream that is gone are ignored.
#[must_use]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StreamRequest {
    /// Connect a new outgoing stream. [`StreamEvent::Connected`] or [`StreamEvent::Closed`] answers,
    /// the latter also when the driver's time limit has passed.
    Connect(SocketAddr),
    /// Send these bytes after those before. May be asked for before the stream is connected.
    /// [`StreamEvent::Sent`] tells how many have left the machine's hands: it is the machine that
    /// bounds what waits.
    Write(Vec<u8>),
    /// End the stream. No event of it follows. What was written just before still goes out if the
    /// peer takes it within moments.
    Close,
}

/// What happened to a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamEvent<'a> {
    /// A stranger connected: the first event of an incoming stream.
    Accepted {
        /// Whence.
        from: SocketAddr,
        /// At which of the listeners' ports.
        local_port: u16,
    },
    /// An outgoing stream stands.
    Connected,
    /// These bytes came, after those before, split as it happened.
    Received(&'a [u8]),
    /// So many more of the bytes written have been taken by the network.
    Sent(usize),
    /// The stream is gone: ended by the peer, reset, or never connected. No event of it follows.
    Closed,
}

/// What a machine wants its driver to do next.
#[must_use]
#[derive(Debug)]
pub enum Output<Event, IoRequest> {
    /// Send this datagram. It may get lost; the machine knows.
    Transmit {
        /// Where to.
        to: Address,
        /// The whole datagram.
        payload: Vec<u8>,
    },
    /// Do this with a byte stream.
    Stream(StreamId, StreamRequest),
    /// Do this work (disk, coding, a program) and hand the result to [`Machine::handle_io`].
    Io(IoToken, IoRequest),
    /// Something that the machine's user wants to know.
    Event(Event),
    /// Nothing more to do until something comes in, or until this moment at the latest.
    Idle(Option<Time>),
}

/// A sans-IO stack: no clock, no socket, no thread, no randomness of its own.
pub trait Machine {
    /// What the user is told.
    type Event;
    /// Work that the machine does not do itself; [`core::convert::Infallible`] if there is none.
    type IoRequest;
    /// How such work ended.
    type IoResult;

    /// Takes a datagram from outside. Returns nothing: bad input is dropped and counted by reason.
    /// The buffer is scratch space afterwards.
    fn handle_datagram(&mut self, now: Time, from: Address, datagram: &mut [u8]);

    /// True if the machine expects datagrams like this one from there, as those of its sessions: a
    /// driver that has more than it can handle handles these first. Must cost little. By default all
    /// are expected.
    fn expects(&self, _from: &Address, _datagram: &[u8]) -> bool {
        true
    }

    /// Takes what happened to a byte stream. A machine without streams ignores it; one on top of
    /// another forwards it.
    fn handle_stream(&mut self, _now: Time, _stream: StreamId, _event: StreamEvent<'_>) {}

    /// Takes the result of an [`Output::Io`].
    fn handle_io(&mut self, now: Time, token: IoToken, result: Self::IoResult);

    /// The next output. Runs the timers that are due at `now`.
    fn poll(&mut self, now: Time) -> Output<Self::Event, Self::IoRequest>;
}

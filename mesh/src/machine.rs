//! The one contract between a layer's `Stack` and whoever drives it: tokio in a process, the simulator
//! in virtual time, a fuzzer.
//!
//! A driver hands in what came from outside (`handle_*`), calls the stack's own verbs (`connect`,
//! `put`, `submit`), and after every such call drains [`Machine::poll`] until it returns
//! [`Output::Idle`]. A deadline that passes is such a call too: it is just another `poll`.

use crate::wire::{Address, Time};

/// Names one piece of work that a machine asked its driver to do; unique within the machine.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IoToken(pub u64);

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

    /// Takes the result of an [`Output::Io`].
    fn handle_io(&mut self, now: Time, token: IoToken, result: Self::IoResult);

    /// The next output. Runs the timers that are due at `now`.
    fn poll(&mut self, now: Time) -> Output<Self::Event, Self::IoRequest>;
}

//! A toy machine: pings a peer once a second, answers pings, tells of each answer.

use core::time::Duration;
use std::collections::VecDeque;

use toktok_mesh::{Address, IoToken, Machine, Output, Time};

pub(crate) const PERIOD: Duration = Duration::from_secs(1);

#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Said {
    Pong { from: Address, number: u8 },
    Stored(bool),
}

#[derive(Debug, Default)]
pub(crate) struct Echo {
    peer: Option<Address>,
    next_ping: Option<Time>,
    number: u8,
    pub(crate) heard: Vec<Vec<u8>>,
    pub(crate) clock_went_back: bool,
    last_now: Time,
    out: VecDeque<Output<Said, u32>>,
}

impl Echo {
    /// One that only answers.
    pub(crate) fn server() -> Self {
        Self::default()
    }

    /// One that pings `peer` from `now` on.
    pub(crate) fn client(now: Time, peer: Address) -> Self {
        Self { peer: Some(peer), next_ping: Some(now), ..Self::default() }
    }

    /// Asks the driver for work.
    pub(crate) fn store(&mut self, what: u32) {
        self.out.push_back(Output::Io(IoToken(u64::from(what)), what));
    }

    fn see(&mut self, now: Time) {
        self.clock_went_back |= now < self.last_now;
        self.last_now = now;
    }
}

impl Machine for Echo {
    type Event = Said;
    type IoRequest = u32;
    type IoResult = bool;

    fn handle_datagram(&mut self, now: Time, from: Address, datagram: &mut [u8]) {
        self.see(now);
        self.heard.push(datagram.to_vec());
        match *datagram {
            [0, number] => {
                self.out.push_back(Output::Transmit { to: from, payload: vec![1, number] });
            }
            [1, number] => self.out.push_back(Output::Event(Said::Pong { from, number })),
            _ => {}
        }
    }

    fn handle_io(&mut self, now: Time, _token: IoToken, result: bool) {
        self.see(now);
        self.out.push_back(Output::Event(Said::Stored(result)));
    }

    fn poll(&mut self, now: Time) -> Output<Said, u32> {
        self.see(now);
        if let (Some(peer), Some(due)) = (self.peer, self.next_ping)
            && now >= due
        {
            self.next_ping = Some(now + PERIOD);
            self.number = self.number.wrapping_add(1);
            self.out.push_back(Output::Transmit { to: peer, payload: vec![0, self.number] });
        }
        self.out.pop_front().unwrap_or(Output::Idle(self.next_ping))
    }
}

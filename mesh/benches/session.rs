//! Throughput of a session between two stacks in one thread, no socket between them: what encryption,
//! reliability and channels cost. `cargo bench -p toktok-mesh --bench session [-- MEBIBYTES [LOST_OF_1000]]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test or a measurement: it says so and stops"
)]

use std::collections::VecDeque;
use std::time::Instant;

use toktok_mesh::{Address, ChannelId, Config, Event, KeyPair, Machine, Output, Rng, Stack, Time};

/// Bytes of a message.
const MESSAGE: usize = 1 << 20;

/// One of the two ends.
struct End {
    stack: Stack,
    address: Address,
    inbox: VecDeque<Vec<u8>>,
    opened: Option<ChannelId>,
    received: u64,
    packets: u64,
}

impl End {
    fn new(number: u8) -> Self {
        let mut rng = Rng::from_seed([number; 32]);
        let keys = KeyPair::generate(&mut rng);
        let address = Address::udp(([127, 0, 0, number], 33445).into());
        let stack = Stack::new(Config::default(), keys, rng, Time::from_secs(1));
        let (inbox, opened) = (VecDeque::new(), None);
        Self { stack, address, inbox, opened, received: 0, packets: 0 }
    }

    /// Drains the stack into the other end's inbox.
    fn drain(&mut self, now: Time, lost: &mut impl FnMut() -> bool, to: &mut VecDeque<Vec<u8>>) {
        loop {
            match self.stack.poll(now) {
                Output::Transmit { payload, .. } => {
                    self.packets += 1;
                    if !lost() {
                        to.push_back(payload);
                    }
                }
                Output::Event(Event::Message { message, .. }) => {
                    self.received += message.len() as u64;
                }
                Output::Event(Event::ChannelOpened { channel, .. }) => self.opened = Some(channel),
                Output::Event(_) => {}
                Output::Idle(_) => return,
                Output::Stream(..) => {}
                Output::Io(_, never) => match never {},
            }
        }
    }
}

/// Moves `mebibytes` from one end to the other, of a thousand packets `loss` lost; bytes a second.
fn run(mebibytes: u64, loss: u64) -> f64 {
    let (mut a, mut b) = (End::new(1), End::new(2));
    let start = Instant::now();
    let now = || Time::from_secs(1) + start.elapsed();
    let mut chance = Rng::from_seed([3; 32]);
    let mut lost = || chance.chance(loss, 1000);
    b.stack.listen("bench");
    let peer = b.stack.public_key();
    a.stack.connect(now(), peer, Some(b.address));
    let mut sending = None;
    let (mut begun, mut queued) = (Instant::now(), 0);
    let message = bytes::Bytes::from(vec![0x5a; MESSAGE]);
    while b.received < mebibytes * MESSAGE as u64 {
        a.drain(now(), &mut lost, &mut b.inbox);
        b.drain(now(), &mut lost, &mut a.inbox);
        let (at_a, at_b) = (a.address, b.address);
        for (end, from) in [(&mut a, at_b), (&mut b, at_a)] {
            while let Some(mut datagram) = end.inbox.pop_front() {
                end.stack.handle_datagram(now(), from, &mut datagram);
            }
        }
        match (sending, a.opened) {
            (None, _) if a.stack.is_connected(peer) => {
                sending = a.stack.open(now(), peer, "bench").ok();
                begun = Instant::now();
            }
            (Some(channel), Some(_)) if queued < mebibytes => {
                queued += u64::from(a.stack.send(now(), channel, message.clone()).is_ok());
            }
            _ => {}
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let bytes = (mebibytes * MESSAGE as u64) as f64;
    println!(
        "{mebibytes} MiB, {loss} of 1000 packets lost: {:.0} MB/s, {} + {} packets",
        bytes / seconds / 1e6,
        a.packets,
        b.packets
    );
    bytes / seconds
}

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let mebibytes = numbers.first().copied().unwrap_or(256);
    match numbers.get(1) {
        Some(loss) => _ = run(mebibytes, *loss),
        None => [0, 1, 10, 50].into_iter().for_each(|loss| _ = run(mebibytes, loss)),
    }
}

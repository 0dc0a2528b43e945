//! Throughput of a file between two messengers in one thread, no socket and no disk between them: what
//! encryption, reliability and file transfers cost. `cargo bench -p toktok-mesh --features messenger
//! --bench messenger [-- MEBIBYTES]`
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement: it says so and stops")]

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use toktok_mesh::messenger::{
    FileKind, FileOffer, IoRequest, IoResult, Messenger, MessengerEvent as Event,
};
use toktok_mesh::{Address, Config, KeyPair, Machine, Output, Rng, Time};

/// One of the two ends.
struct End {
    messenger: Messenger,
    address: Address,
    inbox: VecDeque<Vec<u8>>,
    online: bool,
    ended: bool,
    written: u64,
}

impl End {
    fn new(number: u8) -> Self {
        let mut rng = Rng::from_seed([number; 32]);
        let keys = KeyPair::generate(&mut rng);
        let address = Address::udp(([127, 0, 0, number], 33445).into());
        let now = Time::from_secs(1);
        let messenger = Messenger::new(Config::default(), keys.clone(), keys, rng, now);
        let (inbox, online, ended) = (VecDeque::new(), false, false);
        Self { messenger, address, inbox, online, ended, written: 0 }
    }

    /// Drains the messenger into the other end's inbox.
    fn drain(&mut self, now: Time, zeros: &Bytes, to: &mut VecDeque<Vec<u8>>) {
        loop {
            match self.messenger.poll(now) {
                Output::Transmit { payload, .. } => to.push_back(payload),
                Output::Event(Event::FriendOnline { .. }) => self.online = true,
                Output::Event(Event::FileEnded { .. }) => self.ended = true,
                Output::Event(Event::FileOffered { transfer, .. }) => {
                    self.messenger.accept_file(transfer).unwrap();
                }
                Output::Event(_) | Output::Stream(..) => {}
                Output::Io(token, IoRequest::Read { range, .. }) => {
                    let bytes = zeros.slice(..(range.end - range.start) as usize);
                    self.messenger.handle_io(now, token, IoResult::Read(Ok(bytes)));
                }
                Output::Io(token, IoRequest::Write { data, .. }) => {
                    self.written += data.len() as u64;
                    self.messenger.handle_io(now, token, IoResult::Written(Ok(())));
                }
                Output::Io(..) => unreachable!("no other work is known"),
                Output::Idle(_) => return,
            }
        }
    }

    fn take_in(&mut self, now: Time, from: Address) {
        for mut datagram in self.inbox.drain(..) {
            self.messenger.handle_datagram(now, from, &mut datagram);
        }
    }
}

fn main() {
    let number = std::env::args().find_map(|argument| argument.parse::<u64>().ok());
    let size = number.unwrap_or(256) << 20;
    let zeros = Bytes::from(vec![0; 1 << 20]);
    let [mut a, mut b] = [End::new(1), End::new(2)];
    let mut now = Time::from_secs(1);
    let (a_key, b_key) = (a.messenger.public_key(), b.messenger.public_key());
    b.messenger.stack_mut().bootstrap(now, a.address, a_key);
    a.messenger.add_friend(now, b_key).unwrap();
    b.messenger.add_friend(now, a_key).unwrap();
    let mut started = None;
    while !a.ended {
        // A round trip of 100 µs.
        now = Time::from_micros(now.as_micros() + 50);
        a.drain(now, &zeros, &mut b.inbox);
        b.take_in(now, a.address);
        b.drain(now, &zeros, &mut a.inbox);
        a.take_in(now, b.address);
        if started.is_none() && a.online && b.online {
            let offer =
                FileOffer { kind: FileKind::DATA, size, file_id: [1; 32], name: Vec::new() };
            a.messenger.send_file(b_key, offer).unwrap();
            started = Some(Instant::now());
        }
    }
    let seconds = started.map_or(0.0, |started| started.elapsed().as_secs_f64());
    assert_eq!(b.written, size);
    println!("{size} bytes in {seconds:.2} s: {:.1} MB/s, both ends", size as f64 / 1e6 / seconds);
}

//! A whole messenger with one friend that says anything at all over a true session, and a user who
//! answers as badly.

use core::time::Duration;
use std::collections::VecDeque;

use toktok_mesh::messenger::{
    FileKind, FileOffer, IoFailed, IoRequest, IoResult, MessageKind, Messenger, MessengerEvent,
    TransferId, Unfinished,
};
use toktok_mesh::{Address, Config, KeyPair, Machine, Output, PublicKey, Rng, Stack, Time};

use crate::check::canonical;

/// Things that happen in one run.
const MOST_STEPS: usize = 400;
/// Sessions of one run: each costs a handshake.
const MOST_SESSIONS: usize = 4;
/// Outputs between two inputs: a window of a file's pieces, and what they bring about.
const MOST_OUTPUTS: usize = 20_000;
/// Transfers that a friend can make us remember, and those that the user began.
const MOST_TRANSFERS: usize = 1024 + MOST_STEPS;

/// What a messenger keeps between two runs.
pub fn unfinished(data: &[u8]) {
    canonical::<Unfinished>(data);
}

/// What `data` says happens: a byte of 16 to 254 is the id of a packet of the friend, with a byte for
/// its length and so much data; a smaller one is something that the user does, or fate.
///
/// # Panics
/// If the messenger panics, spins, or remembers without limit.
pub fn messenger_friend(data: &[u8]) {
    let mut world = World::new();
    let mut rest = data;
    for _ in 0..MOST_STEPS {
        rest = match rest {
            [what @ 16..=254, len, tail @ ..] => {
                let (packet, tail) = tail.split_at(usize::from(*len).min(tail.len()));
                // Packets that the session itself refuses are no news here.
                let _ = world.friend.send_packet(
                    world.now,
                    world.messenger.public_key(),
                    *what,
                    packet.to_vec().into(),
                );
                tail
            }
            [what, how, tail @ ..] => {
                world.act(*what, *how);
                tail
            }
            _ => break,
        };
        world.now += Duration::from_millis(1);
        world.settle();
        assert!(world.messenger.transfers().count() <= MOST_TRANSFERS);
    }
    let unfinished = world.messenger.unfinished();
    world.messenger.restore(unfinished);
}

/// The messenger, its friend, and what lies between.
struct World {
    now: Time,
    messenger: Messenger,
    friend: Stack,
    friend_key: PublicKey,
    wire: VecDeque<(bool, Vec<u8>)>,
    transfers: Vec<TransferId>,
    sessions: usize,
    disk_fails: bool,
}

fn address(friend: bool) -> Address {
    Address::udp(([192, 0, 2, u8::from(friend)], 33445).into())
}

impl World {
    /// Two who have a session.
    fn new() -> Self {
        let mut rng = Rng::from_seed([1; 32]);
        let now = Time::from_secs(1);
        let [keys, friend_keys] = [(); 2].map(|()| KeyPair::generate(&mut rng));
        let (key, friend_key) = (keys.public, friend_keys.public);
        let config = Config::default();
        let mut messenger =
            Messenger::new(config.clone(), keys.clone(), keys, rng.child("messenger"), now);
        let friend = Stack::new(config, friend_keys, rng.child("friend"), now);
        messenger.stack_mut().bootstrap(now, address(true), friend_key);
        assert_eq!(messenger.add_friend(now, friend_key), Ok(()));
        let (wire, transfers) = (VecDeque::new(), Vec::new());
        let (sessions, disk_fails) = (0, false);
        let mut world =
            Self { now, messenger, friend, friend_key, wire, transfers, sessions, disk_fails };
        world.connect(key);
        world
    }

    fn connect(&mut self, key: PublicKey) {
        self.sessions += 1;
        self.friend.connect(self.now, key, Some(address(false)));
        for _ in 0..100 {
            self.now += Duration::from_millis(50);
            self.settle();
            if self.friend.is_connected(key) {
                return;
            }
        }
        assert!(self.sessions > 1, "no session");
    }

    /// The user or fate does something.
    fn act(&mut self, what: u8, how: u8) {
        let transfer = self.transfers.get(usize::from(how) % self.transfers.len().max(1)).copied();
        let transfer = transfer.unwrap_or(TransferId(u64::from(how)));
        let (friend, messenger) = (self.friend_key, &mut self.messenger);
        // Whatever is refused is refused.
        match what {
            0 => {
                let _ = messenger.accept_file(transfer);
            }
            1 => {
                let _ = messenger.accept_file_from(transfer, u64::from(how) * 100);
            }
            2 => {
                let _ = messenger.pause_file(transfer);
            }
            3 => {
                let _ = messenger.resume_file(transfer);
            }
            4 => {
                let _ = messenger.cancel_file(transfer);
            }
            5 => {
                let size = if how == 255 { u64::MAX } else { u64::from(how) * 700 };
                let (kind, file_id) = (FileKind(u32::from(how % 5)), [how; 32]);
                let offer = FileOffer { kind, size, file_id, name: vec![how; usize::from(how)] };
                self.transfers.extend(messenger.send_file(friend, offer));
            }
            6 => {
                let text = vec![how; usize::from(how)];
                let _ = messenger.send_message(friend, MessageKind::Normal, text);
            }
            7 => {
                let _ = messenger.set_typing(friend, how.is_multiple_of(2));
            }
            8 => {
                let _ = messenger.set_name(&vec![how; usize::from(how)]);
            }
            9 => self.disk_fails = !self.disk_fails,
            10 => self.now += Duration::from_millis(u64::from(how)),
            11 if self.sessions < MOST_SESSIONS => {
                let key = messenger.public_key();
                if how.is_multiple_of(2) {
                    self.friend.disconnect(self.now, key);
                } else {
                    messenger.stack_mut().disconnect(self.now, friend);
                }
                self.settle();
                self.connect(key);
            }
            _ => {}
        }
    }

    /// Lets both talk until they are idle.
    fn settle(&mut self) {
        for _ in 0..MOST_OUTPUTS {
            let idle = self.poll_messenger() && self.poll_friend();
            if let Some((to_friend, mut datagram)) = self.wire.pop_front() {
                let from = address(!to_friend);
                if to_friend {
                    self.friend.handle_datagram(self.now, from, &mut datagram);
                } else {
                    self.messenger.handle_datagram(self.now, from, &mut datagram);
                }
            } else if idle {
                return;
            }
        }
        panic!("more than {MOST_OUTPUTS} outputs");
    }

    /// One output of the messenger; true if it is idle.
    fn poll_messenger(&mut self) -> bool {
        match self.messenger.poll(self.now) {
            Output::Transmit { payload, .. } => self.wire.push_back((true, payload)),
            Output::Event(MessengerEvent::FileOffered { transfer, .. }) => {
                self.transfers.push(transfer);
            }
            Output::Event(MessengerEvent::FileEnded { transfer, .. }) => {
                self.transfers.retain(|other| *other != transfer);
            }
            Output::Event(_) | Output::Stream(..) => {}
            Output::Io(token, request) => {
                let result = self.work(request);
                self.messenger.handle_io(self.now, token, result);
            }
            Output::Idle(deadline) => {
                assert!(deadline.is_none_or(|at| at > self.now), "would spin");
                return true;
            }
        }
        false
    }

    /// One output of the friend; true if it is idle.
    fn poll_friend(&mut self) -> bool {
        match self.friend.poll(self.now) {
            Output::Transmit { payload, .. } => self.wire.push_back((false, payload)),
            Output::Event(_) | Output::Stream(..) => {}
            Output::Io(_, never) => match never {},
            Output::Idle(_) => return true,
        }
        false
    }

    /// A disk on which all files have 100,000 bytes.
    fn work(&self, request: IoRequest) -> IoResult {
        match request {
            _ if self.disk_fails => IoResult::Read(Err(IoFailed)),
            IoRequest::Read { range, .. } => {
                let end = range.end.min(100_000).max(range.start);
                IoResult::Read(Ok(vec![7; (end - range.start) as usize].into()))
            }
            IoRequest::Write { data, .. } => {
                assert!(!data.is_empty(), "nothing to write");
                IoResult::Written(Ok(()))
            }
            _ => IoResult::Written(Err(IoFailed)),
        }
    }
}

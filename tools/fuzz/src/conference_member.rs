//! A whole messenger in a conference with one member that says anything at all over a true session,
//! and a user who answers as badly.

use core::time::Duration;
use std::collections::VecDeque;

use toktok_mesh::messenger::conference::{
    ConferenceId, ConferenceKind, Invitation, MAX_CONFERENCES, MAX_FROZEN, MAX_MEMBERS,
};
use toktok_mesh::messenger::{MessageKind, Messenger, MessengerEvent};
use toktok_mesh::wire::conference::ConferencePacket;
use toktok_mesh::wire::save::Save;
use toktok_mesh::{Address, Config, KeyPair, Machine, Output, PublicKey, Rng, Stack, Time};

/// Things that happen in one run.
const MOST_STEPS: usize = 400;
/// Sessions of one run: each costs a handshake.
const MOST_SESSIONS: usize = 4;
/// Outputs between two inputs.
const MOST_OUTPUTS: usize = 20_000;
/// The id of the packet that says that a friend is there.
const FRIEND_ONLINE: u8 = 24;

/// What `data` says happens. A byte of 96 to 100, or 199, is the id of a packet of the member, with a
/// byte for its length and so much data. Of 16 to 95 it is a packet with the conference's true id,
/// which nobody finds by chance. A smaller one is something that the user does, or fate.
///
/// # Panics
/// If the messenger panics, spins, or remembers without limit.
pub fn conference_member(data: &[u8]) {
    let mut world = World::new();
    let mut rest = data;
    for _ in 0..MOST_STEPS {
        rest = match rest {
            [what @ (96..=100 | 199), len, tail @ ..] => {
                let (packet, tail) = tail.split_at(usize::from(*len).min(tail.len()));
                world.send(*what, packet.to_vec());
                tail
            }
            [what @ 16..=95, a, b, tail @ ..] => {
                world.send_true(*what, u16::from_be_bytes([*a, *b]));
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
        world.check();
    }
    let mut save = Save::new(world.keys.clone(), [0; 4]);
    world.messenger.save_into(world.now, &mut save);
    world.messenger.load(world.now, &save);
    world.check();
}

/// The messenger, the member, and what lies between.
struct World {
    now: Time,
    keys: KeyPair,
    messenger: Messenger,
    member: Stack,
    member_key: PublicKey,
    wire: VecDeque<(bool, Vec<u8>)>,
    conference: ConferenceId,
    invitations: VecDeque<Invitation>,
    sessions: usize,
}

fn address(member: bool) -> Address {
    Address::udp(([192, 0, 2, u8::from(member)], 33445).into())
}

impl World {
    /// A conference of two who are friends.
    fn new() -> Self {
        let mut rng = Rng::from_seed([1; 32]);
        let now = Time::from_secs(1);
        let [keys, member_keys] = [(); 2].map(|()| KeyPair::generate(&mut rng));
        let member_key = member_keys.public;
        let config = Config::default();
        let mut messenger =
            Messenger::new(config.clone(), keys.clone(), keys.clone(), rng.child("own"), now);
        let member = Stack::new(config, member_keys, rng.child("member"), now);
        messenger.stack_mut().bootstrap(now, address(true), member_key);
        assert_eq!(messenger.add_friend(now, member_key), Ok(()));
        let conference = messenger.create_conference(ConferenceKind::Text);
        let conference = conference.unwrap_or_else(|error| panic!("{error}"));
        let (wire, invitations, sessions) = (VecDeque::new(), VecDeque::new(), 0);
        let mut world = Self {
            now,
            keys,
            messenger,
            member,
            member_key,
            wire,
            conference,
            invitations,
            sessions,
        };
        world.connect();
        world.send_true(21, 7);
        world.settle();
        let members = world.messenger.conference(conference).map(|it| it.members().count());
        assert_eq!(members, Some(1), "the member came");
        world
    }

    fn connect(&mut self) {
        self.sessions += 1;
        let key = self.messenger.public_key();
        self.member.connect(self.now, key, Some(address(false)));
        for _ in 0..100 {
            self.now += Duration::from_millis(50);
            self.settle();
            if self.member.is_connected(key) {
                self.send(FRIEND_ONLINE, Vec::new());
                self.settle();
                return;
            }
        }
        assert!(self.sessions > 1, "no session");
    }

    /// The member sends a packet. What the session itself refuses is no news here.
    fn send(&mut self, id: u8, packet: Vec<u8>) {
        let key = self.messenger.public_key();
        let _ = self.member.send_packet(self.now, key, id, packet.into());
    }

    /// The member sends a packet of the true conference.
    fn send_true(&mut self, what: u8, number: u16) {
        let conference = self.conference;
        let packet = match what % 6 {
            0 => ConferencePacket::Invite { from: number, conference },
            1 => ConferencePacket::Online { from: number, conference },
            2 => ConferencePacket::Rejoin { conference },
            3 => ConferencePacket::Member { from: number, to: 0, conference, peer: number },
            4 => {
                let random = [what; ConferenceId::RANDOM_LEN];
                let other = ConferenceId { random, ..conference };
                ConferencePacket::Invite { from: number, conference: other }
            }
            _ => ConferencePacket::Accept { from: number, to: 0, conference },
        };
        self.send(packet.id(), packet.body());
    }

    /// The user or fate does something. Whatever is refused is refused.
    fn act(&mut self, what: u8, how: u8) {
        let (messenger, id, friend) = (&mut self.messenger, self.conference, self.member_key);
        let text = vec![how; usize::from(how)];
        match what {
            0 => _ = messenger.send_to_conference(id, MessageKind::Normal, text),
            1 => _ = messenger.set_conference_title(id, &text),
            2 => _ = messenger.invite_to_conference(friend, id),
            3 => _ = messenger.set_name(&text),
            4 => messenger.suspend_conferences(),
            5 => _ = messenger.leave_conference(self.now, id),
            6 => {
                if let Some(invitation) = self.invitations.pop_front() {
                    self.conference = invitation.conference();
                    _ = messenger.join_conference(self.now, friend, invitation);
                }
            }
            7 => {
                if let Ok(id) = messenger.create_conference(ConferenceKind::Audio) {
                    self.conference = id;
                }
            }
            8 => self.now += Duration::from_secs(u64::from(how)),
            9 => self.now += Duration::from_millis(u64::from(how)),
            10 if self.sessions < MOST_SESSIONS => {
                let key = messenger.public_key();
                self.member.disconnect(self.now, key);
                self.settle();
                self.connect();
            }
            _ => {}
        }
    }

    fn check(&self) {
        assert!(self.messenger.conferences().count() <= MAX_CONFERENCES);
        for conference in self.messenger.conferences() {
            assert!(conference.members().count() <= MAX_MEMBERS);
            assert!(conference.absent().count() <= MAX_FROZEN);
            assert!(conference.members().all(|it| it.key() != self.messenger.public_key()));
        }
    }

    /// Lets both talk until they are idle.
    fn settle(&mut self) {
        for _ in 0..MOST_OUTPUTS {
            let idle = self.poll_messenger() && self.poll_member();
            if let Some((to_member, mut datagram)) = self.wire.pop_front() {
                let from = address(!to_member);
                if to_member {
                    self.member.handle_datagram(self.now, from, &mut datagram);
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
            // Nobody else is there.
            Output::Transmit { to, payload } if to == address(true) => {
                self.wire.push_back((true, payload));
            }
            Output::Event(MessengerEvent::ConferenceInvited { invitation, .. }) => {
                self.invitations.push_back(invitation);
            }
            Output::Event(_) | Output::Stream(..) | Output::Io(..) | Output::Transmit { .. } => {}
            Output::Idle(deadline) => {
                assert!(deadline.is_none_or(|at| at > self.now), "would spin");
                return true;
            }
        }
        false
    }

    /// One output of the member; true if it is idle.
    fn poll_member(&mut self) -> bool {
        match self.member.poll(self.now) {
            Output::Transmit { to, payload } if to == address(false) => {
                self.wire.push_back((false, payload));
            }
            Output::Event(_) | Output::Stream(..) | Output::Transmit { .. } => {}
            Output::Io(_, never) => match never {},
            Output::Idle(_) => return true,
        }
        false
    }
}

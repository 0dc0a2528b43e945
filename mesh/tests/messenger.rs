//! The messenger over whole stacks: friends find each other, talk, and send files through a network
//! that loses and reorders datagrams.
#![allow(clippy::unwrap_used, reason = "a test says so and stops")]

use core::time::Duration;
use std::collections::BTreeMap;

use toktok_mesh::messenger::conference::{ConferenceEvent, ConferenceId, ConferenceKind};
use toktok_mesh::messenger::{
    FileKind, FileOffer, FileOutcome, IoRequest, IoResult, MessageKind, Messenger,
    MessengerEvent as Event, TransferId,
};
use toktok_mesh::{Address, Config, KeyPair, Machine, Output, PublicKey, Rng, Time};

/// A person.
struct Person {
    messenger: Messenger,
    key: PublicKey,
    address: Address,
    events: Vec<Event>,
    wake: Option<Time>,
    files: BTreeMap<TransferId, Vec<u8>>,
}

/// Two of them, nodes around them, and what flies between.
struct World {
    now: Time,
    /// The people first.
    people: Vec<Person>,
    flying: BTreeMap<(Time, u64), (usize, Address, Vec<u8>)>,
    count: u64,
    /// Lost, in a thousand.
    loss: u64,
    rng: Rng,
}

impl Person {
    /// One whose identity is its DHT key, or one that only friends find.
    fn new(number: usize, rng: &Rng, hidden: bool, now: Time) -> Self {
        let mut rng = rng.child(&format!("person {number}"));
        let [identity, dht] = [(); 2].map(|()| KeyPair::generate(&mut rng));
        let (key, dht) = (identity.public, if hidden { dht } else { identity.clone() });
        let config = if hidden { Config::person() } else { Config::default() };
        let messenger = Messenger::new(config, identity, dht, rng, now);
        let address = Address::udp(([10, 0, 0, number as u8], 33445).into());
        let (events, files, wake) = (Vec::new(), BTreeMap::new(), Some(now));
        Self { messenger, key, address, events, wake, files }
    }
}

impl World {
    /// Two, and so many other nodes. Without any, the two have no more to hide than those.
    fn new(seed: u8, loss: u64, others: usize) -> Self {
        Self::of(seed, loss, 2, others)
    }

    /// So many people, and so many other nodes.
    fn of(seed: u8, loss: u64, count: usize, others: usize) -> Self {
        let now = Time::from_secs(1);
        let rng = Rng::from_seed([seed; 32]);
        let person = |number| Person::new(number, &rng, others > 0 && number < count, now);
        let people: Vec<Person> = (0..count + others).map(person).collect();
        let first = &people[if others > 0 { count } else { 0 }];
        let (key, address) = (first.key, first.address);
        let mut world = Self { now, people, flying: BTreeMap::new(), count: 0, loss, rng };
        for number in 0..world.people.len() {
            world.with(number, |messenger, now| {
                messenger.stack_mut().bootstrap(now, address, key);
            });
        }
        world
    }

    /// Two who are there for each other.
    fn friends(seed: u8, loss: u64) -> Self {
        let mut world = Self::new(seed, loss, 0);
        for number in 0..2 {
            let friend = world.people[1 - number].key;
            world.with(number, |messenger, now| messenger.add_friend(now, friend)).unwrap();
        }
        let online = |event: &Event| matches!(event, Event::FriendOnline { .. });
        world.run_until(|world| world.people.iter().all(|it| it.events.iter().any(online)));
        world
    }

    fn with<T>(&mut self, number: usize, call: impl FnOnce(&mut Messenger, Time) -> T) -> T {
        let result = call(&mut self.people[number].messenger, self.now);
        self.drain(number);
        result
    }

    fn drain(&mut self, number: usize) {
        loop {
            let person = &mut self.people[number];
            match person.messenger.poll(self.now) {
                Output::Transmit { to, payload } => {
                    if self.rng.below(1000) < self.loss {
                        continue;
                    }
                    let Some(to) = self.people.iter().position(|it| it.address == to) else {
                        continue;
                    };
                    let jitter = Duration::from_micros(self.rng.below(2000));
                    let from = self.people[number].address;
                    self.count += 1;
                    let at = self.now + Duration::from_millis(5) + jitter;
                    self.flying.insert((at, self.count), (to, from, payload));
                }
                Output::Event(event) => person.events.push(event),
                Output::Stream(..) => {}
                Output::Io(token, request) => {
                    let result = person.work(request);
                    person.messenger.handle_io(self.now, token, result);
                }
                Output::Idle(wake) => {
                    person.wake = wake;
                    return;
                }
            }
        }
    }

    /// Lets time pass until something is true; panics if it takes ten minutes.
    fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        let end = self.now + Duration::from_secs(600);
        while !done(self) {
            let wakes = self.people.iter().filter_map(|person| person.wake);
            let flies = self.flying.keys().next().map(|(at, _)| *at);
            self.now = wakes.chain(flies).min().unwrap().max(self.now);
            assert!(self.now < end, "it never happens");
            while let Some(entry) = self.flying.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let (to, from, mut datagram) = entry.remove();
                self.with(to, |messenger, now| messenger.handle_datagram(now, from, &mut datagram));
            }
            for number in 0..self.people.len() {
                if self.people[number].wake.is_some_and(|wake| wake <= self.now) {
                    self.drain(number);
                }
            }
        }
    }
}

impl Person {
    fn work(&mut self, request: IoRequest) -> IoResult {
        match request {
            IoRequest::Read { transfer, range } => {
                let file = &self.files[&transfer];
                let bytes = &file[range.start as usize..(range.end as usize).min(file.len())];
                IoResult::Read(Ok(bytes.to_vec().into()))
            }
            IoRequest::Write { transfer, position, data } => {
                let file = self.files.entry(transfer).or_default();
                assert_eq!(file.len() as u64, position, "in order");
                file.extend_from_slice(&data);
                IoResult::Written(Ok(()))
            }
            _ => panic!("no other work is known"),
        }
    }

    fn has(&self, event: &Event) -> bool {
        self.events.contains(event)
    }
}

#[test]
fn friends_meet_and_talk() {
    for (seed, loss) in [(1, 0), (2, 100)] {
        let mut world = World::friends(seed, loss);
        let [ada, bob] = [0, 1].map(|number| world.people[number].key);
        world.with(0, |messenger, _| messenger.set_name(b"Ada")).unwrap();
        let (kind, text) = (MessageKind::Normal, "hi");
        let sent = world.with(0, |messenger, _| messenger.send_message(bob, kind, text)).unwrap();
        let receipt = Event::Receipt { friend: bob, message: sent };
        world.run_until(|world| world.people[0].has(&receipt));
        let message = Event::Message { friend: ada, kind, text: text.into() };
        assert!(world.people[1].has(&Event::Name { friend: ada, name: b"Ada".to_vec() }));
        assert!(world.people[1].has(&message));
        assert_eq!(world.people[1].messenger.friend(ada).unwrap().name, b"Ada");
    }
}

#[test]
fn packets_of_applications_pass() {
    let mut world = World::friends(3, 0);
    let [ada, bob] = [0, 1].map(|number| world.people[number].key);
    world.with(0, |messenger, now| messenger.send_lossless(now, bob, 170, "sure")).unwrap();
    world.with(0, |messenger, now| messenger.send_lossy(now, bob, 210, "perhaps")).unwrap();
    for (id, data) in [(170, "sure"), (210, "perhaps")] {
        let packet = Event::CustomPacket { friend: ada, id, data: data.into() };
        world.run_until(|world| world.people[1].has(&packet));
    }
}

#[test]
fn a_file_arrives_whole() {
    for (seed, loss) in [(4, 0), (5, 30)] {
        let mut world = World::friends(seed, loss);
        let bob = world.people[1].key;
        let mut bytes = vec![0; 3_000_000];
        Rng::from_seed([8; 32]).fill(&mut bytes);
        let size = bytes.len() as u64;
        let offer =
            FileOffer { kind: FileKind::DATA, size, file_id: [7; 32], name: b"data".to_vec() };
        let sent = world.with(0, |messenger, _| messenger.send_file(bob, offer)).unwrap();
        world.people[0].files.insert(sent, bytes.clone());
        let offered = |world: &World| {
            world.people[1].events.iter().find_map(|event| match event {
                Event::FileOffered { transfer, .. } => Some(*transfer),
                _ => None,
            })
        };
        world.run_until(|world| offered(world).is_some());
        let came = offered(&world).unwrap();
        world.with(1, |messenger, _| messenger.accept_file(came)).unwrap();
        let outcome = FileOutcome::Complete;
        let ended = Event::FileEnded { friend: bob, transfer: sent, outcome };
        world.run_until(|world| world.people[0].has(&ended));
        assert!(world.people[1].files[&came] == bytes);
    }
}

#[test]
fn a_tox_id_is_all_that_friends_need() {
    let mut world = World::new(6, 0, 8);
    let [ada, bob] = [0, 1].map(|number| world.people[number].key);
    let id = world.people[1].messenger.stack().tox_id().unwrap();
    assert_eq!(id.key, bob);
    let request = |messenger: &mut Messenger, now| messenger.request_friend(now, &id, b"I am Ada");
    world.with(0, request).unwrap();
    let asked = Event::FriendRequest { from: ada, message: b"I am Ada".to_vec() };
    world.run_until(|world| world.people[1].has(&asked));
    world.with(1, |messenger, now| messenger.add_friend(now, ada)).unwrap();
    let [to_bob, to_ada] = [bob, ada].map(|friend| Event::FriendOnline { friend });
    world.run_until(|world| world.people[0].has(&to_bob) && world.people[1].has(&to_ada));
    assert_eq!(world.people[0].messenger.friend(bob).unwrap().request, None, "it was heard");
    world.with(1, |messenger, now| messenger.remove_friend(now, ada)).unwrap();
    let gone = Event::FriendOffline { friend: bob };
    world.run_until(|world| world.people[0].has(&gone));
}

#[test]
fn a_person_moves_by_a_tox_save() {
    use toktok_mesh::wire::save::{FriendState, Save};
    let mut world = World::new(7, 0, 8);
    let [ada, bob] = [0, 1].map(|number| world.people[number].key);
    let rng = Rng::from_seed([9; 32]);
    let stranger = Person::new(9, &rng, true, world.now);
    let id = stranger.messenger.stack().tox_id().unwrap();
    world.with(0, |messenger, now| messenger.request_friend(now, &id, b"hello")).unwrap();
    world.with(0, |messenger, _| messenger.set_status_message(b"moving")).unwrap();
    for (number, friend) in [(0, bob), (1, ada)] {
        world.with(number, |messenger, _| messenger.set_name(&[b'a' + number as u8])).unwrap();
        world.with(number, |messenger, now| messenger.add_friend(now, friend)).unwrap();
    }
    world.run_until(|world| world.people[0].has(&Event::Name { friend: bob, name: b"b".into() }));

    let now = world.now;
    let keys = KeyPair::generate(&mut rng.child("ada"));
    let old = &world.people[0].messenger;
    let mut save = Save::new(keys.clone(), [0; 4]);
    old.save_into(now, &mut save);
    let save = Save::read(&save.write()).unwrap();
    let dht = KeyPair::generate(&mut rng.child("dht"));
    let mut new = Messenger::new(Config::person(), keys, dht, rng, now);
    assert_eq!(new.load(now, &save), []);
    assert_eq!(new.profile(), old.profile());
    assert_eq!(new.stack().tox_id().unwrap().nospam, old.stack().tox_id().unwrap().nospam);
    assert_eq!(new.friend(bob).unwrap().name, b"b");
    assert_eq!(new.friend(id.key).unwrap().request, Some((id, b"hello".to_vec())));
    let mut again = save.clone();
    new.save_into(now, &mut again);
    assert_eq!(again.write(), save.write());
    let confirmed = |state: &FriendState| matches!(state, FriendState::Confirmed { .. });
    assert_eq!(save.friends.iter().filter(|friend| confirmed(&friend.state)).count(), 1);
}

impl World {
    /// Two people are friends and online.
    fn befriend(&mut self, a: usize, b: usize) {
        for (number, friend) in [(a, b), (b, a)] {
            let friend = self.people[friend].key;
            self.with(number, |messenger, now| messenger.add_friend(now, friend)).unwrap();
        }
        let [to_a, to_b] = [a, b].map(|number| self.people[number].key);
        self.run_until(|world| {
            world.people[a].has(&Event::FriendOnline { friend: to_b })
                && world.people[b].has(&Event::FriendOnline { friend: to_a })
        });
    }

    /// One brings a friend into a conference.
    fn bring(&mut self, host: usize, guest: usize, id: ConferenceId) {
        let friend = self.people[guest].key;
        self.with(host, |messenger, _| messenger.invite_to_conference(friend, id)).unwrap();
        let invitation = |world: &Self| {
            world.people[guest].events.iter().find_map(|event| match event {
                Event::ConferenceInvited { friend, invitation } => Some((*friend, *invitation)),
                _ => None,
            })
        };
        self.run_until(|world| invitation(world).is_some());
        let (friend, invitation) = invitation(self).unwrap();
        self.with(guest, |messenger, now| messenger.join_conference(now, friend, invitation))
            .unwrap();
        let joined = Event::Conference { conference: id, event: ConferenceEvent::Joined };
        self.run_until(|world| world.people[guest].has(&joined));
    }

    fn has_said(
        &self,
        from: usize,
        to: usize,
        conference: ConferenceId,
        text: &'static str,
    ) -> bool {
        let (member, kind, text) = (self.people[from].key, MessageKind::Normal, text.into());
        let event = ConferenceEvent::Message { member, kind, text };
        self.people[to].has(&Event::Conference { conference, event })
    }
}

#[test]
fn a_conference_connects_people_who_are_no_friends() {
    let mut world = World::of(8, 0, 3, 8);
    world.befriend(0, 1);
    world.befriend(1, 2);
    let create = |messenger: &mut Messenger, _| messenger.create_conference(ConferenceKind::Text);
    let id = world.with(0, create).unwrap();
    world.bring(0, 1, id);
    world.bring(1, 2, id);
    let [first, last] = [0, 2].map(|number| world.people[number].key);
    world.run_until(|world| {
        world.people[0].messenger.stack().is_connected(last)
            && world.people[2].messenger.stack().is_connected(first)
    });
    assert_eq!(world.people[0].messenger.stack().friends().count(), 1, "but no friend");
    // The one between them leaves, and they still hear each other.
    world.with(1, |messenger, now| messenger.leave_conference(now, id)).unwrap();
    let member = world.people[1].key;
    let left = Event::Conference { conference: id, event: ConferenceEvent::Left { member } };
    world.run_until(|world| world.people[0].has(&left) && world.people[2].has(&left));
    for (from, to, text) in [(0, 2, "there?"), (2, 0, "here")] {
        let kind = MessageKind::Normal;
        world.with(from, |it, _| it.send_to_conference(id, kind, text)).unwrap();
        world.run_until(|world| world.has_said(from, to, id, text));
    }
    // When the conference is over for one, the connection ends for both.
    world.with(2, |messenger, now| messenger.leave_conference(now, id)).unwrap();
    world.run_until(|world| {
        !world.people[0].messenger.stack().is_connected(last)
            && !world.people[2].messenger.stack().is_connected(first)
    });
}

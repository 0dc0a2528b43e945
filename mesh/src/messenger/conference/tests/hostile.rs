//! What a member that is not well, or means no good, may send.

use super::*;
use crate::DropReason;
use crate::messenger::conference::{MAX_FROZEN, MAX_MEMBERS};
use crate::wire::conference::{
    ConferenceMessage, ConferencePacket as Packet, ConferencePeer, Direct, MessageBody,
};

/// Somebody else's key.
fn fake(number: u16) -> PublicKey {
    let mut key = [0xee; 32];
    key[..2].copy_from_slice(&number.to_be_bytes());
    PublicKey(key)
}

impl Net {
    /// Node 0 in a conference with node 1, which the test plays.
    fn victim() -> (Self, ConferenceId) {
        let (mut net, id) = Self::conference(3, 21);
        net.settle();
        (net, id)
    }

    fn own(&self, node: usize, id: ConferenceId) -> u16 {
        self.of(node, id).own.unwrap()
    }

    /// Node 1 says something to node 0 in the name of `peer`.
    fn forge(&mut self, id: ConferenceId, peer: u16, number: u32, body: MessageBody<'_>) {
        let to = self.of(0, id).number;
        let message = ConferenceMessage { peer, number, body };
        self.inject(0, 1, &Packet::Message { to, message });
    }

    fn drops(&self, reason: DropReason) -> u64 {
        self.nodes[0].conferences.drops()[reason]
    }

    /// Packets that node 0 wants to send now.
    fn said(&mut self) -> Vec<(PublicKey, u8, Bytes)> {
        let mut post = Post { up: &|_| true, full: None, taken: Vec::new() };
        self.nodes[0].conferences.pump(&mut post);
        post.taken
    }
}

#[test]
fn nobody_sends_a_member_away_in_its_own_name() {
    let (mut net, id) = Net::victim();
    let [me, other] = [0, 2].map(|node| net.own(node, id));
    let from = net.own(1, id);
    for body in [MessageBody::KillPeer { peer: me }, MessageBody::FreezePeer { peer: me }] {
        net.forge(id, me, 1 << 20, body);
    }
    for peer in [me, other] {
        net.forge(id, from, 1 << 20, MessageBody::KillPeer { peer });
        net.forge(id, from, (1 << 20) + 1, MessageBody::FreezePeer { peer });
    }
    assert_eq!(net.said(), [], "none of it is handed on");
    assert_eq!(net.drops(DropReason::Refused), 2);
    net.assert_agree(0..3, id);
    assert_eq!(net.own(0, id), me);
}

#[test]
fn a_number_belongs_to_one_key() {
    let (mut net, id) = Net::victim();
    let [me, from, other] = [0, 1, 2].map(|node| net.own(node, id));
    let before = net.drops(DropReason::Refused);
    let thief = |peer, number| MessageBody::NewPeer { peer, key: fake(number), dht_key: fake(1) };
    net.forge(id, from, 1 << 20, thief(me, 1));
    net.forge(id, from, (1 << 20) + 1, thief(other, 1));
    let to = net.of(0, id).number;
    let peer = |number| ConferencePeer { number, key: fake(2), dht_key: fake(3), name: b"x" };
    let direct = Direct::Peers(vec![peer(me), peer(other), peer(other.wrapping_add(1))]);
    net.inject(0, 1, &Packet::Direct { to, direct });
    assert_eq!(net.drops(DropReason::Refused) - before, 3);
    let seen = net.seen(0, id);
    assert!(seen.contains(&(key(2), name(2))) && seen.contains(&(fake(2), b"x".to_vec())));
    assert_eq!(seen.len(), 3);
    // This node knows best who it is itself.
    let own = ConferencePeer { number: 77, key: key(0), dht_key: fake(3), name: b"y" };
    net.inject(0, 1, &Packet::Direct { to, direct: Direct::Peers(vec![own]) });
    let own = MessageBody::NewPeer { peer: 78, key: key(0), dht_key: fake(1) };
    net.forge(id, from, (1 << 20) + 2, own);
    assert_eq!((net.own(0, id), net.seen(0, id).len()), (me, 3));
}

#[test]
fn members_that_never_were_are_bounded_and_forgotten() {
    let (mut net, id) = Net::victim();
    let from = net.own(1, id);
    for number in 0..3000_u16 {
        let (key, dht_key) = (fake(number), fake(number));
        let body = MessageBody::NewPeer { peer: number, key, dht_key };
        net.forge(id, from, (1 << 20) + u32::from(number), body);
        net.said();
    }
    assert_eq!(net.of(0, id).members().count(), MAX_MEMBERS);
    assert!(net.drops(DropReason::LimitReached) > 2000);
    net.run(200);
    assert_eq!(net.seen(0, id).len(), 2, "only those are left that speak");
    assert_eq!(net.of(0, id).absent().count(), MAX_FROZEN);
    assert!(net.of(0, id).links.iter().count() <= 16);
    net.say(0, id, "hello?");
    net.run(1);
    assert_eq!((net.heard(1).len(), net.heard(2).len()), (1, 1));
}

#[test]
fn short_questions_do_not_bring_long_answers_each() {
    let (mut net, id) = Net::victim();
    net.run(5);
    net.said();
    let to = net.of(0, id).number;
    for _ in 0..1000 {
        net.inject(0, 1, &Packet::Direct { to, direct: Direct::Query });
    }
    assert_eq!(net.said().len(), 1);
    let unknown = net.drops(DropReason::NoRoute);
    for number in 0..1000 {
        net.forge(id, 0xabcd, number, MessageBody::Ping);
    }
    assert_eq!(net.drops(DropReason::NoRoute) - unknown, 1000);
    assert_eq!(net.said().len(), 1, "one question who that is");
    net.nodes[0].conferences.handle_timeout(net.now + Duration::from_secs(1));
    assert!(net.said().iter().filter(|(_, id, _)| *id == 98).count() <= 2);
}

#[test]
fn only_members_and_friends_are_listened_to() {
    let (mut net, id) = Net::victim();
    let (to, from) = (net.of(0, id).number, 9);
    let stranger = key(9);
    let message = ConferenceMessage { peer: 0, number: 1, body: MessageBody::Ping };
    let member = Packet::Member { from, to, conference: id, peer: 55 };
    let packets = [
        Packet::Invite { from, conference: id },
        Packet::Accept { from, to, conference: id },
        member,
        Packet::Online { from, conference: id },
        Packet::Rejoin { conference: id },
        Packet::Direct { to, direct: Direct::Query },
        Packet::Message { to, message },
        Packet::Lossy { to, peer: 0, number: 0, kind: 192, data: b"sound" },
    ];
    let before = net.nodes[0].conferences.drops().total();
    let conferences = &mut net.nodes[0].conferences;
    for packet in &packets {
        conferences.handle_packet(net.now, stranger, false, packet.id(), &packet.body());
    }
    assert_eq!(conferences.drops().total() - before, packets.len() as u64);
    assert_eq!(net.said(), []);
    assert_eq!(net.seen(0, id).len(), 2);
    // A friend that takes an invitation into another conference than the number's.
    let other = ConferenceId { random: [9; 32], ..id };
    net.inject(0, 1, &Packet::Accept { from, to, conference: other });
    net.inject(0, 1, &Packet::Accept { from, to: to + 1, conference: id });
    assert_eq!(net.said(), []);
}

#[test]
fn garbage_is_counted_and_nothing_else() {
    let (mut net, id) = Net::victim();
    let numbers = [0, 1, 2].map(|node| net.own(node, id));
    let mut rng = Rng::from_seed([22; 32]);
    for _ in 0..20_000 {
        let mut data = vec![0; rng.below(90) as usize];
        rng.fill(&mut data);
        let packet = *rng.choose(&[96, 97, 98, 99, 99, 100, 199]).unwrap();
        let known = [net.of(0, id).number, *rng.choose(&numbers).unwrap()];
        for (place, number) in data.chunks_exact_mut(2).zip(known) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        if let Some(kind) = data.get_mut(8) {
            *kind = *rng.choose(&[0, 16, 17, 18, 48, 49, 64, 65, 7]).unwrap();
        }
        let from = key(1 + rng.index(2));
        net.nodes[0].conferences.handle_packet(net.now, from, rng.chance(1, 2), packet, &data);
        net.said();
        if rng.chance(1, 100) {
            net.now += Duration::from_millis(rng.below(3000));
            net.nodes[0].conferences.handle_timeout(net.now);
        }
    }
    assert!(net.nodes[0].conferences.drops().total() > 1000);
    assert!(net.of(0, id).members().count() <= MAX_MEMBERS);
}

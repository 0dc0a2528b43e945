//! What members say, and what is refused to a user.

use super::*;
use crate::messenger::conference::{
    ConferenceError as Error, MAX_CONFERENCE_MESSAGE, MAX_CONFERENCE_NAME, MAX_CONFERENCES,
};

#[test]
fn two_friends_talk() {
    let (mut net, id) = Net::conference(2, 1);
    net.assert_agree(0..2, id);
    let text = Bytes::from_static(b"waves");
    net.nodes[0].conferences.say(id, MessageKind::Action, &text).unwrap();
    net.nodes[1].conferences.say(id, MessageKind::Normal, b"hello").unwrap();
    net.nodes[1].conferences.entitle(id, b"a title").unwrap();
    net.nodes[0].conferences.set_name(b"Ada");
    net.run(1);
    let waves = ConferenceEvent::Message { member: key(0), kind: MessageKind::Action, text };
    assert!(net.has(1, id, &waves));
    assert_eq!(net.heard(0), [(key(1), Bytes::from_static(b"hello"))], "and not itself");
    assert_eq!(net.heard(1).len(), 1);
    let title = ConferenceEvent::Title { member: Some(key(1)), title: b"a title".to_vec() };
    assert!(net.has(0, id, &title));
    assert_eq!(net.of(0, id).title(), b"a title");
    assert!(net.has(1, id, &ConferenceEvent::Name { member: key(0), name: b"Ada".to_vec() }));
}

#[test]
fn who_comes_later_learns_the_title() {
    let mut net = Net::chain(3, 2);
    let id = net.nodes[0].conferences.create(ConferenceKind::Text).unwrap();
    net.nodes[0].conferences.entitle(id, b"first").unwrap();
    net.bring(0, 1, id);
    let told = ConferenceEvent::Title { member: None, title: b"first".to_vec() };
    assert!(net.has(1, id, &told));
    net.nodes[1].conferences.entitle(id, b"second").unwrap();
    net.run(1);
    net.bring(1, 2, id);
    net.run(1);
    assert!((0..3).all(|node| net.of(node, id).title() == b"second"));
}

#[test]
fn everybody_hears_everything_once() {
    for (count, seed) in [(3, 3), (5, 4), (12, 5), (30, 6)] {
        let (mut net, id) = Net::conference(count, seed);
        net.assert_agree(0..count, id);
        for node in 0..count {
            net.say(node, id, &format!("from {node}"));
        }
        net.run(2);
        for node in 0..count {
            let mut heard = net.heard(node);
            heard.sort();
            let others = (0..count).filter(|other| *other != node);
            let text = |other| (key(other), Bytes::from(format!("from {other}")));
            let mut expected: Vec<_> = others.map(text).collect();
            expected.sort();
            assert_eq!(heard, expected, "node {node} of {count}");
        }
    }
}

#[test]
fn connections_are_few_and_enough() {
    let (net, id) = Net::conference(40, 7);
    for node in 0..40 {
        let links: Vec<_> = net.of(node, id).links.iter().collect();
        let online = links.iter().filter(|link| link.online.is_some()).count();
        assert!((4..=16).contains(&online), "node {node} has {online}");
    }
    let strangers = net.up.iter().filter(|(a, b)| !net.nodes[*a].friends.contains(b)).count();
    assert!(strangers >= 40, "{strangers} sessions with members that are no friends");
}

#[test]
fn what_cannot_be_said_is_refused() {
    let mut net = Net::chain(2, 8);
    let id = net.nodes[0].conferences.create(ConferenceKind::Text).unwrap();
    let normal = MessageKind::Normal;
    let conferences = &mut net.nodes[0].conferences;
    assert_eq!(conferences.say(id, normal, b"hi"), Err(Error::Alone));
    assert_eq!(conferences.entitle(id, b"a title"), Ok(()), "it is for those who come");
    assert_eq!(conferences.entitle(id, b""), Err(Error::Empty));
    let limit = MAX_CONFERENCE_NAME;
    assert_eq!(conferences.entitle(id, &[b'a'; 129]), Err(Error::TooLong { limit }));
    net.nodes[0].conferences.invite(key(1), id).unwrap();
    net.run(1);
    let (friend, invitation) = net.invited(1).unwrap();
    assert_eq!((invitation.conference(), invitation.kind()), (id, ConferenceKind::Text));
    let now = net.now;
    let guest = &mut net.nodes[1].conferences;
    assert_eq!(guest.say(id, normal, b"hi"), Err(Error::Unknown));
    assert_eq!(guest.join(now, friend, invitation), Ok(()));
    assert_eq!(guest.join(now, friend, invitation), Err(Error::AlreadyIn));
    assert_eq!(guest.say(id, normal, b"hi"), Err(Error::NotJoined));
    net.run(1);
    let conferences = &mut net.nodes[0].conferences;
    assert_eq!(conferences.say(id, normal, b""), Err(Error::Empty));
    let limit = MAX_CONFERENCE_MESSAGE;
    let longest = vec![b'a'; limit];
    assert_eq!(conferences.say(id, normal, &longest), Ok(()));
    let longer = vec![b'a'; limit + 1];
    assert_eq!(conferences.say(id, normal, &longer), Err(Error::TooLong { limit }));
    net.run(1);
    assert_eq!(net.heard(1).len(), 1);
    let conferences = &mut net.nodes[0].conferences;
    while conferences.iter().count() < MAX_CONFERENCES {
        conferences.create(ConferenceKind::Audio).unwrap();
    }
    assert_eq!(conferences.create(ConferenceKind::Text), Err(Error::TooMany));
    assert_eq!(conferences.leave(now, id), Ok(()));
    assert_eq!(conferences.leave(now, id), Err(Error::Unknown));
    assert!(conferences.create(ConferenceKind::Text).is_ok());
}

#[test]
fn what_waits_for_a_slow_peer_is_bounded() {
    let (mut net, id) = Net::conference(2, 9);
    let mut refused = 0;
    let conferences = &mut net.nodes[0].conferences;
    for _ in 0..500 {
        let said = conferences.say(id, MessageKind::Normal, b"blah");
        refused += usize::from(said == Err(Error::Full));
        let mut post = Post { up: &|_| true, full: Some(key(1)), taken: Vec::new() };
        assert!(!conferences.pump(&mut post) && post.taken.is_empty());
    }
    assert_eq!(refused, 500 - 128);
    assert_eq!(conferences.drops()[crate::DropReason::LimitReached], refused as u64);
    net.run(1);
    assert_eq!(net.heard(1).len(), 128);
}

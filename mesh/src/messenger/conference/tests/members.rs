//! Members come, go, are away and come back.

use super::*;
use crate::wire::KeyPair;
use crate::wire::save::Save;

#[test]
fn who_leaves_is_gone_for_all() {
    let (mut net, id) = Net::conference(6, 11);
    net.nodes[3].conferences.leave(net.now, id).unwrap();
    net.run(1);
    net.assert_agree([0, 1, 2, 4, 5], id);
    assert!((0..6).filter(|it| *it != 3).all(|node| net.of(node, id).absent().next().is_none()));
    assert!(net.has(5, id, &ConferenceEvent::Left { member: key(3) }));
    // Connections that were for the conference only are let go after the last words.
    net.run(10);
    let sessions: Vec<_> = net.up.iter().filter(|(a, b)| *a == 3 || *b == 3).collect();
    assert_eq!(sessions, [&(3, 2), &(4, 3)]);
    net.say(0, id, "still here");
    net.run(1);
    assert!([1, 2, 4, 5].iter().all(|node| net.heard(*node).len() == 1));
    assert!(net.heard(3).is_empty());
    // Invited again it is a new member.
    net.bring(2, 3, id);
    net.run(20);
    net.assert_agree(0..6, id);
}

#[test]
fn who_is_silent_is_away_after_a_minute_and_comes_back_by_a_friend() {
    let (mut net, id) = Net::conference(5, 12);
    net.set_alive(2, false);
    net.run(30);
    assert_eq!(net.seen(0, id).len(), 4, "half a minute is nothing");
    net.run(40);
    net.assert_agree([0, 1, 3, 4], id);
    assert_eq!(net.of(0, id).absent().map(|it| it.key()).collect::<Vec<_>>(), [key(2)]);
    assert_eq!(net.seen(2, id), [], "it is alone");
    assert_eq!(net.of(2, id).absent().count(), 4);
    net.say(0, id, "not heard by all");
    net.set_alive(2, true);
    net.run(30);
    net.assert_agree(0..5, id);
    net.say(2, id, "back");
    net.run(1);
    assert!([0, 1, 3, 4].iter().all(|it| net.heard(*it).last() == Some(&(key(2), "back".into()))));
}

#[test]
fn a_restart_goes_on_from_the_save() {
    let (mut net, id) = Net::conference(4, 13);
    net.nodes[0].conferences.entitle(id, b"the title").unwrap();
    net.say(1, id, "before");
    net.run(1);
    let mut save = Save::new(KeyPair::generate(&mut net.rng), [0; 4]);
    save.conferences = net.nodes[1].conferences.save();
    let save = Save::read(&save.write()).unwrap();
    assert_eq!(save.conferences, net.nodes[1].conferences.save());
    net.nodes[1].conferences.suspend();
    net.run(1);
    net.set_alive(1, false);
    net.assert_agree([0, 2, 3], id);

    let mut again = conferences(1, 14);
    for friend in net.nodes[1].friends.iter().map(|it| key(*it)) {
        again.set_friend(friend, true);
    }
    assert_eq!(again.load(net.now, &save.conferences), 0);
    assert_eq!(again.load(net.now, &save.conferences), 1, "it is there already");
    net.nodes[1].conferences = again;
    net.nodes[1].held.clear();
    assert_eq!(net.of(1, id).title(), b"the title");
    assert_eq!((net.of(1, id).members().count(), net.of(1, id).absent().count()), (0, 3));
    net.set_alive(1, true);
    net.run(30);
    net.assert_agree(0..4, id);
    net.say(1, id, "after");
    net.run(1);
    let expected = [(key(1), "before".into()), (key(1), "after".into())];
    assert!([0, 2, 3].iter().all(|node| net.heard(*node) == expected));
}

#[test]
fn an_invitation_between_members_joins_what_fell_apart() {
    let (mut net, id) = Net::conference(6, 15);
    // The friendship that holds the halves together ends, and all sessions between them.
    for (a, b) in [(2, 3), (3, 2)] {
        net.nodes[a].friends.remove(&b);
        net.nodes[a].conferences.set_friend(key(b), false);
    }
    for node in [3, 4, 5] {
        net.set_alive(node, false);
    }
    net.run(70);
    net.nodes[3..].iter_mut().for_each(|node| node.held.clear());
    for node in [3, 4, 5] {
        net.set_alive(node, true);
    }
    net.run(60);
    net.assert_agree(0..3, id);
    net.assert_agree(3..6, id);
    // Others find that they are in the same conference.
    net.befriend(0, 5);
    net.run(5);
    net.nodes[0].conferences.invite(key(5), id).unwrap();
    net.run(60);
    net.assert_agree(0..6, id);
    net.say(1, id, "together");
    net.run(1);
    assert!((0..6).filter(|it| *it != 1).all(|node| net.heard(node).len() == 1));
}

#[test]
fn members_agree_after_a_stormy_hour() {
    let (mut net, id) = Net::conference(16, 16);
    // Everybody has two more friends, so that nobody depends on one.
    for node in 0..16 {
        net.befriend(node, (node + 5) % 16);
    }
    for _ in 0..60 {
        let (a, b) = (net.rng.index(16), net.rng.index(16));
        if a != b && net.up.contains(&(a.max(b), a.min(b))) {
            net.cut(a, b);
        }
        let (node, alive) = (net.rng.index(16), net.rng.chance(2, 3));
        net.set_alive(node, alive);
        net.run(60);
    }
    for node in 0..16 {
        net.set_alive(node, true);
    }
    net.run(180);
    net.assert_agree(0..16, id);
    net.nodes.iter_mut().for_each(|node| node.events.clear());
    net.say(7, id, "calm");
    net.run(2);
    assert!((0..16).filter(|it| *it != 7).all(|node| net.heard(node).len() == 1));
}

//! Presence, profiles, messages, custom packets.

use super::*;
use crate::drops::DropReason;
use crate::messenger::error::AddFriendError;
use crate::wire::messenger::{MessageKind, UserStatus};

#[test]
fn friends_tell_who_they_are_as_c_toxcore_does() {
    let mut duo = Duo::strangers(1);
    duo.with(0, |core, peer| {
        core.set_name(b"Ada").unwrap();
        core.set_status_message(b"at work").unwrap();
        core.set_status(UserStatus::Busy);
        core.set_typing(peer, true).unwrap();
    });
    duo.connect();
    duo.run(Duration::from_secs(1));
    assert_eq!(duo.ends[0].line.log, [24, 24, 48, 49, 50, 51]);
    let friend = duo.ends[0].key;
    assert_eq!(
        duo.ends[1].events,
        [
            Event::FriendOnline { friend },
            Event::Name { friend, name: b"Ada".to_vec() },
            Event::StatusMessage { friend, message: b"at work".to_vec() },
            Event::Status { friend, status: UserStatus::Busy },
            Event::Typing { friend, typing: true },
        ]
    );
    let contact = duo.contact(1);
    assert_eq!((&contact.name[..], contact.status), (&b"Ada"[..], UserStatus::Busy));
    assert!(contact.online && contact.typing);

    // Only what changes is told again.
    duo.with(0, |core, _| core.set_name(b"Ada").unwrap());
    duo.with(0, |core, _| core.set_name(b"Grace").unwrap());
    duo.run(Duration::from_secs(1));
    assert_eq!(duo.ends[0].line.log[6..], [48]);
    assert_eq!(duo.contact(1).name, b"Grace");

    duo.cut();
    assert!(!duo.contact(1).online && !duo.contact(1).typing);
    assert_eq!(duo.contact(1).last_seen, EPOCH.as_secs() + 1002);
    assert_eq!(duo.ends[1].events.last(), Some(&Event::FriendOffline { friend }));
}

#[test]
fn nothing_counts_before_a_friend_is_online() {
    let mut duo = Duo::strangers(2);
    duo.connect();
    for (id, data) in [(48, &b"Ada"[..]), (64, b"hi"), (25, b""), (81, &[1, 0, 0]), (200, b"x")] {
        duo.inject(1, id, data);
    }
    assert_eq!(duo.ends[1].events, []);
    assert_eq!(duo.ends[1].core.drops()[DropReason::Refused], 5);
    duo.inject(1, id::ONLINE, b"not empty");
    assert!(!duo.contact(1).online);
    duo.inject(1, id::ONLINE, b"");
    assert!(duo.contact(1).online);
}

#[test]
fn strangers_are_not_listened_to() {
    let mut duo = Duo::online(3);
    let stranger = PublicKey([3; 32]);
    assert!(!duo.ends[0].core.handle_packet(duo.now, stranger, 24, &Bytes::new()));
    assert!(!duo.ends[0].core.handle_up(stranger));
    duo.with(0, |core, _| core.handle_request(stranger, b"hello"));
    duo.with(0, |core, _| core.handle_request(stranger, b"hello"));
    let message = b"hello".to_vec();
    assert_eq!(duo.ends[0].events, [Event::FriendRequest { from: stranger, message }]);
}

#[test]
fn a_message_comes_with_a_receipt() {
    let mut duo = Duo::online(4);
    let text = Bytes::from_static(b"hi");
    let kind = MessageKind::Action;
    let message = duo.with(0, |core, peer| core.send_message(peer, kind, text.clone())).unwrap();
    duo.run(Duration::from_secs(1));
    let [from, to] = [0, 1].map(|end: usize| duo.ends[end].key);
    assert_eq!(duo.ends[1].events, [Event::Message { friend: from, kind, text }]);
    assert_eq!(duo.ends[0].events, [Event::Receipt { friend: to, message }]);
}

#[test]
fn messages_survive_breaks_in_order_and_without_loss() {
    let mut duo = Duo::strangers(5);
    (duo.window, duo.rng) = (2, Rng::from_seed([5; 32]));
    let text = |number: u32| Bytes::from(number.to_be_bytes().to_vec());
    let mut sent = Vec::new();
    for number in 0..400 {
        let kind = MessageKind::Normal;
        sent.push(duo.with(0, |core, peer| core.send_message(peer, kind, text(number))).unwrap());
        if number % 40 == 0 {
            duo.cut();
            duo.run(Duration::from_millis(duo.rng.clone().below(500)));
            duo.connect();
        }
        let pause = duo.rng.below(60);
        duo.run(Duration::from_millis(pause));
    }
    duo.run(Duration::from_secs(60));
    let came = duo.ends[1].texts();
    let mut once = came.clone();
    once.dedup();
    once.sort();
    once.dedup();
    assert_eq!(once, (0..400).map(text).collect::<Vec<_>>());
    // What comes twice came whole windows before the break.
    assert!(came.len() <= 400 + 2 * 10, "{} messages", came.len());
    let receipts = duo.ends[0].events.iter().filter_map(|event| match event {
        Event::Receipt { message, .. } => Some(*message),
        _ => None,
    });
    assert_eq!(receipts.collect::<Vec<_>>(), sent, "each receipt once, in order");
}

#[test]
fn a_friend_that_says_goodbye_is_offline_at_once() {
    let mut duo = Duo::online(6);
    let (me, friend) = (duo.ends[0].key, duo.ends[1].key);
    let this = &mut duo.ends[0];
    this.core.remove_friend(friend, &mut this.line).unwrap();
    duo.run(Duration::from_secs(1));
    assert_eq!(duo.ends[1].events, [Event::FriendOffline { friend: me }]);
    let kind = MessageKind::Normal;
    duo.with(1, |core, peer| core.send_message(peer, kind, Bytes::from_static(b"hi"))).unwrap();
    duo.run(Duration::from_secs(1));
    assert_eq!(*duo.ends[1].line.log.last().unwrap(), 51, "nothing more is sent");
    duo.inject(1, id::ONLINE, b"");
    assert_eq!(duo.ends[1].line.log[6..], [24, 48, 49, 50, 51, 64]);
}

#[test]
fn applications_packets_pass_both_ways() {
    let mut duo = Duo::online(7);
    for id in [69, 162, 191, 200, 254] {
        let this = &mut duo.ends[0];
        let friend = PublicKey([2; 32]);
        let data = Bytes::from(vec![id]);
        assert_eq!(this.core.send_custom(friend, id, data, &mut this.line), Ok(()));
    }
    duo.run(Duration::from_secs(1));
    let friend = duo.ends[0].key;
    let packet = |id| Event::CustomPacket { friend, id, data: vec![id].into() };
    assert_eq!(duo.ends[1].events, [69, 162, 191, 200, 254].map(packet));
    duo.cut();
    let this = &mut duo.ends[0];
    let refused = this.core.send_custom(PublicKey([2; 32]), 200, Bytes::new(), &mut this.line);
    assert_eq!(refused, Err(PacketError::NotConnected));
}

#[test]
fn who_may_be_a_friend() {
    let mut core = core_of(PublicKey([1; 32]), 1);
    let friend = PublicKey([2; 32]);
    assert_eq!(core.check_friend(PublicKey([1; 32]), None), Err(AddFriendError::OwnKey));
    for bad in [&[][..], &[0; 922]] {
        assert_eq!(core.check_friend(friend, Some(bad)), Err(AddFriendError::MessageLength));
    }
    assert_eq!(core.check_friend(friend, Some(&[0; 921])), Ok(()));
    core.add_friend(friend, None, false);
    assert_eq!(core.check_friend(friend, None), Err(AddFriendError::AlreadyFriend));
}

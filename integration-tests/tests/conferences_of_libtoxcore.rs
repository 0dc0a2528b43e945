//! Conferences of our messengers and Debian's libtoxcore: who is there, what is said, who goes and comes
//! back is the same at all ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test or a measurement: it says so and stops"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use integration_tests::bootstrapd::Bootstrapd;
use integration_tests::our_client::{OurClient, Settings};
use integration_tests::tox_client::{LIMIT, ToxClient};
use serde_json::Value;
use toktok_mesh::messenger::conference::{
    ConferenceError, ConferenceEvent as Event, ConferenceId, ConferenceKind, Invitation,
};
use toktok_mesh::messenger::{MessageKind, MessengerEvent};
use toktok_mesh::wire::save::Save;
use toktok_mesh::{KeyPair, PublicKey};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn key(text: &str) -> PublicKey {
    text.parse().unwrap()
}

/// Members by their keys in hexadecimal, and their names.
type Names = BTreeSet<(String, String)>;

fn names<'a>(members: impl IntoIterator<Item = (&'a str, &'a str)>) -> Names {
    members.into_iter().map(|(key, name)| (key.to_owned(), name.to_owned())).collect()
}

fn our_client(node: &Bootstrapd, name: &'static str, identity: Option<KeyPair>) -> OurClient {
    let ours = OurClient::start(name, Settings { identity, ..Settings::default() });
    ours.bootstrap(node.udp(), node.key());
    ours.call(move |it, _| it.set_name(name.as_bytes())).unwrap();
    ours
}

fn their_client(node: &Bootstrapd, name: &str, options: &[&str]) -> ToxClient {
    let options = [&["--accept-friends"], options].concat();
    let mut theirs = ToxClient::start(folder(), name, &options);
    theirs.bootstrap(node.udp(), node.key());
    theirs.command(&format!("name {name}"));
    theirs
}

/// Ours and theirs are friends and online.
fn befriend(ours: &OurClient, theirs: &mut ToxClient) {
    let id = theirs.address().to_uppercase().parse().unwrap();
    ours.call(move |it, now| it.request_friend(now, &id, b"may I?")).unwrap();
    theirs.wait_online(&ours.key());
    ours.wait_online(key(theirs.key()));
}

/// Two of libtoxcore's are friends and online.
fn befriend_theirs(one: &mut ToxClient, other: &mut ToxClient) {
    one.command(&format!("add {} may I?", other.address()));
    one.wait_online(other.key());
    other.wait_online(one.key());
}

fn wait_event(ours: &OurClient, what: &str, wanted: impl Fn(&Event) -> bool) {
    ours.wait(what, |event| match event {
        MessengerEvent::Conference { event, .. } if wanted(event) => Some(()),
        _ => None,
    });
}

fn create(ours: &OurClient) -> ConferenceId {
    ours.call(|it, _| it.create_conference(ConferenceKind::Text)).unwrap()
}

fn invite(ours: &OurClient, friend: &str, id: ConferenceId) {
    let friend = key(friend);
    ours.call(move |it, _| it.invite_to_conference(friend, id)).unwrap();
}

/// Waits for an invitation and takes it.
fn join(ours: &OurClient) -> ConferenceId {
    let (friend, invitation): (PublicKey, Invitation) =
        ours.wait("invitation", |event| match event {
            MessengerEvent::ConferenceInvited { friend, invitation } => {
                Some((*friend, *invitation))
            }
            _ => None,
        });
    ours.call(move |it, now| it.join_conference(now, friend, invitation)).unwrap();
    wait_event(ours, "membership", |event| *event == Event::Joined);
    invitation.conference()
}

/// Theirs has been told to join, and has. Its number of the conference.
fn joined(theirs: &mut ToxClient) -> u64 {
    let joined = theirs.wait("conference-joined", |event| event["code"] == 0);
    theirs.wait("conference-connected", |event| event["conference"] == joined["conference"]);
    joined["conference"].as_u64().unwrap()
}

/// What one end sees, oneself among the members.
fn our_names(ours: &OurClient, id: ConferenceId) -> Names {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    ours.call(move |it, _| {
        let conference = it.conference(id).unwrap();
        let others = conference.members().map(|it| (it.key().to_string(), text(it.name())));
        let own = (it.public_key().to_string(), text(it.profile().name()));
        others.chain([own]).collect::<Names>()
    })
}

fn their_names(theirs: &mut ToxClient, conference: u64) -> Names {
    theirs.command(&format!("conference-peers {conference}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let peers = theirs.drain("conference-peer");
    peers.iter().map(|peer| (text(&peer["key"]), text(&peer["name"]))).collect()
}

/// Waits until an end sees these members.
fn wait_for(who: &str, expected: &Names, mut seen: impl FnMut() -> Names) {
    let begun = Instant::now();
    loop {
        let now = seen();
        if now == *expected {
            println!("{who} sees all after {} ms", begun.elapsed().as_millis());
            return;
        }
        assert!(begun.elapsed() < LIMIT, "{who} sees {now:?} and not {expected:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Says something as soon as somebody is connected.
fn say(ours: &OurClient, id: ConferenceId, kind: MessageKind, text: &'static str) {
    let begun = Instant::now();
    while let Err(error) = ours.call(move |it, _| it.send_to_conference(id, kind, text)) {
        assert!(error == ConferenceError::Alone && begun.elapsed() < LIMIT, "{error}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn wait_text(ours: &OurClient, from: &str, kind: MessageKind, text: &str) {
    let sender = key(from);
    wait_event(ours, text, |event| {
        matches!(event, Event::Message { member, kind: of, text: it }
            if *member == sender && *of == kind && it[..] == *text.as_bytes())
    });
}

fn wait_their_text(theirs: &mut ToxClient, from: &str, kind: &str, text: &str) {
    theirs.wait("conference-message", |event| {
        event["key"] == *from && event["kind"] == *kind && event["text"] == *text
    });
}

#[test]
fn three_members_agree_on_all_that_happens() {
    let node = Bootstrapd::start(folder());
    let ours = our_client(&node, "ours", None);
    let mut one = their_client(&node, "one", &["--join"]);
    let mut two = their_client(&node, "two", &["--join"]);
    befriend(&ours, &mut one);
    befriend_theirs(&mut one, &mut two);

    // Ours begins and invites one, who invites two, whom ours does not know.
    let id = create(&ours);
    ours.call(move |it, _| it.set_conference_title(id, b"our title")).unwrap();
    invite(&ours, one.key(), id);
    let of_one = joined(&mut one);
    one.wait("conference-title", |event| event["text"] == "our title");
    one.command(&format!("conference-invite {} {of_one}", two.key()));
    let of_two = joined(&mut two);
    two.wait("conference-title", |event| event["text"] == "our title");
    let (our_key, one_key, two_key) = (ours.key(), one.key().to_owned(), two.key().to_owned());
    let all = names([(&our_key[..], "ours"), (&one_key, "one"), (&two_key, "two")]);
    wait_for("ours", &all, || our_names(&ours, id));
    wait_for("one", &all, || their_names(&mut one, of_one));
    wait_for("two", &all, || their_names(&mut two, of_two));

    say(&ours, id, MessageKind::Normal, "from ours");
    wait_their_text(&mut one, &our_key, "normal", "from ours");
    wait_their_text(&mut two, &our_key, "normal", "from ours");
    two.command(&format!("conference-say {of_two} action waves"));
    wait_their_text(&mut one, &two_key, "action", "waves");
    wait_text(&ours, &two_key, MessageKind::Action, "waves");
    one.command(&format!("conference-title {of_one} their title"));
    wait_event(&ours, "title", |event| {
        matches!(event, Event::Title { member: Some(member), title }
            if *member == key(&one_key) && title == b"their title")
    });
    two.wait("conference-title", |event| event["text"] == "their title");
    ours.call(|it, _| it.set_name(b"renamed")).unwrap();
    two.command("name deux");
    let all = names([(&our_key[..], "renamed"), (&one_key, "one"), (&two_key, "deux")]);
    wait_for("ours", &all, || our_names(&ours, id));
    wait_for("one", &all, || their_names(&mut one, of_one));
    wait_for("two", &all, || their_names(&mut two, of_two));

    // One leaves; the others, who are no friends, have a connection of their own by now, or make one.
    one.command(&format!("conference-leave {of_one}"));
    let rest = names([(&our_key[..], "renamed"), (&two_key, "deux")]);
    wait_for("ours", &rest, || our_names(&ours, id));
    wait_for("two", &rest, || their_names(&mut two, of_two));
    say(&ours, id, MessageKind::Normal, "without a friend between us");
    wait_their_text(&mut two, &our_key, "normal", "without a friend between us");
    two.insist(&format!("conference-say {of_two} normal I hear you"));
    wait_text(&ours, &two_key, MessageKind::Normal, "I hear you");
}

#[test]
fn we_are_invited_and_bring_in_another_of_ours() {
    let node = Bootstrapd::start(folder());
    let ours = our_client(&node, "ours", None);
    let other = our_client(&node, "other", None);
    let mut theirs = their_client(&node, "theirs", &["--join"]);
    befriend(&ours, &mut theirs);
    let [our_key, other_key] = [&ours, &other].map(|it| it.identity.public);
    ours.call(move |it, now| it.add_friend(now, other_key)).unwrap();
    other.call(move |it, now| it.add_friend(now, our_key)).unwrap();
    ours.wait_online(other_key);

    theirs.command("conference-new");
    theirs.command("conference-title 0 a title");
    theirs.command(&format!("conference-invite {our_key} 0"));
    let id = join(&ours);
    invite(&ours, &other.key(), id);
    assert_eq!(join(&other), id);
    let (ours_text, other_text, their_key) = (ours.key(), other.key(), theirs.key().to_owned());
    let all = names([(&ours_text[..], "ours"), (&other_text, "other"), (&their_key, "theirs")]);
    wait_for("theirs", &all, || their_names(&mut theirs, 0));
    for client in [&ours, &other] {
        wait_for("ours", &all, || our_names(client, id));
        let title = client.call(move |it, _| it.conference(id).unwrap().title().to_vec());
        assert_eq!(title, b"a title");
    }
    say(&other, id, MessageKind::Action, "arrives");
    wait_their_text(&mut theirs, &other_text, "action", "arrives");
    wait_text(&ours, &other_text, MessageKind::Action, "arrives");
    theirs.command("conference-say 0 normal welcome");
    wait_text(&other, &their_key, MessageKind::Normal, "welcome");

    // Ours, who brought the other in, leaves; the others find each other.
    ours.call(move |it, now| it.leave_conference(now, id)).unwrap();
    let rest = names([(&other_text[..], "other"), (&their_key, "theirs")]);
    wait_for("theirs", &rest, || their_names(&mut theirs, 0));
    wait_for("other", &rest, || our_names(&other, id));
    theirs.insist("conference-say 0 normal still here?");
    wait_text(&other, &their_key, MessageKind::Normal, "still here?");
}

#[test]
fn who_starts_again_takes_part_again() {
    let node = Bootstrapd::start(folder());
    let place = tempfile::tempdir_in(folder()).unwrap();
    let path = place.path().join("save");
    let ours = our_client(&node, "ours", None);
    let mut theirs = their_client(&node, "theirs", &["--join"]);
    befriend(&ours, &mut theirs);
    let id = create(&ours);
    invite(&ours, theirs.key(), id);
    let conference = joined(&mut theirs);
    let (our_key, their_key) = (ours.key(), theirs.key().to_owned());
    let all = names([(&our_key[..], "ours"), (&their_key, "theirs")]);
    wait_for("ours", &all, || our_names(&ours, id));
    wait_for("theirs", &all, || their_names(&mut theirs, conference));

    // Theirs starts again from its save.
    theirs.command(&format!("save {}", path.display()));
    theirs.quit();
    let alone = names([(&our_key[..], "ours")]);
    wait_for("ours", &alone, || our_names(&ours, id));
    let mut theirs = their_client(&node, "theirs", &["--load", path.to_str().unwrap()]);
    wait_for("ours", &all, || our_names(&ours, id));
    wait_for("theirs", &all, || their_names(&mut theirs, 0));
    theirs.insist("conference-say 0 normal back");
    wait_text(&ours, &their_key, MessageKind::Normal, "back");

    // And ours from its own.
    let keys = ours.identity.clone();
    let file = ours.call(move |it, now| {
        let mut save = Save::new(keys, [0; 4]);
        it.save_into(now, &mut save);
        save.write()
    });
    let identity = ours.identity.clone();
    drop(ours);
    let ours = our_client(&node, "ours", Some(identity));
    let save = Save::read(&file).unwrap();
    assert_eq!(ours.call(move |it, now| it.load(now, &save)), []);
    wait_for("theirs", &all, || their_names(&mut theirs, 0));
    wait_for("ours", &all, || our_names(&ours, id));
    say(&ours, id, MessageKind::Normal, "back too");
    wait_their_text(&mut theirs, &our_key, "normal", "back too");
}

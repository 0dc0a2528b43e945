//! What peers may do with frames, and what not.

use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::crypto::Keys;
use crate::env::Base;
use crate::wire::{KeyPair, Rng};

/// Hands frames to a session's channels, and says whether one of them was a violation.
fn violated(base: &mut Base, channels: &mut Channels, frames: &[Vec<u8>]) -> bool {
    let mut rng = Rng::from_seed([1; 32]);
    let mut keys = Keys::new(KeyPair::generate(&mut rng), &mut rng);
    let mut env = base.env(Time::from_secs(1), &mut keys);
    let violated = frames.iter().any(|frame| channels.handle_frame(frame, &mut env).is_err());
    while channels.next_packet(env.events).is_some() {}
    channels.end(&mut env);
    violated
}

fn fresh() -> (Base, Channels) {
    let mut base = Base::new(Config::default(), None, Rng::from_seed([2; 32]));
    base.listening.insert("a".to_owned());
    (base, Channels::new(PublicKey([1; 32]), PublicKey([2; 32])))
}

const OPEN: Frame<'static> = Frame::Open { channel: 1, credit: 9, protocol: "a" };

#[test]
fn what_breaks_the_rules_is_a_violation() {
    let data = |len| Frame::Data { channel: 1, last: false, bytes: &[0; 1367][..len] }.to_bytes();
    let endless: Vec<_> =
        [OPEN.to_bytes()].into_iter().chain((0..800).map(|_| data(1367))).collect();
    let own = Frame::Open { channel: 2, credit: 9, protocol: "a" }.to_bytes();
    let opens: Vec<_> = (0..2000)
        .map(|i| Frame::Open { channel: 2 * i + 1, credit: 0, protocol: "b" }.to_bytes())
        .collect();
    for (frames, expected) in [
        (vec![OPEN.to_bytes(), data(7)], false),
        (vec![data(7), Frame::Close { channel: 9 }.to_bytes()], false),
        (vec![OPEN.to_bytes(), OPEN.to_bytes()], true),
        (vec![own], true),
        (vec![vec![9; 9]], true),
        (endless, true),
        (opens, true),
    ] {
        let (mut base, mut channels) = fresh();
        assert_eq!(violated(&mut base, &mut channels, &frames), expected);
        assert!(base.directory.is_empty(), "a session that ended leaves no channel");
    }
}

proptest! {
    #[test]
    fn any_frames_are_survived(
        frames in prop::collection::vec(
            (0u8..8, 0u32..6, prop::collection::vec(any::<u8>(), 0..12)),
            0..60,
        ),
    ) {
        let encode = |(kind, channel, tail): &(u8, u32, Vec<u8>)| {
            let name = if *kind == 0 { vec![0, 0, 0, 9, b'a'] } else { tail.clone() };
            [&[*kind][..], &channel.to_be_bytes(), &name].concat()
        };
        let frames: Vec<_> = frames.iter().map(encode).collect();
        let (mut base, mut channels) = fresh();
        violated(&mut base, &mut channels, &frames);
        prop_assert!(base.directory.is_empty());
    }
}

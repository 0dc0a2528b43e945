//! What strangers say to the distributed computer.

use toktok_tdc::message::Message;
use toktok_tdc::wire::{PublicKey, Rng, Time};
use toktok_tdc::{Core, Donation, JobSpec, Role};

/// One message: what is accepted is read again from what it is written as. (Protobuf has many spellings
/// of one message, so the bytes may differ.)
///
/// # Panics
/// If it is not.
pub fn tdc_message(data: &[u8]) {
    if let Ok(message) = Message::decode(data.to_vec().into()) {
        assert_eq!(Message::decode(message.encode()), Ok(message), "written and read differ");
    }
}

/// A whole conversation with a node that has a job of its own and works for others: each message is a
/// byte (lowest bit: to which role; the rest: microseconds that pass, in 10 ms), a length byte, and the
/// message. Whatever is said, the node goes on and stays within its queues.
///
/// # Panics
/// If the node does not come to rest.
pub fn tdc_core(data: &[u8]) {
    let mut core = Core::new(PublicKey([1; 32]), Donation::default(), &Rng::from_seed([3; 32]));
    let peer = PublicKey([2; 32]);
    let mut now = Time::ZERO;
    let _ = core.submit(now, JobSpec::map_reduce("toktok:p", "toktok:i"));
    core.handle_peer_up(now, peer, Role::Client, Some(1));
    core.handle_peer_up(now, peer, Role::Worker, Some(1));
    let mut rest = data;
    while let [kind, len, tail @ ..] = rest {
        let (message, behind) = tail.split_at(usize::from(*len).min(tail.len()));
        let role = if kind & 1 == 0 { Role::Client } else { Role::Worker };
        now = Time::from_micros(now.as_micros() + u64::from(kind >> 1) * 10_000);
        core.handle_message(now, peer, role, message.to_vec().into());
        let actions = core::iter::from_fn(|| core.poll(now)).take(10_000).count();
        assert!(actions < 10_000, "one message must not cause work without end");
        rest = behind;
    }
}

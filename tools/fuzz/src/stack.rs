//! A whole mesh node that is fed raw datagrams.

use core::time::Duration;

use toktok_mesh::{Address, Config, KeyPair, Machine, Output, Rng, Stack, Time};

/// Each datagram may bring about so many bytes, and a node alone so many: nobody is flooded through us.
const MOST_SENT: usize = 4096;
/// Outputs between two datagrams.
const MOST_OUTPUTS: usize = 64;

/// A node that waits for an answer of one peer, and the datagrams that `data` is: each preceded by its
/// length in two bytes, and by one byte that says from where and how much later it comes.
///
/// # Panics
/// If the node panics, spins, or says more than it heard.
pub fn stack(data: &[u8]) {
    let mut rng = Rng::from_seed([1; 32]);
    let (keys, peer) = (KeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
    let mut now = Time::from_secs(1);
    let mut stack = Stack::new(Config::default(), keys, rng, now);
    stack.listen("fuzz");
    stack.bootstrap(now, address(1), peer.public);
    stack.connect(now, peer.public, Some(address(1)));
    drain(&mut stack, now);
    let mut rest = data;
    while let [high, low, how, tail @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (datagram, tail) = tail.split_at(len);
        now += Duration::from_millis(u64::from(*how) * 4);
        stack.handle_datagram(now, address(how % 4), &mut datagram.to_vec());
        drain(&mut stack, now);
        rest = tail;
    }
    assert_eq!(stack.session_count(), 0, "nobody here has the peer's secret key");
}

fn address(number: u8) -> Address {
    Address::udp(([203, 0, 113, number], 33445).into())
}

/// Polls until idle, and looks whether what comes out is bounded.
fn drain(stack: &mut Stack, now: Time) {
    let mut sent = 0;
    for _ in 0..MOST_OUTPUTS {
        match stack.poll(now) {
            Output::Transmit { payload, .. } => sent += payload.len(),
            Output::Event(_) | Output::Stream(..) => {}
            Output::Io(_, never) => match never {},
            Output::Idle(deadline) => {
                assert!(deadline.is_none_or(|at| at > now), "would spin");
                assert!(sent <= MOST_SENT, "{sent} bytes at once");
                return;
            }
        }
    }
    panic!("more than {MOST_OUTPUTS} outputs");
}

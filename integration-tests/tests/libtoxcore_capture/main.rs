//! Debian's libtoxcore against a fake network that is nothing but our codecs: four DHT nodes, their
//! onion, and a friend. Every packet that libtoxcore sends must be one that we know and can open,
//! and it must take what we write for packets of its own kind.
//!
//! With `TOKTOK_CAPTURE=FILE` in the environment the packets are also written to FILE, with the
//! secret keys that open them; so `wire/tests/vectors/captured_libtoxcore.txt` was made:
//!
//! ```sh
//! TOKTOK_CAPTURE="$PWD/wire/tests/vectors/captured_libtoxcore.txt" \
//!     cargo test --release -p integration-tests --test libtoxcore_capture
//! ```
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod capture;
mod network;
mod node;
mod onion;
mod peer;
mod relay;
mod session;

use std::time::{Duration, Instant};

use toktok_wire::Kind;

use network::Network;

/// libtoxcore needs ten seconds or so until its onion stands; a loaded machine takes longer.
const DEADLINE: Duration = Duration::from_secs(60);

/// What libtoxcore must have sent; the data request is what our hops took out of its onion packet.
const WANTED: [Kind; 12] = [
    Kind::PingResponse,
    Kind::NodesRequest,
    Kind::NodesResponse,
    Kind::SearchRequest,
    Kind::SearchResponse,
    Kind::CookieRequest,
    Kind::CookieResponse,
    Kind::Handshake,
    Kind::CryptoData,
    Kind::OnionSend1,
    Kind::DataRequest,
    Kind::OnionResponse3,
];

#[test]
fn libtoxcore_and_our_codecs_understand_each_other() {
    let mut network = Network::start();
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end && !network.has_seen(&WANTED) {
        network.run_for(Duration::from_millis(20));
    }
    let missing: Vec<_> = WANTED.iter().filter(|kind| !network.has_seen(&[**kind])).collect();
    assert!(missing.is_empty(), "not seen: {missing:?}; libtoxcore said {:?}", network.peer_log());
    assert!(network.capture.has_seen_relay_frames(), "libtoxcore did not use the relay");
    if let Some(path) = std::env::var_os("TOKTOK_CAPTURE") {
        network.write_capture(path.as_ref());
    }
}

//! Says what a datagram is, layer by layer: here a nodes response that Bob sends to Alice.
//!
//! ```sh
//! cargo run -p toktok-wire --example hello
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::net::SocketAddr;

use toktok_wire::dht::{Header, NODES_RESPONSE, NodesResponse};
use toktok_wire::{Decode, KeyPair, Kind, Nonce, PackedNode, Rng, SecretKey, ToxId};

fn main() -> Result<(), Box<dyn Error>> {
    let mut rng = Rng::from_seed([42; 32]); // so that it prints the same each time
    let alice = KeyPair::generate(&mut rng);
    let bob = KeyPair::from_secret(SecretKey::from_bytes(rng.bytes()));
    println!("Alice's Tox ID is {}", ToxId { key: alice.public, nospam: rng.bytes() });

    let address: SocketAddr = "192.0.2.7:33445".parse()?;
    let node = PackedNode::udp(address, KeyPair::generate(&mut rng).public);
    let response = NodesResponse { nodes: vec![node], id: rng.u64() };
    let header =
        Header { kind: NODES_RESPONSE, sender: bob.public, nonce: Nonce::generate(&mut rng) };
    let mut datagram = header.seal(&bob.secret.shared_key(&alice.public), &response);
    let mut damaged = datagram.clone();
    damaged[80] ^= 1;

    println!("{} bytes arrive, a {:?}", datagram.len(), Kind::of(&datagram));
    let (header, boxed) = Header::split(&mut datagram)?;
    println!("it claims to be from {}", header.sender);
    let key = alice.secret.shared_key(&header.sender);
    let plain = key.open_in_place(&header.nonce, boxed)?;
    println!("and so it is: its box opens, with {} bytes in it", plain.len());
    for node in NodesResponse::from_bytes(plain)?.nodes {
        println!("Bob knows {} at {}", node.key, node.endpoint.address);
    }

    let (header, boxed) = Header::split(&mut damaged)?;
    match key.open_in_place(&header.nonce, boxed) {
        Ok(_) => Err("a damaged box opened".into()),
        Err(forged) => {
            println!("with one bit changed, {forged}");
            Ok(())
        }
    }
}

//! Three nodes in one process, each with its own sockets: what one stores, another fetches.
//!
//! Run it with `cargo run --example hello -p toktok-tdfs`.

use std::error::Error;
use std::io::Write as _;
use std::net::Ipv4Addr;

use toktok_mesh::runtime::system_rng;
use toktok_tdfs::store::MemoryStore;
use toktok_tdfs::{NodeKey, Tdfs};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut nodes: Vec<Tdfs> = Vec::new();
    for number in 0..3 {
        let mut rng = system_rng()?;
        let store = MemoryStore::new(64 << 20, rng.child("store"));
        let mut builder = Tdfs::builder(NodeKey::generate(&mut rng), Box::new(store))
            .udp((Ipv4Addr::LOCALHOST, 0).into());
        if let Some(first) = nodes.first() {
            builder = builder.bootstrap(first.addresses()[0], first.public_key());
        }
        let node = builder.spawn().await?;
        if number > 0 {
            node.neighbours(1).await?;
        }
        nodes.push(node);
    }
    nodes[0].neighbours(2).await?;

    let letter = "the internet where no computer knows what it is doing\n".repeat(20_000);
    let stored = nodes[0].put(letter.clone()).await?.finish().await?;
    let (fetched, content) = nodes[2].get(&stored.capability).await?.finish_with_bytes().await?;
    assert_eq!(content, letter.as_bytes());

    let mut out = std::io::stdout();
    writeln!(out, "stored {} bytes in {} blocks", stored.length, stored.blocks)?;
    writeln!(out, "{}", stored.capability)?;
    writeln!(out, "fetched {} bytes, blocks came over {:?} sessions", fetched.bytes, fetched.hops)?;
    Ok(())
}

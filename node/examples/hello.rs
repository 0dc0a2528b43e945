//! Three nodes in one process: one stores a text, another fetches it.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use toktok_mesh::runtime::system_rng;
use toktok_mesh::{Address, NodeKey};
use toktok_node::{Node, NodeConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let mut rng = system_rng()?;
    let mut nodes: Vec<Node> = Vec::new();
    for name in ["a", "b", "c"] {
        let mut config = NodeConfig::new(NodeKey::generate(&mut rng), folder.path().join(name));
        config.udp = toktok_mesh::runtime::Binding::at(([127, 0, 0, 1], 0).into());
        if let Some(first) = nodes.first() {
            let address = Address::udp(([127, 0, 0, 1], first.udp_port()).into());
            config.bootstrap.push((address, first.key()));
        }
        nodes.push(Node::start(config).await?);
    }
    while nodes[2].status().await?.neighbours < 2 || nodes[1].status().await?.neighbours < 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let text = folder.path().join("hello.txt");
    std::fs::write(&text, "hello, new internet")?;
    let (capability, bytes) = nodes[1].put(&text, Box::new(|_, _| ())).await?;
    println!("stored {bytes} bytes: {capability}");

    let copy = folder.path().join("copy.txt");
    nodes[2].get(&capability, &copy, Box::new(|_, _| ())).await?;
    println!("fetched: {}", std::fs::read_to_string(&copy)?);
    Ok(())
}

//! How fast a channel carries bulk over loopback: `cargo run --release --example throughput [MiB]`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Instant;

use toktok_mesh::Mesh;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mebibytes: usize = std::env::args().nth(1).map_or(Ok(256), |arg| arg.parse())?;
    let a = Mesh::builder().udp(([127, 0, 0, 1], 0).into()).spawn().await?;
    let b = Mesh::builder().udp(([127, 0, 0, 1], 0).into()).spawn().await?;
    let mut listener = b.listen("bulk/1").await?;
    let receiver = tokio::spawn(async move {
        let mut received = 0;
        if let Some(mut channel) = listener.accept().await {
            while received < mebibytes << 20 {
                let Some(message) = channel.recv().await else { break };
                received += message.len();
            }
        }
        received
    });
    let session = a.connect_at(b.public_key(), b.addresses().first().copied()).await?;
    let channel = session.open("bulk/1").await?;
    let message = bytes::Bytes::from(vec![7; 64 << 10]);
    let started = Instant::now();
    for _ in 0..mebibytes * 16 {
        channel.send(message.clone()).await?;
    }
    let received = receiver.await?;
    let seconds = started.elapsed().as_secs_f64();
    println!("{received} bytes in {seconds:.2} s: {:.1} MB/s", received as f64 / 1e6 / seconds);
    Ok(())
}

//! Three nodes on this machine's loopback: two that know only each other's key find each other through
//! the third, and speak. `cargo run --example hello -p toktok-mesh`

use std::error::Error;
use std::io::Write as _;
use std::time::Instant;

use toktok_mesh::Mesh;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    let meeting_point = Mesh::builder().udp(([127, 0, 0, 1], 0).into()).spawn().await?;
    let place = meeting_point.addresses()[0];
    let node = || {
        let builder = Mesh::builder().udp(([127, 0, 0, 1], 0).into());
        builder.bootstrap(place, meeting_point.public_key())
    };
    let (alice, bob) = (node().spawn().await?, node().spawn().await?);
    writeln!(out, "alice is {}", alice.public_key())?;
    writeln!(out, "bob   is {}", bob.public_key())?;
    writeln!(out, "both begin with the node at {place}, and know each other's key only")?;

    let mut visitors = bob.listen("hello/1").await?;
    let answering = tokio::spawn(async move {
        let mut channel = visitors.accept().await.ok_or("no visitor")?;
        let question = channel.recv().await.ok_or("no question")?;
        channel.send([b"you said: ", &question[..]].concat()).await.map_err(|_| "gone")?;
        channel.recv().await; // until alice closes the channel
        Ok::<(), &str>(())
    });

    let started = Instant::now();
    let session = alice.connect(bob.public_key()).await?;
    writeln!(out, "alice has a session with bob after {:.1?}", started.elapsed())?;
    let mut channel = session.open("hello/1").await?;
    channel.send("hello, whoever has this key").await?;
    let answer = channel.recv().await.ok_or("bob did not answer")?;
    writeln!(out, "bob answers: {}", String::from_utf8_lossy(&answer))?;
    drop(channel);
    answering.await??;
    Ok(())
}

//! Five nodes in one process, each with its own sockets. One stores a text and has the others count its
//! words; one of them lies, and is found.
//!
//! Run it with `cargo run --release --example hello -p toktok-tdc`.

use std::error::Error;
use std::io::Write as _;
use std::net::Ipv4Addr;

use toktok_mesh::runtime::system_rng;
use toktok_tdc::engine::conformance::WORDCOUNT;
use toktok_tdc::engine::{ChildExecutor, Executor, Lie, LyingExecutor, child_main};
use toktok_tdc::job::{Boundary, Split};
use toktok_tdc::wire::NodeKey;
use toktok_tdc::{JobEvent, JobSpec, Tdc};
use toktok_tdfs::store::MemoryStore;

/// What this program is called with when it is a child that runs a stranger's program.
const CHILD: &str = "__execute";

async fn start(nodes: &[Tdc], lies: bool) -> Result<Tdc, Box<dyn Error>> {
    let mut rng = system_rng()?;
    let store = MemoryStore::new(64 << 20, rng.child("store"));
    let honest = ChildExecutor::current_exe(CHILD)?;
    let executor: Box<dyn Executor> = match lies {
        true => Box::new(LyingExecutor::new(honest, Lie::always(1))),
        false => Box::new(honest),
    };
    let mut builder = Tdc::builder(NodeKey::generate(&mut rng), Box::new(store), executor)
        .udp((Ipv4Addr::LOCALHOST, 0).into());
    if let Some(first) = nodes.first() {
        builder = builder.bootstrap(first.addresses()[0], first.public_key());
    }
    let node = builder.spawn().await?;
    if !nodes.is_empty() {
        node.tdfs().neighbours(1).await?;
    }
    Ok(node)
}

async fn hello() -> Result<(), Box<dyn Error>> {
    let mut nodes = Vec::new();
    for number in 0..5 {
        nodes.push(start(&nodes, number == 3).await?);
    }
    let owner = &nodes[0];
    owner.tdfs().neighbours(4).await?;

    let text = "the internet where no computer knows what it is doing\n".repeat(20_000);
    let input = owner.tdfs().put(text.clone()).await?.finish().await?.capability;
    let program = owner.tdfs().put(WORDCOUNT).await?.finish().await?.capability;

    let mut job = JobSpec::map_reduce(program.to_string(), input.to_string());
    job.split = Split::Bytes { unit_bytes: 64 << 10, boundary: Boundary::Whitespace };
    // All five sit on this machine.
    job.policy.distinct_networks = false;
    let mut out = std::io::stdout();
    let report = owner
        .run(job, |event| {
            if let JobEvent::LiarFound { peer, unit, .. } = event {
                let _ = writeln!(out, "{peer} lied about unit {unit}");
            }
        })
        .await?;

    let counted = String::from_utf8(report.result.to_vec())?;
    assert!(counted.contains("internet 20000\n"), "{counted}");
    assert_eq!(report.liars, [nodes[3].public_key()]);
    write!(std::io::stdout(), "{counted}")?;
    writeln!(
        std::io::stdout(),
        "{} units, {} executions on {} workers, {} ms",
        report.units,
        report.executions,
        report.workers,
        report.elapsed.as_millis()
    )?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some(CHILD) {
        child_main();
        return Ok(());
    }
    tokio::runtime::Runtime::new()?.block_on(hello())
}

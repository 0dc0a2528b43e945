//! `toktok run`: a node in the foreground.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use toktok_mesh::Address;
use toktok_mesh::runtime::system_rng;

use crate::api::server::Server;
use crate::cli::RunArgs;
use crate::data_dir::{ApiFile, DataDir};
use crate::error::NodeError;
use crate::node::{Node, NodeConfig};
use crate::output;

pub(crate) async fn run(args: RunArgs) -> Result<(), NodeError> {
    start_log();
    let dir = DataDir::open(&args.data_dir)?;
    let mut rng = system_rng().map_err(|error| NodeError::Start(error.to_string()))?;
    let mut config = NodeConfig::new(dir.node_key(&mut rng)?, dir.blocks());
    config.udp = SocketAddr::new(args.bind, args.udp_port);
    let entries = args.bootstrap.iter().map(|node| (Address::udp(node.address), node.key));
    config.bootstrap = entries.collect();
    config.give = args.give.saturating_mul(1 << 20);
    config.slots = args.slots;
    config.fault = args.fault;
    let node = Arc::new(Node::start(config).await?);
    let token = data_encoding::HEXLOWER.encode(&rng.bytes::<16>());
    let failed = |error: std::io::Error| NodeError::Start(format!("the control socket: {error}"));
    let server = Server::bind(Arc::clone(&node), token.clone()).await.map_err(failed)?;
    let address = server.address().map_err(failed)?;
    dir.write_api(&ApiFile { address, token })?;
    announce(&args, &node, address);
    tokio::select! {
        () = server.serve() => {}
        () = stop_signal() => {}
        () = stdin_closed(), if args.until_stdin_closes => {}
    }
    dir.remove_api();
    drop(node);
    Ok(())
}

/// Says who and where the node is.
fn announce(args: &RunArgs, node: &Node, api: SocketAddr) {
    let (key, port) = (node.key().to_string(), node.udp_port());
    if args.json {
        output::json(&json!({ "node_key": key, "udp_port": port, "api": api.to_string() }));
    } else {
        output::line(&format!("node key  {key}"));
        output::line(&format!("UDP port  {port}"));
        output::line("running; stop with Ctrl-C");
    }
}

/// The log goes to standard error; `RUST_LOG` says how much of it.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // A second start in one process keeps the first log.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

async fn stop_signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Ends when nobody holds the other end of standard input any more. A thread of its own reads, so that
/// nothing waits for it when the node stops.
async fn stdin_closed() {
    let (closed, is_closed) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = closed.send(());
    });
    let _ = is_closed.await;
}

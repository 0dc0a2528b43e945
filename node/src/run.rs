//! `toktok run`: a node in the foreground.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use toktok_mesh::runtime::system_rng;
use toktok_mesh::{Address, NodeKey, PublicKey};

use crate::api::server::{Cores, Server};
use crate::cli::RunArgs;
use crate::data_dir::{ApiFile, DataDir};
use crate::error::NodeError;
use crate::node::{Node, NodeConfig};
use crate::output;
use crate::person::{Person, PersonConfig};

pub(crate) async fn run(args: RunArgs) -> Result<(), NodeError> {
    start_log();
    let dir = DataDir::open(&args.data_dir)?;
    let mut rng = system_rng().map_err(|error| NodeError::Start(error.to_string()))?;
    let node = match args.udp_port.0.filter(|_| args.proxy.is_none()) {
        Some(port) => {
            let config = provider(&args, port, dir.node_key(&mut rng)?, dir.blocks());
            Some(Node::start(config).await?)
        }
        None => None,
    };
    let person = Person::start(person(&args, &dir)).await?;
    let cores = Arc::new(Cores { node, person });
    let token = data_encoding::HEXLOWER.encode(&rng.bytes::<16>());
    let failed = |error: std::io::Error| NodeError::Start(format!("the control socket: {error}"));
    let server = Server::bind(Arc::clone(&cores), token.clone()).await.map_err(failed)?;
    let address = server.address().map_err(failed)?;
    dir.write_api(&ApiFile { address, token })?;
    announce(&args, &cores, address).await?;
    tokio::select! {
        () = server.serve() => {}
        () = stop_signal() => {}
        () = stdin_closed(), if args.until_stdin_closes => {}
    }
    dir.remove_api();
    // Commands under way hold the cores too; a process that ends does not wait for them.
    cores.person.keep().await;
    Ok(())
}

/// What the provider's core is started with.
fn provider(args: &RunArgs, port: u16, key: NodeKey, blocks: PathBuf) -> NodeConfig {
    let mut config = NodeConfig::new(key, blocks);
    config.udp = SocketAddr::new(args.bind, port);
    config.bootstrap = entries(args);
    config.relay_ports = args.tcp_relay_port.clone();
    config.give = args.give.saturating_mul(1 << 20);
    config.slots = args.slots;
    config.fault = args.fault;
    config
}

/// What the person's core is started with.
fn person(args: &RunArgs, dir: &DataDir) -> PersonConfig {
    let mut config = PersonConfig::new(dir.root().to_owned());
    let has_udp = args.udp_port.0.is_some() && args.proxy.is_none();
    config.udp = has_udp.then(|| SocketAddr::new(args.bind, 0));
    config.relays = args.tcp_relay.iter().map(|relay| (relay.address, relay.key)).collect();
    config.proxy = args.proxy.map(|proxy| proxy.0);
    config.bootstrap = entries(args);
    config.allow_short_paths = args.allow_short_paths;
    config.auto_accept = args.auto_accept;
    config
}

/// The nodes to begin with.
fn entries(args: &RunArgs) -> Vec<(Address, PublicKey)> {
    args.bootstrap.iter().map(|node| (Address::udp(node.address), node.key)).collect()
}

/// Says who and where the node is.
async fn announce(args: &RunArgs, cores: &Cores, api: SocketAddr) -> Result<(), NodeError> {
    let key = cores.node.as_ref().map(|node| node.key().to_string());
    let port = cores.node.as_ref().map(Node::udp_port);
    let relay_ports: Vec<u16> =
        cores.node.iter().flat_map(|node| node.relay_ports()).copied().collect();
    let tox_id = cores.person.tox_id().await?;
    if args.json {
        output::json(&json!({
            "node_key": key,
            "tox_id": tox_id,
            "udp_port": port,
            "tcp_relay_ports": relay_ports,
            "api": api.to_string(),
        }));
        return Ok(());
    }
    output::line(&format!("Tox ID    {tox_id}"));
    if let (Some(key), Some(port)) = (key, port) {
        output::line(&format!("node key  {key}"));
        output::line(&format!("UDP port  {port}"));
    }
    output::line("running; stop with Ctrl-C");
    Ok(())
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

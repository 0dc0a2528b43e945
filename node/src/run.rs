//! `toktok run`: a node in the foreground.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use toktok_mesh::runtime::{Binding, system_rng};
use toktok_mesh::{Address, NodeKey, PublicKey};

use crate::api::server::{Cores, Server};
use crate::cli::RunArgs;
use crate::data_dir::{ApiFile, DataDir};
use crate::error::NodeError;
use crate::node::{Node, NodeConfig};
use crate::output;
use crate::person::{Person, PersonConfig};

/// Ports at which Tox clients look for each other; the first one is the provider's.
const TOX_PORTS: std::ops::RangeInclusive<u16> = 33_446..=33_545;

/// The provider's nodes of the DHT are written this often.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

pub(crate) async fn run(args: RunArgs) -> Result<(), NodeError> {
    start_log();
    let binding = binding(&args)?;
    let dir = DataDir::open(&args.data_dir)?;
    let in_use = || NodeError::InUse { path: args.data_dir.clone() };
    let _lock = dir.lock()?.ok_or_else(in_use)?;
    let mut rng = system_rng().map_err(|error| NodeError::Start(error.to_string()))?;
    let node = match binding {
        Some(binding) => {
            let config = provider(&args, binding, dir.node_key(&mut rng)?, &dir);
            Some(Node::start(config).await?)
        }
        None => None,
    };
    let person = start_person(person(&args, binding, &dir, node.as_ref())).await?;
    let cores = Arc::new(Cores { node, person });
    let token = data_encoding::HEXLOWER.encode(&rng.bytes::<16>());
    let failed = |error: std::io::Error| NodeError::Start(format!("the control socket: {error}"));
    let server = Server::bind(Arc::clone(&cores), token.clone()).await.map_err(failed)?;
    let address = server.address().map_err(failed)?;
    dir.write_api(&ApiFile { address, token })?;
    announce(&args, &cores, address).await?;
    tokio::select! {
        () = server.serve() => {}
        () = save_now_and_then(&dir, &cores) => {}
        () = stop_signal() => {}
        () = stdin_closed(), if args.until_stdin_closes => {}
    }
    dir.remove_api();
    // Commands under way hold the cores too; a process that ends does not wait for them.
    cores.person.stop().await;
    save_nodes(&dir, &cores).await;
    Ok(())
}

/// Where both cores listen, each with sockets of its own; `None` without UDP.
fn binding(args: &RunArgs) -> Result<Option<Binding>, NodeError> {
    let refused = |why: &str| Err(NodeError::Start(why.to_owned()));
    let Some(port) = args.udp_port.0.filter(|_| args.proxy.is_none()) else {
        return if args.tcp_relay_port.is_empty() {
            Ok(None)
        } else {
            refused(
                "a TCP relay needs UDP: leave --tcp-relay-port out, or --udp-port off and --proxy",
            )
        };
    };
    Ok(Some(match args.bind[..] {
        [] => Binding::any(port),
        [ip] => Binding::at(SocketAddr::new(ip, port)),
        [a, b] if a.is_ipv4() != b.is_ipv4() => Binding::at(SocketAddr::new(a, port)).and(b),
        _ => return refused("--bind takes one IPv4 address and one IPv6 address at most"),
    }))
}

/// Keeps the provider's nodes for the next start, again and again. Never ends.
async fn save_now_and_then(dir: &DataDir, cores: &Cores) {
    loop {
        tokio::time::sleep(SAVE_INTERVAL).await;
        save_nodes(dir, cores).await;
    }
}

async fn save_nodes(dir: &DataDir, cores: &Cores) {
    let Some(node) = &cores.node else { return };
    let Ok(nodes) = node.nodes_to_save().await else { return };
    if let Err(error) = dir.save_nodes(&nodes) {
        tracing::error!(%error, "the nodes for the next start cannot be saved");
    }
}

/// What the provider's core is started with.
fn provider(args: &RunArgs, binding: Binding, key: NodeKey, dir: &DataDir) -> NodeConfig {
    let mut config = NodeConfig::new(key, dir.blocks());
    config.udp = binding;
    config.bootstrap = entries(args);
    config.saved_nodes = dir.saved_nodes();
    config.lan_discovery = !args.no_lan;
    config.motd = args.motd.clone();
    config.relay_ports = args.tcp_relay_port.clone();
    config.give = args.give.saturating_mul(1 << 20);
    config.slots = args.slots;
    config.fault = args.fault;
    config
}

/// What the person's core is started with.
fn person(
    args: &RunArgs,
    binding: Option<Binding>,
    dir: &DataDir,
    node: Option<&Node>,
) -> PersonConfig {
    let mut config = PersonConfig::new(dir.root().to_owned());
    config.udp = binding;
    config.provider = node.map(Node::key);
    config.lan_discovery = binding.is_some() && !args.no_lan;
    config.relays = args.tcp_relay.iter().map(|relay| (relay.address, relay.key)).collect();
    config.proxy = args.proxy.map(|proxy| proxy.0);
    config.bootstrap = entries(args);
    config.allow_short_paths = args.allow_short_paths;
    config.auto_accept = args.auto_accept;
    config
}

/// Starts the person's core at a port of its own: as Tox clients do at the first free one of those at
/// which LAN discovery looks, but at any free one if the provider's is.
async fn start_person(mut config: PersonConfig) -> Result<Person, NodeError> {
    let Some(binding) = config.udp else { return Person::start(config).await };
    let is_free = |port: &u16| binding.with_port(*port).udp().is_ok();
    let port = if binding.port() == 0 { None } else { TOX_PORTS.into_iter().find(is_free) };
    config.udp = Some(binding.with_port(port.unwrap_or(0)));
    Person::start(config).await
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

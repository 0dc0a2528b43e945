//! A running node: the layers, assembled.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use toktok_mesh::runtime::{Binding, system_rng};
use toktok_mesh::{Address, NodeKey, PublicKey};
use toktok_tdc::engine::{ChildExecutor, Executor, Lie, LyingExecutor};
use toktok_tdc::job::{Boundary, Limits, Split};
use toktok_tdc::{Donation, JobEvent, JobReport, JobSpec, Tdc};
use toktok_tdfs::capability::Capability;
use toktok_tdfs::client::{GetEvent, PutEvent};
use toktok_tdfs::runtime::{RocksOptions, RocksStore};

use crate::api::{Computed, Status};
use crate::error::NodeError;

/// The hidden command by which the program starts itself for one work unit.
pub(crate) const EXECUTE: &str = "__execute";

/// Disk space given to the network if nothing else is said, in bytes.
const DEFAULT_GIVE: u64 = 4 << 30;

/// Hears how far a command is: done, and to be done in all.
pub type Progress = Box<dyn Fn(u64, u64) + Send + Sync>;

/// How a node misbehaves on purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// It gives false results to others' jobs.
    Lie,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "lie" => Ok(Self::Lie),
            _ => Err("the only fault is `lie`".to_owned()),
        }
    }
}

/// What a node is started with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeConfig {
    /// The node key.
    pub key: NodeKey,
    /// The folder of the block store.
    pub blocks: PathBuf,
    /// Where to listen for UDP, and with which addresses for the relay's clients.
    pub udp: Binding,
    /// Nodes to begin with.
    pub bootstrap: Vec<(Address, PublicKey)>,
    /// What [`Node::nodes_to_save`] gave in the last run.
    pub saved_nodes: Vec<(PublicKey, Address)>,
    /// Take part in LAN discovery.
    pub lan_discovery: bool,
    /// The message of the day, which whoever asks is told.
    pub motd: String,
    /// TCP ports at which to be a relay for others; 0 means any free one.
    pub relay_ports: Vec<u16>,
    /// Disk space given to the network, in bytes.
    pub give: u64,
    /// Work units run at once for others.
    pub slots: usize,
    /// Misbehaviour on purpose.
    pub fault: Option<Fault>,
}

impl NodeConfig {
    /// A node with this key that keeps its blocks in this folder, and defaults for the rest: any free
    /// UDP port on all interfaces, nobody to begin with, 4 GiB of disk, one work unit at a time.
    pub fn new(key: NodeKey, blocks: PathBuf) -> Self {
        Self {
            key,
            blocks,
            udp: Binding::any(0),
            bootstrap: Vec::new(),
            saved_nodes: Vec::new(),
            lan_discovery: false,
            motd: String::new(),
            relay_ports: Vec::new(),
            give: DEFAULT_GIVE,
            slots: 1,
            fault: None,
        }
    }
}

/// A program to run over a stored file.
#[derive(Clone, Debug)]
pub struct ComputeRequest {
    /// The program's file.
    pub program: PathBuf,
    /// The capability of the input.
    pub input: String,
    /// Bytes of input a piece.
    pub piece: u64,
    /// How many different nodes run each piece.
    pub replicas: u32,
    /// How long one piece may run.
    pub unit_timeout: Duration,
    /// Both replicas of a piece may go to nodes of one network: right for one's own machines, wrong
    /// among strangers, where one owner may sit behind both.
    pub one_network: bool,
}

/// A running node. It stops when it is dropped.
pub struct Node {
    tdc: Tdc,
    udp_port: u16,
    relay_ports: Vec<u16>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.tdc.public_key())
    }
}

impl Node {
    /// Starts a node on the current tokio runtime.
    ///
    /// # Errors
    /// [`NodeError::Store`] if the blocks cannot be opened, [`NodeError::Start`] if a socket or
    /// randomness cannot be had.
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let start = |error: &dyn fmt::Display| NodeError::Start(error.to_string());
        let rng = system_rng().map_err(|error| start(&error))?;
        let options = RocksOptions::new(config.give);
        let store = RocksStore::open(&config.blocks, options, rng.child("store"))
            .map_err(|error| NodeError::Store(error.to_string()))?;
        let executor = executor(&config).map_err(|error| start(&error))?;
        let donation = Donation { slots: config.slots, ..Donation::default() };
        let mut settings = toktok_tdc::Config::default();
        settings.tdfs.mesh.dht.lan_discovery = config.lan_discovery;
        settings.tdfs.mesh.dht.motd = config.motd;
        let relays = config.udp.relays(&config.relay_ports);
        let (listeners, relay_ports) = relays.map_err(|error| start(&error))?;
        let mut builder = Tdc::builder(config.key, Box::new(store), executor)
            .config(settings)
            .donation(donation)
            .bind(config.udp)
            .relays(listeners);
        for (address, key) in config.bootstrap {
            builder = builder.bootstrap(address, key);
        }
        let tdc = builder.spawn().await.map_err(|error| start(&error))?;
        let saved = config.saved_nodes;
        tdc.with_stack(move |stack, now| stack.tdfs_mut().mesh_mut().load_nodes(now, &saved))
            .await
            .map_err(failed)?;
        let udp = tdc.addresses().first().and_then(Address::as_udp);
        Ok(Self { relay_ports, udp_port: udp.map_or(0, |address| address.port()), tdc })
    }

    /// The key under which others reach this node.
    pub const fn key(&self) -> PublicKey {
        self.tdc.public_key()
    }

    /// The UDP port that it is bound to.
    pub const fn udp_port(&self) -> u16 {
        self.udp_port
    }

    /// The TCP ports at which it is a relay.
    pub fn relay_ports(&self) -> &[u16] {
        &self.relay_ports
    }

    /// The layers beneath, for what this front door does not offer.
    pub const fn layers(&self) -> &Tdc {
        &self.tdc
    }

    /// Nodes by which the next start finds the network without being told any.
    ///
    /// # Errors
    /// [`NodeError::Failed`] if it has stopped.
    pub async fn nodes_to_save(&self) -> Result<Vec<(PublicKey, Address)>, NodeError> {
        let nodes = self.tdc.with_stack(|stack, _| stack.tdfs().mesh().nodes_to_save());
        nodes.await.map_err(failed)
    }

    /// Who it is and what it does.
    ///
    /// # Errors
    /// [`NodeError::Failed`] if it has stopped.
    pub async fn status(&self) -> Result<Status, NodeError> {
        let status = self.tdc.status().await.map_err(failed)?;
        let held = self.tdc.with_stack(|stack, _| {
            let (mesh, retention) = (stack.tdfs().mesh(), stack.tdfs().core().retention());
            let of_mesh = (mesh.close_nodes().count(), mesh.relay_client_count());
            (of_mesh, retention.len() as u64, retention.bytes())
        });
        let ((dht_nodes, relay_clients), blocks, bytes) = held.await.map_err(failed)?;
        Ok(Status {
            node_key: status.key.to_string(),
            udp_port: Some(self.udp_port),
            tcp_relay_ports: self.relay_ports.clone(),
            relay_clients,
            dht_nodes,
            sessions: status.sessions,
            neighbours: status.neighbours,
            workers: status.workers,
            blocks,
            bytes,
            dropped: status.mesh_drops.total(),
            ..Status::default()
        })
    }

    /// Stores a file; returns its capability and its length in bytes.
    ///
    /// # Errors
    /// [`NodeError::File`] if it cannot be read, [`NodeError::Failed`] if the network does not take it.
    pub async fn put(&self, path: &Path, progress: Progress) -> Result<(String, u64), NodeError> {
        readable(path).await?;
        let told = |event: &PutEvent| {
            if let PutEvent::Progress { blocks_done, blocks_total, .. } = event {
                progress(*blocks_done, *blocks_total);
            }
        };
        let stored = self.tdc.put_file(path, told).await.map_err(failed)?;
        Ok((stored.capability.to_string(), stored.length))
    }

    /// Fetches a file by its capability into `path`; returns its length in bytes.
    ///
    /// # Errors
    /// [`NodeError::Failed`] if the text is no capability or the file cannot be had,
    /// [`NodeError::File`] if `path` cannot be written.
    pub async fn get(
        &self,
        capability: &str,
        path: &Path,
        progress: Progress,
    ) -> Result<u64, NodeError> {
        let capability = parse(capability)?;
        let told = |event: &GetEvent| {
            if let GetEvent::Progress { bytes_done, bytes_total, .. } = event {
                progress(*bytes_done, *bytes_total);
            }
        };
        let fetched = self.tdc.get_file(&capability, path, told).await.map_err(failed)?;
        Ok(fetched.bytes)
    }

    /// Runs a program over a stored file, on other nodes, in pieces.
    ///
    /// # Errors
    /// [`NodeError::File`] if the program cannot be read, [`NodeError::Failed`] if there is no result.
    pub async fn compute(
        &self,
        request: ComputeRequest,
        progress: Progress,
    ) -> Result<Computed, NodeError> {
        parse(&request.input)?;
        readable(&request.program).await?;
        let program = self.tdc.put_file(&request.program, |_| ()).await.map_err(failed)?;
        let told = |event: &JobEvent| {
            if let JobEvent::JobProgress { done, units, .. } = event {
                progress(u64::from(*done), u64::from(*units));
            }
        };
        let spec = job(&request, program.capability.to_string());
        let report = self.tdc.run(spec, told).await.map_err(failed)?;
        Ok(computed(&report))
    }
}

/// What runs programs: this very program in child processes, or a liar around it.
fn executor(config: &NodeConfig) -> std::io::Result<Box<dyn Executor>> {
    let honest = ChildExecutor::current_exe(EXECUTE)?;
    Ok(match config.fault {
        None => Box::new(honest),
        Some(Fault::Lie) => Box::new(LyingExecutor::new(honest, Lie::always(1))),
    })
}

/// The job that a request stands for.
fn job(request: &ComputeRequest, program: String) -> JobSpec {
    let mut spec = JobSpec::map_reduce(program, request.input.clone());
    spec.split = Split::Bytes { unit_bytes: request.piece, boundary: Boundary::Whitespace };
    spec.policy.replicas = u8::try_from(request.replicas).unwrap_or(u8::MAX);
    spec.policy.limits = Limits { wall: request.unit_timeout, ..Limits::default() };
    spec.policy.distinct_networks = !request.one_network;
    spec
}

fn computed(report: &JobReport) -> Computed {
    Computed {
        result: String::from_utf8_lossy(&report.result).into_owned(),
        units: u64::from(report.units),
        executions: report.executions,
        arbitrations: report.arbitrations,
        liars: report.liars.iter().map(PublicKey::to_string).collect(),
        workers: report.workers,
    }
}

fn parse(capability: &str) -> Result<Capability, NodeError> {
    capability.parse().map_err(|error| NodeError::Failed(format!("the capability: {error}")))
}

/// Says which file cannot be read before anything is begun with it.
async fn readable(path: &Path) -> Result<(), NodeError> {
    let opened = tokio::fs::File::open(path).await;
    opened.map(drop).map_err(|source| NodeError::File { path: path.to_owned(), source })
}

fn failed(error: impl fmt::Display) -> NodeError {
    NodeError::Failed(error.to_string())
}

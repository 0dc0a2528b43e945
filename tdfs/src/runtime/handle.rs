//! The front door for programs that use tokio.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{broadcast, mpsc};
use toktok_mesh::Machine;
use toktok_mesh::runtime::transport::BindError;
use toktok_mesh::runtime::{
    Binding, Clock, Driver, EntropyError, Handle, Stopped, Transport, follow_interfaces, system_rng,
};
use toktok_wire::{Address, NodeKey, PublicKey, Time};

use super::desk::{Desk, Sink, Source};
use super::transfer::{Download, GetFailure, PutFailure, Upload};
use super::worker::{Worker, facts};
use crate::capability::{Capability, FileKind};
use crate::client::{GetError, Secrecy};
use crate::config::Config;
use crate::core::{Event, GetId, TransferId};
use crate::error::StartError;
use crate::stack::Stack;
use crate::store::BlockStore;

/// Pieces of a streamed download that wait for their reader.
const STREAM_QUEUE: usize = 4;

/// A stack that has a file system in it: this layer's own, or that of a layer above.
pub trait HasTdfs: Machine {
    /// The file system.
    fn tdfs(&mut self) -> &mut Stack;
}

impl HasTdfs for Stack {
    fn tdfs(&mut self) -> &mut Stack {
        self
    }
}

/// A node could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// No socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The store cannot be read, or the configuration is impossible.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No thread for the store.
    #[error("the operating system has no thread for the block store: {0}")]
    Thread(#[source] std::io::Error),
}

/// A node to be started.
pub struct TdfsBuilder {
    key: NodeKey,
    store: Box<dyn BlockStore>,
    config: Config,
    bootstrap: Vec<(Address, PublicKey)>,
    udp: Option<Binding>,
    transports: Vec<Box<dyn Transport>>,
}

impl std::fmt::Debug for TdfsBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TdfsBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl TdfsBuilder {
    /// How the node behaves, instead of the default.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// A node through which to get to know the network. Without any, this is the first.
    #[must_use]
    pub fn bootstrap(mut self, address: Address, key: PublicKey) -> Self {
        self.bootstrap.push((address, key));
        self
    }

    /// The only UDP address to bind; by default any free port of all interfaces, in both families.
    #[must_use]
    pub const fn udp(self, address: SocketAddr) -> Self {
        self.bind(Binding::at(address))
    }

    /// Where to listen for UDP, instead of any free port of all interfaces.
    #[must_use]
    pub const fn bind(mut self, binding: Binding) -> Self {
        self.udp = Some(binding);
        self
    }

    /// No UDP: only the transports that are added.
    #[must_use]
    pub const fn without_udp(mut self) -> Self {
        self.udp = None;
        self
    }

    /// A transport of one's own, beside UDP.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transports.push(Box::new(transport));
        self
    }

    /// Starts the node on the current tokio runtime.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub async fn spawn(self) -> Result<Tdfs, SpawnError> {
        let mut transports: Vec<Box<dyn Transport>> = Vec::new();
        if let Some(binding) = self.udp {
            transports.extend(binding.udp()?.into_iter().map(|it| Box::new(it) as _));
        }
        transports.extend(self.transports);
        let addresses = transports.iter().map(|transport| transport.local_address()).collect();
        let (rng, clock) = (system_rng()?, Clock::start());
        let now = clock.now();
        let held = facts(self.store.as_ref(), now).map_err(StartError::from)?;
        let takes_part_in_lan = self.config.mesh.dht.lan_discovery;
        let mut config = self.config;
        config.mesh.epoch = clock.epoch();
        let mut stack = Stack::new(config, self.key, held, rng, now)?;
        for (address, key) in self.bootstrap {
            stack.bootstrap(now, address, key);
        }
        let key = stack.public_key();
        let desk = Desk::new();
        let worker = Worker::start(self.store, desk.clone(), now).map_err(SpawnError::Thread)?;
        let listener = desk.clone();
        let handle = Driver::new(stack, clock, transports)
            .on_event(move |event| listener.handle_event(&event))
            .on_io(move |request, reply| worker.handle(request, |result| reply.send(result)))
            .spawn();
        if takes_part_in_lan {
            follow_interfaces(&handle, |stack| stack.mesh_mut());
        }
        Ok(Tdfs { handle, desk, key, addresses })
    }
}

/// A running node of the file system. Cheap to clone; it stops when the last handle of it is dropped.
pub struct Tdfs<M = Stack> {
    handle: Handle<M>,
    desk: Desk,
    key: PublicKey,
    addresses: Vec<Address>,
}

impl<M> Clone for Tdfs<M> {
    fn clone(&self) -> Self {
        let (handle, desk) = (self.handle.clone(), self.desk.clone());
        Self { handle, desk, key: self.key, addresses: self.addresses.clone() }
    }
}

impl<M> std::fmt::Debug for Tdfs<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tdfs({:?})", self.key)
    }
}

impl Tdfs {
    /// A node with this key that keeps blocks in `store`.
    pub fn builder(key: NodeKey, store: Box<dyn BlockStore>) -> TdfsBuilder {
        TdfsBuilder {
            key,
            store,
            config: Config::default(),
            bootstrap: Vec::new(),
            udp: Some(Binding::any(0)),
            transports: Vec::new(),
        }
    }
}

impl<M: HasTdfs + 'static> Tdfs<M> {
    /// The front door to the file system within another layer's stack. That layer's driver hands this
    /// one's events to the `desk` and its work to a [`Worker`] of the same desk.
    pub fn attach(handle: Handle<M>, desk: Desk, key: PublicKey, addresses: Vec<Address>) -> Self {
        Self { handle, desk, key, addresses }
    }

    /// The key under which the mesh knows this node.
    pub const fn public_key(&self) -> PublicKey {
        self.key
    }

    /// The local addresses of its transports, UDP first.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Runs `command` on the stack itself, for what this front door does not offer.
    ///
    /// # Errors
    /// [`Stopped`] if the node has stopped.
    pub async fn with_stack<R: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Stack, Time) -> R + Send + 'static,
    ) -> Result<R, Stopped> {
        self.handle.call(move |machine, now| command(machine.tdfs(), now)).await
    }

    /// Waits until the node has `count` neighbours.
    ///
    /// # Errors
    /// [`Stopped`] if the node has stopped.
    pub async fn neighbours(&self, count: usize) -> Result<(), Stopped> {
        let mut neighbours = self.desk.neighbours();
        tokio::select! {
            reached = neighbours.wait_for(|now| *now >= count) => {
                reached.map(|_| ()).map_err(|_| Stopped)
            }
            () = self.handle.stopped() => Err(Stopped),
        }
    }

    /// What happens beside the transfers, from now on. A listener that lags misses some.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.desk.subscribe()
    }

    /// Stores bytes.
    ///
    /// # Errors
    /// [`PutFailure`] if it cannot even begin.
    pub async fn put(&self, content: impl Into<Bytes>) -> Result<Upload, PutFailure> {
        let content = content.into();
        let length = content.len() as u64;
        let source = Source::Bytes(content);
        self.begin_put(FileKind::File, length, source, Secrecy::Random).await
    }

    /// Stores a file of the disk. It is read while it is stored: it must not change.
    ///
    /// # Errors
    /// [`PutFailure`] if it cannot even begin.
    pub async fn put_path(&self, path: impl AsRef<Path>) -> Result<Upload, PutFailure> {
        let path = path.as_ref().to_owned();
        let open = move || {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        let opened = tokio::task::spawn_blocking(open).await.map_err(|_| Stopped)?;
        let (file, length) = opened.map_err(PutFailure::Open)?;
        self.begin_put(FileKind::File, length, Source::File(file), Secrecy::Random).await
    }

    /// Stores bytes as a file or a directory's manifest, with a key of one's choice.
    ///
    /// # Errors
    /// [`PutFailure`] if it cannot even begin.
    pub async fn put_as(
        &self,
        kind: FileKind,
        content: impl Into<Bytes>,
        secrecy: Secrecy,
    ) -> Result<Upload, PutFailure> {
        let content = content.into();
        let length = content.len() as u64;
        self.begin_put(kind, length, Source::Bytes(content), secrecy).await
    }

    async fn begin_put(
        &self,
        kind: FileKind,
        length: u64,
        source: Source,
        secrecy: Secrecy,
    ) -> Result<Upload, PutFailure> {
        let (desk, source) = (self.desk.clone(), Arc::new(Mutex::new(source)));
        let begin = move |machine: &mut M, _| {
            let id = TransferId::Put(machine.tdfs().put(kind, length, secrecy)?);
            Ok::<_, PutFailure>((id, desk.add_put(id, source)))
        };
        let (id, events) = self.handle.call(begin).await??;
        Ok(Upload::new(id, events, self.desk.clone(), self.handle.clone()))
    }

    /// Fetches a file into memory: see [`Download::finish_with_bytes`].
    ///
    /// # Errors
    /// [`GetFailure`] if it cannot even begin.
    pub async fn get(&self, capability: &Capability) -> Result<Download, GetFailure> {
        self.get_range(capability, 0, u64::MAX).await
    }

    /// Fetches `length` bytes from `offset` on into memory, or as many as there are.
    ///
    /// # Errors
    /// [`GetFailure`] if it cannot even begin.
    pub async fn get_range(
        &self,
        capability: &Capability,
        offset: u64,
        length: u64,
    ) -> Result<Download, GetFailure> {
        let capability = capability.clone();
        let sink = Sink::Memory(Vec::new());
        self.begin_get(sink, move |stack| stack.get_range(&capability, offset, length)).await
    }

    /// Fetches a file to the disk. What is there is overwritten.
    ///
    /// # Errors
    /// [`GetFailure`] if it cannot even begin.
    pub async fn get_path(
        &self,
        capability: &Capability,
        path: impl AsRef<Path>,
    ) -> Result<Download, GetFailure> {
        let path = path.as_ref().to_owned();
        let made = tokio::task::spawn_blocking(|| File::create(path)).await.map_err(|_| Stopped)?;
        let sink = Sink::File(made.map_err(GetFailure::Open)?);
        let capability = capability.clone();
        self.begin_get(sink, move |stack| stack.get(&capability)).await
    }

    /// Fetches a file as a stream of pieces, in order. A reader that stops slows the download down; one
    /// that goes away ends it.
    ///
    /// # Errors
    /// [`GetFailure`] if it cannot even begin.
    pub async fn get_stream(
        &self,
        capability: &Capability,
    ) -> Result<(Download, mpsc::Receiver<Bytes>), GetFailure> {
        let (sender, pieces) = mpsc::channel(STREAM_QUEUE);
        let capability = capability.clone();
        let begin = move |stack: &mut Stack| stack.get(&capability);
        Ok((self.begin_get(Sink::Stream(sender), begin).await?, pieces))
    }

    async fn begin_get(
        &self,
        sink: Sink,
        begin: impl FnOnce(&mut Stack) -> Result<GetId, GetError> + Send + 'static,
    ) -> Result<Download, GetFailure> {
        let (desk, sink) = (self.desk.clone(), Arc::new(Mutex::new(sink)));
        let shared = Arc::clone(&sink);
        let begin = move |machine: &mut M, _| {
            let id = TransferId::Get(begin(machine.tdfs())?);
            Ok::<_, GetFailure>((id, desk.add_get(id, shared)))
        };
        let (id, events) = self.handle.call(begin).await??;
        Ok(Download::new(id, events, sink, self.desk.clone(), self.handle.clone()))
    }
}

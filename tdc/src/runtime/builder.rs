//! A node to be started.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use toktok_mesh::runtime::{
    Binding, Clock, Driver, IoReply, Transport, follow_interfaces, system_rng,
};
use toktok_tdfs::StartError;
use toktok_tdfs::runtime::{Desk, HasTdfs, SpawnError, Tdfs, Worker, facts};
use toktok_tdfs::store::BlockStore;
use toktok_wire::{Address, NodeKey, PublicKey};

use super::job::Jobs;
use super::tdc::Tdc;
use crate::engine::{Executor, compute};
use crate::stack::{Config, Event, IoRequest, IoResult, Stack};
use crate::worker::Donation;

impl HasTdfs for Stack {
    fn tdfs(&mut self) -> &mut toktok_tdfs::Stack {
        self.tdfs_mut()
    }
}

/// A node to be started.
pub struct TdcBuilder {
    key: NodeKey,
    store: Box<dyn BlockStore>,
    executor: Arc<dyn Executor>,
    config: Config,
    bootstrap: Vec<(Address, PublicKey)>,
    udp: Option<Binding>,
    transports: Vec<Box<dyn Transport>>,
    relays: Vec<TcpListener>,
}

impl fmt::Debug for TdcBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TdcBuilder").field("key", &self.key).finish_non_exhaustive()
    }
}

impl TdcBuilder {
    pub(super) fn new(
        key: NodeKey,
        store: Box<dyn BlockStore>,
        executor: Arc<dyn Executor>,
    ) -> Self {
        Self {
            key,
            store,
            executor,
            config: Config::default(),
            bootstrap: Vec::new(),
            udp: Some(Binding::any(0)),
            transports: Vec::new(),
            relays: Vec::new(),
        }
    }

    /// How the node behaves, instead of the default.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// What the node gives to others' jobs.
    #[must_use]
    pub const fn donation(mut self, donation: Donation) -> Self {
        self.config.donation = donation;
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
    pub fn udp(self, address: SocketAddr) -> Self {
        self.bind(Binding::at(address))
    }

    /// Where to listen for UDP, instead of any free port of all interfaces.
    #[must_use]
    pub fn bind(mut self, binding: Binding) -> Self {
        self.udp = Some(binding);
        self
    }

    /// No UDP: only the transports that are added.
    #[must_use]
    pub fn without_udp(mut self) -> Self {
        self.udp = None;
        self
    }

    /// A transport of one's own, beside UDP.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transports.push(Box::new(transport));
        self
    }

    /// Be a TCP relay for others at these listeners: see [`Binding::relays`].
    #[must_use]
    pub fn relays(mut self, listeners: Vec<TcpListener>) -> Self {
        self.config.tdfs.mesh.relay_server = !listeners.is_empty();
        self.relays = listeners;
        self
    }

    /// Starts the node on the current tokio runtime.
    ///
    /// # Errors
    /// [`SpawnError`] if there is no socket, no randomness, or the store cannot be read.
    pub async fn spawn(self) -> Result<Tdc, SpawnError> {
        let mut transports: Vec<Box<dyn Transport>> = Vec::new();
        if let Some(binding) = self.udp {
            transports.extend(binding.udp()?.into_iter().map(|it| Box::new(it) as _));
        }
        transports.extend(self.transports);
        let addresses = transports.iter().map(|transport| transport.local_address()).collect();
        let (rng, clock) = (system_rng()?, Clock::start());
        let now = clock.now();
        let held = facts(self.store.as_ref(), now).map_err(StartError::from)?;
        let takes_part_in_lan = self.config.tdfs.mesh.dht.lan_discovery;
        let mut config = self.config;
        config.tdfs.mesh.epoch = clock.epoch();
        let mut stack = Stack::new(config, self.key, held, rng, now)?;
        for (address, key) in self.bootstrap {
            stack.bootstrap(now, address, key);
        }
        let key = stack.public_key();
        let (desk, jobs) = (Desk::new(), Jobs::default());
        let worker = Worker::start(self.store, desk.clone(), now).map_err(SpawnError::Thread)?;
        let (listener, told, executor) = (desk.clone(), jobs.clone(), self.executor);
        let handle = Driver::new(stack, clock, transports)
            .listen(self.relays)
            .on_event(move |event| match event {
                Event::Tdfs(event) => listener.handle_event(&event),
                Event::Job(event) => told.handle_event(event),
            })
            .on_io(move |request, reply| serve(&worker, &executor, request, reply))
            .spawn();
        if takes_part_in_lan {
            follow_interfaces(&handle, |stack| stack.tdfs_mut().mesh_mut());
        }
        let tdfs = Tdfs::attach(handle.clone(), desk, key, addresses);
        Ok(Tdc::new(handle, tdfs, jobs))
    }
}

/// Hands a piece of work to the thread that does it.
fn serve(worker: &Worker, executor: &Arc<dyn Executor>, request: IoRequest, reply: IoReply<Stack>) {
    match request {
        IoRequest::Tdfs(request) => {
            worker.handle(request, |result| reply.send(IoResult::Tdfs(result)));
        }
        IoRequest::Execute(execution) => {
            let executor = Arc::clone(executor);
            tokio::task::spawn_blocking(move || {
                reply.send(IoResult::Executed(compute(executor.as_ref(), &execution)));
            });
        }
    }
}

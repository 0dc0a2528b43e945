//! The front door: [`Mesh`], [`Session`] and [`Channel`] for programs that use tokio.

mod dispatch;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{Notify, mpsc, oneshot};

use self::dispatch::Dispatch;
use super::binding::Binding;
use super::clock::Clock;
use super::driver::{Driver, Handle, Stopped};
use super::entropy::{EntropyError, system_rng};
use super::interfaces::follow_interfaces;
use super::transport::{BindError, Transport};
use crate::channel::ChannelId;
use crate::config::Config;
use crate::error::{ConnectError, OpenError, SendError};
use crate::stack::Stack;
use crate::wire::{Address, KeyPair, NodeKey, PublicKey};

/// Channels that peers opened and nobody has accepted yet, a protocol; more are closed at once.
const ACCEPT_QUEUE: usize = 64;

/// Bytes of messages that may lie unread in one channel before it is closed: a reader that stopped
/// reading must not fill the memory.
const MAX_UNREAD: usize = 64 << 20;

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
    /// A relay's port cannot be had.
    #[error(
        "cannot be a TCP relay at port {port}: {source}. Choose another port, or 0 for any free one"
    )]
    Relay {
        /// The port.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A session or a channel could not be had.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The peer was not reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The channel could not be asked for.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The peer does not speak this protocol, or the session ended before it answered.
    #[error("the peer refused the channel: it does not speak this protocol, or went away")]
    Refused,
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// A message could not be sent.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SendFailure {
    /// The channel did not take it.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// What a node is started with.
#[derive(Debug)]
pub struct MeshBuilder {
    keys: Option<KeyPair>,
    config: Config,
    bootstrap: Vec<(Address, PublicKey)>,
    udp: Option<Binding>,
    transports: Vec<Box<dyn Transport>>,
    relay_ports: Vec<u16>,
}

impl Default for MeshBuilder {
    fn default() -> Self {
        Self {
            keys: None,
            config: Config::default(),
            bootstrap: Vec::new(),
            udp: Some(Binding::any(0)),
            transports: Vec::new(),
            relay_ports: Vec::new(),
        }
    }
}

impl MeshBuilder {
    /// The key under which others reach this node; a fresh one if none is given.
    #[must_use]
    pub fn key(mut self, key: &NodeKey) -> Self {
        self.keys = Some(key.mesh_keys());
        self
    }

    /// Tunables other than the defaults.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// A node to begin with. One that answers is enough.
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

    /// The TCP ports at which this node is a relay for others, on the interfaces of its UDP address;
    /// 0 means any free one. None by default.
    #[must_use]
    pub fn relay_ports(mut self, ports: Vec<u16>) -> Self {
        self.relay_ports = ports;
        self
    }

    /// Starts the node on the current tokio runtime.
    ///
    /// # Errors
    /// [`SpawnError`] if there is no socket or no randomness to be had.
    pub async fn spawn(self) -> Result<Mesh, SpawnError> {
        let mut transports: Vec<Box<dyn Transport>> = Vec::new();
        if let Some(binding) = self.udp {
            transports.extend(binding.udp()?.into_iter().map(|it| Box::new(it) as _));
        }
        transports.extend(self.transports);
        let addresses = transports.iter().map(|transport| transport.local_address()).collect();
        let binding = self.udp.unwrap_or(Binding::any(0));
        let (listeners, relay_ports) = binding.relays(&self.relay_ports)?;
        let clock = Clock::start();
        let (relay_server, epoch) = (!listeners.is_empty(), clock.epoch());
        let config = Config { relay_server, epoch, ..self.config };
        let takes_part_in_lan = config.dht.lan_discovery;
        let mut rng = system_rng()?;
        let keys = self.keys.unwrap_or_else(|| KeyPair::generate(&mut rng));
        let key = keys.public;
        let mut stack = Stack::new(config, keys, rng, clock.now());
        for (address, key) in self.bootstrap {
            stack.bootstrap(clock.now(), address, key);
        }
        let (dispatch, sink) = Dispatch::new();
        let handle = Driver::new(stack, clock, transports).listen(listeners).on_event(sink).spawn();
        dispatch.attach(handle.clone());
        if takes_part_in_lan {
            follow_interfaces(&handle, |stack| stack);
        }
        Ok(Mesh { handle, dispatch, key, addresses, relay_ports })
    }
}

/// A running node of the mesh. Cheap to clone; it stops when the last handle of it is dropped.
#[derive(Clone, Debug)]
pub struct Mesh {
    handle: Handle<Stack>,
    dispatch: Dispatch,
    key: PublicKey,
    addresses: Vec<Address>,
    relay_ports: Vec<u16>,
}

impl Mesh {
    /// A node to be configured.
    pub fn builder() -> MeshBuilder {
        MeshBuilder::default()
    }

    /// The key under which others reach this node.
    pub const fn public_key(&self) -> PublicKey {
        self.key
    }

    /// The TCP ports at which it is a relay for others.
    pub fn relay_ports(&self) -> &[u16] {
        &self.relay_ports
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
        command: impl FnOnce(&mut Stack, crate::Time) -> R + Send + 'static,
    ) -> Result<R, Stopped> {
        self.handle.call(command).await
    }

    /// Finds the address of a node by its key; `None` if the network does not know it now.
    ///
    /// # Errors
    /// [`Stopped`] if the node has stopped.
    pub async fn lookup(&self, key: PublicKey) -> Result<Option<Address>, Stopped> {
        let (found, answer) = oneshot::channel();
        let dispatch = self.dispatch.clone();
        self.handle
            .call(move |stack, now| dispatch.await_lookup(stack.lookup(now, key), found))
            .await?;
        answer.await.map_err(|_| Stopped)
    }

    /// An authenticated session with `peer`, wherever it is now.
    ///
    /// # Errors
    /// [`ConnectFailure`] if it is not found or does not answer.
    pub async fn connect(&self, peer: PublicKey) -> Result<Session, ConnectFailure> {
        self.connect_at(peer, None).await
    }

    /// As [`Mesh::connect`], with an address at which the peer may be.
    ///
    /// # Errors
    /// As [`Mesh::connect`].
    pub async fn connect_at(
        &self,
        peer: PublicKey,
        hint: Option<Address>,
    ) -> Result<Session, ConnectFailure> {
        let (done, outcome) = oneshot::channel();
        let dispatch = self.dispatch.clone();
        self.handle
            .call(move |stack, now| {
                if stack.is_connected(peer) {
                    let _ = done.send(Ok(()));
                } else {
                    dispatch.await_session(peer, done);
                    stack.connect(now, peer, hint);
                }
            })
            .await?;
        outcome.await.map_err(|_| Stopped)??;
        Ok(Session { mesh: self.clone(), peer })
    }

    /// Accepts channels of `protocol` that peers open, from now on.
    ///
    /// # Errors
    /// [`Stopped`] if the node has stopped.
    pub async fn listen(&self, protocol: &str) -> Result<Listener, Stopped> {
        let (sender, channels) = mpsc::channel(ACCEPT_QUEUE);
        let (dispatch, protocol) = (self.dispatch.clone(), protocol.to_owned());
        self.handle
            .call(move |stack, _| {
                stack.listen(&protocol);
                dispatch.add_listener(protocol, sender);
            })
            .await?;
        Ok(Listener { channels })
    }
}

/// A session with one peer: mutually authenticated, encrypted, forward-secret.
#[derive(Clone, Debug)]
pub struct Session {
    mesh: Mesh,
    peer: PublicKey,
}

impl Session {
    /// With whom.
    pub const fn peer(&self) -> PublicKey {
        self.peer
    }

    /// Opens a channel that speaks `protocol`, and waits until the peer has accepted.
    ///
    /// # Errors
    /// [`ConnectFailure`] if the session is gone or the peer refuses.
    pub async fn open(&self, protocol: &str) -> Result<Channel, ConnectFailure> {
        let (accepted, answer) = oneshot::channel();
        let (dispatch, handle) = (self.mesh.dispatch.clone(), self.mesh.handle.clone());
        let (peer, protocol) = (self.peer, protocol.to_owned());
        let channel = self
            .mesh
            .handle
            .call(move |stack, now| {
                let id = stack.open(now, peer, &protocol)?;
                Ok::<_, OpenError>(dispatch.new_channel(handle, id, peer, Some(accepted)))
            })
            .await??;
        answer.await.map_err(|_| ConnectFailure::Refused)?;
        Ok(channel)
    }

    /// Ends the session and all its channels.
    ///
    /// # Errors
    /// [`Stopped`] if the node has stopped.
    pub async fn close(self) -> Result<(), Stopped> {
        let peer = self.peer;
        self.mesh.handle.call(move |stack, now| stack.disconnect(now, peer)).await
    }
}

/// Channels of one protocol that peers open.
#[derive(Debug)]
pub struct Listener {
    channels: mpsc::Receiver<Channel>,
}

impl Listener {
    /// The next channel; `None` when the node has stopped.
    pub async fn accept(&mut self) -> Option<Channel> {
        self.channels.recv().await
    }
}

/// A named protocol on a session: reliable, ordered messages of up to 1 MiB. Closed when dropped.
pub struct Channel {
    handle: Handle<Stack>,
    id: ChannelId,
    peer: PublicKey,
    inbox: mpsc::UnboundedReceiver<Bytes>,
    unread: Arc<AtomicUsize>,
    writable: Arc<Notify>,
}

impl Channel {
    /// With whom.
    pub const fn peer(&self) -> PublicKey {
        self.peer
    }

    /// Sends a message, waiting while the channel's queue is full.
    ///
    /// # Errors
    /// [`SendFailure`] if the channel is gone or the message longer than 1 MiB.
    pub async fn send(&self, message: impl Into<Bytes>) -> Result<(), SendFailure> {
        let (id, message) = (self.id, message.into());
        loop {
            let copy = message.clone();
            let writable = self.writable.notified();
            match self.handle.call(move |stack, now| stack.send(now, id, copy)).await? {
                Ok(()) => return Ok(()),
                Err(SendError::Full) => writable.await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next message; `None` when the channel is closed and everything was read.
    pub async fn recv(&mut self) -> Option<Bytes> {
        let message = self.inbox.recv().await?;
        self.unread.fetch_sub(message.len(), Ordering::Relaxed);
        Some(message)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("id", &self.id).field("peer", &self.peer).finish()
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let id = self.id;
        self.handle.post(move |stack, now| stack.close(now, id));
    }
}

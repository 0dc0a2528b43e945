//! Who waits for which event of the stack.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};

use super::{Channel, ConnectFailure, MAX_UNREAD};
use crate::channel::ChannelId;
use crate::event::{Event, LookupId};
use crate::runtime::driver::Handle;
use crate::stack::Stack;
use crate::wire::{Address, PublicKey};

type Outcome = oneshot::Sender<Result<(), ConnectFailure>>;

/// The waiting parties, shared between the driver's task and the handles. Locked for moments only.
#[derive(Clone)]
pub(super) struct Dispatch(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    handle: Option<WeakHandle>,
    sessions: BTreeMap<PublicKey, Vec<Outcome>>,
    lookups: BTreeMap<LookupId, oneshot::Sender<Option<Address>>>,
    channels: BTreeMap<ChannelId, Open>,
    listeners: BTreeMap<String, mpsc::Sender<Channel>>,
}

/// A handle that does not keep the driver alive.
type WeakHandle = super::super::driver::WeakHandle<Stack>;

/// The receiving end of a channel, as the dispatcher knows it.
struct Open {
    accepted: Option<oneshot::Sender<()>>,
    inbox: mpsc::UnboundedSender<Bytes>,
    unread: Arc<AtomicUsize>,
    writable: Arc<Notify>,
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dispatch")
    }
}

impl Dispatch {
    /// A dispatcher, and the sink for the driver's events.
    pub(super) fn new() -> (Self, impl FnMut(Event) + Send + 'static) {
        let dispatch = Self(Arc::default());
        let sink = dispatch.clone();
        (dispatch, move |event| sink.handle(event))
    }

    /// Names the driver that channels opened by peers will belong to.
    pub(super) fn attach(&self, handle: Handle<Stack>) {
        self.lock().handle = Some(handle.downgrade());
    }

    pub(super) fn await_session(&self, peer: PublicKey, outcome: Outcome) {
        self.lock().sessions.entry(peer).or_default().push(outcome);
    }

    pub(super) fn await_lookup(&self, id: LookupId, found: oneshot::Sender<Option<Address>>) {
        self.lock().lookups.insert(id, found);
    }

    pub(super) fn add_listener(&self, protocol: String, channels: mpsc::Sender<Channel>) {
        self.lock().listeners.insert(protocol, channels);
    }

    /// A channel's two ends: the one that is kept here and the one for the user.
    pub(super) fn new_channel(
        &self,
        handle: Handle<Stack>,
        id: ChannelId,
        peer: PublicKey,
        accepted: Option<oneshot::Sender<()>>,
    ) -> Channel {
        let (sender, inbox) = mpsc::unbounded_channel();
        let (unread, writable) = (Arc::default(), Arc::default());
        let open = Open {
            accepted,
            inbox: sender,
            unread: Arc::clone(&unread),
            writable: Arc::clone(&writable),
        };
        self.lock().channels.insert(id, open);
        Channel { handle, id, peer, inbox, unread, writable }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, event: Event) {
        match event {
            Event::LookupDone { lookup, address, .. } => {
                if let Some(found) = self.lock().lookups.remove(&lookup) {
                    let _ = found.send(address);
                }
            }
            Event::SessionUp { peer } => self.end_connecting(peer, Ok(())),
            Event::ConnectFailed { peer, reason } => self.end_connecting(peer, Err(reason.into())),
            Event::ChannelOpened { channel, peer, protocol, incoming } => {
                if incoming {
                    self.accept(channel, peer, &protocol);
                } else if let Some(open) = self.lock().channels.get_mut(&channel) {
                    let _ = open.accepted.take().map(|accepted| accepted.send(()));
                }
            }
            Event::ChannelClosed { channel, .. } => {
                self.lock().channels.remove(&channel);
            }
            Event::Message { channel, message, .. } => self.deliver(channel, message),
            Event::Writable { channel } => {
                if let Some(open) = self.lock().channels.get(&channel) {
                    open.writable.notify_waiters();
                }
            }
            _ => {}
        }
    }

    fn end_connecting(&self, peer: PublicKey, outcome: Result<(), ConnectFailure>) {
        let waiting = self.lock().sessions.remove(&peer).unwrap_or_default();
        for waiter in waiting {
            let _ = waiter.send(outcome);
        }
    }

    /// Hands a channel that a peer opened to its listener. If that does not keep up, dropping the
    /// channel closes it.
    fn accept(&self, id: ChannelId, peer: PublicKey, protocol: &str) {
        let (handle, listener) = {
            let waiting = self.lock();
            let handle = waiting.handle.as_ref().and_then(WeakHandle::upgrade);
            (handle, waiting.listeners.get(protocol).cloned())
        };
        if let (Some(handle), Some(listener)) = (handle, listener) {
            let channel = self.new_channel(handle, id, peer, None);
            let _ = listener.try_send(channel);
        }
    }

    fn deliver(&self, channel: ChannelId, message: Bytes) {
        let mut waiting = self.lock();
        let Some(open) = waiting.channels.get(&channel) else { return };
        let unread = open.unread.fetch_add(message.len(), Ordering::Relaxed) + message.len();
        if unread > MAX_UNREAD || open.inbox.send(message).is_err() {
            waiting.channels.remove(&channel);
            if let Some(handle) = waiting.handle.as_ref().and_then(WeakHandle::upgrade) {
                handle.post(move |stack, now| stack.close(now, channel));
            }
        }
    }
}

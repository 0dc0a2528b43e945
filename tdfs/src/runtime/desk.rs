//! Where transfers, their sources and sinks, and those who wait for them find each other.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, watch};

use crate::client::{GetEvent, Io, IoError, IoResult, PutEvent};
use crate::core::{Event, TransferId};

/// Events that a slow listener may lag behind before it misses some.
const EVENT_QUEUE: usize = 1024;

/// Where the bytes of an upload come from.
pub(super) enum Source {
    Bytes(Bytes),
    File(File),
}

/// Where the bytes of a download go.
#[derive(Debug)]
pub(super) enum Sink {
    Memory(Vec<u8>),
    File(File),
    Stream(mpsc::Sender<Bytes>),
}

impl Source {
    fn read(&mut self, offset: u64, length: usize) -> Result<Bytes, IoError> {
        match self {
            Self::Bytes(bytes) => {
                let start = usize::try_from(offset).map_err(|_| IoError::Shortened)?;
                let end = start.checked_add(length).filter(|end| *end <= bytes.len());
                end.map(|end| bytes.slice(start..end)).ok_or(IoError::Shortened)
            }
            Self::File(file) => {
                let mut bytes = vec![0; length];
                read_at(file, &mut bytes, offset)?;
                Ok(bytes.into())
            }
        }
    }
}

fn read_at(file: &mut File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}

impl Sink {
    fn write(&mut self, bytes: Bytes) -> Result<(), IoError> {
        match self {
            Self::Memory(all) => all.extend_from_slice(&bytes),
            Self::File(file) => file.write_all(&bytes)?,
            Self::Stream(sender) => sender
                .blocking_send(bytes)
                .map_err(|_| IoError::Failed(io::ErrorKind::BrokenPipe))?,
        }
        Ok(())
    }
}

/// One transfer that somebody waits for.
struct Order {
    source: Option<Arc<Mutex<Source>>>,
    sink: Option<Arc<Mutex<Sink>>>,
    puts: Option<mpsc::UnboundedSender<PutEvent>>,
    gets: Option<mpsc::UnboundedSender<Got>>,
}

/// What a download tells its owner.
#[derive(Debug)]
pub(super) enum Got {
    Event(GetEvent),
    Hops(u8),
}

struct Shared {
    orders: Mutex<BTreeMap<TransferId, Order>>,
    events: broadcast::Sender<Event>,
    neighbours: watch::Sender<usize>,
}

/// Knows every transfer's source, sink and owner. Cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<Shared>);

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desk")
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

impl Desk {
    /// A desk without transfers.
    pub fn new() -> Self {
        let (events, _) = broadcast::channel(EVENT_QUEUE);
        let (neighbours, _) = watch::channel(0);
        Self(Arc::new(Shared { orders: Mutex::default(), events, neighbours }))
    }

    fn orders(&self) -> MutexGuard<'_, BTreeMap<TransferId, Order>> {
        self.0.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event of the file system: it finds whoever waits for it. Does not block.
    pub fn handle_event(&self, event: &Event) {
        match event {
            Event::Put(id, event) => {
                let orders = self.orders();
                let order = orders.get(&TransferId::Put(*id));
                if let Some(puts) = order.and_then(|order| order.puts.as_ref()) {
                    let _ = puts.send(event.clone());
                }
                return;
            }
            Event::Get(id, event) => return self.tell(*id, Got::Event(event.clone())),
            Event::BlockFetched { get, hops } => return self.tell(*get, Got::Hops(*hops)),
            Event::NeighbourUp(_) => self.0.neighbours.send_modify(|count| *count += 1),
            Event::NeighbourDown(_) => {
                self.0.neighbours.send_modify(|count| *count = count.saturating_sub(1));
            }
            _ => {}
        }
        // Nobody may be listening.
        let _ = self.0.events.send(event.clone());
    }

    fn tell(&self, id: crate::core::GetId, got: Got) {
        let orders = self.orders();
        let order = orders.get(&TransferId::Get(id));
        if let Some(gets) = order.and_then(|order| order.gets.as_ref()) {
            let _ = gets.send(got);
        }
    }

    /// Events that are no transfer's, from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }

    /// How many neighbours there are.
    pub(super) fn neighbours(&self) -> watch::Receiver<usize> {
        self.0.neighbours.subscribe()
    }

    pub(super) fn add_put(&self, id: TransferId, source: Arc<Mutex<Source>>) -> PutEvents {
        let (puts, events) = mpsc::unbounded_channel();
        let order = Order { source: Some(source), sink: None, puts: Some(puts), gets: None };
        self.orders().insert(id, order);
        events
    }

    pub(super) fn add_get(&self, id: TransferId, sink: Arc<Mutex<Sink>>) -> GetEvents {
        let (gets, events) = mpsc::unbounded_channel();
        let order = Order { source: None, sink: Some(sink), puts: None, gets: Some(gets) };
        self.orders().insert(id, order);
        events
    }

    pub(super) fn remove(&self, id: TransferId) {
        self.orders().remove(&id);
    }

    /// Reads a source or writes a sink; blocks.
    pub(super) fn serve(&self, id: TransferId, io: Io) -> IoResult {
        let gone = || IoError::Failed(io::ErrorKind::NotConnected);
        let (source, sink) = match self.orders().get(&id) {
            Some(order) => (order.source.clone(), order.sink.clone()),
            None => (None, None),
        };
        match io {
            Io::ReadSource { offset, length } => IoResult::Source(
                source.ok_or_else(gone).and_then(|source| lock(&source).read(offset, length)),
            ),
            Io::WriteSink { bytes, .. } => {
                IoResult::Sink(sink.ok_or_else(gone).and_then(|sink| lock(&sink).write(bytes)))
            }
            // Coding was done before; this is for completeness.
            other => other.compute().unwrap_or_else(|_| IoResult::Sink(Err(gone()))),
        }
    }
}

pub(super) type PutEvents = mpsc::UnboundedReceiver<PutEvent>;
pub(super) type GetEvents = mpsc::UnboundedReceiver<Got>;

/// A lock that a panic elsewhere does not take from us.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

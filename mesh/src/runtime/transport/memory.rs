//! An in-memory network: for tests, examples, and as the smallest example of a custom transport.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use super::{Capabilities, MAX_DATAGRAM, Transport};
use crate::wire::{Address, CustomAddress, TransportId};

/// The registered number of the in-memory transport.
pub const MEMORY_TRANSPORT: TransportId = TransportId(1);

/// Datagrams that wait at one port; more are lost, as with UDP.
const QUEUE: usize = 1024;

type Queue = mpsc::Sender<(Address, Vec<u8>)>;

/// A network within this process, on which [`MemoryTransport`]s meet.
#[derive(Clone, Debug, Default)]
pub struct MemoryNetwork {
    ports: Arc<Mutex<HashMap<Address, Queue>>>,
}

impl MemoryNetwork {
    /// An empty network.
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds a port with the number `number`; an earlier holder of it hears nothing any more.
    pub fn bind(&self, number: u32) -> MemoryTransport {
        let address = CustomAddress::new(MEMORY_TRANSPORT, &number.to_be_bytes())
            .map_or_else(|| unreachable!("four bytes fit an address"), Address::Custom);
        let (sender, inbox) = mpsc::channel(QUEUE);
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).insert(address, sender);
        MemoryTransport { network: self.clone(), address, inbox }
    }

    fn send(&self, from: Address, to: &Address, datagram: &[u8]) {
        let ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = ports.get(to) {
            // A full or abandoned queue loses the datagram, as a network may.
            let _ = queue.try_send((from, datagram.to_vec()));
        }
    }
}

/// A port of a [`MemoryNetwork`].
#[derive(Debug)]
pub struct MemoryTransport {
    network: MemoryNetwork,
    address: Address,
    inbox: mpsc::Receiver<(Address, Vec<u8>)>,
}

impl Transport for MemoryTransport {
    fn capabilities(&self) -> Capabilities {
        Capabilities::custom(MEMORY_TRANSPORT, MAX_DATAGRAM)
    }

    fn local_address(&self) -> Address {
        self.address
    }

    fn poll_send(
        &mut self,
        _: &mut Context<'_>,
        to: &Address,
        datagram: &[u8],
    ) -> Poll<io::Result<()>> {
        if !self.carries(to) || datagram.len() > MAX_DATAGRAM {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        }
        self.network.send(self.address, to, datagram);
        Poll::Ready(Ok(()))
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, Address)>> {
        self.inbox.poll_recv(cx).map(|next| {
            let (from, datagram) = next.ok_or(io::ErrorKind::BrokenPipe)?;
            let len = datagram.len().min(buffer.len());
            buffer[..len].copy_from_slice(&datagram[..len]);
            Ok((len, from))
        })
    }
}

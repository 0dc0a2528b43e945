//! TCP for a driver: one small task a stream, which moves bytes between a socket and the driver.
//!
//! What a stream's peer sends is read in chunks and waits in one short queue for all streams: when the
//! machine is behind, sockets are not read, and TCP slows their senders down. What the machine writes
//! waits in the stream's own queue, which the machine bounds by [`StreamEvent::Sent`].

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::machine::{StreamEvent, StreamId, StreamRequest};

/// Most incoming streams at once; what connects beyond that is closed at once. Below the usual limit
/// of 1,024 open files a process.
pub const MAX_INCOMING_STREAMS: usize = 768;

/// How long an outgoing stream may take to connect (c-toxcore: `TCP_CONNECTION_TIMEOUT`).
pub const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Most bytes that wait in a stream to be written. Machines keep to less; this one is for their bugs.
const MAX_UNSENT: usize = 4 << 20;

/// How long the last bytes of a stream that the machine closed may take to go out.
const FLUSH_TIME: Duration = Duration::from_secs(2);

/// Bytes that are read at once.
const READ_CHUNK: usize = 16 * 1024;

/// Events of all streams that wait for the driver: with [`READ_CHUNK`], at most 1 MiB.
const EVENT_QUEUE: usize = 64;

/// How long a listener rests that could not accept (no file descriptors left, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A [`StreamEvent`] with its own bytes.
#[derive(Debug)]
pub(super) enum Happened {
    Accepted { from: SocketAddr, local_port: u16 },
    Connected,
    Received(Vec<u8>),
    Sent(usize),
    Closed,
}

impl Happened {
    /// As the machine takes it.
    pub(super) fn as_event(&self) -> StreamEvent<'_> {
        match self {
            Self::Accepted { from, local_port } => {
                StreamEvent::Accepted { from: *from, local_port: *local_port }
            }
            Self::Connected => StreamEvent::Connected,
            Self::Received(bytes) => StreamEvent::Received(bytes),
            Self::Sent(bytes) => StreamEvent::Sent(*bytes),
            Self::Closed => StreamEvent::Closed,
        }
    }
}

/// What the tasks of streams and listeners tell the driver.
enum Notice {
    Accepted { socket: TcpStream, from: SocketAddr, local_port: u16 },
    Of(StreamId, Happened),
}

/// The driver's end of a stream.
struct Outlet {
    writes: mpsc::UnboundedSender<Vec<u8>>,
    unsent: usize,
}

/// All streams of a driver.
pub(super) struct Streams {
    outlets: BTreeMap<StreamId, Outlet>,
    incoming: usize,
    next_incoming: u64,
    /// What the driver itself tells the machine.
    own: VecDeque<(StreamId, Happened)>,
    notices_in: mpsc::Sender<Notice>,
    notices: mpsc::Receiver<Notice>,
    /// Accept as long as this value lives.
    _listeners: JoinSet<()>,
}

impl Streams {
    /// The streams of a driver with these listeners. Called within a tokio runtime.
    pub(super) fn new(listeners: Vec<TcpListener>) -> Self {
        let (notices_in, notices) = mpsc::channel(EVENT_QUEUE);
        let mut tasks = JoinSet::new();
        for listener in listeners {
            tasks.spawn(accept(listener, notices_in.clone()));
        }
        Self {
            outlets: BTreeMap::new(),
            incoming: 0,
            next_incoming: 0,
            own: VecDeque::new(),
            notices_in,
            notices,
            _listeners: tasks,
        }
    }

    /// The next thing that happened to a stream that the machine has not closed.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<(StreamId, Happened)> {
        if let Some(event) = self.own.pop_front() {
            return Poll::Ready(event);
        }
        loop {
            let Some(notice) = ready!(self.notices.poll_recv(cx)) else { return Poll::Pending };
            if let Some(event) = self.take(notice) {
                return Poll::Ready(event);
            }
        }
    }

    fn take(&mut self, notice: Notice) -> Option<(StreamId, Happened)> {
        let (id, happened) = match notice {
            Notice::Accepted { .. } if self.incoming >= MAX_INCOMING_STREAMS => return None,
            Notice::Accepted { socket, from, local_port } => {
                let id = StreamId::Incoming(self.next_incoming);
                self.next_incoming += 1;
                self.begin(id, async move { Ok(socket) });
                return Some((id, Happened::Accepted { from, local_port }));
            }
            Notice::Of(id, happened) => (id, happened),
        };
        let outlet = self.outlets.get_mut(&id)?;
        match happened {
            Happened::Sent(bytes) => outlet.unsent = outlet.unsent.saturating_sub(bytes),
            Happened::Closed => self.remove(id),
            _ => {}
        }
        Some((id, happened))
    }

    /// Does what the machine wants.
    pub(super) fn run(&mut self, id: StreamId, request: StreamRequest) {
        match request {
            StreamRequest::Connect(to) => {
                if !self.outlets.contains_key(&id) {
                    self.begin(id, connect(to));
                }
            }
            StreamRequest::Write(bytes) => self.write(id, bytes),
            StreamRequest::Close => self.remove(id),
        }
    }

    fn write(&mut self, id: StreamId, bytes: Vec<u8>) {
        let Some(outlet) = self.outlets.get_mut(&id) else { return };
        outlet.unsent += bytes.len();
        if outlet.unsent > MAX_UNSENT {
            tracing::debug!(?id, "a stream's queue is full");
            self.remove(id);
            self.own.push_back((id, Happened::Closed));
        } else {
            // A task that has ended has said so: its `Closed` is on the way.
            let _ = outlet.writes.send(bytes);
        }
    }

    /// Starts the task of a stream whose socket `opening` gives.
    fn begin(
        &mut self,
        id: StreamId,
        opening: impl Future<Output = io::Result<TcpStream>> + Send + 'static,
    ) {
        let (writes_in, writes) = mpsc::unbounded_channel();
        let task =
            StreamTask { id, writes, queue: VecDeque::new(), notices: self.notices_in.clone() };
        tokio::spawn(task.run(opening));
        self.outlets.insert(id, Outlet { writes: writes_in, unsent: 0 });
        self.incoming += usize::from(matches!(id, StreamId::Incoming(_)));
    }

    /// Forgets a stream: its task flushes what it has and ends.
    fn remove(&mut self, id: StreamId) {
        if self.outlets.remove(&id).is_some() {
            self.incoming -= usize::from(matches!(id, StreamId::Incoming(_)));
        }
    }
}

/// Accepts until the driver is gone.
async fn accept(listener: TcpListener, notices: mpsc::Sender<Notice>) {
    let local_port = listener.local_addr().map_or(0, |address| address.port());
    loop {
        match listener.accept().await {
            Ok((socket, from)) => {
                let notice = Notice::Accepted { socket, from, local_port };
                if notices.send(notice).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a listener failed to accept");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    timeout(CONNECT_TIME, TcpStream::connect(to)).await?
}

/// One stream's socket and what waits for it.
struct StreamTask {
    id: StreamId,
    writes: mpsc::UnboundedReceiver<Vec<u8>>,
    /// Taken from `writes`, not yet from the machine's account.
    queue: VecDeque<Vec<u8>>,
    notices: mpsc::Sender<Notice>,
}

/// Why a stream's task ends.
enum End {
    /// The socket is finished: the machine must hear of it.
    Socket,
    /// The machine or the whole driver is: nobody listens.
    Machine,
}

impl StreamTask {
    async fn run(mut self, opening: impl Future<Output = io::Result<TcpStream>>) {
        if let End::Socket = self.open_and_move(opening).await {
            self.tell(Happened::Closed).await;
        }
    }

    async fn open_and_move(&mut self, opening: impl Future<Output = io::Result<TcpStream>>) -> End {
        let opened = {
            let mut opening = std::pin::pin!(opening);
            loop {
                tokio::select! {
                    opened = &mut opening => break opened,
                    write = self.writes.recv() => match write {
                        Some(bytes) => self.queue.push_back(bytes),
                        None => return End::Machine,
                    },
                }
            }
        };
        let Ok(socket) = opened else { return End::Socket };
        // Frames are written whole, so that waiting for more of them only costs time.
        let _ = socket.set_nodelay(true);
        if matches!(self.id, StreamId::Outgoing(_)) && !self.tell(Happened::Connected).await {
            return End::Machine;
        }
        self.move_bytes(&socket).await
    }

    /// Moves bytes both ways until one side is finished.
    async fn move_bytes(&mut self, socket: &TcpStream) -> End {
        loop {
            let moved = tokio::select! {
                write = self.writes.recv() => match write {
                    Some(bytes) => {
                        self.queue.push_back(bytes);
                        continue;
                    }
                    None => {
                        let _ = timeout(FLUSH_TIME, flush(socket, &mut self.queue)).await;
                        return End::Machine;
                    }
                },
                ready = socket.writable(), if !self.queue.is_empty() => {
                    ready.and_then(|()| write_some(socket, &mut self.queue)).map(Happened::Sent)
                }
                ready = socket.readable() => {
                    ready.and_then(|()| read_some(socket)).map(Happened::Received)
                }
            };
            match moved {
                Ok(happened) => {
                    if !self.tell(happened).await {
                        return End::Machine;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return End::Socket,
            }
        }
    }

    /// False when the driver is gone.
    async fn tell(&self, happened: Happened) -> bool {
        self.notices.send(Notice::Of(self.id, happened)).await.is_ok()
    }
}

/// Reads what is there; a peer that finished sending has ended the stream.
fn read_some(socket: &TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; READ_CHUNK];
    match socket.try_read(&mut bytes)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        len => {
            bytes.truncate(len);
            Ok(bytes)
        }
    }
}

/// Writes what the socket takes of the queue's front.
fn write_some(socket: &TcpStream, queue: &mut VecDeque<Vec<u8>>) -> io::Result<usize> {
    let Some(front) = queue.front_mut() else { return Ok(0) };
    let len = socket.try_write(front)?;
    if len == front.len() {
        queue.pop_front();
    } else {
        front.drain(..len);
    }
    Ok(len)
}

/// Writes the whole queue.
async fn flush(socket: &TcpStream, queue: &mut VecDeque<Vec<u8>>) -> io::Result<()> {
    while !queue.is_empty() {
        socket.writable().await?;
        match write_some(socket, queue) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

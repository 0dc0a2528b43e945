//! One tokio task that drives one [`Machine`]: it moves datagrams and streams, hands out work, keeps
//! deadlines.
//!
//! Every layer's runtime uses this driver for its own top `Stack`; it knows nothing of what the
//! machine is for.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep};

use super::clock::Clock;
use super::strangers::Strangers;
use super::streams::Streams;
use super::transport::Transport;
use super::transport::run::Run;
use crate::machine::{IoToken, Machine, Output};
use crate::wire::{Address, Time};

/// Commands that wait for the driver; callers beyond that wait.
const COMMAND_QUEUE: usize = 256;

/// Datagrams that are taken from the sockets before one of a stranger's is handled, though more may be
/// there: they need a small part of the time that it takes.
const RECEIVED_A_STRANGER: usize = 64;

/// Strangers' datagrams handled before the runtime looks whether the sockets have something: a socket that
/// was found empty is asked again only then, and some of them cost a tenth of a millisecond.
const STRANGERS_A_TURN: usize = 4;

/// Datagrams, commands and results taken in before the task lets others run.
const WORK_A_TURN: usize = 256;

/// Polls of the machine between two looks at the clock.
const POLLS_A_MOMENT: u32 = 32;

type Command<M> = Box<dyn FnOnce(&mut M, Time) + Send>;
type EventSink<M> = Box<dyn FnMut(<M as Machine>::Event) + Send>;
type IoSink<M> = Box<dyn FnMut(<M as Machine>::IoRequest, IoReply<M>) + Send>;

/// The driver has stopped: its node was shut down, or its task panicked.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the node has stopped")]
pub struct Stopped;

/// Where the result of one piece of work goes.
pub struct IoReply<M: Machine> {
    token: IoToken,
    results: mpsc::UnboundedSender<(IoToken, M::IoResult)>,
}

impl<M: Machine> IoReply<M> {
    /// Hands the result in; it is lost if the driver has stopped, and nobody waits for it then.
    pub fn send(self, result: M::IoResult) {
        let _ = self.results.send((self.token, result));
    }
}

impl<M: Machine> fmt::Debug for IoReply<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IoReply({})", self.token.0)
    }
}

/// A way to give the machine commands. Cheap to clone; the driver stops when the last one is dropped.
pub struct Handle<M> {
    commands: mpsc::Sender<Command<M>>,
}

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone() }
    }
}

impl<M> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

/// A handle that does not keep the driver alive.
pub struct WeakHandle<M> {
    commands: mpsc::WeakSender<Command<M>>,
}

impl<M> WeakHandle<M> {
    /// A full handle, if the driver still runs.
    pub fn upgrade(&self) -> Option<Handle<M>> {
        self.commands.upgrade().map(|commands| Handle { commands })
    }
}

impl<M> Clone for WeakHandle<M> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone() }
    }
}

impl<M> fmt::Debug for WeakHandle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakHandle")
    }
}

impl<M: 'static> Handle<M> {
    /// A handle that does not keep the driver alive: for what the driver itself owns.
    pub fn downgrade(&self) -> WeakHandle<M> {
        WeakHandle { commands: self.commands.downgrade() }
    }

    /// Runs `command` on the machine and returns what it returns. The machine is drained afterwards.
    ///
    /// # Errors
    /// [`Stopped`] if the driver is gone.
    pub async fn call<R: Send + 'static>(
        &self,
        command: impl FnOnce(&mut M, Time) -> R + Send + 'static,
    ) -> Result<R, Stopped> {
        let (answer, answered) = oneshot::channel();
        let command: Command<M> = Box::new(move |machine, now| {
            let _ = answer.send(command(machine, now));
        });
        self.commands.send(command).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }

    /// Runs `command` on the machine some time soon, without waiting for it: for use outside async
    /// code (a `Drop`). It is lost when the queue is full or the driver gone.
    pub fn post(&self, command: impl FnOnce(&mut M, Time) + Send + 'static) {
        let _ = self.commands.try_send(Box::new(command));
    }

    /// Waits until the driver has stopped.
    pub async fn stopped(&self) {
        self.commands.closed().await;
    }
}

/// A machine with its transports and sinks, ready to be spawned.
pub struct Driver<M: Machine> {
    machine: M,
    clock: Clock,
    transports: Vec<Box<dyn Transport>>,
    listeners: Vec<TcpListener>,
    on_event: EventSink<M>,
    on_io: IoSink<M>,
}

impl<M> Driver<M>
where
    M: Machine + Send + 'static,
    M::Event: Send,
    M::IoRequest: Send,
    M::IoResult: Send,
{
    /// A driver of `machine`, which was made with a time of `clock`.
    pub fn new(machine: M, clock: Clock, transports: Vec<Box<dyn Transport>>) -> Self {
        Self {
            machine,
            clock,
            transports,
            listeners: Vec::new(),
            on_event: Box::new(|_| ()),
            on_io: Box::new(|_, _| ()),
        }
    }

    /// Hands the streams that come in at `listeners` to the machine, at most
    /// [`MAX_INCOMING_STREAMS`](super::MAX_INCOMING_STREAMS) at once.
    #[must_use]
    pub fn listen(mut self, listeners: Vec<TcpListener>) -> Self {
        self.listeners.extend(listeners);
        self
    }

    /// Calls `sink` with every event, on the driver's task: it must not block.
    #[must_use]
    pub fn on_event(mut self, sink: impl FnMut(M::Event) + Send + 'static) -> Self {
        self.on_event = Box::new(sink);
        self
    }

    /// Calls `sink` with every piece of work, on the driver's task: it must hand the work to a worker
    /// and not block. How many pieces are out at once is the machine's own limit.
    #[must_use]
    pub fn on_io(mut self, sink: impl FnMut(M::IoRequest, IoReply<M>) + Send + 'static) -> Self {
        self.on_io = Box::new(sink);
        self
    }

    /// Starts the task on the current tokio runtime.
    pub fn spawn(mut self) -> Handle<M> {
        let (commands, inbox) = mpsc::channel(COMMAND_QUEUE);
        let (results_in, results) = mpsc::unbounded_channel();
        let streams = Streams::new(core::mem::take(&mut self.listeners));
        let task = Task {
            driver: self,
            streams,
            streams_first: false,
            strangers: Strangers::new(),
            received: 0,
            served: 0,
            inbox,
            results_in,
            results,
            run: Run::default(),
            parked: None,
            sleep: Box::pin(tokio::time::sleep_until(Instant::now())),
            deadline: None,
            next_transport: 0,
        };
        // It keeps to a budget of its own. Tokio's would hide at times that datagrams are there, and
        // strangers would be served before sessions.
        tokio::spawn(tokio::task::unconstrained(task.run()));
        Handle { commands }
    }
}

impl<M: Machine> fmt::Debug for Driver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("transports", &self.transports).finish_non_exhaustive()
    }
}

/// The running driver.
struct Task<M: Machine> {
    driver: Driver<M>,
    streams: Streams,
    streams_first: bool,
    strangers: Strangers,
    /// Datagrams taken in since the last one of a stranger's was handled.
    received: usize,
    /// Strangers' datagrams handled in this turn.
    served: usize,
    inbox: mpsc::Receiver<Command<M>>,
    results_in: mpsc::UnboundedSender<(IoToken, M::IoResult)>,
    results: mpsc::UnboundedReceiver<(IoToken, M::IoResult)>,
    /// Datagrams for one address, gathered to be sent at once.
    run: Run,
    /// A datagram that is none of them, while their transport cannot take them yet. The machine is not
    /// polled until it has.
    parked: Option<(Address, Vec<u8>)>,
    sleep: Pin<Box<Sleep>>,
    deadline: Option<Time>,
    next_transport: usize,
}

/// Whether the loop goes on.
enum Turn {
    Again,
    Stop,
}

impl<M: Machine> Task<M> {
    async fn run(mut self) {
        while let Turn::Again = poll_fn(|cx| self.turn(cx)).await {
            // A long queue must not starve the other tasks of this thread.
            tokio::task::yield_now().await;
        }
    }

    /// Takes in what is there, up to a budget; pending when there was nothing left to take.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        self.drain(cx);
        self.served = 0;
        for _ in 0..WORK_A_TURN {
            match self.take_one(cx) {
                Poll::Ready(Turn::Again) => self.drain(cx),
                Poll::Ready(Turn::Stop) => return Poll::Ready(Turn::Stop),
                Poll::Pending => return Poll::Pending,
            }
            if self.served == STRANGERS_A_TURN {
                break;
            }
        }
        Poll::Ready(Turn::Again)
    }

    /// One input: a result of work, a command, a datagram, something of a stream, or a deadline that
    /// has passed.
    fn take_one(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        if let Poll::Ready(Some((token, result))) = self.results.poll_recv(cx) {
            let now = self.driver.clock.now();
            self.driver.machine.handle_io(now, token, result);
            return Poll::Ready(Turn::Again);
        }
        match self.inbox.poll_recv(cx) {
            Poll::Ready(Some(command)) => {
                command(&mut self.driver.machine, self.driver.clock.now());
                return Poll::Ready(Turn::Again);
            }
            Poll::Ready(None) => return Poll::Ready(Turn::Stop),
            Poll::Pending => {}
        }
        // In turns, so that a flood of the one kind does not starve the other.
        self.streams_first = !self.streams_first;
        let streams_first = self.streams_first;
        if (streams_first && self.receive_stream(cx))
            || self.receive(cx)
            || (!streams_first && self.receive_stream(cx))
            || self.serve_stranger()
        {
            return Poll::Ready(Turn::Again);
        }
        if self.deadline.is_some() && self.sleep.as_mut().poll(cx).is_ready() {
            // The poll that follows runs the timers.
            self.deadline = None;
            return Poll::Ready(Turn::Again);
        }
        Poll::Pending
    }

    /// Takes datagrams from the transports in turn until one is handled; false when none has any. What
    /// the machine expects is handled at once. The rest waits until there is nothing else to do, or
    /// has done so for long enough.
    fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            if self.received >= RECEIVED_A_STRANGER && self.serve_stranger() {
                return true;
            }
            match self.poll_transports(cx) {
                Poll::Ready(Ok(true)) => return true,
                Poll::Ready(Ok(false)) => {}
                // UDP reports an earlier datagram's unreachable target here: nothing came in, but
                // something may be next.
                Poll::Ready(Err(error)) => {
                    tracing::trace!(%error, "a transport failed to receive");
                    return error.kind() != std::io::ErrorKind::BrokenPipe;
                }
                Poll::Pending => return false,
            }
        }
    }

    /// The datagrams that one of the transports has, which take turns; true if the machine expected
    /// some of them, and has them now.
    fn poll_transports(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<bool>> {
        let Self { driver, strangers, received, next_transport, .. } = self;
        let Driver { machine, clock, transports, .. } = driver;
        let (now, count, mut handled) = (clock.now(), transports.len(), false);
        let mut sink = |from: Address, datagram: &mut [u8]| {
            *received += 1;
            if machine.expects(&from, datagram) {
                machine.handle_datagram(now, from, datagram);
                handled = true;
            } else if !strangers.push(from, datagram) {
                tracing::trace!(%from, "too many strangers");
            }
        };
        for offset in 0..count {
            let index = (*next_transport + offset) % count;
            if let Poll::Ready(polled) = transports[index].poll_recv_many(cx, &mut sink) {
                *next_transport = index + 1;
                return Poll::Ready(polled.map(|()| handled));
            }
        }
        Poll::Pending
    }

    /// Handles one datagram that waits; false if none does.
    fn serve_stranger(&mut self) -> bool {
        self.received = 0;
        let Some((from, mut datagram)) = self.strangers.pop() else { return false };
        self.served += 1;
        let now = self.driver.clock.now();
        self.driver.machine.handle_datagram(now, from, &mut datagram);
        true
    }

    /// Takes what happened to one stream; false when nothing did.
    fn receive_stream(&mut self, cx: &mut Context<'_>) -> bool {
        let Poll::Ready((stream, event)) = self.streams.poll_event(cx) else { return false };
        let now = self.driver.clock.now();
        self.driver.machine.handle_stream(now, stream, event.as_event());
        true
    }

    /// Polls the machine until it is idle or a transport is full.
    fn drain(&mut self, cx: &mut Context<'_>) {
        if let Some((to, payload)) = self.parked.take()
            && !self.transmit(cx, to, payload)
        {
            return;
        }
        let mut now = self.driver.clock.now();
        for count in 1_u32.. {
            if count.is_multiple_of(POLLS_A_MOMENT) {
                now = self.driver.clock.now();
            }
            match self.driver.machine.poll(now) {
                Output::Transmit { to, payload } => {
                    if !self.transmit(cx, to, payload) {
                        return;
                    }
                }
                Output::Stream(stream, request) => self.streams.run(stream, request),
                Output::Io(token, request) => {
                    let reply = IoReply { token, results: self.results_in.clone() };
                    (self.driver.on_io)(request, reply);
                }
                Output::Event(event) => (self.driver.on_event)(event),
                Output::Idle(deadline) => {
                    if self.flush(cx) {
                        self.set_deadline(cx, deadline);
                    }
                    return;
                }
            }
        }
    }

    /// Sends a datagram with the next ones like it; false when a transport is full, and the datagram is
    /// parked.
    fn transmit(&mut self, cx: &mut Context<'_>, to: Address, payload: Vec<u8>) -> bool {
        if !self.run.accepts(&to, &payload) && !self.flush(cx) {
            self.parked = Some((to, payload));
            return false;
        }
        self.run.push(to, &payload);
        true
    }

    /// Sends what was gathered; false when its transport is full.
    fn flush(&mut self, cx: &mut Context<'_>) -> bool {
        while let Some((to, run, segment)) = self.run.left() {
            let carrier = self.driver.transports.iter_mut().find(|carrier| carrier.carries(&to));
            let Some(carrier) = carrier else {
                tracing::trace!(%to, "no transport carries this address");
                self.run.clear();
                return true;
            };
            match carrier.poll_send_run(cx, &to, run, segment) {
                Poll::Ready(Ok(taken)) => self.run.advance(taken),
                Poll::Ready(Err(error)) => {
                    tracing::trace!(%to, %error, "a datagram was not sent");
                    self.run.advance(segment);
                }
                Poll::Pending => return false,
            }
        }
        true
    }

    fn set_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Time>) {
        if deadline == self.deadline {
            return;
        }
        self.deadline = deadline;
        if let Some(deadline) = deadline {
            self.sleep.as_mut().reset(Instant::from_std(self.driver.clock.instant(deadline)));
            if self.sleep.as_mut().poll(cx).is_ready() {
                self.deadline = None;
                cx.waker().wake_by_ref();
            }
        }
    }
}

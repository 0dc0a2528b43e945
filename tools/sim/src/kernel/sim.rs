//! The simulation itself: machines, the network between them, and what happens next.

mod streams;

use core::fmt::Debug;
use core::time::Duration;

use toktok_mesh::{Address, IoToken, Machine, Output, Rng, Time};

use self::streams::{Step, Streams};
use super::{Clock, EventQueue, IoModel, NodeIndex, Trace};
use crate::network::{Attachment, Flight, Lost, LostCounts, Network};

/// More outputs than this after one input, and the machine is not going to become idle: a bug.
const MAX_OUTPUTS: usize = 1_000_000;

/// How soon a machine that asks for a moment already past is polled again: time must go on.
const TICK: Duration = Duration::from_micros(1);

/// Takes what the machines tell their users.
///
/// The machine is handed along: commands may be given at once, it is drained afterwards. Any
/// `FnMut(Time, NodeIndex, &mut M, M::Event)` is one. The time is the virtual one.
pub trait Observer<M: Machine> {
    /// `node` says `event`.
    fn handle_event(&mut self, now: Time, node: NodeIndex, machine: &mut M, event: M::Event);
}

impl<M: Machine, F: FnMut(Time, NodeIndex, &mut M, M::Event)> Observer<M> for F {
    fn handle_event(&mut self, now: Time, node: NodeIndex, machine: &mut M, event: M::Event) {
        self(now, node, machine, event);
    }
}

/// What the network carried.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    /// Datagrams that machines sent.
    pub sent_packets: u64,
    /// Their payload bytes: without IP and UDP headers.
    pub sent_bytes: u64,
    /// Datagrams handed to machines, copies included.
    pub delivered_packets: u64,
    /// Their payload bytes.
    pub delivered_bytes: u64,
    /// Bytes that machines wrote to streams.
    pub stream_bytes: u64,
    /// Datagrams that were lost, by reason.
    pub lost: LostCounts,
}

/// What will happen.
enum What<Result> {
    /// A datagram gets to the far end of its sender's access.
    Arrive { flight: Flight, payload: Vec<u8> },
    /// A datagram is handed over.
    Deliver { node: NodeIndex, from: Address, to: Address, payload: Vec<u8> },
    /// Something happens to a stream.
    Stream { number: u64, step: Step },
    /// A deadline passes, unless it moved.
    Timer { node: NodeIndex },
    /// Work is finished, unless the node died since.
    Io { node: NodeIndex, life: u32, token: IoToken, result: Result },
}

struct Slot<M> {
    machine: Option<M>,
    clock: Clock,
    /// Counts crashes: what was begun in an earlier life is lost.
    life: u32,
    /// When the machine wants to be polled; `Time::MAX` for never.
    deadline: Time,
    /// The earliest of this node's entries in the queue; `Time::MAX` for none.
    queued: Time,
}

/// Machines in virtual time. The same seed and the same calls give the same trace, on every machine.
pub struct Sim<M: Machine, I: IoModel<M>> {
    now: Time,
    queue: EventQueue<What<M::IoResult>>,
    nodes: Vec<Slot<M>>,
    network: Network,
    streams: Streams,
    io: I,
    io_rng: Rng,
    trace: Trace,
    traffic: Traffic,
    stale_deadlines: u64,
    happenings: u64,
}

impl<M: Machine, I: IoModel<M>> Debug for Sim<M, I> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sim")
            .field("now", &self.now)
            .field("nodes", &self.nodes.len())
            .field("queued", &self.queue.len())
            .finish_non_exhaustive()
    }
}

impl<M: Machine<Event: Debug>, I: IoModel<M>> Sim<M, I> {
    /// An empty simulation at time zero. `rng` is the run's; network and work draw from its children.
    pub fn new(rng: &Rng, io: I) -> Self {
        Self {
            now: Time::ZERO,
            queue: EventQueue::default(),
            nodes: Vec::new(),
            network: Network::new(rng.child("network")),
            streams: Streams::new(rng.child("streams")),
            io,
            io_rng: rng.child("io"),
            trace: Trace::default(),
            traffic: Traffic::default(),
            stale_deadlines: 0,
            happenings: 0,
        }
    }

    /// Virtual time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Attaches a node that does not run yet; [`Sim::start`] starts it.
    pub fn attach(&mut self, attachment: Attachment) -> NodeIndex {
        let node = NodeIndex(self.network.attach(attachment));
        self.nodes.push(Slot {
            machine: None,
            clock: Clock::default(),
            life: 0,
            deadline: Time::MAX,
            queued: Time::MAX,
        });
        node
    }

    /// Starts `machine` on a node, in place of one that may run there.
    pub fn start(&mut self, node: NodeIndex, machine: M, observer: &mut impl Observer<M>) {
        self.crash(node);
        self.trace.note(self.now, node, "start");
        self.nodes[node.0].machine = Some(machine);
        self.drain(node, observer);
    }

    /// Stops a node at once: its machine, its timers and its unfinished work are gone. Returns the
    /// machine.
    pub fn crash(&mut self, node: NodeIndex) -> Option<M> {
        let slot = &mut self.nodes[node.0];
        let machine = slot.machine.take()?;
        slot.life += 1;
        slot.deadline = Time::MAX;
        self.trace.note(self.now, node, "crash");
        self.crash_streams(node);
        self.io.handle_crash(node);
        Some(machine)
    }

    /// Sets a node's clock wrong, or right again.
    pub fn set_clock(&mut self, node: NodeIndex, clock: Clock, observer: &mut impl Observer<M>) {
        self.trace.note(self.now, node, "clock");
        self.nodes[node.0].clock = clock;
        self.drain(node, observer);
    }

    /// Gives a running node a command, handing it the node's own time, and drains it. `None` if the
    /// node does not run.
    pub fn command<R>(
        &mut self,
        node: NodeIndex,
        observer: &mut impl Observer<M>,
        command: impl FnOnce(&mut M, Time) -> R,
    ) -> Option<R> {
        let now = self.now;
        let slot = &mut self.nodes[node.0];
        let local = slot.clock.shows(now);
        let result = command(slot.machine.as_mut()?, local);
        self.drain(node, observer);
        Some(result)
    }

    /// Gives a running node a command without draining it: the caller does so, by [`Sim::command`],
    /// when what the command will ask for lies ready.
    pub fn prepare<R>(&mut self, node: NodeIndex, command: impl FnOnce(&mut M) -> R) -> Option<R> {
        Some(command(self.nodes[node.0].machine.as_mut()?))
    }

    /// Lets everything happen until `until`, inclusive, and sets the time to it.
    pub fn run_until(&mut self, until: Time, observer: &mut impl Observer<M>) {
        while let Some((at, what)) = self.queue.pop_until(until) {
            self.now = at;
            self.happenings += 1;
            self.happen(what, observer);
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, what: What<M::IoResult>, observer: &mut impl Observer<M>) {
        match what {
            What::Arrive { flight, payload } => self.arrive(&flight, payload, observer),
            What::Deliver { node, from, to, payload } => {
                self.deliver(node, from, to, payload, observer);
            }
            What::Stream { number, step } => self.step(number, step, observer),
            What::Timer { node } => self.timer(node, observer),
            What::Io { node, life, token, result } => {
                let slot = &mut self.nodes[node.0];
                let local = slot.clock.shows(self.now);
                if let Some(machine) = slot.machine.as_mut().filter(|_| slot.life == life) {
                    self.trace.io(self.now, node, token.0);
                    machine.handle_io(local, token, result);
                    self.drain(node, observer);
                }
            }
        }
    }

    fn arrive(&mut self, flight: &Flight, payload: Vec<u8>, observer: &mut impl Observer<M>) {
        let arrival = match self.network.arrive(self.now, flight, payload.len()) {
            Ok(arrival) => arrival,
            Err(reason) => return self.traffic.lost.count(reason),
        };
        let node = NodeIndex(arrival.node);
        let (from, to) = (Address::udp(arrival.from), Address::udp(arrival.to));
        if let Some(at) = arrival.carried.copy_at {
            self.queue.push(at, What::Deliver { node, from, to, payload: payload.clone() });
        }
        if arrival.carried.at > self.now {
            self.queue.push(arrival.carried.at, What::Deliver { node, from, to, payload });
        } else {
            self.deliver(node, from, to, payload, observer);
        }
    }

    fn deliver(
        &mut self,
        node: NodeIndex,
        from: Address,
        to: Address,
        mut payload: Vec<u8>,
        observer: &mut impl Observer<M>,
    ) {
        let slot = &mut self.nodes[node.0];
        let Some(machine) = &mut slot.machine else {
            return self.traffic.lost.count(Lost::Dead);
        };
        self.traffic.delivered_packets += 1;
        self.traffic.delivered_bytes += payload.len() as u64;
        self.trace.delivery(self.now, node, from, to, &payload);
        machine.handle_datagram(slot.clock.shows(self.now), from, &mut payload);
        self.drain(node, observer);
    }

    fn timer(&mut self, node: NodeIndex, observer: &mut impl Observer<M>) {
        let slot = &mut self.nodes[node.0];
        if slot.queued != self.now {
            // An earlier entry was put in since; this one is out of date.
            return;
        }
        slot.queued = Time::MAX;
        if slot.deadline <= self.now {
            self.trace.timer(self.now, node);
            self.drain(node, observer);
        } else {
            self.enqueue_timer(node);
        }
    }

    /// Makes sure that the node's deadline stands in the queue, or something before it does.
    fn enqueue_timer(&mut self, node: NodeIndex) {
        let slot = &mut self.nodes[node.0];
        if slot.deadline < slot.queued {
            slot.queued = slot.deadline;
            self.queue.push(slot.deadline, What::Timer { node });
        }
    }

    /// Polls a machine until it is idle.
    ///
    /// # Panics
    /// If it does not become idle: a bug in the machine.
    fn drain(&mut self, node: NodeIndex, observer: &mut impl Observer<M>) {
        for _ in 0..MAX_OUTPUTS {
            let slot = &mut self.nodes[node.0];
            let Some(machine) = &mut slot.machine else { return };
            match machine.poll(slot.clock.shows(self.now)) {
                Output::Transmit { to, payload } => self.transmit(node, to, payload),
                Output::Stream(id, request) => self.stream(node, id, request),
                Output::Io(token, request) => self.request(node, token, request),
                Output::Event(event) => {
                    self.trace.event(self.now, node, &event);
                    observer.handle_event(self.now, node, machine, event);
                }
                Output::Idle(deadline) => return self.idle(node, deadline),
            }
        }
        panic!("node {} is not idle after {MAX_OUTPUTS} outputs at {}", node.0, self.now);
    }

    fn transmit(&mut self, node: NodeIndex, to: Address, payload: Vec<u8>) {
        self.traffic.sent_packets += 1;
        self.traffic.sent_bytes += payload.len() as u64;
        match self.network.depart(self.now, node.0, to, payload.len()) {
            Ok((flight, carried)) => {
                if let Some(at) = carried.copy_at {
                    self.queue.push(at, What::Arrive { flight, payload: payload.clone() });
                }
                self.queue.push(carried.at, What::Arrive { flight, payload });
            }
            Err(reason) => self.traffic.lost.count(reason),
        }
    }

    fn request(&mut self, node: NodeIndex, token: IoToken, request: M::IoRequest) {
        let answer = self.io.handle_request(self.now, node, request, &mut self.io_rng);
        if let Some((latency, result)) = answer {
            let life = self.nodes[node.0].life;
            self.queue.push(self.now + latency, What::Io { node, life, token, result });
        }
    }

    fn idle(&mut self, node: NodeIndex, deadline: Option<Time>) {
        let slot = &mut self.nodes[node.0];
        let moment = deadline.map_or(Time::MAX, |local| slot.clock.moment_of(local));
        if moment <= self.now {
            self.stale_deadlines += 1;
        }
        slot.deadline = moment.max(self.now + TICK);
        self.enqueue_timer(node);
    }
}

impl<M: Machine, I: IoModel<M>> Sim<M, I> {
    /// The machine of a node, if it runs.
    pub fn machine(&self, node: NodeIndex) -> Option<&M> {
        self.nodes.get(node.0)?.machine.as_ref()
    }

    /// Every node that runs.
    pub fn running(&self) -> impl Iterator<Item = (NodeIndex, &M)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(index, slot)| Some((NodeIndex(index), slot.machine.as_ref()?)))
    }

    /// The network, to look up addresses, set up NATs, tear it.
    pub fn network(&mut self) -> &mut Network {
        &mut self.network
    }

    /// The model of work.
    pub fn io(&mut self) -> &mut I {
        &mut self.io
    }

    /// What the network carried so far.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The trace.
    pub fn trace(&mut self) -> &mut Trace {
        &mut self.trace
    }

    /// How often a machine wanted to be polled at a moment that was past: each is a bug in it.
    pub fn stale_deadlines(&self) -> u64 {
        self.stale_deadlines
    }

    /// Entries that came out of the queue so far: a measure of the run's work.
    pub fn happenings(&self) -> u64 {
        self.happenings
    }
}

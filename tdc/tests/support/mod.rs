//! A world in virtual time: the very `Core`s of the product, links with latency, workers that lie, die
//! or dawdle, and a file system and executor that are models.

use core::time::Duration;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use bytes::Bytes;
use toktok_tdc::engine::{Computed, ExecuteError, Execution, Lie};
use toktok_tdc::job::ResultHash;
use toktok_tdc::message::Message;
use toktok_tdc::wire::{PublicKey, Rng, Time};
use toktok_tdc::{
    Action, Core, DataError, Donation, JobError, JobEvent, JobReport, JobSpec, Role, TaskId,
    TaskResult,
};

/// How a worker behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nature {
    /// Time for one unit.
    pub(crate) unit: Duration,
    /// How it lies, if it does.
    pub(crate) lie: Option<Lie>,
    /// Dead from then on, without a word.
    pub(crate) dies: Time,
    /// The network it is in.
    pub(crate) network: u64,
}

impl Nature {
    /// Honest, one second a unit, immortal, in a network of its own.
    pub(crate) fn honest(index: u64) -> Self {
        Self { unit: Duration::from_secs(1), lie: None, dies: Time::MAX, network: index }
    }
}

struct Node {
    core: Core,
    key: PublicKey,
    nature: Nature,
    wake: Option<Time>,
}

enum What {
    Message { from: usize, to: usize, role: Role, bytes: Bytes },
    Task { node: usize, task: TaskId, result: TaskResult },
    Wake { node: usize },
    Gone { node: usize },
}

struct Entry(Time, u64, What);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// Node 0 has the jobs; all others work.
pub(crate) struct World {
    pub(crate) now: Time,
    nodes: Vec<Node>,
    heap: BinaryHeap<Reverse<Entry>>,
    order: u64,
    rng: Rng,
    pub(crate) files: BTreeMap<String, Bytes>,
    pub(crate) events: Vec<JobEvent>,
    /// Which workers were ever given a unit.
    pub(crate) given: BTreeMap<u32, BTreeSet<usize>>,
    trace: blake3::Hasher,
}

/// What the model program makes of a unit: a number that depends on every byte.
pub(crate) fn model(stdin: &[u8]) -> String {
    let hash = blake3::hash(stdin);
    let [a, b, c, d, ..] = *hash.as_bytes();
    format!("{}\n", u32::from_be_bytes([a, b, c, d]))
}

fn execute(execution: &Execution) -> Result<String, ExecuteError> {
    if execution.program == "broken" {
        return Err(ExecuteError::Exit { code: 3, stderr: "no such luck".into() });
    }
    if execution.arguments == ["reduce"] {
        let lines = String::from_utf8_lossy(&execution.stdin).into_owned();
        let sum: u64 = lines.lines().map(|line| line.parse::<u64>().unwrap()).sum();
        return Ok(format!("{sum}\n"));
    }
    Ok(model(&execution.stdin))
}

impl World {
    pub(crate) fn new(seed: u8, natures: &[Nature]) -> Self {
        let rng = Rng::from_seed([seed; 32]);
        let mut keys = rng.child("keys");
        let owner = Nature::honest(u64::MAX);
        let nodes = core::iter::once(&owner)
            .chain(natures)
            .map(|nature| {
                let key = PublicKey(keys.bytes());
                let own = Rng::from_seed(keys.bytes());
                Node {
                    core: Core::new(key, Donation::default(), &own),
                    key,
                    nature: *nature,
                    wake: None,
                }
            })
            .collect();
        let mut world = Self {
            now: Time::ZERO,
            nodes,
            heap: BinaryHeap::new(),
            order: 0,
            rng: rng.child("world"),
            files: BTreeMap::new(),
            events: Vec::new(),
            given: BTreeMap::new(),
            trace: blake3::Hasher::new(),
        };
        world.files.insert("program".into(), "program".into());
        world.files.insert("broken".into(), "broken".into());
        for node in 1..world.nodes.len() {
            world.connect(node);
        }
        world
    }

    fn connect(&mut self, node: usize) {
        let Nature { network, dies, .. } = self.nodes[node].nature;
        let (owner, worker) = (self.nodes[0].key, self.nodes[node].key);
        let now = self.now;
        self.nodes[0].core.handle_peer_up(now, worker, Role::Client, Some(network));
        self.nodes[node].core.handle_peer_up(now, owner, Role::Worker, None);
        if dies < Time::MAX {
            // The mesh notices a dead peer only after a while; leases must not wait for it.
            self.push(dies + Duration::from_secs(30), What::Gone { node });
        }
    }

    pub(crate) fn key(&self, node: usize) -> PublicKey {
        self.nodes[node].key
    }

    fn push(&mut self, at: Time, what: What) {
        self.order += 1;
        self.heap.push(Reverse(Entry(at, self.order, what)));
    }

    /// Runs a job to its end.
    pub(crate) fn run(&mut self, spec: JobSpec) -> Result<JobReport, JobError> {
        self.nodes[0].core.submit(self.now, spec).unwrap();
        for node in 0..self.nodes.len() {
            self.drain(node);
        }
        while let Some(Reverse(Entry(at, _, what))) = self.heap.pop() {
            self.now = at;
            self.handle(what);
            if let Some(end) = self
                .events
                .pop_if(|e| matches!(e, JobEvent::JobDone { .. } | JobEvent::JobFailed { .. }))
            {
                return match end {
                    JobEvent::JobDone { report, .. } => Ok(report),
                    JobEvent::JobFailed { error, .. } => Err(error),
                    _ => unreachable!("selected above"),
                };
            }
        }
        panic!("the world stood still before the job ended");
    }

    /// Names everything that happened.
    pub(crate) fn trace_hash(&self) -> blake3::Hash {
        self.trace.finalize()
    }

    fn is_dead(&self, node: usize) -> bool {
        self.now >= self.nodes[node].nature.dies
    }

    fn handle(&mut self, what: What) {
        let now = self.now;
        let node = match what {
            What::Message { from, to, role, bytes } => {
                self.trace.update(&now.as_micros().to_le_bytes()).update(&bytes);
                let peer = self.nodes[from].key;
                if !self.is_dead(to) {
                    self.nodes[to].core.handle_message(now, peer, role, bytes);
                }
                to
            }
            What::Task { node, task, result } => {
                if !self.is_dead(node) {
                    self.nodes[node].core.handle_task(now, task, result);
                }
                node
            }
            What::Gone { node } => {
                let peer = self.nodes[node].key;
                self.nodes[0].core.handle_peer_down(now, peer, Role::Client);
                0
            }
            What::Wake { node } => {
                self.nodes[node].wake = None;
                node
            }
        };
        self.drain(node);
    }

    fn drain(&mut self, node: usize) {
        if self.is_dead(node) {
            return;
        }
        while let Some(action) = self.nodes[node].core.poll(self.now) {
            self.act(node, action);
        }
        let deadline = self.nodes[node].core.deadline();
        if let Some(at) = deadline.filter(|at| self.nodes[node].wake.is_none_or(|wake| *at < wake))
        {
            self.nodes[node].wake = Some(at);
            self.push(at.max(self.now), What::Wake { node });
        }
    }

    fn act(&mut self, node: usize, action: Action) {
        match action {
            Action::Send { to, role, message } => self.send(node, to, role, &message),
            Action::Event(event) => self.events.push(event),
            Action::Measure { task, capability } => {
                let len = self.files.get(&capability).map(|bytes| bytes.len() as u64);
                let missing = DataError("nobody has it".into());
                self.later(node, 20, task, TaskResult::Measured(len.ok_or(missing)));
            }
            Action::Fetch { task, capability, range } => {
                let bytes = self.files.get(&capability).cloned().map(|bytes| match range {
                    Some(range) => bytes.slice(range.start as usize..range.end as usize),
                    None => bytes,
                });
                let missing = DataError("nobody has it".into());
                self.later(node, 50, task, TaskResult::Fetched(bytes.ok_or(missing)));
            }
            Action::Execute { task, execution } => {
                let Nature { unit, lie, .. } = self.nodes[node].nature;
                let computed = execute(&execution).map(|truth| {
                    let truth = Bytes::from(truth);
                    let output = lie.map_or(truth.clone(), |lie| lie.tell(&truth));
                    Computed { hash: ResultHash::of(&output), output }
                });
                // Units differ by a few per cent, as they do in life.
                let micros = unit.as_micros() as u64;
                let took =
                    Duration::from_micros(micros - micros / 20 + self.rng.below(micros / 10));
                let at = self.now + took;
                self.push(at, What::Task { node, task, result: TaskResult::Computed(computed) });
            }
        }
    }

    fn later(&mut self, node: usize, millis: u64, task: TaskId, result: TaskResult) {
        let at = self.now + Duration::from_millis(millis / 2 + self.rng.below(millis));
        self.push(at, What::Task { node, task, result });
    }

    fn send(&mut self, from: usize, to: PublicKey, role: Role, message: &Message) {
        let Some(to) = self.nodes.iter().position(|node| node.key == to) else { return };
        if let Message::Lease { unit, .. } = message {
            self.given.entry(*unit).or_default().insert(to);
        }
        // Links keep their order: latency is that of the pair.
        let at = self.now + Duration::from_millis(5 + (from + to) as u64 * 7 % 40);
        let theirs = if role == Role::Client { Role::Worker } else { Role::Client };
        let bytes = message.encode();
        self.push(at, What::Message { from, to, role: theirs, bytes });
    }
}

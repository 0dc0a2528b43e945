//! How well the file system keeps files when a part of the network dies at once.

use core::time::Duration;
use std::collections::BTreeMap;

use serde::Serialize;
use toktok_mesh::{NodeKey, PublicKey, Rng, Time};
use toktok_tdfs::capability::{Capability, FileKind};
use toktok_tdfs::client::{GetEvent, PutEvent, Secrecy};
use toktok_tdfs::{Config, Event, GetId, PutId, Stack, TransferId};

use super::disk::{DiskModel, Disks};
use super::world::join_times;
use super::{Summary, World, ratio, seed_rng};
use crate::kernel::{NodeIndex, Observer, Sim};
use crate::network::Chance;

/// Lengths of the files, in turn: one that fits into its root, and up to many blocks of 64 KiB.
const LENGTHS: [usize; 5] = [1_000, 30_000, 100_000, 300_000, 1_000_000];
/// Over this time uploads, and later downloads, begin.
const BUSY_SPAN: Duration = Duration::from_secs(60);
/// Transfers have so long to end after the last one began.
const PATIENCE: Duration = Duration::from_secs(300);
/// Bytes of blocks that each node takes.
const QUOTA: u64 = 256 << 20;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many nodes.
    pub nodes: usize,
    /// How many files are put and fetched again, each by other nodes.
    pub files: usize,
    /// The share of nodes that die at once.
    pub dying: Chance,
    /// Over which time nodes join.
    pub join_span: Duration,
    /// How long they find together before the first upload, and rest before the deaths.
    pub settle: Duration,
    /// How long after the deaths the first download begins.
    pub mourning: Duration,
    /// The seed of everything.
    pub seed: u64,
    /// What lies between the nodes.
    pub world: World,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            nodes: 500,
            files: 100,
            dying: Chance::percent(20),
            join_span: Duration::from_secs(20),
            settle: Duration::from_secs(60),
            mourning: Duration::from_secs(60),
            seed: 1,
            world: World::default(),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Nodes at the beginning.
    pub nodes: usize,
    /// Nodes that died.
    pub died: usize,
    /// The seed.
    pub seed: u64,
    /// Virtual seconds.
    pub virtual_seconds: u64,
    /// Files that were to be stored.
    pub puts: usize,
    /// Files that were stored.
    pub puts_done: usize,
    /// Bytes of the stored files.
    pub bytes_stored: u64,
    /// Milliseconds of an upload.
    pub put_millis: Summary,
    /// Downloads, one of each stored file.
    pub gets: usize,
    /// Downloads whose bytes hash to what was stored.
    pub gets_right: usize,
    /// The same as a share of all.
    pub get_success: f64,
    /// Milliseconds of a download.
    pub get_millis: Summary,
    /// How many times each fetched block was handed on from its holder.
    pub path_hops: Summary,
    /// Standing sessions a node, sampled every 10 s.
    pub sessions: Summary,
    /// Neighbours of the file system a node, sampled at the same moments.
    pub neighbours: Summary,
    /// Bytes on the wire while uploading (all traffic, upkeep too), a byte stored.
    pub bytes_moved_a_byte_stored: f64,
    /// Bytes on the wire while downloading (all traffic, upkeep too), a byte delivered.
    pub bytes_moved_a_byte_delivered: f64,
    /// Bytes on all disks, a byte stored.
    pub disk_bytes_a_byte_stored: f64,
    /// Deadlines that were already past when a machine named them: should be none.
    pub stale_deadlines: u64,
    /// BLAKE3 over all that happened.
    pub trace_hash: String,
}

impl Outcome {
    /// Most standing sessions of a node.
    pub const MAX_SESSIONS: u64 = 20;

    /// Whether the file system did what it must: everything stored, 99% fetched, blocks from at least
    /// three hops away in the middle, no node with more than 20 neighbours.
    pub fn is_good(&self) -> bool {
        self.puts_done == self.puts
            && self.get_success >= 0.99
            && self.path_hops.median >= 3
            && self.neighbours.max <= Self::MAX_SESSIONS
    }
}

/// A simulation of file system stacks.
pub type TdfsSim = Sim<Stack, Disks>;

/// When something ended, and how.
type Ended<T> = Option<(Time, Result<T, String>)>;

/// An upload or a download.
struct Transfer<T> {
    began: Time,
    ended: Ended<T>,
}

/// A file on its way through the run.
struct File {
    hash: blake3::Hash,
    length: u64,
    uploader: NodeIndex,
    put: PutId,
}

/// What is going on.
#[derive(Default)]
struct Log {
    puts: BTreeMap<(NodeIndex, PutId), Transfer<Capability>>,
    gets: BTreeMap<(NodeIndex, GetId), Transfer<()>>,
    hops: Vec<u64>,
    sessions: Vec<u64>,
    neighbours: Vec<u64>,
}

impl<T> Transfer<T> {
    const fn begun(began: Time) -> Self {
        Self { began, ended: None }
    }

    fn end(&mut self, now: Time, result: Result<T, String>) {
        self.ended.get_or_insert((now, result));
    }

    /// How long it took, if it ended well.
    fn took_millis(&self) -> Option<u64> {
        let (at, result) = self.ended.as_ref()?;
        result.is_ok().then(|| at.since(self.began).as_millis() as u64)
    }
}

impl Observer<Stack> for Log {
    fn handle_event(&mut self, now: Time, node: NodeIndex, _: &mut Stack, event: Event) {
        match event {
            Event::Put(id, PutEvent::Done(stored)) => {
                if let Some(put) = self.puts.get_mut(&(node, id)) {
                    put.end(now, Ok(stored.capability));
                }
            }
            Event::Put(id, PutEvent::Failed(error)) => {
                if let Some(put) = self.puts.get_mut(&(node, id)) {
                    put.end(now, Err(error.to_string()));
                }
            }
            Event::Get(id, GetEvent::Done { .. }) => {
                if let Some(get) = self.gets.get_mut(&(node, id)) {
                    get.end(now, Ok(()));
                }
            }
            Event::Get(id, GetEvent::Failed(error)) => {
                if let Some(get) = self.gets.get_mut(&(node, id)) {
                    get.end(now, Err(error.to_string()));
                }
            }
            Event::BlockFetched { hops, .. } => self.hops.push(u64::from(hops)),
            _ => {}
        }
    }
}

impl Log {
    /// Whether everything begun has ended.
    fn is_idle(&self) -> bool {
        self.puts.values().all(|put| put.ended.is_some())
            && self.gets.values().all(|get| get.ended.is_some())
    }

    fn sample(&mut self, sim: &TdfsSim) {
        for (_, stack) in sim.running() {
            self.sessions.push(stack.mesh().session_count() as u64);
            self.neighbours.push(stack.neighbours().len() as u64);
        }
    }

    /// Lets time pass, sampling on the way.
    fn pass(&mut self, sim: &mut TdfsSim, span: Duration) {
        let until = sim.now() + span;
        while sim.now() < until {
            let step = until.min(sim.now() + Duration::from_secs(10));
            sim.run_until(step, self);
            self.sample(sim);
        }
    }

    /// Lets time pass until everything begun has ended, within patience.
    fn settle(&mut self, sim: &mut TdfsSim) {
        let until = sim.now() + PATIENCE;
        while !self.is_idle() && sim.now() < until {
            self.pass(sim, Duration::from_secs(1));
        }
    }
}

/// Runs the plan. `prepare` gets the simulation before anything happens: to write a readable trace,
/// to set up faults. `explain` is told why each failed transfer failed.
///
/// The second value says whether the readable trace, if any, was written whole.
pub fn run(
    plan: &Plan,
    prepare: impl FnOnce(&mut TdfsSim),
    mut explain: impl FnMut(&str),
) -> (Outcome, std::io::Result<()>) {
    let rng = seed_rng(plan.seed);
    let mut sim = Sim::new(&rng, Disks::new(DiskModel::default()));
    prepare(&mut sim);
    let mut log = Log::default();
    let lived = live(plan, &rng, &mut sim, &mut log);
    log.failures(&mut explain);
    let outcome = sum_up(plan, &lived, &mut sim, &log);
    (outcome, sim.trace().finish_lines())
}

/// What a run left behind, beside the log.
struct Lived {
    files: Vec<File>,
    gets: Vec<Wanted>,
    died: usize,
    /// Bytes on the wire while uploading, and while downloading.
    moved: [u64; 2],
    /// Bytes on all disks after the uploads.
    on_disk: u64,
}

/// The course of a run: join, store, lose, fetch.
fn live(plan: &Plan, rng: &Rng, sim: &mut TdfsSim, log: &mut Log) -> Lived {
    join(plan, rng, sim, log);
    log.pass(sim, plan.settle);
    let before_puts = sim.traffic().sent_bytes;
    let files = put_files(plan, &mut rng.child("puts"), sim, log);
    let by_puts = sim.traffic().sent_bytes - before_puts;
    let on_disk = sim.io().bytes();
    log.pass(sim, plan.settle);
    let died = kill(plan, &mut rng.child("deaths"), sim);
    log.pass(sim, plan.mourning);
    let before_gets = sim.traffic().sent_bytes;
    let gets = get_files(&files, &mut rng.child("gets"), sim, log);
    let by_gets = sim.traffic().sent_bytes - before_gets;
    Lived { files, gets, died, moved: [by_puts, by_gets], on_disk }
}

fn sum_up(plan: &Plan, lived: &Lived, sim: &mut TdfsSim, log: &Log) -> Outcome {
    let bytes_stored = stored_bytes(&lived.files, log);
    let (gets, [by_puts, by_gets]) = (lived.gets.len(), lived.moved);
    let (gets_right, bytes_delivered) = delivered(&lived.gets, sim, log);
    Outcome {
        nodes: plan.nodes,
        died: lived.died,
        seed: plan.seed,
        virtual_seconds: sim.now().as_secs(),
        puts: plan.files,
        puts_done: log.puts.values().filter(|put| put.took_millis().is_some()).count(),
        bytes_stored,
        put_millis: Summary::of(log.puts.values().filter_map(Transfer::took_millis)),
        gets,
        gets_right,
        get_success: ratio(gets_right as u64, gets as u64),
        get_millis: Summary::of(log.gets.values().filter_map(Transfer::took_millis)),
        path_hops: Summary::of(log.hops.iter().copied()),
        sessions: Summary::of(log.sessions.iter().copied()),
        neighbours: Summary::of(log.neighbours.iter().copied()),
        bytes_moved_a_byte_stored: ratio(by_puts, bytes_stored),
        bytes_moved_a_byte_delivered: ratio(by_gets, bytes_delivered),
        disk_bytes_a_byte_stored: ratio(lived.on_disk, bytes_stored),
        stale_deadlines: sim.stale_deadlines(),
        trace_hash: sim.trace().hash(),
    }
}

/// Lets all nodes join through the first.
fn join(plan: &Plan, rng: &Rng, sim: &mut TdfsSim, log: &mut Log) {
    let mut world_rng = rng.child("world");
    let mut first: Option<PublicKey> = None;
    for (index, at) in join_times(plan.nodes, plan.join_span).enumerate() {
        sim.run_until(at, log);
        let node = sim.attach(plan.world.attachment(&mut world_rng));
        let own = rng.child(&format!("node {index}"));
        let mut config = Config::default();
        config.route = config.route.with_minimal_puzzle();
        let key = NodeKey::generate(&mut own.child("key"));
        let Ok(facts) = sim.io().add(QUOTA, own.child("disk")) else { continue };
        let Ok(stack) = Stack::new(config, key, facts, own.child("stack"), at) else { continue };
        let first = *first.get_or_insert(stack.public_key());
        sim.start(node, stack, log);
        if index > 0 {
            let address = sim.network().address(0);
            sim.command(node, log, |stack, now| stack.bootstrap(now, address, first));
        }
    }
}

/// Stores the files from random nodes, and waits until they are.
fn put_files(plan: &Plan, rng: &mut Rng, sim: &mut TdfsSim, log: &mut Log) -> Vec<File> {
    let begin = sim.now();
    let mut files = Vec::with_capacity(plan.files);
    for (index, at) in join_times(plan.files, BUSY_SPAN).enumerate() {
        let until = begin + at.since(Time::ZERO);
        let span = until.since(sim.now());
        log.pass(sim, span);
        let uploader = NodeIndex(rng.index(plan.nodes));
        let mut content = vec![0; LENGTHS[index % LENGTHS.len()]];
        rng.fill(&mut content);
        let (hash, length) = (blake3::hash(&content), content.len() as u64);
        // The source must lie ready and the upload be known before the machine is drained: it asks
        // at once.
        let began = sim.now();
        let Some(Ok(put)) =
            sim.prepare(uploader, |stack| stack.put(FileKind::File, length, Secrecy::Random))
        else {
            continue;
        };
        sim.io().set_source(uploader, TransferId::Put(put), content.into());
        log.puts.insert((uploader, put), Transfer::begun(began));
        sim.command(uploader, log, |_, _| ());
        files.push(File { hash, length, uploader, put });
    }
    log.settle(sim);
    files
}

/// Kills a share of the nodes at one moment; returns how many.
fn kill(plan: &Plan, rng: &mut Rng, sim: &mut TdfsSim) -> usize {
    let mut nodes: Vec<NodeIndex> = (0..plan.nodes).map(NodeIndex).collect();
    rng.shuffle(&mut nodes);
    nodes.truncate(plan.dying.of(plan.nodes));
    nodes.into_iter().filter(|node| sim.crash(*node).is_some()).count()
}

/// A download and what it should bring.
struct Wanted {
    node: NodeIndex,
    get: GetId,
    hash: blake3::Hash,
    length: u64,
}

/// Fetches each stored file from a random living node other than its uploader.
fn get_files(files: &[File], rng: &mut Rng, sim: &mut TdfsSim, log: &mut Log) -> Vec<Wanted> {
    let alive: Vec<NodeIndex> = sim.running().map(|(node, _)| node).collect();
    let begin = sim.now();
    let mut wanted = Vec::with_capacity(files.len());
    for (file, at) in files.iter().zip(join_times(files.len(), BUSY_SPAN)) {
        let until = begin + at.since(Time::ZERO);
        let span = until.since(sim.now());
        log.pass(sim, span);
        let put = log.puts.get(&(file.uploader, file.put));
        let Some((_, Ok(capability))) = put.and_then(|put| put.ended.clone()) else { continue };
        let others: Vec<NodeIndex> =
            alive.iter().copied().filter(|node| *node != file.uploader).collect();
        let Some(&node) = rng.choose(&others) else { continue };
        let began = sim.now();
        let Some(Ok(get)) = sim.prepare(node, |stack| stack.get(&capability)) else { continue };
        log.gets.insert((node, get), Transfer::begun(began));
        sim.command(node, log, |_, _| ());
        wanted.push(Wanted { node, get, hash: file.hash, length: file.length });
    }
    log.settle(sim);
    wanted
}

fn stored_bytes(files: &[File], log: &Log) -> u64 {
    let is_stored = |file: &&File| {
        let put = log.puts.get(&(file.uploader, file.put));
        put.is_some_and(|put| put.took_millis().is_some())
    };
    files.iter().filter(is_stored).map(|file| file.length).sum()
}

/// Downloads that brought the right bytes, and how many bytes those are.
fn delivered(gets: &[Wanted], sim: &mut TdfsSim, log: &Log) -> (usize, u64) {
    let is_right = |wanted: &&Wanted| {
        let get = log.gets.get(&(wanted.node, wanted.get));
        let sink = sim.io().sink(wanted.node, TransferId::Get(wanted.get));
        get.is_some_and(|get| get.took_millis().is_some())
            && sink.is_some_and(|sink| sink.hash() == wanted.hash)
    };
    let right: Vec<&Wanted> = gets.iter().filter(is_right).collect();
    (right.len(), right.iter().map(|wanted| wanted.length).sum())
}

impl Log {
    /// Tells why what failed failed.
    fn failures(&self, explain: &mut impl FnMut(&str)) {
        for ((node, put), transfer) in &self.puts {
            if let Some(why) = transfer.failure() {
                explain(&format!("put {} of node {}: {why}", put.0, node.0));
            }
        }
        for ((node, get), transfer) in &self.gets {
            if let Some(why) = transfer.failure() {
                explain(&format!("get {} of node {}: {why}", get.0, node.0));
            }
        }
    }
}

impl<T> Transfer<T> {
    fn failure(&self) -> Option<&str> {
        match &self.ended {
            None => Some("did not end in time"),
            Some((_, Err(why))) => Some(why),
            Some((_, Ok(_))) => None,
        }
    }
}

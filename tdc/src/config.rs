//! Every constant of the protocol that may be tuned, with its unit and its reason.

use core::time::Duration;

/// The channel that carries [`message`](crate::message)s; also the service that a worker offers.
pub const PROTOCOL: &str = "toktok/tdc/1";

/// The version in `Hello`. A peer with another version is not spoken to.
pub const VERSION: u32 = 1;

/// Units in a job: bounds what a client keeps for one (about 300 bytes a unit).
pub const MAX_UNITS: u64 = 65_536;

/// Jobs that a client runs at once.
pub const MAX_JOBS: usize = 16;

/// Workers that a client gives units to at once: one channel each.
pub const MAX_WORKERS: usize = 1_024;

/// Arguments of a program, and bytes of one.
pub const MAX_ARGUMENTS: usize = 16;
/// See [`MAX_ARGUMENTS`].
pub const MAX_ARGUMENT_BYTES: usize = 1_024;

/// Bytes of a capability in its printable form: several times what TDFS makes of one.
pub const MAX_CAPABILITY_BYTES: usize = 256;

/// Bytes of a program. Compiling is the one step whose cost a stranger's small input can drive up,
/// so it is bounded here, by the child's memory and by [`COMPILE_WALL`].
pub const MAX_PROGRAM_BYTES: usize = 8 << 20;

/// Bytes of one unit's piece of the input, look-ahead included.
pub const MAX_PIECE_BYTES: u64 = 64 << 20;

/// Bytes of one unit's result.
pub const MAX_OUTPUT_BYTES: u64 = 64 << 20;

/// Bytes of a job's result, and of what a program's joining of results may give. It is computed by the
/// job's owner, on his own machine.
pub const MAX_RESULT_BYTES: u64 = 192 << 20;

/// Memory that joining results has at least: they come together in one place.
pub const JOIN_MEMORY_BYTES: u64 = 1 << 30;

/// Bytes of all results that a client holds for one job before they are reduced.
pub const MAX_JOB_OUTPUT_BYTES: u64 = 512 << 20;

/// Bytes of one `Output` message: small enough that heartbeats of other leases are not kept waiting.
pub const OUTPUT_CHUNK: usize = 256 << 10;

/// How far behind a piece's end a separator is looked for, in bytes. A longer record is cut where the
/// pieces meet, by all workers at the same byte.
pub const LOOK_AHEAD: u64 = 64 << 10;

/// Partial results are reduced in batches of about this many bytes, and the results of batches again.
pub const REDUCE_BATCH_BYTES: u64 = 16 << 20;

/// How often a worker says that it is still at its leases.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// Without a heartbeat for this long (three missed, and half a one for a slow path) a lease ends.
pub const LEASE_SILENCE: Duration = Duration::from_millis(3_500);

/// Beyond a unit's own wall time, what a lease may take for fetching program and piece.
pub const FETCH_ALLOWANCE: Duration = Duration::from_secs(120);

/// How long a worker may take to open its commitment, or to send the next chunk of a result.
pub const REVEAL_WAIT: Duration = Duration::from_secs(10);

/// A unit slower than this many times the 75th percentile of those that ended gets one more copy.
pub const STRAGGLER_FACTOR: u32 = 2;

/// Ended units before the percentile means anything.
pub const STRAGGLER_SAMPLES: usize = 8;

/// Durations kept for the percentile: the latest ones.
pub const DURATION_SAMPLES: usize = 256;

/// No speculative copy before a unit is this old: below it the copy costs more than it saves.
pub const STRAGGLER_FLOOR: Duration = Duration::from_millis(500);

/// Units that may be open for each known worker. The choice among them is random, so that whoever
/// pulls with two keys in a row seldom gets both replicas of a unit; larger means that workers hold
/// committed results for longer.
pub const OPEN_UNITS_A_WORKER: usize = 4;

/// The least number of open units, for the same reason when workers are few.
pub const MIN_OPEN_UNITS: usize = 16;

/// Failures of a unit, by different workers, after which the client runs it itself.
pub const FAILURES_BEFORE_ARBITRATION: usize = 2;

/// Leases that a worker let end (silence, no reveal, wrong bytes) in one job before it gets no more.
pub const MAX_LAPSES: u32 = 8;

/// How often a job's progress is told while nothing else happens.
pub const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Jobs that a worker serves at once, of all clients.
pub const MAX_OFFERS: usize = 64;

/// Units that a worker asks for ahead in one `Pull`, and may be owed by a client.
pub const MAX_CREDIT: u32 = 64;

/// Results that a worker holds (committed, not released) before it pulls no more.
pub const MAX_HELD_RESULTS: usize = 64;

/// Bytes of results that a worker holds before it pulls no more.
pub const MAX_HELD_BYTES: u64 = 256 << 20;

/// A worker forgets a result that nobody asked for in this time: its client is gone or stuck.
pub const HELD_FOR: Duration = Duration::from_secs(600);

/// Programs that a worker keeps by capability, and a client for arbitration.
pub const CACHED_PROGRAMS: usize = 8;

/// Results that a client keeps by what they were computed from, and their bytes in all.
pub const CACHED_RESULTS: usize = 4_096;
/// See [`CACHED_RESULTS`].
pub const CACHED_RESULT_BYTES: u64 = 64 << 20;

/// Bytes of a message for people that a worker may send with a failure.
pub const MAX_FAILURE_MESSAGE: usize = 1_024;

/// Wall time of compiling a program.
pub const COMPILE_WALL: Duration = Duration::from_secs(30);

/// Bytes of a program's stack (WebAssembly frames). Fixed, for a deeper stack is another result.
pub const STACK_BYTES: usize = 512 << 10;

/// Bytes of a program's error output that are kept for the message about its failure: the last ones.
pub const STDERR_KEPT: usize = 1_024;

/// What a unit may use if the job does not say otherwise: memory in bytes.
pub const DEFAULT_MEMORY_BYTES: u64 = 256 << 20;
/// What a unit may use if the job does not say otherwise: wall time.
pub const DEFAULT_WALL: Duration = Duration::from_secs(60);
/// What a unit may use if the job does not say otherwise: bytes of its result.
pub const DEFAULT_OUTPUT_BYTES: u64 = 16 << 20;
/// How long a job may take if it does not say otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(3_600);
/// Bytes of a unit's piece if the job does not say otherwise.
pub const DEFAULT_UNIT_BYTES: u64 = 1 << 20;

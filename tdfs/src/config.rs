//! Every number of the file system that may be tuned, with its unit and its reason.

use core::time::Duration;

use crate::client::{GetConfig, PutConfig};
use crate::route::Puzzle;

/// How a node finds its place among the others and carries their blocks.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RouteConfig {
    /// How hard a location is to come by. The same in a whole network, or nodes refuse each other.
    /// 16 tries of a millisecond: a first step, for a node must start in a moment on a small machine.
    pub puzzle: Puzzle,
    /// Most neighbours, each a standing session. 20 keeps sessions cheap now; 32 to 64 is the design's
    /// aim, when relays and congestion control can carry them.
    pub max_neighbours: usize,
    /// Neighbours that this node goes looking for; the rest of the places are for those who come.
    pub wanted_neighbours: usize,
    /// Leaf set: so many nearest neighbours on each side. 8 in the design, 5 as long as there are 20.
    pub leaf_side: usize,
    /// The region of a block: so many average gaps between nodes around it, on each side. Four times
    /// what 8 holders take, for densities vary and are only estimated.
    pub region_gaps: u64,
    /// Blocks of 64 KiB that this node gives room to; told to neighbours.
    pub capacity: u64,
    /// A walking request leaves the random walk with this chance: one in so many at each hop. 3 gives
    /// three hops on average, and no hop knows how many there were.
    pub walk_one_in: u64,
    /// Greedy hops beyond log2 of the estimated network size.
    pub spare_hops: u8,
    /// Paths of a request for a root at once: a lost root is a lost file.
    pub root_paths: usize,
    /// Blocks of which so many copies are wanted count as roots.
    pub root_copies: u8,
    /// A second path is begun when the first has not answered for so long (the late second path).
    pub hedge_after: Duration,
    /// Paths of one request in all; then its owner is told and may come again.
    pub max_paths: usize,
    /// How long an own request may take.
    pub request_timeout: Duration,
    /// How long a request on its walk may take from here on; more than the longest greedy part.
    pub walk_timeout: Duration,
    /// How long a greedy request may take, the last hop and its region included …
    pub greedy_timeout: Duration,
    /// … and so much more for each hop that it has left: who is nearer to the end gives up first.
    pub greedy_hop_timeout: Duration,
    /// How long the region may take.
    pub region_timeout: Duration,
    /// A neighbour that owes an answer and was silent for so long is asked for a sign of life.
    pub probe_after: Duration,
    /// A neighbour that gave none for so long is passed over until it does. More than a full queue of a
    /// slow link takes.
    pub suspect_after: Duration,
    /// How often the neighbourhood is looked after.
    pub maintenance: Duration,
    /// How often a settled node asks again who is near.
    pub refresh: Duration,
    /// A neighbour younger than this is not replaced by a better one: no flapping.
    pub settle: Duration,
    /// How long a node that refused or failed is left alone, doubled at each failure.
    pub retry_contact: Duration,
}

impl Default for RouteConfig {
    fn default() -> Self {
        Self {
            puzzle: Puzzle { zero_bits: 4, memory_kib: 1024, passes: 1 },
            max_neighbours: 20,
            wanted_neighbours: 16,
            leaf_side: 5,
            region_gaps: 16,
            capacity: 16 * 1024,
            walk_one_in: 3,
            spare_hops: 6,
            root_paths: 2,
            root_copies: 4,
            hedge_after: Duration::from_secs(4),
            max_paths: 3,
            request_timeout: Duration::from_secs(40),
            walk_timeout: Duration::from_secs(30),
            greedy_timeout: Duration::from_secs(6),
            greedy_hop_timeout: Duration::from_secs(1),
            region_timeout: Duration::from_secs(5),
            probe_after: Duration::from_millis(800),
            suspect_after: Duration::from_millis(2_500),
            maintenance: Duration::from_secs(1),
            refresh: Duration::from_secs(20),
            settle: Duration::from_secs(10),
            retry_contact: Duration::from_secs(15),
        }
    }
}

impl RouteConfig {
    /// For tests and the simulator: a location costs microseconds.
    #[must_use]
    pub fn with_minimal_puzzle(mut self) -> Self {
        self.puzzle = Puzzle::MINIMAL;
        self
    }
}

/// How a node of the file system behaves.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// The mesh beneath.
    pub mesh: toktok_mesh::Config,
    /// Neighbours and requests.
    pub route: RouteConfig,
    /// Storing files.
    pub put: PutConfig,
    /// Fetching files.
    pub get: GetConfig,
}

//! The numbers of the DHT. Where other nodes depend on one it is c-toxcore's, and no setting.

use core::time::Duration;

use crate::wire::PublicKey;

/// Buckets of the close list: one a count of leading bits shared with this node's key, the last one
/// for all beyond (c-toxcore `LCLIENT_LENGTH`; the Tox Reference has 256).
pub(super) const BUCKETS: usize = 128;

/// Nodes in a bucket, and nearest nodes that always find a place (c-toxcore `LCLIENT_NODES`).
pub(super) const BUCKET_NODES: usize = 8;

/// Nodes in a bucket that holds some of the nearest ones beyond [`BUCKET_NODES`].
pub(super) const BUCKET_NODES_NEAREST: usize = 2 * BUCKET_NODES;

/// Requests that await an answer (c-toxcore `DHT_PING_ARRAY_SIZE`).
pub(super) const MAX_REQUESTS: usize = 512;

/// An answer that comes later than this was not asked for (c-toxcore `PING_TIMEOUT`).
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A node of the close list is asked for nodes this often (c-toxcore `PING_INTERVAL`).
pub(super) const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// Whoever is due within this is asked at the same time, so that a quiet node wakes up half as often.
/// c-toxcore looks at its timers once a second.
pub(super) const REFRESH_SLACK: Duration = Duration::from_secs(1);

/// A node that asks us is alive and need not be asked by us, for so long after its last answer: an old
/// question sent again by somebody else must not keep it in the list for ever.
pub(super) const HEARSAY_LIMIT: Duration = Duration::from_secs(300);

/// A node silent for so long is not told to others and gives its place to a newcomer: it missed two
/// requests (c-toxcore `BAD_NODE_TIMEOUT`).
pub(super) const BAD_AFTER: Duration = Duration::from_secs(122);

/// A node silent for so long is forgotten (c-toxcore `KILL_NODE_TIMEOUT`).
pub(super) const FORGOTTEN_AFTER: Duration = Duration::from_secs(182);

/// A random node is asked for nodes this often (c-toxcore `NODES_REQUEST_INTERVAL`).
pub(super) const RANDOM_INTERVAL: Duration = Duration::from_secs(20);

/// Nodes that wait to be pinged before they may enter the close list (c-toxcore `MAX_TO_PING`).
pub(super) const MAX_CANDIDATES: usize = 32;

/// Candidates are pinged at this pace: [`MAX_CANDIDATES`] in 2 s, as c-toxcore does, but without
/// waiting for the 2 s. So nobody makes us flood a third party.
pub(super) const CANDIDATE_INTERVAL: Duration = Duration::from_micros(62_500);

/// The burst that the pace allows.
pub(super) const CANDIDATE_BURST: Duration = Duration::from_secs(2);

/// A candidate that was pinged is not pinged again for so long, however many nodes tell of it.
pub(super) const CANDIDATE_MEMORY: Duration = Duration::from_secs(10);

/// Pinged candidates that are remembered.
pub(super) const MAX_PINGED: usize = 64;

/// Bootstrap nodes that are remembered, the latest ones.
pub(super) const MAX_BOOTSTRAP_NODES: usize = 32;

/// A bootstrap node that does not answer is asked again after this, then after twice as long …
pub(super) const BOOTSTRAP_RETRY: Duration = Duration::from_secs(1);

/// … up to this.
pub(super) const BOOTSTRAP_RETRY_MAX: Duration = Duration::from_secs(60);

/// A bootstrap node is asked this often although all is well.
pub(super) const BOOTSTRAP_REVISIT: Duration = Duration::from_secs(600);

/// Times a silent bootstrap node is asked again while other nodes do answer, until the next visit.
pub(super) const BOOTSTRAP_ATTEMPTS: u32 = 5;

/// Requests of one lookup that are under way at once (Kademlia's alpha).
pub(super) const LOOKUP_PARALLEL: usize = 3;

/// A lookup ends when so many of the nearest nodes it heard of have answered (Kademlia's k).
pub(super) const LOOKUP_WIDTH: usize = 8;

/// The same for a lookup that only fills a bucket far from this node's own key.
pub(super) const REFRESH_WIDTH: usize = 3;

/// Nodes that one lookup keeps in mind.
pub(super) const LOOKUP_CANDIDATES: usize = 32;

/// Addresses that one lookup tries for one key: others may lie, or the node has moved.
pub(super) const LOOKUP_ADDRESSES: usize = 4;

/// A lookup does not wait longer than this for one node: it asks it again and goes on with others
/// meanwhile. Twice a slow path's round trip.
pub(super) const LOOKUP_HEDGE: Duration = Duration::from_millis(700);

/// Times a lookup asks one node.
pub(super) const LOOKUP_ATTEMPTS: u8 = 3;

/// A lookup that found nothing begins anew after this pause, for nodes may just be joining.
pub(super) const LOOKUP_PAUSE: Duration = Duration::from_secs(1);

/// Times it does so.
pub(super) const LOOKUP_RESTARTS: u8 = 2;

/// Lookups of this node's own key, counted from the first answer: a neighbourhood that forms at the
/// same time is seen whole by the later ones.
pub(super) const JOIN_LOOKUPS: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(30)];

/// A node of the close list is asked again what it offers after this: it may have begun to.
pub(super) const INFO_INTERVAL: Duration = Duration::from_secs(600);

/// Bootstrap-info requests that wait or are under way.
pub(super) const MAX_INFO_REQUESTS: usize = 64;

/// A bootstrap-info request is repeated after this, and given up after as many [`INFO_ATTEMPTS`].
pub(super) const INFO_RETRY: Duration = Duration::from_secs(2);

/// Times a node is asked for its bootstrap info.
pub(super) const INFO_ATTEMPTS: u8 = 3;

/// Friends whose DHT keys are searched for at once; each costs up to 8 KiB.
pub(super) const MAX_FRIENDS: usize = 1024;

/// Nodes nearest to a friend's DHT key that are kept (c-toxcore `MAX_FRIEND_CLIENTS`).
pub(super) const FRIEND_NODES: usize = 8;

/// Nodes that are believed at once when a friend names them (c-toxcore: four in a DHTPK packet, and four
/// more of TCP relays).
pub(super) const MAX_HINTS: usize = 8;

/// A node that may be near a friend is asked again after this, then after twice as long …
pub(super) const SEEK_RETRY: Duration = Duration::from_millis(500);

/// … so many times in all.
pub(super) const SEEK_ATTEMPTS: u8 = 3;

/// Nodes that one friend's search has in mind.
pub(super) const MAX_SOUGHT: usize = 32;

/// A node that never answered is not asked again for so long, however many nodes tell of it.
pub(super) const SEEK_MEMORY: Duration = Duration::from_secs(10);

/// While a friend is not found, its nodes are asked anew after these pauses: it may just be joining.
/// c-toxcore asks in each of the first five seconds.
pub(super) const EAGER_ROUNDS: [Duration; 6] = [
    Duration::from_millis(300),
    Duration::from_millis(700),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// Nodes asked in each such round, the nearest ones.
pub(super) const EAGER_NODES: usize = 4;

/// A friend that is found and asks from another port of its IP address is asked there this often: where
/// two NATs map by the remote endpoint, each question comes from a new port.
pub(super) const FOLLOW_INTERVAL: Duration = Duration::from_secs(10);

/// Addresses of a friend that were told of: one that goes on answering is not told of again.
pub(super) const MAX_TOLD: usize = 8;

/// LAN discovery: this often (c-toxcore `LAN_DISCOVERY_INTERVAL`),
pub(super) const LAN_INTERVAL: Duration = Duration::from_secs(10);

/// … and up to so much later, so that two nodes of one machine have no common rhythm that tells them
/// apart from others,
pub(super) const LAN_JITTER: Duration = Duration::from_secs(1);

/// … always to this port (c-toxcore `TOX_PORT_DEFAULT`),
pub(super) const LAN_PORT: u16 = 33_445;

/// … and to some of those between it and this one (c-toxcore `TOX_PORTRANGE_TO`),
pub(super) const LAN_PORT_LAST: u16 = 33_545;

/// … so many (c-toxcore `PORTS_PER_DISCOVERY`).
pub(super) const LAN_PORTS_A_TIME: u16 = 10;

/// Broadcast addresses, of which each port costs one datagram (c-toxcore `MAX_INTERFACES`).
pub(super) const MAX_BROADCAST_ADDRESSES: usize = 16;

/// Nodes from before that are kept until somebody answers (c-toxcore `MAX_SAVED_DHT_NODES`).
pub(super) const MAX_SAVED_NODES: usize = 2_080;

/// So many of them are asked at a time (c-toxcore `SAVE_BOOTSTAP_FREQUENCY`) …
pub(super) const SAVED_AT_A_TIME: usize = 8;

/// … and the next ones after this.
pub(super) const SAVED_STEP: Duration = Duration::from_secs(1);

/// When all were asked, they are asked again after a pause that doubles up to this.
pub(super) const SAVED_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Nodes forgotten last, which are asked again if nobody is left.
pub(super) const MAX_FORGOTTEN: usize = 16;

/// How the DHT behaves where no other node depends on it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DhtConfig {
    /// Asks each node that enters the close list for its bootstrap info, and again every ten minutes,
    /// to find nodes that offer TokTok services. Offering some turns it on too.
    pub discover_services: bool,
    /// Takes part in LAN discovery: tells the local network of this node every ten seconds, and asks the
    /// nodes that others tell of. Never to be used by a node that must not be noticed.
    pub lan_discovery: bool,
    /// Answer whoever asks for this node's bootstrap info: its version and message of the day. Tox
    /// clients do not, bootstrap nodes do.
    pub answers_info: bool,
    /// The message of the day, before what the node offers; both together at most 256 bytes.
    pub motd: String,
    /// Nodes that this one does not ask, nor tell of, nor lead its onion paths through; it answers them
    /// as anybody. A person's core shuns the provider's core of its own machine: as the last hop of one
    /// of the person's paths that would show the identity's packets coming from the person's address.
    pub shunned: Vec<PublicKey>,
    /// Lookups under way at once; one more fails at once. Each costs a few KiB.
    pub max_lookups: usize,
    /// A lookup ends at the latest after this, found or not.
    pub lookup_timeout: Duration,
}

impl Default for DhtConfig {
    fn default() -> Self {
        Self {
            discover_services: false,
            lan_discovery: false,
            answers_info: true,
            motd: String::new(),
            shunned: Vec::new(),
            max_lookups: 256,
            lookup_timeout: Duration::from_secs(10),
        }
    }
}

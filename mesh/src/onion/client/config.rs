//! The numbers of the onion's client side. Where other nodes depend on one it is c-toxcore's.

use core::time::Duration;

/// How the client side of the onion behaves.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct OnionClientConfig {
    /// Lets paths have fewer than three distinct nodes, and the node at their end among them, where
    /// fewer than [`ENOUGH_PATH_NODES`] are known, and no others that work: for very small networks,
    /// which hide nobody. Off by default.
    pub(crate) allow_short_paths: bool,
    /// Time since 1970 at the driver's [`Time::ZERO`](crate::Time): what counts our DHT-key packets
    /// must grow from one run to the next, or friends take them for replays.
    pub(crate) epoch: Duration,
}

/// Nodes that paths and searches are begun with (c-toxcore `MAX_PATH_NODES`).
pub(super) const MAX_PATH_NODES: usize = 32;
/// Nodes that one [`offer`](super::OnionClient::offer_path_nodes) is looked through for.
pub(super) const MAX_OFFERED: usize = 1024;
/// A node that is offered no more is used for so long: the DHT forgets silent ones after 182 s.
pub(super) const PATH_NODE_LIFETIME: Duration = Duration::from_secs(180);
/// After an offer that brought something new the next one is wanted after this …
pub(super) const OFFER_PAUSE: Duration = Duration::from_millis(50);
/// … and after one that brought nothing new after twice as long, up to this …
pub(super) const OFFER_PAUSE_FEW: Duration = Duration::from_secs(1);
/// … or up to this if there are enough nodes to choose from …
pub(super) const OFFER_PAUSE_MAX: Duration = Duration::from_secs(60);
/// … which are so many.
pub(super) const ENOUGH_PATH_NODES: usize = 8;
/// Failed paths in a row after which a node is drawn only if there is no other.
pub(super) const MAX_STRIKES: u8 = 3;

/// Paths over which this node announces itself (c-toxcore `NUMBER_ONION_PATHS`).
pub(super) const OWN_PATHS: usize = 6;
/// Paths for one friend. c-toxcore has six for all friends together, whose third hops can tell that
/// the same person looks for several people.
pub(super) const FRIEND_PATHS: usize = 3;
/// A path is replaced after this (c-toxcore `ONION_PATH_MAX_LIFETIME`).
pub(super) const PATH_LIFETIME: Duration = Duration::from_secs(1_200);
/// Requests in a row without answer after which a path is given up, to nodes that answered before
/// (c-toxcore `ONION_PATH_MAX_NO_RESPONSE_USES`). It may be the node that is silent; and if it never
/// answered at all, the request counts so many times less.
pub(super) const PATH_MISSES: u8 = 4;
/// See [`PATH_MISSES`].
pub(super) const KNOWN_WEIGHT: u8 = 3;
/// The same for a path that never brought an answer, whoever was asked.
pub(super) const NEW_PATH_MISSES: u8 = 2;
/// Data for us may still come along a path so long after we gave it up: an announcement lives 300 s.
pub(super) const PATH_ECHO: Duration = Duration::from_secs(310);
/// First hops of such paths that are remembered.
pub(super) const MAX_RETIRED: usize = 32;

/// Announce requests that await an answer (c-toxcore `ANNOUNCE_ARRAY_SIZE`).
pub(super) const MAX_REQUESTS: usize = 256;
/// An answer that comes later than this was not asked for (c-toxcore `ANNOUNCE_TIMEOUT`).
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// At first we wait so long for an answer before we ask again, though it still counts …
pub(super) const REQUEST_HEDGE: Duration = Duration::from_millis(1_500);
/// … then so many of the usual round trips …
pub(super) const HEDGE_ROUND_TRIPS: u32 = 4;
/// … but no less than this …
pub(super) const HEDGE_MIN: Duration = Duration::from_millis(300);
/// … and no more than this.
pub(super) const HEDGE_MAX: Duration = Duration::from_secs(3);
/// Packets that may be sent at once …
pub(super) const BURST: u32 = 128;
/// … and the pace of more: nobody makes us flood a third party.
pub(super) const PACE: Duration = Duration::from_millis(25);
/// Packets that wait to be polled; a driver drains after every call.
pub(super) const MAX_OUTBOX: usize = 1024;
/// Events that wait to be polled.
pub(super) const MAX_EVENTS: usize = 256;

/// Nodes at which this node announces itself (c-toxcore `MAX_ONION_CLIENTS_ANNOUNCE`). A searcher
/// keeps the eight nearest in mind; four more may come and go.
pub(super) const ANNOUNCE_NODES: usize = 12;
/// Nodes that a search keeps in mind (c-toxcore `MAX_ONION_CLIENTS`).
pub(super) const SEARCH_NODES: usize = 8;
/// Nodes that were heard of and did not answer yet, of each search.
pub(super) const MAX_HEARD: usize = 24;
/// Nodes of the pool with which a search begins.
pub(super) const SEEDS: usize = 4;
/// Pauses before a node is asked for the second, third … time that never answered; the last repeats.
pub(super) const STRANGER_RETRIES: [Duration; 10] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(32),
    Duration::from_secs(64),
    Duration::from_secs(256),
    Duration::from_secs(600),
];
/// So often a member is asked again by the path of its last answer before others are tried.
pub(super) const MEMBER_PATH_TRIES: usize = 2;
/// Pauses before a node is asked again that answered before; after that it is a stranger again.
pub(super) const MEMBER_RETRIES: [Duration; 3] =
    [Duration::ZERO, Duration::ZERO, Duration::from_secs(3)];
/// A request that found no path is tried again after this.
pub(super) const NO_PATH_PAUSE: Duration = Duration::from_millis(250);

/// An announcement is renewed this long after it was made, renewed for the first time, and so on; the
/// last repeats (c-toxcore: 15 s for 90 s, then 120 s).
pub(super) const RENEWALS: [Duration; 3] =
    [Duration::from_secs(20), Duration::from_secs(60), Duration::from_secs(120)];
/// Renewals are made up to this earlier, so that they do not fall together.
pub(super) const RENEWAL_JITTER: Duration = Duration::from_secs(8);
/// A node that refuses an announcement, for its store is full, is asked again after this, then after
/// twice as long …
pub(super) const REFUSED_PAUSE: Duration = Duration::from_secs(3);
/// … up to this. c-toxcore keeps asking every 3 s.
pub(super) const REFUSED_PAUSE_MAX: Duration = Duration::from_secs(120);
/// A ping id is shown for so long: others accept it for 300 s at least.
pub(super) const PING_ID_LIFETIME: Duration = Duration::from_secs(280);
/// An announcement that is not renewed is forgotten after this (c-toxcore
/// `ONION_ANNOUNCE_TIMEOUT`).
pub(super) const ANNOUNCEMENT_LIFETIME: Duration = Duration::from_secs(300);

/// Nodes that a round of a search asks.
pub(super) const ROUND_NODES: usize = 3;
/// Shortest pause between two rounds of a search: while a friend may be announcing itself right now.
pub(super) const ROUND_MIN: Duration = Duration::from_millis(100);
/// Longest (c-toxcore `ANNOUNCE_FRIEND_MAX_INTERVAL`).
pub(super) const ROUND_MAX: Duration = Duration::from_secs(3_600);
/// The pause between rounds is this part of the search's age.
pub(super) const ROUND_AGE: u32 = 4;
/// While so many nodes hold a friend's announcement …
pub(super) const FOUND_ENOUGH: usize = 3;
/// … rounds are at least so far apart.
pub(super) const FOUND_PAUSE: Duration = Duration::from_secs(15);
/// The age with which the search for a friend begins that just went offline: rounds of half a second.
pub(super) const LOST_AGE: Duration = Duration::from_secs(2);

/// A packet for a friend goes through so many of the nodes that hold its announcement.
pub(super) const COPIES: usize = 3;
/// Nodes found so long after a packet was sent get a copy of it.
pub(super) const COPY_WINDOW: Duration = Duration::from_secs(5);
/// Data keys of a friend that are remembered as told: one a run of the friend's.
pub(super) const MAX_TOLD_KEYS: usize = 8;
/// Pauses between the first packets that tell a friend our DHT key.
pub(super) const TELL_FIRST: [Duration; 3] =
    [Duration::from_secs(3), Duration::from_secs(7), Duration::from_secs(20)];
/// Pause between later ones (c-toxcore `ONION_DHTPK_SEND_INTERVAL`).
pub(super) const TELL_PAUSE: Duration = Duration::from_secs(30);
/// After so many in vain the pause doubles each time: the friend may not have accepted us yet …
pub(super) const TELL_PATIENCE: u32 = 20;
/// … up to this.
pub(super) const TELL_PAUSE_MAX: Duration = Duration::from_secs(600);
/// A friend request is repeated after this, then after twice as long (c-toxcore
/// `FRIENDREQUEST_TIMEOUT`) …
pub(super) const REQUEST_PAUSE: Duration = Duration::from_secs(5);
/// … up to this.
pub(super) const REQUEST_PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// Data packets that were opened and are known again: copies of one packet, and replays.
pub(super) const MAX_SEEN: usize = 256;
/// Friend requests that are known again (c-toxcore `MAX_RECEIVED_STORED`).
pub(super) const MAX_SEEN_REQUESTS: usize = 32;
/// Data packets that may be opened at once; each costs two Diffie–Hellmans …
pub(super) const OPEN_BURST: u32 = 64;
/// … and the pace of more.
pub(super) const OPEN_PACE: Duration = Duration::from_millis(20);

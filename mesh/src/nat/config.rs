//! The numbers of hole punching. Together they bound what a friend behind a hard NAT costs, and what a
//! liar could have us send to a third party.

use core::time::Duration;

/// Nodes of a friend's list that must tell of it before it is asked through them, and of one IP address
/// before holes are punched to it: half of the list (c-toxcore: half of 8), half of the nodes that
/// there are in a network of fewer.
pub(super) const ENOUGH_REPORTS: usize = 4;

/// The same for sending a DHT request through them (c-toxcore: a quarter of 8).
pub(crate) const ENOUGH_ROUTES: usize = 2;

/// Between two NAT pings, and between two volleys (c-toxcore `PUNCH_INTERVAL`).
pub(super) const PUNCH_INTERVAL: Duration = Duration::from_secs(3);

/// A NAT ping that the friend's own one calls for does not wait longer than this after the last.
pub(super) const ECHO_INTERVAL: Duration = Duration::from_millis(500);

/// Holes are punched only while the friend's own last NAT ping is younger: it punches too, then.
pub(super) const HEARD_LIMIT: Duration = Duration::from_secs(6);

/// After so long without a volley, the guessing begins anew (c-toxcore `PUNCH_RESET_TIME`).
pub(super) const PUNCH_RESET: Duration = Duration::from_secs(40);

/// Ports guessed in one volley near the reported ones, and as many from 1024 on when that did not help
/// (c-toxcore `MAX_PUNCHING_PORTS`).
pub(super) const MAX_PORTS: u16 = 48;

/// Volleys after which ports from 1024 on are tried too (c-toxcore `MAX_NORMAL_PUNCHING_TRIES`).
pub(super) const NORMAL_TRIES: u32 = 5;

/// First port of those.
pub(super) const FIRST_PORT: u16 = 1024;

/// Volleys at full pace; c-toxcore goes on for ever. At most 96 pings of 110 bytes each.
pub(super) const FAST_VOLLEYS: u32 = 14;

/// Between two volleys after those.
pub(super) const SLOW_INTERVAL: Duration = Duration::from_secs(30);

/// NAT pings at full pace that the friend leaves unanswered.
pub(super) const FAST_PINGS: u32 = 10;

/// An answer to a volley counts for so long, as to any ping (c-toxcore `PING_TIMEOUT`).
pub(super) const VOLLEY_TIMEOUT: Duration = Duration::from_secs(5);

/// Volleys that may be answered.
pub(super) const MAX_VOLLEYS: usize = 2;

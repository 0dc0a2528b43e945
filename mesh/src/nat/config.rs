//! The numbers of hole punching. Together they bound what a friend behind a hard NAT costs, and what a
//! liar could have us send to a third party.

use core::time::Duration;

/// Nodes of a friend's list that must tell of it before it is asked through them, and of one IP address
/// before holes are punched to it; half of the nodes that there are in a network of fewer. c-toxcore
/// wants a quarter of 8 and half of 8; but where tables are full of persons who come and go, four that
/// know a newcomer are long not to be found.
pub(crate) const ENOUGH_REPORTS: usize = 2;

/// Between two NAT pings, and between two volleys (c-toxcore `PUNCH_INTERVAL`).
pub(super) const PUNCH_INTERVAL: Duration = Duration::from_secs(3);

/// A NAT ping that the friend's own one calls for does not wait longer than this after the last.
pub(super) const ECHO_INTERVAL: Duration = Duration::from_millis(500);

/// Holes are punched only while the friend's own last NAT ping is younger: it punches too, then.
pub(super) const HEARD_LIMIT: Duration = Duration::from_secs(6);

/// After so long without a volley, the guessing begins anew (c-toxcore `PUNCH_RESET_TIME`).
pub(super) const PUNCH_RESET: Duration = Duration::from_secs(40);

/// Pings of one volley at most, of 110 bytes each.
pub(super) const MAX_PINGS: u16 = 96;

/// Ports guessed in one volley above all that were reported …
pub(super) const ABOVE_PORTS: u16 = 64;

/// … and how much higher they are in the next: the port may have moved on meanwhile.
pub(super) const ABOVE_STEP: u16 = 40;

/// Ports guessed in one volley near the reported ones.
pub(super) const NEAR_PORTS: u16 = MAX_PINGS - ABOVE_PORTS;

/// When that did not help, so many ports from 1024 on in every other volley, in place of the near ones
/// if there are such (c-toxcore `MAX_PUNCHING_PORTS`).
pub(super) const MAX_PORTS: u16 = 48;

/// Volleys after which ports from 1024 on are tried too (c-toxcore `MAX_NORMAL_PUNCHING_TRIES`).
pub(super) const NORMAL_TRIES: u32 = 5;

/// First port of those.
pub(super) const FIRST_PORT: u16 = 1024;

/// Volleys at full pace; c-toxcore goes on for ever.
pub(super) const FAST_VOLLEYS: u32 = 2 * PHASE;

/// So many volleys long a side that is heard answers few pings and fires countervolleys, as if its NAT
/// gave it a new port for each; then so many volleys long it answers all, as if it had one port for all
/// of the friend's. The guesses begin anew with each phase.
pub(super) const PHASE: u32 = 8;

/// Between two volleys after those.
pub(super) const SLOW_INTERVAL: Duration = Duration::from_secs(30);

/// NAT pings at full pace that the friend leaves unanswered.
pub(super) const FAST_PINGS: u32 = 10;

/// An answer to a volley counts for so long, as to any ping (c-toxcore `PING_TIMEOUT`).
pub(super) const VOLLEY_TIMEOUT: Duration = Duration::from_secs(5);

/// In the first phase a volley of the friend's that comes from several ports is answered at so many of
/// them: each answer may cost our NAT a port, and the friend has to guess the next one.
pub(super) const MAX_ANSWERS: usize = 2;

/// After the last ping of such a volley the countervolley waits so long for more.
pub(super) const COUNTER_PAUSE: Duration = Duration::from_millis(150);

/// Pings of a countervolley above one port, and how far apart their ports are: if our NAT gives one
/// port after the other, one of them leaves from the port for which the friend opened the one it goes
/// to, although we do not know by how many ports we are off.
pub(super) const COUNTER_PORTS: u16 = 12;
/// See [`COUNTER_PORTS`].
pub(super) const COUNTER_STEP: u16 = 2;

/// Pings of a countervolley to ports that the friend was heard from last.
pub(super) const COUNTER_ANSWERS: usize = 8;

/// Ports of one volley of the friend's that are kept.
pub(super) const MAX_HEARD: usize = MAX_PINGS as usize;

/// Ports of the friend's that countervolleys went to and that are remembered: each has a port of our
/// NAT already, and is of no use to another one.
pub(super) const MAX_SPENT: usize = 256;

/// Volleys that may be answered.
pub(super) const MAX_VOLLEYS: usize = 2;

//! Can anybody who is no friend tell where a person is?
//!
//! Every stack of a simulation is [`Watched`]: all that it receives, and what it passes on, goes into a
//! [`Watch`] that keeps the knowledge of each node apart. A node knows the packets that it handled, what
//! is in the boxes that its DHT key opens (layers of the onion, announce requests, DHT packets, cookie
//! requests, a relay client's hello), which packet made it send which, and what the clients of its
//! relay ask for.
//!
//! Two things that a node saw belong to one story if they share 24 bytes or more that are not
//! everybody's (keys, nonces, ping ids, ciphertext, return data; DHT keys are everybody's), a sendback,
//! a stream, or if one made it send the other. A story *shows an identity* if the 32 bytes stand
//! anywhere in it, and *shows a place* if a packet in it was made by a person and came straight from its
//! address, or if the person's DHT key stands in it. A story with both is a [`Link`], unless the node
//! belongs to one of the two persons or to a friend of theirs. The place may be the person's own: then
//! the node knows where it is. Or another one's, who looks for the identity: then it knows who are
//! friends. Both are found.
//!
//! What this cannot see: times, sizes and volumes of packets; nodes that put together what they saw;
//! boxes under keys that a node makes for one connection, such as a relay's frames (what its clients
//! ask for is looked at in its stead) and answers to its own searches; numbers shorter than 16 bytes
//! other than sendbacks; nodes that do not play by the rules, as those who seal with a data key of
//! their own (weakness 3 of the research note `tox.md` 3.1), or answer along somebody's path what was
//! not asked.
//!
//! [`Plant`]s are leaks made on purpose: each has to be found.

mod atoms;
mod knowledge;
mod plant;
mod reading;
mod watched;

pub use knowledge::{Link, Person, Watch};
pub use plant::{Leaker, Plant, Target};
pub use watched::Watched;

//! Virtual time: events in order, machines drained after every input, and a trace of it all.

mod clock;
mod io;
mod queue;
mod sim;
mod trace;

pub use clock::Clock;
pub use io::{IoModel, NoIo};
pub use queue::EventQueue;
pub use sim::{Observer, Sim, Traffic};
pub use trace::Trace;

/// A node of a simulation: numbered from 0 in the order of joining, for good.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeIndex(pub usize);

#[cfg(test)]
pub(crate) mod echo;
#[cfg(test)]
mod tests;

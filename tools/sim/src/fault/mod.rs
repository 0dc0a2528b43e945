//! What goes wrong besides the network: nodes that come and go, and nodes that misbehave.

mod byzantine;
mod churn;

pub use byzantine::{Corrupting, Dropping, Mixed, Replaying};
pub use churn::{Change, Churn};

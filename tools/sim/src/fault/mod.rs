//! What goes wrong besides the network: nodes that come and go, nodes that misbehave, strangers who
//! flood.

mod byzantine;
mod churn;
mod flood;

pub use byzantine::{Corrupting, Dropping, Mixed, Replaying};
pub use churn::{Change, Churn};
pub use flood::{Flooded, Flooder, Kind as Flood, Victim};

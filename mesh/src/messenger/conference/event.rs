//! What happens in a conference.

use bytes::Bytes;

use crate::wire::PublicKey;
use crate::wire::messenger::MessageKind;

/// Something that happened in a conference. Members are known by their long-term keys; names and texts
/// are what their clients sent: UTF-8 by custom only.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConferenceEvent {
    /// This node is a member now: what it says is heard.
    Joined,
    /// A member is there: it is new, or was away.
    Came {
        /// Who.
        member: PublicKey,
    },
    /// A member has left, or was not heard for a minute.
    Left {
        /// Who.
        member: PublicKey,
    },
    /// A member has another name, or tells its name.
    Name {
        /// Who.
        member: PublicKey,
        /// Its name.
        name: Vec<u8>,
    },
    /// The conference has another title.
    Title {
        /// Who gave it; `None` if it was told by who brought us in.
        member: Option<PublicKey>,
        /// The title.
        title: Vec<u8>,
    },
    /// A member says something to all.
    Message {
        /// Who, if nobody lies: see [`Conference`](super::Conference).
        member: PublicKey,
        /// What it is meant as.
        kind: MessageKind,
        /// What it says.
        text: Bytes,
    },
}

//! What a [`Stack`](crate::Stack) tells its user.

use bytes::Bytes;

use crate::announcements::client::{AnnouncementId, AnnouncementOutcome};
use crate::channel::ChannelId;
use crate::error::{CloseReason, ConnectError};
use crate::wire::{Address, PublicKey};

/// Names one [`lookup`](crate::Stack::lookup); unique within its stack.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LookupId(pub u64);

/// The place of a lossless packet among all that [`send_packet`](crate::Stack::send_packet) took for
/// one session; the first has 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PacketNumber(pub u64);

/// All that upper layers learn of where a peer is: a keyed hash of its address prefix. Two peers with
/// the same group sit in the same network (IPv4 /16, IPv6 /32), as this process sees it; another
/// process has other numbers for the same networks.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NetworkGroup(pub u64);

/// Something that a stack's user wants to know.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The first verified node came into the close list.
    DhtConnected,
    /// A person's identity can be found by friends now, or no longer.
    Announced {
        /// Whether it can.
        announced: bool,
    },
    /// Somebody who knows this person's Tox ID asks for friendship:
    /// [`add_friend`](crate::Stack::add_friend) says yes.
    FriendRequest {
        /// His long-term key.
        from: PublicKey,
        /// What he says.
        message: Bytes,
    },
    /// An operation with an announcement ended.
    Announcement {
        /// Which one.
        request: AnnouncementId,
        /// The announced key.
        key: PublicKey,
        /// How it ended.
        outcome: AnnouncementOutcome,
    },
    /// A lookup ended.
    LookupDone {
        /// Which one.
        lookup: LookupId,
        /// The key that was looked for.
        key: PublicKey,
        /// Where that node is; `None` if it was not found.
        address: Option<Address>,
        /// How many nodes in a row told of the next one until the answer.
        hops: u32,
    },
    /// An authenticated session stands, whoever began it.
    SessionUp {
        /// With whom.
        peer: PublicKey,
    },
    /// A session that stood is gone, and all its channels with it (their
    /// [`Event::ChannelClosed`] came before).
    SessionDown {
        /// With whom.
        peer: PublicKey,
        /// Why.
        reason: CloseReason,
    },
    /// [`connect`](crate::Stack::connect) came to nothing.
    ConnectFailed {
        /// With whom.
        peer: PublicKey,
        /// Why.
        reason: ConnectError,
    },
    /// A peer proved that its DHT key is another one than was known: a Tox client that started anew.
    PeerDhtKey {
        /// Its long-term key.
        peer: PublicKey,
        /// Its DHT key now.
        dht_key: PublicKey,
    },
    /// A channel can carry messages both ways.
    ChannelOpened {
        /// Its name from now on.
        channel: ChannelId,
        /// With whom.
        peer: PublicKey,
        /// What is spoken on it.
        protocol: String,
        /// True if the peer opened it.
        incoming: bool,
    },
    /// A channel is gone: closed by the peer, refused, or its session ended.
    ChannelClosed {
        /// Which one.
        channel: ChannelId,
        /// With whom.
        peer: PublicKey,
    },
    /// A whole message came, in order.
    Message {
        /// On which channel.
        channel: ChannelId,
        /// From whom.
        peer: PublicKey,
        /// The bytes that the peer's [`send`](crate::Stack::send) was given.
        message: Bytes,
    },
    /// After [`SendError::Full`](crate::SendError::Full): there is space again.
    Writable {
        /// On which channel.
        channel: ChannelId,
    },
    /// A packet came that is no channel's; only with
    /// [`Config::custom_packets`](crate::Config::custom_packets).
    Packet {
        /// From whom.
        peer: PublicKey,
        /// 16 to 191: came once and in order; 192 to 254: as it happened.
        id: u8,
        /// What stands behind the id.
        data: Bytes,
    },
    /// The peer has all lossless packets of
    /// [`send_packet`](crate::Stack::send_packet) with a smaller number.
    Delivered {
        /// Whom they were sent to.
        peer: PublicKey,
        /// The first one that it may not have yet.
        before: PacketNumber,
    },
    /// After [`PacketError::Full`](crate::PacketError::Full): half of the queue is free again.
    PacketWritable {
        /// To whom packets can be sent.
        peer: PublicKey,
    },
    /// A DHT node whose bootstrap info offers TokTok services.
    ServiceNode {
        /// Its key: also the one to connect to.
        key: PublicKey,
        /// Where it is: a hint for [`connect`](crate::Stack::connect).
        address: Address,
        /// What it offers, such as `toktok/tdfs/1`.
        services: Vec<String>,
    },
}

//! What a [`Messenger`](super::Messenger) tells its user.

use bytes::Bytes;

use super::conference::{ConferenceEvent, ConferenceId, Invitation};
use super::files::{FileOffer, FileOutcome, TransferId};
use super::messages::MessageId;
use crate::wire::PublicKey;
use crate::wire::messenger::{MessageKind, UserStatus};

/// Something that a messenger's user wants to know. Names and texts are what the friend's client sent:
/// UTF-8 by custom only.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MessengerEvent {
    /// Somebody who knows this node's Tox ID wants to be a friend:
    /// [`add_friend`](super::Messenger::add_friend) says yes.
    FriendRequest {
        /// Who.
        from: PublicKey,
        /// What he says of himself.
        message: Vec<u8>,
    },
    /// A friend's client is there.
    FriendOnline {
        /// Whose.
        friend: PublicKey,
    },
    /// A friend's client is gone.
    FriendOffline {
        /// Whose.
        friend: PublicKey,
    },
    /// A friend told its name.
    Name {
        /// Who.
        friend: PublicKey,
        /// Its name.
        name: Vec<u8>,
    },
    /// A friend told its status message.
    StatusMessage {
        /// Who.
        friend: PublicKey,
        /// Its status message.
        message: Vec<u8>,
    },
    /// A friend told how it is.
    Status {
        /// Who.
        friend: PublicKey,
        /// How it is.
        status: UserStatus,
    },
    /// A friend began or stopped typing.
    Typing {
        /// Who.
        friend: PublicKey,
        /// Whether it types.
        typing: bool,
    },
    /// A message came.
    Message {
        /// From whom.
        friend: PublicKey,
        /// What it is meant as.
        kind: MessageKind,
        /// What it says.
        text: Bytes,
    },
    /// A friend's client has a message of ours.
    Receipt {
        /// Whose.
        friend: PublicKey,
        /// What [`send_message`](super::Messenger::send_message) named it.
        message: MessageId,
    },
    /// A friend offers a file: [`accept_file`](super::Messenger::accept_file) or
    /// [`cancel_file`](super::Messenger::cancel_file).
    FileOffered {
        /// Who.
        friend: PublicKey,
        /// The transfer's name from now on.
        transfer: TransferId,
        /// What is offered.
        offer: FileOffer,
    },
    /// A file begins to flow, or goes on after a break or a pause.
    FileStarted {
        /// Who sends or receives it.
        friend: PublicKey,
        /// Which transfer.
        transfer: TransferId,
        /// The first byte that is sent now.
        position: u64,
    },
    /// The friend pauses a transfer.
    FilePaused {
        /// Who.
        friend: PublicKey,
        /// Which transfer.
        transfer: TransferId,
    },
    /// The friend is gone in the middle of a file; it will go on when it is back.
    FileInterrupted {
        /// Who.
        friend: PublicKey,
        /// Which transfer.
        transfer: TransferId,
    },
    /// A transfer is over: the friend has the whole file, or all of its bytes have been written here,
    /// or nothing more comes of it. No work for it is under way any more.
    FileEnded {
        /// With whom.
        friend: PublicKey,
        /// Which transfer.
        transfer: TransferId,
        /// How.
        outcome: FileOutcome,
    },
    /// A friend invites into a conference: [`join_conference`](super::Messenger::join_conference).
    ConferenceInvited {
        /// Who.
        friend: PublicKey,
        /// Into which one.
        invitation: Invitation,
    },
    /// Something happened in a conference.
    Conference {
        /// In which one.
        conference: ConferenceId,
        /// What.
        event: ConferenceEvent,
    },
    /// A packet for an application: see
    /// [`send_lossless`](super::Messenger::send_lossless) and [`send_lossy`](super::Messenger::send_lossy).
    CustomPacket {
        /// From whom.
        friend: PublicKey,
        /// Which kind.
        id: u8,
        /// What stands behind the id.
        data: Bytes,
    },
    /// Something of the mesh that the messenger has no use for, or not alone.
    Mesh(crate::Event),
}

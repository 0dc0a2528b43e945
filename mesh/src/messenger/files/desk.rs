//! What a friend's transfers are lent for the length of one call.

use std::collections::{BTreeMap, VecDeque};

use super::transfer::{FileOffer, FileOutcome, TransferId};
use super::work::Work;
use crate::drops::{DropReason, Drops};
use crate::messenger::event::MessengerEvent;
use crate::wire::PublicKey;
use crate::wire::messenger::{FileControl, FileControlPacket, FileSide, MessengerPacket};

/// Answers to controls of unknown files that wait at most: only a friend that floods us asks for more.
const MAX_ANSWERS: usize = 256;

/// All transfers' names, and whose they are.
#[derive(Debug, Default)]
pub(in crate::messenger) struct Ledger {
    next: u64,
    owners: BTreeMap<TransferId, PublicKey>,
}

impl Ledger {
    /// A new name for a friend's transfer.
    pub(super) fn enter(&mut self, friend: PublicKey) -> TransferId {
        let transfer = TransferId(self.next);
        self.restore(friend, transfer);
        transfer
    }

    /// A transfer of an earlier run.
    pub(super) fn restore(&mut self, friend: PublicKey, transfer: TransferId) {
        self.next = self.next.max(transfer.0.saturating_add(1));
        self.owners.insert(transfer, friend);
    }

    /// Names below this one were given in an earlier run.
    pub(in crate::messenger) fn skip_to(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// The next name.
    pub(in crate::messenger) fn next(&self) -> u64 {
        self.next
    }

    /// With whom a transfer is.
    pub(in crate::messenger) fn owner(&self, transfer: TransferId) -> Option<PublicKey> {
        self.owners.get(&transfer).copied()
    }
}

/// Packets on their way to one friend's transfers, in order.
#[derive(Debug, Default)]
pub(super) struct Controls {
    waiting: VecDeque<(u8, Vec<u8>)>,
}

impl Controls {
    pub(super) fn push(&mut self, packet: &MessengerPacket<'_>) {
        self.waiting.push_back((packet.id(), packet.body()));
    }

    pub(super) fn front(&self) -> Option<&(u8, Vec<u8>)> {
        self.waiting.front()
    }

    pub(super) fn pop(&mut self) {
        self.waiting.pop_front();
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}

/// What the messenger lends to a friend's transfers.
#[derive(Debug)]
pub(in crate::messenger) struct Desk<'a> {
    pub(in crate::messenger) friend: PublicKey,
    pub(in crate::messenger) ledger: &'a mut Ledger,
    pub(in crate::messenger) work: &'a mut Work,
    pub(in crate::messenger) events: &'a mut VecDeque<MessengerEvent>,
    pub(in crate::messenger) drops: &'a mut Drops,
}

impl Desk<'_> {
    /// Names a new transfer.
    pub(super) fn enter(&mut self) -> TransferId {
        self.ledger.enter(self.friend)
    }

    /// A friend offers a file.
    pub(super) fn offered(&mut self, transfer: TransferId, offer: FileOffer) {
        let friend = self.friend;
        self.events.push_back(MessengerEvent::FileOffered { friend, transfer, offer });
    }

    /// A file begins to flow, or goes on.
    pub(super) fn started(&mut self, transfer: TransferId, position: u64) {
        let friend = self.friend;
        self.events.push_back(MessengerEvent::FileStarted { friend, transfer, position });
    }

    /// The friend pauses a transfer.
    pub(super) fn paused(&mut self, transfer: TransferId) {
        let friend = self.friend;
        self.events.push_back(MessengerEvent::FilePaused { friend, transfer });
    }

    /// A transfer waits for the next session.
    pub(super) fn interrupted(&mut self, transfer: TransferId) {
        let friend = self.friend;
        self.events.push_back(MessengerEvent::FileInterrupted { friend, transfer });
    }

    /// A transfer is over.
    pub(super) fn ended(&mut self, transfer: TransferId, outcome: FileOutcome) {
        let friend = self.friend;
        self.ledger.owners.remove(&transfer);
        self.events.push_back(MessengerEvent::FileEnded { friend, transfer, outcome });
    }

    /// Bad input.
    pub(super) fn drop_packet(&mut self, reason: DropReason) {
        self.drops.count(reason);
    }
}

/// Tells the friend something of a transfer.
pub(super) fn control(controls: &mut Controls, side: FileSide, file: u8, control: FileControl) {
    controls.push(&MessengerPacket::FileControl(FileControlPacket { side, file, control }));
}

/// The friend controls a file that is not known here: it is told that there is no such one. Not so if
/// it ends it, or two that both forgot a file would answer each other for ever.
pub(super) fn refuse_unknown(
    controls: &mut Controls,
    side: FileSide,
    (file, wanted): (u8, FileControl),
    desk: &mut Desk<'_>,
) {
    desk.drop_packet(DropReason::Unsolicited);
    if wanted == FileControl::Kill {
        return;
    }
    if controls.waiting.len() >= MAX_ANSWERS {
        return desk.drop_packet(DropReason::LimitReached);
    }
    control(controls, side, file, FileControl::Kill);
}

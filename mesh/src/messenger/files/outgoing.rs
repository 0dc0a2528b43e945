//! All files on their way to one friend.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::desk::{Controls, Desk, control, refuse_unknown};
use super::sending::{Sending, Stage};
use super::transfer::{FileOffer, FileOutcome, TransferId};
use super::work::{IoFailed, IoRequest, range_length, ranges_ahead};
use crate::drops::DropReason;
use crate::event::PacketNumber;
use crate::machine::IoToken;
use crate::messenger::error::FileError;
use crate::wire::messenger::file::{MAX_FILE_NAME, MAX_FILES};
use crate::wire::messenger::{FileControl, FileRequest, FileSide, MessengerPacket};

/// Most files that are on their way to one friend or wait for it: [`MAX_FILES`] flow at a time.
pub const MAX_SENDINGS: usize = 1024;

/// The files to one friend.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    sendings: BTreeMap<TransferId, Sending>,
    /// Those that the friend was told of in this session.
    numbers: BTreeMap<u8, TransferId>,
    /// Where the search for a free number begins: one that was just used is used again late, so that
    /// what the friend still says of the old file does not meet the new one.
    next_number: u8,
    /// The number whose turn it was.
    turn: u8,
}

impl Outgoing {
    /// True if no more files can wait.
    pub(super) fn is_full(&self) -> bool {
        self.sendings.len() >= MAX_SENDINGS
    }

    /// Offers a file, now or as soon as the friend is there and has a number for it.
    pub(super) fn send(
        &mut self,
        offer: FileOffer,
        desk: &mut Desk<'_>,
    ) -> Result<TransferId, FileError> {
        if offer.name.len() > MAX_FILE_NAME {
            return Err(FileError::NameTooLong);
        }
        if self.is_full() {
            return Err(FileError::Full);
        }
        let transfer = desk.enter();
        self.sendings.insert(transfer, Sending::new(offer));
        Ok(transfer)
    }

    /// A file of an earlier run.
    pub(super) fn restore(&mut self, transfer: TransferId, offer: FileOffer, paused: bool) {
        let mut sending = Sending::new(offer);
        sending.paused.here = paused;
        self.sendings.insert(transfer, sending);
    }

    /// Tells the friend of files that it was not told of.
    pub(super) fn offer_waiting(&mut self, controls: &mut Controls) {
        if self.numbers.len() == self.sendings.len() {
            return;
        }
        for (transfer, sending) in &mut self.sendings {
            if sending.stage != Stage::Waiting {
                continue;
            }
            let Some(file) = free_number(&self.numbers, self.next_number) else { return };
            self.next_number = file.wrapping_add(1);
            self.numbers.insert(file, *transfer);
            sending.stage = Stage::Offered(file);
            let FileOffer { kind, size, file_id, name } = &sending.offer;
            let request = FileRequest { file, kind: *kind, size: *size, id: *file_id, name };
            controls.push(&MessengerPacket::FileRequest(request));
        }
    }

    /// The friend, who receives the file, wants something.
    pub(super) fn handle_control(
        &mut self,
        file: u8,
        wanted: FileControl,
        controls: &mut Controls,
        desk: &mut Desk<'_>,
    ) {
        let found = self.numbers.get(&file).copied();
        let found = found.and_then(|transfer| Some((transfer, self.sendings.get_mut(&transfer)?)));
        let Some((transfer, sending)) = found else {
            return refuse_unknown(controls, FileSide::Sender, (file, wanted), desk);
        };
        match (wanted, sending.stage) {
            (FileControl::Accept, Stage::Offered(number)) => {
                sending.stage = Stage::Flowing(number);
                desk.started(transfer, sending.position());
                if sending.paused.here {
                    control(controls, FileSide::Sender, file, FileControl::Pause);
                }
            }
            (FileControl::Accept, _) if sending.paused.there => {
                sending.paused.there = false;
                if !sending.paused.here {
                    desk.started(transfer, sending.position());
                }
            }
            (FileControl::Pause, Stage::Flowing(_)) if !sending.paused.there => {
                sending.paused.there = true;
                sending.release();
                desk.paused(transfer);
            }
            (FileControl::Kill, _) => {
                self.remove(transfer);
                desk.ended(transfer, FileOutcome::CancelledByFriend);
                self.offer_waiting(controls);
            }
            (FileControl::Seek(position), Stage::Offered(_)) if sending.seek(position) => {}
            _ => desk.drop_packet(DropReason::Refused),
        }
    }

    /// Takes what was read of a file.
    pub(super) fn handle_read(
        &mut self,
        transfer: TransferId,
        token: IoToken,
        result: Result<Bytes, IoFailed>,
        controls: &mut Controls,
        desk: &mut Desk<'_>,
    ) {
        let Some(sending) = self.sendings.get_mut(&transfer) else { return };
        if sending.handle_read(token, result).is_err() {
            self.stop(transfer, FileOutcome::Failed, controls, desk);
        }
    }

    /// Asks for bytes to be read ahead.
    pub(super) fn read_ahead(&mut self, desk: &mut Desk<'_>) {
        let files = self.numbers.len();
        let (most, length) = (ranges_ahead(files), range_length(files));
        for transfer in self.numbers.values() {
            let Some(sending) = self.sendings.get_mut(transfer) else { continue };
            while let Some(range) = sending.wants_read(most, length) {
                let request = IoRequest::Read { transfer: *transfer, range: range.clone() };
                sending.reading(desk.work.request(desk.friend, request), range);
            }
        }
    }

    /// The file that may send a piece now; they take turns.
    fn next_turn(&self) -> Option<(u8, TransferId)> {
        let after = (core::ops::Bound::Excluded(self.turn), core::ops::Bound::Unbounded);
        let turns = self.numbers.range(after).chain(self.numbers.range(..=self.turn));
        let ready = |transfer: &TransferId| {
            self.sendings.get(transfer).is_some_and(|sending| sending.piece().is_some())
        };
        turns.map(|(file, transfer)| (*file, *transfer)).find(|(_, transfer)| ready(transfer))
    }

    /// Hands the next piece of a file, as a packet's data, to `send`; false if there is none or it was
    /// not taken.
    pub(super) fn send_piece(&mut self, send: impl FnOnce(Bytes) -> Option<PacketNumber>) -> bool {
        let Some((file, transfer)) = self.next_turn() else { return false };
        let Some(sending) = self.sendings.get_mut(&transfer) else { return false };
        let Some(piece) = sending.piece() else { return false };
        let mut data = Vec::with_capacity(1 + piece.data.len());
        data.push(file);
        data.extend_from_slice(piece.data);
        let (length, last) = (piece.data.len(), piece.last);
        let Some(number) = send(data.into()) else { return false };
        sending.sent(length, last, number);
        self.turn = file;
        true
    }

    /// The friend has all packets before this one.
    pub(super) fn handle_delivered(
        &mut self,
        before: PacketNumber,
        controls: &mut Controls,
        desk: &mut Desk<'_>,
    ) {
        let whole = |transfer: &&TransferId| {
            let stage = self.sendings.get(transfer).map(|sending| sending.stage);
            matches!(stage, Some(Stage::Sent(_, last)) if last < before)
        };
        let whole: Vec<TransferId> = self.numbers.values().filter(whole).copied().collect();
        for transfer in &whole {
            self.remove(*transfer);
            desk.ended(*transfer, FileOutcome::Complete);
        }
        if !whole.is_empty() {
            self.offer_waiting(controls);
        }
    }

    /// The session is gone.
    pub(super) fn handle_break(&mut self, desk: &mut Desk<'_>) {
        self.numbers.clear();
        self.sendings.retain(|transfer, sending| {
            if !sending.offer.survives() {
                desk.ended(*transfer, FileOutcome::Disconnected);
                return false;
            }
            if matches!(sending.stage, Stage::Flowing(_) | Stage::Sent(..)) {
                desk.interrupted(*transfer);
            }
            sending.handle_break();
            true
        });
    }

    /// The user holds a file up, or lets it go on; false if there is no such one.
    pub(super) fn set_paused(
        &mut self,
        transfer: TransferId,
        paused: bool,
        controls: &mut Controls,
    ) -> bool {
        let Some(sending) = self.sendings.get_mut(&transfer) else { return false };
        if core::mem::replace(&mut sending.paused.here, paused) != paused
            && let Stage::Flowing(file) = sending.stage
        {
            let wanted = if paused { FileControl::Pause } else { FileControl::Accept };
            control(controls, FileSide::Sender, file, wanted);
            if paused {
                sending.release();
            }
        }
        true
    }

    /// Ends a transfer from here; false if there is no such one.
    pub(super) fn stop(
        &mut self,
        transfer: TransferId,
        outcome: FileOutcome,
        controls: &mut Controls,
        desk: &mut Desk<'_>,
    ) -> bool {
        let Some(sending) = self.remove(transfer) else { return false };
        if let Some(file) = sending.number() {
            control(controls, FileSide::Sender, file, FileControl::Kill);
            self.offer_waiting(controls);
        }
        desk.ended(transfer, outcome);
        true
    }

    fn remove(&mut self, transfer: TransferId) -> Option<Sending> {
        let sending = self.sendings.remove(&transfer)?;
        if let Some(file) = sending.number() {
            self.numbers.remove(&file);
        }
        Some(sending)
    }

    /// All files, those that wait included.
    pub(super) fn iter(&self) -> impl Iterator<Item = (TransferId, &Sending)> {
        self.sendings.iter().map(|(transfer, sending)| (*transfer, sending))
    }
}

/// The first number from `start` on that is not in use.
fn free_number(numbers: &BTreeMap<u8, TransferId>, start: u8) -> Option<u8> {
    if numbers.len() >= MAX_FILES {
        return None;
    }
    (0..=u8::MAX).map(|step| start.wrapping_add(step)).find(|file| !numbers.contains_key(file))
}

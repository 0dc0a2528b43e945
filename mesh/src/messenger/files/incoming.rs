//! All files on their way from one friend.

use std::collections::{BTreeMap, VecDeque};

use super::desk::{Controls, Desk, control, refuse_unknown};
use super::receiving::{Receiving, Stage};
use super::transfer::{FileOffer, FileOutcome, TransferId};
use super::work::{IoFailed, IoRequest, range_length};
use crate::drops::DropReason;
use crate::machine::IoToken;
use crate::messenger::error::FileError;
use crate::wire::messenger::{FileControl, FileRequest, FileSide};

/// Bytes of one friend's files that wait to be written: above this the friend is asked to pause …
const THROTTLE_ABOVE: usize = 8 << 20;
/// … below this to go on …
const RELEASE_BELOW: usize = 2 << 20;
/// … and above this, which is more than c-toxcore can have on its way when the pause reaches it
/// (32,768 packets), the file is given up.
const MAX_UNWRITTEN: usize = 64 << 20;
/// Files of the last session that came whole, remembered because their sender may not know.
const MAX_COMPLETED: usize = 32;
/// Most files of one friend, interrupted ones and those whose last writes are under way included.
const MAX_RECEIVINGS: usize = 1024;

/// The files from one friend.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    receivings: BTreeMap<TransferId, Receiving>,
    /// Those that were offered in this session.
    numbers: BTreeMap<u8, TransferId>,
    /// Files that came whole in this session, the latest last.
    completed: VecDeque<FileOffer>,
    /// Those of the session before.
    completed_before: VecDeque<FileOffer>,
    /// Files that are sent once more, though they came whole: their last byte is ignored.
    ignored: BTreeMap<u8, FileOffer>,
    /// Bytes gathered and being written.
    unwritten: usize,
}

impl Incoming {
    /// True if no more files are taken.
    pub(super) fn is_full(&self) -> bool {
        self.receivings.len() >= MAX_RECEIVINGS
    }

    /// The friend offers a file.
    pub(super) fn handle_request(
        &mut self,
        request: &FileRequest<'_>,
        controls: &mut Controls,
        desk: &mut Desk<'_>,
    ) {
        let file = request.file;
        if self.numbers.contains_key(&file) || self.ignored.contains_key(&file) {
            return desk.drop_packet(DropReason::Refused);
        }
        let FileRequest { kind, size, id: file_id, name, .. } = *request;
        let offer = FileOffer { kind, size, file_id, name: name.to_vec() };
        if self.ignore_completed(file, &offer, controls)
            || self.resume(file, &offer, controls, desk)
        {
            return;
        }
        if self.is_full() {
            control(controls, FileSide::Receiver, file, FileControl::Kill);
            return desk.drop_packet(DropReason::LimitReached);
        }
        let transfer = desk.enter();
        self.numbers.insert(file, transfer);
        self.receivings.insert(transfer, Receiving::new(offer.clone(), file));
        desk.offered(transfer, offer);
    }

    /// The last session broke when a file was whole here, but its sender did not know yet: it gets its
    /// end again, with as few bytes as Tox allows.
    fn ignore_completed(&mut self, file: u8, offer: &FileOffer, controls: &mut Controls) -> bool {
        let same = self.completed_before.iter().position(|known| known.is_same_file(offer));
        let Some(index) = same else { return false };
        self.completed_before.remove(index);
        if let Some(last) = offer.known_size().and_then(|size| size.checked_sub(1)) {
            control(controls, FileSide::Receiver, file, FileControl::Seek(last));
        }
        control(controls, FileSide::Receiver, file, FileControl::Accept);
        self.ignored.insert(file, offer.clone());
        true
    }

    /// Goes on with a file that an earlier session did not bring to its end.
    fn resume(
        &mut self,
        file: u8,
        offer: &FileOffer,
        controls: &mut Controls,
        desk: &mut Desk<'_>,
    ) -> bool {
        let same = self.receivings.iter_mut().find(|(_, receiving)| {
            receiving.stage == Stage::Interrupted && receiving.offer.is_same_file(offer)
        });
        let Some((transfer, receiving)) = same else { return false };
        receiving.stage = Stage::Offered(file);
        self.numbers.insert(file, *transfer);
        if !receiving.paused.here {
            begin(*transfer, receiving, file, controls, desk);
        }
        true
    }

    /// The user takes an offered file from `position` on.
    pub(super) fn accept(
        &mut self,
        transfer: TransferId,
        position: u64,
        controls: &mut Controls,
        desk: &mut Desk<'_>,
    ) -> Result<(), FileError> {
        let receiving = self.receivings.get_mut(&transfer).ok_or(FileError::UnknownTransfer)?;
        let Stage::Offered(file) = receiving.stage else { return Err(FileError::NotOffered) };
        if position > 0 && !receiving.seek(position) {
            return Err(FileError::BadPosition);
        }
        (receiving.accepted, receiving.paused.here) = (true, false);
        begin(transfer, receiving, file, controls, desk);
        Ok(())
    }

    /// The friend, who sends the file, wants something.
    pub(super) fn handle_control(
        &mut self,
        file: u8,
        wanted: FileControl,
        controls: &mut Controls,
        desk: &mut Desk<'_>,
    ) {
        if self.ignored.contains_key(&file) {
            if wanted == FileControl::Kill {
                self.ignored.remove(&file);
            }
            return;
        }
        let found = self.numbers.get(&file).copied();
        let found =
            found.and_then(|transfer| Some((transfer, self.receivings.get_mut(&transfer)?)));
        let Some((transfer, receiving)) = found else {
            return refuse_unknown(controls, FileSide::Receiver, (file, wanted), desk);
        };
        match (wanted, receiving.stage) {
            (FileControl::Accept, Stage::Flowing(_)) if receiving.paused.there => {
                receiving.paused.there = false;
                if !receiving.paused.here {
                    desk.started(transfer, receiving.position());
                }
            }
            (FileControl::Pause, Stage::Flowing(_)) if !receiving.paused.there => {
                receiving.paused.there = true;
                self.flush(transfer, desk);
                desk.paused(transfer);
            }
            (FileControl::Kill, _) => self.end(transfer, FileOutcome::CancelledByFriend, desk),
            _ => desk.drop_packet(DropReason::Refused),
        }
    }

    /// Takes the next piece of a file. True if bytes wait that no write was asked for.
    pub(super) fn handle_data(
        &mut self,
        file: u8,
        data: &[u8],
        controls: &mut Controls,
        desk: &mut Desk<'_>,
    ) -> bool {
        if self.ignored.remove(&file).is_some() {
            return false;
        }
        let found = self.numbers.get(&file).copied();
        let found =
            found.and_then(|transfer| Some((transfer, self.receivings.get_mut(&transfer)?)));
        let Some((transfer, receiving)) = found else {
            desk.drop_packet(DropReason::Unsolicited);
            return false;
        };
        if !matches!(receiving.stage, Stage::Flowing(_)) {
            desk.drop_packet(DropReason::Refused);
            return false;
        }
        let before = receiving.gathered();
        let outcome = receiving.handle_data(data);
        let gathered = receiving.gathered();
        self.unwritten += gathered - before;
        match outcome {
            Some(outcome) => self.end(transfer, outcome, desk),
            None if gathered >= range_length(self.numbers.len()) => {
                self.flush(transfer, desk);
                self.throttle(transfer, controls, desk);
            }
            None => return true,
        }
        false
    }

    /// Asks for what was gathered of a file to be written.
    fn flush(&mut self, transfer: TransferId, desk: &mut Desk<'_>) {
        let Some(receiving) = self.receivings.get_mut(&transfer) else { return };
        if let Some(gathered) = receiving.take_gathered() {
            let (start, length) = (gathered.start, gathered.data.len());
            let write = IoRequest::Write { transfer, position: start, data: gathered.data };
            receiving.writing(desk.work.request(desk.friend, write), start, length);
        }
    }

    /// Asks for all that was gathered to be written.
    pub(super) fn flush_all(&mut self, desk: &mut Desk<'_>) {
        let transfers: Vec<TransferId> = self.numbers.values().copied().collect();
        for transfer in transfers {
            self.flush(transfer, desk);
        }
    }

    /// Writing does not keep up: the friend is asked to pause.
    fn throttle(&mut self, transfer: TransferId, controls: &mut Controls, desk: &mut Desk<'_>) {
        let Some(receiving) = self.receivings.get_mut(&transfer) else { return };
        if self.unwritten > MAX_UNWRITTEN {
            self.stop(transfer, FileOutcome::Failed, controls, desk);
        } else if self.unwritten > THROTTLE_ABOVE && !receiving.throttled {
            receiving.throttled = true;
            if let (Some(file), false) = (receiving.number(), receiving.paused.here) {
                control(controls, FileSide::Receiver, file, FileControl::Pause);
            }
        }
    }

    /// Writing has caught up.
    fn release(&mut self, controls: &mut Controls) {
        for receiving in self.receivings.values_mut() {
            if core::mem::take(&mut receiving.throttled)
                && !receiving.paused.here
                && let Stage::Flowing(file) = receiving.stage
            {
                control(controls, FileSide::Receiver, file, FileControl::Accept);
            }
        }
    }

    /// A write has ended.
    pub(super) fn handle_written(
        &mut self,
        transfer: TransferId,
        token: IoToken,
        result: Result<(), IoFailed>,
        controls: &mut Controls,
        desk: &mut Desk<'_>,
    ) {
        let Some(receiving) = self.receivings.get_mut(&transfer) else { return };
        let (length, result) = receiving.handle_written(token, result);
        self.unwritten = self.unwritten.saturating_sub(length);
        if result.is_err() {
            self.stop(transfer, FileOutcome::Failed, controls, desk);
        }
        if self.unwritten < RELEASE_BELOW {
            self.release(controls);
        }
        self.finish(transfer, desk);
    }

    /// Nothing more comes of a file; what came is written.
    fn end(&mut self, transfer: TransferId, outcome: FileOutcome, desk: &mut Desk<'_>) {
        self.flush(transfer, desk);
        let Some(receiving) = self.receivings.get_mut(&transfer) else { return };
        if let Some(file) = receiving.number() {
            self.numbers.remove(&file);
        }
        receiving.stage = Stage::Ending(outcome);
        self.finish(transfer, desk);
    }

    /// Forgets a transfer of which nothing is left to do.
    fn finish(&mut self, transfer: TransferId, desk: &mut Desk<'_>) {
        let Some(receiving) = self.receivings.get(&transfer) else { return };
        let Some(outcome) = receiving.is_over() else { return };
        if let Some(receiving) = self.receivings.remove(&transfer)
            && outcome == FileOutcome::Complete
            && receiving.offer.survives()
        {
            if self.completed.len() == MAX_COMPLETED {
                self.completed.pop_front();
            }
            self.completed.push_back(receiving.offer);
        }
        desk.ended(transfer, outcome);
    }

    /// The session is gone: what was accepted waits for the next one.
    pub(super) fn handle_break(&mut self, desk: &mut Desk<'_>) {
        self.flush_all(desk);
        self.completed_before = core::mem::take(&mut self.completed);
        self.ignored.clear();
        for transfer in core::mem::take(&mut self.numbers).into_values() {
            let Some(receiving) = self.receivings.get_mut(&transfer) else { continue };
            receiving.paused.there = false;
            receiving.throttled = false;
            if receiving.accepted && receiving.offer.survives() {
                receiving.stage = Stage::Interrupted;
                desk.interrupted(transfer);
            } else {
                self.end(transfer, FileOutcome::Disconnected, desk);
            }
        }
    }

    /// A file of an earlier run, of which these bytes are written.
    pub(super) fn restore(&mut self, transfer: TransferId, receiving: Receiving) {
        self.receivings.insert(transfer, receiving);
    }

    /// The user holds a file up, or lets it go on; false if there is no such one.
    pub(super) fn set_paused(
        &mut self,
        transfer: TransferId,
        paused: bool,
        controls: &mut Controls,
        desk: &mut Desk<'_>,
    ) -> bool {
        let Some(receiving) = self.receivings.get_mut(&transfer) else { return false };
        if core::mem::replace(&mut receiving.paused.here, paused) == paused {
            return true;
        }
        match receiving.stage {
            Stage::Flowing(file) if !receiving.throttled => {
                let wanted = if paused { FileControl::Pause } else { FileControl::Accept };
                control(controls, FileSide::Receiver, file, wanted);
            }
            // It came back while it was held up.
            Stage::Offered(file) if !paused && receiving.accepted => {
                begin(transfer, receiving, file, controls, desk);
            }
            _ => {}
        }
        if paused {
            self.flush(transfer, desk);
        }
        true
    }

    /// Ends a transfer from here; false if there is no such one. What has come and is not being written
    /// is forgotten.
    pub(super) fn stop(
        &mut self,
        transfer: TransferId,
        outcome: FileOutcome,
        controls: &mut Controls,
        desk: &mut Desk<'_>,
    ) -> bool {
        let Some(receiving) = self.receivings.get_mut(&transfer) else { return false };
        if let Some(file) = receiving.number() {
            control(controls, FileSide::Receiver, file, FileControl::Kill);
        }
        self.unwritten = self.unwritten.saturating_sub(receiving.discard());
        self.end(transfer, outcome, desk);
        true
    }

    /// All files, those that wait for another session included.
    pub(super) fn iter(&self) -> impl Iterator<Item = (TransferId, &Receiving)> {
        self.receivings.iter().map(|(transfer, receiving)| (*transfer, receiving))
    }
}

/// Tells the sender to begin, where this side's copy ends.
fn begin(
    transfer: TransferId,
    receiving: &mut Receiving,
    file: u8,
    controls: &mut Controls,
    desk: &mut Desk<'_>,
) {
    let position = receiving.position();
    if position > 0 {
        control(controls, FileSide::Receiver, file, FileControl::Seek(position));
    }
    control(controls, FileSide::Receiver, file, FileControl::Accept);
    receiving.stage = Stage::Flowing(file);
    desk.started(transfer, position);
}

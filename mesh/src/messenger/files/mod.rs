//! File transfers with one friend (research note `tox.md` 1.10, c-toxcore's rules).
//!
//! A file is offered under a number of its sender's choice, 0 to 255. The receiver accepts it, maybe
//! after it has said from which byte on; then pieces of [`MAX_FILE_DATA`] bytes follow, of which the
//! first that is not full, or the one that reaches the size, is the last. Either side may pause it, and
//! it flows when neither does. Either may end it.
//!
//! A session takes its transfers with it when it ends. In the next one the sender offers what was not
//! whole again, under the same id; a receiver that knows the id goes on behind the bytes it has. Both
//! sides of this do so by themselves, also with a peer that is not ours.
//!
//! Bytes come from and go to the driver: [`IoRequest`]. Reads are made ahead, writes are gathered, and
//! a friend that sends faster than is written is asked to pause.

mod desk;
mod incoming;
mod outgoing;
mod receiving;
mod sending;
mod transfer;
mod work;

use bytes::Bytes;

use self::desk::Controls;
pub(super) use self::desk::{Desk, Ledger};
use self::incoming::Incoming;
pub use self::outgoing::MAX_SENDINGS;
use self::outgoing::Outgoing;
use self::receiving::{Receiving, Stage as ReceivingStage};
use self::sending::Stage as SendingStage;
pub use self::transfer::{Direction, FileOffer, FileOutcome, Paused, TransferId, TransferState};
pub(super) use self::work::Work;
pub use self::work::{IoFailed, IoRequest, IoResult};
use super::error::FileError;
use crate::drops::DropReason;
use crate::event::PacketNumber;
use crate::machine::IoToken;
#[cfg(doc)]
use crate::wire::messenger::MAX_FILE_DATA;
use crate::wire::messenger::{FileControlPacket, FileRequest, FileSide};

/// All transfers with one friend.
#[derive(Debug, Default)]
pub(super) struct Files {
    outgoing: Outgoing,
    incoming: Incoming,
    controls: Controls,
}

/// A transfer that outlives its session, as it is kept between two runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct KeptTransfer {
    pub(super) transfer: TransferId,
    pub(super) direction: Direction,
    pub(super) offer: FileOffer,
    /// Incoming: the bytes before it are written.
    pub(super) position: u64,
    pub(super) paused: bool,
}

impl Files {
    /// Offers a file, now or as soon as the friend is there.
    pub(super) fn send(
        &mut self,
        offer: FileOffer,
        online: bool,
        desk: &mut Desk<'_>,
    ) -> Result<TransferId, FileError> {
        let transfer = self.outgoing.send(offer, desk)?;
        if online {
            self.outgoing.offer_waiting(&mut self.controls);
        }
        Ok(transfer)
    }

    /// Takes an offered file from a byte on.
    pub(super) fn accept(
        &mut self,
        transfer: TransferId,
        position: u64,
        desk: &mut Desk<'_>,
    ) -> Result<(), FileError> {
        self.incoming.accept(transfer, position, &mut self.controls, desk)
    }

    /// Holds a transfer up, or lets it go on.
    pub(super) fn set_paused(
        &mut self,
        transfer: TransferId,
        paused: bool,
        desk: &mut Desk<'_>,
    ) -> Result<(), FileError> {
        let known = self.outgoing.set_paused(transfer, paused, &mut self.controls)
            || self.incoming.set_paused(transfer, paused, &mut self.controls, desk);
        if known { Ok(()) } else { Err(FileError::UnknownTransfer) }
    }

    /// Ends a transfer.
    pub(super) fn cancel(
        &mut self,
        transfer: TransferId,
        desk: &mut Desk<'_>,
    ) -> Result<(), FileError> {
        let (outcome, controls) = (FileOutcome::CancelledHere, &mut self.controls);
        let known = self.outgoing.stop(transfer, outcome, controls, desk)
            || self.incoming.stop(transfer, outcome, controls, desk);
        if known { Ok(()) } else { Err(FileError::UnknownTransfer) }
    }

    /// Ends all transfers: the friend is a friend no longer.
    pub(super) fn cancel_all(&mut self, desk: &mut Desk<'_>) {
        let outgoing = self.outgoing.iter().map(|(transfer, _)| transfer);
        let all: Vec<_> =
            outgoing.chain(self.incoming.iter().map(|(transfer, _)| transfer)).collect();
        for transfer in all {
            // Each of them is known.
            let _ = self.cancel(transfer, desk);
        }
    }

    /// The friend is there.
    pub(super) fn handle_online(&mut self) {
        self.outgoing.offer_waiting(&mut self.controls);
    }

    /// The friend is gone.
    pub(super) fn handle_break(&mut self, desk: &mut Desk<'_>) {
        self.controls.clear();
        self.outgoing.handle_break(desk);
        self.incoming.handle_break(desk);
    }

    /// The friend offers a file.
    pub(super) fn handle_request(&mut self, request: &FileRequest<'_>, desk: &mut Desk<'_>) {
        self.incoming.handle_request(request, &mut self.controls, desk);
    }

    /// The friend wants something of a transfer.
    pub(super) fn handle_control(&mut self, packet: FileControlPacket, desk: &mut Desk<'_>) {
        let (file, wanted, controls) = (packet.file, packet.control, &mut self.controls);
        match packet.side {
            FileSide::Receiver => self.outgoing.handle_control(file, wanted, controls, desk),
            FileSide::Sender => self.incoming.handle_control(file, wanted, controls, desk),
        }
    }

    /// A piece of a file came. True if bytes wait that no write was asked for:
    /// [`Self::flush`] them after a while.
    pub(super) fn handle_data(&mut self, file: u8, data: &[u8], desk: &mut Desk<'_>) -> bool {
        self.incoming.handle_data(file, data, &mut self.controls, desk)
    }

    /// Writes what has come.
    pub(super) fn flush(&mut self, desk: &mut Desk<'_>) {
        self.incoming.flush_all(desk);
    }

    /// The friend has all packets before this one.
    pub(super) fn handle_delivered(&mut self, before: PacketNumber, desk: &mut Desk<'_>) {
        self.outgoing.handle_delivered(before, &mut self.controls, desk);
    }

    /// Work on a transfer has ended.
    pub(super) fn handle_io(
        &mut self,
        transfer: TransferId,
        token: IoToken,
        result: IoResult,
        desk: &mut Desk<'_>,
    ) {
        let controls = &mut self.controls;
        match result {
            IoResult::Read(read) => {
                self.outgoing.handle_read(transfer, token, read, controls, desk);
            }
            IoResult::Written(written) => {
                self.incoming.handle_written(transfer, token, written, controls, desk);
            }
        }
    }

    /// The next packet that is no piece of a file.
    pub(super) fn next_control(&self) -> Option<&(u8, Vec<u8>)> {
        self.controls.front()
    }

    /// That packet has been sent.
    pub(super) fn control_sent(&mut self) {
        self.controls.pop();
    }

    /// Sends one piece; false if there is none or it was not taken.
    pub(super) fn send_piece(&mut self, send: impl FnOnce(Bytes) -> Option<PacketNumber>) -> bool {
        self.outgoing.send_piece(send)
    }

    /// Asks for bytes to be read ahead.
    pub(super) fn read_ahead(&mut self, desk: &mut Desk<'_>) {
        self.outgoing.read_ahead(desk);
    }

    /// How all transfers stand.
    pub(super) fn states(&self) -> impl Iterator<Item = (TransferId, TransferState)> {
        let outgoing = self.outgoing.iter().map(|(transfer, sending)| {
            let stage = sending.stage;
            let state = TransferState {
                direction: Direction::Outgoing,
                offer: sending.offer.clone(),
                position: sending.position(),
                accepted: matches!(stage, SendingStage::Flowing(_) | SendingStage::Sent(..)),
                connected: stage != SendingStage::Waiting,
                paused: sending.paused,
            };
            (transfer, state)
        });
        let incoming = self.incoming.iter().map(|(transfer, receiving)| {
            let state = TransferState {
                direction: Direction::Incoming,
                offer: receiving.offer.clone(),
                position: receiving.position(),
                accepted: receiving.accepted,
                connected: receiving.stage != ReceivingStage::Interrupted,
                paused: receiving.paused,
            };
            (transfer, state)
        });
        outgoing.chain(incoming)
    }

    /// Transfers that can go on in another run.
    pub(super) fn kept(&self) -> impl Iterator<Item = KeptTransfer> {
        let outgoing = self.outgoing.iter().map(|(transfer, sending)| KeptTransfer {
            transfer,
            direction: Direction::Outgoing,
            offer: sending.offer.clone(),
            position: 0,
            paused: sending.paused.here,
        });
        let goes_on = |receiving: &Receiving| {
            receiving.accepted && !matches!(receiving.stage, ReceivingStage::Ending(_))
        };
        let incoming = self.incoming.iter().filter(move |(_, receiving)| goes_on(receiving));
        let incoming = incoming.map(|(transfer, receiving)| KeptTransfer {
            transfer,
            direction: Direction::Incoming,
            offer: receiving.offer.clone(),
            position: receiving.written(),
            paused: receiving.paused.here,
        });
        outgoing.chain(incoming).filter(|kept| kept.offer.survives())
    }

    /// Takes a transfer of an earlier run.
    pub(super) fn restore(&mut self, kept: KeptTransfer, desk: &mut Desk<'_>) {
        let KeptTransfer { transfer, direction, offer, position, paused } = kept;
        if self.outgoing.is_full() || self.incoming.is_full() {
            return desk.drop_packet(DropReason::LimitReached);
        }
        desk.ledger.restore(desk.friend, transfer);
        match direction {
            Direction::Outgoing => self.outgoing.restore(transfer, offer, paused),
            Direction::Incoming => {
                self.incoming.restore(transfer, Receiving::resumed(offer, position, paused));
            }
        }
    }
}

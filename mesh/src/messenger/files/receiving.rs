//! One file on its way from a friend: the next byte that is expected, and what waits to be written.

use std::collections::VecDeque;

use bytes::Bytes;

use super::transfer::{FileOffer, FileOutcome, Paused};
use super::work::IoFailed;
use crate::machine::IoToken;
use crate::wire::messenger::MAX_FILE_DATA;

/// How far a file has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// Offered under this number, not accepted.
    Offered(u8),
    /// Accepted.
    Flowing(u8),
    /// Accepted, but the session that carried it is gone.
    Interrupted,
    /// Nothing more comes; only writes are under way.
    Ending(FileOutcome),
}

/// Bytes that have come since the last write was asked for.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) start: u64,
    pub(super) data: Bytes,
}

/// One file.
#[derive(Debug)]
pub(super) struct Receiving {
    pub(super) offer: FileOffer,
    pub(super) stage: Stage,
    /// The user wants it.
    pub(super) accepted: bool,
    pub(super) paused: Paused,
    /// Held up here because writing is slow; the friend has been told so.
    pub(super) throttled: bool,
    /// The next byte that is expected.
    position: u64,
    gathered: Vec<u8>,
    /// Under way: where they begin, and how many bytes.
    writes: VecDeque<(IoToken, u64, usize)>,
}

impl Receiving {
    pub(super) fn new(offer: FileOffer, number: u8) -> Self {
        Self {
            offer,
            stage: Stage::Offered(number),
            accepted: false,
            paused: Paused::default(),
            throttled: false,
            position: 0,
            gathered: Vec::new(),
            writes: VecDeque::new(),
        }
    }

    /// One of an earlier run, of which these bytes have been written.
    pub(super) fn resumed(offer: FileOffer, position: u64, paused: bool) -> Self {
        let new = Self::new(offer, 0);
        let paused = Paused { here: paused, there: false };
        Self { stage: Stage::Interrupted, accepted: true, position, paused, ..new }
    }

    /// The number under which its sender knows it in this session.
    pub(super) fn number(&self) -> Option<u8> {
        match self.stage {
            Stage::Offered(number) | Stage::Flowing(number) => Some(number),
            Stage::Interrupted | Stage::Ending(_) => None,
        }
    }

    /// The next byte that is expected.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// All bytes before this one have been written.
    pub(super) fn written(&self) -> u64 {
        let gathered = self.position.saturating_sub(self.gathered.len() as u64);
        self.writes.iter().map(|(_, start, _)| *start).fold(gathered, u64::min)
    }

    /// Begins at another byte; false if the file ends before.
    pub(super) fn seek(&mut self, position: u64) -> bool {
        let within = position < self.offer.size;
        if within {
            self.position = position;
        }
        within
    }

    /// Takes the next bytes. `None` while more may come, else how the file ended: complete, or with
    /// fewer bytes than its size.
    pub(super) fn handle_data(&mut self, data: &[u8]) -> Option<FileOutcome> {
        let left = self.offer.size.saturating_sub(self.position);
        let data = usize::try_from(left).ok().and_then(|left| data.get(..left)).unwrap_or(data);
        self.gathered.extend_from_slice(data);
        self.position = self.position.saturating_add(data.len() as u64);
        match self.offer.known_size() {
            Some(size) if self.position >= size => Some(FileOutcome::Complete),
            Some(_) if data.len() < MAX_FILE_DATA => Some(FileOutcome::Truncated),
            None if data.len() < MAX_FILE_DATA => Some(FileOutcome::Complete),
            _ => None,
        }
    }

    /// Bytes that wait to be handed out for writing.
    pub(super) fn gathered(&self) -> usize {
        self.gathered.len()
    }

    /// What to write now, if anything waits.
    pub(super) fn take_gathered(&mut self) -> Option<Gathered> {
        let start = self.position.saturating_sub(self.gathered.len() as u64);
        let data = core::mem::take(&mut self.gathered);
        (!data.is_empty()).then(|| Gathered { start, data: data.into() })
    }

    /// These bytes are being written.
    pub(super) fn writing(&mut self, token: IoToken, start: u64, length: usize) {
        self.writes.push_back((token, start, length));
    }

    /// A write ended: how many bytes it had.
    ///
    /// # Errors
    /// [`IoFailed`] with the same, if it failed.
    pub(super) fn handle_written(
        &mut self,
        token: IoToken,
        result: Result<(), IoFailed>,
    ) -> (usize, Result<(), IoFailed>) {
        let Some(index) = self.writes.iter().position(|(known, ..)| *known == token) else {
            return (0, Ok(()));
        };
        let length = self.writes.remove(index).map_or(0, |(_, _, length)| length);
        (length, result)
    }

    /// Forgets what has come and is not being written; gives back how many bytes those were.
    pub(super) fn discard(&mut self) -> usize {
        let gathered = core::mem::take(&mut self.gathered).len();
        self.position = self.position.saturating_sub(gathered as u64);
        gathered
    }

    /// True if nothing is left to do.
    pub(super) fn is_over(&self) -> Option<FileOutcome> {
        match self.stage {
            Stage::Ending(outcome) if self.writes.is_empty() && self.gathered.is_empty() => {
                Some(outcome)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messenger::FileKind;
    use crate::wire::messenger::file::UNKNOWN_FILE_SIZE;

    fn receiving(size: u64) -> Receiving {
        let offer =
            FileOffer { kind: FileKind::DATA, size, file_id: [1; 32], name: b"file".to_vec() };
        Receiving { stage: Stage::Flowing(0), ..Receiving::new(offer, 0) }
    }

    const FULL: &[u8] = &[7; MAX_FILE_DATA];

    #[test]
    fn a_transfer_ends_at_its_size_or_with_a_packet_that_is_not_full() {
        let mut known = receiving(2 * MAX_FILE_DATA as u64);
        assert_eq!(known.handle_data(FULL), None);
        assert_eq!(known.handle_data(FULL), Some(FileOutcome::Complete));
        assert_eq!(receiving(0).handle_data(&[]), Some(FileOutcome::Complete));
        assert_eq!(receiving(9).handle_data(b"short"), Some(FileOutcome::Truncated));
        let mut stream = receiving(UNKNOWN_FILE_SIZE);
        assert_eq!(stream.handle_data(FULL), None);
        assert_eq!(stream.handle_data(&[]), Some(FileOutcome::Complete));
    }

    #[test]
    fn no_more_than_the_size_is_taken() {
        let mut receiving = receiving(5);
        assert_eq!(receiving.handle_data(FULL), Some(FileOutcome::Complete));
        assert_eq!(receiving.take_gathered().unwrap().data.len(), 5);
        assert_eq!(receiving.handle_data(FULL), Some(FileOutcome::Complete));
        assert!(receiving.take_gathered().is_none());
    }

    #[test]
    fn only_what_is_written_counts_for_another_run() {
        let mut receiving = receiving(UNKNOWN_FILE_SIZE);
        for token in 0..3 {
            receiving.handle_data(FULL);
            let gathered = receiving.take_gathered().unwrap();
            receiving.writing(IoToken(token), gathered.start, gathered.data.len());
        }
        receiving.handle_data(FULL);
        assert_eq!(receiving.written(), 0);
        assert_eq!(receiving.handle_written(IoToken(1), Ok(())), (MAX_FILE_DATA, Ok(())));
        assert_eq!(receiving.written(), 0);
        assert_eq!(receiving.handle_written(IoToken(0), Ok(())), (MAX_FILE_DATA, Ok(())));
        assert_eq!(receiving.written(), 2 * MAX_FILE_DATA as u64);
        assert_eq!(receiving.handle_written(IoToken(2), Ok(())), (MAX_FILE_DATA, Ok(())));
        assert_eq!(receiving.written(), 3 * MAX_FILE_DATA as u64);
        assert_eq!(receiving.handle_written(IoToken(2), Err(IoFailed)), (0, Ok(())));
        assert_eq!(receiving.discard(), MAX_FILE_DATA);
        assert_eq!(receiving.position(), 3 * MAX_FILE_DATA as u64);
    }
}

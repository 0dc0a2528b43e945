//! One file on its way to a friend: which of its bytes are read ahead, and which go next.

use std::collections::VecDeque;

use bytes::Bytes;

use super::transfer::{FileOffer, Paused};
use super::work::IoFailed;
use crate::event::PacketNumber;
use crate::machine::IoToken;
use crate::wire::messenger::MAX_FILE_DATA;

/// How far a file has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// The friend has not been told of it in this session.
    Waiting,
    /// Told under this number.
    Offered(u8),
    /// Accepted.
    Flowing(u8),
    /// All of it is sent; the last packet has this number in the session.
    Sent(u8, PacketNumber),
}

/// Bytes that are being read or wait to be sent.
#[derive(Debug)]
struct Ahead {
    token: IoToken,
    start: u64,
    length: usize,
    data: Option<Bytes>,
}

/// The next piece of a file.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) data: &'a [u8],
    pub(super) last: bool,
}

/// One file.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) offer: FileOffer,
    pub(super) stage: Stage,
    pub(super) paused: Paused,
    /// The next byte to send.
    position: u64,
    /// The next byte to read.
    asked: u64,
    /// In order, without gaps, from a byte at or before the position on.
    ahead: VecDeque<Ahead>,
    /// Where a stream turned out to end.
    stream_end: Option<u64>,
}

impl Sending {
    pub(super) fn new(offer: FileOffer) -> Self {
        Self {
            offer,
            stage: Stage::Waiting,
            paused: Paused::default(),
            position: 0,
            asked: 0,
            ahead: VecDeque::new(),
            stream_end: None,
        }
    }

    /// The number under which the friend knows it in this session.
    pub(super) fn number(&self) -> Option<u8> {
        match self.stage {
            Stage::Waiting => None,
            Stage::Offered(number) | Stage::Flowing(number) | Stage::Sent(number, _) => {
                Some(number)
            }
        }
    }

    /// The next byte to send.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Where the file ends, if that is known.
    fn end(&self) -> Option<u64> {
        self.offer.known_size().or(self.stream_end)
    }

    /// True if its bytes are to be sent now.
    pub(super) fn flows(&self) -> bool {
        matches!(self.stage, Stage::Flowing(_)) && !self.paused.is_paused()
    }

    /// Forgets what was read ahead: others need the room.
    pub(super) fn release(&mut self) {
        self.ahead.clear();
        self.asked = self.position;
    }

    /// The friend wants to begin here; false if the file ends before.
    pub(super) fn seek(&mut self, position: u64) -> bool {
        let within = position < self.offer.size;
        if within {
            self.position = position;
            self.release();
        }
        within
    }

    /// The session is gone: the file is offered anew in the next one, from its beginning.
    pub(super) fn handle_break(&mut self) {
        (self.stage, self.position) = (Stage::Waiting, 0);
        self.paused.there = false;
        self.release();
    }

    /// Which bytes to read now, if there are `most` ranges ahead at most.
    pub(super) fn wants_read(&self, most: usize, length: usize) -> Option<core::ops::Range<u64>> {
        let end = self.end().unwrap_or(u64::MAX);
        let wants = self.flows() && self.ahead.len() < most && self.asked < end;
        wants.then(|| self.asked..end.min(self.asked.saturating_add(length as u64)))
    }

    /// These bytes are being read.
    pub(super) fn reading(&mut self, token: IoToken, range: core::ops::Range<u64>) {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
        self.ahead.push_back(Ahead { token, start: range.start, length, data: None });
        self.asked = range.end;
    }

    /// Takes bytes that were read; those that nobody waits for any more are ignored.
    ///
    /// # Errors
    /// [`IoFailed`] if they could not be read, or there are fewer than the file's size tells.
    pub(super) fn handle_read(
        &mut self,
        token: IoToken,
        result: Result<Bytes, IoFailed>,
    ) -> Result<(), IoFailed> {
        let Some(index) = self.ahead.iter().position(|ahead| ahead.token == token) else {
            return Ok(());
        };
        let mut data = result?;
        let ahead = &mut self.ahead[index];
        data.truncate(ahead.length);
        let end = ahead.start + data.len() as u64;
        let short = data.len() < ahead.length;
        ahead.data = Some(data);
        if short {
            if self.offer.known_size().is_some() {
                return Err(IoFailed);
            }
            // Ranges behind the end were asked for before it was known.
            self.stream_end = Some(self.stream_end.map_or(end, |known| known.min(end)));
            self.ahead.truncate(index + 1);
            self.asked = end;
        }
        Ok(())
    }

    /// The next piece, if it is there and may go.
    pub(super) fn piece(&self) -> Option<Piece<'_>> {
        if !self.flows() {
            return None;
        }
        if self.end() == Some(self.position) {
            // An empty file, or a stream that ended with a full packet.
            return Some(Piece { data: &[], last: true });
        }
        let front = self.ahead.front()?;
        let offset = usize::try_from(self.position.checked_sub(front.start)?).ok()?;
        let rest = front.data.as_ref()?.get(offset..)?;
        let data = rest.get(..MAX_FILE_DATA).unwrap_or(rest);
        let ends = self.offer.known_size() == Some(self.position + data.len() as u64);
        Some(Piece { data, last: ends || data.len() < MAX_FILE_DATA })
    }

    /// The [piece](Self::piece) has been sent under this number.
    pub(super) fn sent(&mut self, length: usize, last: bool, packet: PacketNumber) {
        self.position = self.position.saturating_add(length as u64);
        if let (true, Some(number)) = (last, self.number()) {
            self.release();
            self.stage = Stage::Sent(number, packet);
        }
        let used = |ahead: &Ahead| ahead.start.saturating_add(ahead.length as u64);
        while self.ahead.front().is_some_and(|front| used(front) <= self.position) {
            self.ahead.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messenger::FileKind;
    use crate::wire::messenger::file::UNKNOWN_FILE_SIZE;

    fn flowing(size: u64) -> Sending {
        let offer =
            FileOffer { kind: FileKind::DATA, size, file_id: [1; 32], name: b"file".to_vec() };
        Sending { stage: Stage::Flowing(0), ..Sending::new(offer) }
    }

    fn read(sending: &mut Sending, token: u64, length: usize, gives: usize) {
        let range = sending.wants_read(4, length).unwrap();
        sending.reading(IoToken(token), range);
        sending.handle_read(IoToken(token), Ok(vec![7; gives].into())).unwrap();
    }

    fn pieces(sending: &mut Sending) -> Vec<usize> {
        let mut lengths = Vec::new();
        while let Some(Piece { data, last }) = sending.piece() {
            let length = data.len();
            lengths.push(length);
            sending.sent(length, last, PacketNumber(9));
        }
        lengths
    }

    #[test]
    fn a_known_size_ends_without_an_empty_packet() {
        let mut sending = flowing(2 * MAX_FILE_DATA as u64);
        read(&mut sending, 0, 4 * MAX_FILE_DATA, 2 * MAX_FILE_DATA);
        assert_eq!(pieces(&mut sending), [MAX_FILE_DATA; 2]);
        assert_eq!(sending.stage, Stage::Sent(0, PacketNumber(9)));
    }

    #[test]
    fn an_empty_file_is_one_empty_packet() {
        assert_eq!(pieces(&mut flowing(0)), [0]);
    }

    #[test]
    fn a_stream_ends_with_a_packet_that_is_not_full() {
        let mut sending = flowing(UNKNOWN_FILE_SIZE);
        read(&mut sending, 0, 2 * MAX_FILE_DATA, 2 * MAX_FILE_DATA);
        read(&mut sending, 1, 2 * MAX_FILE_DATA, MAX_FILE_DATA + 5);
        assert_eq!(sending.wants_read(4, MAX_FILE_DATA), None);
        assert_eq!(pieces(&mut sending), [MAX_FILE_DATA, MAX_FILE_DATA, MAX_FILE_DATA, 5]);

        let mut sending = flowing(UNKNOWN_FILE_SIZE);
        read(&mut sending, 0, 2 * MAX_FILE_DATA, 2 * MAX_FILE_DATA);
        read(&mut sending, 1, 2 * MAX_FILE_DATA, 0);
        assert_eq!(pieces(&mut sending), [MAX_FILE_DATA, MAX_FILE_DATA, 0]);
    }

    #[test]
    fn ranges_that_were_read_out_of_order_go_in_order() {
        let mut sending = flowing(3 * MAX_FILE_DATA as u64);
        for token in 0..3 {
            let range = sending.wants_read(4, MAX_FILE_DATA).unwrap();
            sending.reading(IoToken(token), range);
        }
        sending.handle_read(IoToken(2), Ok(vec![2; MAX_FILE_DATA].into())).unwrap();
        assert!(sending.piece().is_none());
        sending.handle_read(IoToken(0), Ok(vec![0; MAX_FILE_DATA].into())).unwrap();
        assert_eq!(sending.piece().unwrap().data[0], 0);
        assert_eq!(pieces(&mut sending).len(), 1);
        sending.handle_read(IoToken(1), Ok(vec![1; MAX_FILE_DATA].into())).unwrap();
        assert_eq!(pieces(&mut sending).len(), 2);
    }

    #[test]
    fn what_was_read_before_a_seek_or_a_break_is_not_sent() {
        let mut sending = flowing(100);
        let range = sending.wants_read(4, 64).unwrap();
        sending.reading(IoToken(0), range);
        assert!(!sending.seek(100));
        assert!(sending.seek(60));
        assert_eq!(sending.handle_read(IoToken(0), Ok(vec![0; 64].into())), Ok(()));
        assert!(sending.piece().is_none());
        assert_eq!(sending.wants_read(4, 64), Some(60..100));
        sending.handle_break();
        assert_eq!((sending.position(), sending.number()), (0, None));
        assert_eq!(sending.wants_read(4, 64), None);
    }

    #[test]
    fn a_file_that_has_shrunk_fails() {
        let mut sending = flowing(100);
        let range = sending.wants_read(4, 64).unwrap();
        sending.reading(IoToken(0), range);
        assert_eq!(sending.handle_read(IoToken(0), Ok(vec![0; 63].into())), Err(IoFailed));
        assert_eq!(sending.handle_read(IoToken(0), Err(IoFailed)), Err(IoFailed));
    }
}

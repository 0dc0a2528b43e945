//! The record layer of a session: nonces counted up on both sides, of which a packet shows the last
//! two bytes only (research note `tox.md` 1.6), and a window that lets each packet in once.

use crate::drops::DropReason;
use crate::wire::session::{CryptoData, DataHeader, seal_crypto_data, split_crypto_data};
use crate::wire::{Decode, Nonce, PublicKey, SharedKey};

/// Packets behind the newest one that may still come in. c-toxcore lets in some 20 000 and any of
/// them more than once; a lossless packet that is late beyond this one is sent again anyhow.
const REPLAY_WINDOW: u64 = 1024;

/// The packets that came in, by the distance of their nonce from the peer's base nonce.
#[derive(Debug)]
struct ReplayWindow {
    /// The next number after the newest one that came in.
    end: u64,
    /// One bit a number, at its remainder.
    seen: [u64; (REPLAY_WINDOW / 64) as usize],
}

impl ReplayWindow {
    const fn bit(number: u64) -> (usize, u64) {
        ((number % REPLAY_WINDOW / 64) as usize, 1 << (number % 64))
    }

    /// True if `number` has not come in and is not too old to tell.
    fn admits(&self, number: u64) -> bool {
        let (word, bit) = Self::bit(number);
        number >= self.end || (number + REPLAY_WINDOW >= self.end && self.seen[word] & bit == 0)
    }

    /// Notes that `number` came in; true if it is the newest so far.
    fn note(&mut self, number: u64) -> bool {
        let newest = number >= self.end;
        if number >= self.end + REPLAY_WINDOW {
            self.seen = [0; _];
        } else {
            for skipped in self.end..number {
                let (word, bit) = Self::bit(skipped);
                self.seen[word] &= !bit;
            }
        }
        self.end = self.end.max(number + 1);
        let (word, bit) = Self::bit(number);
        self.seen[word] |= bit;
        newest
    }
}

/// A packet that opened.
#[derive(Debug)]
pub(crate) struct Opened<'a> {
    /// Sent after all others that came in so far: only such a packet may move the session to another
    /// address, so that a replayed one can not.
    pub(crate) newest: bool,
    /// What it contains.
    pub(crate) data: CryptoData<'a>,
}

/// Seals and opens the packets of one session.
#[derive(Debug)]
pub(crate) struct Record {
    key: SharedKey,
    /// The peer's key of this session: tells a repeated handshake from a new one.
    peer_session_key: PublicKey,
    send_nonce: Nonce,
    /// A nonce of the peer, the number `anchor` of its packets.
    receive_nonce: Nonce,
    anchor: u64,
    window: ReplayWindow,
}

impl Record {
    /// The record layer between a session key of ours and one of the peer's. Each side seals with the
    /// base nonce that it announced itself.
    pub(crate) fn new(
        key: SharedKey,
        peer_session_key: PublicKey,
        send_nonce: Nonce,
        receive_nonce: Nonce,
    ) -> Self {
        let window = ReplayWindow { end: 0, seen: [0; _] };
        Self { key, peer_session_key, send_nonce, receive_nonce, anchor: 0, window }
    }

    /// The peer's key of this session.
    pub(crate) fn peer_session_key(&self) -> PublicKey {
        self.peer_session_key
    }

    /// The nonce of the next packet: whoever goes on with the same session key starts there.
    pub(crate) fn send_nonce(&self) -> Nonce {
        self.send_nonce
    }

    /// A whole crypto data packet.
    pub(crate) fn seal(&mut self, header: DataHeader, id: u8, parts: [&[u8]; 2]) -> Vec<u8> {
        let packet = seal_crypto_data(&self.key, &self.send_nonce, header, id, parts);
        self.send_nonce = self.send_nonce.plus(1);
        packet
    }

    /// How far after the newest packet a packet with these last two bytes would be; negative: before.
    pub(crate) fn distance(&self, low: u16) -> i16 {
        let newest = self.nonce(self.window.end).low_u16().wrapping_sub(1);
        low.wrapping_sub(newest) as i16
    }

    /// The peer's nonce of a number, which is never before the anchor nor far behind it.
    fn nonce(&self, number: u64) -> Nonce {
        self.receive_nonce.plus(number.saturating_sub(self.anchor) as u32)
    }

    /// Opens a packet in place; one that does not open is left as it was.
    pub(crate) fn open<'a>(&mut self, packet: &'a mut [u8]) -> Result<Opened<'a>, DropReason> {
        let (low, boxed) = split_crypto_data(packet)?;
        let number = (self.window.end + u64::from(u16::MAX))
            .checked_add_signed(i64::from(self.distance(low)))
            .and_then(|number| number.checked_sub(u64::from(u16::MAX) + 1))
            .ok_or(DropReason::Forged)?;
        if !self.window.admits(number) {
            return Err(DropReason::Replayed);
        }
        let plain = self.key.open_in_place(&self.nonce(number), boxed)?;
        let newest = self.window.note(number);
        self.follow();
        Ok(Opened { newest, data: CryptoData::from_bytes(plain)? })
    }

    /// Keeps the anchor near enough that a distance from it is small, and behind the whole window.
    fn follow(&mut self) {
        const STEP: u64 = 1 << 16;
        if self.window.end > self.anchor + 2 * STEP {
            self.receive_nonce = self.receive_nonce.plus(STEP as u32);
            self.anchor += STEP;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::session::data_id;

    fn pair(base: Nonce) -> (Record, Record) {
        let (key, peer) = (SharedKey::from_bytes([1; 32]), PublicKey([0; 32]));
        let other = Nonce([9; 24]);
        (Record::new(key.clone(), peer, base, other), Record::new(key, peer, other, base))
    }

    const HEADER: DataHeader = DataHeader { received: 0, number: 0 };

    fn seal(record: &mut Record) -> Vec<u8> {
        record.seal(HEADER, data_id::ALIVE, [&[], &[]])
    }

    #[test]
    fn a_packet_comes_in_once() {
        let (mut a, mut b) = pair(Nonce([0xff; 24]));
        let packets: Vec<_> = (0..3).map(|_| seal(&mut a)).collect();
        for (index, newest) in [(0, true), (2, true), (1, false)] {
            assert_eq!(b.open(&mut packets[index].clone()).map(|o| o.newest), Ok(newest));
        }
        for packet in &packets {
            assert_eq!(b.open(&mut packet.clone()).map(|_| ()), Err(DropReason::Replayed));
        }
    }

    #[test]
    fn a_forged_packet_is_left_as_it_was() {
        let (mut a, mut b) = pair(Nonce([7; 24]));
        let mut packet = seal(&mut a);
        packet[10] ^= 1;
        let forged = packet.clone();
        assert_eq!(b.open(&mut packet).map(|_| ()), Err(DropReason::Forged));
        assert_eq!(packet, forged);
        packet[10] ^= 1;
        assert!(b.open(&mut packet).is_ok());
    }

    #[test]
    fn the_counter_wraps_and_long_gaps_are_bridged() {
        let mut base = [0xff; 24];
        base[0] = 0;
        let (mut a, mut b) = pair(Nonce(base));
        for round in 0..9 {
            for _ in 0..30_000 {
                a.send_nonce = a.send_nonce.plus(1); // a packet that is lost
            }
            let mut late = seal(&mut a);
            for _ in 0..900 {
                assert!(b.open(&mut seal(&mut a)).is_ok(), "round {round}");
            }
            assert_eq!(b.open(&mut late).map(|o| o.newest), Ok(false));
        }
    }

    #[test]
    fn what_is_too_old_to_tell_stays_out() {
        let (mut a, mut b) = pair(Nonce([0; 24]));
        let mut late = seal(&mut a);
        for _ in 0..REPLAY_WINDOW + 1 {
            assert!(b.open(&mut seal(&mut a)).is_ok());
        }
        assert_eq!(b.open(&mut late).map(|_| ()), Err(DropReason::Replayed));
    }

    #[test]
    fn nothing_before_the_base_nonce_exists() {
        let (mut a, mut b) = pair(Nonce([5; 24]));
        a.send_nonce = Nonce([5; 24]).plus(u32::MAX);
        assert_eq!(b.open(&mut seal(&mut a)).map(|_| ()), Err(DropReason::Forged));
    }
}

//! What carries a friend's packets: the session beneath, or a test's.

use bytes::Bytes;

use crate::error::PacketError;
use crate::event::PacketNumber;
use crate::wire::PublicKey;

/// Takes packets for friends.
pub(crate) trait Carrier {
    /// Queues a packet; a lossless one has the number that is given back.
    ///
    /// # Errors
    /// See [`PacketError`].
    fn send(&mut self, friend: PublicKey, id: u8, data: Bytes)
    -> Result<PacketNumber, PacketError>;

    /// Lossless packets that wait for their first transmission.
    fn waiting(&self, friend: PublicKey) -> usize;
}

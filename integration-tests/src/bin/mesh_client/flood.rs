//! Floods of custom packets, as `c/tox_client/packets.c` has them: lossless packets of id 191 with the
//! packet's number and the number of packets in all, then zeros. Whoever received the last one answers
//! with id 190 and the number of packets that came.

use std::time::Duration;

use serde_json::{Value, json};
use toktok_mesh::messenger::Messenger;
use toktok_mesh::runtime::Handle;
use toktok_mesh::{PacketError, PublicKey, Time};

use crate::report::{self, Effort};

pub(crate) const FLOOD: u8 = 191;
pub(crate) const FLOODED: u8 = 190;

/// Bytes before the zeros, the id not counted.
const HEAD: usize = 8;

/// Longest time without looking for room again.
const PATIENCE: Duration = Duration::from_millis(50);

/// A flood that this client sends.
pub(crate) struct Flood {
    pub(crate) friend: PublicKey,
    pub(crate) total: u32,
    /// Bytes of each packet, the id counted.
    pub(crate) size: usize,
    sent: u32,
    effort: Effort,
}

/// A flood that comes.
#[derive(Default)]
pub(crate) struct Flooded {
    came: u32,
    bytes: u64,
    out_of_order: bool,
    effort: Option<Effort>,
}

impl Flood {
    pub(crate) fn begin(friend: PublicKey, total: u32, size: usize) -> Option<Self> {
        let fits = total > 0 && size > HEAD;
        fits.then(|| Self { friend, total, size, sent: 0, effort: Effort::begin() })
    }

    /// Sends what there is room for; true when all is sent.
    fn pour(&mut self, messenger: &mut Messenger, now: Time) -> Result<bool, PacketError> {
        while self.sent < self.total {
            let mut data = vec![0; self.size - 1];
            data[..4].copy_from_slice(&self.sent.to_be_bytes());
            data[4..HEAD].copy_from_slice(&self.total.to_be_bytes());
            match messenger.send_lossless(now, self.friend, FLOOD, data) {
                Ok(()) => self.sent += 1,
                Err(PacketError::Full) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// The friend has it all.
    pub(crate) fn end(&self, data: &[u8]) {
        let came = data.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let fields = json!({
            "friend": self.friend.to_string().to_lowercase(),
            "packets": self.total,
            "bytes": u64::from(self.total) * self.size as u64,
            "came": came,
        });
        report::event("flood", self.effort.tell(fields));
    }
}

/// Sends a flood to its end, whenever there is room.
pub(crate) async fn run(
    flood: std::sync::Arc<std::sync::Mutex<Option<Flood>>>,
    handle: Handle<Messenger>,
    room: std::sync::Arc<tokio::sync::Notify>,
) {
    loop {
        let flood = std::sync::Arc::clone(&flood);
        let poured = handle.call(move |messenger, now| {
            let mut flood = crate::disk::lock(&flood);
            flood.as_mut().map(|flood| flood.pour(messenger, now))
        });
        match poured.await {
            Ok(Some(Ok(false))) => {
                let _ = tokio::time::timeout(PATIENCE, room.notified()).await;
            }
            Ok(Some(Err(error))) => {
                return report::event("flood-broken", json!({ "why": error.to_string() }));
            }
            _ => return,
        }
    }
}

impl Flooded {
    /// Takes a packet; the answer, if it was the last one.
    pub(crate) fn take(&mut self, friend: &PublicKey, data: &[u8]) -> Option<Vec<u8>> {
        let number = u32::from_be_bytes(*data.first_chunk()?);
        let total = u32::from_be_bytes(*data.get(4..)?.first_chunk()?);
        if number == 0 {
            *self = Self { effort: Some(Effort::begin()), ..Self::default() };
        }
        self.out_of_order |= number != self.came;
        self.came += 1;
        self.bytes += data.len() as u64 + 1;
        if number + 1 < total {
            return None;
        }
        let fields: Value = json!({
            "friend": friend.to_string().to_lowercase(),
            "packets": self.came,
            "bytes": self.bytes,
            "in_order": !self.out_of_order,
        });
        report::event("flooded", self.effort?.tell(fields));
        Some(self.came.to_be_bytes().to_vec())
    }
}

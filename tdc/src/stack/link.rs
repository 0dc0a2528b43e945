//! One channel with a peer, and what waits to be sent on it.

use std::collections::VecDeque;

use bytes::Bytes;
use toktok_mesh::{self as mesh, ChannelId, SendError};
use toktok_wire::{PublicKey, Time};

use crate::action::Role;
use crate::message::Message;

/// Messages other than results that wait for a peer which does not read. A heartbeat a second and a few
/// a unit: one that lets so many wait is gone.
const MAX_WAITING: usize = 16_384;

/// Bytes of results that may wait in the mesh: more would keep heartbeats waiting behind them.
const BULK_WINDOW: usize = 512 << 10;

/// A channel of this protocol.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: PublicKey,
    pub(super) role: Role,
    open: bool,
    control: VecDeque<Message>,
    /// Results: slices of what is held anyway, encoded only when they are sent.
    bulk: VecDeque<Message>,
    /// Encoded, and refused by the mesh for want of room.
    stuck: Option<Bytes>,
}

impl Link {
    pub(super) fn new(peer: PublicKey, role: Role) -> Self {
        let (control, bulk) = (VecDeque::new(), VecDeque::new());
        Self { peer, role, open: false, control, bulk, stuck: None }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open
    }

    pub(super) const fn open(&mut self) {
        self.open = true;
    }

    /// Queues a message; false if too many wait.
    pub(super) fn push(&mut self, message: Message) -> bool {
        let queue = if message.is_bulk() { &mut self.bulk } else { &mut self.control };
        let fits = queue.len() < MAX_WAITING;
        if fits {
            queue.push_back(message);
        }
        fits
    }

    /// Hands over what the channel takes. True if anything went.
    pub(super) fn pump(
        &mut self,
        now: Time,
        mesh: &mut mesh::Stack,
        channel: ChannelId,
        queue: usize,
    ) -> bool {
        let mut pumped = false;
        while self.open {
            let waiting = queue.saturating_sub(mesh.send_space(channel));
            let next = self
                .stuck
                .take()
                .or_else(|| self.control.pop_front().map(|message| message.encode()))
                .or_else(|| {
                    let room = waiting < BULK_WINDOW;
                    room.then(|| self.bulk.pop_front()).flatten().map(|message| message.encode())
                });
            let Some(bytes) = next else { break };
            match mesh.send(now, channel, bytes.clone()) {
                Ok(()) => pumped = true,
                Err(SendError::Full) => {
                    self.stuck = Some(bytes);
                    break;
                }
                // The channel is gone; its own event follows.
                Err(_) => break,
            }
        }
        pumped
    }
}

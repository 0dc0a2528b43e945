//! All channels of one session, their frames, and who may send next.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::assembly::{Assembly, WINDOW};
use super::queue::{SendQueue, Urgency};
use super::{ChannelId, MAX_PROTOCOL_NAME};
use crate::drops::DropReason;
use crate::env::Env;
use crate::error::{OpenError, SendError};
use crate::event::Event;
use crate::session::Body;
use crate::wire::channel::Frame;
use crate::wire::session::data_id;
use crate::wire::{Decode, Encode, PublicKey, Time};

/// A peer that does not answer an open for so long speaks no channels: a plain Tox client.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Frames other than data that wait at once. Beyond it the peer opens channels faster than it reads
/// our answers.
const MAX_CONTROL: usize = 1024;

/// So many short messages may go before a piece of a long one that waits.
const SHORT_IN_A_ROW: u8 = 3;

/// The peer broke the rules of channels: the session ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Violation;

#[derive(Debug)]
enum State {
    /// We asked; the answer is due until then.
    Opening(Time),
    Open,
    /// Closed here; what is queued goes first.
    Closing,
}

#[derive(Debug)]
struct Channel {
    id: ChannelId,
    protocol: String,
    state: State,
    queue: SendQueue,
    assembly: Assembly,
    /// Stands in one of the two lines.
    in_line: bool,
}

/// The channels of one session.
#[derive(Debug)]
pub(crate) struct Channels {
    peer: PublicKey,
    next_number: u32,
    channels: BTreeMap<u32, Channel>,
    /// Frames that are no data: they go before all messages.
    control: VecDeque<Body>,
    /// Channels whose next message is short, and the others, in the order of their turns.
    short: VecDeque<u32>,
    long: VecDeque<u32>,
    short_in_a_row: u8,
    /// Nothing that was opened is overdue before this.
    deadline: Option<Time>,
}

impl Channels {
    /// No channels yet. The side with the smaller key numbers its own evenly.
    pub(crate) fn new(own: PublicKey, peer: PublicKey) -> Self {
        Self {
            peer,
            next_number: u32::from(own > peer),
            channels: BTreeMap::new(),
            control: VecDeque::new(),
            short: VecDeque::new(),
            long: VecDeque::new(),
            short_in_a_row: 0,
            deadline: None,
        }
    }

    /// Asks for a channel.
    pub(crate) fn open(
        &mut self,
        protocol: &str,
        env: &mut Env<'_>,
    ) -> Result<ChannelId, OpenError> {
        if protocol.is_empty() || protocol.len() > MAX_PROTOCOL_NAME {
            return Err(OpenError::InvalidName);
        }
        let number = self.next_number;
        if self.channels.len() >= env.config.max_channels {
            return Err(OpenError::TooManyChannels);
        }
        self.next_number = number.checked_add(2).ok_or(OpenError::TooManyChannels)?;
        let until = env.now + OPEN_TIMEOUT;
        self.deadline = Some(self.deadline.map_or(until, |deadline| deadline.min(until)));
        let id = self.insert(number, protocol, State::Opening(until), env);
        self.push_control(&Frame::Open { channel: number, credit: WINDOW, protocol });
        Ok(id)
    }

    fn insert(
        &mut self,
        number: u32,
        protocol: &str,
        state: State,
        env: &mut Env<'_>,
    ) -> ChannelId {
        let id = env.directory.assign(self.peer, number);
        let queue = SendQueue::new(env.config.channel_queue);
        let (protocol, assembly) = (protocol.to_owned(), Assembly::default());
        self.channels
            .insert(number, Channel { id, protocol, state, queue, assembly, in_line: false });
        id
    }

    /// Closes a channel after what is queued.
    pub(crate) fn close(&mut self, number: u32, env: &mut Env<'_>) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        env.directory.remove(channel.id);
        let unanswered = matches!(channel.state, State::Opening(_));
        channel.state = State::Closing;
        if unanswered || channel.queue.is_empty() {
            self.finish(number);
        }
    }

    /// Says goodbye on a channel and forgets it.
    fn finish(&mut self, number: u32) {
        self.channels.remove(&number);
        self.push_control(&Frame::Close { channel: number });
    }

    /// Queues a message.
    pub(crate) fn send(&mut self, number: u32, message: Bytes) -> Result<(), SendError> {
        let channel = self.channels.get_mut(&number).ok_or(SendError::Unknown)?;
        channel.queue.push(message)?;
        self.line_up(number);
        Ok(())
    }

    /// Bytes that may be queued on a channel now.
    pub(crate) fn send_space(&self, number: u32) -> usize {
        self.channels.get(&number).map_or(0, |channel| channel.queue.space())
    }

    /// True if a packet waits to be taken.
    pub(crate) fn has_packet(&self) -> bool {
        !(self.control.is_empty() && self.short.is_empty() && self.long.is_empty())
    }

    /// The next packet to send.
    pub(crate) fn next_packet(&mut self, events: &mut VecDeque<Event>) -> Option<Body> {
        if let Some(packet) = self.control.pop_front() {
            return Some(packet);
        }
        while let Some(number) = self.next_in_line() {
            let Some(channel) = self.channels.get_mut(&number) else { continue };
            channel.in_line = false;
            let Some((fragment, last)) = channel.queue.next_fragment() else { continue };
            if channel.queue.take_writable() && matches!(channel.state, State::Open) {
                events.push_back(Event::Writable { channel: channel.id });
            }
            if matches!(channel.state, State::Closing) && channel.queue.is_empty() {
                self.finish(number);
            } else {
                self.line_up(number);
            }
            let head = Frame::data_head(number, last);
            return Some(Body::with_head(data_id::CHANNEL, head, fragment));
        }
        None
    }

    /// Takes the channel whose turn it is out of its line.
    fn next_in_line(&mut self) -> Option<u32> {
        let prefer_short = self.long.is_empty() || self.short_in_a_row < SHORT_IN_A_ROW;
        if let Some(number) = prefer_short.then(|| self.short.pop_front()).flatten() {
            self.short_in_a_row = self.short_in_a_row.saturating_add(1);
            return Some(number);
        }
        self.short_in_a_row = 0;
        self.long.pop_front()
    }

    /// Puts a channel that can send at the end of its line.
    fn line_up(&mut self, number: u32) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        if !channel.in_line {
            let line = match channel.queue.urgency() {
                Urgency::Idle => return,
                Urgency::Short => &mut self.short,
                Urgency::Long => &mut self.long,
            };
            line.push_back(number);
            channel.in_line = true;
        }
    }

    fn push_control(&mut self, frame: &Frame<'_>) {
        self.control.push_back(Body::new(data_id::CHANNEL, frame.to_bytes().into()));
    }

    /// Takes a frame of the peer.
    pub(crate) fn handle_frame(
        &mut self,
        frame: &[u8],
        env: &mut Env<'_>,
    ) -> Result<(), Violation> {
        let frame = Frame::from_bytes(frame).map_err(|_| Violation)?;
        match frame {
            Frame::Open { channel, credit, protocol } => {
                self.handle_open(channel, credit, protocol, env)?;
            }
            Frame::Accept { channel, credit } => self.handle_accept(channel, credit, env.events),
            Frame::Data { channel, last, bytes } => {
                self.handle_data(channel, bytes, last, env)?;
            }
            Frame::Credit { channel, bytes } => self.handle_credit(channel, bytes),
            Frame::Refuse { channel } | Frame::Close { channel } => {
                self.handle_close(channel, env);
            }
        }
        if self.control.len() > MAX_CONTROL { Err(Violation) } else { Ok(()) }
    }

    fn handle_open(
        &mut self,
        number: u32,
        credit: u32,
        protocol: &str,
        env: &mut Env<'_>,
    ) -> Result<(), Violation> {
        if number % 2 == self.next_number % 2 || self.channels.contains_key(&number) {
            return Err(Violation);
        }
        let room = self.channels.len() < env.config.max_channels;
        if !room || !env.listening.contains(protocol) {
            let reason = if room { DropReason::Refused } else { DropReason::LimitReached };
            env.drops.count(reason);
            self.push_control(&Frame::Refuse { channel: number });
            return Ok(());
        }
        let id = self.insert(number, protocol, State::Open, env);
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.queue.add_credit(credit);
        }
        self.push_control(&Frame::Accept { channel: number, credit: WINDOW });
        let (peer, protocol) = (self.peer, protocol.to_owned());
        env.events.push_back(Event::ChannelOpened { channel: id, peer, protocol, incoming: true });
        Ok(())
    }

    fn handle_accept(&mut self, number: u32, credit: u32, events: &mut VecDeque<Event>) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        if matches!(channel.state, State::Opening(_)) {
            channel.state = State::Open;
            channel.queue.add_credit(credit);
            let (peer, protocol) = (self.peer, channel.protocol.clone());
            let channel = channel.id;
            events.push_back(Event::ChannelOpened { channel, peer, protocol, incoming: false });
            self.line_up(number);
        }
    }

    fn handle_data(
        &mut self,
        number: u32,
        bytes: &[u8],
        last: bool,
        env: &mut Env<'_>,
    ) -> Result<(), Violation> {
        let Some(channel) = self.channels.get_mut(&number) else {
            // Sent before the peer learned that the channel was closed here.
            env.drops.count(DropReason::Unsolicited);
            return Ok(());
        };
        let message = channel.assembly.take(bytes, last)?;
        let (peer, id) = (self.peer, channel.id);
        let credit = channel.assembly.refill();
        let open = matches!(channel.state, State::Open);
        if let Some(message) = message.filter(|_| open) {
            env.events.push_back(Event::Message { channel: id, peer, message });
        }
        if let Some(bytes) = credit {
            self.push_control(&Frame::Credit { channel: number, bytes });
        }
        Ok(())
    }

    fn handle_credit(&mut self, number: u32, bytes: u32) {
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.queue.add_credit(bytes);
            self.line_up(number);
        }
    }

    fn handle_close(&mut self, number: u32, env: &mut Env<'_>) {
        if let Some(channel) = self.channels.remove(&number) {
            close_event(self.peer, &channel, env);
        }
    }

    /// When [`Self::handle_timeout`] may have something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// Gives up channels that the peer did not answer for.
    pub(crate) fn handle_timeout(&mut self, env: &mut Env<'_>) {
        self.deadline = None;
        let mut late = Vec::new();
        for (number, channel) in &self.channels {
            match channel.state {
                State::Opening(until) if until <= env.now => late.push(*number),
                State::Opening(until) => {
                    self.deadline =
                        Some(self.deadline.map_or(until, |deadline| deadline.min(until)));
                }
                State::Open | State::Closing => {}
            }
        }
        for number in late {
            if let Some(channel) = self.channels.remove(&number) {
                close_event(self.peer, &channel, env);
                self.push_control(&Frame::Close { channel: number });
            }
        }
    }

    /// The session ends: all channels with it.
    pub(crate) fn end(&mut self, env: &mut Env<'_>) {
        while let Some((_, channel)) = self.channels.pop_first() {
            close_event(self.peer, &channel, env);
        }
    }
}

/// Tells of a channel's end, if this side has not closed it before.
fn close_event(peer: PublicKey, channel: &Channel, env: &mut Env<'_>) {
    if !matches!(channel.state, State::Closing) {
        env.directory.remove(channel.id);
        env.events.push_back(Event::ChannelClosed { channel: channel.id, peer });
    }
}

#[cfg(test)]
#[path = "channels_tests.rs"]
mod tests;

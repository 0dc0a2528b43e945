//! What a messenger has not finished when its node stops: messages that friends may not have, and file
//! transfers. Tox's save file has no place for them; the node keeps these bytes beside it.
//!
//! Version 1; next message 8, next transfer 8, number of friends 4, and for each friend its key 32,
//! number of messages 4, number of transfers 4, and these: of a message its id 8, kind 1, length 2 and
//! text; of a transfer its id 8, direction 1, paused 1, kind 4, size 8, file id 32, position 8, length 1
//! and name.

use super::core::Core;
use super::files::{Direction, FileOffer, KeptTransfer, MAX_SENDINGS, TransferId};
use super::messages::{KeptMessage, MAX_KEPT_MESSAGES, MessageId};
use crate::wire::messenger::file::MAX_FILE_NAME;
use crate::wire::messenger::{FileKind, MAX_MESSAGE, MessageKind};
use crate::wire::{Decode, DecodeError, Encode, PublicKey, Reader};

const VERSION: u8 = 1;
/// Most friends that are read: far more than a person has.
const MAX_FRIENDS: usize = 1 << 16;
/// Most transfers of one friend, both ways.
const MAX_TRANSFERS: usize = 2 * MAX_SENDINGS;

/// Messages and file transfers that wait for another run.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Unfinished {
    next_message: u64,
    next_transfer: u64,
    /// In the order of their keys.
    friends: Vec<UnfinishedFriend>,
}

/// What waits for one friend: at least one message or transfer.
#[derive(Clone, Debug, Eq, PartialEq)]
struct UnfinishedFriend {
    friend: PublicKey,
    messages: Vec<KeptMessage>,
    transfers: Vec<KeptTransfer>,
}

impl Unfinished {
    /// What a messenger has not finished.
    pub(super) fn of(core: &Core) -> Self {
        let friends = core.friends.iter().map(|(key, friend)| UnfinishedFriend {
            friend: *key,
            messages: friend.messages.iter().cloned().collect(),
            transfers: friend.files.kept().take(MAX_TRANSFERS).collect(),
        });
        let waits = |it: &UnfinishedFriend| !it.messages.is_empty() || !it.transfers.is_empty();
        Self {
            next_message: core.next_message,
            next_transfer: core.common.ledger.next(),
            friends: friends.filter(waits).take(MAX_FRIENDS).collect(),
        }
    }

    /// Hands it to a messenger that has the same friends; what was for others is gone.
    pub(super) fn restore(self, core: &mut Core) {
        core.next_message = core.next_message.max(self.next_message);
        core.common.ledger.skip_to(self.next_transfer);
        for kept in self.friends {
            for message in &kept.messages {
                core.next_message = core.next_message.max(message.message.0.saturating_add(1));
            }
            core.restore(kept.friend, kept.messages, kept.transfers);
        }
    }

    /// Transfers that were under way, and with whom: for those who keep what belongs to them.
    pub fn transfers(&self) -> impl Iterator<Item = (PublicKey, TransferId)> {
        self.friends
            .iter()
            .flat_map(|kept| kept.transfers.iter().map(|transfer| (kept.friend, transfer.transfer)))
    }
}

impl Encode for Unfinished {
    fn encoded_len(&self) -> usize {
        let friends = self.friends.iter().map(|kept| {
            let messages: usize = kept.messages.iter().map(message_len).sum();
            let transfers: usize = kept.transfers.iter().map(transfer_len).sum();
            PublicKey::LEN + 4 + 4 + messages + transfers
        });
        1 + 8 + 8 + 4 + friends.sum::<usize>()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.next_message.to_be_bytes());
        out.extend_from_slice(&self.next_transfer.to_be_bytes());
        out.extend_from_slice(&(self.friends.len() as u32).to_be_bytes());
        for kept in &self.friends {
            kept.friend.encode(out);
            out.extend_from_slice(&(kept.messages.len() as u32).to_be_bytes());
            out.extend_from_slice(&(kept.transfers.len() as u32).to_be_bytes());
            kept.messages.iter().for_each(|message| encode_message(message, out));
            kept.transfers.iter().for_each(|transfer| encode_transfer(transfer, out));
        }
    }
}

impl<'a> Decode<'a> for Unfinished {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(VERSION)?;
        let (next_message, next_transfer) = (reader.u64()?, reader.u64()?);
        let count = count(reader, "friends", MAX_FRIENDS)?;
        let mut friends: Vec<UnfinishedFriend> = Vec::new();
        for _ in 0..count {
            let kept = decode_friend(reader)?;
            if friends.last().is_some_and(|last| last.friend >= kept.friend) {
                return Err(DecodeError::Invalid("order of friends"));
            }
            friends.push(kept);
        }
        Ok(Self { next_message, next_transfer, friends })
    }
}

fn decode_friend(reader: &mut Reader<'_>) -> Result<UnfinishedFriend, DecodeError> {
    let friend = PublicKey::decode(reader)?;
    let messages = count(reader, "messages", MAX_KEPT_MESSAGES)?;
    let transfers = count(reader, "transfers", MAX_TRANSFERS)?;
    let messages = (0..messages).map(|_| decode_message(reader)).collect::<Result<_, _>>()?;
    let transfers = (0..transfers).map(|_| decode_transfer(reader)).collect::<Result<_, _>>()?;
    Ok(UnfinishedFriend { friend, messages, transfers })
}

fn count(reader: &mut Reader<'_>, what: &'static str, limit: usize) -> Result<usize, DecodeError> {
    let got = reader.u32()? as usize;
    if got > limit { Err(DecodeError::Limit { what, limit, got }) } else { Ok(got) }
}

fn flag(reader: &mut Reader<'_>, what: &'static str) -> Result<bool, DecodeError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Invalid(what)),
    }
}

fn message_len(message: &KeptMessage) -> usize {
    8 + 1 + 2 + message.text.len()
}

fn encode_message(message: &KeptMessage, out: &mut Vec<u8>) {
    out.extend_from_slice(&message.message.0.to_be_bytes());
    out.push(u8::from(message.kind == MessageKind::Action));
    out.extend_from_slice(&(message.text.len() as u16).to_be_bytes());
    out.extend_from_slice(&message.text);
}

fn decode_message(reader: &mut Reader<'_>) -> Result<KeptMessage, DecodeError> {
    let message = MessageId(reader.u64()?);
    let action = flag(reader, "kind of message")?;
    let kind = if action { MessageKind::Action } else { MessageKind::Normal };
    let got = usize::from(reader.u16()?);
    if !(1..=MAX_MESSAGE).contains(&got) {
        return Err(DecodeError::Limit { what: "message", limit: MAX_MESSAGE, got });
    }
    let text = reader.take(got)?.to_vec().into();
    Ok(KeptMessage { message, kind, text })
}

fn transfer_len(transfer: &KeptTransfer) -> usize {
    8 + 1 + 1 + 4 + 8 + 32 + 8 + 1 + transfer.offer.name.len().min(MAX_FILE_NAME)
}

fn encode_transfer(kept: &KeptTransfer, out: &mut Vec<u8>) {
    let offer = &kept.offer;
    let name = offer.name.get(..MAX_FILE_NAME).unwrap_or(&offer.name);
    out.extend_from_slice(&kept.transfer.0.to_be_bytes());
    out.push(u8::from(kept.direction == Direction::Incoming));
    out.push(u8::from(kept.paused));
    out.extend_from_slice(&offer.kind.0.to_be_bytes());
    out.extend_from_slice(&offer.size.to_be_bytes());
    out.extend_from_slice(&offer.file_id);
    out.extend_from_slice(&kept.position.to_be_bytes());
    out.push(name.len() as u8);
    out.extend_from_slice(name);
}

fn decode_transfer(reader: &mut Reader<'_>) -> Result<KeptTransfer, DecodeError> {
    let transfer = TransferId(reader.u64()?);
    let incoming = flag(reader, "direction")?;
    let direction = if incoming { Direction::Incoming } else { Direction::Outgoing };
    let paused = flag(reader, "pause")?;
    let (kind, size) = (FileKind(reader.u32()?), reader.u64()?);
    let (file_id, position) = (reader.array()?, reader.u64()?);
    let length = usize::from(reader.u8()?);
    let name = reader.take(length)?.to_vec();
    let offer = FileOffer { kind, size, file_id, name };
    Ok(KeptTransfer { transfer, direction, offer, position, paused })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn message() -> impl Strategy<Value = KeptMessage> {
        (any::<u64>(), any::<bool>(), vec(any::<u8>(), 1..50)).prop_map(|(id, action, text)| {
            let kind = if action { MessageKind::Action } else { MessageKind::Normal };
            KeptMessage { message: MessageId(id), kind, text: text.into() }
        })
    }

    fn transfer() -> impl Strategy<Value = KeptTransfer> {
        let numbers = any::<(u64, u32, u64, u64)>();
        let rest = (any::<[u8; 32]>(), any::<(bool, bool)>(), vec(any::<u8>(), 0..20));
        (numbers, rest).prop_map(|((id, kind, size, position), (file_id, flags, name))| {
            let offer = FileOffer { kind: FileKind(kind), size, file_id, name };
            let direction = if flags.0 { Direction::Incoming } else { Direction::Outgoing };
            KeptTransfer { transfer: TransferId(id), direction, offer, position, paused: flags.1 }
        })
    }

    fn unfinished() -> impl Strategy<Value = Unfinished> {
        let friend = (any::<[u8; 32]>(), vec(message(), 0..4), vec(transfer(), 0..4)).prop_map(
            |(key, messages, transfers)| UnfinishedFriend {
                friend: PublicKey(key),
                messages,
                transfers,
            },
        );
        (any::<(u64, u64)>(), vec(friend, 0..4)).prop_map(|(next, mut friends)| {
            friends.sort_by_key(|kept| kept.friend);
            friends.dedup_by_key(|kept| kept.friend);
            Unfinished { next_message: next.0, next_transfer: next.1, friends }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_no_prefix_is(value in unfinished()) {
            let mut bytes = value.to_bytes();
            prop_assert_eq!(bytes.len(), value.encoded_len());
            prop_assert_eq!(Unfinished::from_bytes(&bytes), Ok(value));
            for len in 0..bytes.len() {
                prop_assert!(Unfinished::from_bytes(&bytes[..len]).is_err());
            }
            bytes.push(0);
            prop_assert!(Unfinished::from_bytes(&bytes).is_err());
        }
    }
}

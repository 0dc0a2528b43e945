//! From messages to the schema's shapes.

use bytes::Bytes;
use toktok_wire::tdfs as wire;
use wire::message::Body;

use super::{
    Answer, Contact, Failure, GoodbyeReason, Hello, Message, Phase, Request, STATUS_OK, VERSION,
};
use crate::route::receipt::Receipt;

fn copy<const N: usize>(bytes: &[u8; N]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

const fn budget(phase: Phase) -> u32 {
    match phase {
        Phase::Walk => 0,
        Phase::Greedy(budget) => budget as u32,
    }
}

const fn status<T>(outcome: &Result<T, Failure>) -> u32 {
    match outcome {
        Ok(_) => STATUS_OK,
        Err(Failure::NotFound) => 2,
        Err(Failure::DeadEnd) => 3,
        Err(Failure::Busy) => 4,
    }
}

const fn reason(reason: GoodbyeReason) -> u32 {
    match reason {
        GoodbyeReason::Full => 1,
        GoodbyeReason::Replaced => 2,
        GoodbyeReason::Leaving => 3,
    }
}

fn contacts(contacts: &[Contact]) -> Vec<wire::Contact> {
    let contact = |contact: &Contact| wire::Contact {
        node_id: copy(&contact.id.0),
        location: copy(&contact.location.0.to_be_bytes()),
    };
    contacts.iter().map(contact).collect()
}

fn receipt(receipt: &Receipt) -> wire::Receipt {
    wire::Receipt {
        node_id: copy(&receipt.holder.0),
        puzzle_nonce: receipt.nonce,
        signature: copy(&receipt.signature.0),
    }
}

fn hello(hello: &Hello) -> wire::Hello {
    wire::Hello {
        version: VERSION,
        node_id: copy(&hello.id.0),
        puzzle_nonce: hello.nonce,
        capacity: hello.capacity,
        load: hello.load.into(),
    }
}

fn request(transaction: u64, request: &Request) -> Body {
    match request {
        Request::Find { target, budget } => Body::FindNeighbours(wire::FindNeighbours {
            transaction,
            target: copy(&target.0.to_be_bytes()),
            budget: (*budget).into(),
        }),
        Request::Put { phase, copies, challenge, block } => Body::PutBlock(wire::PutBlock {
            transaction,
            address: copy(&block.address().0),
            budget: budget(*phase),
            copies: (*copies).into(),
            challenge: copy(&challenge.0),
            data: block.bytes().clone(),
        }),
        Request::Get { phase, address } => Body::GetBlock(wire::GetBlock {
            transaction,
            address: copy(&address.0),
            budget: budget(*phase),
        }),
        Request::Hold { challenge, block } => Body::Hold(wire::Hold {
            transaction,
            address: copy(&block.address().0),
            challenge: copy(&challenge.0),
            data: block.bytes().clone(),
        }),
        Request::Fetch { address } => {
            Body::Fetch(wire::Fetch { transaction, address: copy(&address.0) })
        }
    }
}

fn answer(transaction: u64, answer: &Answer) -> Body {
    match answer {
        Answer::Neighbours(found) => {
            Body::Neighbours(wire::Neighbours { transaction, contacts: contacts(found) })
        }
        Answer::Put(outcome) => Body::PutReply(wire::PutReply {
            transaction,
            status: status(outcome),
            receipts: outcome.iter().flatten().map(receipt).collect(),
        }),
        Answer::Get { outcome, hops } => Body::GetReply(wire::GetReply {
            transaction,
            status: status(outcome),
            data: outcome.clone().unwrap_or_default(),
            hops: (*hops).into(),
        }),
        Answer::Hold(kept) => {
            Body::HoldReply(wire::HoldReply { transaction, receipt: kept.as_ref().map(receipt) })
        }
        Answer::Fetch(data) => Body::FetchReply(wire::FetchReply {
            transaction,
            data: data.clone().unwrap_or_default(),
        }),
    }
}

impl From<&Message> for Body {
    fn from(message: &Message) -> Self {
        match message {
            Message::Hello(body) => Self::Hello(hello(body)),
            Message::Goodbye { reason: why, alternatives } => Self::Goodbye(wire::Goodbye {
                reason: reason(*why),
                alternatives: contacts(alternatives),
            }),
            Message::Load { level, answer } => {
                Self::Load(wire::Load { level: (*level).into(), answer: *answer })
            }
            Message::Request(transaction, body) => request(transaction.0, body),
            Message::Answer(transaction, body) => answer(transaction.0, body),
        }
    }
}

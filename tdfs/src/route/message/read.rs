//! From the schema's shapes to messages: parse, don't validate.

use bytes::Bytes;
use toktok_wire::node_key::{NodeId, Signature};
use toktok_wire::tdfs as wire;
use wire::message::Body;

use super::{
    Answer, Contact, Failure, GoodbyeReason, Hello, MAX_BUDGET, MAX_CONTACTS, MAX_COPIES,
    MAX_RECEIPTS, Message, MessageError, Phase, Request, STATUS_OK, Transaction, VERSION,
};
use crate::block::{Block, BlockAddress, BlockError, BlockSize};
use crate::route::location::Location;
use crate::route::receipt::{Challenge, Receipt};

/// Bytes of exactly one length.
fn fixed<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], MessageError> {
    bytes.try_into().map_err(|_| MessageError::Invalid(what))
}

/// A number of a few bits.
fn small(value: u32, most: u8, what: &'static str) -> Result<u8, MessageError> {
    u8::try_from(value).ok().filter(|v| *v <= most).ok_or(MessageError::Invalid(what))
}

fn address(bytes: &[u8]) -> Result<BlockAddress, MessageError> {
    fixed(bytes, "address").map(BlockAddress)
}

fn location(bytes: &[u8]) -> Result<Location, MessageError> {
    fixed(bytes, "location").map(|bytes| Location(u128::from_be_bytes(bytes)))
}

fn challenge(bytes: &[u8]) -> Result<Challenge, MessageError> {
    fixed(bytes, "challenge").map(Challenge)
}

/// The bytes of a block that may be absent: of a block's length, or none.
fn data(bytes: Bytes) -> Result<Option<Bytes>, MessageError> {
    match BlockSize::from_bytes(bytes.len()) {
        Some(_) => Ok(Some(bytes)),
        None if bytes.is_empty() => Ok(None),
        None => Err(BlockError::Length(bytes.len()).into()),
    }
}

fn phase(budget: u32) -> Result<Phase, MessageError> {
    match small(budget, MAX_BUDGET, "budget")? {
        0 => Ok(Phase::Walk),
        budget => Ok(Phase::Greedy(budget)),
    }
}

fn failure(status: u32) -> Result<Failure, MessageError> {
    match status {
        2 => Ok(Failure::NotFound),
        3 => Ok(Failure::DeadEnd),
        4 => Ok(Failure::Busy),
        _ => Err(MessageError::Invalid("status")),
    }
}

fn reason(reason: u32) -> Result<GoodbyeReason, MessageError> {
    match reason {
        1 => Ok(GoodbyeReason::Full),
        2 => Ok(GoodbyeReason::Replaced),
        3 => Ok(GoodbyeReason::Leaving),
        _ => Err(MessageError::Invalid("reason")),
    }
}

fn contacts(contacts: Vec<wire::Contact>) -> Result<Vec<Contact>, MessageError> {
    if contacts.len() > MAX_CONTACTS {
        return Err(MessageError::Invalid("number of contacts"));
    }
    let contact = |contact: wire::Contact| {
        let id = NodeId(fixed(&contact.node_id, "node id")?);
        Ok(Contact { id, location: location(&contact.location)? })
    };
    contacts.into_iter().map(contact).collect()
}

fn receipt(receipt: wire::Receipt) -> Result<Receipt, MessageError> {
    Ok(Receipt {
        holder: NodeId(fixed(&receipt.node_id, "node id")?),
        nonce: receipt.puzzle_nonce,
        signature: Signature(fixed(&receipt.signature, "signature")?),
    })
}

fn hello(hello: &wire::Hello) -> Result<Message, MessageError> {
    if hello.version != VERSION {
        return Err(MessageError::Version(hello.version));
    }
    Ok(Message::Hello(Hello {
        id: NodeId(fixed(&hello.node_id, "node id")?),
        nonce: hello.puzzle_nonce,
        capacity: hello.capacity,
        load: small(hello.load, u8::MAX, "load")?,
    }))
}

fn goodbye(goodbye: wire::Goodbye) -> Result<Message, MessageError> {
    let alternatives = contacts(goodbye.alternatives)?;
    Ok(Message::Goodbye { reason: reason(goodbye.reason)?, alternatives })
}

fn find(find: &wire::FindNeighbours) -> Result<Request, MessageError> {
    let budget = small(find.budget, MAX_BUDGET, "budget")?;
    if budget == 0 {
        return Err(MessageError::Invalid("budget"));
    }
    Ok(Request::Find { target: location(&find.target)?, budget })
}

fn put(put: wire::PutBlock) -> Result<Request, MessageError> {
    let copies = small(put.copies, MAX_COPIES, "copies")?;
    if copies == 0 {
        return Err(MessageError::Invalid("copies"));
    }
    Ok(Request::Put {
        phase: phase(put.budget)?,
        copies,
        challenge: challenge(&put.challenge)?,
        block: Block::verify(address(&put.address)?, put.data)?,
    })
}

fn put_reply(reply: wire::PutReply) -> Result<Answer, MessageError> {
    if reply.status != STATUS_OK {
        if !reply.receipts.is_empty() {
            return Err(MessageError::Invalid("receipts of a failure"));
        }
        return Ok(Answer::Put(Err(failure(reply.status)?)));
    }
    if !(1..=MAX_RECEIPTS).contains(&reply.receipts.len()) {
        return Err(MessageError::Invalid("number of receipts"));
    }
    let receipts = reply.receipts.into_iter().map(receipt).collect::<Result<_, _>>()?;
    Ok(Answer::Put(Ok(receipts)))
}

fn get_reply(reply: wire::GetReply) -> Result<Answer, MessageError> {
    let outcome = match (data(reply.data)?, reply.status) {
        (Some(data), STATUS_OK) => Ok(data),
        (None, status) => Err(failure(status)?),
        (Some(_), _) => return Err(MessageError::Invalid("data of a failure")),
    };
    Ok(Answer::Get { outcome, hops: small(reply.hops, u8::MAX, "hops")? })
}

fn hold(hold: wire::Hold) -> Result<Request, MessageError> {
    Ok(Request::Hold {
        challenge: challenge(&hold.challenge)?,
        block: Block::verify(address(&hold.address)?, hold.data)?,
    })
}

impl TryFrom<Body> for Message {
    type Error = MessageError;

    fn try_from(body: Body) -> Result<Self, MessageError> {
        let request = |number, request| Self::Request(Transaction(number), request);
        let answer = |number, answer| Self::Answer(Transaction(number), answer);
        Ok(match body {
            Body::Hello(body) => hello(&body)?,
            Body::Goodbye(body) => goodbye(body)?,
            Body::Load(load) => {
                Self::Load { level: small(load.level, u8::MAX, "load")?, answer: load.answer }
            }
            Body::FindNeighbours(body) => request(body.transaction, find(&body)?),
            Body::PutBlock(body) => request(body.transaction, put(body)?),
            Body::GetBlock(body) => {
                let (phase, address) = (phase(body.budget)?, address(&body.address)?);
                request(body.transaction, Request::Get { phase, address })
            }
            Body::Hold(body) => request(body.transaction, hold(body)?),
            Body::Fetch(body) => {
                request(body.transaction, Request::Fetch { address: address(&body.address)? })
            }
            Body::Neighbours(body) => {
                answer(body.transaction, Answer::Neighbours(contacts(body.contacts)?))
            }
            Body::PutReply(body) => answer(body.transaction, put_reply(body)?),
            Body::GetReply(body) => answer(body.transaction, get_reply(body)?),
            Body::HoldReply(body) => {
                let receipt = body.receipt.map(receipt).transpose()?;
                answer(body.transaction, Answer::Hold(receipt))
            }
            Body::FetchReply(body) => answer(body.transaction, Answer::Fetch(data(body.data)?)),
        })
    }
}

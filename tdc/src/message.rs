//! What client and worker say, parsed: bytes of the channel become one of these, or are dropped.

use core::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use thiserror::Error;
use toktok_wire::tdc as proto;
use toktok_wire::tdc::message::Body;

use crate::config;
use crate::job::{Boundary, JobId, Limits, Piece, ResultHash, UnitSource};

/// Names a lease within one channel; chosen by the client.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LeaseId(pub u64);

/// A job as a worker gets to know it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offer {
    /// The client's number for it.
    pub job: JobId,
    /// Capability of the program.
    pub program: String,
    /// Capability of the input, if units read pieces of one.
    pub input: Option<String>,
    /// Arguments of the program.
    pub arguments: Vec<String>,
    /// The job's seed.
    pub seed: [u8; 32],
    /// What one unit may use.
    pub limits: Limits,
    /// Whether NaNs get one bit pattern.
    pub canonical_nans: bool,
}

/// Why a worker does not want a job.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeclineReason {
    /// The limits are above what the worker gives.
    Limits,
    /// The offer makes no sense.
    Malformed,
    /// The worker serves as many jobs as it may.
    TooManyJobs,
    /// The worker gives nothing now.
    Paused,
}

/// Why a unit did not run to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailureKind {
    /// The program fails on this input; it would fail everywhere.
    Program,
    /// Program or input could not be fetched.
    Data,
    /// The worker's own trouble.
    Worker,
}

/// One message of the channel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// The first message each way.
    Hello {
        /// The sender's version.
        version: u32,
    },
    /// Client: there is a job.
    Offer(Offer),
    /// Worker: not for me.
    Decline {
        /// Which job.
        job: JobId,
        /// Why.
        reason: DeclineReason,
    },
    /// Worker: so many more units, please.
    Pull {
        /// Of which job.
        job: JobId,
        /// 1 to [`config::MAX_CREDIT`].
        units: u32,
    },
    /// Client: compute this.
    Lease {
        /// Of which job.
        job: JobId,
        /// The lease.
        lease: LeaseId,
        /// Which unit.
        unit: u32,
        /// What it reads.
        source: UnitSource,
    },
    /// Worker: no slot is free after all.
    Return {
        /// Which lease.
        lease: LeaseId,
    },
    /// Worker: still at these.
    Heartbeat {
        /// The leases, at most [`MAX_BEATS`].
        leases: Vec<LeaseId>,
    },
    /// Worker: computed, and bound to the result.
    Commit {
        /// Which lease.
        lease: LeaseId,
        /// See [`commitment`](crate::verify::commitment).
        commitment: [u8; 32],
    },
    /// Worker: did not run to its end.
    Failed {
        /// Which lease.
        lease: LeaseId,
        /// Whose fault.
        kind: FailureKind,
        /// For people.
        message: String,
    },
    /// Client: open the commitment.
    AskReveal {
        /// Which lease.
        lease: LeaseId,
    },
    /// Worker: opens it.
    Reveal {
        /// Which lease.
        lease: LeaseId,
        /// The commitment's nonce.
        nonce: [u8; 32],
        /// Hash of the result.
        result: ResultHash,
        /// Bytes of the result.
        length: u64,
    },
    /// Client: send the result.
    AskOutput {
        /// Which lease.
        lease: LeaseId,
    },
    /// Worker: a piece of the result.
    Output {
        /// Which lease.
        lease: LeaseId,
        /// Where in the result.
        offset: u64,
        /// At most [`config::OUTPUT_CHUNK`] bytes.
        data: Bytes,
    },
    /// Client: over, forget it.
    Release {
        /// Which lease.
        lease: LeaseId,
    },
    /// Client: the job is over.
    Withdraw {
        /// Which job.
        job: JobId,
    },
}

/// Leases in one heartbeat.
pub const MAX_BEATS: usize = 256;

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum BadMessage {
    /// Not protobuf, or not of this schema.
    #[error("not a message of this protocol")]
    Protobuf,
    /// No body, or one of a later version.
    #[error("a message without a known body")]
    NoBody,
    /// A field is missing, of a wrong length, over its limit or of no known value.
    #[error("invalid field {0}")]
    Field(&'static str),
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// [`BadMessage`] says what was wrong.
    pub fn decode(bytes: Bytes) -> Result<Self, BadMessage> {
        let message = proto::Message::decode(bytes).map_err(|_| BadMessage::Protobuf)?;
        parse(message.body.ok_or(BadMessage::NoBody)?)
    }

    /// Writes a message.
    pub fn encode(&self) -> Bytes {
        Bytes::from(proto::Message { body: Some(body(self)) }.encode_to_vec())
    }

    /// True for the messages that carry results: they may wait behind everything else.
    pub const fn is_bulk(&self) -> bool {
        matches!(self, Self::Output { .. })
    }
}

fn array(bytes: &Bytes, what: &'static str) -> Result<[u8; 32], BadMessage> {
    bytes.as_ref().try_into().map_err(|_| BadMessage::Field(what))
}

fn check(holds: bool, what: &'static str) -> Result<(), BadMessage> {
    if holds { Ok(()) } else { Err(BadMessage::Field(what)) }
}

fn parse(body: Body) -> Result<Message, BadMessage> {
    Ok(match body {
        Body::Hello(m) => Message::Hello { version: m.version },
        Body::Offer(m) => Message::Offer(parse_offer(m)?),
        Body::Decline(m) => {
            Message::Decline { job: JobId(m.job), reason: decline_reason(m.reason)? }
        }
        Body::Pull(m) => {
            check((1..=config::MAX_CREDIT).contains(&m.units), "units")?;
            Message::Pull { job: JobId(m.job), units: m.units }
        }
        Body::Lease(m) => parse_lease(&m)?,
        Body::Return(m) => Message::Return { lease: LeaseId(m.lease) },
        Body::Heartbeat(m) => {
            check(m.leases.len() <= MAX_BEATS, "leases")?;
            Message::Heartbeat { leases: m.leases.into_iter().map(LeaseId).collect() }
        }
        Body::Commit(m) => Message::Commit {
            lease: LeaseId(m.lease),
            commitment: array(&m.commitment, "commitment")?,
        },
        Body::Failed(m) => {
            check(m.message.len() <= config::MAX_FAILURE_MESSAGE, "message")?;
            let kind = failure_kind(m.kind)?;
            Message::Failed { lease: LeaseId(m.lease), kind, message: m.message }
        }
        Body::AskReveal(m) => Message::AskReveal { lease: LeaseId(m.lease) },
        Body::Reveal(m) => {
            check(m.length <= config::MAX_OUTPUT_BYTES, "length")?;
            Message::Reveal {
                lease: LeaseId(m.lease),
                nonce: array(&m.nonce, "nonce")?,
                result: ResultHash(array(&m.result, "result")?),
                length: m.length,
            }
        }
        Body::AskOutput(m) => Message::AskOutput { lease: LeaseId(m.lease) },
        Body::Output(m) => {
            check(m.data.len() <= config::OUTPUT_CHUNK, "data")?;
            check(m.offset <= config::MAX_OUTPUT_BYTES, "offset")?;
            Message::Output { lease: LeaseId(m.lease), offset: m.offset, data: m.data }
        }
        Body::Release(m) => Message::Release { lease: LeaseId(m.lease) },
        Body::Withdraw(m) => Message::Withdraw { job: JobId(m.job) },
    })
}

fn parse_offer(m: proto::Offer) -> Result<Offer, BadMessage> {
    let limits = m.limits.ok_or(BadMessage::Field("limits"))?;
    check((1..=config::MAX_CAPABILITY_BYTES).contains(&m.program.len()), "program")?;
    check(m.input.len() <= config::MAX_CAPABILITY_BYTES, "input")?;
    check(m.arguments.len() <= config::MAX_ARGUMENTS, "arguments")?;
    let fits = |text: &String| text.len() <= config::MAX_ARGUMENT_BYTES && !text.contains('\0');
    check(m.arguments.iter().all(fits), "arguments")?;
    Ok(Offer {
        job: JobId(m.job),
        program: m.program,
        input: Some(m.input).filter(|input| !input.is_empty()),
        arguments: m.arguments,
        seed: array(&m.seed, "seed")?,
        limits: Limits {
            memory_bytes: limits.memory_bytes,
            wall: Duration::from_millis(limits.wall_millis),
            output_bytes: limits.output_bytes,
        },
        canonical_nans: m.canonical_nans,
    })
}

fn parse_lease(m: &proto::Lease) -> Result<Message, BadMessage> {
    use proto::lease::Source;
    let source = match m.source.as_ref().ok_or(BadMessage::Field("source"))? {
        Source::Piece(p) => {
            let boundary = match p.boundary {
                0 => Boundary::Exact,
                1 => Boundary::Newline,
                2 => Boundary::Whitespace,
                _ => return Err(BadMessage::Field("boundary")),
            };
            let piece = Piece { from: p.from, to: p.to, input_len: p.input_len, boundary };
            check(piece.is_valid(), "piece")?;
            UnitSource::Piece(piece)
        }
        Source::Numbers(n) => {
            check(n.from <= n.to, "numbers")?;
            UnitSource::Numbers { from: n.from, to: n.to }
        }
    };
    check(u64::from(m.unit) < config::MAX_UNITS, "unit")?;
    Ok(Message::Lease { job: JobId(m.job), lease: LeaseId(m.lease), unit: m.unit, source })
}

fn decline_reason(number: u32) -> Result<DeclineReason, BadMessage> {
    Ok(match number {
        1 => DeclineReason::Limits,
        2 => DeclineReason::Malformed,
        3 => DeclineReason::TooManyJobs,
        4 => DeclineReason::Paused,
        _ => return Err(BadMessage::Field("reason")),
    })
}

fn failure_kind(number: u32) -> Result<FailureKind, BadMessage> {
    Ok(match number {
        1 => FailureKind::Program,
        2 => FailureKind::Data,
        3 => FailureKind::Worker,
        _ => return Err(BadMessage::Field("kind")),
    })
}

fn body(message: &Message) -> Body {
    match message {
        Message::Hello { version } => Body::Hello(proto::Hello { version: *version }),
        Message::Offer(offer) => Body::Offer(write_offer(offer)),
        Message::Decline { job, reason } => {
            let reason = match reason {
                DeclineReason::Limits => 1,
                DeclineReason::Malformed => 2,
                DeclineReason::TooManyJobs => 3,
                DeclineReason::Paused => 4,
            };
            Body::Decline(proto::Decline { job: job.0, reason })
        }
        Message::Pull { job, units } => Body::Pull(proto::Pull { job: job.0, units: *units }),
        Message::Lease { job, lease, unit, source } => {
            let source = Some(write_source(source));
            Body::Lease(proto::Lease { job: job.0, lease: lease.0, unit: *unit, source })
        }
        Message::Return { lease } => Body::Return(proto::Return { lease: lease.0 }),
        Message::Heartbeat { leases } => {
            Body::Heartbeat(proto::Heartbeat { leases: leases.iter().map(|l| l.0).collect() })
        }
        Message::Commit { lease, commitment } => {
            let commitment = Bytes::copy_from_slice(commitment);
            Body::Commit(proto::Commit { lease: lease.0, commitment })
        }
        Message::Failed { lease, kind, message } => {
            let kind = match kind {
                FailureKind::Program => 1,
                FailureKind::Data => 2,
                FailureKind::Worker => 3,
            };
            Body::Failed(proto::Failed { lease: lease.0, kind, message: message.clone() })
        }
        Message::AskReveal { lease } => Body::AskReveal(proto::AskReveal { lease: lease.0 }),
        Message::Reveal { lease, nonce, result, length } => Body::Reveal(proto::Reveal {
            lease: lease.0,
            nonce: Bytes::copy_from_slice(nonce),
            result: Bytes::copy_from_slice(&result.0),
            length: *length,
        }),
        Message::AskOutput { lease } => Body::AskOutput(proto::AskOutput { lease: lease.0 }),
        Message::Output { lease, offset, data } => {
            Body::Output(proto::Output { lease: lease.0, offset: *offset, data: data.clone() })
        }
        Message::Release { lease } => Body::Release(proto::Release { lease: lease.0 }),
        Message::Withdraw { job } => Body::Withdraw(proto::Withdraw { job: job.0 }),
    }
}

fn write_offer(offer: &Offer) -> proto::Offer {
    proto::Offer {
        job: offer.job.0,
        program: offer.program.clone(),
        input: offer.input.clone().unwrap_or_default(),
        arguments: offer.arguments.clone(),
        seed: Bytes::copy_from_slice(&offer.seed),
        limits: Some(proto::Limits {
            memory_bytes: offer.limits.memory_bytes,
            wall_millis: offer.limits.wall.as_millis() as u64,
            output_bytes: offer.limits.output_bytes,
        }),
        canonical_nans: offer.canonical_nans,
    }
}

fn write_source(source: &UnitSource) -> proto::lease::Source {
    match *source {
        UnitSource::Piece(Piece { from, to, input_len, boundary }) => {
            let boundary = match boundary {
                Boundary::Exact => 0,
                Boundary::Newline => 1,
                Boundary::Whitespace => 2,
            };
            proto::lease::Source::Piece(proto::Piece { from, to, input_len, boundary })
        }
        UnitSource::Numbers { from, to } => {
            proto::lease::Source::Numbers(proto::Numbers { from, to })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lease() -> impl Strategy<Value = LeaseId> {
        any::<u64>().prop_map(LeaseId)
    }

    fn source() -> impl Strategy<Value = UnitSource> {
        let boundary =
            prop_oneof![Just(Boundary::Exact), Just(Boundary::Newline), Just(Boundary::Whitespace)];
        let piece = (any::<u32>(), 0_u64..1 << 20, any::<u32>(), boundary).prop_map(
            |(from, len, rest, boundary)| {
                let (from, rest) = (u64::from(from), u64::from(rest));
                UnitSource::Piece(Piece {
                    from,
                    to: from + len,
                    input_len: from + len + rest,
                    boundary,
                })
            },
        );
        let numbers = (any::<u32>(), any::<u32>()).prop_map(|(from, len)| UnitSource::Numbers {
            from: from.into(),
            to: u64::from(from) + u64::from(len),
        });
        prop_oneof![piece, numbers]
    }

    fn offer() -> impl Strategy<Value = Message> {
        let text = "[a-z:]{1,80}";
        let limits = (any::<u64>(), any::<u32>(), any::<u64>());
        let arguments = proptest::collection::vec("[ -~]{0,30}", 0..config::MAX_ARGUMENTS);
        (any::<u64>(), text, proptest::option::of(text), arguments, any::<[u8; 32]>(), limits)
            .prop_map(
                |(job, program, input, arguments, seed, (memory_bytes, wall, output_bytes))| {
                    let wall = Duration::from_millis(wall.into());
                    let limits = Limits { memory_bytes, wall, output_bytes };
                    let canonical_nans = memory_bytes.is_multiple_of(2);
                    let job = JobId(job);
                    Message::Offer(Offer {
                        job,
                        program,
                        input,
                        arguments,
                        seed,
                        limits,
                        canonical_nans,
                    })
                },
            )
    }

    fn of_worker() -> impl Strategy<Value = Message> {
        let hash = any::<[u8; 32]>;
        let data = proptest::collection::vec(any::<u8>(), 0..300);
        prop_oneof![
            any::<u32>().prop_map(|version| Message::Hello { version }),
            (any::<u64>(), 1..=config::MAX_CREDIT)
                .prop_map(|(job, units)| Message::Pull { job: JobId(job), units }),
            lease().prop_map(|lease| Message::Return { lease }),
            proptest::collection::vec(lease(), 0..MAX_BEATS)
                .prop_map(|leases| Message::Heartbeat { leases }),
            (lease(), hash()).prop_map(|(lease, commitment)| Message::Commit { lease, commitment }),
            (lease(), ".{0,100}").prop_map(|(lease, message)| Message::Failed {
                lease,
                kind: FailureKind::Data,
                message
            }),
            (lease(), hash(), hash(), 0..=config::MAX_OUTPUT_BYTES).prop_map(
                |(lease, nonce, result, length)| {
                    Message::Reveal { lease, nonce, result: ResultHash(result), length }
                }
            ),
            (lease(), 0..=config::MAX_OUTPUT_BYTES, data).prop_map(|(lease, offset, data)| {
                Message::Output { lease, offset, data: data.into() }
            }),
        ]
    }

    fn of_client() -> impl Strategy<Value = Message> {
        prop_oneof![
            offer(),
            (any::<u64>(), lease(), 0..config::MAX_UNITS as u32, source()).prop_map(
                |(job, lease, unit, source)| Message::Lease {
                    job: JobId(job),
                    lease,
                    unit,
                    source
                }
            ),
            lease().prop_map(|lease| Message::AskReveal { lease }),
            lease().prop_map(|lease| Message::AskOutput { lease }),
            lease().prop_map(|lease| Message::Release { lease }),
            any::<u64>().prop_map(|job| Message::Withdraw { job: JobId(job) }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(message in prop_oneof![of_worker(), of_client()]) {
            prop_assert_eq!(Message::decode(message.encode()), Ok(message));
        }

        #[test]
        fn garbage_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(message) = Message::decode(bytes.into()) {
                prop_assert_eq!(Message::decode(message.encode()), Ok(message));
            }
        }
    }

    #[test]
    fn limits_are_enforced() {
        let output = |len, offset| {
            Message::Output { lease: LeaseId(1), offset, data: vec![0; len].into() }.encode()
        };
        assert!(Message::decode(output(config::OUTPUT_CHUNK, 0)).is_ok());
        let too_long = Message::decode(output(config::OUTPUT_CHUNK + 1, 0));
        assert_eq!(too_long, Err(BadMessage::Field("data")));
        let too_far = Message::decode(output(0, config::MAX_OUTPUT_BYTES + 1));
        assert_eq!(too_far, Err(BadMessage::Field("offset")));
        let beats = Message::Heartbeat { leases: vec![LeaseId(1); MAX_BEATS + 1] }.encode();
        assert_eq!(Message::decode(beats), Err(BadMessage::Field("leases")));
        assert_eq!(Message::decode(Bytes::new()), Err(BadMessage::NoBody));
    }
}

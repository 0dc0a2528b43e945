//! What parent and child say to each other over two pipes: frames of kind, length and payload.

use core::time::Duration;
use std::io::{self, Read, Write};

use bytes::Bytes;
use toktok_wire::{DecodeError, Reader};

use crate::config;
use crate::engine::{ExecuteError, Execution};
use crate::job::Limits;

/// Largest frame: a unit's input or output with its terms.
const MAX_FRAME: usize = 96 << 20;

/// Parent: the program and the terms of all its units.
pub(super) const PROGRAM: u8 = 1;
/// Parent: a unit.
pub(super) const UNIT: u8 = 2;
/// Child: the program is compiled.
pub(super) const READY: u8 = 3;
/// Child: a unit's output.
pub(super) const OUTPUT: u8 = 4;
/// Child: the program or the unit failed.
pub(super) const ERROR: u8 = 5;

/// One frame.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) payload: Bytes,
}

pub(super) fn write_frame(out: &mut impl Write, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let len = u32::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    out.write_all(&[kind])?;
    out.write_all(&len.to_be_bytes())?;
    parts.iter().try_for_each(|part| out.write_all(part))?;
    out.flush()
}

/// The next frame; an error at the end of the stream or when a length is over the limit.
pub(super) fn read_frame(input: &mut impl Read) -> io::Result<Frame> {
    let mut head = [0; 5];
    input.read_exact(&mut head)?;
    let [kind, len @ ..] = head;
    let len = u32::from_be_bytes(len) as usize;
    if len > MAX_FRAME {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut payload = Vec::new();
    input.take(len as u64).read_to_end(&mut payload)?;
    if payload.len() != len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Frame { kind, payload: payload.into() })
}

/// The terms under which a child runs, before the program's bytes in a [`PROGRAM`] frame.
pub(super) fn write_terms(limits: &Limits, canonical_nans: bool) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&limits.memory_bytes.to_be_bytes());
    out.extend_from_slice(&(limits.wall.as_millis() as u64).to_be_bytes());
    out.extend_from_slice(&limits.output_bytes.to_be_bytes());
    out.push(canonical_nans.into());
    out
}

pub(super) fn read_terms(reader: &mut Reader<'_>) -> Result<(Limits, bool), DecodeError> {
    let memory_bytes = reader.u64()?;
    let wall = Duration::from_millis(reader.u64()?);
    let output_bytes = reader.u64()?;
    Ok((Limits { memory_bytes, wall, output_bytes }, reader.u8()? != 0))
}

/// What is particular to a unit, before its input in a [`UNIT`] frame.
pub(super) fn write_unit(execution: &Execution) -> Vec<u8> {
    let mut out = execution.seed.to_vec();
    out.extend_from_slice(&(execution.arguments.len() as u16).to_be_bytes());
    for argument in &execution.arguments {
        write_text(&mut out, argument);
    }
    out
}

/// A unit's seed, arguments and input.
pub(super) type Unit = ([u8; 32], Vec<String>, Bytes);

pub(super) fn read_unit(payload: &Bytes) -> Result<Unit, DecodeError> {
    let mut reader = Reader::new(payload);
    let seed = reader.array()?;
    let count = usize::from(reader.u16()?);
    if count > config::MAX_ARGUMENTS {
        return Err(DecodeError::Limit {
            what: "arguments",
            limit: config::MAX_ARGUMENTS,
            got: count,
        });
    }
    let arguments = (0..count).map(|_| read_text(&mut reader)).collect::<Result<_, _>>()?;
    Ok((seed, arguments, payload.slice_ref(reader.take_rest())))
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u32).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn read_text(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let len = reader.u32()? as usize;
    Ok(String::from_utf8_lossy(reader.take(len)?).into_owned())
}

/// An error as the payload of an [`ERROR`] frame.
pub(super) fn write_error(error: &ExecuteError) -> Vec<u8> {
    let (kind, number, texts): (u8, u64, [&str; 2]) = match error {
        ExecuteError::NotWasm { reason } => (1, 0, [reason, ""]),
        ExecuteError::TooLarge { bytes, .. } => (2, *bytes as u64, ["", ""]),
        ExecuteError::MissingImport { module, name } => (3, 0, [module, name]),
        ExecuteError::MissingExport(name) => (4, u64::from(*name == "memory"), ["", ""]),
        ExecuteError::OutOfMemory { limit } => (5, *limit, ["", ""]),
        ExecuteError::OutputTooLong { limit } => (6, *limit, ["", ""]),
        ExecuteError::Trap { what, stderr } => (7, 0, [what, stderr]),
        ExecuteError::Exit { code, stderr } => (8, u64::from(*code as u32), [stderr, ""]),
        ExecuteError::Host(what) | ExecuteError::Crashed(what) => (9, 0, [what, ""]),
        ExecuteError::Deadline(wall) | ExecuteError::CompileTimeout(wall) => {
            (10, wall.as_millis() as u64, ["", ""])
        }
    };
    let mut out = vec![kind];
    out.extend_from_slice(&number.to_be_bytes());
    texts.iter().for_each(|text| write_text(&mut out, text));
    out
}

pub(super) fn read_error(payload: &[u8]) -> Result<ExecuteError, DecodeError> {
    let mut reader = Reader::new(payload);
    let (kind, number) = (reader.u8()?, reader.u64()?);
    let (first, second) = (read_text(&mut reader)?, read_text(&mut reader)?);
    reader.finish()?;
    Ok(match kind {
        1 => ExecuteError::NotWasm { reason: first },
        2 => ExecuteError::TooLarge { bytes: number as usize, limit: config::MAX_PROGRAM_BYTES },
        3 => ExecuteError::MissingImport { module: first, name: second },
        4 => ExecuteError::MissingExport(if number == 1 { "memory" } else { "_start" }),
        5 => ExecuteError::OutOfMemory { limit: number },
        6 => ExecuteError::OutputTooLong { limit: number },
        7 => ExecuteError::Trap { what: first, stderr: second },
        8 => ExecuteError::Exit { code: number as u32 as i32, stderr: first },
        9 => ExecuteError::Host(first),
        10 => ExecuteError::Deadline(Duration::from_millis(number)),
        other => return Err(DecodeError::Kind(other)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::conformance::probe;

    #[test]
    fn errors_survive_the_pipe() {
        let text = || "x\ny".to_owned();
        let errors = [
            ExecuteError::NotWasm { reason: text() },
            ExecuteError::MissingImport { module: text(), name: text() },
            ExecuteError::MissingExport("_start"),
            ExecuteError::MissingExport("memory"),
            ExecuteError::OutOfMemory { limit: 7 },
            ExecuteError::OutputTooLong { limit: 8 },
            ExecuteError::Trap { what: text(), stderr: text() },
            ExecuteError::Exit { code: -3, stderr: text() },
            ExecuteError::Host(text()),
            ExecuteError::Deadline(Duration::from_millis(5)),
        ];
        for error in errors {
            let bytes = write_error(&error);
            assert_eq!(read_error(&bytes), Ok(error));
            assert!((0..bytes.len()).all(|len| read_error(&bytes[..len]).is_err()));
        }
    }

    #[test]
    fn units_and_terms_survive_the_pipe() {
        let unit = probe(&["a", ""], b"input");
        let payload = Bytes::from([&write_unit(&unit)[..], &unit.stdin].concat());
        assert_eq!(read_unit(&payload), Ok((unit.seed, unit.arguments, unit.stdin)));
        let terms = write_terms(&unit.limits, true);
        assert_eq!(read_terms(&mut Reader::new(&terms)), Ok((unit.limits, true)));
    }

    #[test]
    fn a_frame_that_is_cut_or_too_long_is_an_error() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, UNIT, &[b"ab", b"c"]).unwrap();
        assert_eq!(read_frame(&mut &bytes[..]).unwrap().payload, "abc");
        assert!((0..bytes.len()).all(|len| read_frame(&mut &bytes[..len]).is_err()));
        assert!(read_frame(&mut &[UNIT, 255, 255, 255, 255, 0][..]).is_err());
    }
}

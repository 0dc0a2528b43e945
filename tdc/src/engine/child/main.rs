//! The child's side.

use std::io;
use std::process::ExitCode;
use std::sync::mpsc;

use bytes::Bytes;
use rlimit::Resource;
use toktok_wire::Reader;

use super::executor::UNITS_A_CHILD;
use super::frame::{self, Frame, read_frame, write_frame};
use crate::config;
use crate::engine::wasm::Program;
use crate::engine::{ExecuteError, Execution};
use crate::job::Limits;

/// Data memory beyond the program's own: the compiler, the unit's input and output.
const SPARE_DATA: u64 = 1 << 30;

/// Address space beyond that: wasmtime reserves 4 GiB and guards for a memory, whatever its size.
const SPARE_ADDRESSES: u64 = 12 << 30;

/// What the hidden command of a child process does: reads a program and units from standard input,
/// writes results to standard output, and ends when its parent closes the pipe or dies.
///
/// A binary that uses [`ChildExecutor`](super::ChildExecutor) calls it first of all when its only
/// argument is the one that the executor was given.
pub fn child_main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    let frames = reader();
    let mut out = io::stdout().lock();
    let first = frames.recv().map_err(io::Error::other)?;
    let bad = |_| io::Error::from(io::ErrorKind::InvalidData);
    let mut reader = Reader::new(&first.payload);
    let (limits, canonical_nans) = frame::read_terms(&mut reader).map_err(bad)?;
    confine(&limits)?;
    let bytes = first.payload.slice_ref(reader.take_rest());
    let program = match Program::compile(&bytes, canonical_nans, false) {
        Ok(program) => program,
        Err(error) => return write_frame(&mut out, frame::ERROR, &[&frame::write_error(&error)]),
    };
    drop((bytes, first));
    write_frame(&mut out, frame::READY, &[])?;
    while let Ok(Frame { kind: frame::UNIT, payload }) = frames.recv() {
        let (seed, arguments, stdin) = frame::read_unit(&payload).map_err(bad)?;
        let program_bytes = Bytes::new();
        let execution =
            Execution { program: program_bytes, arguments, stdin, seed, limits, canonical_nans };
        answer(&mut out, program.run(&execution))?;
    }
    Ok(())
}

fn answer(out: &mut impl io::Write, result: Result<Bytes, ExecuteError>) -> io::Result<()> {
    match result {
        Ok(output) => write_frame(out, frame::OUTPUT, &[&output]),
        Err(error) => write_frame(out, frame::ERROR, &[&frame::write_error(&error)]),
    }
}

/// A thread that reads frames, and ends the process when the pipe closes: a child whose parent died
/// does not compute on.
fn reader() -> mpsc::Receiver<Frame> {
    let (sender, frames) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        while let Ok(frame) = read_frame(&mut input) {
            if sender.send(frame).is_err() {
                break;
            }
        }
        std::process::exit(0);
    });
    frames
}

/// Gives up everything that running a program does not need. No way back: the hard limits sink too.
fn confine(limits: &Limits) -> io::Result<()> {
    let run = limits.wall.as_secs() + 1;
    let processor = run.saturating_mul(UNITS_A_CHILD.into()) + config::COMPILE_WALL.as_secs();
    let data = limits.memory_bytes.saturating_add(SPARE_DATA);
    let bounds = [
        (Resource::CORE, 0),
        (Resource::CPU, processor),
        (Resource::DATA, data),
        (Resource::AS, data.saturating_add(SPARE_ADDRESSES)),
        (Resource::FSIZE, 2 * config::MAX_PROGRAM_BYTES as u64),
        (Resource::NOFILE, 16),
        // After the reader thread: no more threads, no other process.
        (Resource::NPROC, 0),
    ];
    for (resource, bound) in bounds {
        let (soft, hard) = resource.get()?;
        resource.set(bound.min(soft), bound.min(hard))?;
    }
    Ok(())
}

//! What every [`Executor`] must grant, bound and refuse. Whoever writes one calls [`run`] in a test.

use core::time::Duration;

use bytes::Bytes;

use super::{ExecuteError, Execution, Executor};
use crate::job::Limits;

/// The program that does on demand what must be granted or stopped (`guest/probe/probe.c`).
pub const PROBE: &[u8] = include_bytes!("../../guest/probe/probe.wasm");

/// Word count, map and reduce (`guest/wordcount/wordcount.c`).
pub const WORDCOUNT: &[u8] = include_bytes!("../../guest/wordcount/wordcount.wasm");

/// A module that wants `env.launch`: (import "env" "launch" (func)), an empty `_start`, a memory.
pub const MISSING_IMPORT: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x04\x01\x60\0\0\
    \x02\x0e\x01\x03env\x06launch\0\0\
    \x03\x02\x01\0\
    \x05\x03\x01\0\x01\
    \x07\x13\x02\x06_start\0\x01\x06memory\x02\0\
    \x0a\x04\x01\x02\0\x0b";

/// An execution of the probe with generous limits.
pub fn probe(arguments: &[&str], stdin: &[u8]) -> Execution {
    Execution {
        program: Bytes::from_static(PROBE),
        arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
        stdin: Bytes::copy_from_slice(stdin),
        seed: [7; 32],
        limits: Limits {
            memory_bytes: 16 << 20,
            wall: Duration::from_secs(5),
            output_bytes: 1 << 20,
        },
        canonical_nans: true,
    }
}

/// The name of a check and what it found wrong.
pub type Failure = (&'static str, String);

type Check = fn(&dyn Executor) -> Result<(), String>;

/// Every check by name.
const CHECKS: &[(&str, Check)] = &[
    ("input comes out as it went in", echo),
    ("arguments arrive after the program's name", arguments),
    ("the world is the same everywhere", world),
    ("the same unit twice gives the same bytes", determinism),
    ("a NaN has one bit pattern", nan),
    ("words are counted, and counts joined", wordcount),
    ("a program that never ends is ended", spin),
    ("memory is bounded", bomb),
    ("output is bounded", flood),
    ("a crash is reported", trap),
    ("the stack is bounded", deep),
    ("an exit code is reported with the last words", exit),
    ("what is not WebAssembly is refused", garbage),
    ("an import that nobody offers is named", missing_import),
    ("a failure leaves the executor usable", echo),
];

/// Runs all checks and returns those that failed, in order.
pub fn run(executor: &dyn Executor) -> Vec<Failure> {
    CHECKS
        .iter()
        .filter_map(|(name, check)| check(executor).err().map(|wrong| (*name, wrong)))
        .collect()
}

fn expect<T: core::fmt::Debug>(got: T, holds: impl FnOnce(&T) -> bool) -> Result<(), String> {
    if holds(&got) { Ok(()) } else { Err(format!("unexpected: {got:?}")) }
}

fn echo(executor: &dyn Executor) -> Result<(), String> {
    let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let got = executor.execute(&probe(&["echo"], &text));
    expect(got.map(|output| output == text), |got| *got == Ok(true))
}

fn arguments(executor: &dyn Executor) -> Result<(), String> {
    let got = executor.execute(&probe(&["arguments", "", "zwei Wörter"], b""));
    expect(got, |got| *got == Ok("program\narguments\n\nzwei Wörter\n".into()))
}

fn world(executor: &dyn Executor) -> Result<(), String> {
    let got = executor.execute(&probe(&["world"], b"x"))?;
    let text = String::from_utf8_lossy(&got);
    let (random, rest): (Vec<_>, Vec<_>) =
        text.lines().map(str::to_owned).partition(|line| line.starts_with("random "));
    expect(rest, |got| *got == ["clock 0 0", "environment 0", "open -1", "seek -1"])?;
    expect(random, |got| got.len() == 1 && got.iter().all(|line| line.len() == 39))
}

fn determinism(executor: &dyn Executor) -> Result<(), String> {
    let unit = probe(&["world"], b"");
    let (first, second) = (executor.execute(&unit)?, executor.execute(&unit)?);
    expect((first.clone(), second), |(a, b)| a == b)?;
    let other = Execution { seed: [8; 32], ..unit };
    expect(executor.execute(&other), |got| got.as_ref().is_ok_and(|got| *got != first))
}

fn nan(executor: &dyn Executor) -> Result<(), String> {
    let got = executor.execute(&probe(&["nan"], b""));
    expect(got, |got| *got == Ok("7ff8000000000000\n".into()))
}

fn wordcount(executor: &dyn Executor) -> Result<(), String> {
    let count = |arguments: &[&str], stdin: &[u8]| {
        let program = Bytes::from_static(WORDCOUNT);
        executor.execute(&Execution { program, ..probe(arguments, stdin) })
    };
    let counted = count(&[], b"One two, two!\nTHREE three three")?;
    expect(counted.clone(), |got| *got == "one 1\nthree 3\ntwo 2\n")?;
    let joined = count(&["reduce"], &[&counted[..], b"four 1\ntwo 40\n"].concat())?;
    expect(joined.clone(), |got| *got == "four 1\none 1\nthree 3\ntwo 42\n")?;
    expect(count(&["total"], &joined), |got| *got == Ok("words 47\ndistinct 4\n".into()))
}

fn spin(executor: &dyn Executor) -> Result<(), String> {
    let mut unit = probe(&["spin"], b"");
    unit.limits.wall = Duration::from_millis(300);
    let wall = unit.limits.wall;
    expect(executor.execute(&unit), |got| *got == Err(ExecuteError::Deadline(wall)))
}

fn bomb(executor: &dyn Executor) -> Result<(), String> {
    let unit = probe(&["bomb"], b"");
    let limit = unit.limits.memory_bytes;
    expect(executor.execute(&unit), |got| *got == Err(ExecuteError::OutOfMemory { limit }))?;
    let mut small = probe(&["echo"], b"");
    small.limits.memory_bytes = 65_536;
    let limit = small.limits.memory_bytes;
    expect(executor.execute(&small), |got| *got == Err(ExecuteError::OutOfMemory { limit }))
}

fn flood(executor: &dyn Executor) -> Result<(), String> {
    let unit = probe(&["flood"], b"");
    let limit = unit.limits.output_bytes;
    expect(executor.execute(&unit), |got| *got == Err(ExecuteError::OutputTooLong { limit }))
}

fn trap(executor: &dyn Executor) -> Result<(), String> {
    let got = executor.execute(&probe(&["trap"], b""));
    expect(got, |got| matches!(got, Err(ExecuteError::Trap { .. })))
}

fn deep(executor: &dyn Executor) -> Result<(), String> {
    let got = executor.execute(&probe(&["deep"], b""));
    expect(got, |got| matches!(got, Err(ExecuteError::Trap { .. })))
}

fn exit(executor: &dyn Executor) -> Result<(), String> {
    let got = executor.execute(&probe(&["exit", "42"], b""));
    let stderr = "told to end\n".to_owned();
    expect(got, |got| *got == Err(ExecuteError::Exit { code: 42, stderr }))
}

fn garbage(executor: &dyn Executor) -> Result<(), String> {
    let damaged = [&PROBE[..PROBE.len() / 2], b"damage"].concat();
    for bytes in [&b""[..], b"#!/bin/sh\n", b"\0asm\x0d\0\x01\0", &damaged] {
        let unit = Execution { program: Bytes::copy_from_slice(bytes), ..probe(&[], b"") };
        expect(executor.execute(&unit), |got| matches!(got, Err(ExecuteError::NotWasm { .. })))?;
    }
    Ok(())
}

fn missing_import(executor: &dyn Executor) -> Result<(), String> {
    let unit = Execution { program: Bytes::from_static(MISSING_IMPORT), ..probe(&[], b"") };
    let (module, name) = ("env".to_owned(), "launch".to_owned());
    expect(executor.execute(&unit), |got| *got == Err(ExecuteError::MissingImport { module, name }))
}

impl From<ExecuteError> for String {
    fn from(error: ExecuteError) -> Self {
        error.to_string()
    }
}

//! The parent's side.

use core::time::Duration;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::frame::{self, Frame, read_frame, write_frame};
use crate::config;
use crate::engine::wasm::looks_like_wasm;
use crate::engine::{ExecuteError, Execution, Executor};
use crate::job::Limits;

/// Units that one child runs before a fresh one takes its place.
pub(super) const UNITS_A_CHILD: u32 = 256;

/// Children kept for the next unit of their program.
const MAX_IDLE: usize = 4;

/// Beyond the wall time of a unit, for the pipes and a busy machine.
const GRACE: Duration = Duration::from_millis(500);

/// Runs each program in a child process; see the [module](super).
pub struct ChildExecutor {
    command: PathBuf,
    argument: String,
    idle: Mutex<Vec<Running>>,
}

/// What a child was made for; it runs nothing else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Purpose {
    program: blake3::Hash,
    limits: Limits,
    canonical_nans: bool,
}

/// A child that is ready for a unit.
struct Running {
    purpose: Purpose,
    process: Child,
    units: ChildStdin,
    frames: Receiver<Frame>,
    units_run: u32,
}

impl fmt::Debug for ChildExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildExecutor").field("command", &self.command).finish_non_exhaustive()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl ChildExecutor {
    /// Children are this very program, called with `argument` alone: its `main` must call
    /// [`child_main`](super::child_main) then, before anything else.
    ///
    /// # Errors
    /// The path of the running program cannot be found.
    pub fn current_exe(argument: &str) -> io::Result<Self> {
        Ok(Self::new(std::env::current_exe()?, argument))
    }

    /// Children are `command argument`.
    pub fn new(command: impl Into<PathBuf>, argument: &str) -> Self {
        Self {
            command: command.into(),
            argument: argument.to_owned(),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Ends the children that wait for another unit.
    pub fn clear(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn take(&self, purpose: &Purpose) -> Option<Running> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().position(|child| child.purpose == *purpose)?;
        Some(idle.remove(at))
    }

    fn keep(&self, child: Running) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if child.units_run < UNITS_A_CHILD {
            if idle.len() >= MAX_IDLE {
                idle.remove(0);
            }
            idle.push(child);
        }
    }

    fn start(&self, purpose: Purpose, program: &[u8]) -> Result<Running, ExecuteError> {
        let host = |error: io::Error| {
            ExecuteError::Host(format!("starting {} failed: {error}", self.command.display()))
        };
        let mut process = Command::new(&self.command)
            .arg(&self.argument)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(host)?;
        let pipes = process.stdin.take().zip(process.stdout.take());
        let (units, output) = pipes.ok_or_else(|| host(io::ErrorKind::BrokenPipe.into()))?;
        let frames = reader(output);
        let mut child = Running { purpose, process, units, frames, units_run: 0 };
        let terms = frame::write_terms(&purpose.limits, purpose.canonical_nans);
        child.send(frame::PROGRAM, &[&terms, program])?;
        let wait = config::COMPILE_WALL;
        match child.receive(wait)?.ok_or(ExecuteError::CompileTimeout(wait))? {
            Frame { kind: frame::READY, .. } => Ok(child),
            other => Err(failure(&other)),
        }
    }
}

/// A thread that reads the child's frames until the pipe closes.
fn reader(mut output: std::process::ChildStdout) -> Receiver<Frame> {
    let (sender, frames) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        while let Ok(frame) = read_frame(&mut output) {
            if sender.send(frame).is_err() {
                break;
            }
        }
    });
    frames
}

impl Running {
    fn send(&mut self, kind: u8, parts: &[&[u8]]) -> Result<(), ExecuteError> {
        write_frame(&mut self.units, kind, parts).map_err(|_| self.epitaph())
    }

    /// The next frame; `None` if none comes in time.
    fn receive(&mut self, wait: Duration) -> Result<Option<Frame>, ExecuteError> {
        match self.frames.recv_timeout(wait) {
            Ok(frame) => Ok(Some(frame)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(self.epitaph()),
        }
    }

    /// What became of a child that does not speak any more.
    fn epitaph(&mut self) -> ExecuteError {
        // It has closed its pipes: it is gone, or as good as gone.
        let _ = self.process.kill();
        ExecuteError::Crashed(self.process.wait().map_or_else(|e| e.to_string(), describe))
    }

    fn run(&mut self, execution: &Execution) -> Result<Bytes, ExecuteError> {
        self.units_run += 1;
        self.send(frame::UNIT, &[&frame::write_unit(execution), &execution.stdin])?;
        let wall = execution.limits.wall;
        match self.receive(wall + GRACE)?.ok_or(ExecuteError::Deadline(wall))? {
            Frame { kind: frame::OUTPUT, payload }
                if payload.len() as u64 <= execution.limits.output_bytes =>
            {
                Ok(payload)
            }
            other => Err(failure(&other)),
        }
    }
}

#[cfg(unix)]
fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(6) => "it ran out of memory".into(),
        Some(9) => "it was killed, by the system for memory or by somebody".into(),
        Some(24) => "it used up its processor time".into(),
        _ => status.to_string(),
    }
}

#[cfg(not(unix))]
fn describe(status: ExitStatus) -> String {
    status.to_string()
}

/// The error in a frame that is not the hoped-for one.
fn failure(frame: &Frame) -> ExecuteError {
    let nonsense = || ExecuteError::Host("the child process spoke nonsense".into());
    if frame.kind != frame::ERROR {
        return nonsense();
    }
    frame::read_error(&frame.payload).unwrap_or_else(|_| nonsense())
}

impl Executor for ChildExecutor {
    fn execute(&self, execution: &Execution) -> Result<Bytes, ExecuteError> {
        let bytes = execution.program.len();
        if bytes > config::MAX_PROGRAM_BYTES {
            return Err(ExecuteError::TooLarge { bytes, limit: config::MAX_PROGRAM_BYTES });
        }
        looks_like_wasm(&execution.program)?;
        let purpose = Purpose {
            program: blake3::hash(&execution.program),
            limits: execution.limits,
            canonical_nans: execution.canonical_nans,
        };
        let mut child = match self.take(&purpose) {
            Some(child) => child,
            None => self.start(purpose, &execution.program)?,
        };
        let result = child.run(execution);
        // A child that failed in any way is not trusted with another unit.
        if result.is_ok() {
            self.keep(child);
        }
        result
    }
}

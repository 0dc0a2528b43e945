//! The part of WASI preview 1 that a deterministic program gets: arguments, the three standard
//! streams, a clock that stands still, seeded randomness, and an end. Everything else that WASI knows
//! answers "not supported" or "no such file", so that programs which merely look around still run.
//!
//! Source: `wasi_snapshot_preview1.witx` of the WASI repository (names, layouts, error numbers).

use bytes::Bytes;
use thiserror::Error;
use toktok_wire::Rng;
use wasmtime::{Caller, Extern, FuncType, Linker, Memory, Module, Result, Val, ValType};

use super::error::ExecuteError;
use crate::config;

/// The only module that programs may import from.
pub(super) const MODULE: &str = "wasi_snapshot_preview1";

const SUCCESS: i32 = 0;
const EBADF: i32 = 8;
const EFAULT: i32 = 21;
const EINVAL: i32 = 28;
const ENOSYS: i32 = 52;
const ESPIPE: i32 = 70;

/// Buffers of one `fd_read` or `fd_write`.
const MAX_BUFFERS: u32 = 1_024;

/// `filetype::character_device`: what a standard stream looks like.
const CHARACTER_DEVICE: u8 = 2;

/// What WASI has besides what is implemented below. The ones about files say "no such file".
const NOT_SUPPORTED: &[&str] = &[
    "clock_res_get",
    "fd_advise",
    "fd_allocate",
    "fd_datasync",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_pwrite",
    "fd_readdir",
    "fd_renumber",
    "fd_sync",
    "fd_tell",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "poll_oneoff",
    "proc_raise",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];

/// How a program ends from within a call to the host.
#[derive(Clone, Copy, Debug, Error)]
pub(super) enum Ended {
    #[error("proc_exit({0})")]
    Exit(i32),
    #[error("output limit reached")]
    OutputTooLong,
}

/// What the program sees of the world.
#[derive(Debug)]
pub(super) struct World {
    arguments: Vec<Vec<u8>>,
    stdin: Bytes,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    output_limit: u64,
    rng: Rng,
}

impl World {
    pub(super) fn new(
        arguments: &[String],
        stdin: Bytes,
        seed: [u8; 32],
        output_limit: u64,
    ) -> Self {
        let arguments = core::iter::once("program")
            .chain(arguments.iter().map(String::as_str))
            .map(|text| [text.as_bytes(), &[0]].concat())
            .collect();
        let rng = Rng::from_seed(seed);
        Self { arguments, stdin, stdout: Vec::new(), stderr: Vec::new(), output_limit, rng }
    }

    pub(super) fn into_output(self) -> Bytes {
        self.stdout.into()
    }

    /// The end of what it wrote to standard error, fit to be shown.
    pub(super) fn complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        text.chars().map(|c| if c.is_control() && c != '\n' { '?' } else { c }).collect()
    }

    fn write(&mut self, fd: i32, bytes: &[u8]) -> Result<()> {
        if fd == 2 {
            self.stderr.extend_from_slice(bytes);
            let extra = self.stderr.len().saturating_sub(config::STDERR_KEPT);
            self.stderr.drain(..extra);
            return Ok(());
        }
        if (self.stdout.len() + bytes.len()) as u64 > self.output_limit {
            return Err(wasmtime::Error::new(Ended::OutputTooLong));
        }
        self.stdout.extend_from_slice(bytes);
        Ok(())
    }
}

/// What holds a [`World`]: the store's data.
pub(super) trait Host: 'static {
    fn world(&mut self) -> &mut World;
}

/// Guest memory, seen for the length of one call. Every access is checked.
struct Guest<'a>(&'a mut [u8]);

impl Guest<'_> {
    fn range(at: u32, len: u32) -> core::ops::Range<usize> {
        at as usize..at as usize + len as usize
    }

    fn read(&self, at: u32, len: u32) -> Option<&[u8]> {
        self.0.get(Self::range(at, len))
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Option<()> {
        let len = u32::try_from(bytes.len()).ok()?;
        self.0.get_mut(Self::range(at, len))?.copy_from_slice(bytes);
        Some(())
    }

    fn u32(&self, at: u32) -> Option<u32> {
        self.read(at, 4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn put_u32(&mut self, at: u32, value: u32) -> Option<()> {
        self.write(at, &value.to_le_bytes())
    }

    /// Entry `index` of a list of (address, length): where a stream's bytes go or come from.
    fn buffer(&self, list: u32, index: u32) -> Option<(u32, u32)> {
        let at = list.checked_add(index.checked_mul(8)?)?;
        Some((self.u32(at)?, self.u32(at.checked_add(4)?)?))
    }
}

/// Runs `body` over the caller's memory: `None` from it is an address outside.
fn with_memory<T: Host>(
    mut caller: Caller<'_, T>,
    body: impl FnOnce(Guest<'_>, &mut World) -> Option<Result<i32>>,
) -> Result<i32> {
    let memory: Option<Memory> = caller.get_export("memory").and_then(Extern::into_memory);
    let Some(memory) = memory else { return Ok(EFAULT) };
    let (bytes, host) = memory.data_and_store_mut(&mut caller);
    body(Guest(bytes), host.world()).unwrap_or(Ok(EFAULT))
}

/// Gives the linker everything that `module` imports.
///
/// # Errors
/// [`ExecuteError::MissingImport`] names the first thing that is not offered.
pub(super) fn link<T: Host>(linker: &mut Linker<T>, module: &Module) -> Result<(), ExecuteError> {
    let broken = |error: wasmtime::Error| ExecuteError::Host(error.to_string());
    arguments(linker).map_err(broken)?;
    streams(linker).map_err(broken)?;
    surroundings(linker).map_err(broken)?;
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        let missing =
            || ExecuteError::MissingImport { module: from.to_owned(), name: name.to_owned() };
        let ty = import.ty().func().cloned().ok_or_else(missing)?;
        if from != MODULE {
            return Err(missing());
        }
        if !NOT_SUPPORTED.contains(&name) {
            continue;
        }
        if !answers_a_number(&ty) {
            return Err(missing());
        }
        let answer = if name.starts_with("fd_") { EBADF } else { ENOSYS };
        linker
            .func_new(MODULE, name, ty, move |_, _, results| {
                results.iter_mut().for_each(|result| *result = Val::I32(answer));
                Ok(())
            })
            .map_err(broken)?;
    }
    Ok(())
}

fn answers_a_number(ty: &FuncType) -> bool {
    ty.results().len() == 1 && ty.results().all(|result| matches!(result, ValType::I32))
}

/// `args_*` and `environ_*`: the latter are always empty.
fn arguments<T: Host>(linker: &mut Linker<T>) -> Result<()> {
    linker.func_wrap(
        MODULE,
        "args_sizes_get",
        |caller: Caller<'_, T>, count: u32, bytes: u32| {
            with_memory(caller, |mut guest, world| {
                let total: usize = world.arguments.iter().map(Vec::len).sum();
                guest.put_u32(count, world.arguments.len() as u32)?;
                guest.put_u32(bytes, total as u32)?;
                Some(Ok(SUCCESS))
            })
        },
    )?;
    linker.func_wrap(MODULE, "args_get", |caller: Caller<'_, T>, list: u32, bytes: u32| {
        with_memory(caller, |mut guest, world| {
            let mut at = bytes;
            for (index, argument) in world.arguments.iter().enumerate() {
                guest.put_u32(list.checked_add(4 * index as u32)?, at)?;
                guest.write(at, argument)?;
                at = at.checked_add(argument.len() as u32)?;
            }
            Some(Ok(SUCCESS))
        })
    })?;
    linker.func_wrap(MODULE, "environ_sizes_get", |caller: Caller<'_, T>, a: u32, b: u32| {
        with_memory(caller, |mut guest, _| {
            guest.put_u32(a, 0)?;
            guest.put_u32(b, 0)?;
            Some(Ok(SUCCESS))
        })
    })?;
    linker.func_wrap(MODULE, "environ_get", |_: u32, _: u32| SUCCESS)?;
    Ok(())
}

fn read_stdin(
    mut guest: Guest<'_>,
    world: &mut World,
    list: u32,
    count: u32,
    got: u32,
) -> Option<i32> {
    let mut total = 0_u32;
    for index in 0..count {
        let (at, len) = guest.buffer(list, index)?;
        let len = (len as usize).min(world.stdin.len());
        guest.write(at, &world.stdin.split_to(len))?;
        total = total.saturating_add(len as u32);
    }
    guest.put_u32(got, total)?;
    Some(SUCCESS)
}

fn write_out(
    mut guest: Guest<'_>,
    world: &mut World,
    fd: i32,
    (list, count, written): (u32, u32, u32),
) -> Option<Result<i32>> {
    let mut total = 0_u32;
    for index in 0..count {
        let (at, len) = guest.buffer(list, index)?;
        if let Err(ended) = world.write(fd, guest.read(at, len)?) {
            return Some(Err(ended));
        }
        total = total.saturating_add(len);
    }
    guest.put_u32(written, total)?;
    Some(Ok(SUCCESS))
}

/// The three standard streams.
fn streams<T: Host>(linker: &mut Linker<T>) -> Result<()> {
    let read = |caller: Caller<'_, T>, fd: i32, list: u32, count: u32, got: u32| -> Result<i32> {
        match (fd, count) {
            (0, 0..=MAX_BUFFERS) => with_memory(caller, |guest, world| {
                read_stdin(guest, world, list, count, got).map(Ok)
            }),
            (0, _) => Ok(EINVAL),
            _ => Ok(EBADF),
        }
    };
    linker.func_wrap(MODULE, "fd_read", read)?;
    let write = |caller: Caller<'_, T>, fd: i32, list: u32, count: u32, sent: u32| -> Result<i32> {
        match (fd, count) {
            (1 | 2, 0..=MAX_BUFFERS) => {
                with_memory(caller, |guest, world| write_out(guest, world, fd, (list, count, sent)))
            }
            (1 | 2, _) => Ok(EINVAL),
            _ => Ok(EBADF),
        }
    };
    linker.func_wrap(MODULE, "fd_write", write)?;
    linker.func_wrap(MODULE, "fd_seek", |fd: i32, _: i64, _: i32, _: u32| stdio_or(fd, ESPIPE))?;
    linker.func_wrap(MODULE, "fd_close", |fd: i32| stdio_or(fd, SUCCESS))?;
    linker.func_wrap(MODULE, "fd_fdstat_get", |caller: Caller<'_, T>, fd: i32, at: u32| {
        with_memory(caller, |mut guest, _| {
            if !(0..=2).contains(&fd) {
                return Some(Ok(EBADF));
            }
            let mut stat = [0; 24];
            stat[0] = CHARACTER_DEVICE;
            // Rights: fd_read for the input, fd_write for the others.
            stat[8] = if fd == 0 { 1 << 1 } else { 1 << 6 };
            guest.write(at, &stat)?;
            Some(Ok(SUCCESS))
        })
    })?;
    Ok(())
}

const fn stdio_or(fd: i32, answer: i32) -> i32 {
    if 0 <= fd && fd <= 2 { answer } else { EBADF }
}

/// Clock, randomness, the scheduler, and the end.
fn surroundings<T: Host>(linker: &mut Linker<T>) -> Result<()> {
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |caller: Caller<'_, T>, _: i32, _: i64, at: u32| {
            with_memory(caller, |mut guest, _| {
                guest.write(at, &[0; 8])?;
                Some(Ok(SUCCESS))
            })
        },
    )?;
    linker.func_wrap(MODULE, "random_get", |caller: Caller<'_, T>, at: u32, len: u32| {
        with_memory(caller, |guest, world| {
            world.rng.fill(guest.0.get_mut(Guest::range(at, len))?);
            Some(Ok(SUCCESS))
        })
    })?;
    linker.func_wrap(MODULE, "sched_yield", || SUCCESS)?;
    linker.func_wrap(MODULE, "proc_exit", |code: i32| -> Result<()> {
        Err(wasmtime::Error::new(Ended::Exit(code)))
    })?;
    Ok(())
}

//! Our executor: wasmtime, configured so that the same unit gives the same bytes everywhere.

use core::time::Duration;
use std::sync::mpsc;

use bytes::Bytes;
use wasmtime::{
    Config, Engine, InstancePre, Linker, Module, ResourceLimiter, Result, Store, StoreLimits, Trap,
};

use super::error::ExecuteError;
use super::wasi::{self, Ended, World};
use super::{Execution, Executor};
use crate::config;

/// Elements of a program's tables: function pointers, so a fraction of the program's own size.
const MAX_TABLE_ELEMENTS: usize = 1 << 20;

/// Runs programs in this process. A program cannot leave wasmtime's sandbox, but compiling a hostile
/// one may take this process's memory: nodes use [`ChildExecutor`](super::ChildExecutor), which runs
/// this very code in a process of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct WasmtimeExecutor;

impl Executor for WasmtimeExecutor {
    fn execute(&self, execution: &Execution) -> Result<Bytes, ExecuteError> {
        let program = Program::compile(&execution.program, execution.canonical_nans, true)?;
        let engine = program.engine.clone();
        let wall = execution.limits.wall;
        let (done, ended) = mpsc::channel::<()>();
        let watchdog = std::thread::spawn(move || {
            // A closed channel (the run is over) ends the wait early, and the epoch then hurts nobody.
            let _ = ended.recv_timeout(wall);
            engine.increment_epoch();
        });
        let result = program.run(execution);
        drop(done);
        let _ = watchdog.join();
        result
    }
}

/// A compiled program, ready to be run any number of times.
pub(super) struct Program {
    engine: Engine,
    ready: InstancePre<State>,
}

/// What belongs to one run.
struct State {
    world: World,
    memory: MemoryLimit,
}

impl wasi::Host for State {
    fn world(&mut self) -> &mut World {
        &mut self.world
    }
}

/// Bounds linear memory, and remembers that it had to.
struct MemoryLimit {
    bytes: usize,
    refused: bool,
    rest: StoreLimits,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let fits = desired <= self.bytes;
        self.refused |= !fits;
        Ok(fits)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        self.rest.instances().min(1)
    }

    fn memories(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        8
    }
}

/// Only what is the same on every machine: no threads, no relaxed SIMD; a fixed stack.
fn engine(canonical_nans: bool, interruptible: bool) -> Result<Engine> {
    let mut config = Config::new();
    config
        .cranelift_nan_canonicalization(canonical_nans)
        .wasm_simd(true)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .max_wasm_stack(config::STACK_BYTES)
        .epoch_interruption(interruptible)
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None);
    Engine::new(&config)
}

impl Program {
    /// Compiles a module. With `interruptible`, a run ends when the engine's epoch is incremented,
    /// which costs some per cent of speed.
    ///
    /// # Errors
    /// Everything that is wrong with the module itself.
    pub(super) fn compile(
        bytes: &[u8],
        canonical_nans: bool,
        interruptible: bool,
    ) -> Result<Self, ExecuteError> {
        if bytes.len() > config::MAX_PROGRAM_BYTES {
            let limit = config::MAX_PROGRAM_BYTES;
            return Err(ExecuteError::TooLarge { bytes: bytes.len(), limit });
        }
        looks_like_wasm(bytes)?;
        let host = |error: wasmtime::Error| ExecuteError::Host(error.to_string());
        let not_wasm = |error: wasmtime::Error| ExecuteError::NotWasm { reason: chain(&error) };
        let engine = engine(canonical_nans, interruptible).map_err(host)?;
        let module = Module::new(&engine, bytes).map_err(not_wasm)?;
        let exported = |name| module.get_export(name);
        if exported("_start").is_none_or(|start| start.func().is_none()) {
            return Err(ExecuteError::MissingExport("_start"));
        }
        if exported("memory").is_none_or(|memory| memory.memory().is_none()) {
            return Err(ExecuteError::MissingExport("memory"));
        }
        let mut linker = Linker::new(&engine);
        wasi::link(&mut linker, &module)?;
        let ready = linker.instantiate_pre(&module).map_err(|error| unlinkable(&module, &error))?;
        Ok(Self { engine, ready })
    }

    /// Runs it once, from a fresh memory.
    ///
    /// # Errors
    /// It did not come to its end.
    pub(super) fn run(&self, execution: &Execution) -> Result<Bytes, ExecuteError> {
        let limits = execution.limits;
        let world = World::new(
            &execution.arguments,
            execution.stdin.clone(),
            execution.seed,
            limits.output_bytes,
        );
        let bytes = usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX);
        let memory = MemoryLimit { bytes, refused: false, rest: StoreLimits::default() };
        let mut store = Store::new(&self.engine, State { world, memory });
        store.limiter(|state| &mut state.memory);
        store.set_epoch_deadline(1);
        let ended = self.ready.instantiate(&mut store).and_then(|instance| {
            instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())
        });
        let state = store.into_data();
        match ended {
            Ok(()) => Ok(state.world.into_output()),
            Err(error) => match error.downcast_ref::<Ended>() {
                Some(Ended::Exit(0)) => Ok(state.world.into_output()),
                _ => Err(why(&error, &state, limits.wall, execution)),
            },
        }
    }
}

/// Everything on one line, outermost first.
fn chain(error: &wasmtime::Error) -> String {
    let text = format!("{error:#}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The cheap check before the compiler is asked: the magic number and the version of a core module.
pub(super) fn looks_like_wasm(bytes: &[u8]) -> Result<(), ExecuteError> {
    let reason = match bytes {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', _, 0, 1, 0, ..] => "it is a component, not a core module",
        [0, b'a', b's', b'm', ..] => "unknown version of WebAssembly",
        _ => "it does not begin with the bytes of a WebAssembly module",
    };
    Err(ExecuteError::NotWasm { reason: reason.into() })
}

/// Why the imports cannot be given: a function of another name, or of another type than WASI's.
fn unlinkable(module: &Module, error: &wasmtime::Error) -> ExecuteError {
    let text = chain(error);
    let named = module
        .imports()
        .find(|import| text.contains(&format!("`{}::{}`", import.module(), import.name())));
    match named {
        Some(import) => ExecuteError::MissingImport {
            module: import.module().to_owned(),
            name: import.name().to_owned(),
        },
        None => ExecuteError::NotWasm { reason: text },
    }
}

fn why(
    error: &wasmtime::Error,
    state: &State,
    wall: Duration,
    execution: &Execution,
) -> ExecuteError {
    let stderr = state.world.complaint();
    match (error.downcast_ref::<Ended>(), error.downcast_ref::<Trap>()) {
        (Some(Ended::OutputTooLong), _) => {
            ExecuteError::OutputTooLong { limit: execution.limits.output_bytes }
        }
        (_, Some(Trap::Interrupt)) => ExecuteError::Deadline(wall),
        _ if state.memory.refused => {
            ExecuteError::OutOfMemory { limit: execution.limits.memory_bytes }
        }
        (Some(Ended::Exit(code)), _) => ExecuteError::Exit { code: *code, stderr },
        (_, Some(trap)) => ExecuteError::Trap { what: trap.to_string(), stderr },
        _ => ExecuteError::Trap { what: chain(error), stderr },
    }
}

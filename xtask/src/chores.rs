//! The chores that are little more than one command line, written down once.

use std::ffi::OsString;
use std::process::Command;

use crate::command::{Failure, Outcome, capture, cargo, is_installed, metadata, root, run};
use crate::setup::{Purpose, setup};

/// The crates that compile without their runtime, in the order of their layers.
pub(crate) const LAYERS: [&str; 4] = ["toktok-wire", "toktok-mesh", "toktok-tdfs", "toktok-tdc"];

/// Memory that one compiler process may need at its worst (wasmtime's code generator, RocksDB's C++), in KiB.
const JOB_MEMORY_KIB: u64 = 1_500_000;

/// `cargo xtask demo`.
pub(crate) fn demo(arguments: &[OsString]) -> Outcome {
    setup(Purpose::Demo)?;
    let mut command = cargo();
    command.args(["run", "--release", "--package", "toktok-node", "--bin", "toktok"]);
    limit_jobs(&mut command);
    // The user's FILE is relative to where the user stands.
    if let Ok(here) = std::env::current_dir() {
        command.arg("--manifest-path").arg(root().join("Cargo.toml")).current_dir(here);
    }
    run(command.args(["--", "demo"]).args(arguments))
}

/// `cargo xtask test`: unit tests, integration tests and the examples in the documentation.
pub(crate) fn test(arguments: &[OsString]) -> Outcome {
    setup(Purpose::Test)?;
    let mut command = cargo();
    command.args(["test", "--release", "--workspace"]);
    limit_jobs(&mut command);
    run(command.args(arguments))
}

/// `cargo xtask lint`: everything that must be clean besides the tests.
pub(crate) fn lint() -> Outcome {
    setup(Purpose::Demo)?;
    run(cargo().args(["fmt", "--all", "--check"]))?;
    let deny = ["--", "-D", "warnings"];
    run(cargo().args(["clippy", "--release", "--workspace", "--all-targets"]).args(deny))?;
    for layer in LAYERS {
        let mut command = cargo();
        command.args(["clippy", "--release", "--no-default-features", "--lib", "--package", layer]);
        run(command.args(deny))?;
    }
    let mut documentation = cargo();
    documentation.env("RUSTDOCFLAGS", "-D warnings");
    run(documentation.args(["doc", "--release", "--workspace", "--no-deps"]))?;
    crate::codegen::codegen(true)?;
    if is_installed("cargo-deny") {
        return run(cargo().args(["deny", "check", "bans", "licenses", "sources"]));
    }
    eprintln!("xtask: cargo-deny is not installed: dependencies, licences and sources not checked");
    Ok(())
}

/// `cargo xtask bench [LAYER]`: the benchmarks of one layer, or of all crates that have some.
pub(crate) fn bench(layer: Option<&str>, arguments: &[OsString]) -> Outcome {
    let mut command = cargo();
    command.arg("bench");
    match layer {
        None => {
            setup(Purpose::Demo)?;
            command.args(["--workspace", "--exclude", "integration-tests", "--benches"])
        }
        Some("mesh") => {
            setup(Purpose::Test)?;
            command.args(["--package", "integration-tests", "--bench", "mesh"])
        }
        Some(name) => {
            setup(Purpose::Demo)?;
            command.args(["--package", &format!("toktok-{name}"), "--benches"])
        }
    };
    run(command.arg("--").args(arguments))
}

/// `cargo xtask sim …`: everything behind it goes to the simulator.
pub(crate) fn sim(arguments: &[OsString]) -> Outcome {
    let mut command = cargo();
    command.args(["run", "--release", "--quiet", "--package", "toktok-sim", "--"]);
    run(command.args(arguments))
}

/// Coverage feedback for libFuzzer on stable Rust; `tools/fuzz/README.md` explains the flags.
const FUZZ_FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1 -Cdebug-assertions=on";

/// `cargo xtask fuzz [TARGET] [--runs N]`: libFuzzer on one body, or on each in turn.
pub(crate) fn fuzz(target: Option<&str>, runs: u64) -> Outcome {
    let host = host()?;
    let folder = target_folder()?.join("fuzz");
    let mut build = cargo();
    build.env("RUSTFLAGS", FUZZ_FLAGS).args(["build", "--release", "--package", "toktok-fuzz"]);
    build.args(["--features", "libfuzzer", "--bin", "fuzz", "--target", &host, "--target-dir"]);
    run(build.arg(&folder))?;
    let seeds = root().join("tools/fuzz/corpus");
    let targets = match target {
        Some(name) => vec![name.to_owned()],
        None => folders(&seeds)?,
    };
    for name in targets {
        let found = folder.join("corpus").join(&name);
        std::fs::create_dir_all(&found)
            .map_err(|error| Failure::new(format!("cannot make {}: {error}", found.display())))?;
        let mut command = Command::new(folder.join(&host).join("release/fuzz"));
        command.env("FUZZ_TARGET", &name).current_dir(&folder);
        command.arg(format!("-runs={runs}")).arg("-max_len=2048");
        run(command.arg(&found).arg(seeds.join(&name)))?;
    }
    Ok(())
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder() -> Outcome<std::path::PathBuf> {
    let metadata = metadata(&root())?;
    let folder = metadata["target_directory"].as_str().unwrap_or("target");
    Ok(root().join(folder))
}

/// The target that rustc builds for by itself.
pub(crate) fn host() -> Outcome<String> {
    let words = capture(Command::new("rustc").arg("-vV"))?;
    words
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| Failure::new("`rustc -vV` names no host"))
}

/// The names of the folders in `parent`, in order.
fn folders(parent: &std::path::Path) -> Outcome<Vec<String>> {
    let entries = std::fs::read_dir(parent)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", parent.display())))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

/// Fewer jobs than processors where there is too little memory for one compiler on each.
fn limit_jobs(command: &mut Command) {
    if std::env::var_os("CARGO_BUILD_JOBS").is_some() {
        return;
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let Ok(memory) = std::fs::read_to_string("/proc/meminfo") else { return };
    if let Some(jobs) = jobs_in(&memory, processors) {
        command.env("CARGO_BUILD_JOBS", jobs.to_string());
    }
}

/// The number of jobs that fit in the available memory, if that is below `processors`.
fn jobs_in(memory: &str, processors: u64) -> Option<u64> {
    let line = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    let jobs = (kib / JOB_MEMORY_KIB).max(1);
    (jobs < processors).then_some(jobs)
}

#[cfg(test)]
mod tests {
    use super::jobs_in;

    #[test]
    fn little_memory_means_few_jobs() {
        let memory = "MemTotal:       8000000 kB\nMemAvailable:    4000000 kB\n";
        assert_eq!(jobs_in(memory, 8), Some(2));
        assert_eq!(jobs_in(memory, 2), None);
        assert_eq!(jobs_in("MemAvailable:  1000 kB\n", 2), Some(1));
        assert_eq!(jobs_in("nothing of the kind", 8), None);
    }
}

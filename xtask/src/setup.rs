//! `cargo xtask setup`: finds the system packages that a chore needs, and installs those that are missing.
//!
//! What is needed is looked for as files and programs, so that a machine which has them from elsewhere is
//! left alone and the usual case costs a few file look-ups. Only installing is particular to Debian.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use crate::command::{Failure, Outcome, capture, is_installed, run};

/// What the packages are wanted for; each includes those before it, but for [`Purpose::Guests`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// Compile the workspace and run the demo.
    Demo,
    /// Also run the tests, which talk to foreign programs.
    Test,
    /// Compile the C sources of the programs that workers run to WebAssembly.
    Guests,
}

/// Something that the machine must have.
struct Need {
    /// Debian's name for the package.
    package: String,
    reason: &'static str,
    present: bool,
}

impl Need {
    fn new(package: &str, reason: &'static str, present: bool) -> Self {
        Self { package: package.to_owned(), reason, present }
    }
}

/// Makes sure that everything for `purpose` is there.
pub(crate) fn setup(purpose: Purpose) -> Outcome {
    provide(&needs(purpose), || needs(purpose))?;
    if purpose == Purpose::Guests {
        // Its name carries clang's version, which is known only once clang is there.
        provide(&[wasm_runtime()?], || wasm_runtime().into_iter().collect())?;
    }
    Ok(())
}

fn needs(purpose: Purpose) -> Vec<Need> {
    let compiler = Need::new("g++", "compiles RocksDB, which is C++", is_installed("g++"));
    let libclang =
        Need::new("libclang-dev", "reads RocksDB's headers (bindgen)", libclang_present());
    let clang =
        Need::new("clang", "tells bindgen where the system's headers lie", is_installed("clang"));
    let mut needs = match purpose {
        Purpose::Demo | Purpose::Test => vec![compiler, libclang, clang],
        Purpose::Guests => vec![clang],
    };
    match purpose {
        Purpose::Demo => {}
        Purpose::Test => needs.extend(test_needs()),
        Purpose::Guests => needs.extend(guest_needs()),
    }
    needs
}

fn test_needs() -> [Need; 5] {
    [
        Need::new("gcc", "compiles the C peers of the tests", is_installed("gcc")),
        Need::new("pkg-config", "finds the libraries of the C peers", is_installed("pkg-config")),
        Need::new("libsodium-dev", "our sealed boxes are compared with it", header("sodium.h")),
        Need::new("libtoxcore-dev", "two of its peers meet through our node", header("tox/tox.h")),
        Need::new(
            "toxcore-utils",
            "its tox-bootstrapd bootstraps our nodes",
            is_installed("tox-bootstrapd"),
        ),
    ]
}

fn guest_needs() -> [Need; 2] {
    let libc = Path::new("/usr/include/wasm32-wasi").is_dir();
    [
        Need::new("lld", "links WebAssembly", is_installed("wasm-ld")),
        Need::new("wasi-libc", "the C library of WebAssembly programs", libc),
    ]
}

fn wasm_runtime() -> Outcome<Need> {
    let version = capture(Command::new("clang").arg("-dumpversion"))?;
    let major = version.trim().split('.').next().unwrap_or_default().to_owned();
    let resources = capture(Command::new("clang").arg("-print-resource-dir"))?;
    let folder = Path::new(resources.trim()).join("lib");
    let present = ["wasi", "wasm32-unknown-wasi", "wasm32"]
        .iter()
        .any(|target| holds(&folder.join(target), "libclang_rt.builtins"));
    Ok(Need::new(
        &format!("libclang-rt-{major}-dev-wasm32"),
        "the compiler's own helpers, for WebAssembly",
        present,
    ))
}

fn header(name: &str) -> bool {
    ["/usr/include", "/usr/local/include"]
        .iter()
        .any(|folder| Path::new(folder).join(name).exists())
}

/// Whether `folder` has a file whose name begins with `prefix`.
fn holds(folder: &Path, prefix: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
}

/// Looks where the `clang-sys` crate looks.
fn libclang_present() -> bool {
    let mut folders: Vec<PathBuf> =
        ["/usr/lib", "/usr/lib64", "/usr/local/lib"].iter().map(PathBuf::from).collect();
    folders.extend(std::env::var_os("LIBCLANG_PATH").map(PathBuf::from));
    for parent in ["/usr/lib", "/usr/lib64"] {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            folders.push(path.join("lib"));
            folders.push(path);
        }
    }
    // The compiler's own headers come with the development package, not with the library alone.
    folders.iter().any(|folder| holds(folder, "libclang.so") || holds(folder, "libclang-"))
}

fn provide(needs: &[Need], look_again: impl Fn() -> Vec<Need>) -> Outcome {
    let missing: Vec<&Need> = needs.iter().filter(|need| !need.present).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        eprintln!("xtask: {} is missing: it {}", need.package, need.reason);
    }
    let names: Vec<&str> = missing.iter().map(|need| need.package.as_str()).collect();
    install(&names)?;
    match look_again().iter().find(|need| !need.present) {
        None => Ok(()),
        Some(need) => Err(Failure::new(format!(
            "{} was installed but is still not found: see xtask/src/setup.rs for where it is looked for",
            need.package
        ))),
    }
}

fn install(names: &[&str]) -> Outcome {
    let by_hand =
        format!("apt-get update && apt-get install -y --no-install-recommends {}", names.join(" "));
    if !is_installed("apt-get") {
        return Err(Failure::new(format!(
            "this is not Debian, so install by your own means what Debian calls: {}",
            names.join(", ")
        )));
    }
    let root = capture(Command::new("id").arg("-u"))?.trim() == "0";
    if !root && !is_installed("sudo") {
        return Err(Failure::new(format!(
            "not root, and there is no sudo. Run as root:\n\n    {by_hand}\n"
        )));
    }
    run(apt(root).arg("update"))
        .and_then(|()| {
            run(apt(root).args(["install", "-y", "--no-install-recommends"]).args(names))
        })
        .map_err(|failure| Failure::new(format!("{failure}. By hand, as root:\n\n    {by_hand}\n")))
}

fn apt(root: bool) -> Command {
    let mut command = Command::new(if root { "env" } else { "sudo" });
    if !root {
        command.arg("env");
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]);
    command
}

//! `cargo xtask setup`: finds the system packages that a chore needs, and installs those that are missing.
//!
//! What is needed is looked for as files and programs, so that a machine which has them from elsewhere is
//! left alone and the usual case costs a few file look-ups. Only installing is particular to Debian.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use crate::command::{Failure, Outcome, capture, is_installed, run};

/// What the packages are wanted for.
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
    package: &'static str,
    /// What it does here; a sentence that begins with "it".
    reason: &'static str,
    present: bool,
}

impl Need {
    fn new(package: &'static str, reason: &'static str, present: bool) -> Self {
        Self { package, reason, present }
    }
}

/// Makes sure that everything for `purpose` is there.
pub(crate) fn setup(purpose: Purpose) -> Outcome {
    let missing: Vec<Need> = needs(purpose).into_iter().filter(|need| !need.present).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        eprintln!("xtask: {} is missing: it {}", need.package, need.reason);
    }
    let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    install(&names)?;
    match needs(purpose).iter().find(|need| !need.present) {
        None => Ok(()),
        Some(need) => Err(Failure::new(format!(
            "{} was installed but is still not found: see xtask/src/setup.rs for where it is looked for",
            need.package
        ))),
    }
}

fn needs(purpose: Purpose) -> Vec<Need> {
    match purpose {
        Purpose::Demo => build_needs().into(),
        Purpose::Test => build_needs().into_iter().chain(test_needs()).collect(),
        Purpose::Guests => guest_needs().into(),
    }
}

fn build_needs() -> [Need; 3] {
    [
        Need::new("g++", "compiles RocksDB, which is C++", is_installed("g++")),
        Need::new("libclang-dev", "reads RocksDB's headers for bindgen", libclang_present()),
        Need::new("clang", "tells bindgen where the system's headers lie", is_installed("clang")),
    ]
}

fn test_needs() -> [Need; 10] {
    [
        Need::new("gcc", "compiles the C peers of the tests", is_installed("gcc")),
        Need::new("pkg-config", "finds the libraries of the C peers", is_installed("pkg-config")),
        Need::new(
            "libsodium-dev",
            "gives our sealed boxes something to be compared with",
            header("sodium.h"),
        ),
        Need::new(
            "libtoxcore-dev",
            "has two peers that meet through our node",
            header("tox/tox.h"),
        ),
        Need::new(
            "toxcore-utils",
            "has the tox-bootstrapd that bootstraps our nodes",
            is_installed("tox-bootstrapd"),
        ),
        Need::new(
            "util-linux",
            "puts the peers of a test into a network of their own",
            is_installed("unshare") && is_installed("nsenter"),
        ),
        Need::new("iproute2", "brings up the interfaces of such a network", is_installed("ip")),
        Need::new("nftables", "puts NATs between such networks", nft_present()),
        Need::new("toxic", "is a Tox client that a person would use", is_installed("toxic")),
        Need::new("tmux", "gives that client a terminal", is_installed("tmux")),
    ]
}

/// Of one version, because the committed programs are compared byte by byte.
fn guest_needs() -> [Need; 4] {
    let libc = Path::new("/usr/include/wasm32-wasi").is_dir();
    let runtime = Path::new("/usr/lib/llvm-14/lib/clang/14.0.6/lib/wasi");
    let runtime = holds(runtime, "libclang_rt.builtins");
    [
        Need::new("clang-14", "compiles the programs' C", is_installed("clang-14")),
        Need::new("lld-14", "links WebAssembly", is_installed("wasm-ld-14")),
        Need::new("wasi-libc", "is the C library of WebAssembly programs", libc),
        Need::new("libclang-rt-14-dev-wasm32", "has the compiler's own helpers", runtime),
    ]
}

fn header(name: &str) -> bool {
    ["/usr/include", "/usr/local/include"]
        .iter()
        .any(|folder| Path::new(folder).join(name).exists())
}

/// It is among the administrator's programs, which a user's search path may leave out.
fn nft_present() -> bool {
    is_installed("nft") || Path::new("/usr/sbin/nft").exists()
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
    folders.iter().any(|folder| {
        // Not `libclang-cpp.so`, which is another library.
        holds(folder, "libclang.so")
            || (10..40).any(|version| holds(folder, &format!("libclang-{version}.")))
    })
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
    // What the demo prints for machines to read goes to standard output, and nothing else does.
    command.stdout(std::io::stderr());
    if !root {
        command.arg("env");
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]);
    command
}

//! Running other programs, and failing with words a person can act on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why a chore stopped. The text is shown as it is.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What went wrong and what to do about it.
    pub(crate) message: String,
    /// The exit code to end with: that of the program that failed, or 1.
    pub(crate) code: u8,
}

/// What a chore returns.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure of our own, exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

/// The workspace's folder: the parent of this crate's, as cargo tells it at run time. A program from a
/// target folder that several clones share may have been compiled in another one.
pub(crate) fn root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR");
    let own = own.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.parent().map(Path::to_path_buf).unwrap_or(own)
}

/// A cargo command that runs in the workspace's folder.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// What `cargo metadata` says about the members of the workspace in `folder`; reads manifests only.
pub(crate) fn metadata(folder: &Path) -> Outcome<serde_json::Value> {
    let mut command = cargo();
    command.current_dir(folder).args(["metadata", "--format-version", "1", "--no-deps"]);
    serde_json::from_str(&capture(&mut command)?)
        .map_err(|error| Failure::new(format!("cargo metadata is not JSON: {error}")))
}

/// Says what is run, runs it with our own input and output, and fails with its exit code.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let line = describe(command);
    eprintln!("xtask: {line}");
    let status = command.status().map_err(|error| cannot_start(&line, &error))?;
    if status.success() {
        return Ok(());
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1).max(1);
    Err(Failure { message: format!("`{line}` ended with {status}"), code })
}

/// Runs without showing anything and returns what the program printed.
pub(crate) fn capture(command: &mut Command) -> Outcome<String> {
    let line = describe(command);
    let output = command.output().map_err(|error| cannot_start(&line, &error))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Failure::new(format!("`{line}` ended with {}:\n{words}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program can be started from the search path.
pub(crate) fn is_installed(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Reads a file, naming it when that fails.
pub(crate) fn read(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}

/// Writes a file, naming it when that fails.
pub(crate) fn write(path: &Path, text: &str) -> Outcome {
    std::fs::write(path, text)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
}

fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(name).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn cannot_start(line: &str, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot start `{line}`: {error}"))
}

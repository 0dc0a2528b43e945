//! Programs that are not ours: small C programs of this crate's `c/` folder, built against the
//! libraries that Debian ships, so that no test of ours needs `unsafe` to hear a second opinion.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `c/<name>.c`, or all of `c/<name>/`, against `libraries` into `folder`, and returns the
/// program.
///
/// # Panics
/// If there is no C compiler or a library is missing: `cargo xtask setup` installs both.
pub fn compile(name: &str, libraries: &[&str], folder: &Path) -> PathBuf {
    let program = folder.join(name);
    let output = Command::new("cc")
        .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .args(sources(name))
        .args(libraries.iter().map(|library| format!("-l{library}")))
        .output();
    match output {
        Ok(output) if output.status.success() => program,
        Ok(output) => panic!(
            "{name} does not compile (is `cargo xtask setup` done?):\n{}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!("no C compiler `cc` (is `cargo xtask setup` done?): {error}"),
    }
}

/// What the program is made of.
fn sources(name: &str) -> Vec<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("c").join(name);
    let Ok(entries) = std::fs::read_dir(&path) else { return vec![path.with_extension("c")] };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "c"));
    files.sort();
    files
}

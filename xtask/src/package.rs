//! `cargo xtask package`: the crates as a registry would hand them out, and strangers who use them.
//!
//! `integration-tests/fixtures` holds one small crate for each layer, outside the workspace. They are
//! built in a workspace of their own against the unpacked `.crate` files, with our lock file, profile and target
//! folder, so that RocksDB and wasmtime are not compiled again; the packaged node is built beside them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Failure, Outcome, cargo, metadata, read, root, run, write};

/// What is published, lowest layer first.
const PUBLISHED: [&str; 5] =
    ["toktok-wire", "toktok-mesh", "toktok-tdfs", "toktok-tdc", "toktok-node"];

/// The layers that have a stranger; each is `fixtures/<layer>-user`.
const USERS: [&str; 4] = ["wire", "mesh", "tdfs", "tdc"];

/// Packs every crate, builds the strangers against the packed form and runs them.
pub(crate) fn package() -> Outcome {
    crate::setup::setup(crate::setup::Purpose::Demo)?;
    let target = crate::chores::target_folder()?;
    // From here on nothing is downloaded: a registry is what the packed form must do without.
    run(cargo().args(["fetch", "--quiet", "--target", &crate::chores::host()?]))?;
    let mut pack = cargo();
    pack.args(["package", "--workspace", "--no-verify", "--allow-dirty", "--quiet", "--offline"]);
    run(&mut pack)?;
    let outside = target.join("packaged");
    clear(&outside)?;
    let crates = unpack(&target.join("package"), &outside)?;
    lay_out(&outside, &crates)?;
    // All at once: features unite to those of the node, with which RocksDB and wasmtime were compiled.
    let mut build = cargo();
    build.current_dir(&outside).args(["build", "--release", "--workspace", "--offline"]);
    run(build.arg("--target-dir").arg(&target))?;
    for user in USERS {
        run(&mut Command::new(target.join("release").join(format!("{user}-user"))))?;
    }
    run(Command::new(target.join("release/toktok")).arg("--version"))
}

fn clear(folder: &Path) -> Outcome {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|error| {
            Failure::new(format!("cannot remove {}: {error}", folder.display()))
        })?;
    }
    make(folder)
}

fn make(folder: &Path) -> Outcome {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))
}

/// Unpacks the published crates and returns their names and folders.
fn unpack(packed: &Path, outside: &Path) -> Outcome<Vec<(String, PathBuf)>> {
    let metadata = metadata(&root())?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut crates = Vec::new();
    for name in PUBLISHED {
        let package = packages.iter().find(|package| package["name"] == name);
        let version = package.and_then(|package| package["version"].as_str());
        let version = version.ok_or_else(|| Failure::new(format!("no crate {name} here")))?;
        let file = packed.join(format!("{name}-{version}.crate"));
        run(Command::new("tar").arg("-xzf").arg(&file).arg("-C").arg(outside))?;
        crates.push((name.to_owned(), outside.join(format!("{name}-{version}"))));
    }
    Ok(crates)
}

/// Writes the workspace of the strangers.
fn lay_out(outside: &Path, crates: &[(String, PathBuf)]) -> Outcome {
    let ours = read(&root().join("Cargo.toml"))?;
    write(&outside.join("Cargo.lock"), &read(&root().join("Cargo.lock"))?)?;
    for user in USERS {
        let name = format!("{user}-user");
        let (from, to) =
            (root().join("integration-tests/fixtures").join(&name), outside.join(&name));
        make(&to.join("src"))?;
        for file in ["Cargo.toml", "src/main.rs"] {
            write(&to.join(file), &read(&from.join(file))?)?;
        }
    }
    write(&outside.join("Cargo.toml"), &manifest(&ours, crates))
}

fn manifest(ours: &str, crates: &[(String, PathBuf)]) -> String {
    let mut members: Vec<String> = USERS.iter().map(|user| format!("{user}-user")).collect();
    let mut patches = String::new();
    for (name, folder) in crates {
        let folder = folder.file_name().unwrap_or_default().to_string_lossy();
        if name == "toktok-node" {
            // A program cannot be depended on: it is built as it is.
            members.push(folder.into_owned());
        } else {
            patches.push_str(&format!("{name} = {{ path = \"{folder}\" }}\n"));
        }
    }
    let profiles = ours.find("[profile.").map_or("", |at| &ours[at..]);
    format!(
        "[workspace]\nresolver = \"3\"\nmembers = {members:?}\n\n[patch.crates-io]\n{patches}\n{profiles}"
    )
}

#[cfg(test)]
mod tests {
    use super::manifest;

    #[test]
    fn libraries_are_patched_and_the_program_is_a_member() {
        let crates = [
            ("toktok-wire".to_owned(), "/x/toktok-wire-1.0.0".into()),
            ("toktok-node".to_owned(), "/x/toktok-node-2.0.0".into()),
        ];
        let text = manifest("[workspace]\n[profile.release]\nlto = true\n", &crates);
        assert!(text.contains("toktok-wire = { path = \"toktok-wire-1.0.0\" }"), "{text}");
        assert!(text.contains("\"tdc-user\", \"toktok-node-2.0.0\"]"), "{text}");
        assert!(text.ends_with("[profile.release]\nlto = true\n"), "{text}");
        assert!(!text.contains("/x/"), "{text}");
    }
}

//! What a registry would hand out can be used: one small outside crate for each layer (`fixtures`) is built
//! and run against the packed form, and the packed node says its version.

use std::process::Command;

#[test]
fn outside_crates_build_and_run_against_the_packed_layers() {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--release", "--quiet", "--package", "xtask", "--", "package"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo xtask package: {}\n{said}\n{why}", output.status);
    for user in ["wire-user: ", "mesh-user: ", "tdfs-user: ", "tdc-user: ", "toktok "] {
        assert!(
            said.lines().any(|line| line.starts_with(user)),
            "no word of {user}in\n{said}\n{why}"
        );
    }
}

//! `cargo xtask codegen`: the schemas in `wire/proto` become the checked-in Rust of `toktok-wire`.

#[cfg(not(feature = "codegen"))]
use crate::command::{Outcome, cargo, run};

/// Writes the generated modules, or with `check` only fails when they are out of date.
///
/// The schema compiler stands behind this crate's feature `codegen`; without it this starts cargo
/// once more with it, so that no other chore waits for its compilation.
#[cfg(not(feature = "codegen"))]
pub(crate) fn codegen(check: bool) -> Outcome {
    let mut command = cargo();
    command.args(["run", "--release", "--quiet", "--package", "xtask", "--features", "codegen"]);
    command.args(["--", "codegen"]);
    if check {
        command.arg("--check");
    }
    run(&mut command)
}

#[cfg(feature = "codegen")]
pub(crate) use generator::codegen;

#[cfg(feature = "codegen")]
mod generator {
    use std::path::Path;

    use prost_build::Module;

    use crate::command::{Failure, Outcome, read, root, write};

    /// The schemas by file stem; each has a module of the same name in `wire/src`.
    const SCHEMAS: [&str; 2] = ["tdfs", "tdc"];

    const HEADER: &str = "// Generated from the schema of this name in wire/proto by `cargo xtask codegen`: do not edit.\n";

    /// Writes the generated modules, or with `check` only fails when they are out of date.
    pub(crate) fn codegen(check: bool) -> Outcome {
        let wire = root().join("wire");
        let mut stale = Vec::new();
        for schema in SCHEMAS {
            let text = generate(&wire.join("proto"), schema)?;
            let target = wire.join("src").join(schema).join("generated.rs");
            if read(&target).is_ok_and(|present| present == text) {
                continue;
            }
            if check {
                stale.push(format!("wire/src/{schema}/generated.rs"));
            } else {
                write(&target, &text)?;
                eprintln!("xtask: wrote {}", target.display());
            }
        }
        if stale.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{} differ from their schemas: run `cargo xtask codegen` and commit the result",
            stale.join(", ")
        )))
    }

    fn generate(folder: &Path, schema: &str) -> Outcome<String> {
        let files = protox::compile([format!("{schema}.proto")], [folder])
            .map_err(|error| Failure::new(format!("wire/proto/{schema}.proto: {error:?}")))?;
        let requests =
            files.file.into_iter().map(|file| (Module::from_protobuf_package_name(schema), file));
        let modules = prost_build::Config::new()
            .bytes(["."])
            .generate(requests.collect())
            .map_err(|error| Failure::new(format!("wire/proto/{schema}.proto: {error}")))?;
        let body = modules.into_values().collect::<String>();
        Ok(format!("{HEADER}{body}"))
    }
}

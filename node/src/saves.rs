//! `toktok import-save` and `toktok export-save`: passwords, the folder's lock, and what is said.

use std::io::IsTerminal;
use std::path::Path;

use serde_json::json;
use toktok_mesh::runtime::system_rng;

use crate::api::{Command, PersonCommand, client};
use crate::cli::{ExportArgs, ImportArgs};
use crate::data_dir::DataDir;
use crate::error::NodeError;
use crate::output;
use crate::person::transfer::{self, Summary};

pub(crate) fn import(args: &ImportArgs) -> Result<(), NodeError> {
    let save = transfer::read(&args.file, || match &args.password_file {
        Some(path) => password_in(path),
        None => prompt("Password of the save file: "),
    })?;
    let root = &args.client.data_dir;
    let dir = DataDir::open(root)?;
    // A running node would write its own identity over it.
    let _lock = dir.lock()?.ok_or_else(|| NodeError::InUse { path: root.clone() })?;
    let summary = transfer::import(root, &save, args.replace)?;
    if let (false, Some(aside)) = (args.client.json, &summary.replaced) {
        output::line(&format!("the old identity is in {} now", aside.display()));
    }
    tell(args.client.json, &summary);
    Ok(())
}

pub(crate) async fn export(args: &ExportArgs) -> Result<(), NodeError> {
    let root = &args.client.data_dir;
    let keep = Command::Person(PersonCommand::Keep);
    match client::ask(root, keep, |_, _| ()).await {
        // Nobody knows better than the file.
        Ok(_) | Err(NodeError::NotRunning { .. }) => {}
        Err(error) => return Err(error),
    }
    let password = match &args.password_file {
        Some(path) => Some(password_in(path)?),
        None if args.plain => None,
        None => Some(new_password()?),
    };
    let mut rng = system_rng().map_err(|error| NodeError::Failed(error.to_string()))?;
    let summary = transfer::export(root, &args.file, password.as_deref(), &mut rng)?;
    tell(args.client.json, &summary);
    Ok(())
}

fn tell(json: bool, summary: &Summary) {
    if json {
        output::json(&json!({
            "tox_id": summary.tox_id,
            "name": summary.name,
            "friends": summary.friends,
            "nodes": summary.nodes,
            "relays": summary.relays,
            "replaced": summary.replaced,
        }));
        return;
    }
    output::line(&format!("Tox ID    {}", summary.tox_id));
    output::line(&format!("name      {}", output::printable(&summary.name)));
    let Summary { friends, nodes, relays, .. } = summary;
    output::line(&format!("contains  {friends} friends, {nodes} nodes, {relays} relays"));
}

/// The first line of a file.
fn password_in(path: &Path) -> Result<Vec<u8>, NodeError> {
    let text =
        std::fs::read(path).map_err(|source| NodeError::File { path: path.to_owned(), source })?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        let what = "the first line of the password file is empty";
        return Err(NodeError::Failed(format!("{}: {what}", path.display())));
    }
    Ok(line.to_vec())
}

/// Asks on the terminal, which does not show what is typed.
fn prompt(question: &str) -> Result<Vec<u8>, NodeError> {
    let no_terminal = || {
        let what =
            "a password is needed and there is no terminal to ask on: use --password-file FILE";
        NodeError::Failed(what.to_owned())
    };
    if !std::io::stdin().is_terminal() {
        return Err(no_terminal());
    }
    let password = rpassword::prompt_password(question).map_err(|_| no_terminal())?;
    Ok(password.into_bytes())
}

/// Asks for a password that nobody has typed before, twice.
fn new_password() -> Result<Vec<u8>, NodeError> {
    let password = prompt("Password for the save file: ").map_err(|error| match error {
        NodeError::Failed(what) => NodeError::Failed(format!("{what}, or --plain for no password")),
        error => error,
    })?;
    if password.is_empty() {
        let what = "no password was typed: use --plain to write the save without one";
        return Err(NodeError::Failed(what.to_owned()));
    }
    if prompt("Once more: ")? != password {
        return Err(NodeError::Failed("the two passwords differ: try again".to_owned()));
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_and_never_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (text, password) in [("a b", "a b"), ("a b\n", "a b"), ("ü\r\nx\n", "ü")] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(password_in(&path).unwrap(), password.as_bytes());
        }
        std::fs::write(&path, "\nlater").unwrap();
        assert!(password_in(&path).unwrap_err().to_string().contains("empty"));
    }
}

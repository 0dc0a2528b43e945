//! An identity goes to and from Tox clients (qTox, toxic, …) by their save files, plain or sealed with a
//! password.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toktok_mesh::Rng;
use toktok_wire::encrypted_save::{EncryptedSaveError, PassKey};
use toktok_wire::save::{self, Save};

use super::store::Store;
use crate::data_dir::write_private;
use crate::error::NodeError;

/// What a save file is about, to be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Summary {
    pub(crate) tox_id: String,
    pub(crate) name: String,
    pub(crate) friends: usize,
    pub(crate) nodes: usize,
    pub(crate) relays: usize,
    /// Where the identity is that had the place before.
    pub(crate) replaced: Option<PathBuf>,
}

impl Summary {
    fn of(save: &Save) -> Self {
        Self {
            tox_id: save.tox_id().to_string(),
            name: String::from_utf8_lossy(&save.name).into_owned(),
            friends: save.friends.len(),
            nodes: save.nodes.len(),
            relays: save.relays.len(),
            replaced: None,
        }
    }
}

/// Reads a Tox client's save file; `password` is asked for if it is sealed.
pub(crate) fn read(
    path: &Path,
    password: impl FnOnce() -> Result<Vec<u8>, NodeError>,
) -> Result<Save, NodeError> {
    let file = fs::read(path).map_err(file_error(path))?;
    if save::is_encrypted(&file) {
        let password = password()?;
        let opened = PassKey::of_file(&password, &file).and_then(|key| key.open(&file));
        let plain = opened.map_err(|error| match error {
            EncryptedSaveError::WrongPassword => {
                let what = "wrong password, or the file was damaged: try again";
                NodeError::Failed(format!("{}: {what}", path.display()))
            }
            error => no_save(path, &error),
        })?;
        return Save::read(&plain).map_err(|error| no_save(path, &error));
    }
    Save::read(&file).map_err(|error| no_save(path, &error))
}

/// Makes a save the identity of the folder `root`, in which no node runs. An identity that is there
/// already stays, and the import fails; with `replace` it is moved aside.
pub(crate) fn import(root: &Path, save: &Save, replace: bool) -> Result<Summary, NodeError> {
    let store = Store::new(root);
    let mut summary = Summary::of(save);
    if store.save_file().exists() {
        if !replace {
            return Err(NodeError::Failed(format!(
                "{} holds an identity already: import into another --data-dir, or move the old one \
                 aside with --replace",
                root.display()
            )));
        }
        summary.replaced = Some(move_aside(root, &store)?);
    }
    let path = store.save_file();
    write_private(&path, &save.write()).map_err(file_error(&path))?;
    Ok(summary)
}

/// Moves what belongs to the folder's identity into a new folder beside it.
fn move_aside(root: &Path, store: &Store) -> Result<PathBuf, NodeError> {
    let folder = |n: u32| root.join(format!("replaced-{n}"));
    let mut number = 1;
    let aside = loop {
        match fs::create_dir(folder(number)) {
            Ok(()) => break folder(number),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(file_error(&folder(number))(error)),
        }
    };
    for file in store.identitys_files() {
        let Some(name) = file.file_name() else { continue };
        match fs::rename(&file, aside.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file_error(&file)(error));
            }
            _ => {}
        }
    }
    Ok(aside)
}

/// Writes the identity of the folder `root` to `path`, where nothing may be yet; sealed if there is a
/// password.
pub(crate) fn export(
    root: &Path,
    path: &Path,
    password: Option<&[u8]>,
    rng: &mut Rng,
) -> Result<Summary, NodeError> {
    let kept = Store::new(root).save_file();
    let plain = match fs::read(&kept) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let what = "holds no identity: `toktok run` makes one, `toktok import-save` brings one";
            return Err(NodeError::Failed(format!("{} {what}", root.display())));
        }
        read => read.map_err(file_error(&kept))?,
    };
    let save = Save::read(&plain).map_err(|error| no_save(&kept, &error))?;
    let file = match password {
        Some(password) => PassKey::generate(password, rng).seal(&plain, rng),
        None => plain,
    };
    if path.exists() {
        let what = "is there already: name another file, or remove it";
        return Err(NodeError::Failed(format!("{} {what}", path.display())));
    }
    write_private(path, &file).map_err(file_error(path))?;
    Ok(Summary::of(&save))
}

fn no_save(path: &Path, error: &dyn std::fmt::Display) -> NodeError {
    NodeError::Failed(format!("{} is no Tox save file: {error}", path.display()))
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> NodeError + use<> {
    let path = path.to_owned();
    move |source| NodeError::File { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use toktok_mesh::KeyPair;

    use super::*;

    fn save(seed: u8) -> Save {
        let mut rng = Rng::from_seed([seed; 32]);
        let mut save = Save::new(KeyPair::generate(&mut rng), rng.bytes());
        save.name = b"Ada".to_vec();
        save
    }

    fn unasked() -> Result<Vec<u8>, NodeError> {
        panic!("a plain save needs no password")
    }

    #[test]
    fn what_is_exported_is_imported_again_with_its_password_only() {
        let folder = tempfile::tempdir().unwrap();
        let (root, file) = (folder.path().join("a"), folder.path().join("ada.tox"));
        fs::create_dir(&root).unwrap();
        let ada = save(1);
        import(&root, &ada, false).unwrap();
        let mut rng = Rng::from_seed([9; 32]);
        export(&root, &file, Some(b"secret"), &mut rng).unwrap();
        let again = read(&file, || Ok(b"secret".to_vec())).unwrap();
        assert_eq!(again.write(), ada.write());
        let wrong = read(&file, || Ok(b"guess".to_vec())).unwrap_err().to_string();
        assert!(wrong.contains("password"), "{wrong}");
        let there = export(&root, &file, None, &mut rng).unwrap_err().to_string();
        assert!(there.contains("already"), "{there}");
        let plain = folder.path().join("plain.tox");
        export(&root, &plain, None, &mut rng).unwrap();
        assert_eq!(read(&plain, unasked).unwrap().write(), ada.write());
    }

    #[test]
    fn nobodys_identity_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        import(root, &save(1), false).unwrap();
        fs::write(root.join("unfinished"), "of Ada").unwrap();
        let refused = import(root, &save(2), false).unwrap_err().to_string();
        assert!(refused.contains("--replace"), "{refused}");
        let aside = import(root, &save(2), true).unwrap().replaced.unwrap();
        assert_eq!(fs::read(aside.join("person.tox")).unwrap(), save(1).write());
        assert!(aside.join("unfinished").exists() && !root.join("unfinished").exists());
        assert_eq!(fs::read(root.join("person.tox")).unwrap(), save(2).write());
    }

    #[test]
    fn what_is_no_save_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("letter.txt");
        fs::write(&file, "Dear Ada").unwrap();
        let said = read(&file, unasked).unwrap_err().to_string();
        assert!(said.contains("letter.txt") && said.contains("save"), "{said}");
        let mut rng = Rng::from_seed([9; 32]);
        let said = export(folder.path(), &file, None, &mut rng).unwrap_err().to_string();
        assert!(said.contains("import-save"), "{said}");
    }
}

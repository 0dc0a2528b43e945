//! Save files: what people carry from one machine to another, and what is left of them.

use toktok_wire::SharedKey;
use toktok_wire::encrypted_save::{EXTRA_LEN, PassKey};
use toktok_wire::save::{MAX_NAME, MAX_OTHER_SECTIONS, Save};

/// A file, plain or encrypted (with a key instead of a password, for scrypt is slow on purpose).
///
/// # Panics
/// If what is read is written as something else, or a forged file opens.
pub fn save(data: &[u8]) {
    let key = PassKey::from_parts([1; 32], SharedKey::from_bytes([2; 32]));
    if let Ok(plain) = key.open(data) {
        assert_eq!(plain.len() + EXTRA_LEN, data.len());
        return save(&plain);
    }
    let Ok(save) = Save::read(data) else { return };
    assert!(save.name.len() <= MAX_NAME && save.others.len() <= MAX_OTHER_SECTIONS);
    let written = save.write();
    assert!(written.len() <= data.len() + 11 * 8 + 13, "a save grows");
    match Save::read(&written) {
        Ok(again) => assert_eq!(again.write(), written, "written and read differ"),
        Err(error) => panic!("what is written cannot be read: {error}"),
    }
}

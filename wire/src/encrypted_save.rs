//! Encrypted save files, in the format of c-toxcore's `toxencryptsave` (research note `tox.md` 1.14):
//! `"toxEsave"`, salt 32, nonce 24, and a sealed box.
//!
//! The key comes from the password by scrypt over its SHA-256, which takes 16 MiB of memory and some
//! tenths of a second: keep the [`PassKey`] of a file that is written again and again.
//!
//! ```
//! use toktok_wire::encrypted_save::{PassKey, EncryptedSaveError};
//! use toktok_wire::Rng;
//!
//! let mut rng = Rng::from_seed([1; 32]); // a program takes the seed from its system
//! let key = PassKey::generate(b"hunter2", &mut rng);
//! let sealed = key.seal(b"a save", &mut rng);
//!
//! assert_eq!(PassKey::of_file(b"hunter2", &sealed)?.open(&sealed)?, b"a save");
//! let wrong = PassKey::of_file(b"hunter3", &sealed)?;
//! assert_eq!(wrong.open(&sealed), Err(EncryptedSaveError::WrongPassword));
//! # Ok::<(), EncryptedSaveError>(())
//! ```

use core::fmt;

use ring::digest;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::key::SharedKey;
use crate::nonce::Nonce;
use crate::rng::Rng;
use crate::save::{ENCRYPTED_MAGIC, MAX_SAVE};
use crate::sealed::TAG_LEN;

/// Length of a salt.
pub const SALT_LEN: usize = 32;

/// Where the nonce begins.
const NONCE_AT: usize = ENCRYPTED_MAGIC.len() + SALT_LEN;
/// Where the box begins.
const BOX_AT: usize = NONCE_AT + Nonce::LEN;

/// Bytes that encryption adds: 80.
pub const EXTRA_LEN: usize = BOX_AT + TAG_LEN;

/// scrypt's cost: what libsodium makes of 2^20 operations and 16 MiB, N = 2^14, r = 8, p = 2.
const COST: (u8, u32, u32) = (14, 8, 2);

/// Why a file was not opened.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum EncryptedSaveError {
    /// It does not begin like an encrypted save.
    #[error("not an encrypted Tox save")]
    NotEncrypted,
    /// It ends before its content begins.
    #[error("the encrypted save is cut off: {have} bytes of at least {need}")]
    Truncated {
        /// Bytes that such a file has at least.
        need: usize,
        /// Its bytes.
        have: usize,
    },
    /// It is longer than a save can be.
    #[error("an encrypted save is at most {} bytes", MAX_SAVE + EXTRA_LEN)]
    TooLong,
    /// The box does not open. Nothing can tell one from the other.
    #[error("wrong password, or the file was damaged")]
    WrongPassword,
}

/// The key that a password and a salt give.
#[derive(Clone)]
pub struct PassKey {
    salt: [u8; SALT_LEN],
    key: SharedKey,
}

impl PassKey {
    /// The key of a password and a fresh salt.
    pub fn generate(password: &[u8], rng: &mut Rng) -> Self {
        Self::derive(password, rng.bytes())
    }

    /// The key of a password and a known salt.
    pub fn derive(password: &[u8], salt: [u8; SALT_LEN]) -> Self {
        let hashed = digest::digest(&digest::SHA256, password);
        let mut key = Zeroizing::new([0; 32]);
        let (log_n, r, p) = COST;
        let derived = scrypt::Params::new(log_n, r, p)
            .map(|params| scrypt::scrypt(hashed.as_ref(), &salt, &params, &mut *key));
        assert!(matches!(derived, Ok(Ok(()))), "constants that scrypt takes");
        Self { salt, key: SharedKey::from_bytes(*key) }
    }

    /// The key with which `file` was sealed, if this is its password; [`PassKey::open`] tells.
    ///
    /// # Errors
    /// See [`EncryptedSaveError`]; here never that the password is wrong.
    pub fn of_file(password: &[u8], file: &[u8]) -> Result<Self, EncryptedSaveError> {
        check(file)?;
        let salt = file.get(ENCRYPTED_MAGIC.len()..).and_then(<[u8]>::first_chunk);
        let salt = salt.ok_or(EncryptedSaveError::NotEncrypted)?;
        Ok(Self::derive(password, *salt))
    }

    /// A key from its parts.
    pub const fn from_parts(salt: [u8; SALT_LEN], key: SharedKey) -> Self {
        Self { salt, key }
    }

    /// The key itself: who has it needs no password.
    pub const fn shared_key(&self) -> &SharedKey {
        &self.key
    }

    /// An encrypted file of `save`.
    pub fn seal(&self, save: &[u8], rng: &mut Rng) -> Vec<u8> {
        let nonce = Nonce::generate(rng);
        let mut file = Vec::with_capacity(save.len() + EXTRA_LEN);
        file.extend_from_slice(ENCRYPTED_MAGIC);
        file.extend_from_slice(&self.salt);
        file.extend_from_slice(&nonce.0);
        file.extend_from_slice(save);
        self.key.seal_suffix(&nonce, &mut file, BOX_AT);
        file
    }

    /// What an encrypted file contains: a save, as far as anybody knows.
    ///
    /// # Errors
    /// See [`EncryptedSaveError`].
    pub fn open(&self, file: &[u8]) -> Result<Vec<u8>, EncryptedSaveError> {
        check(file)?;
        let (head, boxed) = file.split_at(BOX_AT);
        let nonce = head[NONCE_AT..].first_chunk().ok_or(EncryptedSaveError::NotEncrypted)?;
        self.key.open(&Nonce(*nonce), boxed).map_err(|_| EncryptedSaveError::WrongPassword)
    }
}

impl fmt::Debug for PassKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PassKey(…)")
    }
}

/// Checks what can be checked without a key. As c-toxcore we take no file with nothing in it.
fn check(file: &[u8]) -> Result<(), EncryptedSaveError> {
    let (need, have) = (EXTRA_LEN + 1, file.len());
    if !file.starts_with(&ENCRYPTED_MAGIC[..have.min(ENCRYPTED_MAGIC.len())]) {
        Err(EncryptedSaveError::NotEncrypted)
    } else if have < need {
        Err(EncryptedSaveError::Truncated { need, have })
    } else if have > MAX_SAVE + EXTRA_LEN {
        Err(EncryptedSaveError::TooLong)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        crate::key::parse_hex(hex).expect("hexadecimal")
    }

    /// c-toxcore `encryptsave_test.c`, known answer; computed again with libsodium (research note 4.3).
    #[test]
    fn a_password_and_a_salt_give_the_key_that_c_toxcore_derives() {
        let salt = bytes("b1c209ee506cf020c4d6ebc044513b604b394acf09534fea0841faca66d2687f");
        let key = bytes("7afa9545368aa25c40fdc0e235080788faf93786ebff504f03e2f6d9ef091701");
        let derived = PassKey::derive(b"hunter2", salt);
        assert_eq!(*derived.shared_key(), SharedKey::from_bytes(key));
    }

    #[test]
    fn what_is_sealed_opens_and_what_is_damaged_or_cut_off_does_not() {
        let mut rng = Rng::from_seed([1; 32]);
        let key = PassKey::from_parts([2; 32], SharedKey::from_bytes([3; 32]));
        let file = key.seal(b"save", &mut rng);
        assert_eq!(file.len(), 4 + 80);
        assert_eq!(key.open(&file), Ok(b"save".to_vec()));
        for len in 0..file.len() {
            let expected = if len < 81 {
                EncryptedSaveError::Truncated { need: 81, have: len }
            } else {
                EncryptedSaveError::WrongPassword
            };
            assert_eq!(key.open(&file[..len]), Err(expected));
        }
        let mut damaged = file.clone();
        damaged[60] ^= 1;
        assert_eq!(key.open(&damaged), Err(EncryptedSaveError::WrongPassword));
        damaged[0] ^= 1;
        assert_eq!(key.open(&damaged), Err(EncryptedSaveError::NotEncrypted));
        let long = [&file[..], &vec![0; MAX_SAVE]].concat();
        assert_eq!(key.open(&long), Err(EncryptedSaveError::TooLong));
    }
}

//! What this node's owner shows of himself, and which friend was told what of it.

use crate::messenger::error::ProfileError;
use crate::wire::messenger::{MAX_NAME, MAX_STATUS_MESSAGE, UserStatus};

/// Name, status message and status. Tox does not say what they are written in; clients write UTF-8.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Profile {
    name: Vec<u8>,
    status_message: Vec<u8>,
    status: UserStatus,
}

impl Profile {
    /// At most [`MAX_NAME`] bytes.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// At most [`MAX_STATUS_MESSAGE`] bytes.
    pub fn status_message(&self) -> &[u8] {
        &self.status_message
    }

    /// Available, away or busy.
    pub const fn status(&self) -> UserStatus {
        self.status
    }

    /// Sets the name; true if it is another one.
    ///
    /// # Errors
    /// [`ProfileError::TooLong`].
    pub fn set_name(&mut self, name: &[u8]) -> Result<bool, ProfileError> {
        replace(&mut self.name, name, MAX_NAME)
    }

    /// Sets the status message; true if it is another one.
    ///
    /// # Errors
    /// [`ProfileError::TooLong`].
    pub fn set_status_message(&mut self, message: &[u8]) -> Result<bool, ProfileError> {
        replace(&mut self.status_message, message, MAX_STATUS_MESSAGE)
    }

    /// Sets the status; true if it is another one.
    pub fn set_status(&mut self, status: UserStatus) -> bool {
        core::mem::replace(&mut self.status, status) != status
    }
}

fn replace(old: &mut Vec<u8>, new: &[u8], limit: usize) -> Result<bool, ProfileError> {
    if new.len() > limit {
        return Err(ProfileError::TooLong { limit });
    }
    let changed = old != new;
    if changed {
        new.clone_into(old);
    }
    Ok(changed)
}

/// What a friend has been told since it came online. c-toxcore tells all four each time, in this order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Told {
    pub(super) name: bool,
    pub(super) status_message: bool,
    pub(super) status: bool,
    pub(super) typing: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_toxs_and_the_same_again_is_no_change() {
        let mut profile = Profile::default();
        assert_eq!(profile.set_name(&[b'a'; MAX_NAME]), Ok(true));
        assert_eq!(profile.set_name(&[b'a'; MAX_NAME]), Ok(false));
        let limit = MAX_NAME;
        assert_eq!(profile.set_name(&[b'a'; MAX_NAME + 1]), Err(ProfileError::TooLong { limit }));
        assert_eq!(profile.name().len(), MAX_NAME);
        let limit = MAX_STATUS_MESSAGE;
        let long = [b'a'; MAX_STATUS_MESSAGE + 1];
        assert_eq!(profile.set_status_message(&long), Err(ProfileError::TooLong { limit }));
        assert!(profile.set_status(UserStatus::Busy));
        assert!(!profile.set_status(UserStatus::Busy));
    }
}

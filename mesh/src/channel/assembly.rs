//! The receiving end of a channel: fragments become messages, and room for more is given back.

use bytes::Bytes;

use super::{MAX_MESSAGE, Violation};

/// Bytes of messages that a peer may send ahead: more than two whole messages, and a fortieth of a
/// second at a gigabit. Only an unfinished message is kept here, so it costs no memory beyond one.
pub(super) const WINDOW: u32 = 4 << 20;

/// Credit is given back in steps of this, so that it costs one small packet in some 380.
const CREDIT_STEP: u32 = WINDOW / 8;

/// A message in the making.
#[derive(Debug)]
pub(super) struct Assembly {
    partial: Vec<u8>,
    /// Bytes that the peer may still send.
    credit: u32,
    /// Bytes of delivered messages for which no credit was given back yet.
    owed: u32,
}

impl Default for Assembly {
    fn default() -> Self {
        Self { partial: Vec::new(), credit: WINDOW, owed: 0 }
    }
}

impl Assembly {
    /// Takes a fragment; a whole message comes out after its last one.
    pub(super) fn take(&mut self, bytes: &[u8], last: bool) -> Result<Option<Bytes>, Violation> {
        let len = u32::try_from(bytes.len()).map_err(|_| Violation)?;
        self.credit = self.credit.checked_sub(len).ok_or(Violation)?;
        if self.partial.len() + bytes.len() > MAX_MESSAGE {
            return Err(Violation);
        }
        if !last {
            self.partial.extend_from_slice(bytes);
            return Ok(None);
        }
        let message = if self.partial.is_empty() {
            Bytes::copy_from_slice(bytes)
        } else {
            self.partial.extend_from_slice(bytes);
            Bytes::from(core::mem::take(&mut self.partial))
        };
        self.owed += message.len() as u32;
        Ok(Some(message))
    }

    /// Credit to give back now.
    pub(super) fn refill(&mut self) -> Option<u32> {
        if self.owed < CREDIT_STEP {
            return None;
        }
        self.credit += self.owed;
        Some(core::mem::take(&mut self.owed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_become_messages_within_the_credit() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.take(b"ab", false), Ok(None));
        assert_eq!(assembly.take(b"c", true), Ok(Some(Bytes::from_static(b"abc"))));
        assert_eq!(assembly.take(b"", true), Ok(Some(Bytes::new())));
        let chunk = vec![0; MAX_MESSAGE];
        assert!(assembly.take(&chunk, true).is_ok_and(|message| message.is_some()));
        assert_eq!(assembly.refill(), Some(MAX_MESSAGE as u32 + 3));
        for _ in 0..4 {
            assert!(assembly.take(&chunk, true).is_ok());
        }
        assert_eq!(assembly.take(b"x", true), Err(Violation));
    }

    #[test]
    fn a_message_that_never_ends_is_a_violation() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.take(&vec![0; MAX_MESSAGE], false), Ok(None));
        assert_eq!(assembly.take(b"", false), Ok(None));
        assert_eq!(assembly.take(b"x", true), Err(Violation));
    }
}

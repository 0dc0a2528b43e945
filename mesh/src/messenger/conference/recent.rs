//! Which of a member's messages came already: they come along several ways, in any order.

use crate::wire::conference::message::MessageBody;

/// Numbers remembered of each member (c-toxcore `MAX_LAST_MESSAGE_INFOS`).
const REMEMBERED: usize = 8;

/// Numbers and kinds of the last messages, the newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    seen: Vec<(u32, u8)>,
}

/// True if `number` comes after `other`, of numbers that wrap.
const fn is_after(number: u32, other: u32) -> bool {
    number.wrapping_sub(other.wrapping_add(1)) <= 1 << 31
}

impl Recent {
    /// Notes a message; false if it came before, may have come before, or a newer one of its kind
    /// makes it stale.
    pub(super) fn admit(&mut self, number: u32, body: &MessageBody<'_>) -> bool {
        let kind = body.id();
        let overridden = matches!(body, MessageBody::Name(_) | MessageBody::Title(_));
        let newer = self.seen.iter().take_while(|(seen, _)| !is_after(number, *seen));
        let mut at = 0;
        for (seen, other) in newer {
            if *seen == number || (overridden && *other == kind) {
                return false;
            }
            at += 1;
        }
        if at == REMEMBERED {
            return false;
        }
        self.seen.truncate(REMEMBERED - 1);
        self.seen.insert(at, (number, kind));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: MessageBody<'_> = MessageBody::Ping;
    const NAME: MessageBody<'_> = MessageBody::Name(b"");
    const TITLE: MessageBody<'_> = MessageBody::Title(b"t");

    #[test]
    fn each_message_counts_once_in_any_order() {
        let mut recent = Recent::default();
        for number in [5, 3, 4, 9, 8, 6, 7, 2] {
            assert!(recent.admit(number, &PING), "{number}");
        }
        assert!((2..10).all(|number| !recent.admit(number, &PING)));
        assert!(!recent.admit(1, &PING), "it may have come before");
        assert!(recent.admit(10, &PING));
        assert!(!recent.admit(2, &PING), "it was forgotten");
        assert_eq!(recent.seen.len(), REMEMBERED);
    }

    #[test]
    fn numbers_wrap() {
        let mut recent = Recent::default();
        for number in [u32::MAX - 1, u32::MAX, 1, 2] {
            assert!(recent.admit(number, &PING));
        }
        assert!(!recent.admit(u32::MAX, &PING));
        assert_eq!(recent.seen[0].0, 2);
    }

    #[test]
    fn a_stale_name_or_title_changes_nothing() {
        let mut recent = Recent::default();
        assert!(recent.admit(4, &NAME));
        assert!(!recent.admit(3, &NAME));
        assert!(recent.admit(2, &TITLE));
        assert!(recent.admit(3, &PING));
        assert!(recent.admit(5, &NAME));
    }
}

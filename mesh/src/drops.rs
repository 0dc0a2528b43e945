//! Bad input is ordinary: it is dropped, and counted by reason.

/// Why a packet was dropped.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum DropReason {
    /// Empty, or of a kind that this node does not handle.
    UnknownKind,
    /// Shorter than its kind allows.
    Truncated,
    /// Longer than its kind allows, or with a field over its limit.
    Oversized,
    /// A field has a value that the protocol does not know.
    Malformed,
    /// The sealed box does not open.
    Forged,
    /// Claims to come from this node itself.
    FromSelf,
    /// Answers nothing that was asked, or too late.
    Unsolicited,
    /// Seen before, or older than what was seen before.
    Replayed,
    /// A cookie that is not ours or no longer fresh.
    StaleCookie,
    /// For a session that does not exist.
    NoSession,
    /// For a node that this one does not know.
    NoRoute,
    /// Well formed, but not allowed in this state or by policy.
    Refused,
    /// A named limit is reached.
    LimitReached,
}

impl DropReason {
    /// All reasons, in the order of [`Drops`]' counters.
    pub const ALL: [Self; 13] = [
        Self::UnknownKind,
        Self::Truncated,
        Self::Oversized,
        Self::Malformed,
        Self::Forged,
        Self::FromSelf,
        Self::Unsolicited,
        Self::Replayed,
        Self::StaleCookie,
        Self::NoSession,
        Self::NoRoute,
        Self::Refused,
        Self::LimitReached,
    ];
}

impl From<toktok_wire::DecodeError> for DropReason {
    fn from(error: toktok_wire::DecodeError) -> Self {
        use toktok_wire::DecodeError as E;
        match error {
            E::Truncated { .. } => Self::Truncated,
            E::Trailing(_) | E::Limit { .. } => Self::Oversized,
            E::Kind(_) => Self::UnknownKind,
            _ => Self::Malformed,
        }
    }
}

impl From<toktok_wire::sealed::Forged> for DropReason {
    fn from(_: toktok_wire::sealed::Forged) -> Self {
        Self::Forged
    }
}

/// How many packets were dropped for each reason.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Drops {
    counts: [u64; DropReason::ALL.len()],
}

impl Drops {
    /// Counts one more.
    pub fn count(&mut self, reason: DropReason) {
        let count = &mut self.counts[reason as usize];
        *count = count.saturating_add(1);
    }

    /// Dropped in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().map(|reason| (reason, self[reason]))
    }
}

impl core::ops::Index<DropReason> for Drops {
    type Output = u64;

    fn index(&self, reason: DropReason) -> &u64 {
        &self.counts[reason as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter() {
        let mut drops = Drops::default();
        for (i, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i);
            drops.count(reason);
        }
        assert!(drops.iter().all(|(_, count)| count == 1));
        assert_eq!(drops.total(), DropReason::ALL.len() as u64);
    }
}

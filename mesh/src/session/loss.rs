//! How much a path loses however little is sent: the least that was lost lately.

/// Packets that one measurement takes: enough to tell one in twenty from none.
const MEASURED: u64 = 256;
/// Measurements of which the least counts.
const KEPT: usize = 4;
/// Shares are in this many parts.
const PARTS: u64 = 1024;
/// A path is not believed to lose more than this by itself, one in sixteen; nor is a new one less
/// before it was measured, for else slow start would end with the first losses of a bad link.
const MAX_FLOOR: u64 = PARTS / 16;

/// What a path loses anyhow.
#[derive(Debug)]
pub(super) struct LossFloor {
    shares: [u64; KEPT],
    next: usize,
    total: u64,
    lost: u64,
}

impl Default for LossFloor {
    fn default() -> Self {
        Self { shares: [MAX_FLOOR; KEPT], next: 0, total: 0, lost: 0 }
    }
}

impl LossFloor {
    /// Of so many packets, `lost` got lost.
    pub(super) fn note(&mut self, total: u64, lost: u64) {
        self.total += total;
        self.lost += lost;
        if self.total >= MEASURED {
            self.shares[self.next] = (self.lost * PARTS / self.total).min(MAX_FLOOR);
            self.next = (self.next + 1) % KEPT;
            (self.total, self.lost) = (0, 0);
        }
    }

    /// Of so many packets, this many may be lost without a reason: chance doubles what is usual now and
    /// then.
    pub(super) fn tolerated(&self, total: u64) -> u64 {
        let floor = self.shares.iter().copied().fold(MAX_FLOOR, u64::min);
        2 * total * floor / PARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_the_last_measurements_counts() {
        let mut floor = LossFloor::default();
        assert_eq!(floor.tolerated(160), 20);
        for _ in 0..KEPT {
            floor.note(100, 3);
            floor.note(156, 5);
        }
        assert_eq!(floor.tolerated(1024), 64);
        floor.note(256, 0);
        assert_eq!(floor.tolerated(1024), 0);
        for _ in 0..KEPT {
            floor.note(512, 256);
        }
        assert_eq!(floor.tolerated(160), 20, "no more is believed");
    }
}

//! How many packets may be on the way: slow start, then growth in proportion to the window, and a cut
//! when a round trip loses more than a little. Integers only.
//!
//! Loss below the tolerance is taken for a bad link, not for a full queue (as BBR does), and so is what
//! the path loses however little is sent, while no queue is seen: a window that one loss in twenty keeps
//! small would stall on every radio link. Growth in proportion (Scalable
//! TCP) fills a long path again in tens of round trips instead of thousands.

use core::time::Duration;

use super::loss::LossFloor;
use super::round_trip::RoundTrip;

/// Packets at once before anything is known of the path.
const INITIAL_WINDOW: u32 = 32;
/// The window never shrinks below this: two acknowledgements of the receiver.
const MIN_WINDOW: u32 = 16;
/// The window never grows beyond this: 5.6 MB, which the receiver keeps too.
const MAX_WINDOW: u32 = 4096;
/// Lost packets a round that mean nothing.
const TOLERATED_LOSSES: u64 = 2;
/// One packet in so many may be lost beyond that before the window is cut.
const LOSS_DIVISOR: u64 = 50;
/// A round that lost no more than that adds one packet and one in so many.
const GROWTH_DIVISOR: u32 = 16;
/// Slow start ends, and growth pauses, when the shortest round trip of a round is longer than the
/// path's own by half and this: a queue builds up.
const QUEUE_DELAY: Duration = Duration::from_millis(10);

/// The congestion window of one session.
#[derive(Debug)]
pub(crate) struct Congestion {
    window: u32,
    /// Slow start ends here.
    threshold: u32,
    /// The round ends when a packet sent after this many transmissions is acknowledged.
    round_end: u64,
    acknowledged: u64,
    lost: u64,
    least: Option<Duration>,
    floor: LossFloor,
}

impl Default for Congestion {
    fn default() -> Self {
        Self {
            window: INITIAL_WINDOW,
            threshold: MAX_WINDOW,
            round_end: 0,
            acknowledged: 0,
            lost: 0,
            least: None,
            floor: LossFloor::default(),
        }
    }
}

/// What an acknowledgement says to the window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Packets that it acknowledged.
    pub(crate) count: u32,
    /// The transmission number of the newest one.
    pub(crate) newest: u64,
    /// The number that the next transmission will have.
    pub(crate) next: u64,
    /// The newest one's round trip, if it was sent once only.
    pub(crate) sample: Option<Duration>,
    /// True if the window, not the lack of data, limited sending.
    pub(crate) limited: bool,
}

impl Congestion {
    /// Packets that may be on the way.
    pub(crate) fn window(&self) -> usize {
        self.window as usize
    }

    /// Takes an acknowledgement.
    pub(crate) fn acknowledge(&mut self, progress: Progress, path: &RoundTrip) {
        self.acknowledged += u64::from(progress.count);
        if let Some(sample) = progress.sample {
            self.least = Some(self.least.map_or(sample, |least| least.min(sample)));
        }
        if progress.limited && self.window < self.threshold {
            self.window = self.window.saturating_add(progress.count).min(self.threshold);
        }
        if progress.newest >= self.round_end {
            self.end_round(progress.limited, path);
            self.round_end = progress.next;
        }
    }

    /// Counts packets found lost.
    pub(crate) fn lose(&mut self, count: u32) {
        self.lost += u64::from(count);
    }

    /// Several probes stayed without answer: begin anew.
    pub(crate) fn collapse(&mut self) {
        self.threshold = (self.window / 2).max(MIN_WINDOW);
        self.window = MIN_WINDOW;
    }

    /// Nothing was on the way for a while: what the window knew of the path is old.
    pub(crate) fn rest(&mut self) {
        if self.window > INITIAL_WINDOW {
            self.threshold = self.threshold.max(self.window);
            self.window = INITIAL_WINDOW;
        }
    }

    fn end_round(&mut self, limited: bool, path: &RoundTrip) {
        let total = self.acknowledged + self.lost;
        if total < u64::from(self.window / 2) {
            return; // too few to judge by: the next round counts them too
        }
        let least = self.least.take().unwrap_or_default();
        let queued = least > path.least() + path.least() / 2 + QUEUE_DELAY;
        let usual = if queued { 0 } else { self.floor.tolerated(total) };
        self.floor.note(total, self.lost);
        if self.lost > TOLERATED_LOSSES + total / LOSS_DIVISOR + usual {
            self.window = (self.window / 10 * 7).max(MIN_WINDOW);
            self.threshold = self.window;
        } else if queued {
            self.threshold = self.threshold.min(self.window);
        } else if limited && self.window >= self.threshold {
            let grown = self.window + self.window / GROWTH_DIVISOR + 1;
            self.window = grown.min(MAX_WINDOW);
            self.threshold = self.window;
        }
        (self.acknowledged, self.lost) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(50);

    /// Runs one round in which `lost` of a window's packets get lost.
    fn round(congestion: &mut Congestion, lost: u32, sample: Duration) {
        let mut path = RoundTrip::default();
        path.sample(STEP);
        let (count, next) = (congestion.window, congestion.round_end + 1);
        congestion.lose(lost);
        let (newest, sample) = (congestion.round_end, Some(sample));
        let count = count - lost;
        congestion.acknowledge(Progress { count, newest, next, sample, limited: true }, &path);
    }

    #[test]
    fn doubles_then_grows_slowly_then_is_cut() {
        let mut congestion = Congestion::default();
        round(&mut congestion, 0, STEP);
        assert_eq!(congestion.window(), 64);
        round(&mut congestion, 0, 2 * STEP); // a queue: slow start ends
        assert_eq!(congestion.window(), 128);
        round(&mut congestion, 0, STEP);
        assert_eq!(congestion.window(), 128 + 8 + 1);
        round(&mut congestion, 30, STEP);
        assert!(congestion.window() <= 137 * 7 / 10);
    }

    #[test]
    fn one_loss_in_a_hundred_does_not_shrink_it() {
        let mut congestion = Congestion { threshold: 1000, window: 1000, ..Default::default() };
        for _ in 0..100 {
            let lost = congestion.window / 100;
            round(&mut congestion, lost, STEP);
        }
        assert!(congestion.window() >= 1000);
    }

    #[test]
    fn stays_between_its_bounds() {
        let mut congestion = Congestion::default();
        for _ in 0..300 {
            round(&mut congestion, 0, STEP);
        }
        assert_eq!(congestion.window(), MAX_WINDOW as usize);
        for _ in 0..50 {
            let lost = congestion.window / 2;
            round(&mut congestion, lost, STEP);
        }
        assert!(congestion.window() <= 30);
        congestion.collapse();
        assert_eq!(congestion.window(), MIN_WINDOW as usize);
    }
}

//! A node's own clock, which may be wrong.

use core::time::Duration;

use toktok_mesh::Time;

/// How far a node's clock stands from virtual time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Clock {
    ahead: Duration,
    behind: Duration,
}

impl Clock {
    /// Steps forward.
    pub fn step_forward(&mut self, by: Duration) {
        let back = self.behind.min(by);
        self.behind -= back;
        self.ahead = self.ahead.saturating_add(by - back);
    }

    /// Steps back.
    pub fn step_back(&mut self, by: Duration) {
        let back = self.ahead.min(by);
        self.ahead -= back;
        self.behind = self.behind.saturating_add(by - back);
    }

    /// What the node's clock shows at the virtual moment `at`.
    pub fn shows(&self, at: Time) -> Time {
        at + self.ahead - self.behind
    }

    /// The virtual moment at which the node's clock will show `local`.
    pub fn moment_of(&self, local: Time) -> Time {
        if local == Time::MAX { Time::MAX } else { local + self.behind - self.ahead }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_add_up_and_invert() {
        let mut clock = Clock::default();
        let now = Time::from_secs(100);
        clock.step_forward(Duration::from_secs(5));
        clock.step_back(Duration::from_secs(25));
        assert_eq!(clock.shows(now), Time::from_secs(80));
        assert_eq!(clock.moment_of(Time::from_secs(80)), now);
        clock.step_forward(Duration::from_secs(30));
        assert_eq!(clock.shows(now), Time::from_secs(110));
        assert_eq!(clock.moment_of(clock.shows(now)), now);
        assert_eq!(clock.moment_of(Time::MAX), Time::MAX);
    }
}

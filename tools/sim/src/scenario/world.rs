//! What all scenarios share: where nodes stand on the Internet, and when they join.

use core::time::Duration;

use toktok_mesh::{Rng, Time};

use crate::network::{Attachment, Chance, LinkModel, Loss};

/// The generator of a run's seed.
pub fn seed_rng(seed: u64) -> Rng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Rng::from_seed(bytes)
}

/// The seed that a test runs: that of the environment variable `SIM_SEED`, else `default`.
pub fn env_seed(default: u64) -> u64 {
    let asked = std::env::var("SIM_SEED").ok();
    asked.and_then(|seed| seed.parse().ok()).unwrap_or(default)
}

/// The Internet of a scenario: public IPv4 addresses, each node with an access delay of its own.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// How datagrams get lost on their way.
    pub loss: Loss,
    /// Shortest one-way delay of a node's access; two of them make a route.
    pub latency_min: Duration,
    /// Longest one-way delay of a node's access.
    pub latency_max: Duration,
    /// Most that a packet's delay varies at each end.
    pub jitter: Duration,
}

impl Default for World {
    /// Round trips of 20 to 240 ms (mean 130), 2 ms of jitter at each end, 1% loss.
    fn default() -> Self {
        Self {
            loss: Loss::Independent(Chance::percent(1)),
            latency_min: Duration::from_millis(5),
            latency_max: Duration::from_millis(60),
            jitter: Duration::from_millis(2),
        }
    }
}

impl World {
    /// The next node's access. All loss happens on the uplink, so that a datagram meets it once.
    pub fn attachment(&self, rng: &mut Rng) -> Attachment {
        let spread = (self.latency_max.saturating_sub(self.latency_min)).as_micros() as u64;
        let latency = self.latency_min + Duration::from_micros(rng.below(spread + 1));
        let down = LinkModel { latency, jitter: self.jitter, ..LinkModel::default() };
        let up = LinkModel { loss: self.loss, ..down };
        Attachment { up, down, ..Attachment::default() }
    }
}

/// When each of `count` nodes joins: the first at once, the others evenly over `span`.
pub(super) fn join_times(count: usize, span: Duration) -> impl Iterator<Item = Time> {
    let span = span.as_micros() as u64;
    let last = count.saturating_sub(1).max(1) as u64;
    (0..count as u64).map(move |index| Time::from_micros(span * index / last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_join_over_the_whole_span() {
        let times: Vec<Time> = join_times(5, Duration::from_secs(20)).collect();
        assert_eq!(times, [0, 5, 10, 15, 20].map(Time::from_secs));
        assert_eq!(join_times(1, Duration::from_secs(20)).count(), 1);
    }

    #[test]
    fn latencies_stay_in_their_range() {
        let (world, mut rng) = (World::default(), seed_rng(1));
        for _ in 0..1_000 {
            let latency = world.attachment(&mut rng).up.latency;
            assert!(latency >= world.latency_min && latency <= world.latency_max);
        }
    }
}

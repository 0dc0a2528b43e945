//! How links lose packets.

use toktok_mesh::Rng;

use super::Chance;

/// A model of loss.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Loss {
    /// None.
    #[default]
    Never,
    /// Each packet on its own.
    Independent(Chance),
    /// In bursts (Gilbert–Elliott): a link is in a good or a bad state, and may change it with each
    /// packet.
    Bursts {
        /// Chance that a good link turns bad.
        begin: Chance,
        /// Chance that a bad link turns good again.
        end: Chance,
        /// Loss while good.
        good: Chance,
        /// Loss while bad.
        bad: Chance,
    },
}

impl Loss {
    /// Draws whether the next packet is lost; `burst` is the link's state.
    pub fn draw(&self, burst: &mut bool, rng: &mut Rng) -> bool {
        match *self {
            Self::Never => false,
            Self::Independent(chance) => chance.draw(rng),
            Self::Bursts { begin, end, good, bad } => {
                let change = if *burst { end } else { begin };
                *burst ^= change.draw(rng);
                if *burst { bad } else { good }.draw(rng)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses among `count` packets, and how many of them follow another loss directly.
    fn lose(loss: Loss, count: usize) -> (usize, usize) {
        let mut rng = Rng::from_seed([5; 32]);
        let mut burst = false;
        let lost: Vec<bool> = (0..count).map(|_| loss.draw(&mut burst, &mut rng)).collect();
        let pairs = lost.windows(2).filter(|pair| pair[0] && pair[1]).count();
        (lost.iter().filter(|lost| **lost).count(), pairs)
    }

    #[test]
    fn bursts_cluster_and_independent_loss_does_not() {
        let bursts = Loss::Bursts {
            begin: Chance::per_million(2_000),
            end: Chance::percent(10),
            good: Chance::NEVER,
            bad: Chance::percent(50),
        };
        // Bad for 2/102 of the time, half of the packets lost then: about 1% in all.
        let (lost, pairs) = lose(bursts, 200_000);
        assert!((1_500..2_500).contains(&lost), "{lost} lost in bursts");
        assert!(pairs * 3 > lost, "{pairs} of {lost} losses follow another");
        let (lost, pairs) = lose(Loss::Independent(Chance::percent(1)), 200_000);
        assert!((1_800..2_200).contains(&lost), "{lost} lost alone");
        assert!(pairs * 20 < lost, "{pairs} of {lost} losses follow another");
        assert_eq!(lose(Loss::Never, 1_000), (0, 0));
    }
}

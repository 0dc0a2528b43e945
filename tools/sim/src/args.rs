//! The command line.

use core::time::Duration;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use toktok_sim::scenario::{World, friends, idle, mesh, nat, privacy, tdfs};
use toktok_sim::{Chance, Loss, PortAllocation};

/// Thousands of the shipped TokTok stacks in virtual time, replayable by seed.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Nodes of the mesh join through one of them; do they converge, do they find each other?
    Mesh(Mesh),
    /// Nodes store files, a part of them dies at once, others fetch; what is left, from how far away?
    Tdfs(Tdfs),
    /// Pairs of friends start in a network under churn; do they find each other, and how fast?
    Friends(Friends),
    /// Persons live in a network under churn; can anybody who is no friend tell where one is?
    Privacy(Privacy),
    /// Persons who do nothing; what do their nodes send, of their own accord and for others?
    Idle(Idle),
    /// A pair of friends for each two kinds of NAT: which of them come to speak directly?
    Nat(Nat),
    /// Draws hops against nodes, as SVG.
    Hops(Hops),
}

/// What every scenario takes.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// The seed of everything: the same one gives the same trace hash.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a readable line for every delivery and event to this file. Large.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Datagrams lost on their way, in a million.
    #[arg(long, value_name = "PPM", default_value_t = 10_000)]
    pub(crate) loss: u32,
}

impl Common {
    fn world(&self) -> World {
        World { loss: Loss::Independent(Chance::per_million(self.loss)), ..World::default() }
    }
}

#[derive(clap::Args)]
pub(crate) struct Mesh {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many nodes.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) nodes: usize,
    /// Virtual minutes, joining and lookups included (2 at least).
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=100_000))]
    pub(crate) minutes: u64,
    /// How many lookups of random live keys near the end.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) lookups: usize,
}

impl Mesh {
    pub(crate) fn plan(&self) -> mesh::Plan {
        mesh::Plan {
            nodes: self.nodes,
            span: Duration::from_secs(60 * self.minutes),
            lookups: self.lookups,
            seed: self.common.seed,
            world: self.common.world(),
            ..mesh::Plan::default()
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Tdfs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many nodes.
    #[arg(long, default_value_t = 500)]
    pub(crate) nodes: usize,
    /// How many files of 1 kB to 1 MB are stored, and fetched by other nodes.
    #[arg(long, default_value_t = 100)]
    pub(crate) files: usize,
    /// How many percent of the nodes die at once before the files are fetched.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..100))]
    pub(crate) dying: u32,
    /// Seconds between the deaths and the first fetch.
    #[arg(long, default_value_t = 60)]
    pub(crate) mourning: u64,
}

impl Tdfs {
    pub(crate) fn plan(&self) -> tdfs::Plan {
        tdfs::Plan {
            nodes: self.nodes,
            files: self.files,
            dying: Chance::percent(self.dying),
            mourning: Duration::from_secs(self.mourning),
            seed: self.common.seed,
            world: self.common.world(),
            ..tdfs::Plan::default()
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Friends {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many nodes the network has before the friends come.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) nodes: usize,
    /// How many pairs of friends start.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) pairs: usize,
    /// Virtual minutes of churn before they do.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(2..=100_000))]
    pub(crate) minutes: u64,
    /// How many percent of the nodes go away each hour; they come back after two minutes.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) churn: u32,
    /// How many percent of all sit behind a NAT.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) natted: u32,
    /// Seconds after which a pair leaves again.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(30..))]
    pub(crate) stay: u64,
}

impl Friends {
    pub(crate) fn plan(&self) -> friends::Plan {
        friends::Plan {
            nodes: self.nodes,
            natted: Chance::percent(self.natted),
            span: Duration::from_secs(60 * self.minutes),
            churn_an_hour: Chance::percent(self.churn),
            pairs: self.pairs,
            stay: Duration::from_secs(self.stay),
            seed: self.common.seed,
            world: self.common.world(),
            ..friends::Plan::default()
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Privacy {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many nodes the network has besides the persons.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(8..=100_000))]
    pub(crate) nodes: u32,
    /// How many pairs of friends have UDP.
    #[arg(long, default_value_t = 6)]
    pub(crate) udp_pairs: usize,
    /// How many pairs reach TCP relays only.
    #[arg(long, default_value_t = 3)]
    pub(crate) relay_pairs: usize,
    /// Virtual minutes that they live.
    #[arg(long, default_value_t = 10)]
    pub(crate) minutes: u64,
}

impl Privacy {
    pub(crate) fn plan(&self) -> privacy::Plan {
        privacy::Plan {
            nodes: self.nodes as usize,
            udp_pairs: self.udp_pairs,
            relay_pairs: self.relay_pairs,
            span: Duration::from_secs(60 * self.minutes),
            seed: self.common.seed,
            world: self.common.world(),
            ..privacy::Plan::default()
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Idle {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many nodes.
    #[arg(long, default_value_t = 24)]
    pub(crate) nodes: usize,
    /// Virtual minutes that are counted, after two that are not.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) minutes: u64,
}

impl Idle {
    pub(crate) fn plan(&self) -> idle::Plan {
        idle::Plan {
            nodes: self.nodes,
            span: Duration::from_secs(60 * self.minutes),
            seed: self.common.seed,
            world: self.common.world(),
            ..idle::Plan::default()
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Hops {
    /// What several runs of `mesh --json` printed.
    pub(crate) reports: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct Nat {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many public nodes the network has.
    #[arg(long, default_value_t = 60)]
    pub(crate) nodes: usize,
    /// NATs that do not map endpoint-independently give random ports, not one after the other.
    #[arg(long)]
    pub(crate) random_ports: bool,
    /// Only the pair of these two, as the table names them, such as `port/nothing,public`.
    #[arg(long, value_name = "ONE,OTHER")]
    pub(crate) pair: Option<String>,
    /// How many pairs of each kind.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) times: u8,
}

impl Nat {
    pub(crate) fn plan(&self) -> nat::Plan {
        let is_asked = |[one, other]: &[nat::Side; 2]| {
            self.pair.as_ref().is_none_or(|pair| *pair == format!("{one},{other}"))
        };
        let pairs: Vec<_> = nat::Plan::default().pairs.into_iter().filter(is_asked).collect();
        nat::Plan {
            nodes: self.nodes,
            pairs: (0..self.times).flat_map(|_| pairs.clone()).collect(),
            ports: if self.random_ports {
                PortAllocation::Random
            } else {
                PortAllocation::Sequential(1)
            },
            seed: self.common.seed,
            world: self.common.world(),
            ..nat::Plan::default()
        }
    }
}

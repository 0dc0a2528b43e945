//! The command line.

use core::time::Duration;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use toktok_sim::scenario::{World, mesh};
use toktok_sim::{Chance, Loss};

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

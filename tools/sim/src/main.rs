//! `toktok-sim`: runs a scenario and says how it went, as a table or as one JSON object.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command-line program says its results on stdout")]

mod args;
mod figure;
mod measure;
mod table;

use std::alloc::System;
use std::fs::File;
use std::io::BufWriter;
use std::process::ExitCode;

use cap::Cap;
use clap::Parser;
use serde::Serialize;
use toktok_sim::scenario::{friends, idle, mesh, nat, privacy, tdfs};
use toktok_sim::weigh::weigh_all;

use args::{Args, Command, Common};
use measure::Measure;
use table::Rows;

/// Counts what is on the heap.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// What a run was and what it cost.
#[derive(Serialize)]
struct Report<Outcome> {
    scenario: &'static str,
    ok: bool,
    #[serde(flatten)]
    outcome: Outcome,
    #[serde(flatten)]
    cost: measure::Cost,
}

fn main() -> ExitCode {
    let Args { command } = Args::parse();
    let done = match command {
        Command::Mesh(args) => run_mesh(&args),
        Command::Tdfs(args) => run_tdfs(&args),
        Command::Friends(args) => run_friends(&args),
        Command::Privacy(args) => run_privacy(&args),
        Command::Idle(args) => run_idle(&args),
        Command::Nat(args) => run_nat(&args),
        Command::Hops(args) => draw_hops(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("toktok-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_mesh(args: &args::Mesh) -> Result<bool, String> {
    let plan = args.plan();
    let mut lines = open_trace(&args.common)?;
    let measure = Measure::begin();
    let prepare = |sim: &mut mesh::MeshSim| {
        if let Some(file) = lines.take() {
            sim.trace().write_lines(Box::new(file));
        }
    };
    let mut state = None;
    let (outcome, written) = mesh::run_and_look(&plan, prepare, |sim| {
        state = Some(weigh_all(sim, || HEAP.allocated()));
    });
    written.map_err(|error| format!("the trace could not be written: {error}"))?;
    let mut cost = measure.end(outcome.virtual_seconds, plan.nodes);
    cost.state_a_node_bytes = state;
    print(&args.common, &Report { scenario: "mesh", ok: outcome.is_good(), outcome, cost })
}

/// Prints the figure of the reports in a file.
fn draw_hops(args: &args::Hops) -> Result<bool, String> {
    let reports = std::fs::read_to_string(&args.reports);
    let reports =
        reports.map_err(|error| format!("cannot read {}: {error}", args.reports.display()))?;
    print!("{}", figure::hops(&reports)?);
    Ok(true)
}

fn run_tdfs(args: &args::Tdfs) -> Result<bool, String> {
    let plan = args.plan();
    let mut lines = open_trace(&args.common)?;
    let measure = Measure::begin();
    let prepare = |sim: &mut tdfs::TdfsSim| {
        if let Some(file) = lines.take() {
            sim.trace().write_lines(Box::new(file));
        }
    };
    let (outcome, written) = tdfs::run(&plan, prepare, |failure| eprintln!("{failure}"));
    written.map_err(|error| format!("the trace could not be written: {error}"))?;
    let cost = measure.end(outcome.virtual_seconds, plan.nodes);
    print(&args.common, &Report { scenario: "tdfs", ok: outcome.is_good(), outcome, cost })
}

fn run_friends(args: &args::Friends) -> Result<bool, String> {
    let plan = args.plan();
    let mut lines = open_trace(&args.common)?;
    let measure = Measure::begin();
    let (outcome, written) = friends::run(&plan, |sim| {
        if let Some(file) = lines.take() {
            sim.trace().write_lines(Box::new(file));
        }
    });
    written.map_err(|error| format!("the trace could not be written: {error}"))?;
    let cost = measure.end(outcome.virtual_seconds, plan.nodes + 2 * plan.pairs);
    print(&args.common, &Report { scenario: "friends", ok: outcome.is_good(), outcome, cost })
}

fn run_nat(args: &args::Nat) -> Result<bool, String> {
    let plan = args.plan();
    let mut lines = open_trace(&args.common)?;
    let measure = Measure::begin();
    let (outcome, written) = nat::run(&plan, |sim| {
        if let Some(file) = lines.take() {
            sim.trace().write_lines(Box::new(file));
        }
    });
    written.map_err(|error| format!("the trace could not be written: {error}"))?;
    let cost = measure.end(outcome.virtual_seconds, plan.nodes + 2 * plan.pairs.len());
    print(&args.common, &Report { scenario: "nat", ok: outcome.is_good(), outcome, cost })
}

fn run_privacy(args: &args::Privacy) -> Result<bool, String> {
    let plan = args.plan();
    if args.common.trace.is_some() {
        return Err("this scenario writes no trace".into());
    }
    let measure = Measure::begin();
    let (outcome, _) = privacy::run(&plan);
    let cost = measure.end(outcome.virtual_seconds, plan.nodes + outcome.people);
    print(&args.common, &Report { scenario: "privacy", ok: outcome.is_good(), outcome, cost })
}

fn run_idle(args: &args::Idle) -> Result<bool, String> {
    let plan = args.plan();
    if args.common.trace.is_some() {
        return Err("this scenario writes no trace".into());
    }
    let measure = Measure::begin();
    let outcome = idle::run(&plan);
    let cost = measure.end(outcome.virtual_seconds, plan.nodes);
    print(&args.common, &Report { scenario: "idle", ok: outcome.is_good(), outcome, cost })
}

fn open_trace(common: &Common) -> Result<Option<BufWriter<File>>, String> {
    let Some(path) = &common.trace else { return Ok(None) };
    match File::create(path) {
        Ok(file) => Ok(Some(BufWriter::new(file))),
        Err(error) => Err(format!("cannot write the trace to {}: {error}", path.display())),
    }
}

/// Prints a report; true if the run was good.
fn print<O: Serialize + Rows>(common: &Common, report: &Report<O>) -> Result<bool, String> {
    if common.json {
        println!("{}", serde_json::to_string(report).map_err(|error| error.to_string())?);
    } else {
        for (name, value) in report.outcome.rows().into_iter().chain(report.cost.rows()) {
            println!("{name:<24} {value}");
        }
        println!("{:<24} {}", "good", if report.ok { "yes" } else { "NO" });
    }
    Ok(report.ok)
}

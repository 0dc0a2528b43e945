//! Real nodes with real sockets in one process: words of a stored text are counted on strangers, one of
//! whom lies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and may print"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use toktok_mesh::runtime::system_rng;
use toktok_tdc::engine::conformance::WORDCOUNT;
use toktok_tdc::engine::{Executor, Lie, LyingExecutor, WasmtimeExecutor};
use toktok_tdc::job::{Boundary, Split};
use toktok_tdc::runtime::RunFailure;
use toktok_tdc::wire::NodeKey;
use toktok_tdc::{JobEvent, JobReport, JobSpec, Tdc};
use toktok_tdfs::store::MemoryStore;

/// Slow machines and busy ones included.
const PATIENCE: Duration = Duration::from_secs(180);

/// The job gives up before the test does, and says how far it came.
const DEADLINE: Duration = Duration::from_secs(120);

async fn network(count: usize, liar: Option<usize>) -> Vec<Tdc> {
    let mut nodes: Vec<Tdc> = Vec::new();
    for number in 0..count {
        let mut rng = system_rng().unwrap();
        let store = MemoryStore::new(64 << 20, rng.child("store"));
        let executor: Box<dyn Executor> = if Some(number) == liar {
            Box::new(LyingExecutor::new(WasmtimeExecutor, Lie::always(1)))
        } else {
            Box::new(WasmtimeExecutor)
        };
        let mut config = toktok_tdc::Config::default();
        config.tdfs.route = config.tdfs.route.with_minimal_puzzle();
        let mut builder = Tdc::builder(NodeKey::generate(&mut rng), Box::new(store), executor)
            .config(config)
            .udp((Ipv4Addr::LOCALHOST, 0).into());
        if let Some(first) = nodes.first() {
            builder = builder.bootstrap(first.addresses()[0], first.public_key());
        }
        let node = builder.spawn().await.unwrap();
        if number > 0 {
            node.tdfs().neighbours(1).await.unwrap();
        }
        println!("node {number} has joined");
        nodes.push(node);
    }
    nodes[0].tdfs().neighbours(2).await.unwrap();
    println!("the first node has neighbours");
    nodes
}

fn count_words(text: &str) -> String {
    let mut counts = BTreeMap::<String, u64>::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word.to_ascii_lowercase()).or_default() += 1;
    }
    counts.iter().fold(String::new(), |mut out, (word, count)| {
        writeln!(out, "{word} {count}").unwrap();
        out
    })
}

async fn count_on(
    nodes: &[Tdc],
    text: &str,
    program: &'static [u8],
) -> Result<JobReport, RunFailure> {
    let owner = &nodes[0];
    let put = async |bytes: Vec<u8>| {
        owner.tdfs().put(bytes).await.unwrap().finish().await.unwrap().capability.to_string()
    };
    let (program, input) = (put(program.to_vec()).await, put(text.into()).await);
    println!("program and input are stored");
    let mut job = JobSpec::map_reduce(program, input);
    job.split = Split::Bytes { unit_bytes: 10_000, boundary: Boundary::Whitespace };
    job.policy.distinct_networks = false;
    job.policy.deadline = DEADLINE;
    let mut units_done = 0;
    let report = owner
        .run(job, |event| {
            units_done += u32::from(matches!(event, JobEvent::UnitDone { .. }));
            if !matches!(event, JobEvent::JobDone { .. }) {
                println!("{event:?}");
            }
        })
        .await?;
    assert!(units_done >= report.units);
    Ok(report)
}

fn text() -> String {
    (0..8_000_u32).map(|n| format!("Word{} und, ", n.wrapping_mul(n) % 611)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_counted_on_strangers_and_the_liar_is_found() {
    let work = async {
        let nodes = network(5, Some(2)).await;
        let text = text();
        let report = count_on(&nodes, &text, WORDCOUNT).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&report.result), count_words(&text));
        assert_eq!(report.liars, [nodes[2].public_key()]);
        let each = report.executions as f64 / f64::from(report.units);
        assert!((2.0..3.0).contains(&each), "{each} executions a unit");
        let status = nodes[0].status().await.unwrap();
        assert!(!status.has_jobs);
        println!("{} units, {} ms", report.units, report.elapsed.as_millis());
    };
    tokio::time::timeout(PATIENCE, work).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_none_is_a_clear_error() {
    let work = async {
        let nodes = network(3, None).await;
        let error = count_on(&nodes, "some words", b"#!/bin/sh\n").await.unwrap_err().to_string();
        assert!(error.contains("not a WebAssembly module"), "{error}");
    };
    tokio::time::timeout(PATIENCE, work).await.unwrap();
}

//! `toktok demo`: the main job, shown on one machine. Every node is a process of its own with its own
//! key, sockets and disk; nothing is shared but loopback.

mod count;
mod lots;
mod network;
mod report;
mod text;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use toktok_mesh::Rng;

use self::lots::Lots;
use self::network::Network;
use self::report::Report;
use crate::api::{Command, Computed, Reply};
use crate::cli::DemoArgs;
use crate::error::NodeError;

/// How long the nodes may take to find each other.
const JOIN_PATIENCE: Duration = Duration::from_secs(30);

/// Pieces that the input is cut into, at least: enough for every worker to get several.
const PIECES: u64 = 24;

/// Smallest and largest piece in bytes.
const PIECE_BYTES: std::ops::RangeInclusive<u64> = 16 << 10..=4 << 20;

/// Seconds that one piece may run.
const UNIT_TIMEOUT: u64 = 60;

/// Times that the job is run until all remaining nodes took part in it.
const MAX_RUNS: usize = 4;

/// Words shown in the table of the most frequent ones.
const TOP: usize = 10;

/// What is stored and computed over.
struct Input {
    path: PathBuf,
    bytes: u64,
    hash: blake3::Hash,
    words: count::Words,
}

pub(crate) async fn demo(args: DemoArgs) -> Result<(), NodeError> {
    let mut report = Report::new(args.json);
    let outcome = show(&args, &mut report).await;
    report.end(&outcome);
    outcome
}

async fn show(args: &DemoArgs, report: &mut Report) -> Result<(), NodeError> {
    let folder = tempfile::Builder::new().prefix("toktok-demo-").tempdir();
    let folder =
        folder.map_err(|source| NodeError::DataDir { path: std::env::temp_dir(), source })?;
    let input = prepare(args, folder.path(), report)?;
    let mut rng = Rng::from_seed([0; 32]).child(&format!("toktok demo {}", args.seed));
    let lots = Lots::draw(usize::from(args.nodes), &mut rng);

    let step = report.begin("start", "starting the nodes");
    let mut network = Network::start(folder.path(), &lots).await?;
    report.finish(step, json!({ "nodes": args.nodes }), &format!("{} processes", args.nodes));

    let step = report.begin("join", "finding each other");
    let neighbours = network.wait_until_joined(JOIN_PATIENCE).await?;
    report.finish(
        step,
        json!({ "fewest_neighbours": neighbours }),
        &format!("each has {neighbours} neighbours or more"),
    );

    let capability = store(&network, &lots, &input, report).await?;
    kill(&mut network, &lots, report).await?;
    fetch(&network, &lots, &input, &capability, folder.path(), report).await?;
    let computed = compute(&network, &lots, &input, &capability, folder.path(), report).await?;
    check(&network, &lots, &input, &computed, report)
}

/// Takes or makes the file, and counts its words in the plain way, to know the truth.
fn prepare(args: &DemoArgs, folder: &Path, report: &mut Report) -> Result<Input, NodeError> {
    let step = report.begin("prepare", "reading the file");
    let path = match &args.file {
        Some(path) => path.clone(),
        None => text::make(folder)?,
    };
    let content =
        std::fs::read(&path).map_err(|source| NodeError::File { path: path.clone(), source })?;
    let path = std::path::absolute(&path)
        .map_err(|source| NodeError::File { path: path.clone(), source })?;
    let input = Input {
        bytes: content.len() as u64,
        hash: blake3::hash(&content),
        words: count::Words::of(&content),
        path,
    };
    report.finish(
        step,
        json!({ "bytes": input.bytes, "hash": input.hash.to_hex().as_str() }),
        &format!("{} bytes", input.bytes),
    );
    Ok(input)
}

async fn store(
    network: &Network,
    lots: &Lots,
    input: &Input,
    report: &mut Report,
) -> Result<String, NodeError> {
    let step = report.begin("store", "storing the file in pieces");
    let command = Command::Put { path: input.path.clone() };
    let reply = network.ask(lots.uploader, command, |done, total| step.set(done, total)).await?;
    let Reply::Stored { capability, bytes } = reply else {
        return Err(NodeError::Demo(format!("the node stored nothing: {reply:?}")));
    };
    report.finish(
        step,
        json!({ "node": lots.uploader, "bytes": bytes, "capability": capability }),
        &format!("node {} stored {bytes} bytes: {capability}", lots.uploader),
    );
    Ok(capability)
}

async fn kill(network: &mut Network, lots: &Lots, report: &mut Report) -> Result<(), NodeError> {
    let step = report.begin("kill", "killing nodes");
    for &node in &lots.killed {
        network.kill(node).await?;
    }
    report.finish(
        step,
        json!({ "killed": lots.killed, "signal": "SIGKILL" }),
        &format!("killed {:?}: the one that stored it, and a quarter of the others", lots.killed),
    );
    Ok(())
}

async fn fetch(
    network: &Network,
    lots: &Lots,
    input: &Input,
    capability: &str,
    folder: &Path,
    report: &mut Report,
) -> Result<(), NodeError> {
    let step = report.begin("fetch", "fetching the file elsewhere");
    let path = folder.join("fetched");
    let command = Command::Get { capability: capability.to_owned(), path: path.clone() };
    network.ask(lots.fetcher, command, |done, total| step.set(done, total)).await?;
    let content = std::fs::read(&path).map_err(|source| NodeError::File { path, source })?;
    let hash = blake3::hash(&content);
    if hash != input.hash {
        return Err(NodeError::Demo(format!(
            "the fetched file is another: {} bytes, hash {hash}, where {} were stored, hash {}",
            content.len(),
            input.bytes,
            input.hash
        )));
    }
    report.finish(
        step,
        json!({ "node": lots.fetcher, "bytes": content.len(), "hash": hash.to_hex().as_str() }),
        &format!("node {} has the same file, by its hash", lots.fetcher),
    );
    Ok(())
}

async fn compute(
    network: &Network,
    lots: &Lots,
    input: &Input,
    capability: &str,
    folder: &Path,
    report: &mut Report,
) -> Result<Computed, NodeError> {
    let step = report.begin("compute", "counting words on all nodes");
    let program = folder.join("wordcount.wasm");
    std::fs::write(&program, toktok_tdc::engine::conformance::WORDCOUNT)
        .map_err(|source| NodeError::File { path: program.clone(), source })?;
    let mut piece = (input.bytes / PIECES).clamp(*PIECE_BYTES.start(), *PIECE_BYTES.end());
    let others = lots.nodes - lots.killed.len() - 1;
    let mut runs = 0;
    let mut liars: Vec<String> = Vec::new();
    let computed = loop {
        let command = Command::Compute {
            program: program.clone(),
            input: capability.to_owned(),
            piece,
            replicas: 2,
            unit_timeout: UNIT_TIMEOUT,
            one_network: true,
        };
        let reply =
            network.ask(lots.originator, command, |done, total| step.set(done, total)).await?;
        let Reply::Computed(mut computed) = reply else {
            return Err(NodeError::Demo(format!("the node computed nothing: {reply:?}")));
        };
        runs += 1;
        let took_part = computed.workers + liars.len();
        liars.append(&mut computed.liars);
        // Who was connected late found nothing left to do: smaller pieces last longer.
        if took_part >= others || runs == MAX_RUNS {
            computed.liars = liars;
            break computed;
        }
        piece = (piece / 2).max(1);
    };
    let words = count::Words::parse(&computed.result).map_err(NodeError::Demo)?;
    let liars = network.numbers(&computed.liars);
    report.finish(
        step,
        json!({
            "node": lots.originator,
            "units": computed.units,
            "executions": computed.executions,
            "arbitrations": computed.arbitrations,
            "workers": computed.workers,
            "runs": runs,
            "liars": liars,
            "words": words.total(),
            "distinct_words": words.distinct(),
            "top": words.top(TOP),
        }),
        &format!(
            "{} words, {} distinct, in {} pieces run {} times; lied: {liars:?}",
            words.total(),
            words.distinct(),
            computed.units,
            computed.executions,
        ),
    );
    Ok(computed)
}

/// Everything as it should be: the result is the true one, and just the liar was found out.
fn check(
    network: &Network,
    lots: &Lots,
    input: &Input,
    computed: &Computed,
    report: &mut Report,
) -> Result<(), NodeError> {
    let step = report.begin("check", "comparing with the truth");
    let words = count::Words::parse(&computed.result).map_err(NodeError::Demo)?;
    if words != input.words {
        return Err(NodeError::Demo(format!(
            "the result is wrong: {} words, where the file has {}",
            words.total(),
            input.words.total()
        )));
    }
    let liars = network.numbers(&computed.liars);
    if liars != [lots.liar] {
        return Err(NodeError::Demo(format!("node {} lied, found out: {liars:?}", lots.liar)));
    }
    let most = words.top(TOP);
    let shown: Vec<String> = most.iter().map(|(word, count)| format!("{word} {count}")).collect();
    report.finish(
        step,
        json!({ "words": words.total(), "liar": lots.liar }),
        &format!(
            "the result is the true one, and node {} lied; most frequent: {}",
            lots.liar,
            shown.join(", ")
        ),
    );
    Ok(())
}

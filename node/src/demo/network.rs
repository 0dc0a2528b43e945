//! The demo's nodes: separate processes of `toktok run`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command as Program};

use super::lots::Lots;
use crate::api::client::ask;
use crate::api::{Command, Reply, Status};
use crate::error::NodeError;

/// How long one process may take to say that it runs.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// How often the nodes are asked whether they have found each other.
const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// Neighbours that a node needs before the demo goes on, or all other nodes if there are fewer.
const ENOUGH_NEIGHBOURS: usize = 6;

/// Running processes, by number; a killed one leaves its place empty.
#[derive(Debug)]
pub(super) struct Network {
    nodes: Vec<Process>,
}

#[derive(Debug)]
struct Process {
    child: Option<Child>,
    data_dir: PathBuf,
    key: String,
}

/// The first line of `toktok run --json`.
#[derive(Deserialize)]
struct Announcement {
    node_key: String,
    udp_port: u16,
}

impl Network {
    /// Starts all nodes: the first alone, the others with its address.
    pub(super) async fn start(folder: &Path, lots: &Lots) -> Result<Self, NodeError> {
        let mut first = launch(folder, 0, lots, None)?;
        let announcement = announced(&mut first, 0).await?;
        let entry = format!("127.0.0.1:{}:{}", announcement.udp_port, announcement.node_key);
        let mut network = Self { nodes: vec![process(folder, 0, first, announcement)] };
        let mut others = Vec::new();
        for number in 1..lots.nodes {
            others.push(launch(folder, number, lots, Some(&entry))?);
        }
        for (index, mut child) in others.into_iter().enumerate() {
            let number = index + 1;
            let announcement = announced(&mut child, number).await?;
            network.nodes.push(process(folder, number, child, announcement));
        }
        Ok(network)
    }

    /// Asks node `number`.
    pub(super) async fn ask(
        &self,
        number: usize,
        command: Command,
        progress: impl FnMut(u64, u64),
    ) -> Result<Reply, NodeError> {
        let node = self.nodes.get(number);
        let node = node.ok_or_else(|| NodeError::Demo(format!("there is no node {number}")))?;
        ask(&node.data_dir, command, progress)
            .await
            .map_err(|error| NodeError::Demo(format!("node {number}: {error}")))
    }

    async fn status(&self, number: usize) -> Result<Status, NodeError> {
        match self.ask(number, Command::Status, |_, _| ()).await? {
            Reply::Status(status) => Ok(status),
            reply => Err(NodeError::Demo(format!("node {number} gave no status: {reply:?}"))),
        }
    }

    /// Waits until every node has neighbours enough; returns the fewest that one has.
    pub(super) async fn wait_until_joined(&self, patience: Duration) -> Result<usize, NodeError> {
        let enough = ENOUGH_NEIGHBOURS.min(self.nodes.len() - 1);
        let started = Instant::now();
        loop {
            let mut fewest = usize::MAX;
            for number in 0..self.nodes.len() {
                fewest = fewest.min(self.status(number).await?.neighbours);
            }
            if fewest >= enough {
                return Ok(fewest);
            }
            if started.elapsed() > patience {
                return Err(NodeError::Demo(format!(
                    "after {} s a node still has only {fewest} neighbours",
                    patience.as_secs()
                )));
            }
            tokio::time::sleep(ASK_INTERVAL).await;
        }
    }

    /// Kills node `number` at once (SIGKILL): it can tell nobody.
    pub(super) async fn kill(&mut self, number: usize) -> Result<(), NodeError> {
        if let Some(mut child) = self.nodes.get_mut(number).and_then(|node| node.child.take()) {
            let killed = child.kill().await;
            killed.map_err(|error| NodeError::Demo(format!("killing node {number}: {error}")))?;
        }
        Ok(())
    }

    /// The numbers of the nodes with these keys, in order.
    pub(super) fn numbers(&self, keys: &[String]) -> Vec<usize> {
        let is_among = |node: &Process| keys.contains(&node.key);
        (0..self.nodes.len()).filter(|&number| is_among(&self.nodes[number])).collect()
    }
}

fn data_dir(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("node-{number}"))
}

fn process(folder: &Path, number: usize, child: Child, announcement: Announcement) -> Process {
    let data_dir = data_dir(folder, number);
    Process { child: Some(child), data_dir, key: announcement.node_key }
}

/// Starts one process, which dies with us: it watches its standard input, and is killed on drop.
fn launch(
    folder: &Path,
    number: usize,
    lots: &Lots,
    entry: Option<&str>,
) -> Result<Child, NodeError> {
    let failed =
        |error: std::io::Error| NodeError::Demo(format!("starting node {number}: {error}"));
    let mut program = Program::new(std::env::current_exe().map_err(failed)?);
    program
        .args([
            "run",
            "--json",
            "--until-stdin-closes",
            "--bind",
            "127.0.0.1",
            "--udp-port",
            "0",
            "--no-lan",
        ])
        .arg("--data-dir")
        .arg(data_dir(folder, number))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    if std::env::var_os("RUST_LOG").is_none() {
        // The demo tells itself what it shows: a warning of a node would tear its lines apart.
        program.env("RUST_LOG", "error");
    }
    if let Some(entry) = entry {
        program.args(["--bootstrap", entry]);
    }
    if number == lots.liar {
        program.args(["--fault", "lie"]);
    }
    program.spawn().map_err(failed)
}

/// Reads the line by which a node says that it runs.
async fn announced(child: &mut Child, number: usize) -> Result<Announcement, NodeError> {
    let failed = |reason: String| NodeError::Demo(format!("node {number} did not start: {reason}"));
    let stdout = child.stdout.take().ok_or_else(|| failed("it has no output".to_owned()))?;
    let mut line = String::new();
    let mut reader = BufReader::new(stdout);
    match tokio::time::timeout(START_PATIENCE, reader.read_line(&mut line)).await {
        Ok(Ok(_)) => {
            serde_json::from_str(&line).map_err(|error| failed(format!("{error}: {line:?}")))
        }
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("it says nothing".to_owned())),
    }
}

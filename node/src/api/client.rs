//! The command's end of the control socket.

use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Command, Computed, MAX_LINE, Reply, Request, Status};
use crate::cli::{Client, ComputeArgs, GetArgs, PutArgs};
use crate::data_dir::DataDir;
use crate::error::NodeError;
use crate::output::{self, Bar};

/// Sends `command` to the node of `data_dir` and returns its last reply; the others go to `progress`.
pub(crate) async fn ask(
    data_dir: &Path,
    command: Command,
    mut progress: impl FnMut(u64, u64),
) -> Result<Reply, NodeError> {
    let steps = |reply| {
        if let Reply::Progress { done, total } = reply {
            progress(done, total);
        }
    };
    converse(data_dir, command, steps).await
}

/// Sends `command` to the node of `data_dir` and returns its last reply; those on the way go to `steps`.
pub(super) async fn converse(
    data_dir: &Path,
    command: Command,
    mut steps: impl FnMut(Reply),
) -> Result<Reply, NodeError> {
    let api = DataDir::existing(data_dir).read_api()?;
    let mut stream = TcpStream::connect(api.address)
        .await
        .map_err(|_| NodeError::NotRunning { path: data_dir.to_owned() })?;
    let broken = |error: &dyn std::fmt::Display| NodeError::Api(error.to_string());
    let request = Request { token: api.token, command };
    let mut line = serde_json::to_vec(&request).map_err(|error| broken(&error))?;
    line.push(b'\n');
    stream.write_all(&line).await.map_err(|error| broken(&error))?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        let read = (&mut reader).take(MAX_LINE).read_line(&mut line).await;
        if read.map_err(|error| broken(&error))? == 0 {
            return Err(NodeError::Failed("the node has stopped".to_owned()));
        }
        match serde_json::from_str(&line).map_err(|error| broken(&error))? {
            step @ (Reply::Progress { .. } | Reply::Entry(_)) => steps(step),
            Reply::Failed { error } => return Err(NodeError::Failed(error)),
            reply => return Ok(reply),
        }
    }
}

/// Asks with a progress bar.
async fn ask_with_bar(client: &Client, title: &str, command: Command) -> Result<Reply, NodeError> {
    let bar = Bar::new(title, client.json);
    ask(&client.data_dir, command, |done, total| bar.set(done, total)).await
}

pub(super) fn unexpected(reply: &Reply) -> NodeError {
    NodeError::Api(format!("an unexpected answer: {reply:?}"))
}

/// A path as the node, which may run in another folder, must be told it.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, NodeError> {
    std::path::absolute(path).map_err(|source| NodeError::File { path: path.to_owned(), source })
}

async fn ask_status(client: &Client) -> Result<Status, NodeError> {
    match ask(&client.data_dir, Command::Status, |_, _| ()).await? {
        Reply::Status(status) => Ok(status),
        reply => Err(unexpected(&reply)),
    }
}

fn port(port: Option<u16>) -> String {
    port.map_or_else(|| "off".to_owned(), |port| port.to_string())
}

pub(crate) async fn id(client: &Client) -> Result<(), NodeError> {
    let status = ask_status(client).await?;
    if client.json {
        output::json(&json!({
            "node_key": status.node_key,
            "tox_id": status.tox_id,
            "udp_port": status.udp_port,
        }));
    } else {
        output::line(&format!("Tox ID    {}", status.tox_id));
        output::line(&format!("node key  {}", status.node_key));
        output::line(&format!("UDP port  {}", port(status.udp_port)));
    }
    Ok(())
}

pub(crate) async fn status(client: &Client) -> Result<(), NodeError> {
    let status = ask_status(client).await?;
    if client.json {
        output::json(&status);
        return Ok(());
    }
    output::line(&format!("Tox ID      {}", status.tox_id));
    output::line(&format!("friends     {} online", status.friends_online));
    output::line(&format!("node key    {}", status.node_key));
    output::line(&format!("UDP port    {}", port(status.udp_port)));
    let relays: Vec<String> = status.tcp_relay_ports.iter().map(u16::to_string).collect();
    if !relays.is_empty() {
        let (ports, clients) = (relays.join(", "), status.relay_clients);
        output::line(&format!("TCP relay   ports {ports}, {clients} clients"));
    }
    output::line(&format!("DHT nodes   {}", status.dht_nodes));
    output::line(&format!("sessions    {}", status.sessions));
    output::line(&format!("neighbours  {}", status.neighbours));
    output::line(&format!("workers     {}", status.workers));
    output::line(&format!("stored      {} blocks, {} bytes", status.blocks, status.bytes));
    output::line(&format!("dropped     {} packets", status.dropped));
    Ok(())
}

pub(crate) async fn put(args: &PutArgs) -> Result<(), NodeError> {
    let command = Command::Put { path: absolute(&args.file)? };
    match ask_with_bar(&args.client, "storing", command).await? {
        Reply::Stored { capability, bytes } if args.client.json => {
            output::json(&json!({ "capability": capability, "bytes": bytes }));
        }
        Reply::Stored { capability, .. } => output::line(&capability),
        reply => return Err(unexpected(&reply)),
    }
    Ok(())
}

pub(crate) async fn get(args: &GetArgs) -> Result<(), NodeError> {
    let path = absolute(&args.output)?;
    let command = Command::Get { capability: args.capability.clone(), path };
    match ask_with_bar(&args.client, "fetching", command).await? {
        Reply::Fetched { bytes } if args.client.json => output::json(&json!({ "bytes": bytes })),
        Reply::Fetched { bytes } => {
            output::line(&format!("{bytes} bytes in {}", args.output.display()));
        }
        reply => return Err(unexpected(&reply)),
    }
    Ok(())
}

pub(crate) async fn compute(args: &ComputeArgs) -> Result<(), NodeError> {
    let command = Command::Compute {
        program: absolute(&args.program)?,
        input: args.input.clone(),
        piece: args.piece,
        replicas: args.replicas,
        unit_timeout: args.unit_timeout,
        one_network: args.one_network,
    };
    match ask_with_bar(&args.client, "computing", command).await? {
        Reply::Computed(computed) => report(args, &computed),
        reply => Err(unexpected(&reply)),
    }
}

fn report(args: &ComputeArgs, computed: &Computed) -> Result<(), NodeError> {
    if let Some(path) = &args.output {
        std::fs::write(path, &computed.result)
            .map_err(|source| NodeError::File { path: path.clone(), source })?;
    }
    if args.client.json {
        output::json(computed);
    } else if args.output.is_none() {
        output::line(computed.result.trim_end());
    }
    for liar in &computed.liars {
        eprintln!("toktok: {liar} gave a wrong result and is banned");
    }
    Ok(())
}

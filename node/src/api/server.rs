//! The node's end of the control socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use super::{Command, Reply, Request};
use crate::error::NodeError;
use crate::node::{ComputeRequest, Node, Progress};

/// Commands served at once; more wait.
const MAX_CONNECTIONS: usize = 32;

/// Longest request line in bytes: paths and a capability.
const MAX_REQUEST: u64 = 64 << 10;

/// How long a connection may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Progress lines that wait for a slow reader; more are skipped, for the next one says more.
const PROGRESS_QUEUE: usize = 16;

/// Listens on a free port of loopback.
pub(crate) struct Server {
    listener: TcpListener,
    token: String,
    node: Arc<Node>,
}

impl Server {
    pub(crate) async fn bind(node: Arc<Node>, token: String) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self { listener, token, node })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is dropped.
    pub(crate) async fn serve(self) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let token: Arc<str> = self.token.into();
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (node, token) = (Arc::clone(&self.node), Arc::clone(&token));
                    tokio::spawn(async move {
                        if let Err(error) = converse(stream, &node, &token).await {
                            tracing::debug!(%error, "a control connection ended early");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket does not accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn converse(stream: TcpStream, node: &Node, token: &str) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(MAX_REQUEST));
    tokio::time::timeout(REQUEST_TIMEOUT, reader.read_line(&mut line)).await??;
    let reply = match serde_json::from_str::<Request>(&line) {
        Ok(request) if same(request.token.as_bytes(), token.as_bytes()) => {
            let (progress, mut steps) = mpsc::channel(PROGRESS_QUEUE);
            let work = execute(node, request.command, progress);
            tokio::pin!(work);
            loop {
                tokio::select! {
                    Some((done, total)) = steps.recv() => {
                        write(&mut writer, &Reply::Progress { done, total }).await?;
                    }
                    reply = &mut work => break reply,
                }
            }
        }
        Ok(_) => Reply::Failed { error: "the token is not this node's".to_owned() },
        Err(error) => Reply::Failed { error: format!("not a request: {error}") },
    };
    write(&mut writer, &reply).await
}

/// Compares without telling by its duration where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

async fn write(writer: &mut (impl AsyncWriteExt + Unpin), reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

async fn execute(node: &Node, command: Command, progress: mpsc::Sender<(u64, u64)>) -> Reply {
    let progress: Progress = Box::new(move |done, total| {
        let _ = progress.try_send((done, total));
    });
    perform(node, command, progress)
        .await
        .unwrap_or_else(|error| Reply::Failed { error: error.to_string() })
}

async fn perform(node: &Node, command: Command, progress: Progress) -> Result<Reply, NodeError> {
    Ok(match command {
        Command::Status => Reply::Status(node.status().await?),
        Command::Put { path } => {
            let (capability, bytes) = node.put(&path, progress).await?;
            Reply::Stored { capability, bytes }
        }
        Command::Get { capability, path } => {
            Reply::Fetched { bytes: node.get(&capability, &path, progress).await? }
        }
        Command::Compute { program, input, piece, replicas, unit_timeout, one_network } => {
            let unit_timeout = Duration::from_secs(unit_timeout);
            let request =
                ComputeRequest { program, input, piece, replicas, unit_timeout, one_network };
            Reply::Computed(node.compute(request, progress).await?)
        }
    })
}

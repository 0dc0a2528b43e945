//! The node's end of the control socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, mpsc};
use toktok_mesh::messenger::MessageKind;

use super::{Command, PersonCommand, Reply, Request, Status};
use crate::error::NodeError;
use crate::node::{ComputeRequest, Node, Progress};
use crate::person::Person;

/// Commands served at once; more wait.
const MAX_CONNECTIONS: usize = 32;

/// Longest request line in bytes: paths and a capability.
const MAX_REQUEST: u64 = 64 << 10;

/// How long a connection may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Lines that wait for a slow reader. Of progress more are skipped, for the next one says more.
const PROGRESS_QUEUE: usize = 16;

/// Listens on a free port of loopback.
pub(crate) struct Server {
    listener: TcpListener,
    token: String,
    cores: Arc<Cores>,
}

/// What commands are carried out with.
#[derive(Debug)]
pub(crate) struct Cores {
    /// The provider; none without UDP.
    pub(crate) node: Option<Node>,
    /// The person.
    pub(crate) person: Person,
}

impl Cores {
    fn node(&self) -> Result<&Node, NodeError> {
        let why = "this node runs without UDP, and can neither store nor compute: start it without \
                   `--udp-port off`";
        self.node.as_ref().ok_or_else(|| NodeError::Failed(why.to_owned()))
    }

    async fn status(&self) -> Result<Status, NodeError> {
        let mut status = match &self.node {
            Some(node) => node.status().await?,
            None => Status::default(),
        };
        status.tox_id = self.person.tox_id().await?;
        let friends = self.person.friends().await?;
        status.friends_online = friends.iter().filter(|friend| friend.online).count();
        Ok(status)
    }
}

impl Server {
    pub(crate) async fn bind(cores: Arc<Cores>, token: String) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self { listener, token, cores })
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
                    let (cores, token) = (Arc::clone(&self.cores), Arc::clone(&token));
                    tokio::spawn(async move {
                        if let Err(error) = converse(stream, &cores, &token).await {
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

async fn converse(stream: TcpStream, cores: &Cores, token: &str) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(MAX_REQUEST));
    tokio::time::timeout(REQUEST_TIMEOUT, reader.read_line(&mut line)).await??;
    let reply = match serde_json::from_str::<Request>(&line) {
        Ok(request) if same(request.token.as_bytes(), token.as_bytes()) => {
            let (progress, mut steps) = mpsc::channel(PROGRESS_QUEUE);
            let work = execute(cores, request.command, progress);
            tokio::pin!(work);
            let reply = loop {
                tokio::select! {
                    Some(step) = steps.recv() => write(&mut writer, &step).await?,
                    reply = &mut work => break reply,
                }
            };
            while let Ok(step) = steps.try_recv() {
                write(&mut writer, &step).await?;
            }
            reply
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

async fn execute(cores: &Cores, command: Command, steps: mpsc::Sender<Reply>) -> Reply {
    let done = match command {
        Command::Status => cores.status().await.map(Reply::Status),
        Command::Person(command) => perform_as_person(&cores.person, command, steps).await,
        command => perform(cores, command, steps).await,
    };
    done.unwrap_or_else(|error| Reply::Failed { error: error.to_string() })
}

async fn perform(
    cores: &Cores,
    command: Command,
    steps: mpsc::Sender<Reply>,
) -> Result<Reply, NodeError> {
    let progress: Progress = Box::new(move |done, total| {
        let _ = steps.try_send(Reply::Progress { done, total });
    });
    let node = cores.node()?;
    Ok(match command {
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
        Command::Status | Command::Person(_) => Reply::Done,
    })
}

async fn perform_as_person(
    person: &Person,
    command: PersonCommand,
    steps: mpsc::Sender<Reply>,
) -> Result<Reply, NodeError> {
    Ok(match command {
        PersonCommand::AddFriend { tox_id, message } => {
            Reply::FriendAsked { key: person.add_friend(&tox_id, &message).await? }
        }
        PersonCommand::ListFriends => Reply::Friends { friends: person.friends().await? },
        PersonCommand::AcceptFriend { key } => done(person.accept_friend(&key).await)?,
        PersonCommand::RemoveFriend { key } => done(person.remove_friend(&key).await)?,
        PersonCommand::SendMessage { key, text } => {
            let id = person.send_message(&key, MessageKind::Normal, text).await?;
            Reply::MessageTaken { id }
        }
        PersonCommand::Log { follow } => tell_log(person, follow, &steps).await?,
        PersonCommand::SendFile { key, path } => {
            Reply::FileTaken { bytes: person.send_file(&key, &path).await? }
        }
        PersonCommand::Keep => done(person.keep().await)?,
        PersonCommand::SetName { name } => done(person.set_name(name).await)?,
        PersonCommand::SetStatusMessage { text } => done(person.set_status_message(text).await)?,
    })
}

fn done(result: Result<(), NodeError>) -> Result<Reply, NodeError> {
    result.map(|()| Reply::Done)
}

/// Tells the log line by line; with `follow`, until nobody reads any more.
async fn tell_log(
    person: &Person,
    follow: bool,
    steps: &mpsc::Sender<Reply>,
) -> Result<Reply, NodeError> {
    let (entries, mut news) = person.log()?;
    for entry in entries {
        if steps.send(Reply::Entry(entry)).await.is_err() {
            return Ok(Reply::Done);
        }
    }
    if !follow {
        return Ok(Reply::Done);
    }
    loop {
        match news.recv().await {
            Ok(entry) => {
                if steps.send(Reply::Entry(entry)).await.is_err() {
                    return Ok(Reply::Done);
                }
            }
            // Whoever reads that slowly misses some; the file has them all.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Ok(Reply::Done),
        }
    }
}

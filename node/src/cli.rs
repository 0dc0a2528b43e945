//! The command line: what a person can ask for, and nothing of how it is done.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use toktok_mesh::{Proxy, PublicKey};

use crate::api::{client, person_client};
use crate::error::NodeError;
use crate::node::Fault;
use crate::person::GREETING;
use crate::{demo, output, run, saves};

/// Message, store and compute without servers: a node of the TokTok network, and the commands that
/// talk to it.
#[derive(Debug, Parser)]
#[command(name = "toktok", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node in the foreground until SIGINT or SIGTERM.
    Run(RunArgs),
    /// Show the running node's keys and addresses.
    Id(Client),
    /// Show what the running node is doing.
    Status(Client),
    /// Store a file in the network and print the capability that fetches it.
    Put(PutArgs),
    /// Fetch a file by its capability.
    Get(GetArgs),
    /// Run a WebAssembly program over a stored file, in pieces, on other nodes.
    Compute(ComputeArgs),
    /// Friends: ask, list, accept, remove.
    #[command(subcommand)]
    Friend(FriendCommand),
    /// Messages: send one, read what came.
    #[command(subcommand)]
    Message(MessageCommand),
    /// Files: send one to a friend; those that come go to `received` in the data folder.
    #[command(subcommand)]
    File(FileCommand),
    /// Take another name, which friends see.
    Name(TextArgs),
    /// Say something of yourself, which friends see.
    StatusMessage(TextArgs),
    /// Become who a Tox client's save file says: that of qTox, toxic, or another node.
    ImportSave(ImportArgs),
    /// Write a save file that Tox clients read: the identity, its friends, and where the network is.
    ExportSave(ExportArgs),
    /// Show it all on this machine: a network of processes, a file, failures, a liar, a result.
    Demo(DemoArgs),
    /// Execute one work unit from standard input: what a node starts for each program, in a process
    /// of its own under resource limits.
    #[command(name = "__execute", hide = true)]
    Execute,
}

/// `toktok run`
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The folder of the node's key, blocks and control socket; made if it is not there.
    #[arg(long)]
    pub(crate) data_dir: PathBuf,
    /// A node to begin with; may be given several times.
    #[arg(long, value_name = "HOST:PORT:KEYHEX")]
    pub(crate) bootstrap: Vec<BootstrapNode>,
    /// The UDP port; 0 means any free one. `off` means that the node serves nobody.
    #[arg(long, default_value = "33445", value_name = "PORT|off", overrides_with = "udp_port")]
    pub(crate) udp_port: UdpPort,
    /// A TCP port at which to be a relay for those without UDP; 0 means any free one. May be given
    /// several times.
    #[arg(long, value_name = "PORT")]
    pub(crate) tcp_relay_port: Vec<u16>,
    /// A TCP relay for you as a person; may be given several times.
    #[arg(long, value_name = "HOST:PORT:KEYHEX")]
    pub(crate) tcp_relay: Vec<BootstrapNode>,
    /// A proxy for you as a person: `socks5://HOST:PORT` or `http://HOST:PORT`. There is no UDP then.
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<ProxyUrl>,
    /// Let onion paths be shorter than three nodes where no more are known: for very small networks.
    #[arg(long)]
    pub(crate) allow_short_paths: bool,
    /// Who asks for friendship gets it.
    #[arg(long)]
    pub(crate) auto_accept: bool,
    /// No LAN discovery: neither tell the local network of this node, nor hear of others there.
    #[arg(long)]
    pub(crate) no_lan: bool,
    /// What the node says of itself to whoever asks for its bootstrap info.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) motd: String,
    /// The address to bind, one of each family; all interfaces and both families if not given.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bind: Vec<IpAddr>,
    /// Disk space to give to the network, in MiB.
    #[arg(long, default_value_t = 4096, value_name = "MIB")]
    pub(crate) give: u64,
    /// Work units to run at once for others; 0 means none.
    #[arg(long, default_value_t = 1)]
    pub(crate) slots: usize,
    /// Print JSON: first one object with the node's key, ports and control address.
    #[arg(long)]
    pub(crate) json: bool,
    /// Stop when standard input ends: a node that must not outlive its starter.
    #[arg(long, hide = true)]
    pub(crate) until_stdin_closes: bool,
    /// Misbehave on purpose, to show that others notice.
    #[arg(long, hide = true)]
    pub(crate) fault: Option<Fault>,
}

/// How to reach the running node.
#[derive(Args, Clone, Debug)]
pub(crate) struct Client {
    /// The data folder of the node.
    #[arg(long)]
    pub(crate) data_dir: PathBuf,
    /// Print JSON, one object a step.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `toktok import-save`
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) client: Client,
    /// The save file, plain or sealed with a password.
    pub(crate) file: PathBuf,
    /// Read the password from the first line of this file instead of asking on the terminal.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Move an identity that is in the data folder already aside.
    #[arg(long)]
    pub(crate) replace: bool,
}

/// `toktok export-save`
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) client: Client,
    /// Where to write the save file; nothing may be there yet.
    pub(crate) file: PathBuf,
    /// Seal it with the password in the first line of this file instead of asking on the terminal.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Do not seal it: who has the file is you.
    #[arg(long, conflicts_with = "password_file")]
    pub(crate) plain: bool,
}

/// `toktok put`
#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    #[command(flatten)]
    pub(crate) client: Client,
    /// The file to store.
    pub(crate) file: PathBuf,
}

/// `toktok get`
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) client: Client,
    /// The capability that `put` printed.
    pub(crate) capability: String,
    /// Where to write the file.
    #[arg(long, short)]
    pub(crate) output: PathBuf,
}

/// `toktok compute`
#[derive(Debug, Args)]
pub(crate) struct ComputeArgs {
    #[command(flatten)]
    pub(crate) client: Client,
    /// The program: a WebAssembly module that reads standard input and writes standard output.
    pub(crate) program: PathBuf,
    /// The capability of the file to compute over.
    pub(crate) input: String,
    /// Where to write the result; standard output if not given.
    #[arg(long, short)]
    pub(crate) output: Option<PathBuf>,
    /// How many different nodes run each piece.
    #[arg(long, default_value_t = 2)]
    pub(crate) replicas: u32,
    /// Bytes of input a piece.
    #[arg(long, default_value_t = 64 << 10, value_name = "BYTES")]
    pub(crate) piece: u64,
    /// Seconds that one piece may run before it is killed.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(crate) unit_timeout: u64,
    /// Let nodes of one network run both copies of a piece: for your own machines, not for strangers.
    #[arg(long)]
    pub(crate) one_network: bool,
}

/// `toktok friend`
#[derive(Debug, Subcommand)]
pub(crate) enum FriendCommand {
    /// Ask the owner of a Tox ID for friendship.
    Add {
        #[command(flatten)]
        client: Client,
        /// The Tox ID: 76 hexadecimal digits.
        tox_id: String,
        /// What to say.
        #[arg(long, default_value = GREETING)]
        message: String,
    },
    /// Show all friends, and who wants to be one.
    List(Client),
    /// Say yes to a friend request.
    Accept(KeyArgs),
    /// End a friendship, or refuse a request.
    Remove(KeyArgs),
}

/// `toktok message`
#[derive(Debug, Subcommand)]
pub(crate) enum MessageCommand {
    /// Send a message, now or when the friend is there.
    Send {
        #[command(flatten)]
        client: Client,
        /// The friend's key.
        key: String,
        /// What it says.
        text: String,
    },
    /// Show what happened between you and your friends.
    Log {
        #[command(flatten)]
        client: Client,
        /// Go on with what happens from now on.
        #[arg(long)]
        follow: bool,
    },
}

/// `toktok file`
#[derive(Debug, Subcommand)]
pub(crate) enum FileCommand {
    /// Send a file, now or when the friend is there.
    Send {
        #[command(flatten)]
        client: Client,
        /// The friend's key.
        key: String,
        /// The file.
        path: PathBuf,
    },
}

/// A friend by its key.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    #[command(flatten)]
    pub(crate) client: Client,
    /// The friend's key: 64 hexadecimal digits.
    pub(crate) key: String,
}

/// A text that friends see.
#[derive(Debug, Args)]
pub(crate) struct TextArgs {
    #[command(flatten)]
    pub(crate) client: Client,
    /// The text.
    pub(crate) text: String,
}

/// A proxy as people write it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ProxyUrl(pub(crate) Proxy);

impl FromStr for ProxyUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, endpoint) =
            text.split_once("://").ok_or("expected socks5://HOST:PORT or http://HOST:PORT")?;
        let mut found = std::net::ToSocketAddrs::to_socket_addrs(endpoint)
            .map_err(|error| format!("the proxy's address {endpoint}: {error}"))?;
        let address = found.next().ok_or_else(|| format!("{endpoint} has no address"))?;
        match scheme {
            "socks5" => Ok(Self(Proxy::Socks5(address))),
            "http" => Ok(Self(Proxy::Http(address))),
            _ => Err(format!("{scheme} is no kind of proxy: use socks5 or http")),
        }
    }
}

/// A UDP port, or none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct UdpPort(pub(crate) Option<u16>);

impl FromStr for UdpPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let port = text.parse().map_err(|_| "expected a port from 0 to 65535, or `off`")?;
        Ok(Self(Some(port)))
    }
}

/// `toktok demo`
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The file to store and compute over; a text made from this machine's licence texts if not given.
    pub(crate) file: Option<PathBuf>,
    /// How many nodes, each a process of its own.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(8..=64))]
    pub(crate) nodes: u16,
    /// What is drawn by lot (who stores, who dies, who lies) is drawn from this number.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Print JSON, one object a step.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A node to begin with: `HOST:PORT:KEYHEX`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BootstrapNode {
    /// Where it is.
    pub address: SocketAddr,
    /// Its key.
    pub key: PublicKey,
}

impl FromStr for BootstrapNode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (endpoint, key) = text.rsplit_once(':').ok_or("expected HOST:PORT:KEYHEX")?;
        let key = key.parse().map_err(|error| format!("the key: {error}"))?;
        let mut found = std::net::ToSocketAddrs::to_socket_addrs(endpoint)
            .map_err(|error| format!("the address {endpoint}: {error}"))?;
        let address = found.next().ok_or_else(|| format!("{endpoint} has no address"))?;
        Ok(Self { address, key })
    }
}

/// Parses the arguments, does what they say, prints what came of it.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Execute = cli.command {
        return toktok_tdc::engine::child_main();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::failure(&NodeError::Runtime(error)),
    };
    let outcome = runtime.block_on(dispatch(cli.command));
    // Workers may be in the middle of a disk write; a process that ends does not wait for more.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::failure(&error),
    }
}

async fn dispatch(command: Command) -> Result<(), NodeError> {
    match command {
        Command::Run(args) => run::run(args).await,
        Command::Id(args) => client::id(&args).await,
        Command::Status(args) => client::status(&args).await,
        Command::Put(args) => client::put(&args).await,
        Command::Get(args) => client::get(&args).await,
        Command::Compute(args) => client::compute(&args).await,
        Command::Friend(command) => person_client::friend(command).await,
        Command::Message(command) => person_client::message(command).await,
        Command::File(command) => person_client::file(command).await,
        Command::Name(args) => person_client::name(args).await,
        Command::StatusMessage(args) => person_client::status_message(args).await,
        Command::ImportSave(args) => saves::import(&args),
        Command::ExportSave(args) => saves::export(&args).await,
        Command::Demo(args) => demo::demo(args).await,
        // Handled before the runtime was started: the child needs none.
        Command::Execute => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn bootstrap_nodes_say_what_is_wrong() {
        let key = "ab".repeat(32);
        let node: BootstrapNode = format!("127.0.0.1:33445:{key}").parse().unwrap();
        assert_eq!(node.address, "127.0.0.1:33445".parse().unwrap());
        assert!("127.0.0.1".parse::<BootstrapNode>().unwrap_err().contains("HOST:PORT"));
        let short = "127.0.0.1:1:abcd".parse::<BootstrapNode>().unwrap_err();
        assert!(short.contains("64"), "{short}");
    }
}

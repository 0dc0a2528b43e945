//! The person's core of a node: an identity with friends, messages and files. It shares nothing with
//! the provider's core but the machine: its keys, sockets and randomness are its own, and its DHT key
//! is another one each run, so that nothing that leaves the machine links the two.

mod changes;
mod clerk;
mod disk;
pub mod log;
mod store;
pub(crate) mod transfer;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc};
use toktok_mesh::messenger::{FileKind, FileOffer, MessageKind, Messenger};
use toktok_mesh::runtime::{
    Binding, Clock, Driver, Handle, Transport, follow_interfaces, system_rng,
};
use toktok_mesh::{Address, Config, KeyPair, Proxy, PublicKey, Time};
use toktok_wire::ToxId;
use toktok_wire::save::Save;

use self::changes::Changes;
use self::disk::{Disk, Place};
use self::log::{Entry, Happening, Log, Way};
use self::store::{Snapshot, Store};
use crate::error::NodeError;

/// What is said in a friend request if nothing else is.
pub(crate) const GREETING: &str = "Let us be friends.";

/// Friend requests that wait for an answer at most.
const MAX_REQUESTS: usize = 32;

/// A person's core to be started.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PersonConfig {
    /// The node's folder.
    pub folder: PathBuf,
    /// Where to listen for UDP; without that there are TCP relays only.
    pub udp: Option<Binding>,
    /// Take part in LAN discovery.
    pub lan_discovery: bool,
    /// The node key of the provider's core on the same machine: the person has nothing to do with it.
    pub provider: Option<PublicKey>,
    /// TCP relays to use, by their DHT keys.
    pub relays: Vec<(SocketAddr, PublicKey)>,
    /// The proxy to reach them through.
    pub proxy: Option<Proxy>,
    /// Nodes to begin with.
    pub bootstrap: Vec<(Address, PublicKey)>,
    /// See [`Config::allow_short_paths`].
    pub allow_short_paths: bool,
    /// Who asks for friendship gets it.
    pub auto_accept: bool,
}

impl PersonConfig {
    /// A person who keeps everything in this folder, on any free UDP port, and knows no node.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            udp: Some(Binding::any(0)),
            lan_discovery: false,
            provider: None,
            relays: Vec::new(),
            proxy: None,
            bootstrap: Vec::new(),
            allow_short_paths: false,
            auto_accept: false,
        }
    }
}

/// A friend as the person sees it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct FriendInfo {
    /// The long-term key in hexadecimal.
    pub key: String,
    /// What the friend calls itself.
    pub name: String,
    /// What it says of itself.
    pub status_message: String,
    /// Its client is there.
    pub online: bool,
    /// It has asked for friendship, and waits for `toktok friend accept`.
    pub asks: bool,
    /// What it said when it asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request: String,
    /// Seconds since 1970; 0 if it was never there.
    pub last_seen: u64,
}

/// What all tasks of a person share.
struct Shared {
    handle: Handle<Messenger>,
    /// The save as it was read: what the messenger knows nothing of stays in it.
    save: Save,
    store: Store,
    log: Log,
    disk: Disk,
    requests: Mutex<BTreeMap<String, String>>,
    changes: Changes,
    auto_accept: bool,
}

/// A running person's core. It stops when it is dropped.
pub struct Person {
    shared: Arc<Shared>,
    /// They end with it.
    _tasks: tokio::task::JoinSet<()>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Person({})", self.shared.save.keys.public)
    }
}

impl Person {
    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    /// [`NodeError::KeyFile`] or [`NodeError::DataDir`] for files that cannot be used,
    /// [`NodeError::Start`] if a socket or randomness cannot be had.
    pub async fn start(config: PersonConfig) -> Result<Self, NodeError> {
        let mut rng = system_rng().map_err(start_error)?;
        let store = Store::new(&config.folder);
        let save = store.load(&mut rng)?;
        let log_path = store.log();
        let log = Log::open(log_path.clone())
            .map_err(|source| NodeError::DataDir { path: log_path, source })?;
        let clock = Clock::start();
        let mut messenger = messenger(&config, &save, &rng, &clock);
        let unfinished = store.unfinished();
        let disk = Disk::default();
        disk.restore(store.places(), unfinished.transfers().map(|(_, transfer)| transfer));
        messenger.restore(unfinished);
        let (events, inbox) = mpsc::unbounded_channel();
        let worker = disk.clone();
        let mut transports: Vec<Box<dyn Transport>> = Vec::new();
        if let Some(binding) = config.udp {
            let sockets = binding.udp().map_err(start_error)?;
            transports.extend(sockets.into_iter().map(|it| Box::new(it) as _));
        }
        let handle = Driver::new(messenger, clock, transports)
            .on_event(move |event| drop(events.send(event)))
            .on_io(move |request, reply| worker.run(request, reply))
            .spawn();
        if config.lan_discovery {
            follow_interfaces(&handle, |messenger| messenger.stack_mut());
        }
        let shared = Arc::new(Shared {
            handle,
            save,
            requests: Mutex::new(store.requests()),
            store,
            log,
            disk,
            changes: Changes::default(),
            auto_accept: config.auto_accept,
        });
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(clerk::attend(Arc::clone(&shared), inbox));
        tasks.spawn(clerk::keep(Arc::clone(&shared)));
        Ok(Self { shared, _tasks: tasks })
    }

    /// What others need to ask for friendship.
    ///
    /// # Errors
    /// [`NodeError::Failed`] if it has stopped.
    pub async fn tox_id(&self) -> Result<String, NodeError> {
        let id = self.call(|messenger, _| messenger.stack().tox_id()).await?;
        Ok(id.map_or_else(String::new, |id| id.to_string()))
    }

    /// All friends, and those who want to be.
    ///
    /// # Errors
    /// [`NodeError::Failed`] if it has stopped.
    pub async fn friends(&self) -> Result<Vec<FriendInfo>, NodeError> {
        let mut friends = self.call(|messenger, _| known(messenger)).await?;
        friends.extend(self.shared.requests().iter().map(|(key, message)| FriendInfo {
            key: key.clone(),
            asks: true,
            request: message.clone(),
            ..FriendInfo::default()
        }));
        Ok(friends)
    }

    /// Asks the owner of a Tox ID for friendship.
    ///
    /// # Errors
    /// [`NodeError::Failed`] if the text is no Tox ID, or there is a reason against it.
    pub async fn add_friend(&self, id: &str, message: &str) -> Result<String, NodeError> {
        let id: ToxId = id.parse().map_err(|error| failed(format!("the Tox ID: {error}")))?;
        let message = message.as_bytes().to_vec();
        let added = self.call(move |it, now| it.request_friend(now, &id, &message)).await?;
        added.map_err(failed)?;
        self.shared.keep_change().await?;
        Ok(id.key.to_string())
    }

    /// Says yes to a friend request, or to somebody whose key is known otherwise.
    ///
    /// # Errors
    /// [`NodeError::Failed`] if the text is no key, or there is a reason against it.
    pub async fn accept_friend(&self, key: &str) -> Result<(), NodeError> {
        self.shared.befriend(parse(key)?).await?;
        self.shared.keep_change().await
    }

    /// Ends a friendship, or refuses a request.
    ///
    /// # Errors
    /// [`NodeError::Failed`] if there is none.
    pub async fn remove_friend(&self, key: &str) -> Result<(), NodeError> {
        let key = parse(key)?;
        let asked = self.shared.forget_request(&key);
        let removed = self.call(move |it, now| it.remove_friend(now, key)).await?;
        if !asked {
            removed.map_err(failed)?;
        }
        self.shared.keep_change().await
    }

    /// Sends a message, now or when the friend is there; returns what the receipt will name.
    ///
    /// # Errors
    /// [`NodeError::Failed`] if the key is no friend's, or the message too long.
    pub async fn send_message(
        &self,
        key: &str,
        kind: MessageKind,
        text: String,
    ) -> Result<u64, NodeError> {
        let key = parse(key)?;
        let bytes = text.clone().into_bytes();
        let id =
            self.call(move |it, _| it.send_message(key, kind, bytes)).await?.map_err(failed)?;
        let kind = kind_name(kind).to_owned();
        self.shared.log.add(key, Happening::Message { way: Way::Out, kind, text, id: Some(id.0) });
        self.shared.keep_change().await?;
        Ok(id.0)
    }

    /// Offers a file, now or when the friend is there; returns its bytes and a way to wait for its end.
    ///
    /// # Errors
    /// [`NodeError::File`] if it cannot be read, [`NodeError::Failed`] if the key is no friend's.
    pub async fn send_file(&self, key: &str, path: &Path) -> Result<u64, NodeError> {
        let key = parse(key)?;
        let file_error = |source| NodeError::File { path: path.to_owned(), source };
        let place = Place::to_send(path.to_owned()).map_err(file_error)?;
        let size = place.bytes();
        if !path.is_file() {
            return Err(file_error(io::ErrorKind::InvalidInput.into()));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned().into_bytes();
        let mut rng = system_rng().map_err(start_error)?;
        let offer = FileOffer { kind: FileKind::DATA, size, file_id: rng.bytes(), name };
        let disk = self.shared.disk.clone();
        let sent = self.call(move |messenger, _| {
            let transfer = messenger.send_file(key, offer)?;
            disk.assign(transfer, place);
            Ok::<_, toktok_mesh::messenger::FileError>(())
        });
        sent.await?.map_err(failed)?;
        self.shared.keep_change().await?;
        Ok(size)
    }

    /// Sets the own name.
    ///
    /// # Errors
    /// [`NodeError::Failed`] if it is too long.
    pub async fn set_name(&self, name: String) -> Result<(), NodeError> {
        self.call(move |it, _| it.set_name(name.as_bytes())).await?.map_err(failed)?;
        self.shared.keep_change().await
    }

    /// Sets the own status message.
    ///
    /// # Errors
    /// [`NodeError::Failed`] if it is too long.
    pub async fn set_status_message(&self, text: String) -> Result<(), NodeError> {
        self.call(move |it, _| it.set_status_message(text.as_bytes())).await?.map_err(failed)?;
        self.shared.keep_change().await
    }

    /// What happened so far, and what will.
    ///
    /// # Errors
    /// [`NodeError::Failed`] if the log cannot be read.
    pub fn log(&self) -> Result<(Vec<Entry>, broadcast::Receiver<Entry>), NodeError> {
        self.shared.log.read().map_err(failed)
    }

    /// Writes everything that the next run needs.
    ///
    /// # Errors
    /// [`NodeError::Failed`] if it cannot be written.
    pub async fn keep(&self) -> Result<(), NodeError> {
        self.shared.keep_change().await
    }

    /// Keeps everything and tells the friends that it goes: to be called before the program ends.
    pub async fn stop(&self) {
        if let Err(error) = self.keep().await {
            tracing::error!(%error);
        }
        let parted = self.call(|messenger, now| {
            let friends: Vec<PublicKey> = messenger.friends().map(|(key, _)| key).collect();
            for friend in friends {
                messenger.stack_mut().disconnect(now, friend);
            }
        });
        // The second call is answered when what the first one has to send is on its way.
        if parted.await.is_ok() {
            let _ = self.call(|_, _| ()).await;
        }
    }

    async fn call<R: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Messenger, Time) -> R + Send + 'static,
    ) -> Result<R, NodeError> {
        self.shared.handle.call(command).await.map_err(failed)
    }
}

impl Shared {
    fn requests(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has changed, and is written before this returns: whoever was told that it is done
    /// finds it so after a power cut.
    async fn keep_change(&self) -> Result<(), NodeError> {
        self.changes.note();
        self.keep().await
    }

    /// Writes everything that the next run needs, if it changed.
    async fn keep(&self) -> Result<(), NodeError> {
        self.changes.keep(async || self.write().await).await
    }

    async fn write(&self) -> Result<(), NodeError> {
        let save = self.save.clone();
        let snapshot = self.handle.call(move |messenger, now| Snapshot::of(messenger, now, &save));
        let snapshot = snapshot.await.map_err(failed)?;
        let (places, requests) = (self.disk.snapshot(), self.requests().clone());
        let store = self.store.clone();
        let written = tokio::task::spawn_blocking(move || {
            store.keep(&snapshot)?;
            store.keep_places(&places)?;
            store.keep_requests(&requests)
        });
        let written = written.await.map_err(failed)?;
        written.map_err(|error| failed(format!("friends and messages cannot be saved: {error}")))
    }

    /// Makes somebody a friend.
    async fn befriend(&self, key: PublicKey) -> Result<(), NodeError> {
        let added =
            self.handle.call(move |it, now| it.add_friend(now, key)).await.map_err(failed)?;
        added.map_err(failed)?;
        self.forget_request(&key);
        Ok(())
    }

    /// True if there was a request of this key.
    fn forget_request(&self, key: &PublicKey) -> bool {
        self.requests().remove(&key.to_string()).is_some()
    }
}

/// The messenger that a save describes, which knows its first nodes.
fn messenger(
    config: &PersonConfig,
    save: &Save,
    rng: &toktok_mesh::Rng,
    clock: &Clock,
) -> Messenger {
    let now = clock.now();
    let mut settings = Config::person();
    settings.allow_short_paths = config.allow_short_paths;
    settings.proxy = config.proxy;
    settings.dht.lan_discovery = config.lan_discovery;
    settings.dht.shunned = config.provider.into_iter().collect();
    settings.epoch = clock.epoch();
    let dht = KeyPair::generate(&mut rng.child("the run's DHT key"));
    let mut messenger = Messenger::new(settings, save.keys.clone(), dht, rng.child("person"), now);
    store::restore(save, &mut messenger, now);
    for (address, key) in &config.bootstrap {
        messenger.stack_mut().bootstrap(now, *address, *key);
    }
    if config.udp.is_none() && config.relays.is_empty() && save.relays.is_empty() {
        tracing::warn!("no UDP, and no TCP relay is known: nobody is reached without --tcp-relay");
    }
    for (address, key) in &config.relays {
        messenger.stack_mut().add_relay(now, *address, *key);
    }
    messenger
}

fn known(messenger: &Messenger) -> Vec<FriendInfo> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let friends = messenger.friends().map(|(key, contact)| FriendInfo {
        key: key.to_string(),
        name: text(&contact.name),
        status_message: text(&contact.status_message),
        online: contact.online,
        asks: false,
        request: String::new(),
        last_seen: contact.last_seen,
    });
    friends.collect()
}

fn kind_name(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Normal => "normal",
        MessageKind::Action => "action",
    }
}

fn parse(key: &str) -> Result<PublicKey, NodeError> {
    key.parse().map_err(|error| failed(format!("the friend's key: {error}")))
}

fn start_error(error: impl fmt::Display) -> NodeError {
    NodeError::Start(error.to_string())
}

fn failed(error: impl fmt::Display) -> NodeError {
    NodeError::Failed(error.to_string())
}

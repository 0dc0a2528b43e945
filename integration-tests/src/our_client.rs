//! One client of ours: a messenger on a driver, with sockets on loopback, as any program would run it.
//! Files are kept in memory.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use toktok_mesh::messenger::{
    FileKind, FileOffer, IoFailed, IoRequest, IoResult, Messenger, MessengerEvent, TransferId,
};
use toktok_mesh::runtime::{Clock, Driver, Handle, Transport, UdpTransport, system_rng};
use toktok_mesh::wire::ToxId;
use toktok_mesh::{Address, Config, KeyPair, PublicKey, Time};

use crate::tox_client::LIMIT;

/// What a client is made of.
#[derive(Debug)]
pub struct Settings {
    /// The identity; a fresh one if there is none.
    pub identity: Option<KeyPair>,
    /// How its mesh behaves.
    pub config: Config,
    /// Without UDP there are TCP relays only.
    pub udp: bool,
    /// The address of its UDP: loopback, unless it lives in a network of its own.
    pub ip: Ipv4Addr,
}

impl Default for Settings {
    fn default() -> Self {
        let mut config = Config::person();
        config.allow_short_paths = true;
        Self { identity: None, config, udp: true, ip: Ipv4Addr::LOCALHOST }
    }
}

/// Bytes of files by their transfers.
type Files = Arc<Mutex<BTreeMap<u64, Vec<u8>>>>;

/// A running client of ours. It ends when dropped.
#[derive(Debug)]
pub struct OurClient {
    name: &'static str,
    handle: Handle<Messenger>,
    events: Arc<Mutex<Vec<MessengerEvent>>>,
    files: Files,
    /// Its long-term keys, to start it again.
    pub identity: KeyPair,
    /// Its DHT key of this run.
    pub dht_key: PublicKey,
    udp: Option<SocketAddr>,
    runtime: Runtime,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads or writes what is kept in memory.
fn perform(files: &Files, request: IoRequest) -> IoResult {
    let mut files = lock(files);
    match request {
        IoRequest::Read { transfer, range } => {
            let bytes = files.get(&transfer.0).ok_or(IoFailed).map(|file| {
                let end = file.len().min(usize::try_from(range.end).unwrap_or(usize::MAX));
                let start = end.min(usize::try_from(range.start).unwrap_or(usize::MAX));
                file[start..end].to_vec().into()
            });
            IoResult::Read(bytes)
        }
        IoRequest::Write { transfer, position, data } => {
            let file = files.entry(transfer.0).or_default();
            let start = usize::try_from(position).unwrap_or(usize::MAX);
            let end = start.saturating_add(data.len());
            if file.len() < end {
                file.resize(end, 0);
            }
            file[start..end].copy_from_slice(&data);
            IoResult::Written(Ok(()))
        }
        _ => IoResult::Written(Err(IoFailed)),
    }
}

impl OurClient {
    /// Starts a client.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(name: &'static str, settings: Settings) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let _guard = runtime.enter();
        let rng = system_rng().unwrap_or_else(|error| panic!("{name}: {error}"));
        let identity =
            settings.identity.unwrap_or_else(|| KeyPair::generate(&mut rng.child("identity")));
        let dht = KeyPair::generate(&mut rng.child("dht"));
        let dht_key = dht.public;
        let mut config = settings.config;
        let clock = Clock::start();
        config.epoch = clock.epoch();
        let messenger =
            Messenger::new(config, identity.clone(), dht, rng.child("client"), clock.now());
        let mut transports: Vec<Box<dyn Transport>> = Vec::new();
        let mut udp = None;
        if settings.udp {
            let transport = UdpTransport::bind((settings.ip, 0).into())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            udp = transport.local_address().as_udp();
            transports.push(Box::new(transport));
        }
        let (events, files) = (Arc::new(Mutex::new(Vec::new())), Files::default());
        let (inbox, disk) = (Arc::clone(&events), Arc::clone(&files));
        let handle = Driver::new(messenger, clock, transports)
            .on_event(move |event| lock(&inbox).push(event))
            .on_io(move |request, reply| reply.send(perform(&disk, request)))
            .spawn();
        drop(_guard);
        Self { name, handle, events, files, identity, dht_key, udp, runtime }
    }

    /// Where its DHT node listens.
    ///
    /// # Panics
    /// If it has no UDP.
    pub fn udp(&self) -> SocketAddr {
        self.udp.unwrap_or_else(|| panic!("{} has no UDP", self.name))
    }

    /// Its long-term public key in hexadecimal.
    pub fn key(&self) -> String {
        self.identity.public.to_string()
    }

    /// Its Tox ID.
    pub fn tox_id(&self) -> ToxId {
        let id = self.call(|messenger, _| messenger.stack().tox_id());
        id.unwrap_or_else(|| panic!("{} has no Tox ID", self.name))
    }

    /// Does something with the messenger.
    ///
    /// # Panics
    /// If it has stopped.
    pub fn call<R: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Messenger, Time) -> R + Send + 'static,
    ) -> R {
        self.runtime
            .block_on(self.handle.call(command))
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Gets to know the network through a node.
    ///
    /// # Panics
    /// If the key is none.
    pub fn bootstrap(&self, node: SocketAddr, key: &str) {
        let key: PublicKey = key.parse().unwrap_or_else(|error| panic!("{key}: {error}"));
        self.call(move |it, now| it.stack_mut().bootstrap(now, Address::udp(node), key));
    }

    /// Gets to know a TCP relay.
    ///
    /// # Panics
    /// If the key is none.
    pub fn relay(&self, relay: SocketAddr, key: &str) {
        let key: PublicKey = key.parse().unwrap_or_else(|error| panic!("{key}: {error}"));
        assert!(self.call(move |it, now| it.stack_mut().add_relay(now, relay, key)));
    }

    /// Offers a file, which goes on after a break.
    ///
    /// # Panics
    /// If it is not taken.
    pub fn send_file(&self, friend: PublicKey, name: &str, bytes: Vec<u8>) -> TransferId {
        let (size, name) = (bytes.len() as u64, name.as_bytes().to_vec());
        self.offer_file(
            friend,
            FileOffer { kind: FileKind::DATA, size, file_id: [7; 32], name },
            bytes,
        )
    }

    /// Offers what an offer says, with these bytes.
    ///
    /// # Panics
    /// If it is not taken.
    pub fn offer_file(&self, friend: PublicKey, offer: FileOffer, bytes: Vec<u8>) -> TransferId {
        let files = Arc::clone(&self.files);
        let sent = self.call(move |messenger, _| {
            let transfer = messenger.send_file(friend, offer)?;
            lock(&files).insert(transfer.0, bytes);
            Ok::<_, toktok_mesh::messenger::FileError>(transfer)
        });
        sent.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// The bytes of a transfer that an earlier run has begun.
    pub fn keep_file(&self, transfer: TransferId, bytes: Vec<u8>) {
        lock(&self.files).insert(transfer.0, bytes);
    }

    /// The bytes of a transfer.
    pub fn file(&self, transfer: TransferId) -> Vec<u8> {
        lock(&self.files).get(&transfer.0).cloned().unwrap_or_default()
    }

    /// Waits until something happens that `wanted` makes a value of. It is taken; what happened before
    /// it and nobody waited for stays.
    ///
    /// # Panics
    /// After [`LIMIT`], with what happened instead.
    pub fn wait<T>(&self, what: &str, wanted: impl Fn(&MessengerEvent) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let mut events = lock(&self.events);
            let found = events.iter().enumerate().find_map(|(i, it)| Some((i, wanted(it)?)));
            if let Some((index, value)) = found {
                events.remove(index);
                return value;
            }
            assert!(begun.elapsed() < LIMIT, "{}: no {what}, but {events:?}", self.name);
            drop(events);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What happened and nobody waited for; it is taken.
    pub fn drain(&self) -> Vec<MessengerEvent> {
        std::mem::take(&mut *lock(&self.events))
    }

    /// Waits until a friend is there.
    pub fn wait_online(&self, key: PublicKey) {
        self.wait("friend", |event| {
            matches!(event, MessengerEvent::FriendOnline { friend } if *friend == key).then_some(())
        });
    }

    /// Waits until a friend is gone.
    pub fn wait_offline(&self, key: PublicKey) {
        self.wait("farewell", |event| {
            matches!(event, MessengerEvent::FriendOffline { friend } if *friend == key)
                .then_some(())
        });
    }
}

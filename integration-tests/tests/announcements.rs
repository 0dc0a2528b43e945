//! DHT announcements and forwarding, with Debian's tox-bootstrapd as server, as forwarder, as TCP relay,
//! and as the one that probes us.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "it tells how long each way takes")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use integration_tests::bootstrapd::Bootstrapd;
use toktok_mesh::runtime::{Clock, Driver, Handle, Transport, UdpTransport, system_rng};
use toktok_mesh::{
    Address, AnnouncementId, AnnouncementOutcome, AnnouncementPath, Config, Event, KeyPair,
    PublicKey, Stack, Time,
};
use toktok_wire::SecretKey;
use toktok_wire::announcement::hash;

/// The machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);
const LIFETIME: Duration = Duration::from_secs(600);

fn daemon() -> Bootstrapd {
    Bootstrapd::with_relay(Path::new(env!("CARGO_TARGET_TMPDIR")))
}

fn key_of(daemon: &Bootstrapd) -> PublicKey {
    daemon.key().parse().expect("a key")
}

/// A stack of ours on loopback.
struct Node {
    handle: Handle<Stack>,
    events: Arc<Mutex<Vec<Event>>>,
    key: PublicKey,
    udp: Option<SocketAddr>,
    relay: Option<SocketAddr>,
}

impl Node {
    /// A node that joins the DHT through the daemon, and is a TCP relay.
    async fn provider(daemon: &Bootstrapd) -> Self {
        let rng = system_rng().expect("randomness");
        let keys = KeyPair::generate(&mut rng.child("key"));
        let mut config = Config::default();
        config.relay_server = true;
        let clock = Clock::start();
        let node = Self::run(clock, Stack::new(config, keys, rng, clock.now()), true).await;
        let (address, key) = (Address::udp(daemon.udp()), key_of(daemon));
        node.call(move |stack, now| stack.bootstrap(now, address, key)).await;
        node
    }

    /// A person without UDP.
    async fn person() -> Self {
        let rng = system_rng().expect("randomness");
        let [identity, dht] = ["identity", "dht"].map(|it| KeyPair::generate(&mut rng.child(it)));
        let clock = Clock::start();
        let stack = Stack::with_identity(Config::person(), identity, dht, rng, clock.now());
        Self::run(clock, stack, false).await
    }

    async fn run(clock: Clock, stack: Stack, has_sockets: bool) -> Self {
        let key = stack.dht_key();
        let (mut transports, mut listeners): (Vec<Box<dyn Transport>>, _) = (vec![], vec![]);
        let (mut udp, mut relay) = (None, None);
        if has_sockets {
            let transport = UdpTransport::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
            udp = transport.local_address().as_udp();
            transports.push(Box::new(transport));
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let listener = listener.expect("a port");
            relay = listener.local_addr().ok();
            listeners.push(listener);
        }
        let events = Arc::new(Mutex::new(Vec::new()));
        let inbox = Arc::clone(&events);
        let handle = Driver::new(stack, clock, transports)
            .listen(listeners)
            .on_event(move |event| {
                inbox.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            })
            .spawn();
        Self { handle, events, key, udp, relay }
    }

    fn udp(&self) -> SocketAddr {
        self.udp.expect("it has UDP")
    }

    async fn call<R: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Stack, Time) -> R + Send + 'static,
    ) -> R {
        self.handle.call(command).await.expect("it runs")
    }

    /// Does something with an announcement, again and again until `done` says that it is well.
    async fn finish<C>(
        &self,
        command: C,
        done: impl Fn(&AnnouncementOutcome) -> bool,
    ) -> AnnouncementOutcome
    where
        C: Fn(&mut Stack, Time) -> Option<AnnouncementId> + Clone + Send + 'static,
    {
        let begun = Instant::now();
        loop {
            let id = self.call(command.clone()).await.expect("there is room");
            let outcome = self.outcome(id).await;
            if done(&outcome) {
                return outcome;
            }
            assert!(begun.elapsed() < LIMIT, "{outcome:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn outcome(&self, id: AnnouncementId) -> AnnouncementOutcome {
        loop {
            let found = {
                let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
                events.iter().find_map(|event| match event {
                    Event::Announcement { request, outcome, .. } if *request == id => {
                        Some(outcome.clone())
                    }
                    _ => None,
                })
            };
            if let Some(outcome) = found {
                return outcome;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stores an announcement at the end of a path, searches it there, retrieves it.
    async fn store_and_retrieve(&self, what: &str, number: u8, path: AnnouncementPath) {
        let begun = Instant::now();
        let keys = KeyPair::from_secret(SecretKey::from_bytes([number; 32]));
        let (key, data) = (keys.public, vec![number; 300]);
        let (to, bytes) = (path.clone(), data.clone());
        let store = move |stack: &mut Stack, now| {
            stack.store_announcement(now, keys.clone(), &bytes, LIFETIME, to.clone())
        };
        let is_stored = |it: &_| matches!(it, AnnouncementOutcome::Stored(_));
        let stored = self.finish(store.clone(), is_stored).await;
        let to = path.clone();
        let search = move |stack: &mut Stack, now| stack.search_announcement(now, key, to.clone());
        let is_found = |it: &_| {
            matches!(it, AnnouncementOutcome::Found { stored: Some(_), accepts: true, .. })
        };
        let AnnouncementOutcome::Found { stored: kept, .. } = self.finish(search, is_found).await
        else {
            panic!("{what}: not found")
        };
        assert_eq!(kept, Some(hash(&data)), "{what}");
        let renewed = self.finish(store, is_stored).await;
        let retrieve =
            move |stack: &mut Stack, now| stack.retrieve_announcement(now, key, path.clone());
        let is_retrieved = |it: &_| matches!(it, AnnouncementOutcome::Retrieved(_));
        let retrieved = self.finish(retrieve, is_retrieved).await;
        assert_eq!(retrieved, AnnouncementOutcome::Retrieved(data.into()), "{what}");
        println!("{what}: {stored:?}, then {renewed:?}, in {:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bootstrapd_keeps_and_forwards_announcements_and_so_do_we() {
    let daemon = daemon();
    let (client, server) = (Node::provider(&daemon).await, Node::provider(&daemon).await);
    let (theirs, ours) = (key_of(&daemon), server.key);
    let (their_address, our_address) = (Address::udp(daemon.udp()), Address::udp(server.udp()));
    let at_theirs = AnnouncementPath::direct(theirs, their_address);
    client.store_and_retrieve("at theirs", 1, at_theirs).await;
    let at_ours = AnnouncementPath::direct(ours, our_address);
    client.store_and_retrieve("at ours", 2, at_ours).await;
    let path = AnnouncementPath::forwarded(our_address, &[theirs]).expect("one forwarder");
    client.store_and_retrieve("through ours to theirs", 3, path).await;
    let path = AnnouncementPath::forwarded(their_address, &[ours]).expect("one forwarder");
    client.store_and_retrieve("through theirs to ours", 4, path).await;
    let chain = [ours, theirs];
    let own = Address::udp(client.udp());
    let path = AnnouncementPath::forwarded(own, &chain).expect("two forwarders");
    server.store_and_retrieve("through two of ours to theirs", 5, path).await;
    let chain = [client.key, ours];
    let path = AnnouncementPath::forwarded(their_address, &chain).expect("two forwarders");
    client.store_and_retrieve("through theirs and one of ours to ours", 6, path).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_udp_reaches_announcements_through_either_relay() {
    let daemon = daemon();
    let (server, client) = (Node::provider(&daemon).await, Node::person().await);
    let (theirs, ours) = (key_of(&daemon), server.key);
    let (their_relay, our_relay) = (daemon.tcp(), server.relay.expect("it is a relay"));
    client
        .call(move |stack, now| {
            stack.add_relay(now, their_relay, theirs) && stack.add_relay(now, our_relay, ours)
        })
        .await;
    let (their_address, our_address) = (Address::udp(daemon.udp()), Address::udp(server.udp()));
    let path = AnnouncementPath::direct(ours, our_address).from_relay(theirs);
    client.store_and_retrieve("by their relay at ours", 7, path).await;
    let path = AnnouncementPath::direct(theirs, their_address).from_relay(ours);
    client.store_and_retrieve("by our relay at theirs", 8, path).await;
    let path = AnnouncementPath::forwarded(our_address, &[theirs]).expect("one forwarder");
    client
        .store_and_retrieve("by their relay through ours to theirs", 9, path.from_relay(theirs))
        .await;
    let path = AnnouncementPath::forwarded(their_address, &[ours]).expect("one forwarder");
    client
        .store_and_retrieve("by our relay through theirs to ours", 10, path.from_relay(ours))
        .await;
}

/// c-toxcore tells of nodes that answered its probe only, and so do we.
#[tokio::test(flavor = "multi_thread")]
async fn its_probe_gets_a_right_answer_and_ours_too() {
    let daemon = daemon();
    let (a, b) = (Node::provider(&daemon).await, Node::provider(&daemon).await);
    let all = [
        (key_of(&daemon), Address::udp(daemon.udp())),
        (a.key, Address::udp(a.udp())),
        (b.key, Address::udp(b.udp())),
    ];
    for (node, address) in all {
        if node == a.key {
            continue;
        }
        let path = AnnouncementPath::direct(node, address);
        let search = move |stack: &mut Stack, now| {
            stack.search_announcement(now, PublicKey([1; 32]), path.clone())
        };
        let others = all.iter().filter(|(other, _)| *other != node);
        let others: Vec<_> = others.copied().collect();
        let has_all = |it: &_| match it {
            AnnouncementOutcome::Found { nodes, .. } => {
                others.iter().all(|other| nodes.contains(other))
            }
            _ => false,
        };
        a.finish(search, has_all).await;
    }
}

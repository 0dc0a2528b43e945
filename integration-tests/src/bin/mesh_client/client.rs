//! The client itself: a messenger on a driver, and the commands that it obeys.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use toktok_mesh::messenger::{FileKind, FileOffer, Messenger};
use toktok_mesh::runtime::{Clock, Driver, Handle, Transport, UdpTransport, system_rng};
use toktok_mesh::traffic::PacketPurpose;
use toktok_mesh::{Address, Config, KeyPair, PublicKey, Time};

use crate::Options;
use crate::disk::{self, Files, lock};
use crate::events::{Teller, Wish, hex};
use crate::flood::{self, FLOODED, Flood};
use crate::report;

/// A running client.
pub(crate) struct Client {
    runtime: Runtime,
    handle: Handle<Messenger>,
    files: Files,
    flood: Arc<Mutex<Option<Flood>>>,
    room: Arc<Notify>,
    udp: u16,
}

impl Client {
    pub(crate) fn start(options: Options) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let guard = runtime.enter();
        let udp = UdpTransport::bind((Ipv4Addr::UNSPECIFIED, 0).into()).expect("a UDP port");
        let port = udp.local_address().as_udp().expect("it is UDP").port();
        let clock = Clock::start();
        let messenger = messenger(&clock, options.allow_short_paths);
        let files = Files::default();
        let (mut teller, mut wishes) = Teller::new(options, Arc::clone(&files));
        let (flood, room) = (Arc::clone(&teller.flood), Arc::clone(&teller.room));
        let jobs = disk::start(Arc::clone(&files));
        let handle = Driver::new(messenger, clock, vec![Box::new(udp)])
            .on_event(move |event| teller.tell(event))
            .on_io(move |request, reply| drop(jobs.send((request, reply))))
            .spawn();
        let friend = handle.clone();
        runtime.spawn(async move {
            while let Some(wish) = wishes.recv().await {
                let _ = friend.call(move |messenger, now| fulfil(messenger, now, wish)).await;
            }
        });
        drop(guard);
        Self { runtime, handle, files, flood, room, udp: port }
    }

    fn call<R: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Messenger, Time) -> R + Send + 'static,
    ) -> R {
        self.runtime.block_on(self.handle.call(command)).expect("the driver runs")
    }

    /// Tells who this is: also the first line of the program.
    pub(crate) fn tell_id(&self) {
        let (address, key, dht) = self.call(|messenger, _| {
            let stack = messenger.stack();
            (stack.tox_id(), stack.public_key(), stack.dht_key())
        });
        let address = address.map(|id| id.to_string().to_lowercase());
        let fields = json!({
            "address": address, "key": hex(&key), "dht": hex(&dht), "udp": self.udp, "tcp": 0,
        });
        report::event("id", fields);
    }

    /// Does what a line says; `None` if it makes no sense, or fails.
    pub(crate) fn obey(&self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["id"] => self.tell_id(),
            ["bootstrap", host, port, key] => {
                let host: IpAddr = host.parse().ok()?;
                let address = Address::udp(SocketAddr::new(host, port.parse().ok()?));
                let key: PublicKey = key.parse().ok()?;
                self.call(move |it, now| it.stack_mut().bootstrap(now, address, key));
            }
            ["norequest", friend] => {
                let friend: PublicKey = friend.parse().ok()?;
                self.call(move |it, now| it.add_friend(now, friend)).ok()?;
            }
            ["file-send", friend, "data", "-", path] => {
                self.send_file(friend.parse().ok()?, path)?
            }
            ["flood", friend, packets, size] => {
                let begun =
                    Flood::begin(friend.parse().ok()?, packets.parse().ok()?, size.parse().ok()?)?;
                *lock(&self.flood) = Some(begun);
                let (flood, room) = (Arc::clone(&self.flood), Arc::clone(&self.room));
                self.runtime.spawn(flood::run(flood, self.handle.clone(), room));
            }
            ["usage"] => report::event("usage", json!({ "cpu": report::cpu_seconds() })),
            ["traffic"] => self.tell_traffic(),
            _ => return None,
        }
        Some(())
    }

    fn send_file(&self, friend: PublicKey, path: &str) -> Option<()> {
        let file = File::open(path).ok()?;
        let name = path.rsplit('/').next().unwrap_or(path).as_bytes().to_vec();
        let size = file.metadata().ok()?.len();
        let offer = FileOffer { kind: FileKind::DATA, size, file_id: [7; 32], name };
        let files = Arc::clone(&self.files);
        self.call(move |messenger, _| {
            let transfer = messenger.send_file(friend, offer).ok()?;
            lock(&files).insert(transfer, file);
            Some(())
        })
    }

    fn tell_traffic(&self) {
        let (traffic, drops) = self.call(|messenger, _| {
            let stack = messenger.stack();
            (stack.traffic().clone(), stack.drops().total())
        });
        let mut sent = json!({});
        for purpose in PacketPurpose::ALL {
            let count = traffic.sent(purpose);
            sent[format!("{purpose:?}")] = json!([count.packets, count.ip_bytes()]);
        }
        let (own, served, asked) = (traffic.own(), traffic.served(), traffic.asked());
        let fields = json!({
            "own_packets": own.packets,
            "own_bytes": own.ip_bytes(),
            "served_packets": served.packets,
            "served_bytes": served.ip_bytes(),
            "asked_packets": asked.packets,
            "dropped": drops,
            "sent": sent,
        });
        report::event("traffic", fields);
    }
}

/// A fresh person.
fn messenger(clock: &Clock, allow_short_paths: bool) -> Messenger {
    let rng = system_rng().expect("randomness");
    let mut config = Config::person();
    config.allow_short_paths = allow_short_paths;
    config.epoch = clock.epoch();
    let identity = KeyPair::generate(&mut rng.child("identity"));
    let dht = KeyPair::generate(&mut rng.child("dht"));
    Messenger::new(config, identity, dht, rng.child("client"), clock.now())
}

fn fulfil(messenger: &mut Messenger, now: Time, wish: Wish) {
    let _ = match wish {
        Wish::Accept(transfer) => messenger.accept_file(transfer).is_ok(),
        Wish::Refuse(transfer) => messenger.cancel_file(transfer).is_ok(),
        Wish::Befriend(friend) => messenger.add_friend(now, friend).is_ok(),
        Wish::Answer(friend, data) => messenger.send_lossless(now, friend, FLOODED, data).is_ok(),
    };
}

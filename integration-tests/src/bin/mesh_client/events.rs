//! What happens, told as `tox_client` tells it.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use toktok_mesh::messenger::{FileOffer, FileOutcome, MessengerEvent, TransferId};
use toktok_mesh::{Event, PublicKey};

use crate::disk::{Files, lock};
use crate::flood::{FLOOD, FLOODED, Flood, Flooded};
use crate::report::{self, Effort};

/// What an event wants of the messenger.
pub(crate) enum Wish {
    /// Take this file.
    Accept(TransferId),
    /// Refuse it.
    Refuse(TransferId),
    /// Become this one's friend.
    Befriend(PublicKey),
    /// Send this packet.
    Answer(PublicKey, Vec<u8>),
}

/// A transfer under way.
struct Transfer {
    /// Received: where to.
    path: Option<PathBuf>,
    effort: Option<Effort>,
}

/// Tells events, and knows what it takes to tell them.
pub(crate) struct Teller {
    pub(crate) folder: Option<PathBuf>,
    pub(crate) accept_files: bool,
    pub(crate) accept_friends: bool,
    pub(crate) files: Files,
    pub(crate) flood: Arc<Mutex<Option<Flood>>>,
    pub(crate) room: Arc<Notify>,
    pub(crate) wishes: mpsc::UnboundedSender<Wish>,
    flooded: Flooded,
    transfers: BTreeMap<TransferId, Transfer>,
}

/// A key as `tox_client` writes it.
pub(crate) fn hex(key: &PublicKey) -> String {
    key.to_string().to_lowercase()
}

impl Teller {
    pub(crate) fn new(
        options: crate::Options,
        files: Files,
    ) -> (Self, mpsc::UnboundedReceiver<Wish>) {
        let (wishes, inbox) = mpsc::unbounded_channel();
        let teller = Self {
            folder: options.folder,
            accept_files: options.accept_files,
            accept_friends: options.accept_friends,
            files,
            flood: Arc::default(),
            room: Arc::default(),
            wishes,
            flooded: Flooded::default(),
            transfers: BTreeMap::new(),
        };
        (teller, inbox)
    }

    pub(crate) fn tell(&mut self, event: MessengerEvent) {
        match event {
            MessengerEvent::Mesh(Event::Announced { announced }) => {
                let connection = if announced { "udp" } else { "none" };
                report::event("self", json!({ "connection": connection }));
            }
            MessengerEvent::Mesh(Event::PacketWritable { .. }) => self.room.notify_one(),
            MessengerEvent::FriendOnline { friend } => tell_friend(&friend, "udp"),
            MessengerEvent::FriendOffline { friend } => tell_friend(&friend, "none"),
            MessengerEvent::FriendRequest { from, message } => {
                let text = String::from_utf8_lossy(&message);
                report::event("request", json!({ "friend": hex(&from), "text": text }));
                if self.accept_friends {
                    self.wish(Wish::Befriend(from));
                }
            }
            MessengerEvent::FileOffered { friend, transfer, offer } => {
                self.offered(&friend, transfer, &offer);
            }
            MessengerEvent::FileStarted { transfer, .. } => {
                let known = self.transfers.entry(transfer);
                let known = known.or_insert(Transfer { path: None, effort: None });
                known.effort.get_or_insert_with(Effort::begin);
            }
            MessengerEvent::FileEnded { friend, transfer, outcome } => {
                self.ended(&friend, transfer, outcome);
            }
            MessengerEvent::CustomPacket { friend, id: FLOOD, data } => {
                if let Some(answer) = self.flooded.take(&friend, &data) {
                    self.wish(Wish::Answer(friend, answer));
                }
            }
            MessengerEvent::CustomPacket { id: FLOODED, data, .. } => {
                if let Some(flood) = lock(&self.flood).take() {
                    flood.end(&data);
                }
            }
            _ => {}
        }
    }

    fn wish(&self, wish: Wish) {
        // The other end lives as long as the client.
        let _ = self.wishes.send(wish);
    }

    fn offered(&mut self, friend: &PublicKey, transfer: TransferId, offer: &FileOffer) {
        let name = String::from_utf8_lossy(&offer.name).replace('/', "_");
        let fields = json!({ "friend": hex(friend), "size": offer.size, "name": name });
        report::event("file-offered", fields);
        let path = self.folder.as_ref().map(|folder| folder.join(&name));
        let file = path.as_ref().and_then(|path| {
            OpenOptions::new().write(true).create(true).truncate(true).open(path).ok()
        });
        let Some(file) = file.filter(|_| self.accept_files) else {
            return self.wish(Wish::Refuse(transfer));
        };
        lock(&self.files).insert(transfer, file);
        self.transfers.insert(transfer, Transfer { path, effort: None });
        self.wish(Wish::Accept(transfer));
    }

    fn ended(&mut self, friend: &PublicKey, transfer: TransferId, outcome: FileOutcome) {
        lock(&self.files).remove(&transfer);
        let Some(ended) = self.transfers.remove(&transfer) else { return };
        let name = match (outcome, &ended.path) {
            (FileOutcome::Complete, Some(_)) => "file-received",
            (FileOutcome::Complete, None) => "file-sent",
            _ => "file-lost",
        };
        let fields: Value = json!({ "friend": hex(friend), "path": ended.path });
        let fields =
            ended.effort.map_or_else(|| fields.clone(), |effort| effort.tell(fields.clone()));
        report::event(name, fields);
    }
}

fn tell_friend(friend: &PublicKey, connection: &str) {
    report::event("friend", json!({ "friend": hex(friend), "connection": connection }));
}

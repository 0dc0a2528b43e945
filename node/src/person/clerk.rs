//! Who attends to what the messenger tells: writes the log, takes files and requests, keeps what
//! changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use toktok_mesh::PublicKey;
use toktok_mesh::messenger::{FileKind, FileOffer, FileOutcome, MessengerEvent, TransferId};

use super::disk::Place;
use super::log::{Happening, Way};
use super::{MAX_REQUESTS, Shared, kind_name};

/// Changes within this time are written together.
const KEEP_DELAY: Duration = Duration::from_millis(200);

/// The nodes of the DHT change without an event: everything is written this often in any case.
const KEEP_INTERVAL: Duration = Duration::from_secs(60);

/// Takes every event until the messenger has stopped. Its queue has no bound of its own: what friends
/// send is bounded by their sessions, and an event is small.
pub(super) async fn attend(shared: Arc<Shared>, mut events: UnboundedReceiver<MessengerEvent>) {
    while let Some(event) = events.recv().await {
        shared.attend(event).await;
    }
}

/// Writes what changed, until it is stopped.
pub(super) async fn keep(shared: Arc<Shared>) {
    loop {
        let kept = if tokio::time::timeout(KEEP_INTERVAL, shared.changes.wait()).await.is_ok() {
            tokio::time::sleep(KEEP_DELAY).await;
            shared.keep().await
        } else {
            shared.keep_change().await
        };
        if let Err(error) = kept {
            tracing::error!(%error);
        }
    }
}

impl Shared {
    async fn attend(&self, event: MessengerEvent) {
        match event {
            MessengerEvent::FriendRequest { from, message } => self.asked(from, &message).await,
            MessengerEvent::FriendOnline { friend } => self.log.add(friend, Happening::Online),
            MessengerEvent::FriendOffline { friend } => self.log.add(friend, Happening::Offline),
            MessengerEvent::Message { friend, kind, text } => {
                let text = String::from_utf8_lossy(&text).into_owned();
                let kind = kind_name(kind).to_owned();
                self.log.add(friend, Happening::Message { way: Way::In, kind, text, id: None });
            }
            MessengerEvent::Receipt { friend, message } => {
                self.log.add(friend, Happening::Receipt { id: message.0 });
            }
            MessengerEvent::FileOffered { friend, transfer, offer } => {
                self.offered(friend, transfer, offer).await;
            }
            MessengerEvent::FileEnded { friend, transfer, outcome } => {
                self.ended(friend, transfer, outcome);
            }
            MessengerEvent::Name { .. } | MessengerEvent::StatusMessage { .. } => {}
            _ => return,
        }
        self.changes.note();
    }

    /// Somebody asks for friendship.
    async fn asked(&self, from: PublicKey, message: &[u8]) {
        let message = String::from_utf8_lossy(message).into_owned();
        self.log.add(from, Happening::Request { message: message.clone() });
        if self.auto_accept {
            if let Err(error) = self.befriend(from).await {
                tracing::warn!(%from, %error, "a friend request was not accepted");
            }
            return;
        }
        let mut requests = self.requests();
        if requests.len() < MAX_REQUESTS {
            requests.insert(from.to_string(), message);
        }
    }

    /// A friend offers a file: it is taken. Avatars and the like are of no use here.
    async fn offered(&self, friend: PublicKey, transfer: TransferId, offer: FileOffer) {
        let place = if offer.kind == FileKind::DATA {
            Place::to_receive(&self.store.received(), &offer.name)
        } else {
            Err(std::io::ErrorKind::Unsupported.into())
        };
        let disk = self.disk.clone();
        let answered = self.handle.call(move |messenger, _| match place {
            Ok(place) => {
                disk.assign(transfer, place);
                messenger.accept_file(transfer)
            }
            Err(error) => {
                tracing::warn!(%friend, %error, "an offered file is not taken");
                messenger.cancel_file(transfer)
            }
        });
        if let Ok(Err(error)) = answered.await {
            tracing::debug!(%friend, %error, "an offered file went away");
        }
    }

    fn ended(&self, friend: PublicKey, transfer: TransferId, outcome: FileOutcome) {
        let Some(place) = self.disk.release(transfer) else { return };
        let bytes = place.bytes();
        let whole = outcome == FileOutcome::Complete;
        let outcome = match place.end(whole) {
            Ok(()) if whole => "complete".to_owned(),
            Ok(()) => format!("{outcome:?}").to_lowercase(),
            Err(error) => error.to_string(),
        };
        let way = place.way;
        self.log.add(friend, Happening::File { way, path: place.path, bytes, outcome });
    }
}

//! Answers to searches, retrievals and stores.

use core::time::Duration;

use super::packed;
use super::store::Store;
use super::timed_auth::TimedAuth;
use crate::dht::{Dht, packed_node};
use crate::drops::DropReason;
use crate::wire::announcement::{
    Announcement, Found, RETRIEVE_REQUEST, RETRIEVE_RESPONSE, RetrieveRequest, RetrieveResponse,
    SEARCH_REQUEST, SEARCH_RESPONSE, STORE_REQUEST, STORE_RESPONSE, SearchRequest, SearchResponse,
    StoreContents, StoreRequest, StoreResponse,
};
use crate::wire::dht::{Header, MAX_NODES};
use crate::wire::{Address, Decode, Encode, Nonce, PublicKey, Rng, Time};

/// What a search gives is good for so long at least (c-toxcore `DATA_SEARCH_TIMEOUT`).
const PROOF_WINDOW: Duration = Duration::from_secs(60);
/// An announcement is kept for so many seconds at most …
pub(super) const MAX_TIMEOUT: u64 = 900;
/// … by a new node for so many …
const MIN_TIMEOUT: u64 = 10;
/// … and for no more than this part of the time that the node has been there.
const UPTIME_RATIO: u64 = 4;

/// Who asks: what a proof is bound to.
struct Asker<'a> {
    /// His DHT key.
    key: PublicKey,
    /// Where he is, or the last forwarder.
    from: Address,
    /// That forwarder's sendback; empty if there is none.
    sendback: &'a [u8],
}

/// The server of announcements.
#[derive(Debug)]
pub(crate) struct Server {
    rng: Rng,
    proofs: TimedAuth,
    store: Store,
    begun: Time,
    /// Time since 1970 at [`Time::ZERO`].
    epoch: Duration,
}

impl Server {
    /// A server that keeps nothing yet; `own` is this node's DHT key.
    pub(crate) fn new(mut rng: Rng, own: PublicKey, now: Time, epoch: Duration) -> Self {
        let proofs = TimedAuth::new(&mut rng, PROOF_WINDOW);
        Self { rng, proofs, store: Store::new(own), begun: now, epoch }
    }

    /// True if packets of this kind are requests that [`Server::answer`] takes.
    pub(crate) fn handles(kind: u8) -> bool {
        matches!(kind, SEARCH_REQUEST | RETRIEVE_REQUEST | STORE_REQUEST)
    }

    /// The response to a request that came from `from`, or through the forwarder there with its
    /// `sendback`. The buffer is scratch space afterwards.
    pub(crate) fn answer(
        &mut self,
        now: Time,
        dht: &mut Dht,
        from: Address,
        sendback: &[u8],
        packet: &mut [u8],
    ) -> Result<Vec<u8>, DropReason> {
        let (header, boxed) = Header::split(packet)?;
        if !Self::handles(header.kind) {
            return Err(DropReason::UnknownKind);
        }
        let shared = dht.keys().shared(&header.sender).clone();
        let plain = shared.open_in_place(&header.nonce, boxed)?;
        let asker = Asker { key: header.sender, from, sendback };
        let nonce = Nonce::generate(&mut self.rng);
        let sender = dht.keys().public();
        let response = |kind| Header { kind, sender, nonce };
        match header.kind {
            SEARCH_REQUEST => {
                let header = response(SEARCH_RESPONSE);
                let request = SearchRequest::from_bytes(plain)?;
                Ok(header.seal(&shared, &self.search(now, dht, &asker, &request)?))
            }
            RETRIEVE_REQUEST => {
                let request = RetrieveRequest::from_bytes(plain)?;
                Ok(response(RETRIEVE_RESPONSE)
                    .seal(&shared, &self.retrieve(now, &asker, &request)?))
            }
            _ => {
                let header = response(STORE_RESPONSE);
                let request = StoreRequest::from_bytes(plain)?;
                Ok(header.seal(&shared, &self.keep(now, dht, &asker, &request)?))
            }
        }
    }

    fn search(
        &self,
        now: Time,
        dht: &Dht,
        asker: &Asker<'_>,
        request: &SearchRequest,
    ) -> Result<SearchResponse, DropReason> {
        let SearchRequest { key, previous, id } = *request;
        let near = dht.announcing_nodes_for(&key, MAX_NODES, now, &asker.from);
        let found = Found {
            stored: self.store.entry(&key, now).map(super::store::Entry::hash),
            proof: self.proofs.tag(now, &bound(&key, asker)?),
            accepts: self.store.accepts(&key, now),
            nodes: near.into_iter().filter_map(|(key, at)| packed_node(key, &at)).collect(),
        };
        let is_news = previous.is_none_or(|previous| previous != found.hash(&key));
        Ok(SearchResponse { key, found: is_news.then_some(found), id })
    }

    /// c-toxcore does not answer if there is nothing to retrieve; neither do we.
    fn retrieve(
        &self,
        now: Time,
        asker: &Asker<'_>,
        request: &RetrieveRequest,
    ) -> Result<RetrieveResponse<'_>, DropReason> {
        let RetrieveRequest { key, proof, id } = *request;
        self.check(now, &key, asker, &proof)?;
        let entry = self.store.entry(&key, now).ok_or(DropReason::NoRoute)?;
        Ok(RetrieveResponse { key, data: Some(&entry.data), id })
    }

    fn keep(
        &mut self,
        now: Time,
        dht: &mut Dht,
        asker: &Asker<'_>,
        request: &StoreRequest<'_>,
    ) -> Result<StoreResponse, DropReason> {
        let StoreRequest { key, nonce, boxed, id } = *request;
        let plain = dht.keys().shared_once(&key).open(&nonce, boxed)?;
        let contents = StoreContents::from_bytes(&plain)?;
        self.check(now, &key, asker, &contents.proof)?;
        let timeout = u64::from(contents.timeout).min(self.most_time(now));
        let until = now + Duration::from_secs(timeout);
        let is_kept = match contents.announcement {
            Announcement::Data(data) => self.store.insert(key, data, now, until),
            Announcement::Refresh(hash) => self.store.refresh(&key, &hash, now, until),
        };
        let time = self.epoch.as_secs().saturating_add(now.as_secs());
        let response = StoreResponse { key, timeout: timeout as u32, time, id };
        is_kept.then_some(response).ok_or(DropReason::Refused)
    }

    /// For how many seconds an announcement is kept at most.
    fn most_time(&self, now: Time) -> u64 {
        let uptime = now.since(self.begun).as_secs();
        (uptime / UPTIME_RATIO).clamp(MIN_TIMEOUT, MAX_TIMEOUT)
    }

    /// Checks that the asker has searched for `key` lately, by the very same way.
    fn check(
        &self,
        now: Time,
        key: &PublicKey,
        asker: &Asker<'_>,
        proof: &[u8; 32],
    ) -> Result<(), DropReason> {
        let is_valid = self.proofs.is_valid(now, &bound(key, asker)?, proof);
        is_valid.then_some(()).ok_or(DropReason::Forged)
    }
}

/// What a proof covers.
fn bound(key: &PublicKey, asker: &Asker<'_>) -> Result<Vec<u8>, DropReason> {
    let mut bytes = key.to_bytes();
    asker.key.encode(&mut bytes);
    packed(&asker.from)?.encode(&mut bytes);
    bytes.extend_from_slice(asker.sendback);
    Ok(bytes)
}

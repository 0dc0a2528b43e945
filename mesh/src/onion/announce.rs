//! Announce requests (83, 87) and data requests (85): this node as a place where keys are found.

use core::fmt;
use core::time::Duration;

use ring::hmac;

use super::store::Entry;
use super::{Handled, Onion, packed};
use crate::dht::{Dht, packed_node};
use crate::drops::DropReason;
use crate::outbox::Context;
use crate::wire::dht::MAX_NODES;
use crate::wire::onion::{
    AnnounceRequest, AnnounceRequestHeader, AnnounceResponse, AnnounceResponseHeader,
    DataRequestHeader, ExtendedAnnounceResponse, OnionResponse, ReturnPath, Stored, split_request,
};
use crate::wire::{Address, Decode, Encode, Nonce, PublicKey, Rng, Time};

/// A ping id is valid in the window in which it was given and in the next one (c-toxcore
/// `PING_ID_TIMEOUT`; the Tox Reference's 20 s are outdated).
const WINDOW: Duration = Duration::from_secs(300);

/// Proof that who announces a key receives at the address from which it announces: only who got the
/// id in a response can show it. Nothing needs to be remembered for it.
pub(super) struct PingIds(hmac::Key);

impl PingIds {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &rng.bytes::<32>()))
    }

    /// The id for a key at an address in the window that lies `back` windows in the past.
    fn id(
        &self,
        now: Time,
        back: u64,
        requester: &PublicKey,
        from: &Address,
    ) -> Result<[u8; 32], DropReason> {
        let window = (now.as_secs() / WINDOW.as_secs()).wrapping_sub(back);
        let mut input = window.to_be_bytes().to_vec();
        requester.encode(&mut input);
        packed(from)?.encode_padded(&mut input);
        let mut id = [0; 32];
        id.copy_from_slice(hmac::sign(&self.0, &input).as_ref());
        Ok(id)
    }

    /// True if `shown` is the id of this window or the last. Not in constant time: an id opens
    /// nothing but a place in the store for the time of a window.
    fn is_valid(
        &self,
        now: Time,
        requester: &PublicKey,
        from: &Address,
        shown: &[u8; 32],
    ) -> Result<bool, DropReason> {
        let current = self.id(now, 0, requester, from)?;
        let last = self.id(now, 1, requester, from)?;
        Ok(*shown == current || *shown == last)
    }
}

impl fmt::Debug for PingIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PingIds(…)")
    }
}

impl Onion {
    /// An announce request: keeps the announcement if its ping id is right, and tells in any case
    /// whether the searched key is announced here and who is nearer to it.
    pub(super) fn handle_announce(
        &mut self,
        cx: &mut Context<'_>,
        dht: &mut Dht,
        from: Address,
        packet: &mut [u8],
    ) -> Handled {
        let (request, back) = split_request(packet)?;
        let (header, boxed) = AnnounceRequestHeader::split(request)?;
        let shared = dht.keys().shared(&header.requester).clone();
        let request = AnnounceRequest::from_bytes(shared.open_in_place(&header.nonce, boxed)?)?;
        let stored = self.announce(cx.now, dht, from, &header.requester, &request, back)?;
        let nodes = dht.nodes_for(&request.target, MAX_NODES, cx.now, &from);
        let nodes = nodes.into_iter().filter_map(|(key, at)| packed_node(key, &at)).collect();
        let response = AnnounceResponseHeader {
            extended: header.extended,
            sendback: request.sendback,
            nonce: Nonce::generate(&mut self.rng),
        };
        // Group announcements, the extra data of kind 87, are not kept yet.
        let response = if header.extended {
            response.seal(&shared, &ExtendedAnnounceResponse { stored, nodes, extra: &[] })
        } else {
            response.seal(&shared, &AnnounceResponse { stored, nodes })
        };
        send_back(cx, from, back, &response)
    }

    /// Keeps the announcement if it is one; what the response says of the searched key. As in
    /// c-toxcore the entry belongs to the key that sealed the request, whatever is searched.
    fn announce(
        &mut self,
        now: Time,
        dht: &mut Dht,
        from: Address,
        requester: &PublicKey,
        request: &AnnounceRequest<'_>,
        back: ReturnPath,
    ) -> Result<Stored, DropReason> {
        let ping_id = self.ping_ids.id(now, 0, requester, &from)?;
        let is_announcement = self.ping_ids.is_valid(now, requester, &from, &request.ping_id)?;
        let searched = if is_announcement {
            let (key, data_key) = (*requester, request.data_key);
            let entry = Entry { key, data_key, hop: from, back, at: now };
            self.store.insert(&dht.keys().public(), entry);
            requester
        } else {
            &request.target
        };
        Ok(match self.store.entry(searched, now) {
            Some(entry) if entry.key != *requester => Stored::Yes { data_key: entry.data_key },
            Some(entry) if entry.data_key == request.data_key => Stored::Own { ping_id },
            _ => Stored::No { ping_id },
        })
    }

    /// A data request: on to the announced key, along the path that its announcement came.
    pub(super) fn handle_data(&mut self, cx: &mut Context<'_>, packet: &mut [u8]) -> Handled {
        let (request, _) = split_request(packet)?;
        let (header, boxed) = DataRequestHeader::split(request)?;
        let entry = self.store.entry(&header.destination, cx.now).ok_or(DropReason::NoRoute)?;
        let response = header.response().forward(boxed);
        send_back(cx, entry.hop, entry.back, &response)
    }
}

/// Sends a response along a return path whose last hop is at `to`.
fn send_back(cx: &mut Context<'_>, to: Address, back: ReturnPath, response: &[u8]) -> Handled {
    let packet = OnionResponse::new(back, response).ok_or(DropReason::Malformed)?;
    cx.transmit(to, packet.to_bytes());
    Ok(())
}

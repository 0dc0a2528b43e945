//! What the DHT does with each kind of packet, and the packets it writes.

use super::requests::{Answer, Purpose};
use super::{Dht, DhtEvent};
use crate::crypto::Keys;
use crate::drops::DropReason;
use crate::outbox::Context;
use crate::wire::address::{IpPort, PackedNode};
use crate::wire::announcement::{SEARCH_REQUEST, SearchRequest};
use crate::wire::bootstrap_info::{BOOTSTRAP_INFO, BootstrapInfo, BootstrapInfoRequest};
use crate::wire::dht::{
    DHT_REQUEST, DhtRequestHeader, Header, MAX_DHT_REQUEST, MAX_NODES, NODES_REQUEST,
    NODES_RESPONSE, NodesRequest, NodesResponse, PING_REQUEST, PING_RESPONSE, Ping,
};
use crate::wire::lan::{LAN_DISCOVERY, LanDiscovery};
use crate::wire::nat::{NAT_PING, NatPing};
use crate::wire::sealed::TAG_LEN;
use crate::wire::{Address, Decode, Encode, Nonce, PublicKey, Rng, Time};

/// Inner kind of a friend request in a DHT request.
const FRIEND_REQUEST: u8 = 0x20;

/// Inner kind of a friend's DHT key and nodes in a DHT request (c-toxcore `CRYPTO_PACKET_DHTPK`).
const DHT_KEY: u8 = 0x9c;

/// What came of a packet.
type Handled = Result<(), DropReason>;

/// A packet of `kind` for `peer`.
fn seal<P: Encode>(
    keys: &mut Keys,
    rng: &mut Rng,
    peer: &PublicKey,
    kind: u8,
    payload: &P,
) -> Vec<u8> {
    let header = Header { kind, sender: keys.public(), nonce: Nonce::generate(rng) };
    header.seal(keys.shared(peer), payload)
}

/// A ping request or response.
pub(super) fn ping(
    keys: &mut Keys,
    rng: &mut Rng,
    peer: &PublicKey,
    response: bool,
    id: u64,
) -> Vec<u8> {
    let ping = Ping { response, id };
    seal(keys, rng, peer, ping.kind(), &ping)
}

/// A nodes request.
pub(super) fn nodes_request(
    keys: &mut Keys,
    rng: &mut Rng,
    peer: &PublicKey,
    target: PublicKey,
    id: u64,
) -> Vec<u8> {
    seal(keys, rng, peer, NODES_REQUEST, &NodesRequest { target, id })
}

/// A search for the announcement of a key that nobody has.
pub(super) fn announcement_probe(
    keys: &mut Keys,
    rng: &mut Rng,
    peer: &PublicKey,
    id: u64,
) -> Vec<u8> {
    let request = SearchRequest { key: PublicKey(rng.bytes()), previous: None, id };
    seal(keys, rng, peer, SEARCH_REQUEST, &request)
}

/// What a DHT request's box contains: an inner kind, then data.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawRequest<'a> {
    pub(super) id: u8,
    pub(super) data: &'a [u8],
}

impl Encode for RawRequest<'_> {
    fn encoded_len(&self) -> usize {
        1 + self.data.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.id);
        out.extend_from_slice(self.data);
    }
}

/// A DHT request for `receiver`, which other nodes pass on; `None` if it would be too long.
pub(super) fn dht_request<P: Encode>(
    keys: &mut Keys,
    rng: &mut Rng,
    receiver: &PublicKey,
    payload: &P,
) -> Option<Vec<u8>> {
    let len = DhtRequestHeader::LEN + TAG_LEN + payload.encoded_len();
    let header = DhtRequestHeader {
        receiver: *receiver,
        sender: keys.public(),
        nonce: Nonce::generate(rng),
    };
    (len <= MAX_DHT_REQUEST).then(|| header.seal(keys.shared(receiver), payload))
}

impl Dht {
    /// Takes a packet of one of the DHT's kinds: 00 01 02 04 20 21 f0. The buffer is scratch space
    /// afterwards.
    pub(crate) fn handle(&mut self, cx: &mut Context<'_>, from: Address, packet: &mut [u8]) {
        let handled = match packet.first() {
            Some(&(PING_REQUEST | PING_RESPONSE | NODES_REQUEST | NODES_RESPONSE)) => {
                self.handle_dht(cx, from, packet)
            }
            Some(&DHT_REQUEST) => self.handle_routed(cx, from, packet),
            Some(&LAN_DISCOVERY) => self.handle_lan_discovery(cx, from, packet),
            Some(&BOOTSTRAP_INFO) => self.handle_bootstrap_info(cx, from, packet),
            _ => Err(DropReason::UnknownKind),
        };
        if let Err(reason) = handled {
            cx.drop_packet(reason);
        }
    }

    fn handle_dht(&mut self, cx: &mut Context<'_>, from: Address, packet: &mut [u8]) -> Handled {
        let (header, boxed) = Header::split(packet)?;
        if header.sender == self.keys.public() {
            return Err(DropReason::FromSelf);
        }
        let plain = self.keys.shared(&header.sender).open_in_place(&header.nonce, boxed)?;
        match header.kind {
            NODES_REQUEST => {
                let request = NodesRequest::from_bytes(plain)?;
                self.handle_nodes_request(cx, from, header.sender, request);
            }
            NODES_RESPONSE => {
                let response = NodesResponse::from_bytes(plain)?;
                self.handle_nodes_response(cx, from, header.sender, &response)?;
            }
            kind => {
                let ping = Ping::from_bytes(plain)?;
                if ping.kind() != kind {
                    return Err(DropReason::Malformed);
                }
                self.handle_ping(cx, from, header.sender, ping)?;
            }
        }
        Ok(())
    }

    fn handle_ping(
        &mut self,
        cx: &mut Context<'_>,
        from: Address,
        sender: PublicKey,
        received: Ping,
    ) -> Handled {
        if received.response {
            let asked = self.take_request(cx.now, received.id, &sender, from, Answer::Ping);
            let punched = || {
                let friend = self.friends.get_mut(&sender)?;
                let is_ours = friend.punching.handle_answer(cx.now, received.id, &from);
                is_ours.then_some((Purpose::Verify, from))
            };
            let (purpose, at) = asked.or_else(punched).ok_or(DropReason::Unsolicited)?;
            self.verified(cx, sender, at, purpose);
            self.drive_friends(cx);
        } else {
            let friend = self.friends.get_mut(&sender);
            if friend.is_none_or(|it| it.punching.handle_ping(cx.now, received.id, &from)) {
                let response = ping(&mut self.keys, &mut self.rng, &sender, true, received.id);
                cx.transmit(from, response);
                self.consider_sender(cx, sender, from);
            } else {
                self.drive_friends(cx);
            }
        }
        Ok(())
    }

    /// What an answer is good for, and the address that it speaks for; `None` if it was not asked for.
    fn take_request(
        &mut self,
        now: Time,
        id: u64,
        sender: &PublicKey,
        from: Address,
        answer: Answer,
    ) -> Option<(Purpose, Address)> {
        match self.requests.take(now, id, sender, &from, answer) {
            Some(purpose) => Some((purpose, from)),
            None if self.friends.contains_key(sender) => {
                self.requests.take_crooked(now, id, sender, &from, answer)
            }
            None => None,
        }
    }

    fn handle_nodes_request(
        &mut self,
        cx: &mut Context<'_>,
        from: Address,
        sender: PublicKey,
        request: NodesRequest,
    ) {
        let near = self.nodes_for(&request.target, MAX_NODES, cx.now, &from);
        let nodes =
            near.into_iter().filter_map(|(key, address)| packed_node(key, &address)).collect();
        let response = NodesResponse { nodes, id: request.id };
        let packet = seal(&mut self.keys, &mut self.rng, &sender, NODES_RESPONSE, &response);
        cx.transmit(from, packet);
        self.consider_sender(cx, sender, from);
    }

    fn handle_nodes_response(
        &mut self,
        cx: &mut Context<'_>,
        from: Address,
        sender: PublicKey,
        response: &NodesResponse,
    ) -> Handled {
        let asked = self.take_request(cx.now, response.id, &sender, from, Answer::Nodes);
        let (purpose, at) = asked.ok_or(DropReason::Unsolicited)?;
        self.verified(cx, sender, at, purpose);
        let nodes = response.nodes.iter().filter(|node| self.is_welcome(&node.key));
        let nodes = nodes.map(|node| (node.key, Address::udp(node.endpoint.address)));
        let nodes: Vec<(PublicKey, Address)> = nodes.collect();
        for (key, address) in nodes.iter().copied() {
            self.tell_friends_of_node(cx.now, &sender, key, address);
            self.consider(cx.now, key, address);
        }
        self.ping_candidates(cx);
        self.drive_friends(cx);
        if let Purpose::Lookup(number) = purpose {
            let running = self.lookups.iter_mut().find(|running| running.number == number);
            if let Some(running) = running {
                let reachable =
                    nodes.iter().copied().filter(|(_, address)| super::is_reachable(address));
                running.lookup.answered(sender, from, reachable);
                running.wake = cx.now;
                self.drive_lookups(cx);
            }
        }
        Ok(())
    }

    /// A search response that nobody else asked for: if we did, its sender knows announcements.
    pub(crate) fn handle_announcing(
        &mut self,
        now: Time,
        from: Address,
        sender: &PublicKey,
        id: u64,
    ) -> Handled {
        let asked = self.requests.take(now, id, sender, &from, Answer::Search);
        asked.ok_or(DropReason::Unsolicited)?;
        self.table.note_announcing(sender);
        for friend in self.friends.values_mut() {
            friend.note_announcing(sender);
        }
        Ok(())
    }

    /// A DHT request: for us, or for a node that we know (one hop, unchanged; nothing further).
    fn handle_routed(&mut self, cx: &mut Context<'_>, from: Address, packet: &mut [u8]) -> Handled {
        let (header, boxed) = DhtRequestHeader::split(packet)?;
        if header.sender == self.keys.public() {
            return Err(DropReason::FromSelf);
        }
        if header.receiver != self.keys.public() {
            let next = self.known(&header.receiver).ok_or(DropReason::NoRoute)?;
            let next = next.address(cx.now).or(next.latest()).ok_or(DropReason::NoRoute)?;
            cx.transmit(next, packet.to_vec());
            return Ok(());
        }
        let plain = self.keys.shared(&header.sender).open_in_place(&header.nonce, boxed)?;
        let (sender, id) = (header.sender, plain[0]);
        match id {
            NAT_PING => {
                let ping = NatPing::from_bytes(plain)?;
                self.handle_nat_ping(cx, from, sender, ping)
            }
            FRIEND_REQUEST | DHT_KEY => {
                let data = plain[1..].to_vec();
                self.events.push_back(DhtEvent::Request { sender, id, data });
                Ok(())
            }
            _ => Err(DropReason::UnknownKind),
        }
    }

    fn handle_lan_discovery(
        &mut self,
        cx: &mut Context<'_>,
        from: Address,
        packet: &[u8],
    ) -> Handled {
        let discovered = LanDiscovery::from_bytes(packet)?;
        if discovered.key == self.keys.public() {
            return Err(DropReason::FromSelf);
        }
        if !self.lan.is_enabled() || !from.is_lan() {
            return Err(DropReason::Refused);
        }
        self.consider(cx.now, discovered.key, from);
        self.ping_candidates(cx);
        Ok(())
    }

    /// A question is exactly as long as it has to be; anything else is an answer.
    fn handle_bootstrap_info(
        &mut self,
        cx: &mut Context<'_>,
        from: Address,
        packet: &[u8],
    ) -> Handled {
        if BootstrapInfoRequest::from_bytes(packet).is_ok() {
            if !self.config.answers_info {
                return Err(DropReason::Refused);
            }
            cx.transmit(from, self.services.info());
            return Ok(());
        }
        let info = BootstrapInfo::from_bytes(packet)?;
        let answered = self.services.answered(from, &info).ok_or(DropReason::Unsolicited)?;
        let (key, services) = answered;
        if !services.is_empty() {
            self.events.push_back(DhtEvent::ServiceNode { key, address: from, services });
        }
        Ok(())
    }
}

/// A node as others are told of it; `None` for custom transports, which have no packed form.
pub(crate) fn packed_node(key: PublicKey, address: &Address) -> Option<PackedNode> {
    address.as_udp().map(|address| PackedNode { endpoint: IpPort::udp(address), key })
}

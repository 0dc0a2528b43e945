//! The onion's serving side: a hop of other people's paths, and a place where keys are announced
//! (Tox Reference, "Onion"; research note `tox.md` 1.3). Paths of our own: [`client`]. As a TCP relay
//! this node is the first hop of its clients' paths.
//!
//! A hop remembers nothing of what it passes on: the way back travels with the packet, in a box that
//! only this node opens. What it remembers are announcements, within [`store`]'s bounds.

mod announce;
pub(crate) mod client;
mod hop;
mod return_key;
mod store;
#[cfg(test)]
mod tests;

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use self::announce::PingIds;
use self::return_key::ReturnKey;
use self::store::Store;
use crate::dht::Dht;
use crate::drops::DropReason;
use crate::outbox::Context;
use crate::relay::server::ClientId;
use crate::wire::address::{IpPort, Protocol};
use crate::wire::onion::{
    ANNOUNCE_REQUEST, ANNOUNCE_RESPONSE, DATA_REQUEST, DATA_RESPONSE, EXTENDED_ANNOUNCE_REQUEST,
    EXTENDED_ANNOUNCE_RESPONSE, Hop,
};
use crate::wire::{Address, Rng, Time};

/// What came of a packet.
type Handled = Result<(), DropReason>;

/// What came back for a client of our relay.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RelayedResponse {
    /// The client.
    pub(crate) client: ClientId,
    /// The packet that it gets: 84, 86 or 88.
    pub(crate) response: Vec<u8>,
}

/// What this node does for other people's onion packets.
#[derive(Debug)]
pub(crate) struct Onion {
    rng: Rng,
    return_key: ReturnKey,
    ping_ids: PingIds,
    store: Store,
}

impl Onion {
    /// A hop that has seen nothing yet.
    pub(crate) fn new(mut rng: Rng, now: Time) -> Self {
        let return_key = ReturnKey::new(&mut rng, now);
        let ping_ids = PingIds::new(&mut rng);
        Self { rng, return_key, ping_ids, store: Store::default() }
    }

    /// True if packets of this kind are the onion's.
    pub(crate) fn handles(kind: u8) -> bool {
        matches!(kind, 0x80..=0x88 | 0x8c..=0x8e)
    }

    /// Takes a packet of one of the onion's kinds: 80 to 88, 8c to 8e. The buffer is scratch space
    /// afterwards. There is nothing to do later: no timers. What came back for a client of our relay is
    /// returned.
    pub(crate) fn handle(
        &mut self,
        cx: &mut Context<'_>,
        dht: &mut Dht,
        from: Address,
        packet: &mut [u8],
    ) -> Option<RelayedResponse> {
        let kind = packet.first().copied().unwrap_or_default();
        let mut relayed = None;
        let handled = match kind {
            ANNOUNCE_REQUEST | EXTENDED_ANNOUNCE_REQUEST => {
                self.handle_announce(cx, dht, from, packet)
            }
            DATA_REQUEST => self.handle_data(cx, packet),
            // We have no paths of our own yet, so we asked for nothing.
            ANNOUNCE_RESPONSE | DATA_RESPONSE | EXTENDED_ANNOUNCE_RESPONSE => {
                Err(DropReason::Unsolicited)
            }
            _ if Hop::from_send_kind(kind).is_some() => self.handle_send(cx, dht, from, packet),
            _ if Hop::from_response_kind(kind).is_some() => {
                self.handle_response(cx, packet).map(|response| relayed = response)
            }
            _ => Err(DropReason::UnknownKind),
        };
        if let Err(reason) = handled {
            cx.drop_packet(reason);
        }
        relayed
    }
}

/// An address in the form in which onion packets carry it; custom transports have none.
fn packed(address: &Address) -> Result<IpPort, DropReason> {
    address.as_udp().map(IpPort::udp).ok_or(DropReason::Refused)
}

/// Where an endpoint of an onion packet is. Nodes are reached by UDP only.
fn unpacked(endpoint: &IpPort) -> Result<Address, DropReason> {
    match endpoint.protocol {
        Protocol::Udp => Ok(Address::udp(endpoint.address)),
        Protocol::Tcp => Err(DropReason::Refused),
    }
}

/// A client of our relay in the form of an address, for return paths: only this node opens them.
fn packed_client(client: ClientId) -> IpPort {
    let address = SocketAddr::new(Ipv6Addr::from_bits(client.0.into()).into(), 0);
    IpPort { protocol: Protocol::Tcp, address }
}

/// The client in such an address.
fn unpacked_client(endpoint: &IpPort) -> Option<ClientId> {
    match (endpoint.protocol, endpoint.address.ip()) {
        (Protocol::Tcp, IpAddr::V6(ip)) => u64::try_from(ip.to_bits()).ok().map(ClientId),
        _ => None,
    }
}

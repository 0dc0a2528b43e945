//! DHT announcements and forwarding (packets 0x90 to 0x98), which the Tox Reference does not know
//! (research note `tox.md` 1.4; behaviour as c-toxcore's `forwarding.c` and `announce.c`).
//!
//! As a server this node keeps small announcements for a while ([`store`]), answers searches, and
//! forwards other people's packets, for nodes and for the clients of its TCP relay ([`forwarder`]). It
//! remembers neither searches nor forwarded packets: what it has to know again travels with them,
//! under a tag of its own ([`timed_auth`]). As a client ([`client`]) it stores, searches and retrieves
//! announcements at other nodes, directly or through forwarders.

pub(crate) mod client;
pub(crate) mod forwarder;
mod server;
mod store;
mod timed_auth;

pub(crate) use self::server::Server;

use crate::drops::DropReason;
use crate::wire::Address;
use crate::wire::address::{IpPort, Protocol};

/// What came of a packet.
type Handled = Result<(), DropReason>;

/// An address in the form in which sendbacks carry it; custom transports have none.
fn packed(address: &Address) -> Result<IpPort, DropReason> {
    address.as_udp().map(IpPort::udp).ok_or(DropReason::Refused)
}

/// Where a packet for this endpoint goes. Nodes are reached by UDP only.
fn unpacked(endpoint: &IpPort) -> Result<Address, DropReason> {
    match endpoint.protocol {
        Protocol::Udp => Ok(Address::udp(endpoint.address)),
        Protocol::Tcp => Err(DropReason::Refused),
    }
}

//! Forwarding packets for others, and what was forwarded to us.

use core::time::Duration;

use super::timed_auth::{TAG_LEN, TimedAuth};
use super::{Handled, packed, unpacked};
use crate::dht::{Dht, is_reachable};
use crate::drops::DropReason;
use crate::outbox::Context;
use crate::relay::server::ClientId;
use crate::wire::address::IpPort;
use crate::wire::forwarding::{
    FORWARD_REPLY, FORWARD_REQUEST, FORWARDING, ForwardReply, ForwardRequest, Forwarding,
    MAX_FORWARD_DATA, MAX_SENDBACK, ReturnRoute,
};
use crate::wire::{Address, Decode, Encode, Rng, Time};

/// An answer finds its way back for so long at least (c-toxcore `SENDBACK_TIMEOUT`).
const SENDBACK_WINDOW: Duration = Duration::from_secs(3_600);

/// What came through forwarders and is not to be forwarded on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Forwarded {
    /// A packet for this node, to be answered with the sendback.
    Request {
        /// Whence.
        forwarder: Address,
        /// For the answer.
        sendback: Vec<u8>,
        /// The packet.
        data: Vec<u8>,
    },
    /// An answer for this node.
    Response(Vec<u8>),
    /// An answer for a client of our relay.
    Client {
        /// The client.
        client: ClientId,
        /// The answer.
        data: Vec<u8>,
    },
}

/// Forwards packets. It remembers nothing of them.
#[derive(Debug)]
pub(crate) struct Forwarder {
    auth: TimedAuth,
}

impl Forwarder {
    /// A forwarder whose sendbacks nobody else makes.
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self { auth: TimedAuth::new(rng, SENDBACK_WINDOW) }
    }

    /// True if packets of this kind are the forwarder's.
    pub(crate) fn handles(kind: u8) -> bool {
        matches!(kind, FORWARD_REQUEST..=FORWARD_REPLY)
    }

    /// Takes a packet of the kinds 90, 91 and 92, and returns what is not to be forwarded on.
    pub(crate) fn handle(
        &mut self,
        cx: &mut Context<'_>,
        dht: &Dht,
        from: Address,
        packet: &[u8],
    ) -> Option<Forwarded> {
        let handled = match packet.first() {
            Some(&FORWARD_REQUEST) => self.handle_request(cx, dht, from, packet),
            Some(&FORWARDING) => self.handle_forwarding(cx, dht, from, packet),
            _ => self.handle_reply(cx, packet),
        };
        handled.unwrap_or_else(|reason| {
            cx.drop_packet(reason);
            None
        })
    }

    /// Sends data of a client of our relay to a node. Its answer comes out of [`Forwarder::handle`].
    pub(crate) fn send_for_client(
        &self,
        cx: &mut Context<'_>,
        client: ClientId,
        to: &IpPort,
        data: &[u8],
    ) {
        let sent = unpacked(to).and_then(|to| {
            let is_fit = data.len() <= MAX_FORWARD_DATA && is_reachable(&to);
            let route = ReturnRoute::Client(client.0);
            if is_fit { self.send(cx, to, &route, data) } else { Err(DropReason::Refused) }
        });
        if let Err(reason) = sent {
            cx.drop_packet(reason);
        }
    }

    /// A forward request by UDP.
    fn handle_request(
        &self,
        cx: &mut Context<'_>,
        dht: &Dht,
        from: Address,
        packet: &[u8],
    ) -> Result<Option<Forwarded>, DropReason> {
        let route = ReturnRoute::Requester(packed(&from)?);
        self.pass_on(cx, dht, &route, packet).map(|()| None)
    }

    /// Something that was forwarded to us.
    fn handle_forwarding(
        &self,
        cx: &mut Context<'_>,
        dht: &Dht,
        from: Address,
        packet: &[u8],
    ) -> Result<Option<Forwarded>, DropReason> {
        let Forwarding { sendback, data } = Forwarding::from_bytes(packet)?;
        if data.first() == Some(&FORWARD_REQUEST) {
            let route = ReturnRoute::Forwarder { address: packed(&from)?, sendback };
            return self.pass_on(cx, dht, &route, data).map(|()| None);
        }
        let data = data.to_vec();
        Ok(Some(if sendback.is_empty() {
            Forwarded::Response(data)
        } else {
            Forwarded::Request { forwarder: from, sendback: sendback.to_vec(), data }
        }))
    }

    /// Hands the contents of a forward request to the node that it names, if that is in the close list.
    fn pass_on(
        &self,
        cx: &mut Context<'_>,
        dht: &Dht,
        route: &ReturnRoute<'_>,
        request: &[u8],
    ) -> Handled {
        let request = ForwardRequest::from_bytes(request)?;
        let next = dht.close_address(&request.next, cx.now).ok_or(DropReason::NoRoute)?;
        self.send(cx, next, route, request.data)
    }

    fn send(
        &self,
        cx: &mut Context<'_>,
        to: Address,
        route: &ReturnRoute<'_>,
        data: &[u8],
    ) -> Handled {
        let sendback = self.sendback(cx.now, route)?;
        cx.transmit(to, Forwarding { sendback: &sendback, data }.to_bytes());
        Ok(())
    }

    fn sendback(&self, now: Time, route: &ReturnRoute<'_>) -> Result<Vec<u8>, DropReason> {
        let route = route.to_bytes();
        if TAG_LEN + route.len() > MAX_SENDBACK {
            return Err(DropReason::Oversized);
        }
        Ok([&self.auth.tag(now, &route)[..], &route].concat())
    }

    /// An answer on its way back: the sendback says where to.
    fn handle_reply(
        &self,
        cx: &mut Context<'_>,
        packet: &[u8],
    ) -> Result<Option<Forwarded>, DropReason> {
        let ForwardReply { sendback, data } = ForwardReply::from_bytes(packet)?;
        let (tag, route) = sendback.split_at_checked(TAG_LEN).ok_or(DropReason::Truncated)?;
        if !self.auth.is_valid(cx.now, route, tag) {
            return Err(DropReason::Forged);
        }
        match ReturnRoute::from_bytes(route)? {
            ReturnRoute::Requester(address) => {
                cx.transmit(unpacked(&address)?, Forwarding { sendback: &[], data }.to_bytes());
                Ok(None)
            }
            ReturnRoute::Forwarder { address, sendback } => {
                cx.transmit(unpacked(&address)?, ForwardReply { sendback, data }.to_bytes());
                Ok(None)
            }
            ReturnRoute::Client(number) => {
                Ok(Some(Forwarded::Client { client: ClientId(number), data: data.to_vec() }))
            }
        }
    }
}

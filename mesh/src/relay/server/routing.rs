//! What clients' packets do: connections between two of them, out-of-band messages, requests.

use super::link::FarEnd;
use super::{ClientId, MAX_ROUTES_TOTAL, MIN_ROUTES, Server, ServerEvent};
use crate::drops::DropReason;
use crate::outbox::Context;
use crate::relay::PING_INTERVAL;
use crate::wire::PublicKey;
use crate::wire::relay::{ConnectionId, RelayPacket};

/// What came of a packet; an error closes its connection.
type Handled = Result<(), DropReason>;

impl Server {
    /// Takes a packet of a confirmed client.
    pub(super) fn handle_packet(
        &mut self,
        cx: &mut Context<'_>,
        number: u64,
        packet: RelayPacket<'_>,
    ) -> Handled {
        let client = ClientId(number);
        match packet {
            RelayPacket::RoutingRequest { key } => self.handle_routing(cx, number, key),
            // c-toxcore takes no notice of it.
            RelayPacket::Connected { .. } => Ok(()),
            RelayPacket::Disconnected { connection } => {
                self.handle_disconnect(cx, number, connection)
            }
            RelayPacket::Ping { id } => {
                self.send(cx, number, &RelayPacket::Pong { id });
                Ok(())
            }
            RelayPacket::Pong { id } => self.handle_pong(cx, number, id),
            RelayPacket::OobSend { to, data } => self.handle_oob(cx, number, to, data),
            RelayPacket::OnionRequest { nonce, next, key, boxed } => {
                let Some(link) = self.links.get(&number) else { return Ok(()) };
                let (from, boxed) = (link.from, boxed.to_vec());
                let request = ServerEvent::OnionRequest { client, from, nonce, next, key, boxed };
                self.events.push_back(request);
                Ok(())
            }
            RelayPacket::ForwardRequest { to, data } => {
                let data = data.to_vec();
                self.events.push_back(ServerEvent::ForwardRequest { client, to, data });
                Ok(())
            }
            RelayPacket::Data { connection, data } => {
                self.handle_data(cx, number, connection, data)
            }
            // What only relays say.
            RelayPacket::RoutingResponse { .. }
            | RelayPacket::OobReceive { .. }
            | RelayPacket::OnionResponse { .. }
            | RelayPacket::Forwarding { .. } => Err(DropReason::Refused),
        }
    }

    /// A client wants to be connected to `peer`; it is as soon as `peer` wants it too.
    fn handle_routing(&mut self, cx: &mut Context<'_>, number: u64, peer: PublicKey) -> Handled {
        let is_full = self.routes >= MAX_ROUTES_TOTAL;
        let open = self.open_link(number).ok_or(DropReason::NoSession)?;
        let own_key = open.key;
        let known = open.routes.find(&peer);
        let connection = match known {
            Some(id) => Some(id),
            None if peer == own_key => None,
            None if is_full && open.routes.count() >= MIN_ROUTES => None,
            None => open.routes.add(peer),
        };
        self.routes += usize::from(connection.is_some() && known.is_none());
        self.send(cx, number, &RelayPacket::RoutingResponse { connection, key: peer });
        if let Some(id) = connection
            && known.is_none()
        {
            self.join(cx, FarEnd { link: number, id }, own_key, peer);
        }
        Ok(())
    }

    /// Joins `here`, the end that `own_key` has just made for `peer`, to the one that `peer` has made
    /// for `own_key`, if it has.
    fn join(&mut self, cx: &mut Context<'_>, here: FarEnd, own_key: PublicKey, peer: PublicKey) {
        let Some(link) = self.by_key.get(&peer).copied() else { return };
        let Some(id) = self.open_link(link).and_then(|open| open.routes.find(&own_key)) else {
            return;
        };
        let there = FarEnd { link, id };
        for (end, other) in [(here, there), (there, here)] {
            if let Some(open) = self.open_link(end.link) {
                open.routes.set_far_end(end.id, Some(other));
            }
            self.send(cx, end.link, &RelayPacket::Connected { connection: end.id });
        }
    }

    /// Tells the client at `end` that the one at the other end is gone; its number stays.
    pub(super) fn unlink(&mut self, cx: &mut Context<'_>, end: FarEnd) {
        if let Some(open) = self.open_link(end.link) {
            open.routes.set_far_end(end.id, None);
        }
        self.send(cx, end.link, &RelayPacket::Disconnected { connection: end.id });
    }

    fn handle_disconnect(
        &mut self,
        cx: &mut Context<'_>,
        number: u64,
        connection: ConnectionId,
    ) -> Handled {
        let open = self.open_link(number).ok_or(DropReason::NoSession)?;
        let removed = open.routes.remove(connection).ok_or(DropReason::Unsolicited)?;
        self.routes -= 1;
        if let Some(far_end) = removed {
            self.unlink(cx, far_end);
        }
        Ok(())
    }

    fn handle_pong(&mut self, cx: &mut Context<'_>, number: u64, id: u64) -> Handled {
        if id == 0 {
            return Err(DropReason::Malformed);
        }
        let open = self.open_link(number).ok_or(DropReason::NoSession)?;
        if open.ping == Some(id) {
            open.ping = None;
            self.set_timer(number, cx.now + PING_INTERVAL);
        } else {
            cx.drop_packet(DropReason::Unsolicited);
        }
        Ok(())
    }

    fn handle_oob(
        &mut self,
        cx: &mut Context<'_>,
        number: u64,
        to: PublicKey,
        data: &[u8],
    ) -> Handled {
        let from = self.open_link(number).map(|open| open.key).ok_or(DropReason::NoSession)?;
        match self.by_key.get(&to).copied() {
            Some(link) => {
                self.offer(cx, link, &RelayPacket::OobReceive { from, data });
            }
            None => cx.drop_packet(DropReason::NoRoute),
        }
        Ok(())
    }

    fn handle_data(
        &mut self,
        cx: &mut Context<'_>,
        number: u64,
        connection: ConnectionId,
        data: &[u8],
    ) -> Handled {
        let open = self.open_link(number).ok_or(DropReason::NoSession)?;
        match open.routes.far_end(connection).ok_or(DropReason::Unsolicited)? {
            Some(FarEnd { link, id }) => {
                self.offer(cx, link, &RelayPacket::Data { connection: id, data });
            }
            // The peer is not there (any more), and the client may not know yet.
            None => cx.drop_packet(DropReason::NoRoute),
        }
        Ok(())
    }
}

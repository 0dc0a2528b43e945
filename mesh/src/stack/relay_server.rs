//! This node as a TCP relay, in the stack.

use super::Stack;
use crate::config::Config;
use crate::crypto::Keys;
use crate::drops::DropReason;
use crate::machine::{StreamEvent, StreamId, StreamRequest};
use crate::onion::RelayedResponse;
use crate::outbox::Context;
use crate::relay::server::{ClientId, Server, ServerEvent};
use crate::wire::onion::{Hop, SendHeader};
use crate::wire::{PublicKey, Rng, Time};

/// The relay that this node is.
#[derive(Debug)]
pub(super) struct RelayServer {
    server: Option<Box<Server>>,
}

impl RelayServer {
    pub(super) fn new(config: &Config, rng: &Rng) -> Self {
        let server = config.relay_server.then(|| Box::new(Server::new(rng.child("relay server"))));
        Self { server }
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.server.as_ref().and_then(|server| server.deadline())
    }

    /// Takes what happened to a client's stream. Without a server nobody is let in.
    fn handle_stream(
        &mut self,
        cx: &mut Context<'_>,
        keys: &mut Keys,
        number: u64,
        event: StreamEvent<'_>,
    ) {
        if let Some(server) = &mut self.server {
            server.handle_stream(cx, keys, number, event);
        } else if matches!(event, StreamEvent::Accepted { .. }) {
            cx.drop_packet(DropReason::Refused);
            cx.stream(StreamId::Incoming(number), StreamRequest::Close);
        }
    }

    /// Hands a client of our relay what came back for it.
    pub(super) fn respond_onion(&mut self, cx: &mut Context<'_>, answer: &RelayedResponse) {
        if let Some(server) = &mut self.server {
            server.respond_onion(cx, answer.client, &answer.response);
        }
    }

    /// Hands a client of our relay what came back for its forward request.
    pub(super) fn respond_forward(&mut self, cx: &mut Context<'_>, client: ClientId, data: &[u8]) {
        if let Some(server) = &mut self.server {
            server.respond_forward(cx, client, data);
        }
    }
}

impl Stack {
    /// How many clients this node's relay has.
    pub fn relay_client_count(&self) -> usize {
        self.relay_server.server.as_ref().map_or(0, |server| server.client_count())
    }

    /// What this node's relay knows of its clients: their DHT keys, and the keys of those with whom
    /// they asked to be connected.
    pub fn relay_clients(&self) -> impl Iterator<Item = (PublicKey, Vec<PublicKey>)> + '_ {
        self.relay_server.server.iter().flat_map(|server| server.clients())
    }

    /// Takes what happened to the stream of a client of our relay.
    pub(super) fn handle_client_stream(&mut self, now: Time, number: u64, event: StreamEvent<'_>) {
        let (mut cx, keys) = (self.base.context(now), self.dht.keys());
        self.relay_server.handle_stream(&mut cx, keys, number, event);
        self.serve_relay_clients(now);
    }

    /// Runs the relay's timers.
    pub(super) fn advance_relay_server(&mut self, now: Time) {
        if let Some(server) = &mut self.relay_server.server
            && server.deadline().is_some_and(|at| at <= now)
        {
            server.handle_timeout(&mut self.base.context(now));
        }
    }

    /// Does for our relay's clients what the relay itself cannot.
    fn serve_relay_clients(&mut self, now: Time) {
        let Some(server) = &mut self.relay_server.server else { return };
        let mut cx = self.base.context(now);
        while let Some(event) = server.poll_event() {
            match event {
                ServerEvent::OnionRequest { client, from, nonce, next, key, boxed } => {
                    let header = SendHeader { hop: Hop::Second, nonce, key };
                    self.onion.send_for_client(&mut cx, (client, &from), header, (&next, &boxed));
                }
                ServerEvent::ForwardRequest { client, to, data } => {
                    self.announcements.forwarder.send_for_client(&mut cx, client, &to, &data);
                }
            }
        }
    }
}

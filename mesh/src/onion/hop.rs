//! A hop of other people's paths: one layer off on the way out, one box off on the way back.

use super::{Handled, Onion, RelayedResponse, packed, packed_client, unpacked, unpacked_client};
use crate::dht::{Dht, is_reachable};
use crate::drops::DropReason;
use crate::outbox::Context;
use crate::relay::server::ClientId;
use crate::wire::address::IpPort;
use crate::wire::onion::{Hop, LastLayer, Layer, OnionResponse, ReturnPath, SendHeader};
use crate::wire::{Address, Decode, Encode, Nonce};

impl Onion {
    /// A packet on its way out: 80, 81 or 82.
    pub(super) fn handle_send(
        &mut self,
        cx: &mut Context<'_>,
        dht: &mut Dht,
        from: Address,
        packet: &mut [u8],
    ) -> Handled {
        let (header, boxed, back) = SendHeader::split(packet)?;
        if header.key == dht.keys().public() {
            return Err(DropReason::FromSelf);
        }
        let plain = dht.keys().shared(&header.key).open_in_place(&header.nonce, boxed)?;
        let next_hop = match header.hop {
            Hop::First => Hop::Second,
            Hop::Second => Hop::Third,
            Hop::Third => {
                let layer = LastLayer::from_bytes(plain)?;
                let to = next_address(&layer.destination, &from)?;
                let mut out = layer.request.to_vec();
                out.extend_from_slice(self.extend(cx, &back, &packed(&from)?)?.as_bytes());
                cx.transmit(to, out);
                return Ok(());
            }
        };
        let layer = Layer::from_bytes(plain)?;
        let to = next_address(&layer.next, &from)?;
        let back = self.extend(cx, &back, &packed(&from)?)?;
        let next = SendHeader { hop: next_hop, nonce: header.nonce, key: layer.key };
        let mut out = next.to_bytes();
        out.extend_from_slice(layer.boxed);
        out.extend_from_slice(back.as_bytes());
        cx.transmit(to, out);
        Ok(())
    }

    /// The return path with this hop: where the packet came from, for our eyes only.
    fn extend(
        &mut self,
        cx: &Context<'_>,
        back: &ReturnPath,
        from: &IpPort,
    ) -> Result<ReturnPath, DropReason> {
        let nonce = Nonce::generate(&mut self.rng);
        let key = self.return_key.current(&mut self.rng, cx.now);
        back.extended(key, &nonce, from).ok_or(DropReason::Malformed)
    }

    /// A packet of a client of our relay: this node is the first hop, whose layer was the connection's.
    /// It goes on to `next`, the second hop, with that hop's box.
    pub(crate) fn send_for_client(
        &mut self,
        cx: &mut Context<'_>,
        (client, from): (ClientId, &Address),
        header: SendHeader,
        (next, boxed): (&IpPort, &[u8]),
    ) {
        let sent = next_address(next, from).and_then(|to| {
            let back = self.extend(cx, &ReturnPath::EMPTY, &packed_client(client))?;
            let mut out = header.to_bytes();
            out.extend_from_slice(boxed);
            out.extend_from_slice(back.as_bytes());
            cx.transmit(to, out);
            Ok(())
        });
        if let Err(reason) = sent {
            cx.drop_packet(reason);
        }
    }

    /// A packet on its way back: 8c, 8d or 8e. Returned if it is for a client of our relay.
    pub(super) fn handle_response(
        &mut self,
        cx: &mut Context<'_>,
        packet: &[u8],
    ) -> Result<Option<RelayedResponse>, DropReason> {
        let received = OnionResponse::from_bytes(packet)?;
        let keys = self.return_key.all(&mut self.rng, cx.now);
        let opened = keys.filter_map(|key| received.back().open(key).ok()).next();
        let (endpoint, back) = opened.ok_or(DropReason::Forged)?;
        if let (Some(client), None) = (unpacked_client(&endpoint), back.hop()) {
            let response = received.response().to_vec();
            return Ok(Some(RelayedResponse { client, response }));
        }
        let to = unpacked(&endpoint)?;
        let out = match OnionResponse::new(back, received.response()) {
            Some(onward) => onward.to_bytes(),
            // We were the first hop: this is the path's owner.
            None => received.response().to_vec(),
        };
        cx.transmit(to, out);
        Ok(None)
    }
}

/// Where a layer sends us next. A stranger outside must not make us write into our local network.
fn next_address(endpoint: &IpPort, from: &Address) -> Result<Address, DropReason> {
    let next = unpacked(endpoint)?;
    if is_reachable(&next) && (from.is_lan() || !next.is_lan()) {
        Ok(next)
    } else {
        Err(DropReason::Refused)
    }
}

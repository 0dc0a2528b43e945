//! What the user of the fuzzed node does.

use core::time::Duration;

use toktok_mesh::wire::ToxId;
use toktok_mesh::{AnnouncementPath, PublicKey};

use super::{World, address};

/// The name of the protocol that both sides listen for.
const PROTOCOL: &str = "fuzz";

impl World {
    /// The user does something that concerns a peer. What is refused is refused.
    pub(super) fn act(&mut self, who: usize, what: usize, bytes: &[u8]) {
        let key = self.known.peers[who].pair.public;
        let (now, address, stack) = (self.now, address(who), &mut self.stack);
        match what % 24 {
            0 => stack.bootstrap(now, address, key),
            1 => stack.connect(now, key, Some(address)),
            2 => stack.connect(now, key, None),
            3 => _ = stack.add_friend(now, key),
            4 => _ = stack.remove_friend(now, key),
            5 => _ = address.as_udp().map(|at| stack.add_relay(now, at, key)),
            6 => stack.disconnect(now, key),
            7 => _ = stack.lookup(now, bytes.first_chunk().map_or(key, |bytes| PublicKey(*bytes))),
            8 => self.channels.extend(stack.open(now, key, PROTOCOL)),
            9 | 10 => self.use_channel(who, what == 9, bytes),
            11 => {
                if let [id, data @ ..] = bytes {
                    _ = stack.send_packet(now, key, *id, data.to_vec().into());
                }
            }
            12..=14 => self.announce(who, what, bytes),
            15 => {
                _ = stack.request_friend(now, &ToxId { key, nospam: [7; 4] }, bytes);
            }
            16 => stack.connect_tox(now, key, key, Some(address)),
            17 => _ = stack.add_acquaintance(now, key, key),
            18 => stack.remove_acquaintance(now, key),
            19 => stack.load_nodes(now, &[(key, address)]),
            20 => stack.set_services(&[PROTOCOL]),
            21 => stack.add_address(now, key, address),
            22 => stack.set_peer_dht_key(now, key, key),
            _ => _ = (stack.nodes_to_save(), stack.network_group(key)),
        }
    }

    fn use_channel(&mut self, place: usize, send: bool, bytes: &[u8]) {
        let Some(channel) = self.channels.get(place).copied() else { return };
        if send {
            _ = self.stack.send(self.now, channel, bytes.repeat(4).into());
        } else {
            self.stack.close(self.now, channel);
            self.channels.retain(|it| *it != channel);
        }
    }

    /// The node's own operations with announcements.
    fn announce(&mut self, who: usize, what: usize, bytes: &[u8]) {
        let (node, key) = (self.known.peers[who].pair.public, self.known.peers[0].pair.public);
        let path = match bytes.len() % 2 {
            0 => Some(AnnouncementPath::direct(node, address(who))),
            _ => AnnouncementPath::forwarded(address(0), &[node]),
        };
        let (now, stack) = (self.now, &mut self.stack);
        let Some(path) = path else { return };
        _ = match what {
            12 => stack.search_announcement(now, key, path),
            13 => stack.retrieve_announcement(now, key, path),
            _ => {
                let keys = self.known.peers[0].pair.clone();
                stack.store_announcement(now, keys, bytes, Duration::from_secs(60), path)
            }
        };
    }
}

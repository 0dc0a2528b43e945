//! What a node's datagrams were for: its own business, or that of others.
//!
//! The first byte of a Tox packet tells its kind. A node that keeps its place in the network and speaks to
//! friends *asks*; a node that serves others *answers* and passes packets on. So the same account says
//! what a node costs its owner, and whether it does what others need of it.

use crate::wire::announcement::{
    RETRIEVE_REQUEST, RETRIEVE_RESPONSE, SEARCH_REQUEST, SEARCH_RESPONSE, STORE_REQUEST,
    STORE_RESPONSE,
};
use crate::wire::forwarding::{FORWARD_REPLY, FORWARD_REQUEST, FORWARDING};

/// What a packet is for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum PacketPurpose {
    /// Asks whether a node is there.
    Ping,
    /// Says that it is.
    PingAnswer,
    /// Asks a node for nodes.
    NodesRequest,
    /// Tells nodes.
    NodesAnswer,
    /// Belongs to a session: cookies, handshakes, data.
    Session,
    /// Is routed through nodes near its receiver: NAT pings, DHT keys.
    DhtRequest,
    /// Enters an onion path at its first node.
    OnionRequest,
    /// Goes on along somebody's onion path, the node at its end included.
    OnionOnward,
    /// Goes back along somebody's onion path.
    OnionReturn,
    /// Leaves an onion path at its owner.
    OnionAnswer,
    /// Asks for a DHT announcement, or asks to keep one: itself, or through a node that forwards it.
    AnnouncementRequest,
    /// Answers that.
    AnnouncementAnswer,
    /// Goes through nodes that forward it, to the one that is asked or back.
    Forwarded,
    /// Comes back to the one that asked, from the first of those nodes.
    ForwardedAnswer,
    /// Anything else: LAN discovery, bootstrap info, foreign bytes.
    Other,
}

use PacketPurpose as P;

impl PacketPurpose {
    /// All purposes, in the order of [`Traffic`]'s counters.
    pub const ALL: [Self; 15] = [
        P::Ping,
        P::PingAnswer,
        P::NodesRequest,
        P::NodesAnswer,
        P::Session,
        P::DhtRequest,
        P::OnionRequest,
        P::OnionOnward,
        P::OnionReturn,
        P::OnionAnswer,
        P::AnnouncementRequest,
        P::AnnouncementAnswer,
        P::Forwarded,
        P::ForwardedAnswer,
        P::Other,
    ];

    /// What a datagram is for, by its first byte.
    pub fn of(datagram: &[u8]) -> Self {
        match datagram.first() {
            Some(0x00) => P::Ping,
            Some(0x01) => P::PingAnswer,
            Some(0x02) => P::NodesRequest,
            Some(0x04) => P::NodesAnswer,
            Some(0x18..=0x1b) => P::Session,
            Some(0x20) => P::DhtRequest,
            Some(0x80) => P::OnionRequest,
            Some(0x81..=0x83 | 0x85 | 0x87) => P::OnionOnward,
            Some(0x8c..=0x8e) => P::OnionReturn,
            Some(0x84 | 0x86 | 0x88) => P::OnionAnswer,
            Some(&(FORWARD_REQUEST | SEARCH_REQUEST | RETRIEVE_REQUEST | STORE_REQUEST)) => {
                P::AnnouncementRequest
            }
            Some(&(SEARCH_RESPONSE | RETRIEVE_RESPONSE | STORE_RESPONSE)) => P::AnnouncementAnswer,
            // With nothing to send back it has arrived.
            Some(&FORWARDING) if datagram.get(1) == Some(&0) => P::ForwardedAnswer,
            Some(&(FORWARDING | FORWARD_REPLY)) => P::Forwarded,
            _ => P::Other,
        }
    }

    /// True if a node sends such packets only because of others: answers, and what it passes on. A DHT
    /// request may be either, and counts as one's own.
    pub const fn is_service(self) -> bool {
        matches!(
            self,
            P::PingAnswer
                | P::NodesAnswer
                | P::OnionOnward
                | P::OnionReturn
                | P::OnionAnswer
                | P::AnnouncementAnswer
                | P::Forwarded
                | P::ForwardedAnswer
        )
    }

    /// True if whoever receives such a packet owes one of those that are [a service](Self::is_service).
    const fn is_asking(self) -> bool {
        matches!(
            self,
            P::Ping
                | P::NodesRequest
                | P::OnionRequest
                | P::OnionOnward
                | P::OnionReturn
                | P::AnnouncementRequest
                | P::Forwarded
        )
    }
}

/// A number of datagrams.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Count {
    /// How many.
    pub packets: u64,
    /// Their payloads, without the headers below.
    pub bytes: u64,
}

/// Bytes of an IPv4 and a UDP header.
const HEADERS: u64 = 28;

impl Count {
    /// The bytes with those of IPv4's and UDP's headers.
    pub const fn ip_bytes(self) -> u64 {
        self.bytes.saturating_add(self.packets.saturating_mul(HEADERS))
    }

    fn add(&mut self, other: Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// All datagrams of a node, by purpose. What goes through TCP relays is not in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    sent: [Count; PacketPurpose::ALL.len()],
    received: [Count; PacketPurpose::ALL.len()],
}

impl Traffic {
    pub(crate) fn count_sent(&mut self, datagram: &[u8]) {
        let count = Count { packets: 1, bytes: datagram.len() as u64 };
        self.sent[PacketPurpose::of(datagram) as usize].add(count);
    }

    pub(crate) fn count_received(&mut self, datagram: &[u8]) {
        let count = Count { packets: 1, bytes: datagram.len() as u64 };
        self.received[PacketPurpose::of(datagram) as usize].add(count);
    }

    /// What was sent for a purpose.
    pub const fn sent(&self, purpose: PacketPurpose) -> Count {
        self.sent[purpose as usize]
    }

    /// What came of a purpose.
    pub const fn received(&self, purpose: PacketPurpose) -> Count {
        self.received[purpose as usize]
    }

    /// What this node sent of its own accord.
    pub fn own(&self) -> Count {
        sum(&self.sent, |purpose| !purpose.is_service())
    }

    /// What it sent for others.
    pub fn served(&self) -> Count {
        sum(&self.sent, PacketPurpose::is_service)
    }

    /// What others asked of it: with an honest crowd, as many packets as [`Self::served`].
    pub fn asked(&self) -> Count {
        sum(&self.received, PacketPurpose::is_asking)
    }
}

fn sum(
    counts: &[Count; PacketPurpose::ALL.len()],
    wanted: impl Fn(PacketPurpose) -> bool,
) -> Count {
    let mut total = Count::default();
    for purpose in PacketPurpose::ALL.into_iter().filter(|purpose| wanted(*purpose)) {
        total.add(counts[purpose as usize]);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Encode;
    use crate::wire::forwarding::{ForwardReply, Forwarding};

    #[test]
    fn every_purpose_has_its_own_counter() {
        for (place, purpose) in PacketPurpose::ALL.into_iter().enumerate() {
            assert_eq!(purpose as usize, place);
        }
    }

    #[test]
    fn one_s_own_requests_and_what_others_asked_for_are_told_apart() {
        let mut traffic = Traffic::default();
        for kind in [0x02, 0x80, 0x1b] {
            traffic.count_sent(&[kind; 100]);
        }
        for (asked, owed) in [(0x00, 0x01), (0x02, 0x04), (0x80, 0x81), (0x83, 0x8c), (0x8e, 0x84)]
        {
            traffic.count_received(&[asked; 10]);
            traffic.count_sent(&[owed; 20]);
        }
        traffic.count_received(&[0x86; 10]);
        traffic.count_received(&[]);
        assert_eq!(traffic.own(), Count { packets: 3, bytes: 300 });
        assert_eq!(traffic.own().ip_bytes(), 300 + 3 * 28);
        assert_eq!(traffic.served(), Count { packets: 5, bytes: 100 });
        assert_eq!(traffic.asked().packets, traffic.served().packets);
        assert_eq!(traffic.received(PacketPurpose::OnionAnswer).packets, 1);
        assert_eq!(traffic.received(PacketPurpose::Other).packets, 1);
    }

    #[test]
    fn announcements_kept_and_packets_forwarded_for_others_are_no_business_of_one_s_own() {
        let mut traffic = Traffic::default();
        for kind in [SEARCH_REQUEST, RETRIEVE_REQUEST, STORE_REQUEST, FORWARD_REQUEST] {
            traffic.count_sent(&[kind; 100]);
        }
        assert_eq!(traffic.own(), Count { packets: 4, bytes: 400 });
        let forwarded = Forwarding { sendback: &[1; 8], data: &[2; 9] }.to_bytes();
        let arrived = Forwarding { sendback: &[], data: &[2; 9] }.to_bytes();
        let reply = ForwardReply { sendback: &[1; 8], data: &[2; 9] }.to_bytes();
        let request = |kind| vec![kind; 10];
        for (asked, owed) in [
            (request(SEARCH_REQUEST), request(SEARCH_RESPONSE)),
            (request(RETRIEVE_REQUEST), request(RETRIEVE_RESPONSE)),
            (request(STORE_REQUEST), request(STORE_RESPONSE)),
            (request(FORWARD_REQUEST), forwarded.clone()),
            (forwarded, reply.clone()),
            (reply, arrived.clone()),
        ] {
            traffic.count_received(&asked);
            traffic.count_sent(&owed);
        }
        // What came of one's own request asks for nothing.
        traffic.count_received(&arrived);
        traffic.count_received(&request(STORE_RESPONSE));
        assert_eq!(traffic.own(), Count { packets: 4, bytes: 400 });
        assert_eq!((traffic.served().packets, traffic.asked().packets), (6, 6));
    }
}

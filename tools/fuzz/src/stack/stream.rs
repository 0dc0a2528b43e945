//! Byte streams of the fuzzed node: clients of its relay, and relays that it is a client of.

use toktok_mesh::wire::relay::{
    ConnectionId, MAX_OOB_DATA, RelayAnswerHeader, RelayHelloHeader, RelayKeys, RelayPacket,
    open_frame, split_frame,
};
use toktok_mesh::wire::{Decode, Encode, Nonce, SharedKey};
use toktok_mesh::{PublicKey, StreamEvent, StreamId, StreamRequest};

use super::peer::{PEERS, tweak};
use super::{MOST_STREAMS, World, address};

/// What may wait for a stream that takes nothing: twice what the node calls too much for data, and the
/// frame that is one too many.
const MOST_UNSENT: usize = 3 * 64 * 1_024;

/// A stream that is open, as the node's driver and the peer at its other end see it.
pub(super) struct Stream {
    pub(super) id: StreamId,
    /// The peer at the other end.
    owner: usize,
    /// What the peer sent and the driver has not handed in yet.
    pending: Vec<u8>,
    /// What the node wrote and the peer has not read yet.
    unread: Vec<u8>,
    /// Bytes that the node wrote and no one told it to have left.
    unsent: usize,
    /// The peer's own greeting is out.
    is_greeted: bool,
    /// It said what was true: else both sides have other secrets, and nothing can be read.
    is_honest: bool,
    /// Both sides' keys are known.
    pipe: Option<Pipe>,
}

/// The secrets of a stream.
struct Pipe {
    shared: SharedKey,
    seal: Nonce,
    open: Nonce,
}

impl Stream {
    fn new(id: StreamId, owner: usize) -> Self {
        let (pending, unread) = (Vec::new(), Vec::new());
        Self {
            id,
            owner,
            pending,
            unread,
            unsent: 0,
            is_greeted: false,
            is_honest: false,
            pipe: None,
        }
    }

    fn is_outgoing(&self) -> bool {
        matches!(self.id, StreamId::Outgoing(_))
    }

    /// A frame of the peer's, if it can make one.
    fn seal(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        let pipe = self.pipe.as_mut()?;
        let boxed = pipe.shared.seal(&pipe.seal, plain);
        pipe.seal = pipe.seal.plus(1);
        Some([&u16::try_from(boxed.len()).ok()?.to_be_bytes()[..], &boxed].concat())
    }

    /// The next packet of the node's, once it is there.
    ///
    /// # Panics
    /// If the node writes what a peer cannot read.
    fn next_packet(&mut self) -> Option<Vec<u8>> {
        let pipe = self.pipe.as_mut()?;
        let len = self.unread.len();
        let (boxed, rest) =
            split_frame(&mut self.unread).unwrap_or_else(|error| panic!("{error}"))?;
        let read = len - rest.len();
        let packet = open_frame(&pipe.shared, &pipe.open, boxed);
        let packet = packet.unwrap_or_else(|error| panic!("{error}")).to_bytes();
        pipe.open = pipe.open.plus(1);
        self.unread.drain(..read);
        Some(packet)
    }
}

impl World {
    /// A client comes to the node's relay.
    pub(super) fn accept(&mut self, who: usize) {
        if let Some(from) = address(who).as_udp().filter(|_| self.accepted < MOST_STREAMS) {
            self.streams.push(Stream::new(StreamId::Incoming(self.accepted), who));
            self.accepted += 1;
            self.tell(self.streams.len() - 1, StreamEvent::Accepted { from, local_port: 3389 });
        }
    }

    /// Does what the node wants done with a stream.
    pub(super) fn request(&mut self, id: StreamId, request: StreamRequest) {
        let place = self.streams.iter().position(|stream| stream.id == id);
        match (request, place) {
            (StreamRequest::Connect(to), None) => {
                let owner = (0..PEERS).find(|who| address(*who).as_udp() == Some(to));
                self.streams.push(Stream::new(id, owner.unwrap_or_default()));
            }
            (StreamRequest::Connect(_), Some(_)) => panic!("{id:?} is used twice"),
            (StreamRequest::Write(bytes), Some(place)) => self.read(place, &bytes),
            (StreamRequest::Close, Some(place)) => _ = self.streams.swap_remove(place),
            // It is gone, which the node may learn later.
            (_, None) => {}
        }
    }

    /// The peer reads what the node wrote.
    fn read(&mut self, place: usize, bytes: &[u8]) {
        let stream = &mut self.streams[place];
        stream.unsent += bytes.len();
        assert!(stream.unsent <= MOST_UNSENT, "{} bytes wait", stream.unsent);
        stream.unread.extend_from_slice(bytes);
        self.read_greeting(place);
        while let Some(packet) = self.streams[place].next_packet() {
            if let Ok(packet) = RelayPacket::from_bytes(&packet) {
                self.hear_relay(&packet);
            }
        }
    }

    /// What the node says first: its answer to the peer's hello, or its own hello. The peer answers that
    /// later.
    fn read_greeting(&mut self, place: usize) {
        let stream = &mut self.streams[place];
        if !stream.is_outgoing() && stream.pipe.is_none() && stream.is_greeted {
            let keys = &self.known.peers[stream.owner];
            let Some(answer) = stream.unread.get_mut(..RelayAnswerHeader::PACKET_LEN) else {
                return;
            };
            let Ok((header, boxed)) = RelayAnswerHeader::split(answer) else { return };
            let Ok(plain) = keys.dht.open_in_place(&header.nonce, boxed) else { return };
            let Ok(theirs) = RelayKeys::from_bytes(plain) else { return };
            stream.unread.drain(..RelayAnswerHeader::PACKET_LEN);
            self.open(place, &theirs);
        }
    }

    fn open(&mut self, place: usize, theirs: &RelayKeys) {
        let stream = &mut self.streams[place];
        if !stream.is_honest {
            return;
        }
        let shared = self.known.peers[stream.owner].session.secret.shared_key(&theirs.session_key);
        let seal = self.peers[stream.owner].base_nonce();
        stream.pipe = Some(Pipe { shared, seal, open: theirs.base_nonce });
    }

    /// Packets that come through a relay are for the peers too.
    fn hear_relay(&mut self, packet: &RelayPacket<'_>) {
        let (who, data) = match packet {
            RelayPacket::OobSend { to, data } => (self.number_of(to), data),
            RelayPacket::OobReceive { from, data } => (self.number_of(from), data),
            RelayPacket::Data { connection, data } => {
                (Some(usize::from(connection.number()) % PEERS), data)
            }
            _ => return,
        };
        if let Some(who) = who {
            self.peers[who].hear(data.to_vec());
        }
    }

    fn place(&self, place: usize) -> Option<usize> {
        place.checked_rem(self.streams.len())
    }

    /// The peer's greeting: a hello to the node's relay, or the answer to the node's hello.
    pub(super) fn greet(&mut self, place: usize, bytes: &[u8]) {
        let Some(place) = self.place(place).filter(|place| !self.streams[*place].is_greeted) else {
            return;
        };
        let owner = self.streams[place].owner;
        let (keys, peer) = (&self.known.peers[owner], &mut self.peers[owner]);
        let own = RelayKeys { session_key: keys.session.public, base_nonce: peer.base_nonce() };
        let (nonce, plain) = (peer.nonce(), tweak(own.to_bytes(), bytes));
        self.streams[place].is_honest = plain == own.to_bytes();
        let header = if self.streams[place].is_outgoing() {
            if !self.read_hello(place) {
                return;
            }
            RelayAnswerHeader { nonce }.to_bytes()
        } else {
            RelayHelloHeader { client: keys.pair.public, nonce }.to_bytes()
        };
        self.streams[place].is_greeted = true;
        self.push(place, &[header, keys.dht.seal(&nonce, &plain)].concat());
    }

    /// Reads the node's hello; false if it is not there.
    fn read_hello(&mut self, place: usize) -> bool {
        let stream = &mut self.streams[place];
        let keys = &self.known.peers[stream.owner];
        let Some(hello) = stream.unread.get_mut(..RelayHelloHeader::PACKET_LEN) else {
            return false;
        };
        let Ok((header, boxed)) = RelayHelloHeader::split(hello) else { return false };
        // The node may have been told another key for this address.
        let Ok(plain) = keys.dht.open_in_place(&header.nonce, boxed) else { return false };
        let Ok(theirs) = RelayKeys::from_bytes(plain) else { return false };
        stream.unread.drain(..RelayHelloHeader::PACKET_LEN);
        self.open(place, &theirs);
        true
    }

    /// A frame of the peer's: the bytes; or their first, the key of `who`, and the others; or their first
    /// two, the key, and the others.
    pub(super) fn frame(&mut self, place: usize, who: usize, key_at: u8, bytes: &[u8]) {
        let Some(place) = self.place(place) else { return };
        let PublicKey(key) = self.known.peers[who].pair.public;
        let (head, tail) = bytes.split_at(usize::from(key_at).min(bytes.len()));
        let plain = match key_at {
            0 => bytes.to_vec(),
            _ => [head, &key, tail].concat(),
        };
        if let Some(frame) = self.streams[place].seal(&plain) {
            self.push(place, &frame);
        }
    }

    /// A session's packet that comes to the node by a relay: out of band, or by the connection that has
    /// the peer's number.
    pub(super) fn hand_in_relayed(&mut self, form: u8, who: usize, data: &[u8]) {
        let open = |stream: &Stream| stream.is_outgoing() && stream.pipe.is_some();
        let Some(place) = self.streams.iter().position(open) else { return };
        let connection = ConnectionId::new(ConnectionId::FIRST + who as u8);
        let packet = match (form % 2, connection) {
            (0, Some(connection)) => RelayPacket::Data { connection, data },
            _ => {
                let data = &data[..data.len().min(MAX_OOB_DATA)];
                RelayPacket::OobReceive { from: self.known.peers[who].pair.public, data }
            }
        };
        if let Some(frame) = self.streams[place].seal(&packet.to_bytes()) {
            self.push(place, &frame);
        }
    }

    /// Any bytes at all.
    pub(super) fn stream_bytes(&mut self, place: usize, bytes: &[u8]) {
        if let Some(place) = self.place(place) {
            self.push(place, bytes);
        }
    }

    /// The peer sends bytes: what makes whole pieces arrives, and the rest with what comes later.
    fn push(&mut self, place: usize, bytes: &[u8]) {
        let stream = &mut self.streams[place];
        stream.pending.extend_from_slice(bytes);
        let piece = if self.piece == 0 { stream.pending.len() } else { self.piece };
        let whole = stream.pending.len() - stream.pending.len().checked_rem(piece).unwrap_or(0);
        let rest = stream.pending.split_off(whole);
        let arrived = core::mem::replace(&mut stream.pending, rest);
        self.heard += arrived.len();
        for piece in arrived.chunks(piece.max(1)) {
            self.tell(place, StreamEvent::Received(piece));
        }
    }

    /// Something else happens to a stream.
    pub(super) fn stream_event(&mut self, place: usize, form: u8, len: usize) {
        let Some(place) = self.place(place) else { return };
        match form {
            0 | 1 if self.streams[place].is_outgoing() => {
                self.tell(place, StreamEvent::Connected);
            }
            2 => {
                self.tell(place, StreamEvent::Closed);
                self.streams.swap_remove(place);
            }
            _ => {
                let sent = self.streams[place].unsent.min(len * 64);
                self.streams[place].unsent -= sent;
                self.tell(place, StreamEvent::Sent(sent));
            }
        }
    }
}

//! Datagrams that go to one address one after another: gathered, so that a transport that can takes
//! them in one call.

use crate::wire::Address;

/// Bytes that are gathered at most: what the system's sockets take at once.
const MAX_BYTES: usize = 60_000;
/// Datagrams that are gathered at most, for the same reason.
const MAX_DATAGRAMS: usize = 64;

/// Datagrams of one length for one address; the last may be shorter.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Run {
    to: Option<Address>,
    bytes: Vec<u8>,
    /// The length of all but the last.
    segment: usize,
    sent: usize,
}

impl Run {
    /// True if a datagram can join.
    pub(in crate::runtime) fn accepts(&self, to: &Address, datagram: &[u8]) -> bool {
        let Some(ours) = &self.to else { return true };
        let len = self.bytes.len();
        ours == to
            && (1..=self.segment).contains(&datagram.len())
            && len.is_multiple_of(self.segment)
            && len < MAX_DATAGRAMS * self.segment
            && len + datagram.len() <= MAX_BYTES
    }

    /// Adds a datagram that is accepted.
    pub(in crate::runtime) fn push(&mut self, to: Address, datagram: &[u8]) {
        if self.to.is_none() {
            (self.to, self.segment) = (Some(to), datagram.len());
        }
        self.bytes.extend_from_slice(datagram);
    }

    /// What was not sent yet: where to, the datagrams, and the length of all but the last of them.
    pub(in crate::runtime) fn left(&self) -> Option<(Address, &[u8], usize)> {
        Some((self.to?, self.bytes.get(self.sent..)?, self.segment))
    }

    /// So many bytes more were sent.
    pub(in crate::runtime) fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent >= self.bytes.len() {
            self.clear();
        }
    }

    /// Forgets the datagrams.
    pub(in crate::runtime) fn clear(&mut self) {
        self.bytes.clear();
        (self.to, self.sent) = (None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Address {
        Address::udp(([127, 0, 0, 1], port).into())
    }

    #[test]
    fn gathers_what_is_alike_and_ends_with_what_is_shorter() {
        let mut run = Run::default();
        assert!(run.accepts(&address(1), b"abc") && run.left().is_none());
        run.push(address(1), b"abc");
        assert!(!run.accepts(&address(2), b"abc"), "another address");
        assert!(!run.accepts(&address(1), b"abcd"), "longer than the first");
        assert!(!run.accepts(&address(1), b""), "nothing would mark an empty one");
        run.push(address(1), b"def");
        run.push(address(1), b"g");
        assert!(!run.accepts(&address(1), b"h"), "the short one was the last");
        assert_eq!(run.left(), Some((address(1), b"abcdefg".as_slice(), 3)));
        run.advance(3);
        assert_eq!(run.left(), Some((address(1), b"defg".as_slice(), 3)));
        run.advance(4);
        assert!(run.left().is_none() && run.accepts(&address(2), b"abcd"));
    }

    #[test]
    fn stays_within_what_a_socket_takes() {
        let mut run = Run::default();
        let count = |run: &mut Run, len: usize| {
            run.clear();
            (0..1000)
                .take_while(|_| {
                    let fits = run.accepts(&address(1), &vec![0; len]);
                    fits.then(|| run.push(address(1), &vec![0; len])).is_some()
                })
                .count()
        };
        assert_eq!(count(&mut run, 10), MAX_DATAGRAMS);
        assert_eq!(count(&mut run, 2000), MAX_BYTES / 2000);
        run.clear();
        run.push(address(1), b"");
        assert!(!run.accepts(&address(1), b""));
    }
}

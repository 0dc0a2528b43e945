//! Through a proxy to a relay: SOCKS5 without authentication (RFC 1928) and HTTP CONNECT (RFC 9110,
//! section 9.3.6), as bytes before the relay's hello.

use core::net::{IpAddr, SocketAddr};

use crate::drops::DropReason;

/// Longest answer of an HTTP proxy, up to its empty line.
const MAX_HTTP_ANSWER: usize = 4096;
/// What ends the head of an HTTP answer.
const HTTP_END: &[u8] = b"\r\n\r\n";

const SOCKS_VERSION: u8 = 5;
const SOCKS_NO_AUTHENTICATION: u8 = 0;
const SOCKS_CONNECT: u8 = 1;
const SOCKS_IPV4: u8 = 1;
const SOCKS_NAME: u8 = 3;
const SOCKS_IPV6: u8 = 4;
const SOCKS_GRANTED: u8 = 0;

/// A proxy that leads TCP connections out. Where one is needed there is no UDP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Proxy {
    /// SOCKS5, without a name and password.
    Socks5(SocketAddr),
    /// HTTP CONNECT, without a name and password.
    Http(SocketAddr),
}

impl Proxy {
    /// Where the proxy is.
    pub const fn address(&self) -> SocketAddr {
        match self {
            Self::Socks5(address) | Self::Http(address) => *address,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The proxy has been greeted.
    SocksGreeted,
    /// It has been asked for the connection.
    SocksAsked,
    HttpAsked,
}

/// How far the way through the proxy is.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// More must come.
    Wait,
    /// Say this to the proxy.
    Say(Vec<u8>),
    /// From here on the stream is the relay's: what follows came already.
    Open(Vec<u8>),
}

/// The way through one proxy to one relay.
#[derive(Debug)]
pub(super) struct Passage {
    target: SocketAddr,
    state: State,
    input: Vec<u8>,
}

impl Passage {
    /// The way to `target`, and what to say first.
    pub(super) fn begin(proxy: &Proxy, target: SocketAddr) -> (Self, Vec<u8>) {
        let (state, first) = match proxy {
            Proxy::Socks5(_) => {
                (State::SocksGreeted, vec![SOCKS_VERSION, 1, SOCKS_NO_AUTHENTICATION])
            }
            Proxy::Http(_) => {
                let ask = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
                (State::HttpAsked, ask.into_bytes())
            }
        };
        (Self { target, state, input: Vec::new() }, first)
    }

    /// Takes what the proxy says.
    ///
    /// # Errors
    /// Why there is no way through.
    pub(super) fn handle(&mut self, bytes: &[u8]) -> Result<Progress, DropReason> {
        self.input.extend_from_slice(bytes);
        match self.state {
            State::SocksGreeted => self.socks_greeting(),
            State::SocksAsked => self.socks_answer(),
            State::HttpAsked => self.http_answer(),
        }
    }

    fn socks_greeting(&mut self) -> Result<Progress, DropReason> {
        match *self.input {
            [] | [SOCKS_VERSION] => Ok(Progress::Wait),
            [SOCKS_VERSION, SOCKS_NO_AUTHENTICATION] => {
                self.input.clear();
                self.state = State::SocksAsked;
                Ok(Progress::Say(self.socks_request()))
            }
            _ => Err(DropReason::Refused),
        }
    }

    fn socks_request(&self) -> Vec<u8> {
        let mut request = vec![SOCKS_VERSION, SOCKS_CONNECT, 0];
        match self.target.ip() {
            IpAddr::V4(ip) => {
                request.push(SOCKS_IPV4);
                request.extend(ip.octets());
            }
            IpAddr::V6(ip) => {
                request.push(SOCKS_IPV6);
                request.extend(ip.octets());
            }
        }
        request.extend(self.target.port().to_be_bytes());
        request
    }

    fn socks_answer(&mut self) -> Result<Progress, DropReason> {
        let address = match *self.input {
            [] | [SOCKS_VERSION] => return Ok(Progress::Wait),
            [SOCKS_VERSION, SOCKS_GRANTED] | [_, _, _] | [_, _, _, SOCKS_NAME] => {
                return if self.input.starts_with(&[SOCKS_VERSION, SOCKS_GRANTED]) {
                    Ok(Progress::Wait)
                } else {
                    Err(DropReason::Refused)
                };
            }
            [SOCKS_VERSION, SOCKS_GRANTED, _, SOCKS_IPV4, ..] => 4,
            [SOCKS_VERSION, SOCKS_GRANTED, _, SOCKS_IPV6, ..] => 16,
            [SOCKS_VERSION, SOCKS_GRANTED, _, SOCKS_NAME, len, ..] => 1 + usize::from(len),
            _ => return Err(DropReason::Refused),
        };
        // Version, answer, reserved, kind of address; the address; the port.
        let len = 4 + address + 2;
        Ok(if self.input.len() < len {
            Progress::Wait
        } else {
            Progress::Open(self.input.split_off(len))
        })
    }

    fn http_answer(&mut self) -> Result<Progress, DropReason> {
        let end = self.input.windows(HTTP_END.len()).position(|window| window == HTTP_END);
        let Some(end) = end else {
            let is_bounded = self.input.len() <= MAX_HTTP_ANSWER;
            return if is_bounded { Ok(Progress::Wait) } else { Err(DropReason::Oversized) };
        };
        // "HTTP/1.1 200 Connection established": any 2xx opens the tunnel.
        let mut words = self.input[..end].split(|byte| *byte == b' ');
        let version = words.next().unwrap_or_default();
        let status = words.next().unwrap_or_default();
        if version.starts_with(b"HTTP/") && matches!(status, [b'2', _, _, ..]) {
            Ok(Progress::Open(self.input.split_off(end + HTTP_END.len())))
        } else {
            Err(DropReason::Refused)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROXY: SocketAddr = SocketAddr::new(IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 1080);

    /// What is said in all while the proxy answers with these bytes, a few at a time; what is left.
    fn pass(
        proxy: Proxy,
        target: &str,
        answers: &[u8],
        split: usize,
    ) -> Result<(Vec<u8>, Option<Vec<u8>>), DropReason> {
        let (mut passage, mut said) = Passage::begin(&proxy, target.parse().unwrap());
        let mut left: Option<Vec<u8>> = None;
        for part in answers.chunks(split) {
            match &mut left {
                Some(left) => left.extend(part),
                None => match passage.handle(part)? {
                    Progress::Wait => {}
                    Progress::Say(bytes) => said.extend(bytes),
                    Progress::Open(rest) => left = Some(rest),
                },
            }
        }
        Ok((said, left))
    }

    #[test]
    fn socks5_asks_as_c_toxcore_does() {
        let answers = [5, 0, 5, 0, 0, 1, 127, 0, 0, 1, 1, 2, b'h', b'i'];
        for split in [1, 2] {
            let (said, left) = pass(Proxy::Socks5(PROXY), "1.2.3.4:443", &answers, split).unwrap();
            assert_eq!(said, [5, 1, 0, 5, 1, 0, 1, 1, 2, 3, 4, 1, 187]);
            assert_eq!(left, Some(b"hi".to_vec()));
        }
        let (said, _) = pass(Proxy::Socks5(PROXY), "[::1]:443", &answers, 1).unwrap();
        assert_eq!(said[3..7], [5, 1, 0, 4]);
        assert_eq!(said.len(), 3 + 4 + 16 + 2);
    }

    #[test]
    fn socks5_answers_may_name_hosts_and_refuse() {
        let proxy = Proxy::Socks5(PROXY);
        let named = [5, 0, 5, 0, 0, 3, 2, b'a', b'b', 1, 2, b'x'];
        assert_eq!(pass(proxy, "1.2.3.4:1", &named, 1).unwrap().1, Some(vec![b'x']));
        let ipv6 = [&[5, 0, 5, 0, 0, 4][..], &[0; 18]].concat();
        assert_eq!(pass(proxy, "1.2.3.4:1", &ipv6, 1).unwrap().1, Some(Vec::new()));
        let refusals: [&[u8]; 6] = [
            &[5, 0xff],
            &[4],
            &[5, 0, 5, 5, 0, 1],
            &[5, 0, 5, 0, 0, 9],
            &[5, 0, 4, 0, 0],
            &[5, 0, 5, 1, 0],
        ];
        for answers in refusals {
            assert_eq!(pass(proxy, "1.2.3.4:1", answers, 1), Err(DropReason::Refused));
        }
    }

    #[test]
    fn http_takes_any_success_and_bounds_the_answer() {
        let proxy = Proxy::Http(PROXY);
        let granted = b"HTTP/1.0 200 Connection established\r\nVia: me\r\n\r\nhi";
        for split in [1, 3, 1000] {
            let (said, left) = pass(proxy, "1.2.3.4:443", granted, split).unwrap();
            assert_eq!(said, b"CONNECT 1.2.3.4:443 HTTP/1.1\r\nHost: 1.2.3.4:443\r\n\r\n");
            assert_eq!(left, Some(b"hi".to_vec()));
        }
        let (said, _) = pass(proxy, "[2001:db8::1]:443", granted, 9).unwrap();
        assert!(said.starts_with(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\n"));
        for refusal in
            [&b"HTTP/1.1 407 Who are you\r\n\r\n"[..], b"220 mail ready\r\n\r\n", b"\r\n\r\n"]
        {
            assert_eq!(pass(proxy, "1.2.3.4:443", refusal, 7), Err(DropReason::Refused));
        }
        let endless = vec![b'a'; MAX_HTTP_ANSWER + 10];
        assert_eq!(pass(proxy, "1.2.3.4:443", &endless, 100), Err(DropReason::Oversized));
    }

    proptest! {
        #[test]
        fn any_answer_is_taken_or_refused(
            http: bool,
            answers: Vec<u8>,
            granted: bool,
            split in 1_usize..40,
        ) {
            let proxy = if http { Proxy::Http(PROXY) } else { Proxy::Socks5(PROXY) };
            let mut all = if granted { vec![5, 0, 5, 0, 0] } else { Vec::new() };
            all.extend(answers);
            let _ = pass(proxy, "1.2.3.4:443", &all, split);
        }
    }
}

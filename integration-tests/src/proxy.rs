//! A small proxy for TCP, SOCKS5 (RFC 1928, no authentication) or HTTP CONNECT (RFC 9110, 9.3.6), which
//! counts what goes through it.
#![expect(clippy::expect_used, reason = "a test without its proxy has failed")]

use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the proxy speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// SOCKS version 5, `CONNECT` only.
    Socks5,
    /// HTTP/1.1, `CONNECT` only.
    Http,
}

/// A running proxy on loopback; it runs until the process ends.
#[derive(Clone, Debug)]
pub struct Proxy {
    address: SocketAddr,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    bytes: AtomicU64,
}

impl Proxy {
    /// Starts a proxy on a free port.
    ///
    /// # Panics
    /// If there is none.
    pub fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let counters = Arc::new(Counters::default());
        let proxy = Self { address, counters: Arc::clone(&counters) };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let counters = Arc::clone(&counters);
                // A connection that breaks ends alone.
                std::thread::spawn(move || serve(kind, client, &counters));
            }
        });
        proxy
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that it made for others so far.
    pub fn connections(&self) -> u64 {
        self.counters.connections.load(Ordering::Relaxed)
    }

    /// Bytes that went through it so far, both ways.
    pub fn bytes(&self) -> u64 {
        self.counters.bytes.load(Ordering::Relaxed)
    }
}

fn serve(kind: Kind, client: TcpStream, counters: &Arc<Counters>) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut reader = BufReader::new(client.try_clone()?);
    let target = match kind {
        Kind::Socks5 => socks5_target(&mut reader, &client)?,
        Kind::Http => http_target(&mut reader)?,
    };
    let server = TcpStream::connect(target)?;
    server.set_nodelay(true)?;
    counters.connections.fetch_add(1, Ordering::Relaxed);
    let mut to_client = client.try_clone()?;
    match kind {
        // Succeeded; bound to an address that does not matter.
        Kind::Socks5 => to_client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?,
        Kind::Http => to_client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?,
    }
    let (back, count_back) = (server.try_clone()?, Arc::clone(counters));
    let answers = std::thread::spawn(move || carry(back, to_client, &count_back));
    carry(reader, server, counters);
    let _ = answers.join();
    Ok(())
}

/// Reads the greeting and the request.
fn socks5_target(reader: &mut impl Read, mut client: &TcpStream) -> io::Result<SocketAddr> {
    let [version, methods] = read_array(reader)?;
    let mut offered = vec![0; usize::from(methods)];
    reader.read_exact(&mut offered)?;
    if version != 5 || !offered.contains(&0) {
        return Err(Error::new(ErrorKind::InvalidData, "no SOCKS5 without authentication"));
    }
    client.write_all(&[5, 0])?;
    let [5, 1, 0, kind] = read_array(reader)? else {
        return Err(Error::new(ErrorKind::InvalidData, "no request to connect"));
    };
    match kind {
        1 => {
            let host = Ipv4Addr::from(read_array::<4>(reader)?);
            Ok((host, u16::from_be_bytes(read_array(reader)?)).into())
        }
        4 => {
            let host = Ipv6Addr::from(read_array::<16>(reader)?);
            Ok((host, u16::from_be_bytes(read_array(reader)?)).into())
        }
        3 => {
            let [length] = read_array(reader)?;
            let mut host = vec![0; usize::from(length)];
            reader.read_exact(&mut host)?;
            let port = u16::from_be_bytes(read_array(reader)?);
            resolve(&format!("{}:{port}", String::from_utf8_lossy(&host)))
        }
        _ => Err(Error::new(ErrorKind::InvalidData, "an unknown kind of address")),
    }
}

/// Reads the request's head.
fn http_target(reader: &mut impl BufRead) -> io::Result<SocketAddr> {
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut words = request.split_whitespace();
    let (Some("CONNECT"), Some(target)) = (words.next(), words.next()) else {
        return Err(Error::new(ErrorKind::InvalidData, "no request to connect"));
    };
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && !line.trim().is_empty() {
        line.clear();
    }
    resolve(target)
}

fn resolve(target: &str) -> io::Result<SocketAddr> {
    target.to_socket_addrs()?.next().ok_or_else(|| ErrorKind::NotFound.into())
}

fn read_array<const LENGTH: usize>(reader: &mut impl Read) -> io::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Carries bytes one way until either side ends.
fn carry(mut from: impl Read, mut to: TcpStream, counters: &Counters) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        counters.bytes.fetch_add(count as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

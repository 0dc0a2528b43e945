//! Where a node listens: one port, at one address of each family.
//!
//! Each family has a socket of its own, and the IPv6 one takes IPv6 only, so that no address ever comes
//! in its IPv4-mapped form, and a machine without one of the families needs no special treatment.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::mesh::SpawnError;
use super::transport::{BindError, UdpTransport};

/// Ports that are tried until one is free in both families.
const ATTEMPTS: u32 = 16;

/// Connections that wait to be accepted by a relay's listener.
const BACKLOG: i32 = 1024;

/// Where a node listens: one port, at one local address of each family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Binding {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
    port: u16,
}

impl Binding {
    /// All interfaces, in both families as far as the machine has them; port 0 means any free one.
    pub const fn any(port: u16) -> Self {
        Self { v4: Some(Ipv4Addr::UNSPECIFIED), v6: Some(Ipv6Addr::UNSPECIFIED), port }
    }

    /// This address only.
    pub const fn at(address: SocketAddr) -> Self {
        let nowhere = Self { v4: None, v6: None, port: address.port() };
        nowhere.and(address.ip())
    }

    /// At this address too; it takes the place of another one of its family.
    #[must_use]
    pub const fn and(mut self, ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => self.v4 = Some(ip),
            IpAddr::V6(ip) => self.v6 = Some(ip),
        }
        self
    }

    /// The port; 0 means any free one.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The same addresses with another port.
    #[must_use]
    pub const fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    fn ips(&self) -> impl Iterator<Item = IpAddr> + use<> {
        self.v4.map(IpAddr::V4).into_iter().chain(self.v6.map(IpAddr::V6))
    }

    /// Binds a UDP socket at each address, all with one port: IPv4 first. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`BindError`] if the port is taken in one of the families, or there is no socket at all. A family
    /// that the machine does not have is left out.
    pub fn udp(&self) -> Result<Vec<UdpTransport>, BindError> {
        let mut attempts = if self.port == 0 { ATTEMPTS } else { 1 };
        loop {
            attempts -= 1;
            match self.udp_once() {
                // The free port of one family is another program's in the other one.
                Err(BindError::PortInUse { .. }) if attempts > 0 => {}
                outcome => return outcome,
            }
        }
    }

    fn udp_once(&self) -> Result<Vec<UdpTransport>, BindError> {
        let mut sockets: Vec<UdpTransport> = Vec::new();
        let mut lacking = None;
        for ip in self.ips() {
            let port = sockets.first().map_or(self.port, |it| it.local_socket_addr().port());
            match UdpTransport::bind(SocketAddr::new(ip, port)) {
                Ok(socket) => sockets.push(socket),
                Err(error @ BindError::Refused { .. }) if ip.is_unspecified() => {
                    lacking = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match lacking {
            Some(error) if sockets.is_empty() => Err(error),
            _ => Ok(sockets),
        }
    }

    /// Listens at the TCP ports of a relay, at each address, 0 meaning any free one; the listeners, and
    /// the ports that they have. The binding's own port does not matter.
    ///
    /// # Errors
    /// [`SpawnError::Relay`] if a port cannot be had.
    pub fn relays(&self, ports: &[u16]) -> Result<(Vec<TcpListener>, Vec<u16>), SpawnError> {
        let (mut listeners, mut bound) = (Vec::new(), Vec::new());
        for &port in ports {
            let both = self.relay(port).map_err(|source| SpawnError::Relay { port, source })?;
            bound.extend(both.first().and_then(|it| it.local_addr().ok()).map(|it| it.port()));
            listeners.extend(both);
        }
        Ok((listeners, bound))
    }

    /// The listeners of one port.
    fn relay(&self, port: u16) -> io::Result<Vec<TcpListener>> {
        let mut attempts = if port == 0 { ATTEMPTS } else { 1 };
        loop {
            attempts -= 1;
            match self.relay_once(port) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts > 0 => {}
                outcome => return outcome,
            }
        }
    }

    fn relay_once(&self, port: u16) -> io::Result<Vec<TcpListener>> {
        let mut listeners: Vec<TcpListener> = Vec::new();
        let mut lacking = None;
        for ip in self.ips() {
            let port = match listeners.first() {
                Some(first) => first.local_addr()?.port(),
                None => port,
            };
            match listen(SocketAddr::new(ip, port)) {
                Ok(listener) => listeners.push(listener),
                Err(error)
                    if ip.is_unspecified()
                        && !matches!(
                            error.kind(),
                            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
                        ) =>
                {
                    lacking = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match lacking {
            Some(error) if listeners.is_empty() => Err(error),
            _ => Ok(listeners),
        }
    }
}

/// A TCP listener of one family.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A port whose old connections are still closing may be had again at once.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(sockets: &[UdpTransport]) -> Vec<u16> {
        sockets.iter().map(|socket| socket.local_socket_addr().port()).collect()
    }

    fn loopback() -> Binding {
        Binding::at((Ipv4Addr::LOCALHOST, 0).into()).and(Ipv6Addr::LOCALHOST.into())
    }

    #[tokio::test]
    async fn both_families_have_one_port() {
        let sockets = loopback().udp().unwrap();
        let [v4, v6] = ports(&sockets)[..] else { panic!("{sockets:?}") };
        assert!(v4 == v6 && v4 != 0);
        assert!(sockets[0].local_socket_addr().is_ipv4());
        let (listeners, bound) = loopback().relays(&[0, 0]).unwrap();
        assert_eq!((listeners.len(), bound.len()), (4, 2));
        for (listener, port) in listeners.iter().zip([bound[0], bound[0], bound[1], bound[1]]) {
            assert_eq!(listener.local_addr().unwrap().port(), port);
        }
    }

    #[tokio::test]
    async fn a_port_taken_in_one_family_is_said() {
        let taken = UdpTransport::bind((Ipv6Addr::LOCALHOST, 0).into()).unwrap();
        let port = taken.local_socket_addr().port();
        let error = loopback().with_port(port).udp().unwrap_err();
        assert!(matches!(error, BindError::PortInUse { port: said } if said == port), "{error}");
        let (_held, bound) = loopback().relays(&[0]).unwrap();
        let error = loopback().relays(&bound).unwrap_err().to_string();
        assert!(error.contains(&bound[0].to_string()), "{error}");
    }

    #[tokio::test]
    async fn an_address_that_the_machine_lacks_is_said_but_not_a_family() {
        let documentation = Binding::at(([192, 0, 2, 1], 0).into());
        assert!(documentation.udp().is_err());
        assert!(!Binding::any(0).udp().unwrap().is_empty());
    }
}

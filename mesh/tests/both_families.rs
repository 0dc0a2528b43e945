//! A node listens in both families at one port, and brings those together who have one each.
#![expect(clippy::expect_used, reason = "a test that cannot go on says so and stops")]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use toktok_mesh::runtime::{Binding, UdpTransport};
use toktok_mesh::wire::bootstrap_info::{BootstrapInfo, BootstrapInfoRequest};
use toktok_mesh::wire::{Decode, Encode};
use toktok_mesh::{Address, Config, DhtConfig, Mesh};

/// The machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);

fn both() -> Binding {
    Binding::at((Ipv4Addr::LOCALHOST, 0).into()).and(Ipv6Addr::LOCALHOST.into())
}

async fn node(binding: Binding, entry: Option<(Address, &Mesh)>) -> Mesh {
    let mut builder = Mesh::builder().bind(binding);
    if let Some((address, mesh)) = entry {
        builder = builder.bootstrap(address, mesh.public_key());
    }
    builder.spawn().await.expect("loopback has both families")
}

async fn knows(mesh: &Mesh, wanted: &[Address]) -> bool {
    let wanted = wanted.to_vec();
    let nodes = mesh.with_stack(|stack, _| stack.close_nodes().collect::<Vec<_>>());
    let nodes = nodes.await.expect("it runs");
    wanted.iter().all(|address| nodes.iter().any(|(_, at)| at == address))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_speaks_both_families_at_once() {
    let work = async {
        let middle = Mesh::builder().bind(both()).relay_ports(vec![0, 0]).spawn().await;
        let middle = middle.expect("loopback has both families");
        let [v4, v6] = middle.addresses()[..] else { panic!("{:?}", middle.addresses()) };
        let port = |address: Address| address.as_udp().expect("UDP").port();
        assert_eq!(port(v4), port(v6));
        let old = node(Binding::at((Ipv4Addr::LOCALHOST, 0).into()), Some((v4, &middle))).await;
        let new = node(Binding::at((Ipv6Addr::LOCALHOST, 0).into()), Some((v6, &middle))).await;
        let wanted = [old.addresses()[0], new.addresses()[0]];
        while !knows(&middle, &wanted).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Sessions, and by whichever family a third one has.
        let third = node(both(), Some((v6, &middle))).await;
        for peer in [&old, &new] {
            while third.lookup(peer.public_key()).await.expect("it runs").is_none() {}
            third.connect(peer.public_key()).await.expect("a session");
        }
        assert_eq!(middle.relay_ports().len(), 2);
        for port in middle.relay_ports() {
            for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
                TcpStream::connect(SocketAddr::new(ip, *port)).await.expect("a relay's listener");
            }
        }
    };
    tokio::time::timeout(LIMIT, work).await.expect("in time");
}

#[tokio::test]
async fn whoever_asks_is_told_version_and_message_of_the_day_unless_nobody_shall_be() {
    let mut dht = DhtConfig::default();
    dht.motd = "a node of this test's".to_owned();
    for answers in [true, false] {
        dht.answers_info = answers;
        let mut config = Config::default();
        config.dht = dht.clone();
        let mesh = Mesh::builder().bind(both()).config(config).spawn().await.expect("a node");
        for at in mesh.addresses() {
            let at = at.as_udp().expect("UDP");
            let socket = UdpTransport::bind(SocketAddr::new(at.ip(), 0)).expect("a free port");
            let asker = socket.local_socket_addr();
            drop(socket);
            let socket = tokio::net::UdpSocket::bind(asker).await.expect("the same port");
            socket.send_to(&BootstrapInfoRequest.to_bytes(), at).await.expect("sent");
            let mut answer = [0; 1024];
            let wait = if answers { LIMIT } else { Duration::from_millis(300) };
            let received = tokio::time::timeout(wait, socket.recv_from(&mut answer)).await;
            assert_eq!(received.is_ok(), answers);
            if let Ok(received) = received {
                let (length, _) = received.expect("an answer");
                let info = BootstrapInfo::from_bytes(&answer[..length]).expect("well-formed");
                assert_eq!((info.text(), info.version), (dht.motd.as_str(), 1_000));
            }
        }
    }
}

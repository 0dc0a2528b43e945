//! The conformance suite of [`Transport`]: what the mesh relies on, as checks that anyone can run.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use super::{MAX_DATAGRAM, MIN_MTU, Transport};
use crate::wire::{Address, CustomAddress, TransportId};

/// Two transports of one kind that can reach each other.
pub type Pair = (Box<dyn Transport>, Box<dyn Transport>);

/// How often a datagram is sent again before the suite gives up: a transport may lose some.
const ATTEMPTS: usize = 20;

/// How long one attempt waits for its datagram.
const PATIENCE: Duration = Duration::from_millis(200);

/// Writes the test functions that hold a transport to its contract. The argument is an expression
/// that makes a fresh [`Pair`](crate::runtime::transport::Pair) within a tokio runtime.
///
/// ```
/// # fn main() {}
/// toktok_mesh::transport_conformance! {
///     let network = toktok_mesh::runtime::MemoryNetwork::new();
///     (Box::new(network.bind(1)), Box::new(network.bind(2)))
/// }
/// ```
#[macro_export]
macro_rules! transport_conformance {
    ($($make:tt)*) => {
        mod transport_conformance {
            #[allow(unused_imports, reason = "the expression may need names from around it")]
            use super::*;

            fn pair() -> $crate::runtime::transport::Pair { $($make)* }

            #[tokio::test]
            async fn exchanges_datagrams_of_every_length() {
                $crate::runtime::transport::exchange(pair()).await;
            }

            #[tokio::test]
            async fn keeps_datagrams_apart() {
                $crate::runtime::transport::keeps_datagrams_apart(pair()).await;
            }

            #[tokio::test]
            async fn carries_runs() {
                $crate::runtime::transport::carries_runs(pair()).await;
            }

            #[tokio::test]
            async fn refuses_what_it_cannot_carry() {
                $crate::runtime::transport::refuses_what_it_cannot_carry(pair()).await;
            }
        }
    };
}

async fn send(transport: &mut dyn Transport, to: &Address, datagram: &[u8]) -> io::Result<()> {
    poll_fn(|cx| transport.poll_send(cx, to, datagram)).await
}

async fn recv(transport: &mut dyn Transport) -> Option<(Vec<u8>, Address)> {
    let mut buffer = vec![0; MAX_DATAGRAM];
    let next = poll_fn(|cx| transport.poll_recv(cx, &mut buffer));
    let (len, from) = tokio::time::timeout(PATIENCE, next).await.ok()?.ok()?;
    buffer.truncate(len);
    Some((buffer, from))
}

/// Sends until it arrives; panics when it never does.
async fn deliver(from: &mut dyn Transport, to: &mut dyn Transport, datagram: &[u8]) -> Address {
    let target = to.local_address();
    for _ in 0..ATTEMPTS {
        if let Err(error) = send(from, &target, datagram).await {
            panic!("a datagram of {} bytes was refused: {error}", datagram.len());
        }
        while let Some((received, source)) = recv(to).await {
            if received == datagram {
                return source;
            }
        }
    }
    panic!("a datagram of {} bytes never arrived in {ATTEMPTS} attempts", datagram.len());
}

/// Datagrams of every interesting length arrive whole, both ways, and show a source to which an
/// answer arrives.
pub async fn exchange((mut a, mut b): Pair) {
    let mtu = a.capabilities().mtu;
    assert!(mtu >= MIN_MTU, "the MTU of {mtu} bytes is below {MIN_MTU}");
    for len in [1, 33, 113, MIN_MTU, mtu.min(MAX_DATAGRAM)] {
        let datagram: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
        let source = deliver(a.as_mut(), b.as_mut(), &datagram).await;
        assert_eq!(source, a.local_address(), "the source is where an answer arrives");
        deliver(b.as_mut(), a.as_mut(), &datagram).await;
    }
}

/// Datagrams sent one after another are neither merged nor split.
pub async fn keeps_datagrams_apart((mut a, mut b): Pair) {
    let target = b.local_address();
    let mut arrived = 0;
    for _ in 0..ATTEMPTS {
        for len in [10, 20, 30] {
            let sent = send(a.as_mut(), &target, &vec![len as u8; len]).await;
            assert!(sent.is_ok(), "a short datagram was refused: {sent:?}");
        }
        while let Some((datagram, _)) = recv(b.as_mut()).await {
            assert!([10, 20, 30].contains(&datagram.len()), "merged or split");
            assert!(datagram.iter().all(|&byte| usize::from(byte) == datagram.len()));
            arrived += 1;
        }
        if arrived >= 3 {
            return;
        }
    }
    panic!("only {arrived} datagrams arrived");
}

/// Datagrams that are sent in one go arrive as what they were, and so do those that are received in one.
pub async fn carries_runs((mut a, mut b): Pair) {
    const SEGMENT: usize = 1000;
    let target = b.local_address();
    let run: Vec<u8> = (0..4 * SEGMENT + 30).map(|i| (i / SEGMENT) as u8).collect();
    let mut arrived = [0; 5];
    for _ in 0..ATTEMPTS {
        let mut sent = 0;
        while sent < run.len() {
            let rest = &run[sent..];
            let taken = poll_fn(|cx| a.poll_send_run(cx, &target, rest, SEGMENT)).await;
            let taken = taken.unwrap_or_else(|error| panic!("a run was refused: {error}"));
            let whole = taken == rest.len() || taken.is_multiple_of(SEGMENT);
            assert!(taken > 0 && taken <= rest.len() && whole, "took {taken} bytes");
            sent += taken;
        }
        while receive_many(b.as_mut(), &mut |datagram| {
            let number = usize::from(datagram.first().copied().unwrap_or(u8::MAX));
            assert!(run.chunks(SEGMENT).nth(number) == Some(datagram), "merged or split");
            arrived[number] += 1;
        })
        .await
        {}
        if arrived.iter().all(|count| *count > 0) {
            return;
        }
    }
    panic!("of five datagrams arrived {arrived:?}");
}

/// Takes what is there; false if nothing comes.
async fn receive_many(transport: &mut dyn Transport, take: &mut dyn FnMut(&[u8])) -> bool {
    let next = poll_fn(|cx| transport.poll_recv_many(cx, &mut |_, datagram| take(datagram)));
    tokio::time::timeout(PATIENCE, next).await.is_ok_and(|result| result.is_ok())
}

/// An address of another transport is not carried, and sending to it is an error, not a panic.
pub async fn refuses_what_it_cannot_carry((mut a, b): Pair) {
    assert!(a.carries(&b.local_address()), "a pair must be able to talk");
    let foreign = CustomAddress::new(TransportId(u16::MAX), b"elsewhere").map(Address::Custom);
    if let Some(foreign) = foreign {
        assert!(!a.carries(&foreign));
        assert!(send(a.as_mut(), &foreign, b"hello").await.is_err());
    }
}

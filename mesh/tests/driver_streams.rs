//! The driver's TCP streams, over real sockets: connect, move bytes, end, be refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use toktok_mesh::runtime::{Clock, Driver, Handle};
use toktok_mesh::{Address, IoToken, Machine, Output, StreamEvent, StreamId, StreamRequest, Time};

#[derive(Debug, Eq, PartialEq)]
enum Said {
    Accepted(u16),
    Connected(StreamId),
    Received(StreamId, Vec<u8>),
    Sent(StreamId, usize),
    Closed(StreamId),
}

/// Tells everything, and sends back what comes in at incoming streams if it shall.
#[derive(Default)]
struct Toy {
    echo: bool,
    out: VecDeque<Output<Said, Infallible>>,
}

impl Toy {
    fn ask(&mut self, stream: StreamId, request: StreamRequest) {
        self.out.push_back(Output::Stream(stream, request));
    }
}

impl Machine for Toy {
    type Event = Said;
    type IoRequest = Infallible;
    type IoResult = Infallible;

    fn handle_datagram(&mut self, _: Time, _: Address, _: &mut [u8]) {}

    fn handle_stream(&mut self, _: Time, stream: StreamId, event: StreamEvent<'_>) {
        let said = match event {
            StreamEvent::Accepted { local_port, .. } => Said::Accepted(local_port),
            StreamEvent::Connected => Said::Connected(stream),
            StreamEvent::Received(bytes) => {
                if self.echo && matches!(stream, StreamId::Incoming(_)) {
                    self.ask(stream, StreamRequest::Write(bytes.to_vec()));
                }
                Said::Received(stream, bytes.to_vec())
            }
            StreamEvent::Sent(bytes) => Said::Sent(stream, bytes),
            StreamEvent::Closed => Said::Closed(stream),
        };
        self.out.push_back(Output::Event(said));
    }

    fn handle_io(&mut self, _: Time, _: IoToken, result: Infallible) {
        match result {}
    }

    fn poll(&mut self, _: Time) -> Output<Said, Infallible> {
        self.out.pop_front().unwrap_or(Output::Idle(None))
    }
}

type Events = mpsc::UnboundedReceiver<Said>;

fn spawn(toy: Toy, listeners: Vec<TcpListener>) -> (Handle<Toy>, Events) {
    let (sink, events) = mpsc::unbounded_channel();
    let driver = Driver::new(toy, Clock::start(), Vec::new())
        .listen(listeners)
        .on_event(move |event| drop(sink.send(event)));
    (driver.spawn(), events)
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn next(events: &mut Events) -> Said {
    tokio::time::timeout(Duration::from_secs(20), events.recv()).await.unwrap().unwrap()
}

async fn ask(handle: &Handle<Toy>, stream: StreamId, request: StreamRequest) {
    handle.call(move |toy, _| toy.ask(stream, request)).await.unwrap();
}

const ONE: StreamId = StreamId::Outgoing(1);
const FIRST_IN: StreamId = StreamId::Incoming(0);

#[tokio::test]
async fn bytes_go_both_ways_and_the_end_is_told() {
    let (listener, address) = listener().await;
    let (server, mut at_server) = spawn(Toy { echo: true, ..Toy::default() }, vec![listener]);
    let (client, mut at_client) = spawn(Toy::default(), Vec::new());
    // Written before it stands.
    ask(&client, ONE, StreamRequest::Connect(address)).await;
    let megabyte: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    ask(&client, ONE, StreamRequest::Write(megabyte.clone())).await;
    assert_eq!(next(&mut at_client).await, Said::Connected(ONE));
    assert_eq!(next(&mut at_server).await, Said::Accepted(address.port()));
    let (mut sent, mut back) = (0, Vec::new());
    while back.len() < megabyte.len() || sent < megabyte.len() {
        match next(&mut at_client).await {
            Said::Sent(ONE, bytes) => sent += bytes,
            Said::Received(ONE, bytes) => back.extend(bytes),
            other => panic!("{other:?}"),
        }
    }
    assert!(sent == megabyte.len() && back == megabyte);
    // A last word, then the end.
    ask(&client, ONE, StreamRequest::Write(b"bye".to_vec())).await;
    ask(&client, ONE, StreamRequest::Close).await;
    let mut heard = Vec::new();
    loop {
        match next(&mut at_server).await {
            Said::Received(FIRST_IN, bytes) => heard.extend(bytes),
            Said::Sent(..) => {}
            Said::Closed(FIRST_IN) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(heard.ends_with(b"bye"));
    drop(server);
}

#[tokio::test]
async fn a_refused_connection_is_a_closed_stream() {
    let (listener, address) = listener().await;
    drop(listener);
    let (client, mut events) = spawn(Toy::default(), Vec::new());
    ask(&client, ONE, StreamRequest::Connect(address)).await;
    assert_eq!(next(&mut events).await, Said::Closed(ONE));
    // Requests for a stream that is gone are ignored.
    ask(&client, ONE, StreamRequest::Write(vec![1])).await;
    ask(&client, ONE, StreamRequest::Close).await;
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn a_machine_that_writes_without_end_loses_the_stream_and_not_the_memory() {
    let (listener, address) = listener().await;
    let (client, mut events) = spawn(Toy::default(), Vec::new());
    ask(&client, ONE, StreamRequest::Connect(address)).await;
    let (silent, _) = listener.accept().await.unwrap();
    for _ in 0..200 {
        ask(&client, ONE, StreamRequest::Write(vec![0; 1 << 18])).await;
    }
    while next(&mut events).await != Said::Closed(ONE) {}
    drop(silent);
}

#[tokio::test]
async fn listeners_end_with_the_driver() {
    let (listener, address) = listener().await;
    let (server, _events) = spawn(Toy::default(), vec![listener]);
    let client = tokio::net::TcpStream::connect(address).await.unwrap();
    drop(server);
    drop(client);
    for _ in 0..100 {
        if tokio::net::TcpStream::connect(address).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the port is still open");
}

//! What a node pays for each packet: key exchange, sealing and opening, encoding and decoding.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use toktok_wire::dht::{Header, NODES_RESPONSE, NodesResponse};
use toktok_wire::{Decode, Encode, KeyPair, Nonce, PackedNode, Rng, SharedKey};

fn rng() -> Rng {
    Rng::from_seed([1; 32])
}

/// Four nodes, two of them by IPv6: the longest response there usually is.
fn response(rng: &mut Rng) -> NodesResponse {
    let addresses =
        ["192.0.2.1:33445", "[2001:db8::1]:33445", "192.0.2.2:33446", "[2001:db8::2]:1"];
    let nodes = addresses
        .iter()
        .filter_map(|address| address.parse().ok())
        .map(|address| PackedNode::udp(address, KeyPair::generate(rng).public))
        .collect();
    NodesResponse { nodes, id: rng.u64() }
}

fn keys(criterion: &mut Criterion) {
    let mut rng = rng();
    let (a, b) = (KeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
    criterion.bench_function("shared key", |bencher| {
        bencher.iter(|| black_box(&a.secret).shared_key(black_box(&b.public)));
    });
}

fn boxes(criterion: &mut Criterion) {
    let mut rng = rng();
    let (key, nonce) = (SharedKey::generate(&mut rng), Nonce::generate(&mut rng));
    for len in [64, 1373] {
        let plain = vec![7; len];
        let boxed = key.seal(&nonce, &plain);
        let mut group = criterion.benchmark_group(format!("box of {len} bytes"));
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function("seal", |bencher| {
            let mut out = Vec::with_capacity(2_000);
            bencher.iter(|| {
                out.clear();
                out.extend_from_slice(black_box(&plain));
                key.seal_suffix(&nonce, &mut out, 0);
            });
        });
        group.bench_function("open", |bencher| {
            bencher.iter_batched_ref(
                || boxed.clone(),
                |boxed| key.open_in_place(&nonce, boxed).is_ok(),
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

fn nodes_response(criterion: &mut Criterion) {
    let mut rng = rng();
    let response = response(&mut rng);
    let bytes = response.to_bytes();
    let mut group = criterion.benchmark_group("nodes response");
    group.bench_function("encode", |bencher| {
        let mut out = Vec::with_capacity(bytes.len());
        bencher.iter(|| {
            out.clear();
            black_box(&response).encode(&mut out);
        });
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| NodesResponse::from_bytes(black_box(&bytes)));
    });
    let (sender, key) = (KeyPair::generate(&mut rng).public, SharedKey::generate(&mut rng));
    let header = Header { kind: NODES_RESPONSE, sender, nonce: Nonce::generate(&mut rng) };
    group.bench_function("whole packet out", |bencher| {
        bencher.iter(|| header.seal(&key, black_box(&response)));
    });
    let packet = header.seal(&key, &response);
    group.bench_function("whole packet in", |bencher| {
        bencher.iter_batched_ref(
            || packet.clone(),
            |packet| {
                let (header, boxed) = Header::split(packet).ok()?;
                let plain = key.open_in_place(&header.nonce, boxed).ok()?;
                NodesResponse::from_bytes(plain).ok()
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, keys, boxes, nodes_response);
criterion_main!(benches);

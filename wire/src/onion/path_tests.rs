//! A request through three hops and its response back, and what a hop must not accept.

use super::*;
use crate::key::KeyPair;
use crate::onion::{ANNOUNCE_RESPONSE, DATA_REQUEST, MAX_ONION_RESPONSE};
use crate::rng::Rng;

fn endpoint(n: u8) -> IpPort {
    IpPort::udp(([192, 0, 2, n], 33_400 + u16::from(n)).into())
}

/// The three boxes of a request, as the owner of a path makes them.
fn wrap(owner: &KeyPair, hops: &[KeyPair; 3], path: &[KeyPair; 2], request: &[u8]) -> Vec<u8> {
    let nonce = Nonce([5; 24]);
    let last = LastLayer { destination: endpoint(4), request }.to_bytes();
    let boxed = path[1].secret.shared_key(&hops[2].public).seal(&nonce, &last);
    let layer = Layer { next: endpoint(3), key: path[1].public, boxed: &boxed }.to_bytes();
    let boxed = path[0].secret.shared_key(&hops[1].public).seal(&nonce, &layer);
    let layer = Layer { next: endpoint(2), key: path[0].public, boxed: &boxed };
    let header = SendHeader { hop: Hop::First, nonce, key: owner.public };
    header.seal(&owner.secret.shared_key(&hops[0].public), &layer, &ReturnPath::EMPTY)
}

#[test]
fn a_request_travels_through_three_hops_and_its_response_back() {
    let mut rng = Rng::from_seed([3; 32]);
    let owner = KeyPair::generate(&mut rng);
    let hops: [KeyPair; 3] = core::array::from_fn(|_| KeyPair::generate(&mut rng));
    let path: [KeyPair; 2] = core::array::from_fn(|_| KeyPair::generate(&mut rng));
    let own_keys: [SharedKey; 3] = core::array::from_fn(|_| SharedKey::generate(&mut rng));
    let mut request = vec![7; MAX_ONION_REQUEST];
    request[0] = DATA_REQUEST;

    let mut packet = wrap(&owner, &hops, &path, &request);
    assert_eq!(packet.len(), MAX_ONION_PACKET);
    for (index, hop) in Hop::ALL.into_iter().enumerate() {
        let (header, boxed, back) = SendHeader::split(&mut packet).unwrap();
        assert_eq!(header.hop, hop);
        let key = hops[index].secret.shared_key(&header.key);
        let plain = key.open_in_place(&header.nonce, boxed).unwrap();
        let back = back
            .extended(&own_keys[index], &Nonce::generate(&mut rng), &endpoint(index as u8))
            .unwrap();
        assert_eq!(back.as_bytes().len(), hop.return_len());
        packet = if hop == Hop::Third {
            let layer = LastLayer::from_bytes(plain).unwrap();
            assert_eq!(layer.destination, endpoint(4));
            [layer.request, back.as_bytes()].concat()
        } else {
            let layer = Layer::from_bytes(plain).unwrap();
            assert_eq!(layer.next, endpoint(index as u8 + 2));
            let next = SendHeader { hop: Hop::ALL[index + 1], key: layer.key, ..header };
            [&next.to_bytes(), layer.boxed, back.as_bytes()].concat()
        };
    }
    let (arrived, mut back) = split_request(&mut packet).unwrap();
    assert_eq!(arrived, request);

    let response = [ANNOUNCE_RESPONSE; MAX_ONION_RESPONSE];
    for (index, hop) in Hop::ALL.into_iter().enumerate().rev() {
        let bytes = OnionResponse::new(back, &response).unwrap().to_bytes();
        let arrived = OnionResponse::from_bytes(&bytes).unwrap();
        assert_eq!((arrived.hop(), arrived.response()), (hop, &response[..]));
        let from;
        (from, back) = arrived.back().open(&own_keys[index]).unwrap();
        assert_eq!(from, endpoint(index as u8));
    }
    assert_eq!(back, ReturnPath::EMPTY);
    assert_eq!(OnionResponse::new(back, &response), None);
}

#[test]
fn lengths_are_those_of_the_research_note() {
    assert_eq!(Hop::ALL.map(Hop::return_len), [59, 118, 177]);
    assert_eq!(Hop::ALL.map(Hop::least_send_len), [225, 217, 209]);
    assert_eq!((MAX_ONION_REQUEST, MAX_ONION_RESPONSE), (1174, 1222));
    assert_eq!(crate::onion::data::MAX_ONION_DATA, 1021);
    assert_eq!(crate::onion::AnnounceRequestHeader::PACKET_LEN, 177);
}

#[test]
fn a_return_path_opens_for_the_hop_that_wrote_last_only() {
    let (mine, other) = (SharedKey::from_bytes([1; 32]), SharedKey::from_bytes([2; 32]));
    let nonce = Nonce([9; 24]);
    let one = ReturnPath::EMPTY.extended(&mine, &nonce, &endpoint(1)).unwrap();
    let two = one.extended(&other, &nonce, &endpoint(2)).unwrap();
    assert_eq!(two.open(&mine), Err(Forged));
    assert_eq!(two.open(&other), Ok((endpoint(2), one)));
    assert_eq!(ReturnPath::EMPTY.open(&mine), Err(Forged));
    let three = two.extended(&mine, &nonce, &endpoint(3)).unwrap();
    assert_eq!(three.extended(&mine, &nonce, &endpoint(4)), None);
}

#[test]
fn a_hop_sends_on_nothing_but_onion_requests_and_responses() {
    for kind in 0..=u8::MAX {
        let packet = [kind; 200];
        let layer = LastLayer { destination: endpoint(1), request: &packet }.to_bytes();
        assert_eq!(LastLayer::from_bytes(&layer).is_ok(), matches!(kind, 0x83 | 0x85 | 0x87));
        let back = ReturnPath::from_slice(&[0; 59]).unwrap();
        let response = OnionResponse::new(back, &packet).unwrap().to_bytes();
        assert_eq!(
            OnionResponse::from_bytes(&response).is_ok(),
            matches!(kind, 0x84 | 0x86 | 0x88)
        );
    }
}

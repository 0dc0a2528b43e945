//! Round trips, refusals, and noise.

use proptest::collection::vec;
use proptest::prelude::*;
use toktok_wire::node_key::Signature;

use super::*;

fn block() -> impl Strategy<Value = Block> {
    (any::<u8>(), any::<bool>()).prop_map(|(fill, bulk)| {
        let size = if bulk { BlockSize::Bulk } else { BlockSize::Small };
        Block::new(vec![fill; size.bytes()].into()).unwrap()
    })
}

fn phase() -> impl Strategy<Value = Phase> {
    prop_oneof![Just(Phase::Walk), (1..=MAX_BUDGET).prop_map(Phase::Greedy)]
}

fn contacts() -> impl Strategy<Value = Vec<Contact>> {
    let contact = (any::<[u8; 32]>(), any::<u128>())
        .prop_map(|(id, at)| Contact { id: NodeId(id), location: Location(at) });
    vec(contact, 0..=MAX_CONTACTS)
}

fn receipt() -> impl Strategy<Value = Receipt> {
    (any::<[u8; 32]>(), any::<u64>(), any::<[u8; 32]>()).prop_map(|(id, nonce, half)| {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&half);
        Receipt { holder: NodeId(id), nonce, signature: Signature(signature) }
    })
}

fn failure() -> impl Strategy<Value = Failure> {
    prop_oneof![Just(Failure::NotFound), Just(Failure::DeadEnd), Just(Failure::Busy)]
}

fn request() -> impl Strategy<Value = Request> {
    let challenge = || any::<[u8; 16]>().prop_map(Challenge);
    let address = || any::<[u8; 32]>().prop_map(BlockAddress);
    prop_oneof![
        (any::<u128>(), 1..=MAX_BUDGET)
            .prop_map(|(at, budget)| Request::Find { target: Location(at), budget }),
        (phase(), 1..=MAX_COPIES, challenge(), block()).prop_map(
            |(phase, copies, challenge, block)| Request::Put { phase, copies, challenge, block }
        ),
        (phase(), address()).prop_map(|(phase, address)| Request::Get { phase, address }),
        (challenge(), block()).prop_map(|(challenge, block)| Request::Hold { challenge, block }),
        address().prop_map(|address| Request::Fetch { address }),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    let bytes = || block().prop_map(Block::into_bytes);
    prop_oneof![
        contacts().prop_map(Answer::Neighbours),
        vec(receipt(), 1..=MAX_RECEIPTS).prop_map(|receipts| Answer::Put(Ok(receipts))),
        failure().prop_map(|failure| Answer::Put(Err(failure))),
        (bytes(), any::<u8>()).prop_map(|(data, hops)| Answer::Get { outcome: Ok(data), hops }),
        (failure(), any::<u8>()).prop_map(|(why, hops)| Answer::Get { outcome: Err(why), hops }),
        proptest::option::of(receipt()).prop_map(Answer::Hold),
        proptest::option::of(bytes()).prop_map(Answer::Fetch),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let reason = prop_oneof![
        Just(GoodbyeReason::Full),
        Just(GoodbyeReason::Replaced),
        Just(GoodbyeReason::Leaving)
    ];
    prop_oneof![
        (any::<[u8; 32]>(), any::<u64>(), any::<u64>(), any::<u8>()).prop_map(
            |(id, nonce, capacity, load)| Message::Hello(Hello {
                id: NodeId(id),
                nonce,
                capacity,
                load
            })
        ),
        (reason, contacts())
            .prop_map(|(reason, alternatives)| Message::Goodbye { reason, alternatives }),
        (any::<u8>(), any::<bool>()).prop_map(|(level, answer)| Message::Load { level, answer }),
        (any::<u64>(), request()).prop_map(|(n, body)| Message::Request(Transaction(n), body)),
        (any::<u64>(), answer()).prop_map(|(n, body)| Message::Answer(Transaction(n), body)),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(message in message()) {
        let bytes = message.encode();
        prop_assert!(bytes.len() <= MAX_ENCODED);
        prop_assert_eq!(Message::decode(bytes), Ok(message));
    }

    #[test]
    fn a_damaged_message_is_refused_or_another_well_formed_one(
        message in message(), at in any::<usize>(), flip in 1..=255_u8,
    ) {
        let mut bytes = message.encode().to_vec();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(other) = Message::decode(bytes.into()) {
            prop_assert_eq!(Message::decode(other.encode()), Ok(other));
        }
    }

    #[test]
    fn noise_is_refused_or_well_formed(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(message) = Message::decode(bytes.into()) {
            prop_assert_eq!(Message::decode(message.encode()), Ok(message));
        }
    }
}

#[test]
fn a_block_that_is_not_its_address_is_refused() {
    let block = Block::new(vec![1; 4096].into()).unwrap();
    let hold = Request::Hold { challenge: Challenge([0; 16]), block };
    let mut bytes = Message::Request(Transaction(1), hold).encode().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let refused = Message::decode(bytes.into());
    assert!(matches!(refused, Err(MessageError::Block(BlockError::Address { .. }))));
}

#[test]
fn sizes_and_versions_are_checked_first() {
    let long = vec![0; MAX_ENCODED + 1];
    assert_eq!(Message::decode(long.into()), Err(MessageError::TooLong(MAX_ENCODED + 1)));
    assert_eq!(Message::decode(Bytes::new()), Err(MessageError::UnknownBody));
    let body = wire::message::Body::Hello(wire::Hello { version: 2, ..Default::default() });
    let bytes = wire::Message { body: Some(body) }.encode_to_vec();
    assert_eq!(Message::decode(bytes.into()), Err(MessageError::Version(2)));
}

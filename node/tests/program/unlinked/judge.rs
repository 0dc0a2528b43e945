//! Who looks for links between the two cores in what a machine sent.

use std::collections::{BTreeMap, BTreeSet};

use toktok_wire::PublicKey;

use super::world::Heard;

/// The machine, as it knows itself.
pub(super) struct Machine {
    /// The node key.
    pub(super) provider: PublicKey,
    /// Whence the provider's core sends.
    pub(super) provider_port: u16,
    /// The person's long-term key.
    pub(super) identity: PublicKey,
}

/// What links the two.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Link {
    /// A datagram of the person's has the node key in it.
    PersonNamesProvider,
    /// A datagram that the world can read has the identity in it.
    IdentityInTheClear,
    /// Both cores used one nonce, or one request's number.
    SharedNumber,
    /// The person's DHT key is an earlier run's.
    SameDhtKeyAgain,
    /// One port speaks for two keys.
    TwoKeysAtOnePort,
    /// Somebody was told of a node of this very machine by an address that only it can know.
    TellsOfLoopback,
}

fn contains(bytes: &[u8], key: &PublicKey) -> bool {
    bytes.windows(PublicKey::LEN).any(|window| window == key.0)
}

/// All links in what the machine sent in some runs, each once.
pub(super) fn judge(machine: &Machine, runs: &[Vec<Heard>]) -> Vec<Link> {
    let mut links = BTreeSet::new();
    let is_provider = |heard: &Heard| heard.from.port() == machine.provider_port;
    let mut numbers: [BTreeSet<&[u8]>; 2] = Default::default();
    let mut dht_keys: BTreeMap<PublicKey, usize> = BTreeMap::new();
    for (run, heard) in runs.iter().enumerate() {
        let mut senders: BTreeMap<u16, BTreeSet<PublicKey>> = BTreeMap::new();
        for it in heard {
            let texts = [&it.raw[..], &it.plain[..]];
            let has = |key: &PublicKey| texts.iter().any(|text| contains(text, key));
            if !is_provider(it) && has(&machine.provider) {
                links.insert(Link::PersonNamesProvider);
            }
            if has(&machine.identity) {
                links.insert(Link::IdentityInTheClear);
            }
            if it.told.iter().any(|(address, _)| address.ip().is_loopback()) {
                links.insert(Link::TellsOfLoopback);
            }
            let of_core = &mut numbers[usize::from(is_provider(it))];
            of_core.extend(it.nonce.as_ref().map(|nonce| &nonce[..]));
            of_core.extend(it.number.as_ref().map(|number| &number[..]));
            if let Some(sender) = it.sender {
                senders.entry(it.from.port()).or_default().insert(sender);
                if !is_provider(it) && *dht_keys.entry(sender).or_insert(run) != run {
                    links.insert(Link::SameDhtKeyAgain);
                }
            }
        }
        if senders.values().any(|keys| keys.len() > 1) {
            links.insert(Link::TwoKeysAtOnePort);
        }
    }
    if numbers[0].intersection(&numbers[1]).next().is_some() {
        links.insert(Link::SharedNumber);
    }
    links.into_iter().collect()
}

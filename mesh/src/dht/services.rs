//! What nodes offer above the mesh: told in the bootstrap info, and asked for there.

use std::collections::VecDeque;

use super::config::{INFO_ATTEMPTS, INFO_RETRY, MAX_INFO_REQUESTS};
use crate::wire::bootstrap_info::{BootstrapInfo, BootstrapInfoRequest, MAX_MOTD};
use crate::wire::{Address, Encode, PublicKey, Time};

/// The version in our bootstrap info: major × 1,000,000 + minor × 1,000 + patch of this crate.
const VERSION: u32 = number(env!("CARGO_PKG_VERSION_MAJOR")) * 1_000_000
    + number(env!("CARGO_PKG_VERSION_MINOR")) * 1_000
    + number(env!("CARGO_PKG_VERSION_PATCH"));

/// Every service name begins with this.
const PREFIX: &str = "toktok/";

/// A decimal number, at compile time.
const fn number(text: &str) -> u32 {
    let (digits, mut value, mut i) = (text.as_bytes(), 0, 0);
    while i < digits.len() {
        value = value * 10 + (digits[i] - b'0') as u32;
        i += 1;
    }
    value
}

#[derive(Debug)]
struct Asked {
    key: PublicKey,
    address: Address,
    attempts: u8,
    due: Time,
}

/// Our own offer, and whom we asked for theirs.
#[derive(Debug, Default)]
pub(super) struct Services {
    /// What the operator says.
    greeting: String,
    /// That, and what is offered.
    motd: String,
    is_offering: bool,
    asked: VecDeque<Asked>,
}

impl Services {
    /// Nothing but a message of the day, cut at the limit.
    pub(super) fn new(motd: &str) -> Self {
        let cut = motd.floor_char_boundary(MAX_MOTD);
        let greeting = motd[..cut].to_owned();
        Self { motd: greeting.clone(), greeting, ..Self::default() }
    }

    /// Offers these services from now on; names that do not fit into the message any more are left
    /// out.
    pub(super) fn offer(&mut self, services: &[&str]) {
        self.motd.clone_from(&self.greeting);
        self.is_offering = !services.is_empty();
        for service in services {
            let separator = usize::from(!self.motd.is_empty());
            if self.motd.len() + separator + service.len() <= MAX_MOTD {
                self.motd.push_str(&" "[..separator]);
                self.motd.push_str(service);
            }
        }
    }

    /// True if this node offers something itself.
    pub(super) fn is_offering(&self) -> bool {
        self.is_offering
    }

    /// Our bootstrap info. It never has the length of a request, for nothing else tells the two apart.
    pub(super) fn info(&self) -> Vec<u8> {
        let mut info = BootstrapInfo { version: VERSION, motd: self.motd.as_bytes() }.to_bytes();
        if info.len() == BootstrapInfoRequest::LEN {
            info.push(b' ');
        }
        info
    }

    /// Notes that this node shall be asked. At the limit, newcomers are not.
    pub(super) fn ask(&mut self, now: Time, key: PublicKey, address: Address) {
        if self.asked.len() < MAX_INFO_REQUESTS {
            self.asked.push_front(Asked { key, address, attempts: 0, due: now });
        }
    }

    /// An address to send a request to now.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Address> {
        self.asked.retain(|asked| asked.attempts < INFO_ATTEMPTS || now < asked.due);
        let asked = self.asked.iter_mut().find(|asked| asked.due <= now)?;
        asked.attempts += 1;
        asked.due = now + INFO_RETRY;
        Some(asked.address)
    }

    /// When the next request is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.asked.iter().map(|asked| asked.due).min()
    }

    /// Takes a bootstrap info: whose it is and what that node offers, or `None` if nobody at
    /// `address` was asked. It proves nothing; a session with that key will.
    pub(super) fn answered(
        &mut self,
        address: Address,
        info: &BootstrapInfo<'_>,
    ) -> Option<(PublicKey, Vec<String>)> {
        let is_from = |asked: &Asked| asked.address == address && asked.attempts > 0;
        let index = self.asked.iter().position(is_from)?;
        let asked = self.asked.remove(index)?;
        let names = info.text().split_ascii_whitespace().filter(|name| name.starts_with(PREFIX));
        Some((asked.key, names.map(str::to_owned).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Decode;

    #[test]
    fn the_message_names_services_and_never_outgrows_its_limit() {
        let mut services = Services::default();
        assert!(!services.is_offering());
        let long = format!("toktok/{}", "x".repeat(240));
        services.offer(&["toktok/tdfs/1", &long, "toktok/tdc/1"]);
        let bytes = services.info();
        let info = BootstrapInfo::from_bytes(&bytes).unwrap();
        assert_eq!(info.text(), "toktok/tdfs/1 toktok/tdc/1");
        assert_eq!(info.version, 1_000);
    }

    #[test]
    fn the_operators_words_come_first_and_are_cut_at_the_limit() {
        let mut services = Services::new("a node of ours");
        assert!(!services.is_offering());
        services.offer(&["toktok/tdfs/1"]);
        let bytes = services.info();
        let info = BootstrapInfo::from_bytes(&bytes).unwrap();
        assert_eq!(info.text(), "a node of ours toktok/tdfs/1");
        let bytes = Services::new(&"ü".repeat(200)).info();
        assert_eq!(BootstrapInfo::from_bytes(&bytes).unwrap().text(), "ü".repeat(MAX_MOTD / 2));
    }

    #[test]
    fn an_answer_is_never_mistaken_for_a_question() {
        let mut services = Services::default();
        services.offer(&[&"x".repeat(73)]);
        assert_eq!(services.info().len(), 79);
    }

    #[test]
    fn a_node_is_asked_thrice_at_most_and_only_its_answer_counts() {
        let (key, address) = (PublicKey([1; 32]), Address::udp(([10, 0, 0, 1], 1).into()));
        let info = BootstrapInfo { version: 1, motd: b"hello toktok/tdfs/1" };
        let mut services = Services::default();
        services.ask(Time::ZERO, key, address);
        assert_eq!(services.answered(address, &info), None, "not asked yet");
        assert_eq!(services.take_due(Time::ZERO), Some(address));
        assert_eq!(services.take_due(Time::ZERO), None);
        let offered = vec!["toktok/tdfs/1".to_owned()];
        assert_eq!(services.answered(address, &info), Some((key, offered)));
        assert_eq!(services.answered(address, &info), None, "once only");
        services.ask(Time::ZERO, key, address);
        let mut sent = 0;
        while let Some(now) = services.deadline() {
            sent += usize::from(services.take_due(now).is_some());
        }
        assert_eq!(sent, usize::from(INFO_ATTEMPTS));
    }

    #[test]
    fn requests_are_bounded() {
        let mut services = Services::default();
        for port in 0..1_000 {
            let address = Address::udp(([10, 0, 0, 1], port).into());
            services.ask(Time::ZERO, PublicKey([1; 32]), address);
        }
        assert_eq!(services.asked.len(), MAX_INFO_REQUESTS);
    }
}

//! Cookies and the pace of strangers: what a node does for someone it knows nothing of yet.

use core::time::Duration;

use crate::drops::DropReason;
use crate::path::Path;
use crate::source::Source;
use crate::wire::session::{Cookie, CookieContents};
use crate::wire::{Address, Nonce, PublicKey, Rng, SharedKey, Time};

/// A cookie is good for so long (c-toxcore).
const COOKIE_LIFETIME: Duration = Duration::from_secs(15);

/// Seals and opens this node's own cookies.
#[derive(Debug)]
pub(crate) struct CookieJar {
    key: SharedKey,
}

impl CookieJar {
    /// Cookies that only this jar opens.
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self { key: SharedKey::generate(rng) }
    }

    /// A cookie for the node with this long-term key and this DHT key.
    pub(super) fn seal(
        &self,
        now: Time,
        key: PublicKey,
        dht_key: PublicKey,
        rng: &mut Rng,
    ) -> Cookie {
        let contents = CookieContents { time: now.as_micros(), key, dht_key };
        Cookie::seal(&self.key, &Nonce::generate(rng), &contents)
    }

    /// What a fresh cookie of ours says: long-term key and DHT key.
    pub(super) fn open(
        &self,
        now: Time,
        cookie: &Cookie,
    ) -> Result<(PublicKey, PublicKey), DropReason> {
        let contents = cookie.open(&self.key).map_err(|_| DropReason::StaleCookie)?;
        let made = Time::from_micros(contents.time);
        if made > now || now.since(made) > COOKIE_LIFETIME {
            return Err(DropReason::StaleCookie);
        }
        Ok((contents.key, contents.dht_key))
    }
}

/// Addresses whose pace is counted apart, and network prefixes; further ones share a place by hash.
const PLACES: usize = 256;
/// A network prefix may do so many times what one address may, in speed and burst: whoever has many
/// ports or addresses there does not use up all places.
const PREFIX_TIMES: u32 = 8;
/// One address may ask for a cookie this often …
pub(super) const COOKIE_INTERVAL: Duration = Duration::from_millis(100);
/// … after a burst of so many. Each costs a Diffie–Hellman (40 µs): all places together are at most a
/// tenth of a core, and a prefix a three-hundredth.
pub(super) const COOKIE_BURST: u32 = 20;

/// Keeps the pace of addresses that begin handshakes (generic cell rate algorithm), and of the network
/// prefixes that they are in. c-toxcore has one bucket for the whole world, with which one stranger
/// locks out all others.
#[derive(Debug)]
pub(crate) struct Pace {
    salt: u64,
    interval: Duration,
    burst: u32,
    /// When each address' place is back at a full burst; empty until the first stranger comes.
    full_at: Box<[Time]>,
    /// The same of prefixes.
    prefixes_full_at: Box<[Time]>,
}

impl Pace {
    /// Nobody came yet; each address may come every `interval` after a burst of `burst`. The salt
    /// keeps strangers from choosing whose place they share.
    pub(crate) fn new(rng: &mut Rng, interval: Duration, burst: u32) -> Self {
        let (full_at, prefixes_full_at) = Default::default();
        Self { salt: rng.u64(), interval, burst, full_at, prefixes_full_at }
    }

    /// Counts one more from `from`, unless that is too many.
    pub(crate) fn admit(&mut self, now: Time, from: &Path) -> Result<(), DropReason> {
        if self.full_at.is_empty() {
            self.full_at = vec![Time::ZERO; PLACES].into();
            self.prefixes_full_at = self.full_at.clone();
        }
        if let Path::Direct(address) = from
            && let Source::Prefix(prefix) = Source::of(address)
        {
            let hash = prefix.into_iter().fold(self.salt, mix);
            let place = &mut self.prefixes_full_at[(hash % PLACES as u64) as usize];
            take(place, now, self.interval / PREFIX_TIMES, self.burst * PREFIX_TIMES)?;
        }
        let place = &mut self.full_at[(hash(self.salt, from) % PLACES as u64) as usize];
        take(place, now, self.interval, self.burst)
    }
}

/// Takes one of the permits of a place, of which there are `burst`, and one more each `interval`.
fn take(full_at: &mut Time, now: Time, interval: Duration, burst: u32) -> Result<(), DropReason> {
    let then = (*full_at).max(now) + interval;
    if then.since(now) > interval * burst {
        return Err(DropReason::LimitReached);
    }
    *full_at = then;
    Ok(())
}

/// One step of a salted hash (multiply and shift: the salt is secret, and a collision harms little).
fn mix(hash: u64, byte: u8) -> u64 {
    let hash = (hash ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ hash >> 29
}

/// A salted hash of a way.
fn hash(salt: u64, path: &Path) -> u64 {
    let address = match path {
        Path::Direct(address) => address,
        Path::Relayed(key) => return key.0.into_iter().fold(salt, mix),
    };
    match address {
        Address::Udp(udp) => {
            let ip = match udp.ip() {
                core::net::IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                core::net::IpAddr::V6(ip) => ip,
            };
            ip.octets().into_iter().chain(udp.port().to_be_bytes()).fold(salt, mix)
        }
        Address::Custom(custom) => custom.as_bytes().iter().copied().fold(salt, mix),
        _ => salt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_good_for_15_seconds_in_their_own_jar() {
        let mut rng = Rng::from_seed([1; 32]);
        let (jar, other) = (CookieJar::new(&mut rng), CookieJar::new(&mut rng));
        let (key, dht_key) = (PublicKey([1; 32]), PublicKey([2; 32]));
        let made = Time::from_secs(100);
        let cookie = jar.seal(made, key, dht_key, &mut rng);
        let open = |jar: &CookieJar, now| jar.open(now, &cookie);
        assert_eq!(open(&jar, Time::from_secs(115)), Ok((key, dht_key)));
        assert_eq!(open(&jar, Time::from_secs(116)), Err(DropReason::StaleCookie));
        assert_eq!(open(&jar, Time::from_secs(99)), Err(DropReason::StaleCookie));
        assert_eq!(open(&other, made), Err(DropReason::StaleCookie));
    }

    #[test]
    fn one_address_is_slowed_down_and_others_are_not() {
        let mut rng = Rng::from_seed([1; 32]);
        let mut pace = Pace::new(&mut rng, COOKIE_INTERVAL, COOKIE_BURST);
        let address =
            |port| Path::Direct(Address::udp((core::net::Ipv4Addr::LOCALHOST, port).into()));
        let now = Time::from_secs(5);
        let admitted = (0..100).filter(|_| pace.admit(now, &address(1)).is_ok()).count();
        assert_eq!(admitted, COOKIE_BURST as usize);
        assert_eq!(pace.admit(now + COOKIE_INTERVAL, &address(1)), Ok(()));
        let others = (2..100).filter(|port| pace.admit(now, &address(*port)).is_ok()).count();
        assert!(others >= 95);
    }

    #[test]
    fn one_network_with_many_addresses_does_not_use_up_the_places_of_others() {
        let mut rng = Rng::from_seed([1; 32]);
        let mut pace = Pace::new(&mut rng, COOKIE_INTERVAL, COOKIE_BURST);
        let address = |net, port| Path::Direct(Address::udp(([198, 51, net, 1], port).into()));
        let now = Time::from_secs(5);
        let admitted =
            (0..50_000).filter(|port| pace.admit(now, &address(0, *port)).is_ok()).count();
        assert_eq!(admitted, (COOKIE_BURST * PREFIX_TIMES) as usize);
        let others = (1..=50).filter(|net| pace.admit(now, &address(*net, 1)).is_ok()).count();
        assert!(others >= 48, "{others}");
    }
}

//! Crossing NATs: friends that hear of each other through the DHT, but not from each other, agree to
//! send at the same time, so that each one's NAT lets the other in (Tox Reference, "NAT traversal";
//! research note `tox.md` 1.2).
//!
//! [`Punching`] is the state for one friend, and sends nothing itself. Its owner, the DHT's search for
//! that friend, tells it what nodes report and which NAT pings came, and after each of these asks
//! [`Punching::poll`] what to send: a NAT ping through those nodes, or a volley of pings to guessed
//! ports. [`Punching::deadline`] says when to ask again.
//!
//! What keeps it from being an amplifier: nothing is punched unless the friend itself, whose key opens
//! the box, answered a NAT ping and sent one of its own in the last seconds, and half of its nodes name
//! that address. `config` bounds the rest.

mod config;
mod guess;

use core::net::IpAddr;

pub(crate) use self::config::ENOUGH_ROUTES;
use self::config::{
    COUNTER_PAUSE, COUNTER_PORTS, COUNTER_STEP, ECHO_INTERVAL, ENOUGH_REPORTS, FAST_PINGS,
    FAST_VOLLEYS, HEARD_LIMIT, MAX_ANSWERS, MAX_VOLLEYS, PHASE, PUNCH_INTERVAL, PUNCH_RESET,
    SLOW_INTERVAL, VOLLEY_TIMEOUT,
};
use self::guess::{Guess, above};
use crate::wire::{Address, Rng, Time};

/// What is to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// A NAT ping request with this id, through all nodes that know where the friend is.
    Ask(u64),
    /// A ping request with this id to each of these addresses.
    Punch(u64, Vec<Address>),
}

/// What the friend's nodes say.
#[derive(Clone, Debug)]
pub(crate) struct Situation {
    /// Where they say it is; none if it can be reached directly.
    pub(crate) reports: Vec<Address>,
    /// How many nodes could say something.
    pub(crate) witnesses: usize,
}

impl Situation {
    /// Reports that count as enough: half of the nodes that there are.
    fn enough(&self) -> usize {
        self.witnesses.div_ceil(2).clamp(1, ENOUGH_REPORTS)
    }

    fn is_enough(&self) -> bool {
        self.reports.len() >= self.enough()
    }

    /// The first IP address that enough nodes name, and the ports they name with it.
    fn common(&self) -> Option<(IpAddr, Vec<u16>)> {
        let udp: Vec<_> = self.reports.iter().filter_map(Address::as_udp).collect();
        let count = |ip: IpAddr| udp.iter().filter(|other| other.ip() == ip).count();
        let ip = udp.iter().map(|address| address.ip()).find(|ip| count(*ip) >= self.enough())?;
        let ports = udp.iter().filter(|address| address.ip() == ip);
        Some((ip, ports.map(|address| address.port()).collect()))
    }
}

/// Pings of the friend's with one id that came from several ports: it sends to all ports that we may
/// have, its NAT gives it another one for each, and ours lets them in. The highest is the latest.
#[derive(Debug)]
struct Incoming {
    id: u64,
    ip: IpAddr,
    highest: u16,
    ports: u8,
    last: Time,
}

/// Pings that went out together with one id.
#[derive(Debug)]
struct Volley {
    id: u64,
    sent: Time,
    to: Vec<Address>,
}

/// The attempt to reach one friend directly.
#[derive(Debug)]
pub(crate) struct Punching {
    /// The id of the next NAT ping, new for each that is answered.
    ping_id: u64,
    last_ping: Option<Time>,
    /// NAT pings since the friend gave a sign last.
    unanswered: u32,
    /// The friend answered a NAT ping, and no holes were punched since.
    is_agreed: bool,
    /// When the friend sent a NAT ping itself.
    heard: Option<Time>,
    guess: Guess,
    last_volley: Option<Time>,
    /// Volleys to this address.
    target: Option<IpAddr>,
    rounds: u32,
    volleys: Vec<Volley>,
    incoming: Option<Incoming>,
    /// Volleys of the friend's that came from several ports.
    heard_volleys: u32,
    next_poll: Time,
}

impl Punching {
    /// Nothing was tried yet.
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self {
            ping_id: rng.u64(),
            last_ping: None,
            unanswered: 0,
            is_agreed: false,
            heard: None,
            guess: Guess::default(),
            last_volley: None,
            target: None,
            rounds: 0,
            volleys: Vec::new(),
            incoming: None,
            heard_volleys: 0,
            next_poll: Time::MAX,
        }
    }

    /// The friend sent a NAT ping: it wants to be reached, and will punch if it hears from us.
    pub(crate) fn handle_request(&mut self, now: Time) {
        self.heard = Some(now);
        self.unanswered = 0;
    }

    /// The friend answered a NAT ping; false if not one of ours.
    pub(crate) fn handle_response(&mut self, id: u64, rng: &mut Rng) -> bool {
        let is_ours = id == self.ping_id && self.last_ping.is_some();
        if is_ours {
            self.ping_id = rng.u64();
            self.is_agreed = true;
            self.unanswered = 0;
        }
        is_ours
    }

    /// The friend sent a ping from this address; false if it needs no answer.
    pub(crate) fn handle_ping(&mut self, now: Time, id: u64, from: &Address) -> bool {
        let Some(from) = from.as_udp() else { return true };
        let (ip, port) = (from.ip(), from.port());
        let known = self.incoming.take_if(|known| known.id == id && known.ip == ip);
        let known = known.unwrap_or(Incoming { id, ip, highest: 0, ports: 0, last: now });
        let ports = known.ports.saturating_add(u8::from(known.highest != port));
        self.heard_volleys += u32::from(ports > MAX_ANSWERS && known.ports == MAX_ANSWERS);
        let highest = known.highest.max(port);
        self.incoming = Some(Incoming { highest, ports, last: now, ..known });
        ports <= MAX_ANSWERS || self.answers_all()
    }

    /// Which of the two phases it is in; see [`PHASE`].
    fn answers_all(&self) -> bool {
        self.heard_volleys.saturating_sub(1) / PHASE % 2 == 1
    }

    /// When the countervolley is due, if there is a reason for one.
    fn counter_due(&self) -> Option<Time> {
        let incoming = self.incoming.as_ref().filter(|incoming| incoming.ports > MAX_ANSWERS)?;
        (!self.answers_all()).then(|| incoming.last + COUNTER_PAUSE)
    }

    /// Pings to the ports that the friend's NAT gave it after the last one that we heard it from: it
    /// let us in there if we leave from a port that the friend guessed.
    fn counter(&mut self, now: Time, rng: &mut Rng) -> Option<Step> {
        let Incoming { ip, highest, .. } = self.incoming.take()?;
        let ports = (0..COUNTER_PORTS).map(|step| above(highest, COUNTER_STEP * step));
        let to = ports.map(|port| Address::udp((ip, port).into())).collect();
        // We are open to the friend: guesses of ours would only move the port that it looks for.
        (self.last_volley, self.is_agreed) = (Some(now), false);
        Some(self.fire(now, to, rng))
    }

    /// The friend answered a ping from this address; false if no volley went there.
    pub(crate) fn handle_answer(&mut self, now: Time, id: u64, from: &Address) -> bool {
        let is_it = |volley: &Volley| {
            volley.id == id && now < volley.sent + VOLLEY_TIMEOUT && volley.to.contains(from)
        };
        self.volleys.iter().any(is_it)
    }

    /// What to send now; to be called until it is nothing.
    pub(crate) fn poll(&mut self, now: Time, at: &Situation, rng: &mut Rng) -> Option<Step> {
        self.next_poll = Time::MAX;
        if !at.is_enough() {
            return None;
        }
        if self.counter_due().is_some_and(|due| due <= now)
            && let Some(step) = self.counter(now, rng)
        {
            return Some(step);
        }
        if self.ping_due() <= now {
            self.last_ping = Some(now);
            self.unanswered = self.unanswered.saturating_add(1);
            return Some(Step::Ask(self.ping_id));
        }
        self.next_poll = self.ping_due().min(self.counter_due().unwrap_or(Time::MAX));
        let (ip, ports) = at.common()?;
        let due = self.volley_due(now)?;
        if due <= now {
            return Some(self.punch(now, ip, &ports, rng));
        }
        self.next_poll = self.next_poll.min(due);
        None
    }

    /// When [`Punching::poll`] has something to do, if nothing happens before.
    pub(crate) fn deadline(&self) -> Time {
        self.next_poll
    }

    /// When a NAT ping is due: every 3 s, less often if the friend is mute, at once if it asks for it.
    fn ping_due(&self) -> Time {
        let Some(last) = self.last_ping else { return Time::ZERO };
        if self.heard.is_some_and(|heard| heard > last) {
            return last + ECHO_INTERVAL;
        }
        let pause = match self.unanswered.checked_sub(FAST_PINGS) {
            None => PUNCH_INTERVAL,
            Some(more) => SLOW_INTERVAL.min(PUNCH_INTERVAL * 2_u32.pow(more.min(5))),
        };
        last + pause
    }

    /// When holes may be punched next; `None` unless the friend does the same now.
    fn volley_due(&self, now: Time) -> Option<Time> {
        let heard = self.heard.filter(|heard| now <= *heard + HEARD_LIMIT);
        let _ = heard.filter(|_| self.is_agreed)?;
        let Some(last) = self.last_volley else { return Some(Time::ZERO) };
        Some(last + if self.rounds < FAST_VOLLEYS { PUNCH_INTERVAL } else { SLOW_INTERVAL })
    }

    fn punch(&mut self, now: Time, ip: IpAddr, reported: &[u16], rng: &mut Rng) -> Step {
        if self.target != Some(ip) {
            (self.target, self.rounds, self.guess) = (Some(ip), 0, Guess::default());
        }
        if self.last_volley.is_some_and(|last| last + PUNCH_RESET < now) {
            self.guess = Guess::default();
        }
        let ports = self.guess.volley(reported);
        let to = ports.into_iter().map(|port| Address::udp((ip, port).into())).collect();
        (self.last_volley, self.is_agreed) = (Some(now), false);
        self.rounds = self.rounds.saturating_add(1);
        self.fire(now, to, rng)
    }

    fn fire(&mut self, now: Time, to: Vec<Address>, rng: &mut Rng) -> Step {
        let id = rng.u64();
        if self.volleys.len() == MAX_VOLLEYS {
            self.volleys.remove(0);
        }
        self.volleys.push(Volley { id, sent: now, to: to.clone() });
        Step::Punch(id, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(port: u16) -> Address {
        Address::udp(([198, 18, 0, 1], port).into())
    }

    #[test]
    fn a_volley_from_many_ports_is_answered_twice_and_countered_above_the_highest() {
        let (mut rng, start) = (Rng::from_seed([1; 32]), Time::from_secs(10));
        let mut punching = Punching::new(&mut rng);
        let answered: Vec<bool> =
            (100..110).map(|port| punching.handle_ping(start, 7, &from(port))).collect();
        assert_eq!(answered.iter().filter(|answered| **answered).count(), usize::from(MAX_ANSWERS));
        let reports = vec![from(1), from(2), from(3), from(4)];
        let situation = Situation { reports, witnesses: 8 };
        let countered = |punching: &mut Punching, at: Time, rng: &mut Rng| {
            let steps = core::iter::from_fn(|| punching.poll(at, &situation, rng));
            steps
                .filter_map(|step| match step {
                    Step::Punch(id, to) => Some((id, to)),
                    Step::Ask(_) => None,
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(countered(&mut punching, start, &mut rng), [], "more may come");
        let later = start + COUNTER_PAUSE;
        assert!(punching.deadline() <= later);
        let volleys = countered(&mut punching, later, &mut rng);
        let (id, to) = &volleys[0];
        assert_eq!((volleys.len(), to.len()), (1, COUNTER_PORTS as usize));
        assert_eq!((to[0], to[1]), (from(110), from(112)));
        assert!(punching.handle_answer(later, *id, &from(112)));
        assert_eq!(countered(&mut punching, later, &mut rng), [], "once a volley");
    }

    #[test]
    fn pings_from_one_port_are_all_answered() {
        let mut punching = Punching::new(&mut Rng::from_seed([1; 32]));
        assert!((0..9).all(|id| punching.handle_ping(Time::ZERO, id / 2, &from(100))));
    }
}

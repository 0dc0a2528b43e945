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
//! the box, answered a NAT ping and sent one of its own in the last seconds, and two of its nodes name
//! that address. `config` bounds the rest.

mod config;
mod guess;

use core::net::IpAddr;
use std::collections::VecDeque;

pub(crate) use self::config::ENOUGH_REPORTS;
use self::config::{
    COUNTER_ANSWERS, COUNTER_PAUSE, COUNTER_PORTS, COUNTER_STEP, ECHO_INTERVAL, FAST_PINGS,
    FAST_VOLLEYS, HEARD_LIMIT, MAX_ANSWERS, MAX_HEARD, MAX_SPENT, MAX_VOLLEYS, PHASE,
    PUNCH_INTERVAL, PUNCH_RESET, SLOW_INTERVAL, VOLLEY_TIMEOUT,
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
    /// Reports that count as enough.
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
/// have, its NAT gives it another one for each, and ours lets them in.
#[derive(Debug)]
struct Incoming {
    id: u64,
    ip: IpAddr,
    /// As they came, at most [`MAX_HEARD`].
    ports: Vec<u16>,
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
    /// When the last countervolley went out.
    countered: Option<Time>,
    /// Ports that countervolleys went to.
    spent: VecDeque<u16>,
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
            countered: None,
            spent: VecDeque::new(),
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
        let mut incoming = known.unwrap_or(Incoming { id, ip, ports: Vec::new(), last: now });
        incoming.last = now;
        if !incoming.ports.contains(&port) && incoming.ports.len() < MAX_HEARD {
            incoming.ports.push(port);
            self.heard_volleys += u32::from(incoming.ports.len() == MAX_ANSWERS + 1);
        }
        let is_one_of_few = incoming.ports.len() <= MAX_ANSWERS;
        self.incoming = Some(incoming);
        is_one_of_few || self.answers_all()
    }

    /// Which of the two phases it is in; see [`PHASE`].
    fn answers_all(&self) -> bool {
        self.heard_volleys.saturating_sub(1) / PHASE % 2 == 1
    }

    /// When the countervolley is due, if there is a reason for one.
    fn counter_due(&self) -> Option<Time> {
        let incoming =
            self.incoming.as_ref().filter(|incoming| incoming.ports.len() > MAX_ANSWERS)?;
        (!self.answers_all()).then(|| incoming.last + COUNTER_PAUSE)
    }

    /// Pings to the ports that the friend's NAT gave it after the last ones that we heard it from: it
    /// let us in there if we leave from a port that the friend guessed. Then to those themselves: it
    /// let us in there if we have one port for all of its.
    fn counter(&mut self, now: Time, rng: &mut Rng) -> Option<Step> {
        let Incoming { ip, ports: heard, .. } = self.incoming.take()?;
        // The last is the nearest to our next port, unless some came out of order.
        let (last, highest) = (*heard.last()?, *heard.iter().max()?);
        let mut ports = Vec::new();
        for end in [Some(last), (highest != last).then_some(highest)].into_iter().flatten() {
            for step in 0..COUNTER_PORTS {
                let is_new = |port: &u16| {
                    ![&heard, &ports].iter().any(|known| known.contains(port))
                        && !self.spent.contains(port)
                };
                let step = COUNTER_STEP * step;
                let mut either = (step..step + COUNTER_STEP).map(|step| above(end, step.into()));
                ports.extend(either.find(is_new));
            }
        }
        self.spent.extend(&ports);
        self.spent.drain(..self.spent.len().saturating_sub(MAX_SPENT));
        ports.extend(heard.iter().rev().take(COUNTER_ANSWERS));
        let to = ports.into_iter().map(|port| Address::udp((ip, port).into())).collect();
        (self.countered, self.last_volley, self.is_agreed) = (Some(now), Some(now), false);
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
        let due = last + if self.rounds < FAST_VOLLEYS { PUNCH_INTERVAL } else { SLOW_INTERVAL };
        // We are open to the friend: guesses of ours would only move the port that it looks for.
        Some(self.countered.map_or(due, |at| due.max(at + HEARD_LIMIT)))
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

    /// All volleys that go out now.
    fn volleys(punching: &mut Punching, at: Time, rng: &mut Rng) -> Vec<(u64, Vec<Address>)> {
        let situation = Situation { reports: vec![from(1), from(2)], witnesses: 8 };
        let steps = core::iter::from_fn(|| punching.poll(at, &situation, rng));
        steps
            .filter_map(|step| match step {
                Step::Punch(id, to) => Some((id, to)),
                Step::Ask(_) => None,
            })
            .collect()
    }

    fn ports(of: &[Address]) -> Vec<u16> {
        of.iter().filter_map(|address| Some(address.as_udp()?.port())).collect()
    }

    #[test]
    fn a_volley_from_many_ports_is_answered_twice_and_countered_where_the_next_ports_are() {
        let (mut rng, start) = (Rng::from_seed([1; 32]), Time::from_secs(10));
        let mut punching = Punching::new(&mut rng);
        let hear =
            |punching: &mut Punching, at, id, port| punching.handle_ping(at, id, &from(port));
        let answered = (100..110).filter(|port| hear(&mut punching, start, 7, *port)).count();
        assert_eq!(answered, MAX_ANSWERS);
        assert_eq!(volleys(&mut punching, start, &mut rng), [], "more may come");
        let later = start + COUNTER_PAUSE;
        assert!(punching.deadline() <= later);
        let sent = volleys(&mut punching, later, &mut rng);
        let [(id, to)] = &sent[..] else { panic!("one volley, not {sent:?}") };
        let above: Vec<u16> = (0..COUNTER_PORTS).map(|step| 110 + COUNTER_STEP * step).collect();
        assert_eq!(ports(to), [above, (102..110).rev().collect()].concat());
        assert!(punching.handle_answer(later, *id, &from(112)));
        assert_eq!(volleys(&mut punching, later, &mut rng), [], "once a volley");

        // Ports that it has sent to are of no use any more; some pings come out of order.
        for port in [101, 100, 153, 103] {
            hear(&mut punching, later, 8, port);
        }
        let sent = volleys(&mut punching, later + COUNTER_PAUSE, &mut rng);
        let to = ports(&sent[0].1);
        assert_eq!(to[..4], [104, 106, 108, 111], "after the last");
        assert_eq!(to[12..14], [154, 156], "after the highest");
        assert_eq!(to[to.len() - 4..], [103, 153, 100, 101]);
        assert!(to.iter().all(|port| to.iter().filter(|other| *other == port).count() == 1));
    }

    #[test]
    fn whoever_counters_fires_no_volleys_of_its_own() {
        let (mut rng, start) = (Rng::from_seed([1; 32]), Time::from_secs(10));
        let mut punching = Punching::new(&mut rng);
        let agree = |punching: &mut Punching, at, rng: &mut Rng| {
            let id = punching.ping_id;
            (punching.last_ping, punching.heard) = (Some(at), Some(at));
            assert!(punching.handle_response(id, rng));
        };
        agree(&mut punching, start, &mut rng);
        assert_eq!(volleys(&mut punching, start, &mut rng).len(), 1);
        for port in 100..110 {
            punching.handle_ping(start, 7, &from(port));
        }
        let countered = start + COUNTER_PAUSE;
        assert_eq!(volleys(&mut punching, countered, &mut rng).len(), 1);
        let due = countered + HEARD_LIMIT;
        agree(&mut punching, due, &mut rng);
        let early = countered + PUNCH_INTERVAL;
        assert_eq!(volleys(&mut punching, early, &mut rng), [], "it would move its own port");
        assert_eq!(volleys(&mut punching, due, &mut rng).len(), 1);
    }

    #[test]
    fn pings_from_one_port_are_all_answered() {
        let mut punching = Punching::new(&mut Rng::from_seed([1; 32]));
        assert!((0..9).all(|id| punching.handle_ping(Time::ZERO, id / 2, &from(100))));
    }
}

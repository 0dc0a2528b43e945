//! The way of a request: the random walk, then nearer at each hop.

use toktok_mesh::DropReason;
use toktok_wire::{PublicKey, Time};

use super::Router;
use super::link::Link;
use super::message::{Answer, Contact, Failure, MAX_CONTACTS, Phase, Request};
use super::ring;
use super::task::{Job, Origin, Stage, Task};
use crate::block::Block;

/// A neighbour this busy is passed over on the walk while others are not.
const BUSY: u8 = 200;

/// What a search for the next hop found.
enum Hop {
    To(PublicKey),
    /// There are some, but their queues are full.
    Crowded,
    Nobody,
}

impl Router {
    /// Greedy hops that a request leaving the walk here may take.
    pub(super) fn budget(&self) -> u8 {
        ring::hop_budget(self.estimated_size(), self.config.spare_hops)
    }

    /// The walk ends here. The neighbour from which the request came may well be the next hop.
    pub(super) fn leave_walk(&self, task: &mut Task) {
        task.phase = Phase::Greedy(self.budget());
        task.tried.clear();
    }

    /// Takes a task one hop on, or ends it.
    pub(super) fn step(&mut self, now: Time, id: u64) {
        let Some(task) = self.tasks.get(&id) else { return };
        if task.phase == Phase::Walk {
            let (open, crowded) = self.walk_hops(task);
            let hop = match self.rng.choose(&open) {
                Some(peer) => Hop::To(*peer),
                None if crowded => Hop::Crowded,
                None => Hop::Nobody,
            };
            match hop {
                Hop::To(peer) => return self.forward(now, id, peer, Phase::Walk),
                Hop::Crowded => return self.fail(now, id, Failure::Busy),
                Hop::Nobody => {}
            }
            let budget = self.budget();
            if let Some(task) = self.tasks.get_mut(&id) {
                task.phase = Phase::Greedy(budget);
            }
        }
        self.step_greedy(now, id);
    }

    fn fail(&mut self, now: Time, id: u64, failure: Failure) {
        if let Some(task) = self.tasks.get(&id) {
            let answer = task.job.failed(failure);
            self.finish(now, id, answer);
        }
    }

    fn step_greedy(&mut self, now: Time, id: u64) {
        let Some(task) = self.tasks.get(&id) else { return };
        let Phase::Greedy(budget) = task.phase else { return };
        let responsible = self.is_responsible(&task.job);
        if let (Job::Get { address }, true, false) = (&task.job, responsible, task.looked) {
            let address = *address;
            return self.look(id, address);
        }
        match self.greedy_hop(task) {
            Hop::To(peer) if budget > 1 => {
                self.forward(now, id, peer, Phase::Greedy(budget - 1));
            }
            Hop::Crowded => self.fail(now, id, Failure::Busy),
            _ if matches!(task.job, Job::Find { .. }) => self.tell_neighbours(now, id),
            Hop::Nobody if responsible => self.enter_region(now, id),
            _ => self.fail(now, id, Failure::DeadEnd),
        }
    }

    /// Asks the own store before going on.
    fn look(&mut self, id: u64, address: crate::block::BlockAddress) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        (task.looked, task.stage) = (true, Stage::Local);
        let asker = task.source();
        let local = super::LocalId(id);
        self.outputs.push_back(super::Output::Look { local, address, asker });
    }

    /// Answers who is near.
    fn tell_neighbours(&mut self, now: Time, id: u64) {
        let Some(task) = self.tasks.get(&id) else { return };
        let mut contacts = self.contacts_near(task.job.place(), task.source(), MAX_CONTACTS - 1);
        contacts.push(Contact { id: self.me.id, location: self.me.location });
        self.finish(now, id, Answer::Neighbours(contacts));
    }

    /// True if a request may be handed to this neighbour.
    pub(super) fn is_usable(link: &Link) -> bool {
        link.identity().is_some() && !link.suspect
    }

    /// True if `link` has room for what `task` sends.
    fn has_room(link: &Link, task: &Task) -> bool {
        !matches!(task.job, Job::Put { .. }) || link.queue.has_room(task.source())
    }

    /// Where the walk may go: all neighbours, the busy ones only if there is no other. True beside an
    /// empty list: there are some, but their queues are full.
    fn walk_hops(&self, task: &Task) -> (Vec<PublicKey>, bool) {
        let usable = |(peer, link): &(&PublicKey, &Link)| {
            Self::is_usable(link) && !task.tried.contains(peer)
        };
        let usable: Vec<_> = self.links.iter().filter(usable).collect();
        let open = usable.iter().filter(|(_, link)| Self::has_room(link, task));
        let open: Vec<_> = open.map(|(peer, link)| (**peer, link.load < BUSY)).collect();
        let calm: Vec<_> = open.iter().filter(|(_, calm)| *calm).map(|(peer, _)| *peer).collect();
        let crowded = open.is_empty() && !usable.is_empty();
        if calm.is_empty() {
            return (open.into_iter().map(|(peer, _)| peer).collect(), crowded);
        }
        (calm, crowded)
    }

    /// The nearest neighbour among those nearer than this node. A question about a place passes over
    /// whoever stands exactly there: it is the one who asks.
    fn greedy_hop(&self, task: &Task) -> Hop {
        let place = task.job.place();
        let own = place.distance(self.me.location);
        let asks = matches!(task.job, Job::Find { .. });
        let nearer = self
            .links
            .iter()
            .filter(|(peer, link)| Self::is_usable(link) && !task.tried.contains(peer))
            .filter_map(|(peer, link)| Some((peer, link, link.identity()?.location)))
            .map(|(peer, link, at)| (place.distance(at), peer, link))
            .filter(|(distance, ..)| *distance < own && !(asks && *distance == 0))
            .min_by_key(|(distance, ..)| *distance);
        match nearer {
            Some((_, peer, link)) if Self::has_room(link, task) => Hop::To(*peer),
            Some(_) => Hop::Crowded,
            None => Hop::Nobody,
        }
    }

    /// Hands a task to the next hop.
    fn forward(&mut self, now: Time, id: u64, peer: PublicKey, phase: Phase) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        task.stage = Stage::Forwarded;
        task.tried.push(peer);
        let request = match (&task.job, phase) {
            (Job::Put { copies, challenge, block }, phase) => {
                Request::Put { phase, copies: *copies, challenge: *challenge, block: block.clone() }
            }
            (Job::Get { address }, phase) => Request::Get { phase, address: *address },
            (Job::Find { target }, Phase::Greedy(budget)) => {
                Request::Find { target: *target, budget }
            }
            _ => return,
        };
        let relayed = matches!(task.origin, Origin::Peer(..));
        if self.ask(now, id, peer, request) {
            self.stats.relayed += u64::from(relayed);
        } else {
            self.fail(now, id, Failure::Busy);
        }
    }

    /// Begins a question of membership with a certain first hop.
    pub(super) fn begin_find(&mut self, now: Time, mut task: Task, first: PublicKey, budget: u8) {
        task.phase = Phase::Greedy(budget);
        task.alternatives = 0;
        task.due = now + self.patience(task.phase);
        let id = self.begin(task);
        self.forward(now, id, first, Phase::Greedy(budget));
    }

    /// Begins one path of an own request with a certain first hop.
    pub(super) fn begin_path(&mut self, now: Time, mut task: Task, first: PublicKey) -> u64 {
        task.alternatives = 0;
        task.due = now + self.config.request_timeout;
        let id = self.begin(task);
        self.forward(now, id, first, Phase::Walk);
        id
    }

    /// Goes on when the next hop has answered.
    pub(super) fn continue_forwarded(
        &mut self,
        now: Time,
        id: u64,
        peer: PublicKey,
        answer: Answer,
    ) {
        let Some(task) = self.tasks.get(&id) else { return };
        match (&task.job, answer) {
            (Job::Get { address }, Answer::Get { outcome: Ok(data), hops }) => {
                let address = *address;
                match Block::verify(address, data) {
                    Ok(block) => self.pass_back(now, id, block, hops),
                    Err(_) => {
                        self.shun(now, peer);
                        self.try_another(now, id, Failure::DeadEnd);
                    }
                }
            }
            (Job::Put { .. }, answer @ Answer::Put(Ok(_)))
            | (Job::Find { .. }, answer @ Answer::Neighbours(_)) => self.finish(now, id, answer),
            (Job::Get { .. }, Answer::Get { outcome: Err(failure), .. })
            | (Job::Put { .. }, Answer::Put(Err(failure))) => self.try_another(now, id, failure),
            _ => {
                self.drops.count(DropReason::Malformed);
                self.try_another(now, id, Failure::DeadEnd);
            }
        }
    }

    /// Hands a block back towards whoever asked.
    pub(super) fn pass_back(&mut self, now: Time, id: u64, block: Block, hops: u8) {
        let relayed = self.tasks.get(&id).is_some_and(|task| task.source().is_some());
        if relayed {
            self.cache.insert(now, &block);
        }
        let (outcome, hops) = (Ok(block.into_bytes()), hops.saturating_add(1));
        self.finish(now, id, Answer::Get { outcome, hops });
    }

    /// The hop led nowhere. If the region itself has answered that is final; otherwise another hop may
    /// know a way.
    fn try_another(&mut self, now: Time, id: u64, failure: Failure) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        if failure == Failure::NotFound || task.alternatives == 0 {
            return self.fail(now, id, failure);
        }
        task.alternatives -= 1;
        self.step(now, id);
    }
}

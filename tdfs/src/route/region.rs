//! The end of the way: the nearest node asks those around the block's place, itself included.

use toktok_mesh::DropReason;
use toktok_wire::{PublicKey, Time};

use super::message::{Answer, Failure, MAX_RECEIPTS, Request};
use super::task::{Job, Stage};
use super::{LocalId, Output, Router};
use crate::block::Block;

/// Members of a region that are asked for a block at once.
const FETCHES_AT_ONCE: usize = 3;
/// Members of a region that are asked for a block in all.
const MAX_FETCHES: usize = 12;
/// Members beyond the wanted copies that are asked to hold, when nearer ones refuse.
const SPARE_HOLDERS: usize = 4;

impl Router {
    /// This node is the last: asks the region.
    pub(super) fn enter_region(&mut self, now: Time, id: u64) {
        let Some(task) = self.tasks.get(&id) else { return };
        let place = task.job.place();
        let (most, with_self) = match &task.job {
            Job::Put { copies, .. } => (usize::from(*copies) + SPARE_HOLDERS, true),
            _ => (MAX_FETCHES, false),
        };
        let mut members: Vec<_> = self
            .links
            .iter()
            .filter(|(_, link)| Self::is_usable(link))
            .filter_map(|(peer, link)| Some((place.distance(link.identity()?.location), *peer)))
            .collect();
        if with_self {
            members.push((place.distance(self.me.location), self.me.key));
        }
        members.sort_unstable();
        members.truncate(most);
        let Some(task) = self.tasks.get_mut(&id) else { return };
        task.stage = Stage::Region;
        task.members = members.into_iter().rev().map(|(_, peer)| peer).collect();
        self.hasten(id, now + self.config.region_timeout);
        self.ask_members(now, id);
    }

    /// Asks as many members as the task still needs; ends it when nothing more can come.
    fn ask_members(&mut self, now: Time, id: u64) {
        loop {
            let Some(task) = self.tasks.get_mut(&id) else { return };
            let wanted = match &task.job {
                Job::Put { copies, .. } => usize::from(*copies).saturating_sub(task.receipts.len()),
                _ => FETCHES_AT_ONCE,
            };
            let next = if task.asked < wanted { task.members.pop() } else { None };
            let Some(peer) = next else { break };
            task.asked += 1;
            let job = task.job.clone();
            if !self.ask_member(now, id, peer, job)
                && let Some(task) = self.tasks.get_mut(&id)
            {
                task.asked -= 1;
            }
        }
        let Some(task) = self.tasks.get(&id) else { return };
        if task.asked == 0 {
            let answer = match &task.job {
                Job::Put { .. } if !task.receipts.is_empty() => {
                    Answer::Put(Ok(task.receipts.clone()))
                }
                job => job.failed(Failure::NotFound),
            };
            self.finish(now, id, answer);
        }
    }

    fn ask_member(&mut self, now: Time, id: u64, peer: PublicKey, job: Job) -> bool {
        match job {
            Job::Put { block, .. } if peer == self.me.key => {
                let from = self.tasks.get(&id).and_then(super::task::Task::source);
                self.outputs.push_back(Output::Keep { local: LocalId(id), block, from });
                true
            }
            Job::Put { challenge, block, .. } => {
                self.ask(now, id, peer, Request::Hold { challenge, block })
            }
            Job::Get { address } => self.ask(now, id, peer, Request::Fetch { address }),
            _ => false,
        }
    }

    /// Goes on when a member of the region, or the own store, has answered.
    pub(super) fn continue_region(&mut self, now: Time, id: u64, peer: PublicKey, answer: Answer) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        task.asked = task.asked.saturating_sub(1);
        match (&task.job, answer) {
            (Job::Put { .. }, Answer::Hold(Some(receipt))) => {
                if task.receipts.len() < MAX_RECEIPTS {
                    task.receipts.push(receipt);
                }
            }
            (Job::Get { address }, Answer::Fetch(Some(data))) => {
                match Block::verify(*address, data) {
                    Ok(block) => return self.pass_back(now, id, block, 0),
                    Err(_) => self.shun(now, peer),
                }
            }
            (Job::Put { .. }, Answer::Hold(None)) | (Job::Get { .. }, Answer::Fetch(None)) => {}
            _ => self.drops.count(DropReason::Malformed),
        }
        self.ask_members(now, id);
    }
}

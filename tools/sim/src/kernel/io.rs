//! Who answers the work that machines ask for: disks, coding, programs.

use core::convert::Infallible;
use core::time::Duration;

use toktok_mesh::{Machine, Rng, Time};

use super::NodeIndex;

/// A model of what a machine's driver does for it.
pub trait IoModel<M: Machine> {
    /// Does `request` for `node`: the result and how long it takes, or `None` for a request that is
    /// never answered (a disk that hangs). Failure and lies are results like any other.
    fn handle_request(
        &mut self,
        now: Time,
        node: NodeIndex,
        request: M::IoRequest,
        rng: &mut Rng,
    ) -> Option<(Duration, M::IoResult)>;

    /// `node` crashed: what it kept in memory only is gone.
    fn handle_crash(&mut self, _node: NodeIndex) {}
}

/// The model for machines that never ask for work.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoIo;

impl<M: Machine<IoRequest = Infallible>> IoModel<M> for NoIo {
    fn handle_request(
        &mut self,
        _: Time,
        _: NodeIndex,
        request: Infallible,
        _: &mut Rng,
    ) -> Option<(Duration, M::IoResult)> {
        match request {}
    }
}

impl<M, F> IoModel<M> for F
where
    M: Machine,
    F: FnMut(Time, NodeIndex, M::IoRequest, &mut Rng) -> Option<(Duration, M::IoResult)>,
{
    fn handle_request(
        &mut self,
        now: Time,
        node: NodeIndex,
        request: M::IoRequest,
        rng: &mut Rng,
    ) -> Option<(Duration, M::IoResult)> {
        self(now, node, request, rng)
    }
}

//! What happens to each allocation of a group, before anything is counted.

use std::collections::BTreeSet;
use std::sync::Arc;

use drover_base::{AllocId, WallTime};
use drover_model::{ClientStatus, Deployment, Job, NodeStatus, RescheduleEvent, RescheduleOutcome, TaskGroup};
use drover_state::Alloc;

use super::contact::{DisconnectRules, lost_sight_at, must_reconnect};
use super::{Reconciler, current};
use crate::reschedule::{Failure, Verdict, verdict};

/// A group's allocations by what is to happen to them.
#[derive(Default)]
pub(super) struct Sorted {
    /// Exist and count: running, ended well in a batch job, failed for good or until later, out of contact.
    pub(super) keep: Vec<Arc<Alloc>>,
    /// Move away from their node.
    pub(super) migrate: Vec<Arc<Alloc>>,
    /// Their node is gone.
    pub(super) lost: Vec<Arc<Alloc>>,
    /// To be replaced now, with the attempts to remember. Those out of contact are not stopped for it.
    pub(super) reschedule: Vec<(Arc<Alloc>, Vec<RescheduleEvent>)>,
    /// To be replaced later; they are in `keep` too.
    pub(super) later: Vec<(Arc<Alloc>, WallTime)>,
    /// Those of `keep` that will be replaced when their delay is over.
    pub(super) waiting: BTreeSet<AllocId>,
    /// Their node has just lost contact; they are in `keep` or `reschedule` too.
    pub(super) disconnecting: Vec<Arc<Alloc>>,
    /// Came back, or failed while they were away.
    pub(super) reconnecting: Vec<Arc<Alloc>>,
    /// Server-stopped ones on a node that cannot report any more (REC-019).
    pub(super) stale: Vec<Arc<Alloc>>,
    /// Left alone and not counted.
    pub(super) ignored: u32,
}

/// Where the node of an allocation puts it.
enum Taint {
    Stays,
    Migrates,
    Lost,
    Disconnects,
    Reconnects,
}

impl Reconciler<'_> {
    pub(super) fn sort(&self, job: &Job, group: &TaskGroup, allocs: Vec<Arc<Alloc>>, deployment: Option<&Deployment>) -> Sorted {
        let mut sorted = Sorted::default();
        let rules = DisconnectRules::of(group);
        let batch = job.kind.is_batch();
        for alloc in allocs {
            if batch && alloc.terminal() && !current(job, &alloc) {
                // An earlier version's end says nothing about this one (REC-012).
                sorted.ignored += 1;
                continue;
            }
            match self.taint(&rules, &alloc) {
                Taint::Lost if alloc.server_terminal() => sorted.stale.push(alloc),
                Taint::Lost => sorted.lost.push(alloc),
                Taint::Migrates => sorted.migrate.push(alloc),
                Taint::Reconnects => sorted.reconnecting.push(alloc),
                Taint::Disconnects => {
                    sorted.disconnecting.push(Arc::clone(&alloc));
                    self.sort_by_end(group, &rules, batch, alloc, Some(self.now), deployment, &mut sorted);
                }
                Taint::Stays => {
                    let silent_since = lost_sight_at(&alloc).filter(|_| alloc.client_status == ClientStatus::Unknown);
                    self.sort_by_end(group, &rules, batch, alloc, silent_since, deployment, &mut sorted);
                }
            }
        }
        sorted
    }

    fn taint(&self, rules: &DisconnectRules, alloc: &Alloc) -> Taint {
        let node = self.node_status(alloc);
        let expired = rules.given_up_at(alloc).is_some_and(|at| at <= self.now);
        let away = rules.survives() && must_reconnect(alloc);
        if alloc.server_terminal() {
            let gone = !alloc.client_terminal() && node.is_none_or(|status| status == NodeStatus::Down);
            return if gone { Taint::Lost } else { Taint::Stays };
        }
        if away && alloc.client_status == ClientStatus::Failed {
            return Taint::Reconnects;
        }
        if alloc.client_terminal() {
            return Taint::Stays;
        }
        let unknown = alloc.client_status == ClientStatus::Unknown;
        match node {
            None => Taint::Lost,
            Some(NodeStatus::Down) => match (rules.survives() && !rules.replace, unknown) {
                // Not replaced before its time, whatever the node is called meanwhile (REC-062).
                (true, true) if expired => Taint::Lost,
                (true, true) => Taint::Stays,
                (true, false) if alloc.client_status == ClientStatus::Running => Taint::Disconnects,
                _ => Taint::Lost,
            },
            Some(NodeStatus::Disconnected) => match alloc.client_status {
                _ if !rules.survives() => Taint::Lost,
                ClientStatus::Running => Taint::Disconnects,
                ClientStatus::Unknown if expired => Taint::Lost,
                ClientStatus::Unknown => Taint::Stays,
                _ => Taint::Lost,
            },
            Some(NodeStatus::Ready | NodeStatus::Initializing) if unknown && expired => Taint::Lost,
            Some(_) if away && !unknown => Taint::Reconnects,
            Some(_) if unknown && away => Taint::Stays,
            Some(_) if alloc.transition.migrate == Some(true) => Taint::Migrates,
            Some(_) => Taint::Stays,
        }
    }

    /// Sorts one whose node is as good as any by how it ended, if it did. `silent_since` is set while it is out of contact.
    #[expect(clippy::too_many_arguments, reason = "all of it decides")]
    fn sort_by_end(
        &self,
        group: &TaskGroup,
        rules: &DisconnectRules,
        batch: bool,
        alloc: Arc<Alloc>,
        silent_since: Option<WallTime>,
        deployment: Option<&Deployment>,
        sorted: &mut Sorted,
    ) {
        if alloc.server_terminal() {
            // What a batch job got done, or gave up for a drain, is not done again (REC-010, REC-024).
            let counts = batch && (alloc.ran_successfully() || alloc.transition.migrate_disable_placement == Some(true));
            if counts {
                sorted.keep.push(alloc);
            }
            return;
        }
        let failed = alloc.client_status == ClientStatus::Failed;
        if failed && alloc.rare.next.is_some() {
            // Its successor stands for it (REC-015).
            return;
        }
        if !batch && matches!(alloc.client_status, ClientStatus::Complete | ClientStatus::Lost) {
            // Services are not supposed to end (REC-013).
            return;
        }
        let stopped_by_user = batch && !alloc.client_terminal() && alloc.transition.reschedule == Some(true);
        let forced = alloc.transition.force_reschedule == Some(true);
        // One out of contact is replaced when its delay is over, not because something else happens (REC-077).
        let its_time = silent_since == Some(self.now)
            || alloc.rare.followup_eval == Some(self.eval_id)
            || alloc.rare.reschedule_outcome == Some(RescheduleOutcome::NoPlacement);
        let replaceable_while_away = silent_since.is_some() && its_time && rules.replace && alloc.rare.next.is_none();
        if !(failed || stopped_by_user || replaceable_while_away || forced && !alloc.client_terminal()) {
            sorted.keep.push(alloc);
            return;
        }
        // In an active deployment the watcher says whether one may be replaced; in a failed one, none is (REC-041, REC-042).
        let held = deployment
            .is_some_and(|own| alloc.deployment == Some(own.id) && own.status.is_active() && alloc.transition.reschedule != Some(true));
        if held && !forced {
            sorted.keep.push(alloc);
            return;
        }
        let failure = Failure {
            at: silent_since.unwrap_or_else(|| alloc.failure_time()),
            due: alloc.rare.followup_eval == Some(self.eval_id),
            forced: forced || stopped_by_user,
        };
        match verdict(&alloc, group.reschedule_policy.as_ref(), self.now, failure) {
            Verdict::No => sorted.keep.push(alloc),
            Verdict::Now(events) => sorted.reschedule.push((alloc, events)),
            Verdict::At(at) => {
                let waits = alloc.rare.followup_eval.and_then(|id| self.state.eval(id)).is_some_and(|eval| !eval.status.is_terminal());
                // One that has just lost contact waits for two things.
                if !waits || silent_since == Some(self.now) {
                    sorted.later.push((Arc::clone(&alloc), at));
                }
                sorted.waiting.insert(alloc.id);
                sorted.keep.push(alloc);
            }
        }
    }
}

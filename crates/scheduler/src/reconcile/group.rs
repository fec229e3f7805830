//! The steps for one group of a service or batch job.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drover_base::AllocId;
use drover_model::{ClientStatus, Contact, Deployment, DeploymentGroup, DeploymentStatus, Job, TaskGroup, UpdateStrategy};
use drover_state::Alloc;

use super::contact::DisconnectRules;
use super::deployment::{Deployments, strategy};
use super::names::Names;
use super::sort::Sorted;
use super::{Fits, GroupResult, Later, PlaceRequest, Reconciler, StopRequest, UpdateRequest, WaitFor, count, current, reason, reconnect};
use crate::changes;

/// What is known about a group while its steps are taken.
struct Steps<'a> {
    context: &'a Reconciler<'a>,
    job: &'a Arc<Job>,
    group: &'a TaskGroup,
    strategy: Option<&'a UpdateStrategy>,
    /// The group in the current deployment.
    state: Option<DeploymentGroup>,
    deployment: Option<Arc<Deployment>>,
    /// Canaries run that nobody has promoted.
    canarying: bool,
    /// Canaries of the current deployment, as long as they are not promoted.
    canary_ids: BTreeSet<AllocId>,
    result: GroupResult,
}

/// Placements that the group lacks.
struct Wanted {
    /// In place of failed ones.
    rescheduled: Vec<PlaceRequest>,
    /// In place of lost ones.
    lost: Vec<PlaceRequest>,
    /// Further ones.
    fresh: Vec<PlaceRequest>,
}

impl Wanted {
    fn len(&self) -> usize {
        self.rescheduled.len() + self.lost.len() + self.fresh.len()
    }
}

impl Reconciler<'_> {
    /// One group.
    pub(super) fn group(
        &self,
        job: &Arc<Job>,
        group: &TaskGroup,
        allocs: Vec<Arc<Alloc>>,
        deployments: &mut Deployments<'_>,
        fits: &mut Fits<'_>,
    ) -> GroupResult {
        let had_current = allocs.iter().any(|alloc| current(job, alloc));
        let state = deployments.group(&group.name).cloned();
        let canarying = state.as_ref().is_some_and(|state| state.desired_canaries > 0 && !state.promoted);
        let mut steps = Steps {
            context: self,
            job,
            group,
            strategy: strategy(job, group),
            deployment: deployments.current.clone(),
            canary_ids: state.iter().filter(|_| canarying).flat_map(|state| state.placed_canaries.iter().copied()).collect(),
            state,
            canarying,
            result: GroupResult::default(),
        };
        let allocs = steps.stop_abandoned_canaries(allocs);
        let mut sorted = self.sort(job, group, allocs, steps.deployment.as_deref());
        steps.result.desired.ignore = sorted.ignored;
        steps.leave_nodes(&mut sorted);
        steps.reconnect(&mut sorted);
        steps.lose_contact(&sorted);
        steps.finish(sorted, had_current, deployments, fits)
    }
}

impl Steps<'_> {
    /// Stops canaries of deployments that are over or superseded and were not promoted (DEP-035, DEP-047).
    fn stop_abandoned_canaries(&mut self, allocs: Vec<Arc<Alloc>>) -> Vec<Arc<Alloc>> {
        let current = self.deployment.as_ref().filter(|deployment| deployment.status != DeploymentStatus::Failed).map(|own| own.id);
        let abandoned = |alloc: &Alloc| {
            let Some(id) = alloc.deployment.filter(|id| alloc.canary && Some(*id) != current) else { return false };
            let of_group = self.context.state.deployment(id).and_then(|deployment| deployment.groups.get(&self.group.name));
            of_group.is_some_and(|state| !state.promoted)
        };
        let (gone, kept): (Vec<_>, Vec<_>) = allocs.into_iter().partition(|alloc| !alloc.server_terminal() && abandoned(alloc));
        for alloc in gone {
            self.result.desired.stop += 1;
            let lost = !alloc.client_terminal() && self.context.node_gone(&alloc);
            self.result.stop.push(if lost { StopRequest::lost(&alloc) } else { StopRequest::of(&alloc, reason::NOT_NEEDED_ANYMORE) });
        }
        kept
    }

    /// Stops what is lost, and canaries that have to leave their node: new canaries take their place (REC-023).
    fn leave_nodes(&mut self, sorted: &mut Sorted) {
        for alloc in sorted.stale.drain(..) {
            self.result.stop.push(StopRequest::lost(&alloc));
        }
        let is_canary = |alloc: &Arc<Alloc>| self.canary_ids.contains(&alloc.id);
        let (canaries, migrate): (Vec<_>, Vec<_>) = std::mem::take(&mut sorted.migrate).into_iter().partition(is_canary);
        let (lost_canaries, lost): (Vec<_>, Vec<_>) = std::mem::take(&mut sorted.lost).into_iter().partition(is_canary);
        (sorted.migrate, sorted.lost) = (migrate, lost);
        for alloc in &canaries {
            self.canary_ids.remove(&alloc.id);
            self.result.stop.push(StopRequest::of(alloc, reason::MIGRATING));
        }
        for alloc in &lost_canaries {
            self.canary_ids.remove(&alloc.id);
            self.result.stop.push(StopRequest::lost(alloc));
        }
        let rules = DisconnectRules::of(self.group);
        for alloc in &sorted.lost {
            self.result.desired.stop += 1;
            self.result.stop.push(StopRequest::lost(alloc));
            if let Some(at) = rules.stopped_by(self.group, self.context.now) {
                self.result.later.push(Later { alloc: Arc::clone(alloc), at, wait: WaitFor::ClientStop });
            }
        }
    }

    /// Settles which stay of those that came back and of those that stood in for them.
    fn reconnect(&mut self, sorted: &mut Sorted) {
        if sorted.reconnecting.is_empty() {
            return;
        }
        let back = std::mem::take(&mut sorted.reconnecting);
        let others: Vec<&Arc<Alloc>> = sorted.keep.iter().chain(sorted.reschedule.iter().map(|(alloc, _)| alloc)).collect();
        let choices = reconnect::choose(self.job, self.group, back, &others);
        let mut gone = BTreeSet::new();
        for choice in choices {
            let failed = choice.original.client_status == ClientStatus::Failed;
            if choice.stays {
                self.result.desired.reconnect += 1;
                self.result.update.push(UpdateRequest { alloc: Arc::clone(&choice.original), to_newest: false, contact: Contact::Back });
                self.result.cancel.extend(choice.original.rare.followup_eval);
                sorted.keep.push(choice.original);
            } else {
                self.result.desired.stop += 1;
                let why = if failed { reason::RESCHEDULED } else { reason::NOT_NEEDED_ANYMORE };
                self.result.stop.push(StopRequest::of(&choice.original, why));
            }
            for alloc in choice.failed {
                self.result.desired.stop += 1;
                self.result.stop.push(StopRequest::of(&alloc, reason::RESCHEDULED));
            }
            for (alloc, direct) in choice.surplus {
                if gone.insert(alloc.id) {
                    self.result.desired.stop += 1;
                    let why = if direct { reason::RECONNECTED } else { reason::NOT_NEEDED_ANYMORE };
                    self.result.stop.push(StopRequest::of(&alloc, why));
                }
            }
        }
        sorted.keep.retain(|alloc| !gone.contains(&alloc.id));
        sorted.reschedule.retain(|(alloc, _)| !gone.contains(&alloc.id));
    }

    /// Notes the loss of contact, and the time at which patience ends (REC-059, REC-061).
    fn lose_contact(&mut self, sorted: &Sorted) {
        let rules = DisconnectRules::of(self.group);
        for (alloc, at) in &sorted.later {
            self.result.desired.reschedule_later += 1;
            self.result.later.push(Later { alloc: Arc::clone(alloc), at: *at, wait: WaitFor::Reschedule });
        }
        for alloc in &sorted.disconnecting {
            // A canary that is out of sight does not count as one.
            self.canary_ids.remove(&alloc.id);
            self.result.desired.disconnect += 1;
            self.result.update.push(UpdateRequest { alloc: Arc::clone(alloc), to_newest: false, contact: Contact::Lost });
            if let Some(lost_after) = rules.lost_after {
                let at = self.context.now + lost_after;
                self.result.later.push(Later { alloc: Arc::clone(alloc), at, wait: WaitFor::DisconnectTimeout });
            }
        }
    }

    fn finish(mut self, mut sorted: Sorted, had_current: bool, deployments: &mut Deployments<'_>, fits: &mut Fits<'_>) -> GroupResult {
        let promoted = self.state.as_ref().is_some_and(|state| state.promoted);
        let (paused, failed) = (deployments.paused(), deployments.is(DeploymentStatus::Failed));
        let waits_for_clients = self.result.later.iter().any(|later| later.wait == WaitFor::ClientStop);

        let canary_ids = std::mem::take(&mut self.canary_ids);
        let is_canary = |alloc: &Arc<Alloc>| canary_ids.contains(&alloc.id);
        let rescheduled_canaries = sorted.reschedule.iter().filter(|(alloc, _)| is_canary(alloc)).count();
        let (canaries, mut keep): (Vec<_>, Vec<_>) = std::mem::take(&mut sorted.keep).into_iter().partition(is_canary);
        self.result.desired.ignore += count(canaries.len());
        // Numbers of every canary of the deployment, also of those that are out of sight.
        let named: BTreeSet<AllocId> = self.state.iter().flat_map(|state| state.placed_canaries.iter().copied()).collect();
        let every = || canaries.iter().chain(&keep).chain(sorted.reschedule.iter().map(|(alloc, _)| alloc));
        let canary_indexes: BTreeSet<u32> = every().filter(|alloc| named.contains(&alloc.id)).map(|alloc| alloc.index).collect();

        let silent: BTreeSet<AllocId> = sorted.disconnecting.iter().map(|alloc| alloc.id).collect();
        self.stop_surplus(&mut keep, &mut sorted, promoted, &named, &silent);
        self.give_up_surplus(&mut keep, &mut sorted, &silent, is_canary);

        let failing = sorted.reschedule.iter().filter(|(alloc, _)| !is_canary(alloc)).map(|(alloc, _)| alloc.index);
        let mut names = Names::of(keep.iter().chain(&sorted.migrate).map(|alloc| alloc.index).chain(failing));

        let mut destructive = self.sort_updates(&keep, fits);
        let in_place = self.result.desired.in_place_update;
        destructive.sort_by_key(|alloc| alloc.index);

        let canaries_wanted = self.strategy.map_or(0, |strategy| strategy.canary);
        let canaries_missing = canaries_wanted.saturating_sub(count(canaries.len() + rescheduled_canaries));
        // A deployment that began with canaries needs them even when nothing of what they try to replace is left.
        let to_try = !destructive.is_empty() || (self.canarying && self.group.count > 0);
        let needs_canaries = to_try && !promoted && canaries_missing > 0;

        // What a deployment will have to do is settled when it starts.
        let starts = self.state.is_none() && deployments.current.is_none() && (!had_current || !destructive.is_empty() || in_place > 0);
        let canarying = self.canarying || (starts && needs_canaries);
        let wanted = self.wanted(&sorted, &keep, &mut names, canarying, deployments);
        if starts && let Some(strategy) = self.strategy {
            let total = count(destructive.len() + wanted.len()) + in_place;
            let canaries = if needs_canaries { strategy.canary } else { 0 };
            if total > 0 {
                deployments.start(self.group, strategy, total, canaries);
            }
        }
        deployments.done &= destructive.is_empty()
            && in_place == 0
            && wanted.len() == 0
            && sorted.migrate.is_empty()
            && sorted.later.is_empty()
            && !needs_canaries;

        let ready = !paused && !failed && !canarying;
        let mut budget = self.budget(&keep, destructive.len() + sorted.migrate.len());
        if waits_for_clients {
            // The whole group waits until the nodes have stopped what is lost (REC-075).
            self.result.desired.ignore += count(destructive.len());
            return self.result;
        }
        if needs_canaries && !paused && !failed {
            let replaced = destructive.iter().map(|alloc| alloc.index).collect();
            self.result.desired.canary = canaries_missing;
            for index in names.for_canaries(self.group.count, canaries_missing as usize, &replaced, &canary_indexes) {
                self.result.place.push(PlaceRequest { index, canary: true, ..PlaceRequest::default() });
            }
        }
        let placed = self.place(wanted, ready, failed);
        budget = budget.saturating_sub(placed);
        self.bound_placements();

        let now = if ready { destructive.len().min(budget as usize) } else { 0 };
        self.result.desired.destructive_update = count(now);
        self.result.desired.ignore += count(destructive.len() - now);
        // One out of contact and what stands in for it have one number rightly.
        let both_here = |index: u32| keep.iter().filter(|alloc| alloc.index == index && !out_of_contact(alloc)).count() > 1;
        for alloc in destructive.into_iter().take(now) {
            let index = alloc.index;
            let index = if names.shared(index) && both_here(index) { names.renumber(index) } else { index };
            self.result.replace.push(PlaceRequest {
                index,
                link: true,
                stop: Some((Arc::clone(&alloc), reason::UPDATING)),
                previous: Some(alloc),
                ..PlaceRequest::default()
            });
        }
        self.migrate(&sorted.migrate, canarying, deployments);
        self.result
    }

    /// Stops what exceeds the count: old ones whose names promoted canaries took, then migrating ones, then the highest
    /// numbers (REC-003, DEP-043).
    fn stop_surplus(
        &mut self,
        keep: &mut Vec<Arc<Alloc>>,
        sorted: &mut Sorted,
        promoted: bool,
        canaries: &BTreeSet<AllocId>,
        silent: &BTreeSet<AllocId>,
    ) {
        let (migrate, waiting) = (&mut sorted.migrate, &sorted.waiting);
        let mut surplus = (in_sight(keep) + migrate.len()).saturating_sub(self.group.count as usize);
        if surplus == 0 {
            return;
        }
        let mut gone: BTreeSet<AllocId> = BTreeSet::new();
        let mut stop = |alloc: &Arc<Alloc>, surplus: &mut usize, gone: &mut BTreeSet<AllocId>| {
            *surplus -= 1;
            gone.insert(alloc.id);
            self.result.desired.stop += 1;
            self.result.stop.push(StopRequest::of(alloc, reason::NOT_NEEDED_ANYMORE));
        };
        // A failed one that would be replaced later is given up like one that runs.
        let stoppable = |alloc: &&Arc<Alloc>| {
            let counts = !alloc.terminal() || waiting.contains(&alloc.id);
            counts && !out_of_contact(alloc) && !silent.contains(&alloc.id)
        };
        if promoted {
            let taken: BTreeSet<u32> = keep.iter().filter(|alloc| canaries.contains(&alloc.id)).map(|alloc| alloc.index).collect();
            for alloc in keep.iter().filter(stoppable) {
                if surplus > 0 && taken.contains(&alloc.index) && !canaries.contains(&alloc.id) {
                    stop(alloc, &mut surplus, &mut gone);
                }
            }
        }
        migrate.sort_by_key(|alloc| std::cmp::Reverse(alloc.index));
        for alloc in migrate.iter() {
            if surplus > 0 {
                stop(alloc, &mut surplus, &mut gone);
            }
        }
        // Of several with one number, all but the first go before any other (REC-004).
        let mut copies: BTreeMap<u32, u32> = BTreeMap::new();
        let mut rest: Vec<(u32, &Arc<Alloc>)> = Vec::new();
        for alloc in keep.iter().filter(stoppable).filter(|alloc| !gone.contains(&alloc.id)) {
            let copy = copies.entry(alloc.index).or_default();
            rest.push((*copy, alloc));
            *copy += 1;
        }
        rest.sort_by_key(|(copy, alloc)| std::cmp::Reverse((*copy, alloc.index)));
        for (_, alloc) in rest {
            if surplus > 0 {
                stop(alloc, &mut surplus, &mut gone);
            }
        }
        keep.retain(|alloc| !gone.contains(&alloc.id));
        migrate.retain(|alloc| !gone.contains(&alloc.id));
        let before = self.result.later.len();
        self.result.later.retain(|later| !gone.contains(&later.alloc.id));
        self.result.desired.reschedule_later -= count(before - self.result.later.len());
        sorted.later.retain(|(alloc, _)| !gone.contains(&alloc.id));
    }

    /// Failed ones are not replaced beyond the count: those with the highest numbers are given up, and those out of contact
    /// left as they are.
    fn give_up_surplus(
        &mut self,
        keep: &mut Vec<Arc<Alloc>>,
        sorted: &mut Sorted,
        silent: &BTreeSet<AllocId>,
        is_canary: impl Fn(&Arc<Alloc>) -> bool,
    ) {
        let room = (self.group.count as usize).saturating_sub(in_sight(keep) + sorted.migrate.len());
        let all = std::mem::take(&mut sorted.reschedule);
        let (canaries, mut failing): (Vec<_>, Vec<_>) = all.into_iter().partition(|(alloc, _)| is_canary(alloc));
        failing.sort_by_key(|(alloc, _)| alloc.index);
        for (alloc, _) in failing.drain(room.min(failing.len())..) {
            if out_of_contact(&alloc) || silent.contains(&alloc.id) {
                keep.push(alloc);
            } else {
                self.result.desired.stop += 1;
                self.result.stop.push(StopRequest::of(&alloc, reason::NOT_NEEDED_ANYMORE));
            }
        }
        sorted.reschedule = failing;
        sorted.reschedule.extend(canaries);
    }

    /// What the new version does to the allocations that stay. Returns those that must be replaced.
    fn sort_updates(&mut self, keep: &[Arc<Alloc>], fits: &mut Fits<'_>) -> Vec<Arc<Alloc>> {
        let mut destructive = Vec::new();
        let mut verdicts = changes::Verdicts::new(self.job, self.group);
        for alloc in keep {
            if current(self.job, alloc) {
                self.result.desired.ignore += 1;
                continue;
            }
            if out_of_contact(alloc) && alloc.rare.next.is_some() {
                // What stands in for it is updated; if this one comes back, the two are compared (REC-067, REC-077).
                self.result.desired.ignore += 1;
                continue;
            }
            match verdicts.of(alloc) {
                // One that has ended has nothing to be changed in place, but gives way to a version that runs other tasks.
                changes::Change::InPlace | changes::Change::Unchecked if alloc.terminal() => self.result.desired.ignore += 1,
                changes::Change::InPlace if fits(alloc) => self.in_place(alloc),
                changes::Change::Unchecked => self.in_place(alloc),
                _ => destructive.push(Arc::clone(alloc)),
            }
        }
        destructive
    }

    fn in_place(&mut self, alloc: &Arc<Alloc>) {
        self.result.desired.in_place_update += 1;
        self.result.update.push(UpdateRequest { alloc: Arc::clone(alloc), to_newest: true, contact: Contact::Same });
    }

    /// What the group lacks, whether or not it may be placed now.
    fn wanted(&self, sorted: &Sorted, keep: &[Arc<Alloc>], names: &mut Names, canarying: bool, deployments: &Deployments<'_>) -> Wanted {
        let before = |alloc: &Alloc, canary: bool| {
            if canarying && !canary { deployments.version_before(&self.group.name, alloc.job.version) } else { None }
        };
        let silent: BTreeSet<AllocId> = sorted.disconnecting.iter().map(|alloc| alloc.id).collect();
        let rescheduled = sorted.reschedule.iter().map(|(alloc, events)| {
            let away = out_of_contact(alloc) || silent.contains(&alloc.id);
            PlaceRequest {
                index: alloc.index,
                link: true,
                reschedules: events.clone(),
                canary: alloc.canary && canarying,
                job_version: before(alloc, alloc.canary),
                // One that is out of contact stays as it is: it may come back.
                stop: (!away).then(|| (Arc::clone(alloc), "")),
                previous: Some(Arc::clone(alloc)),
                node: None,
            }
        });
        let rescheduled: Vec<PlaceRequest> = rescheduled.collect();
        let canaries_failing = sorted.reschedule.iter().filter(|(alloc, _)| alloc.canary && canarying).count();
        let existing = keep.len() + sorted.migrate.len() + rescheduled.len() - canaries_failing;
        let missing = (self.group.count as usize).saturating_sub(existing);
        let mut gone: Vec<&Arc<Alloc>> = sorted.lost.iter().filter(|alloc| alloc.rare.next.is_none()).collect();
        gone.sort_by_key(|alloc| alloc.index);
        let lost: Vec<PlaceRequest> = gone
            .into_iter()
            .take(missing)
            .map(|alloc| {
                let index = if names.taken(alloc.index) {
                    names.take_lowest()
                } else {
                    names.take(alloc.index);
                    alloc.index
                };
                PlaceRequest {
                    index,
                    link: true,
                    job_version: before(alloc, false),
                    previous: Some(Arc::clone(alloc)),
                    ..PlaceRequest::default()
                }
            })
            .collect();
        let fresh = (lost.len()..missing).map(|_| PlaceRequest { index: names.take_lowest(), ..PlaceRequest::default() }).collect();
        Wanted { rescheduled, lost, fresh }
    }

    /// How many destructive updates may start now (REC-053, REC-055).
    fn budget(&self, keep: &[Arc<Alloc>], changing: usize) -> u32 {
        let Some(strategy) = self.strategy.filter(|_| changing > 0) else { return self.group.count };
        let mut budget = strategy.max_parallel;
        if let Some(deployment) = &self.deployment {
            for alloc in keep.iter().filter(|alloc| alloc.deployment == Some(deployment.id)) {
                match alloc.is_healthy() {
                    Some(true) => {}
                    Some(false) => return 0,
                    None => budget = budget.saturating_sub(1),
                }
            }
        }
        budget
    }

    /// Places what the group lacks. While the deployment holds, only what replaces others is placed (REC-022, DEP-036).
    /// Returns how many placements count against the budget.
    fn place(&mut self, wanted: Wanted, ready: bool, failed: bool) -> u32 {
        let own = self.deployment.as_ref().map(|deployment| deployment.id);
        let member = |request: &PlaceRequest| request.previous.as_ref().is_some_and(|alloc| alloc.deployment == own);
        let rescheduled = wanted.rescheduled.into_iter().filter(|request| !(failed && member(request)));
        let mut requests: Vec<PlaceRequest> = rescheduled.collect();
        self.result.desired.stop += count(requests.iter().filter(|request| request.stop.is_some()).count());
        requests.extend(wanted.lost);
        if ready {
            requests.extend(wanted.fresh);
        }
        let placed = count(requests.len());
        self.result.desired.place += placed;
        self.result.place.extend(requests);
        if ready { placed } else { 0 }
    }

    /// Never more than the group's count in one evaluation (REC-005); the rest follows in the next.
    fn bound_placements(&mut self) {
        if self.result.place.len() > self.group.count as usize {
            self.result.place.truncate(self.group.count as usize);
            self.result.desired.place = self.group.count;
        }
    }

    /// Moves away what has to leave its node (REC-021, REC-024).
    fn migrate(&mut self, leaving: &[Arc<Alloc>], canarying: bool, deployments: &Deployments<'_>) {
        for alloc in leaving {
            self.result.desired.migrate += 1;
            self.result.stop.push(StopRequest::of(alloc, reason::MIGRATING));
            if self.job.kind.is_batch() && alloc.transition.migrate_disable_placement == Some(true) {
                continue;
            }
            let before = || deployments.version_before(&self.group.name, alloc.job.version);
            self.result.place.push(PlaceRequest {
                index: alloc.index,
                link: true,
                canary: alloc.canary && canarying,
                job_version: if canarying && !alloc.canary { before() } else { None },
                previous: Some(Arc::clone(alloc)),
                ..PlaceRequest::default()
            });
        }
    }
}

/// How many of these are in contact: one that is not is neither stopped nor a reason to stop another (REC-077).
fn in_sight(allocs: &[Arc<Alloc>]) -> usize {
    allocs.iter().filter(|alloc| !out_of_contact(alloc)).count()
}

fn out_of_contact(alloc: &Alloc) -> bool {
    alloc.client_status == ClientStatus::Unknown
}

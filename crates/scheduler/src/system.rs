//! System and sysbatch jobs: the group's allocations on every node that qualifies (SYS-001…030).
//!
//! Each node is looked at by itself: what runs there is kept, changed, replaced or stopped, and what is missing is placed
//! there or nowhere. A deployment counts the nodes that qualify; its canaries are a share of the nodes that change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drover_model::{ClientStatus, Contact, DeploymentGroup, DeploymentStatus, Job, JobType, NodeStatus, TaskGroup, UpdateStrategy};
use drover_state::{Alloc, NodeRow, NodeSlot};

use crate::changes;
use crate::constraint::datacenter_matches;
use crate::reconcile::{
    Deployments, DisconnectRules, Fits, GroupResult, PlaceRequest, Reconciled, Reconciler, StopRequest, UpdateRequest, cancelled, count,
    current, must_reconnect, reason, strategy,
};

/// Whether jobs of this type run on every node.
pub fn is(kind: JobType) -> bool {
    matches!(kind, JobType::System | JobType::Sysbatch)
}

/// Says whether a node qualifies for a group, room aside.
pub(crate) type Qualifies<'a> = dyn FnMut(&TaskGroup, NodeSlot) -> bool + 'a;

/// What the scheduler may ask about nodes while it reconciles.
pub(crate) struct Questions<'a, 'b> {
    pub(crate) fits: &'a mut Fits<'b>,
    pub(crate) qualifies: &'a mut Qualifies<'b>,
}

/// What a system job should get.
pub(crate) fn reconcile(context: &Reconciler<'_>, allocs: Vec<Arc<Alloc>>, questions: &mut Questions<'_, '_>) -> Reconciled {
    let mut by_group: BTreeMap<String, Vec<Arc<Alloc>>> = BTreeMap::new();
    for alloc in allocs {
        by_group.entry(alloc.group_name().to_owned()).or_default().push(alloc);
    }
    let mut result = Reconciled::default();
    let Some(job) = context.job.filter(|job| !job.stop) else {
        if let Some(job) = context.job {
            let active = context.state.deployments_of_job(&job.id).filter(|deployment| deployment.status.is_active());
            result.deployment_updates = active.map(|own| cancelled(own, drover_model::description::STOPPED_JOB)).collect();
            result.groups = job.task_groups.iter().map(|group| (group.name.clone(), GroupResult::default())).collect();
        }
        result.groups.extend(by_group.into_iter().map(|(name, allocs)| (name, context.stop_group(allocs))));
        return result;
    };
    let nodes: Vec<(NodeSlot, &Arc<NodeRow>)> = context.state.nodes().filter(|(_, row)| row.ready() && of_job(job, row)).collect();
    let mut deployments = Deployments::of(context, job);
    for group in job.task_groups.iter() {
        let own = by_group.remove(&group.name).unwrap_or_default();
        let outcome = if group.count == 0 {
            context.stop_group(own)
        } else {
            let mut on_nodes = OnNodes::new(context, job, group, &deployments);
            on_nodes.look(&nodes, own, questions);
            on_nodes.finish(&mut deployments)
        };
        result.groups.insert(group.name.clone(), outcome);
    }
    result.groups.extend(by_group.into_iter().map(|(name, allocs)| (name, context.stop_group(allocs))));
    deployments.settle(&mut result);
    result
}

/// Whether a node is of the job's pool and datacenters (SYS-012).
fn of_job(job: &Job, row: &NodeRow) -> bool {
    (job.node_pool == "all" || row.node.node_pool == job.node_pool) && datacenter_matches(&job.datacenters, &row.node.datacenter)
}

/// One group on all nodes.
struct OnNodes<'a> {
    context: &'a Reconciler<'a>,
    job: &'a Arc<Job>,
    group: &'a TaskGroup,
    strategy: Option<&'a UpdateStrategy>,
    state: Option<DeploymentGroup>,
    verdicts: changes::Verdicts<'a>,
    result: GroupResult,
    /// To be replaced on their node by the newest version.
    destructive: Vec<Arc<Alloc>>,
    /// Nodes that qualify: what a deployment has to bring about.
    total: u32,
    /// Allocations of the current deployment that are not known to be healthy.
    unsettled: u32,
    had_current: bool,
    waiting: u32,
}

impl<'a> OnNodes<'a> {
    fn new(context: &'a Reconciler<'a>, job: &'a Arc<Job>, group: &'a TaskGroup, deployments: &Deployments<'_>) -> Self {
        Self {
            context,
            job,
            group,
            strategy: strategy(job, group).filter(|_| job.kind == JobType::System),
            state: deployments.group(&group.name).cloned(),
            verdicts: changes::Verdicts::new(job, group),
            result: GroupResult::default(),
            destructive: Vec::new(),
            total: 0,
            unsettled: 0,
            had_current: false,
            waiting: 0,
        }
    }

    fn canarying(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.desired_canaries > 0 && !state.promoted)
    }

    fn look(&mut self, nodes: &[(NodeSlot, &Arc<NodeRow>)], allocs: Vec<Arc<Alloc>>, questions: &mut Questions<'_, '_>) {
        let mut by_node: BTreeMap<NodeSlot, Vec<Arc<Alloc>>> = BTreeMap::new();
        for alloc in allocs {
            self.had_current |= current(self.job, &alloc);
            by_node.entry(alloc.node_slot).or_default().push(alloc);
        }
        for (slot, _) in nodes {
            let there = by_node.remove(slot).unwrap_or_default();
            self.candidate(*slot, there, questions);
        }
        for allocs in by_node.into_values() {
            self.elsewhere(allocs);
        }
    }

    /// A node that takes new allocations of the job.
    fn candidate(&mut self, slot: NodeSlot, allocs: Vec<Arc<Alloc>>, questions: &mut Questions<'_, '_>) {
        let mut filled: BTreeSet<u32> = BTreeSet::new();
        let mut ended: BTreeMap<u32, Arc<Alloc>> = BTreeMap::new();
        // The newest of several under one number is the one that counts.
        for alloc in allocs.into_iter().rev() {
            let done = self.job.kind == JobType::Sysbatch && alloc.client_terminal() && !alloc.server_terminal();
            if alloc.terminal() && !done {
                ended.entry(alloc.index).or_insert(alloc);
                continue;
            }
            let moves = alloc.transition.migrate == Some(true) && !done;
            if alloc.index >= self.group.count || !filled.insert(alloc.index) {
                if !done {
                    self.result.desired.stop += 1;
                    self.result.stop.push(StopRequest::of(&alloc, reason::NOT_NEEDED_ANYMORE));
                }
            } else if moves {
                filled.remove(&alloc.index);
                self.result.desired.migrate += 1;
                self.result.stop.push(StopRequest::of(&alloc, reason::MIGRATING));
                ended.insert(alloc.index, alloc);
            } else if self.expired(&alloc) {
                filled.remove(&alloc.index);
                self.result.stop.push(StopRequest::lost(&alloc));
                ended.insert(alloc.index, alloc);
            } else {
                self.keep(alloc, questions);
            }
        }
        let missing: Vec<u32> = (0..self.group.count).filter(|index| !filled.contains(index)).collect();
        if missing.is_empty() || !(questions.qualifies)(self.group, slot) {
            // A node that does not qualify is still tried, so that the evaluation can say why (SYS-006).
            self.try_on(slot, missing, &ended);
            return;
        }
        self.total += count(missing.len());
        if self.job.kind == JobType::Sysbatch {
            self.result.desired.place += count(missing.len());
        }
        self.waiting += count(missing.len());
        self.try_on(slot, missing, &ended);
    }

    fn try_on(&mut self, slot: NodeSlot, missing: Vec<u32>, ended: &BTreeMap<u32, Arc<Alloc>>) {
        let canarying = self.canarying();
        for index in missing {
            let previous = ended.get(&index).cloned();
            self.result.place.push(PlaceRequest {
                index,
                link: true,
                // What replaces a canary is one (SYS-023).
                canary: canarying && previous.as_ref().is_some_and(|alloc| alloc.canary && current(self.job, alloc)),
                previous,
                node: Some(slot),
                ..PlaceRequest::default()
            });
        }
    }

    fn expired(&self, alloc: &Alloc) -> bool {
        alloc.client_status == ClientStatus::Unknown
            && DisconnectRules::of(self.group).given_up_at(alloc).is_some_and(|at| at <= self.context.now)
    }

    fn keep(&mut self, alloc: Arc<Alloc>, questions: &mut Questions<'_, '_>) {
        self.total += 1;
        if let Some(state) = &self.state
            && current(self.job, &alloc)
            && alloc.deployment.is_some()
            && alloc.is_healthy() != Some(true)
            && state.placed > 0
        {
            self.unsettled += 1;
        }
        let back = must_reconnect(&alloc) && !alloc.terminal() && alloc.client_status != ClientStatus::Unknown;
        if back {
            self.result.desired.reconnect += 1;
            self.result.desired.in_place_update += 1;
            self.result.cancel.extend(alloc.rare.followup_eval);
            self.result.update.push(UpdateRequest { alloc: Arc::clone(&alloc), to_newest: false, contact: Contact::Back });
        }
        if current(self.job, &alloc) {
            if !back {
                self.result.desired.ignore += 1;
            }
            self.count_kept();
            return;
        }
        match self.verdicts.of(&alloc) {
            changes::Change::InPlace if !(questions.fits)(&alloc) => self.destructive.push(alloc),
            changes::Change::Destructive => self.destructive.push(alloc),
            changes::Change::InPlace | changes::Change::Unchecked => {
                self.result.desired.in_place_update += 1;
                self.result.update.push(UpdateRequest { alloc, to_newest: true, contact: Contact::Same });
                self.count_kept();
            }
        }
    }

    /// The count of placements of a system job is that of nodes it is on (SYS-030).
    fn count_kept(&mut self) {
        if self.job.kind == JobType::System {
            self.result.desired.place += 1;
        }
    }

    /// A node that takes nothing new: it is gone, silent, draining, ineligible, or none of the job's any more.
    fn elsewhere(&mut self, allocs: Vec<Arc<Alloc>>) {
        for alloc in allocs {
            let row = self.context.state.node_at(alloc.node_slot);
            let gone = self.context.node_gone(&alloc);
            if alloc.terminal() {
                if gone && alloc.server_terminal() && !alloc.client_terminal() {
                    self.result.stop.push(StopRequest::lost(&alloc));
                }
                continue;
            }
            let disconnected = row.is_some_and(|row| row.status == NodeStatus::Disconnected);
            if gone || self.expired(&alloc) {
                // Its work is bound to the node, so nothing takes its place elsewhere (SYS-013).
                self.result.stop.push(StopRequest::lost(&alloc));
            } else if disconnected {
                if alloc.client_status == ClientStatus::Running {
                    self.result.desired.disconnect += 1;
                    self.result.update.push(UpdateRequest { alloc, to_newest: false, contact: Contact::Lost });
                } else if alloc.client_status == ClientStatus::Unknown {
                    self.result.desired.ignore += 1;
                } else {
                    self.result.stop.push(StopRequest::lost(&alloc));
                }
            } else if alloc.transition.migrate == Some(true) {
                self.result.desired.migrate += 1;
                self.result.stop.push(StopRequest::of(&alloc, reason::NODE_TAINTED));
            } else if !current(self.job, &alloc) || row.is_some_and(|row| !of_job(self.job, row)) {
                // The new version may not come here, and the old one is not wanted any more (SYS-011, SYS-012).
                self.result.desired.stop += 1;
                self.result.stop.push(StopRequest::of(&alloc, reason::NOT_NEEDED_ANYMORE));
            } else {
                self.result.desired.ignore += 1;
                self.count_kept();
            }
        }
    }

    /// Decides how many change now, and what the deployment has to bring about.
    fn finish(mut self, deployments: &mut Deployments<'_>) -> GroupResult {
        let changing = !self.destructive.is_empty() || self.result.desired.in_place_update > 0;
        let starts = self.state.is_none() && deployments.current.is_none() && (!self.had_current || changing);
        let wanted = self.strategy.map_or(0, |strategy| canaries(strategy, self.destructive.len()));
        let promoted = self.state.as_ref().is_some_and(|state| state.promoted);
        let begins_canaries = starts && wanted > 0 && self.had_earlier();
        let canarying = self.canarying() || begins_canaries;
        if starts
            && self.total > 0
            && let Some(strategy) = self.strategy
        {
            deployments.start(self.group, strategy, self.total, if begins_canaries { wanted } else { 0 });
        } else if let (Some(state), Some(own)) = (&self.state, &deployments.current)
            && own.status.is_active()
            && state.desired_total != self.total
        {
            let changed = deployments.changed.get_or_insert_with(|| drover_model::Deployment::clone(own));
            if let Some(group) = changed.groups.get_mut(&self.group.name) {
                group.desired_total = self.total;
            }
        }
        deployments.done &= self.destructive.is_empty() && self.waiting == 0 && self.result.desired.in_place_update == 0;

        let held = deployments.paused() || deployments.is(DeploymentStatus::Failed);
        let desired_canaries = self.state.as_ref().map_or(0, |state| state.desired_canaries);
        let now = if held {
            0
        } else if canarying && !promoted {
            let (desired, placed) = if begins_canaries { (wanted, 0) } else { (desired_canaries, self.live_canaries()) };
            self.result.desired.canary = desired;
            desired.saturating_sub(placed)
        } else {
            match self.strategy {
                Some(strategy) => strategy.max_parallel.saturating_sub(self.unsettled),
                None => u32::MAX,
            }
        };
        let changing = count(self.destructive.len());
        self.result.desired.destructive_update = changing;
        if self.job.kind == JobType::System {
            self.result.desired.place += changing;
        }
        for alloc in self.destructive.drain(..).take(now as usize) {
            self.result.replace.push(PlaceRequest {
                index: alloc.index,
                link: true,
                canary: canarying,
                node: Some(alloc.node_slot),
                stop: Some((Arc::clone(&alloc), reason::UPDATING)),
                previous: Some(alloc),
                ..PlaceRequest::default()
            });
        }
        if canarying {
            // The rest waits for the promotion.
            self.result.held = changing.saturating_sub(now);
        }
        self.result
    }

    /// Whether an earlier version runs somewhere: a first run needs no canaries.
    fn had_earlier(&self) -> bool {
        !self.destructive.is_empty()
    }

    fn live_canaries(&self) -> u32 {
        let placed = self.state.iter().flat_map(|state| &state.placed_canaries);
        let live = placed.filter(|id| self.context.state.alloc(**id).is_some_and(|alloc| !alloc.terminal()));
        count(live.count()) + count(self.result.place.iter().filter(|request| request.canary).count())
    }
}

/// A system job's canaries are a share of the nodes that change, in percent, and no more than change at a time (SYS-021).
fn canaries(strategy: &UpdateStrategy, changing: usize) -> u32 {
    let share = (u64::from(strategy.canary) * changing as u64).div_ceil(100);
    u32::try_from(share).unwrap_or(u32::MAX).min(strategy.max_parallel)
}

//! Desired against actual: what each group of a job should get, lose or change.
//!
//! Pure over the allocations, the job and its deployment. Placement happens afterwards; this only says how many, under
//! which names, and what they replace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drover_base::{EvalId, WallTime};
use drover_model::{ClientStatus, Deployment, DeploymentGroup, DeploymentStatus, DesiredUpdates, Job, NodeStatus, TaskGroup, description};
use drover_state::{Alloc, Snapshot};

use crate::changes;
use crate::reschedule::{Verdict, verdict};

/// Why an allocation is stopped, as the API shows it.
pub mod reason {
    /// Fewer are wanted, or the job is stopped.
    pub const NOT_NEEDED_ANYMORE: &str = "alloc not needed due to job update";
    /// Moves away.
    pub const MIGRATING: &str = "alloc is being migrated";
    /// Replaced by a new version.
    pub const UPDATING: &str = "alloc is being updated due to job update";
    /// Its node is gone.
    pub const LOST: &str = "alloc is lost since its node is down";
    /// Replaced after a failure.
    pub const RESCHEDULED: &str = "alloc was rescheduled because it failed";
}

/// A stop.
#[derive(Clone, Debug)]
pub struct StopRequest {
    /// Which.
    pub alloc: Arc<Alloc>,
    /// Why.
    pub description: &'static str,
    /// For allocations whose node cannot report.
    pub client_status: Option<ClientStatus>,
}

/// A placement that is wanted.
#[derive(Clone, Debug)]
pub struct PlaceRequest {
    /// The number within the group.
    pub index: u32,
    /// What it replaces.
    pub previous: Option<Arc<Alloc>>,
    /// Whether the link to what it replaces is kept.
    pub link: bool,
    /// The attempts to remember when a failed one is replaced.
    pub reschedules: Vec<drover_model::RescheduleEvent>,
    /// As a canary.
    pub canary: bool,
    /// Another version than the newest.
    pub job_version: Option<u64>,
    /// Only on this node.
    pub node: Option<drover_state::NodeSlot>,
    /// To be stopped only if the placement succeeds.
    pub stop: Option<(Arc<Alloc>, &'static str)>,
}

/// What a group should get.
#[derive(Clone, Debug, Default)]
pub struct GroupResult {
    /// Placements.
    pub place: Vec<PlaceRequest>,
    /// Stops.
    pub stop: Vec<StopRequest>,
    /// Updates without restart.
    pub in_place: Vec<Arc<Alloc>>,
    /// Failed allocations to look at again at a time.
    pub later: Vec<(Arc<Alloc>, WallTime)>,
    /// Counts for people.
    pub desired: DesiredUpdates,
}

/// What a job should get.
#[derive(Debug, Default)]
pub struct Reconciled {
    /// By group.
    pub groups: BTreeMap<String, GroupResult>,
    /// The new deployment, or the running one with what is wanted of it now.
    pub deployment: Option<Deployment>,
    /// Status changes of deployments.
    pub deployment_updates: Vec<drover_model::DeploymentUpdate>,
}

/// What reconciling looks at.
pub struct Reconciler<'a> {
    /// The state.
    pub state: &'a Snapshot,
    /// The job, or `None` if it was purged.
    pub job: Option<&'a Arc<Job>>,
    /// Its allocations, of all versions.
    pub allocs: Vec<Arc<Alloc>>,
    /// Now.
    pub now: WallTime,
    /// The evaluation at hand.
    pub eval_id: EvalId,
    /// The id for a new deployment.
    pub new_deployment: drover_base::DeploymentId,
    /// The priority of the evaluation.
    pub priority: u8,
}

/// A group's allocations by what is to happen to them.
#[derive(Default)]
struct Sorted {
    /// Run on, whatever their version; failed ones that keep their place are here too.
    keep: Vec<Arc<Alloc>>,
    migrate: Vec<Arc<Alloc>>,
    lost: Vec<Arc<Alloc>>,
    /// Ended service allocations to replace without a link.
    ended: Vec<Arc<Alloc>>,
    reschedule: Vec<(Arc<Alloc>, Vec<drover_model::RescheduleEvent>)>,
    later: Vec<(Arc<Alloc>, WallTime)>,
    /// Server-stopped ones on a node that cannot report any more.
    stale: Vec<Arc<Alloc>>,
    ignored: u32,
}

impl Reconciler<'_> {
    /// What the job should get.
    pub fn run(mut self) -> Reconciled {
        let mut result = Reconciled::default();
        let Some(job) = self.job.filter(|job| !job.stop).cloned() else {
            self.stop_everything(&mut result);
            return result;
        };
        let current = self.current_deployment(&job, &mut result);
        let mut names: BTreeSet<String> = job.task_groups.iter().map(|group| group.name.clone()).collect();
        names.extend(self.allocs.iter().map(|alloc| alloc.group_name().to_owned()));
        let mut deployment = current.as_deref().cloned();
        let existed = deployment.is_some();
        let mut done = true;
        let allocs = std::mem::take(&mut self.allocs);
        for name in names {
            let of_group: Vec<Arc<Alloc>> = allocs.iter().filter(|alloc| alloc.group_name() == name).cloned().collect();
            let outcome = match job.group(&name) {
                Some(group) => {
                    let (outcome, complete) = self.group(&job, group, of_group, &mut deployment, existed);
                    done &= complete;
                    outcome
                }
                None => self.stop_group(of_group),
            };
            result.groups.insert(name, outcome);
        }
        self.settle_deployment(&job, current.as_deref(), deployment, done, &mut result);
        result
    }

    fn stop_everything(&mut self, result: &mut Reconciled) {
        let id = self.job.map(|job| job.id.clone()).or_else(|| self.allocs.first().map(|alloc| alloc.job.id.clone()));
        for alloc in std::mem::take(&mut self.allocs) {
            let group = result.groups.entry(alloc.group_name().to_owned()).or_default();
            self.stop_one(alloc, group);
        }
        if let Some(id) = id {
            for deployment in self.state.deployments_of_job(&id).filter(|deployment| deployment.status.is_active()) {
                result.deployment_updates.push(cancelled(deployment, description::STOPPED_JOB));
            }
        }
    }

    fn stop_group(&self, allocs: Vec<Arc<Alloc>>) -> GroupResult {
        let mut result = GroupResult::default();
        for alloc in allocs {
            self.stop_one(alloc, &mut result);
        }
        result
    }

    fn stop_one(&self, alloc: Arc<Alloc>, result: &mut GroupResult) {
        if alloc.terminal() {
            if alloc.server_terminal() && !alloc.client_terminal() && self.node_gone(&alloc) {
                result.stop.push(lost(alloc));
            }
            return;
        }
        result.desired.stop += 1;
        result.stop.push(if self.node_gone(&alloc) {
            lost(alloc)
        } else {
            StopRequest { alloc, description: reason::NOT_NEEDED_ANYMORE, client_status: None }
        });
    }

    /// The active or failed deployment of the job's newest version; older active ones are cancelled (DEP-007).
    fn current_deployment(&self, job: &Job, result: &mut Reconciled) -> Option<Arc<Deployment>> {
        let mut current = None;
        for deployment in self.state.deployments_of_job(&job.id) {
            let same = deployment.job_create_index == job.create_index && deployment.job_version == job.version;
            if same && deployment.status != DeploymentStatus::Successful {
                current = Some(Arc::clone(deployment)).filter(|deployment| deployment.status != DeploymentStatus::Cancelled);
            } else if !same && deployment.status.is_active() {
                result.deployment_updates.push(cancelled(deployment, description::NEWER_JOB));
            }
        }
        current
    }

    fn node_gone(&self, alloc: &Alloc) -> bool {
        self.state.node_at(alloc.node_slot).is_none_or(|row| row.status == NodeStatus::Down)
    }

    fn sort(&self, job: &Job, group: &TaskGroup, allocs: Vec<Arc<Alloc>>, current: Option<&Deployment>) -> Sorted {
        let mut sorted = Sorted::default();
        let batch = job.kind.is_batch();
        for alloc in allocs {
            if batch && alloc.terminal() && alloc.job.version < job.version && alloc.job.create_index == job.create_index {
                sorted.ignored += 1;
                continue;
            }
            if batch && alloc.ran_successfully() && alloc.client_status == ClientStatus::Complete {
                // What succeeded counts for ever (REC-010).
                sorted.keep.push(alloc);
                continue;
            }
            if alloc.server_terminal() {
                if !alloc.client_terminal() && self.node_gone(&alloc) {
                    sorted.stale.push(alloc);
                } else {
                    sorted.ignored += 1;
                }
                continue;
            }
            let failed = alloc.client_status == ClientStatus::Failed
                || (batch && alloc.client_status == ClientStatus::Complete)
                || (alloc.transition.force_reschedule == Some(true) && !alloc.client_terminal() && batch);
            if failed {
                self.sort_failed(job, group, alloc, current, &mut sorted);
            } else if alloc.client_status == ClientStatus::Complete {
                sorted.ended.push(alloc);
            } else if alloc.client_status == ClientStatus::Lost || self.node_gone(&alloc) {
                sorted.lost.push(alloc);
            } else if alloc.transition.migrate == Some(true) {
                sorted.migrate.push(alloc);
            } else {
                sorted.keep.push(alloc);
            }
        }
        sorted
    }

    fn sort_failed(&self, job: &Job, group: &TaskGroup, alloc: Arc<Alloc>, current: Option<&Deployment>, sorted: &mut Sorted) {
        if alloc.next.is_some() {
            sorted.ignored += 1;
            return;
        }
        if alloc.transition.migrate == Some(true) && job.kind.is_batch() {
            sorted.ignored += 1;
            return;
        }
        // In a deployment the watcher says whether a failed one may be replaced (REC-041, REC-042).
        if let Some(deployment) = current.filter(|deployment| alloc.deployment == Some(deployment.id))
            && alloc.transition.force_reschedule != Some(true)
        {
            let may = deployment.status.is_active() && alloc.transition.reschedule == Some(true);
            if !may {
                sorted.keep.push(alloc);
                return;
            }
        }
        let due = alloc.followup_eval == Some(self.eval_id);
        match verdict(&alloc, group.reschedule_policy.as_ref(), self.now, due) {
            Verdict::No => sorted.keep.push(alloc),
            Verdict::Now(events) => sorted.reschedule.push((alloc, events)),
            Verdict::At(at) => {
                let pending = alloc.followup_eval.and_then(|id| self.state.eval(id)).is_some_and(|eval| !eval.status.is_terminal());
                if !pending {
                    sorted.later.push((Arc::clone(&alloc), at));
                }
                sorted.keep.push(alloc);
            }
        }
    }

    /// One group. The flag says that nothing is left to do for it.
    fn group(
        &self,
        job: &Arc<Job>,
        group: &TaskGroup,
        allocs: Vec<Arc<Alloc>>,
        deployment: &mut Option<Deployment>,
        existed: bool,
    ) -> (GroupResult, bool) {
        let had_current = allocs.iter().any(|alloc| alloc.job.version == job.version && alloc.job.create_index == job.create_index);
        let paused =
            deployment.as_ref().is_some_and(|deployment| matches!(deployment.status, DeploymentStatus::Paused | DeploymentStatus::Pending));
        let failed = deployment.as_ref().is_some_and(|deployment| deployment.status == DeploymentStatus::Failed);
        let mut sorted = self.sort(job, group, allocs, deployment.as_ref());
        let mut result = GroupResult { later: std::mem::take(&mut sorted.later), ..GroupResult::default() };
        result.desired.ignore = sorted.ignored;
        result.desired.reschedule_later = count(result.later.len());
        for alloc in sorted.stale.drain(..) {
            result.stop.push(lost(alloc));
        }
        let strategy = group.update.as_ref().filter(|update| update.rolling() && job.kind == drover_model::JobType::Service);
        let state_of_group =
            existed.then(|| deployment.as_ref().and_then(|deployment| deployment.groups.get(&group.name).cloned())).flatten();

        // Canaries of deployments that are over are stopped (DEP-035, DEP-047).
        let current_id = deployment.as_ref().map(|deployment| deployment.id);
        let (stale_canaries, keep): (Vec<_>, Vec<_>) =
            sorted.keep.into_iter().partition(|alloc| alloc.canary && !alloc.terminal() && (alloc.deployment != current_id || failed));
        let mut keep = keep;
        for alloc in stale_canaries {
            result.desired.stop += 1;
            result.stop.push(StopRequest { alloc, description: reason::NOT_NEEDED_ANYMORE, client_status: None });
        }
        let (canaries, mut keep): (Vec<_>, Vec<_>) = {
            keep.sort_by_key(|alloc| alloc.index);
            keep.into_iter().partition(|alloc| alloc.canary && !alloc.terminal())
        };
        let promoted = state_of_group.as_ref().is_some_and(|state| state.promoted);

        let wanted = group.count;
        let mut names = Names::new(keep.iter().chain(&sorted.migrate).map(|alloc| alloc.index));
        for (alloc, _) in &sorted.reschedule {
            names.used.insert(alloc.index);
        }

        // Fewer wanted than there are: migrating ones go first, then the highest numbers (REC-003).
        let total = count(keep.len() + sorted.migrate.len() + sorted.reschedule.len() + if promoted { canaries.len() } else { 0 });
        let mut surplus = total.saturating_sub(wanted);
        if promoted {
            // The old ones whose names the canaries took go first (DEP-043).
            let taken: BTreeSet<u32> = canaries.iter().map(|alloc| alloc.index).collect();
            let mut rest = Vec::new();
            for alloc in keep {
                if surplus > 0 && taken.contains(&alloc.index) && alloc.job.version != job.version {
                    surplus -= 1;
                    result.desired.stop += 1;
                    result.stop.push(StopRequest { alloc, description: reason::NOT_NEEDED_ANYMORE, client_status: None });
                } else {
                    rest.push(alloc);
                }
            }
            keep = rest;
        }
        while surplus > 0 {
            let gone =
                sorted.migrate.pop().or_else(|| pop_surplus(&mut keep, job)).or_else(|| sorted.reschedule.pop().map(|(alloc, _)| alloc));
            let Some(alloc) = gone else { break };
            surplus -= 1;
            names.used.remove(&alloc.index);
            if !alloc.terminal() {
                result.desired.stop += 1;
                result.stop.push(StopRequest { alloc, description: reason::NOT_NEEDED_ANYMORE, client_status: None });
            }
        }
        if promoted {
            keep.extend(canaries.iter().cloned());
            names.used.extend(canaries.iter().map(|alloc| alloc.index));
        }

        // What the new version does to the allocations that stay.
        let (mut destructive, mut in_place) = (Vec::new(), Vec::new());
        for alloc in &keep {
            if alloc.terminal() || (alloc.job.version == job.version && alloc.job.create_index == job.create_index) {
                result.desired.ignore += 1;
            } else if changes::destructive(&alloc.job, alloc.task_group(), job, group) {
                destructive.push(Arc::clone(alloc));
            } else {
                in_place.push(Arc::clone(alloc));
            }
        }
        result.desired.in_place_update = count(in_place.len());

        let canary_wanted = strategy.map_or(0, |strategy| strategy.canary);
        let needs_canaries = canary_wanted > 0 && !promoted && (!destructive.is_empty() || !canaries.is_empty()) && !failed;

        let missing = wanted.saturating_sub(count(keep.len() + sorted.migrate.len() + sorted.reschedule.len()));
        // Replacements of lost ones go ahead whatever the deployment does (REC-022), newcomers wait while it is paused.
        let mut lost_left = missing;
        for alloc in sorted.lost {
            if alloc.client_status != ClientStatus::Lost {
                result.stop.push(lost(Arc::clone(&alloc)));
            }
            if lost_left == 0 || alloc.next.is_some() {
                continue;
            }
            lost_left -= 1;
            names.used.insert(alloc.index);
            let old_version = (needs_canaries || failed).then_some(alloc.job.version).filter(|version| *version != job.version);
            result.desired.place += 1;
            result.place.push(PlaceRequest {
                index: alloc.index,
                link: true,
                reschedules: Vec::new(),
                canary: false,
                job_version: old_version,
                node: None,
                stop: None,
                previous: Some(alloc),
            });
        }
        let replaced_lost = missing - lost_left;

        let held = paused || failed;
        let mut placed_now = 0;
        if !held {
            let mut ended = sorted.ended.into_iter();
            for _ in replaced_lost..missing {
                let old = ended.next();
                let index = old
                    .as_ref()
                    .map(|alloc| alloc.index)
                    .filter(|index| !names.used.contains(index))
                    .unwrap_or_else(|| names.lowest_free());
                names.used.insert(index);
                let old_version = needs_canaries.then(|| destructive.first().map(|alloc| alloc.job.version)).flatten();
                placed_now += 1;
                result.desired.place += 1;
                result.place.push(PlaceRequest {
                    index,
                    previous: old,
                    link: false,
                    reschedules: Vec::new(),
                    canary: false,
                    job_version: old_version,
                    node: None,
                    stop: None,
                });
            }
        }

        for (alloc, events) in sorted.reschedule {
            result.desired.reschedule_now += 1;
            result.desired.place += 1;
            let canary = alloc.canary;
            let old_version = (needs_canaries && !canary || failed).then_some(alloc.job.version).filter(|version| *version != job.version);
            result.place.push(PlaceRequest {
                index: alloc.index,
                link: true,
                reschedules: events,
                canary,
                job_version: old_version,
                node: None,
                stop: Some((Arc::clone(&alloc), reason::RESCHEDULED)),
                previous: Some(alloc),
            });
        }
        for alloc in sorted.migrate {
            result.desired.migrate += 1;
            let downgrade = (needs_canaries || held).then_some(alloc.job.version).filter(|version| *version != job.version);
            result.stop.push(StopRequest { alloc: Arc::clone(&alloc), description: reason::MIGRATING, client_status: None });
            if alloc.transition.migrate_disable_placement == Some(true) && job.kind.is_batch() {
                continue;
            }
            result.place.push(PlaceRequest {
                index: alloc.index,
                link: true,
                reschedules: Vec::new(),
                canary: alloc.canary,
                job_version: downgrade,
                node: None,
                stop: None,
                previous: Some(alloc),
            });
        }

        // A deployment starts with the first run and with each version that changes something (DEP-005).
        let updating = !destructive.is_empty() || !in_place.is_empty();
        if let Some(strategy) = strategy
            && !existed
            && wanted > 0
            && (!had_current || updating)
        {
            let total = count(destructive.len() + in_place.len()) + placed_now;
            let deployment = deployment.get_or_insert_with(|| self.new_deployment(job));
            deployment.groups.insert(
                group.name.clone(),
                DeploymentGroup {
                    auto_revert: strategy.auto_revert,
                    auto_promote: strategy.auto_promote,
                    promoted: false,
                    placed_canaries: Vec::new(),
                    desired_canaries: if destructive.is_empty() { 0 } else { canary_wanted },
                    desired_total: total.max(wanted.min(total + count(canaries.len()))),
                    placed: 0,
                    healthy: 0,
                    unhealthy: 0,
                    progress_deadline_ns: i64::try_from(strategy.progress_deadline.as_nanos()).unwrap_or(i64::MAX),
                    require_progress_by: WallTime::ZERO,
                },
            );
        }

        let mut canaries_missing = 0;
        if needs_canaries && !held {
            canaries_missing = canary_wanted.saturating_sub(count(canaries.len()));
            let mut free: Vec<u32> = destructive.iter().map(|alloc| alloc.index).collect();
            for alloc in &canaries {
                free.retain(|index| *index != alloc.index);
            }
            let mut free = free.into_iter();
            for _ in 0..canaries_missing.min(wanted.max(1)) {
                let index = free.next().unwrap_or_else(|| names.lowest_free());
                names.used.insert(index);
                result.desired.canary += 1;
                result.place.push(PlaceRequest {
                    index,
                    previous: None,
                    link: false,
                    reschedules: Vec::new(),
                    canary: true,
                    job_version: None,
                    node: None,
                    stop: None,
                });
            }
        }
        if !promoted {
            result.desired.ignore += count(canaries.len());
        }

        let budget = self.budget(strategy, deployment.as_ref(), &keep, placed_now, wanted);
        let stepping = needs_canaries || held;
        let take = if stepping { 0 } else { destructive.len().min(budget as usize) };
        for alloc in destructive.iter().take(take) {
            result.desired.destructive_update += 1;
            result.place.push(PlaceRequest {
                index: alloc.index,
                previous: Some(Arc::clone(alloc)),
                link: true,
                reschedules: Vec::new(),
                canary: false,
                job_version: None,
                node: None,
                stop: Some((Arc::clone(alloc), reason::UPDATING)),
            });
        }
        result.desired.ignore += count(destructive.len() - take);
        let nothing_left = result.place.is_empty()
            && take == destructive.len()
            && in_place.is_empty()
            && result.later.is_empty()
            && canaries_missing == 0
            && (canaries.is_empty() || promoted);
        result.in_place = in_place;
        (result, nothing_left)
    }

    /// How many destructive updates may start now (REC-053, REC-054).
    fn budget(
        &self,
        strategy: Option<&drover_model::UpdateStrategy>,
        deployment: Option<&Deployment>,
        keep: &[Arc<Alloc>],
        placed_now: u32,
        wanted: u32,
    ) -> u32 {
        let Some(strategy) = strategy else { return wanted.max(count(keep.len())) };
        let mut budget = strategy.max_parallel;
        if let Some(deployment) = deployment {
            for alloc in keep.iter().filter(|alloc| alloc.deployment == Some(deployment.id)) {
                match alloc.is_healthy() {
                    Some(true) => {}
                    Some(false) => return 0,
                    None => budget = budget.saturating_sub(1),
                }
            }
        }
        budget.saturating_sub(placed_now)
    }

    fn new_deployment(&self, job: &Job) -> Deployment {
        Deployment {
            id: self.new_deployment,
            job_id: job.id.clone(),
            job_version: job.version,
            job_modify_index: job.job_modify_index,
            job_spec_modify_index: job.job_modify_index,
            job_create_index: job.create_index,
            groups: BTreeMap::new(),
            status: DeploymentStatus::Running,
            status_description: description::RUNNING.to_owned(),
            eval_priority: self.priority,
            create_index: 0,
            modify_index: 0,
            create_time: self.now,
            modify_time: self.now,
        }
    }

    fn settle_deployment(&self, job: &Job, current: Option<&Deployment>, planned: Option<Deployment>, done: bool, result: &mut Reconciled) {
        let Some(mut planned) = planned else { return };
        match current {
            None => {
                if planned.requires_promotion() {
                    let auto = planned.has_auto_promote();
                    planned.status_description = if auto { description::AUTO_PROMOTION } else { description::NEEDS_PROMOTION }.to_owned();
                }
                result.deployment = Some(planned);
            }
            Some(current) => {
                let complete = done
                    && current.status == DeploymentStatus::Running
                    && !current.requires_promotion()
                    && current.groups.iter().all(|(name, group)| {
                        let wanted = job.group(name).map_or(0, |spec| spec.count);
                        group.healthy >= group.desired_total.min(wanted.max(1)) && group.healthy >= group.desired_canaries.min(wanted)
                    });
                if complete {
                    result.deployment_updates.push(drover_model::DeploymentUpdate {
                        id: current.id,
                        status: DeploymentStatus::Successful,
                        description: description::SUCCESSFUL.to_owned(),
                    });
                }
                // The plan's placements belong to the running deployment.
                if current.status.is_active() && !complete {
                    result.deployment = Some(planned);
                }
            }
        }
    }
}

/// Numbers within a group that are in use.
struct Names {
    used: BTreeSet<u32>,
}

impl Names {
    fn new(used: impl Iterator<Item = u32>) -> Self {
        Self { used: used.collect() }
    }

    fn lowest_free(&self) -> u32 {
        (0..).find(|index| !self.used.contains(index)).unwrap_or(u32::MAX)
    }
}

/// The one to stop when too many run: the highest number, of an older version before the newest.
fn pop_surplus(keep: &mut Vec<Arc<Alloc>>, job: &Job) -> Option<Arc<Alloc>> {
    let at = keep
        .iter()
        .enumerate()
        .max_by_key(|(_, alloc)| (alloc.job.version != job.version && duplicate(keep, alloc), alloc.index))
        .map(|(at, _)| at)?;
    Some(keep.remove(at))
}

fn duplicate(keep: &[Arc<Alloc>], alloc: &Alloc) -> bool {
    keep.iter().filter(|other| other.index == alloc.index).count() > 1
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn lost(alloc: Arc<Alloc>) -> StopRequest {
    StopRequest { alloc, description: reason::LOST, client_status: Some(ClientStatus::Lost) }
}

fn cancelled(deployment: &Deployment, why: &str) -> drover_model::DeploymentUpdate {
    drover_model::DeploymentUpdate { id: deployment.id, status: DeploymentStatus::Cancelled, description: why.to_owned() }
}

//! Why something waits: one structured reason with its numbers and, where there is one, the time at which the wait ends.
//!
//! Each reason is worked out from one snapshot by a pure function, for the API and the command line alike.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use drover_base::WallTime;
use drover_model::{
    ClientStatus, Deployment, DeploymentStatus, DesiredStatus, EvalStatus, Evaluation, Job, NodeStatus, PlacementMetrics, Trigger,
};
use drover_state::{Alloc, JobRow, NodeRow, Snapshot};

/// How many different shortages of a group a sentence names.
const SHORTAGES_MAX: usize = 4;

/// Why something waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// What kind of reason it is; see `docs/why.md`.
    pub code: &'static str,
    /// The reason in one sentence.
    pub message: String,
    /// Since when.
    pub since: WallTime,
    /// When the wait ends by itself, or fails; zero if it does not.
    pub deadline: WallTime,
    /// The numbers of the sentence.
    pub counts: BTreeMap<&'static str, i64>,
}

impl Why {
    fn new(code: &'static str, since: WallTime, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), since, ..Self::default() }
    }

    fn until(self, deadline: WallTime) -> Self {
        Self { deadline, ..self }
    }

    fn count(mut self, name: &'static str, number: impl Into<i64>) -> Self {
        self.counts.insert(name, number.into());
        self
    }
}

/// Why an evaluation is not complete, or what of it could not be placed and still waits.
pub fn evaluation(state: &Snapshot, eval: &Evaluation) -> Option<Why> {
    match eval.status {
        EvalStatus::Pending if eval.wait_until > state.time() => Some(delayed(eval)),
        EvalStatus::Pending if state.scheduler_config().pause_eval_broker => {
            Some(Why::new("broker-paused", eval.create_time, "an operator has paused the scheduler"))
        }
        EvalStatus::Pending => Some(queued(state, eval)),
        EvalStatus::Blocked => Some(blocked(state, eval)),
        EvalStatus::Complete => {
            let waits = eval.blocked_eval.and_then(|id| state.eval(id)).filter(|next| next.status == EvalStatus::Blocked)?;
            Some(unplaced(state, eval, waits.create_time))
        }
        EvalStatus::Failed | EvalStatus::Canceled => None,
    }
}

fn delayed(eval: &Evaluation) -> Why {
    let what = match eval.trigger {
        Trigger::AllocFailure | Trigger::AllocReschedule => "the delay before failed allocations are replaced is not over",
        Trigger::FailedFollowUp => "the evaluation before it failed and is tried again later",
        Trigger::MaxDisconnectTimeout => "allocations on a disconnected node still have time to come back",
        _ => "its time has not come",
    };
    Why::new("not-before", eval.create_time, what).until(eval.wait_until)
}

fn queued(state: &Snapshot, eval: &Evaluation) -> Why {
    let before = |other: &&std::sync::Arc<Evaluation>| {
        other.status == EvalStatus::Pending && other.wait_until <= state.time() && other.create_index < eval.create_index
    };
    let ahead = state.evals_of_job(&eval.job_id).filter(before).count();
    if ahead == 0 {
        return Why::new("scheduler", eval.create_time, "it waits for a scheduler worker");
    }
    let ahead = i64::try_from(ahead).unwrap_or(i64::MAX);
    let message = format!("{ahead} earlier evaluation{} of the same job come{} first", plural(ahead), if ahead == 1 { "s" } else { "" });
    Why::new("behind-job", eval.create_time, message).count("ahead", ahead)
}

fn plural(count: i64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// A blocked evaluation may carry no metrics itself; those of the one it continues tell what is missing.
fn blocked(state: &Snapshot, eval: &Evaluation) -> Why {
    let told = std::iter::successors(Some(eval), |eval| eval.previous_eval.and_then(|id| state.eval(id)).map(AsRef::as_ref))
        .take(SHORTAGES_MAX)
        .find(|eval| !eval.failed_groups.is_empty());
    match told {
        Some(told) => unplaced(state, told, eval.create_time),
        None => Why::new("no-room", eval.create_time, "it waits for room on a node that qualifies"),
    }
}

/// What of an evaluation could not be placed.
fn unplaced(state: &Snapshot, eval: &Evaluation, since: WallTime) -> Why {
    let job = state.job(&eval.job_id).map(|row| row.job());
    let mut sentences = Vec::new();
    let (mut missing_all, mut wanted_all) = (0_i64, 0_i64);
    let mut code = "no-nodes";
    for (group, metrics) in &eval.failed_groups {
        let missing = i64::from(eval.queued.get(group).copied().unwrap_or(0).max(metrics.coalesced_failures + 1));
        let wanted = job.and_then(|job| job.group(group)).map_or(missing, |spec| i64::from(spec.count).max(missing));
        missing_all += missing;
        wanted_all += wanted;
        let (own, reason) = shortage(metrics, job.map(|job| job.as_ref()));
        // Room may come; nodes that qualify must be brought.
        code = match (code, own) {
            ("no-room", _) | (_, "no-room") => "no-room",
            ("no-fit", _) | (_, "no-fit") => "no-fit",
            _ => own,
        };
        let name = if eval.failed_groups.len() > 1 { format!(" of group {group:?}") } else { String::new() };
        sentences.push(format!("{missing} of {wanted}{name} not placed: {reason}"));
    }
    let mut why = Why::new(code, since, sentences.join(". ")).count("missing", missing_all).count("wanted", wanted_all);
    if let Some(metrics) = eval.failed_groups.values().next() {
        why = why.count("nodes_evaluated", metrics.nodes_evaluated);
        why = why.count("nodes_unfit", metrics.nodes_filtered).count("nodes_full", metrics.nodes_exhausted);
    }
    why
}

/// What kept nodes from being taken, as `memory exhausted on 41 of 52 eligible nodes; 11 do not meet …`.
fn shortage(metrics: &PlacementMetrics, job: Option<&Job>) -> (&'static str, String) {
    let eligible = metrics.nodes_evaluated.saturating_sub(metrics.nodes_filtered);
    let mut parts = Vec::new();
    let most_first = |counts: &BTreeMap<String, u32>| {
        let mut counts: Vec<(String, u32)> = counts.iter().map(|(name, count)| (name.clone(), *count)).collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts.truncate(SHORTAGES_MAX);
        counts
    };
    for (dimension, count) in most_first(&metrics.dimension_exhausted) {
        parts.push(format!("{dimension} exhausted on {count} of {eligible} eligible node{}", plural(i64::from(eligible))));
    }
    for (constraint, count) in most_first(&metrics.constraint_filtered) {
        let lacks = constraint.strip_prefix("missing ");
        let do_not = if count == 1 { "does not meet" } else { "do not meet" };
        parts.push(lacks.map_or_else(|| format!("{count} {do_not} {constraint}"), |what| format!("{count} lack {what}")));
    }
    if !parts.is_empty() {
        let code = if metrics.nodes_exhausted > 0 || !metrics.dimension_exhausted.is_empty() { "no-room" } else { "no-fit" };
        return (code, parts.join("; "));
    }
    if metrics.nodes_evaluated > 0 {
        return ("no-room", format!("none of {} nodes can take it", metrics.nodes_evaluated));
    }
    let ready: u32 = metrics.nodes_available.values().sum();
    let pool = if metrics.node_pool.is_empty() { "default" } else { &metrics.node_pool };
    let mut reason = match (metrics.nodes_in_pool, ready) {
        (0, _) => format!("there is no node in pool {pool:?}"),
        (count, 0) => format!("none of {count} node{} in pool {pool:?} is ready", plural(i64::from(count))),
        (_, ready) => format!("none of {ready} ready node{} was looked at", plural(i64::from(ready))),
    };
    if let Some(job) = job.filter(|job| metrics.nodes_in_pool > 0 && !job.datacenters.is_empty()) {
        let _ = write!(reason, " in datacenter{} {}", if job.datacenters.len() == 1 { "" } else { "s" }, job.datacenters.join(", "));
    }
    ("no-nodes", reason)
}

/// Why a job is not what it should be: what waits for room first, then its deployment, then what is still to be done.
pub fn job(state: &Snapshot, row: &JobRow) -> Option<Why> {
    let since = row.job().create_index;
    let open = |status| {
        let fits = move |eval: &&std::sync::Arc<Evaluation>| eval.status == status && eval.create_index >= since;
        state.evals_of_job(row.id()).filter(fits).last()
    };
    if let Some(eval) = open(EvalStatus::Blocked) {
        return evaluation(state, eval);
    }
    if let Some(why) = state.latest_deployment(row.id()).and_then(|latest| deployment(state, latest)) {
        return Some(why);
    }
    open(EvalStatus::Pending).and_then(|eval| evaluation(state, eval))
}

/// Why a deployment is not over.
pub fn deployment(_: &Snapshot, deployment: &Deployment) -> Option<Why> {
    let since = deployment.create_time;
    match deployment.status {
        DeploymentStatus::Paused => return Some(Why::new("paused", since, "the deployment is paused until somebody resumes it")),
        status if !status.is_active() => return None,
        _ => {}
    }
    let (mut wanted, mut healthy, mut unhealthy) = (0_i64, 0_i64, 0_i64);
    for group in deployment.groups.values() {
        let canaries = group.desired_canaries > 0 && !group.promoted;
        wanted += i64::from(if canaries { group.desired_canaries } else { group.desired_total });
        healthy += i64::from(group.healthy);
        unhealthy += i64::from(group.unhealthy);
    }
    let told = |why: Why| why.count("wanted", wanted).count("healthy", healthy).count("unhealthy", unhealthy);
    if deployment.requires_promotion() && healthy >= wanted && !deployment.has_auto_promote() {
        let message = format!("{healthy} of {wanted} canaries are healthy and wait for promotion");
        return Some(told(Why::new("promotion", since, message)));
    }
    let what = if deployment.requires_promotion() { "canaries" } else { "allocations" };
    let mut message = format!("{healthy} of {wanted} {what} are healthy");
    if unhealthy > 0 {
        let _ = write!(message, ", {unhealthy} are unhealthy");
    }
    let by = deployment.groups.values().map(|group| group.require_progress_by).filter(|by| !by.is_zero()).min();
    Some(told(Why::new("health", since, message)).until(by.unwrap_or_default()))
}

/// Why an allocation is not what it should be.
pub fn alloc(state: &Snapshot, alloc: &Alloc) -> Option<Why> {
    let node = state.node(alloc.node_id);
    let name = node.map_or_else(|| alloc.node_id.to_string(), |row| row.node.name.clone());
    let wanted = alloc.desired == DesiredStatus::Run;
    match alloc.client_status {
        ClientStatus::Unknown => {
            let last = alloc.rare.contacts.iter().flat_map(|contacts| contacts.iter()).next_back();
            let since = last.map_or(alloc.modify_time, |change| change.time);
            let group = alloc.task_group();
            let patience = group.disconnect.as_ref().and_then(|disconnect| disconnect.lost_after).or(group.max_client_disconnect);
            let deadline = patience.map_or(WallTime::ZERO, |patience| since + patience);
            Some(Why::new("node-contact", since, format!("node {name} is out of contact")).until(deadline))
        }
        ClientStatus::Failed if wanted && alloc.rare.next.is_none() => {
            let follow = alloc.rare.followup_eval.and_then(|id| state.eval(id)).filter(|eval| !eval.status.is_terminal())?;
            let attempts = alloc.rare.reschedules.as_ref().map_or(0, |events| events.len());
            let attempts = i64::try_from(attempts).unwrap_or(i64::MAX);
            let message = format!("it failed and is replaced after a delay; {attempts} replacement{} came before it", plural(attempts));
            Some(Why::new("reschedule", alloc.failure_time(), message).until(follow.wait_until).count("attempts", attempts))
        }
        status if status.is_terminal() || !wanted => None,
        _ if alloc.transition.migrate == Some(true) => {
            Some(Why::new("migration", alloc.modify_time, format!("it is to leave node {name} and waits for the scheduler")))
        }
        _ if node.is_some_and(|row| row.drain.is_some()) => {
            let deadline = node.and_then(|row| row.drain).map_or(WallTime::ZERO, |drain| drain.force_deadline);
            let message = format!("node {name} is being drained; it leaves once its group can miss it");
            Some(Why::new("migration", alloc.modify_time, message).until(deadline))
        }
        ClientStatus::Pending => {
            let status = node.map_or("gone", |row| row.status.text());
            Some(Why::new("node-start", alloc.create_time, format!("node {name}, which is {status}, has not started it yet")))
        }
        _ => None,
    }
}

/// Why a node is not ready, or its drain not over.
pub fn node(state: &Snapshot, row: &NodeRow) -> Option<Why> {
    let allocs =
        || state.node_slot(row.node.id).into_iter().flat_map(|slot| state.allocs_of_node(slot)).filter(|alloc| !alloc.client_terminal());
    if let Some(drain) = row.drain {
        let system = |alloc: &&std::sync::Arc<Alloc>| !drain.spec.ignore_system_jobs || !crate::drain::leaves_last(alloc);
        let left = i64::try_from(allocs().filter(system).count()).unwrap_or(i64::MAX);
        let leaving = allocs().filter(system).filter(|alloc| alloc.transition.migrate == Some(true)).count();
        let leaving = i64::try_from(leaving).unwrap_or(i64::MAX);
        let message =
            format!("{left} allocation{} still to leave the node, {leaving} of them on the way", if left == 1 { " has" } else { "s have" });
        let why = Why::new("drain", drain.started_at, message).until(drain.force_deadline);
        return Some(why.count("left", left).count("leaving", leaving));
    }
    if row.status == NodeStatus::Initializing && !crate::heartbeat::synced(state, row) {
        let count = i64::try_from(allocs().count()).unwrap_or(i64::MAX);
        let message = format!("the node has not said yet what has become of {count} allocation{}", plural(count));
        return Some(Why::new("sync", row.status_time, message).count("allocs", count));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use drover_base::EvalId;
    use drover_model::{DeploymentGroup, DrainSpec, DrainStrategy, JobType};

    use super::*;
    use crate::fixtures::{self, NOW, World, job_id};

    fn metrics(evaluated: u32, unfit: &[(&str, u32)], full: &[(&str, u32)]) -> PlacementMetrics {
        let counts = |counts: &[(&str, u32)]| counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect::<BTreeMap<_, _>>();
        PlacementMetrics {
            nodes_evaluated: evaluated,
            nodes_filtered: unfit.iter().map(|(_, count)| count).sum(),
            nodes_exhausted: full.iter().map(|(_, count)| count).sum(),
            constraint_filtered: counts(unfit),
            dimension_exhausted: counts(full),
            ..PlacementMetrics::default()
        }
    }

    fn waits(metrics: PlacementMetrics, missing: u32) -> Why {
        let mut world = World::new();
        let mut job = fixtures::job("web", JobType::Service);
        job.groups_mut()[0].count = 10;
        world.job(job);
        let mut eval = Evaluation::new(EvalId::from_random(1), job_id("web"), JobType::Service, 50, Trigger::JobRegister, NOW);
        eval.status = EvalStatus::Blocked;
        eval.queued.insert("web".into(), missing);
        eval.failed_groups.insert("web".into(), Box::new(metrics));
        world.fixture.eval(eval.clone());
        evaluation(&world.fixture.finish(), &eval).unwrap()
    }

    #[test]
    fn a_blocked_evaluation_says_how_much_is_missing_and_what_of() {
        let why = waits(metrics(63, &[("missing attribute ${attr.gpu}", 11)], &[("memory", 41)]), 3);
        assert_eq!(why.code, "no-room");
        assert_eq!(why.message, "3 of 10 not placed: memory exhausted on 41 of 52 eligible nodes; 11 lack attribute ${attr.gpu}");
        assert_eq!((why.counts["missing"], why.counts["wanted"], why.counts["nodes_full"]), (3, 10, 41));
        let why = waits(metrics(1, &[("${attr.arch} = arm64", 1)], &[]), 10);
        assert_eq!((why.code, why.message.as_str()), ("no-fit", "10 of 10 not placed: 1 does not meet ${attr.arch} = arm64"));
        let nobody = PlacementMetrics { node_pool: "gpu".into(), ..PlacementMetrics::default() };
        let why = waits(nobody, 1);
        assert_eq!((why.code, why.message.as_str()), ("no-nodes", "1 of 10 not placed: there is no node in pool \"gpu\""));
    }

    #[test]
    fn a_pending_evaluation_waits_for_its_time_its_job_or_a_worker() {
        let mut world = World::new();
        let eval = |number: u128, wait: u64| {
            let mut eval = Evaluation::new(EvalId::from_random(number), job_id("web"), JobType::Service, 50, Trigger::AllocFailure, NOW);
            eval.create_index = u64::try_from(number).unwrap();
            eval.wait_until = if wait > 0 { NOW + std::time::Duration::from_secs(wait) } else { WallTime::ZERO };
            eval
        };
        let evals = [eval(1, 0), eval(2, 0), eval(3, 60)];
        for eval in &evals {
            world.fixture.eval(eval.clone());
        }
        let state = world.fixture.finish();
        let codes: Vec<_> = evals.iter().map(|eval| evaluation(&state, eval).unwrap().code).collect();
        assert_eq!(codes, ["scheduler", "behind-job", "not-before"]);
        assert_eq!(evaluation(&state, &evals[2]).unwrap().deadline, NOW + std::time::Duration::from_secs(60));
        assert_eq!(evaluation(&state, &evals[1]).unwrap().message, "1 earlier evaluation of the same job comes first");
    }

    #[test]
    fn a_deployment_waits_for_health_promotion_or_people() {
        let state = World::new().fixture.finish();
        let told = |status, canaries, healthy, promoted| {
            let group = DeploymentGroup {
                desired_total: 4,
                desired_canaries: canaries,
                healthy,
                promoted,
                require_progress_by: NOW,
                ..DeploymentGroup::default()
            };
            let groups = BTreeMap::from([("web".to_owned(), group)]);
            let mut fixture = fixtures::deployment(1, status);
            fixture.groups = groups;
            deployment(&state, &fixture).map(|why| (why.code, why.message, why.deadline))
        };
        let health = |text: &str| Some(("health", text.to_owned(), NOW));
        assert_eq!(told(DeploymentStatus::Running, 0, 1, false), health("1 of 4 allocations are healthy"));
        assert_eq!(told(DeploymentStatus::Running, 2, 1, false), health("1 of 2 canaries are healthy"));
        assert_eq!(told(DeploymentStatus::Running, 2, 2, false).unwrap().0, "promotion");
        assert_eq!(told(DeploymentStatus::Running, 2, 2, true), health("2 of 4 allocations are healthy"));
        assert_eq!(told(DeploymentStatus::Paused, 0, 1, false).unwrap().0, "paused");
        assert_eq!(told(DeploymentStatus::Successful, 0, 4, false), None);
    }

    #[test]
    fn a_drain_says_what_is_left_and_when_it_is_over() {
        let mut world = World::new();
        let job = world.job(fixtures::job("web", JobType::Service));
        let drain = DrainStrategy { spec: DrainSpec::default(), force_deadline: NOW, started_at: NOW };
        let slot = world.node(1, |row| row.drain = Some(drain));
        let first = world.alloc(&job, (slot, 1), |alloc| alloc.transition.migrate = Some(true));
        let second = world.alloc(&job, (slot, 1), |_| {});
        world.alloc(&job, (slot, 1), |alloc| alloc.client_status = ClientStatus::Complete);
        let state = world.fixture.finish();
        let why = node(&state, state.node(drover_base::NodeId::from_random(1)).unwrap()).unwrap();
        assert_eq!(why.message, "2 allocations have still to leave the node, 1 of them on the way");
        assert_eq!((why.code, why.deadline), ("drain", NOW));
        for id in [first, second] {
            assert_eq!(alloc(&state, state.alloc(id).unwrap()).unwrap().code, "migration");
        }
        let _ = Arc::clone(&job.1);
    }
}

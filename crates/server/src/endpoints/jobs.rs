//! Jobs: register, plan, validate, stop, revert, scale, evaluate.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_api as api;
use drover_base::{AllocId, EvalId, Rng};
use drover_model::admission::{
    JobProblems, Oversubscription, Surroundings, canonicalize, complete_with, no_namespace, no_node_pool, priority_above, too_many,
    validate_with, warnings,
};
use drover_model::command::{Change, RegisterJob, ScalingEvent, Submission};
use drover_model::{DesiredUpdates, Evaluation, Job, JobId, JobView, PlacementMetrics, Trigger, VersionTag};
use drover_scheduler::periodic::next_launch;
use drover_scheduler::{Context, process};
use drover_state::{JobRow, JobVersion, Snapshot};

use crate::error::{EndpointError, NO_PATH};
use crate::server::Server;

/// The answer to a registration and to what ends in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// The evaluation that acts on it; none for periodic and parameterized parents.
    pub eval_id: Option<EvalId>,
    /// Its index.
    pub eval_create_index: u64,
    /// The job's index.
    pub job_modify_index: u64,
    /// Things accepted that were probably not meant.
    pub warnings: String,
    /// The log entry.
    pub index: u64,
}

/// The answer to a stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deregistered {
    /// The evaluation; none if there was no such job.
    pub eval_id: Option<EvalId>,
    /// The log entry; 0 if there was no such job.
    pub index: u64,
}

/// The answer to a dry run.
#[derive(Debug)]
pub struct Planned {
    /// The job as it would be stored.
    pub new: Job,
    /// The job as it is.
    pub old: Option<Arc<JobRow>>,
    /// What would be done, by group.
    pub annotations: BTreeMap<String, DesiredUpdates>,
    /// Groups that would not be placed in full.
    pub failed_groups: BTreeMap<String, Box<PlacementMetrics>>,
    /// Allocations of other jobs that would have to go.
    pub preempted: Vec<AllocId>,
    /// Evaluations that would follow.
    pub evals: Vec<Evaluation>,
    /// When its next child is due.
    pub next_launch: Option<drover_base::WallTime>,
    /// The index to hold against a registration.
    pub job_modify_index: u64,
    /// Things accepted that were probably not meant.
    pub warnings: String,
}

/// `N warnings:`, an empty line, then a line each.
pub fn format_warnings(warnings: &[String]) -> String {
    match warnings {
        [] => String::new(),
        [one] => format!("1 warning:\n\n* {one}"),
        many => format!("{} warnings:\n\n* {}", many.len(), many.join("\n* ")),
    }
}

fn check_priority(priority: i64) -> Result<Option<u8>, EndpointError> {
    match priority {
        0 => Ok(None),
        1..=100 => Ok(u8::try_from(priority).ok()),
        _ => Err(EndpointError::bad_request("Eval priority must be between 1 and 100 inclusively")),
    }
}

fn refused(problems: &JobProblems) -> EndpointError {
    EndpointError::internal(problems.refusal().map_or_else(|| problems.to_string(), str::to_owned))
}

impl Server {
    /// A job made canonical, with all problems that keep it from being stored.
    pub fn admit(&self, job: api::Job, namespace: &str) -> (api::Job, JobProblems, Vec<String>) {
        let mut job = job;
        canonicalize(&mut job, &Surroundings { region: &self.0.config.region, namespace });
        complete_with(&mut job, &self.0.config.peers);
        let mut problems = validate_with(&job, &self.0.config.peers);
        let highest = i64::from(self.0.config.job_max_priority);
        if job.priority.is_some_and(|priority| priority > highest && priority <= 100) {
            problems.push("Priority", priority_above(highest));
        }
        let counted =
            job.task_groups.iter().flatten().map(|group| u64::try_from(group.count.unwrap_or(1)).unwrap_or(0)).fold(0, u64::saturating_add);
        if let Some(problem) = self.too_many(job.r#type.as_deref().unwrap_or_default(), counted) {
            problems.push("TaskGroups", problem);
        }
        let (namespace, pool) = (job.namespace.as_deref().unwrap_or_default(), job.node_pool.as_deref().unwrap_or_default());
        let id = job.id.as_deref().unwrap_or_default();
        let state = self.snapshot();
        match state.namespace(namespace) {
            Some(namespace) => namespace.problems(&Job::from_api(job.clone())).into_iter().for_each(|problem| problems.push("", problem)),
            None => problems.push("Namespace", no_namespace(id, namespace)),
        }
        if state.node_pool(pool).is_none() {
            problems.push("NodePool", no_node_pool(id, pool));
        }
        let warnings = self.warnings(&job);
        (job, problems, warnings)
    }

    /// What is wrong with a job of a type whose groups count so many allocations together.
    fn too_many(&self, kind: &str, counted: u64) -> Option<String> {
        let most = self.0.config.job_max_count;
        (most > 0 && kind != "system" && counted > most).then(|| too_many(counted, most))
    }

    fn warnings(&self, job: &api::Job) -> Vec<String> {
        let oversubscribed = self.snapshot().scheduler_config().memory_oversubscription_enabled;
        warnings(job, if oversubscribed { Oversubscription::On } else { Oversubscription::Off })
    }

    /// Registers a job and the evaluation that acts on it, in one entry.
    ///
    /// # Errors
    /// When the job has problems, an index is enforced and differs, or the change cannot be committed.
    pub async fn register_job(&self, request: api::JobRegisterRequest, namespace: Option<&str>) -> Result<Registered, EndpointError> {
        let job = request.job.ok_or_else(|| EndpointError::bad_request("Job must be specified"))?;
        if job.id.as_deref().unwrap_or_default().is_empty() {
            return Err(EndpointError::bad_request("Job ID hasn't been provided"));
        }
        self.admit_load()?;
        self.may_register(true)?;
        let priority = check_priority(request.eval_priority)?;
        let mut job = job;
        self.take_home(&request.region, &mut job)?;
        let namespace = namespace.filter(|text| !text.is_empty()).or(Some(request.namespace.as_str()).filter(|text| !text.is_empty()));
        if let Some(namespace) = namespace {
            job.namespace = Some(namespace.to_owned());
        }
        let (mut job, problems, mut warnings) = self.admit(job, "default");
        if !problems.is_empty() {
            return Err(refused(&problems));
        }
        if job.r#type.as_deref() == Some("system") && job.task_groups.iter().flatten().any(|group| group.scaling.is_some()) {
            return Err(EndpointError::bad_request("Task groups with job type system do not support scaling blocks"));
        }
        let state = self.snapshot();
        let id = JobId { namespace: job.namespace.clone().unwrap_or_default(), id: job.id.clone().unwrap_or_default() };
        if let Some(row) = state.job(&id) {
            keep_from_current(&mut job, row, request.preserve_counts, request.preserve_resources);
        }
        let mut job = Job::from_api(job);
        if let Some(row) = state.job(&id) {
            same_nature(row.job(), &job)?;
        }
        job.stop = false;
        let submission = request.submission.filter(|submission| !submission.source.is_empty()).and_then(|submission| {
            if submission.source.len() > self.0.config.job_source_max {
                warnings.push(format!(
                    "job source size of {} bytes exceeds maximum of {} bytes and will be discarded",
                    submission.source.len(),
                    self.0.config.job_source_max
                ));
                return None;
            }
            Some(Submission {
                source: submission.source,
                format: submission.format,
                variable_flags: submission.variable_flags.unwrap_or_default(),
                variables: submission.variables,
            })
        });
        let enforce_index = request.enforce_index.then_some(request.job_modify_index);
        self.commit_registration(job, submission, enforce_index, priority, Trigger::JobRegister, None, &warnings).await
    }

    /// Whether jobs may be registered, dispatched and scaled: not while the scheduler's settings forbid it to everybody but
    /// managers.
    ///
    /// # Errors
    /// When they forbid it.
    pub fn may_register(&self, manager: bool) -> Result<(), EndpointError> {
        if self.snapshot().scheduler_config().reject_job_registration && !manager {
            return Err(EndpointError::internal("Job registration, dispatch, and scale are disabled by the scheduler configuration"));
        }
        Ok(())
    }

    /// Makes a job one of this region, unless it is one of another: what is around it beats what it says itself.
    fn take_home(&self, around: &str, job: &mut api::Job) -> Result<(), EndpointError> {
        let wanted = if around.is_empty() { job.region.as_deref().unwrap_or_default() } else { around };
        if !wanted.is_empty() && wanted != "global" && wanted != self.0.config.region {
            return Err(EndpointError::internal(NO_PATH));
        }
        job.region = Some(self.0.config.region.clone());
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one log entry")]
    async fn commit_registration(
        &self,
        mut job: Job,
        submission: Option<Submission>,
        enforce_index: Option<u64>,
        priority: Option<u8>,
        trigger: Trigger,
        scaling: Option<(String, ScalingEvent)>,
        warnings: &[String],
    ) -> Result<Registered, EndpointError> {
        let now = self.stamp();
        job.submit_time = now;
        let id = job.id.clone();
        let eval = (!job.is_parent())
            .then(|| Evaluation::new(self.0.entropy.id(), id.clone(), job.kind, priority.unwrap_or(job.priority), trigger, now));
        let eval_id = eval.as_ref().map(|eval| eval.id);
        let scaling = scaling.map(|(group, mut event)| {
            event.eval_id = eval_id;
            event.time = now;
            (group, event)
        });
        let register = RegisterJob { job: Arc::new(job), eval, submission, enforce_index, keep_version: false, scaling };
        let index = self.propose(Change::RegisterJob(Box::new(register))).await?;
        let state = self.snapshot();
        let job_modify_index = state.job(&id).map_or(0, |row| row.job().job_modify_index);
        Ok(Registered {
            eval_id,
            eval_create_index: eval_id.map_or(0, |_| index),
            job_modify_index,
            warnings: format_warnings(warnings),
            index,
        })
    }

    /// What a registration would do, without doing it.
    ///
    /// # Errors
    /// When the job has problems.
    pub fn plan_job(&self, request: api::JobPlanRequest, namespace: Option<&str>) -> Result<Planned, EndpointError> {
        let mut job = request.job.ok_or_else(|| EndpointError::bad_request("Job must be specified"))?;
        self.take_home(&request.region, &mut job)?;
        if let Some(namespace) =
            namespace.filter(|text| !text.is_empty()).or(Some(request.namespace.as_str()).filter(|text| !text.is_empty()))
        {
            job.namespace = Some(namespace.to_owned());
        }
        let (job, problems, warnings) = self.admit(job, "default");
        if !problems.is_empty() {
            return Err(refused(&problems));
        }
        let job = Job::from_api(job);
        let state = self.snapshot();
        let old = state.job(&job.id).cloned();
        let now = self.0.clock.now();
        let eval = Evaluation::new(self.0.entropy.id(), job.id.clone(), job.kind, job.priority, Trigger::JobRegister, now);
        // The registration happens on a copy of the state that is dropped afterwards.
        let mut store = drover_state::Store::from_snapshot((*state).clone());
        let register = RegisterJob {
            job: Arc::new(job.clone()),
            eval: Some(eval.clone()),
            submission: None,
            enforce_index: None,
            keep_version: false,
            scaling: None,
        };
        let command = drover_model::Command { time: now, change: Change::RegisterJob(Box::new(register.clone())) };
        store.apply(state.index() + 1, command);
        let planned = store.snapshot();
        let mut context = Context { now, rng: Rng::new(self.0.entropy.seed()) };
        // What a periodic job launches is placed as if it were launched now.
        let child = Job { periodic: None, parameterized: None, ..job.clone() };
        let outcome = if job.is_parent() {
            let register = RegisterJob { job: Arc::new(child), ..register };
            let command = drover_model::Command { time: now, change: Change::RegisterJob(Box::new(register)) };
            let mut store = drover_state::Store::from_snapshot((*state).clone());
            store.apply(state.index() + 1, command);
            process(&store.snapshot(), &eval, &mut context)
        } else {
            process(&planned, &eval, &mut context)
        };
        let failed = &outcome.failed_groups;
        let waiting = outcome.blocked.into_iter().map(|eval| Evaluation {
            failed_groups: failed.clone(),
            queued: BTreeMap::new(),
            snapshot_index: 0,
            ..eval
        });
        let evals = outcome.followups.into_iter().chain(waiting).collect();
        let next_launch = job.periodic.as_ref().filter(|_| job.launches()).and_then(|periodic| next_launch(periodic, now));
        Ok(Planned {
            next_launch,
            new: planned.job(&job.id).map_or(job, |row| Job::clone(row.job())),
            job_modify_index: old.as_ref().map_or(0, |row| row.job().job_modify_index),
            old,
            annotations: outcome.plan.annotations,
            preempted: outcome.plan.preemptions.iter().map(|gone| gone.id).collect(),
            failed_groups: outcome.failed_groups,
            evals,
            warnings: format_warnings(&warnings),
        })
    }

    /// Stops a job, or removes it altogether with `purge`. Stopping what is not there is fine.
    ///
    /// # Errors
    /// When the priority is out of range, or the change cannot be committed.
    pub async fn deregister_job(
        &self,
        id: JobId,
        purge: bool,
        priority: i64,
        no_shutdown_delay: bool,
    ) -> Result<Deregistered, EndpointError> {
        let priority = check_priority(priority)?;
        let state = self.snapshot();
        let Some(row) = state.job(&id) else { return Ok(Deregistered::default()) };
        let job = row.job();
        let now = self.stamp();
        let eval = (!job.is_parent()).then(|| {
            Evaluation::new(self.0.entropy.id(), id.clone(), job.kind, priority.unwrap_or(job.priority), Trigger::JobDeregister, now)
        });
        let eval_id = eval.as_ref().map(|eval| eval.id);
        if no_shutdown_delay && let Some(slot) = state.job_slot(&id) {
            let transition = drover_model::DesiredTransition { no_shutdown_delay: Some(true), ..Default::default() };
            let transitions = state.allocs_of_job(slot).filter(|alloc| !alloc.terminal()).map(|alloc| (alloc.id, transition)).collect();
            self.propose(Change::Transitions { transitions, evals: Vec::new() }).await?;
        }
        let index = self.propose(Change::DeregisterJob { id, purge, eval }).await?;
        Ok(Deregistered { eval_id, index })
    }

    /// Registers an older version again.
    ///
    /// # Errors
    /// When the version is not kept or is the current one, or another version is enforced.
    pub async fn revert_job(&self, id: &JobId, version: u64, enforce_prior: Option<u64>) -> Result<Registered, EndpointError> {
        let state = self.snapshot();
        let row = self.find_job(&state, id)?;
        let current = row.job().version;
        if current == version {
            return Err(EndpointError::internal("can't revert to current version"));
        }
        if let Some(enforced) = enforce_prior.filter(|enforced| *enforced != current) {
            return Err(EndpointError::internal(format!("Current job has version {current}; enforcing version {enforced}")));
        }
        let entry = row.version(version).ok_or_else(|| {
            EndpointError::internal(format!("job {:?} in namespace {:?} at version {version} not found", id.id, id.namespace))
        })?;
        let job = Job { stop: false, ..Job::clone(&entry.job) };
        let submission = entry.submission.as_deref().cloned();
        let warnings = self.warnings(&job.to_api(&JobView::default()));
        self.commit_registration(job, submission, Some(row.job().job_modify_index), None, Trigger::JobRegister, None, &warnings).await
    }

    /// Marks a version as stable or not.
    ///
    /// # Errors
    /// When there is no such job, or the change cannot be committed.
    pub async fn set_job_stability(&self, id: &JobId, version: u64, stable: bool) -> Result<u64, EndpointError> {
        self.propose(Change::JobStability { id: id.clone(), version, stable }).await
    }

    /// Names a version, or gives its name another description. Returns the tag and the log entry.
    ///
    /// # Errors
    /// When there is no such version, another one has the name, or the change cannot be committed.
    pub async fn tag_job_version(
        &self,
        id: &JobId,
        name: &str,
        version: u64,
        description: &str,
    ) -> Result<(VersionTag, u64), EndpointError> {
        let state = self.snapshot();
        let missing = || EndpointError::internal(format!("job {:?} version {version} not found", id.id));
        let row = state.job(id).ok_or_else(missing)?;
        if row.version(version).is_none() {
            return Err(missing());
        }
        let elsewhere = |entry: &JobVersion| entry.job.version != version && entry.tag.as_ref().is_some_and(|tag| tag.name == name);
        if row.versions.iter().any(elsewhere) {
            return Err(EndpointError::internal(format!("tag {name:?} already exists on a different version of job {:?}", id.id)));
        }
        let tag = VersionTag { name: name.to_owned(), description: description.to_owned(), tagged_time: self.moment().wall.0 };
        let index = self.propose(Change::JobTag { id: id.clone(), version, tag: Some(tag.clone()) }).await?;
        Ok((tag, index))
    }

    /// Takes the name off the version that has it.
    ///
    /// # Errors
    /// When no version has it, or the change cannot be committed.
    pub async fn untag_job_version(&self, id: &JobId, name: &str) -> Result<u64, EndpointError> {
        let state = self.snapshot();
        let named = |entry: &&JobVersion| entry.tag.as_ref().is_some_and(|tag| tag.name == name);
        let entry = state.job(id).and_then(|row| row.versions.iter().find(named));
        let entry = entry.ok_or_else(|| EndpointError::internal(format!("tag {name:?} not found on job {:?}", id.id)))?;
        self.propose(Change::JobTag { id: id.clone(), version: entry.job.version, tag: None }).await
    }

    /// Runs the scheduler for a job; with `force`, failed allocations are replaced at once.
    ///
    /// # Errors
    /// When there is no such job, or it runs nothing itself.
    pub async fn evaluate_job(&self, id: &JobId, force: bool) -> Result<Registered, EndpointError> {
        let state = self.snapshot();
        let row = state.job(id).ok_or_else(|| EndpointError::internal("job not found"))?;
        let job = row.job();
        if job.is_periodic() {
            return Err(EndpointError::internal("can't evaluate periodic job"));
        }
        if job.is_parent() {
            return Err(EndpointError::internal("can't evaluate parameterized job"));
        }
        let now = self.stamp();
        let mut eval = Evaluation::new(self.0.entropy.id(), id.clone(), job.kind, job.priority, Self::user_trigger(), now);
        eval.job_modify_index = job.job_modify_index;
        let eval_id = eval.id;
        let transitions = match state.job_slot(id).filter(|_| force) {
            Some(slot) => {
                let transition = drover_model::DesiredTransition { force_reschedule: Some(true), ..Default::default() };
                let failed = state.allocs_of_job(slot).filter(|alloc| {
                    alloc.client_status == drover_model::ClientStatus::Failed && alloc.rare.next.is_none() && !alloc.server_terminal()
                });
                failed.map(|alloc| (alloc.id, transition)).collect()
            }
            None => Vec::new(),
        };
        let index = self.propose(Change::Transitions { transitions, evals: vec![eval] }).await?;
        Ok(Registered {
            eval_id: Some(eval_id),
            eval_create_index: index,
            job_modify_index: job.job_modify_index,
            warnings: String::new(),
            index,
        })
    }

    /// Changes the count of a group, or records why it was not changed.
    ///
    /// # Errors
    /// When the request is not sound, the count is outside the policy's bounds, or a deployment is active (DEP-058).
    pub async fn scale_job(&self, id: &JobId, request: api::ScalingRequest) -> Result<Registered, EndpointError> {
        let target = request.target.unwrap_or_default();
        let group = target.get("Group").filter(|group| !group.is_empty());
        let group = group.ok_or_else(|| EndpointError::bad_request("missing task group name for scaling action"))?;
        if target.get("Job").is_some_and(|job| *job != id.id) {
            return Err(EndpointError::bad_request("job ID in payload did not match URL"));
        }
        if request.error && request.count.is_some() {
            return Err(EndpointError::bad_request("scaling action should not contain count if error is true"));
        }
        if request.count.is_some_and(|count| count < 0) {
            return Err(EndpointError::bad_request("scaling action count can't be negative"));
        }
        self.admit_load()?;
        self.may_register(true)?;
        let state = self.snapshot();
        let row = state.job(id).ok_or_else(|| EndpointError::not_found(format!("job {:?} not found", id.id)))?;
        let mut job = Job::clone(row.job());
        let Some(spec) = job.groups_mut().iter_mut().find(|spec| spec.name == *group) else {
            return Err(EndpointError::bad_request(format!("task group {group:?} specified for scaling does not exist in job")));
        };
        let event = ScalingEvent {
            count: request.count,
            previous_count: i64::from(spec.count),
            error: request.error,
            message: request.message,
            meta: request.meta.map(|meta| serde_json::to_string(&meta).unwrap_or_default()).unwrap_or_default(),
            eval_id: None,
            time: self.0.clock.now(),
            create_index: 0,
        };
        let Some(count) = request.count else {
            let index = self.propose(Change::Scaling { id: id.clone(), group: group.clone(), event }).await?;
            return Ok(Registered { job_modify_index: row.job().job_modify_index, index, ..Registered::default() });
        };
        if matches!(row.job().kind, drover_model::JobType::System | drover_model::JobType::Sysbatch) && count > 1 {
            let text = format!("jobs of type {:?} can only be scaled between 0 and 1", row.job().kind.text());
            return Err(EndpointError::bad_request(text));
        }
        if let Some(policy) = &spec.scaling {
            let (min, max) = (policy.0.min.unwrap_or(0), policy.0.max.unwrap_or(i64::MAX));
            if count > max {
                return Err(EndpointError::bad_request(format!("group count was greater than scaling policy maximum: {count} > {max}")));
            }
            if count < min {
                return Err(EndpointError::bad_request(format!("group count was less than scaling policy minimum: {count} < {min}")));
            }
        }
        if state.latest_deployment(id).is_some_and(|deployment| deployment.status.is_active()) {
            return Err(EndpointError::bad_request("job scaling blocked due to active deployment"));
        }
        if request.job_modify_index != 0 && request.job_modify_index != row.job().job_modify_index {
            let text = format!(
                "Enforcing job modify index {}: job exists with conflicting job modify index: {}",
                request.job_modify_index,
                row.job().job_modify_index
            );
            return Err(EndpointError::internal(text));
        }
        spec.count = u32::try_from(count).map_err(|_| EndpointError::bad_request("scaling action count is too large"))?;
        let counted = job.task_groups.iter().map(|group| u64::from(group.count)).fold(0, u64::saturating_add);
        if let Some(problem) = self.too_many(job.kind.text(), counted) {
            return Err(EndpointError::bad_request(problem));
        }
        let enforce = Some(row.job().job_modify_index);
        self.commit_registration(job, None, enforce, None, Trigger::JobScaling, Some((group.clone(), event)), &[]).await
    }

    fn find_job<'a>(&self, state: &'a Snapshot, id: &JobId) -> Result<&'a Arc<JobRow>, EndpointError> {
        state.job(id).ok_or_else(|| EndpointError::internal(format!("job {:?} in namespace {:?} not found", id.id, id.namespace)))
    }
}

/// A job stays what it is: its type never changes, and neither does whether children do its work (PER-027).
fn same_nature(old: &Job, new: &Job) -> Result<(), EndpointError> {
    let turned = |what: &str, from: bool| {
        let (from, to) = if from { ("", "non-") } else { ("non-", "") };
        Err(EndpointError::internal(format!("cannot update {from}{what} job to being {to}{what}")))
    };
    if old.kind != new.kind {
        return Err(EndpointError::internal(format!("cannot update job from type {:?} to {:?}", old.kind.text(), new.kind.text())));
    }
    if old.is_periodic() != new.is_periodic() {
        return turned("periodic", old.is_periodic());
    }
    if old.is_parameterized() != new.is_parameterized() {
        return turned("parameterized", old.is_parameterized());
    }
    Ok(())
}

/// Keeps counts and resources of the groups and tasks that are there, when the request asks for that.
fn keep_from_current(job: &mut api::Job, row: &JobRow, counts: bool, resources: bool) {
    for group in job.task_groups.iter_mut().flatten() {
        let Some(current) = row.job().group(group.name.as_deref().unwrap_or_default()) else { continue };
        if counts {
            group.count = Some(i64::from(current.count));
        }
        if resources {
            for task in group.tasks.iter_mut().flatten() {
                if let Some(current) = current.task(&task.name) {
                    task.resources = Some(drover_model::mirror::Mirror::to_api(&current.resources));
                }
            }
        }
    }
}

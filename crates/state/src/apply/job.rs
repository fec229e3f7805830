//! Jobs: registration, versions, stop and purge, stability, scaling events, status.

use std::sync::Arc;

use drover_model::command::{RegisterJob, ScalingEvent};
use drover_model::{Evaluation, Job, JobId, JobType, VersionTag};

use crate::event::Payload;
use crate::rows::{JobRow, JobSlot, JobStatus, JobVersion};
use crate::store::{ApplyError, Transaction};
use crate::summary::JobSummary;
use crate::tables::Table;

/// How many versions of a job are kept beside tagged ones.
const VERSIONS_KEPT: usize = 6;
/// How many scaling events of a group are kept.
const SCALING_EVENTS_KEPT: usize = 20;

/// Whether two versions differ in what a user wrote.
fn spec_changed(old: &Job, new: &Job) -> bool {
    let plain = |job: &Job| Job {
        version: 0,
        submit_time: drover_base::WallTime::ZERO,
        create_index: 0,
        job_modify_index: 0,
        nomad_token_id: String::new(),
        ..job.clone()
    };
    plain(old) != plain(new)
}

impl Transaction<'_> {
    pub(crate) fn register_job(&mut self, register: RegisterJob) -> Result<(), ApplyError> {
        let RegisterJob { job, eval, submission, enforce_index, keep_version: _, scaling } = register;
        self.check_namespace(&job.id)?;
        let existing = self.state.job(&job.id).cloned();
        if let Some(wanted) = enforce_index {
            check_index(wanted, existing.as_deref())?;
        }
        let id = job.id.clone();
        self.store_version(job, submission.map(Arc::new));
        if let Some((group, event)) = scaling {
            self.record_scaling(&id, &group, event);
        }
        self.upsert_evals(eval.into_iter().map(|eval| self.stamped(eval)).collect())?;
        self.job_event(&id);
        Ok(())
    }

    /// The evaluation with the job's index as it is after this entry.
    pub(crate) fn stamped(&self, mut eval: Evaluation) -> Evaluation {
        if let Some(row) = self.state.job(&eval.job_id) {
            eval.job_modify_index = row.job().job_modify_index;
        }
        eval
    }

    /// Makes `job` the newest version, unless it says the same as the newest one.
    pub(crate) fn store_version(&mut self, job: Arc<Job>, submission: Option<Arc<drover_model::command::Submission>>) {
        let index = self.index();
        let mut job = Arc::unwrap_or_clone(job);
        job.job_modify_index = index;
        self.touch(Table::Jobs);
        self.touched.jobs.insert(job.id.clone());
        let id = job.id.clone();
        if let Some(slot) = self.state.job_slot(&id) {
            let row = self.job_mut(slot);
            let newest = &row.versions[0];
            job.create_index = newest.job.create_index;
            job.version = newest.job.version;
            row.modify_index = index;
            if spec_changed(&newest.job, &job) {
                job.version += 1;
                // A version that comes back, as after a failed deployment, comes back with its text.
                let submission = submission
                    .or_else(|| row.versions.iter().find(|old| !spec_changed(&old.job, &job)).and_then(|old| old.submission.clone()));
                add_groups(&mut row.summary, &job);
                let job = Arc::new(job);
                row.versions.insert(0, JobVersion { job: Arc::clone(&job), stable: false, tag: None, submission });
                prune(&mut row.versions);
                self.state.index_job(slot, &job);
            } else {
                // The same again keeps its version and index; only the text may be another.
                let newest = &mut row.versions[0];
                newest.submission = submission.or_else(|| newest.submission.take());
            }
            self.refresh_status(slot);
        } else {
            self.insert_job(job, submission);
        }
    }

    /// Puts a job in that was not there.
    pub(crate) fn insert_job(&mut self, mut job: Job, submission: Option<Arc<drover_model::command::Submission>>) {
        let index = self.index();
        job.job_modify_index = index;
        job.create_index = index;
        job.version = 0;
        let slot: JobSlot = self.slot();
        let job = Arc::new(job);
        let mut row = JobRow::new(Arc::clone(&job), submission, index);
        // Children outlive a parent that was purged; the one that comes back under its id counts them again.
        for child in self.state.children(&job.id) {
            *row.children.of(child.status) += 1;
        }
        self.touch(Table::Jobs);
        self.touch(Table::Summaries);
        self.touched.jobs.insert(job.id.clone());
        self.state.index_job(slot, &job);
        self.state.name_job(&job.id, slot);
        self.state.jobs.insert(slot, Arc::new(row));
        self.count_child(&job, None, Some(JobStatus::Pending));
        self.refresh_status(slot);
    }

    pub(crate) fn job_mut(&mut self, slot: JobSlot) -> &mut JobRow {
        Arc::make_mut(self.state.jobs.get_mut(&slot).expect("callers found the slot in the table"))
    }

    pub(crate) fn job_event(&mut self, id: &JobId) {
        if let Some(row) = self.state.job(id).cloned() {
            self.told(Payload::Job(row));
        }
    }

    pub(crate) fn deregister_job(&mut self, id: &JobId, purge: bool, eval: Option<Evaluation>) -> Result<(), ApplyError> {
        let Some(slot) = self.state.job_slot(id) else {
            // Stopping what is not there is fine: a client repeats itself.
            return self.upsert_evals(eval.into_iter().collect());
        };
        if purge {
            self.purge(slot, id);
            return self.upsert_evals(eval.into_iter().collect());
        }
        let mut stopped = Job::clone(self.job_mut(slot).job());
        stopped.stop = true;
        self.store_version(Arc::new(stopped), None);
        let row = self.job_mut(slot);
        if let [newest, before, ..] = row.versions.as_mut_slice() {
            // What is only stopped is as good as it was before.
            newest.stable |= newest.job.stop && before.stable;
        }
        self.upsert_evals(eval.into_iter().map(|eval| self.stamped(eval)).collect())?;
        self.job_event(id);
        Ok(())
    }

    /// Removes a job with its allocations, deployments and registrations (REC-007).
    pub(crate) fn purge(&mut self, slot: JobSlot, id: &JobId) {
        self.touch(Table::Jobs);
        self.touch(Table::Summaries);
        self.touched.jobs.insert(id.clone());
        let allocs: Vec<_> = self.state.allocs_of_job(slot).map(|alloc| alloc.id).collect();
        for alloc in allocs {
            self.remove_alloc(alloc);
        }
        let deployments: Vec<_> = self.state.deployments_of_job(id).map(|deployment| deployment.id).collect();
        for deployment in deployments {
            self.remove_deployment(deployment);
        }
        if let Some(row) = self.state.jobs.remove(&slot) {
            self.state.unindex_job(slot, row.job());
            self.count_child(row.job(), Some(row.status), None);
            self.told(Payload::DeletedJob(row));
        }
        self.state.unname_job(id);
    }

    pub(crate) fn job_stability(&mut self, id: &JobId, version: u64, stable: bool) -> Result<(), ApplyError> {
        let slot = self.state.job_slot(id).ok_or_else(|| ApplyError::NotFound(format!("job {:?} not found", id.id)))?;
        self.mark_stable(slot, version, stable);
        Ok(())
    }

    pub(crate) fn job_tag(&mut self, id: &JobId, version: u64, tag: Option<VersionTag>) -> Result<(), ApplyError> {
        let slot = self.state.job_slot(id).ok_or_else(|| ApplyError::NotFound(format!("job {:?} not found", id.id)))?;
        let index = self.index();
        let row = self.job_mut(slot);
        if let Some(tag) = &tag {
            let same = |entry: &JobVersion| entry.tag.as_ref().is_some_and(|own| own.name == tag.name);
            if row.versions.iter().any(|entry| entry.job.version != version && same(entry)) {
                let text = format!("tag {:?} already exists on a different version of job {:?}", tag.name, id.id);
                return Err(ApplyError::Refused(text));
            }
        }
        let entry = row.versions.iter_mut().find(|entry| entry.job.version == version);
        let entry = entry.ok_or_else(|| ApplyError::NotFound(format!("job {:?} version {version} not found", id.id)))?;
        entry.tag = tag;
        row.modify_index = index;
        self.touched.jobs.insert(id.clone());
        self.touch(Table::Jobs);
        Ok(())
    }

    pub(crate) fn mark_stable(&mut self, slot: JobSlot, version: u64, stable: bool) {
        let index = self.index();
        let row = self.job_mut(slot);
        let id = row.id().clone();
        if let Some(entry) = row.versions.iter_mut().find(|entry| entry.job.version == version)
            && entry.stable != stable
        {
            entry.stable = stable;
            row.modify_index = index;
            self.touched.jobs.insert(id);
            self.touch(Table::Jobs);
        }
    }

    pub(crate) fn scaling(&mut self, id: &JobId, group: &str, event: ScalingEvent) -> Result<(), ApplyError> {
        if self.state.job_slot(id).is_none() {
            return Err(ApplyError::NotFound(format!("job {:?} not found", id.id)));
        }
        self.record_scaling(id, group, event);
        Ok(())
    }

    fn record_scaling(&mut self, id: &JobId, group: &str, mut event: ScalingEvent) {
        event.create_index = self.index();
        if let Some(slot) = self.state.job_slot(id) {
            self.touch(Table::Scaling);
            let events = self.job_mut(slot).scaling.entry(group.to_owned()).or_default();
            events.insert(0, event);
            events.truncate(SCALING_EVENTS_KEPT);
        }
    }

    /// Works out whether the job is pending, running or dead.
    pub(crate) fn refresh_status(&mut self, slot: JobSlot) {
        let Some(row) = self.state.jobs.get(&slot) else { return };
        let (job, before) = (Arc::clone(row.job()), row.status);
        let deploying =
            || !job.kind.is_batch() && self.state.latest_deployment(&job.id).is_some_and(|deployment| deployment.status.is_active());
        let status = if job.is_parent() || job.kind == JobType::System {
            // What they do is to be there: for nodes, for their time, for dispatches.
            if job.stop { JobStatus::Dead } else { JobStatus::Running }
        } else if row.live_allocs > 0 || (!job.stop && deploying()) {
            JobStatus::Running
        } else if row.open_evals > 0 {
            JobStatus::Pending
        } else if job.stop || self.has_history(slot) {
            JobStatus::Dead
        } else {
            JobStatus::Pending
        };
        if status != before {
            let index = self.index();
            let row = self.job_mut(slot);
            row.status = status;
            row.modify_index = index;
            self.count_child(&job, Some(before), Some(status));
            self.moved.push(job.id.clone());
            self.touched.jobs.insert(job.id.clone());
            self.touch(Table::Jobs);
        }
    }

    fn has_history(&self, slot: JobSlot) -> bool {
        let evaluated = || {
            self.state.job_at(slot).is_some_and(|row| {
                let since = row.job().create_index;
                self.state.evals_of_job(row.id()).any(|eval| eval.create_index >= since)
            })
        };
        self.state.allocs_of_job(slot).next().is_some() || evaluated()
    }
}

fn check_index(wanted: u64, existing: Option<&JobRow>) -> Result<(), ApplyError> {
    let problem = match (wanted, existing) {
        (0, Some(_)) => "Enforcing job modify index 0: job already exists".to_owned(),
        (0, None) => return Ok(()),
        (wanted, None) => format!("Enforcing job modify index {wanted}: job does not exist"),
        (wanted, Some(row)) if row.job().job_modify_index == wanted => return Ok(()),
        (wanted, Some(row)) => {
            format!("Enforcing job modify index {wanted}: job exists with conflicting job modify index: {}", row.job().job_modify_index)
        }
    };
    Err(ApplyError::JobIndex(problem))
}

fn add_groups(summary: &mut JobSummary, job: &Job) {
    for group in job.task_groups.iter() {
        summary.entry(group.name.clone()).or_default();
    }
}

/// Keeps the newest versions, the newest stable one, and tagged ones.
fn prune(versions: &mut Vec<JobVersion>) {
    let stable = versions.iter().find(|version| version.stable && !version.job.stop).map(|version| version.job.version);
    let mut kept = 0;
    versions.retain(|version| {
        if version.tag.is_some() {
            return true;
        }
        kept += 1;
        kept <= VERSIONS_KEPT || Some(version.job.version) == stable
    });
}

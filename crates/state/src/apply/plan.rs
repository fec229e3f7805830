//! Verified plans become allocations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drover_base::{AllocId, EvalId};
use drover_model::{
    ClientStatus, Contact, DesiredStatus, DesiredTransition, Evaluation, NodeStatus, Plan, RescheduleOutcome, StatusChange,
};

use crate::rows::{Alloc, JobRow, JobSlot, NodeRow, RareFields};
use crate::store::{ApplyError, Transaction};

/// What an allocation says about itself while its node is out of contact.
const OUT_OF_CONTACT: &str = "alloc is unknown since its node is disconnected";
/// How many changes of contact an allocation remembers; the newest decide.
const CONTACTS_KEPT: usize = 8;

/// What the placements of one plan have in common.
struct Planned<'a> {
    job_slot: JobSlot,
    job: &'a JobRow,
    /// The version of the job that was planned for.
    version: u64,
    eval_id: EvalId,
    deployment: Option<drover_base::DeploymentId>,
}

impl Transaction<'_> {
    /// Applies plans. Returns the evaluations of those of which a placement was left out: between the check and this entry its node
    /// was taken out, or the version of the job that it was planned for forgotten.
    pub(crate) fn plans(&mut self, plans: Vec<Plan>) -> Result<BTreeSet<EvalId>, ApplyError> {
        let mut short = BTreeSet::new();
        for mut plan in plans {
            let (eval, evals) = (plan.eval_id, std::mem::take(&mut plan.evals));
            if !self.plan(plan) {
                short.insert(eval);
            }
            self.upsert_evals(evals)?;
        }
        Ok(short)
    }

    /// Applies plans together with the ends of their evaluations. One of which something was left out does not end here:
    /// its worker finds it as it was.
    pub(crate) fn results(&mut self, plans: Vec<Plan>, mut evals: Vec<Evaluation>) -> Result<(), ApplyError> {
        let short = self.plans(plans)?;
        let of_short = |eval: &Evaluation| short.contains(&eval.id) || eval.previous_eval.is_some_and(|id| short.contains(&id));
        evals.retain(|eval| !of_short(eval));
        self.upsert_evals(evals)
    }

    fn plan(&mut self, plan: Plan) -> bool {
        let mut whole = true;
        let index = self.index();
        let deployment_id = plan.deployment_to_join();
        // As it is before anything of the plan is done: what is placed remembers what its job was doing.
        let job = self
            .state
            .job_slot(&plan.job_id)
            .and_then(|slot| self.state.job_at(slot).map(|row| (slot, Arc::clone(row))))
            .filter(|(_, row)| row.job().create_index == plan.job_create_index);
        for update in &plan.deployment_updates {
            self.set_deployment_status(update.id, update.status, &update.description);
        }
        if let Some(deployment) = plan.deployment {
            self.put_deployment(deployment);
        }
        for stop in plan.stops {
            let Some(row) = self.state.alloc(stop.id).cloned() else { continue };
            let mut alloc = Alloc::clone(&row);
            alloc.desired = DesiredStatus::Stop;
            if !stop.description.is_empty() {
                alloc.rare.desired_description = Some(Arc::from(stop.description.as_str()));
            }
            if stop.followup_eval.is_some() {
                alloc.rare.followup_eval = stop.followup_eval;
            }
            if let Some(status) = stop.client_status
                && !alloc.client_terminal()
            {
                alloc.client_status = status;
            }
            alloc.alloc_modify_index = index;
            self.write_alloc(alloc);
        }
        for preemption in &plan.preemptions {
            let Some(row) = self.state.alloc(preemption.id).cloned() else { continue };
            let mut alloc = Alloc::clone(&row);
            alloc.desired = DesiredStatus::Evict;
            alloc.rare.desired_description = Some(Arc::from(format!("Preempted by alloc ID {}", preemption.by)));
            alloc.rare.preempted_by = Some(preemption.by);
            alloc.alloc_modify_index = index;
            self.write_alloc(alloc);
        }
        for in_place in plan.in_place {
            let Some(row) = self.state.alloc(in_place.id).cloned() else { continue };
            let mut alloc = Alloc::clone(&row);
            if in_place.followup_eval.is_some() {
                alloc.rare.followup_eval = in_place.followup_eval;
            }
            if in_place.no_placement {
                alloc.rare.reschedule_outcome = Some(RescheduleOutcome::NoPlacement);
            }
            self.contact(&mut alloc, in_place.contact);
            if in_place.to_newest
                && let Some((_, job)) = &job
                && let Some(planned) = planned_for(job, plan.job_version)
                && let Some(group) = group_position(planned, alloc.group_name())
            {
                alloc.group = group;
                alloc.job = Arc::clone(planned);
                if deployment_id.is_some() && alloc.deployment != deployment_id {
                    alloc.deployment = deployment_id;
                    alloc.health = None;
                    alloc.canary = false;
                }
                alloc.alloc_modify_index = index;
            }
            self.write_alloc(alloc);
        }
        // A job that was stopped since gets nothing new (EVL-048).
        if let Some((slot, job)) = job.filter(|(_, job)| !job.job().stop) {
            let mut evicted: BTreeMap<AllocId, Vec<AllocId>> = BTreeMap::new();
            for preemption in &plan.preemptions {
                evicted.entry(preemption.by).or_default().push(preemption.id);
            }
            for placement in plan.placements {
                let preempted = evicted.remove(&placement.id).map(Arc::new);
                let planned =
                    Planned { job_slot: slot, job: &job, version: plan.job_version, eval_id: plan.eval_id, deployment: deployment_id };
                whole &= self.place(&planned, placement, preempted);
            }
        }
        whole
    }

    /// Notes that the servers stopped or began again to hear from the allocation (REC-059, REC-073).
    fn contact(&self, alloc: &mut Alloc, contact: Contact) {
        let status = match contact {
            Contact::Same => return,
            Contact::Lost => {
                alloc.client_status = ClientStatus::Unknown;
                alloc.rare.client_description = Some(Arc::from(OUT_OF_CONTACT));
                ClientStatus::Unknown
            }
            Contact::Back => ClientStatus::Running,
        };
        let mut contacts = alloc.rare.contacts.as_deref().cloned().unwrap_or_default();
        contacts.push(StatusChange { status, time: self.state.time });
        let surplus = contacts.len().saturating_sub(CONTACTS_KEPT);
        contacts.drain(..surplus);
        alloc.rare.contacts = Some(Arc::new(contacts));
    }

    fn place(&mut self, planned: &Planned<'_>, placement: drover_model::Placement, preempted: Option<Arc<Vec<AllocId>>>) -> bool {
        let (index, time) = (self.index(), self.state.time);
        let Planned { job_slot, job, version, eval_id, deployment } = *planned;
        // The job may have changed since it was planned for: what is placed has the resources of the version that it was planned as.
        let own = placement.job_version.is_none_or(|other| other == version);
        let Some(version) = planned_for(job, placement.job_version.unwrap_or(version)) else { return false };
        let position = version.task_groups.iter().position(|group| *group.name == *placement.group);
        let (Some(position), Some(node_slot)) = (position, self.state.node_slot(placement.node_id)) else { return false };
        // The node may have been taken out since the plan was verified; who planned it looks whether it is there (INV-51).
        let out = |row: &NodeRow| !row.eligible || row.drain.is_some() || matches!(row.status, NodeStatus::Down | NodeStatus::Disconnected);
        if self.state.node_at(node_slot).is_none_or(|row| out(row)) {
            return false;
        }
        if let Some(previous) = placement.previous
            && let Some(row) = self.state.alloc(previous).cloned()
        {
            let mut replaced = Alloc::clone(&row);
            replaced.rare.next = Some(placement.id);
            self.write_alloc(replaced);
        }
        let rescheduled = !placement.reschedules.is_empty();
        let rare = RareFields {
            previous: placement.previous,
            reschedule_outcome: rescheduled.then_some(RescheduleOutcome::Placed),
            reschedules: rescheduled.then(|| Arc::new(placement.reschedules)),
            preempted,
            ..RareFields::default()
        };
        self.write_alloc(Alloc {
            id: placement.id,
            job_slot,
            job: Arc::clone(version),
            group: u16::try_from(position).unwrap_or(u16::MAX),
            index: placement.index,
            node_slot,
            node_id: placement.node_id,
            eval_id,
            // One of an older version belongs to the deployment of that version (DEP-040).
            deployment: if own { deployment } else { self.deployment_of_version(version) },
            canary: placement.canary,
            health: None,
            resources: placement.resources,
            desired: DesiredStatus::Run,
            transition: DesiredTransition::default(),
            client_status: ClientStatus::Pending,
            tasks: None,
            rare: rare.into(),
            metrics: placement.metrics,
            create_index: index,
            modify_index: index,
            alloc_modify_index: index,
            create_time: time,
            modify_time: time,
            job_status: job.status,
        });
        true
    }
}

impl Transaction<'_> {
    fn deployment_of_version(&self, job: &drover_model::Job) -> Option<drover_base::DeploymentId> {
        let of_version = |deployment: &&Arc<drover_model::Deployment>| {
            deployment.job_version == job.version && deployment.job_create_index == job.create_index
        };
        self.state.deployments_of_job(&job.id).rev().find(of_version).map(|deployment| deployment.id)
    }
}

/// The version of a job that was planned for; none once it is forgotten.
fn planned_for(job: &JobRow, version: u64) -> Option<&Arc<drover_model::Job>> {
    if job.job().version == version { Some(job.job()) } else { job.version(version).map(|entry| &entry.job) }
}

fn group_position(job: &drover_model::Job, name: &str) -> Option<u16> {
    let position = job.task_groups.iter().position(|group| group.name == name)?;
    u16::try_from(position).ok()
}

//! What a new version of a job would do.

use std::collections::BTreeMap;

use drover_macros::Wire;

use crate::{AllocationListStub, AllocationMetric, Evaluation, Job};

/// The JSON object `JobPlanRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobPlanRequest {
    /// Embedded WriteRequest: beats the query string; see conventions 7.
    pub region: String,
    /// Embedded WriteRequest: after the query string, before Job.Namespace.
    pub namespace: String,
    /// Embedded WriteRequest: body copy of the token; the header wins.
    pub secret_id: String,
    pub job: Option<Job>,
    pub diff: bool,
    pub policy_override: bool,
}

/// The JSON object `JobPlanResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobPlanResponse {
    pub job_modify_index: u64,
    /// Evaluations the plan would create.
    pub created_evals: Option<Vec<Evaluation>>,
    pub diff: Option<JobDiff>,
    pub annotations: Option<PlanAnnotations>,
    /// Per group placement failures.
    #[wire("FailedTGAllocs")]
    pub failed_tg_allocs: Option<BTreeMap<String, Option<AllocationMetric>>>,
    /// Null when not periodic; zero time is sent as null.
    pub next_periodic_launch: Option<String>,
    pub warnings: String,
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `PlanAnnotations`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct PlanAnnotations {
    #[wire("DesiredTGUpdates")]
    pub desired_tg_updates: Option<BTreeMap<String, Option<DesiredUpdates>>>,
    pub preempted_allocs: Option<Vec<AllocationListStub>>,
}

/// The JSON object `DesiredUpdates`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DesiredUpdates {
    pub ignore: u64,
    pub place: u64,
    pub migrate: u64,
    pub stop: u64,
    pub in_place_update: u64,
    pub destructive_update: u64,
    pub canary: u64,
    pub preemptions: u64,
    pub disconnect: u64,
    pub reconnect: u64,
    pub reschedule_now: u64,
    pub reschedule_later: u64,
}

/// The JSON object `JobDiff`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobDiff {
    /// None | Added | Deleted | Edited.
    pub r#type: String,
    pub id: String,
    pub fields: Option<Vec<FieldDiff>>,
    pub objects: Option<Vec<ObjectDiff>>,
    pub task_groups: Option<Vec<TaskGroupDiff>>,
}

/// The JSON object `FieldDiff`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct FieldDiff {
    /// None | Added | Deleted | Edited.
    pub r#type: String,
    pub name: String,
    pub old: String,
    pub new: String,
    pub annotations: Option<Vec<String>>,
}

/// The JSON object `ObjectDiff`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ObjectDiff {
    /// None | Added | Deleted | Edited.
    pub r#type: String,
    pub name: String,
    pub fields: Option<Vec<FieldDiff>>,
    pub objects: Option<Vec<ObjectDiff>>,
}

/// The JSON object `TaskGroupDiff`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskGroupDiff {
    /// None | Added | Deleted | Edited.
    pub r#type: String,
    pub name: String,
    pub fields: Option<Vec<FieldDiff>>,
    pub objects: Option<Vec<ObjectDiff>>,
    pub tasks: Option<Vec<TaskDiff>>,
    pub updates: Option<BTreeMap<String, u64>>,
}

/// The JSON object `TaskDiff`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct TaskDiff {
    /// None | Added | Deleted | Edited.
    pub r#type: String,
    pub name: String,
    pub fields: Option<Vec<FieldDiff>>,
    pub objects: Option<Vec<ObjectDiff>>,
    pub annotations: Option<Vec<String>>,
}

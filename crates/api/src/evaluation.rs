//! Evaluations and what they found.

use std::collections::BTreeMap;

use drover_macros::Wire;

use crate::{PlanAnnotations, Resources};

/// The JSON object `Evaluation`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
#[wire(omit_empty)]
pub struct Evaluation {
    pub id: String,
    pub priority: i64,
    /// Service | batch | system | sysbatch | _core.
    pub r#type: String,
    /// Job-register | job-deregister | periodic-job | node-drain | node-update | alloc-stop | scheduled | rolling-update | deployment-watcher | failed-follow-up | max-plan-attempts | alloc-failure | queued-allocs | preemption | job-scaling | max-disconnect-timeout | reconnect | alloc-reschedule.
    pub triggered_by: String,
    pub namespace: String,
    pub job_id: String,
    pub job_modify_index: u64,
    pub node_id: String,
    pub node_modify_index: u64,
    pub deployment_id: String,
    /// Blocked | pending | complete | failed | canceled.
    pub status: String,
    pub status_description: String,
    /// Nanoseconds; deprecated.
    pub wait: i64,
    /// RFC 3339.
    pub wait_until: Option<String>,
    pub next_eval: String,
    pub previous_eval: String,
    pub blocked_eval: String,
    /// Only with ?related=true.
    pub related_evals: Option<Vec<EvaluationStub>>,
    #[wire("FailedTGAllocs")]
    pub failed_tg_allocs: Option<BTreeMap<String, Option<AllocationMetric>>>,
    pub plan_annotations: Option<PlanAnnotations>,
    pub class_eligibility: Option<BTreeMap<String, bool>>,
    pub escaped_computed_class: bool,
    pub quota_limit_reached: String,
    pub missing_non_node_resources: Option<Vec<String>>,
    pub annotate_plan: bool,
    pub queued_allocations: Option<BTreeMap<String, i64>>,
    pub snapshot_index: u64,
    pub create_index: u64,
    pub modify_index: u64,
    /// Unix nanoseconds.
    pub create_time: i64,
    /// Unix nanoseconds.
    pub modify_time: i64,
    /// Internal, clients ignore it.
    #[wire("LeaderACL")]
    pub leader_acl: String,
    /// Why it waits, while it does; Drover's own.
    #[wire(omit_empty)]
    pub why: Option<crate::Why>,
}

/// The JSON object `EvaluationStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct EvaluationStub {
    pub id: String,
    pub priority: i64,
    pub r#type: String,
    pub triggered_by: String,
    pub namespace: String,
    pub job_id: String,
    pub node_id: String,
    pub deployment_id: String,
    pub status: String,
    pub status_description: String,
    /// Zero time is sent as null.
    pub wait_until: Option<String>,
    pub next_eval: String,
    pub previous_eval: String,
    pub blocked_eval: String,
    pub create_index: u64,
    pub modify_index: u64,
    pub create_time: i64,
    pub modify_time: i64,
}

/// The JSON object `AllocationMetric`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocationMetric {
    pub nodes_evaluated: i64,
    pub nodes_filtered: i64,
    pub nodes_in_pool: i64,
    pub node_pool: String,
    pub nodes_available: Option<BTreeMap<String, i64>>,
    pub class_filtered: Option<BTreeMap<String, i64>>,
    pub constraint_filtered: Option<BTreeMap<String, i64>>,
    pub nodes_exhausted: i64,
    pub class_exhausted: Option<BTreeMap<String, i64>>,
    pub dimension_exhausted: Option<BTreeMap<String, i64>>,
    pub quota_exhausted: Option<Vec<String>>,
    pub resources_exhausted: Option<BTreeMap<String, Option<Resources>>>,
    pub scores: Option<BTreeMap<String, f64>>,
    /// Nanoseconds.
    pub allocation_time: i64,
    pub coalesced_failures: i64,
    pub score_meta_data: Option<Vec<NodeScoreMeta>>,
}

/// The JSON object `NodeScoreMeta`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeScoreMeta {
    pub node_id: String,
    pub scores: Option<BTreeMap<String, f64>>,
    pub norm_score: f64,
}

/// The JSON object `EvalCountResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct EvalCountResponse {
    pub count: i64,
    /// Reply metadata also in headers.
    pub index: u64,
    /// Nanoseconds; reply metadata.
    pub last_contact: i64,
    /// Reply metadata.
    pub known_leader: bool,
    /// Reply metadata.
    pub next_token: String,
}

/// The JSON object `EvalDeleteRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct EvalDeleteRequest {
    /// Embedded WriteRequest: used when the query string has none.
    pub region: String,
    /// Embedded WriteRequest: used when the query string has none.
    pub namespace: String,
    /// Embedded WriteRequest: not read under this name.
    pub secret_id: String,
    #[wire("EvalIDs")]
    pub eval_ids: Option<Vec<String>>,
    pub filter: String,
}

/// The JSON object `EvalDeleteResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct EvalDeleteResponse {
    pub count: i64,
    /// Reply metadata also in headers.
    pub index: u64,
}

//! Scaling policies: what jobs say about how they may be scaled, for those that scale them.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_api as api;
use drover_state::{JobRow, Snapshot, Table};
use sha2::Digest;

use super::{State, one, value};
use crate::access::Capability;
use crate::blocking::At;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::request::Request;
use crate::view;

/// The policies of a job that is not stopped, as they are read one by one.
pub(crate) fn policies(row: &JobRow) -> Vec<api::ScalingPolicy> {
    let job = row.job();
    // What a parent says about scaling is about the parent: its children come and go.
    if job.stop || !job.parent_id.is_empty() {
        return Vec::new();
    }
    let shown = view::job(row);
    let mut found = Vec::new();
    for group in shown.task_groups.iter().flatten() {
        let group_name = group.name.clone().unwrap_or_default();
        let of_group = group.scaling.iter().map(|policy| (policy, None));
        let tasks = group.tasks.iter().flatten();
        let of_tasks = tasks.flat_map(|task| task.scaling_policies.iter().flatten().map(move |policy| (policy, Some(task.name.clone()))));
        for (policy, task) in of_group.chain(of_tasks) {
            let kind = if policy.r#type.is_empty() { "horizontal" } else { policy.r#type.as_str() };
            let mut target = BTreeMap::from([
                ("Namespace".to_owned(), job.id.namespace.clone()),
                ("Job".to_owned(), job.id.id.clone()),
                ("Group".to_owned(), group_name.clone()),
            ]);
            target.extend(task.map(|task| ("Task".to_owned(), task)));
            found.push(api::ScalingPolicy {
                id: id(&target, kind),
                r#type: kind.to_owned(),
                enabled: Some(policy.enabled.unwrap_or(true)),
                min: Some(policy.min.or(group.count).unwrap_or(1)),
                max: policy.max,
                policy: policy.policy.clone(),
                target: Some(target),
                namespace: String::new(),
                create_index: job.create_index,
                modify_index: job.job_modify_index,
            });
        }
    }
    found
}

/// A policy is known by what it scales: the same id as long as it is there, on every server.
fn id(target: &BTreeMap<String, String>, kind: &str) -> String {
    let mut digest = sha2::Sha256::new();
    for (name, value) in target {
        digest.update([name.as_bytes(), &[0], value.as_bytes(), &[0]].concat());
    }
    digest.update(kind);
    let digits: String = digest.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

fn index(snapshot: &Snapshot) -> u64 {
    snapshot.table_index(Table::Jobs).max(1)
}

/// `GET /v1/scaling/policies`.
pub async fn list<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let scope = request.scope();
    let text = |name: &str| request.query.get(name).to_owned();
    let (job, kind, prefix) = (text("job"), text("type"), text("prefix"));
    value(&*source, &request, |snapshot| {
        let rows = snapshot.jobs().filter(|row| scope.includes(&row.id().namespace));
        let rows = rows.filter(|row| job.is_empty() || row.id().id == job);
        let found = rows.flat_map(|row| policies(row)).filter(|policy| kind.is_empty() || policy.r#type == kind);
        let found = found.filter(|policy| policy.id.starts_with(&prefix));
        let stubs: Vec<api::ScalingPolicyListStub> = found
            .map(|policy| api::ScalingPolicyListStub {
                id: policy.id,
                enabled: policy.enabled.unwrap_or(true),
                r#type: policy.r#type,
                target: policy.target,
                create_index: policy.create_index,
                modify_index: policy.modify_index,
            })
            .collect();
        Ok(At { index: index(snapshot), value: stubs })
    })
    .await
}

/// `GET /v1/scaling/policy/{policy_id}`.
pub async fn read<S: State>(source: Arc<S>, request: Request) -> Result<Reply, ApiError> {
    let wanted = request.parameter("policy_id").to_owned();
    let rights = Arc::clone(&request.caller().rights);
    one(&*source, &request, "policy not found", |snapshot| {
        let rows = snapshot.jobs().filter(|row| rights.namespace(&row.id().namespace, Capability::ReadScalingPolicy));
        let found = rows.flat_map(|row| policies(row)).find(|policy| policy.id == wanted);
        let index = found.as_ref().map_or_else(|| index(snapshot), |policy| policy.modify_index);
        Ok(At { index, value: found })
    })
    .await
}

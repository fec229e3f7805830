//! Identities of tasks: tokens that the region signs for them, and what somebody may do who shows one.

use drover_base::{AllocId, NodeId};
use drover_model::acl::Workload;
use drover_state::{Alloc, Snapshot};
use serde_json::{Value, json};

use crate::error::EndpointError;
use crate::keyring::Claims;
use crate::server::Server;

/// Who identities are for that name nobody.
const AUDIENCE: &str = "nomadproject.io";
/// The identity that every task has.
const DEFAULT: &str = "default";

/// The name that a job's tasks go by: that of the job which made it, if one did.
fn job_of(alloc: &Alloc) -> &str {
    match alloc.job.parent_id.as_str() {
        "" => &alloc.job.id.id,
        parent => parent,
    }
}

/// Whether a secret has the form of a signed token: three parts, none of them a token of access control.
pub(crate) fn is_signed(secret: &str) -> bool {
    secret.split('.').count() == 3
}

impl Server {
    /// The identity that a task of a node has without being given another: it does not expire, and is good while the allocation is
    /// not over.
    ///
    /// # Errors
    /// 404 for an allocation that is not there or not on the node (KEY-032), or a task it does not have; 500 before there is a key.
    pub async fn task_identity(&self, node: NodeId, id: AllocId, task: &str) -> Result<String, EndpointError> {
        self.first_key_made().await;
        let state = self.snapshot();
        let alloc = state.alloc(id).filter(|alloc| alloc.node_id == node);
        let alloc = alloc.ok_or_else(|| EndpointError::not_found(format!("allocation {id} not found on this node")))?;
        if alloc.task_group().task(task).is_none() {
            return Err(EndpointError::not_found(format!("task {task:?} not found in allocation {id}")));
        }
        let claims = self.workload_claims(alloc, task);
        self.0.keyring.sign(&state, &claims).map_err(|error| EndpointError::internal(error.to_string()))
    }

    fn workload_claims(&self, alloc: &Alloc, task: &str) -> Claims {
        let (namespace, job, group) = (&alloc.job.id.namespace, job_of(alloc), &alloc.task_group().name);
        let now = self.0.clock.now().seconds();
        let claims = json!({
            "aud": AUDIENCE,
            "sub": format!("{}:{namespace}:{job}:{group}:{task}:{DEFAULT}", self.0.config.region),
            "iat": now,
            "nbf": now,
            "jti": self.0.entropy.id::<drover_base::id::Allocation>().to_string(),
            "nomad_namespace": namespace,
            "nomad_job_id": job,
            "nomad_allocation_id": alloc.id.to_string(),
            "nomad_task": task,
        });
        claims.as_object().cloned().unwrap_or_default()
    }

    /// The task whose identity this is; none if the region did not sign it, it is over, or its allocation is (KEY-037).
    pub fn workload(&self, state: &Snapshot, token: &str) -> Option<Workload> {
        let claims = self.0.keyring.verified(state, token)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let time = |name: &str| claims.get(name).and_then(Value::as_i64);
        let now = self.0.clock.now().seconds();
        let early = time("nbf").is_some_and(|begin| begin > now);
        let late = time("exp").is_some_and(|end| end <= now);
        if early || late {
            return None;
        }
        let alloc = state.alloc(text("nomad_allocation_id")?.parse().ok()?).filter(|alloc| !alloc.client_terminal())?;
        let task = text("nomad_task")?;
        let own = text("nomad_namespace") == Some(&alloc.job.id.namespace) && text("nomad_job_id") == Some(job_of(alloc));
        (own && alloc.task_group().task(task).is_some()).then(|| Workload {
            namespace: alloc.job.id.namespace.clone(),
            job: job_of(alloc).to_owned(),
            group: alloc.task_group().name.clone(),
            task: task.to_owned(),
        })
    }
}

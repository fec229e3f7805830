//! What the event stream tells about an applied entry: topic, kind, keys and the changed object (EVT-003).

use std::sync::Arc;

use drover_model::{Deployment, Evaluation, Index, ServiceRegistration, text_enum};

use crate::rows::{Alloc, JobRow, NodeRow};

text_enum! {
    /// What an event is about.
    Topic {
        0 Job = "Job", 1 Evaluation = "Evaluation", 2 Allocation = "Allocation", 3 Deployment = "Deployment", 4 Node = "Node",
        5 Service = "Service",
    }
}

text_enum! {
    /// What happened.
    EventKind {
        0 JobRegistered = "JobRegistered", 1 JobDeregistered = "JobDeregistered", 2 EvaluationUpdated = "EvaluationUpdated",
        3 AllocationUpdated = "AllocationUpdated", 4 AllocationUpdateDesiredStatus = "AllocationUpdateDesiredStatus",
        5 DeploymentStatusUpdate = "DeploymentStatusUpdate", 6 DeploymentPromotion = "DeploymentPromotion",
        7 DeploymentAllocHealth = "DeploymentAllocHealth", 8 NodeRegistration = "NodeRegistration",
        9 NodeDeregistration = "NodeDeregistration", 10 NodeEligibility = "NodeEligibility", 11 NodeEvent = "NodeEvent",
        12 PlanResult = "PlanResult", 13 ServiceRegistration = "ServiceRegistration",
        14 ServiceDeregistration = "ServiceDeregistration", 15 NodeDrain = "NodeDrain",
    }
}

/// The object as it is after the entry.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A job.
    Job(Arc<JobRow>),
    /// An evaluation.
    Evaluation(Arc<Evaluation>),
    /// An allocation.
    Allocation(Arc<Alloc>),
    /// A deployment.
    Deployment(Arc<Deployment>),
    /// A node.
    Node(Arc<NodeRow>),
    /// A service.
    Service(Arc<ServiceRegistration>),
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// The log entry.
    pub index: Index,
    /// What happened.
    pub kind: EventKind,
    /// To what.
    pub payload: Payload,
}

impl Event {
    /// What it is about.
    pub fn topic(&self) -> Topic {
        match &self.payload {
            Payload::Job(_) => Topic::Job,
            Payload::Evaluation(_) => Topic::Evaluation,
            Payload::Allocation(_) => Topic::Allocation,
            Payload::Deployment(_) => Topic::Deployment,
            Payload::Node(_) => Topic::Node,
            Payload::Service(_) => Topic::Service,
        }
    }

    /// The object's id.
    pub fn key(&self) -> String {
        match &self.payload {
            Payload::Job(row) => row.id().id.clone(),
            Payload::Evaluation(eval) => eval.id.to_string(),
            Payload::Allocation(alloc) => alloc.id.to_string(),
            Payload::Deployment(deployment) => deployment.id.to_string(),
            Payload::Node(row) => row.node.id.to_string(),
            Payload::Service(service) => service.id.clone(),
        }
    }

    /// The object's namespace, if it has one.
    pub fn namespace(&self) -> &str {
        match &self.payload {
            Payload::Job(row) => &row.id().namespace,
            Payload::Evaluation(eval) => &eval.job_id.namespace,
            Payload::Allocation(alloc) => &alloc.job.id.namespace,
            Payload::Deployment(deployment) => &deployment.job_id.namespace,
            Payload::Node(_) => "",
            Payload::Service(service) => &service.namespace,
        }
    }

    /// Further ids that a subscriber may name.
    pub fn filter_keys(&self) -> Vec<String> {
        match &self.payload {
            Payload::Job(_) | Payload::Node(_) => Vec::new(),
            Payload::Evaluation(eval) => {
                let deployment = eval.deployment_id.map(|id| id.to_string());
                std::iter::once(eval.job_id.id.clone()).chain(deployment).collect()
            }
            Payload::Allocation(alloc) => {
                let deployment = alloc.deployment.map(|id| id.to_string());
                std::iter::once(alloc.job.id.id.clone()).chain(deployment).collect()
            }
            Payload::Deployment(deployment) => vec![deployment.job_id.id.clone()],
            Payload::Service(service) => vec![service.job_id.clone(), service.service_name.clone()],
        }
    }
}

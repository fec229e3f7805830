//! What the event stream tells about an applied entry: topic, kind, keys and the changed object (EVT-003).
//!
//! The kind is that of the entry: an evaluation that came with a job is told as `JobRegistered`, one that came by itself as
//! `EvaluationUpdated`. No event carries a secret: of a variable only its metadata is told.

use std::sync::Arc;

use drover_model::acl::PolicyRow;
use drover_model::command::Change;
use drover_model::variable::Variable;
use drover_model::{
    AclRole, AclToken, AuthMethod, AutopilotConfig, BindingRule, Deployment, Evaluation, Index, NodePool, SchedulerConfig,
    ServiceRegistration, text_enum,
};

use crate::rows::{Alloc, JobRow, NodeRow};

text_enum! {
    /// What an event is about.
    Topic {
        0 Job = "Job", 1 Evaluation = "Evaluation", 2 Allocation = "Allocation", 3 Deployment = "Deployment", 4 Node = "Node",
        5 Service = "Service", 6 NodePool = "NodePool", 7 AclToken = "ACLToken", 8 AclPolicy = "ACLPolicy", 9 AclRole = "ACLRole",
        10 AclAuthMethod = "ACLAuthMethod", 11 AclBindingRule = "ACLBindingRule", 12 Variable = "Variable", 13 Operator = "Operator",
        14 HostVolume = "HostVolume", 15 CsiVolume = "CSIVolume", 16 CsiPlugin = "CSIPlugin",
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
        16 JobBatchDeregistered = "JobBatchDeregistered", 17 NodePoolUpserted = "NodePoolUpserted",
        18 NodePoolDeleted = "NodePoolDeleted", 19 AclTokenUpserted = "ACLTokenUpserted", 20 AclTokenDeleted = "ACLTokenDeleted",
        21 AclPolicyUpserted = "ACLPolicyUpserted", 22 AclPolicyDeleted = "ACLPolicyDeleted", 23 AclRoleUpserted = "ACLRoleUpserted",
        24 AclRoleDeleted = "ACLRoleDeleted", 25 AclAuthMethodUpserted = "ACLAuthMethodUpserted",
        26 AclAuthMethodDeleted = "ACLAuthMethodDeleted", 27 AclBindingRuleUpserted = "ACLBindingRuleUpserted",
        28 AclBindingRuleDeleted = "ACLBindingRuleDeleted", 29 VariableUpdated = "VariableUpdated",
        30 VariableDeleted = "VariableDeleted", 31 AutopilotConfiguration = "AutopilotConfigurationUpdated",
        32 SchedulerConfiguration = "SchedulerConfigurationUpdated",
    }
}

impl EventKind {
    /// What an entry with a change is told as.
    pub(crate) fn of(change: &Change) -> Self {
        match change {
            Change::RegisterJob(_) | Change::Children(_) | Change::JobStability { .. } | Change::JobTag { .. } | Change::Scaling { .. } => {
                Self::JobRegistered
            }
            Change::DeregisterJob { .. } => Self::JobDeregistered,
            Change::RegisterNode { .. } => Self::NodeRegistration,
            Change::NodeStatus { .. } => Self::NodeEvent,
            Change::NodeEligibility { .. } => Self::NodeEligibility,
            Change::NodeDrain { .. } | Change::DrainsDone { .. } => Self::NodeDrain,
            Change::PurgeNode { .. } => Self::NodeDeregistration,
            Change::AllocUpdates { .. } => Self::AllocationUpdated,
            Change::Plans(_) | Change::SharedPlans(_) | Change::Results { .. } => Self::PlanResult,
            Change::Transitions { .. } => Self::AllocationUpdateDesiredStatus,
            Change::DeploymentStatus { .. } => Self::DeploymentStatusUpdate,
            Change::DeploymentPromote { .. } => Self::DeploymentPromotion,
            Change::DeploymentHealth { .. } => Self::DeploymentAllocHealth,
            Change::UpsertServices(_) => Self::ServiceRegistration,
            Change::DeleteService { .. } => Self::ServiceDeregistration,
            Change::Collect { .. } => Self::JobBatchDeregistered,
            Change::SchedulerConfig { .. } => Self::SchedulerConfiguration,
            Change::Autopilot { .. } => Self::AutopilotConfiguration,
            Change::UpsertNodePools(_) => Self::NodePoolUpserted,
            Change::DeleteNodePools(_) => Self::NodePoolDeleted,
            Change::Variable(_) => Self::VariableUpdated,
            Change::AclBootstrap { .. } | Change::UpsertAcl(_) => Self::AclTokenUpserted,
            Change::DeleteAcl(_) => Self::AclTokenDeleted,
            Change::Evaluations(_)
            | Change::FeatureLevel(_)
            | Change::UpsertNamespaces(_)
            | Change::DeleteNamespaces(_)
            | Change::UpsertRootKey(_)
            | Change::Restore { .. } => Self::EvaluationUpdated,
        }
    }

    /// How evaluations of an entry of this kind are told: those that follow from what happened to a node, or that end with a plan,
    /// are entries of their own elsewhere.
    pub(crate) fn of_evaluation(self) -> Self {
        match self {
            Self::JobRegistered
            | Self::JobDeregistered
            | Self::AllocationUpdated
            | Self::AllocationUpdateDesiredStatus
            | Self::DeploymentStatusUpdate
            | Self::DeploymentPromotion
            | Self::DeploymentAllocHealth => self,
            _ => Self::EvaluationUpdated,
        }
    }
}

/// The object as it is after the entry; as it was last, if it is gone.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A job.
    Job(Arc<JobRow>),
    /// A job that is gone.
    DeletedJob(Arc<JobRow>),
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
    /// A node pool.
    NodePool(Arc<NodePool>),
    /// A token, to be told without its secret.
    AclToken(Arc<AclToken>),
    /// A policy.
    AclPolicy(Arc<PolicyRow>),
    /// A role.
    AclRole(Arc<AclRole>),
    /// A way to log in, to be told without its secrets.
    AclAuthMethod(Arc<AuthMethod>),
    /// A binding rule.
    AclBindingRule(Arc<BindingRule>),
    /// A variable, of which only the metadata is to be told.
    Variable(Arc<Variable>),
    /// How the region keeps its servers in order.
    Autopilot(Arc<AutopilotConfig>),
    /// How the region schedules.
    Scheduler(Arc<SchedulerConfig>),
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
            Payload::Job(_) | Payload::DeletedJob(_) => Topic::Job,
            Payload::Evaluation(_) => Topic::Evaluation,
            Payload::Allocation(_) => Topic::Allocation,
            Payload::Deployment(_) => Topic::Deployment,
            Payload::Node(_) => Topic::Node,
            Payload::Service(_) => Topic::Service,
            Payload::NodePool(_) => Topic::NodePool,
            Payload::AclToken(_) => Topic::AclToken,
            Payload::AclPolicy(_) => Topic::AclPolicy,
            Payload::AclRole(_) => Topic::AclRole,
            Payload::AclAuthMethod(_) => Topic::AclAuthMethod,
            Payload::AclBindingRule(_) => Topic::AclBindingRule,
            Payload::Variable(_) => Topic::Variable,
            Payload::Autopilot(_) | Payload::Scheduler(_) => Topic::Operator,
        }
    }

    /// The object's id.
    pub fn key(&self) -> String {
        match &self.payload {
            Payload::Job(row) | Payload::DeletedJob(row) => row.id().id.clone(),
            Payload::Evaluation(eval) => eval.id.to_string(),
            Payload::Allocation(alloc) => alloc.id.to_string(),
            Payload::Deployment(deployment) => deployment.id.to_string(),
            Payload::Node(row) => row.node.id.to_string(),
            Payload::Service(service) => service.id.clone(),
            Payload::NodePool(pool) => pool.name.clone(),
            Payload::AclToken(token) => token.accessor.clone(),
            Payload::AclPolicy(row) => row.policy.name.clone(),
            Payload::AclRole(role) => role.id.clone(),
            Payload::AclAuthMethod(method) => method.name.clone(),
            Payload::AclBindingRule(rule) => rule.id.clone(),
            Payload::Variable(variable) => variable.path.clone(),
            Payload::Autopilot(_) => "autopilot".to_owned(),
            Payload::Scheduler(_) => "scheduler".to_owned(),
        }
    }

    /// The object's namespace, if it has one.
    pub fn namespace(&self) -> &str {
        match &self.payload {
            Payload::Job(row) | Payload::DeletedJob(row) => &row.id().namespace,
            Payload::Evaluation(eval) => &eval.job_id.namespace,
            Payload::Allocation(alloc) => &alloc.job.id.namespace,
            Payload::Deployment(deployment) => &deployment.job_id.namespace,
            Payload::Service(service) => &service.namespace,
            Payload::Variable(variable) => &variable.namespace,
            Payload::Node(_)
            | Payload::NodePool(_)
            | Payload::AclToken(_)
            | Payload::AclPolicy(_)
            | Payload::AclRole(_)
            | Payload::AclAuthMethod(_)
            | Payload::AclBindingRule(_)
            | Payload::Autopilot(_)
            | Payload::Scheduler(_) => "",
        }
    }

    /// Whether a subscriber who names this id, namespace or name means the event (EVT-002).
    pub fn is_about(&self, key: &str) -> bool {
        let is = |id: &dyn std::fmt::Display| id.to_string() == key;
        if key.is_empty() {
            return false;
        }
        let related = match &self.payload {
            Payload::Evaluation(eval) => eval.node_id.is_some_and(|id| is(&id)),
            Payload::Allocation(alloc) => is(&alloc.node_id) || is(&alloc.eval_id),
            Payload::Service(service) => is(&service.node_id) || is(&service.alloc_id),
            _ => false,
        };
        related || self.namespace() == key || self.key() == key || self.filter_keys().iter().any(|own| own == key)
    }

    /// Further ids that a subscriber may name. Evaluations and allocations without a deployment name an empty one, as clients
    /// that were written for upstream's form expect.
    pub fn filter_keys(&self) -> Vec<String> {
        match &self.payload {
            Payload::Evaluation(eval) => {
                vec![eval.job_id.id.clone(), eval.deployment_id.map(|id| id.to_string()).unwrap_or_default()]
            }
            Payload::Allocation(alloc) => {
                vec![alloc.job.id.id.clone(), alloc.deployment.map(|id| id.to_string()).unwrap_or_default()]
            }
            Payload::Deployment(deployment) => vec![deployment.job_id.id.clone()],
            Payload::Service(service) => vec![service.job_id.clone(), service.service_name.clone()],
            Payload::AclRole(role) => vec![role.name.clone()],
            Payload::AclBindingRule(rule) => vec![rule.auth_method.clone()],
            Payload::Job(_)
            | Payload::DeletedJob(_)
            | Payload::Node(_)
            | Payload::NodePool(_)
            | Payload::AclToken(_)
            | Payload::AclPolicy(_)
            | Payload::AclAuthMethod(_)
            | Payload::Variable(_)
            | Payload::Autopilot(_)
            | Payload::Scheduler(_) => Vec::new(),
        }
    }
}

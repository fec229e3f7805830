//! The tables and their indexes, and reading from them.

use std::hash::{Hash, Hasher};
use std::ops::{RangeBounds, RangeInclusive};
use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, EvalId, NodeId, WallTime};
use drover_model::{
    AutopilotConfig, Deployment, Evaluation, Index, Job, JobId, JobType, NAMESPACE_DEFAULT, NODE_POOL_ALL, NODE_POOL_DEFAULT, Namespace,
    NodePool, SchedulerConfig, ServiceRegistration, text_enum,
};
use imbl::OrdMap;

use crate::capacity::Capacity;
use crate::rows::{Alloc, AllocSlot, DeploymentSlot, EvalSlot, JobRow, JobSlot, NodeRow, NodeSlot};

text_enum! {
    /// A table, as a blocking query may watch it.
    Table {
        0 Jobs = "jobs", 1 Nodes = "nodes", 2 Allocs = "allocs", 3 Evals = "evals", 4 Deployments = "deployments",
        5 Services = "services", 6 Summaries = "job_summary", 7 Scaling = "scaling_event",
        8 SchedulerConfig = "scheduler_config", 9 NodePools = "node_pools", 10 Namespaces = "namespaces",
        11 AclPolicies = "acl_policy", 12 AclTokens = "acl_token", 13 AclRoles = "acl_roles", 14 AuthMethods = "acl_auth_methods",
        15 BindingRules = "acl_binding_rules", 16 OneTimeTokens = "one_time_token", 17 Variables = "variables", 18 RootKeys = "root_keys",
    }
}

/// Namespace, name and id of a registration.
pub(crate) type ServiceKey = (Arc<str>, Arc<str>, Arc<str>);

/// A set over a persistent map.
pub(crate) type Set<K> = OrdMap<K, ()>;

/// Stands for a job's id in indexes by job. Writing to a persistent map copies a leaf of up to 64 keys, so a key must be
/// cheap to copy. Two ids may share a hash: who reads such an index looks at the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JobHash(u64);

impl JobHash {
    pub(crate) fn of(namespace: &str, id: &str) -> Self {
        // The hasher has fixed keys: every run of a process counts the same.
        let mut hasher = std::hash::DefaultHasher::new();
        (namespace, id).hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl From<&JobId> for JobHash {
    fn from(id: &JobId) -> Self {
        Self::of(&id.namespace, &id.id)
    }
}

/// The state at one index; a clone is a pointer copy.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(crate) index: Index,
    pub(crate) time: WallTime,
    pub(crate) feature_level: u32,
    pub(crate) next_slot: u32,
    pub(crate) table_index: [Index; Table::ALL.len()],
    pub(crate) jobs: OrdMap<JobSlot, Arc<JobRow>>,
    pub(crate) job_ids: OrdMap<Arc<JobId>, JobSlot>,
    /// The same for finding one: numbers are compared faster than texts with a long beginning in common.
    pub(crate) job_hashes: OrdMap<JobHash, JobSlot>,
    /// How many jobs have come whose hash was another's; while none did, [`Self::job_hashes`] has them all.
    pub(crate) job_clashes: u32,
    /// Children by their parent.
    pub(crate) children: Set<(JobHash, JobSlot)>,
    /// Dispatched children by their parent and the token that makes them unique.
    pub(crate) dispatch_tokens: OrdMap<(JobId, Arc<str>), JobSlot>,
    /// Jobs that run on every node.
    pub(crate) system_jobs: Set<JobSlot>,
    /// Jobs whose children run at set times.
    pub(crate) periodic_jobs: Set<JobSlot>,
    pub(crate) nodes: OrdMap<NodeSlot, Arc<NodeRow>>,
    pub(crate) node_ids: OrdMap<NodeId, NodeSlot>,
    /// Nodes with a drain under way.
    pub(crate) draining: Set<NodeSlot>,
    pub(crate) allocs: OrdMap<AllocSlot, Arc<Alloc>>,
    pub(crate) alloc_ids: OrdMap<AllocId, AllocSlot>,
    pub(crate) allocs_by_job: Set<(JobSlot, AllocSlot)>,
    pub(crate) allocs_by_node: Set<(NodeSlot, AllocSlot)>,
    pub(crate) allocs_by_eval: Set<(EvalId, AllocSlot)>,
    pub(crate) allocs_by_deployment: Set<(DeploymentId, AllocSlot)>,
    pub(crate) evals: OrdMap<EvalSlot, Arc<Evaluation>>,
    pub(crate) eval_ids: OrdMap<EvalId, EvalSlot>,
    pub(crate) evals_by_job: Set<(JobHash, EvalSlot)>,
    pub(crate) deployments: OrdMap<DeploymentSlot, Arc<Deployment>>,
    pub(crate) deployment_ids: OrdMap<DeploymentId, DeploymentSlot>,
    pub(crate) deployments_by_job: Set<(JobHash, DeploymentSlot)>,
    /// By namespace, name, id.
    pub(crate) services: OrdMap<ServiceKey, Arc<ServiceRegistration>>,
    /// By namespace and id: the name.
    pub(crate) service_ids: OrdMap<(Arc<str>, Arc<str>), Arc<str>>,
    pub(crate) services_by_alloc: Set<(AllocId, Arc<str>, Arc<str>)>,
    pub(crate) capacity: Capacity,
    /// Allocations that leave with plans that are in flight; only in a state that anticipates plans.
    pub(crate) leaving: Set<AllocId>,
    pub(crate) scheduler_config: Arc<SchedulerConfig>,
    /// None until somebody changed it.
    pub(crate) autopilot: Option<Arc<AutopilotConfig>>,
    /// How far the index is ahead of the log's: a restored state goes on after its own last entry.
    pub(crate) ahead_of_log: Index,
    pub(crate) node_pools: OrdMap<Arc<str>, Arc<NodePool>>,
    pub(crate) namespaces: OrdMap<Arc<str>, Arc<Namespace>>,
    pub(crate) acl: crate::acl::AclTables,
    /// By namespace and path.
    pub(crate) variables: OrdMap<(Arc<str>, Arc<str>), Arc<drover_model::variable::Variable>>,
    pub(crate) root_keys: OrdMap<Arc<str>, Arc<drover_model::variable::RootKey>>,
}

fn first<T>() -> crate::rows::Slot<T> {
    crate::rows::Slot::new(0)
}
fn last<T>() -> crate::rows::Slot<T> {
    crate::rows::Slot::new(u32::MAX)
}

impl Snapshot {
    /// The last entry that was applied.
    pub fn index(&self) -> Index {
        self.index
    }

    /// How far the index is ahead of the log's, since a state was restored that was further.
    pub fn ahead_of_log(&self) -> Index {
        self.ahead_of_log
    }

    /// How servers are looked after.
    pub fn autopilot(&self) -> AutopilotConfig {
        self.autopilot.as_deref().cloned().unwrap_or_else(AutopilotConfig::initial)
    }

    /// The time of that entry.
    pub fn time(&self) -> WallTime {
        self.time
    }

    /// The level that all servers have reached.
    pub fn feature_level(&self) -> u32 {
        self.feature_level
    }

    /// The last entry that changed a table.
    pub fn table_index(&self, table: Table) -> Index {
        let index = self.table_index[table as usize];
        // Lists of what jobs lead to begin at 0, where nothing can be waited for; everything else begins at 1.
        if matches!(table, Table::Jobs | Table::Summaries | Table::Allocs | Table::Evals | Table::Deployments) {
            index
        } else {
            index.max(1)
        }
    }

    /// A job.
    pub fn job(&self, id: &JobId) -> Option<&Arc<JobRow>> {
        self.jobs.get(&self.job_slot(id)?)
    }

    /// A job's slot.
    pub fn job_slot(&self, id: &JobId) -> Option<JobSlot> {
        let found = self.job_hashes.get(&JobHash::from(id)).copied();
        let own = |slot: &JobSlot| self.jobs.get(slot).is_some_and(|row| row.id() == id);
        match found.filter(own) {
            None if self.job_clashes > 0 => self.job_ids.get(id).copied(),
            slot => slot,
        }
    }

    /// Enters a job's id.
    pub(crate) fn name_job(&mut self, id: &JobId, slot: JobSlot) {
        self.job_ids.insert(Arc::new(id.clone()), slot);
        let hash = JobHash::from(id);
        if self.job_hashes.contains_key(&hash) {
            self.job_clashes += 1;
        } else {
            self.job_hashes.insert(hash, slot);
        }
    }

    /// Takes a job's id out.
    pub(crate) fn unname_job(&mut self, id: &JobId) {
        let slot = self.job_ids.remove(id);
        let hash = JobHash::from(id);
        if slot.is_some() && self.job_hashes.get(&hash).copied() == slot {
            self.job_hashes.remove(&hash);
        }
    }

    /// A job by slot.
    pub fn job_at(&self, slot: JobSlot) -> Option<&Arc<JobRow>> {
        self.jobs.get(&slot)
    }

    /// All jobs by namespace and id.
    pub fn jobs(&self) -> impl DoubleEndedIterator<Item = &Arc<JobRow>> {
        self.job_ids.iter().filter_map(|(_, slot)| self.jobs.get(slot))
    }

    /// The jobs whose ids lie in a range, by namespace and id.
    pub fn jobs_by_id(&self, ids: impl RangeBounds<JobId>) -> impl DoubleEndedIterator<Item = &Arc<JobRow>> {
        self.job_ids.range::<_, JobId>(ids).filter_map(|(_, slot)| self.jobs.get(slot))
    }

    /// The children of a job in the order of their making.
    pub fn children<'a>(&'a self, parent: &JobId) -> impl DoubleEndedIterator<Item = &'a Arc<JobRow>> {
        let hash = JobHash::from(parent);
        self.children
            .range((hash, first())..=(hash, last()))
            .filter_map(|((_, slot), ())| self.jobs.get(slot))
            .filter(move |row| row.id().namespace == parent.namespace && row.job().parent_id == parent.id)
    }

    /// The child that was dispatched with this token.
    pub fn dispatched(&self, parent: &JobId, token: &str) -> Option<&Arc<JobRow>> {
        self.jobs.get(self.dispatch_tokens.get(&(parent.clone(), Arc::from(token)))?)
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The jobs that run on every node.
    pub fn system_jobs(&self) -> impl Iterator<Item = &Arc<JobRow>> {
        self.system_jobs.iter().filter_map(|(slot, ())| self.jobs.get(slot))
    }

    /// The jobs whose children run at set times.
    pub fn periodic_jobs(&self) -> impl Iterator<Item = &Arc<JobRow>> {
        self.periodic_jobs.iter().filter_map(|(slot, ())| self.jobs.get(slot))
    }

    /// The nodes with a drain under way.
    pub fn draining(&self) -> impl Iterator<Item = (NodeSlot, &Arc<NodeRow>)> {
        self.draining.iter().filter_map(|(slot, ())| self.nodes.get(slot).map(|row| (*slot, row)))
    }

    /// Enters a job into the indexes over jobs, as it is now.
    pub(crate) fn index_job(&mut self, slot: JobSlot, job: &Job) {
        if matches!(job.kind, JobType::System | JobType::Sysbatch) && !job.is_parent() {
            self.system_jobs.insert(slot, ());
        }
        if job.is_periodic() {
            self.periodic_jobs.insert(slot, ());
        } else {
            self.periodic_jobs.remove(&slot);
        }
        if !job.parent_id.is_empty() {
            if !job.dispatch_idempotency_token.is_empty() {
                let parent = JobId { namespace: job.id.namespace.clone(), id: job.parent_id.clone() };
                self.dispatch_tokens.insert((parent, Arc::from(job.dispatch_idempotency_token.as_str())), slot);
            }
            self.children.insert((JobHash::of(&job.id.namespace, &job.parent_id), slot), ());
        }
    }

    /// Takes a job out of the indexes over jobs.
    pub(crate) fn unindex_job(&mut self, slot: JobSlot, job: &Job) {
        self.system_jobs.remove(&slot);
        self.periodic_jobs.remove(&slot);
        if !job.parent_id.is_empty() {
            if !job.dispatch_idempotency_token.is_empty() {
                let parent = JobId { namespace: job.id.namespace.clone(), id: job.parent_id.clone() };
                self.dispatch_tokens.remove(&(parent, Arc::from(job.dispatch_idempotency_token.as_str())));
            }
            self.children.remove(&(JobHash::of(&job.id.namespace, &job.parent_id), slot));
        }
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> Option<&Arc<NodeRow>> {
        self.nodes.get(self.node_ids.get(&id)?)
    }

    /// A node's slot.
    pub fn node_slot(&self, id: NodeId) -> Option<NodeSlot> {
        self.node_ids.get(&id).copied()
    }

    /// A node by slot.
    pub fn node_at(&self, slot: NodeSlot) -> Option<&Arc<NodeRow>> {
        self.nodes.get(&slot)
    }

    /// The nodes whose ids lie in a range, by id.
    pub fn nodes_by_id(&self, ids: RangeInclusive<NodeId>) -> impl DoubleEndedIterator<Item = &Arc<NodeRow>> {
        self.node_ids.range(ids).filter_map(|(_, slot)| self.nodes.get(slot))
    }

    /// All nodes by id.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = (NodeSlot, &Arc<NodeRow>)> {
        self.node_ids.iter().filter_map(|(_, slot)| self.nodes.get(slot).map(|row| (*slot, row)))
    }

    /// An allocation.
    pub fn alloc(&self, id: AllocId) -> Option<&Arc<Alloc>> {
        self.allocs.get(self.alloc_ids.get(&id)?)
    }

    /// An allocation by slot.
    pub fn alloc_at(&self, slot: AllocSlot) -> Option<&Arc<Alloc>> {
        self.allocs.get(&slot)
    }

    /// All allocations in the order of their placement.
    pub fn allocs(&self) -> impl DoubleEndedIterator<Item = &Arc<Alloc>> {
        self.allocs.iter().map(|(_, row)| row)
    }

    /// The allocations whose ids lie in a range, by id.
    pub fn allocs_by_id(&self, ids: RangeInclusive<AllocId>) -> impl DoubleEndedIterator<Item = &Arc<Alloc>> {
        self.alloc_ids.range(ids).filter_map(|(_, slot)| self.allocs.get(slot))
    }

    /// The allocations that entries in a range made, in the order of their placement.
    pub fn allocs_created(&self, indexes: RangeInclusive<Index>) -> impl DoubleEndedIterator<Item = &Arc<Alloc>> {
        self.allocs.range(self.slots(&self.allocs, indexes, |alloc| alloc.create_index)).map(|(_, row)| row)
    }

    /// The slots of what entries in a range made. Slots are given out in the order of the log.
    fn slots<K, R>(
        &self,
        table: &OrdMap<crate::rows::Slot<K>, Arc<R>>,
        indexes: RangeInclusive<Index>,
        created: impl Fn(&R) -> Index,
    ) -> std::ops::Range<crate::rows::Slot<K>> {
        let first = |index: Index| {
            let (mut low, mut high) = (0, self.next_slot);
            while low < high {
                let middle = low + (high - low) / 2;
                match table.range(crate::rows::Slot::new(middle)..).next() {
                    Some((slot, row)) if created(row) < index => low = slot.get() + 1,
                    _ => high = middle,
                }
            }
            low
        };
        let from = first(*indexes.start());
        let to = indexes.end().checked_add(1).map_or(self.next_slot, first);
        crate::rows::Slot::new(from)..crate::rows::Slot::new(to.max(from))
    }

    /// The allocations of a job in the order of their placement.
    pub fn allocs_of_job(&self, slot: JobSlot) -> impl Iterator<Item = &Arc<Alloc>> {
        self.allocs_by_job.range((slot, first())..=(slot, last())).filter_map(|((_, alloc), ())| self.allocs.get(alloc))
    }

    /// The allocations of a node in the order of their placement.
    pub fn allocs_of_node(&self, slot: NodeSlot) -> impl Iterator<Item = &Arc<Alloc>> {
        self.allocs_by_node.range((slot, first())..=(slot, last())).filter_map(|((_, alloc), ())| self.allocs.get(alloc))
    }

    /// The allocations that an evaluation placed.
    pub fn allocs_of_eval(&self, id: EvalId) -> impl Iterator<Item = &Arc<Alloc>> {
        self.allocs_by_eval.range((id, first())..=(id, last())).filter_map(|((_, alloc), ())| self.allocs.get(alloc))
    }

    /// The allocations of a deployment.
    pub fn allocs_of_deployment(&self, id: DeploymentId) -> impl Iterator<Item = &Arc<Alloc>> {
        self.allocs_by_deployment.range((id, first())..=(id, last())).filter_map(|((_, alloc), ())| self.allocs.get(alloc))
    }

    /// An evaluation.
    pub fn eval(&self, id: EvalId) -> Option<&Arc<Evaluation>> {
        self.evals.get(self.eval_ids.get(&id)?)
    }

    /// All evaluations in the order of their creation.
    pub fn evals(&self) -> impl DoubleEndedIterator<Item = &Arc<Evaluation>> {
        self.evals.iter().map(|(_, row)| row)
    }

    /// The evaluations whose ids lie in a range, by id.
    pub fn evals_by_id(&self, ids: RangeInclusive<EvalId>) -> impl DoubleEndedIterator<Item = &Arc<Evaluation>> {
        self.eval_ids.range(ids).filter_map(|(_, slot)| self.evals.get(slot))
    }

    /// The evaluations that entries in a range made, in that order.
    pub fn evals_created(&self, indexes: RangeInclusive<Index>) -> impl DoubleEndedIterator<Item = &Arc<Evaluation>> {
        self.evals.range(self.slots(&self.evals, indexes, |eval| eval.create_index)).map(|(_, row)| row)
    }

    /// The evaluations of a job in the order of their creation.
    pub fn evals_of_job<'a>(&'a self, id: &JobId) -> impl Iterator<Item = &'a Arc<Evaluation>> {
        let hash = JobHash::from(id);
        self.evals_by_job
            .range((hash, first())..=(hash, last()))
            .filter_map(|((_, eval), ())| self.evals.get(eval))
            .filter(move |eval| eval.job_id == *id)
    }

    /// A deployment.
    pub fn deployment(&self, id: DeploymentId) -> Option<&Arc<Deployment>> {
        self.deployments.get(self.deployment_ids.get(&id)?)
    }

    /// All deployments in the order of their creation.
    pub fn deployments(&self) -> impl DoubleEndedIterator<Item = &Arc<Deployment>> {
        self.deployments.iter().map(|(_, row)| row)
    }

    /// The deployments whose ids lie in a range, by id.
    pub fn deployments_by_id(&self, ids: RangeInclusive<DeploymentId>) -> impl DoubleEndedIterator<Item = &Arc<Deployment>> {
        self.deployment_ids.range(ids).filter_map(|(_, slot)| self.deployments.get(slot))
    }

    /// The deployments that entries in a range made, in that order.
    pub fn deployments_created(&self, indexes: RangeInclusive<Index>) -> impl DoubleEndedIterator<Item = &Arc<Deployment>> {
        self.deployments.range(self.slots(&self.deployments, indexes, |deployment| deployment.create_index)).map(|(_, row)| row)
    }

    /// The deployments of a job in the order of their creation.
    pub fn deployments_of_job<'a>(&'a self, id: &JobId) -> impl DoubleEndedIterator<Item = &'a Arc<Deployment>> {
        let hash = JobHash::from(id);
        self.deployments_by_job
            .range((hash, first())..=(hash, last()))
            .filter_map(|((_, deployment), ())| self.deployments.get(deployment))
            .filter(move |deployment| deployment.job_id == *id)
    }

    /// The newest deployment of the job that is registered now.
    pub fn latest_deployment(&self, id: &JobId) -> Option<&Arc<Deployment>> {
        let create_index = self.job(id)?.job().create_index;
        self.deployments_of_job(id).rev().find(|deployment| deployment.job_create_index == create_index)
    }

    /// Where there is room.
    pub fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    /// The settings of the scheduler.
    pub fn scheduler_config(&self) -> &Arc<SchedulerConfig> {
        &self.scheduler_config
    }

    /// A node pool by name.
    pub fn node_pool(&self, name: &str) -> Option<&Arc<NodePool>> {
        self.node_pools.get(name)
    }

    /// All node pools by name; those that are built in are always there.
    pub fn node_pools(&self) -> impl DoubleEndedIterator<Item = &Arc<NodePool>> {
        self.node_pools.iter().map(|(_, pool)| pool)
    }

    /// A namespace by name.
    pub fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.namespaces.get(name)
    }

    /// All namespaces by name; `default` is always there.
    pub fn namespaces(&self) -> impl DoubleEndedIterator<Item = &Arc<Namespace>> {
        self.namespaces.iter().map(|(_, namespace)| namespace)
    }

    /// The jobs of a namespace by id.
    pub fn jobs_in(&self, namespace: &str) -> impl Iterator<Item = &Arc<JobRow>> {
        let first = JobId { namespace: namespace.to_owned(), id: String::new() };
        let rows = self.job_ids.range(first.clone()..);
        rows.take_while(move |(id, _)| id.namespace == first.namespace).filter_map(|(_, slot)| self.jobs.get(slot))
    }

    /// What always exists, where a new region and an old snapshot do not have it.
    pub(crate) fn with_built_ins(mut self) -> Self {
        for name in [NODE_POOL_ALL, NODE_POOL_DEFAULT] {
            if !self.node_pools.contains_key(name) {
                self.node_pools.insert(Arc::from(name), Arc::new(NodePool::built_in(name)));
            }
        }
        if !self.namespaces.contains_key(NAMESPACE_DEFAULT) {
            self.namespaces.insert(Arc::from(NAMESPACE_DEFAULT), Arc::new(Namespace::built_in()));
        }
        self
    }

    /// All service registrations by namespace, name and id.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceRegistration>> {
        self.services.iter().map(|(_, row)| row)
    }

    /// The registrations of a service.
    pub fn services_named(&self, namespace: &str, name: &str) -> impl Iterator<Item = &Arc<ServiceRegistration>> {
        let (namespace, name): (Arc<str>, Arc<str>) = (Arc::from(namespace), Arc::from(name));
        let start = (Arc::clone(&namespace), Arc::clone(&name), Arc::from(""));
        self.services
            .range(start..)
            .take_while(move |((of_namespace, of_name, _), _)| *of_namespace == namespace && *of_name == name)
            .map(|(_, row)| row)
    }

    /// A registration.
    pub fn service(&self, namespace: &str, id: &str) -> Option<&Arc<ServiceRegistration>> {
        let (namespace, id): (Arc<str>, Arc<str>) = (Arc::from(namespace), Arc::from(id));
        let name = self.service_ids.get(&(Arc::clone(&namespace), Arc::clone(&id)))?;
        self.services.get(&(namespace, Arc::clone(name), id))
    }

    /// The registrations of an allocation.
    pub fn services_of_alloc(&self, alloc: AllocId) -> impl Iterator<Item = &Arc<ServiceRegistration>> {
        self.services_by_alloc
            .range((alloc, Arc::from(""), Arc::from(""))..)
            .take_while(move |((of, _, _), ())| *of == alloc)
            .filter_map(|((_, namespace, id), ())| self.service(namespace, id))
    }
}

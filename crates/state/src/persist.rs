//! Snapshots as bytes: a header, then rows of each table, sharing what rows share.
//!
//! The same bytes come from equal states, so their hash compares replicas (INV-16). Counters that follow from the rows
//! are not written; they are recounted when a snapshot is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::WallTime;
use drover_model::acl::{AclObjects, PolicyRow};
use drover_model::command::FORMAT;
use drover_model::variable::{RootKey, Variable};
use drover_model::{
    AllocatedResources, AutopilotConfig, Deployment, Evaluation, Job, JobId, Namespace, NodePool, PlacementMetrics, SchedulerConfig,
    ServiceRegistration,
};
use minicbor::decode::Error as CborError;
use minicbor::{Decoder, Encoder};

use crate::rows::{Alloc, JobRow, JobStatus, NodeRow, Rare, RareFields, Slot};
use crate::tables::{Snapshot, Table};
use crate::usage::Ask;

/// A snapshot that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Written by a newer build.
    #[error("snapshot has format {found}, this build reads up to {supported}")]
    TooNew {
        /// Its format.
        found: u32,
        /// The highest this build reads.
        supported: u32,
    },
    /// Not a snapshot.
    #[error("snapshot cannot be read: {0}")]
    Malformed(String),
}

impl From<CborError> for RestoreError {
    fn from(error: CborError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Gives each shared value a number in order of first use.
struct Pool<T> {
    numbers: BTreeMap<usize, u32>,
    values: Vec<Arc<T>>,
}

impl<T> Pool<T> {
    fn new() -> Self {
        Self { numbers: BTreeMap::new(), values: Vec::new() }
    }

    fn number(&mut self, value: &Arc<T>) -> u32 {
        let next = u32::try_from(self.values.len()).expect("tables hold less than 2³² rows");
        *self.numbers.entry(Arc::as_ptr(value) as usize).or_insert_with(|| {
            self.values.push(Arc::clone(value));
            next
        })
    }
}

type Out<'a> = Encoder<&'a mut Vec<u8>>;

/// The bytes of a snapshot.
pub fn write_snapshot(state: &Snapshot) -> Vec<u8> {
    let mut out = Vec::new();
    let mut e = Encoder::new(&mut out);
    let written = write_all(&mut e, state);
    assert!(written.is_ok(), "a vector takes every byte");
    out
}

fn write_all(e: &mut Out<'_>, state: &Snapshot) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    e.array(10)?.u32(FORMAT)?;
    e.array(4)?.u64(state.index)?.encode(state.time)?.u32(state.feature_level)?.u32(state.next_slot)?;
    e.encode(state.table_index.to_vec())?;
    e.array(state.jobs.len() as u64)?;
    for (slot, row) in &state.jobs {
        e.array(2)?.encode(slot)?.encode(row.as_ref())?;
    }
    e.array(state.nodes.len() as u64)?;
    for (slot, row) in &state.nodes {
        e.array(2)?.encode(slot)?.encode(row.as_ref())?;
    }
    let (mut jobs, mut resources, mut metrics) = (Pool::<Job>::new(), Pool::<AllocatedResources>::new(), Pool::<PlacementMetrics>::new());
    let mut rows = Vec::new();
    let mut row_encoder = Encoder::new(&mut rows);
    for (slot, alloc) in &state.allocs {
        write_alloc(
            &mut row_encoder,
            *slot,
            alloc,
            jobs.number(&alloc.job),
            resources.number(&alloc.resources),
            metrics.number(&alloc.metrics),
        )?;
    }
    e.array(4)?;
    e.array(jobs.values.len() as u64)?;
    for job in &jobs.values {
        e.encode(job.as_ref())?;
    }
    e.array(resources.values.len() as u64)?;
    for value in &resources.values {
        e.encode(value.as_ref())?;
    }
    e.array(metrics.values.len() as u64)?;
    for value in &metrics.values {
        e.encode(value.as_ref())?;
    }
    e.array(state.allocs.len() as u64)?;
    e.writer_mut().extend_from_slice(&rows);
    e.array(state.evals.len() as u64)?;
    for (slot, row) in &state.evals {
        e.array(2)?.encode(slot)?.encode(row.as_ref())?;
    }
    e.array(state.deployments.len() as u64)?;
    for (slot, row) in &state.deployments {
        e.array(2)?.encode(slot)?.encode(row.as_ref())?;
    }
    e.array(state.services.len() as u64)?;
    for (_, row) in &state.services {
        e.encode(row.as_ref())?;
    }
    e.array(8)?;
    e.array(2)?.u32(section::SCHEDULER_CONFIG)?.encode(state.scheduler_config.as_ref())?;
    e.array(2)?.u32(section::NODE_POOLS)?.array(state.node_pools.len() as u64)?;
    for (_, pool) in &state.node_pools {
        e.encode(pool.as_ref())?;
    }
    e.array(2)?.u32(section::NAMESPACES)?.array(state.namespaces.len() as u64)?;
    for (_, namespace) in &state.namespaces {
        e.encode(namespace.as_ref())?;
    }
    let acl = &state.acl;
    let objects = AclObjects {
        policies: acl.policies.iter().map(|(_, row)| row.policy.clone()).collect(),
        tokens: acl.tokens.iter().map(|(_, token)| token.as_ref().clone()).collect(),
        roles: acl.roles.iter().map(|(_, role)| role.as_ref().clone()).collect(),
        auth_methods: acl.auth_methods.iter().map(|(_, method)| method.as_ref().clone()).collect(),
        binding_rules: acl.binding_rules.iter().map(|(_, rule)| rule.as_ref().clone()).collect(),
        one_time_tokens: acl.one_time_tokens.iter().map(|(_, token)| token.as_ref().clone()).collect(),
    };
    e.array(2)?.u32(section::ACL)?.array(2)?.u64(acl.bootstrap_index)?.encode(objects)?;
    e.array(2)?.u32(section::ROOT_KEYS)?.array(state.root_keys.len() as u64)?;
    for (_, key) in &state.root_keys {
        e.encode(key.as_ref())?;
    }
    e.array(2)?.u32(section::VARIABLES)?.array(state.variables.len() as u64)?;
    for (_, variable) in &state.variables {
        e.encode(variable.as_ref())?;
    }
    e.array(2)?.u32(section::AUTOPILOT)?.encode(state.autopilot.as_deref())?;
    e.array(2)?.u32(section::AHEAD_OF_LOG)?.u64(state.ahead_of_log)?;
    Ok(())
}

fn write_alloc(
    e: &mut Out<'_>,
    slot: Slot<Alloc>,
    alloc: &Alloc,
    job: u32,
    resources: u32,
    metrics: u32,
) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    let Alloc {
        id,
        job_slot,
        job: _,
        group,
        index,
        node_slot,
        node_id,
        eval_id,
        deployment,
        canary,
        health,
        resources: _,
        desired,
        transition,
        client_status,
        tasks,
        rare,
        metrics: _,
        create_index,
        modify_index,
        alloc_modify_index,
        create_time,
        modify_time,
        job_status,
    } = alloc;
    let RareFields {
        desired_description,
        client_description,
        followup_eval,
        previous,
        next,
        reschedules,
        reschedule_outcome,
        preempted,
        preempted_by,
        contacts,
    } = &**rare;
    e.array(34)?.encode(slot)?.encode(id)?.encode(job_slot)?.u32(job)?.u16(*group)?.u32(*index)?;
    e.encode(node_slot)?.encode(node_id)?.encode(eval_id)?.encode(deployment)?.bool(*canary)?.encode(health)?;
    e.u32(resources)?.encode(desired)?.encode(desired_description.as_deref())?.encode(transition)?.encode(client_status)?;
    e.encode(client_description.as_deref())?.encode(tasks)?.encode(followup_eval)?.encode(previous)?.encode(next)?;
    e.encode(reschedules.as_deref())?.u32(metrics)?.u64(*create_index)?.u64(*modify_index)?;
    e.u64(*alloc_modify_index)?.encode(create_time)?.encode(modify_time)?;
    // Later fields, by position: readers pass over what they do not know.
    e.encode(reschedule_outcome)?.encode(contacts.as_deref())?;
    e.encode(preempted.as_deref())?.encode(preempted_by)?.encode(job_status)?;
    Ok(())
}

/// Sections that follow the tables of the first format, by number. A reader skips those that it does not know, so none
/// may hold what it must not overlook.
mod section {
    pub(super) const SCHEDULER_CONFIG: u32 = 1;
    pub(super) const NODE_POOLS: u32 = 2;
    pub(super) const NAMESPACES: u32 = 3;
    pub(super) const ACL: u32 = 4;
    pub(super) const ROOT_KEYS: u32 = 5;
    pub(super) const VARIABLES: u32 = 6;
    pub(super) const AUTOPILOT: u32 = 7;
    pub(super) const AHEAD_OF_LOG: u32 = 8;
}

/// Reads snapshots.
#[derive(Debug)]
pub struct SnapshotReader;

impl SnapshotReader {
    /// The state of a snapshot's bytes.
    ///
    /// # Errors
    /// When a newer build wrote them or they are damaged.
    pub fn read(bytes: &[u8]) -> Result<Snapshot, RestoreError> {
        let mut d = Decoder::new(bytes);
        length(&mut d)?;
        let found = d.u32()?;
        if found > FORMAT {
            return Err(RestoreError::TooNew { found, supported: FORMAT });
        }
        length(&mut d)?;
        let mut state = Snapshot {
            index: d.u64()?,
            time: d.decode::<WallTime>()?,
            feature_level: d.u32()?,
            next_slot: d.u32()?,
            ..Snapshot::default()
        };
        let indexes: Vec<u64> = d.decode()?;
        for (to, from) in state.table_index.iter_mut().zip(indexes) {
            *to = from;
        }
        for _ in 0..length(&mut d)? {
            length(&mut d)?;
            let (slot, row): (_, JobRow) = (d.decode()?, d.decode()?);
            if row.versions.is_empty() {
                return Err(RestoreError::Malformed("a job without versions".to_owned()));
            }
            state.name_job(row.id(), slot);
            state.jobs.insert(slot, Arc::new(row));
        }
        for _ in 0..length(&mut d)? {
            length(&mut d)?;
            let (slot, row): (_, NodeRow) = (d.decode()?, d.decode()?);
            state.node_ids.insert(row.node.id, slot);
            state.nodes.insert(slot, Arc::new(row));
        }
        share_groups(&mut state);
        Self::read_allocs(&mut d, &mut state)?;
        for _ in 0..length(&mut d)? {
            length(&mut d)?;
            let (slot, row): (_, Evaluation) = (d.decode()?, d.decode()?);
            state.eval_ids.insert(row.id, slot);
            state.evals_by_job.insert(((&row.job_id).into(), slot), ());
            state.evals.insert(slot, Arc::new(row));
        }
        for _ in 0..length(&mut d)? {
            length(&mut d)?;
            let (slot, row): (_, Deployment) = (d.decode()?, d.decode()?);
            state.deployment_ids.insert(row.id, slot);
            state.deployments_by_job.insert(((&row.job_id).into(), slot), ());
            state.deployments.insert(slot, Arc::new(row));
        }
        for _ in 0..length(&mut d)? {
            let row: ServiceRegistration = d.decode()?;
            let text = |text: &str| Arc::<str>::from(text);
            let (namespace, name, id) = (text(&row.namespace), text(&row.service_name), text(&row.id));
            state.services_by_alloc.insert((row.alloc_id, Arc::clone(&namespace), Arc::clone(&id)), ());
            state.service_ids.insert((Arc::clone(&namespace), Arc::clone(&id)), Arc::clone(&name));
            state.services.insert((namespace, name, id), Arc::new(row));
        }
        Self::read_sections(&mut d, &mut state)?;
        let mut state = state.with_built_ins();
        recount(&mut state);
        Ok(state)
    }

    fn read_sections(d: &mut Decoder<'_>, state: &mut Snapshot) -> Result<(), RestoreError> {
        state.scheduler_config = Arc::new(SchedulerConfig::initial());
        for _ in 0..length(d)? {
            length(d)?;
            match d.u32()? {
                section::SCHEDULER_CONFIG => state.scheduler_config = Arc::new(d.decode()?),
                section::NODE_POOLS => {
                    for _ in 0..length(d)? {
                        let pool: NodePool = d.decode()?;
                        state.node_pools.insert(Arc::from(pool.name.as_str()), Arc::new(pool));
                    }
                }
                section::NAMESPACES => {
                    for _ in 0..length(d)? {
                        let namespace: Namespace = d.decode()?;
                        state.namespaces.insert(Arc::from(namespace.name.as_str()), Arc::new(namespace));
                    }
                }
                section::ROOT_KEYS => {
                    for _ in 0..length(d)? {
                        let key: RootKey = d.decode()?;
                        state.root_keys.insert(Arc::from(key.id.as_str()), Arc::new(key));
                    }
                }
                section::VARIABLES => {
                    for _ in 0..length(d)? {
                        let variable: Variable = d.decode()?;
                        let key = (Arc::from(variable.namespace.as_str()), Arc::from(variable.path.as_str()));
                        state.variables.insert(key, Arc::new(variable));
                    }
                }
                section::AUTOPILOT => state.autopilot = d.decode::<Option<AutopilotConfig>>()?.map(Arc::new),
                section::AHEAD_OF_LOG => state.ahead_of_log = d.u64()?,
                section::ACL => {
                    length(d)?;
                    state.acl.bootstrap_index = d.u64()?;
                    let objects: AclObjects = d.decode()?;
                    objects.policies.into_iter().for_each(|policy| state.acl.put_policy(Arc::new(PolicyRow::new(policy))));
                    objects.tokens.into_iter().for_each(|token| state.acl.put_token(Arc::new(token)));
                    let acl = &mut state.acl;
                    acl.roles = objects.roles.into_iter().map(|role| (Arc::from(role.id.as_str()), Arc::new(role))).collect();
                    acl.auth_methods =
                        objects.auth_methods.into_iter().map(|method| (Arc::from(method.name.as_str()), Arc::new(method))).collect();
                    acl.binding_rules =
                        objects.binding_rules.into_iter().map(|rule| (Arc::from(rule.id.as_str()), Arc::new(rule))).collect();
                    acl.one_time_tokens =
                        objects.one_time_tokens.into_iter().map(|token| (Arc::from(token.secret.as_str()), Arc::new(token))).collect();
                }
                _ => d.skip()?,
            }
        }
        Ok(())
    }

    fn read_allocs(d: &mut Decoder<'_>, state: &mut Snapshot) -> Result<(), RestoreError> {
        length(d)?;
        let jobs: Vec<Arc<Job>> = pool(d)?;
        // A version that a job still has is shared with it again.
        let jobs: Vec<Arc<Job>> = jobs
            .into_iter()
            .map(|job| {
                let kept = state.job(&job.id).and_then(|row| row.version(job.version)).map(|entry| &entry.job);
                kept.filter(|kept| ***kept == *job).cloned().unwrap_or(job)
            })
            .collect();
        let resources: Vec<Arc<AllocatedResources>> = pool(d)?;
        let metrics: Vec<Arc<PlacementMetrics>> = pool(d)?;
        let shared = |missing: &str| RestoreError::Malformed(format!("an allocation names {missing} that is not there"));
        for _ in 0..length(d)? {
            let fields = length(d)?;
            let slot = d.decode()?;
            let id = d.decode()?;
            let job_slot = d.decode()?;
            let job = jobs.get(d.u32()? as usize).cloned().ok_or_else(|| shared("a job"))?;
            let group = d.u16()?;
            if usize::from(group) >= job.task_groups.len() {
                return Err(shared("a group"));
            }
            let mut rare = RareFields::default();
            let mut alloc = Alloc {
                id,
                job_slot,
                job,
                group,
                index: d.u32()?,
                node_slot: d.decode()?,
                node_id: d.decode()?,
                eval_id: d.decode()?,
                deployment: d.decode()?,
                canary: d.bool()?,
                health: d.decode()?,
                resources: resources.get(d.u32()? as usize).cloned().ok_or_else(|| shared("resources"))?,
                desired: d.decode()?,
                transition: {
                    rare.desired_description = d.decode::<Option<&str>>()?.map(Arc::from);
                    d.decode()?
                },
                client_status: d.decode()?,
                tasks: {
                    rare.client_description = d.decode::<Option<&str>>()?.map(Arc::from);
                    d.decode()?
                },
                rare: {
                    rare.followup_eval = d.decode()?;
                    rare.previous = d.decode()?;
                    rare.next = d.decode()?;
                    rare.reschedules = d.decode::<Option<Vec<_>>>()?.map(Arc::new);
                    Rare::default()
                },
                metrics: metrics.get(d.u32()? as usize).cloned().ok_or_else(|| shared("metrics"))?,
                create_index: d.u64()?,
                modify_index: d.u64()?,
                alloc_modify_index: d.u64()?,
                create_time: d.decode()?,
                modify_time: d.decode()?,
                job_status: JobStatus::Pending,
            };
            for field in 29..fields {
                match field {
                    29 => rare.reschedule_outcome = d.decode()?,
                    30 => rare.contacts = d.decode::<Option<Vec<_>>>()?.map(Arc::new),
                    31 => rare.preempted = d.decode::<Option<Vec<_>>>()?.map(Arc::new),
                    32 => rare.preempted_by = d.decode()?,
                    33 => alloc.job_status = d.decode()?,
                    _ => d.skip()?,
                }
            }
            alloc.rare = rare.into();
            state.index_alloc(slot, &alloc);
            state.allocs.insert(slot, Arc::new(alloc));
        }
        Ok(())
    }
}

fn length(d: &mut Decoder<'_>) -> Result<u64, RestoreError> {
    d.array()?.ok_or_else(|| RestoreError::Malformed("a list without a length".to_owned()))
}

fn pool<T: for<'b> minicbor::Decode<'b, ()>>(d: &mut Decoder<'_>) -> Result<Vec<Arc<T>>, RestoreError> {
    let mut values = Vec::new();
    for _ in 0..length(d)? {
        values.push(Arc::new(d.decode::<T>()?));
    }
    Ok(values)
}

/// Lets children share what they run with the version of their parent that they were made from, as they did before; to be
/// done before anything else shares the children.
fn share_groups(state: &mut Snapshot) {
    let jobs = state.jobs.clone();
    for (slot, row) in &jobs {
        let job = row.job();
        if job.parent_id.is_empty() {
            continue;
        }
        let parent = JobId { namespace: job.id.namespace.clone(), id: job.parent_id.clone() };
        let Some(parent) = state.job(&parent) else { continue };
        let made_from = parent.versions.iter().find(|version| version.job.task_groups == job.task_groups);
        let Some(shared) = made_from.map(|version| Arc::clone(&version.job.task_groups)) else { continue };
        if let Some(child) = state.jobs.get_mut(slot) {
            let newest = &mut Arc::make_mut(child).versions[0].job;
            Arc::make_mut(newest).task_groups = shared;
        }
    }
}

/// Counts what follows from the rows.
pub(crate) fn recount(state: &mut Snapshot) {
    let jobs = state.jobs.clone();
    for (slot, row) in &jobs {
        state.index_job(*slot, row.job());
        let job = row.job();
        if job.parent_id.is_empty() {
            continue;
        }
        let parent = JobId { namespace: job.id.namespace.clone(), id: job.parent_id.clone() };
        let Some(parent) = state.job_slot(&parent).and_then(|slot| state.jobs.get_mut(&slot)) else { continue };
        let parent = Arc::make_mut(parent);
        *parent.children.of(row.status) += 1;
    }
    state.draining = state.nodes.iter().filter(|(_, row)| row.drain.is_some()).map(|(slot, _)| (*slot, ())).collect();
    let allocs = state.allocs.clone();
    for (_, alloc) in &allocs {
        let ask = Ask::of(&alloc.resources);
        if let Some(node) = state.nodes.get_mut(&alloc.node_slot) {
            let node = Arc::make_mut(node);
            if !alloc.terminal() {
                node.live.add(&ask);
            }
            if !alloc.client_terminal() {
                node.held.add(&ask);
            }
        }
        if !alloc.terminal()
            && let Some(job) = state.jobs.get_mut(&alloc.job_slot)
        {
            Arc::make_mut(job).live_allocs += 1;
        }
    }
    for (slot, _) in state.nodes.clone() {
        if let Some(row) = state.nodes.get_mut(&slot) {
            state.capacity.update(slot, Arc::make_mut(row));
        }
    }
    let evals = state.evals.clone();
    for (_, eval) in &evals {
        if !eval.status.is_terminal()
            && let Some(slot) = state.job_slot(&eval.job_id)
            && let Some(job) = state.jobs.get_mut(&slot)
        {
            Arc::make_mut(job).open_evals += 1;
        }
    }
}

impl Snapshot {
    /// The same without the material of root keys: what they encrypted can be read no more.
    #[must_use]
    pub fn without_key_material(mut self) -> Self {
        let bare = |key: &Arc<RootKey>| RootKey {
            wrapping_key: Vec::new(),
            wrapped_encryption_key: Vec::new(),
            wrapped_signing_key: Vec::new(),
            ..key.as_ref().clone()
        };
        self.root_keys = self.root_keys.iter().map(|(id, key)| (Arc::clone(id), Arc::new(bare(key)))).collect();
        self
    }

    /// A hash of everything in the state; equal states have equal hashes (FNV-1a over the snapshot's bytes).
    pub fn state_hash(&self) -> u64 {
        write_snapshot(self).iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }

    /// The tables, for tests that walk them.
    pub fn tables() -> &'static [Table] {
        Table::ALL
    }
}

//! Jobs and task groups.
//!
//! A [`Job`] is one version and never changes; what does change about a job (status, stability) is the state store's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drover_api as api;
use drover_base::WallTime;
use minicbor::{Decode, Encode};

use crate::change::{Change, Effect};
use crate::mirror::{Carried, Mirror, Text, null_if_empty, null_if_empty_map, number};
use crate::policy::{DisconnectStrategy, MigrateStrategy, ReschedulePolicy, RestartPolicy, UpdateStrategy};
use crate::resources::{EphemeralDisk, NetworkResource};
use crate::service::Service;
use crate::task::Task;

text_enum! {
    /// How a job's allocations are placed and what their end means.
    JobType { 0 Service = "service", 1 Batch = "batch", 2 System = "system", 3 Sysbatch = "sysbatch", }
}

impl JobType {
    /// Whether a successful end of a task is the goal.
    pub fn is_batch(self) -> bool {
        matches!(self, Self::Batch | Self::Sysbatch)
    }
}

/// What identifies a job in a region.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct JobId {
    /// The namespace.
    #[n(0)]
    pub namespace: String,
    /// The id within the namespace.
    #[n(1)]
    pub id: String,
}

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.id, self.namespace)
    }
}

mirror! {
    /// A condition that a node must meet.
    Constraint: Constraint {
        0 same l_target: String,
        1 same r_target: String,
        2 same operand: String,
    }
}

mirror! {
    /// A preference for nodes that meet a condition.
    Affinity: Affinity {
        0 same l_target: String,
        1 same r_target: String,
        2 same operand: String,
        /// -100…100, not 0; negative ones repel.
        3 number_absent weight: i32,
    }
}

mirror! {
    /// A share of a spread.
    SpreadTarget: SpreadTarget {
        0 same value: String,
        1 number percent: u8,
    }
}

mirror! {
    /// A wish to spread a group over the values of an attribute.
    Spread: Spread {
        0 same attribute: String,
        1 number_absent weight: i32,
        2 domains spread_target: Vec<SpreadTarget>,
    }
}

/// A set of tasks that run together on one node.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode, drover_macros::Change)]
pub struct TaskGroup {
    /// The name, unique in the job.
    #[n(0)]
    #[change(ignore, untold)]
    pub name: String,
    /// How many allocations are wanted.
    #[n(1)]
    #[change(in_place)]
    pub count: u32,
    /// Conditions on nodes.
    #[n(2)]
    #[cbor(default)]
    #[change(in_place, object = 1)]
    pub constraints: Vec<Constraint>,
    /// Preferences for nodes.
    #[n(3)]
    #[cbor(default)]
    #[change(in_place, object = 2)]
    pub affinities: Vec<Affinity>,
    /// At least one.
    #[n(4)]
    #[change(by = crate::task::effect, untold)]
    pub tasks: Vec<Task>,
    /// Spreads.
    #[n(5)]
    #[cbor(default)]
    #[change(in_place, object = 3)]
    pub spreads: Vec<Spread>,
    /// Volumes by name.
    #[n(6)]
    #[change(replace, object = 13)]
    pub volumes: Option<Carried<BTreeMap<String, Option<api::VolumeRequest>>>>,
    /// Restarts on the node; tasks may override it.
    #[n(7)]
    #[cbor(default)]
    #[change(in_place, object = 4)]
    pub restart_policy: RestartPolicy,
    /// Behaviour when the node loses contact.
    #[n(8)]
    #[change(in_place, object = 5)]
    pub disconnect: Option<DisconnectStrategy>,
    /// Replacement of failed allocations; none for system jobs.
    #[n(9)]
    #[change(in_place, object = 7)]
    pub reschedule_policy: Option<ReschedulePolicy>,
    /// Disk.
    #[n(10)]
    #[cbor(default)]
    #[change(replace, object = 8)]
    pub ephemeral_disk: EphemeralDisk,
    /// Updates in steps.
    #[n(11)]
    #[change(in_place, object = 10)]
    pub update: Option<UpdateStrategy>,
    /// Leaving a draining node.
    #[n(12)]
    #[change(in_place, object = 6)]
    pub migrate: Option<MigrateStrategy>,
    /// At most one.
    #[n(13)]
    #[cbor(default)]
    #[change(by = crate::change::each, object = 11)]
    pub networks: Vec<NetworkResource>,
    /// Given to the tasks' environments.
    #[n(14)]
    #[cbor(default)]
    #[change(in_place)]
    pub meta: BTreeMap<String, String>,
    /// Services of the group.
    #[n(15)]
    #[cbor(default)]
    #[change(by = crate::service::effect, object = 12)]
    pub services: Vec<Service>,
    /// The wait between deregistration and the first kill signal.
    #[n(16)]
    #[change(in_place)]
    pub shutdown_delay: Option<Duration>,
    /// Batch: how long an allocation may run.
    #[n(17)]
    #[change(in_place)]
    pub max_run_duration: Option<Duration>,
    /// Deprecated spelling of `disconnect.stop_on_client_after`.
    #[n(18)]
    #[change(in_place)]
    pub stop_after_client_disconnect: Option<Duration>,
    /// Deprecated spelling of `disconnect.lost_after`.
    #[n(19)]
    #[change(in_place)]
    pub max_client_disconnect: Option<Duration>,
    /// Bounds for the autoscaler.
    #[n(20)]
    #[change(in_place, object = 14)]
    pub scaling: Option<Carried<api::ScalingPolicy>>,
    /// Consul settings.
    #[n(21)]
    #[change(replace, object = 9)]
    pub consul: Option<Carried<api::Consul>>,
    /// Deprecated spelling of `disconnect.replace = false`.
    #[n(22)]
    #[cbor(default)]
    #[change(in_place)]
    pub prevent_reschedule_on_lost: bool,
}

impl Mirror for TaskGroup {
    type Api = api::TaskGroup;

    fn from_api(group: api::TaskGroup) -> Self {
        let api::TaskGroup {
            name,
            count,
            constraints,
            affinities,
            tasks,
            spreads,
            volumes,
            restart_policy,
            disconnect,
            reschedule_policy,
            ephemeral_disk,
            update,
            migrate,
            networks,
            meta,
            services,
            shutdown_delay,
            max_run_duration,
            stop_after_client_disconnect,
            max_client_disconnect,
            scaling,
            consul,
            prevent_reschedule_on_lost,
        } = group;
        Self {
            name: name.unwrap_or_default(),
            count: number(count.unwrap_or(1)),
            constraints: mirror!(@from domains constraints),
            affinities: mirror!(@from domains affinities),
            tasks: mirror!(@from domains tasks),
            spreads: mirror!(@from domains spreads),
            volumes: volumes.map(Carried),
            restart_policy: mirror!(@from domain_absent restart_policy),
            disconnect: mirror!(@from domain_maybe disconnect),
            reschedule_policy: mirror!(@from domain_maybe reschedule_policy),
            ephemeral_disk: mirror!(@from domain_absent ephemeral_disk),
            update: mirror!(@from domain_maybe update),
            migrate: mirror!(@from domain_maybe migrate),
            networks: mirror!(@from domains networks),
            meta: meta.unwrap_or_default(),
            services: mirror!(@from domains services),
            shutdown_delay: mirror!(@from nanos_maybe shutdown_delay),
            max_run_duration: mirror!(@from nanos_maybe max_run_duration),
            stop_after_client_disconnect: mirror!(@from nanos_maybe stop_after_client_disconnect),
            max_client_disconnect: mirror!(@from nanos_maybe max_client_disconnect),
            scaling: scaling.map(Carried),
            consul: consul.map(Carried),
            prevent_reschedule_on_lost: prevent_reschedule_on_lost.unwrap_or_default(),
        }
    }

    fn to_api(&self) -> api::TaskGroup {
        let Self {
            name,
            count,
            constraints,
            affinities,
            tasks,
            spreads,
            volumes,
            restart_policy,
            disconnect,
            reschedule_policy,
            ephemeral_disk,
            update,
            migrate,
            networks,
            meta,
            services,
            shutdown_delay,
            max_run_duration,
            stop_after_client_disconnect,
            max_client_disconnect,
            scaling,
            consul,
            prevent_reschedule_on_lost,
        } = self;
        api::TaskGroup {
            name: Some(name.clone()),
            count: Some(i64::from(*count)),
            constraints: mirror!(@to domains constraints),
            affinities: mirror!(@to domains affinities),
            tasks: mirror!(@to domains tasks),
            spreads: mirror!(@to domains spreads),
            volumes: mirror!(@to carried volumes),
            restart_policy: Some(restart_policy.to_api()),
            disconnect: mirror!(@to domain_maybe disconnect),
            reschedule_policy: mirror!(@to domain_maybe reschedule_policy),
            ephemeral_disk: Some(ephemeral_disk.to_api()),
            update: mirror!(@to domain_maybe update),
            migrate: mirror!(@to domain_maybe migrate),
            networks: mirror!(@to domains networks),
            meta: mirror!(@to map meta),
            services: mirror!(@to domains services),
            shutdown_delay: mirror!(@to nanos_maybe shutdown_delay),
            max_run_duration: mirror!(@to nanos_maybe max_run_duration),
            stop_after_client_disconnect: mirror!(@to nanos_maybe stop_after_client_disconnect),
            max_client_disconnect: mirror!(@to nanos_maybe max_client_disconnect),
            scaling: mirror!(@to carried scaling),
            consul: mirror!(@to carried consul),
            prevent_reschedule_on_lost: Some(*prevent_reschedule_on_lost),
        }
    }
}

impl TaskGroup {
    /// The task of this name.
    pub fn task(&self, name: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.name == name)
    }

    /// The restart policy of a task: its own, else the group's.
    pub fn restart_policy_of<'a>(&'a self, task: &'a Task) -> &'a RestartPolicy {
        task.restart_policy.as_ref().unwrap_or(&self.restart_policy)
    }
}

mirror! {
    /// Runs children of a job at set times.
    Periodic: PeriodicConfig {
        0 absent enabled: bool,
        1 absent spec: String,
        2 full_list specs: Vec<String>,
        3 absent spec_type: String,
        4 absent prohibit_overlap: bool,
        5 absent time_zone: String,
    }
}

mirror! {
    /// Makes a job a template for dispatched children.
    Parameterized: ParameterizedJobConfig {
        0 same payload: String,
        1 list meta_required: Vec<String>,
        2 list meta_optional: Vec<String>,
    }
}

mirror! {
    /// A name that a user gave to a job version.
    VersionTag: JobVersionTag {
        0 same name: String,
        1 same description: String,
        2 same tagged_time: i64,
    }
}

/// The pace of updates that a job was registered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Encode, Decode)]
pub struct JobUpdate {
    /// The wait between steps.
    #[n(0)]
    pub stagger: Duration,
    /// Allocations in one step; 0 for all at once.
    #[n(1)]
    pub max_parallel: u32,
}

impl JobUpdate {
    fn from_api(update: Option<api::UpdateStrategy>) -> Self {
        let update = update.unwrap_or_default();
        Self {
            stagger: crate::mirror::duration(update.stagger.unwrap_or_default()),
            max_parallel: number(update.max_parallel.unwrap_or_default()),
        }
    }

    fn to_api(self) -> api::UpdateStrategy {
        api::UpdateStrategy {
            stagger: Some(crate::mirror::nanoseconds(self.stagger)),
            max_parallel: Some(i64::from(self.max_parallel)),
            health_check: Some(String::new()),
            min_healthy_time: Some(0),
            healthy_deadline: Some(0),
            progress_deadline: Some(0),
            canary: Some(0),
            auto_revert: Some(false),
            auto_promote: Some(false),
        }
    }
}

/// One version of a job.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode, drover_macros::Change)]
pub struct Job {
    /// Namespace and id.
    #[n(0)]
    #[change(ignore, untold, name = "ID")]
    pub id: JobId,
    /// The region.
    #[n(1)]
    #[change(ignore)]
    pub region: String,
    /// Shown name; the id unless given.
    #[n(2)]
    #[change(ignore)]
    pub name: String,
    /// Service, batch, …
    #[n(3)]
    #[change(ignore, name = "Type")]
    pub kind: JobType,
    /// 1…100, higher goes first.
    #[n(4)]
    #[change(ignore)]
    pub priority: u8,
    /// Place all or nothing.
    #[n(5)]
    #[cbor(default)]
    #[change(ignore)]
    pub all_at_once: bool,
    /// Globs of datacenters.
    #[n(6)]
    #[change(ignore, object = 1)]
    pub datacenters: Vec<String>,
    /// The node pool.
    #[n(7)]
    #[change(ignore)]
    pub node_pool: String,
    /// Conditions on nodes.
    #[n(8)]
    #[cbor(default)]
    #[change(in_place, object = 2)]
    pub constraints: Vec<Constraint>,
    /// Preferences for nodes.
    #[n(9)]
    #[cbor(default)]
    #[change(in_place, object = 3)]
    pub affinities: Vec<Affinity>,
    /// At least one. Shared, because the children of a job run the groups of their parent.
    #[n(10)]
    #[cbor(with = "crate::shared")]
    #[change(by = groups_effect, untold)]
    pub task_groups: Arc<Vec<TaskGroup>>,
    /// The job-wide pace of updates; everything else about updates is in the groups.
    #[n(11)]
    #[cbor(default)]
    #[change(ignore, untold)]
    pub update: JobUpdate,
    /// Several regions.
    #[n(12)]
    #[change(ignore, object = 7)]
    pub multiregion: Option<Carried<api::Multiregion>>,
    /// Spreads.
    #[n(13)]
    #[cbor(default)]
    #[change(in_place, object = 4)]
    pub spreads: Vec<Spread>,
    /// Set times.
    #[n(14)]
    #[change(ignore, object = 5)]
    pub periodic: Option<Periodic>,
    /// Dispatch.
    #[n(15)]
    #[change(ignore, object = 6, name = "ParameterizedJob")]
    pub parameterized: Option<Parameterized>,
    /// Given to the tasks' environments.
    #[n(16)]
    #[cbor(default)]
    #[change(replace)]
    pub meta: BTreeMap<String, String>,
    /// Texts and links for the web UI.
    #[n(17)]
    #[change(ignore, object = 8, name = "UI")]
    pub ui: Option<Carried<api::JobUIConfig>>,
    /// Deregistered but not purged.
    #[n(18)]
    #[cbor(default)]
    #[change(ignore)]
    pub stop: bool,
    /// The job that this one is a child of.
    #[n(19)]
    #[cbor(default)]
    #[change(ignore, name = "ParentID")]
    pub parent_id: String,
    /// Made by a dispatch.
    #[n(20)]
    #[cbor(default)]
    #[change(ignore)]
    pub dispatched: bool,
    /// The token that made the dispatch unique.
    #[n(21)]
    #[cbor(default)]
    #[change(ignore, untold)]
    pub dispatch_idempotency_token: String,
    /// The dispatch's payload.
    #[n(22)]
    #[cbor(with = "minicbor::bytes")]
    #[cbor(default)]
    #[change(ignore)]
    pub payload: Vec<u8>,
    /// Consul namespace.
    #[n(23)]
    #[cbor(default)]
    #[change(ignore)]
    pub consul_namespace: String,
    /// Vault namespace.
    #[n(24)]
    #[cbor(default)]
    #[change(ignore)]
    pub vault_namespace: String,
    /// Accessor of who submitted it.
    #[n(25)]
    #[cbor(default)]
    #[change(ignore, untold, name = "NomadTokenID")]
    pub nomad_token_id: String,
    /// 0 for the first, then counting.
    #[n(26)]
    #[cbor(default)]
    #[change(ignore, untold)]
    pub version: u64,
    /// When it was submitted.
    #[n(27)]
    #[cbor(default)]
    #[change(ignore, untold)]
    pub submit_time: WallTime,
    /// When version 0 was registered.
    #[n(28)]
    #[cbor(default)]
    #[change(ignore, untold)]
    pub create_index: u64,
    /// When this version was registered.
    #[n(29)]
    #[cbor(default)]
    #[change(ignore, untold)]
    pub job_modify_index: u64,
}

/// What the state store keeps about a job beside its version; needed to show one.
#[derive(Clone, Debug, Default, drover_macros::Change)]
pub struct JobView {
    /// pending, running or dead.
    #[change(ignore, untold)]
    pub status: String,
    /// A sentence about the status.
    #[change(ignore, untold)]
    pub status_description: String,
    /// Whether the version proved healthy.
    #[change(ignore, untold)]
    pub stable: bool,
    /// The last change of the row.
    #[change(ignore, untold)]
    pub modify_index: u64,
    /// A name the version has.
    #[change(ignore, untold)]
    pub version_tag: Option<VersionTag>,
}

/// Groups belong together by name; one that is new or gone says nothing about allocations of others.
fn groups_effect(old: &Arc<Vec<TaskGroup>>, new: &Arc<Vec<TaskGroup>>) -> Effect {
    let before = |group: &TaskGroup| old.iter().find(|before| before.name == group.name);
    new.iter().filter_map(|group| Some(before(group)?.effect(group))).max().unwrap_or_default()
}

impl Job {
    /// The group of this name.
    pub fn group(&self, name: &str) -> Option<&TaskGroup> {
        self.task_groups.iter().find(|group| group.name == name)
    }

    /// The groups, to be changed; a copy is made if others share them.
    pub fn groups_mut(&mut self) -> &mut Vec<TaskGroup> {
        Arc::make_mut(&mut self.task_groups)
    }

    /// Whether the job itself runs nothing: it waits for its time or for a dispatch.
    pub fn is_parent(&self) -> bool {
        self.is_periodic() || self.is_parameterized()
    }

    /// Whether children run at set times; those have no times of their own.
    pub fn is_periodic(&self) -> bool {
        self.periodic.is_some()
    }

    /// Whether it is a template for dispatched children.
    pub fn is_parameterized(&self) -> bool {
        self.parameterized.is_some() && !self.dispatched
    }

    /// Whether its times count now: not while it is stopped, turned off, or only a template.
    pub fn launches(&self) -> bool {
        !self.stop && !self.is_parameterized() && self.periodic.as_ref().is_some_and(|periodic| periodic.enabled)
    }

    /// The domain form of an admitted job.
    pub fn from_api(job: api::Job) -> Self {
        let api::Job {
            region,
            namespace,
            id,
            name,
            r#type,
            priority,
            all_at_once,
            datacenters,
            node_pool,
            constraints,
            affinities,
            task_groups,
            update,
            multiregion,
            spreads,
            periodic,
            parameterized_job,
            reschedule: _,
            migrate: _,
            meta,
            ui,
            stop,
            parent_id,
            dispatched,
            dispatch_idempotency_token,
            payload,
            consul_namespace,
            vault_namespace,
            nomad_token_id,
            status: _,
            status_description: _,
            stable: _,
            version,
            submit_time,
            create_index,
            modify_index: _,
            job_modify_index,
            version_tag: _,
        } = job;
        Self {
            id: JobId { namespace: namespace.unwrap_or_default(), id: id.unwrap_or_default() },
            region: region.unwrap_or_default(),
            name: name.unwrap_or_default(),
            kind: JobType::from_text(&r#type.unwrap_or_default()),
            priority: number(priority.unwrap_or(50)),
            all_at_once: all_at_once.unwrap_or_default(),
            datacenters: datacenters.unwrap_or_default(),
            node_pool: node_pool.unwrap_or_default(),
            constraints: mirror!(@from domains constraints),
            affinities: mirror!(@from domains affinities),
            task_groups: Arc::new(mirror!(@from domains task_groups)),
            update: JobUpdate::from_api(update),
            multiregion: multiregion.map(Carried),
            spreads: mirror!(@from domains spreads),
            periodic: mirror!(@from domain_maybe periodic),
            parameterized: mirror!(@from domain_maybe parameterized_job),
            meta: meta.unwrap_or_default(),
            ui: ui.map(Carried),
            stop: stop.unwrap_or_default(),
            parent_id: parent_id.unwrap_or_default(),
            dispatched,
            dispatch_idempotency_token: dispatch_idempotency_token.unwrap_or_default(),
            payload: payload.unwrap_or_default().0,
            consul_namespace: consul_namespace.unwrap_or_default(),
            vault_namespace: vault_namespace.unwrap_or_default(),
            nomad_token_id: nomad_token_id.unwrap_or_default(),
            version: version.unwrap_or_default(),
            submit_time: WallTime(submit_time.unwrap_or_default()),
            create_index: create_index.unwrap_or_default(),
            job_modify_index: job_modify_index.unwrap_or_default(),
        }
    }

    /// The JSON form, with what the store knows beside the version.
    pub fn to_api(&self, view: &JobView) -> api::Job {
        let Self {
            id,
            region,
            name,
            kind,
            priority,
            all_at_once,
            datacenters,
            node_pool,
            constraints,
            affinities,
            task_groups,
            update,
            multiregion,
            spreads,
            periodic,
            parameterized,
            meta,
            ui,
            stop,
            parent_id,
            dispatched,
            dispatch_idempotency_token,
            payload,
            consul_namespace,
            vault_namespace,
            nomad_token_id,
            version,
            submit_time,
            create_index,
            job_modify_index,
        } = self;
        api::Job {
            region: Some(region.clone()),
            namespace: Some(id.namespace.clone()),
            id: Some(id.id.clone()),
            name: Some(name.clone()),
            r#type: Some(kind.text().to_owned()),
            priority: Some(i64::from(*priority)),
            all_at_once: Some(*all_at_once),
            datacenters: null_if_empty(datacenters.clone()),
            node_pool: Some(node_pool.clone()),
            constraints: mirror!(@to domains constraints),
            affinities: mirror!(@to domains affinities),
            task_groups: mirror!(@to domains task_groups),
            update: Some(update.to_api()),
            multiregion: mirror!(@to carried multiregion),
            spreads: mirror!(@to domains spreads),
            periodic: mirror!(@to domain_maybe periodic),
            parameterized_job: mirror!(@to domain_maybe parameterized),
            reschedule: None,
            migrate: None,
            meta: null_if_empty_map(meta.clone()),
            ui: mirror!(@to carried ui),
            stop: Some(*stop),
            parent_id: Some(parent_id.clone()),
            dispatched: *dispatched,
            dispatch_idempotency_token: Some(dispatch_idempotency_token.clone()),
            payload: (!payload.is_empty()).then(|| api::wire::Base64(payload.clone())),
            consul_namespace: Some(consul_namespace.clone()),
            vault_namespace: Some(vault_namespace.clone()),
            nomad_token_id: Some(nomad_token_id.clone()),
            status: Some(view.status.clone()),
            status_description: Some(view.status_description.clone()),
            stable: Some(view.stable),
            version: Some(*version),
            submit_time: Some(submit_time.0),
            create_index: Some(*create_index),
            modify_index: Some(view.modify_index),
            job_modify_index: Some(*job_modify_index),
            version_tag: view.version_tag.as_ref().map(Mirror::to_api),
        }
    }

    /// A copy that is not shared.
    pub fn detached(job: &Arc<Self>) -> Self {
        Self::clone(job)
    }
}

//! A task and what it is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::change::{Change, Effect};
use crate::mirror::Carried;
use crate::policy::RestartPolicy;
use crate::resources::Resources;
use crate::service::Service;
use crate::{Affinity, Constraint};

text_enum! {
    /// When a task with a lifecycle runs.
    Hook { 0 Prestart = "prestart", 1 Poststart = "poststart", 2 Poststop = "poststop", }
}

mirror! {
    /// Ties a task's run to that of the main tasks.
    TaskLifecycle: TaskLifecycle {
        0 text hook: Hook,
        /// Runs beside the main tasks instead of ending on success.
        1 same sidecar: bool,
    }
}

mirror! {
    /// Rotation of a task's output.
    #[derive(drover_macros::Change)]
    LogConfig: LogConfig {
        #[change(in_place)]
        0 number_absent max_files: u32,
        #[change(in_place)]
        1 number_absent max_file_size_mb: u32,
        /// Deprecated spelling of the opposite of `disabled`.
        #[change(in_place)]
        2 same enabled: Option<bool>,
        #[change(replace)]
        3 absent disabled: bool,
    }
}

mirror! {
    /// A file rendered before the task starts.
    Template: Template {
        0 absent source_path: String,
        1 absent dest_path: String,
        2 absent embedded_tmpl: String,
        3 absent change_mode: String,
        4 carried change_script: Option<Carried<drover_api::ChangeScript>>,
        5 absent change_signal: String,
        6 absent once: bool,
        7 nanos_absent splay: Duration,
        8 absent perms: String,
        9 same uid: Option<i64>,
        10 same gid: Option<i64>,
        11 absent left_delim: String,
        12 absent right_delim: String,
        13 absent envvars: bool,
        14 nanos_absent vault_grace: Duration,
        15 carried wait: Option<Carried<drover_api::WaitConfig>>,
        16 absent err_missing_key: bool,
    }
}

mirror! {
    /// A signed identity that a task may hold.
    WorkloadIdentity: WorkloadIdentity {
        0 same name: String,
        1 list audience: Vec<String>,
        2 same change_mode: String,
        3 same change_signal: String,
        4 same env: bool,
        5 same file: bool,
        6 same filepath: String,
        7 same service_name: String,
        8 nanos ttl: Duration,
        9 same extra_claims: Option<Vec<String>>,
    }
}

mirror! {
    /// Where a dispatched job's payload is written.
    DispatchPayload: DispatchPayloadConfig {
        0 same file: String,
    }
}

mirror! {
    /// What a task is.
    #[derive(drover_macros::Change)]
    Task: Task {
        #[change(ignore, untold)]
        0 same name: String,
        #[change(replace)]
        1 same driver: String,
        #[change(replace)]
        2 same user: String,
        #[change(in_place, object = 18)]
        3 domain_maybe lifecycle: Option<TaskLifecycle>,
        /// The driver's own options.
        #[change(replace, object = 3)]
        4 carried config: Option<Carried<BTreeMap<String, Option<Value>>>>,
        #[change(in_place, object = 1)]
        5 domains constraints: Vec<Constraint>,
        #[change(in_place, object = 2)]
        6 domains affinities: Vec<Affinity>,
        #[change(replace)]
        7 map env: BTreeMap<String, String>,
        #[change(by = crate::service::effect, announced = in_place, object = 11)]
        8 domains services: Vec<Service>,
        #[change(inside, object = 4)]
        9 domain_absent resources: Resources,
        #[change(in_place, untold)]
        10 domain_maybe restart_policy: Option<RestartPolicy>,
        #[change(in_place, announced = replace)]
        11 map meta: BTreeMap<String, String>,
        #[change(in_place)]
        12 nanos_absent kill_timeout: Duration,
        #[change(inside, object = 5)]
        13 domain_absent log_config: LogConfig,
        #[change(replace, object = 7)]
        14 carried artifacts: Option<Carried<Vec<drover_api::TaskArtifact>>>,
        #[change(replace, object = 8)]
        15 carried vault: Option<Carried<drover_api::Vault>>,
        #[change(replace, object = 9)]
        16 carried consul: Option<Carried<drover_api::Consul>>,
        #[change(replace, object = 10)]
        17 domains templates: Vec<Template>,
        #[change(replace, object = 6)]
        18 domain_maybe dispatch_payload: Option<DispatchPayload>,
        #[change(replace, object = 12)]
        19 carried volume_mounts: Option<Carried<Vec<drover_api::VolumeMount>>>,
        #[change(replace, announced = in_place, object = 20, name = "CSIPluginConfig")]
        20 carried csi_plugin_config: Option<Carried<drover_api::TaskCSIPluginConfig>>,
        #[change(in_place, announced = replace)]
        21 same leader: bool,
        #[change(in_place, announced = replace)]
        22 nanos shutdown_delay: Duration,
        #[change(in_place, announced = replace)]
        23 same kill_signal: String,
        #[change(in_place, announced = replace)]
        24 same kind: String,
        #[change(in_place, object = 19)]
        25 carried scaling_policies: Option<Carried<Vec<drover_api::ScalingPolicy>>>,
        #[change(replace, object = 13)]
        26 carried secrets: Option<Carried<Vec<drover_api::Secret>>>,
        #[change(replace, object = 14)]
        27 domain_maybe identity: Option<WorkloadIdentity>,
        #[change(replace, object = 15)]
        28 domains identities: Vec<WorkloadIdentity>,
        #[change(in_place, announced = replace, object = 16)]
        29 carried actions: Option<Carried<Vec<drover_api::Action>>>,
        #[change(replace, object = 17)]
        30 carried schedule: Option<Carried<drover_api::TaskSchedule>>,
    }
}

impl Task {
    /// Whether the task is neither prestart, poststart nor poststop.
    pub fn is_main(&self) -> bool {
        self.lifecycle.is_none()
    }
}

/// What other tasks of a group mean: tasks belong together by name.
pub(crate) fn effect(old: &[Task], new: &[Task]) -> Effect {
    if old.len() != new.len() {
        return Effect::Replace;
    }
    let of = |task: &Task| old.iter().find(|before| before.name == task.name).map_or(Effect::Replace, |before| before.effect(task));
    new.iter().map(of).max().unwrap_or_default()
}

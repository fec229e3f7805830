//! A task and what it is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

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
    LogConfig: LogConfig {
        0 number_absent max_files: u32,
        1 number_absent max_file_size_mb: u32,
        /// Deprecated spelling of the opposite of `disabled`.
        2 same enabled: Option<bool>,
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
    Task: Task {
        0 same name: String,
        1 same driver: String,
        2 same user: String,
        3 domain_maybe lifecycle: Option<TaskLifecycle>,
        /// The driver's own options.
        4 carried config: Option<Carried<BTreeMap<String, Option<Value>>>>,
        5 domains constraints: Vec<Constraint>,
        6 domains affinities: Vec<Affinity>,
        7 map env: BTreeMap<String, String>,
        8 domains services: Vec<Service>,
        9 domain_absent resources: Resources,
        10 domain_maybe restart_policy: Option<RestartPolicy>,
        11 map meta: BTreeMap<String, String>,
        12 nanos_absent kill_timeout: Duration,
        13 domain_absent log_config: LogConfig,
        14 carried artifacts: Option<Carried<Vec<drover_api::TaskArtifact>>>,
        15 carried vault: Option<Carried<drover_api::Vault>>,
        16 carried consul: Option<Carried<drover_api::Consul>>,
        17 domains templates: Vec<Template>,
        18 domain_maybe dispatch_payload: Option<DispatchPayload>,
        19 carried volume_mounts: Option<Carried<Vec<drover_api::VolumeMount>>>,
        20 carried csi_plugin_config: Option<Carried<drover_api::TaskCSIPluginConfig>>,
        21 same leader: bool,
        22 nanos shutdown_delay: Duration,
        23 same kill_signal: String,
        24 same kind: String,
        25 carried scaling_policies: Option<Carried<Vec<drover_api::ScalingPolicy>>>,
        26 carried secrets: Option<Carried<Vec<drover_api::Secret>>>,
        27 domain_maybe identity: Option<WorkloadIdentity>,
        28 domains identities: Vec<WorkloadIdentity>,
        29 carried actions: Option<Carried<Vec<drover_api::Action>>>,
        30 carried schedule: Option<Carried<drover_api::TaskSchedule>>,
    }
}

impl Task {
    /// Whether the task is neither prestart, poststart nor poststop.
    pub fn is_main(&self) -> bool {
        self.lifecycle.is_none()
    }
}

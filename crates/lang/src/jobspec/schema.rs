//! The job specification as tables: which arguments and blocks exist where, of what type, and which API fields they set.
//!
//! A field name of the API is the Pascal-case form of the argument's name unless the table gives another.

/// The type of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Bool,
    /// A whole number from the first bound to the second.
    Whole(i128, i128),
    /// A Go duration or a whole number of nanoseconds.
    Duration,
    Texts,
    Wholes(i128, i128),
    /// A map of texts.
    TextMap,
}

/// An argument.
#[derive(Debug)]
pub(super) struct Argument {
    pub(super) name: &'static str,
    /// The API field, empty for the Pascal-case form of the name.
    pub(super) field: &'static str,
    pub(super) kind: Kind,
    /// Whether null is the same as leaving the argument out.
    pub(super) nullable: bool,
    pub(super) required: bool,
}

/// How often a block may occur and what it sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occurs {
    /// At most once: the field is the object.
    Once,
    /// Any number of times, the last one counts.
    LastCounts,
    /// Any number of times: the field is a list.
    Many,
    /// Any number of times with a label: the field is a map by label.
    ByLabel,
}

/// What a block holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    Body(&'static Body),
    /// Free keys with texts; may also be written as an argument when set.
    TextMap(bool),
    /// Free keys with lists of texts.
    TextListMap,
    /// Free keys with any values and blocks.
    Opaque,
}

/// A block type.
#[derive(Debug)]
pub(super) struct BlockType {
    pub(super) name: &'static str,
    pub(super) field: &'static str,
    /// The field that takes the label, empty when there is none.
    pub(super) label: &'static str,
    pub(super) occurs: Occurs,
    pub(super) content: Content,
}

/// The arguments and blocks of one place.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) arguments: &'static [Argument],
    pub(super) blocks: &'static [BlockType],
    /// What is done with the fields when all are read.
    pub(super) finish: Finish,
}

/// Steps that turn what is written into what the API holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Nothing,
    Constraint,
    Affinity,
    Network,
    Periodic,
    GroupScaling,
    TaskScaling,
    Template,
    ChangeScript,
    Vault,
    Task,
}

use Content::{Opaque, TextListMap, TextMap};
use Kind::{Bool, Duration, Text, Texts, Whole, Wholes};
use Occurs::{ByLabel, LastCounts, Many, Once};

const INT: Kind = Whole(i64::MIN as i128, i64::MAX as i128);
const INT8: Kind = Whole(-128, 127);
const UINT8: Kind = Whole(0, 255);
const UINT16: Kind = Whole(0, 65_535);
const UINT32: Kind = Whole(0, u32::MAX as i128);
const UINT64: Kind = Whole(0, u64::MAX as i128);

/// An argument that may be null.
const fn a(name: &'static str, kind: Kind) -> Argument {
    Argument { name, field: "", kind, nullable: true, required: false }
}

/// An argument that may be null, with its field.
const fn af(name: &'static str, field: &'static str, kind: Kind) -> Argument {
    Argument { name, field, kind, nullable: true, required: false }
}

/// An argument that must not be null.
const fn s(name: &'static str, kind: Kind) -> Argument {
    Argument { name, field: "", kind, nullable: false, required: false }
}

/// An argument that must not be null, with its field.
const fn sf(name: &'static str, field: &'static str, kind: Kind) -> Argument {
    Argument { name, field, kind, nullable: false, required: false }
}

const fn required(name: &'static str, kind: Kind) -> Argument {
    Argument { name, field: "", kind, nullable: false, required: true }
}

const fn b(name: &'static str, field: &'static str, occurs: Occurs, content: Content) -> BlockType {
    BlockType { name, field, label: "", occurs, content }
}

const fn labelled(name: &'static str, field: &'static str, label: &'static str, occurs: Occurs, content: Content) -> BlockType {
    BlockType { name, field, label, occurs, content }
}

const fn body(arguments: &'static [Argument], blocks: &'static [BlockType]) -> Body {
    Body { arguments, blocks, finish: Finish::Nothing }
}

const fn finished(arguments: &'static [Argument], blocks: &'static [BlockType], finish: Finish) -> Body {
    Body { arguments, blocks, finish }
}

pub(super) static JOB: Body = body(
    &[
        af("id", "ID", Text),
        a("name", Text),
        a("region", Text),
        a("namespace", Text),
        a("type", Text),
        a("priority", INT),
        a("all_at_once", Bool),
        a("datacenters", Texts),
        a("node_pool", Text),
    ],
    &[
        b("meta", "Meta", Once, TextMap(true)),
        b("constraint", "Constraints", Many, Content::Body(&CONSTRAINT)),
        b("affinity", "Affinities", Many, Content::Body(&AFFINITY)),
        b("spread", "Spreads", Many, Content::Body(&SPREAD)),
        b("update", "Update", Once, Content::Body(&UPDATE)),
        b("migrate", "Migrate", Once, Content::Body(&MIGRATE)),
        b("reschedule", "Reschedule", Once, Content::Body(&RESCHEDULE)),
        b("periodic", "Periodic", Once, Content::Body(&PERIODIC)),
        b("parameterized", "ParameterizedJob", Once, Content::Body(&PARAMETERIZED)),
        b("multiregion", "Multiregion", Once, Content::Body(&MULTIREGION)),
        b("ui", "UI", Once, Content::Body(&UI)),
        b("vault", VAULT_BELOW, Once, Content::Body(&VAULT)),
        labelled("secret", SECRETS_BELOW, "Name", Many, Content::Body(&SECRET)),
        labelled("task", TASKS_ALONE, "Name", Many, Content::Body(&TASK)),
        labelled("group", "TaskGroups", "Name", Many, Content::Body(&GROUP)),
    ],
);

/// Fields that only exist while a job file is read: they are folded into tasks and groups.
pub(super) const VAULT_BELOW: &str = "<vault>";
pub(super) const SECRETS_BELOW: &str = "<secrets>";
pub(super) const TASKS_ALONE: &str = "<tasks>";

static CONSTRAINT: Body = finished(
    &[
        sf("attribute", "LTarget", Text),
        sf("operator", "Operand", Text),
        sf("value", "RTarget", Text),
        s("distinct_hosts", Bool),
        s("distinct_property", Text),
        s("regexp", Text),
        s("version", Text),
        s("semver", Text),
        s("set_contains", Text),
        s("set_contains_all", Text),
        s("set_contains_any", Text),
        s("is_set", Text),
        s("is_not_set", Text),
    ],
    &[],
    Finish::Constraint,
);

static AFFINITY: Body = finished(
    &[
        sf("attribute", "LTarget", Text),
        sf("operator", "Operand", Text),
        sf("value", "RTarget", Text),
        a("weight", INT8),
        s("regexp", Text),
        s("version", Text),
        s("semver", Text),
        s("set_contains", Text),
        s("set_contains_all", Text),
        s("set_contains_any", Text),
    ],
    &[],
    Finish::Affinity,
);

static SPREAD: Body =
    body(&[s("attribute", Text), a("weight", INT8)], &[labelled("target", "SpreadTarget", "Value", Many, Content::Body(&SPREAD_TARGET))]);

static SPREAD_TARGET: Body = body(&[s("percent", UINT8)], &[]);

static UPDATE: Body = body(
    &[
        a("stagger", Duration),
        a("max_parallel", INT),
        a("health_check", Text),
        a("min_healthy_time", Duration),
        a("healthy_deadline", Duration),
        a("progress_deadline", Duration),
        a("canary", INT),
        a("auto_revert", Bool),
        a("auto_promote", Bool),
    ],
    &[],
);

static MIGRATE: Body =
    body(&[a("max_parallel", INT), a("health_check", Text), a("min_healthy_time", Duration), a("healthy_deadline", Duration)], &[]);

static RESCHEDULE: Body = body(
    &[
        a("attempts", INT),
        a("interval", Duration),
        a("delay", Duration),
        a("delay_function", Text),
        a("max_delay", Duration),
        a("unlimited", Bool),
    ],
    &[],
);

static PERIODIC: Body = finished(
    &[a("enabled", Bool), af("cron", "Spec", Text), af("crons", "Specs", Texts), a("prohibit_overlap", Bool), a("time_zone", Text)],
    &[],
    Finish::Periodic,
);

static PARAMETERIZED: Body = body(&[s("payload", Text), s("meta_required", Texts), s("meta_optional", Texts)], &[]);

static MULTIREGION: Body = body(
    &[],
    &[
        b("strategy", "Strategy", Once, Content::Body(&MULTIREGION_STRATEGY)),
        labelled("region", "Regions", "Name", Many, Content::Body(&MULTIREGION_REGION)),
    ],
);

static MULTIREGION_STRATEGY: Body = body(&[a("max_parallel", INT), a("on_failure", Text)], &[]);

static MULTIREGION_REGION: Body =
    body(&[a("count", INT), s("datacenters", Texts), s("node_pool", Text)], &[b("meta", "Meta", Once, TextMap(false))]);

static UI: Body = body(&[s("description", Text)], &[b("link", "Links", Many, Content::Body(&UI_LINK))]);

static UI_LINK: Body = body(&[s("label", Text), sf("url", "URL", Text)], &[]);

static VAULT: Body = finished(
    &[
        s("policies", Texts),
        s("role", Text),
        a("namespace", Text),
        s("cluster", Text),
        a("env", Bool),
        a("disable_file", Bool),
        a("change_mode", Text),
        a("change_signal", Text),
        a("allow_token_expiration", Bool),
    ],
    &[],
    Finish::Vault,
);

static SECRET: Body =
    body(&[s("provider", Text), s("path", Text)], &[b("config", "Config", Once, Opaque), b("env", "Env", Once, TextMap(false))]);

static GROUP: Body = body(
    &[
        a("name", Text),
        a("count", INT),
        a("shutdown_delay", Duration),
        a("max_run_duration", Duration),
        a("stop_after_client_disconnect", Duration),
        a("max_client_disconnect", Duration),
        a("prevent_reschedule_on_lost", Bool),
    ],
    &[
        b("meta", "Meta", Once, TextMap(true)),
        b("constraint", "Constraints", Many, Content::Body(&CONSTRAINT)),
        b("affinity", "Affinities", Many, Content::Body(&AFFINITY)),
        b("spread", "Spreads", Many, Content::Body(&SPREAD)),
        b("restart", "RestartPolicy", Once, Content::Body(&RESTART)),
        b("reschedule", "ReschedulePolicy", Once, Content::Body(&RESCHEDULE)),
        b("disconnect", "Disconnect", Once, Content::Body(&DISCONNECT)),
        b("update", "Update", Once, Content::Body(&UPDATE)),
        b("migrate", "Migrate", Once, Content::Body(&MIGRATE)),
        b("network", "Networks", Many, Content::Body(&NETWORK)),
        b("ephemeral_disk", "EphemeralDisk", Once, Content::Body(&EPHEMERAL_DISK)),
        labelled("volume", "Volumes", "Name", ByLabel, Content::Body(&VOLUME)),
        b("scaling", "Scaling", Once, Content::Body(&GROUP_SCALING)),
        b("consul", "Consul", Once, Content::Body(&CONSUL)),
        b("vault", VAULT_BELOW, LastCounts, Content::Body(&VAULT)),
        labelled("secret", SECRETS_BELOW, "Name", Many, Content::Body(&SECRET)),
        b("service", "Services", Many, Content::Body(&SERVICE)),
        labelled("task", "Tasks", "Name", Many, Content::Body(&TASK)),
    ],
);

static RESTART: Body =
    body(&[a("attempts", INT), a("interval", Duration), a("delay", Duration), a("mode", Text), a("render_templates", Bool)], &[]);

static DISCONNECT: Body =
    body(&[a("lost_after", Duration), a("stop_on_client_after", Duration), a("replace", Bool), a("reconcile", Text)], &[]);

static NETWORK: Body = finished(
    &[s("mode", Text), s("device", Text), sf("cidr", "CIDR", Text), sf("ip", "IP", Text), af("mbits", "MBits", INT), s("hostname", Text)],
    &[
        b("dns", "DNS", Once, Content::Body(&DNS)),
        b("cni", "CNI", Once, Content::Body(&CNI)),
        labelled("port", "<ports>", "Label", Many, Content::Body(&PORT)),
        labelled("reserved_ports", "ReservedPorts", "Label", Many, Content::Body(&PORT)),
    ],
    Finish::Network,
);

static DNS: Body = body(&[s("servers", Texts), s("searches", Texts), s("options", Texts)], &[]);

static CNI: Body = body(&[s("args", Kind::TextMap)], &[]);

static PORT: Body = body(&[sf("static", "Value", INT), s("to", INT), s("host_network", Text), s("ignore_collision", Bool)], &[]);

static EPHEMERAL_DISK: Body = body(&[af("size", "SizeMB", INT), a("sticky", Bool), a("migrate", Bool)], &[]);

static VOLUME: Body = body(
    &[
        s("type", Text),
        s("source", Text),
        s("read_only", Bool),
        s("sticky", Bool),
        s("per_alloc", Bool),
        s("access_mode", Text),
        s("attachment_mode", Text),
    ],
    &[b("mount_options", "MountOptions", Once, Content::Body(&MOUNT_OPTIONS))],
);

static MOUNT_OPTIONS: Body = body(&[sf("fs_type", "FSType", Text), s("mount_flags", Texts)], &[]);

static GROUP_SCALING: Body = finished(
    &[a("enabled", Bool), a("min", INT), required("max", INT), s("type", Text)],
    &[b("policy", "Policy", Once, Opaque)],
    Finish::GroupScaling,
);

static TASK_SCALING: Body = finished(
    &[a("enabled", Bool), a("min", INT), a("max", INT), s("type", Text)],
    &[b("policy", "Policy", Once, Opaque)],
    Finish::TaskScaling,
);

static CONSUL: Body = body(&[s("namespace", Text), s("cluster", Text), s("partition", Text)], &[]);

static SERVICE: Body = body(
    &[
        s("name", Text),
        s("provider", Text),
        s("cluster", Text),
        sf("port", "PortLabel", Text),
        s("address_mode", Text),
        s("address", Text),
        s("tags", Texts),
        s("canary_tags", Texts),
        s("enable_tag_override", Bool),
        sf("task", "TaskName", Text),
        s("on_update", Text),
        s("kind", Text),
    ],
    &[
        b("tagged_addresses", "TaggedAddresses", Once, TextMap(false)),
        b("meta", "Meta", Once, TextMap(false)),
        b("canary_meta", "CanaryMeta", Once, TextMap(false)),
        b("check_restart", "CheckRestart", Once, Content::Body(&CHECK_RESTART)),
        b("check", "Checks", Many, Content::Body(&CHECK)),
        b("identity", "Identity", Once, Content::Body(&IDENTITY)),
        b("weights", "Weights", Once, Content::Body(&WEIGHTS)),
        b("connect", "Connect", Once, Content::Body(&CONNECT)),
    ],
);

static CHECK_RESTART: Body = body(&[s("limit", INT), a("grace", Duration), s("ignore_warnings", Bool)], &[]);

static CHECK: Body = body(
    &[
        s("name", Text),
        s("type", Text),
        s("command", Text),
        s("args", Texts),
        s("path", Text),
        s("protocol", Text),
        s("method", Text),
        s("body", Text),
        sf("port", "PortLabel", Text),
        s("expose", Bool),
        s("address_mode", Text),
        s("advertise", Text),
        s("interval", Duration),
        s("timeout", Duration),
        s("initial_status", Text),
        s("notes", Text),
        sf("tls_server_name", "TLSServerName", Text),
        sf("tls_skip_verify", "TLSSkipVerify", Bool),
        sf("grpc_service", "GRPCService", Text),
        sf("grpc_use_tls", "GRPCUseTLS", Bool),
        sf("task", "TaskName", Text),
        s("success_before_passing", INT),
        s("failures_before_critical", INT),
        s("failures_before_warning", INT),
        s("on_update", Text),
    ],
    &[b("header", "Header", Once, TextListMap), b("check_restart", "CheckRestart", Once, Content::Body(&CHECK_RESTART))],
);

static IDENTITY: Body = body(
    &[
        s("name", Text),
        sf("aud", "Audience", Texts),
        s("change_mode", Text),
        s("change_signal", Text),
        s("env", Bool),
        s("file", Bool),
        s("filepath", Text),
        s("service_name", Text),
        sf("ttl", "TTL", Duration),
        s("extra_claims", Texts),
    ],
    &[],
);

static WEIGHTS: Body = body(&[s("passing", INT), s("warning", INT)], &[]);

static CONNECT: Body = body(
    &[s("native", Bool)],
    &[
        b("sidecar_service", "SidecarService", Once, Content::Body(&SIDECAR_SERVICE)),
        b("sidecar_task", "SidecarTask", Once, Content::Body(&SIDECAR_TASK)),
        b("gateway", "Gateway", Once, Content::Body(&GATEWAY)),
    ],
);

static SIDECAR_SERVICE: Body = body(
    &[s("tags", Texts), s("port", Text), sf("disable_default_tcp_check", "DisableDefaultTCPCheck", Bool)],
    &[b("meta", "Meta", Once, TextMap(false)), b("proxy", "Proxy", Once, Content::Body(&PROXY))],
);

static PROXY: Body = body(
    &[s("local_service_address", Text), s("local_service_port", INT)],
    &[
        b("config", "Config", Once, Opaque),
        b("expose", "Expose", Once, Content::Body(&EXPOSE)),
        b("upstreams", "Upstreams", Many, Content::Body(&UPSTREAM)),
        b("transparent_proxy", "TransparentProxy", Once, Content::Body(&TRANSPARENT_PROXY)),
    ],
);

static EXPOSE: Body = body(&[], &[b("path", "Paths", Many, Content::Body(&EXPOSE_PATH))]);

static EXPOSE_PATH: Body = body(&[s("path", Text), s("protocol", Text), s("local_path_port", INT), s("listener_port", Text)], &[]);

static UPSTREAM: Body = body(
    &[
        s("destination_name", Text),
        s("destination_namespace", Text),
        s("destination_partition", Text),
        s("destination_peer", Text),
        s("destination_type", Text),
        s("local_bind_port", INT),
        s("local_bind_address", Text),
        s("local_bind_socket_path", Text),
        s("local_bind_socket_mode", Text),
        s("datacenter", Text),
    ],
    &[b("mesh_gateway", "MeshGateway", Once, Content::Body(&MESH_GATEWAY)), b("config", "Config", Once, Opaque)],
);

static MESH_GATEWAY: Body = body(&[s("mode", Text)], &[]);

static TRANSPARENT_PROXY: Body = body(
    &[
        sf("uid", "UID", Text),
        s("outbound_port", UINT16),
        s("exclude_inbound_ports", Texts),
        s("exclude_outbound_ports", Wholes(0, 65_535)),
        sf("exclude_outbound_cidrs", "ExcludeOutboundCIDRs", Texts),
        sf("exclude_uids", "ExcludeUIDs", Texts),
        sf("no_dns", "NoDNS", Bool),
    ],
    &[],
);

static SIDECAR_TASK: Body = body(
    &[
        s("name", Text),
        s("driver", Text),
        s("user", Text),
        a("kill_timeout", Duration),
        s("kill_signal", Text),
        a("shutdown_delay", Duration),
    ],
    &[
        b("config", "Config", Once, Opaque),
        b("env", "Env", Once, TextMap(false)),
        b("meta", "Meta", Once, TextMap(false)),
        b("resources", "Resources", Once, Content::Body(&RESOURCES)),
        b("logs", "LogConfig", Once, Content::Body(&LOGS)),
        b("volume_mount", "VolumeMounts", Many, Content::Body(&VOLUME_MOUNT)),
        b("identity", "Identities", Many, Content::Body(&IDENTITY)),
    ],
);

static GATEWAY: Body = body(
    &[],
    &[
        b("proxy", "Proxy", Once, Content::Body(&GATEWAY_PROXY)),
        b("ingress", "Ingress", Once, Content::Body(&INGRESS)),
        b("terminating", "Terminating", Once, Content::Body(&TERMINATING)),
        b("mesh", "Mesh", Once, Content::Body(&MESH)),
    ],
);

static MESH: Body = body(&[], &[]);

static GATEWAY_PROXY: Body = body(
    &[
        a("connect_timeout", Duration),
        s("envoy_gateway_bind_tagged_addresses", Bool),
        s("envoy_gateway_no_default_bind", Bool),
        sf("envoy_dns_discovery_type", "EnvoyDNSDiscoveryType", Text),
    ],
    &[
        labelled("envoy_gateway_bind_addresses", "EnvoyGatewayBindAddresses", "Name", ByLabel, Content::Body(&BIND_ADDRESS)),
        b("config", "Config", Once, Opaque),
    ],
);

static BIND_ADDRESS: Body = body(&[s("address", Text), s("port", INT)], &[]);

static INGRESS: Body =
    body(&[], &[b("tls", "TLS", Once, Content::Body(&GATEWAY_TLS)), b("listener", "Listeners", Many, Content::Body(&LISTENER))]);

static GATEWAY_TLS: Body = body(
    &[
        s("enabled", Bool),
        sf("tls_min_version", "TLSMinVersion", Text),
        sf("tls_max_version", "TLSMaxVersion", Text),
        s("cipher_suites", Texts),
    ],
    &[b("sds", "SDS", Once, Content::Body(&SDS))],
);

static SDS: Body = body(&[s("cluster_name", Text), s("cert_resource", Text)], &[]);

static LISTENER: Body = body(&[s("port", INT), s("protocol", Text)], &[b("service", "Services", Many, Content::Body(&INGRESS_SERVICE))]);

static INGRESS_SERVICE: Body = body(
    &[
        s("name", Text),
        s("hosts", Texts),
        a("max_connections", UINT32),
        a("max_pending_requests", UINT32),
        a("max_concurrent_requests", UINT32),
    ],
    &[
        b("tls", "TLS", Once, Content::Body(&GATEWAY_TLS)),
        b("request_headers", "RequestHeaders", Once, Content::Body(&HEADER_CHANGES)),
        b("response_headers", "ResponseHeaders", Once, Content::Body(&HEADER_CHANGES)),
    ],
);

static HEADER_CHANGES: Body = body(&[s("remove", Texts)], &[b("add", "Add", Once, TextMap(false)), b("set", "Set", Once, TextMap(false))]);

static TERMINATING: Body = body(&[], &[b("service", "Services", Many, Content::Body(&TERMINATING_SERVICE))]);

static TERMINATING_SERVICE: Body =
    body(&[s("name", Text), sf("ca_file", "CAFile", Text), s("cert_file", Text), s("key_file", Text), sf("sni", "SNI", Text)], &[]);

static TASK: Body = finished(
    &[
        s("driver", Text),
        s("user", Text),
        s("kind", Text),
        a("kill_timeout", Duration),
        s("kill_signal", Text),
        s("shutdown_delay", Duration),
        s("leader", Bool),
    ],
    &[
        b("config", "Config", Once, Opaque),
        b("env", "Env", Once, TextMap(true)),
        b("meta", "Meta", Once, TextMap(true)),
        b("constraint", "Constraints", Many, Content::Body(&CONSTRAINT)),
        b("affinity", "Affinities", Many, Content::Body(&AFFINITY)),
        b("resources", "Resources", Once, Content::Body(&RESOURCES)),
        b("restart", "RestartPolicy", Once, Content::Body(&RESTART)),
        b("lifecycle", "Lifecycle", Once, Content::Body(&LIFECYCLE)),
        b("logs", "LogConfig", Once, Content::Body(&LOGS)),
        b("artifact", "Artifacts", Many, Content::Body(&ARTIFACT)),
        b("template", "Templates", Many, Content::Body(&TEMPLATE)),
        b("dispatch_payload", "DispatchPayload", Once, Content::Body(&DISPATCH_PAYLOAD)),
        b("volume_mount", "VolumeMounts", Many, Content::Body(&VOLUME_MOUNT)),
        b("csi_plugin", "CSIPluginConfig", Once, Content::Body(&CSI_PLUGIN)),
        b("identity", "<identities>", Many, Content::Body(&IDENTITY)),
        b("consul", "Consul", Once, Content::Body(&CONSUL)),
        b("vault", "Vault", Once, Content::Body(&VAULT)),
        labelled("secret", "Secrets", "Name", Many, Content::Body(&SECRET)),
        labelled("scaling", "ScalingPolicies", "<label>", Many, Content::Body(&TASK_SCALING)),
        b("service", "Services", Many, Content::Body(&SERVICE)),
        labelled("action", "Actions", "Name", Many, Content::Body(&ACTION)),
        b("schedule", "Schedule", Once, Content::Body(&SCHEDULE)),
    ],
    Finish::Task,
);

static RESOURCES: Body = body(
    &[
        af("cpu", "CPU", INT),
        a("cores", INT),
        af("memory", "MemoryMB", INT),
        af("memory_max", "MemoryMaxMB", INT),
        af("disk", "DiskMB", INT),
        af("iops", "IOPS", INT),
        af("secrets", "SecretsMB", INT),
    ],
    &[
        labelled("device", "Devices", "Name", Many, Content::Body(&DEVICE)),
        b("numa", "NUMA", Once, Content::Body(&NUMA)),
        b("network", "Networks", Many, Content::Body(&NETWORK)),
    ],
);

static DEVICE: Body = body(
    &[a("count", UINT64)],
    &[b("constraint", "Constraints", Many, Content::Body(&CONSTRAINT)), b("affinity", "Affinities", Many, Content::Body(&AFFINITY))],
);

static NUMA: Body = body(&[s("affinity", Text), s("devices", Texts)], &[]);

static LIFECYCLE: Body = body(&[required("hook", Text), s("sidecar", Bool)], &[]);

static LOGS: Body = body(&[a("max_files", INT), af("max_file_size", "MaxFileSizeMB", INT), a("enabled", Bool), a("disabled", Bool)], &[]);

static ARTIFACT: Body = body(
    &[
        af("source", "GetterSource", Text),
        af("mode", "GetterMode", Text),
        af("insecure", "GetterInsecure", Bool),
        af("destination", "RelativeDest", Text),
        s("chown", Bool),
    ],
    &[b("options", "GetterOptions", Once, TextMap(false)), b("headers", "GetterHeaders", Once, TextMap(false))],
);

static TEMPLATE: Body = finished(
    &[
        af("source", "SourcePath", Text),
        af("data", "EmbeddedTmpl", Text),
        af("destination", "DestPath", Text),
        a("change_mode", Text),
        a("change_signal", Text),
        a("once", Bool),
        a("splay", Duration),
        a("perms", Text),
        a("uid", INT),
        a("gid", INT),
        af("left_delimiter", "LeftDelim", Text),
        af("right_delimiter", "RightDelim", Text),
        af("env", "Envvars", Bool),
        af("error_on_missing_key", "ErrMissingKey", Bool),
        a("vault_grace", Duration),
    ],
    &[b("change_script", "ChangeScript", Once, Content::Body(&CHANGE_SCRIPT)), b("wait", "Wait", Once, Content::Body(&WAIT))],
    Finish::Template,
);

static CHANGE_SCRIPT: Body = finished(
    &[a("command", Text), s("args", Texts), a("timeout", Duration), a("fail_on_error", Bool), a("run_on_first_render", Bool)],
    &[],
    Finish::ChangeScript,
);

static WAIT: Body = body(&[a("min", Duration), a("max", Duration)], &[]);

static DISPATCH_PAYLOAD: Body = body(&[s("file", Text)], &[]);

static VOLUME_MOUNT: Body = body(
    &[
        a("volume", Text),
        a("destination", Text),
        a("read_only", Bool),
        a("propagation_mode", Text),
        af("selinux_label", "SELinuxLabel", Text),
    ],
    &[],
);

static CSI_PLUGIN: Body = body(
    &[sf("id", "ID", Text), s("type", Text), s("mount_dir", Text), s("stage_publish_base_dir", Text), s("health_timeout", Duration)],
    &[],
);

static ACTION: Body = body(&[required("command", Text), s("args", Texts)], &[]);

static SCHEDULE: Body = body(&[], &[b("cron", "Cron", Once, Content::Body(&SCHEDULE_CRON))]);

static SCHEDULE_CRON: Body = body(&[s("start", Text), s("end", Text), s("timezone", Text)], &[]);

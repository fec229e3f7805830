//! Jobs as clients write them, which is otherwise than servers do: every field of every object, in the order of declaration,
//! with what stands for nothing. What is made of a job file is compared with other programs' output field by field.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// What stands where a field says nothing.
#[derive(Clone, Copy, Debug)]
enum Nothing {
    Null,
    Text,
    Zero,
    False,
    /// The field is left out.
    Absent,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
enum Inner {
    /// Scalars, lists of them, or maps whose keys are free.
    Plain,
    /// An object or a list of such objects.
    Object(&'static Form),
    /// Such objects by their names.
    ByName(&'static Form),
}

/// The fields of an object in their order.
type Form = [(&'static str, Nothing, Inner)];

/// A job's JSON with every field that clients write.
pub fn as_clients_write(job: Value) -> Value {
    completed(job, JOB)
}

/// The text of `{"Job": …}` as clients write it: four spaces a level, fields in their order.
pub fn client_text(job: Value) -> String {
    let mut text = Text { out: String::new() };
    text.out.push_str("{\n    \"Job\": ");
    text.value(&completed(job, JOB), Inner::Object(JOB), 1);
    text.out.push_str("\n}");
    text.out
}

fn completed(value: Value, form: &'static Form) -> Value {
    let Value::Object(mut given) = value else { return value };
    let mut object = Map::new();
    for (name, nothing, inner) in form {
        let key = match given.contains_key(*name) {
            true => Some((*name).to_owned()),
            false => given.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned(),
        };
        let value = match (key.and_then(|key| given.remove(&key)).unwrap_or_default(), nothing) {
            (Value::Null, Nothing::Null) => Value::Null,
            (Value::Null, Nothing::Text) => Value::from(""),
            (Value::Null, Nothing::Zero) => Value::from(0),
            (Value::Null, Nothing::False) => Value::from(false),
            (Value::Null, Nothing::Absent) => continue,
            (value, _) => inside(value, *inner),
        };
        object.insert((*name).to_owned(), value);
    }
    // What clients do not have is told where it says something.
    object.extend(given.into_iter().filter(|(_, value)| !says_nothing(value)));
    Value::Object(object)
}

fn inside(value: Value, inner: Inner) -> Value {
    match (value, inner) {
        (Value::Array(list), Inner::Object(form)) => list.into_iter().map(|entry| completed(entry, form)).collect(),
        (value, Inner::Object(form)) => completed(value, form),
        (Value::Object(map), Inner::ByName(form)) => map.into_iter().map(|(name, entry)| (name, completed(entry, form))).collect(),
        (value, _) => value,
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// A text in the making.
struct Text {
    out: String,
}

impl Text {
    fn value(&mut self, value: &Value, inner: Inner, depth: usize) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
                Some(float) => self.out.push_str(&float_text(float)),
                None => self.out.push_str(&number.to_string()),
            },
            Value::String(text) => self.string(text),
            Value::Array(list) if list.is_empty() => self.out.push_str("[]"),
            Value::Object(map) if map.is_empty() => self.out.push_str("{}"),
            Value::Array(list) => {
                self.lines('[', ']', depth, list.iter(), |text, entry, depth| text.value(entry, inner, depth));
            }
            Value::Object(map) => {
                let members = match inner {
                    Inner::Object(form) => in_order(map, form),
                    _ => map.iter().map(|(name, value)| (name.as_str(), value, Inner::Plain)).collect(),
                };
                self.lines('{', '}', depth, members.into_iter(), |text, (name, value, inner), depth| {
                    text.string(name);
                    text.out.push_str(": ");
                    let inner = match inner {
                        Inner::ByName(form) => match value {
                            Value::Object(entries) => return text.by_name(entries, form, depth),
                            _ => Inner::Plain,
                        },
                        inner => inner,
                    };
                    text.value(value, inner, depth);
                });
            }
        }
    }

    fn by_name(&mut self, entries: &Map<String, Value>, form: &'static Form, depth: usize) {
        if entries.is_empty() {
            return self.out.push_str("{}");
        }
        self.lines('{', '}', depth, entries.iter(), |text, (name, entry), depth| {
            text.string(name);
            text.out.push_str(": ");
            text.value(entry, Inner::Object(form), depth);
        });
    }

    /// Entries on lines of their own between two brackets.
    fn lines<T>(&mut self, open: char, close: char, depth: usize, entries: impl Iterator<Item = T>, each: impl Fn(&mut Self, T, usize)) {
        self.out.push(open);
        for (at, entry) in entries.enumerate() {
            self.out.push_str(if at == 0 { "\n" } else { ",\n" });
            self.indent(depth + 1);
            each(self, entry, depth + 1);
        }
        self.out.push('\n');
        self.indent(depth);
        self.out.push(close);
    }

    fn indent(&mut self, depth: usize) {
        self.out.extend(std::iter::repeat_n("    ", depth));
    }

    /// A text with everything escaped that could mean something in a page.
    fn string(&mut self, text: &str) {
        self.out.push('"');
        for letter in text.chars() {
            match letter {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                    let _infallible = write!(self.out, "\\u{:04x}", u32::from(letter));
                }
                _ => self.out.push(letter),
            }
        }
        self.out.push('"');
    }
}

/// The members of an object in the order of its form; others follow.
fn in_order<'a>(map: &'a Map<String, Value>, form: &'static Form) -> Vec<(&'a str, &'a Value, Inner)> {
    let known = form.iter().filter_map(|(name, _, inner)| map.get_key_value(*name).map(|(name, value)| (name.as_str(), value, *inner)));
    let others = map.iter().filter(|(name, _)| !form.iter().any(|(known, _, _)| known == name));
    known.chain(others.map(|(name, value)| (name.as_str(), value, Inner::Plain))).collect()
}

/// A floating number without an exponent as far as that is readable.
fn float_text(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-6..1e21).contains(&size) { format!("{value}") } else { exponent(format!("{value:e}")) }
}

/// `1e21` is written with the sign of its exponent.
fn exponent(text: String) -> String {
    match text.split_once('e') {
        Some((digits, power)) if !power.starts_with('-') => format!("{digits}e+{power}"),
        _ => text,
    }
}

/// Nothing inside that has a form.
const PLAIN: Inner = Inner::Plain;

static JOB: &Form = &[
    ("Region", Nothing::Null, PLAIN),
    ("Namespace", Nothing::Null, PLAIN),
    ("ID", Nothing::Text, PLAIN),
    ("Name", Nothing::Null, PLAIN),
    ("Type", Nothing::Null, PLAIN),
    ("Priority", Nothing::Null, PLAIN),
    ("AllAtOnce", Nothing::Null, PLAIN),
    ("Datacenters", Nothing::Null, PLAIN),
    ("NodePool", Nothing::Null, PLAIN),
    ("Constraints", Nothing::Null, Inner::Object(CONSTRAINT)),
    ("Affinities", Nothing::Null, Inner::Object(AFFINITY)),
    ("TaskGroups", Nothing::Null, Inner::Object(TASK_GROUP)),
    ("Update", Nothing::Null, Inner::Object(UPDATE_STRATEGY)),
    ("Multiregion", Nothing::Null, Inner::Object(MULTIREGION)),
    ("Spreads", Nothing::Null, Inner::Object(SPREAD)),
    ("Periodic", Nothing::Null, Inner::Object(PERIODIC_CONFIG)),
    ("ParameterizedJob", Nothing::Null, Inner::Object(PARAMETERIZED_JOB_CONFIG)),
    ("Reschedule", Nothing::Null, Inner::Object(RESCHEDULE_POLICY)),
    ("Migrate", Nothing::Null, Inner::Object(MIGRATE_STRATEGY)),
    ("Meta", Nothing::Null, PLAIN),
    ("UI", Nothing::Null, Inner::Object(JOB_UI_CONFIG)),
    ("Stop", Nothing::Null, PLAIN),
    ("ParentID", Nothing::Null, PLAIN),
    ("Dispatched", Nothing::False, PLAIN),
    ("DispatchIdempotencyToken", Nothing::Null, PLAIN),
    ("Payload", Nothing::Null, PLAIN),
    ("ConsulNamespace", Nothing::Null, PLAIN),
    ("VaultNamespace", Nothing::Null, PLAIN),
    ("NomadTokenID", Nothing::Null, PLAIN),
    ("Status", Nothing::Null, PLAIN),
    ("StatusDescription", Nothing::Null, PLAIN),
    ("Stable", Nothing::Null, PLAIN),
    ("Version", Nothing::Null, PLAIN),
    ("SubmitTime", Nothing::Null, PLAIN),
    ("CreateIndex", Nothing::Null, PLAIN),
    ("ModifyIndex", Nothing::Null, PLAIN),
    ("JobModifyIndex", Nothing::Null, PLAIN),
    ("VersionTag", Nothing::Null, PLAIN),
];

static TASK_GROUP: &Form = &[
    ("Name", Nothing::Text, PLAIN),
    ("Count", Nothing::Null, PLAIN),
    ("Constraints", Nothing::Null, Inner::Object(CONSTRAINT)),
    ("Affinities", Nothing::Null, Inner::Object(AFFINITY)),
    ("Tasks", Nothing::Null, Inner::Object(TASK)),
    ("Spreads", Nothing::Null, Inner::Object(SPREAD)),
    ("Volumes", Nothing::Null, Inner::ByName(VOLUME_REQUEST)),
    ("RestartPolicy", Nothing::Null, Inner::Object(RESTART_POLICY)),
    ("Disconnect", Nothing::Null, Inner::Object(DISCONNECT_STRATEGY)),
    ("ReschedulePolicy", Nothing::Null, Inner::Object(RESCHEDULE_POLICY)),
    ("EphemeralDisk", Nothing::Null, Inner::Object(EPHEMERAL_DISK)),
    ("Update", Nothing::Null, Inner::Object(UPDATE_STRATEGY)),
    ("Migrate", Nothing::Null, Inner::Object(MIGRATE_STRATEGY)),
    ("Networks", Nothing::Null, Inner::Object(NETWORK_RESOURCE)),
    ("Meta", Nothing::Null, PLAIN),
    ("Services", Nothing::Null, Inner::Object(SERVICE)),
    ("ShutdownDelay", Nothing::Null, PLAIN),
    ("MaxRunDuration", Nothing::Null, PLAIN),
    ("StopAfterClientDisconnect", Nothing::Null, PLAIN),
    ("MaxClientDisconnect", Nothing::Null, PLAIN),
    ("Scaling", Nothing::Null, Inner::Object(SCALING_POLICY)),
    ("Consul", Nothing::Null, Inner::Object(CONSUL)),
    ("PreventRescheduleOnLost", Nothing::Null, PLAIN),
];

static TASK: &Form = &[
    ("Name", Nothing::Text, PLAIN),
    ("Driver", Nothing::Text, PLAIN),
    ("User", Nothing::Text, PLAIN),
    ("Lifecycle", Nothing::Null, Inner::Object(TASK_LIFECYCLE)),
    ("Config", Nothing::Null, PLAIN),
    ("Constraints", Nothing::Null, Inner::Object(CONSTRAINT)),
    ("Affinities", Nothing::Null, Inner::Object(AFFINITY)),
    ("Env", Nothing::Null, PLAIN),
    ("Services", Nothing::Null, Inner::Object(SERVICE)),
    ("Resources", Nothing::Null, Inner::Object(RESOURCES)),
    ("RestartPolicy", Nothing::Null, Inner::Object(RESTART_POLICY)),
    ("Meta", Nothing::Null, PLAIN),
    ("KillTimeout", Nothing::Null, PLAIN),
    ("LogConfig", Nothing::Null, Inner::Object(LOG_CONFIG)),
    ("Artifacts", Nothing::Null, Inner::Object(TASK_ARTIFACT)),
    ("Vault", Nothing::Null, Inner::Object(VAULT)),
    ("Consul", Nothing::Null, Inner::Object(CONSUL)),
    ("Templates", Nothing::Null, Inner::Object(TEMPLATE)),
    ("DispatchPayload", Nothing::Null, Inner::Object(DISPATCH_PAYLOAD_CONFIG)),
    ("VolumeMounts", Nothing::Null, Inner::Object(VOLUME_MOUNT)),
    ("CSIPluginConfig", Nothing::Absent, Inner::Object(TASK_CSI_PLUGIN_CONFIG)),
    ("Leader", Nothing::False, PLAIN),
    ("ShutdownDelay", Nothing::Zero, PLAIN),
    ("KillSignal", Nothing::Text, PLAIN),
    ("Kind", Nothing::Text, PLAIN),
    ("ScalingPolicies", Nothing::Null, Inner::Object(SCALING_POLICY)),
    ("Secrets", Nothing::Null, Inner::Object(SECRET)),
    ("Identity", Nothing::Null, Inner::Object(WORKLOAD_IDENTITY)),
    ("Identities", Nothing::Null, Inner::Object(WORKLOAD_IDENTITY)),
    ("Actions", Nothing::Null, Inner::Object(ACTION)),
    ("Schedule", Nothing::Null, Inner::Object(TASK_SCHEDULE)),
];

static CONSTRAINT: &Form = &[("LTarget", Nothing::Text, PLAIN), ("RTarget", Nothing::Text, PLAIN), ("Operand", Nothing::Text, PLAIN)];

static AFFINITY: &Form = &[
    ("LTarget", Nothing::Text, PLAIN),
    ("RTarget", Nothing::Text, PLAIN),
    ("Operand", Nothing::Text, PLAIN),
    ("Weight", Nothing::Null, PLAIN),
];

static SPREAD: &Form =
    &[("Attribute", Nothing::Text, PLAIN), ("Weight", Nothing::Null, PLAIN), ("SpreadTarget", Nothing::Null, Inner::Object(SPREAD_TARGET))];

static SPREAD_TARGET: &Form = &[("Value", Nothing::Text, PLAIN), ("Percent", Nothing::Zero, PLAIN)];

static UPDATE_STRATEGY: &Form = &[
    ("Stagger", Nothing::Null, PLAIN),
    ("MaxParallel", Nothing::Null, PLAIN),
    ("HealthCheck", Nothing::Null, PLAIN),
    ("MinHealthyTime", Nothing::Null, PLAIN),
    ("HealthyDeadline", Nothing::Null, PLAIN),
    ("ProgressDeadline", Nothing::Null, PLAIN),
    ("Canary", Nothing::Null, PLAIN),
    ("AutoRevert", Nothing::Null, PLAIN),
    ("AutoPromote", Nothing::Null, PLAIN),
];

static MIGRATE_STRATEGY: &Form = &[
    ("MaxParallel", Nothing::Null, PLAIN),
    ("HealthCheck", Nothing::Null, PLAIN),
    ("MinHealthyTime", Nothing::Null, PLAIN),
    ("HealthyDeadline", Nothing::Null, PLAIN),
];

static RESCHEDULE_POLICY: &Form = &[
    ("Attempts", Nothing::Null, PLAIN),
    ("Interval", Nothing::Null, PLAIN),
    ("Delay", Nothing::Null, PLAIN),
    ("DelayFunction", Nothing::Null, PLAIN),
    ("MaxDelay", Nothing::Null, PLAIN),
    ("Unlimited", Nothing::Null, PLAIN),
];

static RESTART_POLICY: &Form = &[
    ("Interval", Nothing::Null, PLAIN),
    ("Attempts", Nothing::Null, PLAIN),
    ("Delay", Nothing::Null, PLAIN),
    ("Mode", Nothing::Null, PLAIN),
    ("RenderTemplates", Nothing::Null, PLAIN),
];

static PERIODIC_CONFIG: &Form = &[
    ("Enabled", Nothing::Null, PLAIN),
    ("Spec", Nothing::Null, PLAIN),
    ("Specs", Nothing::Null, PLAIN),
    ("SpecType", Nothing::Text, PLAIN),
    ("ProhibitOverlap", Nothing::Null, PLAIN),
    ("TimeZone", Nothing::Null, PLAIN),
];

static DISPATCH_PAYLOAD_CONFIG: &Form = &[("File", Nothing::Text, PLAIN)];

static PARAMETERIZED_JOB_CONFIG: &Form =
    &[("Payload", Nothing::Text, PLAIN), ("MetaRequired", Nothing::Null, PLAIN), ("MetaOptional", Nothing::Null, PLAIN)];

static MULTIREGION: &Form =
    &[("Strategy", Nothing::Null, Inner::Object(MULTIREGION_STRATEGY)), ("Regions", Nothing::Null, Inner::Object(MULTIREGION_REGION))];

static MULTIREGION_STRATEGY: &Form = &[("MaxParallel", Nothing::Zero, PLAIN), ("OnFailure", Nothing::Text, PLAIN)];

static MULTIREGION_REGION: &Form = &[
    ("Name", Nothing::Text, PLAIN),
    ("Count", Nothing::Null, PLAIN),
    ("Datacenters", Nothing::Null, PLAIN),
    ("NodePool", Nothing::Text, PLAIN),
    ("Meta", Nothing::Null, PLAIN),
];

static JOB_UI_CONFIG: &Form = &[("Description", Nothing::Text, PLAIN), ("Links", Nothing::Null, Inner::Object(JOB_UI_LINK))];

static JOB_UI_LINK: &Form = &[("Label", Nothing::Text, PLAIN), ("URL", Nothing::Text, PLAIN)];

static RESOURCES: &Form = &[
    ("CPU", Nothing::Null, PLAIN),
    ("Cores", Nothing::Null, PLAIN),
    ("MemoryMB", Nothing::Null, PLAIN),
    ("MemoryMaxMB", Nothing::Null, PLAIN),
    ("DiskMB", Nothing::Null, PLAIN),
    ("Networks", Nothing::Null, Inner::Object(NETWORK_RESOURCE)),
    ("Devices", Nothing::Null, Inner::Object(REQUESTED_DEVICE)),
    ("NUMA", Nothing::Null, Inner::Object(NUMA_RESOURCE)),
    ("SecretsMB", Nothing::Null, PLAIN),
    ("IOPS", Nothing::Null, PLAIN),
];

static DISCONNECT_STRATEGY: &Form = &[
    ("LostAfter", Nothing::Null, PLAIN),
    ("StopOnClientAfter", Nothing::Null, PLAIN),
    ("Replace", Nothing::Null, PLAIN),
    ("Reconcile", Nothing::Null, PLAIN),
];

static EPHEMERAL_DISK: &Form = &[("Sticky", Nothing::Null, PLAIN), ("Migrate", Nothing::Null, PLAIN), ("SizeMB", Nothing::Null, PLAIN)];

static SCALING_POLICY: &Form = &[
    ("Min", Nothing::Null, PLAIN),
    ("Max", Nothing::Zero, PLAIN),
    ("Policy", Nothing::Null, PLAIN),
    ("Enabled", Nothing::Null, PLAIN),
    ("Type", Nothing::Text, PLAIN),
    ("ID", Nothing::Text, PLAIN),
    ("Namespace", Nothing::Text, PLAIN),
    ("Target", Nothing::Null, PLAIN),
    ("CreateIndex", Nothing::Zero, PLAIN),
    ("ModifyIndex", Nothing::Zero, PLAIN),
];

static NETWORK_RESOURCE: &Form = &[
    ("Mode", Nothing::Text, PLAIN),
    ("Device", Nothing::Text, PLAIN),
    ("CIDR", Nothing::Text, PLAIN),
    ("IP", Nothing::Text, PLAIN),
    ("DNS", Nothing::Null, Inner::Object(DNS_CONFIG)),
    ("ReservedPorts", Nothing::Null, Inner::Object(PORT)),
    ("DynamicPorts", Nothing::Null, Inner::Object(PORT)),
    ("Hostname", Nothing::Text, PLAIN),
    ("MBits", Nothing::Null, PLAIN),
    ("CNI", Nothing::Null, Inner::Object(CNI_CONFIG)),
];

static PORT: &Form = &[
    ("Label", Nothing::Text, PLAIN),
    ("Value", Nothing::Zero, PLAIN),
    ("To", Nothing::Zero, PLAIN),
    ("HostNetwork", Nothing::Text, PLAIN),
    ("IgnoreCollision", Nothing::False, PLAIN),
];

static DNS_CONFIG: &Form = &[("Servers", Nothing::Null, PLAIN), ("Searches", Nothing::Null, PLAIN), ("Options", Nothing::Null, PLAIN)];

static CNI_CONFIG: &Form = &[("Args", Nothing::Null, PLAIN)];

static VOLUME_MOUNT: &Form = &[
    ("Volume", Nothing::Null, PLAIN),
    ("Destination", Nothing::Text, PLAIN),
    ("ReadOnly", Nothing::Null, PLAIN),
    ("PropagationMode", Nothing::Null, PLAIN),
    ("SELinuxLabel", Nothing::Null, PLAIN),
];

static VOLUME_REQUEST: &Form = &[
    ("Name", Nothing::Text, PLAIN),
    ("Type", Nothing::Text, PLAIN),
    ("Source", Nothing::Text, PLAIN),
    ("ReadOnly", Nothing::False, PLAIN),
    ("Sticky", Nothing::False, PLAIN),
    ("AccessMode", Nothing::Text, PLAIN),
    ("AttachmentMode", Nothing::Text, PLAIN),
    ("MountOptions", Nothing::Null, Inner::Object(CSI_MOUNT_OPTIONS)),
    ("PerAlloc", Nothing::False, PLAIN),
];

static CSI_MOUNT_OPTIONS: &Form = &[("FSType", Nothing::Text, PLAIN), ("MountFlags", Nothing::Null, PLAIN)];

static TASK_CSI_PLUGIN_CONFIG: &Form = &[
    ("ID", Nothing::Text, PLAIN),
    ("Type", Nothing::Text, PLAIN),
    ("MountDir", Nothing::Text, PLAIN),
    ("StagePublishBaseDir", Nothing::Text, PLAIN),
    ("HealthTimeout", Nothing::Zero, PLAIN),
];

static TEMPLATE: &Form = &[
    ("SourcePath", Nothing::Null, PLAIN),
    ("DestPath", Nothing::Text, PLAIN),
    ("EmbeddedTmpl", Nothing::Null, PLAIN),
    ("ChangeMode", Nothing::Text, PLAIN),
    ("ChangeScript", Nothing::Null, Inner::Object(CHANGE_SCRIPT)),
    ("ChangeSignal", Nothing::Null, PLAIN),
    ("Once", Nothing::Null, PLAIN),
    ("Splay", Nothing::Zero, PLAIN),
    ("Perms", Nothing::Text, PLAIN),
    ("Uid", Nothing::Null, PLAIN),
    ("Gid", Nothing::Null, PLAIN),
    ("LeftDelim", Nothing::Null, PLAIN),
    ("RightDelim", Nothing::Null, PLAIN),
    ("Envvars", Nothing::Null, PLAIN),
    ("VaultGrace", Nothing::Null, PLAIN),
    ("Wait", Nothing::Null, Inner::Object(WAIT_CONFIG)),
    ("ErrMissingKey", Nothing::False, PLAIN),
];

static CONSUL: &Form = &[("Namespace", Nothing::Text, PLAIN), ("Cluster", Nothing::Text, PLAIN), ("Partition", Nothing::Text, PLAIN)];

static SERVICE: &Form = &[
    ("Name", Nothing::Text, PLAIN),
    ("Tags", Nothing::Null, PLAIN),
    ("CanaryTags", Nothing::Null, PLAIN),
    ("EnableTagOverride", Nothing::False, PLAIN),
    ("PortLabel", Nothing::Text, PLAIN),
    ("AddressMode", Nothing::Text, PLAIN),
    ("Address", Nothing::Text, PLAIN),
    ("Checks", Nothing::Null, Inner::Object(SERVICE_CHECK)),
    ("CheckRestart", Nothing::Null, Inner::Object(CHECK_RESTART)),
    ("Connect", Nothing::Null, Inner::Object(CONSUL_CONNECT)),
    ("Meta", Nothing::Null, PLAIN),
    ("CanaryMeta", Nothing::Null, PLAIN),
    ("TaggedAddresses", Nothing::Null, PLAIN),
    ("TaskName", Nothing::Text, PLAIN),
    ("OnUpdate", Nothing::Text, PLAIN),
    ("Identity", Nothing::Null, Inner::Object(WORKLOAD_IDENTITY)),
    ("Weights", Nothing::Null, Inner::Object(SERVICE_WEIGHTS)),
    ("Provider", Nothing::Text, PLAIN),
    ("Cluster", Nothing::Text, PLAIN),
    ("Kind", Nothing::Text, PLAIN),
];

static VAULT: &Form = &[
    ("Policies", Nothing::Null, PLAIN),
    ("Role", Nothing::Text, PLAIN),
    ("Namespace", Nothing::Null, PLAIN),
    ("Cluster", Nothing::Text, PLAIN),
    ("Env", Nothing::False, PLAIN),
    ("DisableFile", Nothing::False, PLAIN),
    ("ChangeMode", Nothing::Text, PLAIN),
    ("ChangeSignal", Nothing::Null, PLAIN),
    ("AllowTokenExpiration", Nothing::Null, PLAIN),
];

static SECRET: &Form = &[
    ("Name", Nothing::Text, PLAIN),
    ("Provider", Nothing::Text, PLAIN),
    ("Path", Nothing::Text, PLAIN),
    ("Config", Nothing::Null, PLAIN),
    ("Env", Nothing::Null, PLAIN),
];

static WORKLOAD_IDENTITY: &Form = &[
    ("Name", Nothing::Text, PLAIN),
    ("Audience", Nothing::Null, PLAIN),
    ("ChangeMode", Nothing::Text, PLAIN),
    ("ChangeSignal", Nothing::Text, PLAIN),
    ("Env", Nothing::False, PLAIN),
    ("File", Nothing::False, PLAIN),
    ("Filepath", Nothing::Text, PLAIN),
    ("ServiceName", Nothing::Text, PLAIN),
    ("TTL", Nothing::Zero, PLAIN),
    ("ExtraClaims", Nothing::Null, PLAIN),
];

static REQUESTED_DEVICE: &Form = &[
    ("Name", Nothing::Text, PLAIN),
    ("Count", Nothing::Null, PLAIN),
    ("Constraints", Nothing::Null, Inner::Object(CONSTRAINT)),
    ("Affinities", Nothing::Null, Inner::Object(AFFINITY)),
];

static NUMA_RESOURCE: &Form = &[("Affinity", Nothing::Text, PLAIN), ("Devices", Nothing::Null, PLAIN)];

static TASK_LIFECYCLE: &Form = &[("Hook", Nothing::Text, PLAIN), ("Sidecar", Nothing::False, PLAIN)];

static LOG_CONFIG: &Form = &[
    ("MaxFiles", Nothing::Null, PLAIN),
    ("MaxFileSizeMB", Nothing::Null, PLAIN),
    ("Enabled", Nothing::Null, PLAIN),
    ("Disabled", Nothing::Null, PLAIN),
];

static ACTION: &Form = &[("Name", Nothing::Text, PLAIN), ("Command", Nothing::Text, PLAIN), ("Args", Nothing::Null, PLAIN)];

static TASK_ARTIFACT: &Form = &[
    ("GetterSource", Nothing::Text, PLAIN),
    ("GetterOptions", Nothing::Null, PLAIN),
    ("GetterHeaders", Nothing::Null, PLAIN),
    ("GetterMode", Nothing::Null, PLAIN),
    ("GetterInsecure", Nothing::Null, PLAIN),
    ("RelativeDest", Nothing::Null, PLAIN),
    ("Chown", Nothing::False, PLAIN),
];

static WAIT_CONFIG: &Form = &[("Min", Nothing::Null, PLAIN), ("Max", Nothing::Null, PLAIN)];

static CHANGE_SCRIPT: &Form = &[
    ("Command", Nothing::Text, PLAIN),
    ("Args", Nothing::Null, PLAIN),
    ("Timeout", Nothing::Zero, PLAIN),
    ("FailOnError", Nothing::False, PLAIN),
    ("RunOnFirstRender", Nothing::False, PLAIN),
];

static TASK_SCHEDULE: &Form = &[("Cron", Nothing::Null, Inner::Object(TASK_SCHEDULE_CRON))];

static TASK_SCHEDULE_CRON: &Form = &[("Start", Nothing::Text, PLAIN), ("End", Nothing::Text, PLAIN), ("Timezone", Nothing::Text, PLAIN)];

static CHECK_RESTART: &Form =
    &[("Limit", Nothing::Zero, PLAIN), ("Grace", Nothing::Null, PLAIN), ("IgnoreWarnings", Nothing::False, PLAIN)];

static SERVICE_WEIGHTS: &Form = &[("Passing", Nothing::Zero, PLAIN), ("Warning", Nothing::Zero, PLAIN)];

static SERVICE_CHECK: &Form = &[
    ("Name", Nothing::Text, PLAIN),
    ("Type", Nothing::Text, PLAIN),
    ("Command", Nothing::Text, PLAIN),
    ("Args", Nothing::Null, PLAIN),
    ("Path", Nothing::Text, PLAIN),
    ("Protocol", Nothing::Text, PLAIN),
    ("PortLabel", Nothing::Text, PLAIN),
    ("Expose", Nothing::False, PLAIN),
    ("AddressMode", Nothing::Text, PLAIN),
    ("Advertise", Nothing::Text, PLAIN),
    ("Interval", Nothing::Zero, PLAIN),
    ("Timeout", Nothing::Zero, PLAIN),
    ("InitialStatus", Nothing::Text, PLAIN),
    ("Notes", Nothing::Text, PLAIN),
    ("TLSServerName", Nothing::Text, PLAIN),
    ("TLSSkipVerify", Nothing::False, PLAIN),
    ("Header", Nothing::Null, PLAIN),
    ("Method", Nothing::Text, PLAIN),
    ("CheckRestart", Nothing::Null, Inner::Object(CHECK_RESTART)),
    ("GRPCService", Nothing::Text, PLAIN),
    ("GRPCUseTLS", Nothing::False, PLAIN),
    ("TaskName", Nothing::Text, PLAIN),
    ("SuccessBeforePassing", Nothing::Zero, PLAIN),
    ("FailuresBeforeCritical", Nothing::Zero, PLAIN),
    ("FailuresBeforeWarning", Nothing::Zero, PLAIN),
    ("Body", Nothing::Text, PLAIN),
    ("OnUpdate", Nothing::Text, PLAIN),
];

static CONSUL_CONNECT: &Form = &[
    ("Native", Nothing::False, PLAIN),
    ("Gateway", Nothing::Null, Inner::Object(CONSUL_GATEWAY)),
    ("SidecarService", Nothing::Null, Inner::Object(CONSUL_SIDECAR_SERVICE)),
    ("SidecarTask", Nothing::Null, Inner::Object(SIDECAR_TASK)),
];

static CONSUL_SIDECAR_SERVICE: &Form = &[
    ("Tags", Nothing::Null, PLAIN),
    ("Port", Nothing::Text, PLAIN),
    ("Proxy", Nothing::Null, Inner::Object(CONSUL_PROXY)),
    ("DisableDefaultTCPCheck", Nothing::False, PLAIN),
    ("Meta", Nothing::Null, PLAIN),
];

static CONSUL_PROXY: &Form = &[
    ("LocalServiceAddress", Nothing::Text, PLAIN),
    ("LocalServicePort", Nothing::Zero, PLAIN),
    ("Expose", Nothing::Null, Inner::Object(CONSUL_EXPOSE_CONFIG)),
    ("ExposeConfig", Nothing::Null, Inner::Object(CONSUL_EXPOSE_CONFIG)),
    ("Upstreams", Nothing::Null, Inner::Object(CONSUL_UPSTREAM)),
    ("TransparentProxy", Nothing::Null, Inner::Object(CONSUL_TRANSPARENT_PROXY)),
    ("Config", Nothing::Null, PLAIN),
];

static CONSUL_EXPOSE_CONFIG: &Form =
    &[("Paths", Nothing::Null, Inner::Object(CONSUL_EXPOSE_PATH)), ("Path", Nothing::Null, Inner::Object(CONSUL_EXPOSE_PATH))];

static CONSUL_EXPOSE_PATH: &Form = &[
    ("Path", Nothing::Text, PLAIN),
    ("Protocol", Nothing::Text, PLAIN),
    ("LocalPathPort", Nothing::Zero, PLAIN),
    ("ListenerPort", Nothing::Text, PLAIN),
];

static CONSUL_UPSTREAM: &Form = &[
    ("DestinationName", Nothing::Text, PLAIN),
    ("DestinationNamespace", Nothing::Text, PLAIN),
    ("DestinationPeer", Nothing::Text, PLAIN),
    ("DestinationPartition", Nothing::Text, PLAIN),
    ("DestinationType", Nothing::Text, PLAIN),
    ("LocalBindPort", Nothing::Zero, PLAIN),
    ("Datacenter", Nothing::Text, PLAIN),
    ("LocalBindAddress", Nothing::Text, PLAIN),
    ("LocalBindSocketPath", Nothing::Text, PLAIN),
    ("LocalBindSocketMode", Nothing::Text, PLAIN),
    ("MeshGateway", Nothing::Null, Inner::Object(CONSUL_MESH_GATEWAY)),
    ("Config", Nothing::Null, PLAIN),
];

static CONSUL_MESH_GATEWAY: &Form = &[("Mode", Nothing::Text, PLAIN)];

static SIDECAR_TASK: &Form = &[
    ("Name", Nothing::Text, PLAIN),
    ("Driver", Nothing::Text, PLAIN),
    ("User", Nothing::Text, PLAIN),
    ("Config", Nothing::Null, PLAIN),
    ("Env", Nothing::Null, PLAIN),
    ("Resources", Nothing::Null, Inner::Object(RESOURCES)),
    ("Meta", Nothing::Null, PLAIN),
    ("KillTimeout", Nothing::Null, PLAIN),
    ("LogConfig", Nothing::Null, Inner::Object(LOG_CONFIG)),
    ("ShutdownDelay", Nothing::Null, PLAIN),
    ("KillSignal", Nothing::Text, PLAIN),
    ("VolumeMounts", Nothing::Null, Inner::Object(VOLUME_MOUNT)),
    ("Identities", Nothing::Null, Inner::Object(WORKLOAD_IDENTITY)),
];

static CONSUL_TRANSPARENT_PROXY: &Form = &[
    ("UID", Nothing::Text, PLAIN),
    ("OutboundPort", Nothing::Zero, PLAIN),
    ("ExcludeInboundPorts", Nothing::Null, PLAIN),
    ("ExcludeOutboundPorts", Nothing::Null, PLAIN),
    ("ExcludeOutboundCIDRs", Nothing::Null, PLAIN),
    ("ExcludeUIDs", Nothing::Null, PLAIN),
    ("NoDNS", Nothing::False, PLAIN),
];

static CONSUL_GATEWAY: &Form = &[
    ("Proxy", Nothing::Null, Inner::Object(CONSUL_GATEWAY_PROXY)),
    ("Ingress", Nothing::Null, Inner::Object(CONSUL_INGRESS_CONFIG_ENTRY)),
    ("Terminating", Nothing::Null, Inner::Object(CONSUL_TERMINATING_CONFIG_ENTRY)),
    ("Mesh", Nothing::Null, Inner::Object(CONSUL_MESH_CONFIG_ENTRY)),
];

static CONSUL_GATEWAY_PROXY: &Form = &[
    ("ConnectTimeout", Nothing::Null, PLAIN),
    ("EnvoyGatewayBindTaggedAddresses", Nothing::False, PLAIN),
    ("EnvoyGatewayBindAddresses", Nothing::Null, Inner::ByName(CONSUL_GATEWAY_BIND_ADDRESS)),
    ("EnvoyGatewayNoDefaultBind", Nothing::False, PLAIN),
    ("EnvoyDNSDiscoveryType", Nothing::Text, PLAIN),
    ("Config", Nothing::Null, PLAIN),
];

static CONSUL_GATEWAY_BIND_ADDRESS: &Form =
    &[("Name", Nothing::Text, PLAIN), ("Address", Nothing::Text, PLAIN), ("Port", Nothing::Zero, PLAIN)];

static CONSUL_INGRESS_CONFIG_ENTRY: &Form = &[
    ("TLS", Nothing::Null, Inner::Object(CONSUL_GATEWAY_TLS_CONFIG)),
    ("Listeners", Nothing::Null, Inner::Object(CONSUL_INGRESS_LISTENER)),
];

static CONSUL_GATEWAY_TLS_CONFIG: &Form = &[
    ("Enabled", Nothing::False, PLAIN),
    ("TLSMinVersion", Nothing::Text, PLAIN),
    ("TLSMaxVersion", Nothing::Text, PLAIN),
    ("CipherSuites", Nothing::Null, PLAIN),
    ("SDS", Nothing::Null, Inner::Object(CONSUL_GATEWAY_TLSSDS_CONFIG)),
];

static CONSUL_GATEWAY_TLSSDS_CONFIG: &Form = &[("ClusterName", Nothing::Text, PLAIN), ("CertResource", Nothing::Text, PLAIN)];

static CONSUL_INGRESS_LISTENER: &Form = &[
    ("Port", Nothing::Zero, PLAIN),
    ("Protocol", Nothing::Text, PLAIN),
    ("Services", Nothing::Null, Inner::Object(CONSUL_INGRESS_SERVICE)),
];

static CONSUL_INGRESS_SERVICE: &Form = &[
    ("Name", Nothing::Text, PLAIN),
    ("Hosts", Nothing::Null, PLAIN),
    ("TLS", Nothing::Null, Inner::Object(CONSUL_GATEWAY_TLS_CONFIG)),
    ("RequestHeaders", Nothing::Null, Inner::Object(CONSUL_HTTP_HEADER_MODIFIERS)),
    ("ResponseHeaders", Nothing::Null, Inner::Object(CONSUL_HTTP_HEADER_MODIFIERS)),
    ("MaxConnections", Nothing::Null, PLAIN),
    ("MaxPendingRequests", Nothing::Null, PLAIN),
    ("MaxConcurrentRequests", Nothing::Null, PLAIN),
];

static CONSUL_HTTP_HEADER_MODIFIERS: &Form =
    &[("Add", Nothing::Null, PLAIN), ("Set", Nothing::Null, PLAIN), ("Remove", Nothing::Null, PLAIN)];

static CONSUL_TERMINATING_CONFIG_ENTRY: &Form = &[("Services", Nothing::Null, Inner::Object(CONSUL_LINKED_SERVICE))];

static CONSUL_LINKED_SERVICE: &Form = &[
    ("Name", Nothing::Text, PLAIN),
    ("CAFile", Nothing::Text, PLAIN),
    ("CertFile", Nothing::Text, PLAIN),
    ("KeyFile", Nothing::Text, PLAIN),
    ("SNI", Nothing::Text, PLAIN),
];

static CONSUL_MESH_CONFIG_ENTRY: &Form = &[];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_is_written_in_its_order_with_what_stands_for_nothing() {
        let job = json!({ "TaskGroups": [{ "Networks": [{ "Mode": "<host>" }], "Name": "g" }], "ID": "j" });
        let text = client_text(job);
        assert!(text.starts_with("{\n    \"Job\": {\n        \"Region\": null,\n        \"Namespace\": null,\n        \"ID\": \"j\""));
        let place = |piece: &str| text.find(piece).unwrap_or_else(|| panic!("no {piece} in {text}"));
        assert!(place("\"Name\": \"g\"") < place("\"Networks\""));
        assert!(place("\"Mode\": \"\\u003chost\\u003e\"") < place("\"CNI\": null"));
        assert!(text.contains("\"Device\": \"\""));
    }

    #[test]
    fn numbers_have_an_exponent_only_when_they_are_huge_or_tiny() {
        let shown: Vec<_> = [0.5, 9_223_372_036_854_775_808.0, 1e21, -2.5e-7, 0.000001].map(float_text).into();
        assert_eq!(shown, ["0.5", "9223372036854776000", "1e+21", "-2.5e-7", "0.000001"]);
    }
}

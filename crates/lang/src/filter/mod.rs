//! Filter expressions: `Status == "ready" and "docker" in Drivers`, evaluated over JSON values.
//!
//! JSON alone does not tell a record, where an unknown field is an error, from a map, where a missing key is an answer;
//! a [`Shape`] does. Evaluation is bounded by the size of expression and value.

mod evaluate;
mod read;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use evaluate::Run;
use read::Parser;

/// Longest expression that is read.
const MAX_EXPRESSION: usize = 64 << 10;
/// Deepest nesting that is read.
const MAX_NESTING: u32 = 64;
/// Steps that one evaluation may take.
const MAX_STEPS: u64 = 2_000_000;

/// Why an expression cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("1:{column} ({offset}): {message}")]
pub struct FilterSyntaxError {
    /// Column in characters, from 1.
    pub column: usize,
    /// Offset in bytes.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
}

/// Why an expression has no answer for a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A selector leads nowhere.
    #[error("error finding value in datum: {0}")]
    Selector(String),
    /// The value of a comparison does not fit the field.
    #[error("error getting match value in expression: {0}")]
    Value(String),
    /// The operator does not work on the field.
    #[error("{0}")]
    Operator(String),
    /// It takes too long.
    #[error("the filter takes too many steps")]
    TooExpensive,
}

/// What is a map and what a list, by the name of the field.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    maps: &'a BTreeSet<&'a str>,
    lists: &'a BTreeSet<&'a str>,
    untyped: bool,
    /// What fields of the outermost record are when its JSON leaves them out.
    omitted: Option<&'a Value>,
    /// Fields of the outermost record that only its JSON has.
    hidden: &'a [&'a str],
}

/// Fields that the JSON of an evaluation leaves out when empty, with what they are then.
static EVALUATION: LazyLock<Value> = LazyLock::new(|| {
    zeros(
        "ID Type TriggeredBy Namespace JobID NodeID DeploymentID Status StatusDescription NextEval PreviousEval BlockedEval QuotaLimitReached LeaderACL",
        "Priority JobModifyIndex NodeModifyIndex Wait SnapshotIndex CreateIndex ModifyIndex CreateTime ModifyTime",
        "EscapedComputedClass AnnotatePlan",
        "WaitUntil RelatedEvals FailedTGAllocs PlanAnnotations ClassEligibility MissingNonNodeResources QueuedAllocations",
    )
});

/// The same for an allocation.
static ALLOCATION: LazyLock<Value> = LazyLock::new(|| {
    zeros(
        "ID Namespace EvalID Name NodeID NodeName JobID TaskGroup DesiredStatus DesiredDescription ClientStatus ClientDescription DeploymentID \
         FollowupEvalID PreviousAllocation NextAllocation PreemptedByAllocation SigningKeyID",
        "CreateIndex ModifyIndex AllocModifyIndex CreateTime ModifyTime",
        "",
        "Job Resources TaskResources AllocatedResources Metrics TaskStates DeploymentStatus RescheduleTracker NetworkStatus \
         PreemptedAllocations SharedResources AllocStates",
    )
});

/// An object of empty texts, zeros, falses and nulls.
fn zeros(texts: &str, numbers: &str, bools: &str, nulls: &str) -> Value {
    let all = [(texts, Value::String(String::new())), (numbers, Value::from(0)), (bools, Value::Bool(false)), (nulls, Value::Null)];
    let fields = all.into_iter().flat_map(|(names, zero)| names.split_whitespace().map(move |name| (name.to_owned(), zero.clone())));
    Value::Object(fields.collect())
}

static MAPS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| BTreeSet::from(MAP_FIELDS));
static LISTS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| BTreeSet::from(LIST_FIELDS));
static NOTHING: LazyLock<BTreeSet<&'static str>> = LazyLock::new(BTreeSet::new);

impl<'a> Shape<'a> {
    /// The records of the API.
    pub fn api() -> Shape<'static> {
        Shape { maps: &MAPS, lists: &LISTS, untyped: false, omitted: None, hidden: &[] }
    }

    /// Evaluations, whose JSON leaves out empty fields.
    pub fn evaluation() -> Shape<'static> {
        Shape { omitted: Some(&EVALUATION), ..Self::api() }
    }

    /// Allocations, whose JSON leaves out empty fields.
    pub fn allocation() -> Shape<'static> {
        Shape { omitted: Some(&ALLOCATION), ..Self::api() }
    }

    /// Nodes, whose JSON says once more whether they are drained.
    pub fn node() -> Shape<'static> {
        Shape { hidden: &["Drain"], ..Self::api() }
    }

    /// Plain JSON: every object is a map, every number floating.
    pub fn untyped() -> Shape<'static> {
        Shape { maps: &NOTHING, lists: &NOTHING, untyped: true, omitted: None, hidden: &[] }
    }

    /// Records whose maps and lists are the named fields.
    pub fn of(maps: &'a BTreeSet<&'a str>, lists: &'a BTreeSet<&'a str>) -> Self {
        Shape { maps, lists, untyped: false, omitted: None, hidden: &[] }
    }
}

/// Fields of the API that hold times: texts in the JSON, which filters do not take for texts.
const TIME_FIELDS: [&str; 19] = [
    "BuildDate",
    "CreateTime",
    "ExpirationTime",
    "ExpiresAt",
    "FinishedAt",
    "ForceDeadline",
    "LastRestart",
    "ModTime",
    "ModifyTime",
    "NextPeriodicLaunch",
    "RequireProgressBy",
    "ResourceExhausted",
    "StableSince",
    "StartedAt",
    "Time",
    "Timestamp",
    "UpdateTime",
    "UpdatedAt",
    "WaitUntil",
];

/// Fields of the API that hold maps.
const MAP_FIELDS: [&str; 84] = [
    "Add",
    "Args",
    "Attributes",
    "CSIControllerPlugins",
    "CSINodePlugins",
    "CanaryMeta",
    "ChrootEnv",
    "ClaimMappings",
    "Claims",
    "ClassEligibility",
    "ClassExhausted",
    "ClassFiltered",
    "Config",
    "ConstraintFiltered",
    "Context",
    "ControllerJobs",
    "Controllers",
    "DesiredTGUpdates",
    "Details",
    "DimensionExhausted",
    "Disk",
    "Drivers",
    "Dynamic",
    "Env",
    "Environment",
    "EnvoyGatewayBindAddresses",
    "ExtraClaims",
    "ExtraHeaders",
    "FailedTGAllocs",
    "Flags",
    "GetterHeaders",
    "GetterOptions",
    "HTTPAPIResponseHeaders",
    "Header",
    "HostNetworks",
    "HostVolumes",
    "InstanceStats",
    "Items",
    "Keys",
    "Labels",
    "Links",
    "ListClaimMappings",
    "Matches",
    "Messages",
    "Meta",
    "Nested",
    "NodeJobs",
    "Nodes",
    "NodesAvailable",
    "OptionalExtraClaims",
    "Options",
    "Parameters",
    "Payload",
    "Pids",
    "Policy",
    "QueuedAllocations",
    "ReadAllocs",
    "RedundancyZones",
    "RequiredExtraClaims",
    "ResourcesExhausted",
    "Scores",
    "Secrets",
    "Segments",
    "Services",
    "Set",
    "Static",
    "Stats",
    "Summary",
    "TaggedAddresses",
    "Tags",
    "Target",
    "TaskGroups",
    "TaskLifecycles",
    "TaskResources",
    "TaskStates",
    "Tasks",
    "Truncations",
    "Updates",
    "Used",
    "VariableFlags",
    "VolumeContext",
    "Volumes",
    "WriteAllocs",
    "stats",
];

/// Fields of the API that hold lists or bytes.
const LIST_FIELDS: [&str; 180] = [
    "Actions",
    "AdditionalEnabledModules",
    "Addresses",
    "Affinities",
    "AllocStates",
    "Allocations",
    "Allocs",
    "Allowed",
    "AllowedMetadataKeysInMetrics",
    "AllowedRedirectURIs",
    "Annotations",
    "Apply",
    "Args",
    "Artifacts",
    "Audience",
    "BoundAudiences",
    "BoundIssuer",
    "Bundle",
    "CPU",
    "CanaryTags",
    "Capabilities",
    "Checks",
    "ChildStatuses",
    "CipherSuites",
    "ConfigPaths",
    "ConnectSrc",
    "Constraints",
    "Consuls",
    "Cores",
    "Counters",
    "CreatedEvals",
    "Data",
    "DataDogTags",
    "Datacenters",
    "DefaultSrc",
    "Denied",
    "DeviceIDs",
    "DeviceStats",
    "Devices",
    "Diffs",
    "DisabledNetworkModes",
    "DisabledTaskDrivers",
    "DiscoveryCaPem",
    "DiskStats",
    "Dismiss",
    "Distances",
    "DynamicPorts",
    "EnabledNetworkModes",
    "EnabledSchedulers",
    "EnabledTaskDrivers",
    "Endpoints",
    "Errors",
    "EvalIDs",
    "Events",
    "ExcludeInboundPorts",
    "ExcludeOutboundCIDRs",
    "ExcludeOutboundPorts",
    "ExcludeUIDs",
    "ExtraClaims",
    "ExtraKeysHCL",
    "Features",
    "Fields",
    "Files",
    "FilesystemIsolationExtraPaths",
    "FilterKeys",
    "Filters",
    "Fingerprinters",
    "FormAction",
    "FrameAncestors",
    "FunctionBlacklist",
    "FunctionDenylist",
    "Gauges",
    "Groups",
    "Hash",
    "HealthyAllocationIDs",
    "HostNetworks",
    "HostVolumes",
    "Hosts",
    "Identities",
    "ImgSrc",
    "Imports",
    "Instances",
    "JWTValidationPubKeys",
    "Jobs",
    "JobsWithoutVaultIdentity",
    "KEKProviders",
    "Limits",
    "Links",
    "Listeners",
    "Measured",
    "Members",
    "MetaOptional",
    "MetaRequired",
    "MissingNonNodeResources",
    "Modules",
    "MountFlags",
    "Namespaces",
    "Network",
    "Networks",
    "NodeNetworks",
    "NodePools",
    "Nodes",
    "OIDCScopes",
    "Objects",
    "Operations",
    "Options",
    "OtherVersionNonVoters",
    "OtherVersionReadReplicas",
    "OtherVersionVoters",
    "OutdatedNodes",
    "Path",
    "Paths",
    "Payload",
    "PlacedCanaries",
    "Plugins",
    "Points",
    "Policies",
    "Ports",
    "PreemptedAllocations",
    "PreemptedAllocs",
    "Preferred",
    "PrefixFilter",
    "PublishedExternalNodeIDs",
    "QuotaExhausted",
    "ReadReplicas",
    "Recommendations",
    "Regions",
    "RelatedEvals",
    "Remove",
    "RequestedCapabilities",
    "Required",
    "ReservableCpuCores",
    "ReservedCores",
    "ReservedCpuCores",
    "ReservedPorts",
    "RetryJoin",
    "Roles",
    "Samples",
    "ScalingPolicies",
    "Scope",
    "ScoreMetaData",
    "ScriptSrc",
    "Searches",
    "Secrets",
    "Servers",
    "Services",
    "SigningAlgs",
    "Sinks",
    "Snapshots",
    "Specs",
    "SpreadTarget",
    "Spreads",
    "Stages",
    "StartJoin",
    "StyleSrc",
    "Tags",
    "TargetVersionNonVoters",
    "TargetVersionReadReplicas",
    "TargetVersionVoters",
    "TaskGroups",
    "Tasks",
    "Templates",
    "Topologies",
    "UnhealthyAllocationIDs",
    "UpdatedJobs",
    "Upstreams",
    "ValidationErrors",
    "VaultTokens",
    "Vaults",
    "Versions",
    "VolumeMounts",
    "Volumes",
    "Voters",
    "data",
    "enabled_schedulers",
    "id_token_signing_alg_values_supported",
    "keys",
    "response_types_supported",
    "schedulers",
    "subject_types_supported",
];

/// A filter expression.
#[derive(Clone, Debug)]
pub struct Filter {
    root: Node,
}

#[derive(Clone, Debug)]
enum Node {
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Match(Selector, Operation, bool),
    Collection { all: bool, selector: Selector, names: Vec<String>, body: Box<Node> },
}

#[derive(Clone, Debug)]
enum Operation {
    Equal(String),
    In(String),
    Matches(String, Result<Regex, String>),
    Empty,
    Nil,
}

#[derive(Clone, Debug)]
struct Selector {
    parts: Vec<String>,
    text: String,
}

impl Filter {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Self, FilterSyntaxError> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        if text.len() > MAX_EXPRESSION {
            return parser.fail("the expression is too long");
        }
        parser.blanks();
        let root = parser.or()?;
        parser.blanks();
        if parser.at < text.len() {
            return parser.fail("no match found, expected: \"and\", \"or\" or EOF");
        }
        Ok(Self { root })
    }

    /// Whether the expression holds for `value`.
    pub fn matches<'v>(&self, value: &'v Value, shape: Shape<'v>) -> Result<bool, FilterError> {
        let mut run = Run { root: value, shape, bound: Vec::new(), steps: 0 };
        run.node(&self.root)
    }
}

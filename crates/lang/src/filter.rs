//! Filter expressions: `Status == "ready" and "docker" in Drivers`, evaluated over JSON values.
//!
//! JSON alone does not tell a record, where an unknown field is an error, from a map, where a missing key is an answer;
//! a [`Shape`] does. Evaluation is bounded by the size of expression and value.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

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
        Shape { maps: &MAPS, lists: &LISTS, untyped: false, omitted: None }
    }

    /// Evaluations, whose JSON leaves out empty fields.
    pub fn evaluation() -> Shape<'static> {
        Shape { omitted: Some(&EVALUATION), ..Self::api() }
    }

    /// Allocations, whose JSON leaves out empty fields.
    pub fn allocation() -> Shape<'static> {
        Shape { omitted: Some(&ALLOCATION), ..Self::api() }
    }

    /// Plain JSON: every object is a map, every number floating.
    pub fn untyped() -> Shape<'static> {
        Shape { maps: &NOTHING, lists: &NOTHING, untyped: true, omitted: None }
    }

    /// Records whose maps and lists are the named fields.
    pub fn of(maps: &'a BTreeSet<&'a str>, lists: &'a BTreeSet<&'a str>) -> Self {
        Shape { maps, lists, untyped: false, omitted: None }
    }
}

/// Fields of the API that hold maps.
const MAP_FIELDS: [&str; 84] = [
    "Add", "Args", "Attributes", "CSIControllerPlugins", "CSINodePlugins", "CanaryMeta", "ChrootEnv",
    "ClaimMappings", "Claims", "ClassEligibility", "ClassExhausted", "ClassFiltered", "Config",
    "ConstraintFiltered", "Context", "ControllerJobs", "Controllers", "DesiredTGUpdates", "Details",
    "DimensionExhausted", "Disk", "Drivers", "Dynamic", "Env", "Environment", "EnvoyGatewayBindAddresses",
    "ExtraClaims", "ExtraHeaders", "FailedTGAllocs", "Flags", "GetterHeaders", "GetterOptions",
    "HTTPAPIResponseHeaders", "Header", "HostNetworks", "HostVolumes", "InstanceStats", "Items", "Keys", "Labels",
    "Links", "ListClaimMappings", "Matches", "Messages", "Meta", "Nested", "NodeJobs", "Nodes", "NodesAvailable",
    "OptionalExtraClaims", "Options", "Parameters", "Payload", "Pids", "Policy", "QueuedAllocations",
    "ReadAllocs", "RedundancyZones", "RequiredExtraClaims", "ResourcesExhausted", "Scores", "Secrets", "Segments",
    "Services", "Set", "Static", "Stats", "Summary", "TaggedAddresses", "Tags", "Target", "TaskGroups",
    "TaskLifecycles", "TaskResources", "TaskStates", "Tasks", "Truncations", "Updates", "Used", "VariableFlags",
    "VolumeContext", "Volumes", "WriteAllocs", "stats",
];

/// Fields of the API that hold lists or bytes.
const LIST_FIELDS: [&str; 180] = [
    "Actions", "AdditionalEnabledModules", "Addresses", "Affinities", "AllocStates", "Allocations", "Allocs",
    "Allowed", "AllowedMetadataKeysInMetrics", "AllowedRedirectURIs", "Annotations", "Apply", "Args", "Artifacts",
    "Audience", "BoundAudiences", "BoundIssuer", "Bundle", "CPU", "CanaryTags", "Capabilities", "Checks",
    "ChildStatuses", "CipherSuites", "ConfigPaths", "ConnectSrc", "Constraints", "Consuls", "Cores", "Counters",
    "CreatedEvals", "Data", "DataDogTags", "Datacenters", "DefaultSrc", "Denied", "DeviceIDs", "DeviceStats",
    "Devices", "Diffs", "DisabledNetworkModes", "DisabledTaskDrivers", "DiscoveryCaPem", "DiskStats", "Dismiss",
    "Distances", "DynamicPorts", "EnabledNetworkModes", "EnabledSchedulers", "EnabledTaskDrivers", "Endpoints",
    "Errors", "EvalIDs", "Events", "ExcludeInboundPorts", "ExcludeOutboundCIDRs", "ExcludeOutboundPorts",
    "ExcludeUIDs", "ExtraClaims", "ExtraKeysHCL", "Features", "Fields", "Files", "FilesystemIsolationExtraPaths",
    "FilterKeys", "Filters", "Fingerprinters", "FormAction", "FrameAncestors", "FunctionBlacklist",
    "FunctionDenylist", "Gauges", "Groups", "Hash", "HealthyAllocationIDs", "HostNetworks", "HostVolumes",
    "Hosts", "Identities", "ImgSrc", "Imports", "Instances", "JWTValidationPubKeys", "Jobs",
    "JobsWithoutVaultIdentity", "KEKProviders", "Limits", "Links", "Listeners", "Measured", "Members",
    "MetaOptional", "MetaRequired", "MissingNonNodeResources", "Modules", "MountFlags", "Namespaces", "Network",
    "Networks", "NodeNetworks", "NodePools", "Nodes", "OIDCScopes", "Objects", "Operations", "Options",
    "OtherVersionNonVoters", "OtherVersionReadReplicas", "OtherVersionVoters", "OutdatedNodes", "Path", "Paths",
    "Payload", "PlacedCanaries", "Plugins", "Points", "Policies", "Ports", "PreemptedAllocations",
    "PreemptedAllocs", "Preferred", "PrefixFilter", "PublishedExternalNodeIDs", "QuotaExhausted", "ReadReplicas",
    "Recommendations", "Regions", "RelatedEvals", "Remove", "RequestedCapabilities", "Required",
    "ReservableCpuCores", "ReservedCores", "ReservedCpuCores", "ReservedPorts", "RetryJoin", "Roles", "Samples",
    "ScalingPolicies", "Scope", "ScoreMetaData", "ScriptSrc", "Searches", "Secrets", "Servers", "Services",
    "SigningAlgs", "Sinks", "Snapshots", "Specs", "SpreadTarget", "Spreads", "Stages", "StartJoin", "StyleSrc",
    "Tags", "TargetVersionNonVoters", "TargetVersionReadReplicas", "TargetVersionVoters", "TaskGroups", "Tasks",
    "Templates", "Topologies", "UnhealthyAllocationIDs", "UpdatedJobs", "Upstreams", "ValidationErrors",
    "VaultTokens", "Vaults", "Versions", "VolumeMounts", "Volumes", "Voters", "data", "enabled_schedulers",
    "id_token_signing_alg_values_supported", "keys", "response_types_supported", "schedulers",
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

// -- reading ----------------------------------------------------------------------------------------------------------

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

type Parsed<T> = Result<T, FilterSyntaxError>;

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic()
}

fn is_name_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '/')
}

/// A value, or a selector that may still turn out to be one.
enum Operand {
    Name(Selector),
    Text(String),
    Pointer(Selector, String),
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

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, message: &str) -> Parsed<T> {
        Err(FilterSyntaxError {
            column: self.text[..self.at].chars().count() + 1,
            offset: self.at,
            message: message.to_owned(),
        })
    }

    fn blanks(&mut self) -> bool {
        let length = self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.at += length;
        length > 0
    }

    /// Passes a keyword that ends at a word boundary.
    fn word(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word) && !self.rest()[word.len()..].starts_with(is_name_part);
        if found {
            self.at += word.len();
        }
        found
    }

    fn or(&mut self) -> Parsed<Node> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return self.fail("nested too deeply");
        }
        let mut parts = vec![self.and()?];
        loop {
            let before = self.at;
            if !(self.blanks() && self.word("or")) {
                self.at = before;
                break;
            }
            if !self.blanks() {
                return self.fail("no match found, expected: a blank");
            }
            parts.push(self.and()?);
        }
        self.depth -= 1;
        let last = parts.pop().expect("one part is read first");
        Ok(parts.into_iter().rev().fold(last, |right, left| Node::Or(Box::new(left), Box::new(right))))
    }

    fn and(&mut self) -> Parsed<Node> {
        let mut parts = vec![self.not()?];
        loop {
            let before = self.at;
            if !(self.blanks() && self.word("and")) {
                self.at = before;
                break;
            }
            if !self.blanks() {
                return self.fail("no match found, expected: a blank");
            }
            parts.push(self.not()?);
        }
        let last = parts.pop().expect("one part is read first");
        Ok(parts.into_iter().rev().fold(last, |right, left| Node::And(Box::new(left), Box::new(right))))
    }

    fn not(&mut self) -> Parsed<Node> {
        let before = self.at;
        if self.word("not") && self.blanks() {
            self.depth += 1;
            if self.depth > MAX_NESTING {
                return self.fail("nested too deeply");
            }
            let inner = self.not()?;
            self.depth -= 1;
            return Ok(Node::Not(Box::new(inner)));
        }
        self.at = before;
        if self.rest().starts_with('(') {
            self.at += 1;
            self.blanks();
            let inner = self.or()?;
            self.blanks();
            if !self.rest().starts_with(')') {
                return self.fail("rule \"grouping\": Unmatched parentheses");
            }
            self.at += 1;
            return Ok(inner);
        }
        for (word, all) in [("all", true), ("any", false)] {
            if self.word(word) && self.blanks()
                && let Some(node) = self.collection(all)? {
                    return Ok(node);
                }
            self.at = before;
        }
        self.comparison()
    }

    fn collection(&mut self, all: bool) -> Parsed<Option<Node>> {
        let selector = match self.operand()? {
            Some(Operand::Name(selector) | Operand::Pointer(selector, _)) => selector,
            _ => return Ok(None),
        };
        if !self.blanks() || !self.word("as") {
            return self.fail("no match found, expected: \"as\"");
        }
        let mut names = Vec::new();
        loop {
            self.blanks();
            let length = self.rest().find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest().len());
            if length == 0 {
                return self.fail("no match found, expected: a name");
            }
            names.push(self.rest()[..length].to_owned());
            self.at += length;
            self.blanks();
            if names.len() < 2 && self.rest().starts_with(',') {
                self.at += 1;
                continue;
            }
            break;
        }
        if !self.rest().starts_with('{') {
            return self.fail("no match found, expected: \"{\"");
        }
        self.at += 1;
        self.blanks();
        let body = Box::new(self.or()?);
        self.blanks();
        if !self.rest().starts_with('}') {
            return self.fail("no match found, expected: \"}\"");
        }
        self.at += 1;
        Ok(Some(Node::Collection { all, selector, names, body }))
    }

    fn comparison(&mut self) -> Parsed<Node> {
        let Some(operand) = self.operand()? else {
            return self.fail("no match found, expected: \"(\", \"all\", \"any\", \"not\", a selector or a value");
        };
        let blanks = self.blanks();
        // `value in selector`
        let before = self.at;
        let negated = blanks && self.word("not") && self.blanks();
        if blanks && self.word("in") {
            if !self.blanks() {
                return self.fail("no match found, expected: a blank");
            }
            let value = match operand {
                Operand::Name(selector) => selector.text,
                Operand::Text(text) | Operand::Pointer(_, text) => text,
            };
            return match self.operand()? {
                Some(Operand::Name(selector) | Operand::Pointer(selector, _)) => Ok(Node::Match(selector, Operation::In(value), negated)),
                _ => self.fail("rule \"match\": Invalid selector"),
            };
        }
        self.at = before;
        let selector = match operand {
            Operand::Name(selector) | Operand::Pointer(selector, _) => selector,
            Operand::Text(_) => return self.fail("no match found, expected: \"in\" or \"not\""),
        };
        for (sign, negated) in [("==", false), ("!=", true)] {
            if self.rest().starts_with(sign) {
                self.at += sign.len();
                self.blanks();
                let value = self.value()?;
                return Ok(Node::Match(selector, Operation::Equal(value), negated));
            }
        }
        let expected = "no match found, expected: \"!=\", \"==\", \"contains\", \"in\", \"is\", \"matches\" or \"not\"";
        if !blanks {
            return self.fail(expected);
        }
        if self.word("is") {
            if !self.blanks() {
                return self.fail("no match found, expected: a blank");
            }
            let negated = self.word("not") && self.blanks();
            let operation = if self.word("empty") {
                Operation::Empty
            } else if self.word("nil") {
                Operation::Nil
            } else {
                return self.fail("no match found, expected: \"empty\", \"nil\" or \"not\"");
            };
            return Ok(Node::Match(selector, operation, negated));
        }
        let negated = self.word("not") && self.blanks();
        let contains = self.word("contains");
        if contains || self.word("matches") {
            if !self.blanks() {
                return self.fail("no match found, expected: a blank");
            }
            let value = self.value()?;
            let operation = if contains {
                Operation::In(value)
            } else {
                let regex = Regex::new(&value).map_err(|error| error.to_string());
                Operation::Matches(value, regex)
            };
            return Ok(Node::Match(selector, operation, negated));
        }
        self.fail(expected)
    }

    fn value(&mut self) -> Parsed<String> {
        match self.operand()? {
            Some(Operand::Name(selector)) => Ok(selector.text),
            Some(Operand::Text(text) | Operand::Pointer(_, text)) => Ok(text),
            None => self.fail("no match found, expected: a value"),
        }
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        match self.rest().chars().next() {
            Some('"') => {
                let start = self.at;
                let text = self.quoted()?;
                let pointer = |text: &str| {
                    text.starts_with('/')
                        && text[1..].split('/').all(|part| {
                            !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | ':' | '|'))
                        })
                };
                if pointer(&text) {
                    let parts = text[1..].split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
                    let shown = self.text[start..self.at].to_owned();
                    return Ok(Some(Operand::Pointer(Selector { parts, text: shown }, text)));
                }
                Ok(Some(Operand::Text(text)))
            }
            Some('`') => match self.rest()[1..].find('`') {
                Some(length) => {
                    let text = self.rest()[1..=length].to_owned();
                    self.at += length + 2;
                    Ok(Some(Operand::Text(text)))
                }
                None => self.fail("rule \"string\": Unterminated string literal"),
            },
            Some('-' | '0'..='9') => self.number().map(|number| Some(Operand::Text(number))),
            Some(c) if is_name_start(c) => self.selector().map(|selector| Some(Operand::Name(selector))),
            _ => Ok(None),
        }
    }

    fn number(&mut self) -> Parsed<String> {
        let text = self.rest();
        let digits = text.strip_prefix('-').unwrap_or(text);
        let sign = text.len() - digits.len();
        let count = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut length = count(digits);
        if length > 1 && digits.starts_with('0') {
            length = 1;
        }
        if length == 0 {
            return self.fail("rule \"number\": Invalid number literal");
        }
        if let Some(fraction) = digits[length..].strip_prefix('.') {
            let more = count(fraction);
            length += if more > 0 { more + 1 } else { 0 };
        }
        let behind = digits[length..].chars().next();
        if !matches!(behind, None | Some(' ' | '\t' | '\r' | '\n' | ')' | '}')) {
            return self.fail("rule \"number\": Invalid number literal");
        }
        let number = text[..sign + length].to_owned();
        self.at += sign + length;
        Ok(number)
    }

    /// A quoted text, in which escapes but no quotes may stand.
    fn quoted(&mut self) -> Parsed<String> {
        let Some(length) = self.rest()[1..].find('"') else {
            self.at = self.text.len();
            return self.fail("rule \"string\": Unterminated string literal");
        };
        let inner = self.rest()[1..=length].to_owned();
        let Some(text) = unescape(&inner) else { return self.fail("rule \"string\": invalid syntax") };
        self.at += length + 2;
        Ok(text)
    }

    fn selector(&mut self) -> Parsed<Selector> {
        let start = self.at;
        let mut parts = Vec::new();
        let name = |rest: &str| rest.find(|c| !is_name_part(c)).unwrap_or(rest.len());
        let length = name(self.rest());
        parts.push(self.rest()[..length].to_owned());
        self.at += length;
        loop {
            if let Some(rest) = self.rest().strip_prefix('.') {
                let length = if rest.starts_with(is_name_start) { name(rest) } else { rest.bytes().take_while(u8::is_ascii_digit).count() };
                if length == 0 {
                    self.at += 1;
                    return self.fail("no match found, expected: [0-9] or [a-zA-Z]");
                }
                parts.push(rest[..length].to_owned());
                self.at += length + 1;
            } else if self.rest().starts_with('[') {
                self.at += 1;
                let key = match self.rest().chars().next() {
                    Some('"') => self.quoted()?,
                    Some('`') => match self.operand()? {
                        Some(Operand::Text(text)) => text,
                        _ => return self.fail("rule \"index\": Invalid index"),
                    },
                    _ => {
                        self.at -= 1;
                        return self.fail("rule \"index\": Invalid index");
                    }
                };
                if !self.rest().starts_with(']') {
                    return self.fail("rule \"index\": Unclosed index expression");
                }
                self.at += 1;
                parts.push(key);
            } else {
                break;
            }
        }
        let follows = self.rest().chars().next();
        if !matches!(follows, None | Some(' ' | '\t' | '\r' | '\n' | '=' | '!' | ')' | '}' | ',')) {
            return self.fail("no match found, expected: \".\", \"[\", a blank or EOF");
        }
        Ok(Selector { parts, text: self.text[start..self.at].to_owned() })
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = rest[at + 1..].chars().next()?;
        rest = &rest[at + 1 + escape.len_utf8()..];
        let digits = match escape {
            'a' => { out.push('\u{7}'); 0 }
            'b' => { out.push('\u{8}'); 0 }
            'f' => { out.push('\u{c}'); 0 }
            'n' => { out.push('\n'); 0 }
            'r' => { out.push('\r'); 0 }
            't' => { out.push('\t'); 0 }
            'v' => { out.push('\u{b}'); 0 }
            '\\' => { out.push('\\'); 0 }
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return None,
        };
        if digits > 0 {
            out.push(char::from_u32(u32::from_str_radix(rest.get(..digits)?, 16).ok()?)?);
            rest = &rest[digits..];
        }
    }
    out.push_str(rest);
    (!out.contains('\n') || text.contains("\\n")).then_some(out)
}

// -- evaluating -------------------------------------------------------------------------------------------------------

/// A value and whether its members are keys of a map.
#[derive(Clone, Copy)]
struct Found<'v> {
    value: &'v Value,
    map: bool,
    list: bool,
}

struct Run<'v> {
    root: &'v Value,
    shape: Shape<'v>,
    bound: Vec<(String, Found<'v>, Option<String>)>,
    steps: u64,
}

enum Target<'v> {
    Value(Found<'v>),
    /// The text of a key that is bound to a name.
    Key(String),
    Missing,
}

impl<'v> Run<'v> {
    fn node(&mut self, node: &Node) -> Result<bool, FilterError> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(FilterError::TooExpensive);
        }
        match node {
            Node::And(left, right) => Ok(self.node(left)? && self.node(right)?),
            Node::Or(left, right) => Ok(self.node(left)? || self.node(right)?),
            Node::Not(inner) => self.node(inner).map(|holds| !holds),
            Node::Match(selector, operation, negated) => {
                let target = self.find(selector)?;
                self.operate(selector, &target, operation).map(|holds| holds != *negated)
            }
            Node::Collection { all, selector, names, body } => self.collection(*all, selector, names, body),
        }
    }

    fn child(&self, name: &str, value: &'v Value, of_record: bool) -> Found<'v> {
        if self.shape.untyped {
            return Found { value, map: value.is_object(), list: value.is_array() };
        }
        Found {
            value,
            map: of_record && self.shape.maps.contains(name) && !value.is_array(),
            list: value.is_array() || of_record && value.is_null() && self.shape.lists.contains(name) && !self.shape.maps.contains(name),
        }
    }

    fn find(&self, selector: &Selector) -> Result<Target<'v>, FilterError> {
        let bound = self.bound.iter().rev().find(|(name, ..)| *name == selector.parts[0]);
        let (mut found, parts) = match bound {
            Some((_, _, Some(key))) if selector.parts.len() == 1 => return Ok(Target::Key(key.clone())),
            Some((_, value, _)) => (*value, &selector.parts[1..]),
            None => (Found { value: self.root, map: self.shape.untyped, list: false }, &selector.parts[..]),
        };
        let pointer = || format!("/{}", parts.join("/"));
        for (at, part) in parts.iter().enumerate() {
            let last = at + 1 == parts.len();
            let fail = |problem: String| Err(FilterError::Selector(format!("{} at part {at}: {problem}", pointer())));
            found = match found.value {
                Value::Object(members) => match members.get(part) {
                    Some(value) => self.child(part, value, !found.map),
                    None if found.map && last && at > 0 => return Ok(Target::Missing),
                    None if found.map => return fail(format!("couldn't find key \"{part}\"")),
                    None if at == 0 && bound.is_none() && self.shape.omitted.is_some_and(|omitted| omitted.get(part).is_some()) => {
                        let value = self.shape.omitted.and_then(|omitted| omitted.get(part)).unwrap_or(&Value::Null);
                        self.child(part, value, true)
                    }
                    None => return fail(format!("couldn't find key: struct field with name \"{part}\"")),
                },
                Value::Array(members) => match part.parse::<usize>() {
                    Ok(index) => match members.get(index) {
                        Some(value) => self.child("", value, false),
                        None => return fail(format!("index {index} is out of range (length = {})", members.len())),
                    },
                    Err(_) => return fail(format!("couldn't convert value \"{part}\" to type int")),
                },
                Value::Null if found.map && last => return Ok(Target::Missing),
                Value::Null => return Err(FilterError::Selector(format!("{}: at part {at}, invalid value kind: invalid", pointer()))),
                _ => return fail(format!("couldn't find key: \"{part}\" is below a single value")),
            };
        }
        Ok(Target::Value(found))
    }

    fn operate(&mut self, selector: &Selector, target: &Target<'v>, operation: &Operation) -> Result<bool, FilterError> {
        let key;
        let found = match target {
            Target::Missing => return Ok(matches!(operation, Operation::Empty | Operation::Nil)),
            Target::Key(text) => {
                key = Value::String(text.clone());
                Found { value: &key, map: false, list: false }
            }
            Target::Value(found) => *found,
        };
        let cannot = |what: &str| {
            let text = format!("cannot perform {what} operations on type {} for selector: \"{}\"", kind(found), selector.text);
            Err(FilterError::Operator(text))
        };
        match operation {
            Operation::Equal(wanted) => match found.value {
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    Err(FilterError::Operator("unable to find suitable primitive comparison function for matching".to_owned()))
                }
                value => self.equals(value, wanted),
            },
            Operation::In(wanted) => match found.value {
                Value::String(text) => Ok(text.contains(wanted.as_str())),
                Value::Null if found.map || found.list => Ok(false),
                Value::Object(members) if found.map => Ok(members.contains_key(wanted)),
                Value::Array(members) => self.contains(members, wanted),
                _ => cannot("in/contains"),
            },
            Operation::Matches(pattern, regex) => match (found.value, regex) {
                (_, Err(error)) => {
                    Err(FilterError::Operator(format!("failed to compile regular expression \"{pattern}\": {error}")))
                }
                (Value::String(text), Ok(regex)) => Ok(regex.is_match(text)),
                _ => Err(FilterError::Operator(format!("value of type {} is not convertible to []byte", kind(found)))),
            },
            Operation::Empty => match found.value {
                Value::String(text) => Ok(text.is_empty()),
                Value::Array(members) => Ok(members.is_empty()),
                Value::Object(members) if found.map => Ok(members.is_empty()),
                Value::Null if found.map || found.list => Ok(true),
                _ => cannot("is-empty"),
            },
            Operation::Nil => match found.value {
                Value::Null => Ok(true),
                Value::Array(_) | Value::Object(_) => Ok(false),
                _ => cannot("is-nil"),
            },
        }
    }

    fn equals(&self, value: &Value, wanted: &str) -> Result<bool, FilterError> {
        let invalid = |what: &str| FilterError::Value(format!("parsing \"{wanted}\": {what}"));
        match value {
            Value::String(text) => Ok(text == wanted),
            Value::Bool(value) => match wanted {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(*value),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(!*value),
                _ => Err(invalid("not a bool")),
            },
            Value::Number(number) if number.is_f64() || self.shape.untyped => {
                wanted.parse::<f64>().map(|wanted| number.as_f64() == Some(wanted)).map_err(|_| invalid("not a number"))
            }
            Value::Number(number) => match number.as_i64() {
                Some(value) => wanted.parse::<i64>().map(|wanted| wanted == value).map_err(|_| invalid("not a whole number")),
                None => wanted.parse::<u64>().map(|wanted| number.as_u64() == Some(wanted)).map_err(|_| invalid("not a whole number")),
            },
            _ => Ok(false),
        }
    }

    fn contains(&mut self, members: &[Value], wanted: &str) -> Result<bool, FilterError> {
        self.steps += members.len() as u64;
        let mixed = members.windows(2).any(|pair| std::mem::discriminant(&pair[0]) != std::mem::discriminant(&pair[1]));
        for member in members {
            match member {
                Value::Array(_) | Value::Object(_) | Value::Null if !mixed => {
                    return Err(FilterError::Operator("unable to find suitable primitive comparison function for \"in\" comparison".to_owned()));
                }
                _ => match self.equals(member, wanted) {
                    Ok(true) => return Ok(true),
                    Err(error) if !mixed => return Err(error),
                    _ => {}
                },
            }
        }
        Ok(false)
    }

    fn collection(&mut self, all: bool, selector: &Selector, names: &[String], body: &Node) -> Result<bool, FilterError> {
        let found = match self.find(selector)? {
            Target::Missing => return Ok(all),
            Target::Value(found) => found,
            Target::Key(_) => return Err(FilterError::Operator(format!("{} is not a list or a map", selector.text))),
        };
        let entries: Vec<(String, Found<'v>)> = match found.value {
            Value::Array(members) => {
                members.iter().enumerate().map(|(at, value)| (at.to_string(), self.child("", value, false))).collect()
            }
            Value::Object(members) if found.map => {
                members.iter().map(|(key, value)| (key.clone(), self.child("", value, false))).collect()
            }
            Value::Null if found.map || found.list => return Ok(all),
            _ => return Err(FilterError::Operator(format!("{} is not a list or a map", selector.text))),
        };
        let keyed = found.value.is_object();
        for (key, value) in entries {
            let before = self.bound.len();
            match names {
                [only] if keyed => self.bound.push((only.clone(), value, Some(key))),
                [only] => self.bound.push((only.clone(), value, None)),
                [first, second] => {
                    self.bound.push((first.clone(), value, Some(key)));
                    self.bound.push((second.clone(), value, None));
                }
                _ => {}
            }
            let holds = self.node(body);
            self.bound.truncate(before);
            if holds? != all {
                return Ok(!all);
            }
        }
        Ok(all)
    }
}

fn kind(found: Found<'_>) -> &'static str {
    match found.value {
        Value::Null => "invalid",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) if found.map => "map",
        Value::Object(_) => "struct",
    }
}

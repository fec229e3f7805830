//! The event stream.

use std::collections::BTreeMap;

use drover_macros::Wire;
use serde_json::Value;

use crate::wire::Base64;
use crate::{
    Allocation, AllocationListStub, CSIInfo, CSIMountOptions, CSITopology, Constraint, Deployment, Evaluation, Job, Node, NodePool,
    ServiceRegistration,
};

/// The JSON object `Events`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Events {
    /// 0 in heartbeats (object is {}).
    pub index: u64,
    pub events: Option<Vec<Event>>,
    /// Client-side only, never on the wire.
    pub err: Option<Value>,
}

/// The JSON object `Event`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct Event {
    /// Job | Evaluation | Allocation | Deployment | Node | NodePool | Service | HostVolume | CSIVolume | CSIPlugin | Variable | ACLToken | ACLPolicy | ACLRole | ACLAuthMethod | ACLBindingRule | Operator.
    pub topic: String,
    pub r#type: String,
    /// ID of the object (path for variables, SecretID-free for tokens).
    pub key: String,
    /// Null or extra keys usable in topic filters.
    pub filter_keys: Option<Vec<String>>,
    pub index: u64,
    /// Object with one key by topic, see *Event types.
    pub payload: Option<BTreeMap<String, Value>>,
    /// Server emits/accepts it; missing from the Go SDK type; "" for non-namespaced topics.
    pub namespace: String,
}

/// The JSON object `ACLAuthMethodEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLAuthMethodEvent {
    pub auth_method: Option<ACLAuthMethod>,
}

/// The JSON object `ACLAuthMethod`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLAuthMethod {
    pub name: String,
    /// OIDC | JWT.
    pub r#type: String,
    /// Local | global.
    pub token_locality: String,
    /// Default: "${auth_method_type}-${auth_method_name}" (server side).
    pub token_name_format: String,
    /// Go duration string such as "30s"; number of nanoseconds also accepted on input; "" when zero.
    #[wire("MaxTokenTTL")]
    pub max_token_ttl: String,
    pub default: bool,
    pub config: Option<ACLAuthMethodConfig>,
    /// Zero time is sent as 0001-01-01T00:00:00Z.
    pub create_time: String,
    /// Zero time is sent as 0001-01-01T00:00:00Z.
    pub modify_time: String,
    pub create_index: u64,
    pub modify_index: u64,
    /// Server emits/accepts it; missing from the Go SDK type; standard base64 of bytes.
    pub hash: Option<Base64>,
}

/// The JSON object `ACLAuthMethodConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLAuthMethodConfig {
    #[wire("JWTValidationPubKeys")]
    pub jwt_validation_pub_keys: Option<Vec<String>>,
    #[wire("JWKSURL")]
    pub jwks_url: String,
    #[wire("OIDCDiscoveryURL")]
    pub oidc_discovery_url: String,
    #[wire("OIDCClientID")]
    pub oidc_client_id: String,
    /// "redacted" on reads.
    #[wire("OIDCClientSecret")]
    pub oidc_client_secret: String,
    #[wire("OIDCClientAssertion")]
    pub oidc_client_assertion: Option<OIDCClientAssertion>,
    #[wire("OIDCEnablePKCE")]
    pub oidc_enable_pkce: bool,
    #[wire("OIDCDisableUserInfo")]
    pub oidc_disable_user_info: bool,
    #[wire("OIDCScopes")]
    pub oidc_scopes: Option<Vec<String>>,
    pub bound_audiences: Option<Vec<String>>,
    pub bound_issuer: Option<Vec<String>>,
    #[wire("AllowedRedirectURIs")]
    pub allowed_redirect_ur_is: Option<Vec<String>>,
    pub discovery_ca_pem: Option<Vec<String>>,
    #[wire("JWKSCACert")]
    pub jwks_ca_cert: String,
    pub signing_algs: Option<Vec<String>>,
    /// Go duration string such as "30s"; number of nanoseconds also accepted on input; "" when zero.
    pub expiration_leeway: String,
    /// Go duration string such as "30s"; number of nanoseconds also accepted on input; "" when zero.
    pub not_before_leeway: String,
    /// Go duration string such as "30s"; number of nanoseconds also accepted on input; "" when zero.
    pub clock_skew_leeway: String,
    pub claim_mappings: Option<BTreeMap<String, String>>,
    pub list_claim_mappings: Option<BTreeMap<String, String>>,
    pub verbose_logging: bool,
}

/// The JSON object `OIDCClientAssertion`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct OIDCClientAssertion {
    /// Default: (OIDCDiscoveryURL).
    pub audience: Option<Vec<String>>,
    /// Nomad | private_key | client_secret.
    pub key_source: String,
    /// Default: RS256, or HS256 for client_secret.
    pub key_algorithm: String,
    pub private_key: Option<OIDCClientAssertionKey>,
    pub extra_headers: Option<BTreeMap<String, String>>,
    /// Server emits/accepts it; missing from the Go SDK type; derived from OIDCClientSecret; redacted.
    pub client_secret: String,
}

/// The JSON object `OIDCClientAssertionKey`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct OIDCClientAssertionKey {
    /// "redacted" on reads.
    pub pem_key: String,
    pub pem_key_file: String,
    /// Kid | x5t | x5t#S256.
    pub key_id_header: String,
    pub key_id: String,
    pub pem_cert: String,
    pub pem_cert_file: String,
}

/// The JSON object `ACLBindingRuleEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLBindingRuleEvent {
    #[wire("ACLBindingRule")]
    pub acl_binding_rule: Option<ACLBindingRule>,
}

/// The JSON object `ACLBindingRule`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLBindingRule {
    pub id: String,
    pub description: String,
    pub auth_method: String,
    /// Bexpr over verified claims (value.x, list.y).
    pub selector: String,
    /// Role | policy | management.
    pub bind_type: String,
    /// May hold ${value.x} templates; must be empty for management.
    pub bind_name: String,
    /// Zero time is sent as null.
    pub create_time: Option<String>,
    /// Zero time is sent as null.
    pub modify_time: Option<String>,
    pub create_index: u64,
    pub modify_index: u64,
    /// Server emits/accepts it; missing from the Go SDK type; standard base64 of bytes.
    pub hash: Option<Base64>,
}

/// The JSON object `ACLPolicyEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLPolicyEvent {
    #[wire("ACLPolicy")]
    pub acl_policy: Option<ACLPolicy>,
}

/// The JSON object `ACLPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLPolicy {
    pub name: String,
    pub description: String,
    /// HCL or JSON text.
    pub rules: String,
    #[wire("JobACL")]
    pub job_acl: Option<JobACL>,
    pub create_index: u64,
    pub modify_index: u64,
    /// Server emits/accepts it; missing from the Go SDK type; parsed rules, only on single reads.
    #[wire("RulesJSON")]
    pub rules_json: Option<ACLPolicyRules>,
    /// Server emits/accepts it; missing from the Go SDK type; standard base64 of bytes.
    pub hash: Option<Base64>,
}

/// The JSON object `JobACL`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobACL {
    pub namespace: String,
    pub job_id: String,
    pub group: String,
    pub task: String,
}

/// The JSON object `ACLPolicyRules`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLPolicyRules {
    pub namespaces: Option<Vec<AclRulesNamespacePolicy>>,
    pub node_pools: Option<Vec<AclRulesNodePoolPolicy>>,
    pub host_volumes: Option<Vec<AclRulesHostVolumePolicy>>,
    pub agent: Option<AclRulesAgentPolicy>,
    pub node: Option<AclRulesNodePolicy>,
    pub operator: Option<AclRulesOperatorPolicy>,
    pub sentinel: Option<AclRulesSentinelPolicy>,
    pub quota: Option<AclRulesQuotaPolicy>,
    pub plugin: Option<AclRulesPluginPolicy>,
    pub raw: String,
    #[wire("ExtraKeysHCL")]
    pub extra_keys_hcl: Option<Vec<String>>,
}

/// The JSON object `AclRulesNamespacePolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AclRulesNamespacePolicy {
    pub name: String,
    pub policy: String,
    pub capabilities: Option<Vec<String>>,
    pub variables: Option<AclRulesVariablesPolicy>,
}

/// The JSON object `AclRulesVariablesPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AclRulesVariablesPolicy {
    pub paths: Option<Vec<AclRulesVariablesPathPolicy>>,
}

/// The JSON object `AclRulesVariablesPathPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AclRulesVariablesPathPolicy {
    pub path_spec: String,
    pub capabilities: Option<Vec<String>>,
}

/// The JSON object `AclRulesNodePoolPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AclRulesNodePoolPolicy {
    pub name: String,
    pub policy: String,
    pub capabilities: Option<Vec<String>>,
}

/// The JSON object `AclRulesHostVolumePolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AclRulesHostVolumePolicy {
    pub name: String,
    pub policy: String,
    pub capabilities: Option<Vec<String>>,
}

/// The JSON object `AclRulesAgentPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AclRulesAgentPolicy {
    pub policy: String,
}

/// The JSON object `AclRulesNodePolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AclRulesNodePolicy {
    pub policy: String,
}

/// The JSON object `AclRulesOperatorPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AclRulesOperatorPolicy {
    pub policy: String,
    pub capabilities: Option<Vec<String>>,
}

/// The JSON object `AclRulesSentinelPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AclRulesSentinelPolicy {
    pub policy: String,
    pub capabilities: Option<Vec<String>>,
}

/// The JSON object `AclRulesQuotaPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AclRulesQuotaPolicy {
    pub policy: String,
}

/// The JSON object `AclRulesPluginPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AclRulesPluginPolicy {
    pub policy: String,
}

/// The JSON object `ACLRoleStreamEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLRoleStreamEvent {
    #[wire("ACLRole")]
    pub acl_role: Option<ACLRole>,
}

/// The JSON object `ACLRole`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLRole {
    pub id: String,
    pub name: String,
    pub description: String,
    pub policies: Option<Vec<ACLRolePolicyLink>>,
    pub create_index: u64,
    pub modify_index: u64,
    /// Server emits/accepts it; missing from the Go SDK type; standard base64 of bytes.
    pub hash: Option<Base64>,
}

/// The JSON object `ACLRolePolicyLink`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLRolePolicyLink {
    pub name: String,
}

/// The JSON object `ACLTokenEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLTokenEvent {
    #[wire("ACLToken")]
    pub acl_token: Option<ACLToken>,
}

/// The JSON object `ACLToken`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLToken {
    pub accessor_id: String,
    pub secret_id: String,
    pub name: String,
    /// Client | management.
    pub r#type: String,
    /// Null or () for management.
    pub policies: Option<Vec<String>>,
    pub roles: Option<Vec<ACLTokenRoleLink>>,
    pub global: bool,
    /// This type is emitted with zero time as 0001-01-01T00:00:00Z, not null.
    pub create_time: String,
    /// RFC 3339.
    pub expiration_time: Option<String>,
    /// Go duration string such as "30s"; number of nanoseconds also accepted on input; "" when zero.
    #[wire("ExpirationTTL")]
    pub expiration_ttl: String,
    pub create_index: u64,
    pub modify_index: u64,
    /// Server emits/accepts it; missing from the Go SDK type; server internal; base64.
    pub hash: Option<Base64>,
}

/// The JSON object `ACLTokenRoleLink`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLTokenRoleLink {
    pub id: String,
    pub name: String,
}

/// The JSON object `AllocationEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct AllocationEvent {
    pub allocation: Option<Allocation>,
    /// Max_run_duration stop.
    #[wire(omit_empty)]
    pub timeout: bool,
    #[wire(omit_empty)]
    pub timeout_reason: String,
}

/// The JSON object `CSIPluginEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIPluginEvent {
    pub plugin: Option<CSIPlugin>,
}

/// The JSON object `CSIPlugin`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIPlugin {
    pub id: String,
    pub provider: String,
    pub version: String,
    pub controller_required: bool,
    pub controllers: Option<BTreeMap<String, Option<CSIInfo>>>,
    pub nodes: Option<BTreeMap<String, Option<CSIInfo>>>,
    pub allocations: Option<Vec<AllocationListStub>>,
    pub controllers_healthy: i64,
    pub controllers_expected: i64,
    pub nodes_healthy: i64,
    pub nodes_expected: i64,
    pub create_index: u64,
    pub modify_index: u64,
    pub create_time: i64,
    pub modify_time: i64,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub controller_jobs: Option<BTreeMap<String, Option<BTreeMap<String, JobDescription>>>>,
    /// Server emits/accepts it; missing from the Go SDK type.
    pub node_jobs: Option<BTreeMap<String, Option<BTreeMap<String, JobDescription>>>>,
}

/// The JSON object `JobDescription`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobDescription {
    pub namespace: String,
    pub id: String,
    pub expected: i64,
}

/// The JSON object `CSIVolumeEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIVolumeEvent {
    pub volume: Option<CSIVolume>,
}

/// The JSON object `CSIVolume`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIVolume {
    pub id: String,
    pub name: String,
    pub external_id: String,
    pub namespace: String,
    pub requested_topologies: Option<CSITopologyRequest>,
    pub topologies: Option<Vec<CSITopology>>,
    /// Single-node-reader-only | single-node-writer | multi-node-reader-only | multi-node-single-writer | multi-node-multi-writer | "".
    pub access_mode: String,
    /// File-system | block-device | "".
    pub attachment_mode: String,
    pub mount_options: Option<CSIMountOptions>,
    /// Always null on reads.
    pub secrets: Option<BTreeMap<String, String>>,
    pub parameters: Option<BTreeMap<String, String>>,
    pub context: Option<BTreeMap<String, String>>,
    pub capacity: i64,
    pub requested_capacity_min: i64,
    pub requested_capacity_max: i64,
    pub requested_capabilities: Option<Vec<CSIVolumeCapability>>,
    pub clone_id: String,
    pub snapshot_id: String,
    /// Alloc ID to null.
    pub read_allocs: Option<BTreeMap<String, Option<Allocation>>>,
    /// Alloc ID to null.
    pub write_allocs: Option<BTreeMap<String, Option<Allocation>>>,
    /// Added while encoding; () when none.
    pub allocations: Option<Vec<AllocationListStub>>,
    /// False when plugins are unhealthy.
    pub schedulable: bool,
    pub plugin_id: String,
    pub provider: String,
    pub provider_version: String,
    pub controller_required: bool,
    pub controllers_healthy: i64,
    pub controllers_expected: i64,
    pub nodes_healthy: i64,
    pub nodes_expected: i64,
    /// Zero time is sent as null.
    pub resource_exhausted: Option<String>,
    pub create_index: u64,
    pub modify_index: u64,
    pub create_time: i64,
    pub modify_time: i64,
}

/// The JSON object `CSITopologyRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSITopologyRequest {
    pub required: Option<Vec<CSITopology>>,
    pub preferred: Option<Vec<CSITopology>>,
}

/// The JSON object `CSIVolumeCapability`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct CSIVolumeCapability {
    /// As CSIVolume.AccessMode.
    pub access_mode: String,
    /// File-system | block-device.
    pub attachment_mode: String,
}

/// The JSON object `DeploymentEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DeploymentEvent {
    pub deployment: Option<Deployment>,
}

/// The JSON object `EvaluationEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct EvaluationEvent {
    pub evaluation: Option<Evaluation>,
}

/// The JSON object `HostVolumeEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostVolumeEvent {
    pub volume: Option<HostVolume>,
}

/// The JSON object `HostVolume`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostVolume {
    pub namespace: String,
    pub id: String,
    pub name: String,
    /// Default: "mkdir" on create (server side).
    pub plugin_id: String,
    pub node_pool: String,
    pub node_id: String,
    #[wire(omit_empty)]
    pub constraints: Option<Vec<Constraint>>,
    pub requested_capacity_min_bytes: i64,
    pub requested_capacity_max_bytes: i64,
    pub capacity_bytes: i64,
    /// Default: ({file-system,single-node-writer}) (server side).
    pub requested_capabilities: Option<Vec<HostVolumeCapability>>,
    #[wire(omit_empty)]
    pub parameters: Option<BTreeMap<String, String>>,
    pub host_path: String,
    /// Pending | ready | unavailable; default: "pending" after create/register.
    pub state: String,
    pub create_index: u64,
    /// Unix nanoseconds.
    pub create_time: i64,
    pub modify_index: u64,
    /// Unix nanoseconds.
    pub modify_time: i64,
    /// Only on single reads.
    #[wire(omit_empty)]
    pub allocations: Option<Vec<AllocationListStub>>,
}

/// The JSON object `HostVolumeCapability`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct HostVolumeCapability {
    /// File-system | block-device.
    pub attachment_mode: String,
    /// Single-node-reader-only | single-node-writer | single-node-single-writer | single-node-multi-writer.
    pub access_mode: String,
}

/// The JSON object `JobEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JobEvent {
    pub job: Option<Job>,
    /// JobDeregistered only.
    #[wire(omit_empty)]
    pub deleted: bool,
}

/// The JSON object `NodePoolEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodePoolEvent {
    pub node_pool: Option<NodePool>,
}

/// The JSON object `NodeStreamEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct NodeStreamEvent {
    pub node: Option<Node>,
}

/// The JSON object `ServiceRegistrationStreamEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ServiceRegistrationStreamEvent {
    pub service: Option<ServiceRegistration>,
}

/// The JSON object `VariableEvent`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct VariableEvent {
    pub metadata: Option<VariableMetadata>,
    pub deleted: bool,
}

/// The JSON object `VariableMetadata`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct VariableMetadata {
    pub namespace: String,
    pub path: String,
    pub create_index: u64,
    pub modify_index: u64,
    /// Unix nanoseconds.
    pub create_time: i64,
    /// Unix nanoseconds.
    pub modify_time: i64,
    /// Only for management or after lock-renew.
    #[wire(omit_empty)]
    pub lock: Option<VariableLock>,
}

/// The JSON object `VariableLock`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct VariableLock {
    /// Server-made UUID; must be sent back to renew, release or write; default: new UUID on acquire.
    pub id: String,
    /// Go duration string such as "30s"; number of nanoseconds also accepted on input; "" when zero; 10s to 24h; a write by the holder whose Lock carries only the ID resets TTL and LockDelay to 15s; default: "15s" on acquire (server side).
    #[wire("TTL")]
    pub ttl: String,
    /// Go duration string such as "30s"; number of nanoseconds also accepted on input; "" when zero; default: "15s" on acquire (server side).
    pub lock_delay: String,
}

//! Nodes, namespaces, services, variables, rights and events.

use drover_api as api;

use crate::openapi::operation::{Operation, op};
use crate::route::Methods::{Delete, Get, Write};

pub(super) fn nodes() -> Vec<Operation> {
    vec![
        op(Get, "/v1/nodes", "listNodes", "The nodes.")
            .query("index wait stale region namespace prefix per_page next_token filter pretty")
            .flag("resources", "Whether resources come along.")
            .flag("os", "Whether the operating system comes along.")
            .gives::<Vec<api::NodeListStub>>()
            .fails(400, "filter or bad field flag")
            .fails(403, "")
            .fails(500, "odd-length or over-long UUID prefix"),
        op(Get, "/v1/node/{node_id}", "readNode", "A node.")
            .query("index wait stale region pretty")
            .gives::<api::Node>()
            .fails(404, "'node not found'")
            .fails(403, "")
            .fails(500, "when the ID is not 36 characters"),
        op(Get, "/v1/node/{node_id}/allocations", "listNodeAllocations", "The allocations on a node.")
            .query("index wait stale region pretty")
            .gives::<Vec<api::Allocation>>()
            .fails(403, ""),
        op(Write, "/v1/node/{node_id}/eligibility", "setNodeEligibility", "Says whether a node takes new allocations.")
            .query("region pretty")
            .takes::<api::NodeUpdateEligibilityRequest>()
            .gives::<api::NodeEligibilityUpdateResponse>()
            .fails(400, "bad body")
            .fails(500, "'node not found', invalid eligibility, eligible while draining"),
        op(Write, "/v1/node/{node_id}/evaluate", "evaluateNode", "Has every job with allocations on a node evaluated.")
            .query("region pretty")
            .gives::<api::NodeEvalResponse>()
            .fails(500, "'node not found'"),
        op(Write, "/v1/node/{node_id}/drain", "drainNode", "Moves allocations off a node, or stops doing so.")
            .query("region pretty")
            .takes::<api::NodeUpdateDrainRequest>()
            .gives::<api::NodeDrainUpdateResponse>()
            .fails(400, "bad body")
            .fails(500, "'node not found'"),
        op(Write, "/v1/node/{node_id}/purge", "purgeNode", "Forgets a node.")
            .query("region pretty")
            .gives::<api::NodePurgeResponse>()
            .fails(500, "'node not found'"),
    ]
}

pub(super) fn node_pools() -> Vec<Operation> {
    vec![
        op(Get, "/v1/node/pools", "listNodePools", "The node pools.")
            .query("index wait stale region prefix per_page next_token filter reverse pretty")
            .gives::<Vec<api::NodePool>>()
            .fails(400, "filter"),
        op(Write, "/v1/node/pools", "writeNodePool", "Creates or changes a node pool.")
            .query("region pretty")
            .takes::<api::NodePool>()
            .fails(400, "invalid name (regex ^[a-zA-Z0-9-_]{1,128}$), description over 256 chars, 'modifying node pool \\'all\\' is not allowed'")
            .fails(403, "")
            .fails(500, "'Feature 'Node Pools Governance' is unlicensed' when SchedulerConfiguration is set"),
        op(Get, "/v1/node/pool/{pool}", "readNodePool", "A node pool.")
            .query("index wait stale region pretty")
            .gives::<api::NodePool>()
            .fails(404, "'node pool not found'")
            .fails(403, ""),
        op(Write, "/v1/node/pool/{pool}", "updateNodePool", "Creates or changes the node pool of this name.")
            .query("region pretty")
            .takes::<api::NodePool>()
            .fails(400, "'Node pool name does not match request path'"),
        op(Delete, "/v1/node/pool/{pool}", "deleteNodePool", "Deletes a node pool that nothing is in.")
            .query("region pretty")
            .fails(400, "empty name")
            .fails(403, "")
            .fails(500, "when nodes or non-terminal jobs remain in any region (text contains 'has non-terminal jobs' / 'has nodes'), 'node pool <name> not found', built-in pool"),
        op(Get, "/v1/node/pool/{pool}/jobs", "listNodePoolJobs", "The jobs of a node pool.")
            .query("index wait stale region namespace per_page next_token filter reverse pretty")
            .flag("meta", "Whether the metadata comes along.")
            .gives::<Vec<api::JobListStub>>()
            .fails(400, "'prefix argument not allowed'"),
        op(Get, "/v1/node/pool/{pool}/nodes", "listNodePoolNodes", "The nodes of a node pool.")
            .query("index wait stale region per_page next_token filter pretty")
            .flag("resources", "Whether resources come along.")
            .flag("os", "Whether the operating system comes along.")
            .gives::<Vec<api::NodeListStub>>()
            .fails(400, "'prefix argument not allowed'")
            .fails(403, ""),
    ]
}

pub(super) fn namespaces() -> Vec<Operation> {
    vec![
        op(Get, "/v1/namespaces", "listNamespaces", "The namespaces that the caller may see.")
            .query("index wait stale region prefix pretty")
            .gives::<Vec<api::Namespace>>()
            .fails(403, ""),
        op(Write, "/v1/namespace", "writeNamespace", "Creates or changes a namespace.")
            .query("region pretty")
            .takes::<api::Namespace>()
            .fails(400, "bad body")
            .fails(403, "")
            .fails(500, "validation text"),
        op(Get, "/v1/namespace/{name}", "readNamespace", "A namespace.")
            .query("index wait stale region pretty")
            .gives::<api::Namespace>()
            .fails(404, "'Namespace not found'")
            .fails(400, "'Missing Namespace Name'")
            .fails(403, ""),
        op(Write, "/v1/namespace/{name}", "updateNamespace", "Creates or changes the namespace of this name.")
            .query("region pretty")
            .takes::<api::Namespace>()
            .fails(400, "'Namespace name does not match request path'")
            .fails(403, "")
            .fails(500, ""),
        op(Delete, "/v1/namespace/{name}", "deleteNamespace", "Deletes a namespace that nothing lives in.")
            .query("region pretty")
            .fails(403, "")
            .fails(500, "'can not delete default namespace', 'namespace not found', or text containing 'has non-terminal jobs' / 'has non-terminal allocations' / 'has volumes' / 'has variables'"),
    ]
}

pub(super) fn services() -> Vec<Operation> {
    vec![
        op(Get, "/v1/services", "listServices", "The services of a namespace with their tags.")
            .query("index wait stale region namespace pretty")
            .gives::<Vec<api::ServiceRegistrationListStub>>()
            .fails(403, ""),
        op(Get, "/v1/service/{service_name}", "readService", "The registrations of a service.")
            .query("index wait stale region namespace per_page next_token filter pretty")
            .text("choose", "So many registrations, chosen by a key: `<number>|<key>`.")
            .gives::<Vec<api::ServiceRegistration>>()
            .fails(
                400,
                "'missing service name', 'invalid URI'; 'failed to choose services: Parameter for choose must be in form '<number>|<key>''",
            )
            .fails(403, ""),
        op(Delete, "/v1/service/{service_name}/{service_id}", "deleteService", "Deletes a registration of a service.")
            .query("region namespace pretty")
            .fails(400, "'missing service id', 'invalid URI'")
            .fails(403, "")
            .fails(500, "'service registration not found'"),
    ]
}

pub(super) fn search() -> Vec<Operation> {
    vec![
        op(Write, "/v1/search", "search", "What begins with a text, by kind of object.")
            .query("stale region namespace pretty")
            .takes::<api::SearchRequest>()
            .gives::<api::SearchResponse>()
            .fails(400, "bad body")
            .fails(403, "explicit context not allowed"),
        op(Write, "/v1/search/fuzzy", "searchFuzzy", "What has a text in its name, by kind of object.")
            .query("stale region namespace pretty")
            .takes::<api::FuzzySearchRequest>()
            .gives::<api::FuzzySearchResponse>()
            .fails(400, "bad body")
            .fails(403, "")
            .fails(500, "'fuzzy search is not enabled', 'fuzzy search query must be at least 2 characters, got N'"),
    ]
}

pub(super) fn scaling() -> Vec<Operation> {
    vec![
        op(Get, "/v1/scaling/policies", "listScalingPolicies", "The scaling policies of a namespace.")
            .query("index wait stale region namespace prefix pretty")
            .text("job", "Only those of this job.")
            .text("type", "Which kind.")
            .gives::<Vec<api::ScalingPolicyListStub>>()
            .fails(403, ""),
        op(Get, "/v1/scaling/policy/{policy_id}", "readScalingPolicy", "A scaling policy.")
            .query("index wait stale region namespace pretty")
            .gives::<api::ScalingPolicy>()
            .fails(404, "'policy not found'")
            .fails(403, ""),
    ]
}

pub(super) fn events() -> Vec<Operation> {
    vec![
        op(
            Get,
            "/v1/event/stream",
            "streamEvents",
            "What happens, as it happens: one JSON object a line, an empty object while nothing does.",
        )
        .query("region namespace")
        .texts("topic", "Which events: a topic, or `topic:key`. May be repeated.")
        .number("index", "Only events after this index.")
        .streams()
        .fails(400, "'Unable to parse index: ...', 'Invalid topic query: ...'")
        .fails(500, "the stream is off: server.enable_event_broker is false on this server; unknown region"),
    ]
}

pub(super) fn acl() -> Vec<Operation> {
    vec![
        op(Write, "/v1/acl/bootstrap", "bootstrapAcl", "Makes the first management token.")
            .query("pretty")
            .takes::<api::BootstrapRequest>()
            .body_optional()
            .gives::<api::ACLToken>()
            .fails(400, "'ACL bootstrap already done (reset index: N)', 'Invalid bootstrap reset index (specified N, reset index: M)', 'invalid acl token'; 'ACL support disabled'"),
        op(Get, "/v1/acl/policies", "listAclPolicies", "The policies that the caller may see.")
            .query("index wait stale region prefix pretty")
            .gives::<Option<Vec<api::ACLPolicyListStub>>>()
            .fails(400, "'ACL support disabled'")
            .fails(403, ""),
        op(Get, "/v1/acl/policy/self", "listOwnAclPolicies", "The policies of the caller.")
            .query("stale region namespace pretty")
            .gives::<Option<Vec<api::ACLPolicyListStub>>>()
            .fails(400, "'ACL support disabled' (UUID tokens)")
            .fails(403, ""),
        op(Get, "/v1/acl/policy/{name}", "readAclPolicy", "A policy.")
            .query("index wait stale region pretty")
            .gives::<api::ACLPolicy>()
            .fails(404, "'ACL policy not found'")
            .fails(400, "'Missing Policy Name'; 'ACL support disabled'")
            .fails(403, ""),
        op(Write, "/v1/acl/policy/{name}", "writeAclPolicy", "Creates or changes a policy.")
            .query("pretty")
            .takes::<api::ACLPolicy>()
            .fails(400, "'ACL policy name does not match request path', 'policy 0 invalid: ...'; 'ACL support disabled'")
            .fails(403, ""),
        op(Delete, "/v1/acl/policy/{name}", "deleteAclPolicy", "Deletes a policy.")
            .query("pretty")
            .fails(400, "'ACL support disabled'")
            .fails(403, ""),
        op(Get, "/v1/acl/tokens", "listAclTokens", "The tokens, without their secrets.")
            .query("index wait stale region prefix per_page next_token filter reverse pretty")
            .gives::<Vec<api::ACLTokenListStub>>()
            .fails(400, "filter; 'ACL support disabled'")
            .fails(403, ""),
        op(Write, "/v1/acl/token", "createAclToken", "Creates a token; the answer holds its secret.")
            .query("region pretty")
            .takes::<api::ACLToken>()
            .gives::<api::ACLToken>()
            .fails(400, "'token 0 invalid: ...', 'cannot find role X', 'cannot find token X'; 'ACL support disabled'")
            .fails(403, ""),
        op(Write, "/v1/acl/token/onetime", "createOneTimeToken", "Makes a token of one use out of the caller's own.")
            .query("region pretty")
            .gives::<api::OneTimeTokenUpsertResponse>()
            .fails(400, "'ACL support disabled'")
            .fails(403, "")
            .fails(500, "'acl token lookup failed: missing secret id' without a token"),
        op(Write, "/v1/acl/token/onetime/exchange", "exchangeOneTimeToken", "Gives the token that a token of one use stands for.")
            .query("region pretty")
            .takes::<api::OneTimeTokenExchangeRequest>()
            .gives::<api::OneTimeTokenExchangeResponse>()
            .fails(400, "'ACL support disabled'")
            .fails(403, "unknown, expired or used")
            .fails(500, "'one-time token lookup failed: missing secret' when OneTimeSecretID is empty"),
        op(Get, "/v1/acl/token/self", "readOwnAclToken", "The caller's token.")
            .query("stale region namespace pretty")
            .gives::<api::ACLToken>()
            .fails(404, "'ACL token not found' (also for workload identities)")
            .fails(403, "'Permission denied' for an unknown secret")
            .fails(500, "'ACL token expired'"),
        op(Get, "/v1/acl/token/{accessor_id}", "readAclToken", "A token.")
            .query("index wait stale region pretty")
            .gives::<api::ACLToken>()
            .fails(404, "'ACL token not found' (management only")
            .fails(400, "'Missing Token Accessor'; 'ACL support disabled'"),
        op(Write, "/v1/acl/token/{accessor_id}", "updateAclToken", "Changes a token.")
            .query("region pretty")
            .takes::<api::ACLToken>()
            .gives::<api::ACLToken>()
            .fails(400, "'ACL token accessor does not match request path' or validation; 'ACL support disabled'")
            .fails(403, ""),
        op(Delete, "/v1/acl/token/{accessor_id}", "deleteAclToken", "Deletes a token.")
            .query("region pretty")
            .fails(400, "'Cannot delete nonexistent tokens: ...'; 'ACL support disabled'")
            .fails(403, ""),
        op(Get, "/v1/acl/roles", "listAclRoles", "The roles that the caller may see.")
            .query("index wait stale region prefix pretty")
            .gives::<Vec<api::ACLRoleListStub>>()
            .fails(400, "'ACL support disabled'")
            .fails(403, ""),
        op(Write, "/v1/acl/role", "createAclRole", "Creates a role.")
            .query("pretty")
            .takes::<api::ACLRole>()
            .gives::<api::ACLRole>()
            .fails(400, "'role 0 invalid: ...', 'role with name X already exists', 'cannot find policy X'; 'ACL support disabled'")
            .fails(403, ""),
        op(Get, "/v1/acl/role/name/{role_name}", "readAclRoleByName", "A role, by its name.")
            .query("index wait stale region pretty")
            .gives::<api::ACLRole>()
            .fails(404, "'ACL role not found'")
            .fails(400, "'missing ACL role name', 'invalid URI'; 'ACL support disabled'")
            .fails(403, ""),
        op(Get, "/v1/acl/role/{role_id}", "readAclRole", "A role.")
            .query("index wait stale region pretty")
            .gives::<api::ACLRole>()
            .fails(404, "'ACL role not found'")
            .fails(400, "'missing ACL role ID', 'invalid URI'; 'ACL support disabled'")
            .fails(403, ""),
        op(Write, "/v1/acl/role/{role_id}", "updateAclRole", "Changes a role.")
            .query("pretty")
            .takes::<api::ACLRole>()
            .gives::<api::ACLRole>()
            .fails(400, "'ACL role ID does not match request path', 'cannot find role X'; 'ACL support disabled'")
            .fails(403, ""),
        op(Delete, "/v1/acl/role/{role_id}", "deleteAclRole", "Deletes a role.")
            .query("pretty")
            .fails(400, "'ACL support disabled'")
            .fails(403, "")
            .fails(500, "'ACL role not found'"),
        op(Write, "/v1/acl/identity/client-introduction-token", "introduceClient", "A token with which a new client introduces itself.")
            .query("region pretty")
            .takes::<api::ACLIdentityClientIntroductionTokenRequest>()
            .gives::<api::ACLIdentityClientIntroductionTokenResponse>()
            .fails(400, "'Request body is empty', a duration that is none")
            .fails(403, ""),
        op(Get, "/v1/acl/auth-methods", "listAclAuthMethods", "The ways of logging in.")
            .query("index wait stale region pretty")
            .gives::<Vec<api::ACLAuthMethodListStub>>()
            .fails(400, "'ACL support disabled'"),
        op(Write, "/v1/acl/auth-method", "createAclAuthMethod", "Creates a way of logging in.")
            .query("pretty")
            .takes::<api::ACLAuthMethod>()
            .gives::<api::ACLAuthMethod>()
            .fails(400, "'auth method 0 invalid: ...', second default method; 'ACL support disabled'")
            .fails(403, ""),
        op(Get, "/v1/acl/auth-method/{name}", "readAclAuthMethod", "A way of logging in.")
            .query("index wait stale region pretty")
            .gives::<api::ACLAuthMethod>()
            .fails(404, "'ACL auth-method not found'")
            .fails(400, "'missing ACL auth-method name'; 'ACL support disabled'")
            .fails(403, ""),
        op(Write, "/v1/acl/auth-method/{name}", "updateAclAuthMethod", "Changes a way of logging in.")
            .query("pretty")
            .takes::<api::ACLAuthMethod>()
            .gives::<api::ACLAuthMethod>()
            .fails(400, "'ACL auth-method name does not match request path'; 'ACL support disabled'")
            .fails(403, ""),
        op(Delete, "/v1/acl/auth-method/{name}", "deleteAclAuthMethod", "Deletes a way of logging in.")
            .query("pretty")
            .fails(400, "'ACL support disabled'")
            .fails(403, "")
            .fails(500, "'ACL auth method not found'"),
        op(Get, "/v1/acl/binding-rules", "listAclBindingRules", "The rules that give who logs in roles and policies.")
            .query("index wait stale region pretty")
            .gives::<Vec<api::ACLBindingRuleListStub>>()
            .fails(400, "'ACL support disabled'")
            .fails(403, ""),
        op(Write, "/v1/acl/binding-rule", "createAclBindingRule", "Creates a binding rule.")
            .query("pretty")
            .takes::<api::ACLBindingRule>()
            .gives::<api::ACLBindingRule>()
            .fails(400, "'binding rule 0 invalid: ...', unknown auth method; 'ACL support disabled'")
            .fails(403, ""),
        op(Get, "/v1/acl/binding-rule/{rule_id}", "readAclBindingRule", "A binding rule.")
            .query("index wait stale region pretty")
            .gives::<api::ACLBindingRule>()
            .fails(404, "'ACL binding rule not found'")
            .fails(400, "'missing ACL binding rule ID'; 'ACL support disabled'")
            .fails(403, ""),
        op(Write, "/v1/acl/binding-rule/{rule_id}", "updateAclBindingRule", "Changes a binding rule.")
            .query("pretty")
            .takes::<api::ACLBindingRule>()
            .gives::<api::ACLBindingRule>()
            .fails(400, "'ACL binding rule ID does not match request path', unknown rule; 'ACL support disabled'")
            .fails(403, ""),
        op(Delete, "/v1/acl/binding-rule/{rule_id}", "deleteAclBindingRule", "Deletes a binding rule.")
            .query("pretty")
            .fails(400, "'ACL support disabled'")
            .fails(403, "")
            .fails(500, "'ACL binding rule not found'"),
    ]
}

pub(super) fn variables() -> Vec<Operation> {
    vec![
        op(Get, "/v1/vars", "listVariables", "The variables of a namespace, without what they hold.")
            .query("index wait stale region namespace prefix per_page next_token filter pretty")
            .gives::<Vec<api::VariableMetadata>>()
            .fails(400, "filter or 'failed to parse parameters'")
            .fails(403, ""),
        op(Get, "/v1/var/{path}", "readVariable", "A variable with what it holds.")
            .query("index wait stale region namespace pretty")
            .gives::<api::Variable>()
            .fails(404, "'variable not found'")
            .fails(400, "'missing variable path'")
            .fails(403, ""),
        op(Write, "/v1/var/{path}", "writeVariable", "Writes a variable, or acquires, renews or releases the lock on it.")
            .query("region namespace pretty")
            .number("cas", "Only when the stored index is this one; 0: only when there is nothing yet.")
            .mark("lock-acquire", "Acquires the lock.")
            .mark("lock-renew", "Renews the lock.")
            .mark("lock-release", "Releases the lock.")
            .takes::<api::Variable>()
            .gives::<api::Variable>()
            .fails(409, "with conflicting Variable JSON on a CAS or lock conflict (Items omitted when the token cannot read; text 'attempting to modify locked variable' or 'variable doesn't hold a lock'")
            .fails(404, "'variable doesn't exist' (renew)")
            .fails(400, "'variable missing required Items object', 'can not parse cas: ...', 'CAS can't be used with lock operations', 'multiple lock operations', 'variable should not contain lock definition', 'variable already holds a lock', 'missing lock information', 'lock release operation doesn't take variable items'")
            .fails(403, "")
            .fails(500, "'variable doesn't hold a lock' for lock-release (409 for lock-renew)"),
        op(Delete, "/v1/var/{path}", "deleteVariable", "Deletes a variable.")
            .query("region namespace pretty")
            .number("cas", "Only when the stored index is this one; 0: only when there is nothing yet.")
            .no_content()
            .fails(409, "with conflicting Variable JSON")
            .fails(400, "")
            .fails(403, ""),
    ]
}

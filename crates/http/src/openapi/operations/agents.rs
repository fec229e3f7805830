//! Agents: their clients, their servers and themselves.

use drover_api as api;

use crate::openapi::operation::{Operation, op};
use crate::route::Methods::{Delete, Get, Post, Put, Write};

pub(super) fn client() -> Vec<Operation> {
    vec![
        op(Get, "/v1/client/fs/ls/{alloc_id}", "listFiles", "The files in a directory of an allocation.")
            .query("stale region namespace pretty")
            .text("path", "The path beneath the allocation.")
            .gives::<Vec<api::AllocFileInfo>>()
            .fails(400, "'must provide a valid alloc id'")
            .fails(403, "")
            .fails(404, "unknown alloc, no path to node, or text containing 'no such file or directory'")
            .fails(500, "'Path escapes the alloc directory'; 'open ...: not a directory' for a file"),
        op(Get, "/v1/client/fs/stat/{alloc_id}", "readFileInfo", "What is known of a file of an allocation.")
            .query("stale region namespace pretty")
            .text("path", "The path beneath the allocation.")
            .required()
            .gives::<api::AllocFileInfo>()
            .fails(400, "'must provide a file name'")
            .fails(403, "")
            .fails(404, "as ls"),
        op(Get, "/v1/client/fs/cat/{alloc_id}", "readFile", "The whole of a file of an allocation.")
            .query("stale region namespace")
            .text("path", "The path beneath the allocation.")
            .required()
            .gives_bytes(),
        op(Get, "/v1/client/fs/readat/{alloc_id}", "readFileAt", "A part of a file of an allocation.")
            .query("stale region namespace")
            .text("path", "The path beneath the allocation.")
            .required()
            .number("offset", "Where to begin, in bytes.")
            .required()
            .number("limit", "At most so many bytes.")
            .gives_bytes(),
        op(Get, "/v1/client/fs/stream/{alloc_id}", "streamFile", "A file of an allocation in frames, followed as it grows.")
            .query("stale region namespace")
            .text("path", "The path beneath the allocation.")
            .required()
            .flag("follow", "Whether the answer goes on as the file grows.")
            .number("offset", "Where to begin, in bytes.")
            .text("origin", "`start` or `end`: where the offset counts from.")
            .streams()
            .fails(400, "'must provide a file name', 'origin must be start or end'; (not 404) for a missing file and for a directory")
            .fails(500, "'Permission denied' (not 403) for a token without rights; bad follow/offset")
            .fails(404, ""),
        op(Get, "/v1/client/fs/logs/{alloc_id}", "streamLogs", "The output of a task, in frames or plain, followed on request.")
            .query("stale region namespace")
            .text("task", "The name of the task.")
            .required()
            .text("type", "Which kind.")
            .required()
            .flag("follow", "Whether the answer goes on as the file grows.")
            .number("offset", "Where to begin, in bytes.")
            .text("origin", "`start` or `end`: where the offset counts from.")
            .flag("plain", "Whether the text comes without frames.")
            .streams()
            .fails(400, "'must provide task name', 'must provide log type (stdout/stderr)', bad bool/int; unknown task name")
            .fails(500, "'Permission denied' (not 403) for a token without rights")
            .fails(404, "unknown alloc, task not started, or no log entries"),
        op(Get, "/v1/client/allocation/{alloc_id}/stats", "readAllocationStats", "What an allocation uses now.")
            .query("stale region namespace pretty")
            .text("task", "The name of the task.")
            .gives::<api::AllocResourceUsage>()
            .fails(
                404,
                "with text containing 'Unknown allocation', 'Unknown node' or 'No path to node'; 'resource not found' for unknown sub-path",
            )
            .fails(403, ""),
        op(
            Get,
            "/v1/client/allocation/{alloc_id}/checks",
            "listClientChecks",
            "What the checks of an allocation found last, from its node.",
        )
        .query("stale region namespace pretty")
        .gives::<Option<api::AllocCheckStatuses>>()
        .fails(404, "with text containing 'Unknown allocation', 'Unknown node' or 'No path to node'")
        .fails(403, ""),
        op(Write, "/v1/client/allocation/{alloc_id}/restart", "restartAllocation", "Restarts one task of an allocation, or all.")
            .query("stale region namespace pretty")
            .takes::<api::AllocationRestartRequest>()
            .body_optional()
            .gives::<api::GenericResponse>()
            .fails(404, "with text containing 'Unknown allocation', 'Unknown node' or 'No path to node'")
            .fails(403, "")
            .fails(500, "bad body, task not found or not running"),
        op(Write, "/v1/client/allocation/{alloc_id}/signal", "signalAllocation", "Sends a signal to one task of an allocation, or all.")
            .query("stale region namespace pretty")
            .takes::<api::AllocSignalRequest>()
            .gives::<api::GenericResponse>()
            .fails(400, "'Failed to decode body: ...'")
            .fails(404, "with text containing 'Unknown allocation', 'Unknown node' or 'No path to node'")
            .fails(403, "")
            .fails(500, "'Task not found', 'Task not running'"),
        op(Get, "/v1/client/allocation/{alloc_id}/exec", "execAllocation", "Runs a command in a task, over a WebSocket.")
            .query("stale region namespace")
            .text("task", "The name of the task.")
            .text("command", "The program and its arguments, as a JSON array of texts.")
            .flag("tty", "Whether the program gets a terminal.")
            .flag("ws_handshake", "Whether the token comes in the first message.")
            .upgrades()
            .fails(500, "if not an upgrade"),
        op(
            Get,
            "/v1/client/allocation/{alloc_id}/tunnel",
            "tunnelToAllocation",
            "A connection to a port of an allocation, over a WebSocket: binary messages carry its bytes.",
        )
        .query("stale region namespace")
        .text("port", "The label of the port, or its number.")
        .upgrades()
        .fails(400, "without a port")
        .fails(403, "")
        .fails(404, "an unknown allocation, a port that it does not have, 'No path to node'")
        .fails(426, "if not an upgrade; everything else is looked at before")
        .fails(502, "when nothing listens there"),
        op(
            Get,
            "/v1/client/allocation/{alloc_id}/pause",
            "readPause",
            "Whether a task rests by its schedule; there are no schedules here.",
        )
        .query("stale region namespace pretty")
        .text("task", "The name of the task.")
        .gives::<api::AllocGetPauseResponse>()
        .fails(403, "")
        .fails(404, "with text containing 'Unknown allocation', 'Unknown node' or 'No path to node'")
        .fails(500, "'Enterprise only'"),
        op(
            Write,
            "/v1/client/allocation/{alloc_id}/pause",
            "setPause",
            "Lets a task rest, or run, against its schedule; there are none here.",
        )
        .query("stale region namespace pretty")
        .takes::<api::AllocPauseRequest>()
        .gives::<api::GenericResponse>()
        .fails(400, "'Not a valid task schedule state', 'Request body is empty'")
        .fails(403, "")
        .fails(404, "with text containing 'Unknown allocation', 'Unknown node' or 'No path to node'")
        .fails(500, "'Enterprise only'"),
        op(Get, "/v1/client/allocation/{alloc_id}/gc", "collectAllocation", "Clears an ended allocation off its node.")
            .query("stale region namespace pretty")
            .fails(404, "with text containing 'Unknown allocation', 'Unknown node' or 'No path to node'")
            .fails(403, "")
            .fails(500, "when the alloc is still running"),
        op(Get, "/v1/client/identity", "readNodeIdentity", "What the identity of a node claims.")
            .query("stale region namespace pretty")
            .text("node_id", "The node; the agent's own unless told.")
            .gives::<api::NodeIdentityGetResponse>()
            .fails(400, "'no local Node and node_id not provided'")
            .fails(403, "")
            .fails(404, "from a server alone: 'No path to node'")
            .fails(500, "'Unknown node ID'"),
        op(Write, "/v1/client/identity/renew", "renewNodeIdentity", "Vouches for a node anew.")
            .query("stale region namespace pretty")
            .text("node_id", "The node; the agent's own unless told.")
            .takes::<api::NodeIdentityRenewRequest>()
            .gives::<api::NodeIdentityRenewResponse>()
            .fails(400, "'no local Node and node_id not provided'")
            .fails(403, "")
            .fails(404, "from a server alone: 'No path to node'")
            .fails(500, "'Unknown node ID'"),
        op(Get, "/v1/client/stats", "readClientStats", "What the host of a client uses now.")
            .query("stale region namespace pretty")
            .text("node_id", "The node whose client answers.")
            .gives::<api::HostStats>()
            .fails(400, "'No local Node and node_id not provided'")
            .fails(403, "")
            .fails(404, "'No path to node' / 'Unknown node ...'"),
        op(
            Get,
            "/v1/client/metadata",
            "readClientMetadata",
            "The metadata of a node: what it started with, what was set since, and both together.",
        )
        .query("stale region namespace pretty")
        .text("node_id", "The node whose client answers.")
        .gives::<api::NodeMetaResponse>()
        .fails(400, "no node")
        .fails(403, "")
        .fails(404, "no path to node"),
        op(Post, "/v1/client/metadata", "setClientMetadata", "Sets and unsets metadata of a node.")
            .query("stale region namespace pretty")
            .text("node_id", "The node whose client answers.")
            .takes::<api::NodeMetaApplyRequest>()
            .gives::<api::NodeMetaResponse>()
            .fails(400, "bad body, missing Meta, invalid key")
            .fails(403, "")
            .fails(404, ""),
        op(Get, "/v1/client/gc", "collectClient", "Clears all ended allocations off a node.")
            .query("stale region namespace pretty")
            .text("node_id", "The node whose client answers.")
            .fails(400, "no node")
            .fails(403, "")
            .fails(404, "no path to node"),
    ]
}

pub(super) fn agent() -> Vec<Operation> {
    vec![
        op(Write, "/v1/agent/join", "joinAgents", "Has the agent's server join others.")
            .query("pretty")
            .texts("address", "A server to join. May be repeated.")
            .gives::<api::JoinResponse>(),
        op(Write, "/v1/agent/force-leave", "forceLeave", "Takes a server for gone that does not answer any more.")
            .query("pretty")
            .text("node", "The name of the server.")
            .required()
            .flag("prune", "Whether it is forgotten at once.")
            .fails(501, "on an agent without a server"),
        op(Get, "/v1/agent/monitor/export", "exportLog", "The agent's log of the past, in frames or plain.")
            .query("region")
            .flag("on_disk", "Whether the log file is read instead of the journal.")
            .text("service_name", "The unit whose journal is read.")
            .text("logs_since", "How far back, as a duration.")
            .flag("follow", "Whether the answer goes on as the log grows.")
            .flag("plain", "Whether the text comes without frames.")
            .text("node_id", "The node whose client answers.")
            .text("server_id", "The server that answers.")
            .streams()
            .fails(404, "")
            .fails(422, "bad service_name")
            .fails(500, "")
            .fails(501, ""),
        op(Get, "/v1/agent/pprof/{profile}", "readProfile", "A profile of the agent, where `enable_debug` is on.")
            .query("region")
            .number("seconds", "How long it is taken.")
            .text("node_id", "The node whose client answers.")
            .text("server_id", "The server that answers.")
            .gives_bytes()
            .fails(404, "")
            .fails(500, "")
            .fails(501, ""),
        op(Get, "/v1/agent/self", "readAgent", "What the agent is and how it is configured.")
            .query("pretty")
            .gives::<api::AgentSelf>()
            .fails(403, "")
            .fails(500, "'ACL token not found or invalid workload identity: ...'"),
        op(Get, "/v1/agent/health", "readAgentHealth", "Whether the parts of the agent are well.")
            .query("pretty")
            .text("type", "Which kind.")
            .gives::<api::AgentHealthResponse>()
            .fails(500, "with the same JSON text as the body (Content-Type text/plain) when not"),
        op(Get, "/v1/agent/members", "listMembers", "The servers of the region.")
            .query("region pretty")
            .gives::<api::ServerMembers>()
            .fails(403, ""),
        op(Get, "/v1/agent/servers", "listAgentServers", "The servers that the agent's client knows.")
            .query("pretty")
            .gives::<Vec<String>>()
            .fails(403, "")
            .fails(501, "'Invalid method' on a server-only agent"),
        op(Get, "/v1/agent/monitor", "monitorAgent", "The agent's log from now on, in frames or plain.")
            .query("region")
            .text("log_level", "The lowest level that is sent.")
            .flag("log_json", "Whether each message is a JSON object.")
            .flag("log_include_location", "Whether messages name their place in the source.")
            .flag("plain", "Whether the text comes without frames.")
            .text("node_id", "The node whose client answers.")
            .text("server_id", "The server that answers.")
            .streams()
            .fails(400, "'Unknown log level: X', 'Unknown option for ...', 'Cannot target node and server simultaneously'; 'unknown Nomad server <name>'")
            .fails(403, "")
            .fails(500, "'RPC Error:: 404,Unknown node '<id>''"),
        op(Write, "/v1/agent/reload", "reloadAgent", "Reads the agent's configuration again, as SIGHUP does.")
            .query("pretty")
            .fails(403, "")
            .fails(500, "reload error text"),
        op(Get, "/v1/openapi.json", "readOpenApi", "This description.")
            .query("pretty")
            .gives::<serde_json::Value>(),
        op(Get, "/v1/agent/host", "readHost", "What the host of an agent tells about itself.")
            .query("region pretty")
            .text("server_id", "The server that answers.")
            .text("node_id", "The node whose client answers.")
            .gives::<api::HostData>()
            .fails(400, "'Can only forward to either client node or server'")
            .fails(403, "")
            .fails(404, "'Unknown node '<id>''")
            .fails(500, "'unknown Nomad server <name>'"),
        op(Get, "/v1/agent/schedulers", "readSchedulerWorkers", "The scheduler workers of a server and what they do.")
            .query("pretty")
            .gives::<api::AgentSchedulerWorkersInfo>()
            .fails(400, "'Server only endpoint'")
            .fails(403, ""),
        op(Get, "/v1/agent/schedulers/config", "readSchedulerWorkersConfig", "How many scheduler workers a server has, and for which jobs.")
            .query("pretty")
            .gives::<api::AgentSchedulerWorkerConfigResponse>()
            .fails(400, "'Server only endpoint'")
            .fails(403, ""),
        op(Write, "/v1/agent/schedulers/config", "setSchedulerWorkersConfig", "Sets how many scheduler workers a server has.")
            .query("pretty")
            .takes::<api::AgentSchedulerWorkerConfigRequest>()
            .gives::<api::AgentSchedulerWorkerConfigResponse>()
            .fails(400, "'Invalid request', 'Server only endpoint'")
            .fails(403, ""),
        op(Write, "/v1/agent/servers", "setAgentServers", "Sets the servers that the agent's client knows.")
            .query("pretty")
            .text("address", "The address of the server.")
            .required()
            .fails(400, "'missing server address' or unreachable addresses")
            .fails(403, "")
            .fails(501, ""),
    ]
}

pub(super) fn metrics() -> Vec<Operation> {
    vec![
        op(Get, "/v1/metrics", "readMetrics", "The agent's metrics, as JSON or for Prometheus.")
            .query("pretty")
            .text("format", "`prometheus` for the text form.")
            .gives::<api::MetricsSummary>()
            .fails(415, "'Prometheus is not enabled'")
            .fails(500, "before the first interval exists"),
    ]
}

pub(super) fn regions() -> Vec<Operation> {
    vec![op(Get, "/v1/regions", "listRegions", "The regions.").query("pretty").gives::<Vec<String>>()]
}

pub(super) fn oidc() -> Vec<Operation> {
    vec![
        op(Get, "/.well-known/jwks.json", "readIdentityKeys", "The public keys that identities of workloads are checked with.")
            .query("index wait stale region pretty")
            .gives::<api::JSONWebKeySet>(),
        op(Get, "/.well-known/openid-configuration", "readIdentityProvider", "The region as a provider of identities for OpenID Connect.")
            .query("region pretty")
            .gives::<api::OIDCDiscoveryConfig>()
            .fails(404, "'OIDC Discovery endpoint disabled' unless the server's `oidc_issuer` is set"),
    ]
}

pub(super) fn status() -> Vec<Operation> {
    vec![
        op(Get, "/v1/status/leader", "readLeader", "The address of the leader.")
            .query("stale region pretty")
            .gives::<String>()
            .fails(500, "'No cluster leader'"),
        op(Get, "/v1/status/peers", "listPeers", "The addresses of the servers.")
            .query("stale region pretty")
            .gives::<Vec<String>>()
            .fails(500, ""),
    ]
}

pub(super) fn operator() -> Vec<Operation> {
    vec![
        op(Get, "/v1/operator/license", "readLicense", "There are no licenses: everything is open to everyone.")
            .query("pretty")
            .no_content(),
        op(Get, "/v1/operator/scheduler/configuration", "readSchedulerConfiguration", "How the scheduler is set.")
            .query("stale region pretty")
            .gives::<api::SchedulerConfigurationResponse>()
            .fails(403, ""),
        op(Write, "/v1/operator/scheduler/configuration", "setSchedulerConfiguration", "Sets the scheduler.")
            .query("region pretty")
            .number("cas", "Only when the stored index is this one; 0: only when there is nothing yet.")
            .takes::<api::SchedulerConfiguration>()
            .gives::<api::SchedulerSetConfigurationResponse>()
            .fails(400, "invalid algorithm, 'Error parsing cas value: ...'")
            .fails(403, ""),
        op(Get, "/v1/operator/autopilot/configuration", "readAutopilotConfiguration", "How dead servers are cleared away and new ones taken in.")
            .query("stale region pretty")
            .gives::<api::AutopilotConfiguration>()
            .fails(403, "")
            .fails(404, "'Invalid method' for POST"),
        op(Put, "/v1/operator/autopilot/configuration", "setAutopilotConfiguration", "Sets how dead servers are cleared away and new ones taken in.")
            .query("region pretty")
            .number("cas", "Only when the stored index is this one; 0: only when there is nothing yet.")
            .takes::<api::AutopilotConfiguration>()
            .gives::<bool>()
            .fails(400, "bad body or cas")
            .fails(403, "")
            .fails(404, "'Invalid method' for POST"),
        op(Get, "/v1/operator/autopilot/health", "readAutopilotHealth", "How the servers do.")
            .query("region pretty")
            .gives::<api::OperatorHealthReply>()
            .fails(429, "with the same JSON when not healthy")
            .fails(403, "")
            .fails(404, "'Invalid method'"),
        op(Get, "/v1/operator/raft/configuration", "readRaftConfiguration", "The servers that agree on the log.")
            .query("stale region pretty")
            .gives::<api::RaftConfiguration>()
            .fails(403, ""),
        op(Delete, "/v1/operator/raft/peer", "removeRaftPeer", "Takes a server out of the agreement.")
            .query("region pretty")
            .text("id", "The id of the server.")
            .required()
            .text("address", "The address of the server.")
            .fails(400, "'Must specify the peer's ID to remove', 'Removing a peer by address is not supported in the current raft protocol version'")
            .fails(403, "")
            .fails(404, "'Invalid method' for other methods")
            .fails(500, "unknown id"),
        op(Write, "/v1/operator/raft/transfer-leadership", "transferLeadership", "Makes another server the leader.")
            .query("region pretty")
            .text("id", "The id of the server.")
            .text("address", "The address of the server.")
            .gives::<api::LeadershipTransferResponse>()
            .fails(400, "'must specify id or address', 'must specify either id or address', empty or repeated values, peer not in configuration")
            .fails(403, "")
            .fails(503, "'No cluster leader'"),
        op(Get, "/v1/operator/snapshot", "saveSnapshot", "The state of the region as an archive.")
            .query("stale region")
            .gives_bytes()
            .fails(403, "")
            .fails(500, ""),
        op(Write, "/v1/operator/snapshot", "restoreSnapshot", "Replaces the state of the region by that of an archive.")
            .query("region")
            .takes_bytes()
            .fails(400, "stream error")
            .fails(403, "")
            .fails(500, "restore failure"),
        op(Get, "/v1/operator/upgrade-check/vault-workload-identity", "checkVaultIdentities", "The jobs that still reach Vault in a way that ends with the next version.")
            .query("stale region pretty")
            .gives::<api::VaultWorkloadIdentityUpgradeCheck>()
            .fails(403, "")
            .fails(404, "'Path ... not found' for other checks"),
    ]
}

pub(super) fn system() -> Vec<Operation> {
    vec![
        op(Put, "/v1/system/gc", "collectGarbage", "Forgets everything that is over now, whatever its age.")
            .query("region pretty")
            .fails(403, ""),
        op(Put, "/v1/system/reconcile/summaries", "reconcileSummaries", "Counts the allocations of all jobs again.")
            .query("region pretty")
            .fails(403, ""),
    ]
}

//! The commands of operators, and those that are not part of this version: the rest of the table.

use super::{BASE, debug, identities, job_logs, offline, port_forward, raft, servers, snapshot, tls};
use crate::command::{Command, Context, Running};
use crate::flags::Flag;

macro_rules! run {
    ($($function:ident)::+) => {{
        fn run(context: &mut Context) -> Running<'_> {
            Box::pin($($function)::+(context))
        }
        run
    }};
}

/// Flags of commands that say that they are not part of this version: those that scripts give them.
const ACCEPTED: &[Flag] = &[
    super::JSON,
    super::TEMPLATE,
    super::VERBOSE,
    super::DETACH,
    Flag::value("type", "type", ""),
    Flag::switch("short", ""),
    Flag::switch("force", ""),
    Flag::switch("raw", ""),
    Flag::switch("y", ""),
    Flag::switch("policy-override", ""),
    Flag::switch("today-only", ""),
    Flag::values("secret", "key=value", ""),
    Flag::values("parameter", "key=value", ""),
    Flag::value("node", "node", ""),
    Flag::value("node-pool", "pool", ""),
    Flag::value("node-name", "name", ""),
    Flag::value("ttl", "duration", ""),
    Flag::value("id", "id", ""),
    Flag::value("job", "job", ""),
    Flag::value("group", "group", ""),
    Flag::value("task", "task", ""),
    Flag::value("plugin", "plugin", ""),
    Flag::value("volume-name", "name", ""),
    Flag::value("description", "text", ""),
    Flag::value("scope", "scope", ""),
    Flag::value("level", "level", ""),
    Flag::value("message", "text", ""),
    Flag::value("output", "path", ""),
    Flag::value("per-page", "count", ""),
    Flag::value("page-token", "token", ""),
    Flag::value("method", "name", ""),
    Flag::value("login-token", "token", ""),
    Flag::value("interval", "duration", ""),
];

const fn missing(path: &'static str, arguments: &'static str, about: &'static str) -> Command {
    Command {
        path,
        arguments,
        about,
        details: "Not part of this version of Drover: it says so.",
        hidden: true,
        flags: ACCEPTED,
        run: run!(servers::missing),
        ..BASE
    }
}

/// The commands.
pub(super) static OPERATORS: &[Command] = &[
    Command {
        path: "alloc pause",
        arguments: "[options] <alloc> [<task>]",
        about: "Pause a task, or let it go on",
        flags: servers::PAUSE_FLAGS,
        run: run!(servers::pause),
        ..BASE
    },
    Command {
        path: "alloc port-forward",
        arguments: "[options] <alloc> [<local port>:]<port>",
        about: "Reach a port of an allocation at a local one",
        details: "The port is named by its label or number. Connections go through the agent, so that nothing but its API has to be reachable from here. It takes the right to run commands in the task.",
        flags: port_forward::FLAGS,
        run: run!(port_forward::port_forward),
        ..BASE
    },
    Command {
        path: "check",
        about: "Check an agent, for monitoring",
        details: "Says nothing and exits with 0 if the agent is well, with 1 for a warning and with 2 if it is not.",
        hidden: true,
        flags: servers::CHECK_FLAGS,
        run: run!(servers::check),
        ..BASE
    },
    Command {
        path: "job logs",
        arguments: "[options] <job>",
        about: "Show what all tasks of a job write, each line with whose it is",
        details: "With -f it goes on, with tasks that start later, too.",
        flags: job_logs::FLAGS,
        run: run!(job_logs::logs),
        ..BASE
    },
    Command {
        path: "monitor export",
        about: "Show what an agent has logged",
        details: "One of -service-name and -on-disk says where that is.",
        flags: servers::EXPORT_FLAGS,
        run: run!(servers::export),
        ..BASE
    },
    Command {
        path: "node config",
        aliases: &["client-config"],
        arguments: "[options] [<address> ...]",
        about: "Show or change where a client finds servers",
        flags: servers::NODE_CONFIG_FLAGS,
        run: run!(servers::node_config),
        ..BASE
    },
    Command {
        path: "operator autopilot get-config",
        about: "Show how servers are looked after",
        flags: raft::AUTOPILOT_FLAGS,
        run: run!(raft::autopilot),
        ..BASE
    },
    Command {
        path: "operator autopilot health",
        about: "Show how servers are",
        flags: raft::HEALTH_FLAGS,
        run: run!(raft::health),
        ..BASE
    },
    Command {
        path: "operator autopilot set-config",
        about: "Change how servers are looked after",
        details: "Settings that are not named stay as they are.",
        flags: raft::AUTOPILOT_SET_FLAGS,
        run: run!(raft::set_autopilot),
        ..BASE
    },
    Command {
        path: "operator client-state",
        arguments: "<path to client state directory>",
        about: "Show what a stopped client remembers",
        run: run!(offline::client_state),
        ..BASE
    },
    Command {
        path: "operator debug",
        aliases: &["debug"],
        about: "Capture everything that helps to find a fault, in one archive",
        flags: debug::FLAGS,
        run: run!(debug::debug),
        ..BASE
    },
    Command { path: "operator gossip keyring generate", about: "Make a key for gossip", run: run!(raft::gossip_generate), ..BASE },
    Command {
        path: "operator gossip keyring install",
        arguments: "[options] <key>",
        about: "Give all servers a key for gossip",
        run: run!(raft::gossip_install),
        ..BASE
    },
    Command { path: "operator gossip keyring list", about: "List the keys for gossip", run: run!(raft::gossip_list), ..BASE },
    Command {
        path: "operator gossip keyring remove",
        arguments: "[options] <key>",
        about: "Take a key for gossip from all servers",
        run: run!(raft::gossip_remove),
        ..BASE
    },
    Command {
        path: "operator gossip keyring use",
        arguments: "[options] <key>",
        about: "Make a key the one that encrypts gossip",
        run: run!(raft::gossip_use),
        ..BASE
    },
    Command {
        path: "operator metrics",
        about: "Show measurements of an agent",
        flags: servers::METRICS_FLAGS,
        run: run!(servers::metrics),
        ..BASE
    },
    Command {
        path: "operator raft info",
        arguments: "<path to data directory>",
        about: "Show what log a stopped server has",
        run: run!(offline::info),
        ..BASE
    },
    Command {
        path: "operator raft list-peers",
        about: "List the servers that vote",
        flags: raft::PEERS_FLAGS,
        run: run!(raft::list_peers),
        ..BASE
    },
    Command {
        path: "operator raft logs",
        arguments: "[options] <path to data directory>",
        about: "Show the log of a stopped server",
        flags: offline::LOGS_FLAGS,
        run: run!(offline::logs),
        ..BASE
    },
    Command {
        path: "operator raft migrate-backend",
        arguments: "[options] <path to data directory>",
        about: "Check that the log of a stopped server has the newest form",
        flags: offline::MIGRATE_FLAGS,
        run: run!(offline::migrate),
        ..BASE
    },
    Command {
        path: "operator raft remove-peer",
        about: "Take a server out of consensus",
        flags: raft::PEER_FLAGS,
        run: run!(raft::remove_peer),
        ..BASE
    },
    Command {
        path: "operator raft state",
        arguments: "[options] <path to data directory>",
        about: "Show the state that the log of a stopped server leads to",
        flags: offline::STATE_FLAGS,
        run: run!(offline::state),
        ..BASE
    },
    Command {
        path: "operator raft transfer-leadership",
        about: "Have another server lead",
        flags: raft::TRANSFER_FLAGS,
        run: run!(raft::transfer),
        ..BASE
    },
    Command { path: "operator root keyring list", about: "List root keys", flags: raft::KEYS_FLAGS, run: run!(raft::root_list), ..BASE },
    Command {
        path: "operator root keyring remove",
        arguments: "[options] <key>",
        about: "Remove a root key",
        flags: raft::REMOVE_KEY_FLAGS,
        run: run!(raft::root_remove),
        ..BASE
    },
    Command {
        path: "operator root keyring rotate",
        about: "Make a new root key",
        flags: raft::ROTATE_FLAGS,
        run: run!(raft::root_rotate),
        ..BASE
    },
    Command {
        path: "operator snapshot inspect",
        arguments: "[options] <file>",
        about: "Show what is in a saved state",
        flags: snapshot::INSPECT_FLAGS,
        run: run!(snapshot::inspect),
        ..BASE
    },
    Command {
        path: "operator snapshot redact",
        arguments: "<file>",
        about: "Take the secrets of the keyring out of a saved state",
        run: run!(snapshot::redact),
        ..BASE
    },
    Command {
        path: "operator snapshot restore",
        arguments: "[options] <file>",
        about: "Replace the whole state by a saved one",
        run: run!(snapshot::restore),
        ..BASE
    },
    Command {
        path: "operator snapshot save",
        arguments: "[options] [<file>]",
        about: "Save the whole state to a file",
        flags: snapshot::SAVE_FLAGS,
        run: run!(snapshot::save),
        ..BASE
    },
    Command {
        path: "operator snapshot state",
        arguments: "[options] <file>",
        about: "Show a saved state as JSON",
        flags: snapshot::STATE_FLAGS,
        run: run!(snapshot::state),
        ..BASE
    },
    Command {
        path: "server force-leave",
        aliases: &["server-force-leave"],
        arguments: "[options] <name>",
        about: "Count a server as having left",
        flags: servers::LEAVE_FLAGS,
        run: run!(servers::force_leave),
        ..BASE
    },
    Command {
        path: "server join",
        aliases: &["server-join"],
        arguments: "[options] <address> [<address> ...]",
        about: "Have a server join others",
        run: run!(servers::join),
        ..BASE
    },
    Command { path: "tls ca create", about: "Make a certificate authority", flags: tls::CA_FLAGS, run: run!(tls::ca_create), ..BASE },
    Command { path: "tls ca info", arguments: "<file>", about: "Show what is in its certificate", run: run!(tls::ca_info), ..BASE },
    Command {
        path: "tls cert create",
        about: "Make a certificate for an agent or the command line",
        flags: tls::CERT_FLAGS,
        run: run!(tls::cert_create),
        ..BASE
    },
    Command { path: "tls cert info", arguments: "<file>", about: "Show what is in a certificate", run: run!(tls::cert_info), ..BASE },
    Command {
        path: "ui",
        arguments: "[options] [<job|alloc|node>]",
        about: "Open the web page of the region, or of an object",
        flags: servers::UI_FLAGS,
        run: run!(servers::ui),
        ..BASE
    },
    missing("license get", "[options]", "Show the licence of the paid edition of upstream"),
    missing("login", "[options]", "Log in"),
    Command {
        path: "node identity get",
        arguments: "[options] <node>",
        about: "Show what the identity of a node claims",
        flags: identities::GET_FLAGS,
        run: run!(identities::get),
        ..BASE
    },
    Command {
        path: "node identity renew",
        arguments: "[options] <node>",
        about: "Vouch for a node anew",
        run: run!(identities::renew),
        ..BASE
    },
    Command {
        path: "node intro create",
        arguments: "[options]",
        about: "Make a token that introduces a new node",
        flags: identities::CREATE_FLAGS,
        run: run!(identities::create),
        ..BASE
    },
    missing("operator snapshot agent", "[options] <config file>", "Save the state again and again"),
    missing("operator utilization", "[options]", "Write a report of the paid edition of upstream"),
    missing("plugin status", "[options] [<plugin>]", "List plugins"),
    missing("quota apply", "[options] <path|->", "Make a quota"),
    missing("quota delete", "[options] <quota>", "Delete a quota"),
    missing("quota inspect", "[options] <quota>", "Show a quota as JSON"),
    missing("quota list", "[options]", "List quotas"),
    missing("quota status", "[options] <quota>", "Show a quota"),
    missing("recommendation apply", "[options] <id> ...", "Follow recommendations"),
    missing("recommendation dismiss", "[options] <id> ...", "Dismiss recommendations"),
    missing("recommendation info", "[options] <id>", "Show a recommendation"),
    missing("recommendation list", "[options]", "List recommendations"),
    missing("sentinel apply", "[options] <name> <path|->", "Make a Sentinel policy"),
    missing("sentinel delete", "[options] <name>", "Delete a Sentinel policy"),
    missing("sentinel list", "[options]", "List Sentinel policies"),
    missing("sentinel read", "[options] <name>", "Show a Sentinel policy"),
    missing("setup consul", "[options]", "Set up a Consul for workload identities"),
    missing("setup vault", "[options]", "Set up a Vault for workload identities"),
    missing("volume claim delete", "[options] <claim>", "Delete a claim"),
    missing("volume claim list", "[options]", "List claims"),
    missing("volume create", "[options] <path|->", "Make a volume"),
    missing("volume delete", "[options] <volume>", "Delete a volume"),
    missing("volume deregister", "[options] <volume>", "Forget a volume"),
    missing("volume detach", "[options] <volume> <node>", "Detach a volume"),
    missing("volume register", "[options] <path|->", "Register a volume"),
    missing("volume snapshot create", "[options] <volume> <name>", "Take a snapshot of a volume"),
    missing("volume snapshot delete", "[options] <plugin> <snapshot>", "Delete a snapshot"),
    missing("volume snapshot list", "[options]", "List snapshots of volumes"),
    missing("volume status", "[options] [<volume>]", "List volumes"),
];

/// Groups of these commands.
pub(super) const GROUPS: &[(&str, &str)] = &[
    ("operator autopilot", "How servers are looked after"),
    ("operator gossip", "Gossip between servers"),
    ("operator gossip keyring", "Its keys"),
    ("operator raft", "Consensus"),
    ("operator root", "Root keys"),
    ("operator root keyring", "What encrypts variables"),
    ("operator snapshot", "The whole state in a file"),
    ("tls", "Make and look at certificates"),
    ("tls ca", "A certificate authority"),
    ("tls cert", "Certificates that it signs"),
    ("node identity", "Identities of nodes"),
    ("node intro", "Introduction of clients"),
    ("plugin", "Plugins"),
    ("quota", "Quotas"),
    ("recommendation", "Recommendations"),
    ("sentinel", "Sentinel policies"),
    ("setup", "Set up other programs"),
    ("volume", "Volumes"),
    ("volume claim", "Claims to volumes"),
    ("volume snapshot", "Snapshots of volumes"),
    ("license", "Licences"),
];

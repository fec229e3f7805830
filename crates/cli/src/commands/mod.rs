//! All commands, in one table.

mod acl;
mod acl_login;
mod agent;
pub(crate) mod alloc;
mod alloc_act;
mod alloc_files;
mod config;
mod debug;
pub(crate) mod deployment;
pub(crate) mod eval;
mod exec;
mod fmt;
mod identities;
mod job_init;
mod job_launch;
mod job_logs;
mod job_more;
mod job_plan;
mod job_restart;
mod job_run;
mod job_status;
mod job_stop;
mod misc;
mod more_objects;
mod namespace;
mod node;
mod node_drain;
mod node_pool;
mod offline;
mod operator;
mod operators;
mod port_forward;
mod raft;
mod servers;
mod service;
mod snapshot;
mod tls;
mod var;

use std::future::Future;

pub use agent::{AgentArgs, AgentArgsError};
pub use misc::VERSION;

use crate::command::{Command, Context, Failure, Outcome, Running};
use crate::flags::Flag;
use crate::sdk::Query;

const VERBOSE: Flag = Flag::switch("verbose", "Show full ids and absolute times.");
const DETACH: Flag = Flag::switch("detach", "Print the evaluation's id instead of following it.");
const JSON: Flag = Flag::switch("json", "Print JSON.");
const TEMPLATE: Flag = Flag::value("t", "template", "Print through a Go template.");
const PER_PAGE: Flag = Flag::value("per-page", "count", "Show so many at once.");
const PAGE_TOKEN: Flag = Flag::value("page-token", "token", "Where the page starts.");
const FILTER: Flag = Flag::value("filter", "expression", "Only items that match.");

/// The query of a list that may be paged and filtered.
fn paged(context: &Context) -> Query {
    let text = |name: &str| context.flags.value(name).unwrap_or("");
    Query::new().set_some("per_page", text("per-page")).set_some("next_token", text("page-token")).set_some("filter", text("filter"))
}

/// Tells how to get the next page.
fn next_page(context: &Context, command: &str, flags: &[&str], token: &str) {
    if token.is_empty() {
        return;
    }
    let mut line = command.to_owned();
    for flag in flags {
        if let Some(value) = context.flags.text(flag) {
            line.push_str(&format!(" -{flag} {}", job_plan::quoted(value)));
        }
    }
    context.ui.output(format!("\nResults have been paginated. To get the next page run:\n\n{line} -page-token {token}"));
}

/// Says why something waits, if it does: one sentence, and until when.
fn why(context: &Context, why: Option<&drover_api::Why>) {
    let Some(why) = why else { return };
    let deadline = crate::text::parse_time(why.deadline.as_deref());
    let until = deadline.map(|time| format!(" (until {})", context.zone.time(time))).unwrap_or_default();
    context.ui.output(format!("\n{}\n{}{until}", context.title("Why It Waits"), why.message));
}

/// Runs until done, or, where that has no end of its own, until interrupted.
async fn until_interrupted(endless: bool, work: impl Future<Output = Outcome>) -> Outcome {
    if !endless {
        return work.await;
    }
    tokio::select! {
        outcome = work => outcome,
        _ = tokio::signal::ctrl_c() => Ok(0),
    }
}

macro_rules! run {
    ($($function:ident)::+) => {{
        fn run(context: &mut Context) -> Running<'_> {
            Box::pin($($function)::+(context))
        }
        run
    }};
}

async fn agent_elsewhere(_: &mut Context) -> Outcome {
    Err(Failure::new("The agent is started by the program itself"))
}

const BASE: Command = Command {
    path: "",
    aliases: &[],
    hidden: false,
    arguments: "[options]",
    about: "",
    details: "",
    flags: &[],
    general: true,
    foreign: false,
    usage_code: 1,
    run: run!(agent_elsewhere),
};

/// The commands of every day, in the order the help shows them.
pub const DAILY: &[&str] = &["run", "stop", "status", "logs", "job", "alloc", "node", "agent"];

/// What each of their groups is about.
const GROUPS: &[(&str, &str)] = &[
    ("acl", "Access control: tokens, policies, roles, ways to log in"),
    ("alloc", "Look at and act on allocations"),
    ("config", "Check configuration"),
    ("deployment", "Look at and act on deployments"),
    ("eval", "Look at evaluations"),
    ("job", "Run, change, look at and stop jobs"),
    ("namespace", "Look at and change namespaces"),
    ("node", "Look at and act on nodes"),
    ("operator", "Tools for operators"),
    ("scaling", "Look at how jobs may be scaled"),
    ("server", "Look at servers"),
    ("service", "Look at registered services"),
    ("system", "Act on the whole cluster"),
    ("var", "Look at, change and lock variables"),
    ("job periodic", "Act on periodic jobs"),
    ("job tag", "Name versions of a job"),
    ("node meta", "Look at and change the metadata of nodes"),
    ("acl auth-method", "Ways to log in"),
    ("acl binding-rule", "What somebody gets who logs in"),
    ("acl policy", "Policies"),
    ("acl role", "Roles"),
    ("acl token", "Tokens"),
    ("node pool", "Look at and change node pools"),
    ("scaling policy", "Look at scaling policies"),
    ("operator scheduler", "Settings of the scheduler"),
    ("system reconcile", "Count again"),
];

/// Every command.
pub fn commands() -> impl Iterator<Item = &'static Command> + Clone {
    COMMANDS.iter().chain(operators::OPERATORS)
}

/// What each group of commands is about.
pub fn groups() -> impl Iterator<Item = (&'static str, &'static str)> + Clone {
    GROUPS.iter().chain(operators::GROUPS).copied()
}

/// The commands of every day and about objects.
static COMMANDS: &[Command] = &[
    Command {
        path: "acl auth-method create",
        about: "Make a way to log in",
        flags: acl_login::METHOD_CREATE_FLAGS,
        run: run!(acl_login::method_create),
        ..BASE
    },
    Command {
        path: "acl auth-method delete",
        arguments: "[options] <name>",
        about: "Delete a way to log in",
        run: run!(acl_login::method_delete),
        ..BASE
    },
    Command {
        path: "acl auth-method info",
        arguments: "[options] <name>",
        about: "Show a way to log in",
        flags: acl::SHOW_FLAGS,
        run: run!(acl_login::method_info),
        ..BASE
    },
    Command {
        path: "acl auth-method list",
        about: "List ways to log in",
        flags: acl::SHOW_FLAGS,
        run: run!(acl_login::method_list),
        ..BASE
    },
    Command {
        path: "acl auth-method update",
        arguments: "[options] <name>",
        about: "Change a way to log in",
        flags: acl_login::METHOD_UPDATE_FLAGS,
        run: run!(acl_login::method_update),
        ..BASE
    },
    Command {
        path: "acl binding-rule create",
        about: "Say what somebody gets who logs in",
        flags: acl_login::RULE_CREATE_FLAGS,
        run: run!(acl_login::rule_create),
        ..BASE
    },
    Command {
        path: "acl binding-rule delete",
        arguments: "[options] <id>",
        about: "Delete a binding rule",
        run: run!(acl_login::rule_delete),
        ..BASE
    },
    Command {
        path: "acl binding-rule info",
        arguments: "[options] <id>",
        about: "Show a binding rule",
        flags: acl::SHOW_FLAGS,
        run: run!(acl_login::rule_info),
        ..BASE
    },
    Command { path: "acl binding-rule list", about: "List binding rules", flags: acl::SHOW_FLAGS, run: run!(acl_login::rule_list), ..BASE },
    Command {
        path: "acl binding-rule update",
        arguments: "[options] <id>",
        about: "Change a binding rule",
        flags: acl_login::RULE_UPDATE_FLAGS,
        run: run!(acl_login::rule_update),
        ..BASE
    },
    Command {
        path: "acl bootstrap",
        arguments: "[options] [<path>|-]",
        about: "Make the first token of the region",
        flags: acl::SHOW_FLAGS,
        run: run!(acl::bootstrap),
        ..BASE
    },
    Command {
        path: "acl policy apply",
        arguments: "[options] <name> <path|->",
        about: "Make a policy, or change it",
        flags: acl::POLICY_APPLY_FLAGS,
        run: run!(acl::policy_apply),
        ..BASE
    },
    Command { path: "acl policy delete", arguments: "[options] <name>", about: "Delete a policy", run: run!(acl::policy_delete), ..BASE },
    Command { path: "acl policy info", arguments: "[options] <name>", about: "Show a policy", run: run!(acl::policy_info), ..BASE },
    Command { path: "acl policy list", about: "List policies", flags: acl::SHOW_FLAGS, run: run!(acl::policy_list), ..BASE },
    Command {
        path: "acl policy self",
        about: "List the policies of the token in use",
        flags: acl::SHOW_FLAGS,
        run: run!(acl::policy_self),
        ..BASE
    },
    Command { path: "acl role create", about: "Make a role", flags: acl::ROLE_CREATE_FLAGS, run: run!(acl::role_create), ..BASE },
    Command { path: "acl role delete", arguments: "[options] <id>", about: "Delete a role", run: run!(acl::role_delete), ..BASE },
    Command {
        path: "acl role info",
        arguments: "[options] <id|name>",
        about: "Show a role",
        flags: acl::ROLE_INFO_FLAGS,
        run: run!(acl::role_info),
        ..BASE
    },
    Command { path: "acl role list", about: "List roles", flags: acl::SHOW_FLAGS, run: run!(acl::role_list), ..BASE },
    Command {
        path: "acl role update",
        arguments: "[options] <id>",
        about: "Change a role",
        flags: acl::ROLE_UPDATE_FLAGS,
        run: run!(acl::role_update),
        ..BASE
    },
    Command {
        path: "acl token create",
        arguments: "[options] [<path>|-]",
        about: "Make a token",
        flags: acl::TOKEN_CREATE_FLAGS,
        run: run!(acl::token_create),
        ..BASE
    },
    Command { path: "acl token delete", arguments: "[options] <accessor>", about: "Delete a token", run: run!(acl::token_delete), ..BASE },
    Command { path: "acl token info", arguments: "[options] <accessor>", about: "Show a token", run: run!(acl::token_info), ..BASE },
    Command { path: "acl token list", about: "List tokens", flags: acl::SHOW_FLAGS, run: run!(acl::token_list), ..BASE },
    Command { path: "acl token self", about: "Show the token in use", run: run!(acl::token_self), ..BASE },
    Command {
        path: "acl token update",
        arguments: "[options] <accessor>",
        about: "Change a token",
        flags: acl::TOKEN_UPDATE_FLAGS,
        run: run!(acl::token_update),
        ..BASE
    },
    Command {
        path: "agent",
        about: "Start a Drover agent",
        details: "Runs a server, a client or both until it is interrupted. \"drover agent -dev\" is the quickest start: server and client in one, in memory.",
        flags: agent::FLAGS,
        general: false,
        ..BASE
    },
    Command {
        path: "agent-info",
        about: "Show facts about the agent that answers",
        flags: misc::INFO_FLAGS,
        run: run!(misc::agent_info),
        ..BASE
    },
    Command {
        path: "alloc checks",
        arguments: "[options] <alloc>",
        about: "Show the results of an allocation's health checks",
        flags: alloc_act::CHECKS_FLAGS,
        run: run!(alloc_act::checks),
        ..BASE
    },
    Command {
        path: "alloc exec",
        aliases: &["exec"],
        arguments: "[options] <alloc> <command> [<args>...]",
        about: "Run a command where a task runs",
        details: "The exit code is the command's. With -job the first argument is a job. In a terminal, the escape character (~ at the start of a line) followed by a dot ends the session.",
        flags: exec::EXEC_FLAGS,
        foreign: true,
        run: run!(exec::alloc_exec),
        ..BASE
    },
    Command {
        path: "alloc fs",
        aliases: &["fs"],
        arguments: "[options] <alloc> [<path>]",
        about: "List and show files of an allocation",
        details: "A directory is listed, a file is shown. The path starts at the allocation's directory.",
        flags: alloc_files::FS_FLAGS,
        run: run!(alloc_files::fs),
        ..BASE
    },
    Command {
        path: "alloc logs",
        aliases: &["logs"],
        arguments: "[options] <alloc> [<task>]",
        about: "Show the output of a task",
        details: "Shows all of the standard output and ends. With -f it goes on as the task writes.",
        flags: alloc_files::LOGS_FLAGS,
        run: run!(alloc_files::logs),
        ..BASE
    },
    Command {
        path: "alloc restart",
        arguments: "[options] <alloc> [<task>]",
        about: "Restart tasks of an allocation",
        flags: alloc_act::RESTART_FLAGS,
        run: run!(alloc_act::restart),
        ..BASE
    },
    Command {
        path: "alloc signal",
        arguments: "[options] <alloc> [<task>]",
        about: "Send a signal to tasks of an allocation",
        flags: alloc_act::SIGNAL_FLAGS,
        run: run!(alloc_act::signal),
        ..BASE
    },
    Command {
        path: "alloc status",
        aliases: &["alloc-status"],
        arguments: "[options] <alloc>",
        about: "Show an allocation",
        flags: alloc::FLAGS,
        run: run!(alloc::run),
        ..BASE
    },
    Command {
        path: "alloc stop",
        arguments: "[options] <alloc>",
        about: "Stop an allocation; it is replaced if the job still wants it",
        flags: alloc_act::STOP_FLAGS,
        run: run!(alloc_act::stop),
        ..BASE
    },
    Command {
        path: "deployment fail",
        arguments: "[options] <deployment>",
        about: "Fail a deployment; back to the last good version if it reverts",
        flags: deployment::FLAGS,
        run: run!(deployment::fail),
        ..BASE
    },
    Command { path: "deployment list", about: "List deployments", flags: deployment::LIST_FLAGS, run: run!(deployment::run_list), ..BASE },
    Command {
        path: "deployment pause",
        arguments: "[options] <deployment>",
        about: "Pause a deployment",
        flags: deployment::PAUSE_FLAGS,
        run: run!(deployment::pause),
        ..BASE
    },
    Command {
        path: "deployment promote",
        arguments: "[options] <deployment>",
        about: "Promote the canaries of a deployment",
        flags: deployment::PROMOTE_FLAGS,
        run: run!(deployment::promote),
        ..BASE
    },
    Command {
        path: "deployment resume",
        arguments: "[options] <deployment>",
        about: "Resume a paused deployment",
        flags: deployment::FLAGS,
        run: run!(deployment::resume),
        ..BASE
    },
    Command {
        path: "deployment status",
        arguments: "[options] [<deployment>]",
        about: "Show a deployment, or list them",
        flags: deployment::STATUS_FLAGS,
        run: run!(deployment::status),
        ..BASE
    },
    Command {
        path: "deployment unblock",
        arguments: "[options] <deployment>",
        about: "Unblock a deployment that waits for other regions",
        flags: deployment::FLAGS,
        run: run!(deployment::unblock),
        ..BASE
    },
    Command {
        path: "eval delete",
        arguments: "[options] [<evaluation>]",
        about: "Delete evaluations that have ended",
        details: "The broker has to be paused. Takes a full id, or -filter.",
        flags: more_objects::EVAL_DELETE_FLAGS,
        run: run!(more_objects::eval_delete),
        ..BASE
    },
    Command { path: "eval list", about: "List evaluations", flags: eval::LIST_FLAGS, run: run!(eval::list), ..BASE },
    Command {
        path: "eval status",
        aliases: &["eval-status"],
        arguments: "[options] <evaluation>",
        about: "Show an evaluation and what it placed",
        flags: eval::STATUS_FLAGS,
        run: run!(eval::status),
        ..BASE
    },
    Command {
        path: "job allocs",
        arguments: "[options] <job>",
        about: "List the allocations of a job",
        flags: job_more::ALLOCS_FLAGS,
        run: run!(job_more::allocs),
        ..BASE
    },
    Command {
        path: "job deployments",
        arguments: "[options] <job>",
        about: "List the deployments of a job",
        flags: job_more::DEPLOYMENTS_FLAGS,
        run: run!(job_more::deployments),
        ..BASE
    },
    Command {
        path: "job dispatch",
        arguments: "[options] <job> [<payload>]",
        about: "Run an instance of a parameterized job",
        details: "The payload is a file, or \"-\" for the input. With -wait the exit code is 2 if allocations failed.",
        flags: job_launch::DISPATCH_FLAGS,
        run: run!(job_launch::dispatch),
        ..BASE
    },
    Command {
        path: "job eval",
        arguments: "[options] <job>",
        about: "Evaluate a job again",
        flags: job_more::EVAL_FLAGS,
        run: run!(job_more::eval),
        ..BASE
    },
    Command {
        path: "job history",
        arguments: "[options] <job>",
        about: "Show the versions of a job",
        flags: job_more::HISTORY_FLAGS,
        run: run!(job_more::history),
        ..BASE
    },
    Command {
        path: "job init",
        aliases: &["init"],
        arguments: "[options] [<filename>]",
        about: "Write an example job file",
        flags: job_init::FLAGS,
        run: run!(job_init::run),
        ..BASE
    },
    Command {
        path: "job inspect",
        aliases: &["inspect"],
        arguments: "[options] <job>",
        about: "Show a job in full",
        flags: job_more::INSPECT_FLAGS,
        run: run!(job_more::inspect),
        ..BASE
    },
    Command {
        path: "job periodic force",
        arguments: "[options] <job>",
        about: "Launch a periodic job now",
        flags: job_launch::FORCE_FLAGS,
        run: run!(job_launch::force),
        ..BASE
    },
    Command {
        path: "job plan",
        aliases: &["plan"],
        arguments: "[options] <path>",
        about: "Show what running a job file would change",
        details: "Nothing is changed. The exit code is 0 if nothing would be created or destroyed, 1 if something would, 255 after an error.",
        flags: job_plan::FLAGS,
        usage_code: job_plan::ERROR,
        run: run!(job_plan::run),
        ..BASE
    },
    Command {
        path: "job promote",
        arguments: "[options] <job>",
        about: "Promote the canaries of a job",
        flags: job_more::PROMOTE_FLAGS,
        run: run!(job_more::promote),
        ..BASE
    },
    Command {
        path: "job restart",
        arguments: "[options] <job>",
        about: "Restart the allocations of a job, a few at a time",
        details: "Restarts tasks where they run or, with -reschedule, replaces allocations. Each batch waits for the one before to run.",
        flags: job_restart::FLAGS,
        run: run!(job_restart::run),
        ..BASE
    },
    Command {
        path: "job revert",
        arguments: "[options] <job> <version|tag>",
        about: "Go back to a version of a job",
        flags: job_more::REVERT_FLAGS,
        run: run!(job_more::revert),
        ..BASE
    },
    Command {
        path: "job run",
        aliases: &["run"],
        arguments: "[options] <path>",
        about: "Run a job, or update it",
        details: "The path is a job file, \"-\" for the input, or an http address. Each step is shown until the job is placed and its deployment is done.\nThe exit code is 0 if everything was placed, 2 if some allocations could not be placed, 1 otherwise.",
        flags: job_run::FLAGS,
        run: run!(job_run::run),
        ..BASE
    },
    Command {
        path: "job scale",
        arguments: "[options] <job> [<group>] <count>",
        about: "Change the count of a group",
        flags: job_more::SCALE_FLAGS,
        run: run!(job_more::scale),
        ..BASE
    },
    Command {
        path: "job scaling-events",
        arguments: "[options] <job>",
        about: "List changes of counts",
        flags: job_more::EVENTS_FLAGS,
        run: run!(job_more::scaling_events),
        ..BASE
    },
    Command {
        path: "job start",
        aliases: &["start"],
        arguments: "[options] <job>",
        about: "Start a stopped job again",
        flags: job_stop::START_FLAGS,
        run: run!(job_stop::start),
        ..BASE
    },
    Command {
        path: "job status",
        arguments: "[options] [<job>]",
        about: "Show a job, or list jobs",
        flags: job_status::FLAGS,
        run: run!(job_status::run),
        ..BASE
    },
    Command {
        path: "job stop",
        aliases: &["stop"],
        arguments: "[options] <job> [<job>...]",
        about: "Stop jobs",
        flags: job_stop::FLAGS,
        run: run!(job_stop::run),
        ..BASE
    },
    Command {
        path: "job action",
        aliases: &["action"],
        arguments: "[options] <action>",
        about: "Run an action of a job where one of its tasks runs",
        details: "Needs -job, and -alloc or both -group and -task. The exit code is the action's.",
        flags: exec::ACTION_FLAGS,
        run: run!(exec::action),
        ..BASE
    },
    Command {
        path: "job tag apply",
        arguments: "[options] <job>",
        about: "Name a version of a job",
        flags: job_more::TAG_FLAGS,
        run: run!(job_more::tag_apply),
        ..BASE
    },
    Command {
        path: "job tag unset",
        arguments: "[options] <job>",
        about: "Remove a name from a version",
        flags: job_more::TAG_FLAGS,
        run: run!(job_more::tag_unset),
        ..BASE
    },
    Command {
        path: "job validate",
        aliases: &["validate"],
        arguments: "[options] <path>",
        about: "Check a job file",
        flags: job_more::VALIDATE_FLAGS,
        run: run!(job_more::validate),
        ..BASE
    },
    Command {
        path: "config validate",
        arguments: "<path> [<path>...]",
        about: "Check agent configuration files",
        details: "Files and directories are merged in the order given, as an agent would, and checked as a whole.",
        flags: config::FLAGS,
        run: run!(config::validate),
        ..BASE
    },
    Command {
        path: "fmt",
        arguments: "[options] [<path>...|-]",
        about: "Bring HCL files into their canonical layout",
        details: "Without a path the files of this directory are formatted; - formats the input to the output. Files that change are named.",
        flags: fmt::FLAGS,
        run: run!(fmt::run),
        ..BASE
    },
    Command {
        path: "monitor",
        about: "Show the log of an agent as it is written",
        flags: misc::MONITOR_FLAGS,
        run: run!(misc::monitor),
        ..BASE
    },
    Command {
        path: "namespace apply",
        arguments: "[options] <name|path|->",
        about: "Make a namespace, or change it",
        flags: namespace::APPLY_FLAGS,
        run: run!(namespace::apply),
        ..BASE
    },
    Command {
        path: "namespace delete",
        arguments: "[options] <namespace>",
        about: "Delete a namespace that nothing lives in",
        run: run!(namespace::delete),
        ..BASE
    },
    Command {
        path: "namespace inspect",
        arguments: "[options] <namespace>",
        about: "Show a namespace as JSON",
        flags: namespace::INSPECT_FLAGS,
        run: run!(namespace::inspect),
        ..BASE
    },
    Command { path: "namespace list", about: "List namespaces", flags: namespace::LIST_FLAGS, run: run!(namespace::list), ..BASE },
    Command {
        path: "namespace status",
        arguments: "[options] <namespace>",
        about: "Show a namespace",
        flags: namespace::LIST_FLAGS,
        run: run!(namespace::status),
        ..BASE
    },
    Command {
        path: "node drain",
        aliases: &["node-drain"],
        arguments: "[options] <node>",
        about: "Move what runs on a node elsewhere",
        details: "The node takes no new allocations; those it has leave a few at a time, as their groups allow, and at the deadline all at once.",
        flags: node_drain::FLAGS,
        run: run!(node_drain::run),
        ..BASE
    },
    Command {
        path: "node eligibility",
        arguments: "[options] <node>",
        about: "Allow or forbid new allocations on a node",
        flags: node::ELIGIBILITY_FLAGS,
        run: run!(node::eligibility),
        ..BASE
    },
    Command {
        path: "node meta apply",
        arguments: "[options] <key>=<value> ...",
        about: "Change the metadata of a node while it runs",
        details: "The change outlives the agent and covers what the configuration says.",
        flags: more_objects::META_APPLY_FLAGS,
        run: run!(more_objects::meta_apply),
        ..BASE
    },
    Command {
        path: "node meta read",
        about: "Show the metadata of a node",
        flags: more_objects::META_READ_FLAGS,
        run: run!(more_objects::meta_read),
        ..BASE
    },
    Command {
        path: "node pool apply",
        arguments: "[options] <path>",
        about: "Make a node pool, or change it",
        flags: node_pool::APPLY_FLAGS,
        run: run!(node_pool::apply),
        ..BASE
    },
    Command { path: "node pool delete", arguments: "[options] <pool>", about: "Delete a node pool", run: run!(node_pool::delete), ..BASE },
    Command {
        path: "node pool info",
        arguments: "[options] <pool>",
        about: "Show a node pool",
        flags: node_pool::INFO_FLAGS,
        run: run!(node_pool::info),
        ..BASE
    },
    Command {
        path: "node pool init",
        arguments: "[options] [<filename>]",
        about: "Write an example of a node pool",
        flags: node_pool::INIT_FLAGS,
        run: run!(node_pool::init),
        ..BASE
    },
    Command {
        path: "node pool jobs",
        arguments: "[options] <pool>",
        about: "List the jobs of a node pool",
        flags: node_pool::LIST_FLAGS,
        run: run!(node_pool::jobs),
        ..BASE
    },
    Command { path: "node pool list", about: "List node pools", flags: node_pool::LIST_FLAGS, run: run!(node_pool::list), ..BASE },
    Command {
        path: "node pool nodes",
        arguments: "[options] <pool>",
        about: "List the nodes of a node pool",
        flags: node_pool::NODES_FLAGS,
        run: run!(node_pool::nodes),
        ..BASE
    },
    Command {
        path: "node status",
        aliases: &["node-status"],
        arguments: "[options] [<node>]",
        about: "Show a node, or list nodes",
        flags: node::STATUS_FLAGS,
        run: run!(node::status),
        ..BASE
    },
    Command {
        path: "operator api",
        arguments: "[options] <path>",
        about: "Send a request to the API",
        flags: misc::API_FLAGS,
        run: run!(misc::api),
        ..BASE
    },
    Command {
        path: "operator scheduler get-config",
        about: "Show the settings of the scheduler",
        flags: operator::GET_FLAGS,
        run: run!(operator::get_config),
        ..BASE
    },
    Command {
        path: "operator scheduler set-config",
        about: "Change settings of the scheduler",
        details: "Settings that are not named stay as they are.",
        flags: operator::SET_FLAGS,
        run: run!(operator::set_config),
        ..BASE
    },
    Command {
        path: "server members",
        aliases: &["server-members"],
        about: "List the servers",
        flags: misc::MEMBERS_FLAGS,
        run: run!(misc::members),
        ..BASE
    },
    Command {
        path: "scaling policy info",
        arguments: "[options] <policy>",
        about: "Show a scaling policy",
        flags: more_objects::POLICY_INFO_FLAGS,
        run: run!(more_objects::policy_info),
        ..BASE
    },
    Command {
        path: "scaling policy list",
        about: "List scaling policies",
        flags: more_objects::POLICY_LIST_FLAGS,
        run: run!(more_objects::policy_list),
        ..BASE
    },
    Command {
        path: "service delete",
        arguments: "[options] <name> <id>",
        about: "Delete a service registration",
        flags: service::DELETE_FLAGS,
        run: run!(service::delete),
        ..BASE
    },
    Command {
        path: "service info",
        arguments: "[options] <name>",
        about: "Show the instances of a service",
        flags: service::INFO_FLAGS,
        run: run!(service::info),
        ..BASE
    },
    Command { path: "service list", about: "List registered services", flags: service::LIST_FLAGS, run: run!(service::list), ..BASE },
    Command {
        path: "status",
        arguments: "[options] [<id>]",
        about: "Show whatever has this id, or list jobs",
        flags: misc::STATUS_FLAGS,
        run: run!(misc::status),
        ..BASE
    },
    Command { path: "system gc", about: "Collect garbage now", run: run!(misc::gc), ..BASE },
    Command {
        path: "system reconcile summaries",
        about: "Count allocations of jobs again",
        run: run!(operator::reconcile_summaries),
        ..BASE
    },
    Command { path: "version", about: "Show the version", general: false, run: run!(misc::version), ..BASE },
    Command {
        path: "var get",
        arguments: "[options] <path>",
        about: "Show a variable",
        flags: var::GET_FLAGS,
        run: run!(var::get),
        ..BASE
    },
    Command {
        path: "var init",
        arguments: "[options] [<filename>]",
        about: "Write an example of a variable specification",
        flags: var::INIT_FLAGS,
        run: run!(var::init),
        ..BASE
    },
    Command {
        path: "var list",
        arguments: "[options] [<prefix>]",
        about: "List variables",
        flags: var::LIST_FLAGS,
        run: run!(var::list),
        ..BASE
    },
    Command {
        path: "var lock",
        arguments: "[options] <path> <command> [args...]",
        about: "Run a command while holding the lock of a variable",
        flags: var::LOCK_FLAGS,
        foreign: true,
        run: run!(var::lock),
        ..BASE
    },
    Command {
        path: "var purge",
        arguments: "[options] <path>",
        about: "Delete a variable",
        flags: var::PURGE_FLAGS,
        run: run!(var::purge),
        ..BASE
    },
    Command {
        path: "var put",
        arguments: "[options] <path|@spec|-> [<key=value>...]",
        about: "Write a variable",
        flags: var::PUT_FLAGS,
        run: run!(var::put),
        ..BASE
    },
];

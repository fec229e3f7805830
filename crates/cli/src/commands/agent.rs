//! `agent`: its arguments. Starting the agent is the program's own matter.

use crate::flags::{Flag, FlagError, Parsed};

/// The flags of `agent`.
pub(super) const FLAGS: &[Flag] = &[
    Flag::values("config", "path", "A configuration file (HCL or JSON) or a directory of them. May be repeated; later ones win."),
    Flag::value("bind", "address", "Address to listen on. Default 0.0.0.0, in -dev 127.0.0.1."),
    Flag::value("data-dir", "path", "Directory for everything that must survive a restart."),
    Flag::value("dc", "name", "Datacenter. Default dc1."),
    Flag::value("region", "name", "Region. Default global."),
    Flag::value("node", "name", "Name of this agent. Default the host name."),
    Flag::value("log-level", "level", "TRACE, DEBUG, INFO, WARN, ERROR or OFF. Default INFO."),
    Flag::switch("log-json", "Write the log as JSON."),
    Flag::switch("log-include-location", "Show the place in the source of each line."),
    Flag::switch("dev", "Server and client in one, in memory, on the loopback address: for trying things out."),
    Flag::switch("server", "Be a server."),
    Flag::value("bootstrap-expect", "count", "How many servers to wait for before the first election."),
    Flag::switch("client", "Be a client."),
    Flag::value("state-dir", "path", "Directory for the client's state."),
    Flag::value("alloc-dir", "path", "Directory for allocations."),
    Flag::value("node-class", "class", "Class of this node."),
    Flag::value("node-pool", "pool", "Pool of this node. Default default."),
    Flag::value("servers", "addresses", "Servers to register with, separated by commas."),
    Flag::values("meta", "key=value", "Metadata of this node. May be repeated."),
    Flag::value("network-interface", "name", "Interface whose address tasks are given."),
    Flag::value("plugin-dir", "path", "Directory of plugins."),
    Flag::switch("acl-enabled", "Refused: this version has no access control yet."),
    Flag::value("encrypt", "key", "Refused: this version has no gossip encryption yet."),
];

/// What was given to `agent`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentArgs {
    /// `-config`, in order.
    pub config: Vec<String>,
    /// `-bind`.
    pub bind: Option<String>,
    /// `-data-dir`.
    pub data_dir: Option<String>,
    /// `-dc`.
    pub dc: Option<String>,
    /// `-region`.
    pub region: Option<String>,
    /// `-node`.
    pub node: Option<String>,
    /// `-log-level`.
    pub log_level: Option<String>,
    /// `-log-json`.
    pub log_json: Option<bool>,
    /// `-log-include-location`.
    pub log_include_location: Option<bool>,
    /// `-dev`.
    pub dev: bool,
    /// `-server`.
    pub server: Option<bool>,
    /// `-bootstrap-expect`.
    pub bootstrap_expect: Option<u32>,
    /// `-client`.
    pub client: Option<bool>,
    /// `-state-dir`.
    pub state_dir: Option<String>,
    /// `-alloc-dir`.
    pub alloc_dir: Option<String>,
    /// `-node-class`.
    pub node_class: Option<String>,
    /// `-node-pool`.
    pub node_pool: Option<String>,
    /// `-servers`, split.
    pub servers: Vec<String>,
    /// `-meta`, in order.
    pub meta: Vec<(String, String)>,
    /// `-network-interface`.
    pub network_interface: Option<String>,
    /// `-plugin-dir`.
    pub plugin_dir: Option<String>,
    /// `-acl-enabled`.
    pub acl_enabled: bool,
    /// `-encrypt`.
    pub encrypt: Option<String>,
}

/// A command line of `agent` that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentArgsError {
    /// A flag is wrong.
    #[error(transparent)]
    Flag(#[from] FlagError),
    /// A value is wrong.
    #[error("invalid value {value:?} for -{flag}: {expected}")]
    Value {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// Help was asked for.
    #[error("help")]
    Help,
}

impl AgentArgs {
    /// Reads the words after `agent`. Positional arguments are ignored.
    ///
    /// # Errors
    /// At the first wrong flag or value, and when help is asked for.
    pub fn parse(line: &[String]) -> Result<Self, AgentArgsError> {
        let parsed = Parsed::parse(&[FLAGS], line)?;
        if parsed.help {
            return Err(AgentArgsError::Help);
        }
        let text = |name: &str| parsed.text(name).map(str::to_owned);
        let switch = |name: &str| parsed.given(name).then(|| parsed.on(name));
        let bootstrap_expect = match parsed.text("bootstrap-expect") {
            None => None,
            Some(value) => Some(value.parse().map_err(|_| AgentArgsError::Value {
                flag: "bootstrap-expect",
                value: value.to_owned(),
                expected: "a number of servers",
            })?),
        };
        let mut meta = Vec::new();
        for pair in parsed.values("meta") {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| AgentArgsError::Value { flag: "meta", value: pair.clone(), expected: "key=value" })?;
            meta.push((key.to_owned(), value.to_owned()));
        }
        let servers = parsed.text("servers").unwrap_or("").split(',').map(str::trim).filter(|server| !server.is_empty());
        Ok(Self {
            config: parsed.values("config").to_vec(),
            bind: text("bind"),
            data_dir: text("data-dir"),
            dc: text("dc"),
            region: text("region"),
            node: text("node"),
            log_level: text("log-level"),
            log_json: switch("log-json"),
            log_include_location: switch("log-include-location"),
            dev: parsed.on("dev"),
            server: switch("server"),
            bootstrap_expect,
            client: switch("client"),
            state_dir: text("state-dir"),
            alloc_dir: text("alloc-dir"),
            node_class: text("node-class"),
            node_pool: text("node-pool"),
            servers: servers.map(str::to_owned).collect(),
            meta,
            network_interface: text("network-interface"),
            plugin_dir: text("plugin-dir"),
            acl_enabled: parsed.on("acl-enabled"),
            encrypt: text("encrypt"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<AgentArgs, AgentArgsError> {
        AgentArgs::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn flags_of_the_agent_are_read() {
        let given = parse("-dev -config=a.hcl -config b -bind 127.0.0.1 -meta rack=r1 -servers a:1,b:2 -server=false").unwrap();
        assert!(given.dev);
        assert_eq!(given.config, ["a.hcl", "b"]);
        assert_eq!(given.meta, [("rack".to_owned(), "r1".to_owned())]);
        assert_eq!(given.servers, ["a:1", "b:2"]);
        assert_eq!((given.server, given.client), (Some(false), None));
    }

    #[test]
    fn wrong_values_are_named() {
        assert_eq!(parse("-bogus").unwrap_err().to_string(), "flag provided but not defined: -bogus");
        assert_eq!(parse("-meta x").unwrap_err().to_string(), "invalid value \"x\" for -meta: key=value");
        assert_eq!(parse("-bootstrap-expect x").unwrap_err().to_string(), "invalid value \"x\" for -bootstrap-expect: a number of servers");
    }
}

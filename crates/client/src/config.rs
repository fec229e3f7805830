//! Settings of the client role.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use drover_driver::exec::ExecConfig;
use drover_driver::raw_exec::RawExecConfig;

/// What the host's environment never gives to tasks unless configured otherwise.
pub const ENV_DENYLIST: &[&str] = &[
    "CONSUL_TOKEN",
    "CONSUL_HTTP_TOKEN",
    "CONSUL_HTTP_TOKEN_FILE",
    "NOMAD_TOKEN",
    "VAULT_TOKEN",
    "CONSUL_LICENSE",
    "CONSUL_LICENSE_PATH",
    "NOMAD_LICENSE",
    "NOMAD_LICENSE_PATH",
    "VAULT_LICENSE",
    "VAULT_LICENSE_PATH",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_METADATA_URL",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_OAUTH_ACCESS_TOKEN",
];

/// Settings of the client role, complete with defaults.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// State in memory, and everything ends with the agent.
    pub dev: bool,
    pub region: String,
    pub datacenter: String,
    pub node_name: String,
    pub node_class: String,
    pub node_pool: String,
    pub node_max_allocs: u32,
    /// `host:port` of this agent's HTTP API.
    pub http_addr: String,
    /// Whether it speaks TLS.
    pub tls_enabled: bool,
    pub state_dir: PathBuf,
    pub alloc_dir: PathBuf,
    /// Holds the sockets of task shims; short, as the kernel bounds their paths.
    pub run_dir: PathBuf,
    /// The executable that becomes a task shim; the agent's own.
    pub shim_program: PathBuf,
    pub meta: BTreeMap<String, String>,
    /// `client.options`, for driver and fingerprint lists.
    pub options: BTreeMap<String, String>,
    /// Empty to find the interface of the default route.
    pub network_interface: String,
    pub cpu_total_compute: Option<u32>,
    pub memory_total_mb: Option<u32>,
    pub disk_total_mb: Option<u32>,
    pub disk_free_mb: Option<u32>,
    /// Cores that may be given to one task alone; empty for all.
    pub reservable_cores: Vec<u16>,
    pub reserved_cpu_mhz: u32,
    pub reserved_cores: Vec<u16>,
    pub reserved_memory_mb: u32,
    pub reserved_disk_mb: u32,
    pub reserved_ports: String,
    pub min_dynamic_port: u16,
    pub max_dynamic_port: u16,
    pub max_kill_timeout: Duration,
    pub gc_interval: Duration,
    pub gc_parallel_destroys: usize,
    pub gc_disk_usage_threshold: f64,
    pub gc_inode_usage_threshold: f64,
    pub gc_max_allocs: usize,
    /// The parent of all tasks' control groups; empty for the usual one.
    pub cgroup_parent: String,
    pub chroot_env: Vec<(PathBuf, PathBuf)>,
    pub raw_exec: RawExecConfig,
    pub exec: ExecConfig,
    /// Whether tasks that only pretend may be run.
    pub mock_driver: bool,
    /// Refuse to run commands in tasks for others.
    pub disable_remote_exec: bool,
    /// What the product calls itself towards job files.
    pub nomad_version: String,
    pub drover_version: String,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            dev: false,
            region: "global".to_owned(),
            datacenter: "dc1".to_owned(),
            node_name: String::new(),
            node_class: String::new(),
            node_pool: "default".to_owned(),
            node_max_allocs: 0,
            http_addr: String::new(),
            tls_enabled: false,
            state_dir: PathBuf::new(),
            alloc_dir: PathBuf::new(),
            run_dir: PathBuf::new(),
            shim_program: PathBuf::from("/proc/self/exe"),
            meta: BTreeMap::new(),
            options: BTreeMap::new(),
            network_interface: String::new(),
            cpu_total_compute: None,
            memory_total_mb: None,
            disk_total_mb: None,
            disk_free_mb: None,
            reservable_cores: Vec::new(),
            reserved_cpu_mhz: 0,
            reserved_cores: Vec::new(),
            reserved_memory_mb: 0,
            reserved_disk_mb: 0,
            reserved_ports: String::new(),
            min_dynamic_port: 20_000,
            max_dynamic_port: 32_000,
            max_kill_timeout: drover_runner::alloc::KILL_TIMEOUT_MAX,
            gc_interval: Duration::from_secs(60),
            gc_parallel_destroys: 2,
            gc_disk_usage_threshold: 80.0,
            gc_inode_usage_threshold: 70.0,
            gc_max_allocs: 50,
            cgroup_parent: String::new(),
            chroot_env: Vec::new(),
            raw_exec: RawExecConfig::default(),
            exec: ExecConfig::default(),
            mock_driver: false,
            disable_remote_exec: false,
            nomad_version: "2.0.5".to_owned(),
            drover_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl ClientConfig {
    /// A comma-separated option; none when it is not set.
    pub fn list_option(&self, name: &str) -> Option<Vec<String>> {
        let text = self.options.get(name)?;
        Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    /// Whether the lists of the options let this name pass: on the allowlist if there is one, and not on the denylist.
    pub fn is_allowed(&self, kind: &str, name: &str) -> bool {
        let listed = |which: &str| self.list_option(&format!("{kind}.{which}"));
        let has = |list: &[String]| list.iter().any(|item| item == name);
        let allowed = listed("allowlist").is_none_or(|list| list.is_empty() || has(&list));
        allowed && !listed("denylist").is_some_and(|list| has(&list))
    }

    /// The agent's environment as tasks may inherit it.
    pub fn inheritable_environment(&self, agent: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
        let denied = self.list_option("env.denylist").unwrap_or_else(|| ENV_DENYLIST.iter().map(|name| (*name).to_owned()).collect());
        agent.filter(|(name, _)| !denied.contains(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_allow_and_deny() {
        let mut config = ClientConfig::default();
        assert!(config.is_allowed("driver", "exec"));
        config.options.insert("driver.allowlist".to_owned(), "raw_exec, exec".to_owned());
        config.options.insert("driver.denylist".to_owned(), "exec".to_owned());
        assert!(config.is_allowed("driver", "raw_exec"));
        assert!(!config.is_allowed("driver", "exec") && !config.is_allowed("driver", "docker"));
    }

    #[test]
    fn secrets_of_the_agent_are_not_inherited() {
        let agent = [("PATH", "/bin"), ("NOMAD_TOKEN", "x")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let found = ClientConfig::default().inheritable_environment(agent.into_iter());
        assert_eq!(found.into_keys().collect::<Vec<_>>(), ["PATH"]);
    }
}

//! What a task finds in its environment, and `${…}` references resolved with it.
//!
//! # Compatibility
//!
//! Names and their order of precedence follow `runtime.md` §1 and §2: built-in names, metadata, the host's environment (never in place of
//! those before), the task's own `env`, what hooks give, templates.

use std::collections::BTreeMap;

use drover_model::{Allocation, Node, Task};

/// Directories as the task sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VisibleDirectories {
    pub alloc: String,
    pub local: String,
    pub secrets: String,
}

/// Everything an environment is made of.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    pub alloc: &'a Allocation,
    /// None for what belongs to the whole group, such as its services.
    pub task: Option<&'a Task>,
    pub node: &'a Node,
    pub region: &'a str,
    pub directories: &'a VisibleDirectories,
    /// The agent's environment, for drivers that hand it on.
    pub host: Option<&'a BTreeMap<String, String>>,
    /// The parent of all tasks' control groups; empty where there is none.
    pub parent_cgroup: &'a str,
    /// Whether the host has control groups of version 1, where tasks without cores see a blank list of them.
    pub cgroups_v1: bool,
    /// What hooks give.
    pub hooks: &'a BTreeMap<String, String>,
    /// What templates give.
    pub templates: &'a BTreeMap<String, String>,
}

/// The environment of a task, or of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// `node.…`, `attr.…` and `meta.…` of the node.
    node: BTreeMap<String, String>,
}

/// Characters that a name may not have become `_`.
fn clean(name: &str, allow_dot: bool) -> String {
    name.chars()
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => character,
            '.' if allow_dot => character,
            _ => '_',
        })
        .collect()
}

fn node_facts(node: &Node, region: &str) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::from([
        ("node.unique.id".to_owned(), node.id.to_string()),
        ("node.unique.name".to_owned(), node.name.clone()),
        ("node.datacenter".to_owned(), node.datacenter.clone()),
        ("node.class".to_owned(), node.node_class.clone()),
        ("node.pool".to_owned(), node.node_pool.clone()),
        ("node.region".to_owned(), region.to_owned()),
    ]);
    facts.extend(node.attributes.iter().map(|(key, value)| (format!("attr.{key}"), value.clone())));
    facts.extend(node.meta.iter().map(|(key, value)| (format!("meta.{key}"), value.clone())));
    facts
}

impl Environment {
    /// Puts it together.
    pub fn build(sources: &Sources<'_>) -> Self {
        let mut environment = Self { variables: BTreeMap::new(), node: node_facts(sources.node, sources.region) };
        environment.identity(sources);
        environment.resources(sources);
        environment.ports(sources);
        environment.meta(sources);
        if let Some(host) = sources.host {
            for (name, value) in host {
                environment.variables.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        if let Some(task) = sources.task {
            let own: Vec<(String, String)> =
                task.env.iter().map(|(name, value)| (environment.interpolate(name), environment.interpolate(value))).collect();
            environment.variables.extend(own);
        }
        environment.variables.extend(sources.hooks.iter().map(|(name, value)| (name.clone(), value.clone())));
        environment.variables.extend(sources.templates.iter().map(|(name, value)| (name.clone(), value.clone())));
        environment
    }

    fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.variables.insert(name.into(), value.into());
    }

    fn identity(&mut self, sources: &Sources<'_>) {
        let Sources { alloc, directories, .. } = sources;
        let job = &alloc.job;
        self.set("NOMAD_ALLOC_ID", alloc.id.to_string());
        self.set("NOMAD_SHORT_ALLOC_ID", alloc.id.short());
        self.set("NOMAD_ALLOC_NAME", alloc.name());
        self.set("NOMAD_ALLOC_INDEX", alloc.index.to_string());
        self.set("NOMAD_GROUP_NAME", alloc.group.clone());
        self.set("NOMAD_JOB_ID", job.id.id.clone());
        self.set("NOMAD_JOB_NAME", job.name.clone());
        if !job.parent_id.is_empty() {
            self.set("NOMAD_JOB_PARENT_ID", job.parent_id.clone());
        }
        self.set("NOMAD_NAMESPACE", job.id.namespace.clone());
        self.set("NOMAD_REGION", sources.region);
        self.set("NOMAD_DC", sources.node.datacenter.clone());
        for (name, path) in
            [("NOMAD_ALLOC_DIR", &directories.alloc), ("NOMAD_TASK_DIR", &directories.local), ("NOMAD_SECRETS_DIR", &directories.secrets)]
        {
            if !path.is_empty() {
                self.set(name, path.clone());
            }
        }
        if let Some(task) = sources.task {
            self.set("NOMAD_TASK_NAME", task.name.clone());
        }
        if !sources.parent_cgroup.is_empty() {
            self.set("NOMAD_PARENT_CGROUP", sources.parent_cgroup);
        }
    }

    fn resources(&mut self, sources: &Sources<'_>) {
        let Some(given) = sources.task.and_then(|task| sources.alloc.resources.tasks.get(&task.name)) else { return };
        self.set("NOMAD_CPU_LIMIT", given.cpu_mhz.to_string());
        self.set("NOMAD_MEMORY_LIMIT", given.memory_mb.to_string());
        if given.memory_max_mb > 0 {
            self.set("NOMAD_MEMORY_MAX_LIMIT", given.memory_max_mb.to_string());
        }
        if !given.reserved_cores.is_empty() {
            self.set("NOMAD_CPU_CORES", list_of(&given.reserved_cores));
        } else if sources.cgroups_v1 {
            self.set("NOMAD_CPU_CORES", " ");
        }
    }

    fn ports(&mut self, sources: &Sources<'_>) {
        let resources = &sources.alloc.resources;
        for mapping in &resources.ports {
            self.port(&mapping.label, &mapping.host_ip, mapping.value, mapping.to);
        }
        let Some(given) = sources.task.and_then(|task| resources.tasks.get(&task.name)) else { return };
        for network in &given.networks {
            for port in network.reserved_ports.iter().chain(&network.dynamic_ports) {
                self.port(&port.label, &network.ip, port.value, port.to);
            }
        }
    }

    fn port(&mut self, label: &str, ip: &str, host_port: u16, to: i32) {
        let cleaned = clean(label, false);
        let inside = if to > 0 { to.to_string() } else { host_port.to_string() };
        let shown_ip = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
        let address = format!("{shown_ip}:{host_port}");
        self.set(format!("NOMAD_IP_{cleaned}"), ip);
        self.set(format!("NOMAD_PORT_{cleaned}"), inside.clone());
        self.set(format!("NOMAD_ADDR_{cleaned}"), address.clone());
        self.set(format!("NOMAD_HOST_PORT_{cleaned}"), host_port.to_string());
        // These families keep the label as it is written.
        self.set(format!("NOMAD_HOST_IP_{label}"), ip);
        self.set(format!("NOMAD_HOST_ADDR_{label}"), address);
        self.set(format!("NOMAD_ALLOC_PORT_{label}"), inside);
    }

    fn meta(&mut self, sources: &Sources<'_>) {
        let job = &sources.alloc.job;
        let mut merged: BTreeMap<&str, &str> = BTreeMap::new();
        if let Some(parameterized) = job.parameterized.as_ref().filter(|_| job.dispatched) {
            merged.extend(parameterized.meta_optional.iter().map(|key| (key.as_str(), "")));
        }
        let group = sources.alloc.task_group().map(|group| &group.meta);
        let task = sources.task.map(|task| &task.meta);
        for level in [Some(&job.meta), group, task].into_iter().flatten() {
            merged.extend(level.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        }
        for (key, value) in merged {
            let value = self.interpolate(value);
            let cleaned = clean(key, true);
            self.set(format!("NOMAD_META_{}", cleaned.to_uppercase()), value.clone());
            self.set(format!("NOMAD_META_{cleaned}"), value);
        }
    }

    /// The variables as the task gets them.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// What a name stands for in a reference; none when it stands for nothing.
    pub fn look_up(&self, name: &str) -> Option<&str> {
        let quoted = name.strip_prefix("env[\"").and_then(|rest| rest.strip_suffix("\"]"));
        let found = match quoted {
            Some(name) => self.variables.get(name),
            None => self.node.get(name).or_else(|| self.variables.get(name)),
        };
        found.map(String::as_str)
    }

    /// The text with every reference that stands for something replaced by it. Others stay as they are written.
    pub fn interpolate(&self, text: &str) -> String {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            result.push_str(&rest[..start]);
            let Some(length) = rest[start..].find('}') else {
                rest = &rest[start..];
                break;
            };
            let reference = &rest[start..=start + length];
            match self.look_up(reference[2..reference.len() - 1].trim()) {
                Some(value) => result.push_str(value),
                None => result.push_str(reference),
            }
            rest = &rest[start + length + 1..];
        }
        result.push_str(rest);
        result
    }
}

fn list_of(numbers: &[u16]) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    for number in sorted {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let shown: Vec<String> =
        ranges.into_iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") }).collect();
    shown.join(",")
}

#[cfg(test)]
mod tests;

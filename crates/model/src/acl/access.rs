//! What a caller may do: all of its policies together, as one value that answers questions.
//!
//! Nothing is allowed that no rule allows. In a namespace, node pool or host volume the rule with the exact name decides, else
//! the pattern that is closest in length to the name; `deny` in any policy that has the deciding rule denies.

use std::collections::BTreeMap;

use drover_api as api;
use drover_lang::glob::glob_matches;
use minicbor::{Decode, Encode};

use super::PolicyTarget;
use super::capability::{Capability, HostVolumeCapability, NodePoolCapability, OperatorCapability, Set, VariableCapability};

/// A coarse level; the highest of all policies counts, and denial is above all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    #[default]
    None,
    List,
    Read,
    Write,
    Deny,
}

impl Level {
    fn parse(text: &str) -> Self {
        match text {
            "list" => Self::List,
            "read" => Self::Read,
            "write" => Self::Write,
            "deny" => Self::Deny,
            _ => Self::None,
        }
    }

    fn reaches(self, wanted: Self) -> bool {
        self != Self::Deny && self >= wanted
    }
}

/// A task as its identity names it. A job that another job makes, by dispatch or periodically, goes by the name of that one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Workload {
    /// The namespace of its job.
    #[n(0)]
    pub namespace: String,
    /// The job.
    #[n(1)]
    pub job: String,
    /// The group.
    #[n(2)]
    pub group: String,
    /// The task.
    #[n(3)]
    pub task: String,
}

impl Workload {
    /// Whether a policy is attached to it: written for its namespace, and for its job, group and task as far as it names them
    /// (ACL-037).
    pub fn has(&self, target: &PolicyTarget) -> bool {
        let means = |named: &str, own: &str| named.is_empty() || named == own;
        let PolicyTarget { namespace, job, group, task } = target;
        // A part counts only where the one before it is named.
        let named = !namespace.is_empty() && (!job.is_empty() || group.is_empty()) && (!group.is_empty() || task.is_empty());
        named && *namespace == self.namespace && means(job, &self.job) && means(group, &self.group) && means(task, &self.task)
    }

    /// Whether a variable is written for all jobs, for its job, its group or itself.
    fn owns(&self, path: &str) -> bool {
        let Some(mut rest) = path.strip_prefix("nomad/jobs") else { return false };
        for part in [&self.job, &self.group, &self.task] {
            if rest.is_empty() {
                return true;
            }
            let Some(below) = rest.strip_prefix('/').and_then(|rest| rest.strip_prefix(part)) else { return false };
            rest = below;
        }
        rest.is_empty()
    }
}

/// What a caller may do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    management: bool,
    namespaces: BTreeMap<String, Set>,
    variables: BTreeMap<(String, String), Set>,
    node_pools: BTreeMap<String, Set>,
    host_volumes: BTreeMap<String, Set>,
    agent: Level,
    node: Level,
    operator: Level,
    operator_capabilities: Set,
    quota: Level,
    plugin: Level,
    /// The task whose identity this is.
    workload: Option<Workload>,
}

fn sum<T: Copy>(all: &[T], texts: Option<&Vec<String>>, text: impl Fn(T) -> &'static str, number: impl Fn(T) -> usize, set: &mut Set) {
    for given in texts.into_iter().flatten() {
        if let Some(known) = all.iter().find(|known| text(**known) == given) {
            set.add(number(*known));
        }
    }
}

/// How far a pattern is from a name that it fits: the letters that its stars stand for.
fn distance(pattern: &str, name: &str) -> Option<usize> {
    if pattern == name {
        return Some(0);
    }
    // A star may stand for nothing: an exact name is still closer.
    let own = pattern.len() - pattern.matches('*').count();
    (pattern.contains('*') && glob_matches(pattern, name)).then(|| 1 + name.len() - own.min(name.len()))
}

fn closest<'a>(rules: &'a BTreeMap<String, Set>, name: &str) -> Option<&'a Set> {
    if let Some(exact) = rules.get(name) {
        return Some(exact);
    }
    // Of several as close, the last in the order of their letters counts.
    let fitting = rules.iter().rev().filter_map(|(pattern, set)| Some((distance(pattern, name)?, set)));
    fitting.min_by_key(|(distance, _)| *distance).map(|(_, set)| set)
}

impl Access {
    /// Everything.
    pub fn management() -> Self {
        Self { management: true, ..Self::default() }
    }

    /// What the rules of several policies allow together.
    pub fn of<'a>(policies: impl IntoIterator<Item = &'a api::ACLPolicyRules>) -> Self {
        let mut access = Self::default();
        for rules in policies {
            access.add(rules);
        }
        access
    }

    /// The same for a task with its own identity: it may read what is written for its job, group and itself as well, and the
    /// registrations of services.
    #[must_use]
    pub fn of_workload(self, workload: Workload) -> Self {
        Self { workload: Some(workload), ..self }
    }

    /// The task whose identity this is.
    pub fn workload(&self) -> Option<&Workload> {
        self.workload.as_ref()
    }

    fn add(&mut self, rules: &api::ACLPolicyRules) {
        for rule in rules.namespaces.iter().flatten() {
            let set = self.namespaces.entry(rule.name.clone()).or_default();
            sum(Capability::ALL, rule.capabilities.as_ref(), Capability::text, |one| one as usize, set);
            for path in rule.variables.iter().flat_map(|variables| variables.paths.iter().flatten()) {
                let set = self.variables.entry((rule.name.clone(), path.path_spec.clone())).or_default();
                sum(VariableCapability::ALL, path.capabilities.as_ref(), VariableCapability::text, |one| one as usize, set);
            }
        }
        for rule in rules.node_pools.iter().flatten() {
            let set = self.node_pools.entry(rule.name.clone()).or_default();
            sum(NodePoolCapability::ALL, rule.capabilities.as_ref(), NodePoolCapability::text, |one| one as usize, set);
        }
        for rule in rules.host_volumes.iter().flatten() {
            let set = self.host_volumes.entry(rule.name.clone()).or_default();
            sum(HostVolumeCapability::ALL, rule.capabilities.as_ref(), HostVolumeCapability::text, |one| one as usize, set);
        }
        let raise = |level: &mut Level, text: Option<&str>| *level = (*level).max(text.map(Level::parse).unwrap_or_default());
        raise(&mut self.agent, rules.agent.as_ref().map(|rule| rule.policy.as_str()));
        raise(&mut self.node, rules.node.as_ref().map(|rule| rule.policy.as_str()));
        raise(&mut self.operator, rules.operator.as_ref().map(|rule| rule.policy.as_str()));
        raise(&mut self.quota, rules.quota.as_ref().map(|rule| rule.policy.as_str()));
        raise(&mut self.plugin, rules.plugin.as_ref().map(|rule| rule.policy.as_str()));
        if let Some(rule) = &rules.operator {
            let set = &mut self.operator_capabilities;
            sum(OperatorCapability::ALL, rule.capabilities.as_ref(), OperatorCapability::text, |one| one as usize, set);
        }
    }

    /// Whether everything is allowed.
    pub fn is_management(&self) -> bool {
        self.management
    }

    /// Whether something may be done in a namespace.
    pub fn namespace(&self, name: &str, capability: Capability) -> bool {
        self.management || closest(&self.namespaces, name).is_some_and(|set| capability.allowed_by(*set))
    }

    /// Whether anything at all may be done in a namespace.
    pub fn any_in_namespace(&self, name: &str) -> bool {
        self.management || closest(&self.namespaces, name).is_some_and(|set| set.any())
    }

    /// Whether something may be done in at least one namespace that a rule names.
    pub fn some_namespace(&self, capability: Capability) -> bool {
        self.management || self.namespaces.values().any(|set| capability.allowed_by(*set))
    }

    /// Whether something may be done with a variable.
    pub fn variable(&self, namespace: &str, path: &str, capability: VariableCapability) -> bool {
        if self.management {
            return true;
        }
        let deciding = self.deciding_on_variable(namespace, path);
        // A task may read and list what is its own, unless the rule that decides denies it.
        let read = matches!(capability, VariableCapability::Read | VariableCapability::List);
        let own = self.workload.as_ref().is_some_and(|workload| workload.namespace == namespace && workload.owns(path));
        if own && read && !deciding.is_some_and(|set| set.denies()) {
            return true;
        }
        let has = |capability: VariableCapability| deciding.is_some_and(|set| set.has(capability as usize));
        has(capability) || capability == VariableCapability::List && has(VariableCapability::Read)
    }

    /// The rule that is closest to a variable.
    fn deciding_on_variable(&self, namespace: &str, path: &str) -> Option<&Set> {
        let fitting = self.variables.iter().rev().filter_map(|((of, pattern), set)| {
            let (of, pattern) = (distance(of, namespace)?, distance(pattern, path)?);
            Some((of + pattern, set))
        });
        fitting.min_by_key(|(distance, _)| *distance).map(|(_, set)| set)
    }

    /// Whether there is a rule about variables of a namespace at all.
    pub fn some_variable(&self, namespace: &str) -> bool {
        let about = |of: &str| namespace == "*" || distance(of, namespace).is_some();
        let own = self.workload.as_ref().is_some_and(|workload| namespace == "*" || workload.namespace == namespace);
        self.management || own || self.variables.iter().any(|((of, _), set)| set.any() && about(of))
    }

    /// Whether something may be done with a node pool.
    pub fn node_pool(&self, name: &str, capability: NodePoolCapability) -> bool {
        self.management || closest(&self.node_pools, name).is_some_and(|set| set.has(capability as usize))
    }

    /// Whether there is a rule that allows something about some node pool.
    pub fn some_node_pool(&self) -> bool {
        self.management || self.node_pools.values().any(|set| set.any())
    }

    /// Whether a job may mount a host volume.
    pub fn host_volume(&self, name: &str, capability: HostVolumeCapability) -> bool {
        self.management || closest(&self.host_volumes, name).is_some_and(|set| set.has(capability as usize))
    }

    /// Whether agents may be read.
    pub fn agent_read(&self) -> bool {
        self.management || self.agent.reaches(Level::Read)
    }

    /// Whether agents may be changed.
    pub fn agent_write(&self) -> bool {
        self.management || self.agent.reaches(Level::Write)
    }

    /// Whether nodes may be read.
    pub fn node_read(&self) -> bool {
        self.management || self.node.reaches(Level::Read)
    }

    /// Whether nodes may be changed.
    pub fn node_write(&self) -> bool {
        self.management || self.node.reaches(Level::Write)
    }

    /// Whether data of operators may be read.
    pub fn operator_read(&self) -> bool {
        self.management || self.operator.reaches(Level::Read)
    }

    /// Whether data of operators may be changed.
    pub fn operator_write(&self) -> bool {
        self.management || self.operator.reaches(Level::Write)
    }

    /// Whether an operator may do this.
    pub fn operator(&self, capability: OperatorCapability) -> bool {
        self.management || self.operator != Level::Deny && self.operator_capabilities.has(capability as usize)
    }

    /// Whether quotas may be read.
    pub fn quota_read(&self) -> bool {
        self.management || self.quota.reaches(Level::Read)
    }

    /// Whether plugins may be listed.
    pub fn plugin_list(&self) -> bool {
        self.management || self.plugin.reaches(Level::List)
    }

    /// Whether plugins may be read.
    pub fn plugin_read(&self) -> bool {
        self.management || self.plugin.reaches(Level::Read)
    }
}

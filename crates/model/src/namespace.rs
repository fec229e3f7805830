//! Namespaces: what keeps the jobs of different users apart.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::Index;
use crate::admission::{driver_off, network_mode_off};
use crate::job::Job;

/// The namespace of whatever names none. It always exists.
pub const NAMESPACE_DEFAULT: &str = "default";

/// What jobs of a namespace may use. An empty list of what is enabled enables everything; what is disabled stays so
/// whatever is enabled.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct NamespaceCapabilities {
    /// Drivers that tasks may use.
    #[n(0)]
    #[cbor(default)]
    pub enabled_task_drivers: Vec<String>,
    /// Drivers that they may not.
    #[n(1)]
    #[cbor(default)]
    pub disabled_task_drivers: Vec<String>,
    /// Network modes that groups may use.
    #[n(2)]
    #[cbor(default)]
    pub enabled_network_modes: Vec<String>,
    /// Network modes that they may not.
    #[n(3)]
    #[cbor(default)]
    pub disabled_network_modes: Vec<String>,
}

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Namespace {
    /// The name.
    #[n(0)]
    pub name: String,
    /// What it is for.
    #[n(1)]
    #[cbor(default)]
    pub description: String,
    /// What its jobs may use; none for everything.
    #[n(2)]
    pub capabilities: Option<NamespaceCapabilities>,
    /// Given by users.
    #[n(3)]
    #[cbor(default)]
    pub meta: BTreeMap<String, String>,
    /// Claims of every identity in it.
    #[n(4)]
    #[cbor(default)]
    pub required_extra_claims: BTreeMap<String, String>,
    /// Claims that jobs may choose by name.
    #[n(5)]
    #[cbor(default)]
    pub optional_extra_claims: BTreeMap<String, String>,
    /// The log entry that made it.
    #[n(6)]
    #[cbor(default)]
    pub create_index: Index,
    /// The last change.
    #[n(7)]
    #[cbor(default)]
    pub modify_index: Index,
}

/// Whether lists of what is enabled and disabled let something be used.
fn allowed(enabled: &[String], disabled: &[String], name: &str) -> bool {
    let listed = |list: &[String]| list.iter().any(|entry| entry == name);
    !listed(disabled) && (enabled.is_empty() || listed(enabled))
}

impl Namespace {
    /// The namespace that always exists, as a region has it from the start.
    pub fn built_in() -> Self {
        Self {
            name: NAMESPACE_DEFAULT.to_owned(),
            description: "Default shared namespace".to_owned(),
            create_index: 1,
            modify_index: 1,
            ..Self::default()
        }
    }

    /// What a job uses that it may not use here.
    pub fn problems(&self, job: &Job) -> Vec<String> {
        let Some(capabilities) = &self.capabilities else { return Vec::new() };
        let (drivers_on, drivers_off) = (&capabilities.enabled_task_drivers, &capabilities.disabled_task_drivers);
        let (modes_on, modes_off) = (&capabilities.enabled_network_modes, &capabilities.disabled_network_modes);
        let mut problems = Vec::new();
        let mut add = |problem: String| {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        };
        for group in job.task_groups.iter() {
            for task in group.tasks.iter().filter(|task| !allowed(drivers_on, drivers_off, &task.driver)) {
                add(driver_off(&task.driver, &self.name));
            }
            for network in &group.networks {
                let mode = if network.mode.is_empty() { "host" } else { network.mode.as_str() };
                if !allowed(modes_on, modes_off, mode) {
                    add(network_mode_off(mode, &self.name));
                }
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{NetworkResource, Task, TaskGroup};

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_disabled_stays_so_and_an_empty_list_enables_everything() {
        let task = |driver: &str| Task { driver: driver.to_owned(), ..Task::default() };
        let group = TaskGroup {
            networks: vec![NetworkResource { mode: "bridge".into(), ..NetworkResource::default() }],
            tasks: vec![task("exec"), task("raw_exec")],
            ..TaskGroup::default()
        };
        let job = Job { task_groups: Arc::new(vec![group]), ..Job::default() };
        let with = |capabilities| Namespace { name: "byre".into(), capabilities, ..Namespace::default() };
        assert!(with(None).problems(&job).is_empty());
        assert!(with(Some(NamespaceCapabilities::default())).problems(&job).is_empty());
        let strict = NamespaceCapabilities {
            enabled_task_drivers: list(&["exec", "raw_exec"]),
            disabled_task_drivers: list(&["raw_exec"]),
            enabled_network_modes: list(&["host"]),
            ..NamespaceCapabilities::default()
        };
        assert_eq!(
            with(Some(strict)).problems(&job),
            [
                "used task driver \"raw_exec\" is not allowed in namespace \"byre\"",
                "used group network mode \"bridge\" is not allowed in namespace \"byre\"",
            ]
        );
    }
}

//! What only a region knows to be wrong with a job: how it is told, and which field of the job each telling is about.
//!
//! Servers make these texts; commands find the fields again in an answer, to show them in the job file.

use drover_api as api;

use super::JobProblems;

/// The job's namespace is not there.
pub fn no_namespace(job: &str, namespace: &str) -> String {
    format!("job {job:?}{NO_NAMESPACE}{namespace:?}")
}

/// The job's node pool is not there.
pub fn no_node_pool(job: &str, pool: &str) -> String {
    format!("job {job:?}{NO_NODE_POOL}{pool:?}")
}

/// The job's priority is above what the region allows.
pub fn priority_above(highest: i64) -> String {
    format!("{PRIORITY}{highest}]")
}

/// The job's groups count more than the region allows.
pub fn too_many(counted: u64, most: u64) -> String {
    format!("{TOO_MANY}: {counted} > {most}")
}

/// A task's driver is off in the namespace.
pub fn driver_off(driver: &str, namespace: &str) -> String {
    format!("{}{OFF}{namespace:?}", driver_named(driver))
}

/// A network's mode is off in the namespace.
pub fn network_mode_off(mode: &str, namespace: &str) -> String {
    format!("{}{OFF}{namespace:?}", mode_named(mode))
}

const NO_NAMESPACE: &str = " is in nonexistent namespace ";
const NO_NODE_POOL: &str = " is in nonexistent node pool ";
const PRIORITY: &str = "job priority must be between [1, ";
const TOO_MANY: &str = "total count was greater than configured job_max_count";
const OFF: &str = " is not allowed in namespace ";
const NO_REGION: &str = "No path to region";

fn driver_named(driver: &str) -> String {
    format!("used task driver {driver:?}")
}

fn mode_named(mode: &str) -> String {
    format!("used group network mode {mode:?}")
}

/// What an answer of a server says that is about a field of the job.
pub fn told_by_region(job: &api::Job, answer: &str) -> JobProblems {
    let mut problems = JobProblems::default();
    for line in answer.lines() {
        // Answers stand in parentheses behind their status.
        let line = line.trim().trim_end_matches(')');
        let text = line.strip_prefix("* ").unwrap_or(line);
        let field = [(NO_NAMESPACE, "Namespace"), (NO_NODE_POOL, "NodePool"), (PRIORITY, "Priority"), (NO_REGION, "Region")];
        if let Some((_, path)) = field.iter().find(|(known, _)| text.contains(known)) {
            problems.push(path, text);
        }
        let groups = job.task_groups.iter().flatten().enumerate();
        if text.contains(TOO_MANY) {
            let most = groups.max_by_key(|(position, group)| (group.count.unwrap_or(1), usize::MAX - position));
            problems.push(&most.map_or("TaskGroups".to_owned(), |(position, _)| format!("TaskGroups[{position}].Count")), text);
        } else if text.contains(OFF) {
            for (position, group) in groups {
                let tasks = group.tasks.iter().flatten().enumerate();
                for (task, _) in tasks.filter(|(_, task)| text.contains(&driver_named(&task.driver))) {
                    problems.push(&format!("TaskGroups[{position}].Tasks[{task}].Driver"), text);
                }
                let mode = |mode: &str| if mode.is_empty() { "host".to_owned() } else { mode.to_owned() };
                let networks = group.networks.iter().flatten().enumerate();
                for (network, _) in networks.filter(|(_, network)| text.contains(&mode_named(&mode(&network.mode)))) {
                    problems.push(&format!("TaskGroups[{position}].Networks[{network}].Mode"), text);
                }
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_found_again_at_its_field() {
        let task = |driver: &str| api::Task { driver: driver.to_owned(), ..api::Task::default() };
        let group = |count, driver: &str| api::TaskGroup {
            count: Some(count),
            tasks: Some(vec![task(driver)]),
            networks: Some(vec![api::NetworkResource { mode: "bridge".to_owned(), ..api::NetworkResource::default() }]),
            ..api::TaskGroup::default()
        };
        let job = api::Job { task_groups: Some(vec![group(2, "exec"), group(9, "docker")]), ..api::Job::default() };
        for (text, wanted) in [
            (no_namespace("web", "barn"), vec!["Namespace"]),
            (no_node_pool("web", "loft"), vec!["NodePool"]),
            (priority_above(60), vec!["Priority"]),
            (too_many(11, 10), vec!["TaskGroups[1].Count"]),
            (driver_off("docker", "barn"), vec!["TaskGroups[1].Tasks[0].Driver"]),
            (network_mode_off("bridge", "barn"), vec!["TaskGroups[0].Networks[0].Mode", "TaskGroups[1].Networks[0].Mode"]),
            ("something else".to_owned(), vec![]),
        ] {
            let found = told_by_region(&job, &format!("Unexpected response code: 500 (1 error occurred:\n\t* {text})")).found;
            assert_eq!(found.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), wanted, "{text}");
            assert!(found.iter().all(|one| one.text == text), "{text}");
        }
    }
}

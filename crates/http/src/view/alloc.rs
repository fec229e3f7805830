//! Allocations: in full and as list entries.

use std::collections::BTreeMap;

use drover_api as api;
use drover_model::{AllocatedResources, ClientStatus, DesiredStatus, Evaluation, JobView, TaskStatus, mirror::Mirror};
use drover_server::why;
use drover_state::{Alloc, Snapshot};

use super::{id, list, time};

/// The field of which [`api::AllocState`] tells changes: the client's status is the only one.
const CLIENT_STATUS: u64 = 0;

/// An allocated network; which device it is on is the node's matter.
fn network(network: &drover_model::NetworkResource) -> api::NetworkResource {
    api::NetworkResource { device: String::new(), ..network.to_api() }
}

/// What an allocation was given.
pub fn resources(given: &AllocatedResources) -> api::AllocatedResources {
    let tasks = given.tasks.iter().map(|(name, task)| {
        let resources = api::AllocatedTaskResources {
            cpu: api::AllocatedCpuResources {
                cpu_shares: i64::from(task.cpu_mhz),
                reserved_cores: list(task.reserved_cores.iter().map(|core| u64::from(*core)).collect()),
            },
            memory: api::AllocatedMemoryResources { memory_mb: i64::from(task.memory_mb), memory_max_mb: i64::from(task.memory_max_mb) },
            networks: list(task.networks.iter().map(network).collect()),
            devices: None,
        };
        (name.clone(), Some(resources))
    });
    let lifecycles = given.tasks.keys().map(|name| (name.clone(), given.lifecycles.get(name).map(Mirror::to_api)));
    api::AllocatedResources {
        tasks: Some(tasks.collect()),
        task_lifecycles: Some(lifecycles.collect()),
        shared: api::AllocatedSharedResources {
            networks: list(given.networks.iter().map(network).collect()),
            disk_mb: i64::from(given.disk_mb),
            ports: list(given.ports.iter().map(port).collect()),
        },
    }
}

fn port(port: &drover_model::PortMapping) -> api::PortMapping {
    api::PortMapping {
        label: port.label.clone(),
        value: i64::from(port.value),
        to: i64::from(port.to),
        host_ip: port.host_ip.clone(),
        ignore_collision: port.ignore_collision,
    }
}

/// Resources in the older form that has one object for everything.
fn flat(cpu: u32, cores: usize, memory: u32, memory_max: u32, disk: u32, networks: Option<Vec<api::NetworkResource>>) -> api::Resources {
    api::Resources {
        cpu: Some(i64::from(cpu)),
        cores: Some(i64::try_from(cores).unwrap_or(0)),
        memory_mb: Some(i64::from(memory)),
        memory_max_mb: Some(i64::from(memory_max)),
        disk_mb: Some(i64::from(disk)),
        networks,
        secrets_mb: Some(0),
        iops: Some(0),
        ..api::Resources::default()
    }
}

fn older_forms(given: &AllocatedResources) -> (api::Resources, api::Resources, BTreeMap<String, Option<api::Resources>>) {
    let shared_networks = || list(given.networks.iter().map(network).collect());
    let (mut cpu, mut cores, mut memory, mut memory_max) = (0, 0, 0, 0);
    let mut tasks = BTreeMap::new();
    for (name, task) in &given.tasks {
        cpu += task.cpu_mhz;
        cores += task.reserved_cores.len();
        memory += task.memory_mb;
        memory_max += task.memory_max_mb.max(task.memory_mb);
        let networks = list(task.networks.iter().map(network).collect());
        let own = flat(task.cpu_mhz, task.reserved_cores.len(), task.memory_mb, task.memory_max_mb, 0, networks);
        tasks.insert(name.clone(), Some(own));
    }
    let whole = flat(cpu, cores, memory, memory_max, given.disk_mb, shared_networks());
    let shared = flat(0, 0, 0, 0, given.disk_mb, shared_networks());
    (whole, shared, tasks)
}

fn health(alloc: &Alloc) -> Option<api::AllocDeploymentStatus> {
    if alloc.health.is_none() && !alloc.canary {
        return None;
    }
    Some(api::AllocDeploymentStatus {
        healthy: alloc.health.map(|(health, _)| health.healthy),
        timestamp: alloc.health.and_then(|(health, _)| time(health.time)),
        canary: alloc.canary,
        modify_index: alloc.health.map_or(0, |(_, index)| index),
    })
}

fn tracker(alloc: &Alloc) -> Option<api::RescheduleTracker> {
    let events = alloc.rare.reschedules.as_ref()?;
    let events = events.iter().map(|event| api::RescheduleEvent {
        reschedule_time: event.time.0,
        prev_alloc_id: event.previous_alloc.to_string(),
        prev_node_id: event.previous_node.to_string(),
        delay: event.delay_ns,
    });
    Some(api::RescheduleTracker {
        events: Some(events.collect()),
        last_reschedule: alloc.rare.reschedule_outcome.map_or("", |outcome| outcome.text()).to_owned(),
    })
}

fn preempted(alloc: &Alloc) -> Option<Vec<String>> {
    alloc.rare.preempted.as_ref().map(|ids| ids.iter().map(ToString::to_string).collect())
}

/// When the allocation was lost sight of and seen again.
fn contacts(alloc: &Alloc) -> Option<Vec<api::AllocState>> {
    let changes = alloc.rare.contacts.as_ref()?;
    let state = |change: &drover_model::StatusChange| api::AllocState {
        field: CLIENT_STATUS,
        value: change.status.text().to_owned(),
        time: time(change.time),
    };
    Some(changes.iter().map(state).collect())
}

fn transition(alloc: &Alloc) -> api::DesiredTransition {
    api::DesiredTransition {
        migrate: alloc.transition.migrate,
        reschedule: alloc.transition.reschedule,
        force_reschedule: alloc.transition.force_reschedule,
        no_shutdown_delay: alloc.transition.no_shutdown_delay,
        migrate_disable_placement: alloc.transition.migrate_disable_placement,
    }
}

fn states(alloc: &Alloc) -> Option<BTreeMap<String, Option<api::TaskState>>> {
    let tasks = alloc.tasks.as_ref()?;
    Some(tasks.iter().map(|(name, state)| (name.to_owned(), Some(super::task_state(&state)))).collect())
}

fn node_name(snapshot: &Snapshot, alloc: &Alloc) -> String {
    snapshot.node(alloc.node_id).map(|row| row.node.name.clone()).unwrap_or_default()
}

/// An allocation in full.
pub fn alloc(snapshot: &Snapshot, alloc: &Alloc) -> api::Allocation {
    let (whole, shared, per_task) = older_forms(&alloc.resources);
    // The job is as it was placed; its later life is the job's own to tell.
    let view = JobView { status: alloc.job_status.text().to_owned(), modify_index: alloc.job.job_modify_index, ..JobView::default() };
    api::Allocation {
        id: alloc.id.to_string(),
        namespace: alloc.job.id.namespace.clone(),
        eval_id: alloc.eval_id.to_string(),
        name: alloc.name(),
        node_id: alloc.node_id.to_string(),
        node_name: node_name(snapshot, alloc),
        job_id: alloc.job.id.id.clone(),
        job: Some(alloc.job.to_api(&view)),
        task_group: alloc.group_name().to_owned(),
        resources: Some(whole),
        shared_resources: Some(shared),
        task_resources: Some(per_task),
        allocated_resources: Some(resources(&alloc.resources)),
        metrics: Some(super::metrics(&alloc.metrics)),
        desired_status: alloc.desired.text().to_owned(),
        desired_description: text(alloc.rare.desired_description.as_deref()),
        desired_transition: transition(alloc),
        client_status: alloc.client_status.text().to_owned(),
        client_description: text(alloc.rare.client_description.as_deref()),
        task_states: states(alloc),
        deployment_id: id(alloc.deployment),
        deployment_status: health(alloc),
        followup_eval_id: id(alloc.rare.followup_eval),
        previous_allocation: id(alloc.rare.previous),
        next_allocation: id(alloc.rare.next),
        reschedule_tracker: tracker(alloc),
        network_status: alloc.tasks.as_ref().map(|_| api::AllocNetworkStatus::default()),
        preempted_allocations: preempted(alloc),
        preempted_by_allocation: id(alloc.rare.preempted_by),
        alloc_states: contacts(alloc),
        create_index: alloc.create_index,
        modify_index: alloc.modify_index,
        alloc_modify_index: alloc.alloc_modify_index,
        create_time: alloc.create_time.0,
        modify_time: alloc.modify_time.0,
        why: super::why(why::alloc(snapshot, alloc)),
        ..api::Allocation::default()
    }
}

fn text(text: Option<&str>) -> String {
    text.unwrap_or("").to_owned()
}

/// An allocation as a list entry, with resources and task states if wanted.
pub fn alloc_stub(snapshot: &Snapshot, alloc: &Alloc, with_resources: bool, with_states: bool) -> api::AllocationListStub {
    api::AllocationListStub {
        id: alloc.id.to_string(),
        eval_id: alloc.eval_id.to_string(),
        name: alloc.name(),
        namespace: alloc.job.id.namespace.clone(),
        node_id: alloc.node_id.to_string(),
        node_name: node_name(snapshot, alloc),
        job_id: alloc.job.id.id.clone(),
        job_type: alloc.job.kind.text().to_owned(),
        job_version: alloc.job.version,
        task_group: alloc.group_name().to_owned(),
        allocated_resources: with_resources.then(|| resources(&alloc.resources)),
        desired_status: alloc.desired.text().to_owned(),
        desired_description: text(alloc.rare.desired_description.as_deref()),
        client_status: alloc.client_status.text().to_owned(),
        client_description: text(alloc.rare.client_description.as_deref()),
        desired_transition: transition(alloc),
        task_states: if with_states { states(alloc) } else { None },
        deployment_status: health(alloc),
        followup_eval_id: id(alloc.rare.followup_eval),
        next_allocation: id(alloc.rare.next),
        reschedule_tracker: tracker(alloc),
        preempted_allocations: preempted(alloc),
        preempted_by_allocation: id(alloc.rare.preempted_by),
        create_index: alloc.create_index,
        modify_index: alloc.modify_index,
        create_time: alloc.create_time.0,
        modify_time: alloc.modify_time.0,
    }
}

/// An allocation that had to give way to what `eval` placed, as the scheduler saw it then: it ran, and nobody wanted it gone.
pub fn alloc_before(snapshot: &Snapshot, alloc: &Alloc, eval: &Evaluation) -> api::AllocationListStub {
    let mut stub = alloc_stub(snapshot, alloc, false, true);
    DesiredStatus::Run.text().clone_into(&mut stub.desired_status);
    for later in [&mut stub.desired_description, &mut stub.followup_eval_id, &mut stub.next_allocation, &mut stub.preempted_by_allocation] {
        later.clear();
    }
    for state in stub.task_states.iter_mut().flatten().flat_map(|(_, state)| state) {
        let events = state.events.get_or_insert_default();
        let told = events.len();
        events.retain(|event| event.time <= eval.modify_time.0);
        if events.len() < told {
            let started = state.started_at.is_some();
            if started { TaskStatus::Running } else { TaskStatus::Pending }.text().clone_into(&mut state.state);
            (state.failed, state.finished_at) = (false, None);
        }
    }
    let runs = |stub: &api::AllocationListStub| {
        let states = stub.task_states.iter().flatten().filter_map(|(_, state)| state.as_ref());
        states.into_iter().any(|state| state.state == TaskStatus::Running.text())
    };
    if alloc.client_status.is_terminal() && runs(&stub) {
        ClientStatus::Running.text().clone_into(&mut stub.client_status);
        "Tasks are running".clone_into(&mut stub.client_description);
    }
    stub.deployment_status = stub.deployment_status.filter(|status| status.modify_index <= eval.modify_index);
    stub.modify_index = stub.modify_index.min(eval.snapshot_index);
    stub.modify_time = stub.modify_time.min(eval.modify_time.0);
    stub
}

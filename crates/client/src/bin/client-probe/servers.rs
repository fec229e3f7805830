//! Servers that exist only in the tests' own process: they hand out allocations and write down what they are told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_base::{AllocId, EvalId, NodeId, WallTime};
use drover_client::link::{DESIRED_CHANGES_MAX, DesiredChange, LinkError, Registered, ServerLink};
use drover_model::mirror::Carried;
use drover_model::{
    AllocUpdate, AllocatedResources, AllocatedTask, Allocation, ClientStatus, DesiredStatus, DesiredTransition, Job, JobId, JobType, Node,
    RestartMode, RestartPolicy, ServiceRegistration, Task, TaskGroup,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

#[derive(Default)]
pub(crate) struct Known {
    pub(crate) node: Option<Node>,
    pub(crate) registrations: usize,
    pub(crate) allocs: BTreeMap<AllocId, Arc<Allocation>>,
    /// Everything reported, in order.
    pub(crate) updates: Vec<AllocUpdate>,
    pub(crate) batches: usize,
    pub(crate) services: BTreeMap<String, ServiceRegistration>,
    /// Registered and removed, in order: `+id` and `-id`.
    pub(crate) service_log: Vec<String>,
    pub(crate) unreachable: bool,
    /// What heartbeats are answered with, unless only with a time.
    pub(crate) answer: Option<Registered>,
    pub(crate) heartbeats: usize,
    listener: Option<mpsc::Sender<DesiredChange>>,
}

impl Known {
    pub(crate) fn last(&self, id: AllocId) -> Option<&AllocUpdate> {
        self.updates.iter().rev().find(|update| update.id == id)
    }

    pub(crate) fn status(&self, id: AllocId) -> Option<ClientStatus> {
        self.last(id).map(|update| update.status)
    }
}

#[derive(Default)]
pub(crate) struct Servers {
    known: Mutex<Known>,
    changed: Notify,
}

impl Servers {
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        let found = look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_waiters();
        found
    }

    /// Returns once the condition holds.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut(&Known) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if holds(&self.known.lock().unwrap_or_else(PoisonError::into_inner)) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(30), wait).await.is_err() {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            panic!("never happened: {what}; told: {:#?}", known.updates.iter().rev().take(3).collect::<Vec<_>>());
        }
    }

    /// Wants an allocation, new or changed.
    pub(crate) async fn place(&self, alloc: Allocation) {
        let alloc = Arc::new(alloc);
        let listener = self.with(|known| {
            known.allocs.insert(alloc.id, Arc::clone(&alloc));
            known.listener.clone()
        });
        if let Some(listener) = listener {
            drop(listener.send(DesiredChange::Delta { upserts: vec![alloc], removals: Vec::new() }).await);
        }
    }

    /// Changes an allocation.
    pub(crate) async fn change(&self, id: AllocId, change: impl FnOnce(&mut Allocation)) {
        let mut alloc = self.with(|known| known.allocs[&id].as_ref().clone());
        change(&mut alloc);
        alloc.alloc_modify_index += 1;
        self.place(alloc).await;
    }

    /// Wants an allocation stopped.
    pub(crate) async fn stop(&self, id: AllocId) {
        self.change(id, |alloc| alloc.desired = DesiredStatus::Stop).await;
    }

    /// Forgets an allocation.
    pub(crate) async fn remove(&self, id: AllocId) {
        let listener = self.with(|known| {
            known.allocs.remove(&id);
            known.listener.clone()
        });
        if let Some(listener) = listener {
            drop(listener.send(DesiredChange::Delta { upserts: Vec::new(), removals: vec![id] }).await);
        }
    }

    /// Ends the stream of changes and changes things meanwhile; the client has to ask anew.
    pub(crate) fn cut_stream_with(&self, change: impl FnOnce(&mut Known)) {
        self.with(|known| {
            change(known);
            known.listener = None;
        });
    }

    fn reachable(&self) -> Result<(), LinkError> {
        if self.known.lock().unwrap_or_else(PoisonError::into_inner).unreachable {
            Err(LinkError::Unreachable("cut off".to_owned()))
        } else {
            Ok(())
        }
    }
}

const TTL: Duration = Duration::from_millis(200);

impl ServerLink for Servers {
    fn register_node(&self, node: Node) -> BoxFuture<'_, Result<Registered, LinkError>> {
        async move {
            self.reachable()?;
            self.with(|known| {
                known.node = Some(node);
                known.registrations += 1;
            });
            Ok(Registered::within(TTL))
        }
        .boxed()
    }

    fn task_identity(&self, _: NodeId, _: AllocId, task: String) -> BoxFuture<'_, Result<String, LinkError>> {
        async move {
            self.reachable()?;
            Ok(format!("identity of {task}"))
        }
        .boxed()
    }

    fn heartbeat(&self, node: NodeId) -> BoxFuture<'_, Result<Registered, LinkError>> {
        async move {
            self.reachable()?;
            self.with(|known| {
                known.heartbeats += 1;
                let same = known.node.as_ref().is_some_and(|known| known.id == node);
                let answer = || known.answer.clone().unwrap_or_else(|| Registered::within(TTL));
                same.then(answer).ok_or(LinkError::UnknownNode)
            })
        }
        .boxed()
    }

    fn desired_allocs(&self, _node: NodeId) -> BoxFuture<'_, Result<mpsc::Receiver<DesiredChange>, LinkError>> {
        async move {
            self.reachable()?;
            let (sender, receiver) = mpsc::channel(DESIRED_CHANGES_MAX);
            let allocs = self.with(|known| {
                known.listener = Some(sender.clone());
                known.allocs.values().cloned().collect()
            });
            drop(sender.send(DesiredChange::Snapshot(allocs)).await);
            Ok(receiver)
        }
        .boxed()
    }

    fn update_allocs(&self, _node: NodeId, updates: Vec<AllocUpdate>) -> BoxFuture<'_, Result<(), LinkError>> {
        async move {
            self.reachable()?;
            self.with(|known| {
                known.batches += 1;
                known.updates.extend(updates);
            });
            Ok(())
        }
        .boxed()
    }

    fn upsert_services(&self, _node: NodeId, services: Vec<ServiceRegistration>) -> BoxFuture<'_, Result<(), LinkError>> {
        async move {
            self.reachable()?;
            self.with(|known| {
                for service in services {
                    known.service_log.push(format!("+{}", service.service_name));
                    known.services.insert(service.id.clone(), service);
                }
            });
            Ok(())
        }
        .boxed()
    }

    fn delete_service(&self, _node: NodeId, _namespace: String, id: String) -> BoxFuture<'_, Result<(), LinkError>> {
        async move {
            self.reachable()?;
            self.with(|known| match known.services.remove(&id) {
                Some(service) => {
                    known.service_log.push(format!("-{}", service.service_name));
                    Ok(())
                }
                None => Err(LinkError::NotFound),
            })
        }
        .boxed()
    }
}

/// A task of a driver with these settings.
pub(crate) fn task(name: &str, driver: &str, config: &Value) -> Task {
    let config = config.as_object().expect("object").iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    Task {
        name: name.to_owned(),
        driver: driver.to_owned(),
        config: Some(Carried(config)),
        kill_timeout: Duration::from_secs(5),
        log_config: drover_model::LogConfig { max_files: 10, max_file_size_mb: 10, ..Default::default() },
        ..Task::default()
    }
}

/// A group of tasks with a restart policy.
pub(crate) fn group(attempts: u32, tasks: Vec<Task>) -> TaskGroup {
    TaskGroup {
        name: "g".to_owned(),
        count: 1,
        tasks,
        restart_policy: RestartPolicy {
            attempts,
            interval: Duration::from_secs(60),
            delay: Duration::from_millis(10),
            mode: RestartMode::Fail,
            ..RestartPolicy::default()
        },
        ..TaskGroup::default()
    }
}

/// Control groups are shared by everything on the host, so no two allocations may have the same id.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// An allocation of a group.
pub(crate) fn alloc(number: u128, kind: JobType, group: TaskGroup) -> Allocation {
    let given = AllocatedTask { cpu_mhz: 100, memory_mb: 64, ..AllocatedTask::default() };
    let tasks = group.tasks.iter().map(|task| (task.name.clone(), given.clone())).collect();
    let job = Job {
        id: JobId { namespace: "default".to_owned(), id: format!("job-{number}") },
        name: format!("job-{number}"),
        region: "global".to_owned(),
        kind,
        task_groups: Arc::new(vec![group]),
        ..Job::default()
    };
    Allocation {
        id: AllocId::from_random(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) << 64 | u128::from(std::process::id())),
        job: Arc::new(job),
        group: "g".to_owned(),
        index: 0,
        node_id: NodeId::NIL,
        eval_id: EvalId::NIL,
        resources: Arc::new(AllocatedResources { tasks, ..AllocatedResources::default() }),
        desired: DesiredStatus::Run,
        transition: DesiredTransition::default(),
        client_status: ClientStatus::Pending,
        deployment: None,
        canary: false,
        health_wanted: false,
        previous: None,
        create_index: 1,
        alloc_modify_index: 1,
        create_time: WallTime::ZERO,
        node_name: String::new(),
    }
}

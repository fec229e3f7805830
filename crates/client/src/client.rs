//! The role itself: starts, restores what ran before, keeps the node registered, takes changes of what it shall run, clears away what is
//! over, and answers questions about it all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_api as api;
use drover_base::{AllocId, NodeId};
use drover_driver::exec::IsolatedExec;
use drover_driver::raw_exec::RawExec;
use drover_driver::shim::agent::{ShimConfig, Shims};
use drover_driver::{Driver, ExecCommand, ExecInput, ExecOutput, Executor, Registry};
use drover_linux::cgroup::{Hierarchy, Version};
use drover_model::{Allocation, Node, NodeDriver, TaskStatus};
use drover_rt::{Clock, Entropy, TaskScope};
use drover_runner::StopReason;
use drover_runner::driver_watch::DriverWatch;
use futures::stream::BoxStream;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::alloc::{self, AllocHandle, Command};
use crate::alloc_dir::{self, AllocDir};
use crate::config::ClientConfig;
use crate::files::{AllocFiles, FRAMES_MAX, FilesError, Frame, FrameStream, LogKind, Origin};
use crate::gc;
use crate::identity::{IdentityError, NodeIdentity};
use crate::link::{Contact, DesiredChange, LinkError, Registered, ServerLink};
use crate::node_meta::NodeMeta;
use crate::registrar::{self, Order};
use crate::reporter::{self, Reporter};
use crate::stats;
use crate::store::{Remembered, Store, StoreError};
use crate::task_api::{TaskApis, TaskConnection};
use crate::template::SharedRenderer;
use crate::{fingerprint, task};

/// How soon servers want to hear again of a node whose allocations they wait for.
const SYNC_TTL: Duration = Duration::from_secs(2);
/// The first and the longest wait before servers that did not answer are asked again.
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_secs(15);
/// How long allocations that came or went wait for others before room is made.
const GC_PATIENCE: Duration = Duration::from_secs(1);
/// How long shims of a development agent live without it.
const DEV_ORPHAN_LIMIT: Duration = Duration::from_secs(10);
/// How long two looks at use lie apart.
const SAMPLE: Duration = Duration::from_millis(100);
/// How long tasks of a development agent may take to end when it does.
const DEV_STOP_LIMIT: Duration = Duration::from_secs(10);

/// How often, and how long apart, it is tried to leave nothing behind while the last shims end.
const CLEAR_ATTEMPTS_MAX: u32 = 25;
const CLEAR_STEP: Duration = Duration::from_millis(20);

/// Why a client could not start.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("prepare directory {}", path.display())]
    Directory { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("prepare task shims in {}", path.display())]
    Shims { path: PathBuf, source: std::io::Error },
}

/// Clock, randomness and tasks of the process that the client lives in.
#[derive(Debug, Clone)]
pub struct Runtime {
    pub clock: Clock,
    pub entropy: Entropy,
    pub scope: TaskScope,
}

/// What every part of the client shares.
pub(crate) struct Shared {
    pub(crate) config: ClientConfig,
    node: Mutex<Arc<Node>>,
    node_changed: Notify,
    meta: NodeMeta,
    pub(crate) drivers: Registry,
    pub(crate) groups: Version,
    pub(crate) link: Arc<dyn ServerLink>,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) scope: TaskScope,
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) registrar: mpsc::Sender<Order>,
    pub(crate) renderer: SharedRenderer,
    pub(crate) host_environment: BTreeMap<String, String>,
    /// True once the servers have said what this node shall run.
    pub(crate) contacted: watch::Receiver<bool>,
    /// What the servers said last.
    told: Mutex<Option<Arc<Contact>>>,
    /// Counts allocations that began or ended.
    pub(crate) comings_and_goings: watch::Sender<u64>,
    /// Where tasks reach the API.
    pub(crate) task_apis: TaskApis,
    allocs: Mutex<BTreeMap<AllocId, AllocHandle>>,
    /// Cleared away here while the servers may still list them; not to be begun again.
    cleared: Mutex<BTreeSet<AllocId>>,
}

impl Shared {
    pub(crate) fn node(&self) -> Arc<Node> {
        Arc::clone(&self.node.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn handle(&self, id: AllocId) -> Option<AllocHandle> {
        self.allocs.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn handles(&self) -> Vec<(AllocId, AllocHandle)> {
        let allocs = self.allocs.lock().unwrap_or_else(PoisonError::into_inner);
        allocs.iter().map(|(id, handle)| (*id, handle.clone())).collect()
    }

    fn insert(&self, id: AllocId, handle: AllocHandle) {
        self.allocs.lock().unwrap_or_else(PoisonError::into_inner).insert(id, handle);
    }

    fn forget(&self, id: AllocId) {
        self.allocs.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// The client role.
#[derive(Debug, Clone, Copy)]
pub struct Client;

impl Client {
    /// Starts the role. Returns once what ran before is being looked after again; reaching servers goes on in the background.
    ///
    /// # Errors
    /// When a directory cannot be made, another agent uses it, or what is stored in it cannot be read at all.
    pub async fn start(
        config: ClientConfig,
        link: Arc<dyn ServerLink>,
        runtime: Runtime,
        renderer: SharedRenderer,
    ) -> Result<ClientHandle, ClientError> {
        Self::start_with_drivers(config, link, runtime, renderer, Vec::new()).await
    }

    /// As [`Self::start`], with drivers beyond those that are built in; one takes the place of another with its name.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with_drivers(
        config: ClientConfig,
        link: Arc<dyn ServerLink>,
        runtime: Runtime,
        renderer: SharedRenderer,
        more: Vec<Arc<dyn Driver>>,
    ) -> Result<ClientHandle, ClientError> {
        let Runtime { clock, entropy, scope } = runtime;
        let directory = |path: &PathBuf, source| ClientError::Directory { path: path.clone(), source };
        alloc_dir::create_base(&config.alloc_dir).map_err(|source| directory(&config.alloc_dir, source))?;
        let (identity, store, remembered) = if config.dev {
            (NodeIdentity::new(&entropy), Store::in_memory(), Vec::new())
        } else {
            std::fs::create_dir_all(&config.state_dir).map_err(|source| directory(&config.state_dir, source))?;
            let (store, remembered) = Store::open(&config.state_dir)?;
            (NodeIdentity::load(&config.state_dir, &entropy)?, store, remembered)
        };
        let (drivers, groups) = drivers(&config, &clock, &entropy, &scope, more)?;
        let mut node = fingerprint::node(&config, &identity, groups, &drivers, clock.now());
        let kept = (!config.dev).then(|| config.state_dir.clone());
        let meta = NodeMeta::load(node.meta.clone(), kept).map_err(|source| directory(&config.state_dir, source))?;
        node.meta = meta.merged();
        let (contact, contacted) = watch::channel(false);
        let (registrar, orders) = mpsc::channel(registrar::ORDERS_MAX);
        let host_environment = config.inheritable_environment(std::env::vars());
        let shared = Arc::new(Shared {
            node: Mutex::new(Arc::new(node)),
            node_changed: Notify::new(),
            meta,
            drivers,
            groups,
            link,
            store,
            clock,
            entropy,
            scope,
            reporter: Arc::default(),
            registrar,
            renderer,
            host_environment,
            contacted,
            told: Mutex::default(),
            comings_and_goings: watch::channel(0).0,
            task_apis: TaskApis::new(),
            allocs: Mutex::default(),
            cleared: Mutex::default(),
            config,
        });
        restore(&shared, remembered).await;
        let node_id = identity.id;
        let scope = &shared.scope;
        let acknowledging = Arc::downgrade(&shared);
        let acknowledge: reporter::Acknowledge = Box::new(move |update| {
            let Some(shared) = acknowledging.upgrade() else { return };
            if shared.store.is_durable()
                && let Some(handle) = shared.handle(update.id)
            {
                // One that is lost is only sent again after a restart.
                drop(handle.commands.try_send(Command::Acknowledged(update.clone())));
            }
        });
        scope.spawn_until_stop(
            "allocation updates",
            reporter::run(
                Arc::clone(&shared.reporter),
                Arc::clone(&shared.link),
                node_id,
                shared.contacted.clone(),
                shared.clock.clone(),
                shared.entropy.clone(),
                acknowledge,
            ),
        );
        scope.spawn_until_stop("services", registrar::run(orders, Arc::clone(&shared.link), node_id, shared.clock.clone()));
        scope.spawn_until_stop("node presence", stay_registered(Arc::clone(&shared), contact));
        scope.spawn_until_stop("garbage collection", collect_garbage(Arc::clone(&shared)));
        scope.spawn_until_stop("driver health", watch_drivers(Arc::clone(&shared)));
        let warming = shared.drivers.clone();
        scope.spawn_until_stop("shim nursery", async move {
            for driver in warming.iter() {
                driver.warm_up();
            }
        });
        Ok(ClientHandle { shared })
    }
}

fn drivers(
    config: &ClientConfig,
    clock: &Clock,
    entropy: &Entropy,
    scope: &TaskScope,
    more: Vec<Arc<dyn Driver>>,
) -> Result<(Registry, Version), ClientError> {
    let parent = Some(config.cgroup_parent.as_str()).filter(|parent| !parent.is_empty());
    let mut hierarchy = Hierarchy::of_host(parent);
    if let Err(error) = hierarchy.prepare() {
        tracing::warn!(%error, "control groups cannot be used: tasks run without limits");
        hierarchy = Hierarchy::at(std::path::Path::new(drover_linux::cgroup::MOUNT), Version::Off, parent);
    }
    if !drover_linux::is_root() {
        tracing::info!("not running as root: the exec driver, control groups and other users for tasks are off");
    }
    let shims = Shims::new(
        ShimConfig {
            program: config.shim_program.clone(),
            run_dir: config.run_dir.clone(),
            record_dir: if config.dev { config.run_dir.clone() } else { config.state_dir.join("exits") },
            durable: !config.dev,
            // The state of a development agent goes with it, so nobody could look for its tasks.
            reattach: !config.dev,
            orphan_limit: config.dev.then_some(DEV_ORPHAN_LIMIT),
            groups: hierarchy.helpers(),
        },
        scope.clone(),
    )
    .map_err(|source| ClientError::Shims { path: config.run_dir.clone(), source })?;
    let groups = hierarchy.version;
    let executor = Arc::new(Executor::new(Arc::new(shims), hierarchy, entropy.clone()));
    let mut exec = config.exec.clone();
    if !config.chroot_env.is_empty() {
        exec.chroot.clone_from(&config.chroot_env);
    }
    let mut found: Vec<Arc<dyn Driver>> =
        vec![Arc::new(RawExec::new(config.raw_exec.clone(), Arc::clone(&executor))), Arc::new(IsolatedExec::new(exec, executor))];
    if config.mock_driver {
        found.push(drover_driver::mock::driver(clock.clone(), scope.clone()));
    }
    found.extend(more);
    let mut registry = Registry::new();
    for driver in found {
        if config.is_allowed("driver", driver.name()) {
            registry.add(driver);
        }
    }
    Ok((registry, groups))
}

async fn restore(shared: &Arc<Shared>, remembered: Vec<Remembered>) {
    for Remembered { alloc, state } in remembered {
        let id = alloc.id;
        match (alloc.task_group().cloned(), state) {
            (Some(group), Some(state)) => {
                let handle = alloc::start(shared, Arc::clone(&alloc), &group, Some(state));
                shared.insert(id, handle);
            }
            _ => {
                tracing::info!(alloc_id = %id, "allocation had not begun and was forgotten");
                if let Err(error) = shared.store.remove(id).await {
                    tracing::error!(alloc_id = %id, %error, "allocation could not be forgotten");
                }
            }
        }
    }
}

/// Registers the node, keeps it alive, and follows what it shall run.
async fn stay_registered(shared: Arc<Shared>, contact: watch::Sender<bool>) {
    let following = shared.scope.child();
    let mut follows = false;
    loop {
        let ttl = register(&shared).await;
        if !follows {
            follows = true;
            following.spawn_until_stop("desired allocations", follow_desired(Arc::clone(&shared), contact.clone()));
        }
        if !heartbeat(&shared, ttl).await {
            tracing::info!("registering the node anew");
        }
    }
}

async fn register(shared: &Shared) -> Duration {
    let mut wait = RETRY_FIRST;
    loop {
        let node = shared.node().as_ref().clone();
        match shared.link.register_node(node).await {
            Ok(registered) => return answered(shared, registered),
            Err(error) => {
                tracing::debug!(%error, "node could not be registered yet");
                shared.clock.sleep(wait).await;
                wait = (wait * 2).min(RETRY_MAX);
            }
        }
    }
}

/// Says again how every allocation stands if the servers wait for that, and returns within what time they want to hear of
/// the node again: soon, if only that is missing (NOD-005).
fn answered(shared: &Shared, registered: Registered) -> Duration {
    let (ttl, sync) = (registered.heartbeat_ttl, registered.sync);
    let told = Arc::new(Contact { answer: registered, at: shared.clock.monotonic() });
    let before = shared.told.lock().unwrap_or_else(PoisonError::into_inner).replace(Arc::clone(&told));
    if before.is_some_and(|before| before.answer.eligible != told.answer.eligible) {
        tracing::info!(eligible = told.answer.eligible, "the servers decided whether this node takes placements");
    }
    if !sync {
        return ttl;
    }
    tracing::info!("the servers lost sight of this node and are told about its allocations again");
    for (_, handle) in shared.handles() {
        // One that is not told now is told at the next heartbeat, which is not far.
        drop(handle.commands.try_send(Command::ReportAgain));
    }
    ttl.min(SYNC_TTL)
}

/// Keeps the node alive; returns when it has to be registered anew. False when servers forgot it.
async fn heartbeat(shared: &Shared, mut ttl: Duration) -> bool {
    loop {
        tokio::select! {
            () = shared.clock.sleep(ttl / 2) => {}
            () = shared.node_changed.notified() => return true,
        }
        match shared.link.heartbeat(shared.node().id).await {
            Ok(registered) => ttl = answered(shared, registered),
            Err(LinkError::Unreachable(reason)) => tracing::warn!(%reason, "heartbeat failed"),
            Err(error) => {
                tracing::warn!(%error, "servers do not know this node any more");
                return false;
            }
        }
    }
}

async fn follow_desired(shared: Arc<Shared>, contact: watch::Sender<bool>) {
    let mut wait = RETRY_FIRST;
    loop {
        match shared.link.desired_allocs(shared.node().id).await {
            Ok(mut changes) => {
                while let Some(change) = changes.recv().await {
                    wait = RETRY_FIRST;
                    let first = matches!(change, DesiredChange::Snapshot(_)) && !*contact.borrow();
                    apply(&shared, change).await;
                    if first {
                        let _alone = contact.send(true);
                        for (_, handle) in shared.handles() {
                            drop(handle.commands.send(Command::ServersContacted).await);
                        }
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "desired allocations cannot be followed yet"),
        }
        shared.clock.sleep(wait).await;
        wait = (wait * 2).min(RETRY_MAX);
    }
}

async fn apply(shared: &Arc<Shared>, change: DesiredChange) {
    match change {
        DesiredChange::Snapshot(allocs) => {
            let wanted: BTreeSet<AllocId> = allocs.iter().map(|alloc| alloc.id).collect();
            for alloc in allocs {
                upsert(shared, alloc).await;
            }
            for (id, _) in shared.handles() {
                if !wanted.contains(&id) {
                    remove(shared, id);
                }
            }
            shared.cleared.lock().unwrap_or_else(PoisonError::into_inner).retain(|id| wanted.contains(id));
        }
        DesiredChange::Delta { upserts, removals } => {
            for alloc in upserts {
                upsert(shared, alloc).await;
            }
            for id in removals {
                shared.cleared.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                remove(shared, id);
            }
        }
    }
}

async fn upsert(shared: &Arc<Shared>, alloc: Arc<Allocation>) {
    let id = alloc.id;
    if let Some(handle) = shared.handle(id) {
        if alloc.alloc_modify_index > handle.known_index() {
            drop(handle.commands.send(Command::Update(alloc)).await);
        }
        return;
    }
    let was_here = shared.cleared.lock().unwrap_or_else(PoisonError::into_inner).contains(&id);
    if alloc.terminal() || was_here {
        return;
    }
    match alloc.task_group().cloned() {
        Some(group) => {
            let handle = alloc::start(shared, alloc, &group, None);
            shared.insert(id, handle);
        }
        None => {
            let reason = format!("failed to build task runner: group \"{}\" is not in the job", alloc.group);
            tracing::error!(alloc_id = %id, %reason, "allocation cannot be begun");
            shared.cleared.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
            alloc::report_impossible(shared, id, &reason);
        }
    }
    shared.comings_and_goings.send_modify(|count| *count += 1);
}

/// Ends an allocation that the servers no longer have, in the background.
fn remove(shared: &Arc<Shared>, id: AllocId) {
    if shared.handle(id).is_some() {
        let shared = Arc::clone(shared);
        shared.scope.clone().spawn_until_stop("removal of an allocation", async move { destroy(&shared, id).await });
    }
}

async fn destroy(shared: &Shared, id: AllocId) {
    let Some(handle) = shared.handle(id) else { return };
    let (done, waiter) = oneshot::channel();
    if handle.commands.send(Command::Destroy(Some(done))).await.is_ok() {
        drop(waiter.await);
    }
    shared.forget(id);
}

async fn collect_garbage(shared: Arc<Shared>) {
    let config = &shared.config;
    let limits = gc::Limits {
        disk_percent: config.gc_disk_usage_threshold,
        inode_percent: config.gc_inode_usage_threshold,
        allocs: config.gc_max_allocs,
    };
    let mut changes = shared.comings_and_goings.subscribe();
    loop {
        let interval = tokio::select! {
            () = shared.clock.sleep(config.gc_interval) => true,
            changed = changes.changed() => match changed {
                Ok(()) => {
                    // A burst of tasks is not slowed down by clearing up after it.
                    shared.clock.sleep(GC_PATIENCE).await;
                    changes.mark_unchanged();
                    false
                }
                Err(_) => return,
            },
        };
        loop {
            let handles = shared.handles();
            if !interval && handles.len() <= limits.allocs {
                break;
            }
            let used = drover_linux::path::file_system_use(&config.alloc_dir).unwrap_or_default();
            let candidates = handles.iter().map(|(id, handle)| candidate(*id, handle)).collect();
            let chosen = gc::choose(limits, used, candidates, config.gc_parallel_destroys);
            if chosen.is_empty() {
                break;
            }
            futures::future::join_all(chosen.into_iter().map(|id| clear_away(&shared, id))).await;
        }
    }
}

fn candidate(id: AllocId, handle: &AllocHandle) -> gc::Candidate {
    let view = handle.view.lock().unwrap_or_else(PoisonError::into_inner);
    gc::Candidate { id, over_since: view.over.then_some(view.over_since) }
}

/// Destroys an allocation that is over, while the servers may still list it.
async fn clear_away(shared: &Shared, id: AllocId) {
    shared.cleared.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    destroy(shared, id).await;
}

async fn watch_drivers(shared: Arc<Shared>) {
    let failing = |state: &NodeDriver| state.detected && !state.healthy;
    let began = shared.clock.monotonic();
    let mut watches: BTreeMap<String, DriverWatch> =
        shared.node().drivers.iter().map(|(name, state)| (name.clone(), DriverWatch::new(began, failing(state)))).collect();
    loop {
        shared.clock.sleep_until(watches.values().map(DriverWatch::due).min()).await;
        let now = shared.clock.monotonic();
        let due = |driver: &Arc<dyn Driver>| watches.get(driver.name()).is_some_and(|watch| watch.due() <= now);
        for (name, state) in ask_drivers(&shared, due) {
            if let Some(watch) = watches.get_mut(&name) {
                watch.asked(now, failing(&state));
            }
        }
    }
}

/// Asks some of the drivers how they are; a change makes the node register anew.
fn ask_drivers(shared: &Shared, wanted: impl Fn(&Arc<dyn Driver>) -> bool) -> BTreeMap<String, NodeDriver> {
    let drivers = shared.drivers.iter().filter(|driver| wanted(driver));
    let mut node = shared.node.lock().unwrap_or_else(PoisonError::into_inner);
    let asked = fingerprint::driver_states(drivers, &node.drivers, shared.clock.now());
    if let Some(changed) = fingerprint::with_drivers(&node, asked.clone()) {
        *node = Arc::new(changed);
        shared.node_changed.notify_one();
    }
    asked
}

/// A running client, for those who ask it things. Clones share it.
#[derive(Clone)]
pub struct ClientHandle {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for ClientHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientHandle").field("node_id", &self.node_id()).finish_non_exhaustive()
    }
}

/// Why an allocation could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllocError {
    #[error("Unknown allocation \"{0}\"")]
    Unknown(AllocId),
    #[error("{0}")]
    Failed(String),
    /// The configuration does not allow it.
    #[error("{0}")]
    Forbidden(String),
}

impl ClientHandle {
    /// Connections that tasks make to ask this agent's API; whoever asks first has them.
    pub fn task_connections(&self) -> Option<mpsc::Receiver<TaskConnection>> {
        self.shared.task_apis.take()
    }

    /// The node's id.
    pub fn node_id(&self) -> NodeId {
        self.shared.node().id
    }

    /// The node as it was last registered.
    pub fn node(&self) -> Arc<Node> {
        self.shared.node()
    }

    /// What the servers said last, and when; none before the first registration.
    pub fn contact(&self) -> Option<Arc<Contact>> {
        self.shared.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long ago that was.
    pub fn since_contact(&self) -> Option<Duration> {
        self.contact().map(|contact| self.shared.clock.monotonic().since(contact.at))
    }

    /// The drivers of this node.
    pub fn drivers(&self) -> &Registry {
        &self.shared.drivers
    }

    /// The allocations that are here, those that are over included.
    pub fn allocs(&self) -> Vec<AllocId> {
        self.shared.handles().into_iter().map(|(id, _)| id).collect()
    }

    /// Whether an allocation is here.
    pub fn has_alloc(&self, id: AllocId) -> bool {
        self.shared.handle(id).is_some()
    }

    /// The allocation as this node was told of it.
    pub fn alloc(&self, id: AllocId) -> Option<Arc<Allocation>> {
        self.shared.handle(id).map(|handle| handle.view().alloc)
    }

    fn handle(&self, id: AllocId) -> Result<AllocHandle, AllocError> {
        self.shared.handle(id).ok_or(AllocError::Unknown(id))
    }

    async fn ask(&self, id: AllocId, command: impl FnOnce(oneshot::Sender<Result<(), String>>) -> Command) -> Result<(), AllocError> {
        let handle = self.handle(id)?;
        let (reply, answer) = oneshot::channel();
        if handle.commands.send(command(reply)).await.is_err() {
            return Err(AllocError::Unknown(id));
        }
        match answer.await {
            Ok(result) => result.map_err(AllocError::Failed),
            Err(_) => Err(AllocError::Unknown(id)),
        }
    }

    /// The node's metadata: of its configuration, as changed since, and together.
    pub fn node_meta(&self) -> api::NodeMetaResponse {
        self.shared.meta.view()
    }

    /// Sets and, where the value is none, removes keys of the node's metadata; servers hear of it at once.
    ///
    /// # Errors
    /// When the change cannot be kept.
    pub fn change_node_meta(&self, changes: BTreeMap<String, Option<String>>) -> std::io::Result<api::NodeMetaResponse> {
        self.shared.meta.apply(changes)?;
        let merged = self.shared.meta.merged();
        Arc::make_mut(&mut *self.shared.node.lock().unwrap_or_else(PoisonError::into_inner)).meta = merged;
        self.shared.node_changed.notify_one();
        Ok(self.node_meta())
    }

    /// Restarts one task, all that run, or with `all` those that are dead as well.
    pub async fn restart(&self, id: AllocId, task: Option<String>, all: bool) -> Result<(), AllocError> {
        if task.is_some() && all {
            return Err(AllocError::Failed("task name cannot be set when restarting all tasks".to_owned()));
        }
        self.ask(id, |reply| Command::Restart { task, all, reply }).await
    }

    /// Sends a signal to one task or to all.
    pub async fn signal(&self, id: AllocId, task: Option<String>, signal: String) -> Result<(), AllocError> {
        self.ask(id, |reply| Command::Signal { task, signal, reply }).await
    }

    /// Runs a command in a task's context.
    pub async fn exec(
        &self,
        id: AllocId,
        task: &str,
        command: ExecCommand,
        input: mpsc::Receiver<ExecInput>,
    ) -> Result<BoxStream<'static, ExecOutput>, AllocError> {
        if self.shared.config.disable_remote_exec {
            return Err(AllocError::Forbidden("Permission denied".to_owned()));
        }
        let view = self.handle(id)?.view();
        let unknown = || AllocError::Failed(format!("unknown task name \"{task}\""));
        let state = view.tasks.get(task).ok_or_else(unknown)?;
        if state.status != TaskStatus::Running {
            return Err(AllocError::Failed(format!("task \"{task}\" is not running.")));
        }
        let driver = view.alloc.task_group().and_then(|group| group.task(task)).map(|task| task.driver.clone());
        let driver = driver.and_then(|name| self.shared.drivers.get(&name)).ok_or_else(unknown)?;
        let started = driver.exec(task::driver_id(&view.alloc, task), command, input).await;
        started.map_err(|error| AllocError::Failed(error.to_string()))
    }

    /// Results of an allocation's checks by id; empty for one that is not here.
    pub fn checks(&self, id: AllocId) -> BTreeMap<String, api::AllocCheckStatus> {
        let Some(handle) = self.shared.handle(id) else { return BTreeMap::new() };
        let view = handle.view();
        let group = view.alloc.name();
        let shown = |id: String, found: alloc::CheckView| api::AllocCheckStatus {
            id,
            check: found.check,
            group: group.clone(),
            mode: found.mode.to_owned(),
            output: found.result.output,
            service: found.service,
            task: found.task,
            status: found.result.status,
            status_code: i64::from(found.result.status_code),
            timestamp: found.result.at,
        };
        view.checks.into_iter().map(|(id, found)| (id.clone(), shown(id, found))).collect()
    }

    /// What an allocation's tasks use, or one of them: two looks a moment apart.
    pub async fn alloc_stats(&self, id: AllocId, wanted: Option<&str>) -> Result<api::AllocResourceUsage, AllocError> {
        let view = self.handle(id)?.view();
        let look = || -> BTreeMap<String, Option<drover_driver::TaskStats>> {
            view.tasks
                .keys()
                .filter(|name| wanted.is_none_or(|wanted| wanted == name.as_str()))
                .map(|name| {
                    let task = view.alloc.task_group().and_then(|group| group.task(name));
                    let driver = task.and_then(|task| self.shared.drivers.get(&task.driver));
                    let stats = driver.and_then(|driver| driver.stats(&task::driver_id(&view.alloc, name)).ok());
                    (name.clone(), stats)
                })
                .collect()
        };
        let (before, began) = (look(), self.shared.clock.monotonic());
        self.shared.clock.sleep(SAMPLE).await;
        let (after, now) = (look(), self.shared.clock.now());
        let between = self.shared.clock.monotonic().since(began);
        let mhz = self.core_mhz();
        let tasks = after
            .into_iter()
            .map(|(name, after)| {
                let before = before.get(&name).cloned().flatten();
                let usage = after.map(|after| {
                    let before = before.unwrap_or_else(|| after.clone());
                    stats::task_usage(&stats::TaskSample { before, after, between }, mhz, now)
                });
                (name, usage)
            })
            .filter(|(_, usage)| usage.is_some() || wanted.is_none())
            .collect();
        Ok(stats::alloc_usage(tasks, now))
    }

    fn core_mhz(&self) -> f64 {
        let node = self.shared.node();
        node.attributes.get("cpu.frequency").and_then(|text| text.parse().ok()).unwrap_or(1000.0)
    }

    /// Every allocation here with its status as this node has it, and the states of its tasks.
    pub fn statuses(&self) -> Vec<(Arc<Allocation>, drover_model::ClientStatus, Vec<TaskStatus>)> {
        let views = self.allocs().into_iter().filter_map(|id| self.shared.handle(id)).map(|handle| handle.view());
        views.map(|view| (view.alloc, view.status, view.tasks.values().map(|state| state.status).collect())).collect()
    }

    /// What this machine uses: two looks a moment apart.
    pub async fn host_stats(&self) -> api::HostStats {
        let read = || drover_linux::fingerprint::core_times().unwrap_or_default();
        let before = read();
        self.shared.clock.sleep(SAMPLE).await;
        let used = drover_linux::path::file_system_use(&self.shared.config.alloc_dir).unwrap_or_default();
        stats::host_stats(&before, &read(), self.core_mhz(), used, self.shared.clock.now())
    }

    /// The files of an allocation.
    pub fn files(&self, id: AllocId) -> Result<AllocFiles, FilesError> {
        let handle = self.shared.handle(id).ok_or_else(|| FilesError::not_found(format!("Unknown allocation \"{id}\"")))?;
        let tasks = handle.view().tasks.into_keys().collect();
        Ok(AllocFiles::new(AllocDir::new(&self.shared.config.alloc_dir, id).root().to_owned(), tasks))
    }

    fn run_stream(&self, stream: FrameStream) -> mpsc::Receiver<Frame> {
        let (sender, receiver) = mpsc::channel(FRAMES_MAX);
        self.shared.scope.spawn_until_stop("file stream", stream.run(sender));
        receiver
    }

    /// A file as a stream of frames.
    pub fn stream(&self, id: AllocId, path: &str, origin: Origin, follow: bool) -> Result<mpsc::Receiver<Frame>, FilesError> {
        let stream = self.files(id)?.stream(path, origin, follow, self.shared.clock.clone())?;
        Ok(self.run_stream(stream))
    }

    /// A task's output as a stream of frames. A task that has not started, or wants no logs, has none.
    pub fn logs(&self, id: AllocId, task: &str, kind: LogKind, origin: Origin, follow: bool) -> Result<mpsc::Receiver<Frame>, FilesError> {
        let files = self.files(id)?;
        let view = self.shared.handle(id).map(|handle| handle.view());
        let Some(view) = view else { return Err(FilesError::not_found(format!("Unknown allocation \"{id}\""))) };
        let Some(state) = view.tasks.get(task) else {
            return Err(FilesError::invalid(format!("unknown task name \"{task}\"")));
        };
        let config = view.alloc.task_group().and_then(|group| group.task(task));
        if config.is_some_and(|task| task.log_config.disabled) {
            return Err(FilesError::not_found(format!("logs are disabled for task \"{task}\"")));
        }
        if state.started_at.is_zero() {
            return Err(FilesError::not_found(format!("task \"{task}\" not started yet. No logs available")));
        }
        let stream = files.logs(task, kind, origin, follow, self.shared.clock.clone())?;
        Ok(self.run_stream(stream))
    }

    /// Clears one allocation away that is over.
    pub async fn collect(&self, id: AllocId) -> Result<(), AllocError> {
        let refused = || AllocError::Failed("No such allocation on client, or allocation not eligible for GC".to_owned());
        let handle = self.shared.handle(id).ok_or_else(refused)?;
        if !handle.view().over {
            return Err(refused());
        }
        clear_away(&self.shared, id).await;
        Ok(())
    }

    /// Clears every allocation away that is over.
    pub async fn collect_all(&self) {
        for (id, handle) in self.shared.handles() {
            if handle.view().over {
                clear_away(&self.shared, id).await;
            }
        }
    }

    /// Asks the drivers how they are, now.
    pub fn refresh_drivers(&self) {
        ask_drivers(&self.shared, |_| true);
    }

    /// Ends the role. A development agent ends its tasks; any other leaves them running. The scope the client was given must be stopped
    /// after this.
    pub async fn shutdown(&self) {
        if !self.shared.config.dev {
            return;
        }
        let reason = StopReason { no_shutdown_delay: true, skip_poststop: true, ..StopReason::default() };
        let handles = self.shared.handles();
        for (_, handle) in &handles {
            drop(handle.commands.send(Command::Stop(reason.clone())).await);
        }
        let mut changes = self.shared.comings_and_goings.subscribe();
        let all_over = async {
            while self.shared.handles().iter().any(|(_, handle)| !handle.view.lock().unwrap_or_else(PoisonError::into_inner).over) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        if self.shared.clock.timeout(DEV_STOP_LIMIT, all_over).await.is_none() {
            tracing::warn!("some tasks did not end in time; their shims end them");
        }
        for (id, _) in handles {
            let directory = AllocDir::new(&self.shared.config.alloc_dir, id);
            if let Err(error) = directory.destroy() {
                tracing::warn!(alloc_id = %id, %error, "directory of an allocation could not be removed");
            }
        }
        for _ in 0..CLEAR_ATTEMPTS_MAX {
            if self.shared.drivers.iter().all(|driver| driver.clear()) {
                break;
            }
            self.shared.clock.sleep(CLEAR_STEP).await;
        }
    }
}

//! From settings to a running agent, and back to nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use drover_base::NodeId;
use drover_client::client::Runtime;
use drover_client::template::{GoTemplates, interfaces};
use drover_client::{Client, ClientConfig, ClientHandle, ServerLink};
use drover_http::relay::{OtherRegions, Pipe, Upstream};
use drover_http::tls::Tls;
use drover_lang::config::{AgentConfig, Partial, PluginConfig};
use drover_lang::sockaddr::one_address;
use drover_model::admission::{DefaultIdentity, Peers};
use drover_raft::{DiskLogOptions, Storage};
use drover_rt::telemetry::LogHub;
use drover_rt::{Clock, Entropy, RealDisk, TaskScope};
use drover_server::{Config, ResetFile, Server};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::link::LocalLink;
use super::lock::DataDirLock;
use super::regions::Links;
use super::remote::Remote;
use super::{Settings, server_id, service};

/// How long each part may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// How long the servers' word about a caller is good where the configuration does not say.
const CALLER_TTL: Duration = Duration::from_secs(30);
/// Scheduler workers at most.
const WORKERS_MAX: usize = 64;
/// The keys that change while the agent runs.
const RELOADABLE: [&str; 10] = [
    "log_level",
    "server.num_schedulers",
    "server.raft_snapshot_threshold",
    "server.raft_trailing_logs",
    "tls.ca_file",
    "tls.cert_file",
    "tls.key_file",
    "tls.tls_cipher_suites",
    "tls.tls_min_version",
    "tls.verify_https_client",
];

/// Runs the agent until a signal, or until its storage fails.
///
/// # Errors
/// When a part cannot start, or storage failed under way.
pub(super) async fn run(settings: Settings, logs: LogHub) -> anyhow::Result<()> {
    // From the first moment: it would end the process. The others may, until somebody can see that the agent runs.
    let hangup = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
    let clock = Clock::system();
    let entropy = Entropy::system();
    let scratch = if settings.dev { Some(Scratch::make(&entropy)?) } else { None };
    let data_dir = scratch.as_ref().map_or_else(|| settings.data_dir.clone(), |scratch| scratch.0.clone());
    let lock = match settings.dev {
        true => None,
        false => {
            std::fs::create_dir_all(&data_dir).with_context(|| format!("create data directory {}", data_dir.display()))?;
            Some(DataDirLock::take(&data_dir)?)
        }
    };
    let tls = super::tls::start(&settings.config)?;
    let listener = listen("http", SocketAddr::new(settings.http_bind, settings.http_port)).await?;
    let http_address = advertised(&settings.config.advertise.http, listener.local_addr()?);

    let scope = TaskScope::new();
    let server_scope = scope.child();
    let (server, server_id) = if settings.config.server.enabled {
        // Before anything is opened: a port that is taken is told at once.
        let channel = listen("rpc", SocketAddr::new(settings.rpc_bind, settings.rpc_port)).await?;
        let server_id = if settings.dev { entropy.id() } else { server_id::load(&data_dir, &entropy)? };
        let server = start_server((&settings, &data_dir), server_id, channel, (&clock, &entropy), &scope, &server_scope).await?;
        (Some(server), Some(server_id))
    } else {
        (None, None)
    };
    let client_scope = scope.child();
    let mut upstream: Option<Arc<dyn Upstream>> = None;
    let mut relayed: BoxStream<'static, Pipe> = match &server {
        Some(server) => pipes(server.visitors()),
        None => futures::stream::pending().boxed(),
    };
    let client = if settings.config.client.enabled {
        let config = client_config(&settings, &data_dir, &http_address).await?;
        let link: Arc<dyn ServerLink> = match &server {
            Some(server) => LocalLink::connect(server.clone(), client_scope.clone()),
            None => {
                let ttl = caller_ttl(&settings);
                let (remote, opened) = Remote::new(&server_addresses(&settings.config), ttl, clock.clone(), client_scope.clone());
                upstream = Some(Arc::new(remote.clone()));
                relayed = pipes(opened);
                Arc::new(remote)
            }
        };
        let runtime = Runtime { clock: clock.clone(), entropy: entropy.clone(), scope: client_scope.clone() };
        let renderer = Arc::new(GoTemplates);
        Some(Client::start(config, link, runtime, renderer).await.context("start client")?)
    } else {
        None
    };
    let mut regions: Option<Arc<dyn OtherRegions>> = None;
    if let Some(server) = &server {
        let links = Links::new(server.clone());
        regions = Some(Arc::new(links.clone()));
        follow_authoritative(&settings, server, &links, &clock, &server_scope);
        server_scope.spawn_until_stop("other regions", links.run(super::regions::addresses(&settings.config), clock.clone()));
    }
    let interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let http_scope = scope.child();
    let reload = Arc::new(tokio::sync::Notify::new());
    super::api::serve(
        listener,
        super::api::Parts {
            settings: &settings,
            server: server.as_ref(),
            client: client.as_ref(),
            upstream,
            regions,
            relayed,
            logs: &logs,
            clock: &clock,
            entropy: &entropy,
            http_address: &http_address,
            server_id,
            reload: &reload,
            tls: tls.clone(),
        },
        http_scope.clone(),
    );
    scope.spawn_until_stop("rest", super::rest::give_back_at_rest(clock.clone()));
    announce(&settings, &http_address);
    service::ready();

    let failure = wait_for_end([interrupt, terminate, hangup], server.as_ref(), &settings, (&logs, tls.as_ref()), &reload).await;
    tracing::info!("stopping");
    service::stopping();
    http_scope.stop();
    // First nothing more is placed, or what is stopped here would be replaced at once.
    server_scope.stop();
    stop_client(client, settings.dev).await;
    let left = scope.shutdown(STOP_LIMIT).await;
    if !left.is_empty() {
        tracing::warn!(tasks = ?left, "tasks did not end in time");
    }
    if let Some(server) = &server {
        server.shutdown().await;
    }
    drop(lock);
    drop(scratch);
    match failure {
        Some(reason) => bail!("the server's storage failed and it stopped so that nothing acknowledged is lost: {reason}"),
        None => Ok(()),
    }
}

/// Starts the server role and the listener of the agent channel.
async fn start_server(
    (settings, data_dir): (&Settings, &Path),
    id: NodeId,
    channel: TcpListener,
    (clock, entropy): (&Clock, &Entropy),
    scope: &TaskScope,
    server_scope: &TaskScope,
) -> anyhow::Result<Server> {
    let server =
        Server::start(Config { id: id.to_string(), ..server_config(settings, data_dir) }, clock.clone(), entropy.clone(), server_scope)
            .await
            .context("start server")?;
    let per_client = usize::try_from(settings.config.limits.rpc_max_conns_per_client).unwrap_or(0);
    let options = drover_rpc::Options { connections_per_client: per_client };
    scope.spawn("agent channel", drover_rpc::serve(channel, server.clone().into(), options, clock.clone(), server_scope.clone()));
    Ok(server)
}

/// Keeps copies of what another region writes for all, if there is one that does.
fn follow_authoritative(settings: &Settings, server: &Server, links: &Links, clock: &Clock, scope: &TaskScope) {
    let own = settings.config.region.as_str();
    let Some(region) = server.shared_region().filter(|region| *region != own) else { return };
    let token = &settings.config.acl.replication_token;
    if token.is_empty() {
        return tracing::warn!(
            region,
            "acl.replication_token is not set: this region has no policies, roles, global tokens and namespaces of the authoritative one"
        );
    }
    let following = super::copies::run(links.clone(), server.clone(), region.to_owned(), token.clone(), clock.clone());
    scope.spawn_until_stop("copies of what all regions share", following);
}

/// What comes through a queue.
fn pipes(queue: mpsc::Receiver<Pipe>) -> BoxStream<'static, Pipe> {
    futures::stream::unfold(queue, |mut queue| async move { Some((queue.recv().await?, queue)) }).boxed()
}

/// Where a client without a server in its process looks for servers.
pub(super) fn server_addresses(config: &AgentConfig) -> Vec<String> {
    let client = &config.client;
    let mut addresses: Vec<String> = Vec::new();
    for address in client.servers.iter().chain(&client.server_join.start_join).chain(&client.server_join.retry_join) {
        if !addresses.contains(address) {
            addresses.push(address.clone());
        }
    }
    addresses
}

/// How long an agent that is no server takes the servers' word about a caller as good (ACL-007).
fn caller_ttl(settings: &Settings) -> Duration {
    let acl = &settings.config.acl;
    let told = [acl.token_ttl.0, acl.policy_ttl.0, acl.role_ttl.0].into_iter().filter_map(|ttl| u64::try_from(ttl).ok());
    told.filter(|ttl| *ttl > 0).min().map_or(CALLER_TTL, Duration::from_nanos)
}

/// A directory that goes away with the agent.
struct Scratch(PathBuf);

impl Scratch {
    fn make(entropy: &Entropy) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("drover-dev-{:08x}", entropy.seed() as u32));
        std::fs::create_dir_all(&path).with_context(|| format!("create temporary directory {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove the temporary directory");
        }
    }
}

async fn listen(name: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {} on {} is in use by another program; stop it, or choose another with ports {{ {name} = … }}",
            address.port(),
            address.ip()
        ),
        Err(error) => Err(error).with_context(|| format!("listen on {address}")),
    }
}

/// What other programs should dial: what is configured, else the address bound. In place of "any", the first private address of this
/// host, or loopback where it has none.
fn advertised(configured: &str, bound: SocketAddr) -> String {
    if !configured.is_empty() {
        let has_port = configured.parse::<SocketAddr>().is_ok() || (configured.contains(':') && !configured.contains("::"));
        return if has_port { configured.to_owned() } else { format!("{configured}:{}", bound.port()) };
    }
    if !bound.ip().is_unspecified() {
        return bound.to_string();
    }
    let private = one_address("{{ GetPrivateIP }}", &interfaces()).ok().and_then(|text| text.parse::<IpAddr>().ok());
    SocketAddr::new(private.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), bound.port()).to_string()
}

/// After how many entries a snapshot is taken and how many are kept behind it, where the settings say so.
fn log_limits(settings: &Settings, (snapshot_every, trailing_logs): (u64, u64)) -> (u64, u64) {
    let told = &settings.config.server;
    let positive =
        |count: Option<i64>, default| count.and_then(|count| u64::try_from(count).ok()).filter(|count| *count > 0).unwrap_or(default);
    (positive(told.raft_snapshot_threshold, snapshot_every), positive(told.raft_trailing_logs, trailing_logs))
}

fn server_config(settings: &Settings, data_dir: &Path) -> Config {
    let storage = if settings.dev {
        Storage::Memory
    } else {
        Storage::Disk { disk: Arc::new(RealDisk), directory: data_dir.join("server").join("raft"), log: DiskLogOptions::default() }
    };
    let told = &settings.config.server;
    let mut config = Config::new(storage);
    config.region.clone_from(&settings.config.region);
    let authoritative = if told.authoritative_region.is_empty() { &settings.config.region } else { &told.authoritative_region };
    config.authoritative_region.clone_from(authoritative);
    config.name.clone_from(&settings.config.name);
    config.rpc_address = advertised(&settings.config.advertise.rpc, SocketAddr::new(settings.rpc_bind, settings.rpc_port));
    config.datacenter.clone_from(&settings.config.datacenter);
    config.serf_port = u16::try_from(settings.config.ports.serf).unwrap_or(config.serf_port);
    (config.snapshot_every, config.trailing_logs) = log_limits(settings, (config.snapshot_every, config.trailing_logs));
    config.workers = workers(settings, config.workers);
    config.worker_types.clone_from(&told.enabled_schedulers);
    let duration = |nanoseconds: i64, default: Duration| {
        u64::try_from(nanoseconds).ok().filter(|nanoseconds| *nanoseconds > 0).map_or(default, Duration::from_nanos)
    };
    config.join_interval = duration(told.server_join.retry_interval.0, config.join_interval);
    config.heartbeat_grace = duration(told.heartbeat_grace.0, config.heartbeat_grace);
    config.heartbeat_min = duration(told.min_heartbeat_ttl.0, config.heartbeat_min);
    if told.max_heartbeats_per_second > 0.0 {
        config.heartbeats_per_second = told.max_heartbeats_per_second;
    }
    let age = |text: &str, default: Duration| drover_lang::duration::parse_duration(text).ok().map_or(default, |ns| duration(ns, default));
    let ages = &mut config.gc_thresholds;
    ages.node = age(&told.node_gc_threshold, ages.node);
    ages.job = age(&told.job_gc_threshold, ages.job);
    ages.eval = age(&told.eval_gc_threshold, ages.eval);
    ages.batch_eval = age(&told.batch_eval_gc_threshold, ages.batch_eval);
    ages.deployment = age(&told.deployment_gc_threshold, ages.deployment);
    if let Some(priority) = told.job_max_priority.and_then(|priority| u8::try_from(priority).ok()).filter(|priority| *priority > 0) {
        config.job_max_priority = priority;
    }
    if let Some(most) = told.job_max_count.and_then(|most| u64::try_from(most).ok()) {
        config.job_max_count = most;
    }
    config.peers = peers(&settings.partial);
    config.failover_heartbeat = duration(told.failover_heartbeat_ttl.0, config.failover_heartbeat);
    if let Ok(size) = usize::try_from(told.event_buffer_size)
        && size > 0
    {
        config.event_buffer = size;
    }
    if !told.enable_event_broker {
        config.event_buffer = 0;
    }
    let acl = &settings.config.acl;
    config.acl.enabled = acl.enabled;
    config.keyring = true;
    if acl.token_min_expiration_ttl.0 > 0 {
        config.acl.token_min_ttl_ns = acl.token_min_expiration_ttl.0;
    }
    if acl.token_max_expiration_ttl.0 > 0 {
        config.acl.token_max_ttl_ns = acl.token_max_expiration_ttl.0;
    }
    if !settings.dev {
        config.acl.reset = Some(Arc::new(ResetPath(data_dir.join("server").join("acl-bootstrap-reset"))));
    }
    config
}

/// How many scheduler workers are asked for.
fn workers(settings: &Settings, default: usize) -> usize {
    let told = settings.config.server.num_schedulers.and_then(|count| usize::try_from(count).ok());
    told.filter(|count| *count > 0).map_or(default, |count| count.min(WORKERS_MAX))
}

/// The Vault and Consul named `default`, and the identities that they expect of jobs.
fn peers(partial: &Partial) -> Peers {
    let shown = Partial::defaults().merge(partial).to_api();
    let cluster = |kind: &str| {
        let clusters = shown[kind].as_array();
        clusters.and_then(|clusters| clusters.iter().find(|cluster| cluster["Name"] == "default")).cloned().unwrap_or_default()
    };
    let identity = |block: &Value| {
        block.is_object().then(|| DefaultIdentity {
            audience: block["Audience"].as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect(),
            env: block["Env"].as_bool().unwrap_or(false),
            file: block["File"].as_bool().unwrap_or(false),
            ttl: block["TTL"].as_str().and_then(|text| drover_lang::duration::parse_duration(text).ok()).unwrap_or(0),
        })
    };
    let (vault, consul) = (cluster("Vaults"), cluster("Consuls"));
    let enabled = vault["Enabled"].as_bool().unwrap_or(false);
    Peers {
        vault: enabled,
        vault_identity: identity(&vault["DefaultIdentity"]).filter(|_| enabled),
        consul_service_identity: identity(&consul["ServiceIdentity"]),
        consul_task_identity: identity(&consul["TaskIdentity"]),
    }
}

/// The file in which an operator lays down the index of the last first token, to get another one.
struct ResetPath(PathBuf);

impl ResetFile for ResetPath {
    fn read(&self) -> Option<String> {
        std::fs::read_to_string(&self.0).ok()
    }

    fn remove(&self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the file that let a first token be made could not be removed: remove it");
        }
    }
}

async fn client_config(settings: &Settings, data_dir: &Path, http_address: &str) -> anyhow::Result<ClientConfig> {
    let told = &settings.config.client;
    let or = |configured: &str, default: PathBuf| if configured.is_empty() { default } else { PathBuf::from(configured) };
    let number = |value: i64| u32::try_from(value).ok().filter(|value| *value > 0);
    let mut config = ClientConfig {
        dev: settings.dev,
        region: settings.config.region.clone(),
        datacenter: settings.config.datacenter.clone(),
        node_name: settings.config.name.clone(),
        node_class: told.node_class.clone(),
        node_pool: if told.node_pool.is_empty() { "default".to_owned() } else { told.node_pool.clone() },
        node_max_allocs: number(told.node_max_allocs).unwrap_or(0),
        http_addr: http_address.to_owned(),
        tls_enabled: settings.config.tls.http,
        state_dir: or(&told.state_dir, data_dir.join("client")),
        alloc_dir: or(&told.alloc_dir, data_dir.join("alloc")),
        run_dir: run_dir(settings.dev, data_dir),
        meta: told.meta.clone(),
        options: told.options.clone(),
        network_interface: told.network_interface.clone(),
        cpu_total_compute: number(told.cpu_total_compute),
        memory_total_mb: number(told.memory_total_mb),
        disk_total_mb: number(told.disk_total_mb),
        disk_free_mb: number(told.disk_free_mb),
        reserved_cpu_mhz: number(told.reserved.cpu).unwrap_or(0),
        reserved_cores: cores(&told.reserved.cores),
        reservable_cores: cores(&told.reservable_cores),
        reserved_memory_mb: number(told.reserved.memory).unwrap_or(0),
        reserved_disk_mb: number(told.reserved.disk).unwrap_or(0),
        reserved_ports: told.reserved.reserved_ports.clone(),
        gc_max_allocs: usize::try_from(told.gc_max_allocs).unwrap_or(50),
        gc_disk_usage_threshold: told.gc_disk_usage_threshold,
        gc_inode_usage_threshold: told.gc_inode_usage_threshold,
        cgroup_parent: told.cgroup_parent.clone(),
        disable_remote_exec: told.disable_remote_exec,
        mock_driver: settings.dev || told.options.get("driver.mock_driver.enable").is_some_and(|value| value == "1" || value == "true"),
        ..ClientConfig::default()
    };
    if let Ok(port) = u16::try_from(told.min_dynamic_port)
        && port > 0
    {
        config.min_dynamic_port = port;
    }
    if let Ok(port) = u16::try_from(told.max_dynamic_port)
        && port > 0
    {
        config.max_dynamic_port = port;
    }
    if let Ok(limit) = u64::try_from(told.max_kill_timeout.0)
        && limit > 0
    {
        config.max_kill_timeout = Duration::from_nanos(limit);
    }
    if let Ok(interval) = u64::try_from(told.gc_interval.0)
        && interval > 0
    {
        config.gc_interval = Duration::from_nanos(interval);
    }
    config.chroot_env = told.chroot_env.iter().map(|(host, inside)| (PathBuf::from(host), PathBuf::from(inside))).collect();
    plugins(&settings.config.plugin, &mut config);
    if config.options.get("driver.raw_exec.enable").is_some_and(|value| value == "1" || value == "true") {
        config.raw_exec.enabled = true;
    }
    config.shim_program = std::env::current_exe().context("find the path of this program")?;
    Ok(config)
}

/// What `plugin` blocks say about drivers. What has no effect is said, because some of it promises safety.
fn plugins(blocks: &[PluginConfig], config: &mut ClientConfig) {
    for plugin in blocks {
        let told = plugin.config.get("config").and_then(Value::as_object).unwrap_or(&plugin.config);
        for (key, value) in told {
            let text = || value.as_str().unwrap_or_default().to_owned();
            let texts = || value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            match (plugin.name.as_str(), key.as_str()) {
                ("raw_exec", "enabled") => config.raw_exec.enabled = value.as_bool().unwrap_or(config.raw_exec.enabled),
                ("raw_exec", "denied_host_uids") => config.raw_exec.denied_host_uids = text(),
                ("raw_exec", "denied_host_gids") => config.raw_exec.denied_host_gids = text(),
                ("raw_exec", "denied_envvars") => config.raw_exec.denied_envvars = texts(),
                ("exec", "default_pid_mode") => config.exec.default_pid_mode = text(),
                ("exec", "default_ipc_mode") => config.exec.default_ipc_mode = text(),
                ("exec", "allow_caps") => config.exec.allow_caps = texts(),
                ("exec", "denied_host_uids") => config.exec.denied_host_uids = text(),
                ("exec", "denied_host_gids") => config.exec.denied_host_gids = text(),
                (name @ ("raw_exec" | "exec"), key) => {
                    tracing::warn!(plugin = name, key, "this key of the plugin has no effect in this version");
                }
                _ => {}
            }
        }
        match plugin.name.as_str() {
            "raw_exec" | "exec" => {}
            "mock_driver" => config.mock_driver = true,
            other => tracing::warn!(plugin = other, "this version of Drover has no such driver; the block has no effect"),
        }
    }
}

/// Sockets of task shims: a short path, because the kernel bounds their length.
fn run_dir(dev: bool, data_dir: &Path) -> PathBuf {
    if dev {
        return data_dir.join("run");
    }
    let tag = data_dir
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let base = [Path::new("/run/drover"), Path::new("/tmp")];
    let usable = base.iter().find(|base| std::fs::create_dir_all(base).is_ok() && writable(base));
    usable.map_or_else(|| data_dir.join("run"), |base| base.join(format!("drover-{tag:016x}")))
}

fn writable(directory: &Path) -> bool {
    let probe = directory.join(format!(".probe-{}", std::process::id()));
    let made = std::fs::write(&probe, b"").is_ok();
    let _ = std::fs::remove_file(&probe);
    made
}

fn cores(text: &str) -> Vec<u16> {
    let mut cores = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('-') {
            Some((from, to)) => {
                if let (Ok(from), Ok(to)) = (from.parse::<u16>(), to.parse::<u16>()) {
                    cores.extend(from..=to.min(from.saturating_add(4_096)));
                }
            }
            None => cores.extend(part.parse::<u16>()),
        }
    }
    cores
}

fn announce(settings: &Settings, http_address: &str) {
    let role = match (settings.config.server.enabled, settings.config.client.enabled) {
        (true, true) => "server and client",
        (true, false) => "server",
        _ => "client",
    };
    println!("==> Drover agent started! Log data will stream in below:");
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        role,
        region = %settings.config.region,
        datacenter = %settings.config.datacenter,
        name = %settings.config.name,
        http = %http_address,
        config = ?settings.files,
        "agent started"
    );
}

/// Returns at an interrupt or a request to terminate, or with the reason why storage failed.
async fn wait_for_end(
    [mut interrupt, mut terminate, mut hangup]: [Signal; 3],
    server: Option<&Server>,
    settings: &Settings,
    (logs, tls): (&LogHub, Option<&Tls>),
    reload: &tokio::sync::Notify,
) -> Option<String> {
    loop {
        tokio::select! {
            _ = interrupt.recv() => return None,
            _ = terminate.recv() => return None,
            _ = hangup.recv() => reload_configuration(settings, logs, tls, server),
            () = reload.notified() => reload_configuration(settings, logs, tls, server),
            reason = failed(server) => {
                tracing::error!(reason, "raft has stopped");
                return Some(reason);
            }
        }
    }
}

/// Why storage failed, once it has.
async fn failed(server: Option<&Server>) -> String {
    match server {
        Some(server) => server.failed().await,
        None => std::future::pending().await,
    }
}

/// Reads the files again and takes over what can change while the agent runs. A file that cannot be read changes nothing.
fn reload_configuration(settings: &Settings, logs: &LogHub, tls: Option<&Tls>, server: Option<&Server>) {
    service::reloading();
    take_over(settings, logs, tls, server);
    service::ready();
}

fn take_over(settings: &Settings, logs: &LogHub, tls: Option<&Tls>, server: Option<&Server>) {
    let again = match super::settings::load(&settings.args) {
        Ok(again) => again,
        Err(refusal) => {
            tracing::error!("configuration not reloaded: {refusal}");
            return;
        }
    };
    logs.set_level(&again.config.log_level);
    super::tls::reload(tls, &again.config);
    if let Some(server) = server {
        let defaults = Config::new(Storage::Memory);
        server.set_workers(workers(&again, defaults.workers));
        let (snapshot_every, trailing_logs) = log_limits(&again, (defaults.snapshot_every, defaults.trailing_logs));
        server.set_log_limits(snapshot_every, trailing_logs);
    }
    let changed = changed_keys(settings.partial.values(), again.partial.values());
    let waiting: Vec<&String> = changed.iter().filter(|key| !RELOADABLE.contains(&key.as_str())).collect();
    if waiting.is_empty() {
        tracing::info!(log_level = %again.config.log_level, "configuration reloaded");
    } else {
        tracing::warn!(log_level = %again.config.log_level, ?waiting, "configuration reloaded; these changed keys take effect at the next start");
    }
}

/// The paths of the keys whose values differ.
fn changed_keys(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    fn walk(prefix: &str, before: &Map<String, Value>, after: &Map<String, Value>, out: &mut Vec<String>) {
        for key in before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))) {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match (before.get(key), after.get(key)) {
                (before, after) if before == after => {}
                (old @ (None | Some(Value::Object(_))), new @ (None | Some(Value::Object(_)))) => {
                    let members = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
                    walk(&path, &members(old), &members(new), out);
                }
                _ => out.push(path),
            }
        }
    }
    let mut out = Vec::new();
    walk("", before, after, &mut out);
    out
}

async fn stop_client(client: Option<ClientHandle>, dev: bool) {
    if let Some(client) = client {
        // In development mode this ends all tasks; otherwise they go on and are taken up again at the next start.
        tracing::debug!(dev, "stopping client");
        client.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use drover_lang::config::parse;
    use drover_lang::diag::Source;

    use super::*;

    #[test]
    fn changed_keys_are_named_by_their_paths() {
        let read = |text: &str| parse(&Source::new("agent.hcl", text)).unwrap().partial;
        let before = read("log_level = \"INFO\"\nserver {\n  enabled = true\n  heartbeat_grace = \"10s\"\n}\n");
        let after = read("log_level = \"DEBUG\"\nserver {\n  enabled = true\n  num_schedulers = 4\n}\nname = \"x\"\n");
        let mut changed = changed_keys(before.values(), after.values());
        changed.sort();
        assert_eq!(changed, ["log_level", "name", "server.heartbeat_grace", "server.num_schedulers"]);
        assert!(changed_keys(before.values(), before.values()).is_empty());
    }

    #[test]
    fn what_a_plugin_block_denies_is_denied() {
        let file = r#"
            plugin "raw_exec" {
              config {
                enabled          = true
                denied_host_uids = "0,1000-2000"
                denied_envvars   = ["AWS_*"]
              }
            }
            plugin "exec" {
              config {
                allow_caps       = ["chown"]
                default_pid_mode = "host"
                denied_host_gids = "0"
              }
            }
        "#;
        let told = parse(&Source::new("agent.hcl", file)).unwrap().partial.typed().unwrap();
        let mut config = ClientConfig::default();
        plugins(&told.plugin, &mut config);
        assert!(config.raw_exec.enabled);
        assert_eq!(config.raw_exec.denied_host_uids, "0,1000-2000");
        assert_eq!(config.raw_exec.denied_envvars, ["AWS_*"]);
        assert_eq!(config.exec.allow_caps, ["chown"]);
        assert_eq!((config.exec.default_pid_mode.as_str(), config.exec.denied_host_gids.as_str()), ("host", "0"));
    }
}

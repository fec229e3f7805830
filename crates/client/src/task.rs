//! Bringing one task to run: its checks, directories, payload, environment and templates in order, then the driver.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drover_driver::{Driver, DriverError, FileSystemIsolation, LogSettings, StartError, TaskConfig, TaskHandle, TaskResources};
use drover_model::{Allocation, Task, TaskEventKind};
use drover_runner::environment::{Environment, Sources, VisibleDirectories};
use drover_runner::{Exit, LaunchFailure};
use serde_json::{Map, Value};

use crate::alloc_dir::AllocDir;
use crate::client::Shared;
use crate::link::LinkError;
use crate::{task_api, template};

/// How often a driver whose task it lost is asked to find it again before the task counts as gone.
const FIND_AGAIN_MAX: u32 = 3;

/// The file of a task's identity, in its directory of secrets.
const TOKEN_FILE: &str = "nomad_token";

/// The name a driver knows a task by.
pub(crate) fn driver_id(alloc: &Allocation, task: &str) -> String {
    format!("{}/{task}", alloc.id)
}

fn fatal(event: TaskEventKind) -> LaunchFailure {
    LaunchFailure { event, recoverable: false }
}

fn hook(name: &str, message: impl std::fmt::Display) -> LaunchFailure {
    fatal(TaskEventKind::HookFailed(format!("{name}: {message}")))
}

/// The directories as a task of this driver sees them.
fn visible(isolation: FileSystemIsolation, directory: &AllocDir, task: &str) -> VisibleDirectories {
    let own = directory.task(task);
    let text = |path: &Path| path.to_string_lossy().into_owned();
    match isolation {
        FileSystemIsolation::None | FileSystemIsolation::Unveil => {
            VisibleDirectories { alloc: text(&own.shared), local: text(&own.local), secrets: text(&own.secrets) }
        }
        FileSystemIsolation::Chroot | FileSystemIsolation::Image => {
            VisibleDirectories { alloc: "/alloc".to_owned(), local: "/local".to_owned(), secrets: "/secrets".to_owned() }
        }
    }
}

/// The environment of a task, or of the group when there is no task.
pub(crate) fn environment(shared: &Shared, alloc: &Allocation, task: Option<&Task>, templates: &BTreeMap<String, String>) -> Environment {
    let directory = AllocDir::new(&shared.config.alloc_dir, alloc.id);
    let driver = task.and_then(|task| shared.drivers.get(&task.driver));
    let capabilities = driver.map(|driver| driver.capabilities());
    let isolation = capabilities.as_ref().map_or(FileSystemIsolation::None, |found| found.file_system);
    let directories = match task {
        Some(task) => visible(isolation, &directory, &task.name),
        None => VisibleDirectories { alloc: directory.shared().to_string_lossy().into_owned(), ..VisibleDirectories::default() },
    };
    let inherits = capabilities.as_ref().is_some_and(|found| found.inherits_environment);
    let mut host = shared.host_environment.clone();
    let other_user =
        task.is_some_and(|task| !task.user.is_empty()) || capabilities.as_ref().is_some_and(|found| found.default_user.is_some());
    if other_user {
        for name in ["HOME", "USER", "LOGNAME"] {
            host.remove(name);
        }
    }
    let has_groups = shared.groups != drover_linux::cgroup::Version::Off;
    let node = shared.node();
    Environment::build(&Sources {
        alloc,
        task,
        node: &node,
        region: &shared.config.region,
        directories: &directories,
        host: inherits.then_some(&host),
        parent_cgroup: if has_groups && inherits { &node.cgroup_parent } else { "" },
        cgroups_v1: inherits && shared.groups == drover_linux::cgroup::Version::V1,
        hooks: &BTreeMap::new(),
        templates,
    })
}

fn interpolate(value: &Value, environment: &Environment) -> Value {
    match value {
        Value::String(text) => Value::String(environment.interpolate(text)),
        Value::Array(items) => Value::Array(items.iter().map(|item| interpolate(item, environment)).collect()),
        Value::Object(object) => {
            Value::Object(object.iter().map(|(key, value)| (environment.interpolate(key), interpolate(value, environment))).collect())
        }
        other => other.clone(),
    }
}

/// The words for everything that is wrong with a driver's settings.
fn validation_failure(problems: &[String]) -> String {
    let mut text = format!("{} errors occurred:\n\t* failed to parse config: \n", problems.len() + 1);
    for problem in problems {
        text.push_str("\t* ");
        text.push_str(problem);
        text.push('\n');
    }
    text.push('\n');
    text
}

fn validate(shared: &Shared, alloc: &Allocation, task: &Task, driver: &dyn Driver) -> Result<(), LaunchFailure> {
    let refused = shared.config.list_option("user.denylist").unwrap_or_else(|| vec!["root".to_owned(), "Administrator".to_owned()]);
    let checked = match shared.config.list_option("user.checked_drivers") {
        Some(list) => list.contains(&task.driver),
        None => driver.capabilities().checks_users,
    };
    if checked && refused.contains(&task.user) {
        return Err(hook("validate", format_args!("running as user \"{}\" is disallowed", task.user)));
    }
    if task.artifacts.as_ref().is_some_and(|artifacts| !artifacts.0.is_empty()) {
        return Err(fatal(TaskEventKind::FailedArtifactDownload(
            "failed to download artifact: artifacts are not supported by this version".to_owned(),
        )));
    }
    if task.vault.is_some() {
        return Err(hook("vault", "Vault is not supported by this version"));
    }
    let unsupported_mounts = task.volume_mounts.as_ref().is_some_and(|mounts| !mounts.0.is_empty());
    if unsupported_mounts {
        return Err(hook("volumes", "volumes are not supported by this version"));
    }
    if let Some(network) = alloc.resources.networks.iter().find(|network| !network.is_host()) {
        return Err(hook("network", format_args!("network mode \"{}\" is not supported by this version", network.mode)));
    }
    if task.log_config.disabled && !driver.capabilities().can_disable_logs {
        return Err(hook("logmon", format_args!("driver {} cannot run without logs", driver.name())));
    }
    if task.services.is_empty() {
        return Ok(());
    }
    let environment = environment(shared, alloc, Some(task), &BTreeMap::new());
    for service in &task.services {
        let name = environment.interpolate(&service.name);
        if !drover_model::service_name_is_valid(&name) {
            return Err(hook("validate", drover_runner::service::ServiceError::Name(name)));
        }
    }
    Ok(())
}

fn write_payload(alloc: &Allocation, task: &Task, directory: &AllocDir) -> Result<(), LaunchFailure> {
    let Some(payload) = &task.dispatch_payload else { return Ok(()) };
    if alloc.job.payload.is_empty() || payload.file.is_empty() {
        return Ok(());
    }
    let relative = Path::new(payload.file.trim_start_matches('/'));
    let plain = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !plain {
        return Err(hook("dispatch_payload", format_args!("file \"{}\" escapes the task directory", payload.file)));
    }
    let place = directory.task(&task.name).local.join(relative);
    let write = || -> std::io::Result<()> {
        if let Some(parent) = place.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&place, &alloc.job.payload)
    };
    write().map_err(|error| hook("dispatch_payload", format_args!("write {}: {error}", place.display())))
}

/// The identity of a task where its job asks for it: written to its file, and returned if its environment shall have it.
async fn identity(shared: &Shared, alloc: &Allocation, task: &Task, directory: &AllocDir) -> Result<Option<String>, LaunchFailure> {
    let Some(wanted) = task.identity.as_ref().filter(|identity| identity.env || identity.file) else { return Ok(None) };
    let signed = shared.link.task_identity(shared.node().id, alloc.id, task.name.clone()).await;
    let token = signed.map_err(|error| LaunchFailure {
        event: TaskEventKind::HookFailed(format!("identity: {error}")),
        recoverable: matches!(error, LinkError::Unreachable(_)),
    })?;
    if wanted.file {
        let own = directory.task(&task.name);
        let place = match wanted.filepath.as_str() {
            "" => own.secrets.join(TOKEN_FILE),
            path => below(&own.task, path).ok_or_else(|| hook("identity", format_args!("file \"{path}\" escapes the task directory")))?,
        };
        let user = environment(shared, alloc, Some(task), &BTreeMap::new()).interpolate(&task.user);
        write_token(&place, &token, &user).map_err(|error| hook("identity", format_args!("write {}: {error}", place.display())))?;
    }
    Ok(wanted.env.then_some(token))
}

/// Lets a task reach the API: for good, whatever is started again.
pub(crate) fn open_api(shared: &Shared, alloc: &Allocation, task: &Task) -> std::io::Result<()> {
    let directories = AllocDir::new(&shared.config.alloc_dir, alloc.id).task(&task.name);
    let user = match task.user.contains('$') {
        true => environment(shared, alloc, Some(task), &BTreeMap::new()).interpolate(&task.user),
        false => task.user.clone(),
    };
    shared.task_apis.open((alloc.id, &task.name), directories, &user, (&shared.clock, &shared.scope))
}

/// Where a path leads that must stay in a directory.
fn below(directory: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    relative.components().all(|part| matches!(part, std::path::Component::Normal(_))).then(|| directory.join(relative))
}

/// Only the task's user may read the token, where it has one (KEY-036).
fn write_token(place: &Path, token: &str, user: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    if let Some(parent) = place.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mode = if user.is_empty() { 0o644 } else { 0o600 };
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(place)?;
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.write_all(token.as_bytes())?;
    if !user.is_empty() && drover_linux::is_root() {
        let account = drover_linux::user::look_up(user).map_err(std::io::Error::other)?;
        drover_linux::path::set_owner(place, account.uid, account.gid)?;
    }
    Ok(())
}

/// Prepares and starts a task. `first` says that nothing of it was prepared before.
pub(crate) async fn launch(
    shared: Arc<Shared>,
    alloc: Arc<Allocation>,
    name: String,
    note: impl Fn(TaskEventKind) + Send + Sync,
    first: bool,
) -> Result<TaskHandle, LaunchFailure> {
    let Some(task) = alloc.task_group().and_then(|group| group.task(&name)) else {
        return Err(hook("validate", format_args!("task \"{name}\" is not in the job")));
    };
    let Some(driver) = shared.drivers.get(&task.driver) else {
        return Err(fatal(TaskEventKind::DriverFailure(format!("driver \"{}\" not found", task.driver))));
    };
    validate(&shared, &alloc, task, driver.as_ref())?;
    let directory = AllocDir::new(&shared.config.alloc_dir, alloc.id);
    if first {
        note(TaskEventKind::Setup("Building Task Directory".to_owned()));
        directory
            .create_task(&name)
            .map_err(|error| LaunchFailure { event: TaskEventKind::HookFailed(format!("task_dir: {error}")), recoverable: true })?;
        write_payload(&alloc, task, &directory)?;
    }
    let mut given: BTreeMap<String, String> = BTreeMap::new();
    if let Some(token) = identity(&shared, &alloc, task, &directory).await? {
        given.insert("NOMAD_TOKEN".to_owned(), token);
    }
    open_api(&shared, &alloc, task).map_err(|error| hook("api", format_args!("listen on {}: {error}", task_api::SOCKET)))?;
    if given.contains_key("NOMAD_TOKEN") {
        let isolation = driver.capabilities().file_system;
        let secrets = visible(isolation, &directory, &name).secrets;
        given.insert("NOMAD_UNIX_ADDR".to_owned(), format!("unix://{secrets}/{}", task_api::SOCKET));
    }
    let mut own = environment(&shared, &alloc, Some(task), &given);
    if !task.templates.is_empty() {
        let directories = directory.task(&name);
        let rendered = template::render_all(
            &task.templates,
            &directories.task,
            &directories.shared,
            &own,
            shared.clock.now().seconds(),
            shared.renderer.as_ref(),
        );
        let variables =
            rendered.map_err(|error| fatal(TaskEventKind::Killing { kill_timeout_ns: 0, reason: error.to_string(), fails_task: true }))?;
        if !variables.is_empty() {
            given.extend(variables);
            own = environment(&shared, &alloc, Some(task), &given);
        }
    }
    let mut config = Map::new();
    for (key, value) in task.config.iter().flat_map(|config| &config.0) {
        config.insert(key.clone(), value.as_ref().map_or(Value::Null, |value| interpolate(value, &own)));
    }
    driver.validate(&config).map_err(|problems| fatal(TaskEventKind::FailedValidation(validation_failure(&problems))))?;
    let given = alloc.resources.tasks.get(&name);
    let start = TaskConfig {
        id: driver_id(&alloc, &name),
        alloc_id: alloc.id.to_string(),
        task: name.clone(),
        user: own.interpolate(&task.user),
        config,
        env: own.variables().clone(),
        resources: given.map_or_else(TaskResources::default, |given| TaskResources {
            cpu_mhz: u64::from(given.cpu_mhz),
            memory_mb: u64::from(given.memory_mb),
            memory_max_mb: i64::from(given.memory_max_mb),
            reserved_cores: given.reserved_cores.clone(),
        }),
        directories: directory.task(&name),
        logs: (!task.log_config.disabled)
            .then_some(LogSettings { max_files: task.log_config.max_files, max_file_size_mb: u64::from(task.log_config.max_file_size_mb) }),
    };
    match driver.start(start).await {
        Ok(started) => Ok(started.handle),
        Err(StartError { message, recoverable }) => Err(LaunchFailure { event: TaskEventKind::DriverFailure(message), recoverable }),
    }
}

/// Waits for the end of a task and lets the driver forget it.
pub(crate) async fn wait(driver: Arc<dyn Driver>, id: String, handle: TaskHandle) -> Exit {
    let lost = |error: &DriverError| Exit { code: -1, message: format!("executor: {error}"), ..Exit::default() };
    for _ in 0..FIND_AGAIN_MAX {
        match driver.wait(id.clone()).await {
            Ok(result) => {
                // One that is gone already is as good as forgotten.
                drop(driver.destroy(id, true).await);
                return Exit {
                    code: result.code,
                    signal: result.signal,
                    out_of_memory: result.out_of_memory,
                    message: result.error.unwrap_or_default(),
                };
            }
            Err(DriverError::PluginShutdown) => {
                if let Err(error) = driver.recover(id.clone(), handle.clone()).await {
                    return lost(&error);
                }
            }
            Err(error) => return lost(&error),
        }
    }
    lost(&DriverError::PluginShutdown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_with_settings_read_as_recorded() {
        let problems = [
            "Missing required argument: The argument \"command\" is required, but no definition was found.".to_owned(),
            "Invalid label: No argument or block type is named \"bogus\".".to_owned(),
        ];
        assert_eq!(
            validation_failure(&problems),
            "3 errors occurred:\n\t* failed to parse config: \n\t* Missing required argument: The argument \"command\" is required, \
             but no definition was found.\n\t* Invalid label: No argument or block type is named \"bogus\".\n\n"
        );
    }
}

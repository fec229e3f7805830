//! `raw_exec`: a program of the host, as it is, with limits but no isolation.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

use crate::executor::{Executor, environment, first_program, launch_failure, text, user_of};
use crate::registry::Driver;
use crate::schema::{self, Field, Kind, optional, required};
use crate::shim::protocol::{Credentials, Launch};
use crate::task::{
    Capabilities, DriverError, ExecCommand, ExecInput, ExecOutput, ExitResult, FileSystemIsolation, Fingerprint, NetworkMode, StartError,
    Started, TaskConfig, TaskHandle, TaskState, TaskStats,
};

const NAME: &str = "raw_exec";

const FIELDS: &[Field] = &[
    required("command", Kind::Text),
    optional("args", Kind::Texts),
    optional("cgroup_v1_override", Kind::TextMap),
    optional("cgroup_v2_override", Kind::Text),
    optional("oom_score_adj", Kind::Integer),
    optional("work_dir", Kind::Text),
    optional("denied_envvars", Kind::Texts),
];

/// Settings of the driver itself, from the agent's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawExecConfig {
    pub enabled: bool,
    /// Ranges of user ids that tasks may not run as, such as `0,1000-2000`.
    pub denied_host_uids: String,
    pub denied_host_gids: String,
    /// Variables that tasks do not get; `*` at either end fits anything.
    pub denied_envvars: Vec<String>,
}

/// The driver.
#[derive(Debug)]
pub struct RawExec {
    config: RawExecConfig,
    executor: Arc<Executor>,
}

impl RawExec {
    /// The driver on an executor.
    pub fn new(config: RawExecConfig, executor: Arc<Executor>) -> Self {
        Self { config, executor }
    }

    fn prepare(&self, task: &TaskConfig) -> Result<Launch, StartError> {
        let invalid = |problems: Vec<String>| StartError::fatal(format!("failed driver config validation: {}", problems.join("; ")));
        let settings = schema::decode(&task.config, FIELDS).map_err(invalid)?;
        let command = settings.text("command").unwrap_or_default();
        let user = if task.user.is_empty() { None } else { Some(user_of(&task.user)?) };
        if let Some(user) = &user {
            check_denied(&self.config, user.uid, user.gid)?;
        }
        if settings.integer("oom_score_adj").is_some_and(|score| score < 0) {
            return Err(invalid(vec!["oom_score_adj must not be negative".to_owned()]));
        }
        let directory = match settings.text("work_dir") {
            None | Some("") => task.directories.task.clone(),
            Some(path) if Path::new(path).is_absolute() => PathBuf::from(path),
            Some(path) => return Err(invalid(vec![format!("work_dir must be absolute but got relative path \"{path}\"")])),
        };
        let program = self.find(command, task)?;
        let mut group = self.executor.group(task);
        if let Some(group) = &mut group {
            let v1: Vec<String> = settings
                .text_map("cgroup_v1_override")
                .map(|(controller, path)| format!("/sys/fs/cgroup/{controller}/{}/cgroup.procs", path.trim_matches('/')))
                .collect();
            let v2 = settings.text("cgroup_v2_override").filter(|path| !path.is_empty());
            group.instead = match v2 {
                Some(path) if group.version == 2 => vec![format!("/sys/fs/cgroup/{}/cgroup.procs", path.trim_matches('/'))],
                _ if group.version == 1 => v1,
                _ => Vec::new(),
            };
        }
        let denied: Vec<&str> = self.config.denied_envvars.iter().chain(settings.texts("denied_envvars")).map(String::as_str).collect();
        let mut env = environment(task, user.as_ref());
        env.retain(|entry| {
            let name = entry.split_once('=').map_or(entry.as_str(), |(name, _)| name);
            !denied.iter().any(|pattern| glob(pattern, name))
        });
        let mut args = vec![command.to_owned()];
        args.extend_from_slice(settings.texts("args"));
        Ok(Launch {
            token: String::new(),
            program: text(&program),
            args,
            env,
            directory: text(&directory),
            logs: Executor::logs(task),
            socket: String::new(),
            record: String::new(),
            durable: false,
            orphan_limit_ms: 0,
            group,
            isolation: None,
            credentials: user.map(|user| Credentials { uid: user.uid, gid: user.gid, groups: user.groups }),
            capabilities: None,
            oom_score_adj: settings.integer("oom_score_adj").and_then(|score| i32::try_from(score).ok()).filter(|score| *score > 0),
        })
    }

    /// Where the command lies: in the task's directory, as an absolute path, or on the agent's path.
    fn find(&self, command: &str, task: &TaskConfig) -> Result<PathBuf, StartError> {
        let relative = Path::new(command);
        let own = [task.directories.local.join(relative), task.directories.task.join(relative)];
        let found = if relative.is_absolute() {
            first_program([relative.to_owned()])
        } else {
            first_program(own).or_else(|| {
                let path = task.env.get("PATH").cloned().or_else(|| std::env::var("PATH").ok()).unwrap_or_default();
                let bare = !command.contains('/');
                first_program(path.split(':').filter(|_| bare).map(|directory| Path::new(directory).join(command)))
            })
        };
        found.ok_or_else(|| StartError::fatal(launch_failure(&format!("binary \"{command}\" could not be found"))))
    }
}

fn check_denied(config: &RawExecConfig, uid: u32, gid: u32) -> Result<(), StartError> {
    let denied = |what: &str, id: u32| StartError::fatal(format!("failed driver config validation: running as {what} {id} is disallowed"));
    if in_ranges(&config.denied_host_uids, uid) {
        return Err(denied("uid", uid));
    }
    if in_ranges(&config.denied_host_gids, gid) {
        return Err(denied("gid", gid));
    }
    Ok(())
}

/// Whether a number lies in ranges such as `0,1000-2000`.
pub(crate) fn in_ranges(ranges: &str, id: u32) -> bool {
    ranges.split(',').any(|range| match range.trim().split_once('-') {
        Some((first, last)) => {
            let (first, last) = (first.trim().parse::<u32>(), last.trim().parse::<u32>());
            matches!((first, last), (Ok(first), Ok(last)) if (first..=last).contains(&id))
        }
        None => range.trim().parse::<u32>() == Ok(id),
    })
}

/// Whether a name fits a pattern with `*` at its start, its end or both.
pub(crate) fn glob(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (None, None) => pattern == name,
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (Some(_), Some(_)) => name.contains(pattern.trim_matches('*')),
    }
}

impl Driver for RawExec {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            send_signals: true,
            exec: true,
            file_system: FileSystemIsolation::None,
            network: &[NetworkMode::Host, NetworkMode::Group],
            mounts: false,
            must_create_network: false,
            dynamic_users: false,
            can_disable_logs: true,
            inherits_environment: true,
            default_user: None,
            checks_users: false,
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        if self.config.enabled { Fingerprint::healthy(NAME) } else { Fingerprint::undetected("disabled") }
    }

    fn schema(&self) -> &'static [Field] {
        FIELDS
    }

    fn start(&self, task: TaskConfig) -> BoxFuture<'_, Result<Started, StartError>> {
        async move {
            let launch = self.prepare(&task)?;
            self.executor.start(NAME, task.id, launch).await
        }
        .boxed()
    }

    fn confirm(&self, id: String) -> BoxFuture<'_, ()> {
        async move { self.executor.confirm(&id).await }.boxed()
    }

    fn recover(&self, id: String, handle: TaskHandle) -> BoxFuture<'_, Result<(), DriverError>> {
        self.executor.recover(id, handle).boxed()
    }

    fn wait(&self, id: String) -> BoxFuture<'_, Result<ExitResult, DriverError>> {
        async move { self.executor.wait(&id).await }.boxed()
    }

    fn stop(&self, id: String, signal: i32, timeout: Duration) -> BoxFuture<'_, Result<(), DriverError>> {
        async move { self.executor.stop(&id, signal, timeout).await }.boxed()
    }

    fn destroy(&self, id: String, force: bool) -> BoxFuture<'_, Result<(), DriverError>> {
        async move { self.executor.destroy(&id, force).await }.boxed()
    }

    fn inspect(&self, id: &str) -> Result<TaskState, DriverError> {
        self.executor.inspect(id)
    }

    fn signal(&self, id: String, signal: i32) -> BoxFuture<'_, Result<(), DriverError>> {
        async move { self.executor.signal(&id, signal).await }.boxed()
    }

    fn stats(&self, id: &str) -> Result<TaskStats, DriverError> {
        self.executor.stats(id)
    }

    fn exec(
        &self,
        id: String,
        command: ExecCommand,
        input: mpsc::Receiver<ExecInput>,
    ) -> BoxFuture<'_, Result<BoxStream<'static, ExecOutput>, DriverError>> {
        async move { self.executor.exec(&id, command, input).await }.boxed()
    }

    fn clear(&self) -> bool {
        self.executor.clear()
    }

    fn warm_up(&self) {
        if self.config.enabled {
            self.executor.warm_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor;

    #[test]
    fn patterns_and_ranges_fit_what_they_should() {
        assert!(glob("AWS_*", "AWS_KEY") && !glob("AWS_*", "MY_AWS_KEY"));
        assert!(glob("*_KEY", "AWS_KEY") && glob("*WS*", "AWS_KEY") && glob("A", "A") && !glob("A", "AB"));
        assert!(in_ranges("0,10-20", 15) && in_ranges("0", 0) && !in_ranges("0,10-20", 5) && !in_ranges("", 0));
        assert!(executor::is_program(Path::new("/bin/sh")) && !executor::is_program(Path::new("/bin")));
    }
}

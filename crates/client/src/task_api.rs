//! The task API: a socket in each task's directory of secrets, over which it asks the API of its own agent.
//!
//! This module listens and hands connections on; who answers them holds every request to a token. A socket is there from before its task
//! starts until the task is dead, across restarts of the task, and is made anew when the agent takes a running task up again.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drover_base::AllocId;
use drover_driver::TaskDirectories;
use drover_rt::{CancellationToken, Clock, TaskScope};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// The name of the socket.
pub(crate) const SOCKET: &str = "api.sock";
/// Connections of one task at the same time; the kernel keeps further ones waiting.
const CONNECTIONS_MAX: usize = 100;
/// Connections that wait to be taken over; then no more are accepted for the moment.
const WAITING_MAX: usize = 64;
/// The pause after a failed accept, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A task that has connected.
#[derive(Debug)]
pub struct TaskConnection {
    /// The connection.
    pub stream: UnixStream,
    /// Cancelled when the task is over.
    pub over: CancellationToken,
    /// Held for as long as the connection counts.
    pub slot: OwnedSemaphorePermit,
}

/// The sockets of all tasks.
#[derive(Debug)]
pub(crate) struct TaskApis {
    open: Mutex<BTreeMap<(AllocId, String), Listening>>,
    connections: mpsc::Sender<TaskConnection>,
    taken: Mutex<Option<mpsc::Receiver<TaskConnection>>>,
}

/// A socket that is listened on, and where.
#[derive(Debug)]
struct Listening {
    stop: CancellationToken,
    directories: TaskDirectories,
}

impl TaskApis {
    pub(crate) fn new() -> Self {
        let (connections, queue) = mpsc::channel(WAITING_MAX);
        Self { open: Mutex::default(), connections, taken: Mutex::new(Some(queue)) }
    }

    /// What tasks connect, for whoever answers them: once.
    pub(crate) fn take(&self) -> Option<mpsc::Receiver<TaskConnection>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn sockets(&self) -> std::sync::MutexGuard<'_, BTreeMap<(AllocId, String), Listening>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens for a task, unless that is so already and its socket is still there. Only `user` may connect, if one is named.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(crate) fn open(
        &self,
        (alloc, task): (AllocId, &str),
        directories: TaskDirectories,
        user: &str,
        (clock, scope): (&Clock, &TaskScope),
    ) -> io::Result<()> {
        let key = (alloc, task.to_owned());
        let found = std::fs::symlink_metadata(directories.secrets.join(SOCKET));
        if found.is_ok_and(|found| found.file_type().is_socket()) && self.sockets().contains_key(&key) {
            return Ok(());
        }
        // That there is no such user is for the driver to say; until then nobody else may connect.
        let named = (drover_linux::is_root() && !user.is_empty()).then(|| drover_linux::user::look_up(user).ok());
        let owner = named.flatten().map(|account| (account.uid, account.gid));
        let mode = if user.is_empty() { 0o666 } else { 0o600 };
        let listener = drover_linux::socket::listen_in(&directories.secrets, SOCKET, mode, owner)?;
        let listener = UnixListener::from_std(listener)?;
        let stop = scope.stop_token().child_token();
        scope.spawn_until_stop("task api", accept(listener, stop.clone(), self.connections.clone(), clock.clone()));
        if let Some(before) = self.sockets().insert(key, Listening { stop, directories }) {
            before.stop.cancel();
        }
        Ok(())
    }

    /// Stops listening for a task, ends its connections and removes its socket.
    pub(crate) fn close(&self, alloc: AllocId, task: &str) {
        if let Some(listening) = self.sockets().remove(&(alloc, task.to_owned())) {
            listening.stop.cancel();
            if let Err(error) = drover_linux::socket::remove_in(&listening.directories.secrets, SOCKET) {
                tracing::debug!(alloc_id = %alloc, task, %error, "the socket of a task could not be removed");
            }
        }
    }
}

async fn accept(listener: UnixListener, stop: CancellationToken, connections: mpsc::Sender<TaskConnection>, clock: Clock) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accepting = async {
        while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    if connections.send(TaskConnection { stream, over: stop.clone(), slot }).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "accept a connection of a task");
                    clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = accepting => {}
    }
}

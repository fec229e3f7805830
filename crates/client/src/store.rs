//! What a client remembers across restarts: its allocations, their tasks and handles, and what the servers acknowledged.
//!
//! In development mode it is memory. Otherwise one file, written by one thread that commits everything which arrived meanwhile at once;
//! a write is over when it is on the disk. A record that cannot be read is lost alone, with a warning.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use drover_base::AllocId;
use drover_driver::TaskHandle;
use drover_model::{AllocUpdate, Allocation, DeploymentHealth, TaskState};
use minicbor::{Decode, Encode};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::{Value, json};
use tokio::sync::oneshot;

const ALLOCS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("allocs");
const STATES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("states");
/// The file in the state directory.
const FILE: &str = "state.redb";
/// Writes waiting for the thread; a writer that finds it full waits.
const WRITES_MAX: usize = 1024;

/// The changing part of what is remembered about an allocation.
#[derive(Debug, Clone, Default, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct StoredState {
    #[n(0)]
    pub tasks: BTreeMap<String, TaskState>,
    #[n(1)]
    pub handles: BTreeMap<String, TaskHandle>,
    #[n(2)]
    pub health: Option<DeploymentHealth>,
    /// The last update that the servers acknowledged.
    #[n(3)]
    pub acknowledged: Option<AllocUpdate>,
    #[n(4)]
    #[cbor(default)]
    pub checks: BTreeMap<String, StoredCheck>,
    /// Preparations of tasks that need not be repeated.
    #[n(5)]
    #[cbor(default)]
    pub prepared: Vec<String>,
}

/// The last result of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct StoredCheck {
    #[n(0)]
    pub status: String,
    #[n(1)]
    pub output: String,
    #[n(2)]
    pub status_code: u16,
    /// Seconds since the Unix epoch.
    #[n(3)]
    pub at: i64,
}

/// An allocation as it was remembered.
#[derive(Debug, Clone)]
pub struct Remembered {
    pub alloc: Arc<Allocation>,
    /// None when nothing of its tasks was stored.
    pub state: Option<StoredState>,
}

/// Why the store could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("open client state {}: another agent uses it", path.display())]
    InUse { path: PathBuf },
    #[error("open client state {}", path.display())]
    Open { path: PathBuf, source: Box<redb::Error> },
    #[error("read client state")]
    Read(#[source] Box<redb::Error>),
    #[error("write client state: {0}")]
    Write(String),
}

enum Write {
    Put { table: Table, key: AllocId, bytes: Vec<u8>, done: oneshot::Sender<Result<(), String>> },
    Remove { key: AllocId, done: oneshot::Sender<Result<(), String>> },
}

#[derive(Clone, Copy)]
enum Table {
    Allocs,
    States,
}

/// What the client remembers in a directory, for people.
///
/// # Errors
/// When there is nothing, another agent uses it, or it cannot be read.
pub fn told(directory: &Path) -> std::io::Result<Value> {
    if !directory.join(FILE).is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::NotFound, "there is no client state"));
    }
    let (store, remembered) = Store::open(directory).map_err(|error| std::io::Error::other(error.to_string()))?;
    let mut allocs = serde_json::Map::new();
    for one in remembered {
        let state = one.state.unwrap_or_default();
        let tasks: serde_json::Map<String, Value> = state
            .tasks
            .iter()
            .map(|(name, task)| {
                let handle = state.handles.get(name).map(|handle| format!("{handle:?}"));
                (name.clone(), json!({ "State": task.status.text(), "Failed": task.failed, "Restarts": task.restarts, "Handle": handle }))
            })
            .collect();
        let alloc = json!({
            "ID": one.alloc.id.to_string(), "JobID": one.alloc.job.id.id, "Namespace": one.alloc.job.id.namespace,
            "JobVersion": one.alloc.job.version,
        });
        let health = state.health.map(|health| json!({ "Healthy": health.healthy, "Timestamp": health.time.rfc3339() }));
        allocs.insert(one.alloc.id.to_string(), json!({ "Alloc": alloc, "DeployStatus": health, "Tasks": tasks }));
    }
    drop(store);
    Ok(json!({ "Allocations": allocs, "NodeIdentity": "" }))
}

/// The client's memory.
#[derive(Clone)]
pub struct Store {
    writer: Option<std::sync::mpsc::SyncSender<Write>>,
    path: PathBuf,
    /// Joined when the last handle goes, so that the file is closed by then.
    thread: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).field("durable", &self.writer.is_some()).finish_non_exhaustive()
    }
}

impl Store {
    /// A store that forgets everything.
    pub fn in_memory() -> Self {
        Self { writer: None, path: PathBuf::new(), thread: Arc::default() }
    }

    /// Opens the file in the state directory and reads what is in it.
    pub fn open(state_dir: &Path) -> Result<(Self, Vec<Remembered>), StoreError> {
        let path = state_dir.join(FILE);
        let database = match Database::create(&path) {
            Ok(database) => database,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Err(StoreError::InUse { path }),
            Err(error) => return Err(StoreError::Open { path, source: Box::new(error.into()) }),
        };
        let remembered = read_all(&database).map_err(|error| StoreError::Read(Box::new(error)))?;
        let (writer, writes) = std::sync::mpsc::sync_channel(WRITES_MAX);
        let thread = std::thread::Builder::new()
            .name("client store".to_owned())
            .spawn(move || write_loop(&database, &writes))
            .map_err(|error| StoreError::Write(format!("start the writer: {error}")))?;
        Ok((Self { writer: Some(writer), path, thread: Arc::new(Mutex::new(Some(thread))) }, remembered))
    }

    /// Whether anything is remembered at all.
    pub fn is_durable(&self) -> bool {
        self.writer.is_some()
    }

    /// Remembers the allocation itself.
    pub async fn put_alloc(&self, alloc: &Allocation) -> Result<(), StoreError> {
        if self.writer.is_none() {
            return Ok(());
        }
        let bytes = minicbor::to_vec(alloc).map_err(|error| StoreError::Write(error.to_string()))?;
        self.write(|done| Write::Put { table: Table::Allocs, key: alloc.id, bytes, done }).await
    }

    /// Remembers how it stands.
    pub async fn put_state(&self, id: AllocId, state: &StoredState) -> Result<(), StoreError> {
        if self.writer.is_none() {
            return Ok(());
        }
        let bytes = minicbor::to_vec(state).map_err(|error| StoreError::Write(error.to_string()))?;
        self.write(|done| Write::Put { table: Table::States, key: id, bytes, done }).await
    }

    /// Forgets an allocation.
    pub async fn remove(&self, id: AllocId) -> Result<(), StoreError> {
        if self.writer.is_none() {
            return Ok(());
        }
        self.write(|done| Write::Remove { key: id, done }).await
    }

    async fn write(&self, make: impl FnOnce(oneshot::Sender<Result<(), String>>) -> Write) -> Result<(), StoreError> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let (done, written) = oneshot::channel();
        let mut pending = make(done);
        loop {
            match writer.try_send(pending) {
                Ok(()) => break,
                Err(std::sync::mpsc::TrySendError::Full(back)) => {
                    pending = back;
                    tokio::task::yield_now().await;
                }
                Err(std::sync::mpsc::TrySendError::Disconnected(_)) => {
                    return Err(StoreError::Write("the writer has stopped".to_owned()));
                }
            }
        }
        match written.await {
            Ok(result) => result.map_err(StoreError::Write),
            Err(_) => Err(StoreError::Write("the writer has stopped".to_owned())),
        }
    }

    /// Waits until the file is closed. Every other handle must be gone by then.
    pub fn close(self) {
        let Self { writer, thread, .. } = self;
        drop(writer);
        let handle = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle
            && handle.join().is_err()
        {
            tracing::error!("the writer of the client state panicked");
        }
    }
}

fn read_all(database: &Database) -> Result<Vec<Remembered>, redb::Error> {
    // Tables are made here, so that reading an empty file is no special case.
    let transaction = database.begin_write()?;
    transaction.open_table(ALLOCS)?;
    transaction.open_table(STATES)?;
    transaction.commit()?;
    let transaction = database.begin_read()?;
    let (allocs, states) = (transaction.open_table(ALLOCS)?, transaction.open_table(STATES)?);
    let mut remembered = Vec::new();
    for entry in allocs.iter()? {
        let (key, value) = entry?;
        let alloc: Allocation = match minicbor::decode(value.value()) {
            Ok(alloc) => alloc,
            Err(error) => {
                tracing::warn!(alloc_id = %shown(key.value()), %error, "stored allocation is unreadable and was forgotten");
                continue;
            }
        };
        let state = match states.get(key.value())?.map(|bytes| minicbor::decode::<StoredState>(bytes.value())) {
            None => None,
            Some(Ok(state)) => Some(state),
            Some(Err(error)) => {
                tracing::warn!(alloc_id = %alloc.id, %error, "stored state of an allocation is unreadable and was forgotten");
                None
            }
        };
        remembered.push(Remembered { alloc: Arc::new(alloc), state });
    }
    Ok(remembered)
}

fn shown(key: &[u8]) -> String {
    match <[u8; 16]>::try_from(key) {
        Ok(bytes) => AllocId::from_bytes(bytes).to_string(),
        Err(_) => format!("{key:x?}"),
    }
}

fn write_loop(database: &Database, writes: &std::sync::mpsc::Receiver<Write>) {
    while let Ok(first) = writes.recv() {
        let mut batch = vec![first];
        while batch.len() < WRITES_MAX
            && let Ok(more) = writes.try_recv()
        {
            batch.push(more);
        }
        let result = commit(database, &batch).map_err(|error| error.to_string());
        for write in batch {
            let (Write::Put { done, .. } | Write::Remove { done, .. }) = write;
            // Whoever asked may be gone.
            drop(done.send(result.clone()));
        }
    }
}

fn commit(database: &Database, batch: &[Write]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut allocs = transaction.open_table(ALLOCS)?;
        let mut states = transaction.open_table(STATES)?;
        for write in batch {
            match write {
                Write::Put { table, key, bytes, .. } => {
                    let table = match table {
                        Table::Allocs => &mut allocs,
                        Table::States => &mut states,
                    };
                    table.insert(key.as_bytes().as_slice(), bytes.as_slice())?;
                }
                Write::Remove { key, .. } => {
                    allocs.remove(key.as_bytes().as_slice())?;
                    states.remove(key.as_bytes().as_slice())?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use drover_macros::proves;

    fn alloc(number: u128) -> Allocation {
        Allocation {
            id: AllocId::from_random(number),
            job: Arc::new(drover_model::Job::default()),
            group: "g".to_owned(),
            index: 0,
            node_id: drover_base::NodeId::NIL,
            eval_id: drover_base::EvalId::NIL,
            resources: Arc::new(drover_model::AllocatedResources::default()),
            desired: drover_model::DesiredStatus::Run,
            transition: drover_model::DesiredTransition::default(),
            client_status: drover_model::ClientStatus::Pending,
            deployment: None,
            canary: false,
            health_wanted: false,
            previous: None,
            create_index: 1,
            alloc_modify_index: 1,
            create_time: drover_base::WallTime::ZERO,
            node_name: String::new(),
        }
    }

    #[proves("CLI-055", "CLI-061")]
    #[tokio::test]
    async fn what_is_written_is_there_again_and_one_bad_record_spoils_no_other() {
        let root = tempfile::tempdir().expect("directory");
        let (store, found) = Store::open(root.path()).expect("open");
        assert!(found.is_empty());
        assert!(matches!(Store::open(root.path()), Err(StoreError::InUse { .. })));
        let state = StoredState {
            tasks: BTreeMap::from([("web".to_owned(), TaskState { restarts: 3, ..TaskState::default() })]),
            handles: BTreeMap::from([("web".to_owned(), TaskHandle { driver: "raw_exec".to_owned(), version: 1, state: vec![1, 2] })]),
            ..StoredState::default()
        };
        for number in 1..=3 {
            store.put_alloc(&alloc(number)).await.expect("put");
            store.put_state(alloc(number).id, &state).await.expect("put");
        }
        store.remove(alloc(3).id).await.expect("remove");
        store.close();
        {
            let database = Database::create(root.path().join("state.redb")).expect("open");
            let transaction = database.begin_write().expect("write");
            let mut table = transaction.open_table(ALLOCS).expect("table");
            table.insert(alloc(2).id.as_bytes().as_slice(), [0xff].as_slice()).expect("insert");
            drop(table);
            transaction.commit().expect("commit");
        }
        let (_store, found) = Store::open(root.path()).expect("open");
        assert_eq!(found.len(), 1);
        assert_eq!(*found[0].alloc, alloc(1));
        assert_eq!(found[0].state.as_ref(), Some(&state));
    }
}

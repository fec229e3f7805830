//! The state machine behind consensus: what is replicated supplies it, this adapts it to openraft.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use drover_rt::Disk;
use drover_rt::disk::{read_all, replace};
use futures::{Stream, TryStreamExt};
use minicbor::{Decode, Encode};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};

use crate::codec::{StoredLogId, StoredMembers};
use crate::types::{LogId, Refusal, Reply, StoredMembership, Types};

/// The machine cannot go on: it met an entry it does not know, or its snapshot is damaged.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MachineError(pub String);

/// Replicated state.
pub trait Machine: Send + Sync + 'static {
    /// Applies the command at `index`. Entries come in order, each once.
    ///
    /// # Errors
    /// Only when this server must stop, before anything was changed: the entry is of a kind it does not know (RFT-003).
    fn apply(&self, index: u64, command: &[u8]) -> Result<Result<(), Refusal>, MachineError>;
    /// Passes over an entry without a command.
    fn skip(&self, index: u64);
    /// The index that callers are told for an entry that was applied last; a machine that was restored may count from elsewhere.
    fn shown(&self, index: u64) -> u64 {
        index
    }
    /// The bytes of the state as it is now; may take its time.
    fn snapshot(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send>;
    /// Replaces the state.
    ///
    /// # Errors
    /// When the bytes are damaged or of a newer build.
    fn restore(&self, bytes: &[u8]) -> Result<(), MachineError>;
}

/// The header of a stored snapshot.
#[derive(Clone, Debug, Encode, Decode)]
struct Header {
    #[n(0)]
    format: u32,
    #[n(1)]
    last: Option<StoredLogId>,
    #[n(2)]
    members: StoredMembers,
    #[n(3)]
    length: u64,
    #[n(4)]
    checksum: u32,
}

const FORMAT: u32 = 1;
/// The largest snapshot that is read.
const SNAPSHOT_MAX: u64 = 16 << 30;

/// A snapshot's bytes, shared by who writes them and who sends them.
pub(crate) type SnapshotData = Arc<Vec<u8>>;
type Meta = openraft::alias::SnapshotMetaOf<Types>;
type Snapshot = openraft::alias::SnapshotOf<Types, SnapshotData>;

#[derive(Default)]
struct Progress {
    last: Option<LogId>,
    members: StoredMembership,
    /// The newest snapshot; its bytes are on disk, if there is one, else here.
    snapshot: Option<(Meta, Option<Arc<Vec<u8>>>)>,
}

/// openraft's view of a [`Machine`].
#[derive(Clone)]
pub(crate) struct Adapter {
    machine: Arc<dyn Machine>,
    progress: Arc<Mutex<Progress>>,
    store: Option<Arc<SnapshotStore>>,
}

struct SnapshotStore {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
}

impl SnapshotStore {
    fn path(&self) -> PathBuf {
        self.directory.join("snapshot")
    }

    fn save(&self, meta: &Meta, bytes: &[u8]) -> io::Result<()> {
        let header = Header {
            format: FORMAT,
            last: meta.last_log_id.map(StoredLogId::of),
            members: StoredMembers::of(*meta.last_membership.log_id(), meta.last_membership.membership()),
            length: bytes.len() as u64,
            checksum: crc32fast::hash(bytes),
        };
        let mut file = minicbor::to_vec(&header).map_err(io::Error::other)?;
        let mut out = u32::try_from(file.len()).map_err(io::Error::other)?.to_le_bytes().to_vec();
        out.append(&mut file);
        out.extend_from_slice(bytes);
        replace(self.disk.as_ref(), &self.path(), &out)
    }

    fn load(&self) -> io::Result<Option<(Meta, Vec<u8>)>> {
        let path = self.path();
        if !self.disk.exists(&path) {
            return Ok(None);
        }
        let damaged = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("snapshot {} is damaged: {why}", path.display()));
        let bytes = read_all(self.disk.open(&path)?.as_ref(), SNAPSHOT_MAX)?;
        let size = bytes.first_chunk::<4>().map(|size| u32::from_le_bytes(*size) as usize).ok_or_else(|| damaged("too short"))?;
        let header: Header = bytes.get(4..4 + size).and_then(|header| minicbor::decode(header).ok()).ok_or_else(|| damaged("no header"))?;
        if header.format > FORMAT {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("snapshot {} has format {}, this build reads up to {FORMAT}; run a newer build", path.display(), header.format),
            ));
        }
        let body = &bytes[4 + size..];
        if body.len() as u64 != header.length || crc32fast::hash(body) != header.checksum {
            return Err(damaged("its checksum does not match"));
        }
        let meta = Meta { last_log_id: header.last.map(StoredLogId::log_id), last_membership: header.members.stored() };
        Ok(Some((meta, body.to_vec())))
    }
}

/// The newest snapshot of a directory: its last entry, that one's term, and the bytes of the state.
pub(crate) fn stored_snapshot(disk: Arc<dyn Disk>, directory: &Path) -> io::Result<Option<(u64, u64, Vec<u8>)>> {
    let store = SnapshotStore { disk, directory: directory.to_owned() };
    let found = store.load()?.map(|(meta, bytes)| {
        let last = meta.last_log_id.map(StoredLogId::of);
        (last.map_or(0, |last| last.index), last.map_or(0, |last| last.term), bytes)
    });
    Ok(found)
}

impl Adapter {
    pub(crate) fn in_memory(machine: Arc<dyn Machine>) -> Self {
        Self { machine, progress: Arc::default(), store: None }
    }

    /// Restores the newest snapshot of a directory.
    pub(crate) fn on_disk(machine: Arc<dyn Machine>, disk: Arc<dyn Disk>, directory: &Path) -> io::Result<Self> {
        disk.create_dir(directory)?;
        let store = SnapshotStore { disk, directory: directory.to_owned() };
        let mut progress = Progress::default();
        if let Some((meta, bytes)) = store.load()? {
            machine.restore(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.0))?;
            progress.last = meta.last_log_id;
            progress.members = meta.last_membership.clone();
            progress.snapshot = Some((meta, None));
        }
        Ok(Self { machine, progress: Arc::new(Mutex::new(progress)), store: Some(Arc::new(store)) })
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, meta: &Meta, bytes: Arc<Vec<u8>>) -> io::Result<()> {
        let kept = match &self.store {
            Some(store) => {
                store.save(meta, &bytes)?;
                None
            }
            None => Some(bytes),
        };
        self.progress().snapshot = Some((meta.clone(), kept));
        Ok(())
    }
}

impl RaftSnapshotBuilder<Types> for Adapter {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        // The state and where it stands are taken together: apply runs on the same task as this call begins.
        let (meta, encode) = {
            let progress = self.progress();
            (Meta { last_log_id: progress.last, last_membership: progress.members.clone() }, self.machine.snapshot())
        };
        let bytes = Arc::new(encode());
        self.keep(&meta, Arc::clone(&bytes))?;
        Ok(Snapshot { meta, snapshot: bytes })
    }
}

impl RaftStateMachine<Types> for Adapter {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let progress = self.progress();
        Ok((progress.last, progress.members.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let index = entry.log_id.index;
            let mut progress = self.progress();
            let result = match entry.payload {
                EntryPayload::Normal(command) => {
                    self.machine.apply(index, &command.0).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.0))?
                }
                EntryPayload::Blank => {
                    self.machine.skip(index);
                    Ok(())
                }
                EntryPayload::Membership(members) => {
                    progress.members = StoredMembership::new(Some(entry.log_id), members);
                    self.machine.skip(index);
                    Ok(())
                }
            };
            progress.last = Some(entry.log_id);
            drop(progress);
            if let Some(responder) = responder {
                responder.send(Reply { index: self.machine.shown(index), result });
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &Meta, snapshot: SnapshotData) -> Result<(), io::Error> {
        self.machine.restore(&snapshot).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.0))?;
        {
            let mut progress = self.progress();
            progress.last = meta.last_log_id;
            progress.members = meta.last_membership.clone();
        }
        self.keep(meta, snapshot)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let kept = self.progress().snapshot.clone();
        match (kept, &self.store) {
            (Some((meta, Some(bytes))), _) => Ok(Some(Snapshot { meta, snapshot: bytes })),
            (Some(_), Some(store)) => Ok(store.load()?.map(|(meta, bytes)| Snapshot { meta, snapshot: Arc::new(bytes) })),
            _ => Ok(None),
        }
    }
}

//! The log: segments of checksummed frames, one sync per group of entries, entries since the last snapshot also in memory.
//!
//! A frame is `length, crc, segment, index, term, kind, payload`. The segment number in every frame keeps old bytes of a
//! recycled file from being taken for entries. Space is zeroed before it is used, because a block that was written once
//! needs no metadata change at a sync. What a crash tore off at the end is cut; damage before intact frames is refused.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use drover_rt::disk::{read_all, replace};
use drover_rt::{Disk, DiskFile};
use minicbor::{Decode, Encode};
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend, RaftLogReader};

use crate::codec::{StoredLogId, StoredMembers, StoredVote, log_id};
use crate::types::{Entry, LogEntry, LogId, Types, Vote};

mod frame;
#[cfg(test)]
mod tests;
mod writer;

use frame::{Frame, HEADER, Kind};
use writer::{Batch, Write, Writer};

/// A way to break the log on purpose, so that the simulation can show that it would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedBug {
    /// Acknowledges without having synced.
    LostSync,
}

/// Sizes of the log on disk.
#[derive(Clone, Debug)]
pub struct DiskLogOptions {
    /// A new segment begins after so many bytes.
    pub segment_bytes: u64,
    /// So many bytes are zeroed ahead of use.
    pub prefill_bytes: u64,
    /// A bug to plant.
    pub planted: Option<PlantedBug>,
}

impl Default for DiskLogOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, prefill_bytes: 1 << 20, planted: None }
    }
}

/// The largest entry that is written or read.
pub(crate) const ENTRY_MAX: usize = 64 << 20;
/// Bytes of entries that are kept in memory; older ones are read from the disk when somebody asks for them.
const KEPT_IN_MEMORY_MAX: usize = 1 << 20;
/// The largest vote file that is read.
const STATE_MAX: u64 = 64 << 10;

/// The log on disk cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Damage that a crash cannot explain.
    #[error(
        "raft log {} is damaged at byte {at}, before {intact} intact entries; restore data_dir from a copy or from another server",
        path.display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where.
        at: u64,
        /// Entries behind it that are intact.
        intact: usize,
    },
    /// Entries are missing.
    #[error("raft log misses entries {from} to {to}; restore data_dir from a copy or from another server")]
    Gap {
        /// The first that is missing.
        from: u64,
        /// The last that is missing.
        to: u64,
    },
}

/// An entry as it lies on disk.
#[derive(Clone, Debug)]
pub struct StoredEntry {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// What it carries.
    pub content: StoredContent,
}

/// What an entry carries.
#[derive(Clone, Debug)]
pub enum StoredContent {
    /// Nothing.
    Blank,
    /// A command's bytes.
    Command(Arc<[u8]>),
    /// Who the servers are.
    Members,
}

/// The entries of a log's directory, in order. What a crash left unfinished at the end is passed over.
pub(crate) fn read_entries(directory: &Path) -> io::Result<Vec<StoredEntry>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| u64::from_str_radix(name.strip_suffix(".log")?, 16).ok()));
    }
    numbers.sort_unstable();
    let mut entries = BTreeMap::new();
    for number in numbers {
        let bytes = std::fs::read(directory.join(format!("{number:016x}.log")))?;
        for (frame, ..) in frame::scan(&bytes, number).0 {
            let content = match frame.kind {
                Kind::Blank => StoredContent::Blank,
                Kind::Command(bytes) => StoredContent::Command(bytes),
                Kind::Members(_) => StoredContent::Members,
            };
            entries.insert(frame.index, StoredEntry { index: frame.index, term: frame.term, content });
        }
    }
    Ok(entries.into_values().collect())
}

/// What is kept beside the segments.
#[derive(Clone, Debug, Default, Encode, Decode)]
struct StoredState {
    #[n(0)]
    vote: Option<StoredVote>,
    #[n(1)]
    purged: Option<StoredLogId>,
}

struct Segment {
    number: u64,
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    /// Where the next frame goes.
    end: u64,
    /// Up to here the file has been zeroed or written.
    zeroed: u64,
    first_index: Option<u64>,
    last_index: u64,
}

struct OnDisk {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    options: DiskLogOptions,
    segments: Vec<Segment>,
}

/// Where an entry's frame lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    segment: u64,
    at: u64,
    size: usize,
}

/// An entry, in memory or on disk or both.
struct Stored {
    term: u64,
    kind: Option<Kind>,
    place: Option<Place>,
}

#[derive(Default)]
struct Inner {
    entries: BTreeMap<u64, Stored>,
    /// Bytes of entries that are in memory, and the first that may still be.
    kept: usize,
    kept_from: u64,
    state: StoredState,
    disk: Option<(OnDisk, Writer)>,
}

/// The log as openraft uses it. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct LogStore(Arc<Mutex<Inner>>);

impl LogStore {
    pub(crate) fn memory() -> Self {
        Self::default()
    }

    /// Opens the log in a directory, cutting what a crash tore.
    pub(crate) fn open(disk: Arc<dyn Disk>, directory: &Path, options: DiskLogOptions) -> io::Result<Self> {
        let directory = directory.join("log");
        disk.create_dir(&directory)?;
        let state_path = directory.join("state");
        let state = if disk.exists(&state_path) {
            let bytes = read_all(disk.open(&state_path)?.as_ref(), STATE_MAX)?;
            frame::unseal(&bytes)
                .and_then(|body| minicbor::decode(body).ok())
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("raft state {} is damaged", state_path.display())))?
        } else {
            StoredState::default()
        };
        let threaded = !disk.is_simulated();
        let mut inner = Inner { state, ..Inner::default() };
        let mut on_disk = OnDisk { disk, directory, options, segments: Vec::new() };
        on_disk.load(&mut inner.entries)?;
        let purged = inner.state.purged.map(|id| id.index);
        if let Some(purged) = purged {
            inner.entries = inner.entries.split_off(&(purged + 1));
        }
        let mut expected = purged.map(|index| index + 1).or_else(|| inner.entries.keys().next().copied().filter(|first| *first <= 1));
        for index in inner.entries.keys() {
            let from = expected.unwrap_or(0);
            if *index != from {
                return Err(io::Error::new(io::ErrorKind::InvalidData, LogError::Gap { from, to: index - 1 }));
            }
            expected = Some(index + 1);
        }
        let last = inner.entries.keys().next_back().copied().unwrap_or(0);
        let writer = Writer::start(threaded, last, on_disk.options.planted)?;
        inner.disk = Some((on_disk, writer));
        inner.kept = inner.entries.values().map(Stored::in_memory).sum();
        inner.let_go();
        Ok(Self(Arc::new(Mutex::new(inner))))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stored {
    /// Bytes that it takes in memory.
    fn in_memory(&self) -> usize {
        self.kind.as_ref().map_or(0, |kind| kind.payload().len())
    }
}

impl Inner {
    fn save_state(&self) -> io::Result<()> {
        let Some((on_disk, _)) = &self.disk else { return Ok(()) };
        let bytes = minicbor::to_vec(&self.state).map_err(io::Error::other)?;
        replace(on_disk.disk.as_ref(), &on_disk.directory.join("state"), &frame::seal(&bytes))
    }

    fn last(&self) -> Option<LogId> {
        let newest = self.entries.iter().next_back().map(|(index, stored)| log_id(stored.term, *index));
        newest.or_else(|| self.state.purged.map(StoredLogId::log_id))
    }

    fn insert(&mut self, index: u64, stored: Stored) {
        self.kept += stored.in_memory();
        self.entries.insert(index, stored);
    }

    /// Counts out entries that were taken out.
    fn forget(&mut self, gone: &BTreeMap<u64, Stored>) {
        self.kept -= gone.values().map(Stored::in_memory).sum::<usize>();
        if let Some(first) = gone.keys().next() {
            self.kept_from = self.kept_from.min(*first);
        }
    }

    /// Drops copies of old entries that are on disk, down to what may be kept.
    fn let_go(&mut self) {
        let Some((_, writer)) = &self.disk else { return };
        let durable = writer.durable();
        while self.kept > KEPT_IN_MEMORY_MAX {
            let Some((index, stored)) = self.entries.range_mut(self.kept_from..=durable).next() else { return };
            self.kept -= stored.in_memory();
            stored.kind = None;
            self.kept_from = index + 1;
        }
    }

    fn entry(&self, index: u64, stored: &Stored) -> io::Result<LogEntry> {
        if let Some(kind) = &stored.kind {
            return entry_of(index, stored.term, kind);
        }
        let lost = || io::Error::new(io::ErrorKind::InvalidData, format!("raft log entry {index} cannot be read back"));
        let (Some(place), Some((on_disk, _))) = (stored.place, &self.disk) else { return Err(lost()) };
        let segment = on_disk.segments.iter().find(|segment| segment.number == place.segment).ok_or_else(lost)?;
        let mut bytes = vec![0; place.size];
        let mut filled = 0;
        while filled < bytes.len() {
            match segment.file.read_at(&mut bytes[filled..], place.at + filled as u64)? {
                0 => return Err(lost()),
                read => filled += read,
            }
        }
        let (frame, _) = Frame::read(&bytes, place.segment).filter(|(frame, _)| frame.index == index).ok_or_else(lost)?;
        entry_of(index, frame.term, &frame.kind)
    }
}

impl OnDisk {
    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:016x}.log"))
    }

    fn load(&mut self, entries: &mut BTreeMap<u64, Stored>) -> io::Result<()> {
        let mut numbers: Vec<u64> =
            self.disk.list(&self.directory)?.iter().filter_map(|name| u64::from_str_radix(name.strip_suffix(".log")?, 16).ok()).collect();
        numbers.sort_unstable();
        for (position, number) in numbers.iter().enumerate() {
            let path = self.path(*number);
            let file = self.disk.open(&path)?;
            let bytes = read_all(file.as_ref(), u64::MAX)?;
            let (frames, end) = frame::scan(&bytes, *number);
            let newest = position + 1 == numbers.len();
            let torn = bytes[end..].iter().any(|byte| *byte != 0);
            if torn {
                let intact = frame::intact_after(&bytes[end..], *number);
                if intact > 0 || !newest {
                    let damaged = LogError::Damaged { path, at: end as u64, intact };
                    return Err(io::Error::new(io::ErrorKind::InvalidData, damaged));
                }
                tracing::warn!(path = %path.display(), at = end, "cutting what a crash left unfinished at the end of the raft log");
                file.set_len(end as u64)?;
                file.sync()?;
            }
            let zeroed = if torn { end as u64 } else { bytes.len() as u64 };
            let mut segment = Segment { number: *number, file, path, end: end as u64, zeroed, first_index: None, last_index: 0 };
            for (frame, at, size) in frames {
                segment.first_index.get_or_insert(frame.index);
                segment.last_index = frame.index;
                let place = Place { segment: *number, at: at as u64, size };
                entries.insert(frame.index, Stored { term: frame.term, kind: Some(frame.kind), place: Some(place) });
            }
            self.segments.push(segment);
        }
        Ok(())
    }

    /// Gives frames their places: what to write, and where each will lie.
    fn lay_out(&mut self, frames: &[Frame]) -> io::Result<(Vec<Write>, Vec<Place>)> {
        let (mut writes, mut places) = (Vec::new(), Vec::with_capacity(frames.len()));
        while places.len() < frames.len() {
            let full = self.segments.last().is_none_or(|segment| segment.end >= self.options.segment_bytes);
            if full {
                self.begin_segment()?;
            }
            let options = &self.options;
            let segment = self.segments.last_mut().expect("a segment was begun above");
            let mut bytes = Vec::new();
            while places.len() < frames.len() && segment.end + (bytes.len() as u64) < options.segment_bytes {
                let (frame, start) = (&frames[places.len()], bytes.len());
                frame.write(segment.number, &mut bytes);
                places.push(Place { segment: segment.number, at: segment.end + start as u64, size: bytes.len() - start });
                segment.first_index.get_or_insert(frame.index);
                segment.last_index = frame.index;
            }
            let end = segment.end + bytes.len() as u64;
            // One frame's header of zeros always follows, so that a scan ends.
            if end + HEADER as u64 > segment.zeroed {
                let ahead = options.prefill_bytes.max(bytes.len() as u64 + HEADER as u64);
                let zeros = vec![0; usize::try_from(ahead).map_err(io::Error::other)?];
                writes.push(Write { file: Arc::clone(&segment.file), at: segment.zeroed, bytes: zeros });
                segment.zeroed += ahead;
            }
            writes.push(Write { file: Arc::clone(&segment.file), at: segment.end, bytes });
            segment.end = end;
        }
        Ok((writes, places))
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let number = self.segments.last().map_or(1, |segment| segment.number + 1);
        let path = self.path(number);
        let file = self.disk.open(&path)?;
        file.set_len(0)?;
        self.disk.sync_dir(&self.directory)?;
        self.segments.push(Segment { number, file, path, end: 0, zeroed: 0, first_index: None, last_index: 0 });
        Ok(())
    }

    /// Removes entries after `keep`, which lies at this place: first whole segments, then the rest of its own.
    fn truncate(&mut self, keep: Option<(u64, Option<Place>)>) -> io::Result<()> {
        let beyond = |segment: &Segment| segment.first_index.is_some_and(|first| keep.is_none_or(|(keep, _)| first > keep));
        while self.segments.last().is_some_and(|segment| segment.first_index.is_none() || beyond(segment)) {
            if let Some(segment) = self.segments.pop() {
                self.disk.remove(&segment.path)?;
            }
        }
        self.disk.sync_dir(&self.directory)?;
        let (Some((keep, Some(place))), Some(segment)) = (keep, self.segments.last_mut()) else { return Ok(()) };
        if segment.last_index <= keep || segment.number != place.segment {
            return Ok(());
        }
        let end = place.at + place.size as u64;
        segment.file.set_len(end)?;
        segment.file.sync()?;
        (segment.end, segment.zeroed, segment.last_index) = (end, end, keep);
        Ok(())
    }

    /// Removes segments whose entries are all purged.
    fn purge(&mut self, upto: u64) -> io::Result<()> {
        while self.segments.len() > 1 && self.segments[0].last_index <= upto {
            let segment = self.segments.remove(0);
            self.disk.remove(&segment.path)?;
        }
        Ok(())
    }
}

fn frame_of(entry: LogEntry) -> Frame {
    let LogEntry { log_id, payload } = entry;
    let kind = match payload {
        EntryPayload::Blank => Kind::Blank,
        EntryPayload::Normal(command) => Kind::Command(command.0),
        EntryPayload::Membership(members) => {
            let stored = StoredMembers::of(Some(log_id), &members);
            Kind::Members(Arc::from(minicbor::to_vec(&stored).expect("a vector takes every byte")))
        }
    };
    Frame { index: log_id.index, term: log_id.leader_id.term, kind }
}

fn entry_of(index: u64, term: u64, kind: &Kind) -> io::Result<LogEntry> {
    let payload = match kind {
        Kind::Blank => EntryPayload::Blank,
        Kind::Command(bytes) => EntryPayload::Normal(Entry(Arc::clone(bytes))),
        Kind::Members(bytes) => {
            let stored: StoredMembers =
                minicbor::decode(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            EntryPayload::Membership(stored.membership())
        }
    };
    Ok(LogEntry { log_id: log_id(term, index), payload })
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + std::fmt::Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<LogEntry>, io::Error> {
        let inner = self.lock();
        inner.entries.range(range).map(|(index, stored)| inner.entry(*index, stored)).collect()
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.lock().state.vote.map(StoredVote::vote))
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let inner = self.lock();
        Ok(LogState { last_purged_log_id: inner.state.purged.map(StoredLogId::log_id), last_log_id: inner.last() })
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let mut inner = self.lock();
        inner.state.vote = Some(StoredVote::of(vote));
        inner.save_state()
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let frames: Vec<Frame> = entries.into_iter().map(frame_of).collect();
        let Some(last_index) = frames.last().map(|frame| frame.index) else {
            flushed.io_completed(Ok(()));
            return Ok(());
        };
        let mut inner = self.lock();
        let laid_out = inner.disk.as_mut().map(|(on_disk, _)| on_disk.lay_out(&frames)).transpose();
        let (writes, places) = match laid_out {
            Ok(laid_out) => laid_out.unwrap_or_default(),
            Err(error) => {
                flushed.io_completed(Err(io::Error::new(error.kind(), error.to_string())));
                return Err(error);
            }
        };
        let mut places = places.into_iter();
        for frame in frames {
            inner.insert(frame.index, Stored { term: frame.term, kind: Some(frame.kind), place: places.next() });
        }
        match &inner.disk {
            Some((_, writer)) => writer.write(Batch { writes, last_index, flushed }),
            None => flushed.io_completed(Ok(())),
        }
        inner.let_go();
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let mut inner = self.lock();
        let keep = last.map(|id| id.index);
        let place = keep.and_then(|keep| inner.entries.get(&keep)).and_then(|stored| stored.place);
        let gone = inner.entries.split_off(&keep.map_or(0, |keep| keep + 1));
        inner.forget(&gone);
        match &mut inner.disk {
            Some((on_disk, writer)) => {
                writer.drain();
                on_disk.truncate(keep.map(|keep| (keep, place)))
            }
            None => Ok(()),
        }
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        let mut inner = self.lock();
        let rest = inner.entries.split_off(&(upto.index + 1));
        let gone = std::mem::replace(&mut inner.entries, rest);
        inner.forget(&gone);
        inner.state.purged = Some(StoredLogId::of(upto));
        inner.save_state()?;
        match inner.disk.as_mut() {
            Some((on_disk, _)) => on_disk.purge(upto.index),
            None => Ok(()),
        }
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }
}

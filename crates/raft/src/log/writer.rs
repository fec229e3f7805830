//! Writing what was laid out: in a thread of its own, which syncs once for everything that came in while it wrote before.
//!
//! Over a simulated disk there is no thread and everything happens in the call.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use drover_rt::DiskFile;
use openraft::storage::IOFlushed;

use super::PlantedBug;
use crate::types::Types;

/// Batches that wait for the thread; whoever appends waits when there are more.
const WAITING_MAX: usize = 1_024;
/// Bytes that are synced together at most.
const GROUP_BYTES_MAX: usize = 16 << 20;

/// Bytes with their place.
pub(super) struct Write {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
}

/// Entries to write, and whom to tell.
pub(super) struct Batch {
    pub(super) writes: Vec<Write>,
    pub(super) last_index: u64,
    pub(super) flushed: IOFlushed<Types>,
}

enum Order {
    Write(Batch),
    /// Answered once everything before is done.
    Barrier(SyncSender<()>),
}

/// The last entry that is durable, for those who drop copies of it.
pub(super) type Durable = Arc<AtomicU64>;

/// Writes batches in their order.
pub(super) struct Writer {
    durable: Durable,
    planted: Option<PlantedBug>,
    thread: Option<(SyncSender<Order>, JoinHandle<()>)>,
    /// The error that ended writing; nothing is written after it.
    broken: Arc<Mutex<Option<(io::ErrorKind, String)>>>,
}

impl Writer {
    pub(super) fn start(threaded: bool, durable: u64, planted: Option<PlantedBug>) -> io::Result<Self> {
        let (durable, broken) = (Arc::new(AtomicU64::new(durable)), Arc::default());
        let mut writer = Self { durable, planted, thread: None, broken };
        if threaded {
            let (sender, orders) = sync_channel(WAITING_MAX);
            let (durable, broken) = (Arc::clone(&writer.durable), Arc::clone(&writer.broken));
            let run = move || run(&orders, &durable, &broken, planted);
            writer.thread = Some((sender, std::thread::Builder::new().name("raft log".to_owned()).spawn(run)?));
        }
        Ok(writer)
    }

    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Writes a batch, or has it written; its `flushed` is told in either case.
    pub(super) fn write(&self, batch: Batch) {
        match &self.thread {
            Some((orders, _)) => {
                if let Err(refused) = orders.send(Order::Write(batch))
                    && let Order::Write(batch) = refused.0
                {
                    batch.flushed.io_completed(Err(io::Error::other("the raft log's writer has ended")));
                }
            }
            None => perform(vec![batch], &self.durable, &self.broken, self.planted),
        }
    }

    /// Returns once everything given before is written, or has failed.
    pub(super) fn drain(&self) {
        if let Some((orders, _)) = &self.thread {
            let (done, wait) = sync_channel(1);
            if orders.send(Order::Barrier(done)).is_ok() {
                // An error means that the thread is gone, and with it all that waited.
                let _ = wait.recv();
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some((orders, thread)) = self.thread.take() {
            drop(orders);
            // It ends once the queue is empty; a panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

fn run(orders: &Receiver<Order>, durable: &Durable, broken: &Mutex<Option<(io::ErrorKind, String)>>, planted: Option<PlantedBug>) {
    let mut next = orders.recv().ok();
    while let Some(order) = next.take() {
        match order {
            Order::Barrier(done) => {
                let _ = done.send(());
                next = orders.recv().ok();
            }
            Order::Write(first) => {
                let size = |batch: &Batch| batch.writes.iter().map(|write| write.bytes.len()).sum::<usize>();
                let mut bytes = size(&first);
                let mut group = vec![first];
                while bytes < GROUP_BYTES_MAX {
                    match orders.try_recv() {
                        Ok(Order::Write(batch)) => {
                            bytes += size(&batch);
                            group.push(batch);
                        }
                        Ok(barrier) => {
                            next = Some(barrier);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                perform(group, durable, broken, planted);
                if next.is_none() {
                    next = orders.recv().ok();
                }
            }
        }
    }
}

/// Writes a group, syncs each file once, and tells.
fn perform(group: Vec<Batch>, durable: &Durable, broken: &Mutex<Option<(io::ErrorKind, String)>>, planted: Option<PlantedBug>) {
    let mut broken = broken.lock().unwrap_or_else(PoisonError::into_inner);
    let result = match broken.clone() {
        Some(before) => Err(before),
        None => write_all(&group, planted).map_err(|error| (error.kind(), error.to_string())),
    };
    broken.clone_from(&result.as_ref().err().cloned());
    drop(broken);
    if let (Ok(()), Some(last)) = (&result, group.last()) {
        durable.store(last.last_index, Ordering::Release);
    }
    for batch in group {
        batch.flushed.io_completed(result.clone().map_err(|(kind, text)| io::Error::new(kind, text)));
    }
}

fn write_all(group: &[Batch], planted: Option<PlantedBug>) -> io::Result<()> {
    let writes = || group.iter().flat_map(|batch| &batch.writes);
    for write in writes() {
        write.file.write_at(&write.bytes, write.at)?;
    }
    if planted == Some(PlantedBug::LostSync) {
        return Ok(());
    }
    // Everything is written by now, so one sync of each file covers all its writes; files follow one another.
    let mut synced: Option<&Arc<dyn DiskFile>> = None;
    for write in writes() {
        if synced.is_none_or(|file| !Arc::ptr_eq(file, &write.file)) {
            write.file.sync()?;
            synced = Some(&write.file);
        }
    }
    Ok(())
}

//! The log against crashes and damage, and a single voter over it.

use std::sync::Mutex as StdMutex;
use std::time::Duration;

use drover_macros::proves;
use drover_rt::RealDisk;

use super::*;
use crate::{Consensus, LogLimits, Machine, MachineError, Options, Refusal, Storage};

#[derive(Default)]
struct Words(StdMutex<Vec<String>>);

impl Machine for Words {
    fn apply(&self, _: u64, command: &[u8]) -> Result<Result<(), Refusal>, MachineError> {
        let word = String::from_utf8_lossy(command).into_owned();
        if word == "refused" {
            return Ok(Err(Refusal { code: 1, text: "no".to_owned() }));
        }
        if word == "unknown" {
            return Err(MachineError("an entry of a newer build".to_owned()));
        }
        self.0.lock().unwrap().push(word);
        Ok(Ok(()))
    }

    fn skip(&self, _: u64) {}

    fn snapshot(&self) -> Box<dyn FnOnce() -> Vec<u8> + Send> {
        let words = self.0.lock().unwrap().join("\n");
        Box::new(move || words.into_bytes())
    }

    fn restore(&self, bytes: &[u8]) -> Result<(), MachineError> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        *self.0.lock().unwrap() = text.split('\n').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        Ok(())
    }
}

fn options(directory: &Path, snapshot_every: u64) -> Options {
    Options {
        id: 1,
        address: "127.0.0.1:4647".to_owned(),
        storage: Storage::Disk {
            disk: Arc::new(RealDisk),
            directory: directory.to_owned(),
            log: DiskLogOptions { segment_bytes: 2_000, prefill_bytes: 512, planted: None },
        },
        limits: Arc::new(LogLimits::new(snapshot_every, 5)),
        seed: 1,
    }
}

async fn open(options: Options) -> (Consensus, Arc<Words>) {
    let words = Arc::new(Words::default());
    let consensus = Consensus::open(options, Arc::clone(&words) as Arc<dyn Machine>).await.unwrap();
    assert!(consensus.wait_leader(Duration::from_secs(10)).await);
    (consensus, words)
}

async fn say(consensus: &Consensus, word: &str) -> Result<crate::Reply, crate::ProposeError> {
    consensus.propose(Arc::from(word.as_bytes())).await
}

#[proves("RFT-012")]
#[tokio::test]
async fn a_single_server_elects_itself_in_memory_and_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    for storage in [Storage::Memory, options(directory.path(), 100).storage] {
        let (consensus, words) = open(Options { storage, ..options(directory.path(), 100) }).await;
        say(&consensus, "hello").await.unwrap();
        assert_eq!(*words.0.lock().unwrap(), ["hello"]);
        assert!(consensus.status().leader);
        consensus.shutdown().await;
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart_also_behind_snapshots() {
    let directory = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..4 {
        let (consensus, words) = open(options(directory.path(), 20)).await;
        assert_eq!(*words.0.lock().unwrap(), expected, "round {round}");
        for number in 0..50 {
            let word = format!("{round}-{number}");
            say(&consensus, &word).await.unwrap();
            expected.push(word);
        }
        consensus.shutdown().await;
    }
    assert!(directory.path().join("snapshot").exists());
    let segments = std::fs::read_dir(directory.path().join("log")).unwrap().count();
    assert!(segments < 8, "old segments are removed: {segments}");
}

#[tokio::test]
async fn limits_of_the_log_change_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path(), 1_000_000);
    let limits = Arc::clone(&options.limits);
    let (consensus, _) = open(options).await;
    let snapshot = directory.path().join("snapshot");
    for number in 0..60 {
        say(&consensus, &format!("before {number}")).await.unwrap();
    }
    assert!(!snapshot.exists(), "the log is not long enough");
    let kept = || crate::inspect(directory.path()).unwrap().entries.len();
    assert!(kept() >= 60);
    limits.set(10, 3);
    // Each of these may find the snapshot finished that one before it asked for.
    let mut said = 0;
    while !snapshot.exists() || kept() > 40 {
        say(&consensus, &format!("after {said}")).await.unwrap();
        said += 1;
        assert!(said < 2_000, "no snapshot, or {} entries", kept());
    }
    limits.set(1_000_000, 1_000_000);
    consensus.shutdown().await;
}

#[tokio::test]
async fn old_entries_leave_memory_and_are_read_back_from_disk() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(directory.path(), 1_000_000);
    if let Storage::Disk { log, .. } = &mut options.storage {
        log.segment_bytes = 1 << 20;
    }
    let words: Vec<String> = (0..150).map(|number| format!("{number:05}").repeat(20_000)).collect();
    let (consensus, _) = open(options.clone()).await;
    for word in &words {
        say(&consensus, word).await.unwrap();
    }
    consensus.shutdown().await;
    let log = LogStore::open(Arc::new(RealDisk), directory.path(), DiskLogOptions::default()).unwrap();
    assert!(log.lock().kept <= KEPT_IN_MEMORY_MAX, "{} bytes of 15 MB are kept", log.lock().kept);
    drop(log);
    let (consensus, read) = open(options).await;
    assert!(*read.0.lock().unwrap() == words, "every entry is applied again");
    consensus.shutdown().await;
}

#[tokio::test]
async fn proposals_that_wait_together_are_committed_together() {
    let directory = tempfile::tempdir().unwrap();
    let (consensus, words) = open(options(directory.path(), 1_000)).await;
    let proposals = (0..200).map(|number| {
        let consensus = consensus.clone();
        async move { say(&consensus, &format!("word {number}")).await }
    });
    for reply in futures::future::join_all(proposals).await {
        reply.unwrap();
    }
    assert_eq!(words.0.lock().unwrap().len(), 200);
    consensus.shutdown().await;
    let (consensus, words) = open(options(directory.path(), 1_000)).await;
    assert_eq!(words.0.lock().unwrap().len(), 200);
    consensus.shutdown().await;
}

#[proves("RFT-002")]
#[tokio::test]
async fn a_refused_entry_is_told_to_its_proposer_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (consensus, words) = open(options(directory.path(), 100)).await;
    assert_eq!(say(&consensus, "refused").await.unwrap().result.unwrap_err().text, "no");
    assert!(say(&consensus, "next").await.unwrap().result.is_ok());
    assert_eq!(*words.0.lock().unwrap(), ["next"]);
    consensus.shutdown().await;
}

#[proves("RFT-003")]
#[tokio::test]
async fn an_unknown_entry_stops_the_server_before_it_is_applied() {
    let directory = tempfile::tempdir().unwrap();
    let (consensus, words) = open(options(directory.path(), 100)).await;
    assert!(say(&consensus, "unknown").await.is_err());
    assert!(consensus.failed().await.contains("newer build"));
    assert!(say(&consensus, "more").await.is_err());
    assert!(words.0.lock().unwrap().is_empty());
}

fn newest_segment(directory: &Path) -> PathBuf {
    let log = directory.join("log");
    let mut names: Vec<_> = std::fs::read_dir(&log).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    names.sort();
    names.pop().unwrap()
}

#[tokio::test]
async fn a_torn_end_is_cut_and_damage_before_it_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (consensus, _) = open(options(directory.path(), 1_000)).await;
    for number in 0..5 {
        say(&consensus, &format!("word {number}")).await.unwrap();
    }
    consensus.shutdown().await;
    let path = newest_segment(directory.path());
    let intact = std::fs::read(&path).unwrap();
    let end = intact.iter().rposition(|byte| *byte != 0).unwrap();

    // Half a frame at the end, as a crash in the middle of a write leaves it.
    let mut torn = intact.clone();
    torn[end + 10..end + 30].copy_from_slice(&[7; 20]);
    std::fs::write(&path, &torn).unwrap();
    let (consensus, words) = open(options(directory.path(), 1_000)).await;
    assert_eq!(words.0.lock().unwrap().len(), 5);
    say(&consensus, "after").await.unwrap();
    consensus.shutdown().await;

    // A flipped bit before intact entries.
    let mut rotten = std::fs::read(&path).unwrap();
    let at = rotten.windows(6).position(|window| window == b"word 1").unwrap();
    rotten[at] ^= 1;
    std::fs::write(&path, &rotten).unwrap();
    let error = LogStore::open(Arc::new(RealDisk), directory.path(), DiskLogOptions::default()).err().unwrap();
    assert!(error.to_string().contains("is damaged at byte"), "{error}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn any_cut_of_the_file_gives_a_prefix_of_the_entries(words in proptest::collection::vec("[a-z]{0,40}", 1..20), cut in 0usize..2_000) {
        let mut bytes = Vec::new();
        for (position, word) in words.iter().enumerate() {
            Frame { index: position as u64, term: 1, kind: Kind::Command(Arc::from(word.as_bytes())) }.write(9, &mut bytes);
        }
        bytes.truncate(cut.min(bytes.len()));
        let (frames, end) = frame::scan(&bytes, 9);
        proptest::prop_assert!(end <= bytes.len());
        proptest::prop_assert_eq!(frame::intact_after(&bytes[end..], 9), 0);
        for (position, (frame, at, size)) in frames.iter().enumerate() {
            proptest::prop_assert!(at + size <= end);
            proptest::prop_assert_eq!(&frame.kind, &Kind::Command(Arc::from(words[position].as_bytes())));
        }
        proptest::prop_assert_eq!(frame::scan(&bytes, 8).0.len(), 0);
    }
}

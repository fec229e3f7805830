//! One agent per data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

/// Holds a data directory for this process; the kernel lets go of it however the process ends.
#[derive(Debug)]
pub(crate) struct DataDirLock(#[expect(dead_code, reason = "held, not read")] File);

impl DataDirLock {
    /// Takes the directory. A holder that was killed may have left a child that is about to become another program and holds
    /// the directory until then: that is waited for, five seconds at most. Blocks.
    ///
    /// # Errors
    /// When another agent holds it, or the file cannot be made.
    pub(crate) fn take(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join("agent.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        let mut holder = String::new();
        for pause in pauses() {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    holder.clear();
                    let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut holder));
                    match pause {
                        Some(pause) if is_gone(&holder) => std::thread::sleep(pause),
                        _ => bail!("{}", refusal(&holder, directory)),
                    }
                }
                Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("lock {}", path.display())),
            }
        }
        // For the message above only; the lock is what counts.
        let _ = file.set_len(0);
        let _ = file.seek(SeekFrom::Start(0)).and_then(|_| write!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}

/// How long each try waits for the next; the last does not.
fn pauses() -> impl Iterator<Item = Option<Duration>> {
    std::iter::repeat_n(Some(Duration::from_millis(10)), 500).chain([None])
}

/// Whether the process that wrote its number is no more. Nobody knows of one that wrote none (yet), or lives in another container.
fn is_gone(holder: &str) -> bool {
    holder.trim().parse::<u32>().is_ok_and(|process| !Path::new("/proc").join(process.to_string()).exists())
}

fn refusal(holder: &str, directory: &Path) -> String {
    let holder = holder.trim();
    let who = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
    format!("another agent{who} is using the data directory {}; stop it first, or give this one a data_dir of its own", directory.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_agent_left_behind_is_waited_for_and_a_living_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let held = DataDirLock::take(directory.path()).unwrap();
        let refused = DataDirLock::take(directory.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("(process {})", std::process::id())), "{refused}");
        // The number of a process that has ended: whoever holds the file now is a leftover of its.
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        std::fs::write(directory.path().join("agent.lock"), ended.id().to_string()).unwrap();
        let leftover = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(held);
        });
        drop(DataDirLock::take(directory.path()).unwrap());
        leftover.join().unwrap();
    }
}

//! Log files of a task: written by the shim, so that they go on while no agent is there.
//!
//! Files are `<prefix>.<N>` with N counting up; a file that reached its size is never touched again until it is the oldest beyond the
//! number to keep and removed. Nothing is truncated in place, so a reader that follows never sees bytes vanish under it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

/// One stream's files.
#[derive(Debug)]
pub struct RotatingLog {
    directory: PathBuf,
    prefix: String,
    files_max: u64,
    file_bytes_max: u64,
    index: u64,
    size: u64,
    file: Option<File>,
}

impl RotatingLog {
    /// Opens the newest file of this stream, or the first one.
    pub fn open(directory: PathBuf, prefix: String, files_max: u32, file_bytes_max: u64) -> io::Result<Self> {
        let mut log = Self {
            directory,
            prefix,
            files_max: u64::from(files_max.max(1)),
            file_bytes_max: file_bytes_max.max(1),
            index: 0,
            size: 0,
            file: None,
        };
        let first = log.path(0);
        match OpenOptions::new().append(true).create_new(true).open(&first) {
            Ok(file) => log.file = Some(file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => log.reopen_newest()?,
            Err(error) => return Err(error),
        }
        Ok(log)
    }

    fn path(&self, index: u64) -> PathBuf {
        self.directory.join(format!("{}.{index}", self.prefix))
    }

    fn reopen_newest(&mut self) -> io::Result<()> {
        self.index = indexes(&fs::read_dir(&self.directory)?.flatten().map(|entry| entry.file_name()).collect::<Vec<_>>(), &self.prefix)
            .last()
            .copied()
            .unwrap_or(0);
        let file = OpenOptions::new().append(true).create(true).open(self.path(self.index))?;
        self.size = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    /// Takes no more bytes.
    pub fn close(&mut self) {
        self.file = None;
    }

    /// Whether [`Self::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.file.is_none()
    }

    /// Appends, rotating where a file is full, between lines where there is an end of line to cut at.
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = usize::try_from(self.file_bytes_max.saturating_sub(self.size)).unwrap_or(usize::MAX);
            let count = if bytes.len() <= room {
                bytes.len()
            } else {
                match bytes[..room].iter().rposition(|byte| *byte == b'\n') {
                    Some(end) => end + 1,
                    // A line longer than a whole file is cut; a shorter one begins the next file.
                    None if self.size == 0 => room,
                    None => 0,
                }
            };
            let file = self.file.as_mut().ok_or_else(|| io::Error::other("the log file is closed"))?;
            file.write_all(&bytes[..count])?;
            self.size += count as u64;
            bytes = &bytes[count..];
            if !bytes.is_empty() {
                self.rotate()?;
            }
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let next = self.index + 1;
        let file = OpenOptions::new().append(true).create(true).open(self.path(next))?;
        (self.file, self.index, self.size) = (Some(file), next, 0);
        if let Some(oldest) = next.checked_sub(self.files_max) {
            match fs::remove_file(self.path(oldest)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The numbers of a stream's files among the names of a directory, in order.
pub fn indexes(names: &[std::ffi::OsString], prefix: &str) -> Vec<u64> {
    let mut found: Vec<u64> =
        names.iter().filter_map(|name| name.to_str()?.strip_prefix(prefix)?.strip_prefix('.')?.parse().ok()).collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use drover_macros::proves;

    fn contents(directory: &std::path::Path) -> Vec<(String, String)> {
        let mut found: Vec<_> = fs::read_dir(directory)
            .expect("list")
            .flatten()
            .map(|entry| (entry.file_name().into_string().expect("name"), fs::read_to_string(entry.path()).expect("read")))
            .collect();
        found.sort();
        found
    }

    fn pair(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[proves("CLI-095")]
    #[test]
    fn full_files_are_left_alone_and_the_oldest_goes() {
        let root = tempfile::tempdir().expect("directory");
        let mut log = RotatingLog::open(root.path().into(), "web.stdout".into(), 2, 8).expect("open");
        for line in ["one\n", "two\n", "three\n", "four\n", "5\n"] {
            log.write(line.as_bytes()).expect("write");
        }
        assert_eq!(contents(root.path()), [pair("web.stdout.1", "three\n"), pair("web.stdout.2", "four\n5\n")]);
    }

    #[test]
    fn a_line_longer_than_a_file_is_cut_and_nothing_is_lost() {
        let root = tempfile::tempdir().expect("directory");
        let mut log = RotatingLog::open(root.path().into(), "t".into(), 9, 4).expect("open");
        log.write(b"a\nbcdefghij\nk").expect("write");
        let all: String = contents(root.path()).into_iter().map(|(_, text)| text).collect();
        assert_eq!(all, "a\nbcdefghij\nk");
        assert!(contents(root.path()).iter().all(|(_, text)| text.len() <= 4));
    }

    #[test]
    fn a_restarted_task_goes_on_in_the_newest_file() {
        let root = tempfile::tempdir().expect("directory");
        for text in ["one\ntwo\n", "three\n"] {
            let mut log = RotatingLog::open(root.path().into(), "t".into(), 9, 4).expect("open");
            log.write(text.as_bytes()).expect("write");
        }
        let all: String = contents(root.path()).into_iter().map(|(_, text)| text).collect();
        assert_eq!(all, "one\ntwo\nthree\n");
        fs::write(root.path().join("t.x"), "").expect("write");
        fs::write(root.path().join("tt.9"), "").expect("write");
        let mut log = RotatingLog::open(root.path().into(), "t".into(), 9, 4).expect("open");
        log.write(b"z").expect("write");
        assert!(!root.path().join("t.10").exists());
    }
}

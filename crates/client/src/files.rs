//! Files of allocations for those who ask from outside: listings, contents, and streams that follow a file or a task's logs.
//!
//! Every path is opened beneath the allocation's directory, so neither `..` nor a link leads out. What tasks keep secret is listed but
//! not read. Following waits for the kernel to tell of changes and does not look again and again.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use drover_api as api;
use drover_base::WallTime;
use drover_linux::path::{self, Beneath};
use drover_linux::watch::DirectoryWatch;
use drover_rt::Clock;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

/// Bytes in one frame.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Frames waiting for a reader; one that does not keep up makes the stream wait.
pub const FRAMES_MAX: usize = 32;
/// How long a stream is silent before it shows that it is alive.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// What kind of mistake was made, for whoever turns it into a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilesErrorKind {
    /// There is no such file, task or allocation.
    NotFound,
    /// The question makes no sense.
    Invalid,
    /// The path leads out of the allocation's directory, or to what tasks keep secret.
    Refused,
    /// The file system failed.
    Failed,
}

/// Why a file could not be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilesError {
    pub kind: FilesErrorKind,
    pub message: String,
}

impl FilesError {
    fn new(kind: FilesErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A question that makes no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(FilesErrorKind::Invalid, message)
    }

    /// Something that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(FilesErrorKind::NotFound, message)
    }

    fn io(verb: &str, path: &Path, error: &io::Error) -> Self {
        let (kind, words) = match error.raw_os_error() {
            Some(2) => (FilesErrorKind::NotFound, "no such file or directory".to_owned()),
            Some(20) => (FilesErrorKind::Failed, "not a directory".to_owned()),
            Some(18 | 40) => return Self::new(FilesErrorKind::Refused, "Path escapes the alloc directory"),
            _ => (FilesErrorKind::Failed, error.to_string()),
        };
        Self::new(kind, format!("{verb} {}: {words}", path.display()))
    }
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// So many bytes after the beginning.
    Start(u64),
    /// So many bytes before the end.
    End(u64),
}

/// Which output of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    Stdout,
    Stderr,
}

impl LogKind {
    /// The name in file names.
    pub fn text(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// The directory of one allocation, for reading.
#[derive(Debug, Clone)]
pub struct AllocFiles {
    root: PathBuf,
    tasks: Vec<String>,
}

impl AllocFiles {
    /// The files beneath an allocation's directory with these tasks.
    pub fn new(root: PathBuf, tasks: Vec<String>) -> Self {
        Self { root, tasks }
    }

    fn open(&self) -> Result<Beneath, FilesError> {
        Beneath::open(&self.root).map_err(|error| FilesError::io("open", &self.root, &error))
    }

    /// The host path, for messages.
    fn shown(&self, path: &str) -> PathBuf {
        let relative = path.trim_start_matches('/');
        if relative.is_empty() { self.root.clone() } else { self.root.join(relative.trim_end_matches('/')) }
    }

    /// The path inside, unless it leads out as text already.
    fn check(&self, path: &str) -> Result<PathBuf, FilesError> {
        let mut depth = 0_i32;
        for part in Path::new(path).components() {
            match part {
                Component::ParentDir => depth -= 1,
                Component::Normal(_) => depth += 1,
                _ => {}
            }
            if depth < 0 {
                return Err(FilesError::new(FilesErrorKind::Refused, "Path escapes the alloc directory"));
            }
        }
        Ok(PathBuf::from(path))
    }

    /// Whether the contents of a place are the task's secret.
    fn is_secret(&self, path: &Path) -> bool {
        let mut clean: Vec<OsString> = Vec::new();
        for part in path.components() {
            match part {
                Component::Normal(name) => clean.push(name.to_owned()),
                Component::ParentDir => drop(clean.pop()),
                _ => {}
            }
        }
        let secret = |name: &OsString| name == "secrets" || name == "private";
        clean.len() >= 2 && self.tasks.iter().any(|task| clean[0] == task.as_str()) && secret(&clean[1])
    }

    /// The contents of a directory, by name.
    pub fn list(&self, path: &str) -> Result<Vec<api::AllocFileInfo>, FilesError> {
        let place = self.check(path)?;
        let shown = self.shown(path);
        let directory = self.open()?.read(&place).map_err(|error| FilesError::io("open", &shown, &error))?;
        let metadata = directory.metadata().map_err(|error| FilesError::io("open", &shown, &error))?;
        if !metadata.is_dir() {
            return Err(FilesError::new(FilesErrorKind::Failed, format!("open {}: not a directory", shown.display())));
        }
        let entries = path::list(&directory).map_err(|error| FilesError::io("open", &shown, &error))?;
        Ok(entries.into_iter().map(|(name, metadata)| info(&name.to_string_lossy(), &metadata)).collect())
    }

    /// What one place is.
    pub fn stat(&self, path: &str) -> Result<api::AllocFileInfo, FilesError> {
        let place = self.check(path)?;
        let shown = self.shown(path);
        let beneath = self.open().map_err(|_| FilesError::io("stat", &shown, &io::Error::from_raw_os_error(2)))?;
        let file = beneath.stat(&place).map_err(|error| FilesError::io("stat", &shown, &error))?;
        let metadata = file.metadata().map_err(|error| FilesError::io("stat", &shown, &error))?;
        let name = shown.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let mut found = info(&name, &metadata);
        found.content_type = if metadata.is_file() {
            match self.readable(path) {
                Ok(mut file) => content_type(&name, &mut file),
                Err(_) => OCTETS.to_owned(),
            }
        } else {
            OCTETS.to_owned()
        };
        Ok(found)
    }

    /// Opens a file for reading.
    fn readable(&self, path: &str) -> Result<File, FilesError> {
        if path.is_empty() {
            return Err(FilesError::invalid("must provide a file name"));
        }
        let place = self.check(path)?;
        let shown = self.shown(path);
        let beneath = self.open().map_err(|_| FilesError::io("stat", &shown, &io::Error::from_raw_os_error(2)))?;
        let found = beneath.stat(&place).map_err(|error| FilesError::io("stat", &shown, &error))?;
        let metadata = found.metadata().map_err(|error| FilesError::io("stat", &shown, &error))?;
        if self.is_secret(&place) {
            return Err(FilesError::new(FilesErrorKind::Refused, format!("Reading secret file prohibited: {path}")));
        }
        if metadata.is_dir() {
            return Err(FilesError::invalid(format!("file \"{path}\" is a directory")));
        }
        if !metadata.is_file() {
            return Err(FilesError::invalid(format!("file \"{path}\" is not a regular file")));
        }
        beneath.read(&place).map_err(|error| FilesError::io("open", &shown, &error))
    }

    /// The contents of a file from an offset on, as a stream of chunks. No limit means up to the end.
    pub fn read(&self, path: &str, offset: i64, limit: Option<u64>) -> Result<FileReader, FilesError> {
        let mut file = self.readable(path)?;
        let shown = self.shown(path);
        let Ok(offset) = u64::try_from(offset) else {
            let message = format!("can't seek to offset {offset}: seek {}: invalid argument", shown.display());
            return Err(FilesError::invalid(message));
        };
        file.seek(SeekFrom::Start(offset)).map_err(|error| FilesError::io("seek", &shown, &error))?;
        Ok(FileReader { file, left: limit.unwrap_or(u64::MAX) })
    }

    /// Sends a file as frames, and goes on with what is added when `follow`. Returns once the file is found; frames come on the channel.
    pub fn stream(&self, path: &str, origin: Origin, follow: bool, clock: Clock) -> Result<FrameStream, FilesError> {
        let file = self.readable(path)?;
        let size = file.metadata().map_err(|error| FilesError::io("stat", &self.shown(path), &error))?.len();
        let offset = start_of(origin, size);
        let watch = watch_parent(&self.shown(path), follow)?;
        Ok(FrameStream { files: self.clone(), source: StreamSource::File { path: path.to_owned(), file, offset }, watch, clock })
    }

    /// Sends a task's output as frames, from one rotated file into the next.
    pub fn logs(&self, task: &str, kind: LogKind, origin: Origin, follow: bool, clock: Clock) -> Result<FrameStream, FilesError> {
        let prefix = format!("{task}.{}", kind.text());
        let indexes = self.log_indexes(&prefix)?;
        if indexes.is_empty() {
            return Err(FilesError::not_found(format!("log entry for task \"{task}\" and log type \"{}\" not found", kind.text())));
        }
        let (index, offset) = self.locate(&prefix, &indexes, origin);
        let directory = self.root.join("alloc/logs");
        let watch = watch_directory(&directory, follow)?;
        Ok(FrameStream { files: self.clone(), source: StreamSource::Logs { prefix, index, offset, file: None }, watch, clock })
    }

    fn log_indexes(&self, prefix: &str) -> Result<Vec<u64>, FilesError> {
        let directory = Path::new("alloc/logs");
        let shown = self.root.join(directory);
        let opened = self.open()?.read(directory).map_err(|error| FilesError::io("open", &shown, &error))?;
        let names: Vec<OsString> = path::list(&opened)
            .map_err(|error| FilesError::io("open", &shown, &error))?
            .into_iter()
            .filter(|(_, metadata)| metadata.is_file())
            .map(|(name, _)| name)
            .collect();
        Ok(drover_driver::shim::logs::indexes(&names, prefix))
    }

    fn log_path(prefix: &str, index: u64) -> String {
        format!("alloc/logs/{prefix}.{index}")
    }

    /// The file and the place in it where reading begins.
    fn locate(&self, prefix: &str, indexes: &[u64], origin: Origin) -> (u64, u64) {
        let size = |index: u64| {
            let place = self.root.join(Self::log_path(prefix, index));
            std::fs::metadata(place).map_or(0, |metadata| metadata.len())
        };
        let first = indexes[0];
        match origin {
            Origin::Start(mut offset) => {
                for index in indexes {
                    let size = size(*index);
                    if offset <= size {
                        return (*index, offset);
                    }
                    offset -= size;
                }
                let last = indexes[indexes.len() - 1];
                (last, size(last))
            }
            Origin::End(mut offset) => {
                for index in indexes.iter().rev() {
                    let size = size(*index);
                    if offset <= size {
                        return (*index, size - offset);
                    }
                    offset -= size;
                }
                (first, 0)
            }
        }
    }
}

const OCTETS: &str = "application/octet-stream";

fn start_of(origin: Origin, size: u64) -> u64 {
    match origin {
        Origin::Start(offset) => offset.min(size),
        Origin::End(offset) => size.saturating_sub(offset),
    }
}

fn info(name: &str, metadata: &std::fs::Metadata) -> api::AllocFileInfo {
    let nanoseconds = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
    api::AllocFileInfo {
        name: name.to_owned(),
        is_dir: metadata.is_dir(),
        size: i64::try_from(metadata.len()).unwrap_or(i64::MAX),
        file_mode: file_mode(metadata),
        mod_time: Some(WallTime(nanoseconds).rfc3339()),
        content_type: String::new(),
    }
}

/// The mode as existing tools show it: `-rw-r--r--`, `drwxrwxrwx`, `dtrwxrwxrwx`, `Srw-rw-rw-`.
fn file_mode(metadata: &std::fs::Metadata) -> String {
    let mode = metadata.permissions().mode();
    let kind = metadata.file_type();
    let mut text = String::new();
    for (holds, letter) in [
        (kind.is_dir(), 'd'),
        (kind.is_symlink(), 'L'),
        (kind.is_block_device() || kind.is_char_device(), 'D'),
        (kind.is_fifo(), 'p'),
        (kind.is_socket(), 'S'),
        (mode & 0o4000 != 0, 'u'),
        (mode & 0o2000 != 0, 'g'),
        (kind.is_char_device(), 'c'),
        (mode & 0o1000 != 0, 't'),
    ] {
        if holds {
            text.push(letter);
        }
    }
    if text.is_empty() {
        text.push('-');
    }
    for (bit, letter) in (0..9).rev().zip("rwxrwxrwx".chars()) {
        text.push(if mode & (1 << bit) != 0 { letter } else { '-' });
    }
    text
}

/// The media type by the file's name, else by whether its beginning is text.
fn content_type(name: &str, file: &mut File) -> String {
    let by_name = match name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
        Some("html" | "htm") => Some("text/html; charset=utf-8"),
        Some("css") => Some("text/css; charset=utf-8"),
        Some("js" | "mjs") => Some("text/javascript; charset=utf-8"),
        Some("json") => Some("application/json"),
        Some("xml") => Some("text/xml; charset=utf-8"),
        Some("png") => Some("image/png"),
        Some("jpg" | "jpeg") => Some("image/jpeg"),
        Some("gif") => Some("image/gif"),
        Some("svg") => Some("image/svg+xml"),
        Some("pdf") => Some("application/pdf"),
        Some("wasm") => Some("application/wasm"),
        Some("txt") => Some("text/plain; charset=utf-8"),
        _ => None,
    };
    if let Some(found) = by_name {
        return found.to_owned();
    }
    let mut beginning = [0; 512];
    let count = file.read(&mut beginning).unwrap_or(0);
    let binary = beginning[..count].iter().any(|byte| matches!(byte, 0..=8 | 11 | 14..=26 | 28..=31));
    if binary { OCTETS.to_owned() } else { "text/plain; charset=utf-8".to_owned() }
}

/// A file being read in chunks.
#[derive(Debug)]
pub struct FileReader {
    file: File,
    left: u64,
}

impl FileReader {
    /// The next bytes; none at the end.
    pub fn next_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(FRAME_BYTES_MAX);
        if wanted == 0 {
            return Ok(None);
        }
        let mut buffer = vec![0; wanted];
        let count = self.file.read(&mut buffer)?;
        if count == 0 {
            return Ok(None);
        }
        buffer.truncate(count);
        self.left -= count as u64;
        Ok(Some(buffer))
    }
}

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Nothing new, but still there.
    Heartbeat,
    /// Bytes, the file they are from, and the place after them.
    Data { file: String, offset: u64, bytes: Vec<u8> },
    /// Something happened to the file: `file deleted` or `file truncated`.
    Event { file: String, offset: u64, event: &'static str },
}

impl Frame {
    /// The public form.
    pub fn to_api(&self) -> api::StreamFrame {
        let place = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
        match self {
            Self::Heartbeat => api::StreamFrame::default(),
            Self::Data { file, offset, bytes } => api::StreamFrame {
                offset: place(*offset),
                data: Some(api::wire::Base64(bytes.clone())),
                file: file.clone(),
                file_event: String::new(),
            },
            Self::Event { file, offset, event } => {
                api::StreamFrame { offset: place(*offset), data: None, file: file.clone(), file_event: (*event).to_owned() }
            }
        }
    }
}

enum StreamSource {
    File { path: String, file: File, offset: u64 },
    Logs { prefix: String, index: u64, offset: u64, file: Option<File> },
}

/// A stream of frames; [`FrameStream::run`] sends them.
pub struct FrameStream {
    files: AllocFiles,
    source: StreamSource,
    watch: Option<AsyncFd<DirectoryWatch>>,
    clock: Clock,
}

fn watch_parent(path: &Path, follow: bool) -> Result<Option<AsyncFd<DirectoryWatch>>, FilesError> {
    watch_directory(path.parent().unwrap_or(path), follow)
}

#[expect(deprecated, reason = "the watch owns its descriptor for as long as it is registered, which is what the new form asks to promise")]
fn watch_directory(directory: &Path, follow: bool) -> Result<Option<AsyncFd<DirectoryWatch>>, FilesError> {
    if !follow {
        return Ok(None);
    }
    let watch = DirectoryWatch::new(directory).and_then(AsyncFd::new);
    watch.map(Some).map_err(|error| FilesError::io("watch", directory, &error))
}

/// What a look at the source gave.
enum Look {
    Frames(Vec<Frame>),
    Nothing,
    Over(Vec<Frame>),
}

impl FrameStream {
    /// Sends frames until the end, or for as long as somebody reads when following.
    pub async fn run(mut self, frames: mpsc::Sender<Frame>) {
        loop {
            let (found, over) = match self.look() {
                Look::Frames(found) => (found, false),
                Look::Nothing => (Vec::new(), false),
                Look::Over(found) => (found, true),
            };
            let idle = found.is_empty();
            for frame in found {
                if frames.send(frame).await.is_err() {
                    return;
                }
            }
            if over {
                return;
            }
            if !idle {
                continue;
            }
            let Some(watch) = &self.watch else { return };
            tokio::select! {
                () = frames.closed() => return,
                ready = watch.readable() => match ready {
                    Ok(mut ready) => {
                        watch.get_ref().drain();
                        ready.clear_ready();
                    }
                    Err(_) => return,
                },
                () = self.clock.sleep(HEARTBEAT) => {
                    if frames.send(Frame::Heartbeat).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn look(&mut self) -> Look {
        let follows = self.watch.is_some();
        match &mut self.source {
            StreamSource::File { path, file, offset } => look_at_file(&self.files, path, file, offset, follows),
            StreamSource::Logs { prefix, index, offset, file } => look_at_logs(&self.files, prefix, index, offset, file, follows),
        }
    }
}

fn read_at(file: &mut File, offset: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut buffer = vec![0; FRAME_BYTES_MAX];
    let count = file.read(&mut buffer)?;
    buffer.truncate(count);
    Ok(buffer)
}

fn look_at_file(files: &AllocFiles, path: &str, file: &mut File, offset: &mut u64, follows: bool) -> Look {
    let Ok(metadata) = file.metadata() else { return Look::Over(Vec::new()) };
    if metadata.len() < *offset {
        *offset = 0;
        return Look::Frames(vec![Frame::Event { file: path.to_owned(), offset: 0, event: "file truncated" }]);
    }
    match read_at(file, *offset) {
        Ok(bytes) if !bytes.is_empty() => {
            *offset += bytes.len() as u64;
            return Look::Frames(vec![Frame::Data { file: path.to_owned(), offset: *offset, bytes }]);
        }
        Ok(_) => {}
        Err(_) => return Look::Over(Vec::new()),
    }
    if !follows {
        return Look::Over(Vec::new());
    }
    if metadata.nlink() == 0 || files.stat(path).is_err() {
        return Look::Over(vec![Frame::Event { file: path.to_owned(), offset: *offset, event: "file deleted" }]);
    }
    Look::Nothing
}

fn look_at_logs(files: &AllocFiles, prefix: &str, index: &mut u64, offset: &mut u64, file: &mut Option<File>, follows: bool) -> Look {
    let name = AllocFiles::log_path(prefix, *index);
    if file.is_none() {
        *file = files.readable(&name).ok();
    }
    if let Some(open) = file {
        match read_at(open, *offset) {
            Ok(bytes) if !bytes.is_empty() => {
                *offset += bytes.len() as u64;
                return Look::Frames(vec![Frame::Data { file: name, offset: *offset, bytes }]);
            }
            Ok(_) => {}
            Err(_) => return Look::Over(Vec::new()),
        }
    }
    // A later file exists only once this one is complete; what was written between the two looks is read first.
    let later = files.log_indexes(prefix).unwrap_or_default().into_iter().find(|found| *found > *index);
    match later {
        Some(next) => {
            let rest = file.as_mut().and_then(|open| read_at(open, *offset).ok()).unwrap_or_default();
            if !rest.is_empty() {
                *offset += rest.len() as u64;
                return Look::Frames(vec![Frame::Data { file: name, offset: *offset, bytes: rest }]);
            }
            (*index, *offset, *file) = (next, 0, None);
            look_at_logs(files, prefix, index, offset, file, follows)
        }
        None if follows => Look::Nothing,
        None => Look::Over(Vec::new()),
    }
}

#[cfg(test)]
mod tests;

//! A saved state in one file: what it is, its bytes, and their checksums, as a compressed archive that other tools open too.
//!
//! Only whole archives are read: one that is cut off or changed is refused before anything of it is used.

use std::io::{Read, Write};

use drover_base::WallTime;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::persist::{RestoreError, SnapshotReader};
use crate::tables::Snapshot;

/// The largest state that is taken out of an archive.
const STATE_MAX: u64 = 4 << 30;
/// The version of the archive's form.
const VERSION: u64 = 1;
const BLOCK: usize = 512;
const META: &str = "meta.json";
const STATE: &str = "state.bin";
const SUMS: &str = "SHA256SUMS";

/// An archive that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is not compressed, or cut off.
    #[error("failed to decompress snapshot: {0}")]
    Compression(String),
    /// A part is missing, too large or not what it should be.
    #[error("failed to read snapshot file: {0}")]
    Malformed(String),
    /// A part is not what was written.
    #[error("failed checking integrity of snapshot: hash check failed for {0:?}")]
    Checksum(String),
    /// The state is of another build or damaged.
    #[error(transparent)]
    State(#[from] RestoreError),
}

/// What an archive says about the state in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveMeta {
    /// Term, index and time in one.
    pub id: String,
    /// The last entry of the log that is in the state.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// Bytes of the state.
    pub size: u64,
    /// When it was saved.
    pub created: WallTime,
    /// The version of the form.
    pub version: u64,
}

/// An archive that was read.
#[derive(Clone, Debug)]
pub struct Archive {
    /// What it says about itself.
    pub meta: ArchiveMeta,
    /// The state's bytes.
    pub bytes: Vec<u8>,
}

impl Archive {
    /// The state in it.
    ///
    /// # Errors
    /// When a newer build wrote it or it is damaged.
    pub fn state(&self) -> Result<Snapshot, ArchiveError> {
        Ok(SnapshotReader::read(&self.bytes)?)
    }
}

/// The archive of a state's bytes.
pub fn write_archive(bytes: &[u8], index: u64, term: u64, created: WallTime) -> Vec<u8> {
    let milliseconds = created.0 / 1_000_000;
    let meta = json!({
        "Version": VERSION,
        "ID": format!("{term}-{index}-{milliseconds}"),
        "Index": index,
        "Term": term,
        "Size": bytes.len(),
        "Created": created.0,
    });
    let meta = meta.to_string().into_bytes();
    let sums = format!("{}  {META}\n{}  {STATE}\n", hex(&meta), hex(bytes));
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    let written = [(META, meta.as_slice()), (STATE, bytes), (SUMS, sums.as_bytes())]
        .into_iter()
        .try_for_each(|(name, part)| write_part(&mut out, name, part, created))
        .and_then(|()| out.write_all(&[0; BLOCK * 2]));
    assert!(written.is_ok(), "a vector takes every byte");
    out.finish().expect("a vector takes every byte")
}

/// Reads an archive and checks that it is whole.
///
/// # Errors
/// When it is not.
pub fn read_archive(archive: &[u8]) -> Result<Archive, ArchiveError> {
    let broken = |text: &str| ArchiveError::Compression(text.to_owned());
    match archive {
        [] => return Err(broken("EOF")),
        short if short.len() < 10 => return Err(broken("unexpected EOF")),
        [0x1f, 0x8b, ..] => {}
        _ => return Err(broken("gzip: invalid header")),
    }
    let mut plain = Vec::new();
    GzDecoder::new(archive)
        .take(STATE_MAX)
        .read_to_end(&mut plain)
        .map_err(|error| broken(if error.kind() == std::io::ErrorKind::UnexpectedEof { "unexpected EOF" } else { "gzip: invalid data" }))?;
    let (mut meta, mut state, mut sums) = (None, None, None);
    let mut rest = plain.as_slice();
    while let Some((name, part, after)) = read_part(rest)? {
        match name.as_str() {
            META => meta = Some(part),
            STATE => state = Some(part),
            SUMS => sums = Some(part),
            other => return Err(ArchiveError::Malformed(format!("unexpected file {other:?} in snapshot"))),
        }
        rest = after;
    }
    let missing = |name: &str| ArchiveError::Malformed(format!("{name} is missing"));
    let (meta, state) = (meta.ok_or_else(|| missing(META))?, state.ok_or_else(|| missing(STATE))?);
    let sums = String::from_utf8_lossy(sums.ok_or_else(|| missing(SUMS))?).into_owned();
    for (name, part) in [(META, meta), (STATE, state)] {
        let line = format!("{}  {name}", hex(part));
        if !sums.lines().any(|known| known == line) {
            return Err(ArchiveError::Checksum(name.to_owned()));
        }
    }
    let value: Value = serde_json::from_slice(meta).map_err(|error| ArchiveError::Malformed(format!("{META}: {error}")))?;
    let number = |name: &str| value[name].as_u64().unwrap_or_default();
    let meta = ArchiveMeta {
        id: value["ID"].as_str().unwrap_or_default().to_owned(),
        index: number("Index"),
        term: number("Term"),
        size: state.len() as u64,
        created: WallTime(value["Created"].as_i64().unwrap_or_default()),
        version: number("Version"),
    };
    if meta.version > VERSION {
        return Err(ArchiveError::Malformed(format!("the archive has version {}, this build reads up to {VERSION}", meta.version)));
    }
    Ok(Archive { meta, bytes: state.to_vec() })
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a number in octal digits that end with a zero byte.
fn octal(field: &mut [u8], value: u64) {
    let text = format!("{value:0width$o}", width = field.len() - 1);
    // A number that is too long for the field keeps its end; sizes are bounded far below that.
    let start = text.len() + 1 - field.len();
    field[..text.len() - start].copy_from_slice(&text.as_bytes()[start..]);
}

fn write_part(out: &mut impl Write, name: &str, bytes: &[u8], time: WallTime) -> std::io::Result<()> {
    let mut header = [0u8; BLOCK];
    header[..name.len()].copy_from_slice(name.as_bytes());
    octal(&mut header[100..108], 0o600);
    octal(&mut header[108..116], 0);
    octal(&mut header[116..124], 0);
    octal(&mut header[124..136], bytes.len() as u64);
    octal(&mut header[136..148], u64::try_from(time.0 / 1_000_000_000).unwrap_or_default());
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut header[148..155], sum);
    out.write_all(&header)?;
    out.write_all(bytes)?;
    out.write_all(&vec![0; bytes.len().next_multiple_of(BLOCK) - bytes.len()])
}

type Part<'a> = (String, &'a [u8], &'a [u8]);

/// The next file: its name, its bytes, and what follows.
fn read_part(bytes: &[u8]) -> Result<Option<Part<'_>>, ArchiveError> {
    let cut = || ArchiveError::Malformed("unexpected EOF".to_owned());
    let Some((header, rest)) = bytes.split_at_checked(BLOCK) else {
        return if bytes.iter().all(|byte| *byte == 0) { Ok(None) } else { Err(cut()) };
    };
    if header.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let text = |field: &[u8]| String::from_utf8_lossy(field).trim_matches(['\0', ' ']).to_owned();
    let size = u64::from_str_radix(&text(&header[124..136]), 8);
    let size = size.ok().and_then(|size| usize::try_from(size).ok()).ok_or_else(|| ArchiveError::Malformed("invalid header".to_owned()))?;
    let (part, after) = rest.split_at_checked(size).ok_or_else(cut)?;
    let padding = size.next_multiple_of(BLOCK) - size;
    Ok(Some((text(&header[..100]), part, after.get(padding..).unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Store, write_snapshot};

    #[test]
    fn an_archive_holds_the_state_and_says_what_it_is() {
        let bytes = write_snapshot(&Store::default().snapshot());
        let archive = write_archive(&bytes, 7, 2, WallTime(1_500_000_000_000_000_000));
        let read = read_archive(&archive).unwrap();
        assert_eq!((read.meta.id.as_str(), read.meta.index, read.meta.term), ("2-7-1500000000000", 7, 2));
        assert_eq!((read.meta.size, &read.bytes), (bytes.len() as u64, &bytes));
        assert_eq!(read.state().unwrap().state_hash(), Store::default().snapshot().state_hash());
    }

    #[test]
    fn what_is_not_a_whole_archive_is_refused() {
        let text = |bytes: &[u8]| read_archive(bytes).unwrap_err().to_string();
        assert_eq!(text(b"not a snapshot"), "failed to decompress snapshot: gzip: invalid header");
        assert_eq!(text(b"junk"), "failed to decompress snapshot: unexpected EOF");
        let archive = write_archive(b"state", 7, 2, WallTime(0));
        assert!(text(&archive[..archive.len() / 2]).starts_with("failed to decompress snapshot: "));
        let mut plain = Vec::new();
        GzDecoder::new(archive.as_slice()).read_to_end(&mut plain).unwrap();
        let changed = plain.windows(5).position(|part| part == b"state").unwrap();
        let at = plain[changed + 1..].windows(5).position(|part| part == b"state").map_or(changed, |next| changed + 1 + next);
        // The file's contents are the only "state" that no name or digest follows.
        let at = (at..plain.len()).rfind(|at| plain[*at..].starts_with(b"state\0\0\0")).unwrap_or(at);
        plain[at] = b'S';
        let mut again = GzEncoder::new(Vec::new(), Compression::fast());
        again.write_all(&plain).unwrap();
        assert_eq!(text(&again.finish().unwrap()), "failed checking integrity of snapshot: hash check failed for \"state.bin\"");
    }
}

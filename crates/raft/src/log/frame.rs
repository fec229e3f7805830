//! Frames: how an entry looks on disk, and telling a torn end from damage.

use std::sync::Arc;

/// Bytes before the payload: length, crc, segment, index, term, kind.
pub(super) const HEADER: usize = 4 + 4 + 8 + 8 + 8 + 1;

/// What an entry carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Blank,
    /// A command.
    Command(Arc<[u8]>),
    /// A membership.
    Members(Arc<[u8]>),
}

impl Kind {
    fn code(&self) -> u8 {
        match self {
            Self::Blank => 1,
            Self::Command(_) => 2,
            Self::Members(_) => 3,
        }
    }

    pub(super) fn payload(&self) -> &[u8] {
        match self {
            Self::Blank => &[],
            Self::Command(bytes) | Self::Members(bytes) => bytes,
        }
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) index: u64,
    pub(super) term: u64,
    pub(super) kind: Kind,
}

impl Frame {
    /// Appends the frame's bytes.
    pub(super) fn write(&self, segment: u64, out: &mut Vec<u8>) {
        let payload = self.kind.payload();
        let start = out.len();
        out.reserve(HEADER + payload.len());
        let length = u32::try_from(HEADER - 8 + payload.len()).expect("entries are bounded far below 4 GiB");
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&segment.to_le_bytes());
        out.extend_from_slice(&self.index.to_le_bytes());
        out.extend_from_slice(&self.term.to_le_bytes());
        out.push(self.kind.code());
        out.extend_from_slice(payload);
        let crc = crc32fast::hash(&out[start + 8..]);
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    }

    /// The frame at the start of `bytes` and its size, if an intact one of the segment is there.
    pub(super) fn read(bytes: &[u8], segment: u64) -> Option<(Self, usize)> {
        let length = u32::from_le_bytes(*bytes.first_chunk::<4>()?) as usize;
        if !(HEADER - 8..=super::ENTRY_MAX).contains(&length) {
            return None;
        }
        let crc = u32::from_le_bytes(*bytes.get(4..)?.first_chunk::<4>()?);
        let body = bytes.get(8..8 + length)?;
        let number = |at: usize| body.get(at..).and_then(|rest| rest.first_chunk::<8>()).map(|bytes| u64::from_le_bytes(*bytes));
        if number(0)? != segment || crc32fast::hash(body) != crc {
            return None;
        }
        let payload: Arc<[u8]> = Arc::from(&body[25..]);
        let kind = match body[24] {
            1 => Kind::Blank,
            2 => Kind::Command(payload),
            3 => Kind::Members(payload),
            _ => return None,
        };
        Some((Self { index: number(8)?, term: number(16)?, kind }, 8 + length))
    }
}

/// The frames from the start, each with its place and size, up to the first place where none is, and that place.
pub(super) fn scan(bytes: &[u8], segment: u64) -> (Vec<(Frame, usize, usize)>, usize) {
    let (mut frames, mut at) = (Vec::new(), 0);
    while let Some((frame, size)) = Frame::read(&bytes[at..], segment) {
        frames.push((frame, at, size));
        at += size;
    }
    (frames, at)
}

/// How many intact frames lie anywhere behind a damaged place: a crash tears only the end, so one is too many.
pub(super) fn intact_after(bytes: &[u8], segment: u64) -> usize {
    let (mut found, mut at) = (0, 1);
    while at < bytes.len() {
        match Frame::read(&bytes[at..], segment) {
            Some((_, size)) => {
                found += 1;
                at += size;
            }
            None => at += 1,
        }
    }
    found
}

/// Puts a checksum before bytes.
pub(super) fn seal(body: &[u8]) -> Vec<u8> {
    let mut out = crc32fast::hash(body).to_le_bytes().to_vec();
    out.extend_from_slice(body);
    out
}

/// The bytes behind a checksum that matches them.
pub(super) fn unseal(bytes: &[u8]) -> Option<&[u8]> {
    let crc = u32::from_le_bytes(*bytes.first_chunk::<4>()?);
    Some(&bytes[4..]).filter(|body| crc32fast::hash(body) == crc)
}

//! An archive of files, compressed, as every system can open it.

use std::io::Write;

use drover_base::WallTime;
use flate2::Compression;
use flate2::write::GzEncoder;

const BLOCK: usize = 512;
/// Longer names have no place in a header.
const NAME_MAX: usize = 100;

/// The archive's bytes. Files whose names are too long are left out.
///
/// # Errors
/// None in practice: what is written to is memory.
pub fn archive(files: &[(String, Vec<u8>)], time: WallTime) -> std::io::Result<Vec<u8>> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    for (name, bytes) in files.iter().filter(|(name, _)| name.len() <= NAME_MAX) {
        out.write_all(&header(name, bytes.len(), time))?;
        out.write_all(bytes)?;
        out.write_all(&vec![0; bytes.len().next_multiple_of(BLOCK) - bytes.len()])?;
    }
    out.write_all(&[0; BLOCK * 2])?;
    out.finish()
}

fn header(name: &str, size: usize, time: WallTime) -> [u8; BLOCK] {
    let mut header = [0u8; BLOCK];
    let mut put = |from: usize, text: &str| header[from..from + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, &format!("{:011o}", u64::try_from(time.0 / 1_000_000_000).unwrap_or_default()));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

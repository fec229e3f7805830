//! Memory that this process has mapped and does not use.

use std::fs;
use std::io;
use std::ops::Range;

/// Gives back the pages of the program's own code that this process has mapped, and returns how many bytes of addresses that were.
///
/// Code that runs only once, at the start, stays mapped for as long as the process lives, and so does what the kernel maps around
/// each page it is asked for. Code that is still in use comes back page by page, from the page cache, the next time it runs.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn release_code() -> io::Result<usize> {
    let program = fs::read_link("/proc/self/exe")?;
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mut released = 0;
    for range in code_of(&maps, &program.to_string_lossy()) {
        let length = range.end - range.start;
        // SAFETY: the range is a private mapping of the program's file that may be executed and not be written, so its pages hold what
        // the file holds and nothing else. Whoever runs through one of them again has it read from the file, which the kernel keeps
        // from being written while it runs.
        unsafe { rustix::mm::madvise(range.start as *mut std::ffi::c_void, length, rustix::mm::Advice::LinuxDontNeed) }?;
        released += length;
    }
    Ok(released)
}

/// Gives pages back that the program's allocator, mimalloc, holds for later and that nothing uses. Without effect in a program with
/// another allocator.
pub fn release_heap() {
    // SAFETY: may be called at any time by any thread; it looks at what is free only.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// The addresses, in a text of the form of `/proc/PID/maps`, at which the code of this program lies: mapped privately, not writable.
fn code_of(maps: &str, program: &str) -> Vec<Range<usize>> {
    let range = |line: &str| {
        // FROM-TO PERMISSIONS OFFSET DEVICE INODE, and after blanks for alignment the path, which may hold blanks of its own.
        let mut fields = line.splitn(6, ' ');
        let (from, to) = fields.next()?.split_once('-')?;
        let permissions = fields.next()?;
        let path = fields.nth(3)?.trim_start();
        let is_code = permissions == "r-xp" && path == program;
        let range = usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?;
        (is_code && !range.is_empty()).then_some(range)
    };
    maps.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0a0000000-55d0a0800000 r--p 00000000 fe:00 1234                       /opt/my tools/drover
55d0a0800000-55d0a2400000 r-xp 00800000 fe:00 1234                       /opt/my tools/drover
55d0a2400000-55d0a2500000 r--p 02400000 fe:00 1234                       /opt/my tools/drover
55d0a2500000-55d0a2501000 rw-p 02500000 fe:00 1234                       /opt/my tools/drover
7f0000000000-7f0000100000 r-xp 00000000 fe:00 99                         /usr/lib/libc.so.6
7f0000200000-7f0000300000 rw-p 00000000 00:00 0
7ffc00000000-7ffc00001000 r-xp 00000000 00:00 0                          [vdso]
";

    #[test]
    fn only_the_code_of_the_program_itself_is_found() {
        assert_eq!(code_of(MAPS, "/opt/my tools/drover"), vec![Range { start: 0x55d0_a080_0000, end: 0x55d0_a240_0000 }]);
        assert_eq!(code_of(MAPS, "/opt/my"), []);
        assert_eq!(code_of("no such form\n\n1-2 r-xp\n", ""), []);
    }

    #[test]
    fn a_process_goes_on_without_the_code_it_gave_back() {
        let resident = || {
            let text = fs::read_to_string("/proc/self/statm").unwrap();
            text.split_ascii_whitespace().nth(2).unwrap().parse::<u64>().unwrap()
        };
        let before = resident();
        assert!(release_code().unwrap() > 0);
        assert!(resident() < before, "pages of files that are mapped become fewer");
    }
}

//! What waytrace itself takes.

use std::fs;

/// Resident memory, bytes; 0 where it cannot be read.
pub fn rss_bytes() -> u64 {
    memory_bytes("/proc/self/statm").map_or(0, |(_, resident)| resident)
}

/// Address space and resident memory of a process, bytes (`/proc/PID/statm`, Documentation/filesystems/proc.rst).
pub fn process_memory_bytes(tgid: u32) -> Option<(u64, u64)> {
    memory_bytes(&format!("/proc/{tgid}/statm"))
}

fn memory_bytes(path: &str) -> Option<(u64, u64)> {
    let text = fs::read_to_string(path).ok()?;
    let mut pages = text.split_ascii_whitespace().map(|word| word.parse::<u64>().ok());
    Some((pages.next()?? * page_bytes(), pages.next()?? * page_bytes()))
}

fn page_bytes() -> u64 {
    // SAFETY: the call has no preconditions.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

/// Open files.
pub fn open_files() -> u64 {
    // One of them is the listing's own.
    fs::read_dir("/proc/self/fd").map_or(0, |entries| (entries.count() as u64).saturating_sub(1))
}

/// Gives memory that is free back to the kernel.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call has no preconditions.
    unsafe {
        libc::malloc_trim(0)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_shows() {
        let before = rss_bytes();
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(rss_bytes() > before + (48 << 20), "{}", block.len());
        let files: Vec<fs::File> = (0..200).map(|_| fs::File::open("/proc/self/exe").unwrap()).collect();
        assert!(open_files() >= files.len() as u64);
        assert!(process_memory_bytes(std::process::id()).unwrap().0 > 0);
        assert_eq!(process_memory_bytes(u32::MAX), None);
    }
}

//! How many perf events may be open at once: each is a descriptor.

use std::io;

/// Descriptors kept for everything else.
const SPARE: u64 = 256;
/// More than this is not asked for: a perf event takes one to two KiB of the kernel's memory.
const MOST: u64 = 200_000;

/// Raises the limit of open files as far as `wanted` perf events need it and this process may, and says how many perf events
/// can be open now.
///
/// # Errors
/// The limit cannot be read.
pub fn descriptors(wanted: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit writes one rlimit, which `limit` is, and it lives through the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let wanted = wanted.min(MOST).saturating_add(SPARE);
    if limit.rlim_cur < wanted {
        // Root may raise the hard limit, too; others get what it allows.
        for raised in [
            libc::rlimit { rlim_cur: wanted, rlim_max: limit.rlim_max.max(wanted) },
            libc::rlimit { rlim_cur: limit.rlim_max.min(wanted), rlim_max: limit.rlim_max },
        ] {
            // SAFETY: setrlimit reads one whole rlimit, which lives through the call.
            if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
                limit = raised;
                break;
            }
        }
    }
    Ok(limit.rlim_cur.saturating_sub(SPARE).min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_given_as_far_as_there_is() {
        let few = descriptors(10).unwrap();
        assert!((10..=MOST).contains(&few), "{few}");
        assert!(descriptors(u64::MAX).unwrap() <= MOST);
    }
}

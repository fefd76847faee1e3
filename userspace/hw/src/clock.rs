//! The clocks: `CLOCK_MONOTONIC`, the same as the kernel side's `bpf_ktime_get_ns`, and CPU time.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

fn read(clock: libc::clockid_t) -> io::Result<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC).unwrap_or(0)
}

/// Nanoseconds of `CLOCK_BOOTTIME`, which goes on while the machine is suspended.
pub fn boot_ns() -> u64 {
    read(libc::CLOCK_BOOTTIME).unwrap_or(0)
}

/// Wall clock, nanoseconds since the Unix epoch.
pub fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// CPU time of a whole process, exited threads included, up to the moment, in nanoseconds.
///
/// # Errors
/// `EINVAL` once the process is gone.
pub fn process_cpu_ns(tgid: u32) -> io::Result<u64> {
    // include/linux/posix-timers_types.h: the complement of the pid, and CPUCLOCK_SCHED.
    const CPUCLOCK_SCHED: libc::clockid_t = 2;
    read((!(tgid as libc::clockid_t) << 3) | CPUCLOCK_SCHED)
}

/// CPU time of the calling process, in nanoseconds.
pub fn own_cpu_ns() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or(0)
}

/// CPU time of the calling thread, in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_clock_reads_what_the_process_reads_of_itself() {
        let before = own_cpu_ns();
        let seen = process_cpu_ns(std::process::id()).unwrap();
        assert!(seen >= before && seen <= own_cpu_ns());
        assert!(process_cpu_ns(u32::MAX >> 4).is_err());
    }
}

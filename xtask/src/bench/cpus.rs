//! Which CPU runs what, and what a process has used of it.
//!
//! A target gets the last CPU this program may use and every tool the first, so that they meet on no CPU; on a machine
//! with one CPU nothing is pinned. Sources: sched_setaffinity(2), clock_getcpuclockid(3), prctl(2).

use anyhow::{Context as _, Result, bail};
use std::io;
use std::mem::{size_of, zeroed};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Where things run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpus {
    /// CPU of targets; `None` where there is but one.
    pub target: Option<usize>,
    /// CPU of tools and load generators.
    pub tool: Option<usize>,
}

impl Cpus {
    /// Shares out the CPUs this program may use.
    pub fn share() -> Result<Self> {
        let allowed = allowed()?;
        match (allowed.first(), allowed.last()) {
            (Some(first), Some(last)) if first != last => {
                Ok(Self { target: Some(*last), tool: Some(*first) })
            }
            (Some(_), _) => Ok(Self { target: None, tool: None }),
            _ => bail!("this program may run on no CPU"),
        }
    }
}

fn allowed() -> Result<Vec<usize>> {
    // SAFETY: a CPU set is plain bits, for which all zeroes is a value.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    // SAFETY: the set is as large as said; 0 is this thread.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) } != 0 {
        return Err(io::Error::last_os_error()).context("cannot ask for the CPUs to run on");
    }
    // SAFETY: every index is below the size of the set.
    let is_in = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &set) };
    Ok((0..libc::CPU_SETSIZE as usize).filter(is_in).collect())
}

/// Has the command run on `cpu`, heed Ctrl-C, which a shell has what it starts in the background ignore, and end with this
/// program, also when this is killed.
pub fn prepare(command: &mut Command, cpu: Option<usize>) -> &mut Command {
    let before_exec = move || {
        // SAFETY: passes numbers only.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: passes numbers only; the default disposition runs no code of ours.
        if unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
        cpu.map_or(Ok(()), pin_self)
    };
    // SAFETY: the closure makes three system calls between fork and exec and allocates nothing.
    unsafe { command.pre_exec(before_exec) }
}

fn pin_self(cpu: usize) -> io::Result<()> {
    // SAFETY: as in `allowed`; `cpu` came out of such a set, so it fits.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    // SAFETY: the same.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the set is as large as said; 0 is this thread.
    match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// CPU time of all threads of a process, those that run at this moment included, in nanoseconds.
pub fn process_cpu_ns(pid: u32) -> Result<u64> {
    let mut clock = 0;
    // SAFETY: `clock` is a valid place for the result.
    let failed = unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &raw mut clock) };
    if failed != 0 {
        bail!("process {pid} has no CPU clock: {}", io::Error::from_raw_os_error(failed));
    }
    clock_ns(clock).with_context(|| format!("cannot read the CPU clock of process {pid}"))
}

/// `CLOCK_MONOTONIC` in nanoseconds.
pub fn monotonic_ns() -> Result<u64> {
    Ok(clock_ns(libc::CLOCK_MONOTONIC)?)
}

fn clock_ns(clock: libc::clockid_t) -> io::Result<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result.
    match unsafe { libc::clock_gettime(clock, &raw mut time) } {
        0 => Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_child_may_use_its_cpu_only() {
        let Some(cpu) = Cpus::share().unwrap().target else { return };
        let mut command = Command::new("sh");
        command.args(["-c", "grep Cpus_allowed_list /proc/self/status"]);
        let output = prepare(&mut command, Some(cpu)).output().unwrap();
        let line = String::from_utf8(output.stdout).unwrap();
        assert_eq!(line.split_whitespace().last(), Some(cpu.to_string().as_str()));
    }

    #[test]
    fn the_cpu_clock_of_a_process_runs_with_its_work() {
        let before = process_cpu_ns(std::process::id()).unwrap();
        let mut sum = 0u64;
        while process_cpu_ns(std::process::id()).unwrap() < before + 1_000_000 {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(sum > 0);
        let beyond_all_pids = (1 << 22) + 1;
        assert!(process_cpu_ns(beyond_all_pids).is_err());
    }
}

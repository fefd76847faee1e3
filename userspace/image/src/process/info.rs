//! Identity and threads of one process, with a clear reason where it cannot be a target.

use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::error::Error;

/// `PF_KTHREAD` of `include/linux/sched.h`, field `flags` of `/proc/PID/stat`.
const PF_KTHREAD: u64 = 0x0020_0000;

/// What `/proc` says about a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Thread group id: what users call the pid.
    pub tgid: u32,
    /// Name, at most 15 bytes.
    pub comm: String,
    /// Arguments joined by one space; empty if the process erased them.
    pub cmdline: String,
    /// Executable as the target sees it, without ` (deleted)`.
    pub exe: PathBuf,
    /// Start time in clock ticks since boot: with `tgid` it tells a reused pid apart.
    pub start_time_ticks: u64,
    /// Scheduler state letter of the leader thread (`R`, `S`, `D`, `T`, …).
    pub state: char,
    /// The process belongs to the kernel. [`inspect`] refuses those, so this is false in what it returns.
    pub is_kernel_thread: bool,
    /// Threads alive, ascending.
    pub threads: Vec<u32>,
    /// Effective user id.
    pub uid: u32,
}

/// The fields of `/proc/ID/stat` used here.
pub(super) struct Stat {
    pub comm: String,
    pub state: char,
    pub is_kernel_thread: bool,
    pub start_time_ticks: u64,
}

impl Stat {
    pub fn read(id: u32) -> io::Result<Self> {
        let bytes = fs::read(format!("/proc/{id}/stat"))?;
        Self::parse(&bytes).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// The name stands in brackets and may itself hold brackets and spaces: it ends at the last `)`.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let open = bytes.iter().position(|&b| b == b'(')?;
        let close = bytes.iter().rposition(|&b| b == b')')?;
        let comm = String::from_utf8_lossy(bytes.get(open + 1..close)?).into_owned();
        let fields: Vec<&str> =
            std::str::from_utf8(bytes.get(close + 1..)?).ok()?.split_ascii_whitespace().collect();
        Some(Self {
            comm,
            state: fields.first()?.chars().next()?,
            is_kernel_thread: fields.get(6)?.parse::<u64>().ok()? & PF_KTHREAD != 0,
            start_time_ticks: fields.get(19)?.parse().ok()?,
        })
    }
}

/// Reads what there is to know about the process `pid`; a thread's id stands for its process.
///
/// # Errors
/// [`Error::NoSuchProcess`], [`Error::KernelThread`], [`Error::Zombie`], [`Error::Permission`], or
/// [`Error::Exited`] when it goes away while it is being read.
pub fn inspect(pid: u32) -> Result<ProcessInfo, Error> {
    let tgid = resolve_tid(pid)?;
    let stat = Stat::read(tgid).map_err(|error| Error::from_proc(tgid, "stat", error))?;
    if stat.is_kernel_thread {
        return Err(Error::KernelThread { pid, comm: stat.comm });
    }
    let threads = threads(tgid)?;
    if threads.is_empty() {
        return Err(Error::Zombie { pid, comm: stat.comm });
    }
    let alive = living_task(tgid);
    let in_proc = |what: &str, error| Error::from_proc(tgid, what, error);
    let exe = fs::read_link(format!("/proc/{alive}/exe")).map_err(|error| in_proc("exe", error))?;
    let cmdline = fs::read(format!("/proc/{alive}/cmdline")).map_err(|error| in_proc("cmdline", error))?;
    let uid = status_field(alive, "Uid:", 1).map_err(|error| in_proc("status", error))?;
    Ok(ProcessInfo {
        tgid,
        comm: stat.comm,
        cmdline: join_arguments(&cmdline),
        exe: without_deleted(exe),
        start_time_ticks: stat.start_time_ticks,
        state: stat.state,
        is_kernel_thread: false,
        threads,
        uid,
    })
}

/// Threads of the process that have not exited, ascending. Empty for a zombie.
///
/// # Errors
/// [`Error::Exited`] if the process is gone, [`Error::Permission`] if it is hidden.
pub fn threads(tgid: u32) -> Result<Vec<u32>, Error> {
    let in_proc = |error| Error::from_proc(tgid, "task", error);
    let mut tids = Vec::new();
    for entry in fs::read_dir(format!("/proc/{tgid}/task")).map_err(in_proc)? {
        let name = entry.map_err(in_proc)?.file_name();
        if let Some(tid) = name.to_str().and_then(|name| name.parse().ok()) {
            tids.push(tid);
        }
    }
    tids.retain(|&tid| Stat::read(tid).is_ok_and(|stat| !stat.is_dead()));
    tids.sort_unstable();
    Ok(tids)
}

/// Thread group the thread `tid` belongs to.
///
/// # Errors
/// [`Error::NoSuchProcess`] if nothing has this id, [`Error::Permission`] if it is hidden.
pub fn resolve_tid(tid: u32) -> Result<u32, Error> {
    status_field(tid, "Tgid:", 0).map_err(|error| match Error::from_proc(tid, "status", error) {
        Error::Exited { pid } => Error::NoSuchProcess { pid },
        other => other,
    })
}

/// Whether any thread of a process still runs: false once it is gone or a zombie.
pub fn is_running(tgid: u32) -> bool {
    matches!(Stat::read(living_task(tgid)), Ok(stat) if !stat.is_dead())
}

/// A task whose `/proc` entry still shows the process's memory: the leader, or, where it alone has exited,
/// another thread.
pub(super) fn living_task(tgid: u32) -> u32 {
    match Stat::read(tgid) {
        Ok(stat) if stat.is_dead() => {
            threads(tgid).ok().and_then(|tids| tids.first().copied()).unwrap_or(tgid)
        }
        _ => tgid,
    }
}

/// Strips what the kernel appends to the path of an unlinked file.
pub(super) fn without_deleted(path: PathBuf) -> PathBuf {
    match path.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(rest) => PathBuf::from(std::ffi::OsString::from_vec(rest.to_vec())),
        None => path,
    }
}

fn status_field(id: u32, key: &str, index: usize) -> io::Result<u32> {
    let text = fs::read(format!("/proc/{id}/status"))?;
    let text = String::from_utf8_lossy(&text);
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.split_ascii_whitespace().nth(index))
        .and_then(|value| value.parse().ok());
    value.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

fn join_arguments(bytes: &[u8]) -> String {
    let trimmed = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let arguments: Vec<_> = trimmed.split(|&b| b == 0).map(String::from_utf8_lossy).collect();
    arguments.join(" ")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn own_process_reads_as_it_is() {
        let info = inspect(std::process::id()).unwrap();
        assert_eq!(info.tgid, std::process::id());
        assert_eq!(info.exe, std::env::current_exe().unwrap());
        assert!(info.cmdline.starts_with(&std::env::args().next().unwrap()));
        assert!(info.threads.contains(&info.tgid));
        // SAFETY: geteuid has no preconditions.
        assert_eq!(info.uid, unsafe { libc::geteuid() });
    }

    #[test]
    fn a_thread_stands_for_its_process() {
        let tid = std::thread::spawn(|| {
            // SAFETY: gettid has no preconditions.
            let tid = unsafe { libc::gettid() } as u32;
            assert_eq!(resolve_tid(tid).unwrap(), std::process::id());
            assert_eq!(inspect(tid).unwrap().tgid, std::process::id());
            assert!(threads(std::process::id()).unwrap().contains(&tid));
            tid
        });
        assert_ne!(tid.join().unwrap(), std::process::id());
    }

    #[test]
    fn a_zombie_and_what_follows_it_are_told_apart() {
        let mut child = Command::new("true").stdout(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        while !Stat::read(pid).unwrap().is_dead() {
            std::thread::yield_now();
        }
        assert!(matches!(inspect(pid), Err(Error::Zombie { pid: p, .. }) if p == pid));
        child.wait().unwrap();
        assert!(matches!(inspect(pid), Err(Error::NoSuchProcess { pid: p }) if p == pid));
    }

    #[test]
    fn kernel_threads_are_refused_by_name() {
        let Ok(stat) = Stat::read(2) else { return println!("SKIP: pid 2 is not visible here") };
        if !stat.is_kernel_thread {
            return println!("SKIP: pid 2 is no kernel thread in this PID namespace");
        }
        let error = inspect(2).unwrap_err();
        assert!(matches!(&error, Error::KernelThread { pid: 2, comm } if *comm == stat.comm), "{error}");
    }

    #[test]
    fn names_with_brackets_do_not_shift_the_fields() {
        let line = b"7 (a) b) S 1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.comm.as_str(), stat.state, stat.start_time_ticks), ("a) b", 'S', 4242));
        for end in 0..line.len() {
            let _ = Stat::parse(&line[..end]);
        }
    }
}

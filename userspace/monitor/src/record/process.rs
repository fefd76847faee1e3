//! Processes that are started beside the monitoring: in a group of their own, with none of its files, never left as zombies,
//! and with their CPU time known.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStderr, Command};
use std::time::{Duration, Instant};

/// Between looks whether it has ended: the first, and the longest.
const LOOK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// A started process. It and its group are killed when dropped before its end.
#[derive(Debug)]
pub struct Process {
    pid: libc::pid_t,
    ended: Option<Ended>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; 128 and the signal's number if a signal ended it.
    pub code: i32,
    /// CPU time it took and waited for in its children, nanoseconds (wait4).
    pub cpu_ns: u64,
}

/// What a process is given besides its command.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// How much it is put behind others, 0 to 19.
    pub nice: i32,
    /// What it is sent when the thread that started it ends.
    pub end_with_parent: Option<libc::c_int>,
    /// It has the capabilities of the monitor, also for users other than root.
    pub keeps_capabilities: bool,
}

impl Process {
    /// Starts a command; its standard error, where that is piped, is given along.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(command: &mut Command, manner: Manner) -> io::Result<(Self, Option<ChildStderr>)> {
        let parent = std::process::id();
        command.process_group(0);
        // SAFETY: the closure runs between fork and exec, allocates nothing and makes async-signal-safe system calls.
        unsafe { command.pre_exec(move || prepare(manner, parent)) };
        let mut child = command.spawn()?;
        Ok((Self { pid: child.id().cast_signed(), ended: None }, child.stderr.take()))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.cast_unsigned()
    }

    /// How it ended, if it has.
    pub fn poll(&mut self) -> Option<Ended> {
        self.reap(libc::WNOHANG)
    }

    /// Waits until it has ended or a time has come; `is_over` may end the wait before.
    pub fn wait_until(&mut self, deadline: Instant, is_over: impl Fn() -> bool) -> Option<Ended> {
        let mut look = LOOK.0;
        loop {
            if let Some(ended) = self.poll() {
                return Some(ended);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || is_over() {
                return None;
            }
            std::thread::sleep(look.min(left));
            look = (look * 2).min(LOOK.1);
        }
    }

    /// To it alone.
    pub fn signal(&self, signal: libc::c_int) {
        if self.ended.is_none() {
            // SAFETY: a signal passes no pointers; the child has not been waited for, so its id is still its own.
            unsafe { libc::kill(self.pid, signal) };
        }
    }

    /// Kills it and whoever is left in its group, and takes its account.
    pub fn kill(&mut self) -> Option<Ended> {
        if self.ended.is_none() {
            // SAFETY: as above; the group has the child's id.
            unsafe { libc::kill(-self.pid, libc::SIGKILL) };
        }
        self.reap(0)
    }

    fn reap(&mut self, flags: libc::c_int) -> Option<Ended> {
        if self.ended.is_some() {
            return self.ended;
        }
        let mut status = 0;
        // SAFETY: a rusage is plain numbers.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        loop {
            // SAFETY: both places live through the call, and the child is ours and not yet waited for.
            match unsafe { libc::wait4(self.pid, &raw mut status, flags, &raw mut usage) } {
                0 => return None,
                -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                // Somebody else has waited for it: how it ended is not known.
                -1 => {
                    self.ended = Some(Ended { code: -1, cpu_ns: 0 });
                    return self.ended;
                }
                _ => break,
            }
        }
        let code = match libc::WIFSIGNALED(status) {
            true => 128 + libc::WTERMSIG(status),
            false => libc::WEXITSTATUS(status),
        };
        self.ended = Some(Ended { code, cpu_ns: ns(usage.ru_utime).saturating_add(ns(usage.ru_stime)) });
        self.ended
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// In the child between fork and exec. Files that were opened without `O_CLOEXEC` are closed at exec as well.
fn prepare(manner: Manner, parent: u32) -> io::Result<()> {
    const ABOVE_STDERR: libc::c_uint = 3;
    // SAFETY: close_range passes no pointers. A kernel without it (before 5.11) leaves what libraries opened carelessly.
    unsafe {
        libc::syscall(libc::SYS_close_range, ABOVE_STDERR, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    // SAFETY: setpriority passes no pointers; where it is refused the process runs as others do.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, manner.nice) };
    // Who was started in a shell's background ignores SIGINT, and its children would: it is how a recording is asked to end.
    // SAFETY: setting a signal back to its default passes no pointers.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
    if !manner.keeps_capabilities {
        give_up_capabilities()?;
    }
    if let Some(signal) = manner.end_with_parent {
        // SAFETY: PR_SET_PDEATHSIG passes no pointers.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: getppid has no preconditions.
        if unsafe { libc::getppid() }.cast_unsigned() != parent {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
    }
    Ok(())
}

/// What a program of another is executed with: for users other than root nothing, for root what root has (capabilities(7): the ambient
/// set is all that an ordinary program takes over).
fn give_up_capabilities() -> io::Result<()> {
    let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong;
    // SAFETY: the option takes numbers and touches no memory.
    match unsafe { libc::prctl(libc::PR_CAP_AMBIENT, clear, 0u64, 0u64, 0u64) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn ns(time: libc::timeval) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(micros.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;
    use std::process::Stdio;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn codes_and_cpu_time_are_known() {
        let (mut process, _) = Process::start(&mut shell("exit 7"), Manner::default()).unwrap();
        assert_eq!(process.wait_until(far(), || false).unwrap().code, 7);
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let (mut process, _) =
            Process::start(&mut shell(busy), Manner { nice: 10, ..Manner::default() }).unwrap();
        let ended = process.wait_until(far(), || false).unwrap();
        assert!(ended.code == 0 && ended.cpu_ns > 1_000_000, "{ended:?}");
    }

    /// A grandchild in the group ends as well, and nobody is left unwaited for.
    #[test]
    fn a_killed_one_takes_its_group_along() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
        let (mut process, _) = Process::start(&mut shell(&script), Manner::default()).unwrap();
        while !file.exists() {
            assert!(process.poll().is_none());
            std::thread::sleep(Duration::from_millis(5));
        }
        let grandchild: u32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        assert!(process.wait_until(Instant::now(), || false).is_none());
        assert_eq!(process.kill().unwrap().code, 128 + libc::SIGKILL);
        let is_alive = |pid: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
        };
        let deadline = far();
        while is_alive(grandchild) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!is_alive(grandchild));
        assert!(!std::path::Path::new(&format!("/proc/{}", process.pid())).exists(), "no zombie");
    }

    /// `CAP_KILL` in the ambient set of the thread that starts it, as a service manager gives it to a monitor that is not root.
    #[test]
    fn capabilities_are_for_waytraces_own_programs() {
        const KILL: u64 = 1 << 5;
        let permitted = crate::life::sys::permitted().unwrap();
        if permitted & KILL == 0 {
            println!("SKIP: needs root");
            return;
        }
        // Of a thread of its own: capabilities are each thread's.
        let codes = std::thread::spawn(move || {
            crate::life::sys::set(permitted).unwrap();
            crate::life::sys::set_ambient(KILL).unwrap();
            [false, true].map(|keeps_capabilities| {
                let manner = Manner { keeps_capabilities, ..Manner::default() };
                let script = "grep -q 'CapAmb:.*[1-9a-f]' /proc/self/status";
                let (mut process, _) = Process::start(&mut shell(script), manner).unwrap();
                process.wait_until(far(), || false).unwrap().code
            })
        });
        assert_eq!(codes.join().unwrap(), [1, 0]);
    }

    #[test]
    fn files_without_close_on_exec_are_not_inherited() {
        let file = std::fs::File::open("/dev/null").unwrap();
        // SAFETY: the descriptor is open, and flags are a number.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) };
        let script = format!("[ ! -e /proc/self/fd/{} ]", file.as_raw_fd());
        let (mut process, _) = Process::start(&mut shell(&script), Manner::default()).unwrap();
        assert_eq!(process.wait_until(far(), || false).unwrap().code, 0);
    }
}

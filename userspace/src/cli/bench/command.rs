//! A workload's process: started alike in every mode, and measured by the clock and by wait4 alone.
//!
//! In a profiled mode it is held at its entry point, with its libraries mapped, until waytrace has attached from a process
//! of its own. So what wait4 says is the workload's, and what is compared with a dry run differs in nothing else.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use waytrace_model::bench::{RepetitionEnd, Workload};
use waytrace_model::units::parse_duration_ns;

use super::super::hold;
use super::floor::Floor;
use super::placement::Placed;
use super::signals::{self, Signals};

/// Longest wait for a signal without looking whether the child has ended.
const LOOK: Duration = Duration::from_millis(500);

/// A started process. Killed when dropped before its end.
pub struct Process {
    pid: libc::pid_t,
    started: Instant,
    /// When it was held, and how long it has been altogether.
    held_since: Option<Instant>,
    held: Duration,
    timeout: Option<Duration>,
    timed_out: bool,
    floor: Floor,
    ended: bool,
    sweeps: bool,
}

/// What the kernel and the clock say about an ended process.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// Without the time it was held.
    pub wall_ns: u64,
    /// CPU time in user mode.
    pub user_ns: u64,
    /// CPU time in the kernel.
    pub system_ns: u64,
    /// Most memory resident at once, where it is more than the process began with.
    pub max_rss_bytes: Option<u64>,
    /// How it ended.
    pub ended_by: RepetitionEnd,
    /// 128 and the signal's number if a signal ended it.
    pub exit_code: i32,
}

impl Process {
    /// Starts a workload, and with `hold` stops it at its entry point.
    ///
    /// # Errors
    /// The program cannot be started, or not be placed as asked.
    pub fn start(workload: &Workload, placed: &Placed, hold: bool) -> anyhow::Result<Self> {
        let (program, arguments) = workload.command.split_first().context("no command")?;
        let mut command = Command::new(program);
        command.args(arguments).envs(&workload.env).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(folder) = &workload.cwd {
            command.current_dir(folder);
        }
        let placed = placed.clone();
        let floor = Floor::new().context("mapping a shared page")?;
        let noted = floor.clone();
        let parent = std::process::id();
        let prepare = move || {
            signals::unblock()?;
            die_with(parent, libc::SIGKILL)?;
            placed.apply()?;
            noted.note()?;
            if hold { hold::trace_me() } else { Ok(()) }
        };
        // SAFETY: the closure runs between fork and exec, allocates nothing and makes async-signal-safe system calls.
        unsafe { command.pre_exec(prepare) };
        let started = Instant::now();
        let child = command.spawn().with_context(|| {
            format!("workload `{}`: cannot start `{program}` in its place", workload.name)
        })?;
        let timeout = workload.timeout.as_deref().map(parse_duration_ns).transpose()?;
        let mut process = Self {
            pid: child.id().cast_signed(),
            started,
            held_since: None,
            held: Duration::ZERO,
            timeout: timeout.map(Duration::from_nanos),
            timed_out: false,
            floor,
            ended: false,
            sweeps: false,
        };
        if hold {
            process.hold().with_context(|| format!("holding `{program}` at its entry"))?;
            process.held_since = Some(Instant::now());
        }
        Ok(process)
    }

    /// Whoever it leaves behind in its process group ends with it.
    pub fn sweeping(mut self) -> Self {
        self.sweeps = true;
        self
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.cast_unsigned()
    }

    /// Stops it at its entry point, no longer traced, for another process to attach to.
    fn hold(&self) -> io::Result<()> {
        hold::await_stop(self.pid())?;
        // Without debug registers it is held where it is.
        hold::run_to_entry(self.pid());
        hold::release(self.pid(), libc::SIGSTOP)
    }

    /// Lets a held one run.
    pub fn release(&mut self) {
        if let Some(since) = self.held_since.take() {
            self.held = since.elapsed();
            self.signal(libc::SIGCONT);
        }
    }

    /// Waits for its end, which it is helped to at its timeout. `None`: somebody asked for the end of everything, and it
    /// was killed.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub fn wait(&mut self, signals: &mut Signals) -> anyhow::Result<Option<Account>> {
        loop {
            // Before looking, for it may take the signal that says that the child has ended.
            if signals.interrupted() {
                self.end();
                return Ok(None);
            }
            if let Some(account) = self.poll()? {
                return Ok(Some(account));
            }
            signals.wait(self.look());
        }
    }

    /// Its account, if it has ended by now, which it is helped to at its timeout.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub fn poll(&mut self) -> anyhow::Result<Option<Account>> {
        if self.sweeps && self.has_ended() {
            // Not waited for, it keeps the group's number from being given away.
            self.signal(libc::SIGKILL);
        }
        if let Some((status, usage)) = self.reap(libc::WNOHANG).context("waiting for the workload")? {
            return Ok(Some(self.account(status, &usage, self.timed_out)));
        }
        if self.left() == Some(Duration::ZERO) && !self.timed_out {
            self.timed_out = true;
            self.signal(libc::SIGKILL);
        }
        Ok(None)
    }

    /// How long to wait at most before looking again.
    pub fn look(&self) -> Duration {
        self.left().filter(|_| !self.timed_out).unwrap_or(LOOK).min(LOOK)
    }

    /// Until its timeout, without the time it was held.
    fn left(&self) -> Option<Duration> {
        self.timeout.map(|timeout| timeout.saturating_sub(self.started.elapsed().saturating_sub(self.held)))
    }

    fn has_ended(&self) -> bool {
        // SAFETY: a siginfo_t is plain numbers, of which all zeros says that nobody has ended.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: the place lives through the call, and the child is ours and not yet waited for.
        let asked = unsafe { libc::waitid(libc::P_PID, self.pid(), &raw mut info, how) } == 0;
        // SAFETY: waitid has filled in what belongs to the end of a child, or left zeros.
        asked && unsafe { info.si_pid() } != 0
    }

    fn account(&self, status: libc::c_int, usage: &libc::rusage, timed_out: bool) -> Account {
        let wall = self.started.elapsed().saturating_sub(self.held);
        let by_signal = libc::WIFSIGNALED(status);
        let ended_by = match (timed_out && by_signal, by_signal) {
            (true, _) => RepetitionEnd::Timeout,
            (false, true) => RepetitionEnd::Signal,
            (false, false) => RepetitionEnd::Exit,
        };
        let code = if by_signal { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) };
        Account {
            wall_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
            user_ns: ns(usage.ru_utime),
            system_ns: ns(usage.ru_stime),
            max_rss_bytes: self.floor.beyond(max_rss_bytes(usage)),
            ended_by,
            exit_code: code,
        }
    }

    /// Status and account, once it has ended.
    fn reap(&mut self, flags: libc::c_int) -> io::Result<Option<(libc::c_int, libc::rusage)>> {
        let mut status = 0;
        // SAFETY: a rusage is plain numbers.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both places live through the call, and the child is ours and not yet waited for.
        match unsafe { libc::wait4(self.pid, &raw mut status, flags, &raw mut usage) } {
            -1 => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(None),
                error => Err(error),
            },
            0 => Ok(None),
            _ => {
                self.ended = true;
                Ok(Some((status, usage)))
            }
        }
    }

    /// To it and all of its process group.
    fn signal(&self, signal: libc::c_int) {
        // SAFETY: a signal passes no pointers; the child has not been waited for, so its id is still its own.
        unsafe { libc::kill(-self.pid, signal) };
    }

    /// Kills it and its process group, unless it has ended.
    pub fn end(&mut self) {
        if !self.ended {
            self.signal(libc::SIGKILL);
            // A failure means that there is nobody to wait for.
            let _ = self.reap(0);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// In a child between fork and exec: asks the kernel for `signal` when `parent` ends. Async-signal-safe.
///
/// # Errors
/// Whatever the kernel says, or that the parent has ended already.
pub fn die_with(parent: u32, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG passes no pointers.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: getppid has no preconditions.
    if unsafe { libc::getppid() }.cast_unsigned() == parent {
        Ok(())
    } else {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

/// Of an account, in bytes; the kernel gives KiB.
pub fn max_rss_bytes(usage: &libc::rusage) -> u64 {
    u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024)
}

fn ns(time: libc::timeval) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(micros.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(script: &str, timeout: Option<&str>) -> Workload {
        Workload {
            name: "w".to_owned(),
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            cwd: Some("/".to_owned()),
            env: [("CODE".to_owned(), "7".to_owned())].into(),
            timeout: timeout.map(str::to_owned),
        }
    }

    fn run(workload: &Workload, hold: bool) -> Account {
        let mut signals = Signals::block().unwrap();
        let mut process = Process::start(workload, &Placed::default(), hold).unwrap();
        process.release();
        process.wait(&mut signals).unwrap().unwrap()
    }

    #[test]
    fn codes_signals_and_timeouts_are_told_apart() {
        let how = |script, timeout| {
            let account = run(&workload(script, timeout), false);
            (account.ended_by, account.exit_code)
        };
        assert_eq!(how("exit $CODE", Some("1h")), (RepetitionEnd::Exit, 7));
        assert_eq!(how("test $PWD = /", None), (RepetitionEnd::Exit, 0));
        assert_eq!(how("kill -TERM $$", None), (RepetitionEnd::Signal, 143));
        assert_eq!(how("sleep 1000", Some("50ms")), (RepetitionEnd::Timeout, 137));
    }

    /// A loop of shell arithmetic is CPU time and a sleep is not; both are time by the clock.
    #[test]
    fn the_account_is_of_the_workload() {
        let slept = run(&workload("sleep 0.3", None), false);
        assert!(slept.wall_ns >= 300_000_000 && slept.user_ns + slept.system_ns < slept.wall_ns, "{slept:?}");
        let busy = run(&workload("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done", None), false);
        assert!(busy.user_ns > 0, "{busy:?}");
    }

    /// `tail` keeps the last 100 MB of a pipe; the shell around it is far smaller.
    #[test]
    fn the_peak_is_that_of_the_largest_child() {
        let account =
            run(&workload("head -c 100000000 /dev/zero | tail -c 100000000 > /dev/null", None), false);
        let peak = account.max_rss_bytes.unwrap();
        assert!((100_000_000..200_000_000).contains(&peak), "{peak}");
    }

    /// While it is held it does not run, and the time does not count.
    #[test]
    fn a_held_one_runs_when_it_is_released() {
        let place = tempfile::tempdir().unwrap();
        let mark = place.path().join("ran");
        let touch = workload(&format!("echo > {}", mark.display()), None);
        let mut signals = Signals::block().unwrap();
        let mut process = Process::start(&touch, &Placed::default(), true).unwrap();
        std::thread::sleep(Duration::from_millis(400));
        assert!(!mark.exists());
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", process.pid())).unwrap();
        assert!(maps.contains("libc"), "held at its entry, its libraries are mapped:\n{maps}");
        process.release();
        let account = process.wait(&mut signals).unwrap().unwrap();
        assert_eq!((account.exit_code, mark.exists()), (0, true));
        let elapsed = process.started.elapsed();
        let counted = Duration::from_nanos(account.wall_ns);
        assert!(elapsed.saturating_sub(counted) >= Duration::from_millis(400), "{counted:?} of {elapsed:?}");
    }

    #[test]
    fn what_cannot_be_started_is_named() {
        let mut absent = workload("", None);
        absent.command = vec!["/no/such/program".to_owned()];
        let error = format!("{:#}", Process::start(&absent, &Placed::default(), false).err().unwrap());
        assert!(error.contains("workload `w`") && error.contains("/no/such/program"), "{error}");
    }
}

//! Placing and removing probes.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::plan::{Plan, Point};
use crate::Error;
use crate::kernel::{Kernel, multi, sys};

/// Programs that sit on probes.
const PROGRAMS: [&str; 6] =
    ["alloc_enter", "alloc_exit", "free_enter", "map_called", "usdt_alloc", "usdt_free"];

/// Which processes a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One process.
    Process(u32),
    /// Whoever maps the file. Others pay for the trap too, so this is only for children not known yet.
    Everyone,
}

impl Scope {
    fn pid(self) -> Option<u32> {
        match self {
            Self::Process(pid) => Some(pid),
            Self::Everyone => None,
        }
    }
}

/// Places probes. It shares the loaded programs and does not need the rest of the kernel part.
#[derive(Clone)]
pub struct Prober {
    how: Arc<How>,
}

enum How {
    /// One link for all offsets of a file (Linux 6.6).
    Links(multi::Programs),
    /// A perf event and a link each. `kind` is the type of the `uprobe` PMU.
    Events { kind: u32, programs: HashMap<&'static str, OwnedFd> },
}

/// Probes in place. Dropping them removes them from the target's text at once; the call itself returns after a
/// grace period of the kernel's.
#[derive(Default)]
pub struct Placed {
    /// Links before the events they hang on.
    descriptors: Vec<OwnedFd>,
}

impl Placed {
    /// Adds others.
    pub fn extend(&mut self, other: Self) {
        self.descriptors.extend(other.descriptors);
    }

    /// Removes them on as many threads as it takes for the grace periods to overlap, and waits.
    pub fn remove(self) {
        std::thread::scope(|scope| {
            for descriptor in self.descriptors {
                scope.spawn(move || drop(descriptor));
            }
        });
    }
}

/// Removes probes without waiting for the kernel's grace periods: each descriptor is closed by a thread of its own, for
/// the close takes the breakpoints out at once and then waits. Threads are kept for the next descriptors. Dropping it
/// waits for the last of them.
pub struct Reaper {
    shared: Arc<Work>,
    threads: Vec<JoinHandle<()>>,
    most_threads: usize,
}

impl Default for Reaper {
    fn default() -> Self {
        Self::with_threads(usize::MAX)
    }
}

#[derive(Default)]
struct Work {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: Vec<OwnedFd>,
    idle: usize,
    closed: bool,
}

impl Work {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<OwnedFd> {
        let mut state = self.state();
        state.idle += 1;
        let waiting = |state: &mut State| state.queue.is_empty() && !state.closed;
        let mut state = self.changed.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        state.queue.pop()
    }
}

impl Reaper {
    /// One of at most so many threads: what they cannot take at once waits, and its breakpoints with it.
    pub fn with_threads(most_threads: usize) -> Self {
        Self { shared: Arc::default(), threads: Vec::new(), most_threads }
    }

    /// Takes the probes out of the target's text; the call itself does not wait.
    pub fn take(&mut self, placed: Placed) {
        let missing = {
            let mut state = self.shared.state();
            state.queue.extend(placed.descriptors);
            state.queue.len().saturating_sub(state.idle)
        };
        for _ in 0..missing.min(self.most_threads.saturating_sub(self.threads.len())) {
            let work = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("reaper".to_owned());
            if let Ok(thread) = thread.spawn(move || while work.next().map(drop).is_some() {}) {
                self.threads.push(thread);
            }
        }
        if self.threads.is_empty() {
            self.shared.state().queue.clear();
        }
        self.shared.changed.notify_all();
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_all();
        for thread in std::mem::take(&mut self.threads) {
            // A thread that panicked has closed its descriptor while unwinding.
            let _ = thread.join();
        }
    }
}

impl Prober {
    /// Takes what it needs out of the kernel part.
    ///
    /// # Errors
    /// When the kernel refuses the programs.
    pub fn new(kernel: &mut Kernel) -> Result<Self, Error> {
        if let Some(programs) = kernel.take_multi() {
            return Ok(Self { how: Arc::new(How::Links(programs)) });
        }
        let path = "/sys/bus/event_source/devices/uprobe/type";
        let kind = std::fs::read_to_string(path).map_err(Error::syscall(format!("reading {path}")))?;
        let kind = kind.trim().parse().map_err(|_| Error::Missing("uprobe PMU".to_owned()))?;
        let mut programs = HashMap::new();
        for name in PROGRAMS {
            let program = kernel.probe_program(name)?.try_clone_to_owned();
            programs.insert(name, program.map_err(Error::syscall(format!("duplicating {name}")))?);
        }
        Ok(Self { how: Arc::new(How::Events { kind, programs }) })
    }

    /// Places all probes of a plan. On an error those already placed are removed.
    ///
    /// # Errors
    /// [`Error::Attach`] naming the file.
    pub fn place(&self, plan: &Plan, scope: Scope) -> Result<Placed, Error> {
        let mut placed = Placed::default();
        for file in &plan.files {
            // Returns first: a call whose entry is seen must be seen to return, or it would hide the next ones.
            for (name, points, on_return) in [
                ("alloc_exit", &file.exits, true),
                ("free_enter", &file.frees, false),
                ("alloc_enter", &file.enters, false),
                ("map_called", &file.calls, false),
                ("usdt_free", &file.sampled_frees, false),
                ("usdt_alloc", &file.sampled_allocs, false),
            ] {
                self.place_points(name, &file.path, points, on_return, scope, &mut placed).map_err(
                    |source| Error::Attach {
                        function: name.to_owned(),
                        path: file.path.display().to_string(),
                        source,
                    },
                )?;
            }
        }
        Ok(placed)
    }

    fn place_points(
        &self,
        name: &str,
        path: &Path,
        points: &[Point],
        on_return: bool,
        scope: Scope,
        placed: &mut Placed,
    ) -> std::io::Result<()> {
        if points.is_empty() {
            return Ok(());
        }
        match &*self.how {
            How::Links(programs) => {
                let program = programs.program(name).ok_or(std::io::ErrorKind::NotFound)?;
                let pid = scope.pid().unwrap_or(0);
                placed.descriptors.push(sys::link_multi(program, path, points, pid, on_return)?);
            }
            How::Events { kind, programs } => {
                let program = programs.get(name).ok_or(std::io::ErrorKind::NotFound)?;
                for point in points {
                    let event =
                        sys::open_uprobe(*kind, path, point, scope.pid(), on_return).map_err(refused)?;
                    placed.descriptors.push(sys::link_perf_event(
                        program.as_fd(),
                        event.as_fd(),
                        point.cookie,
                    )?);
                    placed.descriptors.push(event);
                }
            }
        }
        Ok(())
    }
}

/// Says what perf's uprobe PMU wants: where there are `uprobe_multi` links nobody is asked for it.
fn refused(error: std::io::Error) -> std::io::Error {
    const WANTED: &str =
        "before Linux 6.6 a probe is a perf event, for which this kernel asks for CAP_SYS_ADMIN";
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            std::io::Error::new(error.kind(), format!("{error}; {WANTED}"))
        }
        _ => error,
    }
}

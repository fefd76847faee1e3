//! An event of their own for all threads of the targets, whose overflows run a program of the kernel part.
//!
//! Threads that begin later inherit the event from their creator, so that none is missed and nobody has to be quick.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use waytrace_hw::counter::{Counter, Inherit, open_on_thread};
use waytrace_hw::events::PerfAttr;
use waytrace_image::process;

use super::perf::borrow;
use crate::Error;
use crate::kernel::Kernel;

/// Times the threads are looked for until none began meanwhile.
const ATTEMPTS: usize = 16;

/// What to open, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Program of the kernel part.
    pub program: &'a str,
    /// The event.
    pub attr: &'a PerfAttr,
    /// Counts between two overflows.
    pub period: u64,
    /// Processes.
    pub tgids: &'a [u32],
    /// Only this thread of theirs.
    pub only_tid: Option<u32>,
    /// Children of the processes have it too.
    pub follow_forks: bool,
}

/// The open events. Dropping it closes them, also those that were inherited.
#[derive(Default)]
pub struct ThreadEvents {
    samplers: Vec<(OwnedFd, Counter)>,
}

impl ThreadEvents {
    /// Opens and starts the event for every thread.
    ///
    /// # Errors
    /// When the event cannot be opened, or the kernel refuses the program.
    pub fn start(kernel: &mut Kernel, wanted: Wanted<'_>) -> Result<Self, Error> {
        let mut events = open_on_all(wanted.tgids, wanted.only_tid, |tids| {
            let mut events = Self::default();
            for &tid in tids {
                events.open(kernel, wanted, tid)?;
            }
            Ok(events)
        })?;
        for (_, sampler) in &mut events.samplers {
            sampler.enable().map_err(Error::syscall(format!("starting event `{}`", wanted.attr.name())))?;
        }
        Ok(events)
    }

    fn open(&mut self, kernel: &mut Kernel, wanted: Wanted<'_>, tid: u32) -> Result<(), Error> {
        let inherit = inherit(wanted.only_tid, wanted.follow_forks);
        let sampler = match open_on_thread(wanted.attr, tid, wanted.period, inherit) {
            Err(waytrace_hw::Error::PerfOpen { source, .. })
                if source.raw_os_error() == Some(libc::ESRCH) =>
            {
                return Ok(());
            }
            sampler => sampler?,
        };
        let link = kernel.attach_perf_event(wanted.program, borrow(&sampler))?;
        self.samplers.push((link, sampler));
        Ok(())
    }
}

/// Who else has the events of a target's threads.
pub fn inherit(only_tid: Option<u32>, follow_forks: bool) -> Inherit {
    match only_tid {
        Some(_) => Inherit::Nobody,
        None if follow_forks => Inherit::Processes,
        None => Inherit::Threads,
    }
}

/// Opens something that threads inherit for all threads of processes, or for `only_tid`. One that began meanwhile has
/// inherited it if its creator had it by then, which nobody can tell: then all is opened anew.
///
/// # Errors
/// Those of `open`.
pub fn open_on_all<T>(
    tgids: &[u32],
    only_tid: Option<u32>,
    mut open: impl FnMut(&BTreeSet<u32>) -> Result<T, Error>,
) -> Result<T, Error> {
    let list = || only_tid.map_or_else(|| threads(tgids), |tid| BTreeSet::from([tid]));
    let mut attempt = 1;
    loop {
        let tids = list();
        let opened = open(&tids)?;
        if list().is_subset(&tids) {
            return Ok(opened);
        }
        if attempt == ATTEMPTS {
            tracing::warn!("threads begin faster than they can be listed: some may not be seen");
            return Ok(opened);
        }
        attempt += 1;
    }
}

/// Threads of processes, now. A process that has gone has none.
fn threads(tgids: &[u32]) -> BTreeSet<u32> {
    tgids.iter().flat_map(|&tgid| process::threads(tgid).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_those_that_live() {
        let own = std::process::id();
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            // SAFETY: gettid has no preconditions.
            tell.send(unsafe { libc::gettid() } as u32).unwrap();
            ended.recv().unwrap_err();
        });
        let tid = told.recv().unwrap();
        assert!(threads(&[own]).is_superset(&BTreeSet::from([own, tid])));
        drop(end);
        other.join().unwrap();
        // The kernel takes the entry away a moment after the join.
        while threads(&[own]).contains(&tid) {
            std::thread::yield_now();
        }
        assert!(threads(&[u32::MAX]).is_empty());
    }
}

//! The CPUs a thread may run on.

use std::io;

/// A set of CPUs.
#[derive(Clone, Copy)]
pub struct Cpus(libc::cpu_set_t);

impl Cpus {
    /// Those the calling thread may run on.
    ///
    /// # Errors
    /// `EINVAL` where the kernel knows of more CPUs than the C library's set has room for: 1,024.
    pub fn of_this_thread() -> io::Result<Self> {
        let mut cpus = Self::none();
        // SAFETY: a thread id of 0 is the caller's own, and the set is ours and of the size given.
        let failed = unsafe { libc::sched_getaffinity(0, size_of_val(&cpus.0), &raw mut cpus.0) };
        if failed != 0 { Err(io::Error::last_os_error()) } else { Ok(cpus) }
    }

    /// That one alone, if it is among these.
    pub fn only(&self, cpu: u32) -> Option<Self> {
        let cpu = usize::try_from(cpu).ok().filter(|&cpu| cpu < libc::CPU_SETSIZE as usize)?;
        // SAFETY: the set is ours, and the CPU was checked to lie within it.
        let is_in = unsafe { libc::CPU_ISSET(cpu, &self.0) };
        is_in.then(|| {
            let mut only = Self::none();
            // SAFETY: as above.
            unsafe { libc::CPU_SET(cpu, &mut only.0) };
            only
        })
    }

    /// These but for that one, if there are others.
    pub fn without(&self, cpu: u32) -> Option<Self> {
        let mut rest = *self;
        let cpu = usize::try_from(cpu).ok().filter(|&cpu| cpu < libc::CPU_SETSIZE as usize)?;
        // SAFETY: the set is ours, and the CPU was checked to lie within it.
        unsafe { libc::CPU_CLR(cpu, &mut rest.0) };
        // SAFETY: the set is ours.
        (unsafe { libc::CPU_COUNT(&rest.0) } > 0).then_some(rest)
    }

    /// Keeps the calling thread on them.
    ///
    /// # Errors
    /// `EINVAL` where a cpuset allows none of them any more.
    pub fn apply(&self) -> io::Result<()> {
        // SAFETY: a thread id of 0 is the caller's own, and the set lives through the call.
        let failed = unsafe { libc::sched_setaffinity(0, size_of_val(&self.0), &raw const self.0) };
        if failed != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn none() -> Self {
        // SAFETY: a set of plain words, of which all zeros is the empty one.
        Self(unsafe { std::mem::zeroed() })
    }
}

/// Where the calling thread runs at this moment.
pub fn current_cpu() -> Option<u32> {
    // SAFETY: sched_getcpu has no preconditions.
    u32::try_from(unsafe { libc::sched_getcpu() }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_stays_where_it_is_put_and_gets_away_again() {
        let run = || {
            let all = Cpus::of_this_thread().unwrap();
            let mine = (0..1024).filter(|&cpu| all.only(cpu).is_some()).collect::<Vec<u32>>();
            for &cpu in &mine {
                all.only(cpu).unwrap().apply().unwrap();
                assert_eq!(current_cpu(), Some(cpu));
                let Some(rest) = all.without(cpu) else { continue };
                rest.apply().unwrap();
                assert_ne!(current_cpu(), Some(cpu));
            }
            all.apply().unwrap();
            let now = Cpus::of_this_thread().unwrap();
            assert!((0..1024).all(|cpu| now.only(cpu).is_some() == mine.contains(&cpu)));
            assert!(all.only(1024).is_none() && all.only(u32::MAX).is_none());
        };
        std::thread::spawn(run).join().unwrap();
    }
}

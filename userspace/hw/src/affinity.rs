//! The CPUs a thread may run on: `sched_setaffinity(2)`.

use std::io;

/// A set of CPUs.
#[derive(Clone, Copy)]
pub struct Cpus(libc::cpu_set_t);

impl Cpus {
    /// These CPUs.
    ///
    /// # Errors
    /// The first of them that the C library's set has no room for: 1,024 and above.
    pub fn of(cpus: impl IntoIterator<Item = u32>) -> Result<Self, u32> {
        let mut set = Self::none();
        for cpu in cpus {
            let place = place(cpu).ok_or(cpu)?;
            // SAFETY: the set is ours, and the CPU was checked to lie within it.
            unsafe { libc::CPU_SET(place, &mut set.0) };
        }
        Ok(set)
    }

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
        let place = place(cpu)?;
        // SAFETY: the set is ours, and the CPU was checked to lie within it.
        let is_in = unsafe { libc::CPU_ISSET(place, &self.0) };
        if is_in { Self::of([cpu]).ok() } else { None }
    }

    /// These but for that one, if there are others.
    pub fn without(&self, cpu: u32) -> Option<Self> {
        let mut rest = *self;
        let place = place(cpu)?;
        // SAFETY: the set is ours, and the CPU was checked to lie within it.
        unsafe { libc::CPU_CLR(place, &mut rest.0) };
        (rest.count() > 0).then_some(rest)
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        // SAFETY: the set is ours.
        unsafe { libc::CPU_COUNT(&self.0) as usize }
    }

    /// Keeps the calling thread on them. Async-signal-safe: one system call.
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

/// A CPU's place in a set, if that has room for it.
fn place(cpu: u32) -> Option<usize> {
    usize::try_from(cpu).ok().filter(|&place| place < libc::CPU_SETSIZE as usize)
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
    fn a_set_has_room_for_so_many() {
        let cpus = Cpus::of([1, 1023]).unwrap();
        assert!([0, 1, 1022, 1023].map(|cpu| cpus.only(cpu).is_some()) == [false, true, false, true]);
        assert_eq!(Cpus::of([0, 1024, 5000]).err(), Some(1024));
    }

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

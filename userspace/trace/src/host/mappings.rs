//! Every mmap, munmap, mremap and brk of the processes that are followed, by a probe behind each place of their code that makes one.
//!
//! Only calls that are made cost something, and only in these processes. A process whose code makes them where nobody can foresee (its own system calls) is
//! left out, and so is one beyond [`MAX_PROCESSES`].

use std::collections::{BTreeSet, HashMap};

use waytrace_abi::mapping::MapChange;
use waytrace_image::process;
use waytrace_image::system_calls::{self, FilePlaces};
use waytrace_model::monitor::{CollectorShare, ShareState};

use crate::Error;
use crate::collect::mappings::{complete, heap_end};
use crate::kernel::Kernel;
use crate::known::{Files, Known};
use crate::probes::{Placed, Plan, Prober, Reaper, Scope};

/// Processes with probes. The kernel asks each of a file's probes at each hit whether it is meant.
pub const MAX_PROCESSES: usize = 256;

/// Threads that remove probes; the processes they were in are mostly gone.
const REMOVERS: usize = 4;

/// The probes, and what they have told.
pub struct Watched {
    prober: Prober,
    reaper: Reaper,
    placed: HashMap<u32, Placed>,
    /// Bytes added and removed since the window began, by process.
    sums: HashMap<u32, (u64, u64)>,
    left_out: LeftOut,
    known: Known<Option<Vec<FilePlaces>>>,
    /// Processes to watch from the window's end on, if they live to see it.
    waiting: BTreeSet<u32>,
}

/// Processes that are not watched, so far.
#[derive(Default)]
struct LeftOut {
    /// For want of a place to probe.
    unforeseen: usize,
    /// For want of room.
    crowded: usize,
    /// Whose probes were refused, and what was said of the last.
    refused: usize,
    refusal: String,
}

impl LeftOut {
    /// All of them with their reasons; `None` where there are none.
    fn told(&self) -> Option<String> {
        let parts = [
            (self.unforeseen, "whose system calls are not where they can be probed".to_owned()),
            (self.crowded, format!("for there were more than {MAX_PROCESSES}")),
            (self.refused, self.refusal.clone()),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, why)| format!("{count}: {why}")).collect();
        (!parts.is_empty()).then(|| format!("processes left out so far: {}", parts.join("; ")))
    }
}

impl Watched {
    /// Watches nobody yet.
    pub fn new(prober: Prober) -> Self {
        Self {
            prober,
            reaper: Reaper::with_threads(REMOVERS),
            placed: HashMap::new(),
            sums: HashMap::new(),
            left_out: LeftOut::default(),
            known: Known::default(),
            waiting: BTreeSet::new(),
        }
    }

    /// A process is to be watched; also one that runs another program now. It is as soon as it has proved to do something, and to live longer than it
    /// takes to place probes: see [`Self::settle`].
    pub fn add(&mut self, tgid: u32) {
        self.remove(tgid);
        self.waiting.insert(tgid);
    }

    /// Watches those of `active`, who do most first, that wait for it. Who does nothing maps nothing.
    ///
    /// # Errors
    /// When the kernel part cannot be reached. That a process cannot be watched is no error.
    pub fn settle(&mut self, kernel: &mut Kernel, active: &[u32]) -> Result<(), Error> {
        for tgid in active {
            if self.waiting.remove(tgid) {
                self.place(kernel, *tgid)?;
            }
        }
        Ok(())
    }

    fn place(&mut self, kernel: &mut Kernel, tgid: u32) -> Result<(), Error> {
        if self.placed.len() >= MAX_PROCESSES {
            self.left_out.crowded += 1;
            return Ok(());
        }
        let Ok(mappings) = process::mappings(tgid) else { return Ok(()) };
        let files = Files::of(tgid, &mappings);
        let Some(mut found) = self.known.of(&files, || complete(system_calls::find(tgid, &mappings))) else {
            self.left_out.unforeseen += 1;
            return Ok(());
        };
        for file in &mut found {
            if let Some(path) = files.path(file.key) {
                file.path.clone_from(path);
            }
        }
        if let Some(end) = heap_end(tgid, &mappings) {
            kernel.set_heap_end(tgid, end)?;
        }
        match self.prober.place(&Plan::of_calls(&found), Scope::Process(tgid)) {
            Ok(placed) => {
                self.placed.insert(tgid, placed);
                self.sums.insert(tgid, (0, 0));
            }
            Err(error) => {
                tracing::debug!(tgid, %error, "its mappings are not watched");
                self.left_out.refused += 1;
                self.left_out.refusal = error.to_string();
            }
        }
        Ok(())
    }

    /// Nobody wants to know more of a process. What it told stays until it is taken.
    pub fn remove(&mut self, tgid: u32) {
        self.waiting.remove(&tgid);
        if let Some(placed) = self.placed.remove(&tgid) {
            self.reaper.take(placed);
        }
    }

    /// A call was made.
    pub fn changed(&mut self, change: &MapChange) {
        let sum = self.sums.entry(change.tgid).or_default();
        sum.0 += change.added_bytes;
        sum.1 += change.removed_bytes;
    }

    /// What a process added and removed since the last time; `None` where it is not watched.
    pub fn take(&mut self, tgid: u32) -> (Option<u64>, Option<u64>) {
        let sum = match self.placed.contains_key(&tgid) {
            true => self.sums.insert(tgid, (0, 0)),
            false => self.sums.remove(&tgid),
        };
        (sum.map(|sum| sum.0), sum.map(|sum| sum.1))
    }

    /// Links in place.
    pub fn probes_count(&self) -> u64 {
        self.placed.len() as u64
    }
}

impl Drop for Watched {
    /// All at once: one after the other the kernel would take a tenth of a second for each.
    fn drop(&mut self) {
        let mut all = Placed::default();
        self.placed.drain().for_each(|(_, placed)| all.extend(placed));
        all.remove();
    }
}

/// How it fares.
pub fn share(watched: Option<&Watched>) -> CollectorShare {
    let (state, reason) = match watched {
        None => (ShareState::Unavailable, Some("switched off by the configuration".to_owned())),
        Some(watched) => match watched.left_out.told() {
            None => (ShareState::Full, None),
            reason => (ShareState::Reduced, reason),
        },
    };
    CollectorShare { name: "mappings".to_owned(), state, reason, tool_cpu_pct: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_left_out_has_a_reason() {
        assert_eq!(LeftOut::default().told(), None);
        let left_out = LeftOut { unforeseen: 2, crowded: 0, refused: 1, refusal: "not permitted".to_owned() };
        assert_eq!(
            left_out.told().unwrap(),
            "processes left out so far: 2: whose system calls are not where they can be probed; 1: not permitted"
        );
    }
}

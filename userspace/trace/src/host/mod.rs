//! Every process of the machine: when it begins, runs another program and ends, and the numbers the kernel keeps of it.
//!
//! ```text
//! fork, exec, exit ─► ring ─► Watch::drain ─► ProcessEvent, as it happens
//! iterator over tasks ──────► Watch::close ─► ProcessNumbers, once a window: what came up since the last one
//! ```
//!
//! Nothing is added to what processes do between their beginning and their end. Whoever executes a program is told of at once, and of its end with its last
//! numbers until [`Watch::forget`] says that nobody wants to know; so also a process that lives for a moment is seen. What the ring lost the
//! iterator finds: [`Watch::close`] tells of every process there is.
//!
//! Kernel threads are left out.

mod book;
mod events;
mod mappings;

use aya::maps::{MapData, RingBuf};
use waytrace_abi::counter::TaskNumbers;
use waytrace_abi::lifecycle;
use waytrace_abi::pod;
use waytrace_abi::settings::Settings;
use waytrace_hw::clock;
use waytrace_model::collector::Loss;
use waytrace_model::monitor::CollectorShare;

pub use book::ProcessNumbers;

use crate::Error;
use crate::kernel::{Constants, HeatRoom, Kernel};
use crate::probes::Prober;
use crate::record::{self, Record};
use book::Book;
use events::Counted;
use mappings::Watched;

/// Windows of events, several of which make one of a host.
const INTERVAL_NS: u64 = 1_000_000_000;
/// Room for some thousands of records between two drains.
const RING_BYTES: u32 = 1 << 20;

/// What happened to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessEvent {
    /// A watched process made another.
    Forked {
        /// Who made it.
        parent: u32,
        /// The new one.
        child: ProcessId,
    },
    /// A process runs another program.
    Executed(ProcessId),
    /// A watched process ended.
    Ended(ProcessId),
}

/// Names a process for good: ids are used again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessId {
    /// Process id.
    pub tgid: u32,
    /// When it began, nanoseconds of `CLOCK_BOOTTIME`.
    pub start_boot_ns: u64,
    /// Command name at that moment.
    pub comm: String,
}

impl ProcessId {
    /// What names it.
    pub fn key(&self) -> (u32, u64) {
        (self.tgid, self.start_boot_ns)
    }
}

/// Watches all processes. Dropping it ends that.
pub struct Watch {
    kernel: Kernel,
    ring: RingBuf<MapData>,
    book: Book,
    counted: Counted,
    watched: Option<Watched>,
    losses: [u64; waytrace_abi::loss::KINDS as usize],
}

impl Watch {
    /// Loads a kernel part of its own and begins; with events of the PMU and with mappings of the processes that are followed, if they are wanted.
    ///
    /// # Errors
    /// When the kernel refuses it, or waytrace runs in a PID namespace of its own.
    pub fn start(with_events: bool, with_mappings: bool) -> Result<Self, Error> {
        let events = events::open(with_events)?;
        let mut kernel = Kernel::load(&Constants { event_count: events.count(), ..CONSTANTS })?;
        if !kernel.sees_own_id()? {
            return Err(Error::PidNamespace);
        }
        let run_start_ns = clock::monotonic_ns();
        kernel.configure(Settings { run_start_ns, ..Settings::default() })?;
        let ring = kernel.ring()?;
        for (program, tracepoint) in
            [("task_forked", "fork"), ("task_executed", "exec"), ("task_exited", "exit")]
        {
            kernel.attach_raw_tracepoint(program, &format!("sched_process_{tracepoint}"))?;
        }
        let counted = Counted::start(&mut kernel, events, run_start_ns, INTERVAL_NS)?;
        let watched = if with_mappings { Some(Watched::new(Prober::new(&mut kernel)?)) } else { None };
        let losses = kernel.losses()?;
        let book = Book::new(kernel.knows_run_queue());
        let mut watch = Self { kernel, ring, book, counted, watched, losses };
        watch.book.begin(watch.tasks()?, run_start_ns, clock::boot_ns());
        Ok(watch)
    }

    /// Asks to be told of a process's children and end. Those that execute a program are told of unasked.
    ///
    /// # Errors
    /// When there is no room for more.
    pub fn follow(&mut self, tgid: u32) -> Result<(), Error> {
        self.kernel.add_target(tgid)
    }

    /// The mappings of a process are to be watched, from when it does something on; to be told again when it runs another program.
    pub fn changed(&mut self, tgid: u32) {
        if let Some(watched) = &mut self.watched {
            watched.add(tgid);
        }
    }

    /// Watches the mappings of the processes of `active`, who do most first, that are followed and not watched yet.
    ///
    /// # Errors
    /// When the kernel part cannot be reached.
    pub fn settle(&mut self, active: &[u32]) -> Result<(), Error> {
        match &mut self.watched {
            Some(watched) => watched.settle(&mut self.kernel, active),
            None => Ok(()),
        }
    }

    /// Nobody wants to know more of this process.
    ///
    /// # Errors
    /// When the kernel part cannot be reached.
    pub fn forget(&mut self, tgid: u32) -> Result<(), Error> {
        if let Some(watched) = &mut self.watched {
            watched.remove(tgid);
        }
        self.kernel.forget_target(tgid)
    }

    /// What has happened since the last time, oldest first. To be called some times a second.
    pub fn drain(&mut self) -> Vec<ProcessEvent> {
        let mut events = Vec::new();
        while let Some(record) = self.ring.next().map(|item| record::decode(&item)) {
            let event = match record {
                Some(Record::Lifecycle(event)) => event,
                Some(Record::Map(change)) => {
                    if let Some(watched) = &mut self.watched {
                        watched.changed(&change);
                    }
                    continue;
                }
                _ => continue,
            };
            let is_leader = event.task.tgid == event.task.tid;
            match event.kind {
                lifecycle::FORK if is_leader => {
                    events.push(ProcessEvent::Forked { parent: event.parent_tgid, child: id(&event.task) });
                }
                lifecycle::EXEC => events.push(ProcessEvent::Executed(id(&event.task))),
                lifecycle::EXIT => {
                    self.book.exited(&event.task);
                    if is_leader {
                        events.push(ProcessEvent::Ended(id(&event.task)));
                    }
                }
                _ => {}
            }
        }
        events
    }

    /// Closes a window: what came up of every process since the window before, and what happened since the last [`Self::drain`].
    ///
    /// The news are taken after the iterator has run: who ended before it came by has told of its end by then, so every process is in the window's
    /// numbers or begins in the news.
    ///
    /// # Errors
    /// When the iterator cannot run.
    pub fn close(&mut self) -> Result<(Vec<ProcessNumbers>, Vec<ProcessEvent>), Error> {
        let tasks = self.tasks()?;
        let events = self.drain();
        let mut processes = self.book.close(&tasks, clock::monotonic_ns(), clock::boot_ns());
        let counted = self.counted.take(&mut self.kernel)?;
        for process in &mut processes {
            if let Some(watched) = &mut self.watched {
                (process.mmap_bytes, process.munmap_bytes) = watched.take(process.tgid);
            }
            counted.enter(process);
        }
        Ok((processes, events))
    }

    /// How the collectors beside the kernel's own numbers fare.
    pub fn collectors(&self) -> Vec<CollectorShare> {
        vec![self.counted.share(), mappings::share(self.watched.as_ref())]
    }

    /// Probes in place.
    pub fn probes_count(&self) -> u64 {
        self.watched.as_ref().map_or(0, Watched::probes_count)
    }

    /// What was lost since the last time.
    ///
    /// # Errors
    /// When the kernel part cannot be read.
    pub fn losses(&mut self) -> Result<Loss, Error> {
        let now = self.kernel.losses()?;
        let before = std::mem::replace(&mut self.losses, now);
        let mut loss = Loss::default();
        for ((name, now), before) in waytrace_abi::loss::NAMES.iter().zip(now).zip(before) {
            loss.add(name, now - before);
        }
        Ok(loss)
    }

    fn tasks(&self) -> Result<Vec<TaskNumbers>, Error> {
        let bytes = self.kernel.task_numbers()?;
        Ok(bytes.chunks_exact(size_of::<TaskNumbers>()).filter_map(pod::read).collect())
    }
}

/// Everything but the lifecycle is as small as it can be.
const CONSTANTS: Constants = Constants {
    everyone: true,
    follow_forks: true,
    lifetimes: false,
    every_stack: false,
    min_traced_bytes: u64::MAX,
    wrappers_present: false,
    event_count: 0,
    interval_ns: INTERVAL_NS,
    phases: false,
    accesses: false,
    heat: HeatRoom::NONE,
    samples: false,
    max_live: 1,
    ring_bytes: RING_BYTES,
};

fn id(task: &TaskNumbers) -> ProcessId {
    ProcessId { tgid: task.tgid, start_boot_ns: task.start_boot_ns, comm: book::name(&task.comm) }
}

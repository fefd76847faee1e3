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

use aya::maps::{MapData, RingBuf};
use waytrace_abi::counter::TaskNumbers;
use waytrace_abi::lifecycle;
use waytrace_abi::pod;
use waytrace_model::collector::Loss;

pub use book::ProcessNumbers;

use crate::kernel::{Constants, HeatRoom, Kernel};
use crate::record::{self, Record};
use crate::{Error, clock};
use book::Book;

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

/// Watches all processes. Dropping it ends that.
pub struct Watch {
    kernel: Kernel,
    ring: RingBuf<MapData>,
    book: Book,
    losses: [u64; waytrace_abi::loss::KINDS as usize],
}

impl Watch {
    /// Loads a kernel part of its own and begins.
    ///
    /// # Errors
    /// When the kernel refuses it, or waytrace runs in a PID namespace of its own.
    pub fn start() -> Result<Self, Error> {
        let mut kernel = Kernel::load(&CONSTANTS)?;
        if !kernel.sees_own_id()? {
            return Err(Error::PidNamespace);
        }
        kernel.configure(waytrace_abi::settings::Settings::default())?;
        let ring = kernel.ring()?;
        for (program, tracepoint) in
            [("task_forked", "fork"), ("task_executed", "exec"), ("task_exited", "exit")]
        {
            kernel.attach_raw_tracepoint(program, &format!("sched_process_{tracepoint}"))?;
        }
        let losses = kernel.losses()?;
        let mut watch = Self { kernel, ring, book: Book::default(), losses };
        watch.book.begin(watch.tasks()?, clock::monotonic_ns(), clock::boot_ns());
        Ok(watch)
    }

    /// Asks to be told of a process's children and end. Those that execute a program are told of unasked.
    ///
    /// # Errors
    /// When there is no room for more.
    pub fn follow(&mut self, tgid: u32) -> Result<(), Error> {
        self.kernel.add_target(tgid)
    }

    /// Nobody wants to know more of this process.
    ///
    /// # Errors
    /// When the kernel part cannot be reached.
    pub fn forget(&mut self, tgid: u32) -> Result<(), Error> {
        self.kernel.forget_target(tgid)
    }

    /// What has happened since the last time, oldest first. To be called some times a second.
    pub fn drain(&mut self) -> Vec<ProcessEvent> {
        let mut events = Vec::new();
        while let Some(record) = self.ring.next().map(|item| record::decode(&item)) {
            let Some(Record::Lifecycle(event)) = record else { continue };
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

    /// Closes a window: what came up of every process since the window before.
    ///
    /// # Errors
    /// When the iterator cannot run.
    pub fn close(&mut self) -> Result<Vec<ProcessNumbers>, Error> {
        let tasks = self.tasks()?;
        Ok(self.book.close(tasks, clock::monotonic_ns(), clock::boot_ns()))
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
    interval_ns: 1_000_000_000,
    phases: false,
    accesses: false,
    heat: HeatRoom::NONE,
    max_live: 1,
    ring_bytes: RING_BYTES,
};

fn id(task: &TaskNumbers) -> ProcessId {
    ProcessId { tgid: task.tgid, start_boot_ns: task.start_boot_ns, comm: book::name(&task.comm) }
}

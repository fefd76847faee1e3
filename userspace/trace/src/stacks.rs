//! Stack samples: unwound on a thread of their own, off the drain path, while the target runs on.
//!
//! Equal stacks of a site are counted, not kept twice. Files are opened when they are first seen mapped, so that
//! what was sampled can still be unwound and named after the target has gone.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use waytrace_abi::tag;
use waytrace_image::process;
use waytrace_image::symbols::Modules;
use waytrace_image::unwind::{End, Registers, Unwinder};
use waytrace_model::stack::StackQuality;

use crate::record::StackCopy;
use crate::usdt::callers::Callers;

/// Deepest stack kept.
const MAX_FRAMES: usize = 128;
/// Samples waiting to be unwound; more are dropped and counted.
const QUEUE: usize = 1024;
/// Distinct stacks kept; samples of further ones only count for the quality figures.
const MAX_STACKS: usize = 100_000;

/// A program with code outside all files (a JIT) must not make every stack re-read the maps.
const MAX_RESYNCS: u32 = 100;

enum Task {
    Sync(u32),
    Fork { parent: u32, child: u32 },
    Unwind(StackCopy),
}

/// All stacks of a run: per site, each distinct stack (addresses innermost first) with its samples.
#[derive(Debug, Default)]
pub struct Stacks {
    /// By (site, addresses).
    pub counts: HashMap<(u32, Vec<u64>), u64>,
    /// Process of each site that has stacks.
    pub tgids: HashMap<u32, u32>,
    /// Those of an allocator's own samples, which are summed up by themselves.
    pub callers: Callers,
    /// How they fared.
    pub quality: StackQuality,
    /// Stacks that ran past the copied bytes.
    pub truncated_count: u64,
    /// Times the maps were read again because a stack led out of them.
    resyncs: u32,
    /// Processes whose own mappings were never read, and the one whose they share.
    lookalikes: HashMap<u32, u32>,
    /// Names for addresses, by process.
    pub modules: HashMap<u32, Modules>,
}

/// The thread that unwinds.
pub struct Worker {
    queue: SyncSender<Task>,
    thread: JoinHandle<Stacks>,
    dropped_count: u64,
}

impl Worker {
    /// Starts it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start() -> std::io::Result<Self> {
        let (queue, tasks) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("stacks".to_owned()).spawn(move || work(&tasks))?;
        Ok(Self { queue, thread, dropped_count: 0 })
    }

    /// Tells it that a process's mappings may have changed.
    pub fn sync(&mut self, tgid: u32) {
        // The queue is long and this is rare: waiting for a place beats unwinding with old mappings.
        if self.queue.send(Task::Sync(tgid)).is_err() {
            self.dropped_count += 1;
        }
    }

    /// Tells it of a new process, whose mappings are its parent's until it says otherwise.
    pub fn fork(&mut self, parent: u32, child: u32) {
        if self.queue.send(Task::Fork { parent, child }).is_err() {
            self.dropped_count += 1;
        }
    }

    /// Hands it a sample; drops and counts it when it is behind.
    pub fn unwind(&mut self, sample: StackCopy) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.queue.try_send(Task::Unwind(sample))
        {
            self.dropped_count += 1;
        }
    }

    /// Waits for what is queued, and returns all stacks and the number of dropped samples.
    pub fn finish(self) -> (Stacks, u64) {
        drop(self.queue);
        (self.thread.join().unwrap_or_default(), self.dropped_count)
    }
}

fn work(tasks: &Receiver<Task>) -> Stacks {
    let mut stacks = Stacks::default();
    let mut unwinder = Unwinder::new();
    for task in tasks {
        match task {
            Task::Sync(tgid) => sync(&mut stacks, &mut unwinder, tgid),
            Task::Fork { parent, child } => {
                if let Some(modules) = stacks.modules.get(&parent).cloned() {
                    stacks.modules.insert(child, modules);
                    let lookalike = stacks.lookalikes.get(&parent).copied().unwrap_or(parent);
                    stacks.lookalikes.insert(child, lookalike);
                }
            }
            Task::Unwind(sample) => unwind(&mut stacks, &mut unwinder, &sample),
        }
    }
    stacks
}

fn sync(stacks: &mut Stacks, unwinder: &mut Unwinder, tgid: u32) {
    // A process that has just gone keeps what was known of it.
    let Ok(mappings) = process::mappings(tgid) else { return };
    unwinder.sync(tgid, &mappings);
    stacks.lookalikes.remove(&tgid);
    if let Err(error) = stacks.modules.entry(tgid).or_default().sync(tgid) {
        tracing::debug!(tgid, %error, "cannot read the modules");
    }
}

fn unwind(stacks: &mut Stacks, unwinder: &mut Unwinder, StackCopy { head, stack: copy }: &StackCopy) {
    if !stacks.modules.contains_key(&head.tgid) {
        sync(stacks, unwinder, head.tgid);
    }
    let mapped_as = stacks.lookalikes.get(&head.tgid).copied().unwrap_or(head.tgid);
    let registers = Registers { ip: head.ip, sp: head.sp, bp: head.bp };
    let mut stack = unwinder.unwind_caller(mapped_as, registers, copy, MAX_FRAMES);
    if matches!(stack.end, End::NoUnwindInfo { .. }) && stacks.resyncs < MAX_RESYNCS {
        // A library may have been loaded since the maps were last read.
        stacks.resyncs += 1;
        sync(stacks, unwinder, head.tgid);
        stack = unwinder.unwind_caller(mapped_as, registers, copy, MAX_FRAMES);
    }
    stacks.quality.sampled_count += 1;
    let modules = stacks.modules.get(&head.tgid);
    let own = |address: &u64| modules.is_some_and(|modules| modules.is_own_code(*address));
    stacks.quality.own_code_count += u64::from(stack.addresses.iter().any(own));
    stacks.quality.complete_count += u64::from(stack.end == End::Complete);
    stacks.truncated_count += u64::from(stack.end == End::Truncated);
    if head.tag == tag::SAMPLE {
        stacks.callers.add(head, stack.addresses);
        return;
    }
    stacks.tgids.insert(head.site, head.tgid);
    let room = stacks.counts.len() < MAX_STACKS;
    let key = (head.site, stack.addresses);
    match stacks.counts.get_mut(&key) {
        Some(count) => *count += 1,
        None if room => {
            stacks.counts.insert(key, 1);
        }
        None => {}
    }
}

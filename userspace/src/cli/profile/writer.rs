//! Writes batches on a thread of its own, so that no drain ever waits for the disk.
//!
//! Batches wait in a queue without end, but for their traced blocks and accesses: of those so many may wait, and what a
//! writer that is too slow has no room for is counted as lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use waytrace_model::batch::{Batch, Epilogue};
use waytrace_store::{RunId, RunWriter, StoreError};

/// Traced blocks that wait to be written, at 64 bytes each, and accesses, at about 150.
const MAX_WAITING: usize = 1 << 20;

/// The writing side.
pub struct Writer {
    batches: Sender<Batch>,
    thread: JoinHandle<(RunWriter, Option<StoreError>)>,
    traced: Room,
    accesses: Room,
}

/// How many of something may wait to be written.
struct Room {
    /// Handed over and not written yet.
    waiting: Arc<AtomicUsize>,
    max_waiting: usize,
    dropped_count: u64,
}

impl Room {
    fn new(max_waiting: usize) -> Self {
        Self { waiting: Arc::default(), max_waiting, dropped_count: 0 }
    }

    /// Leaves as many as there is room for.
    fn admit<T>(&mut self, items: &mut Vec<T>) {
        let room = self.max_waiting.saturating_sub(self.waiting.load(Ordering::Relaxed));
        self.dropped_count += items.len().saturating_sub(room) as u64;
        items.truncate(room);
        self.waiting.fetch_add(items.len(), Ordering::Relaxed);
    }
}

impl Writer {
    /// Starts the thread.
    pub fn start(run: RunWriter) -> std::io::Result<Self> {
        Self::with_room(run, MAX_WAITING)
    }

    fn with_room(run: RunWriter, max_waiting: usize) -> std::io::Result<Self> {
        let (batches, queue) = channel();
        let (traced, accesses) = (Room::new(max_waiting), Room::new(max_waiting));
        let waiting = [Arc::clone(&traced.waiting), Arc::clone(&accesses.waiting)];
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || write(run, &queue, &waiting))?;
        Ok(Self { batches, thread, traced, accesses })
    }

    /// Hands over a batch; false once writing has failed.
    pub fn append(&mut self, mut batch: Batch) -> bool {
        self.traced.admit(&mut batch.traced);
        self.accesses.admit(&mut batch.accesses);
        self.batches.send(batch).is_ok()
    }

    /// Waits for what is queued, adds what was dropped to the losses, and closes the run. With it comes the error that
    /// ended writing, if any.
    pub fn finish(self, mut epilogue: Epilogue) -> anyhow::Result<(RunId, Option<StoreError>)> {
        drop(self.batches);
        let (run, failure) = self.thread.join().map_err(|_| anyhow::anyhow!("the store thread panicked"))?;
        epilogue.loss.add("traced_dropped", self.traced.dropped_count);
        epilogue.loss.add("accesses_dropped", self.accesses.dropped_count);
        let id = run.id();
        match (run.finish(&epilogue), failure) {
            (Ok(id), failure) => Ok((id, failure)),
            (Err(_), Some(failure)) => Ok((id, Some(failure))),
            (Err(error), None) => Ok((id, Some(error))),
        }
    }
}

fn write(
    mut run: RunWriter,
    queue: &Receiver<Batch>,
    [traced, accesses]: &[Arc<AtomicUsize>; 2],
) -> (RunWriter, Option<StoreError>) {
    for batch in queue {
        if let Err(error) = run.append(&batch) {
            return (run, Some(error));
        }
        traced.fetch_sub(batch.traced.len(), Ordering::Relaxed);
        accesses.fetch_sub(batch.accesses.len(), Ordering::Relaxed);
    }
    (run, None)
}

#[cfg(test)]
mod tests {
    use waytrace_model::allocation::{AllocationTotals, TracedAllocation};
    use waytrace_model::collector::{Loss, Overhead};
    use waytrace_model::run::{EndedBy, Host, RunHeader, TargetInfo, Window};
    use waytrace_model::stack::StackQuality;
    use waytrace_store::Store;

    use super::*;

    fn batch(index: u64, blocks: usize) -> Batch {
        let window = Window { index, start_ns: index, end_ns: index + 1 };
        Batch { window, traced: vec![TracedAllocation::default(); blocks], ..Batch::default() }
    }

    fn header() -> RunHeader {
        RunHeader {
            name: "run".to_owned(),
            started_at_unix_ns: 0,
            started_at_ns: 0,
            interval_ns: 1,
            command: String::new(),
            host: Host::default(),
            target: TargetInfo::default(),
            budget_pct: None,
            phases: None,
        }
    }

    fn epilogue() -> Epilogue {
        Epilogue {
            duration_ns: 100,
            ended_by: EndedBy::Duration,
            exit_code: None,
            collectors: Vec::new(),
            allocations: Some(AllocationTotals { live_bytes: Some(0), ..AllocationTotals::default() }),
            sites: Vec::new(),
            remaining: Vec::new(),
            accesses: None,
            stacks: StackQuality::default(),
            loss: Loss([("traced_dropped".to_owned(), 100)].into()),
            overhead: Overhead::default(),
        }
    }

    /// How many were written by the next append depends on the disk: what is not stored is a loss in any case, and of
    /// the first batch exactly what there is no room for.
    #[test]
    fn blocks_without_room_are_counted_and_windows_are_not_lost() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(Some(&place.path().join("runs.db"))).unwrap();
        let mut writer = Writer::with_room(store.begin_run(&header(), &[]).unwrap(), 10).unwrap();
        assert!(writer.append(batch(0, 25)));
        assert_eq!(writer.traced.dropped_count, 15);
        for index in 1..50 {
            assert!(writer.append(batch(index, 7)));
        }
        let (run, failure) = writer.finish(epilogue()).unwrap();
        assert!(failure.is_none());
        let report = store.report(run).unwrap();
        assert_eq!(report.run.windows, 50);
        let traced = report.allocations.unwrap().traced_count.unwrap();
        assert!(traced >= 10);
        assert_eq!(traced + report.loss.0["traced_dropped"], 25 + 49 * 7 + 100, "a block is stored or lost");
    }

    #[test]
    fn what_finds_no_room_is_counted_and_room_comes_back() {
        let mut room = Room::new(10);
        let (mut first, mut second) = (vec![0; 8], vec![0; 8]);
        room.admit(&mut first);
        room.admit(&mut second);
        assert_eq!((first.len(), second.len(), room.dropped_count), (8, 2, 6));
        room.waiting.fetch_sub(first.len(), Ordering::Relaxed);
        let mut third = vec![0; 8];
        room.admit(&mut third);
        assert_eq!((third.len(), room.dropped_count), (8, 6));
    }
}

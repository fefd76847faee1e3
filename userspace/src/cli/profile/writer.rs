//! Writes batches on a thread of its own, so that no drain ever waits for the disk.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use waytrace_model::batch::{Batch, Epilogue};
use waytrace_store::{RunId, RunWriter, StoreError};

/// The writing side.
pub struct Writer {
    batches: Sender<Batch>,
    thread: JoinHandle<(RunWriter, Option<StoreError>)>,
}

impl Writer {
    /// Starts the thread.
    pub fn start(run: RunWriter) -> std::io::Result<Self> {
        let (batches, queue) = channel();
        let thread =
            std::thread::Builder::new().name("store".to_owned()).spawn(move || write(run, &queue))?;
        Ok(Self { batches, thread })
    }

    /// Hands over a batch; false once writing has failed.
    pub fn append(&self, batch: Batch) -> bool {
        self.batches.send(batch).is_ok()
    }

    /// Waits for what is queued, and closes the run. With it comes the error that ended writing, if any.
    pub fn finish(self, epilogue: &Epilogue) -> anyhow::Result<(RunId, Option<StoreError>)> {
        drop(self.batches);
        let (run, failure) = self.thread.join().map_err(|_| anyhow::anyhow!("the store thread panicked"))?;
        let id = run.id();
        match (run.finish(epilogue), failure) {
            (Ok(id), failure) => Ok((id, failure)),
            (Err(_), Some(failure)) => Ok((id, Some(failure))),
            (Err(error), None) => Ok((id, Some(error))),
        }
    }
}

fn write(mut run: RunWriter, queue: &Receiver<Batch>) -> (RunWriter, Option<StoreError>) {
    for batch in queue {
        if let Err(error) = run.append(&batch) {
            return (run, Some(error));
        }
    }
    (run, None)
}

//! Windows as lines of JSON, one each, to a pipe or a file.
//!
//! A thread of its own writes: a reader that has stopped reading costs lines, which are counted, and one that has gone ends the lines, and neither
//! holds a window up. `SIGPIPE` must be ignored by the process, or the signal ends it before the error is seen.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use serde::Serialize;
use waytrace_model::monitor::HostWindow;

use super::Error;

/// Windows that wait for a slow reader.
const WAITING: usize = 16;

/// Writes windows as lines.
pub struct JsonLines {
    queue: SyncSender<Arc<HostWindow>>,
    counts: Arc<Counts>,
    /// Never sent to: closed when the thread has written all.
    written: Receiver<()>,
}

/// How the lines fare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LinesState {
    /// Lines written.
    pub written: u64,
    /// Windows for which the reader was too slow, or that came after it had gone.
    pub dropped: u64,
    /// The reader has gone, or writing failed; nothing more is written.
    pub is_closed: bool,
}

#[derive(Default)]
struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
    is_closed: AtomicBool,
}

impl JsonLines {
    /// Begins to write to `out`.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(out: impl Write + Send + 'static) -> Result<Self, Error> {
        let (queue, waiting) = sync_channel(WAITING);
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let (is_writing, written) = sync_channel(0);
        std::thread::Builder::new()
            .name("json-lines".into())
            .spawn(move || {
                write_all(out, &waiting, &shared);
                drop(is_writing);
            })
            .map_err(|source| Error::Thread { what: "lines of JSON", source })?;
        Ok(Self { queue, counts, written })
    }

    /// Has a window written, unless sixteen wait already. Returns at once.
    pub fn write(&self, window: Arc<HostWindow>) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(window) {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what waits is written, so long at most: the end of the process would cut the line that is being written. Whether it is.
    pub fn finish(self, patience: Duration) -> bool {
        drop(self.queue);
        self.written.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }

    /// How it fares.
    pub fn state(&self) -> LinesState {
        LinesState {
            written: self.counts.written.load(Ordering::Relaxed),
            dropped: self.counts.dropped.load(Ordering::Relaxed),
            is_closed: self.counts.is_closed.load(Ordering::Relaxed),
        }
    }
}

fn write_all(mut out: impl Write, waiting: &Receiver<Arc<HostWindow>>, counts: &Counts) {
    while let Ok(window) = waiting.recv() {
        if let Err(error) = write_line(&mut out, &window) {
            tracing::warn!(%error, "windows are no longer written as lines");
            counts.is_closed.store(true, Ordering::Relaxed);
            return;
        }
        counts.written.fetch_add(1, Ordering::Relaxed);
    }
}

fn write_line(out: &mut impl Write, window: &HostWindow) -> io::Result<()> {
    let mut line = serde_json::to_vec(window)?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::time::Instant;

    fn window(index: u64) -> Arc<HostWindow> {
        Arc::new(HostWindow { index, ..HostWindow::default() })
    }

    fn wait_for(lines: &JsonLines, is_reached: impl Fn(LinesState) -> bool) {
        let start = Instant::now();
        while !is_reached(lines.state()) {
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", lines.state());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_line_each() {
        let (reader, writer) = io::pipe().unwrap();
        let lines = JsonLines::start(writer).unwrap();
        for index in 0..3 {
            lines.write(window(index));
        }
        for (index, line) in BufReader::new(reader).lines().take(3).enumerate() {
            let read: HostWindow = serde_json::from_str(&line.unwrap()).unwrap();
            assert_eq!(read.index, index as u64);
        }
    }

    /// The pipe holds a part of what is written, and the reader takes its time.
    #[test]
    fn at_the_end_lines_are_written_whole_unless_nobody_reads() {
        let large = Arc::new(HostWindow { missing: vec!["x".repeat(1 << 20)], ..HostWindow::default() });
        let (reader, writer) = io::pipe().unwrap();
        let lines = JsonLines::start(writer).unwrap();
        (0..3).for_each(|_| lines.write(Arc::clone(&large)));
        let read = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            BufReader::new(reader).lines().map(|line| line.unwrap().len()).collect::<Vec<_>>()
        });
        assert!(lines.finish(Duration::from_secs(60)));
        let read = read.join().unwrap();
        assert!(read.len() == 3 && read.iter().all(|length| *length > 1 << 20), "{read:?}");
        let (reader, writer) = io::pipe().unwrap();
        let lines = JsonLines::start(writer).unwrap();
        lines.write(large);
        assert!(!lines.finish(Duration::from_millis(50)));
        drop(reader);
    }

    #[test]
    fn a_reader_that_has_gone_ends_the_lines_only() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let lines = JsonLines::start(writer).unwrap();
        lines.write(window(0));
        wait_for(&lines, |state| state.is_closed);
        lines.write(window(1));
        wait_for(&lines, |state| state.dropped == 1);
        assert_eq!(lines.state().written, 0);
    }

    #[test]
    fn a_reader_that_does_not_read_costs_lines() {
        let (reader, writer) = io::pipe().unwrap();
        let lines = JsonLines::start(writer).unwrap();
        let missing = vec!["x".repeat(1 << 20)];
        let large = Arc::new(HostWindow { missing, ..HostWindow::default() });
        for _ in 0..WAITING + 5 {
            lines.write(Arc::clone(&large));
        }
        assert!(lines.state().dropped >= 4, "{:?}", lines.state());
        drop(reader);
    }
}

//! Lines of a child's output, read as they come, with a deadline: a test never hangs.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Far beyond what anything here takes on a slow machine.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// The lines of one stream.
pub struct Lines {
    receiver: Receiver<String>,
    /// Everything received so far.
    pub seen: Vec<String>,
}

impl Lines {
    pub fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        Self { receiver, seen: Vec::new() }
    }

    /// The next line that `wanted` accepts; `None` when the stream ends or the deadline passes first.
    pub fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let line = self.next_until(deadline)?;
            if wanted(&line) {
                return Some(line);
            }
        }
    }

    /// Goes past all that has come.
    pub fn skip(&mut self) {
        self.seen.extend(self.receiver.try_iter());
    }

    /// Everything up to the end of the stream, or what came before the deadline.
    pub fn read_to_end(&mut self) -> String {
        let deadline = Instant::now() + DEADLINE;
        while self.next_until(deadline).is_some() {}
        self.seen.join("\n")
    }

    fn next_until(&mut self, deadline: Instant) -> Option<String> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.receiver.recv_timeout(left) {
            Ok(line) => {
                self.seen.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }
}

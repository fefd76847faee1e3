//! Windows that were written as JSON, one on a line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::bail;
use serde::Deserialize;
use serde::de::IgnoredAny;
use thiserror::Error;
use waytrace_model::monitor::{Alert, HostWindow};

use super::source::{Record, Source};

/// Longest line: a window of the most targets there can be is far below.
const LONGEST: u64 = 256 << 20;

/// Why a file cannot be shown.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// It cannot be opened.
    #[error("{}: cannot be opened; give the file that `waytrace top --json` or `waytrace monitor` wrote", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// It cannot be read on.
    #[error("{}:{line}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: u64,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// A line is something else.
    #[error("{}:{line}: not a window; each line has to be one, as `waytrace top --json` writes them", path.display())]
    NoWindow {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: u64,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A line does not end.
    #[error("{}:{line}: longer than {LONGEST} bytes, which no window is", path.display())]
    Endless {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: u64,
    },
    /// There is no window in it.
    #[error("{}: no windows in it; `waytrace top --json` writes one on a line", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Opens a file as a source whose windows come `pace` apart.
///
/// # Errors
/// As [`Replay::open`].
pub fn open(path: &Path, pace: Duration) -> anyhow::Result<(Box<dyn Source>, Record)> {
    let record: Record =
        Arc::new(|_| bail!("a replay has no processes to record; run `waytrace top` without --replay"));
    Ok((Box::new(Replay::open(path, pace)?), record))
}

/// A file of windows; alerts between them are taken, too.
pub struct Replay {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    line: u64,
    /// Between windows; `None` where they come as they are written.
    pace: Option<Duration>,
    due: Option<Instant>,
    windows: u64,
    ended: bool,
    alerts: Vec<Alert>,
}

/// What lines can be.
enum Line {
    Window(HostWindow),
    Alert(Alert),
}

/// What tells them apart.
#[derive(Deserialize)]
struct Kind {
    index: Option<IgnoredAny>,
    rule: Option<IgnoredAny>,
}

fn parse(text: &[u8]) -> Result<Line, serde_json::Error> {
    match serde_json::from_slice(text) {
        Ok(Kind { index: None, rule: Some(_) }) => serde_json::from_slice(text).map(Line::Alert),
        _ => serde_json::from_slice(text).map(Line::Window),
    }
}

impl Replay {
    /// Opens a file, whose windows come `pace` apart; `-` is stdin, whose come as they are written.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path, pace: Duration) -> Result<Self, ReplayError> {
        let is_stdin = path == Path::new("-");
        let input: Box<dyn BufRead + Send> = if is_stdin {
            Box::new(BufReader::new(stdin()))
        } else {
            let file =
                File::open(path).map_err(|source| ReplayError::Open { path: path.to_owned(), source })?;
            Box::new(BufReader::new(file))
        };
        let path = if is_stdin { PathBuf::from("stdin") } else { path.to_owned() };
        let pace = (!is_stdin).then_some(pace);
        Ok(Self { path, input, line: 0, pace, due: None, windows: 0, ended: false, alerts: Vec::new() })
    }

    fn read(&mut self) -> Result<Option<HostWindow>, ReplayError> {
        let mut text = Vec::new();
        loop {
            text.clear();
            self.line += 1;
            let line = self.line;
            let read = self.input.by_ref().take(LONGEST).read_until(b'\n', &mut text);
            let read = read.map_err(|source| ReplayError::Read { path: self.path.clone(), line, source })?;
            if read == 0 {
                self.ended = true;
                if self.windows == 0 {
                    return Err(ReplayError::Empty { path: self.path.clone() });
                }
                return Ok(None);
            }
            if read as u64 == LONGEST {
                return Err(ReplayError::Endless { path: self.path.clone(), line });
            }
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match parse(&text) {
                Ok(Line::Alert(alert)) => self.alerts.push(alert),
                Ok(Line::Window(window)) => {
                    self.windows += 1;
                    return Ok(Some(window));
                }
                // Who writes may have been killed, or the disk have been full: the last line is then a part of one.
                Err(_) if text.last() != Some(&b'\n') && self.windows > 0 => {
                    self.ended = true;
                    return Ok(None);
                }
                Err(source) => return Err(ReplayError::NoWindow { path: self.path.clone(), line, source }),
            }
        }
    }
}

impl Source for Replay {
    fn next(&mut self, timeout: Duration) -> anyhow::Result<Option<HostWindow>> {
        if self.ended {
            sleep(timeout);
            return Ok(None);
        }
        let now = Instant::now();
        if let Some(due) = self.due.filter(|&due| due > now) {
            sleep((due - now).min(timeout));
            if due > now + timeout {
                return Ok(None);
            }
        }
        let window = self.read()?;
        self.due = self.pace.map(|pace| Instant::now() + pace);
        Ok(window)
    }

    fn has_ended(&self) -> bool {
        self.ended
    }

    fn alerts(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.alerts)
    }

    fn set_interval(&mut self, interval: Duration) {
        if let Some(pace) = &mut self.pace {
            *pace = interval;
            self.due = Some(Instant::now() + interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn window(index: u64) -> String {
        serde_json::to_string(&HostWindow { index, length_ns: 1, ..HostWindow::default() }).unwrap()
    }

    fn replay(text: &str) -> (Vec<u64>, Vec<Alert>, Option<String>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut replay = Replay::open(file.path(), Duration::ZERO).unwrap();
        let mut indices = Vec::new();
        loop {
            match replay.next(Duration::ZERO) {
                Ok(Some(window)) => indices.push(window.index),
                Ok(None) => {
                    assert!(replay.has_ended());
                    return (indices, replay.alerts(), None);
                }
                Err(error) => return (indices, replay.alerts(), Some(format!("{error:#}"))),
            }
        }
    }

    #[test]
    fn windows_come_in_order_and_alerts_between_them() {
        let alert = Alert { rule: "leak".to_owned(), target: "db".to_owned(), ..Alert::default() };
        let text = format!("{}\n\n{}\n{}\n", window(3), serde_json::to_string(&alert).unwrap(), window(4));
        assert_eq!(replay(&text), (vec![3, 4], vec![alert], None));
    }

    #[test]
    fn a_line_cut_off_at_the_end_is_left_out_and_nowhere_else() {
        let (first, second) = (window(0), window(1));
        for cut in 1..second.len() {
            let (indices, _, error) = replay(&format!("{first}\n{}", &second[..cut]));
            assert_eq!((indices, error), (vec![0], None), "{cut}");
        }
        let (indices, _, error) = replay(&format!("{first}\n{}\n{second}\n", &second[..20]));
        assert_eq!(indices, [0]);
        assert!(error.unwrap().contains(":2: not a window"));
    }

    #[test]
    fn what_is_no_file_of_windows_is_named() {
        for (text, wanted) in
            [("", "no windows in it"), ("{}\n", ":1: not a window"), ("\u{7f}ELF", ":1: not a window")]
        {
            let (_, _, error) = replay(text);
            assert!(error.as_ref().is_some_and(|error| error.contains(wanted)), "{text}: {error:?}");
        }
        let error = Replay::open(Path::new("no-such-file"), Duration::ZERO).err().unwrap();
        assert!(error.to_string().contains("no-such-file"), "{error}");
    }
}

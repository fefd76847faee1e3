//! One child at work: started behind everybody else, bounded in time, its last words and its CPU time kept.

use std::io::Read as _;
use std::process::{ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use waytrace_hw::clock::process_cpu_ns;

use super::process::{Manner, Process};

/// Attaching and finishing may take so long besides the recording itself.
const BESIDES: Duration = Duration::from_secs(60);
/// What is asked to end with SIGINT has so long to keep its data.
const FINISH: Duration = Duration::from_secs(20);
/// How far it is put behind others.
const NICE: i32 = 10;
/// Bytes of its last words that are kept.
const LAST_WORDS: usize = 4096;

/// What all recordings of a monitor share.
#[derive(Debug, Default)]
pub struct Account {
    finished_ns: AtomicU64,
    running: AtomicU32,
    /// What was told, which never falls.
    told_ns: AtomicU64,
    end: Mutex<Option<Instant>>,
}

impl Account {
    /// CPU time of all recordings until now, the one under way included, nanoseconds.
    pub fn cpu_ns(&self) -> u64 {
        let running = match self.running.load(Ordering::Acquire) {
            0 => 0,
            // One that has gone is among the finished.
            pid => process_cpu_ns(pid).unwrap_or(0),
        };
        let now_ns = self.finished_ns.load(Ordering::Acquire).saturating_add(running);
        self.told_ns.fetch_max(now_ns, Ordering::AcqRel).max(now_ns)
    }

    /// Everything must be over by then.
    pub fn end_by(&self, end: Instant) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    /// When everything must be over; `None` while it goes on.
    pub fn end(&self) -> Option<Instant> {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a child failed.
#[derive(Debug)]
pub enum Failure {
    /// It cannot be started.
    Start(std::io::Error),
    /// It was killed, or ended with a code.
    Ended(String),
}

/// Runs a command to its end, which it is helped to when its time is over or the monitor ends; gives its CPU time.
///
/// Where `is_unwanted` says so it is killed at once.
pub fn run(
    command: &mut Command,
    time: Duration,
    account: &Account,
    is_unwanted: &dyn Fn() -> bool,
) -> (Result<(), Failure>, u64) {
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let manner = Manner { nice: NICE, end_with_parent: Some(libc::SIGINT), keeps_capabilities: true };
    let (mut process, stderr) = match Process::start(command, manner) {
        Ok(started) => started,
        Err(error) => return (Err(Failure::Start(error)), 0),
    };
    account.running.store(process.pid(), Ordering::Release);
    let said = stderr.map(listen);
    let deadline = Instant::now() + time + BESIDES;
    let mut ended = process.wait_until(deadline, || account.end().is_some() || is_unwanted());
    if ended.is_none() && !is_unwanted() {
        process.signal(libc::SIGINT);
        let finish = Instant::now() + FINISH;
        // At the monitor's end a part of the patience is left for what follows.
        let finish = account.end().map_or(finish, |end| finish.min(end));
        let is_over = || is_unwanted() || account.end().is_some_and(|end| Instant::now() >= end);
        ended = process.wait_until(finish, is_over);
    }
    let was_killed = ended.is_none();
    let ended = ended.or_else(|| process.kill());
    account.running.store(0, Ordering::Release);
    let cpu_ns = ended.map_or(0, |ended| ended.cpu_ns);
    account.finished_ns.fetch_add(cpu_ns, Ordering::AcqRel);
    let result = match ended {
        _ if was_killed => Err("it did not end when asked to, and was killed".to_owned()),
        Some(ended) if ended.code == 0 => Ok(()),
        Some(ended) => Err(last_words(said).unwrap_or_else(|| format!("ended with code {}", ended.code))),
        None => Err("how it ended is not known".to_owned()),
    };
    (result.map_err(Failure::Ended), cpu_ns)
}

type Said = (Arc<Mutex<Vec<u8>>>, JoinHandle<()>);

/// Reads standard error to its end, for a full pipe would stop the child, and keeps the end of it.
fn listen(mut stderr: ChildStderr) -> Said {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&kept);
    let thread = std::thread::spawn(move || {
        let mut chunk = [0; 1024];
        while let Ok(len @ 1..) = stderr.read(&mut chunk) {
            let mut kept = theirs.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(chunk.get(..len).unwrap_or_default());
            let surplus = kept.len().saturating_sub(LAST_WORDS);
            kept.drain(..surplus);
        }
    });
    (kept, thread)
}

/// The last line that says something. A grandchild that holds the pipe open is not waited for.
fn last_words(said: Option<Said>) -> Option<String> {
    let (kept, thread) = said?;
    let end = Instant::now() + Duration::from_millis(200);
    while !thread.is_finished() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(2));
    }
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&kept);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    let line = line.trim();
    let line = line.strip_prefix("waytrace: ").or(line.strip_prefix("Error: ")).unwrap_or(line);
    Some(line.chars().take(500).collect())
}

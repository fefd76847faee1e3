//! The watchdog: a process of its own that takes changes back when the one that makes them is killed.
//!
//! It holds the reading end of a pipe. While the other process lives it has nothing to do; a byte is its dismissal, and the end
//! of the pipe without one is that process's end. It is of its own session and ignores the signals that end sessions, so that
//! what kills the one does not kill the other. Where both are killed, the journal stays for `waytrace doctor --restore`.

use std::io::{self, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::journal::{Lock, Locked, read};
use super::pending::take_back;
use super::{Journal, Outcome, UndoError, place};
use crate::Root;

/// The hidden command that waytrace is started again with; the journal's path follows.
const COMMAND: &str = "undo-watchdog";
const READY: u8 = b'r';
const FAREWELL: u8 = b'f';
/// Pause between looks at a journal that somebody else has.
const PAUSE: Duration = Duration::from_millis(5);
/// Signals that are sent to whole sessions and groups, or to a reader's writers.
const IGNORED: [libc::c_int; 8] = [
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGPIPE,
    libc::SIGTSTP,
    libc::SIGUSR1,
    libc::SIGUSR2,
];

/// A watchdog that runs. Dropped without being dismissed it takes back what the journal still says.
#[derive(Debug)]
pub struct Watchdog(Child);

impl Watchdog {
    /// Starts one for a journal, and returns when it watches: changes may be made from then on. `exe` is waytrace itself.
    ///
    /// # Errors
    /// [`UndoError::Watchdog`].
    pub fn start(journal: &Journal, exe: &Path) -> Result<Self, UndoError> {
        let mut command = Command::new(exe);
        command.arg(COMMAND).arg(journal.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|source| UndoError::Watchdog { source })?;
        let mut said = [0];
        let heard = child.stdout.take().map(|mut stdout| stdout.read_exact(&mut said));
        if matches!(heard, Some(Ok(()))) && said == [READY] {
            return Ok(Self(child));
        }
        let _ = child.kill();
        let source = match child.wait() {
            Ok(status) => io::Error::other(format!("it ended before it watched ({status})")),
            Err(error) => error,
        };
        Err(UndoError::Watchdog { source })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Lets it end: the journal was undone, or is to be kept.
    pub fn dismiss(mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            // One that was killed needs no farewell.
            let _ = pipe.write_all(&[FAREWELL]);
        }
        let _ = self.0.wait();
    }
}

/// What the watchdog does, from its beginning to its end. `None`: there was nothing to take back.
///
/// # Errors
/// A journal that cannot be read.
pub fn serve(path: &Path) -> Result<Option<super::Undone>, UndoError> {
    detach();
    if let Some(directory) = path.parent() {
        place::check(directory)?;
    }
    let Some(header) = read(path)?.header else { return Ok(None) };
    let mut stdout = io::stdout();
    let ready = stdout.write_all(&[READY]).and_then(|()| stdout.flush());
    ready.map_err(|source| UndoError::Watchdog { source })?;
    let mut said = Vec::new();
    // What cannot be read is as good as ended: the lock tells whether the process lives.
    let _ = io::stdin().read_to_end(&mut said);
    if said.contains(&FAREWELL) {
        return Ok(None);
    }
    let root = Root::new(header.root.clone());
    loop {
        match Locked::open(path, false)? {
            Lock::None => return Ok(None),
            Lock::Ours(file) => {
                return Ok(match take_back(&root, file, Some(&header))? {
                    Outcome::Undone(undone) => Some(undone),
                    Outcome::Busy | Outcome::Gone => None,
                });
            }
            // Its process still takes it back, or another does; or it is the next one's already.
            Lock::Theirs => match read(path) {
                Ok(lines) if lines.header.as_ref().is_some_and(|now| *now != header) => return Ok(None),
                _ => std::thread::sleep(PAUSE),
            },
        }
    }
}

/// Leaves the session of the process that is watched, and where it was started.
fn detach() {
    // SAFETY: neither call passes pointers; a process that leads its group stays in its session, which does no harm.
    unsafe {
        libc::setsid();
        for signal in IGNORED {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
    let _ = std::env::set_current_dir("/");
}

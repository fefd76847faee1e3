//! Signals that others send: each is taken by a thread that waits for them, so that the terminal is given back before anything else.

use std::io;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To end.
    End,
    /// To stop.
    Stop,
    /// To go on, after whatever stopped it.
    GoOn,
}

const TAKEN: [(libc::c_int, Asked); 6] = [
    (libc::SIGTERM, Asked::End),
    (libc::SIGINT, Asked::End),
    (libc::SIGHUP, Asked::End),
    (libc::SIGQUIT, Asked::End),
    (libc::SIGTSTP, Asked::Stop),
    (libc::SIGCONT, Asked::GoOn),
];

/// Those signals, blocked.
pub struct Signals {
    set: libc::sigset_t,
}

impl Signals {
    /// Blocks them in this thread and those it starts from now on.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub fn block() -> io::Result<Self> {
        let set = set(&TAKEN.map(|(signal, _)| signal));
        mask(libc::SIG_BLOCK, &set)?;
        Ok(Self { set })
    }

    /// Waits for the next.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub fn wait(&self) -> io::Result<Asked> {
        loop {
            let mut signal = 0;
            // SAFETY: the set is a whole one, and both live through the call.
            let result = unsafe { libc::sigwait(&raw const self.set, &raw mut signal) };
            if result != 0 {
                return Err(io::Error::from_raw_os_error(result));
            }
            if let Some((_, asked)) = TAKEN.iter().find(|(one, _)| *one == signal) {
                return Ok(*asked);
            }
        }
    }
}

/// Stops this process as Ctrl-Z does, and returns when it goes on. Where no shell would ever let it, the kernel does not stop it.
///
/// # Errors
/// Whatever the kernel says.
pub fn stop() -> io::Result<()> {
    let set = set(&[libc::SIGTSTP]);
    // SAFETY: raise passes no pointers; the signal is blocked, so that it is taken below.
    if unsafe { libc::raise(libc::SIGTSTP) } != 0 {
        return Err(io::Error::last_os_error());
    }
    mask(libc::SIG_UNBLOCK, &set)?;
    mask(libc::SIG_BLOCK, &set)
}

/// Asks all of this process's group to stop, as the terminal does on Ctrl-Z.
pub fn stop_group() {
    // SAFETY: kill passes no pointers; 0 is the group of the caller.
    unsafe { libc::kill(0, libc::SIGTSTP) };
}

fn mask(how: libc::c_int, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the set is a whole one, and a null pointer asks for no old mask.
    match unsafe { libc::pthread_sigmask(how, std::ptr::from_ref(set), std::ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn set(signals: &[libc::c_int]) -> libc::sigset_t {
    // SAFETY: a set is plain words, sigemptyset makes it a valid one, and the signals exist.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        set
    }
}

//! Ends process groups when waytrace is killed and cannot do it itself: the kernel's signal at a parent's death reaches
//! the child alone and not what that has started.
//!
//! A forked process reads from a pipe whose groups to watch. Whichever way waytrace ends, the kernel closes the pipe.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// Groups watched at once: a measured program's and an antagonist's, and room.
const GROUPS: usize = 8;

/// The watching process. It ends with this value.
pub struct Guard {
    pipe: Option<OwnedFd>,
    pid: libc::pid_t,
}

impl Guard {
    /// Starts it, with the signal mask of this thread.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub fn start() -> io::Result<Self> {
        let mut ends = [0; 2];
        // SAFETY: the array has room for both descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both descriptors are new and nobody else's.
        let [read, write] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        // SAFETY: the child makes async-signal-safe calls only, and never returns.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => watch(read.as_raw_fd()),
            pid => Ok(Self { pipe: Some(write), pid }),
        }
    }

    /// The group led by `pid` ends with waytrace.
    pub fn watch(&self, pid: u32) {
        self.tell(pid.cast_signed());
    }

    /// It has ended.
    pub fn forget(&self, pid: u32) {
        self.tell(-pid.cast_signed());
    }

    fn tell(&self, number: libc::pid_t) {
        let bytes = number.to_ne_bytes();
        if let Some(pipe) = &self.pipe {
            // So few bytes are written as a whole. A watcher that is gone protects nothing, and nothing hangs on it.
            // SAFETY: the bytes live through the call, and so does the descriptor.
            unsafe { libc::write(pipe.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // SAFETY: the child is ours and not yet waited for; a null pointer asks for no status.
        unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
    }
}

/// The forked process: after a fork of one thread among several only async-signal-safe calls are allowed.
fn watch(pipe: libc::c_int) -> ! {
    let mut groups = [0; GROUPS];
    // SAFETY: none of these passes a pointer. All descriptors but the pipe are closed, so that whoever reads waytrace's
    // output sees its end, and the pipe has no writer here.
    unsafe {
        libc::setpgid(0, 0);
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
        libc::dup2(pipe, 0);
        libc::syscall(libc::SYS_close_range, 1, libc::c_uint::MAX, 0);
    }
    loop {
        let mut bytes = [0_u8; size_of::<libc::pid_t>()];
        // SAFETY: the bytes live through the call.
        let read = unsafe { libc::read(0, bytes.as_mut_ptr().cast(), bytes.len()) };
        if read != bytes.len() as isize {
            break;
        }
        let number = libc::pid_t::from_ne_bytes(bytes);
        let (old, new) = if number > 0 { (0, number) } else { (-number, 0) };
        if let Some(place) = groups.iter_mut().find(|group| **group == old) {
            *place = new;
        }
    }
    for group in groups.into_iter().filter(|group| *group > 1) {
        // SAFETY: a signal passes no pointers. The group was waytrace's own, which has not been told to forget it.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    // SAFETY: it never returns.
    unsafe { libc::_exit(0) }
}

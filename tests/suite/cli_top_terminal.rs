//! A terminal of a test's own: the master's side of a pty, with a screen that shows what the slave's side wrote.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::harness::pipes::DEADLINE;

/// What was written, and what it looks like.
struct Seen {
    screen: vt100::Parser,
    bytes: Vec<u8>,
}

/// A terminal with a process in it; the process is killed when this is dropped.
pub struct Terminal {
    master: File,
    // Kept open, so that the modes can be asked for when the process has ended.
    _slave: File,
    child: Child,
    seen: Arc<Mutex<Seen>>,
    /// The modes before the process had it.
    pub modes: libc::termios,
}

impl Terminal {
    /// Starts a command in a terminal of that size, as the leader of its session.
    pub fn start(command: &mut Command, rows: u16, columns: u16) -> Self {
        let (master, slave) = pair(rows, columns);
        let modes = modes(&master);
        let copy = || Stdio::from(slave.try_clone().unwrap());
        command
            .stdin(copy())
            .stdout(copy())
            .stderr(copy())
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8");
        command.env_remove("LC_ALL").env_remove("LC_CTYPE");
        // SAFETY: both calls are async-signal-safe, and stdin is the terminal by then.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        let seen =
            Arc::new(Mutex::new(Seen { screen: vt100::Parser::new(rows, columns, 0), bytes: Vec::new() }));
        let mut reader = master.try_clone().unwrap();
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read) = reader.read(&mut piece) {
                if read == 0 {
                    break;
                }
                let mut seen = shared.lock().unwrap();
                seen.screen.process(&piece[..read]);
                seen.bytes.extend_from_slice(&piece[..read]);
            }
        });
        Self { master, _slave: slave, child, seen, modes }
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// What is on the screen, line by line.
    pub fn contents(&self) -> String {
        self.seen.lock().unwrap().screen.screen().contents()
    }

    /// All that was written.
    pub fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().bytes.clone()
    }

    /// Whether the screen is the one full-screen programs have, and the cursor hidden.
    pub fn is_taken(&self) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.screen.screen().alternate_screen() || seen.screen.screen().hide_cursor()
    }

    /// Whether any character has a colour.
    pub fn has_colours(&self) -> bool {
        let seen = self.seen.lock().unwrap();
        let screen = seen.screen.screen();
        let (rows, columns) = screen.size();
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let mut cells = cells.filter_map(|(row, column)| screen.cell(row, column));
        cells.any(|cell| cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default)
    }

    /// Waits until the screen is as wanted.
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "{what} never came:\n{}", self.contents());
            sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a text.
    pub fn wait_for(&self, text: &str) {
        self.wait_until(text, |terminal| terminal.contents().contains(text));
    }

    /// Waits until a text is gone.
    pub fn wait_without(&self, text: &str) {
        self.wait_until(&format!("a screen without {text}"), |terminal| !terminal.contents().contains(text));
    }

    /// Changes the size.
    pub fn resize(&self, rows: u16, columns: u16) {
        self.seen.lock().unwrap().screen.screen_mut().set_size(rows, columns);
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the file is open, and TIOCSWINSZ reads one winsize.
        assert_eq!(unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }, 0);
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: kill has no memory preconditions; the child has not been waited for, so its pid is its own.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
    }

    /// Whether lines are put together and echoed by the terminal, as they are for a shell.
    pub fn is_cooked(&self) -> bool {
        modes(&self.master).c_lflag & (libc::ICANON | libc::ECHO) == libc::ICANON | libc::ECHO
    }

    /// Waits for the end and returns the exit code; the modes are what they were.
    pub fn finish(&mut self) -> i32 {
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.contents());
            sleep(Duration::from_millis(5));
        };
        self.wait_until("the screen there was before", |terminal| !terminal.is_taken());
        let now = modes(&self.master);
        let told =
            |modes: &libc::termios| (modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag, modes.c_cc);
        assert_eq!(told(&now), told(&self.modes), "the terminal's modes");
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        status.code().unwrap_or_else(|| -signal.unwrap_or(0))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pair(rows: u16, columns: u16) -> (File, File) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let (mut master, mut slave) = (-1, -1);
    // SAFETY: both numbers and the size live through the call; null pointers ask for no name and the usual modes.
    let result = unsafe {
        libc::openpty(
            &raw mut master,
            &raw mut slave,
            std::ptr::null_mut(),
            std::ptr::null(),
            &raw const size,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    for file in [master, slave] {
        // SAFETY: the file is open; children are to have it by stdin alone.
        unsafe { libc::fcntl(file, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    // SAFETY: openpty has opened both, and nobody else has them.
    unsafe { (File::from(OwnedFd::from_raw_fd(master)), File::from(OwnedFd::from_raw_fd(slave))) }
}

fn modes(file: &File) -> libc::termios {
    // SAFETY: termios is plain numbers, for which zeroes are a value; tcgetattr fills it.
    unsafe {
        let mut modes: libc::termios = std::mem::zeroed();
        assert_eq!(libc::tcgetattr(file.as_raw_fd(), &raw mut modes), 0);
        modes
    }
}

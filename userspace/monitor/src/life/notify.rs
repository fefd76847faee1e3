//! Messages to a service manager: sd_notify(3), datagrams of `KEY=value` lines to the socket that `NOTIFY_SOCKET` names.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use thiserror::Error;
use waytrace_hw::clock::monotonic_ns;

/// Why nobody can be told.
#[derive(Debug, Error)]
pub enum NotifyError {
    /// The variable names no socket.
    #[error(
        "NOTIFY_SOCKET is {0:?}, neither an absolute path nor an abstract socket (@name); unset it, or name one"
    )]
    Name(String),
    /// The socket does not take messages.
    #[error("the service manager's socket {path:?} of NOTIFY_SOCKET: {source}")]
    Send {
        /// The socket as the variable names it.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
}

/// A way to a service manager; one that leads nowhere where there is none.
#[derive(Debug)]
pub struct Notifier(Option<Way>);

#[derive(Debug)]
struct Way {
    socket: UnixDatagram,
    address: SocketAddr,
    name: String,
}

/// systemd shows one line.
const MOST_STATUS_CHARS: usize = 300;

impl Notifier {
    /// The manager that the environment names, or none.
    ///
    /// # Errors
    /// [`NotifyError`] where it names what is no socket.
    pub fn from_env() -> Result<Self, NotifyError> {
        std::env::var_os("NOTIFY_SOCKET").map_or(Ok(Self(None)), |name| Self::to(&name))
    }

    /// The manager behind a socket: a path, or `@name` for an abstract one.
    ///
    /// # Errors
    /// [`NotifyError`] where that is no socket.
    pub fn to(name: &OsStr) -> Result<Self, NotifyError> {
        let shown = name.to_string_lossy().into_owned();
        let failed = |source| NotifyError::Send { path: shown.clone(), source };
        let address = match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest).map_err(failed)?,
            [b'/', ..] => SocketAddr::from_pathname(name).map_err(failed)?,
            _ => return Err(NotifyError::Name(shown)),
        };
        let socket = UnixDatagram::unbound().map_err(failed)?;
        // A manager that hangs is no reason to hang.
        socket.set_nonblocking(true).map_err(failed)?;
        Ok(Self(Some(Way { socket, address, name: shown })))
    }

    /// Whether somebody listens.
    pub fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Starting or reloading is over.
    ///
    /// # Errors
    /// Like the other messages: [`NotifyError::Send`], which is worth a line in the log and no more.
    pub fn ready(&self, status: &str) -> Result<(), NotifyError> {
        self.send(&format!("READY=1\n{}", status_line(status)))
    }

    /// The configuration is read again; [`Self::ready`] follows, whether it was taken or not.
    ///
    /// # Errors
    /// As [`Self::ready`].
    pub fn reloading(&self) -> Result<(), NotifyError> {
        // `Type=notify-reload` needs the time, by which it tells this answer from an earlier one.
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}\n", monotonic_ns() / 1000))
    }

    /// The end has begun.
    ///
    /// # Errors
    /// As [`Self::ready`].
    pub fn stopping(&self) -> Result<(), NotifyError> {
        self.send("STOPPING=1\n")
    }

    /// One line for people.
    ///
    /// # Errors
    /// As [`Self::ready`].
    pub fn status(&self, text: &str) -> Result<(), NotifyError> {
        self.send(&status_line(text))
    }

    /// All is well.
    ///
    /// # Errors
    /// As [`Self::ready`].
    pub fn ping(&self) -> Result<(), NotifyError> {
        self.send("WATCHDOG=1\n")
    }

    fn send(&self, message: &str) -> Result<(), NotifyError> {
        let Some(way) = &self.0 else { return Ok(()) };
        let failed = |source| NotifyError::Send { path: way.name.clone(), source };
        way.socket.send_to_addr(message.as_bytes(), &way.address).map_err(failed)?;
        Ok(())
    }
}

/// `STATUS=`, in one line: what follows a line break would be another message.
fn status_line(text: &str) -> String {
    let line: String =
        text.chars().take(MOST_STATUS_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("STATUS={line}\n")
}

/// How often the manager that started this process wants to hear of it: `WATCHDOG_USEC`, unless `WATCHDOG_PID` says that another is meant.
pub fn watchdog_of(usec: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let for_us = pid.is_none_or(|pid| pid.trim().parse() == Ok(own));
    let usec: u64 = usec?.trim().parse().ok().filter(|usec| *usec > 0)?;
    for_us.then(|| Duration::from_micros(usec))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 4096];
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    fn speak(notifier: &Notifier, socket: &UnixDatagram) {
        assert!(notifier.is_there());
        notifier.ready("watching 3 targets").unwrap();
        assert_eq!(received(socket), "READY=1\nSTATUS=watching 3 targets\n");
        let before = monotonic_ns() / 1000;
        notifier.reloading().unwrap();
        let message = received(socket);
        let time = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
        assert!((before..=monotonic_ns() / 1000).contains(&time.parse().unwrap()), "{message}");
        notifier.status("one\nWATCHDOG=trigger").unwrap();
        assert_eq!(received(socket), "STATUS=one WATCHDOG=trigger\n", "no message within a message");
        notifier.ping().unwrap();
        assert_eq!(received(socket), "WATCHDOG=1\n");
        notifier.stopping().unwrap();
        assert_eq!(received(socket), "STOPPING=1\n");
    }

    #[test]
    fn a_socket_by_path_hears_everything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(path.as_os_str()).unwrap();
        speak(&notifier, &socket);
        drop(socket);
        let error = notifier.ping().unwrap_err().to_string();
        assert!(error.contains("NOTIFY_SOCKET") && error.contains("notify"), "{error}");
    }

    #[test]
    fn an_abstract_socket_hears_everything() {
        let name = format!("waytrace-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        speak(&Notifier::to(OsStr::new(&format!("@{name}"))).unwrap(), &socket);
    }

    #[test]
    fn a_manager_that_does_not_listen_stops_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _full = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(path.as_os_str()).unwrap();
        let sent = (0..100_000).take_while(|_| notifier.ping().is_ok()).count();
        assert!(sent < 100_000, "the queue is bounded, and a full one is an error at once");
    }

    #[test]
    fn without_a_manager_nothing_happens_and_a_wrong_name_is_told() {
        assert!(Notifier(None).ready("x").is_ok() && !Notifier(None).is_there());
        for wrong in ["vsock:2:1", "", "relative"] {
            let error = Notifier::to(OsStr::new(wrong)).unwrap_err().to_string();
            assert!(error.contains("NOTIFY_SOCKET"), "{error}");
        }
    }

    #[test]
    fn the_watchdog_is_the_one_of_this_process() {
        let minute = Some(Duration::from_secs(60));
        assert_eq!(watchdog_of(Some("60000000"), None, 7), minute);
        assert_eq!(watchdog_of(Some("60000000"), Some("7"), 7), minute);
        for (usec, pid) in
            [(Some("60000000"), Some("8")), (None, Some("7")), (Some("0"), None), (Some("x"), None)]
        {
            assert_eq!(watchdog_of(usec, pid, 7), None, "{usec:?} {pid:?}");
        }
    }
}

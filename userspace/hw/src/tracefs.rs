//! Tracefs, where tracepoints have their numbers: mounted, or a private detached view that leaves the machine as it is.
//!
//! Reads only. Source: `Documentation/trace/ftrace.rst` (mount points), `fsopen(2)`, `fsmount(2)`.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use waytrace_model::spelling::nearest;

use crate::{Error, Root};

const MOUNT_POINTS: [&str; 2] = ["sys/kernel/tracing", "sys/kernel/debug/tracing"];
/// `FSCONFIG_CMD_CREATE` of `include/uapi/linux/mount.h`.
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;

/// An open tracefs.
#[derive(Debug)]
pub struct Tracefs {
    dir: OwnedFd,
    mount_point: Option<PathBuf>,
}

impl Tracefs {
    /// Opens the mounted tracefs of `root`; where none is mounted and `root` is the running machine's, a private one.
    ///
    /// # Errors
    /// [`Error::TracefsDenied`] where it is mounted but closed to us, [`Error::TracefsUnavailable`] where there is
    /// none and a private view could not be made.
    pub fn open(root: &Root) -> Result<Self, Error> {
        for rel in MOUNT_POINTS {
            let path = root.path(rel);
            match open_dir(&path) {
                Ok(dir) => return Ok(Self { dir, mount_point: Some(path) }),
                Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(Error::TracefsDenied { path, source });
                }
                Err(_) => {}
            }
        }
        if root.is_live() {
            return Self::detached();
        }
        let source = io::Error::from_raw_os_error(libc::ENOENT);
        Err(Error::TracefsUnavailable { step: "looking for its mount point", source })
    }

    /// A private view, whether tracefs is mounted or not. Needs CAP_SYS_ADMIN and Linux 5.2.
    ///
    /// # Errors
    /// [`Error::TracefsUnavailable`] with the system call that failed.
    pub fn detached() -> Result<Self, Error> {
        let failed = |step| move |source| Error::TracefsUnavailable { step, source };
        // SAFETY: fsopen reads a NUL-terminated name; the literal has one.
        let context = unsafe { libc::syscall(libc::SYS_fsopen, c"tracefs".as_ptr(), FSOPEN_CLOEXEC) };
        let context = owned(context).map_err(failed("fsopen"))?;
        let null = std::ptr::null::<libc::c_char>();
        // SAFETY: FSCONFIG_CMD_CREATE takes no key, value or auxiliary: all are null or 0, as it demands.
        let created = unsafe {
            libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, null, null, 0)
        };
        if created < 0 {
            return Err(failed("fsconfig")(io::Error::last_os_error()));
        }
        // SAFETY: fsmount takes numbers only; the descriptor is open.
        let mount = unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, 0) };
        let dir = owned(mount).map_err(failed("fsmount"))?;
        Ok(Self { dir, mount_point: None })
    }

    /// Where it is mounted; `None` for a private view.
    pub fn mount_point(&self) -> Option<&Path> {
        self.mount_point.as_deref()
    }

    /// Text of the file `rel` (relative, without `..`), without surrounding white space.
    ///
    /// # Errors
    /// `InvalidInput` for a path that would leave tracefs, else what opening and reading gave.
    pub fn read(&self, rel: &str) -> io::Result<String> {
        if rel.starts_with('/') || rel.split('/').any(|part| part == "..") {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let path = CString::new(rel)?;
        // SAFETY: the directory is open for the life of `self` and `path` is NUL-terminated.
        let fd =
            unsafe { libc::openat(self.dir.as_raw_fd(), path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        let mut text = String::new();
        File::from(owned(fd.into())?).read_to_string(&mut text)?;
        Ok(text.trim().to_owned())
    }

    /// Number of the tracepoint `category:name`, for `perf_event_attr.config`.
    ///
    /// # Errors
    /// [`Error::UnknownTracepoint`] with the nearest there is, [`Error::TracefsRead`] where its file is unreadable.
    pub fn tracepoint_id(&self, category: &str, name: &str) -> Result<u64, Error> {
        let plain = |part: &str| !part.is_empty() && !part.contains(['/', '\0']) && part != "..";
        let path = format!("events/{category}/{name}/id");
        if !plain(category) || !plain(name) {
            return Err(self.unknown(category, name));
        }
        match self.read(&path) {
            Ok(text) => text.parse().map_err(|_| {
                let source = io::Error::new(io::ErrorKind::InvalidData, format!("`{text}` is not a number"));
                Error::TracefsRead { path, source }
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.unknown(category, name)),
            Err(source) => Err(Error::TracefsRead { path, source }),
        }
    }

    fn unknown(&self, category: &str, name: &str) -> Error {
        let name = format!("{category}:{name}");
        let all = self.read("available_events").unwrap_or_default();
        let suggestion = nearest(&name, all.lines()).map(str::to_owned);
        Error::UnknownTracepoint { name, suggestion }
    }
}

/// Opens a tracefs mount point; an unmounted one, which lacks `events`, is not found.
fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    path.join("events").metadata()?;
    Ok(File::open(path)?.into())
}

/// Takes over the descriptor a system call returned.
fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    match libc::c_int::try_from(fd) {
        // SAFETY: the kernel has just returned this descriptor to us, so nobody else owns it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    fn tree() -> Tree {
        Tree::new(&[
            ("sys/kernel/tracing/events/sched/sched_switch/id", "315\n"),
            ("sys/kernel/tracing/events/sched/odd/id", "many\n"),
            ("sys/kernel/tracing/available_events", "sched:sched_switch\nsched:odd\n"),
        ])
    }

    #[test]
    fn ids_come_from_the_mounted_tree() {
        let tree = tree();
        let tracefs = Tracefs::open(&tree.root).unwrap();
        assert_eq!(tracefs.mount_point(), Some(tree.root.path("sys/kernel/tracing").as_path()));
        assert_eq!(tracefs.tracepoint_id("sched", "sched_switch").unwrap(), 315);
        assert!(matches!(tracefs.tracepoint_id("sched", "odd"), Err(Error::TracefsRead { .. })));
        let message = tracefs.tracepoint_id("sched", "sched_swich").unwrap_err().to_string();
        assert!(message.contains("did you mean `sched:sched_switch`?"), "{message}");
    }

    #[test]
    fn paths_stay_inside() {
        let tree = tree();
        tree.write("sys/kernel/secret", "no");
        let tracefs = Tracefs::open(&tree.root).unwrap();
        for rel in ["../secret", "/etc/passwd", "events/../../secret", "a\0b"] {
            assert!(tracefs.read(rel).is_err(), "{rel:?}");
        }
        assert!(tracefs.tracepoint_id("..", "secret").is_err());
    }

    #[test]
    fn debugfs_is_the_second_choice_and_an_empty_tree_has_none() {
        let tree = Tree::new(&[("sys/kernel/debug/tracing/events/sched/sched_switch/id", "7\n")]);
        let tracefs = Tracefs::open(&tree.root).unwrap();
        assert_eq!(tracefs.tracepoint_id("sched", "sched_switch").unwrap(), 7);
        assert!(matches!(Tracefs::open(&Tree::new(&[]).root), Err(Error::TracefsUnavailable { .. })));
    }

    #[test]
    fn a_private_view_agrees_with_the_mounted_one() {
        let detached = match Tracefs::detached() {
            Ok(detached) => detached,
            Err(error) => return println!("SKIP: {error}"),
        };
        assert_eq!(detached.mount_point(), None);
        let id = detached.tracepoint_id("sched", "sched_switch").unwrap();
        assert!(id > 0);
        if let Ok(mounted) = Tracefs::open(&Root::default()) {
            assert_eq!(mounted.tracepoint_id("sched", "sched_switch").unwrap(), id);
        }
    }
}

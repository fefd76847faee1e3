//! Taking back what was written to files, mounted and loaded.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;

use super::perform::{Effect, Tried};
use crate::Root;
use crate::rdt::{ResctrlState, resctrl_state};

/// A journal is a file, and no file should say what else is to be written: these are all that is ever changed.
const WRITABLE: [&str; 2] = ["proc/sys/kernel/", "sys/devices/system/cpu/"];

/// Sets a file back.
pub fn text(root: &Root, path: &str, old: &str, ours: &[String]) -> Tried {
    if !WRITABLE.iter().any(|start| path.starts_with(start)) || path.split('/').any(|part| part == "..") {
        return Ok(Effect::Left(format!("/{path} is no file that waytrace changes")));
    }
    let present = match root.read(path) {
        Ok(present) => present,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Effect::Left(format!("/{path} is gone")));
        }
        Err(error) => return Err(format!("reading /{path}: {error}")),
    };
    if present == old {
        return Ok(Effect::Nothing);
    }
    if !ours.is_empty() && !ours.contains(&present) {
        return Ok(Effect::Left(format!("/{path} is {present} by now, which somebody else set")));
    }
    fs::write(root.path(path), old).map_err(|error| format!("writing {old} to /{path}: {error}"))?;
    match root.read(path) {
        Ok(now) if now == old => Ok(Effect::Done(format!("/{path} is {old} again"))),
        // The kernel takes what is allowed now, which is not always what was asked for.
        Ok(now) => Err(format!("/{path} is {now} although {old} was written")),
        Err(error) => Err(format!("reading /{path}: {error}")),
    }
}

/// Unmounts resctrl.
pub fn mount(root: &Root, path: &str) -> Tried {
    let mounted = root.path(path);
    match resctrl_state(root) {
        ResctrlState::Mounted { path, .. } if path == mounted => {}
        _ => return Ok(Effect::Nothing),
    }
    if !root.is_live() {
        return Ok(Effect::Left(format!("/{path} is of another machine's files, and stays mounted")));
    }
    let name = CString::new(mounted.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: `name` ends in a zero byte and lives during the call, which keeps no reference to it.
    if unsafe { libc::umount2(name.as_ptr(), 0) } == 0 {
        return Ok(Effect::Done(format!("/{path} is unmounted")));
    }
    Err(format!("unmounting /{path}: {}", io::Error::last_os_error()))
}

/// Unloads a module.
pub fn module(root: &Root, name: &str) -> Tried {
    if !root.exists(&format!("sys/module/{name}")) {
        return Ok(Effect::Nothing);
    }
    if !root.is_live() {
        return Ok(Effect::Left(format!("module {name} is of another machine, and stays loaded")));
    }
    let text = CString::new(name).map_err(|error| error.to_string())?;
    // SAFETY: the name ends in a zero byte and lives during the call; the kernel unloads nothing that is in use.
    let result = unsafe { libc::syscall(libc::SYS_delete_module, text.as_ptr(), libc::O_NONBLOCK) };
    if result == 0 {
        return Ok(Effect::Done(format!("module {name} is unloaded")));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EBUSY) => Ok(Effect::Left(format!("module {name} is in use, and stays"))),
        Some(libc::ENOENT) => Ok(Effect::Nothing),
        _ => Err(format!("unloading module {name}: {error}")),
    }
}

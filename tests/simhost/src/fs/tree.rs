//! Which paths there are, and which part of the host answers for each. A path is a list of names below the mount.

use super::{device, proc, sysfs};
use crate::host::Host;
use crate::resctrl::{Entry, Errno};

const RESCTRL: [&str; 3] = ["sys", "fs", "resctrl"];
/// A task's counters, read at one time.
const GROUP: &str = "group";
/// Takes processes of the real machine for tasks: see [`adopt`](crate::adopt).
const ADOPT: &str = "adopt";

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    /// With its permissions.
    File(u16),
}

/// The names of a path.
pub(super) fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// The part of a path below resctrl's mount point.
pub(super) fn below_resctrl<'a, 'b>(path: &'a [&'b str]) -> Option<&'a [&'b str]> {
    path.strip_prefix(RESCTRL.as_slice())
}

/// What is at a path; none where there is nothing.
pub(super) fn kind(host: &Host, path: &[&str]) -> Option<Kind> {
    let [parent @ .., name] = path else { return Some(Kind::Directory) };
    let entry = entries(host, parent)?.into_iter().find(|entry| entry.name == *name)?;
    Some(entry.file_mode.map_or(Kind::Directory, Kind::File))
}

/// What a directory holds; none where there is no such directory.
pub(super) fn entries(host: &Host, path: &[&str]) -> Option<Vec<Entry>> {
    if let Some(inner) = below_resctrl(path) {
        return host.resctrl.entries(&host.machine, inner);
    }
    match path {
        ["dev"] => Some(vec![Entry::directory("cpu")]),
        ["dev", "cpu"] => {
            let online = (0..host.machine.spec().cpus()).filter(|&cpu| host.machine.is_online(cpu));
            Some(online.map(|cpu| Entry::directory(cpu.to_string())).collect())
        }
        ["dev", "cpu", cpu] => {
            let cpu: usize = cpu.parse().ok()?;
            let files = || vec![Entry::file("msr", 0o600), Entry::file("cpuid", 0o444)];
            host.machine.is_online(cpu).then(files)
        }
        ["counters"] => {
            Some(host.machine.tasks.keys().map(|tid| Entry::directory(tid.to_string())).collect())
        }
        ["counters", tid] => {
            let task = host.machine.tasks.get(&tid.parse().ok()?)?;
            let names = task.counters.named().map(|(name, _)| name);
            Some(names.into_iter().chain([GROUP]).map(|name| Entry::file(name, 0o444)).collect())
        }
        ["proc", inner @ ..] if inner.first().is_some_and(|name| name.parse::<u32>().is_ok()) => {
            proc::entries(host, inner)
        }
        _ => fixed_entries(host, path),
    }
}

/// Directories of files that only describe the host, with what else is in them.
fn fixed_entries(host: &Host, path: &[&str]) -> Option<Vec<Entry>> {
    let directories = |names: &[&str]| Some(names.iter().map(|name| Entry::directory(*name)).collect());
    let mut entries: Vec<Entry> = match path {
        [] => {
            let mut entries: Vec<Entry> =
                ["counters", "dev", "proc", "sys"].map(Entry::directory).into_iter().collect();
            entries.push(Entry::file(ADOPT, 0o200));
            return Some(entries);
        }
        ["sys"] => return directories(&["devices", "fs"]),
        ["sys", "fs"] => return directories(&["resctrl"]),
        ["sys", "devices"] => return directories(&["system"]),
        ["sys", "devices", "system"] => return directories(&["cpu", "node"]),
        ["proc"] => proc::processes(host),
        _ => Vec::new(),
    };
    let prefix: String = path.iter().map(|part| format!("{part}/")).collect();
    for (file, _) in texts(host, path) {
        let Some(rest) = file.strip_prefix(&prefix) else { continue };
        let entry = match rest.split_once('/') {
            Some((directory, _)) => Entry::directory(directory),
            None => Entry::file(rest, 0o444),
        };
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    (!entries.is_empty()).then_some(entries)
}

/// The files that only describe the host, at least those at and below a path.
fn texts(host: &Host, path: &[&str]) -> Vec<(String, String)> {
    match path.first() {
        Some(&"proc") => proc::texts(host),
        Some(&"sys") => sysfs::texts(host, path),
        _ => Vec::new(),
    }
}

/// Text of a file, all of it.
pub(super) fn read_text(host: &mut Host, path: &[&str]) -> Result<String, Errno> {
    if let Some(inner) = below_resctrl(path) {
        return host.resctrl.read(&host.machine, inner);
    }
    let text = match path {
        ["counters", tid, name] => {
            let task = tid.parse().ok().and_then(|tid| host.machine.tasks.get(&tid)).ok_or(libc::ESRCH)?;
            let value = task.counters.named().into_iter().find(|(known, _)| known == name);
            let group = (*name == GROUP).then(|| task.counters.group());
            value.map(|(_, value)| format!("{value}\n")).or(group)
        }
        ["proc", inner @ ..] if inner.first().is_some_and(|name| name.parse::<u32>().is_ok()) => {
            // As reading an open file of a task that has ended does.
            Some(proc::read(host, inner).ok_or(libc::ESRCH)?)
        }
        _ => {
            let joined = path.join("/");
            texts(host, path).into_iter().find(|(file, _)| *file == joined).map(|(_, text)| text)
        }
    };
    text.ok_or(libc::ENOENT)
}

/// The CPU whose device of that name a path is.
fn device_of(path: &[&str], device: &str) -> Option<usize> {
    match path {
        ["dev", "cpu", cpu, name] if *name == device => cpu.parse().ok(),
        _ => None,
    }
}

/// Whether reads of a file depend on their offset alone, so that no text is kept between them.
pub(super) fn read_device(
    host: &Host,
    path: &[&str],
    offset: u64,
    size: usize,
) -> Option<Result<Vec<u8>, Errno>> {
    if let Some(cpu) = device_of(path, "msr") {
        return Some(device::read_msr(host, cpu, offset, size));
    }
    device_of(path, "cpuid").map(|cpu| device::read_cpuid(host, cpu, offset, size))
}

/// Writes a file.
pub(super) fn write(host: &mut Host, path: &[&str], offset: u64, data: &[u8]) -> Result<(), Errno> {
    if let Some(cpu) = device_of(path, "msr") {
        return device::write_msr(host, cpu, offset, data);
    }
    let text = std::str::from_utf8(data).map_err(|_| libc::EINVAL)?;
    if *path == [ADOPT] {
        return host.adopt(text);
    }
    let inner = below_resctrl(path).ok_or(libc::EACCES)?;
    host.resctrl.write(&mut host.machine, inner, text)
}

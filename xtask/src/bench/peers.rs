//! Tools others wrote, put on the same target: `bpftrace`, `perf`, `heaptrack`.

use super::context::Context;
use super::process::Process;
use crate::packages;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Why a tool of that name cannot be used; `None` if it can be tried.
pub fn missing(program: &str) -> Option<String> {
    (!packages::on_path(program)).then(|| format!("{program} is not installed"))
}

/// The file that a process has mapped under a name that begins so, such as `libc.so.6`.
pub fn mapped_file(pid: u32, begin: &str) -> Result<PathBuf> {
    let path = format!("/proc/{pid}/maps");
    let maps = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let files = maps.lines().filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..])));
    let named =
        |file: &PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begin));
    files.into_iter().find(named).with_context(|| format!("process {pid} has mapped no {begin}"))
}

/// Counts malloc and free as one types it, with the probes on the functions' first instructions.
pub fn bpftrace_count(context: &Context, pid: u32, library: &str) -> Result<Process> {
    let file = mapped_file(pid, library)?;
    let file = file.display();
    // The tick comes only after the probes before it are in place.
    let script = format!(
        "uprobe:{file}:malloc, uprobe:{file}:free {{ @[probe] = count(); }} \
         interval:ms:500 {{ printf(\"tick\\n\"); }}"
    );
    let mut command = Command::new("bpftrace");
    command.args(["-B", "none", "-p", &pid.to_string(), "-e", &script]);
    let mut process = Process::start(&mut command, context.cpus.tool)?;
    match process.wait_for(|line| line == "tick") {
        Ok(_) => Ok(process),
        Err(_) => bail!("bpftrace: {}", process.finish()?.complaint()),
    }
}

/// `perf stat` on a process. It does not say when it has attached, so it is given time to.
pub fn perf_stat(context: &Context, pid: u32, events: &str) -> Result<Process> {
    let mut command = Command::new("perf");
    command.args(["stat", "-p", &pid.to_string(), "-e", events]);
    let process = Process::start(&mut command, context.cpus.tool)?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    Ok(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_file_is_found_by_how_its_name_begins() {
        let file = mapped_file(std::process::id(), "libc.so").unwrap();
        assert!(file.is_file(), "{}", file.display());
        assert!(mapped_file(std::process::id(), "libnothing").is_err());
    }

    #[test]
    fn a_tool_that_is_not_there_says_so() {
        assert_eq!(missing("sh"), None);
        assert_eq!(missing("no-such-tool").unwrap(), "no-such-tool is not installed");
    }
}

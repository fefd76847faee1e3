//! Directories Heimdallr's `runs.sh` writes: `<program>.<mode>.<run>` with samples, allocations and times of one run each.
//!
//! What its own evaluation gets wrong is put right here where the files allow it, and said where they do not: see
//! `docs/import.md`.

mod blocks;
mod lists;
mod logs;
mod times;

use std::fs;
use std::path::{Path, PathBuf};

pub use blocks::{Blocks, Live};
pub use times::Times;

use crate::Error;
use crate::space::file_name;

/// Samples, as `perf record` wrote them.
const SAMPLES: &str = "access.dat";
const COMMAND: &str = "cmd.log";
const CONSOLE: &str = "console.log";
const TIMES: &str = "time.log";

/// One run's directory.
#[derive(Debug)]
pub struct Directory {
    /// `<program>.<mode>.<run>`.
    pub name: String,
    pub samples: Option<PathBuf>,
    pub times: Option<Times>,
    pub blocks: Option<Blocks>,
    /// The workload's command line.
    pub command: Option<String>,
    pub notes: Vec<String>,
}

/// Directories of single runs at `path`: itself, or those in it.
pub fn directories(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if is_run(path) {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(Error::read(path))?;
    let mut found: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir() && is_run(path)).collect();
    found.sort();
    Ok(found)
}

fn is_run(path: &Path) -> bool {
    let has_name =
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| lists::parts(name).is_some());
    has_name && [SAMPLES, TIMES, COMMAND].iter().any(|file| path.join(file).is_file())
}

impl Directory {
    /// Reads everything but the samples.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut notes = Vec::new();
        let executed = text(&path.join(COMMAND))?.unwrap_or_default();
        let times = match text(&path.join(TIMES))? {
            None => None,
            Some(log) => {
                let times = times::parse(&log);
                if times.is_none() {
                    notes.push(format!(
                        "{TIMES} is not what GNU time prints, so times and memory are missing"
                    ));
                }
                times
            }
        };
        if times.as_ref().is_some_and(|times| times.failed) {
            notes.push("the command failed or was killed".to_owned());
        }
        let (_, mode, _) = lists::parts(&name).unwrap_or_default();
        let listed = lists::read(path.parent().unwrap_or(Path::new("")), &name, mode)?;
        let traces = executed.contains("LD_PRELOAD=");
        if listed.dry == Some(true) && traces {
            notes.push(
                "the mode is dry, but tracealloc was preloaded all the same (a fault of runs.sh), so its times are not \
                 those of the program alone"
                    .to_owned(),
            );
        }
        let end_ns = text(&path.join(CONSOLE))?.as_deref().and_then(logs::end_ns);
        let command = listed.command.or_else(|| workload(&executed));
        let program =
            command.as_deref().and_then(|command| command.split_whitespace().next()).unwrap_or(&name);
        let blocks = blocks::read(path, file_name(program), end_ns, threshold(&executed))?;
        let samples = Some(path.join(SAMPLES)).filter(|file| file.is_file());
        if samples.is_none() {
            notes.push("no access.dat: accesses were not sampled".to_owned());
        }
        Ok(Self { name, samples, times, blocks, command, notes })
    }
}

fn text(path: &Path) -> Result<Option<String>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::read(path)(error)),
    }
}

/// Smallest block that was logged, in bytes.
fn threshold(executed: &str) -> Option<u64> {
    let (_, value) = executed.split_once("TRAC_THRESHOLD=")?;
    let value = value.split_whitespace().next()?;
    value.strip_prefix("0x").map_or_else(|| value.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok())
}

/// The workload at the end of what was executed: behind the environment of tracealloc, else behind perf's options.
fn workload(executed: &str) -> Option<String> {
    let words: Vec<&str> = executed.split_whitespace().collect();
    let last = words.iter().rposition(|word| {
        word.starts_with("TRAC_")
            || word.starts_with("LD_PRELOAD=")
            || word.trim_matches('"').contains(":ppp")
            || word.ends_with(TIMES)
    })?;
    let workload = words.get(last + 1..)?.join(" ");
    Some(workload).filter(|workload| !workload.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_executed_says_workload_and_threshold() {
        let executed = "numactl --membind=1 time -o /x/time.log perf record -o /x/access.dat --all-user -F 5000 -d -e \
                        \"r4003E:ppp\" -e \"r20016:ppp\" env LD_PRELOAD=/l.so TRAC_LOGPATH=/x TRAC_THRESHOLD=0x1000 /npb/ft.A 7\n";
        assert_eq!((workload(executed).as_deref(), threshold(executed)), (Some("/npb/ft.A 7"), Some(4096)));
        assert_eq!(workload("time -o /x/time.log /npb/ft.A").as_deref(), Some("/npb/ft.A"));
        assert_eq!((workload("ls"), threshold("TRAC_THRESHOLD=12")), (None, Some(12)));
    }
}

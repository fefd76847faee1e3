//! Uprobes for `perf stat`, at the very instructions that waytrace probes.

use super::peers;
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::Command;

/// The group these probes are in, so that they are told from anybody else's.
const GROUP: &str = "waytrace_bench";

/// Probe points known to perf, removed when dropped.
pub struct PerfProbes {
    names: Vec<String>,
}

impl PerfProbes {
    /// Adds those of `points`, written `module:function+0xoffset` as in waytrace's report, that are in malloc and
    /// free of the library that `pid` has mapped.
    pub fn add(pid: u32, library: &str, points: &[String]) -> Result<Self> {
        let file = peers::mapped_file(pid, library)?;
        // What a benchmark that was killed has left would be in the way.
        let _ = Command::new("perf").args(["probe", "--del", &format!("{GROUP}:*")]).output();
        let mut added = Self { names: Vec::new() };
        for (function, offset) in points.iter().filter_map(|point| place(point, library)) {
            let address = symbol_address(&file, function)? + offset;
            let definition = format!("{GROUP}:{function}={address:#x}");
            let mut command = Command::new("perf");
            command.arg("probe").arg("-x").arg(&file).args(["--add", &definition]);
            let output = command.output().context("cannot start perf")?;
            if !output.status.success() {
                bail!("perf probe: {}", String::from_utf8_lossy(&output.stderr).trim());
            }
            added.names.push(format!("{GROUP}:{function}"));
        }
        Ok(added)
    }

    /// Their names, for `perf stat -e`.
    pub fn list(&self) -> String {
        self.names.join(",")
    }
}

impl Drop for PerfProbes {
    fn drop(&mut self) {
        for name in &self.names {
            // What cannot be removed is seen in `perf probe -l`; it costs nothing while nobody counts it.
            let _ = Command::new("perf").args(["probe", "--del", name]).output();
        }
    }
}

/// Function and offset of a point, if it is in malloc or free of that library.
fn place<'a>(point: &'a str, library: &str) -> Option<(&'a str, u64)> {
    let (module, place) = point.split_once(':')?;
    let (function, offset) = place.split_once("+0x")?;
    let is_wanted = module == library && ["malloc", "free"].contains(&function);
    is_wanted.then_some((function, u64::from_str_radix(offset, 16).ok()?))
}

/// Address of a function that a library exports. perf finds it by name too, but may take its entry in the linkage
/// table for it.
fn symbol_address(file: &Path, function: &str) -> Result<u64> {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(file).output();
    let listing =
        String::from_utf8_lossy(&output.context("cannot start nm (package binutils)")?.stdout).into_owned();
    listed_address(&listing, function).with_context(|| format!("{} exports no {function}", file.display()))
}

/// From lines as `0000000000098870 T malloc@@GLIBC_2.2.5`.
fn listed_address(listing: &str, function: &str) -> Option<u64> {
    listing.lines().find_map(|line| {
        let (address, rest) = line.split_once(' ')?;
        let name = rest.split_once(' ')?.1.split('@').next()?;
        (name == function).then(|| u64::from_str_radix(address, 16).ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_of_malloc_and_free_in_the_library_are_taken() {
        assert_eq!(place("libc.so.6:free+0x1f", "libc.so.6"), Some(("free", 31)));
        for other in ["libc.so.6:calloc+0x0", "libjemalloc.so.2:free+0x30", "free", "libc.so.6:free"] {
            assert_eq!(place(other, "libc.so.6"), None, "{other}");
        }
    }

    #[test]
    fn an_exported_function_is_found_with_or_without_version() {
        let listing =
            "0000000000000010 T free_all\n0000000000000020 T free@@GLIBC_2.2.5\n00000000000000ff W malloc\n";
        assert_eq!(listed_address(listing, "free"), Some(0x20));
        assert_eq!(listed_address(listing, "malloc"), Some(0xff));
        assert_eq!(listed_address(listing, "calloc"), None);
    }
}

//! What a process holds in the kernel: links, each of which keeps a program where it is attached, and entries of its maps.

use super::peers;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// Kinds of maps whose entries come and go (`enum bpf_map_type`): hash, per-CPU hash, least recently used, of either, and prefixes.
const GROWING: [u64; 5] = [1, 5, 9, 10, 11];

/// What one process holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    pub links: u64,
    /// In all maps that grow; `None` without `bpftool`.
    pub entries: Option<u64>,
}

impl Held {
    /// That of a process now.
    pub fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/fdinfo");
        let files = fs::read_dir(&path).with_context(|| format!("cannot read {path}"))?;
        // A file may be closed while the folder is read.
        let texts: Vec<String> =
            files.flatten().filter_map(|file| fs::read_to_string(file.path()).ok()).collect();
        let links = texts.iter().filter(|text| field(text, "link_id").is_some()).count() as u64;
        let maps = texts.iter().filter_map(|text| growing(text));
        let entries = match peers::missing("bpftool") {
            Some(_) => None,
            None => Some(maps.map(entries).sum::<Result<u64>>()?),
        };
        Ok(Self { links, entries })
    }
}

/// The number of a map that grows, of what the kernel says of an open file.
fn growing(text: &str) -> Option<u64> {
    field(text, "map_type").filter(|kind| GROWING.contains(kind))?;
    field(text, "map_id")
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
}

fn entries(map: u64) -> Result<u64> {
    let mut command = Command::new("bpftool");
    command.args(["--json", "map", "dump", "id", &map.to_string()]);
    let output = command.output().context("cannot start bpftool")?;
    let said: Value = serde_json::from_slice(&output.stdout).context("bpftool said no JSON")?;
    let Some(entries) = said.as_array() else { bail!("bpftool: map {map}: {said}") };
    ensure!(output.status.success(), "bpftool: map {map}: {}", output.status);
    Ok(entries.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_maps_are_told_by_what_the_kernel_says_of_files() {
        let hash = "pos:\t0\nmap_type:\t9\nkey_size:\t24\nmax_entries:\t128\nmap_id:\t77\nfrozen:\t0\n";
        let array = "pos:\t0\nmap_type:\t2\nmap_id:\t78\n";
        assert_eq!((growing(hash), growing(array), growing("pos:\t0\n")), (Some(77), None, None));
        assert_eq!(field("link_type:\tperf\nlink_id:\t12\n", "link_id"), Some(12));
    }

    #[test]
    fn a_process_without_bpf_holds_nothing() {
        let held = Held::of(std::process::id()).unwrap();
        assert_eq!((held.links, held.entries.unwrap_or(0)), (0, 0));
        assert!(Held::of(u32::MAX).is_err());
    }
}

//! Processes as `/proc` shows them: identity, threads, mappings, and how to find one by name or control group.
//!
//! Reads only; never stops or attaches to anything. Ids are those of this process's own PID namespace; paths are
//! as the target sees them, in its mount namespace (see [`open_path`] for opening them from here).
//! Source: proc(5); `fs/proc/task_mmu.c` and `fs/proc/array.c` of the kernel.

mod find;
mod info;
mod maps;

pub use find::{find_by_comm, pids_in_cgroup};
pub use info::{ProcessInfo, inspect, is_running, resolve_tid, threads};
pub use maps::{Mapping, MappingKind, executable_files, mappings, open_path, parse_mappings};

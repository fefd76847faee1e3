//! What the kernel holds of eBPF for a process, and whether it still does when that has gone.

use std::collections::BTreeSet;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::memory::changed_code_bytes;
use super::pipes::DEADLINE;

/// Objects by kind and number (`enum bpf_obj`, include/uapi/linux/bpf.h; numbers are not given twice).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    pub kind: &'static str,
    pub id: u32,
}

/// Kinds: as `/proc/PID/fdinfo` calls their number, and the command that opens one by it.
const KINDS: [(&str, libc::c_int); 3] = [("prog_id", 13), ("map_id", 14), ("link_id", 30)];

/// What a process has open now.
pub fn held_by(pid: u32) -> BTreeSet<Object> {
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.flat_map(|text| text.lines().filter_map(object).collect::<Vec<_>>()).collect()
}

/// Waits until none of these objects is there and no probe is in the code of a target: the kernel closes what a killed process had in its own time. How
/// long that took.
///
/// # Errors
/// What is left after a long time.
pub fn await_nothing_left(held: &BTreeSet<Object>, target: u32) -> Result<Duration, String> {
    let began = Instant::now();
    loop {
        let left: Vec<_> = held.iter().filter(|object| exists(object)).collect();
        let changed = changed_code_bytes(target).0;
        if left.is_empty() && changed == 0 {
            return Ok(began.elapsed());
        }
        if began.elapsed() > DEADLINE {
            return Err(format!("{left:?} and {changed} bytes of probes are left"));
        }
        sleep(Duration::from_millis(2));
    }
}

fn object(line: &str) -> Option<Object> {
    let (name, value) = line.split_once(':')?;
    let (kind, _) = KINDS.into_iter().find(|(kind, _)| *kind == name)?;
    Some(Object { kind, id: value.trim().parse().ok()? })
}

/// Whether the kernel still has it.
pub fn exists(object: &Object) -> bool {
    let command = KINDS.iter().find(|(kind, _)| *kind == object.kind).unwrap().1;
    // The number, the next number and flags of opening.
    let attr = [object.id, 0, 0];
    // SAFETY: the attributes are as long as is said and live through the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_ptr(), size_of_val(&attr)) };
    if result < 0 {
        let error = std::io::Error::last_os_error();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{object:?}: {error}");
        return false;
    }
    // SAFETY: the kernel has just opened it, and nobody else has it.
    unsafe { libc::close(result as libc::c_int) };
    true
}

#[test]
fn a_map_is_there_as_long_as_it_is_open() {
    // BPF_MAP_CREATE of an array: type 2, key, value, entries.
    let attr = [2_u32, 4, 8, 1, 0];
    // SAFETY: the attributes are as long as is said and live through the call.
    let map = unsafe { libc::syscall(libc::SYS_bpf, 0, attr.as_ptr(), size_of_val(&attr)) };
    if map < 0 {
        return super::skip::say("this process may not make eBPF maps");
    }
    let held = held_by(std::process::id());
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{map}")).unwrap();
    let own = text.lines().find_map(object).unwrap();
    assert!(own.kind == "map_id" && held.contains(&own) && exists(&own), "{own:?} in {held:?}");
    // SAFETY: it was opened above, and nobody else has it.
    unsafe { libc::close(map as libc::c_int) };
    let gone = (0..1000).any(|_| {
        sleep(Duration::from_millis(10));
        !exists(&own)
    });
    assert!(gone, "{own:?}");
}

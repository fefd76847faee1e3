//! Gives capabilities up in a child process and looks at what the kernel says is left.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::FromRawFd as _;

use super::*;

/// What a child that did `work` says: `/proc/self/status` of itself, or the error of `work`.
fn in_child(work: impl FnOnce() -> Result<String, String>) -> BTreeMap<String, String> {
    let mut ends = [0; 2];
    // SAFETY: `ends` holds two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    // SAFETY: the child does no more than `work`, writes and leaves; it takes no lock another thread may have held but the allocator's, which glibc
    // takes care of.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let first = work().unwrap_or_else(|error| format!("error:\t{error}"));
        let text = format!("{first}\n{}", std::fs::read_to_string("/proc/self/status").unwrap_or_default());
        // SAFETY: `text` lives until after the call; leaving at once runs nothing of the test harness.
        unsafe {
            libc::write(ends[1], text.as_ptr().cast(), text.len());
            libc::_exit(0);
        }
    }
    // SAFETY: both descriptors are this test's; the write end is closed so that the read ends with the child.
    let mut read = unsafe {
        libc::close(ends[1]);
        File::from_raw_fd(ends[0])
    };
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    // SAFETY: `pid` is the child, not waited for yet; no status is asked for.
    assert_eq!(unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) }, pid);
    let line =
        |line: &str| line.split_once(":\t").map(|(key, value)| (key.to_owned(), value.trim().to_owned()));
    text.lines().filter_map(line).collect()
}

/// Runs the work unless this machine's user has nothing to give up.
fn is_root() -> bool {
    // SAFETY: it only returns a number.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        eprintln!("SKIP: only root has capabilities to give up");
    }
    root
}

const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

#[test]
fn what_is_needed_is_kept_in_all_sets_and_nothing_else() {
    if !is_root() {
        return;
    }
    let wanted = needed("6.18", Some(2));
    let status = in_child(|| {
        let held = keep_only(&wanted).map_err(|error| error.to_string())?;
        no_new_privileges().map_err(|error| error.to_string())?;
        Ok(format!("kept:\t{}", held.kept.len()))
    });
    assert_eq!(status.get("error"), None);
    assert_eq!(status["kept"], "5", "root has them all");
    // Bits 2, 19, 38, 39 and 40.
    for set in SETS {
        assert_eq!(status[set], "000001c000080004", "{set}");
    }
    assert_eq!((status["NoNewPrivs"].as_str(), status["Threads"].as_str()), ("1", "1"));
}

#[test]
fn nothing_comes_back_and_a_second_time_changes_nothing() {
    if !is_root() {
        return;
    }
    let status = in_child(|| {
        keep_only(&[Capability::Bpf]).map_err(|error| error.to_string())?;
        let held = keep_only(&[Capability::Bpf, Capability::Perfmon]).map_err(|error| error.to_string())?;
        let again = sys::set(u64::MAX).is_err() && sys::set_ambient(1 << 38).is_err();
        Ok(format!("held:\t{:?} {:?} {again}", held.kept, held.lacking))
    });
    assert_eq!(status.get("error"), None);
    assert_eq!(status["held"], "[Bpf] [Perfmon] true");
}

#[test]
fn programs_started_later_have_what_is_kept() {
    if !is_root() {
        return;
    }
    let status = in_child(|| {
        keep_only(&needed("6.18", Some(2))).map_err(|error| error.to_string())?;
        // As another user, who has them by the ambient set alone.
        let mut command = std::process::Command::new("setpriv");
        command.args(["--inh-caps", "+bpf", "grep", "CapEff", "/proc/self/status"]);
        let output = command.output().map_err(|error| error.to_string())?;
        Ok(format!("program:\t{}", String::from_utf8_lossy(&output.stdout).replace(":\t", " ").trim()))
    });
    assert_eq!(status.get("error"), None);
    assert_eq!(status["program"], "CapEff 000001c000080004");
}

#[test]
fn with_a_second_thread_it_is_refused() {
    let (stop, wait) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || wait.recv());
    let refused = keep_only(&needed("6.18", Some(2)));
    drop(stop);
    assert!(other.join().unwrap().is_err());
    assert!(matches!(refused, Err(Error::Threads(threads)) if threads > 1));
}

//! Whether the kernel lets this process use BPF, by doing the smallest thing of each kind.
//!
//! Loads nothing that stays: every descriptor is closed at once. Source: `bpf(2)`, `include/uapi/linux/bpf.h`.

use std::ffi::CStr;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const BPF_MAP_CREATE: libc::c_long = 0;
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_MAP_TYPE_RINGBUF: u32 = 27;
const BPF_PROG_TYPE_KPROBE: u32 = 2;
const BPF_TRACE_UPROBE_MULTI: u32 = 48;

/// `bpf_probe_read_kernel(stack, 8, 0)`, `return 0`: the helper needs CAP_PERFMON and is withheld by a lockdown.
const READ_KERNEL: [u64; 7] = [
    0xa1bf,                // r1 = r10
    0xffff_fff8_0000_0107, // r1 += -8
    0x0000_0008_0000_02b7, // r2 = 8
    0x0000_0000_0000_03b7, // r3 = 0
    0x0000_0071_0000_0085, // call 113
    0xb7,                  // r0 = 0
    0x95,                  // exit
];

/// A variant of `union bpf_attr`: plain integers without padding.
trait Attr {}

#[repr(C)]
#[derive(Default)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}
impl Attr for MapCreate {}

#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}
impl Attr for ProgLoad {}

#[repr(C)]
#[derive(Default)]
struct UprobeMultiLink {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    path: u64,
    offsets: u64,
    ref_ctr_offsets: u64,
    cookies: u64,
    cnt: u32,
    uprobe_flags: u32,
    pid: u32,
    unused: u32,
}
impl Attr for UprobeMultiLink {}

fn bpf<T: Attr>(command: libc::c_long, attr: &T) -> io::Result<OwnedFd> {
    // SAFETY: `attr` is initialised for its whole size, and the addresses in it point to values that outlive the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    match libc::c_int::try_from(fd) {
        // SAFETY: these commands return a new descriptor, which nobody else owns.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Creates a ring buffer (Linux 5.8; CAP_BPF).
pub fn try_ring_buffer() -> io::Result<()> {
    // Its size is a power of two and a multiple of the page size, which is 64 KiB at most.
    let attr = MapCreate { map_type: BPF_MAP_TYPE_RINGBUF, max_entries: 65_536, ..MapCreate::default() };
    bpf(BPF_MAP_CREATE, &attr).map(drop)
}

fn load_uprobe_program(expected_attach_type: u32) -> io::Result<OwnedFd> {
    let attr = ProgLoad {
        prog_type: BPF_PROG_TYPE_KPROBE,
        insn_cnt: READ_KERNEL.len() as u32,
        insns: READ_KERNEL.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        expected_attach_type,
        ..ProgLoad::default()
    };
    bpf(BPF_PROG_LOAD, &attr)
}

/// Loads a program of the type uprobes run, which could read kernel memory (CAP_BPF and CAP_PERFMON).
pub fn try_program() -> io::Result<()> {
    load_uprobe_program(0).map(drop)
}

/// Places a uprobe by an `uprobe_multi` link (Linux 6.6) into this process only, and removes it. Other than the perf
/// PMU, which demands CAP_SYS_ADMIN since Linux 6.16, such a link asks for nothing beyond the program's capabilities.
pub fn try_uprobe_multi(path: &CStr, file_offset: u64) -> io::Result<()> {
    let program = load_uprobe_program(BPF_TRACE_UPROBE_MULTI)?;
    let attr = UprobeMultiLink {
        prog_fd: program.as_raw_fd() as u32,
        attach_type: BPF_TRACE_UPROBE_MULTI,
        path: path.as_ptr() as u64,
        offsets: std::ptr::from_ref(&file_offset) as u64,
        cnt: 1,
        pid: std::process::id(),
        ..UprobeMultiLink::default()
    };
    bpf(BPF_LINK_CREATE, &attr).map(drop)
}

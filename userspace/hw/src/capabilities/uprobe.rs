//! Whether this process may place uprobes: it places one on a function of its own that nobody calls, and removes it.
//!
//! Source: `perf_uprobe_event_init` in `kernel/events/core.c`, `bpf_uprobe_multi_link_attach` in `kernel/trace/bpf_trace.c`.

use std::ffi::CStr;
use std::{fs, io};

use perf_event::Builder;
use perf_event::events::Event;
use perf_event_open_sys::bindings::perf_event_attr;

use super::bpf;
use crate::pmu::Pmu;

/// This program, as the kernel finds it.
const OWN_EXECUTABLE: &CStr = c"/proc/self/exe";

struct OwnProbe {
    pmu_type: u32,
    file_offset: u64,
}

impl Event for OwnProbe {
    fn update_attrs(self, attr: &mut perf_event_attr) {
        attr.type_ = self.pmu_type;
        attr.config1 = OWN_EXECUTABLE.as_ptr() as u64;
        attr.config2 = self.file_offset;
    }
}

/// Where the probe goes: its first byte starts an instruction, and it is never run.
#[inline(never)]
extern "C" fn probed_and_never_called() {
    std::hint::black_box(0);
}

/// Places and removes the probe through the perf PMU.
pub fn try_uprobe(pmu: &Pmu) -> io::Result<()> {
    let event = OwnProbe { pmu_type: pmu.type_, file_offset: probed_offset()? };
    Builder::new(event).include_kernel().include_hv().build().map(drop)
}

/// Places and removes the probe through an `uprobe_multi` link.
pub fn try_uprobe_multi() -> io::Result<()> {
    bpf::try_uprobe_multi(OWN_EXECUTABLE, probed_offset()?)
}

/// File offset of the probed function.
fn probed_offset() -> io::Result<u64> {
    let function: extern "C" fn() = probed_and_never_called;
    own_file_offset(function as usize as u64)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "own mapping not found in /proc/self/maps"))
}

/// File offset of an address of this program.
fn own_file_offset(address: u64) -> Option<u64> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let (start, end) = (hex(start)?, hex(end)?);
        let offset = hex(fields.nth(1)?)?;
        (start..end).contains(&address).then(|| address - start + offset)
    })
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom};

    use super::*;

    #[test]
    fn the_offset_is_where_the_function_is_in_the_file() {
        let function: extern "C" fn() = probed_and_never_called;
        let offset = probed_offset().unwrap();
        let mut file = fs::File::open("/proc/self/exe").unwrap();
        file.seek(SeekFrom::Start(offset)).unwrap();
        let mut in_file = [0; 4];
        file.read_exact(&mut in_file).unwrap();
        // SAFETY: the function's code is mapped readable and is longer than four bytes or followed by more code.
        let in_memory = unsafe { std::ptr::read_volatile(function as usize as *const [u8; 4]) };
        assert_eq!(in_file[1..], in_memory[1..], "first byte apart, which another test may be probing");
    }
}

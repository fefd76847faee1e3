//! The target's memory during one walk: what was captured with the registers, else what the process holds now.

use waytrace_abi::access::{Capture, LINE_BYTES};
use waytrace_walk::{Memory, Reason, Unreadable};

use super::lines::LineCache;
use super::space::Space;

/// Bytes read from the process at a time: first, and where one read follows the other, as on a stack that is unwound. Multiples of a
/// line, and divisors of a page.
const CHUNK_BYTES: usize = 256;
const NEXT_CHUNK_BYTES: usize = 1024;

/// Memory of one process during one walk.
pub struct TargetMemory<'a> {
    /// Where the walk began.
    pub capture: &'a Capture,
    /// Kept lines.
    pub cache: &'a mut LineCache,
    /// What it had mapped when that was last looked at.
    pub space: &'a Space,
    /// What may be read.
    pub sight: Sight,
    /// The process has ended.
    pub gone: &'a mut bool,
}

/// What a walk may read. Most walks need little: what they load decides neither a branch nor an address. So a walk is tried
/// with what was captured, which is exact and costs nothing, and only then with what the process holds by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Captured lines; everything else is unknown.
    Captured,
    /// The process's memory, too.
    Process,
}

impl Sight {
    /// In the order in which walks are tried.
    pub const ALL: [Self; 2] = [Self::Captured, Self::Process];

    /// Whether a walk that ended so may get further if it sees more.
    pub fn is_too_little(self, reason: Reason) -> bool {
        use Reason::{Fault, MaskedAccess, RoundingMode, UnknownAddress, UnknownBranch};
        let wants = [UnknownBranch, UnknownAddress, MaskedAccess, RoundingMode, Fault];
        self == Self::Captured && wants.contains(&reason)
    }
}

impl Memory for TargetMemory<'_> {
    #[inline]
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let mut done = 0;
        while done < into.len() {
            let at = address.wrapping_add(done as u64);
            let offset = (at % LINE_BYTES as u64) as usize;
            let count = (into.len() - done).min(LINE_BYTES - offset);
            let number = at / LINE_BYTES as u64;
            let part = &mut into[done..done + count];
            match self.cache.get(self.capture, number) {
                Some(line) => part.copy_from_slice(&line[offset..offset + count]),
                None => {
                    part.copy_from_slice(&self.fetch(number)?[offset..offset + count]);
                    self.cache.get(self.capture, number);
                }
            }
            done += count;
        }
        Ok(())
    }
}

impl TargetMemory<'_> {
    /// Reads a line and its neighbours from the process.
    fn fetch(&mut self, number: u64) -> Result<[u8; LINE_BYTES], Unreadable> {
        if self.sight == Sight::Captured {
            return Err(Unreadable::Unknown);
        }
        let wanted = number.wrapping_mul(LINE_BYTES as u64);
        let (from, to) = self.cache.last_read;
        let follows = wanted == to || wanted.wrapping_add(LINE_BYTES as u64) == from;
        let bytes = if follows { NEXT_CHUNK_BYTES } else { CHUNK_BYTES };
        let base = wanted & !(bytes as u64 - 1);
        let mut chunk = [0; NEXT_CHUNK_BYTES];
        let chunk = &mut chunk[..bytes];
        if let Err(error) = read(self.capture.tgid, base, chunk) {
            return Err(self.why(wanted, &error));
        }
        self.cache.last_read = (base, base.wrapping_add(bytes as u64));
        let mut found = [0; LINE_BYTES];
        for (n, line) in chunk.as_chunks::<LINE_BYTES>().0.iter().enumerate() {
            let line_number = base / LINE_BYTES as u64 + n as u64;
            if line_number == number {
                found = *line;
            }
            self.cache.put(line_number, line);
        }
        Ok(found)
    }

    fn why(&mut self, address: u64, error: &std::io::Error) -> Unreadable {
        if error.raw_os_error() == Some(libc::ESRCH) {
            *self.gone = true;
            return Unreadable::Unmapped;
        }
        // The kernel says that there is nothing. If there was, it has gone since the sample, and may have held anything.
        match self.space.known(address) {
            Some(mapping) if mapping.readable => Unreadable::Unknown,
            _ => Unreadable::Unmapped,
        }
    }
}

/// Reads all of `into` from a process.
///
/// # Errors
/// `EFAULT` where something of it is not mapped, `ESRCH` if the process has gone.
pub fn read(tgid: u32, address: u64, into: &mut [u8]) -> std::io::Result<()> {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: into.len() };
    // SAFETY: one local buffer of the length given, ours to write; the kernel checks the remote one.
    let count =
        unsafe { libc::process_vm_readv(tgid as libc::pid_t, &raw const local, 1, &raw const remote, 1, 0) };
    if count < 0 {
        return Err(std::io::Error::last_os_error());
    }
    if count as usize != into.len() {
        return Err(std::io::Error::from_raw_os_error(libc::EFAULT));
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use waytrace_abi::access::{HOT_LINES, LINES_PER_REGISTER, REGISTERS, RSP};

    use super::*;

    pub fn capture(captured: u64) -> Capture {
        let mut general = [0x10_0000; REGISTERS];
        general[RSP] = 0x20_0080;
        general[3] = 0x30_0001;
        Capture {
            cause: 0,
            cpu: 0,
            tgid: 0,
            tid: 0,
            at_ns: 0,
            ip: 0,
            flags: 0,
            fs_base: 0,
            cs: 0,
            captured,
            hot_captured: [captured >> 60, 0],
            general,
            lines: std::array::from_fn(|n| [n as u8; LINE_BYTES]),
            hot: std::array::from_fn(|n| 0x40_0000 + (n * LINE_BYTES) as u64),
            hot_lines: [[0xaa; LINE_BYTES]; HOT_LINES],
        }
    }

    #[test]
    fn captured_memory_comes_before_the_processs_own() {
        const STACK: usize = REGISTERS * LINES_PER_REGISTER;
        let mut gone = false;
        let (mut cache, space) = (LineCache::default(), Space::default());
        let some =
            Capture { tgid: u32::MAX >> 1, ..capture(1 << 6 | 1 << STACK | 1 << (STACK + 1) | 1 << 60) };
        cache.begin(&some);
        let mut memory = TargetMemory {
            capture: &some,
            cache: &mut cache,
            space: &space,
            sight: Sight::Process,
            gone: &mut gone,
        };
        let mut bytes = [0; 4];
        memory.read(0x30_0020, &mut bytes).unwrap();
        assert_eq!(bytes, [6; 4]);
        // The stack begins with the red zone; a read may straddle two lines.
        memory.read(0x20_003e, &mut bytes).unwrap();
        assert_eq!(bytes, [32, 32, 33, 33]);
        memory.read(0x40_0010, &mut bytes).unwrap();
        assert_eq!(bytes, [0xaa; 4]);
        // What was not captured is asked of a process that does not exist.
        assert_eq!(memory.read(0x40_0040, &mut bytes), Err(Unreadable::Unmapped));
        assert!(*memory.gone);
        assert_eq!(cache.wanted(&some).collect::<Vec<_>>(), [(0x40_0000 / 64, &[0xaa; LINE_BYTES])]);
        let none = Capture { tgid: u32::MAX >> 1, ..capture(0) };
        cache.begin(&none);
        let mut memory = TargetMemory {
            capture: &none,
            cache: &mut cache,
            space: &space,
            sight: Sight::Process,
            gone: &mut gone,
        };
        assert!(memory.read(0x30_0020, &mut bytes).is_err(), "the walk before has left it");
    }

    #[test]
    fn what_was_not_captured_is_unknown_at_first_sight() {
        let own = std::process::id();
        let data = [7_u8; 256];
        let mut gone = false;
        let (mut cache, space) = (LineCache::default(), Space::of(own));
        let none = Capture { tgid: own, ..capture(0) };
        cache.begin(&none);
        let mut memory = TargetMemory {
            capture: &none,
            cache: &mut cache,
            space: &space,
            sight: Sight::Captured,
            gone: &mut gone,
        };
        let mut bytes = [0; 8];
        let address = data.as_ptr() as u64 + 64;
        assert_eq!(memory.read(address, &mut bytes), Err(Unreadable::Unknown));
        memory.sight = Sight::Process;
        memory.read(address, &mut bytes).unwrap();
        assert_eq!(bytes, [7; 8]);
        assert!(Sight::Captured.is_too_little(Reason::UnknownBranch));
        assert!(!Sight::Captured.is_too_little(Reason::SystemCall));
        assert!(!Sight::Process.is_too_little(Reason::UnknownBranch));
    }

    #[test]
    fn a_process_is_read_across_lines_and_what_is_not_mapped_is_told_from_what_cannot_be_read() {
        let own = std::process::id();
        let data: Vec<u8> = (0..6000_u32).map(|n| (n / 7) as u8).collect();
        let mut gone = false;
        let (mut cache, space) = (LineCache::default(), Space::of(own));
        let none = Capture { tgid: own, ..capture(0) };
        cache.begin(&none);
        let mut memory = TargetMemory {
            capture: &none,
            cache: &mut cache,
            space: &space,
            sight: Sight::Process,
            gone: &mut gone,
        };
        let mut bytes = [0; 64];
        for from in [0, 1, 63, 200, 250, 600] {
            memory.read(data.as_ptr() as u64 + from as u64, &mut bytes).unwrap();
            assert_eq!(bytes[..], data[from..from + 64]);
        }
        // One way and the other, by what was read at once.
        let mut line = |at: usize| {
            memory
                .read(data.as_ptr() as u64 + at as u64, &mut bytes)
                .map(|()| assert_eq!(bytes[..], data[at..at + 64]))
        };
        (0..data.len() / 64 - 1).chain((0..data.len() / 64 - 1).rev()).for_each(|n| line(n * 64).unwrap());
        assert_eq!(memory.read(0x1000, &mut bytes), Err(Unreadable::Unmapped));
        assert_eq!(memory.read(u64::MAX - 10, &mut bytes), Err(Unreadable::Unmapped));
        assert!(!*memory.gone);
    }
}

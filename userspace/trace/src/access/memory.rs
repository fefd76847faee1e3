//! The target's memory during one walk: what was captured with the registers, else what the process holds now.
//!
//! Lines are kept for the length of a walk: what it read once stays what it was.

use waytrace_abi::access::{Capture, HOT_LINES, LINE_BYTES, LINES, line_address};
use waytrace_walk::{Memory, Reason, Unreadable};

use super::space::Space;

/// Lines kept; a power of two.
const SLOTS: usize = 1024;
/// Bytes read from the process at a time; a multiple of a line, and a divisor of a page.
const CHUNK_BYTES: usize = 256;

/// Lines by their number, in a table where each has one place.
pub struct LineCache {
    tags: Vec<Tag>,
    lines: Vec<[u8; LINE_BYTES]>,
    walk: u32,
    /// Places of lines the walk has read that no register led to.
    wanted: Vec<usize>,
}

/// How a line came to be known.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum From {
    /// Read from the process after the sample.
    #[default]
    Process,
    /// Captured, because a register led to it.
    Register,
    /// Captured, because walks keep needing it.
    Hot,
}

#[derive(Clone, Copy, Default)]
struct Tag {
    line: u64,
    walk: u32,
    from: From,
    is_wanted: bool,
}

impl Default for LineCache {
    fn default() -> Self {
        Self {
            tags: vec![Tag::default(); SLOTS],
            lines: vec![[0; LINE_BYTES]; SLOTS],
            walk: 0,
            wanted: Vec::new(),
        }
    }
}

impl LineCache {
    /// Forgets everything and takes the lines of a capture.
    pub fn begin(&mut self, capture: &Capture) {
        self.walk = self.walk.wrapping_add(1);
        if self.walk == 0 {
            self.tags.fill(Tag::default());
            self.walk = 1;
        }
        self.wanted.clear();
        for (n, line) in capture.lines.iter().enumerate().take(LINES) {
            if capture.captured >> n & 1 != 0 {
                let number = line_address(&capture.general, n) / LINE_BYTES as u64;
                self.put(number, line, From::Register);
            }
        }
        for (n, (address, line)) in capture.hot.iter().zip(&capture.hot_lines).enumerate().take(HOT_LINES) {
            if capture.hot_captured[n / 64] >> (n % 64) & 1 != 0 {
                self.put(address / LINE_BYTES as u64, line, From::Hot);
            }
        }
    }

    /// Lines that the walk has read and no register led to, with what they held.
    pub fn wanted(&self) -> impl Iterator<Item = (u64, &[u8; LINE_BYTES])> {
        let at = |&place: &usize| Some((self.tags.get(place)?.line, self.lines.get(place)?));
        self.wanted.iter().filter_map(at)
    }

    #[inline]
    fn get(&mut self, number: u64) -> Option<&[u8; LINE_BYTES]> {
        let place = place(number);
        let tag = self.tags.get_mut(place)?;
        if tag.walk != self.walk || tag.line != number {
            return None;
        }
        if !tag.is_wanted && tag.from != From::Register {
            tag.is_wanted = true;
            self.wanted.push(place);
        }
        self.lines.get(place)
    }

    /// Keeps a line. One that was captured gives way to no other.
    fn put(&mut self, number: u64, bytes: &[u8; LINE_BYTES], from: From) {
        let place = place(number);
        let (tag, line) = (&mut self.tags[place], &mut self.lines[place]);
        if tag.walk == self.walk && tag.from != From::Process {
            return;
        }
        *tag = Tag { line: number, walk: self.walk, from, is_wanted: false };
        *line = *bytes;
    }
}

fn place(number: u64) -> usize {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize & (SLOTS - 1)
}

/// Memory of one process during one walk.
pub struct TargetMemory<'a> {
    /// Process.
    pub tgid: u32,
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
            match self.cache.get(number) {
                Some(line) => part.copy_from_slice(&line[offset..offset + count]),
                None => {
                    part.copy_from_slice(&self.fetch(number)?[offset..offset + count]);
                    self.cache.get(number);
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
        let base = wanted & !(CHUNK_BYTES as u64 - 1);
        let mut chunk = [0; CHUNK_BYTES];
        if let Err(error) = read(self.tgid, base, &mut chunk) {
            return Err(self.why(wanted, &error));
        }
        let mut found = [0; LINE_BYTES];
        for (n, line) in chunk.as_chunks::<LINE_BYTES>().0.iter().enumerate() {
            let line_number = base / LINE_BYTES as u64 + n as u64;
            if line_number == number {
                found = *line;
            }
            self.cache.put(line_number, line, From::Process);
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
    use waytrace_abi::access::{LINES_PER_REGISTER, REGISTERS, RSP};

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
        cache.begin(&capture(1 << 6 | 1 << STACK | 1 << (STACK + 1) | 1 << 60));
        let mut memory = TargetMemory {
            tgid: u32::MAX >> 1,
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
        assert_eq!(cache.wanted().collect::<Vec<_>>(), [(0x40_0000 / 64, &[0xaa; LINE_BYTES])]);
        cache.begin(&capture(0));
        let mut memory = TargetMemory {
            tgid: u32::MAX >> 1,
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
        cache.begin(&capture(0));
        let mut memory = TargetMemory {
            tgid: own,
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
        let data: Vec<u8> = (0..=255).cycle().take(3 * CHUNK_BYTES).collect();
        let mut gone = false;
        let (mut cache, space) = (LineCache::default(), Space::of(own));
        cache.begin(&capture(0));
        let mut memory = TargetMemory {
            tgid: own,
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
        assert_eq!(memory.read(0x1000, &mut bytes), Err(Unreadable::Unmapped));
        assert_eq!(memory.read(u64::MAX - 10, &mut bytes), Err(Unreadable::Unmapped));
        assert!(!*memory.gone);
    }
}

//! Registers of a CPU, by the files of the `msr` and `cpuid` drivers.
//!
//! Source: `msr(4)`, `cpuid(4)`; arch/x86/kernel/{msr,cpuid}.c.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use crate::Root;
use crate::rdt::RdtError;
use crate::topology::cpus_online;

/// Reads and writes model-specific registers.
pub trait MsrAccess {
    /// The value of a register of a CPU.
    ///
    /// # Errors
    /// [`RdtError::Msr`]: no driver, no right, no such register.
    fn read(&self, cpu: u32, register: u32) -> Result<u64, RdtError>;

    /// Sets a register of a CPU.
    ///
    /// # Errors
    /// As [`Self::read`], and where the CPU refuses the value.
    fn write(&self, cpu: u32, register: u32, value: u64) -> Result<(), RdtError>;
}

/// What CPUID says.
pub trait CpuidAccess {
    /// EAX, EBX, ECX and EDX of a leaf and subleaf.
    ///
    /// # Errors
    /// The driver's file cannot be read.
    fn leaf(&self, leaf: u32, subleaf: u32) -> Result<[u32; 4], RdtError>;
}

/// `/dev/cpu/N/msr` below a root.
#[derive(Debug, Clone)]
pub struct MsrFiles(Root);

impl MsrFiles {
    /// Those of a root.
    pub fn new(root: Root) -> Self {
        Self(root)
    }

    fn at<T>(
        &self,
        verb: &'static str,
        cpu: u32,
        register: u32,
        act: impl FnOnce(&PathBuf) -> io::Result<T>,
    ) -> Result<T, RdtError> {
        let path = self.0.path(&format!("dev/cpu/{cpu}/msr"));
        act(&path).map_err(|source| RdtError::Msr { verb, register, cpu, path, source })
    }
}

impl MsrAccess for MsrFiles {
    fn read(&self, cpu: u32, register: u32) -> Result<u64, RdtError> {
        self.at("reading", cpu, register, |path| {
            let mut bytes = [0; 8];
            File::open(path)?.read_exact_at(&mut bytes, u64::from(register))?;
            Ok(u64::from_le_bytes(bytes))
        })
    }

    fn write(&self, cpu: u32, register: u32, value: u64) -> Result<(), RdtError> {
        self.at("writing", cpu, register, |path| {
            let file = OpenOptions::new().write(true).open(path)?;
            file.write_all_at(&value.to_le_bytes(), u64::from(register))
        })
    }
}

/// CPUID of a machine: the instruction on the live one, the file of the first CPU online below any other root.
#[derive(Debug, Clone)]
pub struct Cpuid(Root);

impl Cpuid {
    /// That of a root.
    pub fn new(root: Root) -> Self {
        Self(root)
    }
}

impl CpuidAccess for Cpuid {
    fn leaf(&self, leaf: u32, subleaf: u32) -> Result<[u32; 4], RdtError> {
        #[cfg(target_arch = "x86_64")]
        if self.0.is_live() {
            // A leaf beyond the last gives the last one's values on Intel's CPUs.
            if leaf > std::arch::x86_64::__cpuid(leaf & 0x8000_0000).eax {
                return Ok([0; 4]);
            }
            let regs = std::arch::x86_64::__cpuid_count(leaf, subleaf);
            return Ok([regs.eax, regs.ebx, regs.ecx, regs.edx]);
        }
        let first = cpus_online(&self.0).ok().and_then(|cpus| cpus.first().copied()).unwrap_or(0);
        let path = self.0.path(&format!("dev/cpu/{first}/cpuid"));
        let mut bytes = [0; 16];
        let offset = u64::from(subleaf) << 32 | u64::from(leaf);
        let read = File::open(&path).and_then(|file| file.read_exact_at(&mut bytes, offset));
        read.map_err(|source| RdtError::Read { path, source })?;
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        Ok(words)
    }
}

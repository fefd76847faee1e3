//! Which CPU a catalogue is for, as perf spells it: `GenuineIntel-6-55-4`, or an Arm CPU's MIDR.
//!
//! Source: `tools/perf/arch/{x86,arm64}/util/header.c` for the spelling: the family is decimal, model and stepping hexadecimal.

use std::fmt;
use std::str::FromStr;

use super::CatalogueError;
use crate::Root;
use crate::topology::cpuinfo_field;

/// A CPU model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CpuId {
    /// By CPUID.
    X86 {
        /// Vendor string, as `GenuineIntel`.
        vendor: String,
        /// Family.
        family: u32,
        /// Model.
        model: u32,
        /// Stepping; `None` stands for any.
        stepping: Option<u32>,
    },
    /// By the main identification register, `MIDR_EL1`.
    Arm {
        /// The register; variant and revision do not matter to what is counted.
        midr: u64,
    },
}

/// Variant (bits 23:20) and revision (3:0) of a MIDR.
const MIDR_STEPPING: u64 = 0x00f0_000f;

impl CpuId {
    /// The CPU of the machine whose files are under `root`.
    ///
    /// # Errors
    /// [`CatalogueError::NoCpuId`] where no file tells.
    pub fn running(root: &Root) -> Result<Self, CatalogueError> {
        let midr = root.read("sys/devices/system/cpu/cpu0/regs/identification/midr_el1").ok();
        if let Some(id) = midr.and_then(|text| text.parse().ok()) {
            return Ok(id);
        }
        let cpuinfo = root.read("proc/cpuinfo").unwrap_or_default();
        let number = |key: &str| cpuinfo_field(&cpuinfo, key)?.parse::<u32>().ok();
        let id = || {
            Some(Self::X86 {
                vendor: cpuinfo_field(&cpuinfo, "vendor_id").filter(|vendor| is_vendor(vendor))?.to_owned(),
                family: number("cpu family")?,
                model: number("model")?,
                stepping: number("stepping"),
            })
        };
        id().ok_or_else(|| CatalogueError::NoCpuId(root.path("proc/cpuinfo")))
    }

    /// The same CPU of any stepping.
    #[must_use]
    pub fn any_stepping(&self) -> Self {
        match self {
            Self::X86 { vendor, family, model, .. } => {
                Self::X86 { vendor: vendor.clone(), family: *family, model: *model, stepping: None }
            }
            Self::Arm { midr } => Self::Arm { midr: midr & !MIDR_STEPPING },
        }
    }

    /// The texts a pattern of a `mapfile.csv` may match: with its stepping and without; any stepping where none is given.
    pub(super) fn spellings(&self) -> Vec<String> {
        let bare = self.any_stepping();
        let with = |stepping: u32| format!("{bare}-{stepping:X}");
        match self {
            Self::X86 { stepping: Some(stepping), .. } => vec![bare.to_string(), with(*stepping)],
            Self::X86 { stepping: None, .. } => {
                std::iter::once(bare.to_string()).chain((0..16).map(with)).collect()
            }
            Self::Arm { .. } => vec![bare.to_string()],
        }
    }

    /// Vendor and family, which alike CPUs share.
    pub(super) fn family(&self) -> String {
        match self {
            Self::X86 { vendor, family, .. } => format!("{vendor}-{family}-"),
            Self::Arm { .. } => "0x".to_owned(),
        }
    }
}

/// A vendor's name has no dash, which would make the id ambiguous.
fn is_vendor(text: &str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl fmt::Display for CpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X86 { vendor, family, model, stepping } => {
                write!(f, "{vendor}-{family}-{model:X}")?;
                stepping.map_or(Ok(()), |stepping| write!(f, "-{stepping:X}"))
            }
            Self::Arm { midr } => write!(f, "0x{midr:016x}"),
        }
    }
}

impl FromStr for CpuId {
    type Err = CatalogueError;

    fn from_str(text: &str) -> Result<Self, CatalogueError> {
        let bad = || CatalogueError::BadCpuId(super::limits::clean(text, 80));
        let text = text.trim();
        if let Some(digits) = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+')) {
            return u64::from_str_radix(digits, 16).map(|midr| Self::Arm { midr }).map_err(|_| bad());
        }
        let mut parts = text.split('-');
        let vendor = parts.next().filter(|vendor| is_vendor(vendor)).ok_or_else(bad)?;
        let mut number = |radix| match parts.next() {
            Some(part) if part.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                u32::from_str_radix(part, radix).map(Some).map_err(|_| bad())
            }
            Some(_) => Err(bad()),
            None => Ok(None),
        };
        let family = number(10)?.ok_or_else(bad)?;
        let model = number(16)?.ok_or_else(bad)?;
        let stepping = number(16)?;
        if parts.next().is_some() {
            return Err(bad());
        }
        Ok(Self::X86 { vendor: vendor.to_owned(), family, model, stepping })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    #[test]
    fn ids_parse_and_print() {
        for text in ["GenuineIntel-6-55", "GenuineIntel-6-8F-6", "AuthenticAMD-25-11-1", "0x00000000410fd0c0"]
        {
            assert_eq!(text.parse::<CpuId>().unwrap().to_string(), text);
        }
        assert_eq!("GenuineIntel-6-8f-a".parse::<CpuId>().unwrap().to_string(), "GenuineIntel-6-8F-A");
        for text in [
            "",
            "6-55",
            "GenuineIntel",
            "GenuineIntel-6",
            "GenuineIntel-6-5G",
            "a-1-1-1-1",
            "0xzz",
            "a-+1-1",
            "a--1-1",
        ] {
            let error = text.parse::<CpuId>().unwrap_err().to_string();
            assert!(error.contains("GenuineIntel-6-55"), "{text}: {error}");
        }
    }

    #[test]
    fn the_running_cpu_is_read_from_its_tree() {
        let amd = "processor : 0\nvendor_id : AuthenticAMD\ncpu family : 25\nmodel\t: 17\nmodel name : EPYC\nstepping : 1\n";
        let tree = Tree::new(&[("proc/cpuinfo", amd)]);
        assert_eq!(CpuId::running(&tree.root).unwrap().to_string(), "AuthenticAMD-25-11-1");
        let midr = ("sys/devices/system/cpu/cpu0/regs/identification/midr_el1", "0x00000000413fd0c1\n");
        let arm = CpuId::running(&Tree::new(&[midr]).root).unwrap();
        assert_eq!(arm.any_stepping().to_string(), "0x00000000410fd0c0");
        assert!(matches!(CpuId::running(&Tree::new(&[]).root), Err(CatalogueError::NoCpuId(_))));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_id_or_an_error(text in ".{0,40}") {
            if let Ok(id) = text.parse::<CpuId>() {
                proptest::prop_assert_eq!(id.to_string().parse::<CpuId>().unwrap(), id);
            }
        }
    }
}

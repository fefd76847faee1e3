//! Takes out what the kernel part has summed up of samples with an address.

use std::os::fd::AsFd;

use aya::maps::Map;
use waytrace_abi::heat::{HeatKey, HeatTotal, MAX_LINES, MAX_PAGES, PASSED_HZ, TotalKey};
use waytrace_abi::pod::Pod;

use super::{Kernel, sys};
use crate::Error;

/// Entries the tables are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeatRoom {
    /// Pages.
    pub pages: u32,
    /// Lines.
    pub lines: u32,
}

impl HeatRoom {
    /// Where nothing is summed up.
    pub const NONE: Self = Self { pages: 1, lines: 1 };
    /// Where it is.
    pub const USUAL: Self = Self { pages: MAX_PAGES, lines: MAX_LINES };
}

/// Samples of a window that a CPU hands on before it leaves some out.
pub(super) fn passed(interval_ns: u64) -> u64 {
    (u128::from(PASSED_HZ) * u128::from(interval_ns) / 1_000_000_000).clamp(1, u64::MAX.into()) as u64
}

/// Sums of windows that are over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heat {
    /// Totals by CPU.
    pub totals: Vec<(TotalKey, HeatTotal)>,
    /// Weights by page.
    pub pages: Vec<(HeatKey, u64)>,
    /// Weights by line.
    pub lines: Vec<(HeatKey, u64)>,
}

impl Kernel {
    /// Takes out the sums of all windows before `end`. Nothing may be writing to them any more.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Syscall`].
    pub fn take_heat(&mut self, end: u64) -> Result<Heat, Error> {
        Ok(Heat {
            totals: self.take_if("HEAT_TOTALS", |key: &TotalKey| key.window < end)?,
            pages: self.take_if("HEAT_PAGES", |key: &HeatKey| key.window < end)?,
            lines: self.take_if("HEAT_LINES", |key: &HeatKey| key.window < end)?,
        })
    }

    fn take_if<K: Pod, V: Pod>(
        &self,
        name: &str,
        is_over: impl Fn(&K) -> bool,
    ) -> Result<Vec<(K, V)>, Error> {
        let Some(Map::HashMap(data) | Map::LruHashMap(data)) = self.ebpf.map(name) else {
            return Err(Error::Missing(name.to_owned()));
        };
        let failed = |error| Error::syscall(format!("taking {name}"))(error);
        let mut entries: Vec<(K, V)> = sys::lookup_all(data.fd().as_fd()).map_err(failed)?;
        entries.retain(|(key, _)| is_over(key));
        let keys: Vec<K> = entries.iter().map(|(key, _)| *key).collect();
        sys::delete_all(data.fd().as_fd(), &keys).map_err(failed)?;
        Ok(entries)
    }
}

#[cfg(test)]
#[path = "heat_tests.rs"]
mod tests;

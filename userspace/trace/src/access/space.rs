//! What a process has mapped, read again when an address turns up that it has not.

use waytrace_image::process::{self, Mapping};
use waytrace_image::symbols::Modules;

use super::now_ns;

/// Mappings are read again for an unknown address only so often: a walk gone astray asks for many.
const LEAST_AGE_NS: u64 = 20_000_000;

/// Address space of one process.
#[derive(Default)]
pub struct Space {
    mappings: Vec<Mapping>,
    /// Its code, with files that stay open.
    pub modules: Modules,
    read_at_ns: u64,
}

impl Space {
    /// Reads it.
    pub fn of(tgid: u32) -> Self {
        let mut space = Self::default();
        space.refresh(tgid);
        space
    }

    /// Reads it again. A process that has just gone keeps what was known of it.
    pub fn refresh(&mut self, tgid: u32) {
        self.read_at_ns = now_ns();
        if let Ok(mappings) = process::mappings(tgid)
            && !mappings.is_empty()
        {
            self.modules.sync_with(tgid, &mappings);
            self.mappings = mappings;
        }
    }

    /// The mapping an address lies in. One that is not known may have come since they were read.
    pub fn find(&mut self, tgid: u32, address: u64) -> Option<&Mapping> {
        if self.known(address).is_none() && now_ns() - self.read_at_ns >= LEAST_AGE_NS {
            self.refresh(tgid);
        }
        self.known(address)
    }

    /// The mapping an address lies in, as far as is known.
    pub fn known(&self, address: u64) -> Option<&Mapping> {
        let after = self.mappings.partition_point(|mapping| mapping.start <= address);
        self.mappings.get(after.checked_sub(1)?).filter(|mapping| mapping.contains(address))
    }
}

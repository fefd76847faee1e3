//! Probe programs for multi-uprobe links.
//!
//! One link then covers all probes of a file: placing and removing them is one operation, which duty-cycled probing
//! lives on (removing single links costs a grace period of ~100 ms each). The kernel wants to know at load time, and
//! aya 0.14 cannot say it, so these programs are loaded from [`super::object`].

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya_obj::Object;

use super::object::instructions;
use super::sys;

/// The probe programs, loaded for multi-uprobe links.
pub struct Programs {
    alloc_enter: OwnedFd,
    alloc_exit: OwnedFd,
    free_enter: OwnedFd,
    map_called: OwnedFd,
    usdt_alloc: OwnedFd,
    usdt_free: OwnedFd,
}

impl Programs {
    /// Loads them.
    ///
    /// # Errors
    /// A text saying why it cannot be done, as before Linux 6.6.
    pub fn load(object: &Object) -> Result<Self, String> {
        let alloc_enter = load(object, "alloc_enter")?;
        if !sys::knows_multi(alloc_enter.as_fd()) {
            return Err("this kernel does not have them".to_owned());
        }
        Ok(Self {
            alloc_enter,
            alloc_exit: load(object, "alloc_exit")?,
            free_enter: load(object, "free_enter")?,
            map_called: load(object, "map_called")?,
            usdt_alloc: load(object, "usdt_alloc")?,
            usdt_free: load(object, "usdt_free")?,
        })
    }

    /// The program of that name.
    pub fn program(&self, name: &str) -> Option<BorrowedFd<'_>> {
        match name {
            "alloc_enter" => Some(self.alloc_enter.as_fd()),
            "alloc_exit" => Some(self.alloc_exit.as_fd()),
            "free_enter" => Some(self.free_enter.as_fd()),
            "map_called" => Some(self.map_called.as_fd()),
            "usdt_alloc" => Some(self.usdt_alloc.as_fd()),
            "usdt_free" => Some(self.usdt_free.as_fd()),
            _ => None,
        }
    }
}

fn load(object: &Object, name: &str) -> Result<OwnedFd, String> {
    let instructions = instructions(object, name).ok_or_else(|| format!("no program {name}"))?;
    sys::load_multi(name, instructions).map_err(|error| format!("{name}: {error}"))
}

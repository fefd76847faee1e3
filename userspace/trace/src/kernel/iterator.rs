//! The program that walks all tasks of the machine when it is read (`bpf_iter`, Documentation/bpf/bpf_iterators.rst).

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use aya_obj::Object;

use super::object::instructions;
use super::sys;

/// The function in the kernel's type information that stands for an iterator over tasks.
pub const TARGET: &str = "bpf_iter_task";

/// A loaded iterator over tasks.
pub struct TaskIterator {
    program: OwnedFd,
}

impl TaskIterator {
    /// Loads the program `name`; `target_id` is the type number of [`TARGET`] in the running kernel.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn load(object: &Object, name: &str, target_id: u32) -> io::Result<Self> {
        let instructions = instructions(object, name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { program: sys::load_iterator(name, instructions, target_id)? })
    }

    /// Runs it over all tasks and returns what it wrote.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let link = sys::link_iterator(self.program.as_fd())?;
        let mut bytes = Vec::new();
        File::from(sys::open_iterator(link.as_fd())?).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

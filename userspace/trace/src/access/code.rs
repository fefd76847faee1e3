//! The target's code as the walk reads it: from the mapped files themselves, so that breakpoints in its memory (uprobes,
//! debuggers) do not show; from its memory where there is no file.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;

use waytrace_image::symbols::{FileKey, MappedCode, Modules};
use waytrace_walk::{Code, Origin};

use super::memory;
use super::space::Space;

/// Numbers for files.
#[derive(Default)]
pub struct Files(HashMap<FileKey, u64>);

impl Files {
    fn number(&mut self, key: FileKey) -> u64 {
        let next = self.0.len() as u64;
        *self.0.entry(key).or_insert(next)
    }
}

/// Code of one process during one walk.
pub struct TargetCode<'a> {
    /// Process.
    pub tgid: u32,
    /// Its code.
    pub modules: &'a Modules,
    /// Numbers for files.
    pub files: &'a mut Files,
}

impl Code for TargetCode<'_> {
    fn origin(&mut self, address: u64) -> Option<Origin> {
        Some(match self.modules.code_at(address)?.file {
            Some((key, _, offset)) => Origin::File { file: self.files.number(key), offset },
            None => Origin::Anonymous,
        })
    }

    fn read(&mut self, address: u64, into: &mut [u8]) -> usize {
        let Some(MappedCode { file, end }) = self.modules.code_at(address) else { return 0 };
        let room = usize::try_from(end - address).map_or(into.len(), |room| room.min(into.len()));
        let Some(into) = into.get_mut(..room) else { return 0 };
        match file {
            Some((_, file, offset)) => file.read_at(into, offset).unwrap_or(0),
            None => memory::read(self.tgid, address, into).map_or(0, |()| room),
        }
    }
}

/// Whether a process can execute something at `address`, as far as is known now or after another look.
pub fn is_code(space: &mut Space, tgid: u32, address: u64) -> bool {
    space.modules.code_at(address).is_some()
        || (space.find(tgid, address).is_some() && space.modules.code_at(address).is_some())
}

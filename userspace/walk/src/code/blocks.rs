//! Decoded code, kept as straight runs of instructions.
//!
//! Runs of a file are found by file and offset, so that they serve every walk and process. Where the walk is now is
//! found by address in a small table that lasts for one walk: a loop finds its blocks without asking for their origin.

use std::collections::HashMap;

use super::{Code, Operation, Origin, decode};
use crate::end::Reason;
use crate::memory::Overlay;

/// Instructions of a block at most; it ends earlier at a branch.
const LONGEST: usize = 64;
/// Bytes read for a block; an instruction has 15 at most.
const BYTES: usize = 256;
/// Blocks kept at most: some tens of MB. When full, all are forgotten.
const MOST: usize = 1 << 14;
/// Entries of the table by address; a power of two.
const RECENT: usize = 512;

/// The cache of decoded blocks.
pub struct Blocks {
    blocks: Vec<Block>,
    of_files: HashMap<(u64, u64), u32>,
    anonymous: HashMap<u64, u32>,
    recent: Vec<Recent>,
    walk: u32,
}

struct Block {
    operations: Box<[Operation]>,
    /// The code itself, if it may change between walks.
    bytes: Option<Box<[u8]>>,
}

#[derive(Clone, Copy)]
struct Recent {
    address: u64,
    walk: u32,
    block: u32,
}

impl Default for Blocks {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            of_files: HashMap::new(),
            anonymous: HashMap::new(),
            recent: vec![Recent { address: 0, walk: 0, block: 0 }; RECENT],
            walk: 1,
        }
    }
}

impl Blocks {
    /// Starts a walk: another process may be looked at, and code made at run time may have changed.
    pub fn begin_walk(&mut self) {
        if self.blocks.len() >= MOST {
            self.blocks.clear();
            self.of_files.clear();
            self.anonymous.clear();
        }
        self.walk = self.walk.wrapping_add(1);
        if self.walk == 0 {
            self.recent.fill(Recent { address: 0, walk: 0, block: 0 });
            self.walk = 1;
        }
    }

    /// The operations of a block.
    #[inline]
    pub fn operations(&self, block: u32) -> &[Operation] {
        self.blocks.get(block as usize).map_or(&[], |block| &block.operations)
    }

    /// Whether the walk's stores may change the block.
    #[inline]
    pub fn is_anonymous(&self, block: u32) -> bool {
        self.blocks.get(block as usize).is_some_and(|block| block.bytes.is_some())
    }

    /// The block that starts at `address`.
    ///
    /// # Errors
    /// If there is no code, it cannot be decoded, or the walk itself has stored there.
    #[inline]
    pub fn at(&mut self, address: u64, code: &mut dyn Code, overlay: &Overlay) -> Result<u32, Reason> {
        let slot = (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize & (RECENT - 1);
        let recent = self.recent[slot];
        let block = if recent.walk == self.walk && recent.address == address {
            recent.block
        } else {
            let block = self.find(address, code)?;
            self.recent[slot] = Recent { address, walk: self.walk, block };
            block
        };
        match &self.blocks[block as usize].bytes {
            Some(bytes) if is_stored_to(overlay, address, bytes.len()) => Err(Reason::SelfModifyingCode),
            _ => Ok(block),
        }
    }

    fn find(&mut self, address: u64, code: &mut dyn Code) -> Result<u32, Reason> {
        match code.origin(address).ok_or(Reason::UnreadableCode)? {
            Origin::File { file, offset } => {
                if let Some(block) = self.of_files.get(&(file, offset)) {
                    return Ok(*block);
                }
                let mut bytes = [0; BYTES];
                let count = code.read(address, &mut bytes).min(BYTES);
                let (operations, _) = decode_run(&bytes[..count])?;
                let block = self.keep(Block { operations, bytes: None });
                self.of_files.insert((file, offset), block);
                Ok(block)
            }
            Origin::Anonymous => {
                let mut bytes = [0; BYTES];
                let count = code.read(address, &mut bytes).min(BYTES);
                let known = self.anonymous.get(&address).copied();
                if let Some(block) = known
                    && let Some(kept) = &self.blocks[block as usize].bytes
                    && bytes[..count].starts_with(kept)
                {
                    return Ok(block);
                }
                let (operations, length) = decode_run(&bytes[..count])?;
                let block = Block { operations, bytes: Some(bytes[..length].into()) };
                if let Some(index) = known {
                    self.blocks[index as usize] = block;
                    return Ok(index);
                }
                let block = self.keep(block);
                self.anonymous.insert(address, block);
                Ok(block)
            }
        }
    }

    fn keep(&mut self, block: Block) -> u32 {
        self.blocks.push(block);
        self.blocks.len() as u32 - 1
    }
}

/// Decodes up to and with the next branch, and gives the number of bytes that took.
fn decode_run(bytes: &[u8]) -> Result<(Box<[Operation]>, usize), Reason> {
    let mut operations = Vec::new();
    let mut length = 0;
    while operations.len() < LONGEST {
        match decode(&bytes[length..]) {
            Ok(operation) => {
                length += usize::from(operation.length);
                let is_last = operation.instruction.flow_control() != iced_x86::FlowControl::Next;
                operations.push(operation);
                if is_last {
                    break;
                }
            }
            // The walk may leave the block before it comes here; if not, it asks again from here.
            Err(_) if !operations.is_empty() => break,
            Err(reason) => return Err(reason),
        }
    }
    Ok((operations.into(), length))
}

fn is_stored_to(overlay: &Overlay, address: u64, length: usize) -> bool {
    (0..length).step_by(64).any(|from| {
        let width = (length - from).min(64);
        !overlay.covers_none(address.wrapping_add(from as u64), width)
    })
}

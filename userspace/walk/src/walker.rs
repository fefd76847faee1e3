//! The walk's loop.

use crate::access::{Access, Kind};
use crate::code::{Blocks, Code};
use crate::end::{End, Reason};
use crate::machine::Machine;
use crate::memory::{Memory, Overlay};
use crate::state::State;

/// How far a walk may go before it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Instructions, every repetition of a string instruction counted as one.
    pub instructions: u32,
}

impl Default for Limit {
    /// 100,000 instructions: a few milliseconds.
    fn default() -> Self {
        Self { instructions: 100_000 }
    }
}

/// Walks code. It keeps decoded code and its buffers from walk to walk; a walk allocates nothing that one before it
/// of the same size has allocated.
pub struct Walker {
    blocks: Blocks,
    overlay: Overlay,
    accesses: Vec<Access>,
    state: State,
    at: Position,
    instructions: u64,
}

/// The operation that comes next, if the walk comes to `ip`.
#[derive(Clone, Copy)]
struct Position {
    ip: Option<u64>,
    block: u32,
    index: u32,
}

const NOWHERE: Position = Position { ip: None, block: 0, index: 0 };

impl Default for Walker {
    fn default() -> Self {
        Self {
            blocks: Blocks::default(),
            overlay: Overlay::default(),
            accesses: Vec::with_capacity(64),
            state: State::unknown(0),
            at: NOWHERE,
            instructions: 0,
        }
    }
}

impl Walker {
    /// Walks from `start` and visits every access in program order, until `accesses_to_go` (counted from 1) have been
    /// visited or the walk cannot go on. [`Walker::state`] is where it ended.
    pub fn walk(
        &mut self,
        start: &State,
        memory: &mut dyn Memory,
        code: &mut dyn Code,
        accesses_to_go: u32,
        limit: Limit,
        mut visit: impl FnMut(&Access),
    ) -> End {
        self.walk_by(start, memory, code, accesses_to_go, limit, |_, accesses| {
            accesses.iter().for_each(&mut visit);
        })
    }

    /// [`Walker::walk`] that visits every instruction it comes by: its address, and its accesses up to the last to go.
    pub fn walk_by(
        &mut self,
        start: &State,
        memory: &mut dyn Memory,
        code: &mut dyn Code,
        accesses_to_go: u32,
        limit: Limit,
        mut visit: impl FnMut(u64, &[Access]),
    ) -> End {
        self.begin(start);
        let mut left = accesses_to_go as usize;
        if left == 0 {
            return End::Reached;
        }
        for _ in 0..limit.instructions {
            // An instruction's accesses count even if it cannot be finished: their addresses are known.
            let ip = self.state.rip;
            let end = self.step(memory, code);
            let accesses = &self.accesses[..left.min(self.accesses.len())];
            visit(ip, accesses);
            left -= accesses.len();
            if left == 0 {
                return End::Reached;
            }
            if let Err(reason) = end {
                return End::Unresolved(reason);
            }
        }
        End::Unresolved(Reason::BudgetExceeded)
    }

    /// Starts a walk that the caller takes step by step.
    pub fn begin(&mut self, start: &State) {
        self.state = start.clone();
        self.overlay.clear();
        self.blocks.begin_walk();
        self.accesses.clear();
        self.at = NOWHERE;
        self.instructions = 0;
    }

    /// Walks one instruction, or one repetition of a string instruction. [`Walker::accesses`] are those it made.
    ///
    /// # Errors
    /// Why it cannot be walked. `rip` is still at it; its other effects may have happened in part.
    #[inline]
    pub fn step(&mut self, memory: &mut dyn Memory, code: &mut dyn Code) -> Result<(), Reason> {
        self.accesses.clear();
        let ip = self.state.rip;
        if self.at.ip != Some(ip) {
            self.at = Position { ip: Some(ip), block: self.blocks.at(ip, code, &self.overlay)?, index: 0 };
        }
        let operations = self.blocks.operations(self.at.block);
        let Some(operation) = operations.get(self.at.index as usize) else {
            return Err(Reason::UnreadableCode);
        };
        let next = ip.wrapping_add(u64::from(operation.length));
        self.state.rip = next;
        let mut machine = Machine {
            state: &mut self.state,
            ip,
            overlay: &mut self.overlay,
            memory,
            accesses: &mut self.accesses,
        };
        if let Err(reason) = (operation.execute)(&mut machine, operation) {
            self.state.rip = ip;
            return Err(reason);
        }
        self.instructions += 1;
        if self.state.rip == next {
            self.at.index += 1;
            self.at.ip = (operations.len() > self.at.index as usize).then_some(next);
        }
        // Code made at run time that stores is looked at again: it may have changed itself.
        if self.blocks.is_anonymous(self.at.block)
            && self.accesses.iter().any(|access| access.kind == Kind::Store)
        {
            self.at.ip = None;
        }
        Ok(())
    }

    /// The registers now.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The accesses of the last step.
    pub fn accesses(&self) -> &[Access] {
        &self.accesses
    }

    /// What the walk has stored, to be laid over the memory it started from.
    pub fn stores(&self) -> &Overlay {
        &self.overlay
    }

    /// Instructions walked since the walk began.
    pub fn instructions(&self) -> u64 {
        self.instructions
    }
}

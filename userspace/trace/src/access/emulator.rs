//! Walks from captures: the emulator with what it keeps from one to the next.

use waytrace_abi::access::{Capture, LINE_BYTES};
use waytrace_walk::{Reason, State, Walker};

use super::code::{Files, TargetCode};
use super::lines::LineCache;
use super::memory::{Sight, TargetMemory};
use super::space::Space;

/// Decoded code, lines of memory, and numbers of files.
#[derive(Default)]
pub struct Emulator {
    walker: Walker,
    cache: LineCache,
    files: Files,
}

/// What a walk is made with.
pub struct Walk<'a> {
    /// Emulates; it has not begun.
    pub walker: &'a mut Walker,
    /// The registers it starts from.
    pub start: &'a State,
    /// The target's memory.
    pub memory: TargetMemory<'a>,
    /// The target's code.
    pub code: TargetCode<'a>,
}

/// Why a walk did not get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It came to something that cannot be known or followed.
    At(Reason),
    /// The process has ended.
    TargetGone,
}

impl Emulator {
    /// Makes a walk from a capture with each sight in turn, until one is not too little.
    ///
    /// # Errors
    /// How the last of them stopped.
    pub fn walk<T>(
        &mut self,
        capture: &Capture,
        space: &Space,
        sights: &[Sight],
        mut walk: impl FnMut(Walk<'_>) -> Result<T, Reason>,
    ) -> Result<T, Stopped> {
        let start = state(capture);
        self.cache.begin(capture);
        let mut stopped = Stopped::At(Reason::BudgetExceeded);
        for &sight in sights {
            let mut gone = false;
            let memory = TargetMemory { capture, cache: &mut self.cache, space, sight, gone: &mut gone };
            let code = TargetCode { tgid: capture.tgid, modules: &space.modules, files: &mut self.files };
            match walk(Walk { walker: &mut self.walker, start: &start, memory, code }) {
                Ok(found) => return Ok(found),
                Err(_) if gone => stopped = Stopped::TargetGone,
                Err(reason) => stopped = Stopped::At(reason),
            }
            if !matches!(stopped, Stopped::At(reason) if sight.is_too_little(reason)) {
                break;
            }
        }
        Err(stopped)
    }

    /// Lines that the last walk, from that capture, has read and no register led to, with what they held.
    pub fn wanted<'c>(&'c self, capture: &'c Capture) -> impl Iterator<Item = (u64, &'c [u8; LINE_BYTES])> {
        self.cache.wanted(capture)
    }
}

/// What a capture says of the registers.
fn state(capture: &Capture) -> State {
    let mut state = State::captured(capture.general, capture.ip, capture.flags);
    state.fs_base = (capture.fs_base != 0).then_some(capture.fs_base);
    state
}

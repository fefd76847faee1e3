//! Does a function only pass the work on to another allocation function?
//!
//! It does if every path through it that returns has called one and hands its result on unchanged; paths that fail
//! early, returning a constant and writing nothing, don't count. Everything doubtful is answered with no, which
//! costs a second probe but loses nothing.

use std::collections::HashSet;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Register as Reg};

use super::callee::{Callee, Code};
use super::null_test::NullTest;
use super::state::{State, Store, Value};
use crate::allocators::kind::{Action, AllocFn, Arguments};

/// An allocation function in another layer: in this file by address, elsewhere by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::allocators) enum Target {
    Local(u64),
    Import(String),
}

/// A call from a wrapper into the layer below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::allocators) struct CallSite {
    /// Address the call returns to.
    pub return_address: u64,
    /// Bytes from the stack pointer at the callee's entry up to the wrapper's own return address.
    pub return_slot: Option<u32>,
}

/// How a wrapper passes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::allocators) struct Wrapping {
    pub sites: Vec<CallSite>,
    pub targets: Vec<Target>,
}

/// Instructions looked at in one function and those it calls.
const STEPS: u32 = 3000;
/// Calls of unnamed functions followed into each other.
const LEVELS: u32 = 2;

/// How the function at `entry` passes on; `None` if it does work of its own, or if that cannot be told.
pub(in crate::allocators) fn analyse(
    code: &Code<'_, '_>,
    entry: u64,
    function: AllocFn,
    arguments: Arguments,
) -> Option<Wrapping> {
    Walk::new(code, function, arguments, false).run(entry)
}

/// Whether a function that resizes passes on a call with a null pointer, `realloc(NULL, size)`, as a wrapper would.
pub(in crate::allocators) fn passes_null_on(
    code: &Code<'_, '_>,
    entry: u64,
    function: AllocFn,
    arguments: Arguments,
) -> bool {
    function.action() == Action::Realloc && Walk::new(code, function, arguments, true).run(entry).is_some()
}

struct Walk<'a, 'b, 'd> {
    code: &'a Code<'b, 'd>,
    action: Action,
    arguments: Arguments,
    /// Follow only what happens with a null pointer.
    null: bool,
    infos: InstructionInfoFactory,
    steps: u32,
    found: Wrapping,
}

/// One path through a function, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Path {
    state: State,
    /// An allocation function has been called.
    crossed: bool,
    /// It stored its result in memory, where it is not followed.
    opaque: bool,
    /// Before any such call something else was called or written.
    busy: bool,
    test: NullTest,
}

impl Path {
    fn new(state: State) -> Self {
        Self { state, crossed: false, opaque: false, busy: false, test: NullTest::default() }
    }
}

enum Next {
    Continue,
    Ends,
    GoesTo(u64),
    Fails,
}

impl<'a, 'b, 'd> Walk<'a, 'b, 'd> {
    fn new(code: &'a Code<'b, 'd>, function: AllocFn, arguments: Arguments, null: bool) -> Self {
        let (infos, found) = (InstructionInfoFactory::new(), Wrapping::default());
        Self { code, action: function.action(), arguments, null, infos, steps: STEPS, found }
    }

    fn run(mut self, entry: u64) -> Option<Wrapping> {
        let wraps = self.function(entry, State::entry(), 0) && !self.found.targets.is_empty();
        wraps.then_some(self.found)
    }
    /// Whether every returning path from `entry` passes on.
    fn function(&mut self, entry: u64, state: State, level: u32) -> bool {
        let mut seen = HashSet::new();
        let mut pending = vec![(entry, Path::new(state))];
        while let Some((address, path)) = pending.pop() {
            if seen.insert((address, path.clone())) && !self.block(address, path, level, &mut pending) {
                return false;
            }
        }
        true
    }

    /// Follows one path to its end, leaving its other branches in `pending`. False if it does not pass on.
    fn block(&mut self, address: u64, mut path: Path, level: u32, pending: &mut Vec<(u64, Path)>) -> bool {
        let mut decoder = Decoder::with_ip(64, self.code.bytes(address), address, DecoderOptions::NONE);
        loop {
            if self.steps == 0 || !decoder.can_decode() {
                return false;
            }
            self.steps -= 1;
            let instruction = decoder.decode();
            match self.instruction(&instruction, &mut path, level, pending) {
                Next::Continue => {}
                Next::Ends => return true,
                Next::Fails => return false,
                Next::GoesTo(target) => {
                    pending.push((target, path));
                    return true;
                }
            }
        }
    }

    fn instruction(
        &mut self,
        instruction: &Instruction,
        path: &mut Path,
        level: u32,
        pending: &mut Vec<(u64, Path)>,
    ) -> Next {
        match instruction.flow_control() {
            FlowControl::Next => {
                if self.null {
                    path.test.step(instruction, &path.state, self.arguments);
                }
                let store = path.state.step(instruction, &mut self.infos);
                if store.is_none_or(|store| self.may_store(store, path)) {
                    Next::Continue
                } else {
                    Next::Fails
                }
            }
            FlowControl::ConditionalBranch => {
                if let Some((null, _)) = path.test.edges(instruction) {
                    return Next::GoesTo(null);
                }
                pending.push((instruction.near_branch_target(), path.clone()));
                Next::Continue
            }
            FlowControl::Return => {
                if self.may_return(path) {
                    Next::Ends
                } else {
                    Next::Fails
                }
            }
            FlowControl::Interrupt | FlowControl::Exception if !instruction.is_invalid() => Next::Ends,
            FlowControl::UnconditionalBranch | FlowControl::IndirectBranch => self.jump(instruction, path),
            FlowControl::Call | FlowControl::IndirectCall => self.call(instruction, path, level),
            _ => Next::Fails,
        }
    }

    /// A store outside the frame. `posix_memalign` may put only an unchanged result where it was told to.
    fn may_store(&self, store: Store, path: &mut Path) -> bool {
        let own = self.arguments.pointer.map(|register| Value::Argument(register.number()));
        if self.action == Action::AllocOut && Some(store.base) == own {
            return store.value == Value::Result;
        }
        path.busy |= !path.crossed && !store.thread_local && store.base != Value::Errno;
        true
    }

    fn may_return(&self, path: &Path) -> bool {
        let result = path.state.get(Reg::RAX);
        match (path.crossed, self.action) {
            // What `posix_memalign` returns is no block; `may_store` has seen to that.
            (true, Action::Free | Action::AllocOut) => true,
            (true, _) => path.opaque || matches!(result, Value::Result | Value::Constant),
            (false, Action::Free) => !path.busy,
            (false, _) => !path.busy && result == Value::Constant,
        }
    }

    fn jump(&mut self, instruction: &Instruction, path: &mut Path) -> Next {
        match self.code.callee(instruction) {
            Callee::Allocator { target, function, arguments } => {
                let same_result =
                    (self.action == Action::AllocOut) == (function.action() == Action::AllocOut);
                if !self.passes_on(&path.state, function, arguments) || !same_result {
                    return if path.crossed && self.action == Action::Free {
                        Next::Ends
                    } else {
                        Next::Fails
                    };
                }
                self.add_target(target);
                Next::Ends
            }
            Callee::NoReturn => Next::Ends,
            Callee::Code(address) => Next::GoesTo(address),
            Callee::ErrnoLocation | Callee::Unknown => Next::Fails,
        }
    }

    fn call(&mut self, instruction: &Instruction, path: &mut Path, level: u32) -> Next {
        let callee = self.code.callee(instruction);
        match callee {
            Callee::NoReturn => return Next::Ends,
            Callee::ErrnoLocation => path.state.after_call(Value::Errno),
            Callee::Allocator { target, function, arguments }
                if self.passes_on(&path.state, function, arguments) =>
            {
                self.add_target(target);
                self.add_site(instruction, &path.state);
                path.crossed = true;
                path.opaque |= function.action() == Action::AllocOut && self.action != Action::AllocOut;
                path.state.after_call(Value::Result);
            }
            // The function may pass on inside one it calls; only worth knowing while this path has not yet.
            Callee::Code(inner)
                if !path.crossed && level < LEVELS && self.inner(inner, &path.state, level) =>
            {
                self.add_site(instruction, &path.state);
                path.crossed = true;
                path.state.after_call(Value::Result);
            }
            _ => {
                path.busy |= !path.crossed;
                path.state.after_call(Value::Unknown);
            }
        }
        Next::Continue
    }

    /// Whether the unnamed function at `address` passes on by itself; if not, nothing of it is kept.
    fn inner(&mut self, address: u64, state: &State, level: u32) -> bool {
        let before = self.found.clone();
        let passes = self.function(address, state.entry_of_callee(), level + 1);
        // A leaf that merely returns a constant has not called anything.
        let passes = passes && self.found.targets.len() > before.targets.len();
        if !passes {
            self.found = before;
        }
        passes
    }

    /// Whether calling `function` from this state does this function's work.
    fn passes_on(&self, state: &State, function: AllocFn, arguments: Arguments) -> bool {
        match (self.action, function.action()) {
            (Action::Alloc | Action::AllocOut, Action::Alloc | Action::AllocOut) => true,
            (Action::Realloc, Action::Alloc | Action::AllocOut) => true,
            (Action::Realloc, Action::Realloc) | (Action::Free, Action::Free) => {
                let pair = arguments.pointer.zip(self.arguments.pointer);
                pair.is_some_and(|(theirs, own)| state.passes(theirs, own))
            }
            _ => false,
        }
    }

    fn add_target(&mut self, target: Target) {
        if !self.found.targets.contains(&target) {
            self.found.targets.push(target);
        }
    }

    /// The call pushes 8 bytes more.
    fn add_site(&mut self, instruction: &Instruction, state: &State) {
        let return_address = instruction.next_ip();
        let return_slot = state.depth_bytes().and_then(|depth| depth.checked_add(8));
        match self.found.sites.iter_mut().find(|site| site.return_address == return_address) {
            Some(site) if site.return_slot != return_slot => site.return_slot = None,
            Some(_) => {}
            None => self.found.sites.push(CallSite { return_address, return_slot }),
        }
    }
}

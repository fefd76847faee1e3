//! One block on both sides, and which instruction is to blame if they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use iced_x86::{Code, Formatter, Instruction, IntelFormatter, Mnemonic};
use waytrace_walk::Reason;

use super::blocks::{Block, block};
use super::compare::differences;
use super::emulator::{Emulator, Known, Step, is_mapped};
use super::processor::{Finish, Processor};
use super::random::Random;
use super::start::{ARENA, ARENA_END, CODE, Start};

pub enum Outcome {
    Right,
    /// The form is none of this processor's, or cannot be generated.
    Unavailable(Code),
    /// The form that differs, and how.
    Wrong(Code, String),
}

pub struct Trial {
    processor: Processor,
    emulator: Emulator,
    /// Forms executed and compared.
    pub run: BTreeSet<Code>,
    /// Forms after which all was known, as before.
    pub followed: BTreeSet<Code>,
    pub blocks: u64,
    pub steps: u64,
    /// Walks that ended within their block although all was known.
    pub ends: BTreeMap<&'static str, u64>,
}

impl Trial {
    pub fn new(processor: Processor) -> Self {
        Self {
            processor,
            emulator: Emulator::new(),
            run: BTreeSet::new(),
            followed: BTreeSet::new(),
            blocks: 0,
            steps: 0,
            ends: BTreeMap::new(),
        }
    }

    /// Runs a random block of these forms, with everything known and with only some.
    pub fn block(&mut self, forms: &[Code], random: &mut Random) -> Outcome {
        let seed = random.word();
        let Some(mut block) = block(forms, &mut Random(seed)) else { return Outcome::Unavailable(forms[0]) };
        self.processor.restrict(&mut block.start);
        self.blocks += 1;
        let truth = self.native(&block.start, &[]);
        if truth.signal == libc::SIGVTALRM {
            return Outcome::Right; // It did not end; nothing to compare.
        }
        let all = Known::all(&block.start);
        let some = Known::some(&block.start, random);
        for known in [&all, &some] {
            if let Some(found) = self.compare(&block.start, known, &truth) {
                return self.blame(&block, known, &found);
            }
        }
        if truth.signal == libc::SIGILL {
            return block
                .at(truth.ip)
                .map_or(Outcome::Right, |instruction| Outcome::Unavailable(instruction.code()));
        }
        Outcome::Right
    }

    fn native(&mut self, start: &Start, more_ends: &[u64]) -> Finish {
        let mut ends = vec![CODE + start.code.len() as u64];
        ends.extend(more_ends);
        let mut run = || self.processor.run(start, &ends).expect("the traced child");
        let finish = run();
        // The timer counts over all blocks: this one need not be the one that does not end.
        if finish.signal == libc::SIGVTALRM { run() } else { finish }
    }

    /// Walks to where the processor came, or compares where the walk ended before.
    fn compare(&mut self, start: &Start, known: &Known, truth: &Finish) -> Option<String> {
        let (steps, end) = self.emulator.walk(start, known, &[truth.ip]);
        let is_cut = is_done_in_parts(&start.instruction_at(truth.ip)) && truth.signal != 0;
        let at_end = steps.last().is_some_and(|step| step.ip == truth.ip);
        let Some(reason) = end else {
            if is_cut {
                return None; // How much of it was done is not compared.
            }
            if known.is_all {
                self.count(start, &steps);
            }
            return self.check(start, truth, &steps).or_else(|| self.fault(start, known, truth));
        };
        if at_end {
            return None;
        }
        if known.is_all {
            *self.ends.entry(reason.name()).or_default() += 1;
        }
        let ip = steps.last()?.ip;
        if says_fault(reason) {
            return Some(format!(
                "the walk ended at {ip:#x} with {reason}, the processor went on to {:#x}",
                truth.ip
            ));
        }
        let truth = self.native(start, &[ip]);
        if truth.ip != ip {
            return Some(format!("the walk came to {ip:#x} ({reason}), the processor to {:#x}", truth.ip));
        }
        let (steps, _) = self.emulator.walk(start, known, &[ip]);
        self.check(start, &truth, &steps)
    }

    fn check(&self, start: &Start, truth: &Finish, steps: &[Step]) -> Option<String> {
        if let Some(step) = steps.iter().find(|step| step.disagreement.is_some()) {
            return step.disagreement.clone();
        }
        let stray = steps.iter().flat_map(|step| &step.accesses).find(|access| !is_mapped(access));
        if let Some(access) = stray {
            return Some(format!("{access:x?} would have faulted"));
        }
        if self.emulator.state().rip != truth.ip {
            return Some(format!(
                "the walk came to {:#x}, the processor to {:#x}",
                self.emulator.state().rip,
                truth.ip
            ));
        }
        let found = differences(self.emulator.state(), self.emulator.stores(), start, truth);
        (!found.is_empty()).then(|| found.join("\n"))
    }

    /// Where the processor faulted just outside the arena, the walk must have an access there; a division that faulted
    /// must end a walk that knows all.
    fn fault(&mut self, start: &Start, known: &Known, truth: &Finish) -> Option<String> {
        let is_near = (ARENA - 4096..ARENA).contains(&truth.fault)
            || (ARENA_END..ARENA_END + 4096).contains(&truth.fault);
        let is_access = truth.signal == libc::SIGSEGV && is_near;
        let is_division =
            truth.signal == libc::SIGFPE && known.is_all && is_division(&start.instruction_at(truth.ip));
        if !is_access && !is_division {
            return None;
        }
        let (steps, end) = self.emulator.walk(start, known, &[]);
        let knows_all =
            known.is_all && steps.iter().take_while(|step| step.ip != truth.ip).all(|step| step.is_followed);
        if is_division && !knows_all {
            return None;
        }
        let step = steps.iter().find(|step| step.ip == truth.ip)?;
        let reaches = is_access
            && step.accesses.iter().any(|access| {
                let last = access.address.wrapping_add(u64::from(access.width_bytes) - 1);
                access.address <= truth.fault && truth.fault <= last || !is_mapped(access)
            });
        let is_end = end.is_some() && steps.last().is_some_and(|last| last.ip == truth.ip);
        (!reaches && !is_end).then(|| {
            format!(
                "signal {} at {:#x}, the walk went on after {:x?}",
                truth.signal, truth.fault, step.accesses
            )
        })
    }

    fn count(&mut self, start: &Start, steps: &[Step]) {
        self.steps += steps.len() as u64;
        for step in steps {
            let form = start.instruction_at(step.ip).code();
            self.run.insert(form);
            if step.is_followed {
                self.followed.insert(form);
            }
        }
    }

    /// Stops both sides at ever later instructions; the one before the first difference is to blame.
    fn blame(&mut self, block: &Block, known: &Known, found: &str) -> Outcome {
        let mut blamed = None;
        let (steps, _) = self.emulator.walk(&block.start, known, &[]);
        let mut before = CODE;
        for step in &steps {
            let truth = self.native(&block.start, &[step.ip]);
            if truth.ip != step.ip {
                break;
            }
            let (walked, _) = self.emulator.walk(&block.start, known, &[step.ip]);
            if let Some(found) = self.check(&block.start, &truth, &walked) {
                blamed = Some((before, found));
                break;
            }
            before = step.ip;
        }
        let (ip, found) = blamed.unwrap_or((before, found.to_owned()));
        let form = block.start.instruction_at(ip).code();
        Outcome::Wrong(form, format!("{}at {ip:#x}:\n{found}\n{:x?}", block.listing(), block.start.gpr))
    }
}

/// Whether the walk says that the instruction faults or traps.
fn says_fault(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::UnreadableMemory | Reason::UnreadableCode | Reason::InvalidInstruction | Reason::Fault
    )
}

fn is_division(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Div | Mnemonic::Idiv)
}

/// Instructions that a fault leaves half done.
fn is_done_in_parts(instruction: &Instruction) -> bool {
    (instruction.has_rep_prefix() || instruction.has_repne_prefix()) && instruction.is_string_instruction()
        || instruction.is_vsib()
        || instruction.mnemonic() == Mnemonic::Enter
}

impl Block {
    fn at(&self, ip: u64) -> Option<&Instruction> {
        self.instructions.iter().find(|instruction| instruction.ip() == ip)
    }

    fn listing(&self) -> String {
        let mut formatter = IntelFormatter::new();
        let mut listing = String::new();
        for instruction in &self.instructions {
            let mut text = String::new();
            formatter.format(instruction, &mut text);
            let first = (instruction.ip() - CODE) as usize;
            let bytes = &self.start.code[first..first + instruction.len()];
            let _ = writeln!(listing, "{:#x} {text}    {bytes:02x?}", instruction.ip());
        }
        listing
    }
}

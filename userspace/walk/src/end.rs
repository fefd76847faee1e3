//! How a walk ends.

use std::fmt;

/// The end of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The k-th access was found; it is the last one visited.
    Reached,
    /// The walk came to something it cannot know or follow.
    Unresolved(Reason),
}

/// Why a walk ended early. [`Reason::name`] is the stable name for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A branch depends on an unknown flag, register or memory value.
    UnknownBranch,
    /// An access whose address depends on an unknown register.
    UnknownAddress,
    /// Memory the target's mappings do not hold, or that could not be read.
    UnreadableMemory,
    /// The instruction's bytes could not be read.
    UnreadableCode,
    /// No instruction of x86-64, or one that always faults (`ud2`).
    InvalidInstruction,
    /// The code enters the kernel by itself; memory and registers may differ afterwards.
    SystemCall,
    /// A software interrupt, or an instruction that traps in user mode.
    Interrupt,
    /// An arithmetic fault: a division by zero or whose quotient does not fit.
    Fault,
    /// A gather, scatter or masked access whose mask or indices are unknown.
    MaskedAccess,
    /// Transactional memory: whether it aborts is not known.
    Transactional,
    /// A far call, jump or return, which changes the code segment.
    FarControl,
    /// `xsave`, `fxsave` and their like: their width is up to the machine's state.
    StateSave,
    /// The code sets a rounding mode of floating point that is not the default, or not known.
    RoundingMode,
    /// The walk's own stores changed the code it came to.
    SelfModifyingCode,
    /// The walk's limit on instructions.
    BudgetExceeded,
}

impl Reason {
    /// All reasons, in the order reports show them.
    pub const ALL: [Self; 15] = [
        Self::UnknownBranch,
        Self::UnknownAddress,
        Self::UnreadableMemory,
        Self::UnreadableCode,
        Self::InvalidInstruction,
        Self::SystemCall,
        Self::Interrupt,
        Self::Fault,
        Self::MaskedAccess,
        Self::Transactional,
        Self::FarControl,
        Self::StateSave,
        Self::RoundingMode,
        Self::SelfModifyingCode,
        Self::BudgetExceeded,
    ];

    /// The name reports and JSON use.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownBranch => "unknown_branch",
            Self::UnknownAddress => "unknown_address",
            Self::UnreadableMemory => "unreadable_memory",
            Self::UnreadableCode => "unreadable_code",
            Self::InvalidInstruction => "invalid_instruction",
            Self::SystemCall => "system_call",
            Self::Interrupt => "interrupt",
            Self::Fault => "fault",
            Self::MaskedAccess => "masked_access",
            Self::Transactional => "transactional",
            Self::FarControl => "far_control",
            Self::StateSave => "state_save",
            Self::RoundingMode => "rounding_mode",
            Self::SelfModifyingCode => "self_modifying_code",
            Self::BudgetExceeded => "budget_exceeded",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

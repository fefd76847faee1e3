//! What allocation functions do and where their arguments are.

/// A register that can hold an argument at a probed instruction: those the kernel programs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Register {
    /// First argument of the calling convention.
    Rdi = 0,
    /// Second.
    Rsi = 1,
    /// Third.
    Rdx = 2,
    /// Fourth.
    Rcx = 3,
}

impl Register {
    /// All of them, in the order of the calling convention.
    pub const ALL: [Self; 4] = [Self::Rdi, Self::Rsi, Self::Rdx, Self::Rcx];

    /// Position in the calling convention, 0–3.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// Where a function's arguments are: at its entry, or at a probed instruction, where they may have moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Arguments {
    /// Bytes asked for (of one element where there is a count), or passed back on a sized free.
    pub size: Option<Register>,
    /// Number of elements.
    pub count: Option<Register>,
    /// Block freed or resized, or the place where `posix_memalign` stores the new block's address.
    pub pointer: Option<Register>,
}

impl Arguments {
    /// The same with every register replaced by `moved`; `None` if one has no replacement.
    pub(super) fn relocate(self, moved: impl Fn(Register) -> Option<Register>) -> Option<Self> {
        let one = |register: Option<Register>| match register {
            None => Some(None),
            Some(register) => moved(register).map(Some),
        };
        Some(Self { size: one(self.size)?, count: one(self.count)?, pointer: one(self.pointer)? })
    }
}

/// What a call does to the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Returns a new block, or null.
    Alloc,
    /// Stores a new block's address where the pointer argument points, and returns 0.
    AllocOut,
    /// Resizes a block; returns its new address, or null.
    Realloc,
    /// Gives a block back.
    Free,
}

/// Allocation functions by meaning; `mallocx` is a [`AllocFn::Malloc`], `mi_heap_realloc` a [`AllocFn::Realloc`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the functions")]
pub enum AllocFn {
    Malloc,
    Calloc,
    Realloc,
    Reallocarray,
    Free,
    SizedFree,
    PosixMemalign,
    AlignedAlloc,
    Memalign,
    Valloc,
    Pvalloc,
    New,
    NewAligned,
    Delete,
    SizedDelete,
    RustAlloc,
    RustAllocZeroed,
    RustRealloc,
    RustDealloc,
}

impl AllocFn {
    /// What it does.
    pub fn action(self) -> Action {
        match self {
            Self::PosixMemalign => Action::AllocOut,
            Self::Realloc | Self::Reallocarray | Self::RustRealloc => Action::Realloc,
            Self::Free | Self::SizedFree | Self::Delete | Self::SizedDelete | Self::RustDealloc => {
                Action::Free
            }
            _ => Action::Alloc,
        }
    }

    /// Gives a block back and returns nothing.
    pub fn is_free(self) -> bool {
        self.action() == Action::Free
    }

    /// Only its return tells whether it succeeded, and which block it made.
    pub fn takes_return(self) -> bool {
        !self.is_free()
    }
}

/// Whose allocator a function belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the allocators")]
pub enum Family {
    Glibc,
    Jemalloc,
    Tcmalloc,
    Mimalloc,
    Musl,
    Rust,
    /// Any other, or one that cannot be told.
    Other,
}

/// How the size of a freed block can be known without having seen its allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FreedSize {
    /// glibc's chunk header: the 8 bytes before the block, low three bits masked, less 8, are its usable bytes.
    GlibcChunk,
    /// The caller passes it in the size argument.
    SizedArg,
    /// Not at all.
    Unknown,
}

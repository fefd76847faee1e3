//! The names under which allocation functions are known, and what each means.
//!
//! Sources: malloc(3), the manuals of jemalloc 5, gperftools and mimalloc 2, the Itanium C++ ABI's mangling of
//! `operator new` and `operator delete`, `library/alloc/src/alloc.rs` of Rust.

use super::kind::Register::{Rcx, Rdi, Rdx, Rsi};
use super::kind::{AllocFn, Arguments, Family, Register};

/// What a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    pub function: AllocFn,
    pub arguments: Arguments,
    /// The allocator, where the name alone tells.
    pub family: Option<Family>,
    /// Place in the order of preference among names of one address; the smallest is shown.
    pub rank: u8,
}

const fn args(size: Option<Register>, count: Option<Register>, pointer: Option<Register>) -> Arguments {
    Arguments { size, count, pointer }
}

const SIZE: Arguments = args(Some(Rdi), None, None);
const SIZE_SECOND: Arguments = args(Some(Rsi), None, None);
const COUNT_SIZE: Arguments = args(Some(Rsi), Some(Rdi), None);
const BLOCK: Arguments = args(None, None, Some(Rdi));
const BLOCK_SIZE: Arguments = args(Some(Rsi), None, Some(Rdi));
const BLOCK_COUNT_SIZE: Arguments = args(Some(Rdx), Some(Rsi), Some(Rdi));
const OUT_ALIGN_SIZE: Arguments = args(Some(Rdx), None, Some(Rdi));
const HEAP_COUNT_SIZE: Arguments = args(Some(Rdx), Some(Rsi), None);
const HEAP_BLOCK_SIZE: Arguments = args(Some(Rdx), None, Some(Rsi));
const BLOCK_OLD_ALIGN_SIZE: Arguments = args(Some(Rcx), None, Some(Rdi));

type Row = (&'static str, AllocFn, Arguments);

/// Plain names; also with an allocator's prefix.
const COMMON: [Row; 13] = [
    ("malloc", AllocFn::Malloc, SIZE),
    ("calloc", AllocFn::Calloc, COUNT_SIZE),
    ("realloc", AllocFn::Realloc, BLOCK_SIZE),
    ("free", AllocFn::Free, BLOCK),
    ("reallocarray", AllocFn::Reallocarray, BLOCK_COUNT_SIZE),
    ("posix_memalign", AllocFn::PosixMemalign, OUT_ALIGN_SIZE),
    ("aligned_alloc", AllocFn::AlignedAlloc, SIZE_SECOND),
    ("memalign", AllocFn::Memalign, SIZE_SECOND),
    ("valloc", AllocFn::Valloc, SIZE),
    ("pvalloc", AllocFn::Pvalloc, SIZE),
    ("cfree", AllocFn::Free, BLOCK),
    ("free_sized", AllocFn::SizedFree, BLOCK_SIZE),
    ("free_aligned_sized", AllocFn::SizedFree, args(Some(Rdx), None, Some(Rdi))),
];

/// Prefixes under which [`COMMON`] names appear. Longer ones first.
const PREFIXES: [(&str, Option<Family>); 6] = [
    ("__libc_", None),
    ("_rjem_", Some(Family::Jemalloc)),
    ("je_", Some(Family::Jemalloc)),
    ("tc_", Some(Family::Tcmalloc)),
    ("mi_", Some(Family::Mimalloc)),
    ("__", None),
];

const JEMALLOC: [Row; 4] = [
    ("mallocx", AllocFn::Malloc, SIZE),
    ("rallocx", AllocFn::Realloc, BLOCK_SIZE),
    ("dallocx", AllocFn::Free, BLOCK),
    ("sdallocx", AllocFn::SizedFree, BLOCK_SIZE),
];

const TCMALLOC: [Row; 12] = [
    ("tc_new", AllocFn::New, SIZE),
    ("tc_newarray", AllocFn::New, SIZE),
    ("tc_new_nothrow", AllocFn::New, SIZE),
    ("tc_newarray_nothrow", AllocFn::New, SIZE),
    ("tc_new_aligned", AllocFn::NewAligned, SIZE),
    ("tc_newarray_aligned", AllocFn::NewAligned, SIZE),
    ("tc_delete", AllocFn::Delete, BLOCK),
    ("tc_deletearray", AllocFn::Delete, BLOCK),
    ("tc_delete_sized", AllocFn::SizedDelete, BLOCK_SIZE),
    ("tc_deletearray_sized", AllocFn::SizedDelete, BLOCK_SIZE),
    ("tc_free_sized", AllocFn::SizedFree, BLOCK_SIZE),
    ("tc_malloc_skip_new_handler", AllocFn::Malloc, SIZE),
];

const MIMALLOC: [Row; 35] = [
    ("mi_zalloc", AllocFn::Malloc, SIZE),
    ("mi_malloc_small", AllocFn::Malloc, SIZE),
    ("mi_zalloc_small", AllocFn::Malloc, SIZE),
    ("mi_mallocn", AllocFn::Calloc, COUNT_SIZE),
    ("mi_malloc_aligned", AllocFn::AlignedAlloc, SIZE),
    ("mi_malloc_aligned_at", AllocFn::AlignedAlloc, SIZE),
    ("mi_zalloc_aligned", AllocFn::AlignedAlloc, SIZE),
    ("mi_zalloc_aligned_at", AllocFn::AlignedAlloc, SIZE),
    ("mi_calloc_aligned", AllocFn::Calloc, COUNT_SIZE),
    ("mi_realloc_aligned", AllocFn::Realloc, BLOCK_SIZE),
    ("mi_realloc_aligned_at", AllocFn::Realloc, BLOCK_SIZE),
    ("mi_rezalloc", AllocFn::Realloc, BLOCK_SIZE),
    ("mi_reallocf", AllocFn::Realloc, BLOCK_SIZE),
    ("mi_reallocn", AllocFn::Reallocarray, BLOCK_COUNT_SIZE),
    ("mi_recalloc", AllocFn::Reallocarray, BLOCK_COUNT_SIZE),
    ("mi_new", AllocFn::New, SIZE),
    ("mi_new_nothrow", AllocFn::New, SIZE),
    ("mi_new_aligned", AllocFn::NewAligned, SIZE),
    ("mi_new_aligned_nothrow", AllocFn::NewAligned, SIZE),
    ("mi_new_n", AllocFn::Calloc, COUNT_SIZE),
    ("mi_new_realloc", AllocFn::Realloc, BLOCK_SIZE),
    ("mi_new_reallocn", AllocFn::Reallocarray, BLOCK_COUNT_SIZE),
    ("mi_free_size", AllocFn::SizedFree, BLOCK_SIZE),
    ("mi_free_size_aligned", AllocFn::SizedFree, BLOCK_SIZE),
    ("mi_free_aligned", AllocFn::Free, BLOCK),
    ("mi_heap_malloc", AllocFn::Malloc, SIZE_SECOND),
    ("mi_heap_zalloc", AllocFn::Malloc, SIZE_SECOND),
    ("mi_heap_malloc_small", AllocFn::Malloc, SIZE_SECOND),
    ("mi_heap_calloc", AllocFn::Calloc, HEAP_COUNT_SIZE),
    ("mi_heap_mallocn", AllocFn::Calloc, HEAP_COUNT_SIZE),
    ("mi_heap_malloc_aligned", AllocFn::AlignedAlloc, SIZE_SECOND),
    ("mi_heap_malloc_aligned_at", AllocFn::AlignedAlloc, SIZE_SECOND),
    ("mi_heap_zalloc_aligned", AllocFn::AlignedAlloc, SIZE_SECOND),
    ("mi_heap_realloc", AllocFn::Realloc, HEAP_BLOCK_SIZE),
    ("mi_heap_realloc_aligned", AllocFn::Realloc, HEAP_BLOCK_SIZE),
];

/// In static programs musl's `malloc` is a jump to this.
const MUSL: [Row; 1] = [("__libc_malloc_impl", AllocFn::Malloc, SIZE)];

const RUST: [(&str, AllocFn, Arguments); 4] = [
    ("alloc", AllocFn::RustAlloc, SIZE),
    ("dealloc", AllocFn::RustDealloc, BLOCK_SIZE),
    ("realloc", AllocFn::RustRealloc, BLOCK_OLD_ALIGN_SIZE),
    ("alloc_zeroed", AllocFn::RustAllocZeroed, SIZE),
];

/// Meaning of the symbol `name`, whose binding is local if `local`.
pub(super) fn lookup(name: &[u8], local: bool) -> Option<Meaning> {
    let name = std::str::from_utf8(name).ok()?;
    match name.as_bytes() {
        [b'_', b'Z', ..] | [b'_', b'R', ..] => operator(name).or_else(|| rust(name)),
        [b'_' | b'a' | b'c' | b'd' | b'f' | b'j' | b'm' | b'p' | b'r' | b's' | b't' | b'v', ..] => {
            // A file-local function of a common name is somebody's own affair.
            let common = || (!local).then(|| row(&COMMON, name, None, 0)).flatten();
            common().or_else(|| prefixed(name)).or_else(|| special(name)).or_else(|| rust(name))
        }
        _ => None,
    }
}

/// Whether a function as reports name it, demangled, belongs to an allocator's interface.
pub fn is_allocation_function(name: &str) -> bool {
    const LANGUAGES: [&str; 5] =
        ["operator new", "operator delete", "alloc::alloc::", "__rustc::__r", "std::alloc::"];
    LANGUAGES.iter().any(|prefix| name.starts_with(prefix))
        || name.contains(" as core::alloc::global::GlobalAlloc>::")
        || lookup(name.as_bytes(), false).is_some()
}

fn row(table: &[Row], name: &str, family: Option<Family>, rank: u8) -> Option<Meaning> {
    let (_, function, arguments) = table.iter().find(|(known, ..)| *known == name)?;
    Some(Meaning { function: *function, arguments: *arguments, family, rank })
}

fn prefixed(name: &str) -> Option<Meaning> {
    PREFIXES.iter().find_map(|(prefix, family)| {
        let rest = name.strip_prefix(prefix)?;
        let jemalloc =
            || (*family == Some(Family::Jemalloc)).then(|| row(&JEMALLOC, rest, *family, 2)).flatten();
        row(&COMMON, rest, *family, 2).or_else(jemalloc)
    })
}

fn special(name: &str) -> Option<Meaning> {
    row(&JEMALLOC, name, Some(Family::Jemalloc), 1)
        .or_else(|| row(&TCMALLOC, name, Some(Family::Tcmalloc), 3))
        .or_else(|| row(&MIMALLOC, name, Some(Family::Mimalloc), 3))
        .or_else(|| row(&MUSL, name, Some(Family::Musl), 3))
}

/// The replaceable `operator new` and `operator delete`; not placement or class forms.
fn operator(name: &str) -> Option<Meaning> {
    let array = name.starts_with("_Zna") || name.starts_with("_Zda");
    let rank = 1 + u8::from(array);
    let meaning = |function, arguments| Some(Meaning { function, arguments, family: None, rank });
    if let Some(rest) = name.strip_prefix("_Znwm").or_else(|| name.strip_prefix("_Znam")) {
        return match rest {
            "" | "RKSt9nothrow_t" | "12__hot_cold_t" | "RKSt9nothrow_t12__hot_cold_t" => {
                meaning(AllocFn::New, SIZE)
            }
            "St11align_val_t" | "St11align_val_tRKSt9nothrow_t" => meaning(AllocFn::NewAligned, SIZE),
            _ => None,
        };
    }
    match name.strip_prefix("_ZdlPv").or_else(|| name.strip_prefix("_ZdaPv"))? {
        "" | "RKSt9nothrow_t" | "St11align_val_t" | "St11align_val_tRKSt9nothrow_t" => {
            meaning(AllocFn::Delete, BLOCK)
        }
        "m" | "mSt11align_val_t" => meaning(AllocFn::SizedDelete, BLOCK_SIZE),
        _ => None,
    }
}

/// `__rust_alloc` and its kin: plain, or mangled as a member of the crate `__rustc` in either scheme.
fn rust(name: &str) -> Option<Meaning> {
    let mangled = name.contains("7___rustc");
    let base = if mangled { &name[name.find("7___rustc")? + "7___rustc".len()..] } else { name };
    RUST.iter().find_map(|(suffix, function, arguments)| {
        ["__rust_", "__rdl_", "__rg_"].iter().find_map(|prefix| {
            let matches = if mangled {
                let identifier = format!("{}_{prefix}{suffix}", prefix.len() + suffix.len());
                base.strip_prefix(&identifier).is_some_and(|rest| rest.is_empty() || rest.starts_with("17h"))
            } else {
                base.strip_prefix(prefix) == Some(*suffix)
            };
            let meaning =
                Meaning { function: *function, arguments: *arguments, family: Some(Family::Rust), rank: 4 };
            matches.then_some(meaning)
        })
    })
}

/// Functions that never return; a path ending in one of them allocates nothing.
pub(super) fn never_returns(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 12] = [
        b"abort",
        b"_exit",
        b"exit",
        b"__stack_chk_fail",
        b"__fortify_fail",
        b"__assert_fail",
        b"__cxa_throw",
        b"__cxa_rethrow",
        b"__cxa_throw_bad_array_new_length",
        b"_Unwind_Resume",
        b"_ZSt17__throw_bad_allocv",
        b"_ZSt9terminatev",
    ];
    NAMES.contains(&name)
}

/// The function that says where `errno` is.
pub(super) fn is_errno_location(name: &[u8]) -> bool {
    matches!(name, b"__errno_location" | b"___errno_location")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str) -> Option<AllocFn> {
        lookup(name.as_bytes(), false).map(|meaning| meaning.function)
    }

    #[test]
    fn names_of_every_allocator_are_known() {
        for (name, expected) in [
            ("malloc", AllocFn::Malloc),
            ("__libc_calloc", AllocFn::Calloc),
            ("__posix_memalign", AllocFn::PosixMemalign),
            ("_rjem_sdallocx", AllocFn::SizedFree),
            ("je_realloc", AllocFn::Realloc),
            ("mallocx", AllocFn::Malloc),
            ("tc_delete_sized", AllocFn::SizedDelete),
            ("mi_heap_realloc", AllocFn::Realloc),
            ("_Znam", AllocFn::New),
            ("_ZnwmSt11align_val_tRKSt9nothrow_t", AllocFn::NewAligned),
            ("_ZdaPvm", AllocFn::SizedDelete),
            ("__rust_alloc", AllocFn::RustAlloc),
            ("__rdl_alloc_zeroed", AllocFn::RustAllocZeroed),
            ("_RNvCsfLfy6EI15iL_7___rustc12___rust_alloc", AllocFn::RustAlloc),
            ("_RNvCsfLfy6EI15iL_7___rustc13___rdl_realloc", AllocFn::RustRealloc),
            ("_ZN7___rustc14___rust_dealloc17h0123456789abcdefE", AllocFn::RustDealloc),
        ] {
            assert_eq!(function(name), Some(expected), "{name}");
        }
    }

    #[test]
    fn functions_are_known_as_reports_name_them() {
        for name in [
            "malloc",
            "je_calloc",
            "operator new(unsigned long)",
            "alloc::alloc::alloc",
            "__rustc::__rust_alloc",
            "<sampler::Sampler as core::alloc::global::GlobalAlloc>::alloc",
        ] {
            assert!(is_allocation_function(name), "{name}");
        }
        for name in ["main", "operator==(A, B)", "alloc::vec::Vec<T>::push", "my_malloc_user", ""] {
            assert!(!is_allocation_function(name), "{name}");
        }
    }

    #[test]
    fn look_alikes_are_not_taken() {
        for name in [
            "",
            "mallocs",
            "_ZnwmPv",
            "_ZN3FoonwEm",
            "__rust_alloc_error_handler",
            "_RNvCsfLfy6EI15iL_7___rustc26___rust_alloc_error_handler",
            "_RNvCsfLfy6EI15iL_7___rustc35___rust_no_alloc_shim_is_unstable_v2",
            "je_",
            "frees",
        ] {
            assert_eq!(function(name), None, "{name}");
        }
        assert_eq!(lookup(b"free", true), None, "a file-local `free`");
        assert!(lookup(b"_rjem_malloc", true).is_some());
    }
}

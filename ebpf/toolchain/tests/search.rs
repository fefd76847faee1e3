//! Which toolchain is chosen, and what is said when none can be.
#![expect(clippy::unwrap_used, reason = "helpers of tests, too")]

mod fake;

use fake::{Machine, NIGHTLY, Rustc, STABLE};
use waytrace_ebpf_toolchain::{
    DISTRIBUTION_INSTALL, LINKER_INSTALL, Lack, Missing, Origin, RUSTUP_ADD_SOURCE, RUSTUP_INSTALL,
};

/// Why rustup and the distribution have no usable compiler.
fn lacks(missing: &Missing) -> (Lack, Lack) {
    let (rustup, distribution) = missing.compilers.clone().unwrap();
    (rustup.lack, distribution.lack)
}

#[test]
fn a_nightly_comes_before_the_rest() {
    let machine = Machine::new()
        .linker()
        .toolchain("1.95.0", STABLE)
        .toolchain("nightly", NIGHTLY)
        .distribution(STABLE);
    let found = machine.search().find().unwrap();
    assert_eq!(found.compiler.origin, Origin::Rustup);
    assert_eq!(found.compiler.version, "1.97.0-nightly");
    assert_eq!(found.compiler.rustc, machine.path("toolchains/nightly/bin/rustc"));
    assert_eq!(found.compiler.llvm, machine.path("toolchains/nightly/lib/libLLVM.so.22.1"));
    assert_eq!(found.linker, machine.path("cargo/bin/bpf-linker"));
}

#[test]
fn a_stable_with_source_serves_when_the_nightly_has_none() {
    let bare = Rustc { source: false, ..NIGHTLY };
    let machine = Machine::new().linker().toolchain("nightly", bare).toolchain("stable", STABLE);
    assert_eq!(machine.search().find().unwrap().compiler.version, "1.95.0");
}

#[test]
fn the_distribution_serves_when_rustup_cannot() {
    let machine =
        Machine::new().linker().toolchain("nightly", Rustc { source: false, ..NIGHTLY }).distribution(STABLE);
    let found = machine.search().find().unwrap();
    assert_eq!(found.compiler.origin, Origin::Distribution);
    assert_eq!(found.compiler.llvm, machine.path("usr/lib/x86_64-linux-gnu/libLLVM.so.22.1"));
}

#[test]
fn a_bare_nightly_is_mended_by_adding_the_source() {
    let machine = Machine::new().linker().toolchain("nightly", Rustc { source: false, ..NIGHTLY });
    let missing = machine.search().find().unwrap_err();
    assert_eq!(lacks(&missing), (Lack::Source, Lack::Compiler));
    assert_eq!(missing.commands(), [RUSTUP_ADD_SOURCE]);
}

#[test]
fn a_rustup_without_nightly_is_mended_by_installing_one() {
    let machine = Machine::new().linker().toolchain("stable", Rustc { source: false, ..STABLE });
    let missing = machine.search().find().unwrap_err();
    assert_eq!(lacks(&missing), (Lack::Compiler, Lack::Compiler));
    assert_eq!(missing.commands(), [RUSTUP_INSTALL]);
}

#[test]
fn an_empty_machine_lacks_everything() {
    let missing = Machine::new().search().find().unwrap_err();
    assert_eq!(lacks(&missing), (Lack::Rustup, Lack::Compiler));
    assert_eq!(missing.commands(), [DISTRIBUTION_INSTALL, LINKER_INSTALL]);
    assert!(missing.to_string().contains("bpf-linker is not installed"), "{missing}");
}

#[test]
fn only_the_linker_is_missing() {
    let missing = Machine::new().toolchain("nightly", NIGHTLY).search().find().unwrap_err();
    assert_eq!(missing, Missing { compilers: None, linker: true });
    assert_eq!(missing.commands(), [LINKER_INSTALL]);
}

#[test]
fn unsuitable_compilers_are_named_with_the_reason() {
    let old = Rustc { release: "1.63.0", llvm: "14.0.6", source: true };
    let next = Rustc { llvm: "23.0.0", ..NIGHTLY };
    let missing = Machine::new().toolchain("nightly", next).distribution(old).search().find().unwrap_err();
    assert_eq!(lacks(&missing), (Lack::Llvm(23), Lack::Age("1.63.0".to_owned())));
}

#[test]
fn a_compiler_that_does_not_run_is_not_chosen() {
    let machine = Machine::new().linker().toolchain("nightly", NIGHTLY);
    fake::script(&machine.path("toolchains/nightly/bin/rustc"), "exit 1");
    assert_eq!(lacks(&machine.search().find().unwrap_err()).0, Lack::Answer);
}

//! What the compiler is started with, and what comes back from it.
#![expect(clippy::unwrap_used, reason = "helpers of tests, too")]

mod fake;

use fake::{Machine, NIGHTLY, STABLE, script};
use std::fs;
use waytrace_ebpf_toolchain::{BuildError, Toolchain};

/// A cargo that leaves its arguments and environment in the workspace and "builds" a file.
const RECORDS: &str = r#"
echo "$@" > args; env > env
while [ "$1" != --target-dir ]; do shift; done
mkdir -p "$2/bpfel-unknown-none/release"
printf object > "$2/bpfel-unknown-none/release/waytrace-ebpf"
echo 'warning: something unused' >&2"#;

fn with_cargo(machine: Machine, cargo: &str) -> (Machine, Toolchain) {
    let toolchain = machine.search().find().unwrap();
    script(&toolchain.compiler.cargo, cargo);
    (machine, toolchain)
}

#[test]
fn the_callers_cargo_does_not_leak_in() {
    let (machine, toolchain) = with_cargo(Machine::new().linker().toolchain("nightly", NIGHTLY), RECORDS);
    let built = toolchain.build(&machine.path(""), &machine.path("out")).unwrap();
    assert_eq!(fs::read_to_string(&built.object).unwrap(), "object");
    assert_eq!(built.warnings, "warning: something unused\n");

    // Cargo runs this test, so its variables are there to leak.
    assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
    let env = fs::read_to_string(machine.path("env")).unwrap();
    assert!(!env.contains("CARGO_PKG_NAME="), "{env}");
    assert!(env.contains(&format!("RUSTC={}\n", toolchain.compiler.rustc.display())), "{env}");
    assert!(env.contains(&format!("-Clinker={}\n", toolchain.linker.display())), "{env}");
    assert!(env.contains(&format!("PATH={}:", machine.path("toolchains/nightly/bin").display())), "{env}");
    let args = fs::read_to_string(machine.path("args")).unwrap();
    assert!(args.contains("--target bpfel-unknown-none -Zbuild-std=core"), "{args}");
}

#[test]
fn the_linker_meets_only_the_compilers_own_llvm() {
    let (machine, toolchain) = with_cargo(Machine::new().linker().distribution(STABLE), RECORDS);
    for _ in 0..2 {
        toolchain.build(&machine.path(""), &machine.path("out")).unwrap();
    }
    let env = fs::read_to_string(machine.path("env")).unwrap();
    let dir = machine.path("out/llvm-distribution");
    assert!(env.contains(&format!("LD_LIBRARY_PATH={}\n", dir.display())), "{env}");
    let files: Vec<_> = dir.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files, [dir.join("libLLVM.so")]);
    assert_eq!(fs::read_link(&files[0]).unwrap(), machine.path("usr/lib/x86_64-linux-gnu/libLLVM.so.22.1"));
}

#[test]
fn the_compilers_message_reaches_the_reader() {
    let cargo = "echo 'error[E0425]: cannot find value `nope`' >&2; exit 101";
    let (machine, toolchain) = with_cargo(Machine::new().linker().toolchain("nightly", NIGHTLY), cargo);
    let error = toolchain.build(&machine.path(""), &machine.path("out")).unwrap_err();
    assert!(matches!(error, BuildError::Compile { .. }), "{error}");
    assert!(error.to_string().contains("cannot find value `nope`"), "{error}");
}

#[test]
fn a_build_that_leaves_no_object_names_the_file() {
    let (machine, toolchain) = with_cargo(Machine::new().linker().toolchain("nightly", NIGHTLY), "");
    let error = toolchain.build(&machine.path(""), &machine.path("out")).unwrap_err();
    assert!(error.to_string().contains("out/bpfel-unknown-none/release/waytrace-ebpf"), "{error}");
}

//! Builds the kernel programs into `$OUT_DIR/waytrace-ebpf.o`.
//!
//! Without a toolchain for the bpf target, or with `WAYTRACE_EBPF=stub`, the file is empty, so that checking
//! and linting work everywhere; the loader then says at run time that the kernel part is missing.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

/// Reports an error as text: the compiler's messages are unreadable in the `Debug` form that `main` would print.
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = manifest.ancestors().nth(2).ok_or("the crate is not at userspace/trace of the workspace")?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    for input in
        ["ebpf/Cargo.toml", "ebpf/src", "ebpf/abi/Cargo.toml", "ebpf/abi/src", "Cargo.toml", "Cargo.lock"]
    {
        println!("cargo:rerun-if-changed={}", root.join(input).display());
    }
    println!("cargo:rerun-if-env-changed=WAYTRACE_EBPF");
    fs::write(out_dir.join("waytrace-ebpf.o"), object(root, &out_dir)?)?;
    Ok(())
}

/// The bytes of the object; none for a stub.
fn object(root: &Path, out_dir: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    if env::var("WAYTRACE_EBPF").is_ok_and(|value| value == "stub") {
        println!("cargo:warning=the kernel programs are left out, because WAYTRACE_EBPF=stub");
        return Ok(Vec::new());
    }
    let toolchain = match waytrace_ebpf_toolchain::find() {
        Ok(toolchain) => toolchain,
        Err(missing) => {
            println!("cargo:warning=the kernel programs are left out: {missing} (or: cargo xtask setup)");
            // A file that never exists makes cargo ask again next time, when the toolchain may be there.
            println!("cargo:rerun-if-changed={}", out_dir.join("toolchain-missing").display());
            return Ok(Vec::new());
        }
    };
    let built = toolchain.build(root, &target_dir(out_dir))?;
    for line in built.warnings.lines() {
        println!("cargo:warning={line}");
    }
    Ok(fs::read(built.object)?)
}

/// `ebpf` in the target folder, so that debug, release and clippy builds share one build of core. Cargo marks
/// the target folder with `CACHEDIR.TAG`.
fn target_dir(out_dir: &Path) -> PathBuf {
    let target = out_dir.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.unwrap_or(out_dir).join("ebpf")
}

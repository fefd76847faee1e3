//! Compiles programs, stops them where they stop themselves, and reads registers and stack bytes.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use object::{Object, ObjectSymbol};

use crate::process::{Mapping, mappings, open_path, threads};
use crate::unwind::layout::Layout;
use crate::unwind::{Registers, Stack, Unwinder};

/// Compiles `source` with `compiler`; the binary's name is the first part of the returned path's file name.
pub fn compile(directory: &Path, compiler: &str, extension: &str, source: &str, flags: &[&str]) -> PathBuf {
    let input = directory.join(format!("program.{extension}"));
    let output = directory.join("program");
    fs::write(&input, source).unwrap();
    let done = Command::new(compiler).arg(&input).arg("-o").arg(&output).args(flags).output().unwrap();
    assert!(done.status.success(), "{compiler}: {}", String::from_utf8_lossy(&done.stderr));
    output
}

/// A process stopped by its own SIGSTOP (or, for a program not ours, wherever it was); killed on drop.
pub struct Stopped {
    child: Child,
    pub maps: Vec<Mapping>,
}

/// What the kernel side would have sent.
pub struct Capture {
    pub registers: Registers,
    pub bytes: Vec<u8>,
}

impl Stopped {
    /// Runs the program until it stops itself.
    pub fn run(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut status = 0;
        // SAFETY: waits for a child of this process and writes to a live local.
        let pid = unsafe { libc::waitpid(child.id() as i32, &mut status, libc::WUNTRACED) };
        assert!(pid == child.id() as i32 && libc::WIFSTOPPED(status), "stopped by itself: {status:#x}");
        let maps = mappings(child.id()).unwrap();
        Self { child, maps }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Registers and at most `len` bytes of stack of each thread, the main thread first.
    pub fn capture(&self, len: usize) -> Vec<Capture> {
        threads(self.pid()).unwrap().into_iter().map(|tid| capture(tid as i32, &self.maps, len)).collect()
    }

    /// Unwinds one capture with a fresh unwinder.
    pub fn unwind(&self, capture: &Capture) -> Stack {
        let mut unwinder = Unwinder::new();
        unwinder.sync(self.pid(), &self.maps);
        unwinder.unwind(self.pid(), capture.registers, &capture.bytes, 256)
    }

    /// Names of a stack's functions by the files' own symbol tables, `?` where there is none.
    pub fn names(&self, stack: &Stack) -> Vec<String> {
        let mut tables = HashMap::new();
        stack.addresses.iter().map(|&address| self.name(&mut tables, address)).collect()
    }

    fn name(&self, tables: &mut HashMap<PathBuf, Table>, address: u64) -> String {
        let unknown = || "?".to_owned();
        let Some(mapping) = self.maps.iter().find(|m| m.contains(address)) else { return unknown() };
        let Some(offset) = mapping.file_offset_of(address) else { return mapping.module() };
        let path = open_path(self.pid(), mapping);
        let table = tables.entry(path.clone()).or_insert_with(|| Table::read(&path));
        let svma = table.layout.svma_of(offset).unwrap();
        let found = table.symbols.iter().find(|(start, size, _)| (*start..start + size).contains(&svma));
        found.map_or_else(unknown, |(_, _, name)| name.clone())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Table {
    layout: Layout,
    symbols: Vec<(u64, u64, String)>,
}

impl Table {
    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let symbols = file.symbols().chain(file.dynamic_symbols()).filter(|s| s.is_definition());
        let symbols = symbols.map(|s| (s.address(), s.size(), s.name().unwrap().to_owned())).collect();
        Self { layout: Layout::parse(&bytes).unwrap(), symbols }
    }
}

fn capture(tid: i32, maps: &[Mapping], len: usize) -> Capture {
    let null = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: plain old data, for which zero is valid.
    let mut regs: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    // SAFETY: the tracee is a thread of a child of this test; the only memory written is the live local.
    unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, tid, null, null), 0);
        assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, tid, null, null), 0);
        assert_eq!(libc::waitpid(tid, std::ptr::null_mut(), libc::__WALL), tid);
        assert_eq!(libc::ptrace(libc::PTRACE_GETREGS, tid, null, &raw mut regs), 0);
    }
    let stack = maps.iter().find(|m| m.contains(regs.rsp)).unwrap();
    let mut bytes = vec![0; len.min((stack.end - regs.rsp) as usize)];
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: regs.rsp as *mut libc::c_void, iov_len: bytes.len() };
    // SAFETY: `local` covers the live vector; the remote side is checked by the kernel.
    let read = unsafe { libc::process_vm_readv(tid, &local, 1, &remote, 1, 0) };
    assert_eq!(read, bytes.len() as isize);
    // SAFETY: detaching has no memory effects.
    unsafe { libc::ptrace(libc::PTRACE_DETACH, tid, null, null) };
    Capture { registers: Registers { ip: regs.rip, sp: regs.rsp, bp: regs.rbp }, bytes }
}

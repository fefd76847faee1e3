//! The truth: a child under ptrace that runs a block on the processor and stops where the block ends or faults.
//!
//! Code and arena are shared memory at the same fixed addresses in both processes, below 2 GiB so that every
//! addressing mode reaches them. The child never leaves the block once it has been started.

use std::io::{Error, Result};
use std::ptr::{null_mut, slice_from_raw_parts_mut};

use super::extended::Extended;
use super::start::{ARENA, ARENA_BYTES, CODE, CODE_BYTES, Start, Vector};

/// The one-byte breakpoint that ends a block.
const INT3: u8 = 0xcc;

/// Where and how a run ended, and what the processor then held.
#[derive(Clone)]
pub struct Finish {
    /// The instruction not executed any more.
    pub ip: u64,
    /// 0 at a planned end, or the signal a fault raised.
    pub signal: i32,
    /// The address that faulted, of `SIGSEGV`; 0 where the processor names none.
    pub fault: u64,
    pub gpr: [u64; 16],
    pub flags: u64,
    pub fs_base: u64,
    pub gs_base: u64,
    pub vectors: [Vector; 32],
    pub masks: [u64; 8],
    pub arena: Vec<u8>,
}

pub struct Processor {
    child: libc::pid_t,
    code: *mut [u8],
    arena: *mut [u8],
    registers: libc::user_regs_struct,
    extended: Extended,
}

impl Processor {
    /// Maps the memory and starts the child. Call it once per process, on the thread that runs blocks.
    ///
    /// # Errors
    /// What the kernel forbids: mapping the fixed addresses, `fork` or `ptrace`.
    pub fn new() -> Result<Self> {
        let code = shared(CODE, CODE_BYTES, libc::PROT_EXEC)?;
        let arena = shared(ARENA, ARENA_BYTES, 0)?;
        // SAFETY: the child calls only functions that are safe after fork in a program with threads.
        let child = check(unsafe { libc::fork() }.into())? as libc::pid_t;
        if child == 0 {
            be_traced();
        }
        let mut processor = Self {
            child,
            code,
            arena,
            // SAFETY: integers, for which zero is a value.
            registers: unsafe { std::mem::zeroed() },
            extended: Extended::default(),
        };
        processor.wait()?;
        processor.ptrace(libc::PTRACE_SETOPTIONS, 0, libc::PTRACE_O_EXITKILL as usize)?;
        processor.read_registers()?;
        processor.extended.keep_fresh();
        Ok(processor)
    }

    /// Makes `start` one that this processor can have.
    pub fn restrict(&self, start: &mut Start) {
        self.extended.restrict(start);
    }

    /// Runs `start` until one of `ends` or a fault.
    ///
    /// # Errors
    /// Of `ptrace` and `waitpid`.
    pub fn run(&mut self, start: &Start, ends: &[u64]) -> Result<Finish> {
        self.load_memory(start, ends);
        self.load_registers(start)?;
        self.ptrace(libc::PTRACE_CONT, 0, 0)?;
        let signal = self.wait()?;
        self.read_registers()?;
        let stopped = self.registers.rip;
        let planned = signal == libc::SIGTRAP && ends.contains(&(stopped - 1));
        let finish = Finish {
            ip: if planned { stopped - 1 } else { stopped },
            signal: if planned { 0 } else { signal },
            fault: if signal == libc::SIGSEGV { self.fault_address()? } else { 0 },
            gpr: gpr(&self.registers),
            flags: self.registers.eflags,
            fs_base: self.registers.fs_base,
            gs_base: self.registers.gs_base,
            vectors: std::array::from_fn(|number| self.extended.vector(number)),
            masks: std::array::from_fn(|number| self.extended.mask(number)),
            // SAFETY: the arena is mapped for the life of the process, and the child is stopped.
            arena: unsafe { &*self.arena }.to_vec(),
        };
        Ok(finish)
    }

    fn load_memory(&mut self, start: &Start, ends: &[u64]) {
        // SAFETY: both areas are mapped for the life of the process, nothing else refers to them, and the child is stopped.
        let (code, arena) = unsafe { (&mut *self.code, &mut *self.arena) };
        code.fill(INT3);
        code[..start.code.len()].copy_from_slice(&start.code);
        for end in ends {
            if let Some(byte) = code.get_mut(end.wrapping_sub(CODE) as usize) {
                *byte = INT3;
            }
        }
        arena.copy_from_slice(&start.arena);
    }

    fn load_registers(&mut self, start: &Start) -> Result<()> {
        let mut registers = self.registers;
        set_gpr(&mut registers, &start.gpr);
        registers.rip = CODE;
        registers.eflags = start.flags;
        registers.orig_rax = u64::MAX; // Not in a system call: nothing to restart.
        (registers.fs_base, registers.gs_base) = (start.fs_base, start.gs_base);
        // A far branch may have led into 32-bit mode; these are Linux's selectors for 64-bit programs.
        (registers.cs, registers.ss) = (0x33, 0x2b);
        (registers.ds, registers.es, registers.fs, registers.gs) = (0, 0, 0, 0);
        let place = (&raw mut registers) as usize;
        self.ptrace(libc::PTRACE_SETREGS, 0, place)?;
        self.extended.load(start);
        self.extended_state(libc::PTRACE_SETREGSET)
    }

    fn read_registers(&mut self) -> Result<()> {
        let place = (&raw mut self.registers) as usize;
        self.ptrace(libc::PTRACE_GETREGS, 0, place)?;
        self.extended_state(libc::PTRACE_GETREGSET)
    }

    fn extended_state(&mut self, request: libc::c_uint) -> Result<()> {
        const NT_X86_XSTATE: usize = 0x202;
        let area = &mut self.extended.area;
        let mut area = libc::iovec { iov_base: area.as_mut_ptr().cast(), iov_len: area.len() };
        self.ptrace(request, NT_X86_XSTATE, (&raw mut area) as usize)?;
        self.extended.area.truncate(area.iov_len);
        Ok(())
    }

    fn fault_address(&self) -> Result<u64> {
        // SAFETY: plain data, for which zero is a value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        self.ptrace(libc::PTRACE_GETSIGINFO, 0, (&raw mut info) as usize)?;
        // SAFETY: the signal is SIGSEGV, whose information has an address.
        Ok(unsafe { info.si_addr() } as u64)
    }

    fn wait(&self) -> Result<i32> {
        let mut status = 0;
        // SAFETY: waits for our child and writes into `status`.
        check(unsafe { libc::waitpid(self.child, &raw mut status, 0) }.into())?;
        if libc::WIFSTOPPED(status) {
            Ok(libc::WSTOPSIG(status))
        } else {
            Err(Error::other(format!("the traced child ended with status {status:#x}")))
        }
    }

    fn ptrace(&self, request: libc::c_uint, address: usize, data: usize) -> Result<()> {
        // SAFETY: `data` is a number or the address of a structure of the size that `request` expects.
        check(unsafe { libc::ptrace(request, self.child, address, data) }).map(drop)
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        // SAFETY: the child is ours and has not been waited for.
        unsafe {
            libc::kill(self.child, libc::SIGKILL);
            libc::waitpid(self.child, null_mut(), 0);
        }
    }
}

fn be_traced() -> ! {
    // SAFETY: system calls only. The parent kills this process before it could leave the block it is given.
    unsafe {
        let second = libc::timeval { tv_sec: 1, tv_usec: 0 };
        // A block that does not end is stopped by this timer's signal.
        libc::setitimer(
            libc::ITIMER_VIRTUAL,
            &libc::itimerval { it_interval: second, it_value: second },
            null_mut(),
        );
        if libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) == 0 {
            libc::raise(libc::SIGSTOP);
        }
        libc::_exit(1);
    }
}

/// Memory at a fixed address that the child will share; `more` than readable and writable.
fn shared(address: u64, bytes: usize, more: libc::c_int) -> Result<*mut [u8]> {
    // SAFETY: MAP_FIXED_NOREPLACE takes nothing from anybody.
    let place = unsafe {
        libc::mmap(
            address as *mut libc::c_void,
            bytes,
            libc::PROT_READ | libc::PROT_WRITE | more,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE,
            -1,
            0,
        )
    };
    if place == libc::MAP_FAILED {
        return Err(Error::last_os_error());
    }
    Ok(slice_from_raw_parts_mut(place.cast(), bytes))
}

fn check(result: libc::c_long) -> Result<libc::c_long> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

/// The general registers in the order of their numbers in the encoding.
fn gpr(r: &libc::user_regs_struct) -> [u64; 16] {
    [
        r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13,
        r.r14, r.r15,
    ]
}

fn set_gpr(r: &mut libc::user_regs_struct, values: &[u64; 16]) {
    [
        r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13,
        r.r14, r.r15,
    ] = *values;
}

//! Which instruction forms are run.

use iced_x86::{Code, CpuidFeature, Mnemonic, OpCodeOperandKind};

/// All forms of 64-bit mode that a program may run without leaving the block for good or waiting.
pub fn all() -> Vec<Code> {
    Code::values()
        .filter(|form| form.op_code().is_instruction() && form.op_code().mode64() && !leaves(*form))
        .collect()
}

/// Forms that enter the kernel or the hypervisor, wait, or end the block as its own breakpoint does.
fn leaves(form: Code) -> bool {
    use Mnemonic::*;
    let mnemonic = matches!(
        form.mnemonic(),
        Syscall
            | Sysenter
            | Int
            | Int1
            | Int3
            | Into
            | Vmcall
            | Vmmcall
            | Monitorx
            | Mwaitx
            | Umonitor
            | Umwait
            | Tpause
            | Sysret
            | Sysretq
            | Sysexit
            | Sysexitq
    );
    // `movsxd` of 16 bits reads 2 bytes on some processors and 4 on others.
    mnemonic
        || form == Code::Movsxd_r16_rm16
        || form.op_code().op_kinds().contains(&OpCodeOperandKind::sibmem)
}

/// Forms that change how those behind them work, so that they are run alone: control registers of floating point.
pub fn is_run_alone(form: Code) -> bool {
    let changes = form.cpuid_features().contains(&CpuidFeature::FPU);
    changes
        || form.op_code().is_save_restore()
        || matches!(form.mnemonic(), Mnemonic::Ldmxcsr | Mnemonic::Vldmxcsr)
}

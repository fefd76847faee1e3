//! Which instructions the kernel executes itself when a uprobe sits on them.
//!
//! Everything else is single-stepped out of line, at 30 times the cost. What is listed here holds from 5.15 on;
//! multi-byte nops came in 6.18 and are left out. Source: `branch_setup_xol_ops`, `push_setup_xol_ops` and
//! `is_prefix_bad` in `arch/x86/kernel/uprobes.c`.

use iced_x86::{Code, EncodingKind, Instruction};

/// Whether the kernel emulates the instruction with these bytes. `calls`: count `call` too, whose emulation
/// does not push to a hardware shadow stack on older kernels.
pub(crate) fn is_emulated(instruction: &Instruction, bytes: &[u8], calls: bool) -> bool {
    match instruction.code() {
        // One byte, or REX.B for r8–r15: another REX prefix is not recognised.
        Code::Push_r64 => matches!(bytes, [0x50..=0x57] | [0x41, 0x50..=0x57]),
        Code::Nopd => matches!(bytes, [0x90]),
        Code::Jmp_rel8_64 | Code::Jmp_rel32_64 => plain(bytes),
        Code::Call_rel32_64 => calls && plain(bytes),
        _ => instruction.is_jcc_short_or_near() && plain(bytes),
    }
}

/// Whether the kernel accepts a uprobe there at all.
pub(crate) fn is_probeable(instruction: &Instruction, bytes: &[u8]) -> bool {
    instruction.encoding() == EncodingKind::Legacy
        && !bytes
            .iter()
            .take_while(|byte| is_legacy_prefix(**byte))
            .any(|byte| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0xf0))
        && !matches!(
            instruction.code(),
            Code::INVALID
                | Code::Int3
                | Code::Int_imm8
                | Code::Int1
                | Code::Hlt
                | Code::Cli
                | Code::Sti
                | Code::Syscall
                | Code::Ud2
        )
}

/// No operand-size, segment (branch hint) or lock prefix.
fn plain(bytes: &[u8]) -> bool {
    !bytes.iter().take_while(|byte| is_legacy_prefix(**byte)).any(|byte| !matches!(byte, 0xf2))
}

fn is_legacy_prefix(byte: u8) -> bool {
    matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3)
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions};

    use super::*;

    fn decode(bytes: &[u8]) -> Instruction {
        let instruction = Decoder::with_ip(64, bytes, 0x1000, DecoderOptions::NONE).decode();
        assert_eq!(instruction.len(), bytes.len(), "{bytes:x?}");
        instruction
    }

    #[test]
    fn the_kernels_list_is_met() {
        let cheap: [&[u8]; 9] = [
            &[0x55],
            &[0x41, 0x54],
            &[0x90],
            &[0x74, 5],
            &[0x0f, 0x87, 1, 0, 0, 0],
            &[0xeb, 3],
            &[0xe9, 1, 0, 0, 0],
            &[0xf2, 0xe9, 1, 0, 0, 0],
            &[0xe8, 1, 0, 0, 0],
        ];
        for bytes in cheap {
            assert!(is_emulated(&decode(bytes), bytes, true), "{bytes:x?}");
        }
        let dear: [&[u8]; 10] = [
            &[0x48, 0x85, 0xff],
            &[0xf3, 0x0f, 0x1e, 0xfa],
            &[0x48, 0x83, 0xec, 8],
            &[0x0f, 0x1f, 0x00],
            &[0x66, 0x90],
            &[0x48, 0x55],
            &[0xff, 0xe0],
            &[0x6a, 1],
            &[0x3e, 0x74, 5],
            &[0xe3, 5],
        ];
        for bytes in dear {
            assert!(!is_emulated(&decode(bytes), bytes, true), "{bytes:x?}");
        }
        assert!(!is_emulated(&decode(&[0xe8, 1, 0, 0, 0]), &[0xe8, 1, 0, 0, 0], false));
    }

    #[test]
    fn what_the_kernel_refuses_is_known() {
        let refused: [&[u8]; 4] =
            [&[0xf0, 0x48, 0xff, 0x07], &[0xc5, 0xf8, 0x77], &[0xcc], &[0x3e, 0x48, 0x8b, 0x07]];
        for bytes in refused {
            assert!(!is_probeable(&decode(bytes), bytes), "{bytes:x?}");
        }
        assert!(is_probeable(&decode(&[0x48, 0x85, 0xff]), &[0x48, 0x85, 0xff]));
    }
}

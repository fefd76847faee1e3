//! Where a probe's arguments are: the text in its note, parsed.
//!
//! Each argument is `N@OP`: its width in bytes, negative if it is signed, and an operand in the assembler's words. Source:
//! SystemTap's `sys/sdt.h` and <https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation>. Total: what is not
//! understood is `None`, never a guess.

/// Whose registers an operand names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AMD64, in AT&T syntax.
    X86_64,
    /// AArch64.
    Aarch64,
}

impl Isa {
    /// This machine's; `None` where no probe is placed.
    pub const NATIVE: Option<Self> = if cfg!(target_arch = "x86_64") {
        Some(Self::X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(Self::Aarch64)
    } else {
        None
    };
}

/// A register by its DWARF number (AMD64 ABI, figure 3.36; DWARF for the Arm 64-bit Architecture, table 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register(pub u8);

/// One argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    /// Where it is.
    pub operand: Operand,
    /// 1, 2, 4 or 8.
    pub width_bytes: u8,
    /// Extended by its sign.
    pub is_signed: bool,
}

/// Where an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// In the note itself.
    Constant(i64),
    /// In a register.
    Register(Register),
    /// In memory, at the sum of these.
    Memory {
        /// Register with an address.
        base: Option<Register>,
        /// Register with an index, and the log2 of what it is multiplied by.
        index: Option<(Register, u8)>,
        /// Added to it.
        displacement: i64,
    },
}

/// Most arguments `sys/sdt.h` can write.
const MOST: usize = 12;

/// Parses the arguments of a note; `None` if any is of a form not known.
pub fn parse(text: &str, isa: Isa) -> Option<Vec<Argument>> {
    let parts = split(text);
    (parts.len() <= MOST).then_some(parts)?.into_iter().map(|part| argument(part, isa)).collect()
}

/// Splits at spaces that are not within brackets: AArch64 writes `8@[sp, 16]`.
fn split(text: &str) -> Vec<&str> {
    let mut within = false;
    let parts = text.split(move |letter: char| {
        within = letter == '[' || within && letter != ']';
        letter.is_ascii_whitespace() && !within
    });
    parts.filter(|part| !part.is_empty()).collect()
}

fn argument(part: &str, isa: Isa) -> Option<Argument> {
    let (width, operand) = part.split_once('@')?;
    let (is_signed, width) = match width.strip_prefix('-') {
        Some(width) => (true, width),
        None => (false, width),
    };
    let width_bytes = match width {
        "1" => 1,
        "2" => 2,
        "4" => 4,
        "8" => 8,
        // `8f` is a floating-point number.
        _ => return None,
    };
    let operand = match isa {
        Isa::X86_64 => x86_64(operand)?,
        Isa::Aarch64 => aarch64(operand)?,
    };
    Some(Argument { operand, width_bytes, is_signed })
}

/// `$5`, `%rdi`, `-12(%rbp)`, `8(%rax,%rbx,4)`. Not read: symbols, segments, and the second byte of a register (`%ah`).
fn x86_64(operand: &str) -> Option<Operand> {
    if let Some(constant) = operand.strip_prefix('$') {
        return number(constant).map(Operand::Constant);
    }
    if operand.starts_with('%') {
        return x86_register(operand).map(Operand::Register);
    }
    let (displacement, inner) = operand.split_once('(')?;
    let displacement = if displacement.is_empty() { 0 } else { number(displacement)? };
    let mut parts = inner.strip_suffix(')')?.split(',').map(str::trim);
    let address = |part: &str| x86_register(part).filter(|_| part.starts_with("%r"));
    let base = match parts.next()? {
        "" => None,
        part => Some(address(part)?),
    };
    let index = match (parts.next(), parts.next()) {
        (None, _) => None,
        (Some(part), scale) => Some((address(part)?, log2(number(scale.unwrap_or("1"))?)?)),
    };
    let known = parts.next().is_none() && (base.is_some() || index.is_some());
    known.then_some(Operand::Memory { base, index, displacement })
}

/// By any of its widths; the argument says how much of it counts.
fn x86_register(name: &str) -> Option<Register> {
    let name = name.strip_prefix('%')?;
    const LEGACY: [[&str; 4]; 8] = [
        ["rax", "eax", "ax", "al"],
        ["rdx", "edx", "dx", "dl"],
        ["rcx", "ecx", "cx", "cl"],
        ["rbx", "ebx", "bx", "bl"],
        ["rsi", "esi", "si", "sil"],
        ["rdi", "edi", "di", "dil"],
        ["rbp", "ebp", "bp", "bpl"],
        ["rsp", "esp", "sp", "spl"],
    ];
    if let Some(number) = LEGACY.iter().position(|names| names.contains(&name)) {
        return Some(Register(number as u8));
    }
    let number = name.strip_prefix('r')?;
    let number = number.strip_suffix(['d', 'w', 'b']).unwrap_or(number);
    // The kernel's registers are those of processors without APX: up to r15.
    let number = number.parse().ok().filter(|_| !number.starts_with(['0', '+']))?;
    (8..=15).contains(&number).then_some(Register(number))
}

/// `5`, `x0`, `w0`, `[sp, 16]`, `[x0, x1, lsl 3]`.
fn aarch64(operand: &str) -> Option<Operand> {
    if let Some(inner) = operand.strip_prefix('[') {
        let mut parts = inner.strip_suffix(']')?.split(',').map(str::trim);
        let base = Some(arm_register(parts.next()?).filter(|register| register.0 != ZERO.0)?);
        let (index, displacement) = match parts.next() {
            None => (None, 0),
            Some(part) => match arm_register(part).filter(|_| part.starts_with('x')) {
                Some(register) => (Some((register, shift(parts.next())?)), 0),
                None => (None, number(part.trim_start_matches('#'))?),
            },
        };
        return parts.next().is_none().then_some(Operand::Memory { base, index, displacement });
    }
    match arm_register(operand) {
        Some(ZERO) => Some(Operand::Constant(0)),
        Some(register) => Some(Operand::Register(register)),
        None => number(operand.trim_start_matches('#')).map(Operand::Constant),
    }
}

/// Reads as zero; this number is no register's.
const ZERO: Register = Register(u8::MAX);

fn arm_register(name: &str) -> Option<Register> {
    match name {
        "sp" | "wsp" => return Some(Register(31)),
        "xzr" | "wzr" => return Some(ZERO),
        _ => {}
    }
    let number: u8 = name.strip_prefix(['x', 'w'])?.parse().ok()?;
    (number <= 30).then_some(Register(number))
}

fn shift(text: Option<&str>) -> Option<u8> {
    let Some(text) = text else { return Some(0) };
    let amount = number(text.strip_prefix("lsl")?.trim().trim_start_matches('#'))?;
    u8::try_from(amount).ok().filter(|amount| *amount <= 3)
}

fn log2(scale: i64) -> Option<u8> {
    match scale {
        1 => Some(0),
        2 => Some(1),
        4 => Some(2),
        8 => Some(3),
        _ => None,
    }
}

/// Decimal or `0x…`, with a sign or without; an unsigned one of 64 bits is taken for its bits.
fn number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let magnitude = match digits.strip_prefix("0x") {
        Some(hex) if !hex.starts_with('+') => u64::from_str_radix(hex, 16).ok()?,
        None if !digits.starts_with('+') => digits.parse::<u64>().ok()?,
        _ => return None,
    };
    match negative {
        true => 0i64.checked_sub_unsigned(magnitude),
        false => Some(magnitude.cast_signed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str, isa: Isa) -> Option<(u8, bool, Operand)> {
        let arguments = parse(text, isa)?;
        let [argument] = arguments[..] else { return None };
        Some((argument.width_bytes, argument.is_signed, argument.operand))
    }

    fn memory(base: u8, index: Option<(u8, u8)>, displacement: i64) -> Operand {
        let index = index.map(|(register, shift)| (Register(register), shift));
        Operand::Memory { base: Some(Register(base)), index, displacement }
    }

    #[test]
    fn x86_operands() {
        let known: [(&str, u8, bool, Operand); 12] = [
            ("8@%rdi", 8, false, Operand::Register(Register(5))),
            ("4@%eax", 4, false, Operand::Register(Register(0))),
            ("-4@%r12d", 4, true, Operand::Register(Register(12))),
            ("1@%sil", 1, false, Operand::Register(Register(4))),
            ("8@$5", 8, false, Operand::Constant(5)),
            ("-4@$-9", 4, true, Operand::Constant(-9)),
            ("8@$0x10", 8, false, Operand::Constant(16)),
            ("8@$18446744073709551615", 8, false, Operand::Constant(-1)),
            ("-4@-12(%rbp)", 4, true, memory(6, None, -12)),
            ("8@(%rsp)", 8, false, memory(7, None, 0)),
            ("2@0x20(%rax,%r9,8)", 2, false, memory(0, Some((9, 3)), 32)),
            ("8@8(%rax,%rbx)", 8, false, memory(0, Some((3, 0)), 8)),
        ];
        for (text, width, signed, operand) in known {
            assert_eq!(one(text, Isa::X86_64), Some((width, signed, operand)), "{text}");
        }
        let unbased = Operand::Memory { base: None, index: Some((Register(3), 2)), displacement: 16 };
        assert_eq!(one("8@16(,%rbx,4)", Isa::X86_64), Some((8, false, unbased)));
    }

    #[test]
    fn aarch64_operands() {
        let known: [(&str, u8, bool, Operand); 9] = [
            ("8@x0", 8, false, Operand::Register(Register(0))),
            ("-4@w30", 4, true, Operand::Register(Register(30))),
            ("8@sp", 8, false, Operand::Register(Register(31))),
            ("8@xzr", 8, false, Operand::Constant(0)),
            ("8@5", 8, false, Operand::Constant(5)),
            ("-4@-7", 4, true, Operand::Constant(-7)),
            ("8@[x1]", 8, false, memory(1, None, 0)),
            ("-4@[sp, 12]", 4, true, memory(31, None, 12)),
            ("8@[x0, x1, lsl 3]", 8, false, memory(0, Some((1, 3)), 0)),
        ];
        for (text, width, signed, operand) in known {
            assert_eq!(one(text, Isa::Aarch64), Some((width, signed, operand)), "{text}");
        }
        assert_eq!(parse("8@[sp, 16] 8@x1 -4@[x2, -8]", Isa::Aarch64).map(|list| list.len()), Some(3));
    }

    #[test]
    fn what_is_not_understood_is_nothing() {
        for text in [
            "8",
            "8@",
            "@%rdi",
            "3@%rdi",
            "--8@%rdi",
            "8f@%xmm0",
            "8@%xmm0",
            "1@%ah",
            "8@%r16",
            "8@%r08",
            "8@%fs:8(%rax)",
            "8@counter(%rip)",
            "8@(%rip)",
            "8@()",
            "8@8(%eax)",
            "8@8(%rax,%rbx,3)",
            "8@8(%rax,%rbx,4,1)",
            "8@8(%rax",
            "8@$",
            "8@$99999999999999999999",
            "8@$-9223372036854775809",
            "8@x0",
            "8@%rdi 8@?",
            "8@$1 8@$1 8@$1 8@$1 8@$1 8@$1 8@$1 8@$1 8@$1 8@$1 8@$1 8@$1 8@$1",
        ] {
            assert_eq!(parse(text, Isa::X86_64), None, "{text}");
        }
        for text in ["8@x31", "8@%rdi", "8@[x0", "8@[xzr]", "8@[x0, x1, lsl 4]", "8@[x0, 8]!", "8@[]", "8@q0"]
        {
            assert_eq!(parse(text, Isa::Aarch64), None, "{text}");
        }
        assert_eq!(parse("", Isa::X86_64), Some(Vec::new()));
    }
}

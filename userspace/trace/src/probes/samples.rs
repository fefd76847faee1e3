//! From an allocator's static probes to those of a run. Where a probe has its arguments does not fit into a cookie; it goes
//! into a table of the kernel part, and the cookie is its place there.

use std::collections::BTreeMap;

use waytrace_abi::usdt::{Argument, Arguments, MAX_ARGUMENTS, NO_REGISTER};
use waytrace_image::usdt::arguments::{self, Operand, Register};
use waytrace_image::usdt::{Event, PROVIDER, ProbePoint, Samples};

use super::plan::{FilePlan, Plan, Point};

/// The second half of a cookie, where the file also tells of frees: only then are blocks kept until theirs.
const KEEP: u64 = 1 << 32;

/// Different sets of arguments, as the kernel part holds them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArgumentTable(Vec<Arguments>);

impl ArgumentTable {
    /// The entries, by place.
    pub fn entries(&self) -> &[Arguments] {
        &self.0
    }

    /// The place of these; `None` without room. A compiler finds few: most have all in registers.
    fn place(&mut self, arguments: Arguments) -> Option<u64> {
        let known = self.0.iter().position(|other| *other == arguments);
        if known.is_none() && self.0.len() >= MAX_ARGUMENTS as usize {
            return None;
        }
        Some(known.unwrap_or_else(|| {
            self.0.push(arguments);
            self.0.len() - 1
        }) as u64)
    }
}

impl Plan {
    /// The probes of the samples found; `table` receives their arguments. One without room in it is left out.
    pub fn of_samples(found: &Samples, table: &mut ArgumentTable) -> Self {
        let keep = if found.tell_frees() { KEEP } else { 0 };
        let mut files: BTreeMap<_, FilePlan> = BTreeMap::new();
        let mut names = Vec::new();
        for point in &found.points {
            let Some(place) = abi(point).and_then(|arguments| table.place(arguments)) else { continue };
            let file = files.entry(point.key).or_default();
            file.path.clone_from(&point.path);
            file.module.clone_from(&point.module);
            file.key = point.key;
            let list = match point.event {
                Event::Alloc => &mut file.sampled_allocs,
                Event::Free => &mut file.sampled_frees,
            };
            list.push(Point {
                offset: point.file_offset,
                cookie: place | keep,
                semaphore: point.semaphore.unwrap_or(0),
            });
            names.push(format!(
                "{}:{PROVIDER}:{}@{:#x}",
                point.module,
                point.event.name(),
                point.file_offset
            ));
        }
        Self { files: files.into_values().collect(), names }
    }
}

fn abi(point: &ProbePoint) -> Option<Arguments> {
    let mut rest = point.arguments.iter().map(argument);
    let mut next = || rest.next().flatten();
    match point.event {
        Event::Alloc => Some(Arguments { pointer: next()?, size: next()?, weighted_bytes: next()? }),
        Event::Free => Some(Arguments { pointer: next()?, ..Arguments::default() }),
    }
}

fn argument(found: &arguments::Argument) -> Option<Argument> {
    let (mut base, mut index, mut index_shift, mut is_memory) = (NO_REGISTER, NO_REGISTER, 0, 0);
    let value = match found.operand {
        Operand::Constant(value) => value,
        Operand::Register(register) => {
            base = offset(register)?;
            0
        }
        Operand::Memory { base: from, index: by, displacement } => {
            is_memory = 1;
            if let Some(register) = from {
                base = offset(register)?;
            }
            if let Some((register, shift)) = by {
                (index, index_shift) = (offset(register)?, shift);
            }
            displacement
        }
    };
    Some(Argument {
        value: value.cast_unsigned(),
        base,
        index,
        index_shift,
        is_memory,
        width_bytes: found.width_bytes,
        is_signed: found.is_signed.into(),
    })
}

/// Where the kernel keeps a register of the program it has interrupted: `struct pt_regs` of arch/x86/include/asm/ptrace.h,
/// by DWARF number.
#[cfg(not(target_arch = "aarch64"))]
fn offset(register: Register) -> Option<u16> {
    const WORDS: [u16; 16] = [10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0];
    WORDS.get(usize::from(register.0)).map(|word| 8 * word)
}

/// The same of arch/arm64/include/asm/ptrace.h: 31 registers and the stack pointer.
#[cfg(target_arch = "aarch64")]
fn offset(register: Register) -> Option<u16> {
    (register.0 <= 31).then(|| 8 * u16::from(register.0))
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use waytrace_image::allocators::FileKey;
    use waytrace_image::usdt::arguments::{Isa, parse};

    use super::*;

    fn point(event: Event, arguments: &str, file_offset: u64) -> ProbePoint {
        ProbePoint {
            module: "libsampled.so".to_owned(),
            path: "/libsampled.so".into(),
            key: FileKey::default(),
            event,
            file_offset,
            semaphore: Some(0x4000),
            arguments: parse(arguments, Isa::X86_64).unwrap(),
        }
    }

    #[test]
    fn equal_arguments_share_a_place_and_frees_make_blocks_kept() {
        let mut points = vec![
            point(Event::Alloc, "8@%rdi 8@%rsi 8@%rdx", 0x10),
            point(Event::Alloc, "8@%rdi 8@-8(%rbp) 8@$524288", 0x20),
            point(Event::Alloc, "8@%rdi 8@%rsi 8@%rdx", 0x30),
        ];
        let mut table = ArgumentTable::default();
        let plan = Plan::of_samples(&Samples { points: points.clone(), notes: Vec::new() }, &mut table);
        let cookies: Vec<u64> = plan.files[0].sampled_allocs.iter().map(|point| point.cookie).collect();
        assert_eq!((cookies, table.entries().len()), (vec![0, 1, 0], 2));
        let [_, mixed] = table.entries() else { panic!("{table:?}") };
        assert_eq!((mixed.size.is_memory, mixed.size.value.cast_signed()), (1, -8));
        assert_eq!((mixed.weighted_bytes.base, mixed.weighted_bytes.value), (NO_REGISTER, 524_288));

        points.push(point(Event::Free, "8@%rbx", 0x40));
        let plan = Plan::of_samples(&Samples { points, notes: Vec::new() }, &mut table);
        let [file] = &plan.files[..] else { panic!("{plan:?}") };
        assert!(
            file.sampled_allocs.iter().all(|point| point.cookie & KEEP != 0 && point.semaphore == 0x4000)
        );
        assert_eq!(file.sampled_frees.len(), 1);
        assert_eq!(plan.names[3], "libsampled.so:otel_memory:free@0x40");
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn registers_are_where_the_kernel_keeps_them() {
        use libc::user_regs_struct as Regs;
        let names = [
            ("rax", offset_of!(Regs, rax)),
            ("rdx", offset_of!(Regs, rdx)),
            ("rcx", offset_of!(Regs, rcx)),
            ("rbx", offset_of!(Regs, rbx)),
            ("rsi", offset_of!(Regs, rsi)),
            ("rdi", offset_of!(Regs, rdi)),
            ("rbp", offset_of!(Regs, rbp)),
            ("rsp", offset_of!(Regs, rsp)),
            ("r8", offset_of!(Regs, r8)),
            ("r15", offset_of!(Regs, r15)),
        ];
        for (name, expected) in names {
            let arguments = parse(&format!("8@%{name}"), Isa::X86_64).unwrap();
            assert_eq!(
                argument(&arguments[0]).map(|found| usize::from(found.base)),
                Some(expected),
                "{name}"
            );
        }
    }
}

//! Field offsets of kernel structs and type numbers of kernel functions, from the running kernel's BTF. Rust programs have no CO-RE relocations, so the
//! offsets travel to the kernel side as constants set before loading.
//!
//! Format: `Documentation/bpf/btf.rst`; type encodings from `include/uapi/linux/btf.h`. Only structs and their members
//! are read; everything else is skipped by its length. The parser is total: bad bytes give `None`.

use std::collections::HashMap;

/// Structs and functions of a BTF blob, by name.
#[derive(Debug)]
pub struct Structs<'a> {
    strings: &'a [u8],
    by_name: HashMap<&'a [u8], &'a [u8]>,
    kind_flags: HashMap<&'a [u8], bool>,
    functions: HashMap<&'a [u8], u32>,
}

const HEADER_BYTES: usize = 24;
const TYPE_BYTES: usize = 12;
const MEMBER_BYTES: usize = 12;
const KIND_STRUCT: u32 = 4;
const KIND_FUNCTION: u32 = 12;

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let word = bytes.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

/// Bytes that follow a type of `kind` with `vlen` elements; `None` for an unknown kind.
fn trailer_bytes(kind: u32, vlen: usize) -> Option<usize> {
    Some(match kind {
        1 | 14 | 17 => 4,                            // int, var, decl_tag
        2 | 7 | 8 | 9 | 10 | 11 | 12 | 16 | 18 => 0, // ptr, fwd, typedef, qualifiers, func, float, type_tag
        3 => 12,                                     // array
        4 | 5 | 15 | 19 => vlen.checked_mul(12)?,    // struct, union, datasec, enum64
        6 | 13 => vlen.checked_mul(8)?,              // enum, func_proto
        _ => return None,
    })
}

impl<'a> Structs<'a> {
    /// Indexes the structs and functions named in `wanted`; `None` if `bytes` is not little-endian BTF.
    pub fn parse(bytes: &'a [u8], wanted: &[&str]) -> Option<Self> {
        if bytes.get(..2)? != [0x9f, 0xeb] {
            return None;
        }
        let header = u32_at(bytes, 4)? as usize;
        let section = |offset: usize, length: usize| {
            let start = header.max(HEADER_BYTES).checked_add(offset)?;
            bytes.get(start..start.checked_add(length)?)
        };
        let types = section(u32_at(bytes, 8)? as usize, u32_at(bytes, 12)? as usize)?;
        let strings = section(u32_at(bytes, 16)? as usize, u32_at(bytes, 20)? as usize)?;
        let mut structs =
            Self { strings, by_name: HashMap::new(), kind_flags: HashMap::new(), functions: HashMap::new() };
        structs.index(types, wanted)?;
        Some(structs)
    }

    fn index(&mut self, types: &'a [u8], wanted: &[&str]) -> Option<()> {
        // Types are numbered from 1 in their order.
        let (mut at, mut number) = (0, 1);
        while at < types.len() {
            let (name, info) = (u32_at(types, at)? as usize, u32_at(types, at + 4)?);
            let (kind, vlen) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
            let body = at + TYPE_BYTES;
            let next = body.checked_add(trailer_bytes(kind, vlen)?)?;
            if kind == KIND_STRUCT || kind == KIND_FUNCTION {
                let name = self.string(name)?;
                let is_wanted = wanted.iter().any(|wanted| wanted.as_bytes() == name);
                if is_wanted && kind == KIND_FUNCTION {
                    self.functions.entry(name).or_insert(number);
                } else if is_wanted {
                    self.by_name.entry(name).or_insert(types.get(body..next)?);
                    self.kind_flags.entry(name).or_insert(info >> 31 == 1);
                }
            }
            at = next;
            number += 1;
        }
        Some(())
    }

    fn string(&self, offset: usize) -> Option<&'a [u8]> {
        let rest = self.strings.get(offset..)?;
        rest.split(|&byte| byte == 0).next()
    }

    /// Type number of a function; `None` if there is none of that name.
    pub fn function(&self, name: &str) -> Option<u32> {
        self.functions.get(name.as_bytes()).copied()
    }

    /// Offset of `member` in the struct, in bytes; `None` if there is none of that name or it is a bit field.
    pub fn offset(&self, name: &str, member: &str) -> Option<u32> {
        let members = self.by_name.get(name.as_bytes())?;
        let has_bit_sizes = *self.kind_flags.get(name.as_bytes())?;
        for entry in members.chunks_exact(MEMBER_BYTES) {
            if self.string(u32_at(entry, 0)? as usize)? != member.as_bytes() {
                continue;
            }
            let offset = u32_at(entry, 8)?;
            let bits = if has_bit_sizes { offset & 0x00ff_ffff } else { offset };
            return (bits % 8 == 0).then_some(bits / 8);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One struct `s { a: 32 bits at 0, b at 8 }` after an int, and a function `a`.
    fn sample() -> Vec<u8> {
        let strings = b"\0int\0s\0a\0b\0";
        let mut types = Vec::new();
        for word in [1u32, 1 << 24, 4, 32, 5, 4 << 24 | 2, 16, 7, 1, 0, 9, 1, 64, 7, 12 << 24, 0] {
            types.extend(word.to_le_bytes());
        }
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn members_are_found_by_name() {
        let bytes = sample();
        let structs = Structs::parse(&bytes, &["s"]).unwrap();
        assert_eq!(structs.offset("s", "a"), Some(0));
        assert_eq!(structs.offset("s", "b"), Some(8));
        assert_eq!(structs.offset("s", "c"), None);
        assert_eq!(structs.offset("t", "a"), None);
    }

    #[test]
    fn functions_are_found_by_number() {
        let bytes = sample();
        let structs = Structs::parse(&bytes, &["a", "s"]).unwrap();
        assert_eq!(structs.function("a"), Some(3));
        assert_eq!(structs.function("s"), None);
    }

    #[test]
    fn every_truncation_and_every_bit_flip_is_survived() {
        let bytes = sample();
        for end in 0..bytes.len() {
            let _ = Structs::parse(&bytes[..end], &["s"]).map(|structs| structs.offset("s", "b"));
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let _ = Structs::parse(&flipped, &["s"]).map(|structs| structs.offset("s", "b"));
        }
    }
}

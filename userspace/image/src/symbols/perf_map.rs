//! Names of generated code, as runtimes write them to `/tmp/perf-PID.map`.
//!
//! Source: `tools/perf/Documentation/jit-interface.txt` of the kernel.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use super::modules::Modules;

/// Beyond this the rest of the file is not read: it grows without bound in a long-lived runtime.
const MAX_BYTES: u64 = 64 << 20;

/// The name and start of the function at each of `addresses`. A later line wins: code space is used again.
pub(super) fn names(modules: &Modules, addresses: &[u64]) -> Vec<Option<(String, u64)>> {
    let mut found = vec![None; addresses.len()];
    let Some(file) = path(modules).and_then(|path| File::open(path).ok()) else { return found };
    let mut order: Vec<usize> = (0..addresses.len()).collect();
    order.sort_by_key(|&index| addresses[index]);
    for line in BufReader::new(file.take(MAX_BYTES)).split(b'\n').map_while(Result::ok) {
        let Some((start, end, name)) = parse(&line) else { continue };
        let from = order.partition_point(|&index| addresses[index] < start);
        for &index in order[from..].iter().take_while(|&&index| addresses[index] < end) {
            found[index] = Some((name.to_owned(), start));
        }
    }
    found
}

fn path(modules: &Modules) -> Option<PathBuf> {
    Some(modules.root()?.join(format!("tmp/perf-{}.map", modules.inner_pid?)))
}

/// `START SIZE NAME`, the numbers in hexadecimal, the name to the end of the line.
fn parse(line: &[u8]) -> Option<(u64, u64, &str)> {
    let mut fields = std::str::from_utf8(line).ok()?.trim_end().splitn(3, ' ');
    let mut number = || {
        let text = fields.next()?;
        u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
    };
    let (start, size) = (number()?, number()?);
    let name = fields.next().filter(|name| !name.is_empty())?;
    Some((start, start.checked_add(size)?, name))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lines_parse_or_are_left_out() {
        assert_eq!(parse(b"7f00 20 LazyCompile:~f a.js:1"), Some((0x7f00, 0x7f20, "LazyCompile:~f a.js:1")));
        assert_eq!(parse(b"0x7f00 0x1 g\r"), Some((0x7f00, 0x7f01, "g")));
        for line in [&b"7f00 20"[..], b"7f00 20 ", b"x 1 f", b"", b"ffffffffffffffff 2 f", b"1 1 \xff"] {
            assert_eq!(parse(line), None);
        }
    }
}

//! Lines tracealloc logs: allocations and frees with their stacks, libraries, and its own beginning and end.

use std::collections::HashMap;

use waytrace_model::stack::Frame;

use crate::script::seconds_ns;
use crate::space::file_name;

/// One line of `alloc_<handler>_<thread>.log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    pub is_free: bool,
    /// `CLOCK_MONOTONIC_RAW` nanoseconds.
    pub at_ns: u64,
    pub address: u64,
    pub size_bytes: u64,
    /// `,library+offset` for each frame.
    pub stack: &'a str,
}

/// `+seconds.nanoseconds,address,size[,library+offset]…`, free with a minus.
pub fn line(text: &str) -> Option<Line<'_>> {
    let text = text.trim();
    let is_free = text.starts_with('-');
    let mut parts = text.strip_prefix(['+', '-'])?.splitn(4, ',');
    let at_ns = seconds_ns(parts.next()?)?;
    let mut hex = || u64::from_str_radix(parts.next()?, 16).ok();
    let (address, size_bytes) = (hex()?, hex()?);
    Some(Line { is_free, at_ns, address, size_bytes, stack: parts.next().unwrap_or_default() })
}

/// Thread of a log, by its file's name; handlers are numbered in the order of their threads' first allocations.
pub fn thread(file: &str) -> Option<(u64, u32)> {
    let (handler, tid) = file.strip_prefix("alloc_")?.strip_suffix(".log")?.split_once('_')?;
    Some((handler.parse().ok()?, tid.parse().ok()?))
}

/// `maps.log`: `index: path`. The program itself has no path.
pub fn libraries(log: &str) -> HashMap<u64, String> {
    let entry = |line: &str| {
        let (index, path) = line.split_once(':')?;
        Some((index.trim().parse().ok()?, path.trim().to_owned()))
    };
    log.lines().filter_map(entry).collect()
}

/// The frames of a stack, innermost first.
pub fn frames(stack: &str, libraries: &HashMap<u64, String>, program: &str) -> Vec<Frame> {
    let frame = |text: &str| {
        let (library, offset) = text.split_once('+')?;
        let path = libraries.get(&library.parse().ok()?);
        let module = path.map(|path| if path.is_empty() { program } else { file_name(path) }.to_owned());
        Some(Frame { module, offset: u64::from_str_radix(offset, 16).ok()?, ..Frame::default() })
    };
    stack.split(',').filter_map(frame).collect()
}

/// When tracealloc ended, by the line it prints: what is freed later is only its own clearing up.
pub fn end_ns(console: &str) -> Option<u64> {
    let line = console.lines().rev().find_map(|line| line.split_once("TRAC_END:").map(|(_, rest)| rest))?;
    seconds_ns(line.split(':').next()?.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_allocations_and_frees() {
        let expected = Line {
            is_free: false,
            at_ns: 12_000_000_345,
            address: 0x7f00,
            size_bytes: 0x2000,
            stack: "1+1234,2+ab",
        };
        assert_eq!(line("+12.000000345,0000000000007f00,0000000000002000,1+1234,2+ab\n"), Some(expected));
        let free = Line { is_free: true, stack: "", ..expected };
        assert_eq!(line("  -12.000000345,7f00,2000"), Some(free));
        assert_eq!(line("+1.5,ffff800000001000,1").unwrap().address, 0xffff_8000_0000_1000);
        for text in ["", "12.0,1,1", "+12,1,1", "+12.0,x,1", "+12.0,1", "*1.0,1,1"] {
            assert_eq!(line(text), None, "{text}");
        }
    }

    #[test]
    fn frames_have_modules() {
        let libraries = libraries("1: \n2: /lib/libc.so.6\n");
        let frames = frames("1+1234,2+ab,0+7fff,x", &libraries, "ft.A");
        let labels: Vec<String> = frames.iter().map(Frame::label).collect();
        assert_eq!(labels, ["ft.A+0x1234", "libc.so.6+0xab", "0x7fff"]);
    }

    #[test]
    fn threads_and_ends() {
        assert_eq!((thread("alloc_0_4242.log"), thread("alloc_x.log")), (Some((0, 4242)), None));
        let console = "TRAC_BEG:1.000000000:0.001\noutput\nxTRAC_END:9.500000000:0.2\n";
        assert_eq!((end_ns(console), end_ns("nothing")), (Some(9_500_000_000), None));
    }
}

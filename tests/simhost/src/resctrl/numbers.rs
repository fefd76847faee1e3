//! How the kernel writes and reads CPU masks, CPU lists and numbers.

use std::collections::BTreeSet;

/// `0-3,8`.
pub(crate) fn cpu_list(cpus: impl IntoIterator<Item = usize>) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for cpu in cpus {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == cpu => *last = cpu,
            _ => runs.push((cpu, cpu)),
        }
    }
    let text = |(first, last): &(usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    runs.iter().map(text).collect::<Vec<_>>().join(",")
}

/// `%*pb`: 32 bits a word, words from high to low, the first only as wide as `possible` CPUs need.
pub(super) fn cpu_mask(cpus: &BTreeSet<usize>, possible: usize) -> String {
    let words = possible.div_ceil(32).max(1);
    let word = |number: usize| {
        let bit = |cpu: usize| u32::from(cpus.contains(&(number * 32 + cpu))) << cpu;
        let value: u32 = (0..32).map(bit).sum();
        let bits = (possible - (number * 32).min(possible)).clamp(1, 32);
        format!("{value:0width$x}", width = bits.div_ceil(4))
    };
    (0..words).rev().map(word).collect::<Vec<_>>().join(",")
}

/// Reads a list; none where it is none.
pub(crate) fn parse_cpu_list(text: &str) -> Option<BTreeSet<usize>> {
    let mut cpus = BTreeSet::new();
    for part in text.trim().split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
        if first > last {
            return None;
        }
        cpus.extend((first..=last).map(usize::from));
    }
    Some(cpus)
}

/// Reads a mask; none where it is none. Words may be apart by any commas and white space, also at the ends: pqos writes
/// `04,`. Without a word it is empty (`lib/bitmap-str.c`).
pub(super) fn parse_cpu_mask(text: &str) -> Option<BTreeSet<usize>> {
    let mut cpus = BTreeSet::new();
    let words = text.rsplit(|c: char| c == ',' || c.is_ascii_whitespace()).filter(|word| !word.is_empty());
    for (number, word) in words.enumerate() {
        let is_hex = word.len() <= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let word = is_hex.then(|| u32::from_str_radix(word, 16).ok()).flatten()?;
        cpus.extend((0..32).filter(|bit| word >> bit & 1 == 1).map(|bit| number * 32 + bit));
    }
    Some(cpus)
}

/// A number as `kstrtoul` takes it: digits of one base with an optional sign `+`, and in base 16 an optional `0x`.
pub(super) fn kernel_number(text: &str, base: u32) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits = match base {
        16 => text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text),
        _ => text,
    };
    if digits.starts_with(['+', '-']) { None } else { u64::from_str_radix(digits, base).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_as_wide_as_there_are_cpus() {
        let mask = |cpus: &[usize], possible| cpu_mask(&cpus.iter().copied().collect(), possible);
        assert_eq!([mask(&[0, 3], 8), mask(&[], 12), mask(&[9], 10)], ["09", "000", "200"]);
        assert_eq!(mask(&[0, 33], 36), "2,00000001");
        assert_eq!(parse_cpu_mask("2,00000001\n"), Some([0, 33].into()));
        assert_eq!([parse_cpu_mask("04,"), parse_cpu_mask("")], [Some([2].into()), Some(BTreeSet::new())]);
        assert_eq!([parse_cpu_mask("x"), parse_cpu_mask("123456789")], [None, None]);
    }

    #[test]
    fn lists_go_both_ways() {
        assert_eq!(cpu_list([0, 1, 2, 5]), "0-2,5");
        assert_eq!(parse_cpu_list("0-2,5\n"), Some([0, 1, 2, 5].into()));
        assert_eq!(parse_cpu_list("\n"), Some(BTreeSet::new()));
        assert_eq!([parse_cpu_list("3-1"), parse_cpu_list("x"), parse_cpu_list("-1")], [None, None, None]);
    }

    #[test]
    fn numbers_are_read_as_the_kernel_does() {
        assert_eq!(
            [kernel_number("ff", 16), kernel_number("0xff", 16), kernel_number("10", 10)],
            [Some(255), Some(255), Some(10)]
        );
        assert_eq!(
            [kernel_number("", 16), kernel_number("-1", 10), kernel_number("1 ", 10)],
            [None, None, None]
        );
    }
}

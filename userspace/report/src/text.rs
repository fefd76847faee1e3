//! Fitting text from a measured process into a fixed-width terminal. Knows nothing about runs.

/// Columns a character takes: two for the East Asian wide ranges (Unicode UAX #11, coarsely), none for
/// combining marks, else one.
fn cell_count(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200d | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f => 2,
        0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Columns `text` takes.
pub fn cells(text: &str) -> usize {
    text.chars().map(cell_count).sum()
}

/// The text with everything that could move the cursor, break the line or reverse its direction replaced.
pub fn plain(text: &str) -> String {
    let hostile = |c: char| {
        c.is_control() || matches!(u32::from(c), 0x200e..=0x200f | 0x2028..=0x202e | 0x2066..=0x2069 | 0xfeff)
    };
    text.chars().map(|c| if hostile(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn take(chars: impl Iterator<Item = char>, width: usize) -> Vec<char> {
    let mut used = 0;
    chars
        .take_while(|&c| {
            used += cell_count(c);
            used <= width
        })
        .collect()
}

/// At most `width` columns of `text`, the end cut off.
pub fn cut(text: &str, width: usize) -> String {
    if cells(text) <= width {
        return text.to_owned();
    }
    let mut kept: String = take(text.chars(), width.saturating_sub(1)).into_iter().collect();
    kept.push('…');
    kept
}

/// At most `width` columns of `text`, the middle cut out: both ends of a name tell more than its centre.
pub fn cut_middle(text: &str, width: usize) -> String {
    if cells(text) <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let tail_width = room / 2;
    let mut tail = take(text.chars().rev(), tail_width);
    tail.reverse();
    let mut kept: String = take(text.chars(), room - tail_width).into_iter().collect();
    kept.push('…');
    kept.extend(tail);
    kept
}

/// A function name in at most `width` columns: template and call arguments go first, then the middle.
pub fn cut_function(name: &str, width: usize) -> String {
    if cells(name) <= width {
        return name.to_owned();
    }
    cut_middle(&without_arguments(name), width)
}

/// `a<b<c>>(d)` becomes `a<…>(…)`; names whose brackets do not match (`operator<<`) stay as they are.
fn without_arguments(name: &str) -> String {
    let mut kept = String::with_capacity(name.len());
    let mut open = Vec::new();
    let mut last = ' ';
    for c in name.chars() {
        let is_arrow = c == '>' && last == '-';
        last = c;
        match c {
            '<' | '(' => {
                if open.is_empty() {
                    kept.extend([c, '…']);
                }
                open.push(if c == '<' { '>' } else { ')' });
            }
            '>' | ')' if !is_arrow => {
                if open.pop() != Some(c) {
                    return name.to_owned();
                }
                if open.is_empty() {
                    kept.push(c);
                }
            }
            _ if open.is_empty() => kept.push(c),
            _ => {}
        }
    }
    if open.is_empty() { kept } else { name.to_owned() }
}

/// Joins `items` with `separator` into lines of at most `width` columns, broken before a separator.
///
/// After `lines_max` lines the rest is counted: `… 12 more`.
pub fn flow(items: &[String], separator: &str, width: usize, lines_max: usize) -> Vec<String> {
    const MORE_WIDTH: usize = 12;
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for (position, item) in items.iter().enumerate() {
        let item = cut_middle(item, width.saturating_sub(separator.len()));
        let is_last_line = lines.len() + 1 == lines_max;
        let rest = items.len() - position;
        let reserve = if is_last_line && rest > 1 { MORE_WIDTH } else { 0 };
        let piece = if position == 0 { item } else { format!("{separator}{item}") };
        if line.is_empty() || cells(&line) + cells(&piece) + reserve <= width {
            line.push_str(&piece);
        } else if is_last_line {
            line.push_str(&format!(" … {rest} more"));
            break;
        } else {
            lines.push(std::mem::replace(&mut line, piece.trim_start().to_owned()));
        }
    }
    lines.push(line);
    lines
}

/// Wraps prose at spaces into lines of at most `width` columns; longer words lose their middle.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let words: Vec<String> = text.split_whitespace().map(|word| cut_middle(word, width)).collect();
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if cells(line) + 1 + cells(&word) <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// `12.3%`, `0.82%`; `<0.01%` for what would round to nothing.
pub fn percent(pct: f64) -> String {
    match pct {
        p if !p.is_finite() => "-".to_owned(),
        p if p > 0.0 && p < 0.005 => "<0.01%".to_owned(),
        p if p > 0.0 && p < 0.995 => format!("{p:.2}%"),
        p if p >= 99.95 => format!("{p:.0}%"),
        p => format!("{p:.1}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_both_ends() {
        assert_eq!(cut_middle("abcdefghij", 7), "abc…hij");
        assert_eq!(cut_middle("abc", 7), "abc");
        assert_eq!(cut_middle("漢字漢字漢字漢字", 7), "漢…字");
        assert_eq!(cut("abcdef", 4), "abc…");
    }

    #[test]
    fn arguments_go_before_the_name_does() {
        assert_eq!(
            cut_function("std::vector<int, std::allocator<int>>::push_back(int&&)", 30),
            "std::vector<…>::push_back(…)"
        );
        assert_eq!(without_arguments("Foo::operator<<(int)"), "Foo::operator<<(int)");
        assert_eq!(without_arguments("f<fn() -> u8>::call"), "f<…>::call");
        assert_eq!(cut_function("short<T>", 20), "short<T>");
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(plain("a\x1b[2J\nb\u{202e}c"), "a\u{fffd}[2J\u{fffd}b\u{fffd}c");
    }

    #[test]
    fn chains_break_before_separators_and_count_the_rest() {
        let items: Vec<String> = (0..20).map(|i| format!("function_{i}")).collect();
        let lines = flow(&items, " < ", 40, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| cells(line) <= 40), "{lines:?}");
        assert!(lines[1].ends_with("more"), "{lines:?}");
        assert_eq!(flow(&items[..2], " < ", 40, 2), ["function_0 < function_1"]);
    }

    #[test]
    fn prose_wraps_at_spaces() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert!(wrap(&"x".repeat(90), 20).iter().all(|line| cells(line) <= 20));
    }

    #[test]
    fn small_shares_do_not_vanish() {
        assert_eq!(percent(0.001), "<0.01%");
        assert_eq!(percent(0.82), "0.82%");
        assert_eq!(percent(0.0), "0.0%");
        assert_eq!(percent(12.34), "12.3%");
        assert_eq!(percent(100.0), "100%");
        assert_eq!(percent(f64::NAN), "-");
    }
}

//! Text that a terminal can take, and numbers of few characters.

use ratatui::text::Span;
use waytrace_model::units::{format_bytes, format_count};

use super::super::output::plain;

/// The text without what could move the cursor, turn the direction of writing or take no room: names come from whoever is watched.
pub fn clean(text: &str) -> String {
    let is_invisible = |c: char| matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    plain(text).chars().map(|c| if is_invisible(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Columns the text takes.
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// As much of the text as there is room for, and `more` where it was cut.
pub fn cut(text: &str, columns: usize, more: char) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if width(&kept) + 1 > columns {
            kept.pop();
            break;
        }
    }
    if columns > 0 {
        kept.push(more);
    }
    kept
}

/// A share of one CPU, or of a whole, in percent.
pub fn percent(value: f64) -> String {
    match value.abs() {
        size if size < 9.995 => format!("{value:.2}"),
        size if size < 999.95 => format!("{value:.1}"),
        size if size < 99_999.5 => format!("{value:.0}"),
        _ => format_count(value),
    }
}

/// Things, or things per second.
pub fn count(value: f64) -> String {
    if value.abs() < 9.95 && value != value.round() { format!("{value:.1}") } else { format_count(value) }
}

/// Bytes that came up or went.
pub fn growth(bytes: f64) -> String {
    let sign = if bytes > 0.0 { "+" } else { "" };
    format!("{sign}{}", format_bytes(bytes))
}

/// A bar of so many columns, filled in proportion.
pub fn bar(share: f64, columns: usize, full: char) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let filled = (share * columns as f64).round() as usize;
    std::iter::repeat_n(full, filled.min(columns)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_gone() {
        assert_eq!(
            clean("a\u{1b}[2Jb\u{202e}c\u{200b}\td\u{9b}"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}\u{fffd}d\u{fffd}"
        );
        assert_eq!(clean("größe 数"), "größe 数");
    }

    #[test]
    fn text_is_cut_by_columns() {
        for (text, columns, wanted) in [
            ("redis", 5, "redis"),
            ("redis-server", 6, "redis~"),
            ("数据库", 5, "数据~"),
            ("数据库", 4, "数~"),
            ("ab", 1, "~"),
            ("ab", 0, ""),
        ] {
            let cut = cut(text, columns, '~');
            assert_eq!(cut, wanted);
            assert!(width(&cut) <= columns);
        }
    }

    #[test]
    fn numbers_stay_short() {
        for value in [0.0, 0.004, 9.996, 99.9, 999.96, 12_345.6, 99_999.6, 1e9, 9.9e13, -0.3] {
            assert!(percent(value).len() <= 6, "{value}: {}", percent(value));
            assert!(count(value).len() <= 6, "{value}: {}", count(value));
        }
        assert_eq!(
            (percent(0.314), percent(100.0), percent(6400.0)),
            ("0.31".into(), "100.0".into(), "6400".into())
        );
        assert_eq!((count(0.25), count(3.0), count(1234.0)), ("0.2".into(), "3".into(), "1.23k".into()));
        assert_eq!(
            (growth(1_572_864.0), growth(-512.0), growth(0.0)),
            ("+1.50MiB".into(), "-512B".into(), "0B".into())
        );
        assert_eq!(
            (bar(0.5, 4, '#'), bar(f64::NAN, 4, '#'), bar(7.0, 4, '#')),
            ("##".into(), String::new(), "####".into())
        );
    }
}

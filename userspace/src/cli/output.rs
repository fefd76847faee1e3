//! Results on stdout, and what a terminal can take.

use std::io::{ErrorKind, Write};

use anyhow::Context;
use serde::Serialize;
pub use waytrace_hw::clock::unix_ns as now_unix_ns;

/// Columns where stdout is no terminal.
const DEFAULT_WIDTH: usize = 120;

/// Prints a result. A reader that has gone is no failure: it ended the command, or is none of a measurement's business.
///
/// # Errors
/// stdout cannot be written.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("writing to stdout"),
        _ => Ok(()),
    }
}

/// Says a line on stderr, if anybody still listens: a measurement does not end with its reader.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "waytrace: {line}");
}

/// Prints a result as indented JSON.
///
/// # Errors
/// stdout cannot be written.
pub fn print_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Columns of the terminal on stdout, or a width that most pagers and logs can show.
pub fn width() -> usize {
    terminal_columns().unwrap_or(DEFAULT_WIDTH)
}

/// Columns of the terminal on stdout; `None` where it is none.
pub fn terminal_columns() -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize, which `size` is, and it lives through the call.
    let result = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// The text without what could move a terminal's cursor: names come from the measured process.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_cannot_move_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}

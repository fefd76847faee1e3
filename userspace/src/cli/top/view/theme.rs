//! What the terminal can show: the sixteen colours or none, and whether more than ASCII.

use ratatui::style::{Color, Modifier, Style};

/// Styles and characters.
#[derive(Debug, Clone, Copy)]
pub struct Theme {
    colours: bool,
    unicode: bool,
}

impl Theme {
    /// For a terminal with or without colours and with or without UTF-8.
    pub const fn new(colours: bool, unicode: bool) -> Self {
        Self { colours, unicode }
    }

    /// As the environment says: <https://no-color.org>, and the character encoding of the locale.
    pub fn of_environment() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        Self::new(set("NO_COLOR").is_none(), is_utf8(&locale))
    }

    fn coloured(self, colour: Color, modifier: Modifier) -> Style {
        let style = Style::new().add_modifier(modifier);
        if self.colours { style.fg(colour) } else { style }
    }

    /// Titles of columns.
    pub fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
    }

    /// The title of the column rows are sorted by.
    pub fn sorted(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    /// The row the cursor is on.
    pub fn marked(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What one may pass over.
    pub fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What one should look at.
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is not as it should be.
    pub fn warning(self) -> Style {
        self.coloured(Color::Yellow, Modifier::BOLD)
    }

    /// What has failed, and alerts that hold.
    pub fn alarm(self) -> Style {
        self.coloured(Color::Red, Modifier::BOLD)
    }

    /// Bars and sparklines.
    pub fn bar(self) -> Style {
        self.coloured(Color::Cyan, Modifier::empty())
    }

    /// Whether names may be shown as they are.
    pub fn unicode(self) -> bool {
        self.unicode
    }

    /// Stands for what does not fit.
    pub fn more(self) -> char {
        if self.unicode { '…' } else { '~' }
    }

    /// What bars are made of.
    pub fn full(self) -> char {
        if self.unicode { '█' } else { '#' }
    }

    /// Heights of a sparkline.
    pub fn heights(self) -> [char; 8] {
        if self.unicode {
            ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
        } else {
            ['_', '.', '-', ':', '=', '+', '*', '#']
        }
    }

    /// Corners (from the upper left clockwise), and the horizontal and vertical line of a frame.
    pub fn frame(self) -> [char; 6] {
        if self.unicode { ['┌', '┐', '┘', '└', '─', '│'] } else { ['+', '+', '+', '+', '-', '|'] }
    }
}

fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_there_are_none() {
        for style in [Theme::warning, Theme::alarm, Theme::bar, Theme::title, Theme::marked] {
            assert_eq!(style(Theme::new(false, true)).fg, None);
        }
        assert_eq!(Theme::new(true, true).alarm().fg, Some(Color::Red));
    }

    #[test]
    fn locales_tell_their_encoding() {
        assert!(is_utf8("C.UTF-8") && is_utf8("de_DE.utf8"));
        assert!(!is_utf8("C") && !is_utf8("") && !is_utf8("de_DE.ISO-8859-1"));
    }
}

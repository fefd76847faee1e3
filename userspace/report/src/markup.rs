//! Text inside markup: HTML and SVG.

use crate::text::plain;

/// Text for element content and quoted attributes, whatever a process put into its names.
pub fn escape(text: &str) -> String {
    plain(text).chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_place() {
        assert_eq!(escape("<a href='x\">&</a>"), "&lt;a href=&#39;x&quot;&gt;&amp;&lt;/a&gt;");
        assert!(!escape("a\u{1b}[31m\u{202e}b").contains(['\u{1b}', '\u{202e}']));
    }
}

//! Picking events by a piece of their name, or by a pattern with `*` and `?`.

/// A substring, or where it has a `*` or `?` a pattern for the whole name. Upper and lower case are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Takes any text.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_ascii_lowercase())
    }

    /// Whether it picks `name`.
    pub fn matches(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        if self.0.contains(['*', '?']) {
            matches(self.0.as_bytes(), name.as_bytes())
        } else {
            name.contains(&self.0)
        }
    }
}

/// Goes back to the last `*` only: an earlier one can take no more than the last could.
fn matches(mut pattern: &[u8], mut name: &[u8]) -> bool {
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), name.split_first()) {
            (Some((b'*', rest)), _) => {
                retry = Some((rest, name));
                pattern = rest;
            }
            (Some((want, rest)), Some((have, tail))) if want == have || *want == b'?' => {
                (pattern, name) = (rest, tail);
            }
            (None, None) => return true,
            _ => {
                let Some((rest, [_, tail @ ..])) = retry else { return false };
                retry = Some((rest, tail));
                (pattern, name) = (rest, tail);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_is_a_piece_and_a_pattern_the_whole() {
        for (text, name, is) in [
            ("l3_miss", "mem_load_retired.l3_miss", true),
            ("L3", "mem_load_retired.l3_miss", true),
            ("", "anything", true),
            ("mem_*", "mem_load_retired.l3_miss", true),
            ("*.l3_*", "mem_load_retired.l3_miss", true),
            ("load*", "mem_load_retired.l3_miss", false),
            ("*l?_m*s", "mem_load_retired.l3_miss", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "", false),
            ("**", "", true),
        ] {
            assert_eq!(Glob::new(text).matches(name), is, "{text} {name}");
        }
    }
}

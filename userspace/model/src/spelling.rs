//! What a mistyped name was probably meant to be.

/// The known name nearest to `typed`, whatever the case of letters, if it is near enough to be meant: at most a third of the longer one, and one, away.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let (distance, name) = known
        .into_iter()
        .map(|name| (edit_distance(&typed, &name.to_lowercase()), name))
        .min_by_key(|(distance, _)| *distance)?;
    let longer = typed.chars().count().max(name.chars().count());
    (distance <= longer / 3 + 1).then_some(name)
}

/// Levenshtein distance: characters to insert, delete or replace.
pub fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let (mut diagonal, mut left) = (line, line + 1);
        for (above, theirs) in row.iter_mut().skip(1).zip(&to) {
            let cost = (diagonal + usize::from(letter != *theirs)).min(left + 1).min(*above + 1);
            diagonal = std::mem::replace(above, cost);
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_textbook() {
        for (from, to, distance) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("same", "same", 0),
            ("ab", "ba", 2),
            ("häuser", "hauser", 1),
        ] {
            assert_eq!(edit_distance(from, to), distance, "{from} {to}");
        }
    }

    #[test]
    fn only_near_names_are_suggested() {
        let names = ["instructions", "cycles", "cache-misses", "cgroup"];
        assert_eq!(nearest("instuctions", names), Some("instructions"));
        assert_eq!(nearest("Cache-Mises", names), Some("cache-misses"));
        assert_eq!(nearest("cgruop", names), Some("cgroup"));
        assert_eq!(nearest("sheep", names), None);
        assert_eq!(nearest("cycles", []), None);
    }
}

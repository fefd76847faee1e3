//! The nearest known name to a mistyped one.

/// The candidate with the smallest edit distance to `typed`, if it is near enough to be meant: at most a third of
/// its length away.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let typed = typed.to_ascii_lowercase();
    let (distance, name) = candidates
        .into_iter()
        .map(|name| (edit_distance(&typed, &name.to_ascii_lowercase()), name))
        .min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= typed.len().max(3)).then(|| name.to_owned())
}

/// Levenshtein distance: insertions, deletions and replacements of bytes.
pub fn edit_distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or(from.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshtein() {
        for (from, to, distance) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0)]
        {
            assert_eq!(edit_distance(from, to), distance, "{from} {to}");
        }
    }

    #[test]
    fn only_near_names_are_suggested() {
        let names = ["instructions", "cycles", "cache-misses"];
        assert_eq!(nearest("instuctions", names).as_deref(), Some("instructions"));
        assert_eq!(nearest("Cache-Mises", names).as_deref(), Some("cache-misses"));
        assert_eq!(nearest("sheep", names), None);
        assert_eq!(nearest("cycles", []), None);
    }
}

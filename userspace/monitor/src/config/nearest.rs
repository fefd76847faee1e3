//! Which known name a mistyped one is nearest to.

/// The known name that `wrong` is nearest to, if it is near enough to have been meant.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |name: &&str| distance(wrong, name) <= name.chars().count().div_ceil(2);
    known.into_iter().filter(near).min_by_key(|name| distance(wrong, name))
}

/// Levenshtein's: how many characters must be put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, pair) in b.iter().zip(row.windows(2)) {
            let (diagonal, above) = (pair.first().copied().unwrap_or(0), pair.last().copied().unwrap_or(0));
            left = (diagonal + usize::from(x != *y)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_worked_out_by_hand() {
        for (a, b, expected) in
            [("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("mode", "mode", 0), ("ab", "ba", 2)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn only_what_may_have_been_meant_is_suggested() {
        assert_eq!(nearest("cgruop", ["comm", "cgroup", "pod"]), Some("cgroup"));
        assert_eq!(nearest("zzzzzzz", ["comm", "cgroup", "pod"]), None);
        assert_eq!(nearest("x", []), None);
    }
}

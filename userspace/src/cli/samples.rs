//! `--max-samples`: how many access samples a run keeps.

/// Fewer samples than this prove nothing, however they are chosen.
const LEAST: u64 = 1000;

/// At most so many, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound(pub Option<u64>);

/// Reads a bound; 0 is none.
pub fn bound(text: &str) -> Result<Bound, String> {
    let count: Option<u64> = text.parse().ok().filter(|count| *count == 0 || *count >= LEAST);
    count
        .map(|count| Bound((count > 0).then_some(count)))
        .ok_or_else(|| format!("a run keeps {LEAST} samples or more; 0 keeps all"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_thousand_or_more_or_none() {
        assert_eq!(bound("0"), Ok(Bound(None)));
        assert_eq!(bound("1000"), Ok(Bound(Some(1000))));
        for text in ["999", "-1", "1k", ""] {
            assert!(bound(text).unwrap_err().contains("0 keeps all"), "{text}");
        }
    }
}

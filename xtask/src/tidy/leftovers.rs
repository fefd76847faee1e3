//! Rule: nothing unfinished is left in the code, and no test is ignored without a reason.

use super::tree::{Tree, Violation};

/// Put together here, so that the rule does not find itself.
const UNFINISHED: [&str; 3] = [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("FIX", "ME")];
const IGNORED: &str = concat!("#[ig", "nore");

pub fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.files() {
        for (number, line) in file.lines() {
            for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
                violations
                    .push(file.violation(number, format!("unfinished: {}", word.trim_end_matches('('))));
            }
            if file.is_rust() && line.contains(IGNORED) && !line.contains(" = \"") {
                violations.push(file.violation(number, "a test ignored without a reason"));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    #[test]
    fn leftovers_are_found() {
        let [first, second, third] = UNFINISHED;
        let text = format!(
            "//! x\n{first})\n  {second})\n// {third}: later\n{IGNORED}]\n{IGNORED} = \"needs a PMU\"]\n"
        );
        let found = shown(&check(&Tree::of(&[("a.rs", &text)])));
        assert_eq!(found.len(), 4, "{found:?}");
        for (line, found) in (2..).zip(&found) {
            assert!(found.starts_with(&format!("a.rs:{line}: ")), "{found}");
        }
    }
}

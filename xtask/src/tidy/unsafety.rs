//! Rule: the crates that only compute forbid unsafe code.

use super::tree::{Tree, Violation};

const PURE: [&str; 4] = [
    "userspace/model/src/lib.rs",
    "userspace/analysis/src/lib.rs",
    "userspace/report/src/lib.rs",
    "userspace/walk/src/lib.rs",
];
const FORBID: &str = "#![forbid(unsafe_code)]";

pub fn check(tree: &Tree) -> Vec<Violation> {
    let pure = PURE.iter().filter_map(|path| tree.file(path));
    let without = pure.filter(|file| !file.lines().any(|(_, line)| line.trim() == FORBID));
    without.map(|file| file.violation(1, format!("no {FORBID}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    #[test]
    fn a_pure_crate_that_allows_unsafe_is_found() {
        let tree = Tree::of(&[
            (PURE[0], "//! Model.\n#![forbid(unsafe_code)]\n"),
            (PURE[1], "//! Mentions #![forbid(unsafe_code)] only.\n"),
            ("userspace/hw/src/lib.rs", "//! May.\n"),
        ]);
        assert_eq!(shown(&check(&tree)), ["userspace/analysis/src/lib.rs:1: no #![forbid(unsafe_code)]"]);
    }
}

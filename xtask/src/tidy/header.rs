//! Rule: every module opens with `//!` and says what it is for.

use super::tree::{Source, Tree, Violation};

pub fn check(tree: &Tree) -> Vec<Violation> {
    tree.rust_files().filter_map(missing).collect()
}

fn missing(file: &Source) -> Option<Violation> {
    // A plain comment (a marker) and attributes of the crate may come first.
    let before = |line: &str| {
        let line = line.trim();
        line.is_empty() || line.starts_with("#![") || (line.starts_with("//") && !line.starts_with("//!"))
    };
    let first = file.lines().find(|(_, line)| !before(line));
    let has_header =
        first.is_some_and(|(_, line)| line.strip_prefix("//!").is_some_and(|text| !text.trim().is_empty()));
    (!has_header).then(|| {
        file.violation(first.map_or(1, |(line, _)| line), "no `//!` header: say what the module is for")
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    #[test]
    fn code_before_a_header_is_found() {
        let tree = Tree::of(&[
            ("bare.rs", "\nuse std::fs;\n"),
            ("empty.rs", ""),
            ("item.rs", "/// Doc of an item.\nfn f() {}\n"),
            ("good.rs", "// tidy: table\n#![no_std]\n//! What it is for.\n"),
            ("notes.md", "no rust"),
        ]);
        let message = "no `//!` header: say what the module is for";
        assert_eq!(
            shown(&check(&tree)),
            [
                format!("bare.rs:2: {message}"),
                format!("empty.rs:1: {message}"),
                format!("item.rs:2: {message}")
            ]
        );
    }
}

//! Rule: small files. A table of data may be long; it says so with a line `// tidy: table`.

use super::tree::{Source, Tree, Violation};

const CODE: [&str; 9] = ["rs", "c", "h", "cpp", "py", "sh", "js", "css", "html"];
const LONGEST_FILE: usize = 700;
const LONGEST_MAIN: usize = 60;
const LONGEST_README: usize = 200;
const MEDIAN: usize = 150;
const TABLE: &str = "// tidy: table";

pub fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations: Vec<_> = tree.files().iter().filter_map(too_long).collect();
    violations.extend(median(tree));
    violations
}

fn too_long(file: &Source) -> Option<Violation> {
    let limit = if file.is_named("main.rs") {
        LONGEST_MAIN
    } else if file.path.as_os_str() == "README.md" {
        LONGEST_README
    } else if file.has_extension(&CODE) && !file.lines().any(|(_, line)| line.starts_with(TABLE)) {
        LONGEST_FILE
    } else {
        return None;
    };
    let lines = file.text.lines().count();
    (lines > limit)
        .then(|| file.violation(limit + 1, format!("{lines} lines, and the limit is {limit}: split it")))
}

/// Half of the files are at most this long. Blamed on the one in the middle.
fn median(tree: &Tree) -> Option<Violation> {
    let mut lengths: Vec<_> = tree.rust_files().map(|file| (file.text.lines().count(), file)).collect();
    lengths.sort_by_key(|(lines, _)| *lines);
    let (lines, file) = lengths.get(lengths.len() / 2)?;
    (*lines > MEDIAN)
        .then(|| file.violation(1, format!("the median file has {lines} lines, and should have {MEDIAN}")))
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    fn lengths(files: &[(&str, usize, &str)]) -> Vec<String> {
        // Enough short files that the median is no matter.
        let short = ["a.rs", "b.rs", "c.rs", "d.rs"].map(|path| (path, String::new()));
        let files =
            files.iter().map(|(path, lines, first)| (*path, format!("{first}\n{}", "x\n".repeat(lines - 1))));
        let files: Vec<_> = short.into_iter().chain(files).collect();
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        shown(&check(&Tree::of(&files)))
    }

    #[test]
    fn each_kind_of_file_has_its_limit() {
        let at = [("x/lib.rs", 700, ""), ("x/main.rs", 60, ""), ("README.md", 200, "")];
        assert!(lengths(&at).is_empty());
        let over = [("x/lib.rs", 701, ""), ("x/main.rs", 61, ""), ("README.md", 201, "")];
        let expected = ["x/lib.rs:701: 701 lines", "x/main.rs:61: 61 lines", "README.md:201: 201 lines"];
        for (shown, expected) in lengths(&over).iter().zip(expected) {
            assert!(shown.starts_with(expected), "{shown}");
        }
        assert_eq!(lengths(&over).len(), 3);
    }

    #[test]
    fn tables_and_prose_may_be_long() {
        assert!(lengths(&[("table.rs", 2000, TABLE), ("docs/store.md", 2000, "")]).is_empty());
        assert_eq!(lengths(&[("main.rs", 2000, TABLE)]).len(), 1);
    }

    #[test]
    fn the_median_counts() {
        let long = "x\n".repeat(151);
        let tree = Tree::of(&[("a.rs", ""), ("b.rs", &long), ("c.rs", &long)]);
        assert_eq!(shown(&check(&tree)), ["b.rs:1: the median file has 151 lines, and should have 150"]);
    }
}

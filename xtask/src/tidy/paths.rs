//! Rule: no path of one machine: no home folder, no folder the project happened to be built in.

use super::tree::{Tree, Violation};

/// Put together here, so that the rule does not find itself.
const FOLDERS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Users that exist nowhere.
const PLACEHOLDERS: [&str; 2] = ["u", "user"];

pub fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.files() {
        for (number, line) in file.lines() {
            for folder in FOLDERS.iter().filter(|folder| begins(line, folder)) {
                violations.push(file.violation(number, format!("a path of one machine: {folder}…")));
            }
        }
    }
    violations
}

/// Whether a path in `line` leads into `folder`: something is named in it, and what stands before it is no part
/// of a path, unlike `/proc/PID`.
fn begins(line: &str, folder: &str) -> bool {
    let part_of_path = |c: char| c.is_alphanumeric() || "})>]*._-".contains(c);
    line.match_indices(folder).any(|(at, _)| {
        let name =
            line[at + folder.len()..].split(|c: char| !c.is_alphanumeric() && !"._-".contains(c)).next();
        let is_real = name.is_some_and(|name| !name.is_empty() && !PLACEHOLDERS.contains(&name));
        is_real && !line[..at].ends_with(part_of_path)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    #[test]
    fn paths_of_one_machine_are_found_and_others_are_not() {
        let [work, root, home] = FOLDERS;
        let text = format!(
            "open(\"{work}main\")\nPATH={root}.cargo/bin\n`{home}someone`\n\
             /proc/1{root}lib\nformat!(\"/proc/{{pid}}{root}lib\")\nnet{work}x\n\
             contains(\"{root}\")\n{home}u/.local\n"
        );
        let found = shown(&check(&Tree::of(&[("a.rs", &text)])));
        assert_eq!(found.len(), 3, "{found:?}");
        for (line, found) in (1..).zip(&found) {
            assert!(found.starts_with(&format!("a.rs:{line}: ")), "{found}");
        }
    }
}

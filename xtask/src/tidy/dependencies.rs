//! Rule: every dependency is declared once, for the workspace, used by some crate, and argued in
//! `docs/dependencies.md` with a line that begins with its name (``- `name`: why``).

use super::manifest::{Kind, dependencies, packages};
use super::tree::{Source, Tree, Violation};

const ARGUMENTS: &str = "docs/dependencies.md";

pub fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = own_versions(tree);
    if let Some(workspace) = tree.file("Cargo.toml") {
        violations.extend(unargued(tree, workspace));
        violations.extend(unused(tree, workspace));
        violations
            .extend(tree.file(ARGUMENTS).map(|arguments| stale(arguments, workspace)).unwrap_or_default());
    }
    violations
}

/// A crate that names a version itself escapes the rule.
fn own_versions(tree: &Tree) -> Vec<Violation> {
    let own = |manifest: &'_ Source| -> Vec<Violation> {
        let loose = dependencies(manifest).into_iter().filter(|dependency| !dependency.inherited);
        loose
            .map(|one| manifest.violation(one.line, format!("{}: declare it in the workspace", one.name)))
            .collect()
    };
    packages(tree).flat_map(|(manifest, _)| own(manifest)).collect()
}

/// The dependencies from outside that the workspace declares, with their lines.
fn declared(workspace: &Source) -> Vec<(&str, usize)> {
    let mut all = dependencies(workspace);
    all.retain(|one| one.kind == Kind::Workspace && !one.name.starts_with("waytrace-"));
    all.into_iter().map(|one| (one.name, one.line)).collect()
}

/// The names argued, with their lines.
fn argued(arguments: &Source) -> Vec<(&str, usize)> {
    let named = |(number, line)| Some((str::strip_prefix(line, "- `")?.split_once('`')?.0, number));
    arguments.lines().filter_map(named).collect()
}

fn unargued(tree: &Tree, workspace: &Source) -> Vec<Violation> {
    let argued = tree.file(ARGUMENTS).map(argued).unwrap_or_default();
    let without =
        declared(workspace).into_iter().filter(|(name, _)| !argued.iter().any(|(known, _)| known == name));
    without
        .map(|(name, line)| workspace.violation(line, format!("{name} is not argued in {ARGUMENTS}")))
        .collect()
}

fn unused(tree: &Tree, workspace: &Source) -> Vec<Violation> {
    let used: Vec<_> = packages(tree).flat_map(|(manifest, _)| dependencies(manifest)).collect();
    let idle = declared(workspace).into_iter().filter(|(name, _)| !used.iter().any(|one| one.name == *name));
    idle.map(|(name, line)| workspace.violation(line, format!("{name} is used by no crate"))).collect()
}

fn stale(arguments: &Source, workspace: &Source) -> Vec<Violation> {
    let declared = declared(workspace);
    let gone =
        argued(arguments).into_iter().filter(|(name, _)| !declared.iter().any(|(known, _)| known == name));
    gone.map(|(name, line)| arguments.violation(line, format!("{name} is no dependency"))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    const WORKSPACE: &str =
        "[workspace.dependencies]\nwaytrace-abi = { path = \"x\" }\nclap = \"4\"\nlibc = \"0.2\"\n";

    /// A crate that uses both.
    const USER: (&str, &str) = (
        "x/Cargo.toml",
        "[package]\nname = \"x\"\n[dependencies]\nclap.workspace = true\nlibc = { workspace = true }\n",
    );

    #[test]
    fn unargued_and_stale_dependencies_are_found() {
        let arguments = "# Why\n\n- `clap`: the command line.\n- `rand`: no more.\n";
        let tree = Tree::of(&[("Cargo.toml", WORKSPACE), (ARGUMENTS, arguments), USER]);
        assert_eq!(
            shown(&check(&tree)),
            [
                "Cargo.toml:4: libc is not argued in docs/dependencies.md",
                "docs/dependencies.md:4: rand is no dependency"
            ]
        );
    }

    #[test]
    fn without_the_page_nothing_is_argued() {
        assert_eq!(check(&Tree::of(&[("Cargo.toml", WORKSPACE), USER])).len(), 2);
    }

    #[test]
    fn an_unused_dependency_is_found() {
        let tree = Tree::of(&[("Cargo.toml", WORKSPACE), (ARGUMENTS, "- `clap`: x\n- `libc`: x\n")]);
        let found = shown(&check(&tree));
        assert_eq!(
            found,
            ["Cargo.toml:3: clap is used by no crate", "Cargo.toml:4: libc is used by no crate"]
        );
    }

    #[test]
    fn a_version_in_a_crate_is_found() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\nclap.workspace = true\nlibc = \"0.2\"\n";
        let tree = Tree::of(&[("x/Cargo.toml", manifest)]);
        assert_eq!(shown(&check(&tree)), ["x/Cargo.toml:5: libc: declare it in the workspace"]);
    }
}

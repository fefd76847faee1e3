//! Reads dependencies from `Cargo.toml` with their lines. One dependency per line, as this workspace writes them;
//! that is all of TOML it knows.

use super::tree::{Source, Tree};

/// How a package uses another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Normal,
    Dev,
    Build,
    /// Declared for the whole workspace, used by nobody yet.
    Workspace,
}

/// One line of a dependency table.
#[derive(Debug, PartialEq, Eq)]
pub struct Dependency<'a> {
    pub name: &'a str,
    pub kind: Kind,
    pub line: usize,
    /// Whether the version comes from the workspace.
    pub inherited: bool,
}

/// The packages of the workspace: manifest and name. One that is a workspace of its own is none of them.
pub fn packages(tree: &Tree) -> impl Iterator<Item = (&Source, &str)> {
    tree.files()
        .iter()
        .filter(|file| file.is_named("Cargo.toml") && !is_alone(file))
        .filter_map(|file| Some((file, name(file)?)))
}

fn is_alone(manifest: &Source) -> bool {
    !manifest.path.parent().is_none_or(|folder| folder.as_os_str().is_empty())
        && manifest.text.lines().any(|line| line.trim_end() == "[workspace]")
}

/// The name in `[package]`.
fn name(manifest: &Source) -> Option<&str> {
    let package = manifest.text.split_once("[package]")?.1;
    let value = package.lines().find_map(|line| line.strip_prefix("name"))?;
    value.trim_start().strip_prefix('=').map(|value| value.trim().trim_matches('"'))
}

/// The dependencies a manifest declares.
pub fn dependencies(manifest: &Source) -> Vec<Dependency<'_>> {
    let mut table = None;
    let mut found = Vec::new();
    for (line, text) in manifest.lines() {
        if let Some(header) = text.strip_prefix('[') {
            table = kind_of(header.trim_end_matches([']', ' ']));
        } else if let (Some(kind), Some((key, value))) = (table, text.split_once('=')) {
            let (name, rest) = key.trim().split_once('.').unwrap_or((key.trim(), ""));
            if is_name(name) {
                let inherited = rest == "workspace" || value.contains("workspace = true");
                found.push(Dependency { name, kind, line, inherited });
            }
        }
    }
    found
}

/// `dependencies`, `target.'cfg(…)'.dev-dependencies`, `workspace.dependencies`.
fn kind_of(table: &str) -> Option<Kind> {
    if table == "workspace.dependencies" {
        return Some(Kind::Workspace);
    }
    match table.rsplit('.').next()? {
        "dependencies" => Some(Kind::Normal),
        "dev-dependencies" => Some(Kind::Dev),
        "build-dependencies" => Some(Kind::Build),
        _ => None,
    }
}

fn is_name(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_of_its_own_is_none_of_this_ones_packages() {
        let own = "[workspace]\n[package]\nname = \"y\"\n[dependencies]\na = \"1\"\n";
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace]\n[package]\nname = \"x\"\n"),
            ("tests/fuzz/Cargo.toml", own),
        ]);
        assert_eq!(packages(&tree).map(|(_, name)| name).collect::<Vec<_>>(), ["x"]);
    }

    #[test]
    fn all_tables_are_read_and_nothing_else() {
        let text = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = { workspace = true, features = [\n  \"c=1\",\n] }\n\
                    [target.'cfg(unix)'.dev-dependencies]\nd = \"1\"\n[build-dependencies]\ne = { version = \"2\" }\n[features]\nf = []\n";
        let tree = Tree::of(&[("Cargo.toml", text)]);
        let (manifest, name) = packages(&tree).next().unwrap();
        assert_eq!(name, "x");
        let got: Vec<_> =
            dependencies(manifest).into_iter().map(|d| (d.name, d.kind, d.line, d.inherited)).collect();
        let expected = [
            ("a", Kind::Normal, 4, true),
            ("b", Kind::Normal, 5, true),
            ("d", Kind::Dev, 9, false),
            ("e", Kind::Build, 11, false),
        ];
        assert_eq!(got, expected);
    }
}

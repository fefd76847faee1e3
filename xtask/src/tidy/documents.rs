//! Rule: every page of `docs/` is linked from another document, and no link leads to a missing file.
//!
//! Links to other sites and anchors inside pages are not followed.

use super::tree::{Source, Tree, Violation};
use std::path::{Component, Path, PathBuf};

pub fn check(tree: &Tree) -> Vec<Violation> {
    if tree.file("README.md").is_none() {
        return Vec::new();
    }
    let documents: Vec<_> = tree.files().iter().filter(|file| file.has_extension(&["md"])).collect();
    let links: Vec<_> = documents.iter().flat_map(|file| links(file)).collect();
    let exists = |path: &Path| tree.files().iter().any(|file| file.path.starts_with(path));
    let dead = links.iter().filter(|link| !exists(&link.target));
    let mut violations: Vec<_> = dead
        .map(|link| {
            link.from.violation(link.line, format!("a link to {}, which is not there", link.target.display()))
        })
        .collect();
    for page in documents.iter().filter(|page| page.path.starts_with("docs")) {
        if !links.iter().any(|link| link.target == page.path && link.from.path != page.path) {
            violations.push(page.violation(1, "no other document links to this page"));
        }
    }
    violations
}

struct Link<'a> {
    from: &'a Source,
    line: usize,
    /// From the root.
    target: PathBuf,
}

/// The links of a page to files of the tree: `[text](path)` and `src="path"`.
fn links(page: &Source) -> Vec<Link<'_>> {
    let mut found = Vec::new();
    for (line, text) in page.lines() {
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let sources = text.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
        for target in targets.chain(sources) {
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains(':') {
                found.push(Link { from: page, line, target: resolve(&page.path, path) });
            }
        }
    }
    found
}

/// The path from the root that `link` means on `page`.
fn resolve(page: &Path, link: &str) -> PathBuf {
    let folder = page.parent().unwrap_or(Path::new(""));
    let mut path = PathBuf::new();
    for component in folder.join(link).components() {
        match component {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    #[test]
    fn unlinked_pages_and_dead_links_are_found() {
        let tree = Tree::of(&[
            (
                "README.md",
                "[store](docs/store.md#schema) [site](https://example.org/x.md) [up](#top)\n<img src=\"docs/gone.svg\">\n",
            ),
            ("docs/store.md", "[limits](limitations.md), [back](../README.md), [code](../userspace)\n"),
            ("docs/limitations.md", "[dead](store2.md)\n"),
            ("docs/alone.md", "[itself](alone.md)\n"),
            ("userspace/lib.rs", ""),
        ]);
        assert_eq!(
            shown(&check(&tree)),
            [
                "README.md:2: a link to docs/gone.svg, which is not there",
                "docs/limitations.md:1: a link to docs/store2.md, which is not there",
                "docs/alone.md:1: no other document links to this page",
            ]
        );
    }

    #[test]
    fn there_is_nothing_to_link_from_before_the_readme() {
        assert!(check(&Tree::of(&[("docs/alone.md", "")])).is_empty());
    }
}

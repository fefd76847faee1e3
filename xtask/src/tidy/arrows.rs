//! Rule: who may depend on whom, among this workspace's crates and on the dependencies that live in one crate only.

use super::manifest::{Kind, dependencies, packages};
use super::tree::{Tree, Violation};

/// Every crate and the crates of the workspace it may use. Tests may use more (dev-dependencies).
/// `*` stands for all libraries; nothing may use the binary, the apps, the tests or this program. `trace` uses
/// `analysis` for the estimators its budgeted collectors need while they run, `store` for what it derives from samples as it
/// reads them.
const ARROWS: [(&str, &[&str]); 24] = [
    ("waytrace-abi", &[]),
    ("waytrace-ebpf", &["waytrace-abi"]),
    ("waytrace-ebpf-toolchain", &[]),
    ("waytrace-model", &[]),
    ("waytrace-hw", &["waytrace-model"]),
    ("waytrace-image", &["waytrace-model"]),
    ("waytrace-import", &["waytrace-hw", "waytrace-model"]),
    ("waytrace-measure", &["waytrace-analysis", "waytrace-hw", "waytrace-model"]),
    (
        "waytrace-trace",
        &[
            "waytrace-abi",
            "waytrace-analysis",
            "waytrace-ebpf-toolchain",
            "waytrace-hw",
            "waytrace-image",
            "waytrace-model",
            "waytrace-walk",
        ],
    ),
    (
        "waytrace-monitor",
        &[
            "waytrace-analysis",
            "waytrace-hw",
            "waytrace-image",
            "waytrace-model",
            "waytrace-occupancy",
            "waytrace-report",
            "waytrace-store",
            "waytrace-trace",
        ],
    ),
    ("waytrace-occupancy", &["waytrace-hw", "waytrace-model"]),
    ("waytrace-store", &["waytrace-analysis", "waytrace-model"]),
    (
        "waytrace-sweep",
        &["waytrace-analysis", "waytrace-hw", "waytrace-measure", "waytrace-model", "waytrace-occupancy"],
    ),
    ("waytrace-analysis", &["waytrace-model"]),
    ("waytrace-anomaly", &["waytrace-model"]),
    ("waytrace-report", &["waytrace-model"]),
    ("waytrace-fleet", &["waytrace-model"]),
    ("waytrace-walk", &[]),
    ("waytrace", &["*"]),
    ("waytrace-tests", &["*"]),
    ("waytrace-guest", &["*"]),
    ("waytrace-simhost", &[]),
    ("traverse-array", &["waytrace-model"]),
    ("xtask", &["waytrace-ebpf-toolchain"]),
];

/// Dependencies that one crate keeps from all others, so that it can be replaced or left out. Tests are free to look at the same things
/// from outside.
const ALONE: [(&str, &str); 9] = [
    ("aya", "waytrace-trace"),
    ("aya-obj", "waytrace-trace"),
    ("aya-log", "waytrace-trace"),
    ("aya-ebpf", "waytrace-ebpf"),
    ("rusqlite", "waytrace-store"),
    ("candle-core", "waytrace-anomaly"),
    ("candle-nn", "waytrace-anomaly"),
    ("redis", "waytrace-fleet"),
    ("fuser", "waytrace-simhost"),
];

pub fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (manifest, package) in packages(tree) {
        let Some(allowed) = allowed(package) else {
            violations.push(manifest.violation(
                1,
                format!("{package} has no place among the arrows in xtask/src/tidy/arrows.rs"),
            ));
            continue;
        };
        for dependency in dependencies(manifest) {
            let name = dependency.name;
            // Tests may look at the same things from outside.
            if dependency.kind == Kind::Dev {
                continue;
            }
            let message = if let Some(owner) = owner(name, package) {
                format!("{name} belongs to {owner} alone")
            } else if is_ours(name) && !permits(allowed, name) {
                format!("{package} may not depend on {name}")
            } else {
                continue;
            };
            violations.push(manifest.violation(dependency.line, message));
        }
    }
    violations
}

fn allowed(package: &str) -> Option<&'static [&'static str]> {
    ARROWS.iter().find(|(name, _)| *name == package).map(|(_, allowed)| *allowed)
}

/// The crate that keeps `dependency` to itself, if `package` is another.
fn owner(dependency: &str, package: &str) -> Option<&'static str> {
    let owner = ALONE.iter().find(|(name, _)| *name == dependency).map(|(_, owner)| *owner);
    owner.filter(|owner| *owner != package && package != "waytrace-tests")
}

fn is_ours(dependency: &str) -> bool {
    ARROWS.iter().any(|(name, _)| *name == dependency)
}

fn permits(allowed: &[&str], dependency: &str) -> bool {
    let is_library =
        dependency.starts_with("waytrace-") && !["waytrace-tests", "waytrace-ebpf"].contains(&dependency);
    allowed.contains(&dependency) || (allowed.contains(&"*") && is_library)
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    fn crate_with(package: &str, dependencies: &str) -> Vec<String> {
        let manifest = format!("[package]\nname = \"{package}\"\n{dependencies}");
        shown(&check(&Tree::of(&[("x/Cargo.toml", &manifest)])))
    }

    #[test]
    fn an_arrow_against_the_design_is_found() {
        let model = crate_with(
            "waytrace-model",
            "[dependencies]\nserde.workspace = true\nwaytrace-hw.workspace = true\n",
        );
        assert_eq!(model, ["x/Cargo.toml:5: waytrace-model may not depend on waytrace-hw"]);
        let hw = crate_with("waytrace-hw", "[dependencies]\nwaytrace.workspace = true\n");
        assert_eq!(hw, ["x/Cargo.toml:4: waytrace-hw may not depend on waytrace"]);
        let tests = crate_with("waytrace-tests", "[dependencies]\ntraverse-array.workspace = true\n");
        assert_eq!(tests, ["x/Cargo.toml:4: waytrace-tests may not depend on traverse-array"]);
    }

    #[test]
    fn the_binary_may_use_every_library_and_tests_may_use_more() {
        assert!(crate_with("waytrace", "[dependencies]\nwaytrace-store.workspace = true\n").is_empty());
        assert!(
            crate_with("waytrace-report", "[dev-dependencies]\nwaytrace-store.workspace = true\n").is_empty()
        );
    }

    #[test]
    fn a_dependency_that_belongs_to_one_crate_is_found_elsewhere() {
        assert!(crate_with("waytrace-store", "[dependencies]\nrusqlite.workspace = true\n").is_empty());
        let report = crate_with("waytrace-report", "[dependencies]\nrusqlite.workspace = true\n");
        assert_eq!(report, ["x/Cargo.toml:4: rusqlite belongs to waytrace-store alone"]);
        assert!(crate_with("waytrace-tests", "[dev-dependencies]\nrusqlite.workspace = true\n").is_empty());
        assert_eq!(crate_with("waytrace", "[dependencies]\naya.workspace = true\n").len(), 1);
    }

    #[test]
    fn an_unknown_crate_is_found() {
        assert_eq!(crate_with("waytrace-new", "").len(), 1);
    }
}

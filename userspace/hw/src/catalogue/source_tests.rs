//! The first source that knows a CPU is the one used.

use super::super::directory::tests::intel_layout;
use super::*;
use crate::testing::Tree;

#[test]
fn a_directory_goes_before_the_cache_and_both_before_the_tables() {
    let tree = intel_layout();
    let cpu: CpuId = "GenuineIntel-6-55-4".parse().unwrap();
    let cache = Cache::new(tree.root.path("cache"));
    let top = tree.root.path("");
    cache.import(&Directory::open(&top).unwrap()).unwrap();
    let given = Sources::open(Some(&top), cache.clone()).unwrap().load(&cpu).unwrap();
    assert!(given.source.starts_with("SKX V1.37 of "), "{}", given.source);
    assert_eq!((given.events.len(), given.rejected.len()), (4, 1));
    let found = Sources::open(None, cache.clone()).unwrap().load(&cpu).unwrap();
    assert_eq!((found.source.as_str(), found.events), ("imported: SKX V1.37", given.events));
    assert!(given.metrics.len() == 2 && found.metrics == given.metrics);
    // A directory that does not know the CPU is passed over.
    let other: CpuId = "GenuineIntel-6-3F".parse().unwrap();
    let older = Sources::open(Some(&top), cache).unwrap().load(&other);
    #[cfg(all(target_arch = "x86_64", feature = "intel-tables"))]
    assert!(older.unwrap().source.starts_with("built in"));
    #[cfg(not(all(target_arch = "x86_64", feature = "intel-tables")))]
    assert!(older.is_err());
}

#[test]
fn an_unknown_cpu_says_who_was_asked_and_what_is_alike() {
    let tree = intel_layout();
    let sources = Sources::open(Some(&tree.root.path("")), Cache::new(tree.root.path("cache"))).unwrap();
    let message = sources.load(&"GenuineIntel-6-FE".parse().unwrap()).unwrap_err().to_string();
    for needle in ["GenuineIntel-6-FE", "events import DIR", "events stats` lists all", "3 CPUs", ": 0 CPUs"]
    {
        assert!(message.contains(needle), "{needle}: {message}");
    }
    let absent = sources.load(&"GenuineIntel-6-55-7".parse().unwrap());
    if let Err(error) = absent {
        assert!(
            error.to_string().contains("CLX/events/cascadelakex_core.json, which is not there"),
            "{error}"
        );
    }
    let empty = Tree::new(&[]);
    assert!(Sources::open(Some(&empty.root.path("")), Cache::new("none")).is_err());
}

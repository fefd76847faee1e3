//! CPU sets of machines drawn by hand.

use super::*;
use crate::testing::Tree;
use crate::topology::format_list;

/// A machine of these cores, each with its threads and the list of CPUs that share its L3.
fn machine(online: &str, cores: &[(&[u32], Option<&str>)]) -> (Tree, Layout) {
    let tree = Tree::new(&[("sys/devices/system/cpu/online", online)]);
    for (cpus, l3) in cores {
        for cpu in *cpus {
            let dir = format!("sys/devices/system/cpu/cpu{cpu}");
            tree.write(&format!("{dir}/topology/thread_siblings_list"), &format_list(cpus));
            tree.write(&format!("{dir}/cache/index0/level"), "1\n");
            tree.write(&format!("{dir}/cache/index0/shared_cpu_list"), &format_list(cpus));
            if let Some(l3) = l3 {
                tree.write(&format!("{dir}/cache/index3/level"), "3\n");
                tree.write(&format!("{dir}/cache/index3/shared_cpu_list"), l3);
            }
        }
    }
    let layout = Layout::read(&tree.root).unwrap();
    (tree, layout)
}

/// The places as `measured|antagonist`, or why there are none.
fn places(layout: &Layout, name: &str) -> Result<Vec<String>, String> {
    let places = Configuration::parse(name).unwrap().places(layout)?;
    Ok(places
        .iter()
        .map(|one| format!("{}|{}", format_list(&one.measured), format_list(&one.antagonist)))
        .collect())
}

fn check(layout: &Layout, expected: &[(&str, &[&str])]) {
    for (name, expected) in expected {
        match places(layout, name) {
            Ok(found) => assert_eq!(found, *expected, "{name}"),
            Err(reason) => {
                assert!(
                    expected.len() == 1 && reason.contains(expected[0]),
                    "{name}: {reason}, expected {expected:?}"
                );
            }
        }
    }
}

#[test]
fn one_socket_without_smt() {
    let l3 = Some("0-3");
    let (_tree, layout) = machine("0-3", &[(&[0], l3), (&[1], l3), (&[2], l3), (&[3], l3)]);
    let no_smt: &[&str] = &["no core has more than one thread"];
    check(
        &layout,
        &[
            ("L1-SMT", no_smt),
            ("L3-SMT", no_smt),
            ("L3-SMT-cores", no_smt),
            ("L3-cores", &["0-1|2-3"]),
            ("Full-L3", &["only one L3"]),
            ("Full-SMT-L3", no_smt),
            ("Full-cores", &["0-1|2-3"]),
            ("Full-SMT-cores", no_smt),
        ],
    );
}

/// As Linux numbers them: the second threads after all the first ones.
#[test]
fn two_sockets_with_two_threads_per_core() {
    let (a, b) = (Some("0-3,8-11"), Some("4-7,12-15"));
    let (_tree, layout) = machine(
        "0-15",
        &[
            (&[0, 8], a),
            (&[1, 9], a),
            (&[2, 10], a),
            (&[3, 11], a),
            (&[4, 12], b),
            (&[5, 13], b),
            (&[6, 14], b),
            (&[7, 15], b),
        ],
    );
    check(
        &layout,
        &[
            ("L1-SMT", &["0|8", "1|9", "2|10", "3|11", "4|12", "5|13", "6|14", "7|15"]),
            ("L3-SMT", &["0-3|8-11", "4-7|12-15"]),
            ("L3-SMT-cores", &["0-1,8-9|2-3,10-11", "4-5,12-13|6-7,14-15"]),
            ("L3-cores", &["0-1|2-3", "4-5|6-7"]),
            ("Full-L3", &["0-3|4-7"]),
            ("Full-SMT-L3", &["0-3,8-11|4-7,12-15"]),
            ("Full-cores", &["0-1,4-5|2-3,6-7"]),
            ("Full-SMT-cores", &["0-1,4-5,8-9,12-13|2-3,6-7,10-11,14-15"]),
        ],
    );
}

/// Three cores of four threads, as POWER has them: the odd core stays idle where cores are halved.
#[test]
fn four_threads_per_core_and_an_odd_core() {
    let l3 = Some("0-11");
    let (_tree, layout) = machine("0-11", &[(&[0, 1, 2, 3], l3), (&[4, 5, 6, 7], l3), (&[8, 9, 10, 11], l3)]);
    check(
        &layout,
        &[
            ("L1-SMT", &["0-1|2-3", "4-5|6-7", "8-9|10-11"]),
            ("L3-SMT", &["0-1,4-5,8-9|2-3,6-7,10-11"]),
            ("L3-SMT-cores", &["0-3|4-7"]),
            ("L3-cores", &["0|4"]),
            ("Full-L3", &["only one L3"]),
            ("Full-SMT-cores", &["0-3|4-7"]),
        ],
    );
}

/// Two fast cores with two threads, two slow ones with one.
#[test]
fn two_kinds_of_cores() {
    let l3 = Some("0-5");
    let (_tree, layout) = machine("0-5", &[(&[0, 1], l3), (&[2, 3], l3), (&[4], l3), (&[5], l3)]);
    check(
        &layout,
        &[
            ("L1-SMT", &["0|1", "2|3"]),
            ("L3-SMT", &["0,2|1,3"]),
            ("L3-SMT-cores", &["0-3|4-5"]),
            ("L3-cores", &["0,2|4-5"]),
        ],
    );
}

#[test]
fn a_machine_that_shows_no_l3_has_cores_all_the_same() {
    let (_tree, layout) = machine("0-3", &[(&[0, 1], None), (&[2, 3], None)]);
    check(
        &layout,
        &[
            ("L1-SMT", &["0|1", "2|3"]),
            ("L3-cores", &["shows no L3"]),
            ("Full-L3", &["shows no L3"]),
            ("Full-cores", &["0|2"]),
            ("Full-SMT-cores", &["0-1|2-3"]),
        ],
    );
}

#[test]
fn one_core_can_do_nothing_without_threads() {
    let (_tree, layout) = machine("0", &[(&[0], Some("0"))]);
    for configuration in Configuration::ALL {
        assert!(configuration.places(&layout).is_err(), "{configuration:?}");
    }
}

/// What a cpuset keeps away is not used, and neither is what is offline.
#[test]
fn only_usable_cpus_are_taken() {
    let l3 = Some("0-3");
    let cores: [(&[u32], _); 4] = [(&[0], l3), (&[1], l3), (&[2], l3), (&[3], l3)];
    let (tree, _) = machine("0-2", &cores);
    tree.write("proc/self/status", "Name:\tx\nCpus_allowed_list:\t1-3\n");
    let layout = Layout::read(&tree.root).unwrap();
    assert_eq!(places(&layout, "L3-cores").unwrap(), ["1|2"]);
}

#[test]
fn names_are_read_back() {
    for configuration in Configuration::ALL {
        assert_eq!(Configuration::parse(configuration.name()), Some(configuration));
    }
    assert_eq!(Configuration::parse("L2-SMT"), None);
}

proptest::proptest! {
    // Each case is a tree of up to several hundred files.
    #![proptest_config(proptest::test_runner::Config::with_cases(24))]

    /// Whatever the machine: seats are on it, as many on either side where its cores are alike, and apart.
    #[test]
    fn seats_never_overlap(groups in 1u32..4, cores in 1u32..6, width in 1u32..9) {
        let total = groups * cores * width;
        let lists: Vec<(Vec<u32>, String)> = (0..groups * cores)
            .map(|core| {
                let first = core / cores * cores * width;
                ((core * width..(core + 1) * width).collect(), format!("{first}-{}", first + cores * width - 1))
            })
            .collect();
        let drawn: Vec<(&[u32], Option<&str>)> =
            lists.iter().map(|(cpus, l3)| (cpus.as_slice(), Some(l3.as_str()))).collect();
        let (_tree, layout) = machine(&format!("0-{}", total - 1), &drawn);
        for configuration in Configuration::ALL {
            for seats in configuration.places(&layout).unwrap_or_default() {
                proptest::prop_assert_eq!(seats.measured.len(), seats.antagonist.len());
                proptest::prop_assert!(seats.measured.iter().all(|cpu| *cpu < total && !seats.antagonist.contains(cpu)));
            }
        }
    }
}

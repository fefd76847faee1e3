//! Directories in Intel's and in the kernel's layout, hand-written, and Intel's own where they are at hand.

use super::super::Stats;
use super::*;
use crate::testing::Tree;

const CORE_JSON: &str = r#"{"Header": {"Version": "1"}, "Events": [
    {"EventName": "INST_RETIRED.ANY", "EventCode": "0x00", "UMask": "0x01", "Counter": "Fixed counter 0"},
    {"EventName": "BAD", "EventCode": "zero"},
    {"EventName": "MEM_LOAD_RETIRED.L3_MISS", "EventCode": "0xd1", "UMask": "0x20", "Counter": "0,1,2,3", "Precise": "1"}]}"#;
const UNCORE_JSON: &str = r#"{"Events": [
    {"Unit": "CHA", "EventName": "UNC_CHA_A", "EventCode": "0x35", "UMask": "0x1", "Counter": "0", "Filter": "na"}]}"#;
const METRICS_JSON: &str = r#"{"Header": {}, "Metrics": [
    {"MetricName": "L3_MPI", "Category": "MPI", "Formula": "a / b",
     "Events": [{"Name": "MEM_LOAD_RETIRED.L3_MISS", "Alias": "a"}, {"Name": "INST_RETIRED.ANY", "Alias": "b"}]},
    {"MetricName": "lookups", "Formula": "a", "Events": [{"Name": "UNC_CHA_A:filter1=0x1", "Alias": "a"}]}]}"#;
const EXPERIMENTAL_JSON: &str = r#"[
    {"Unit": "CHA", "EventName": "UNC_CHA_A", "EventCode": "0x35", "UMask": "0x1", "Counter": "0", "Filter": "na"},
    {"Unit": "CHA", "EventName": "UNC_CHA_B", "EventCode": "0x36", "UMask": "0x1", "Counter": "0", "Filter": "na"}]"#;

/// Intel's layout: two models that share a folder of another stepping, a hybrid one, one without files.
pub fn intel_layout() -> Tree {
    Tree::new(&[
        (
            "mapfile.csv",
            "Family-model,Version,Filename,EventType,Core Type,Native Model ID,Core Role Name\n\
             GenuineIntel-6-55-[01234],V1.37,/SKX/events/skylakex_core.json,core,,,\n\
             GenuineIntel-6-55-[01234],V1.37,/SKX/events/skylakex_uncore.json,uncore,,,\n\
             GenuineIntel-6-55-[01234],V1.37,/SKX/events/skylakex_uncore_experimental.json,uncore experimental,,,\n\
             GenuineIntel-6-55-[01234],V1.0,/SKX/metrics/skylakex_metrics.json,metrics,,,\n\
             GenuineIntel-6-55-[56789ABCDEF],V1.25,/CLX/events/cascadelakex_core.json,core,,,\n\
             GenuineIntel-6-97,V1.40,/ADL/events/gracemont_core.json,hybridcore,0x20,0x000001,Atom\n\
             GenuineIntel-6-97,V1.40,/ADL/events/goldencove_core.json,hybridcore,0x40,0x000001,Core\n\
             GenuineIntel-6-9A,V1.40,/ADL/events/gracemont_core.json,hybridcore,0x20,0x000001,Atom\n\
             GenuineIntel-6-9A,V1.40,/ADL/events/goldencove_core.json,hybridcore,0x40,0x000001,Core\n\
             broken line\n",
        ),
        ("SKX/events/skylakex_core.json", &format!("\u{feff}{CORE_JSON}")),
        ("SKX/events/skylakex_uncore.json", UNCORE_JSON),
        ("SKX/events/skylakex_uncore_experimental.json", EXPERIMENTAL_JSON),
        ("SKX/metrics/skylakex_metrics.json", METRICS_JSON),
        ("ADL/events/gracemont_core.json", CORE_JSON),
        ("ADL/events/goldencove_core.json", CORE_JSON),
    ])
}

fn kernel_layout() -> Tree {
    Tree::new(&[
        (
            "x86/mapfile.csv",
            "Family-model,Version,Filename,EventType\nAuthenticAMD-25-([12][[:xdigit:]]|[[:xdigit:]]),v1,amdzen3,core\n",
        ),
        ("x86/amdzen3/core.json", r#"[{"EventName": "ex_ret_instr", "EventCode": "0xc0"}]"#),
        ("x86/amdzen3/cache.json", r#"[{"EventName": "l3_lookup", "EventCode": "0x04", "Unit": "L3PMC"}]"#),
        (
            "x86/amdzen3/recommended.json",
            r#"[{"MetricName": "l3_rate", "MetricExpr": "l3_lookup / ex_ret_instr", "MetricGroup": "L3"}]"#,
        ),
        ("x86/amdzen3/metricgroups.json", r#"{"L3": "All about it"}"#),
        (
            "arm64/mapfile.csv",
            "#Family-model,Version,Filename,EventType\n0x00000000410fd0c0,v1,arm/neoverse-n1,core\n",
        ),
        ("arm64/common-and-microarch.json", r#"[{"EventName": "CPU_CYCLES", "EventCode": "0x11"}]"#),
        ("arm64/arm/neoverse-n1/core.json", r#"[{"ArmStdEvent": "CPU_CYCLES"}]"#),
    ])
}

fn load(tree: &Tree, cpu: &str) -> Option<Loaded> {
    let directory = Directory::open(&tree.root.path("")).unwrap();
    directory.find(&cpu.parse().unwrap()).map(|model| model.load().unwrap())
}

#[test]
fn intels_layout_gives_the_events_of_the_right_stepping() {
    let tree = intel_layout();
    let loaded = load(&tree, "GenuineIntel-6-55-4").unwrap();
    let names: Vec<_> = loaded.events.iter().map(|event| (event.name.as_str(), event.experimental)).collect();
    assert_eq!(
        names,
        [
            ("inst_retired.any", false),
            ("mem_load_retired.l3_miss", false),
            ("unc_cha_a", false),
            ("unc_cha_b", true)
        ]
    );
    assert_eq!((loaded.rejected[0].name.as_str(), loaded.rejected.len()), ("bad", 1));
    assert!(load(&tree, "GenuineIntel-6-55").is_some(), "without a stepping the first that is there");
    assert!(load(&tree, "GenuineIntel-6-55-7").is_none(), "its files are not there");
    let directory = Directory::open(&tree.root.path("")).unwrap();
    assert!(
        directory
            .absent(&"GenuineIntel-6-55-7".parse().unwrap())
            .unwrap()
            .ends_with("CLX/events/cascadelakex_core.json")
    );
    assert_eq!(directory.rejected()[0].name, "broken line");
}

#[test]
fn metrics_are_read_where_their_files_are() {
    let tree = intel_layout();
    let loaded = load(&tree, "GenuineIntel-6-55-4").unwrap();
    let counted: Vec<_> =
        loaded.metrics.iter().map(|metric| metric.counted(&loaded.events, &loaded.metrics).events).collect();
    assert_eq!(counted, [vec![0, 1], vec![2]]);
    assert_eq!(
        (loaded.metrics[0].name.as_str(), loaded.metrics[0].groups.as_slice()),
        ("l3_mpi", &["MPI".to_owned()][..])
    );
    assert!(loaded.rejected.iter().all(|rejected| rejected.name == "bad"), "{:?}", loaded.rejected);
    let without = intel_layout();
    fs::remove_file(without.root.path("SKX/metrics/skylakex_metrics.json")).unwrap();
    let loaded = load(&without, "GenuineIntel-6-55-4").unwrap();
    assert!(loaded.metrics.is_empty() && loaded.rejected.len() == 1);
}

#[test]
fn hybrid_cores_have_pmus_of_their_own_and_alike_models_are_one() {
    let tree = intel_layout();
    let loaded = load(&tree, "GenuineIntel-6-97").unwrap();
    assert_eq!(loaded.events.iter().filter(|event| event.pmu == "cpu_atom").count(), 2);
    assert_eq!(loaded.events.iter().filter(|event| event.pmu == "cpu_core").count(), 2);
    let models = Directory::open(&tree.root.path("")).unwrap().models();
    let seen: Vec<_> = models.iter().map(|model| (model.name.as_str(), model.patterns.len())).collect();
    assert_eq!(seen, [("SKX", 1), ("ADL", 2)]);
}

#[test]
fn the_kernels_layout_gives_amd_and_arm() {
    let tree = kernel_layout();
    let amd = load(&tree, "AuthenticAMD-25-11-1").unwrap();
    let names: Vec<_> = amd.events.iter().map(|event| (event.name.as_str(), event.pmu.as_str())).collect();
    assert_eq!(names, [("l3_lookup", "amd_l3"), ("ex_ret_instr", "cpu")]);
    assert_eq!(amd.metrics[0].counted(&amd.events, &amd.metrics).events, [0, 1]);
    let arm = load(&tree, "0x00000000413fd0c1").unwrap();
    assert_eq!(
        (arm.events[0].name.as_str(), arm.events[0].encoding().as_str()),
        ("cpu_cycles", "event=0x11")
    );
}

#[test]
fn what_is_no_directory_of_events_says_what_to_give() {
    let tree = Tree::new(&[("SKX/events/skylakex_core.json", "[]")]);
    let error = Directory::open(&tree.root.path("")).unwrap_err().to_string();
    assert!(error.contains("no mapfile.csv") && error.contains("top directory"), "{error}");
    assert!(matches!(Directory::open(&tree.root.path("nowhere")), Err(CatalogueError::Read { .. })));
}

#[test]
fn a_damaged_file_is_named() {
    let tree = intel_layout();
    tree.write("SKX/events/skylakex_uncore.json", "{\"Events\": [{\"Unit\": \"CHA\"");
    let directory = Directory::open(&tree.root.path("")).unwrap();
    let error =
        directory.find(&"GenuineIntel-6-55-4".parse().unwrap()).unwrap().load().unwrap_err().to_string();
    assert!(error.contains("skylakex_uncore.json") && error.contains("EOF"), "{error}");
}

/// Events of each CPU in Intel's files, by a count of the names that was made apart from this program.
#[test]
fn intels_own_files_are_read_whole() {
    let Some(path) = std::env::var_os("WAYTRACE_PERFMON") else {
        return println!("SKIP: WAYTRACE_PERFMON names no directory of Intel's perfmon files");
    };
    let directory = Directory::open(Path::new(&path)).unwrap();
    let models = directory.models();
    assert!(!models.is_empty(), "no CPU of mapfile.csv has its files there");
    for model in models {
        let loaded = model.load().unwrap();
        assert!(loaded.rejected.is_empty(), "{}: {:?}", model.name, loaded.rejected);
        let mut names = std::collections::BTreeSet::new();
        for row in &model.rows {
            let text = fs::read_to_string(model.base.join(&row.file)).unwrap();
            names.extend(
                text.lines()
                    .filter_map(|line| line.trim().strip_prefix("\"EventName\": "))
                    .map(str::to_owned),
            );
        }
        assert_eq!(loaded.events.len(), names.len(), "{}", model.name);
        for event in &loaded.events {
            assert!(
                !event.counters.is_unstated() && !event.encoding().is_empty(),
                "{} {}",
                model.name,
                event.name
            );
            assert!(!event.description.is_empty(), "{} {}", model.name, event.name);
        }
        let stats = Stats::of(&loaded.events);
        println!("{}: {} events, {} core, {} PMUs", model.name, stats.events, stats.core, stats.pmus.len());
    }
}

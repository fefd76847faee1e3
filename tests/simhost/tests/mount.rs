//! A mounted host through `std::fs`, as the product sees it: registers, resctrl, counters, faults, time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, too")]

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use waytrace_simhost::faults::{Effect, Fault, Operation};
use waytrace_simhost::fs::mount::Mounted;
use waytrace_simhost::host::Host;
use waytrace_simhost::hosts;
use waytrace_simhost::model::program::{Program, Workload};
use waytrace_simhost::model::task::TaskSpec;
use waytrace_simhost::model::truth;
use waytrace_simhost::spec::HostSpec;

struct Fixture {
    mounted: Mounted,
    _directory: tempfile::TempDir,
}

/// A host that stands still, with a task 1000 on CPU 0 and a stream 2000 on CPU 1. None where FUSE is missing.
fn mount(spec: &HostSpec, program: Program) -> Option<Fixture> {
    if let Err(error) = OpenOptions::new().read(true).write(true).open("/dev/fuse") {
        println!("SKIP: /dev/fuse: {error}");
        return None;
    }
    let mut host = Host::new(spec, 1);
    host.follows_clock = false;
    for (tid, cpu, program) in [(1000, 0, program), (2000, 1, Program::Stream)] {
        host.start(TaskSpec { tgid: tid, tid, cpu, workload: Workload::of(program) });
    }
    let directory = tempfile::tempdir().unwrap();
    match Mounted::new(host, directory.path(), 1.0) {
        Ok(mounted) => Some(Fixture { mounted, _directory: directory }),
        Err(error) => {
            println!("SKIP: {error}");
            None
        }
    }
}

impl Fixture {
    fn path(&self, path: &str) -> PathBuf {
        self.mounted.path().join(path)
    }

    fn resctrl(&self, path: &str) -> PathBuf {
        self.path("sys/fs/resctrl").join(path)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn number(&self, path: &str) -> u64 {
        self.read(path).trim().parse().unwrap()
    }

    fn msr(&self, cpu: usize) -> File {
        OpenOptions::new().read(true).write(true).open(self.path(&format!("dev/cpu/{cpu}/msr"))).unwrap()
    }

    fn fault(&self, pattern: &str, operation: Operation, effect: Effect) {
        let fault = Fault { pattern: pattern.to_owned(), operation, nth: 1, times: 1, effect };
        self.mounted.host().faults.add(fault);
    }
}

fn read_msr(file: &File, address: u64) -> Result<u64, Option<i32>> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, address).map_err(|error| error.raw_os_error())?;
    Ok(u64::from_le_bytes(bytes))
}

fn names(path: PathBuf) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn way() -> u64 {
    hosts::twelve().l3.way_bytes()
}

#[test]
fn a_sweep_through_files_measures_the_true_curve() {
    let program = Program::Loop { bytes: 5 * way() };
    let Some(host) = mount(&hosts::twelve(), program.clone()) else { return };
    for group in ["target", "others"] {
        fs::create_dir(host.resctrl(group)).unwrap();
    }
    fs::write(host.resctrl("target/tasks"), "1000\n").unwrap();
    fs::write(host.resctrl("others/tasks"), "2000\n").unwrap();
    let counters = || {
        ["llc_misses", "llc_references", "instructions", "cycles"]
            .map(|name| host.number(&format!("counters/1000/{name}")) as f64)
    };
    // Upwards: a loop's lines outside a narrowed mask are used too often for others to press them out.
    for ways in [2, 4, 5, 11] {
        let mask = (1_u32 << ways) - 1;
        fs::write(host.resctrl("target/schemata"), format!("L3:0={mask:x}\n")).unwrap();
        fs::write(host.resctrl("others/schemata"), format!("L3:0={:x}\n", 0xfff & !mask)).unwrap();
        host.mounted.step(300_000_000);
        let before = counters();
        host.mounted.step(200_000_000);
        let after = counters();
        let [misses, references, instructions, cycles] =
            std::array::from_fn(|index| after[index] - before[index]);
        let truth = truth::point(&hosts::twelve(), &Workload::of(program.clone()), ways);
        assert!(
            (misses / references - truth.miss_ratio).abs() < 0.02,
            "{ways} ways: {misses} of {references}, {truth:?}"
        );
        assert!((instructions / cycles / truth.ipc - 1.0).abs() < 0.03, "{ways} ways, {truth:?}");
        assert_eq!(
            host.number("sys/fs/resctrl/target/mon_data/mon_L3_00/llc_occupancy"),
            u64::try_from(ways.min(5)).unwrap() * way()
        );
    }
}

#[test]
fn registers_answer_as_the_msr_device_does() {
    let Some(host) = mount(&hosts::twelve(), Program::Stream) else { return };
    let msr = host.msr(3);
    assert_eq!(read_msr(&msr, 0xc90), Ok(0xfff));
    msr.write_all_at(&0x00f_u64.to_le_bytes(), 0xc92).unwrap();
    assert_eq!(read_msr(&host.msr(0), 0xc92), Ok(0xf));
    let refused = msr.write_all_at(&0b101_u64.to_le_bytes(), 0xc92).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EIO));
    assert_eq!(read_msr(&msr, 0x11), Err(Some(libc::EIO)));
    assert_eq!(msr.read_at(&mut [0; 7], 0xc90).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    let mut twice = [0; 16];
    assert_eq!(msr.read_at(&mut twice, 0xc92).unwrap(), 16);
    assert_eq!(twice[..8], twice[8..], "the same register again");
    let mut leaf = [0; 16];
    let cpuid = File::open(host.path("dev/cpu/0/cpuid")).unwrap();
    cpuid.read_exact_at(&mut leaf, 1 << 32 | 0x10).unwrap();
    assert_eq!(leaf[..4], 11_u32.to_le_bytes());
}

#[test]
fn both_interfaces_are_one_truth() {
    let Some(host) = mount(&hosts::twelve(), Program::Stream) else { return };
    fs::create_dir(host.resctrl("a")).unwrap();
    fs::write(host.resctrl("a/schemata"), "L3:0=f0\n").unwrap();
    fs::write(host.resctrl("a/tasks"), "1000\n").unwrap();
    let msr = host.msr(0);
    assert_eq!((read_msr(&msr, 0xc91), read_msr(&msr, 0xc8f)), (Ok(0xf0), Ok(1 << 32 | 1)));
    msr.write_all_at(&0x3_u64.to_le_bytes(), 0xc91).unwrap();
    assert_eq!(host.read("sys/fs/resctrl/a/schemata"), "    MB:0=100\n    L3:0=3\n");
    assert_eq!(host.read("proc/1000/cpu_resctrl_groups"), "res:a\nmon:\n");
}

#[test]
fn resctrl_fails_with_the_kernels_numbers() {
    let Some(host) = mount(&hosts::eleven(), Program::Stream) else { return };
    let write =
        |path: &str, text: &str| fs::write(host.resctrl(path), text).map_err(|error| error.raw_os_error());
    assert_eq!(write("schemata", "L3:0=5\n"), Err(Some(libc::EINVAL)));
    assert_eq!(host.read("sys/fs/resctrl/info/last_cmd_status"), "The mask 5 has non-consecutive 1-bits\n");
    assert_eq!(write("tasks", "999\n"), Err(Some(libc::ESRCH)));
    for number in 1..16 {
        fs::create_dir(host.resctrl(&format!("g{number}"))).unwrap();
    }
    let full = fs::create_dir(host.resctrl("one-more")).unwrap_err();
    assert_eq!(full.raw_os_error(), Some(libc::ENOSPC));
    assert_eq!(host.read("sys/fs/resctrl/info/last_cmd_status"), "Out of CLOSIDs\n");
    assert_eq!(fs::remove_dir(host.resctrl("info")).unwrap_err().raw_os_error(), Some(libc::EPERM));
    fs::remove_dir(host.resctrl("g7")).unwrap();
    assert!(!host.resctrl("g7").exists());
    assert_eq!(
        names(host.resctrl("g1")),
        ["cpus", "cpus_list", "mode", "mon_data", "mon_groups", "schemata", "size", "tasks"]
    );
}

#[test]
fn an_open_file_of_a_group_that_is_gone_is_no_file_of_the_next() {
    let Some(host) = mount(&hosts::twelve(), Program::Stream) else { return };
    fs::create_dir(host.resctrl("a")).unwrap();
    let open = File::open(host.resctrl("a/schemata")).unwrap();
    assert!(open.read_at(&mut [0; 64], 0).is_ok());
    for _ in 0..2 {
        fs::remove_dir(host.resctrl("a")).unwrap();
        assert_eq!(open.read_at(&mut [0; 64], 0).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        fs::create_dir(host.resctrl("a")).unwrap();
        assert_eq!(open.read_at(&mut [0; 64], 0).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        // The new one can be used all the same.
        fs::write(host.resctrl("a/schemata"), "L3:0=f\n").unwrap();
    }
}

#[test]
fn sysfs_and_proc_describe_the_host() {
    let Some(host) = mount(&hosts::two_sockets(), Program::Stream) else { return };
    assert_eq!(host.read("sys/devices/system/cpu/online"), "0-15\n");
    let cache = |file: &str| host.read(&format!("sys/devices/system/cpu/cpu5/cache/index3/{file}"));
    assert_eq!(
        [cache("id"), cache("ways_of_associativity"), cache("shared_cpu_list")],
        ["1\n", "11\n", "4-7,12-15\n"]
    );
    assert_eq!(cache("size"), format!("{}K\n", hosts::two_sockets().l3.bytes() / 1024));
    assert_eq!(host.read("sys/devices/system/node/node1/cpulist"), "4-7,12-15\n");
    assert!(host.read("proc/mounts").contains("resctrl /sys/fs/resctrl resctrl rw,relatime 0 0\n"));
    assert!(host.read("proc/cpuinfo").contains(" cat_l3 "));
    assert_eq!(names(host.path("proc/2000/task")), ["2000"]);
    assert!(host.read("proc/2000/task/2000/stat").starts_with("2000 (simulated) R "));
    assert_eq!(names(host.path("")), ["adopt", "counters", "dev", "proc", "sys"]);
    host.mounted.host().set_mounted(false);
    assert!(!host.read("proc/mounts").contains("resctrl"));
    assert!(names(host.resctrl("")).is_empty());
}

#[test]
fn faults_come_when_they_are_due() {
    let Some(host) = mount(&hosts::twelve(), Program::Stream) else { return };
    for group in ["a", "b"] {
        fs::create_dir(host.resctrl(group)).unwrap();
    }
    let errno = |result: std::io::Result<()>| result.map_err(|error| error.raw_os_error());
    host.fault("sys/fs/resctrl/*/schemata", Operation::Write, Effect::Fail(libc::EBUSY));
    assert_eq!(errno(fs::write(host.resctrl("a/schemata"), "L3:0=f\n")), Err(Some(libc::EBUSY)));
    assert_eq!(errno(fs::write(host.resctrl("a/schemata"), "L3:0=f\n")), Ok(()));
    host.fault("dev/cpu/*/msr", Operation::Read, Effect::Fail(libc::EIO));
    let msr = host.msr(0);
    assert_eq!((read_msr(&msr, 0xc90), read_msr(&msr, 0xc90)), (Err(Some(libc::EIO)), Ok(0xfff)));
    host.fault("sys/fs/resctrl/a/tasks", Operation::Write, Effect::RemoveGroup("a".to_owned()));
    assert_eq!(errno(fs::write(host.resctrl("a/tasks"), "1000\n")), Err(Some(libc::ENODEV)));
    let line = Effect::Schemata { group: "b".to_owned(), line: "L3:0=1".to_owned() };
    host.fault("sys/fs/resctrl/b/schemata", Operation::Read, line);
    assert_eq!(host.read("sys/fs/resctrl/b/schemata"), "    MB:0=100\n    L3:0=1\n");
    host.fault("counters/1000/cycles", Operation::Read, Effect::Slow(Duration::from_millis(1)));
    assert_eq!(host.number("counters/1000/cycles"), 0);
    host.fault("dev/cpu/7/msr", Operation::Read, Effect::Offline(7));
    assert_eq!(read_msr(&host.msr(7), 0xc90), Err(Some(libc::ENXIO)));
    assert_eq!(host.read("sys/fs/resctrl/cpus_list"), "0-6\n");
    assert_eq!(fs::metadata(host.path("dev/cpu/7")).unwrap_err().kind(), ErrorKind::NotFound);
    host.fault("counters/2000/cycles", Operation::Read, Effect::Exit(2000));
    assert_eq!(fs::read(host.path("counters/2000/cycles")).unwrap_err().raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn time_follows_the_clock_unless_it_is_frozen() {
    let Some(host) = mount(&hosts::twelve(), Program::Stream) else { return };
    let cycles = || host.number("counters/1000/cycles");
    assert_eq!(cycles(), 0);
    host.mounted.thaw();
    while cycles() == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    host.mounted.freeze();
    let stopped = cycles();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(cycles(), stopped);
}

#[test]
fn a_mount_in_use_leaves_the_tree_nevertheless() {
    let Some(host) = mount(&hosts::twelve(), Program::Stream) else { return };
    let open = File::open(host.resctrl("schemata")).unwrap();
    let path = host.resctrl("schemata");
    drop(host.mounted);
    assert!(!path.exists());
    drop(open);
}

/// Reads every file below a directory but the registers, and counts them.
fn read_all(path: &std::path::Path) -> usize {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        if path.is_dir() {
            return read_all(&path);
        }
        if !path.ends_with("msr") && !path.ends_with("cpuid") && !path.ends_with("adopt") {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            assert!(text.ends_with('\n') || path.ends_with("tasks"), "{path:?}: {text:?}");
        }
        1
    };
    entries.map(read).sum()
}

#[test]
fn every_file_of_every_host_can_be_read() {
    for spec in hosts::NAMES.into_iter().filter_map(hosts::named) {
        let Some(host) = mount(&spec, Program::Stream) else { return };
        if spec.mounted {
            fs::create_dir(host.resctrl("a")).unwrap();
            assert_eq!(host.resctrl("a/mon_groups").exists(), spec.monitoring.is_some());
            let schemata = host.read("sys/fs/resctrl/a/schemata");
            assert_eq!(schemata, host.read("sys/fs/resctrl/schemata"), "{}: a new class is open", spec.name);
            // What is read can be written back.
            fs::write(host.resctrl("a/schemata"), &schemata).unwrap();
        }
        let files = read_all(&host.path(""));
        assert!(files > 9 * 4 * spec.cpus(), "{}: {files} files", spec.name);
    }
}

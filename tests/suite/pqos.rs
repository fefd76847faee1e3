//! pqos (intel-cmt-cat) and waytrace on the same simulated hosts, by resctrl and by registers: they find the same capabilities
//! and classes, and each sees what the other sets.
//!
//! pqos has no path of its own to a host, so it runs in a mount namespace with the simulated files over the real ones. It asks
//! the processor's own CPUID, which no file can cover up: gdb stops it at that instruction, and answers with what the simulated
//! `/dev/cpu/N/cpuid` says. All else pqos does by itself.

use std::process::{Child, Command};

use serde_json::{Value, json};
use waytrace_simhost::hosts;

use crate::harness::simulated::{LOOP, STREAM, Simulated};
use crate::harness::skip;
use crate::or_skip;

/// Covers the real host up, then runs the rest of the arguments. `/sys/fs` may have no directory to mount on.
const COVER: &str = r#"
set -e
host=$1; paths=$2; shift 2
mount -t tmpfs none /sys/fs
mkdir /sys/fs/resctrl
for path in $paths; do mount --bind "$host/$path" "/$path"; done
exec "$@"
"#;
/// What is covered.
const PATHS: &str = "dev/cpu sys/fs/resctrl sys/devices/system/cpu sys/devices/system/node proc";

/// For gdb: the CPU the process is bound to says which file answers.
const ANSWER_CPUID: &str = r#"
import gdb, os, struct
host = os.environ["SIMULATED_HOST"]
gdb.execute("set breakpoint pending on")
gdb.execute("tbreak pqos_init")
gdb.execute("run")
maps = [line.split() for line in gdb.execute("info proc mappings", to_string=True).splitlines()]
maps = [fields for fields in maps if fields and "libpqos" in fields[-1]]
first = min(int(fields[0], 16) for fields in maps)
last = max(int(fields[1], 16) for fields in maps)
class Answer(gdb.Breakpoint):
    def stop(self):
        leaf, subleaf = [int(gdb.parse_and_eval("(unsigned int)$" + name)) for name in ("eax", "ecx")]
        cpus = os.sched_getaffinity(gdb.selected_inferior().pid)
        cpu = min(cpus) if len(cpus) == 1 else 0
        with open("%s/dev/cpu/%d/cpuid" % (host, cpu), "rb", buffering=0) as file:
            file.seek((subleaf & 0xffffffff) << 32 | leaf & 0xffffffff)
            values = struct.unpack("<4I", file.read(16))
        for name, value in zip(("rax", "rbx", "rcx", "rdx"), values):
            gdb.execute("set $%s = %d" % (name, value))
        gdb.execute("set $rip = $rip + 2")
        return False
at = gdb.selected_inferior().search_memory(first, last - first, b"\x0f\xa2")
while at is not None:
    Answer("*%#x" % at)
    at = gdb.selected_inferior().search_memory(at + 2, last - at - 2, b"\x0f\xa2")
gdb.execute("continue")
code = gdb.parse_and_eval("$_exitcode")
gdb.execute("quit %d" % (99 if code.type.code == gdb.TYPE_CODE_VOID else int(code)))
"#;

/// A host for both, and how pqos is asked about it.
struct Peer {
    host: Simulated,
    interface: &'static str,
    script: tempfile::TempDir,
    /// A task of the host.
    process: Child,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Peer {
    /// # Errors
    /// The reason to skip.
    fn open(name: &str, interface: &'static str) -> Result<Self, String> {
        skip::program("pqos", "intel-cmt-cat")?;
        skip::program("gdb", "gdb")?;
        let host = Simulated::of(&hosts::named(name).unwrap())?;
        for pid in [LOOP, STREAM] {
            host.mounted.host().machine.exit(pid);
        }
        // pqos looks for processes among those of the real machine, and needs one.
        let process = Command::new("sleep").arg("600").spawn().map_err(|error| error.to_string())?;
        host.mounted.host().adopt(&format!("{} 0 1", process.id())).unwrap();
        if interface == "msr" {
            let is_split = name == "cdp";
            let mut host = host.mounted.host();
            host.set_mounted(false);
            host.machine.control.cdp.fill(is_split);
        }
        let peer = Self { host, interface, script: tempfile::tempdir().unwrap(), process };
        std::fs::write(peer.script.path().join("answer.py"), ANSWER_CPUID).unwrap();
        match peer.covered(&[], &["true"]) {
            Ok(_) => Ok(peer),
            Err(error) => Err(format!("files cannot be mounted over the real ones ({error}); run as root")),
        }
    }

    /// Runs a command that sees the simulated host, by another one where `by` says so.
    fn covered(&self, by: &[&str], command: &[&str]) -> Result<String, String> {
        let root = self.host.mounted.path().to_str().unwrap();
        let all = [by, &["unshare", "--mount", "sh", "-c", COVER, "sh", root, PATHS], command].concat();
        let mut covered = Command::new(all[0]);
        covered.args(&all[1..]).env("SIMULATED_HOST", root).env_remove("DEBUGINFOD_URLS");
        let output = covered.output().map_err(|error| error.to_string())?;
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(text) } else { Err(format!("{command:?}: {text}")) }
    }

    fn pqos(&self, args: &[&str]) -> String {
        let interface = if self.interface == "msr" { "--iface=msr" } else { "--iface=os" };
        let script = self.script.path().join("answer.py");
        let gdb = ["gdb", "-q", "--batch", "-nx", "-x", script.to_str().unwrap(), "--args"];
        let command = [&["pqos", interface], args].concat();
        self.covered(&gdb, &command).unwrap_or_else(|error| panic!("{error}"))
    }

    fn waytrace(&self, args: &[&str]) -> Value {
        let finished = self.host.cache(&[args, &["--interface", self.interface]].concat());
        assert_eq!(finished.code, 0, "{finished:#?}");
        if args.contains(&"--json") { finished.json() } else { Value::Null }
    }

    /// The first class that is not the default one, as both call it.
    fn class(&self) -> &'static str {
        if self.interface == "msr" { "cos1" } else { "COS1" }
    }

    /// That class by waytrace: masks and limits on cache 0, CPUs.
    fn shown(&self) -> Value {
        let shown = self.waytrace(&["show", "--json"]);
        let classes = shown["classes"].as_array().unwrap().iter();
        let class = classes.clone().find(|class| class["name"] == self.class());
        let class = class.unwrap_or_else(|| panic!("{shown:#}"));
        let of_first = |list: &str, value: &str| {
            let values = class[list].as_array().unwrap().iter();
            values
                .filter(|one| one["cache_id"] == 0)
                .map(|one| (one["resource"].as_str().unwrap().to_owned(), one[value].clone()))
                .collect::<serde_json::Map<_, _>>()
        };
        json!({ "masks": of_first("masks", "mask"), "limits": of_first("limits", "value"), "cpus": class["cpus"] })
    }
}

/// What follows a text on its line.
fn after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let at = text.find(start)? + start.len();
    text[at..].lines().next().map(str::trim)
}

#[test]
fn both_find_the_same_capabilities() {
    for name in ["eleven", "twelve", "twenty", "two-sockets", "cdp", "sparse", "amd"] {
        for interface in ["resctrl", "msr"] {
            let peer = or_skip!(Peer::open(name, interface));
            let ours = peer.waytrace(&["show", "--json"]);
            let all = &ours["capabilities"];
            let theirs = peer.pqos(&["-v", "-s"]);
            let what = format!("{name} by {interface}\n{theirs}\n{all:#}");
            let l3 = &all["caches"][0];
            // By resctrl pqos takes the fewest classes of all resources.
            let classes = if interface == "msr" { &l3["classes"] } else { &all["max_classes"] };
            let is_split = all["caches"].as_array().unwrap().iter().any(|cache| cache["name"] == "L3CODE");
            let told = after(&theirs, "CDP on=").unwrap_or_else(|| panic!("{what}"));
            let shareable = l3["shareable_mask"].as_str().unwrap();
            let expected = format!(
                "{}, #COS={classes}, #ways={}, ways contention bit-mask {shareable}",
                u8::from(is_split),
                l3["ways"]
            );
            assert_eq!(told, expected, "{what}");
            let size = format!("{} bytes, way size {} bytes", l3["caches"][0]["size_bytes"], l3["way_bytes"]);
            assert_eq!(after(&theirs, "cache size "), Some(size.as_str()), "{what}");
            let limits = all["bandwidth"].get(0);
            assert_eq!(theirs.contains("MBA capability detected"), limits.is_some(), "{what}");
            if let Some(limits) = limits.filter(|limits| limits["unit"] == "percent") {
                let classes = if interface == "msr" { &limits["classes"] } else { &all["max_classes"] };
                let most = 100 - limits["min"].as_u64().unwrap();
                let expected = format!("#COS={classes}, linear, max={most}, step={}", limits["step"]);
                assert_eq!(after(&theirs, "MBA details: "), Some(expected.as_str()), "{what}");
            }
        }
    }
}

#[test]
fn each_sees_what_the_other_sets() {
    for interface in ["resctrl", "msr"] {
        let peer = or_skip!(Peer::open("twelve", interface));
        peer.pqos(&["-e", "llc:1=0x00f", "-e", "mba:1=50", "-a", "llc:1=1"]);
        let expected = json!({ "masks": { "L3": "0xf" }, "limits": { "MB": 50 }, "cpus": [1] });
        assert_eq!(peer.shown(), expected, "{interface}");
        peer.waytrace(&["set", "--class", peer.class(), "--l3", "0xff0", "--mb", "30%", "--cpus", "0"]);
        let theirs = peer.pqos(&["-s"]);
        for (start, expected) in [
            ("L3CA COS1 => MASK ", "0xff0"),
            ("MBA COS1 => ", "30"),
            ("L3CA COS0 => MASK ", "0xfff"),
            ("Core 0, L2ID 0, L3ID 0 => ", "COS1"),
            ("Core 1, L2ID 1, L3ID 0 => ", "COS1"),
        ] {
            let told = after(&theirs, start).unwrap_or_else(|| panic!("{start}\n{theirs}"));
            assert!(told.starts_with(expected), "{interface}: {start}{told}");
        }
        peer.waytrace(&["reset"]);
        let theirs = peer.pqos(&["-s"]);
        assert!(
            theirs.contains("Core 0, L2ID 0, L3ID 0 => COS0") && !theirs.contains("MASK 0xff0"),
            "{theirs}"
        );
        peer.pqos(&["-e", "llc:1=0x00f", "-a", "llc:1=1"]);
        peer.pqos(&["-R"]);
        let shown = peer.waytrace(&["show", "--json"]);
        for class in shown["classes"].as_array().unwrap() {
            let masks = class["masks"].as_array().unwrap().iter();
            assert!(masks.clone().all(|mask| mask["mask"] == "0xfff"), "{interface}: {class:#}");
            assert_eq!(class["cpus"].as_array().unwrap().is_empty(), class["name"] != "default", "{class:#}");
        }
    }
}

#[test]
fn each_sees_the_others_masks_for_code_and_data() {
    for interface in ["resctrl", "msr"] {
        let peer = or_skip!(Peer::open("cdp", interface));
        peer.pqos(&["-e", "llc:1d=0xff0", "-e", "llc:1c=0x003"]);
        let masks = json!({ "L3CODE": "0x3", "L3DATA": "0xff0" });
        assert_eq!(peer.shown()["masks"], masks, "{interface}");
        peer.waytrace(&["set", "--class", peer.class(), "--l3-code", "0xf0", "--l3-data", "0x1"]);
        let theirs = peer.pqos(&["-s"]);
        assert_eq!(after(&theirs, "L3CA COS1 => "), Some("DATA 0x1, CODE 0xf0"), "{interface}\n{theirs}");
    }
}

#[test]
fn a_process_that_one_places_is_where_the_other_finds_it() {
    let peer = or_skip!(Peer::open("twelve", "resctrl"));
    let pid = peer.process.id();
    let text = pid.to_string();
    peer.pqos(&["-a", &format!("pid:1={pid}")]);
    let shown = peer.waytrace(&["show", "--json"]);
    let class = shown["classes"].as_array().unwrap().iter().find(|class| class["name"] == "COS1").unwrap();
    assert_eq!(class["tasks"], json!([pid]));
    peer.waytrace(&["set", "--class", "COS2", "--l3", "2w", "--pid", &text]);
    let theirs = peer.pqos(&["-s"]);
    assert_eq!(after(&theirs, "    COS2 => "), Some(text.as_str()), "{theirs}");
    assert_eq!(peer.host.read("COS2/tasks"), format!("{pid}\n"));
}

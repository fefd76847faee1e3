//! A PMU in sysfs whose files say anything, and an event by a name that may be anything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waytrace_fuzz::{folder, parts, write};
use waytrace_hw::catalogue::machine_events;
use waytrace_hw::events::{resolve, resolve_list, resolve_perf};
use waytrace_hw::{Machine, Root};

fuzz_target!(|data: &[u8]| {
    let [name, format, other, event, scale, unit, cpumask] = parts(data);
    let file = |path: &str, bytes: &[u8]| write(&format!("sys/bus/event_source/devices/{path}"), bytes);
    for pmu in ["cpu", "uncore_imc_0"] {
        file(&format!("{pmu}/type"), b"4\n");
        file(&format!("{pmu}/format/event"), format);
        file(&format!("{pmu}/format/umask"), other);
        file(&format!("{pmu}/events/e"), event);
        file(&format!("{pmu}/events/e.scale"), scale);
        file(&format!("{pmu}/events/e.unit"), unit);
    }
    file("uncore_imc_0/cpumask", cpumask);
    write("sys/devices/system/cpu/online", b"0-1\n");
    let machine = Machine::new(Root::new(folder()));
    let found = machine_events(&machine).events;
    for event in found.iter().filter(|event| event.name.contains('/') || event.name == "e") {
        for name in event.perf_names(&machine) {
            let _ = resolve(&machine, &name);
        }
    }
    let name = String::from_utf8_lossy(name);
    let _ = resolve_list(&machine, &name);
    if let Ok((_, attr)) = resolve_perf(&machine, &name) {
        let _ = (attr.cpus(), attr.for_cpu(0));
    }
});

//! The hosts that can be simulated. None is a model of one product; each shows one trait that products differ in.

use crate::spec::{
    Broken, CacheSpec, CatSpec, HostSpec, L2Spec, MbaSpec, MonitorEvent, MonitorSpec, Timing, Vendor,
};

/// Names of all hosts.
pub const NAMES: [&str; 17] = [
    "eleven",
    "twelve",
    "sixteen",
    "twenty",
    "two-sockets",
    "cdp",
    "sparse",
    "amd",
    "no-monitoring",
    "min-two",
    "broken",
    "narrow",
    "abmc",
    "mbps",
    "nonlinear",
    "divided",
    "unmounted",
];

/// The host of that name.
pub fn named(name: &str) -> Option<HostSpec> {
    Some(match name {
        "eleven" => eleven(),
        "twelve" => twelve(),
        "sixteen" => sixteen(),
        "twenty" => twenty(),
        "two-sockets" => two_sockets(),
        "cdp" => cdp(),
        "sparse" => sparse(),
        "amd" => amd(),
        "no-monitoring" => no_monitoring(),
        "min-two" => min_two(),
        "broken" => broken(),
        "narrow" => narrow(),
        "abmc" => abmc(),
        "mbps" => HostSpec { name: "mbps", mba_mbps: true, ..twelve() },
        "nonlinear" => nonlinear(),
        "divided" => divided(),
        "unmounted" => HostSpec { name: "unmounted", mounted: false, ..twelve() },
        _ => return None,
    })
}

/// One socket, 8 CPUs, 12 ways of 2 MiB, 16 classes, MBA, all monitoring.
pub fn twelve() -> HostSpec {
    HostSpec {
        name: "twelve",
        vendor: Vendor::Intel,
        sockets: 1,
        cores_per_socket: 4,
        threads_per_core: 2,
        caches_per_socket: 1,
        l3: CacheSpec { ways: 12, modelled_sets: 256, sampling: 128, line_bytes: 64 },
        l3_cat: Some(CatSpec {
            ways: 12,
            closids: 16,
            min_bits: 1,
            sparse: false,
            shareable: 0xc00,
            cdp_capable: true,
        }),
        l2: None,
        mba: Some(MbaSpec { closids: 8, min: 10, granularity: 10, max: 100, linear: true }),
        monitoring: Some(MonitorSpec {
            rmids: 64,
            upscale_bytes: 65_536,
            counter_width: 24,
            events: MonitorEvent::ALL.to_vec(),
            broken: Vec::new(),
            assignable: None,
        }),
        mounted: true,
        cdp: false,
        mba_mbps: false,
        nodes_per_cache: 1,
        padded_masks: false,
        timing: Timing { hz: 2_000_000_000, width: 2, hit: 40, memory: 200 },
    }
}

/// 11 ways, no bandwidth allocation and no CDP: L3 is the only resource, and schemata is not indented.
pub fn eleven() -> HostSpec {
    HostSpec { name: "eleven", mba: None, ..with_ways(11, 16, false) }
}

/// 16 ways, and an L2 with classes of its own.
pub fn sixteen() -> HostSpec {
    let cat = CatSpec { ways: 8, closids: 8, min_bits: 1, sparse: false, shareable: 0, cdp_capable: false };
    HostSpec {
        name: "sixteen",
        l2: Some(L2Spec { bytes: 1 << 20, cat }),
        padded_masks: true,
        ..with_ways(16, 4, true)
    }
}

/// 20 ways of 2.5 MiB with 4 classes.
pub fn twenty() -> HostSpec {
    let mut spec = HostSpec { name: "twenty", padded_masks: true, mba: None, ..with_ways(20, 4, true) };
    spec.l3.sampling = 160;
    spec
}

/// Two sockets with a cache each.
pub fn two_sockets() -> HostSpec {
    HostSpec { name: "two-sockets", sockets: 2, ..with_ways(11, 16, true) }
}

/// Mounted with code and data prioritisation: half the classes, two masks each.
pub fn cdp() -> HostSpec {
    HostSpec { name: "cdp", cdp: true, ..twelve() }
}

/// Takes masks with holes.
pub fn sparse() -> HostSpec {
    let mut spec = HostSpec { name: "sparse", ..twelve() };
    if let Some(cat) = &mut spec.l3_cat {
        cat.sparse = true;
    }
    spec
}

/// Two caches on one socket, any mask, bandwidth in eighths of a GB/s, wide counters.
pub fn amd() -> HostSpec {
    let mut spec = HostSpec {
        name: "amd",
        vendor: Vendor::Amd,
        caches_per_socket: 2,
        mba: Some(MbaSpec { closids: 16, min: 1, granularity: 1, max: 2048, linear: false }),
        ..with_ways(16, 16, true)
    };
    if let Some(cat) = &mut spec.l3_cat {
        (cat.sparse, cat.min_bits, cat.shareable) = (true, 0, 0);
    }
    if let Some(monitoring) = &mut spec.monitoring {
        (monitoring.counter_width, monitoring.upscale_bytes) = (44, 64);
    }
    spec
}

/// Allocation alone.
pub fn no_monitoring() -> HostSpec {
    HostSpec { name: "no-monitoring", monitoring: None, ..twelve() }
}

/// A mask must have two bits, as on Haswell.
pub fn min_two() -> HostSpec {
    let mut spec = HostSpec { name: "min-two", mba: None, ..with_ways(20, 4, false) };
    if let Some(cat) = &mut spec.l3_cat {
        cat.min_bits = 2;
    }
    spec
}

/// Monitoring that does not answer: occupancy by an error, total traffic as unavailable, local traffic as unassigned.
pub fn broken() -> HostSpec {
    let mut spec = HostSpec { name: "broken", ..twelve() };
    if let Some(monitoring) = &mut spec.monitoring {
        monitoring.broken = vec![
            (MonitorEvent::Occupancy, Broken::Error),
            (MonitorEvent::TotalBytes, Broken::Unavailable),
            (MonitorEvent::LocalBytes, Broken::Unassigned),
        ];
    }
    spec
}

/// 24-bit counters of 64-byte units: a task that misses always makes them wrap about every two seconds.
pub fn narrow() -> HostSpec {
    let mut spec = HostSpec { name: "narrow", ..twelve() };
    if let Some(monitoring) = &mut spec.monitoring {
        monitoring.upscale_bytes = 64;
    }
    spec
}

/// AMD's, with six bandwidth counters in each cache: enough for three groups.
pub fn abmc() -> HostSpec {
    let mut spec = HostSpec { name: "abmc", ..amd() };
    if let Some(monitoring) = &mut spec.monitoring {
        monitoring.assignable = Some(6);
    }
    spec
}

/// Bandwidth delays on a scale that is not linear and that the CPU does not tell.
pub fn nonlinear() -> HostSpec {
    let mut spec = HostSpec { name: "nonlinear", ..twelve() };
    if let Some(mba) = &mut spec.mba {
        mba.linear = false;
    }
    spec
}

/// Two sockets whose caches are divided into two nodes each (SNC-2). What a node alone holds and moves is not modelled.
pub fn divided() -> HostSpec {
    HostSpec { name: "divided", nodes_per_cache: 2, ..two_sockets() }
}

fn with_ways(ways: usize, closids: usize, cdp_capable: bool) -> HostSpec {
    let mut spec = twelve();
    spec.l3.ways = ways;
    spec.l3_cat = spec.l3_cat.map(|cat| CatSpec {
        ways,
        closids,
        cdp_capable,
        shareable: 0b11 << (ways.saturating_sub(2)),
        ..cat
    });
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_host_of_that_name() {
        for name in NAMES {
            assert_eq!(named(name).map(|spec| spec.name), Some(name));
        }
        assert_eq!(named("thirteen"), None);
    }

    #[test]
    fn masks_are_as_wide_as_caches() {
        for spec in NAMES.iter().filter_map(|name| named(name)) {
            let cat = spec.l3_cat.unwrap();
            assert_eq!(cat.ways, spec.l3.ways, "{}", spec.name);
            assert!(cat.shareable <= crate::spec::full_mask(cat.ways), "{}", spec.name);
        }
    }
}

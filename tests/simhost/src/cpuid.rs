//! CPUID of a simulated host, leaf by leaf as `/dev/cpu/N/cpuid` serves it. Leaves that say nothing about caches,
//! topology, clocks or allocation are zero.
//!
//! Source: Intel SDM vol. 2A, CPUID; AMD64 PQoS extensions for 0x80000020.

use crate::spec::{CatSpec, HostSpec, MonitorEvent, Vendor};

/// EAX, EBX, ECX and EDX.
pub type Registers = [u32; 4];

/// What CPUID answers on a CPU.
pub fn query(spec: &HostSpec, cpu: usize, leaf: u32, subleaf: u32) -> Registers {
    let apic = low(apic_id(spec, cpu));
    match leaf {
        0 => vendor(spec.vendor, 0x16),
        1 => [signature(spec), apic << 24 | low(logical_per_socket(spec)) << 16, 0, 1 << 5 | 1 << 28],
        4 => cache(spec, subleaf),
        7 if subleaf == 0 => [0, features(spec), 0, 0],
        0xb => topology(spec, apic, subleaf),
        0xf => monitoring(spec, subleaf),
        0x10 => allocation(spec, subleaf),
        // A crystal of 25 MHz, and the ratio that makes the TSC of it.
        0x15 if spec.vendor == Vendor::Intel => [2, low64(spec.timing.hz / 12_500_000), 25_000_000, 0],
        0x16 if spec.vendor == Vendor::Intel => {
            let mhz = low64(spec.timing.hz / 1_000_000);
            [mhz, mhz, 100, 0]
        }
        0x8000_0000 => vendor(spec.vendor, 0x8000_0020),
        0x8000_0008 if spec.vendor == Vendor::Amd => [0, u32::from(spec.mba.is_some()) << 6, 0, 0],
        // What leaf 4 is on Intel's.
        0x8000_001d if spec.vendor == Vendor::Amd => cache(spec, subleaf),
        0x8000_0020 if spec.vendor == Vendor::Amd => amd_bandwidth(spec, subleaf),
        _ => [0; 4],
    }
}

/// The bytes a read of `length` at `offset` (leaf in the low half, subleaf in the high) of the device gives, 16 for each
/// leaf; none where the length is no multiple of 16.
pub fn bytes(spec: &HostSpec, cpu: usize, offset: u64, length: usize) -> Option<Vec<u8>> {
    let leaves = (length.is_multiple_of(16)).then_some(length / 16)?;
    let at = (offset..).take(leaves);
    Some(
        at.flat_map(|place| query(spec, cpu, low64(place), low64(place >> 32)))
            .flat_map(u32::to_le_bytes)
            .collect(),
    )
}

/// The low half: CPUID's fields are 32 bits, and its callers' offsets hold two of them.
fn low64(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0)
}

fn low(value: usize) -> u32 {
    low64(value as u64)
}

fn vendor(vendor: Vendor, highest: u32) -> Registers {
    let text: [&[u8; 4]; 3] = match vendor {
        Vendor::Intel => [b"Genu", b"ntel", b"ineI"],
        Vendor::Amd => [b"Auth", b"cAMD", b"enti"],
    };
    let [ebx, ecx, edx] = text.map(|part| u32::from_le_bytes(*part));
    [highest, ebx, ecx, edx]
}

/// A Haswell server, whose masks have two bits at least and of which CPUID says nothing.
pub(crate) fn is_haswell(spec: &HostSpec) -> bool {
    spec.vendor == Vendor::Intel && spec.l3_cat.is_some_and(|cat| cat.min_bits == 2)
}

/// Family and model: Intel 6-85 or 6-63, AMD 25-1, with the features shown here.
fn signature(spec: &HostSpec) -> u32 {
    match spec.vendor {
        Vendor::Intel if is_haswell(spec) => 0x0003_06f2,
        Vendor::Intel => 0x0005_0654,
        Vendor::Amd => 0x00a0_0f11,
    }
}

fn logical_per_socket(spec: &HostSpec) -> usize {
    spec.cores_per_socket * spec.threads_per_core
}

/// Bits that number `count` things.
fn bits(count: usize) -> u32 {
    count.next_power_of_two().trailing_zeros()
}

/// Package, core in it, thread in that.
fn apic_id(spec: &HostSpec, cpu: usize) -> usize {
    let thread = cpu / spec.cores().max(1);
    let core = spec.core_of(cpu) % spec.cores_per_socket.max(1);
    let core_bits = bits(spec.cores_per_socket);
    (spec.socket_of(cpu) << core_bits | core) << bits(spec.threads_per_core) | thread
}

fn features(spec: &HostSpec) -> u32 {
    let allocates = spec.l3_cat.is_some() || spec.l2.is_some() || spec.mba.is_some();
    u32::from(spec.monitoring.is_some()) << 12 | u32::from(allocates && !is_haswell(spec)) << 15
}

fn cache(spec: &HostSpec, subleaf: u32) -> Registers {
    let describe = |level: u32, kind: u32, sharing: usize, ways: usize, bytes: u64, line: u64| {
        let sets = bytes / (ways.max(1) as u64 * line.max(1));
        let shared = low(sharing.next_power_of_two() - 1);
        let eax = kind
            | level << 5
            | 1 << 8
            | shared << 14
            | (low(spec.cores_per_socket.next_power_of_two()) - 1) << 26;
        [eax, (low(ways) - 1) << 22 | (low64(line) - 1), low64(sets.saturating_sub(1)), 0]
    };
    let threads = spec.threads_per_core;
    match subleaf {
        0 => describe(1, 1, threads, 8, 32 << 10, 64),
        1 => describe(1, 2, threads, 8, 32 << 10, 64),
        2 => {
            let (bytes, ways) = spec.l2.map_or((1 << 20, 16), |l2| (l2.bytes, l2.cat.ways));
            describe(2, 3, threads, ways, bytes, 64)
        }
        3 => {
            let sharing = logical_per_socket(spec) / spec.caches_per_socket.max(1);
            describe(3, 3, sharing, spec.l3.ways, spec.l3.bytes(), spec.l3.line_bytes)
        }
        _ => [0; 4],
    }
}

fn topology(spec: &HostSpec, apic: u32, subleaf: u32) -> Registers {
    let thread_bits = bits(spec.threads_per_core);
    match subleaf {
        0 => [thread_bits, low(spec.threads_per_core), 1 << 8, apic],
        1 => [thread_bits + bits(spec.cores_per_socket), low(logical_per_socket(spec)), 2 << 8 | 1, apic],
        _ => [0, 0, subleaf, apic],
    }
}

fn monitoring(spec: &HostSpec, subleaf: u32) -> Registers {
    let Some(monitoring) = &spec.monitoring else { return [0; 4] };
    let highest = u32::from(monitoring.rmids.saturating_sub(1));
    match subleaf {
        0 => [0, highest, 0, 1 << 1],
        1 => {
            let bit = |event: &MonitorEvent| 1_u32 << (*event as u32 - 1);
            let events = monitoring.events.iter().map(bit).sum();
            [monitoring.counter_width.saturating_sub(24), low64(monitoring.upscale_bytes), highest, events]
        }
        _ => [0; 4],
    }
}

fn allocation(spec: &HostSpec, subleaf: u32) -> Registers {
    let has_mba = spec.mba.is_some() && spec.vendor == Vendor::Intel;
    let masks = |cat: Option<CatSpec>| {
        cat.map_or([0; 4], |cat| {
            let flags = u32::from(cat.cdp_capable) << 2 | u32::from(cat.sparse) << 3;
            [low(cat.ways) - 1, low64(cat.shareable), flags, low(cat.closids) - 1]
        })
    };
    match subleaf {
        _ if is_haswell(spec) => [0; 4],
        0 => {
            let l3 = u32::from(spec.l3_cat.is_some()) << 1;
            [0, l3 | u32::from(spec.l2.is_some()) << 2 | u32::from(has_mba) << 3, 0, 0]
        }
        1 => masks(spec.l3_cat),
        2 => masks(spec.l2.map(|l2| l2.cat)),
        3 if has_mba => spec.mba.map_or([0; 4], |mba| {
            [mba.max - mba.min - 1, 0, u32::from(mba.linear) << 2, low(mba.closids) - 1]
        }),
        _ => [0; 4],
    }
}

fn amd_bandwidth(spec: &HostSpec, subleaf: u32) -> Registers {
    match (subleaf, spec.mba) {
        (0, mba) => [0, u32::from(mba.is_some()) << 1, 0, 0],
        // Bits of the limit, and the highest class.
        (1, Some(mba)) => [mba.max.trailing_zeros(), 0, 0, low(mba.closids) - 1],
        _ => [0; 4],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts;

    #[test]
    fn the_twelve_way_host_says_what_it_has() {
        let spec = hosts::twelve();
        assert_eq!(query(&spec, 0, 7, 0)[1], 1 << 12 | 1 << 15);
        assert_eq!(query(&spec, 0, 0x10, 0)[1], 0b1010, "L3 and MBA");
        assert_eq!(query(&spec, 0, 0x10, 1), [11, 0xc00, 0b100, 15]);
        assert_eq!(query(&spec, 0, 0x10, 3), [89, 0, 0b100, 7]);
        assert_eq!(query(&spec, 0, 0xf, 0), [0, 63, 0, 0b10]);
        assert_eq!(query(&spec, 0, 0xf, 1), [0, 65_536, 63, 0b111]);
        let [_, ebx, ecx, _] = query(&spec, 0, 4, 3);
        assert_eq!(((ebx >> 22) + 1, u64::from(ecx) + 1), (12, spec.l3.sets()));
        let [denominator, numerator, crystal, _] = query(&spec, 0, 0x15, 0).map(u64::from);
        assert_eq!(crystal * numerator / denominator, spec.timing.hz);
    }

    #[test]
    fn other_hosts_differ_where_they_should() {
        assert_eq!(query(&hosts::no_monitoring(), 0, 0xf, 1), [0; 4]);
        assert_eq!(query(&hosts::no_monitoring(), 0, 7, 0)[1], 1 << 15);
        assert_eq!(query(&hosts::sparse(), 0, 0x10, 1)[2], 0b1100);
        assert_eq!(query(&hosts::sixteen(), 0, 0x10, 0)[1], 0b1110);
        let haswell = hosts::min_two();
        assert_eq!((query(&haswell, 0, 7, 0)[1], query(&haswell, 0, 0x10, 1)), (1 << 12, [0; 4]));
        let amd = hosts::amd();
        assert_eq!(query(&amd, 0, 0x8000_0020, 1), [11, 0, 0, 15]);
        assert_eq!(query(&amd, 0, 0xf, 1)[0], 20, "44 bits");
        assert_eq!(
            query(&amd, 0, 0, 0)[1..],
            *b"AuthcAMDenti"
                .chunks(4)
                .map(|part| u32::from_le_bytes(part.try_into().unwrap()))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn every_cpu_has_an_apic_id_of_its_own() {
        let spec = hosts::two_sockets();
        let ids: std::collections::BTreeSet<u32> =
            (0..spec.cpus()).map(|cpu| query(&spec, cpu, 0xb, 0)[3]).collect();
        assert_eq!(ids.len(), spec.cpus());
    }

    #[test]
    fn the_device_serves_whole_leaves_only() {
        let spec = hosts::twelve();
        assert_eq!(bytes(&spec, 0, 0, 8), None);
        let read = bytes(&spec, 0, 1 << 32 | 0x10, 16).unwrap();
        assert_eq!(read[..4], 11_u32.to_le_bytes());
        assert_eq!(bytes(&spec, 0, 0x15, 32).unwrap().len(), 32);
    }
}

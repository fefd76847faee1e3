//! What stands behind the accessed mappings at the end of a run: memory, huge pages, NUMA nodes.
//!
//! Source: `/proc/PID/smaps` and `/proc/PID/numa_maps` (Documentation/filesystems/proc.rst; numa_maps(5)).

use std::collections::BTreeMap;
use std::fs;

use waytrace_model::access::Region;

/// Enters what the kernel says into the regions. Those of processes that have gone stay as they are.
pub fn enter(regions: &mut [Region]) {
    let tgids: std::collections::BTreeSet<u32> = regions.iter().map(|region| region.tgid).collect();
    for tgid in tgids {
        let smaps = fs::read_to_string(format!("/proc/{tgid}/smaps")).unwrap_or_default();
        let numa = fs::read_to_string(format!("/proc/{tgid}/numa_maps")).unwrap_or_default();
        let (mappings, nodes) = (parse_smaps(&smaps), parse_numa_maps(&numa));
        for region in regions.iter_mut().filter(|region| region.tgid == tgid) {
            let within = |start: u64| (region.start..region.end).contains(&start);
            let own: Vec<&Resident> = mappings.iter().filter(|mapping| within(mapping.start)).collect();
            if own.is_empty() {
                continue;
            }
            region.resident_bytes = Some(own.iter().map(|mapping| mapping.resident_bytes).sum());
            region.huge_bytes = Some(own.iter().map(|mapping| mapping.huge_bytes).sum());
            let mut pages: BTreeMap<u32, u64> = BTreeMap::new();
            for (_, node, count) in nodes.iter().filter(|(start, ..)| within(*start)) {
                *pages.entry(*node).or_default() += count;
            }
            region.node = pages
                .into_iter()
                .max_by_key(|&(node, count)| (count, std::cmp::Reverse(node)))
                .map(|(node, _)| node);
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Resident {
    start: u64,
    resident_bytes: u64,
    huge_bytes: u64,
}

fn parse_smaps(text: &str) -> Vec<Resident> {
    let mut mappings: Vec<Resident> = Vec::new();
    for line in text.lines() {
        if let Some((key, value)) = line.split_once(':')
            && let Some(kib) = value.trim().strip_suffix(" kB")
        {
            let (Some(last), Ok(kib)) = (mappings.last_mut(), kib.trim().parse::<u64>()) else { continue };
            match key {
                "Rss" => last.resident_bytes = kib.saturating_mul(1024),
                "AnonHugePages" | "ShmemPmdMapped" | "FilePmdMapped" | "Shared_Hugetlb"
                | "Private_Hugetlb" => {
                    last.huge_bytes = last.huge_bytes.saturating_add(kib.saturating_mul(1024));
                }
                _ => {}
            }
        } else if let Some((start, _)) = line.split_once('-')
            && let Ok(start) = u64::from_str_radix(start, 16)
        {
            mappings.push(Resident { start, ..Resident::default() });
        }
    }
    mappings
}

/// Start, node, and pages there.
fn parse_numa_maps(text: &str) -> Vec<(u64, u32, u64)> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(start) = words.next().and_then(|start| u64::from_str_radix(start, 16).ok()) else {
            continue;
        };
        for word in words {
            let on_node = word.strip_prefix('N').and_then(|word| word.split_once('='));
            if let Some((Ok(node), Ok(pages))) = on_node.map(|(node, pages)| (node.parse(), pages.parse())) {
                found.push((start, node, pages));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaps_and_numa_maps_are_read_by_mapping() {
        let smaps = "55d0a000-55d0c000 rw-p 00000000 00:00 0    [heap]\nSize:  8 kB\nRss:    4 kB\nAnonHugePages:  0 kB\n\
                     VmFlags: rd wr\n7f00200000-7f00600000 rw-p 00000000 00:00 0\nRss:  4096 kB\nAnonHugePages:  2048 kB\nShmemPmdMapped: 2048 kB\n";
        let resident = |start, resident_bytes, huge_bytes| Resident { start, resident_bytes, huge_bytes };
        assert_eq!(
            parse_smaps(smaps),
            [resident(0x55d0_a000, 4096, 0), resident(0x7f_0020_0000, 4 << 20, 4 << 20)]
        );
        let numa = "55d0a000 default heap anon=2 dirty=2 N0=1 N1=3 kernelpagesize_kB=4\nnonsense\n7f00200000 bind:1 N1=x\n";
        assert_eq!(parse_numa_maps(numa), [(0x55d0_a000, 0, 1), (0x55d0_a000, 1, 3)]);
    }

    #[test]
    fn own_memory_is_resident_and_a_process_that_has_gone_says_nothing() {
        let data = vec![1_u8; 1 << 20];
        let start = data.as_ptr() as u64;
        let mapping = waytrace_image::process::mappings(std::process::id()).unwrap();
        let home = mapping.iter().find(|mapping| mapping.contains(start)).unwrap();
        let region = |tgid| Region { tgid, start: home.start, end: home.end, ..Region::default() };
        let mut regions = [region(std::process::id()), region(u32::MAX >> 1)];
        enter(&mut regions);
        assert!(regions[0].resident_bytes.unwrap() >= 1 << 20);
        assert!(regions[0].huge_bytes.is_some());
        assert_eq!(regions[1].resident_bytes, None);
    }
}

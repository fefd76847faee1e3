//! What an address belongs to, so that pages of two processes can be compared: a mapping and a page in it.
//!
//! Under valgrind everything lies elsewhere and in another order, so addresses say nothing. A page is the n-th of a
//! region the program told, of the heap, or of a file. Anonymous mappings and stacks have no name of their own: their
//! pages are left out, and how many accesses that are is told.

use super::truth::Truth;
use std::collections::HashMap;

const PAGE_BYTES: u64 = 4096;

/// A mapping, from a line of `/proc/PID/maps` (proc(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    pub start: u64,
    pub end: u64,
    file_offset: u64,
    name: String,
}

/// The mappings that `/proc/PID/maps` lists; lines that are none are skipped.
pub fn mappings(maps: &str) -> Vec<Mapping> {
    maps.lines().filter_map(mapping).collect()
}

fn mapping(line: &str) -> Option<Mapping> {
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let file_offset = hex(words.nth(1)?)?;
    let name = words.nth(2).unwrap_or_default().to_owned();
    Some(Mapping { start: hex(start)?, end: hex(end)?, file_offset, name })
}

/// A page that means the same in every process of a program.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Page {
    of: String,
    number: u64,
}

/// One process's address space.
pub struct Places {
    mappings: Vec<Mapping>,
    heap_start: Option<u64>,
    regions: Vec<(String, u64, u64)>,
}

impl Places {
    /// From the process's maps, the beginning of its heap if that is not named there, and the regions it told.
    pub fn new(maps: &str, heap_start: Option<u64>, truth: Option<&Truth>) -> Self {
        let mappings = mappings(maps);
        let named = || mappings.iter().find(|mapping| mapping.name == "[heap]").map(|mapping| mapping.start);
        let heap_start = heap_start.or_else(named);
        let regions = truth.map(|truth| truth.regions.iter()).into_iter().flatten();
        let regions = regions.map(|region| (region.name.clone(), region.start, region.end)).collect();
        Self { mappings, heap_start, regions }
    }

    /// The page that the page at this address is; `None` if it has no name.
    pub fn page(&self, address: u64) -> Option<Page> {
        let number = |from: u64| address.checked_sub(from).map(|offset| offset / PAGE_BYTES);
        if let Some((name, start, _)) =
            self.regions.iter().find(|(_, start, end)| (*start..*end).contains(&address))
        {
            return Some(Page { of: name.clone(), number: number(*start / PAGE_BYTES * PAGE_BYTES)? });
        }
        let mapping = self.mappings.iter().find(|mapping| (mapping.start..mapping.end).contains(&address))?;
        match self.heap_start {
            // The mapping may begin before the heap, as valgrind has it.
            Some(start) if mapping.name.is_empty() || mapping.name == "[heap]" => {
                let is_heap = (mapping.start..mapping.end).contains(&start) && address >= start;
                is_heap.then_some(Page { of: "[heap]".to_owned(), number: number(start)? })
            }
            _ if mapping.name.starts_with('/') => Some(Page {
                of: mapping.name.clone(),
                number: number(mapping.start)? + mapping.file_offset / PAGE_BYTES,
            }),
            _ => None,
        }
    }

    #[cfg(test)]
    pub fn is_in(&self, address: u64, name: &str) -> bool {
        self.page(address).is_some_and(|page| page.of == name)
    }

    /// Sums by page, and the sum of what has none.
    pub fn by_page(&self, counts: impl IntoIterator<Item = (u64, f64)>) -> (HashMap<Page, f64>, f64) {
        let (mut pages, mut left_out) = (HashMap::new(), 0.0);
        for (address, count) in counts {
            match self.page(address) {
                Some(page) => *pages.entry(page).or_default() += count,
                None => left_out += count,
            }
        }
        (pages, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::truth::tests::two_regions;
    use super::*;

    const MAPS: &str = "\
00108000-0010a000 r-xp 00001000 fe:00 42                         /usr/bin/program
04030000-04056000 rwxp 00000000 00:00 0
05000000-05004000 rw-p 00000000 00:00 0
7ffc0000-7ffd0000 rw-p 00000000 00:00 0                          [stack]
not a mapping
";

    fn page(places: &Places, address: u64) -> Option<(String, u64)> {
        places.page(address).map(|page| (page.of, page.number))
    }

    #[test]
    fn files_and_the_heap_have_pages_and_others_have_none() {
        let places = Places::new(MAPS, Some(0x403_5000), None);
        assert_eq!(places.mappings.len(), 4);
        assert_eq!(page(&places, 0x10_9123), Some(("/usr/bin/program".to_owned(), 2)));
        assert_eq!(page(&places, 0x403_6fff), Some(("[heap]".to_owned(), 1)));
        for unnamed in [0x403_0000, 0x500_0000, 0x7ffc_0000, 0x1, u64::MAX] {
            assert_eq!(page(&places, unnamed), None, "{unnamed:#x}");
        }
    }

    #[test]
    fn the_kernel_names_the_heap_where_it_can() {
        let places = Places::new("55550000-55580000 rw-p 00000000 00:00 0   [heap]", None, None);
        assert_eq!(page(&places, 0x5555_2000), Some(("[heap]".to_owned(), 2)));
    }

    #[test]
    fn regions_the_program_told_come_first() {
        let truth = two_regions();
        let places = Places::new(MAPS, None, Some(&truth));
        let (pages, left_out) = places.by_page([(0x500_1000, 2.0), (0x500_1fff, 3.0), (0x7ffc_0000, 1.0)]);
        let (page, sum) = pages.into_iter().next().unwrap();
        assert_eq!((page.of.as_str(), page.number, sum, left_out), ("read", 1, 5.0, 1.0));
    }
}

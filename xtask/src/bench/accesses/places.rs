//! What an address belongs to, so that pages of two processes can be compared: a mapping and a page in it.
//!
//! Under valgrind everything lies elsewhere and in another order, so addresses say nothing. A page is the n-th of a
//! region the program told, of the heap, or of a file. Anonymous mappings and stacks have no name of their own: their
//! pages are left out, and how many accesses that are is told.

use super::truth::Truth;
use object::{Object as _, ObjectSegment as _};
use std::collections::HashMap;
use std::fs;

const PAGE_BYTES: u64 = 4096;

/// A mapping, from a line of `/proc/PID/maps` (proc(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    pub start: u64,
    pub end: u64,
    is_writable: bool,
    name: String,
}

impl Mapping {
    fn has(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }
}

/// The mappings that `/proc/PID/maps` lists; lines that are none are skipped.
pub fn mappings(maps: &str) -> Vec<Mapping> {
    maps.lines().filter_map(mapping).collect()
}

fn mapping(line: &str) -> Option<Mapping> {
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let is_writable = words.next()?.starts_with("rw");
    hex(words.next()?)?;
    let name = words.nth(2).unwrap_or_default().to_owned();
    Some(Mapping { start: hex(start)?, end: hex(end)?, is_writable, name })
}

/// A page that means the same in every process of a program.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Page {
    of: String,
    number: u64,
}

/// Where to count pages from, as far as the mappings' names do not tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anchors {
    /// First byte of the heap.
    pub heap: Option<u64>,
    /// The stack pointer the program began with.
    pub stack: Option<u64>,
}

/// One process's address space.
pub struct Places {
    mappings: Vec<Mapping>,
    heap_start: Option<u64>,
    stack_start: Option<u64>,
    regions: Vec<(String, u64, u64)>,
}

impl Places {
    /// From the process's maps, where its heap and stack began, and the regions it told.
    pub fn new(maps: &str, anchors: Anchors, truth: Option<&Truth>) -> Self {
        let mappings = mappings(maps);
        let named = || mappings.iter().find(|mapping| mapping.name == "[heap]").map(|mapping| mapping.start);
        let heap_start = anchors.heap.or_else(named);
        let regions = truth.map(|truth| truth.regions.iter()).into_iter().flatten();
        let regions = regions.map(|region| (region.name.clone(), region.start, region.end)).collect();
        Self { mappings, heap_start, stack_start: anchors.stack, regions }
    }

    /// The page that the page at this address is; `None` if it has no name.
    pub fn page(&self, address: u64) -> Option<Page> {
        let number = |from: u64| address.checked_sub(from).map(|offset| offset / PAGE_BYTES);
        if let Some((name, start, _)) =
            self.regions.iter().find(|(_, start, end)| (*start..*end).contains(&address))
        {
            return Some(Page { of: name.clone(), number: number(*start / PAGE_BYTES * PAGE_BYTES)? });
        }
        let at = self.mappings.iter().position(|mapping| mapping.has(address))?;
        let mapping = self.mappings.get(at)?;
        let named = |of: &str, number| Some(Page { of: of.to_owned(), number });
        if let Some(start) = self.stack_start.filter(|start| mapping.has(*start)) {
            // What lies above are the arguments and the environment, which valgrind changes.
            return named("[stack]", start.checked_sub(address)? / PAGE_BYTES);
        }
        // The mapping may begin before the heap, as valgrind has it.
        if let Some(start) = self.heap_start.filter(|start| mapping.has(*start) && *start <= address) {
            return named("[heap]", number(start)?);
        }
        let (file, base) = self.file(at)?;
        // Behind zeroed data there may lie other anonymous memory.
        let is_its_own = mapping.name == file || address < base + memory_bytes(file)?;
        if is_its_own { named(file, number(base)?) } else { None }
    }

    /// The file a mapping belongs to, and where its first one begins. Zeroed data have no file, and follow its data.
    fn file(&self, at: usize) -> Option<(&str, u64)> {
        let mut first = self.mappings.get(at)?;
        let mut before = self.mappings.get(..at)?.iter().rev();
        if first.name.is_empty() {
            first = before.next().filter(|file| file.is_writable && file.end == first.start)?;
        }
        let name = first.name.as_str();
        let base = before.take_while(|mapping| mapping.name == name).last().unwrap_or(first).start;
        name.starts_with('/').then_some((name, base))
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

    #[cfg(test)]
    pub fn is_in(&self, address: u64, name: &str) -> bool {
        self.page(address).is_some_and(|page| page.of == name)
    }
}

/// Bytes a file of code takes in memory, whole pages.
fn memory_bytes(path: &str) -> Option<u64> {
    let content = fs::read(path).ok()?;
    let file = object::File::parse(content.as_slice()).ok()?;
    let ends = file.segments().map(|segment| segment.address() + segment.size());
    let starts = file.segments().map(|segment| segment.address());
    Some(ends.max()?.next_multiple_of(PAGE_BYTES) - starts.min()? / PAGE_BYTES * PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::super::truth::tests::two_regions;
    use super::*;

    const MAPS: &str = "\
00108000-0010a000 r-xp 00001000 fe:00 42                         /usr/bin/program
0010a000-0010b000 rw-p 00003000 fe:00 42                         /usr/bin/program
0010b000-0010d000 rw-p 00000000 00:00 0
04030000-04056000 rwxp 00000000 00:00 0
05000000-05004000 rw-p 00000000 00:00 0
7ffc0000-7ffd0000 rw-p 00000000 00:00 0                          [stack]
not a mapping
";
    const ANCHORS: Anchors = Anchors { heap: Some(0x403_5000), stack: Some(0x7ffc_f700) };

    fn page(places: &Places, address: u64) -> Option<(&'static str, u64)> {
        let names = ["/usr/bin/program", "[heap]", "[stack]"];
        places.page(address).map(|page| (*names.iter().find(|name| **name == page.of).unwrap(), page.number))
    }

    #[test]
    fn files_the_heap_and_the_stack_have_pages_and_others_have_none() {
        let places = Places::new(MAPS, ANCHORS, None);
        assert_eq!(places.mappings.len(), 6);
        for (address, expected) in [
            (0x10_9123, ("/usr/bin/program", 1)),
            (0x10_a000, ("/usr/bin/program", 2)),
            (0x403_6fff, ("[heap]", 1)),
            (0x7ffc_f6f8, ("[stack]", 0)),
            (0x7ffc_e6f8, ("[stack]", 1)),
        ] {
            assert_eq!(page(&places, address), Some(expected), "{address:#x}");
        }
        for unnamed in [0x403_0000, 0x500_0000, 0x7ffc_ff00, 0x1, u64::MAX] {
            assert_eq!(page(&places, unnamed), None, "{unnamed:#x}");
        }
    }

    #[test]
    fn zeroed_data_belong_to_their_file_as_far_as_it_goes() {
        let own = std::env::current_exe().unwrap();
        let own = own.to_str().unwrap();
        let pages = memory_bytes(own).unwrap() / PAGE_BYTES;
        let data_end = 0x40_0000 + (pages - 1) * PAGE_BYTES;
        let maps = format!(
            "400000-{data_end:x} rw-p 0 0:0 1 {own}\n{data_end:x}-{:x} rw-p 0 0:0 0\n",
            data_end + 0x3000
        );
        let places = Places::new(&maps, Anchors::default(), None);
        assert_eq!(places.page(data_end).map(|page| page.number), Some(pages - 1));
        assert_eq!(places.page(data_end + PAGE_BYTES), None);
        assert_eq!(memory_bytes("/proc/self/stat"), None);
    }

    #[test]
    fn the_kernel_names_the_heap_where_it_can() {
        let places =
            Places::new("55550000-55580000 rw-p 00000000 00:00 0   [heap]", Anchors::default(), None);
        assert_eq!(page(&places, 0x5555_2000), Some(("[heap]", 2)));
    }

    #[test]
    fn regions_the_program_told_come_first() {
        let truth = two_regions();
        let places = Places::new(MAPS, Anchors::default(), Some(&truth));
        let (pages, left_out) = places.by_page([(0x500_1000, 2.0), (0x500_1fff, 3.0), (0x7ffc_0000, 1.0)]);
        let (page, sum) = pages.into_iter().next().unwrap();
        assert_eq!((page.of.as_str(), page.number, sum, left_out), ("read", 1, 5.0, 1.0));
    }
}

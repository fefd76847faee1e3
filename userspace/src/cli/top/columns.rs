//! What rows can be sorted by, and which columns fit.

use std::cmp::Ordering;

use waytrace_model::monitor::{Fold, Metric, Unit, Values};
use waytrace_model::units::{format_bytes, format_count};

use super::text::{count, growth, percent};

/// What rows are sorted by; what a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The name.
    Name,
    /// What resident memory has become more by since the window before.
    Growth,
    /// A metric; of amounts the rate.
    Metric(Metric),
}

/// Who has numbers: a target, or one of its processes.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    /// What it is called.
    pub name: String,
    /// Its numbers.
    pub values: &'a Values,
    /// Growth of its resident memory, bytes.
    pub growth: Option<f64>,
}

impl By {
    /// All there are.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Name, Self::Growth].into_iter().chain(Metric::ALL.iter().map(|&metric| Self::Metric(metric)))
    }

    /// The word for it on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Growth => "rss_growth_bytes",
            Self::Metric(metric) => metric.name(),
        }
    }

    /// One sentence for people.
    pub fn help(self) -> &'static str {
        match self {
            Self::Name => "Name of the target or process.",
            Self::Growth => "Growth of resident memory since the window before.",
            Self::Metric(metric) => metric.help(),
        }
    }

    /// Reads the word; its unit may be left out where that leaves no doubt (`cpu`, `rss`).
    ///
    /// # Errors
    /// What words there are.
    pub fn parse(word: &str) -> Result<Self, String> {
        if let Some(by) = Self::all().find(|by| by.name() == word) {
            return Ok(by);
        }
        let stem = |by: &Self| by.name().rsplit_once('_').map(|(stem, _)| stem);
        let meant: Vec<Self> = Self::all().filter(|by| stem(by) == Some(word)).collect();
        let names = |all: &[Self]| all.iter().map(|by| by.name()).collect::<Vec<_>>().join(", ");
        match meant[..] {
            [by] => Ok(by),
            [] => Err(format!("no such metric; there are {}", names(&Self::all().collect::<Vec<_>>()))),
            _ => Err(format!("it may be {}; write which", names(&meant))),
        }
    }

    /// The number rows are compared by; names have none.
    pub fn number(self, item: &Item<'_>, length_ns: u64) -> Option<f64> {
        match self {
            Self::Name => None,
            Self::Growth => item.growth,
            Self::Metric(metric) => item.values.rate(metric, length_ns),
        }
    }

    /// The number as people read it. Time per second is percent of one CPU.
    pub fn text(self, number: f64) -> String {
        match self {
            Self::Growth => growth(number),
            Self::Name => format_count(number),
            Self::Metric(metric) => match metric.unit() {
                Unit::Nanoseconds => percent(number / 1e7),
                Unit::Ratio => percent(number * 100.0),
                Unit::Bytes => format_bytes(number),
                Unit::Count => count(number),
            },
        }
    }

    /// The number with what it is of.
    pub fn with_unit(self, number: f64) -> String {
        let Self::Metric(metric) = self else { return self.text(number) };
        let unit = match (metric.unit(), metric.fold()) {
            (Unit::Nanoseconds | Unit::Ratio, _) => "%",
            (Unit::Bytes | Unit::Count, Fold::Sum) => "/s",
            (Unit::Bytes | Unit::Count, Fold::Level | Fold::Mean) => "",
        };
        self.text(number) + unit
    }

    /// Title of its column. What a second or a window adds is `/S`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Growth => "RSS+-",
            Self::Metric(metric) => metric_title(metric),
        }
    }

    fn width(self) -> usize {
        let of_numbers = match self {
            Self::Name => 0,
            Self::Growth => 8,
            Self::Metric(metric) => match metric.unit() {
                Unit::Bytes => 7,
                Unit::Count | Unit::Nanoseconds | Unit::Ratio => 6,
            },
        };
        of_numbers.max(self.title().len())
    }
}

fn metric_title(metric: Metric) -> &'static str {
    match metric {
        Metric::Processes => "PROCS",
        Metric::Threads => "THREADS",
        Metric::Cpu => "CPU%",
        Metric::RunQueue => "RUNQ%",
        Metric::OffCpu => "OFFCPU%",
        Metric::MinorFaults => "FAULT/S",
        Metric::MajorFaults => "MAJFL/S",
        Metric::VoluntarySwitches => "VCSW/S",
        Metric::InvoluntarySwitches => "ICSW/S",
        Metric::Migrations => "MIGR/S",
        Metric::Rss => "RSS",
        Metric::Mapped => "MAPPED",
        Metric::MmapBytes => "MMAP/S",
        Metric::MunmapBytes => "UNMAP/S",
        Metric::AllocCount => "ALLOC/S",
        Metric::AllocBytes => "BYTES/S",
        Metric::FreeCount => "FREE/S",
        Metric::FreedBytes => "FREED/S",
        Metric::Probed => "PROBED%",
        Metric::Samples => "SMPL/S",
        Metric::Stores => "STORE%",
        Metric::WorkingSet => "WSET",
        Metric::Cycles => "CYCLE/S",
        Metric::Instructions => "INSTR/S",
        Metric::CacheMisses => "MISS/S",
        Metric::LlcOccupancy => "LLC",
        Metric::MemoryTraffic => "MBM/S",
        Metric::LocalTraffic => "LOCAL/S",
        Metric::Overhead => "OVERHD%",
    }
}

/// Puts rows in order: numbers most first and names from a on, `reversed` the other way; who has no number comes last either way.
pub fn sort(items: &mut [(usize, Item<'_>)], by: By, reversed: bool, length_ns: u64) {
    items.sort_by(|(_, a), (_, b)| {
        let turn = |order: Ordering| if reversed { order.reverse() } else { order };
        match (by.number(a, length_ns), by.number(b, length_ns)) {
            (Some(one), Some(other)) => turn(other.total_cmp(&one)),
            (None, None) if by == By::Name => turn(a.name.cmp(&b.name)),
            (one, other) => other.is_some().cmp(&one.is_some()),
        }
        .then_with(|| a.name.cmp(&b.name))
    });
}

/// Columns of a table, from left to right.
const ORDER: [By; 13] = [
    By::Metric(Metric::Processes),
    By::Metric(Metric::Cpu),
    By::Metric(Metric::RunQueue),
    By::Metric(Metric::OffCpu),
    By::Metric(Metric::Rss),
    By::Growth,
    By::Metric(Metric::AllocCount),
    By::Metric(Metric::AllocBytes),
    By::Metric(Metric::MinorFaults),
    By::Metric(Metric::MajorFaults),
    By::Metric(Metric::LlcOccupancy),
    By::Metric(Metric::MemoryTraffic),
    By::Metric(Metric::Overhead),
];

/// The same, from what one misses most where there is no room for all.
const RANK: [By; 13] = [
    By::Metric(Metric::Cpu),
    By::Metric(Metric::Rss),
    By::Growth,
    By::Metric(Metric::AllocBytes),
    By::Metric(Metric::RunQueue),
    By::Metric(Metric::AllocCount),
    By::Metric(Metric::MajorFaults),
    By::Metric(Metric::Overhead),
    By::Metric(Metric::Processes),
    By::Metric(Metric::MinorFaults),
    By::Metric(Metric::OffCpu),
    By::Metric(Metric::LlcOccupancy),
    By::Metric(Metric::MemoryTraffic),
];

/// Narrowest name, and the widest that takes room from columns: of narrow screens a quarter.
const NAME: (usize, usize) = (12, 24);
/// Widest name.
const LONGEST_NAME: usize = 48;
/// Narrowest and widest sparkline.
const SPARK: (usize, usize) = (8, 60);

/// A column and the characters it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// What it shows.
    pub by: By,
    /// Its width, without the gap before it.
    pub width: usize,
}

/// What is shown of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Width of names.
    pub name: usize,
    /// The columns after it.
    pub columns: Vec<Column>,
    /// Width of the sparkline; 0 where there is no room for it.
    pub spark: usize,
}

/// Chooses columns for a width: first what rows are sorted by, then what `has` numbers.
pub fn layout(room: usize, longest_name: usize, sorted: By, has: impl Fn(By) -> bool) -> Layout {
    // A name gives way to what rows are sorted by.
    let beside = if sorted == By::Name { room } else { room.saturating_sub(sorted.width() + 1) };
    let widest = (room / 4).clamp(NAME.0, NAME.1);
    let name = longest_name.clamp(NAME.0, widest).min(beside.max(NAME.0)).min(room);
    let mut left = room - name;
    let mut chosen: Vec<By> = Vec::new();
    for by in std::iter::once(sorted).chain(RANK) {
        let takes = by.width() + 1;
        let is_wanted = by != By::Name && (by == sorted || has(by)) && !chosen.contains(&by);
        if is_wanted && takes <= left {
            left -= takes;
            chosen.push(by);
        }
    }
    // What is no usual column stands first, for it was asked for.
    let place = |by: &By| ORDER.iter().position(|one| one == by).map_or(0, |place| place + 1);
    chosen.sort_by_key(place);
    let more = longest_name.min(LONGEST_NAME).saturating_sub(name).min(left);
    let after = left - more;
    let spark = if after > SPARK.0 { (after - 1).min(SPARK.1) } else { 0 };
    let columns = chosen.into_iter().map(|by| Column { by, width: by.width() }).collect();
    Layout { name: name + more, columns, spark }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_lead_to_metrics() {
        for by in By::all() {
            assert_eq!(By::parse(by.name()), Ok(by));
            assert!(by.title().len() <= 8, "{}", by.title());
        }
        assert_eq!(By::parse("cpu"), Ok(By::Metric(Metric::Cpu)));
        assert_eq!(By::parse("rss_growth"), Ok(By::Growth));
        assert!(By::parse("alloc").unwrap_err().contains("alloc_count, alloc_bytes"));
        assert!(By::parse("memory").unwrap_err().contains("rss_bytes"));
    }

    #[test]
    fn all_usual_columns_have_a_place_and_a_rank() {
        for by in ORDER {
            assert!(RANK.contains(&by), "{by:?}");
        }
    }

    #[test]
    fn rows_without_a_number_are_last_either_way() {
        let values = [Some(1.0), None, Some(3.0), Some(2.0)]
            .map(|number| number.map(|number| (Metric::Rss, number)).into_iter().collect::<Values>());
        let order = |reversed| {
            let items = values.iter().zip(["b", "d", "a", "c"]);
            let items = items.map(|(values, name)| Item { name: name.to_owned(), values, growth: None });
            let mut items: Vec<_> = items.enumerate().collect();
            sort(&mut items, By::Metric(Metric::Rss), reversed, 1);
            items.iter().map(|(index, _)| *index).collect::<Vec<_>>()
        };
        assert_eq!(order(false), [2, 3, 0, 1]);
        assert_eq!(order(true), [0, 3, 2, 1]);
    }

    #[test]
    fn times_are_percent_of_one_cpu() {
        let values = Values::from_iter([
            (Metric::Cpu, 15e9),
            (Metric::Overhead, 0.0042),
            (Metric::AllocBytes, 10.0 * 1024.0),
        ]);
        let item = Item { name: String::new(), values: &values, growth: Some(4096.0) };
        let text = |by: By| by.text(by.number(&item, 10_000_000_000).unwrap());
        assert_eq!(text(By::Metric(Metric::Cpu)), "150.0");
        assert_eq!(text(By::Metric(Metric::Overhead)), "0.42");
        assert_eq!(text(By::Metric(Metric::AllocBytes)), "1.00KiB");
        assert_eq!(text(By::Growth), "+4.00KiB");
    }

    #[test]
    fn the_sorted_column_is_there_as_soon_as_it_fits() {
        let shown = |room| layout(room, 20, By::Metric(Metric::Cycles), |_| true).columns;
        assert!(shown(18).is_empty());
        assert_eq!(shown(20), [Column { by: By::Metric(Metric::Cycles), width: 7 }]);
        let names = |room| {
            layout(room, 12, By::Metric(Metric::Cpu), |_| true)
                .columns
                .iter()
                .map(|one| one.by.title())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(80), ["CPU%", "RUNQ%", "RSS", "RSS+-", "ALLOC/S", "BYTES/S", "MAJFL/S", "OVERHD%"]);
        assert_eq!(names(140).len(), ORDER.len());
    }

    proptest! {
        #[test]
        fn columns_never_take_more_than_there_is(room in 0usize..300, longest in 0usize..100, sorted in 0usize..30, mask: u16) {
            let sorted = By::all().nth(sorted).unwrap();
            let has = |by: By| RANK.iter().position(|one| *one == by).is_some_and(|bit| mask >> bit & 1 == 1);
            let layout = layout(room, longest, sorted, has);
            let columns: usize = layout.columns.iter().map(|column| column.width + 1).sum();
            let spark = if layout.spark > 0 { layout.spark + 1 } else { 0 };
            prop_assert!(layout.name + columns + spark <= room.max(layout.name) && layout.name <= room);
            prop_assert!(layout.spark == 0 || layout.spark >= SPARK.0);
        }
    }
}

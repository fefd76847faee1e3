//! Sampled accesses of two runs as tables: directions and working set, then the mappings, functions and sites whose share
//! changed most.

use waytrace_analysis::diff::{AccessDiff, Change, ShareDiff, Verdict};
use waytrace_model::units::format_bytes;

use super::super::table::{Table, left, right};
use super::verdict;

/// The tables; one line where the runs cannot be compared.
pub fn tables(diff: &AccessDiff, rows_max: usize, width: usize) -> String {
    if !diff.comparable {
        return "ACCESSES are not comparable: the sources of the samples differ, and so does their bias\n"
            .to_owned();
    }
    let mut table = table("ACCESSES");
    for (name, change) in [("loads", &diff.load_ratio), ("stores", &diff.store_ratio)] {
        table.row(&[name.to_owned(), share(change.a), share(change.b), verdict(change)]);
    }
    let sets = [("pages", &diff.working_set_pages, 4096.0), ("lines", &diff.working_set_lines, 64.0)];
    for (name, change, unit_bytes) in sets {
        let bytes = |count: Option<f64>| count.map_or_else(absent, |count| format_bytes(count * unit_bytes));
        let name = format!("seen in use, {name}");
        table.row(&[name, bytes(change.a), bytes(change.b), verdict(change)]);
    }
    let lists =
        [("MAPPING", &diff.regions), ("FUNCTION", &diff.functions), ("SITE OF THE MEMORY", &diff.sites)];
    let lists: String = lists.iter().map(|(title, list)| shares(title, list, rows_max, width)).collect();
    table.render(width) + &lists
}

fn table(title: &str) -> Table {
    Table::new([vec![left(title)], ["A", "B", "CHANGE"].map(right).to_vec()].concat())
}

/// The largest changes; nothing where there is none.
fn shares(title: &str, list: &[ShareDiff], rows_max: usize, width: usize) -> String {
    const NAME_MAX: usize = 60;
    let moved: Vec<&ShareDiff> = list.iter().filter(|one| is_change(&one.share)).collect();
    if moved.is_empty() {
        return String::new();
    }
    let mut table = table(title);
    for ShareDiff { name, share: change } in moved.iter().take(rows_max) {
        let name = if name.chars().count() > NAME_MAX {
            name.chars().take(NAME_MAX - 1).chain(['…']).collect()
        } else {
            name.clone()
        };
        table.row(&[name, share(change.a), share(change.b), verdict(change)]);
    }
    let more = match moved.len().saturating_sub(rows_max) {
        0 => String::new(),
        more => format!("{more} more differ less; --sites shows more of them\n"),
    };
    format!("\n{}{more}", table.render(width))
}

/// Less than this of all accesses shows as nothing.
const LEAST_SHOWN: f64 = 0.0005;

fn is_change(change: &Change) -> bool {
    change.verdict != Verdict::Same && change.magnitude() >= LEAST_SHOWN
}

fn share(ratio: Option<f64>) -> String {
    ratio.map_or_else(absent, |ratio| format!("{:.1}%", 100.0 * ratio))
}

fn absent() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use waytrace_analysis::diff::Estimate;

    use super::*;

    fn change(a: f64, b: f64, half_width: f64) -> Change {
        let estimate = |value| Some(Estimate::with_half_width(value, half_width));
        Change::between(estimate(a), estimate(b))
    }

    fn diff() -> AccessDiff {
        let of = |name: &str, share| ShareDiff { name: name.to_owned(), share };
        let vague = |a, b| {
            let estimate = |value| Some(Estimate::with_interval_pct(value, None));
            Change::between(estimate(a), estimate(b))
        };
        AccessDiff {
            comparable: true,
            load_ratio: change(0.8, 0.6, 0.01),
            store_ratio: change(0.2, 0.4, 0.01),
            working_set_pages: vague(256.0, 512.0),
            working_set_lines: vague(16.0, 32.0),
            regions: vec![of("[heap]", change(0.5, 0.75, 0.01)), of("[stack]", change(0.25, 0.25, 0.01))],
            functions: vec![of(&"f".repeat(80), change(0.1, 0.0, 0.01)), of("g", change(0.3, 0.31, 0.01))],
            sites: Vec::new(),
        }
    }

    #[test]
    fn shares_stand_beside_each_other_with_what_to_make_of_them() {
        let text = tables(&diff(), 20, 200);
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        for row in [
            &["ACCESSES", "A", "B", "CHANGE"][..],
            &["loads", "80.0%", "60.0%", "-25.0%"],
            &["stores", "20.0%", "40.0%", "+100.0%"],
            &["seen", "in", "use,", "pages", "1.00MiB", "2.00MiB", "+100.0%", "?"],
            &["seen", "in", "use,", "lines", "1.00KiB", "2.00KiB", "+100.0%", "?"],
            &["[heap]", "50.0%", "75.0%", "+50.0%"],
            &["g", "30.0%", "31.0%", "+3.3%", "within", "±4.7%"],
        ] {
            assert!(rows.iter().any(|own| own == row), "{row:?} in\n{text}");
        }
        assert!(!text.contains("[stack]") && !text.contains("SITE"), "{text}");
        assert!(text.contains(&format!("{}…  ", "f".repeat(59))), "{text}");
    }

    #[test]
    fn what_is_cut_or_cannot_be_compared_says_so() {
        let text = tables(&diff(), 1, 200);
        assert!(text.contains("1 more differ less; --sites shows more of them"), "{text}");
        let text = tables(&AccessDiff { comparable: false, ..diff() }, 20, 200);
        assert!(text.contains("not comparable") && !text.contains('%'), "{text}");
    }
}

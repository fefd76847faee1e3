//! Allocation sites: as stored, per thread; and merged over threads for reports.

use std::collections::HashMap;

use rusqlite::{Connection, Row};
use waytrace_model::allocation::{SampledStack, Site};
use waytrace_model::report::SiteReport;
use waytrace_model::stack::Frame;

use super::stacks::Stacks;
use crate::codec::{quantity, quantity_opt};
use crate::store::RunId;

/// Sites, most bytes first.
pub(super) fn per_thread(
    connection: &Connection,
    run: RunId,
    stacks: &Stacks,
) -> rusqlite::Result<Vec<Site>> {
    let frames = |stack: i64| stacks.get(&stack).cloned().unwrap_or_default();
    let mut sampled = sampled_stacks(connection, run, frames)?;
    super::rows(
        connection,
        run,
        "SELECT * FROM site WHERE run_id = ?1 ORDER BY alloc_bytes DESC, site",
        |row| {
            let stacks = sampled.remove(&row.get("site")?).unwrap_or_default();
            site(row, frames(row.get("stack")?), stacks)
        },
    )
}

fn site(row: &Row<'_>, frames: Vec<Frame>, stacks: Vec<SampledStack>) -> rusqlite::Result<Site> {
    Ok(Site {
        id: row.get("site")?,
        tid: row.get("tid")?,
        alloc_count: row.get("alloc_count")?,
        alloc_bytes: row.get("alloc_bytes")?,
        free_count: quantity_opt(row, "free_count")?,
        freed_bytes: quantity_opt(row, "freed_bytes")?,
        live_bytes: quantity_opt(row, "live_bytes")?,
        peak_live_bytes: quantity_opt(row, "peak_live_bytes")?,
        temporary_count: quantity_opt(row, "temporary_count")?,
        frames,
        stacks,
    })
}

/// By site number, most samples first.
fn sampled_stacks(
    connection: &Connection,
    run: RunId,
    frames: impl Fn(i64) -> Vec<Frame>,
) -> rusqlite::Result<HashMap<i64, Vec<SampledStack>>> {
    let sql = "SELECT site, stack, samples_count FROM site_stack WHERE run_id = ?1
               ORDER BY site, samples_count DESC, stack";
    let mut by_site: HashMap<i64, Vec<SampledStack>> = HashMap::new();
    let rows = super::rows(connection, run, sql, |row| {
        let samples_count = quantity(row, "samples_count")?;
        Ok((row.get("site")?, SampledStack { samples_count, frames: frames(row.get("stack")?) }))
    })?;
    for (site, stack) in rows {
        by_site.entry(site).or_default().push(stack);
    }
    Ok(by_site)
}

/// Sites of all threads with the same caller become one; most bytes first.
pub(super) fn merged(sites: &[Site]) -> Vec<SiteReport> {
    let mut by_caller: HashMap<&[Frame], Merge<'_>> = HashMap::new();
    for site in sites {
        by_caller.entry(&site.frames).or_default().add(site);
    }
    let mut reports: Vec<SiteReport> = by_caller.into_values().map(Merge::report).collect();
    reports.sort_by(|a, b| {
        b.alloc_bytes
            .total_cmp(&a.alloc_bytes)
            .then_with(|| b.alloc_count.total_cmp(&a.alloc_count))
            .then_with(|| a.frames.iter().map(Frame::label).cmp(b.frames.iter().map(Frame::label)))
    });
    reports
}

/// One site being summed over threads.
#[derive(Default)]
struct Merge<'s> {
    caller: &'s [Frame],
    alloc_count: f64,
    alloc_bytes: f64,
    live_bytes: Option<u64>,
    peak_live_bytes: Option<u64>,
    temporary_count: Option<u64>,
    samples: HashMap<&'s [Frame], u64>,
}

impl<'s> Merge<'s> {
    fn add(&mut self, site: &'s Site) {
        self.caller = &site.frames;
        self.alloc_count += site.alloc_count;
        self.alloc_bytes += site.alloc_bytes;
        add_known(&mut self.live_bytes, site.live_bytes);
        add_known(&mut self.peak_live_bytes, site.peak_live_bytes);
        add_known(&mut self.temporary_count, site.temporary_count);
        for stack in &site.stacks {
            let samples = self.samples.entry(&stack.frames).or_default();
            *samples = samples.saturating_add(stack.samples_count);
        }
    }

    fn report(self) -> SiteReport {
        // Equal counts: the deeper stack tells more; then any fixed order will do.
        let most = self.samples.iter().max_by_key(|(frames, samples)| {
            (**samples, frames.len(), std::cmp::Reverse(frames.iter().map(Frame::label).collect::<Vec<_>>()))
        });
        SiteReport {
            alloc_count: self.alloc_count,
            alloc_bytes: self.alloc_bytes,
            live_bytes: self.live_bytes,
            peak_live_bytes: self.peak_live_bytes,
            temporary_count: self.temporary_count,
            frames: most.map_or_else(|| self.caller.to_vec(), |(stack, _)| extended(self.caller, stack)),
            samples_count: self.samples.values().fold(0, |sum, samples| sum.saturating_add(*samples)),
        }
    }
}

fn add_known(sum: &mut Option<u64>, value: Option<u64>) {
    if let Some(value) = value {
        *sum = Some(sum.unwrap_or(0).saturating_add(value));
    }
}

/// The caller, which is certain, with what the sampled stack has above it. A stack begins with the caller again;
/// where it does not quite (inlines resolved differently), the frame it shares is looked for.
fn extended(caller: &[Frame], stack: &[Frame]) -> Vec<Frame> {
    if stack.starts_with(caller) {
        return stack.to_vec();
    }
    let shared = caller.last().and_then(|last| stack.iter().position(|frame| frame.label() == last.label()));
    let above = stack.get(shared.map_or(0, |shared| shared + 1)..).unwrap_or_default();
    caller.iter().chain(above).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(names: &[&str]) -> Vec<Frame> {
        names.iter().map(|name| Frame { function: Some((*name).to_owned()), ..Frame::default() }).collect()
    }

    fn site(tid: u32, caller: &str, bytes: f64, live: Option<u64>, stacks: &[(&[&str], u64)]) -> Site {
        let sampled =
            |(names, count): &(&[&str], u64)| SampledStack { samples_count: *count, frames: frames(names) };
        Site {
            tid,
            alloc_count: 1.0,
            alloc_bytes: bytes,
            live_bytes: live,
            frames: frames(&[caller]),
            stacks: stacks.iter().map(sampled).collect(),
            ..Site::default()
        }
    }

    #[test]
    fn threads_merge_by_caller_and_the_stack_of_all_of_them_wins() {
        let sites = [
            site(1, "f", 10.0, Some(3), &[(&["f", "g"], 2), (&["f", "h"], 3)]),
            site(2, "f", 5.0, None, &[(&["f", "g"], 2)]),
            site(2, "k", 12.0, Some(1), &[]),
        ];
        let merged = merged(&sites);
        assert_eq!(merged.len(), 2);
        assert_eq!(
            (merged[0].alloc_bytes, merged[0].alloc_count, merged[0].live_bytes),
            (15.0, 2.0, Some(3))
        );
        assert_eq!((merged[0].frames.clone(), merged[0].samples_count), (frames(&["f", "g"]), 7));
        assert_eq!((merged[1].frames.clone(), merged[1].samples_count), (frames(&["k"]), 0));
    }

    #[test]
    fn the_caller_stays_even_if_the_stack_disagrees() {
        let caller = frames(&["inlined", "f"]);
        assert_eq!(extended(&caller, &frames(&["f", "g"])), frames(&["inlined", "f", "g"]));
        assert_eq!(extended(&caller, &frames(&["x", "y"])), frames(&["inlined", "f", "x", "y"]));
        assert_eq!(extended(&caller, &frames(&["inlined", "f", "g"])), frames(&["inlined", "f", "g"]));
    }
}

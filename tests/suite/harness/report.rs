//! Comparing a report with the truth.

use waytrace_model::report::{AllocationReport, CounterTotal, RunReport, SiteReport, ThreadReport};

use super::truth::Account;

/// The number, which must be a whole one: exact mode counts.
pub fn whole(value: f64) -> u64 {
    assert!(value >= 0.0 && value.fract() == 0.0, "{value} is not a count");
    value as u64
}

/// The same of a number that must be there.
pub fn some_whole(value: Option<f64>) -> u64 {
    whole(value.expect("exact mode gives every number"))
}

/// Everything the whole process did equals the account, byte for byte. The peak only where `peak` says so: a block
/// that realloc moves is in two places for a moment, and which came first is the allocator's secret.
#[derive(Debug, PartialEq, Eq)]
pub struct Totals {
    pub alloc_count: u64,
    pub alloc_bytes: u64,
    pub free_count: u64,
    pub freed_bytes: u64,
    pub live_bytes: u64,
}

impl Totals {
    pub fn of_report(report: &AllocationReport) -> Self {
        Self {
            alloc_count: some_whole(report.alloc_count),
            alloc_bytes: some_whole(report.alloc_bytes),
            free_count: some_whole(report.free_count),
            freed_bytes: some_whole(report.freed_bytes),
            live_bytes: report.live_bytes.expect("exact mode knows what lives"),
        }
    }

    pub fn of_truth(account: &Account) -> Self {
        let Account { alloc_count, alloc_bytes, free_count, freed_bytes, live_bytes, .. } = *account;
        Self { alloc_count, alloc_bytes, free_count, freed_bytes, live_bytes }
    }
}

/// Calls, bytes and live bytes of all sites in one function, whichever of its calls they are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SiteTotals {
    pub alloc_count: u64,
    pub alloc_bytes: u64,
    pub live_bytes: u64,
    pub peak_live_bytes: u64,
    pub temporary_count: u64,
}

/// The function that holds the call: what was inlined into it comes before it.
pub fn caller(site: &SiteReport) -> &str {
    let frame = site.frames.iter().find(|frame| !frame.inlined);
    frame.and_then(|frame| frame.function.as_deref()).unwrap_or("?")
}

/// The sites whose immediate caller is `function`, with or without the path of its module.
pub fn sites_in<'a>(report: &'a AllocationReport, function: &str) -> Vec<&'a SiteReport> {
    let is_it = |name: &str| name == function || name.ends_with(&format!("::{function}"));
    report.sites.iter().filter(|site| is_it(caller(site))).collect()
}

/// Their sum.
pub fn site_totals(report: &AllocationReport, function: &str) -> SiteTotals {
    let mut sum = SiteTotals::default();
    for site in sites_in(report, function) {
        sum.alloc_count += whole(site.alloc_count);
        sum.alloc_bytes += whole(site.alloc_bytes);
        sum.live_bytes += site.live_bytes.expect("exact mode knows what lives");
        sum.peak_live_bytes += site.peak_live_bytes.expect("exact mode knows the peak");
        sum.temporary_count += site.temporary_count.expect("exact mode knows temporaries");
    }
    sum
}

/// Bytes and live bytes of them alone: of samples, which give no more.
pub fn site_totals_of(report: &AllocationReport, function: &str) -> (u64, u64) {
    let sites = sites_in(report, function);
    let live = sites.iter().map(|site| site.live_bytes.expect("frees are told")).sum();
    (sites.iter().map(|site| whole(site.alloc_bytes)).sum(), live)
}

/// Calls and bytes of each part with a name equal those of the sites in the function of that name.
pub fn assert_sites(report: &AllocationReport, parts: &[Account]) {
    for part in parts {
        let name = part.name.as_deref().expect("a part with a name");
        let found = site_totals(report, name);
        let got = (found.alloc_count, found.alloc_bytes, found.live_bytes);
        assert_eq!(
            got,
            (part.alloc_count, part.alloc_bytes, part.live_bytes),
            "site {name}: {}",
            callers(report)
        );
    }
}

/// Every site's caller with its numbers, for messages.
pub fn callers(report: &AllocationReport) -> String {
    let line =
        |site: &SiteReport| format!("\n  {} {} B  {}", site.alloc_count, site.alloc_bytes, caller(site));
    report.sites.iter().map(line).collect()
}

/// The size histogram equals the account's.
pub fn assert_sizes(report: &AllocationReport, account: &Account) {
    let filled = report.sizes.iter().filter(|bucket| bucket.count > 0.0);
    let got: Vec<_> = filled.map(|bucket| (bucket.log2, whole(bucket.count), whole(bucket.bytes))).collect();
    assert_eq!(got, account.sizes);
}

/// A thread of the report.
pub fn thread(report: &RunReport, tid: u32) -> &ThreadReport {
    let found = report.target.threads.iter().find(|thread| thread.tid == tid);
    found.unwrap_or_else(|| {
        let tids: Vec<u32> = report.target.threads.iter().map(|thread| thread.tid).collect();
        panic!("no thread {tid} in {tids:?}")
    })
}

/// A counter's value in a list; it must have counted.
pub fn counter(counters: &[CounterTotal], event: &str) -> u64 {
    let found = counters.iter().find(|counter| counter.event == event);
    let known = || counters.iter().map(|counter| counter.event.as_str()).collect::<Vec<_>>();
    found.unwrap_or_else(|| panic!("no {event} in {:?}", known())).value.expect("it counted")
}

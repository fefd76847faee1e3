//! Words for sampled accesses that every output shares: what a source is, why samples have no access, what a site's
//! memory is to the program.

use waytrace_model::access::Source;
use waytrace_model::access_report::{AccessReport, AggregateReport, SiteAccesses};
use waytrace_model::stack::Frame;
use waytrace_model::units::format_count;

use crate::text::{percent, plain};

/// What a source is, for people.
pub fn source_name(source: Source) -> &'static str {
    match source {
        Source::ForwardWalk => "forward walk from timer ticks; needs no PMU",
        Source::IntelPebs => "Intel PEBS (not verified on hardware)",
        Source::AmdIbs => "AMD IBS (not verified on hardware)",
        Source::ArmSpe => "Arm SPE (not verified on hardware)",
        Source::PmuEvent => "addresses of PMU events (not verified on hardware)",
        Source::Imported => "imported from a file",
    }
}

/// Why a sample has no access, in words.
pub fn reason(kind: &str) -> String {
    let known = match kind {
        "unknown_branch" => "a branch depends on a value that was not captured",
        "unknown_address" => "an address depends on a value that was not captured",
        "unreadable_memory" => "memory on the way could not be read any more",
        "unreadable_code" => "code could not be read",
        "invalid_instruction" => "no valid instruction was there",
        "system_call" => "the code was about to enter the kernel",
        "interrupt" => "the code was about to trap into the kernel",
        "fault" => "the code was about to divide by zero or overflow a division",
        "masked_access" => "a gather, scatter or masked access with an unknown mask",
        "transactional" => "transactional memory, which may abort",
        "far_control" => "a far jump or call",
        "state_save" => "an instruction that saves processor state",
        "rounding_mode" => "floating point with another rounding mode than the default",
        "self_modifying_code" => "code that changes itself",
        "budget_exceeded" => "no access within the walk's limit of instructions",
        "unmapped_address" => "the address lies in no mapping",
        "compat_code" => "32-bit code",
        "target_gone" => "the process had gone before its memory was read",
        other => return plain(&other.replace('_', " ")),
    };
    known.to_owned()
}

/// Samples of which an access is known, in percent of all; `None` without samples.
pub fn resolved_pct(own: &AccessReport) -> Option<f64> {
    (own.samples > 0).then(|| 100.0 * own.resolved as f64 / own.samples as f64)
}

/// How far samples can be trusted: their number, the share that is resolved, the share that was confirmed.
pub fn trust(own: &AccessReport) -> String {
    let samples = format!("{} samples", format_count(own.samples as f64));
    let resolved = resolved_pct(own).map(|pct| format!("{} resolved", percent(pct)));
    let confirmed = match own.confirmed_ratio {
        Some(ratio) => {
            Some(format!("{} of {} confirmed", percent(100.0 * ratio), format_count(own.checked as f64)))
        }
        None if own.source == Source::ForwardWalk => Some("none checked".to_owned()),
        None => None,
    };
    std::iter::once(samples).chain(resolved).chain(confirmed).collect::<Vec<_>>().join(", ")
}

/// What was counted in the kernel, and what of it is known of the sum only.
pub fn aggregate(own: &AggregateReport) -> String {
    let all = own.counted.max(1) as f64;
    let rest = |weight: u64, what: &str| {
        (weight > 0).then(|| format!("{} of it without {what}", percent(100.0 * weight as f64 / all)))
    };
    let counted = format!(
        "{} in the kernel, {} of {} samples one by one",
        format_count(own.counted as f64),
        format_count(own.passed as f64),
        format_count(own.samples as f64)
    );
    let parts = [rest(own.unplaced, "a page"), rest(own.evicted, "a line")];
    std::iter::once(counted).chain(parts.into_iter().flatten()).collect::<Vec<_>>().join(", ")
}

/// What the bound on stored samples left; `None` where that is all of them.
pub fn kept(own: &AccessReport) -> Option<String> {
    let count = |count: u64| format_count(count as f64);
    let kept = own.kept;
    (kept.factor > 1).then(|| {
        format!(
            "{} of {} accesses, drawn at random; each stands for {}",
            count(kept.samples),
            count(kept.of),
            kept.factor
        )
    })
}

/// What to call a frame: all code of a module that has no symbol is one function without an offset.
pub fn frame_label(frame: &Frame) -> String {
    match (&frame.function, &frame.module) {
        (None, Some(module)) if frame.offset == 0 => format!("{module}, no symbol"),
        _ => frame.label(),
    }
}

/// Weighted accesses of all kinds.
pub fn total(own: &AccessReport) -> u64 {
    own.loads.saturating_add(own.stores)
}

/// `part` of `whole` in percent; 0 of nothing.
pub fn share_pct(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// Samples an average site of its size would have had, below which few or none prove nothing: had it a tenth of the
/// average heat, none of 3 expected samples would be seen in 5 % of runs ("rule of three").
const EXPECTED_MIN: f64 = 30.0;
/// Samples below which many for its size may be chance.
const SEEN_MIN: f64 = 5.0;

/// What a site's memory is to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temperature {
    /// At least its share of accesses.
    Hot,
    /// Less than its share of accesses.
    Cool,
    /// Less than a tenth of its share of accesses.
    Cold,
    /// Live memory, most of it on untouched pages, and no access among the samples.
    Untouched,
}

/// What a run's samples are worth, to judge its sites by.
#[derive(Debug, Clone, Copy)]
pub struct Judge {
    samples_per_access: f64,
    samples_per_live_byte: f64,
}

impl Judge {
    /// The judge of one report's sites.
    pub fn of(own: &AccessReport) -> Self {
        let live: u64 = own.sites.iter().filter_map(|site| site.live_bytes).fold(0, u64::saturating_add);
        let samples = own.effective_samples;
        Self {
            samples_per_access: samples / total(own).max(1) as f64,
            samples_per_live_byte: samples / live.max(1) as f64,
        }
    }

    /// `None` where nothing of the site's memory is known to live, or the samples are too few for its size.
    pub fn temperature(&self, site: &SiteAccesses) -> Option<Temperature> {
        let live = site.live_bytes.filter(|live| *live > 0)?;
        let accesses = site.loads.saturating_add(site.stores);
        if accesses == 0 && site.untouched_bytes.is_some_and(|untouched| untouched.saturating_mul(2) > live) {
            return Some(Temperature::Untouched);
        }
        let seen = self.samples_per_access * accesses as f64;
        let expected = self.samples_per_live_byte * live as f64;
        match site.heat? {
            heat if heat >= 1.0 => (seen >= SEEN_MIN).then_some(Temperature::Hot),
            _ if expected < EXPECTED_MIN => None,
            heat if heat >= 0.1 => Some(Temperature::Cool),
            _ => Some(Temperature::Cold),
        }
    }
}

impl Temperature {
    /// One or two words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Cool => "cool",
            Self::Cold => "cold",
            Self::Untouched => "never touched",
        }
    }
}

#[cfg(test)]
mod tests {
    use waytrace_model::access_report::Kept;

    use super::*;

    /// A thousand samples, a thousand live bytes: a byte is worth a sample.
    fn report(sites: Vec<SiteAccesses>) -> AccessReport {
        AccessReport {
            source: Source::ForwardWalk,
            bias: String::new(),
            rate_hz: None,
            samples: 1000,
            kernel_samples: 0,
            resolved: 1000,
            unresolved: std::collections::BTreeMap::new(),
            confirmed_ratio: None,
            checked: 0,
            throttled: 0,
            effective_samples: 1000.0,
            kept: Kept::all(1000, 1000, 0),
            loads: 1000,
            stores: 0,
            working_set: waytrace_model::access_report::WorkingSet::default(),
            aggregate: None,
            regions: Vec::new(),
            sites,
            functions: Vec::new(),
            sharing: Vec::new(),
            tiers: Vec::new(),
            null_reason: None,
        }
    }

    #[test]
    fn temperature_is_accesses_per_live_byte_where_samples_suffice() {
        let site = |live, untouched, loads| SiteAccesses {
            live_bytes: live,
            untouched_bytes: untouched,
            loads,
            heat: live.map(|live| loads as f64 / live as f64),
            ..SiteAccesses::default()
        };
        let of = |site: SiteAccesses| {
            let rest = 1000 - site.live_bytes.unwrap_or(0);
            let other = SiteAccesses { live_bytes: Some(rest), ..SiteAccesses::default() };
            Judge::of(&report(vec![site.clone(), other])).temperature(&site).map(Temperature::name)
        };
        assert_eq!(of(site(Some(100), Some(0), 300)), Some("hot"));
        assert_eq!(of(site(Some(100), None, 50)), Some("cool"));
        assert_eq!(of(site(Some(100), Some(0), 1)), Some("cold"));
        assert_eq!(of(site(Some(100), Some(100), 0)), Some("never touched"));
        assert_eq!(of(site(Some(100), Some(20), 0)), Some("cold"));
        assert_eq!(of(site(Some(20), Some(0), 0)), None, "20 samples were expected: no wonder");
        assert_eq!(of(site(Some(2), Some(0), 4)), None, "4 samples may be chance");
        assert_eq!((of(site(None, None, 9)), of(site(Some(0), None, 9))), (None, None));
    }

    #[test]
    fn an_unknown_reason_is_shown_as_it_is() {
        assert_eq!(reason("walker_\u{1b}asleep"), "walker \u{fffd}asleep");
    }
}

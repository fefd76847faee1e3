//! Reading `mon_data`, and assigning counters where groups have none by themselves.
//!
//! Source: `Documentation/filesystems/resctrl.rst`, "mon_data"; `rdtgroup_mondata_show`, fs/resctrl/ctrlmondata.c.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use waytrace_model::cache::CacheId;
use waytrace_model::cache_report::Monitoring;

use super::files::Files;
use crate::rdt::{EventReading, Monitored, RdtError, Reading};

/// All events of all caches of a group. Parts of a cache (`mon_sub_L3_*`) are in its sum.
pub fn read(files: &Files, dir: &str, events: &[String]) -> Result<Vec<EventReading>, RdtError> {
    let mut readings = Vec::new();
    for domain in files.directories(&format!("{dir}mon_data")) {
        let Some(id) = domain.strip_prefix("mon_L3_").and_then(|id| id.parse().ok()) else { continue };
        for event in events {
            let rel = format!("{dir}mon_data/{domain}/{event}");
            // The kernel answers EIO and EINVAL by text, and by errno on older versions.
            let reading = match files.read(&rel) {
                Ok(text) => parse(&text),
                Err(RdtError::Read { source, .. })
                    if matches!(source.raw_os_error(), Some(libc::EIO | libc::EINVAL)) =>
                {
                    Reading::Error
                }
                Err(error) => return Err(error),
            };
            readings.push(EventReading { event: event.clone(), cache_id: CacheId(id), reading });
        }
    }
    Ok(readings)
}

/// Files of a group's monitors that are open.
#[derive(Debug)]
pub struct Open {
    whom: Monitored,
    files: Vec<(EventReading, File)>,
}

impl Open {
    /// Those that were just read; `None` where one cannot be opened.
    pub fn of(files: &Files, whom: &Monitored, dir: &str, readings: &[EventReading]) -> Option<Self> {
        let open = |reading: &EventReading| {
            let rel = format!("{dir}mon_data/mon_L3_{:02}/{}", reading.cache_id.0, reading.event);
            Some((reading.clone(), File::open(files.path(&rel)).ok()?))
        };
        Some(Self { whom: whom.clone(), files: readings.iter().map(open).collect::<Option<_>>()? })
    }

    /// Reads them again, if they are the ones asked for. `None`: they are not, or the group has gone.
    pub fn again(&self, whom: &Monitored) -> Option<Vec<EventReading>> {
        let again = |(reading, file): &(EventReading, File)| {
            let mut text = [0; 64];
            let now = match file.read_at(&mut text, 0) {
                Ok(length) => parse(std::str::from_utf8(text.get(..length)?).ok()?),
                Err(error) if matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL)) => {
                    Reading::Error
                }
                Err(_) => return None,
            };
            Some(EventReading { reading: now, ..reading.clone() })
        };
        if self.whom == *whom { self.files.iter().map(again).collect() } else { None }
    }
}

/// Gives a new group the counters it lacks, in the mode in which they are assigned to groups (AMD's ABMC) and not with
/// `mbm_assign_on_mkdir`. Where none is left the group stays without, and its events read as unassigned.
pub fn assign(files: &Files, dir: &str, monitoring: &Monitoring) -> Result<(), RdtError> {
    if monitoring.assign_mode.as_deref() != Some(super::info::ASSIGNED) {
        return Ok(());
    }
    let rel = format!("{dir}mbm_L3_assignments");
    let assigned = files.read_optional(&rel)?.unwrap_or_default();
    for event in lacking(&assigned) {
        match files.write(&rel, &format!("{event}:*=e\n")) {
            Err(RdtError::Refused { source, .. })
                if matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EINVAL)) => {}
            result => result?,
        }
    }
    Ok(())
}

/// Events that have no counter on some cache: those of `mbm_total_bytes:0=_;1=e`.
fn lacking(assigned: &str) -> impl Iterator<Item = &str> {
    let lines = assigned.lines().filter_map(|line| line.trim().split_once(':'));
    let is_without = |caches: &str| caches.split(';').any(|one| one.ends_with("=_"));
    lines.filter(move |(event, caches)| !event.is_empty() && is_without(caches)).map(|(event, _)| event)
}

/// What the text of a file says.
pub fn parse(text: &str) -> Reading {
    match text.trim() {
        "Unavailable" => Reading::Unavailable,
        "Unassigned" => Reading::Unassigned,
        number => number.parse().map_or(Reading::Error, Reading::Value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_without_a_counter_are_found() {
        let found = |text| lacking(text).collect::<Vec<_>>().join(" ");
        let text = "mbm_total_bytes:0=e;1=e\nmbm_local_bytes:0=e;1=_\n";
        assert_eq!([found(text), found(""), found("x:\n:0=_")], ["mbm_local_bytes", "", ""]);
    }

    #[test]
    fn what_is_no_number_is_none() {
        for (text, reading) in [
            ("0\n", Reading::Value(0)),
            ("18446744073709551615", Reading::Value(u64::MAX)),
            ("18446744073709551616", Reading::Error),
            ("Unavailable\n", Reading::Unavailable),
            ("Unassigned\n", Reading::Unassigned),
            ("Error\n", Reading::Error),
            ("", Reading::Error),
            ("-1", Reading::Error),
        ] {
            assert_eq!(parse(text), reading, "{text:?}");
        }
    }
}

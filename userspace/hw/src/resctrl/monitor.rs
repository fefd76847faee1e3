//! Reading `mon_data`.
//!
//! Source: `Documentation/filesystems/resctrl.rst`, "mon_data"; `rdtgroup_mondata_show`, fs/resctrl/ctrlmondata.c.

use waytrace_model::cache::CacheId;

use super::files::Files;
use crate::rdt::{EventReading, RdtError, Reading};

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

//! The text of a group's `schemata`: a line per resource, a value per cache.
//!
//! Source: `Documentation/filesystems/resctrl.rst`, "Schemata files"; `rdtgroup_schemata_show`, fs/resctrl/ctrlmondata.c.

use waytrace_model::cache::{CacheId, WayMask};

/// A line: a resource and what it is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `L3`, `L3CODE`, `L2`, `MB`, `SMBA`…
    pub resource: String,
    /// Values by cache; none in a group that is about to be locked.
    pub values: Vec<(CacheId, Value)>,
}

/// A value of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Ways, of a cache.
    Mask(WayMask),
    /// A limit, of memory bandwidth.
    Limit(u32),
}

/// Whether a resource has masks; others have limits.
pub fn is_cache(resource: &str) -> bool {
    level(resource).is_some()
}

/// The level of cache of a resource: 3 of `L3CODE`.
pub fn level(resource: &str) -> Option<u32> {
    let digits = resource.strip_prefix('L')?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

/// Parses a whole file.
///
/// # Errors
/// The line that is none.
pub fn parse(text: &str) -> Result<Vec<Line>, String> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| parse_line(line).ok_or_else(|| line.trim().to_owned()))
        .collect()
}

fn parse_line(line: &str) -> Option<Line> {
    let (resource, rest) = line.trim().split_once(':')?;
    let resource = resource.trim_end();
    if resource.is_empty() {
        return None;
    }
    let values = match rest.trim() {
        "uninitialized" => Vec::new(),
        rest => rest
            .split(';')
            .filter(|part| !part.trim().is_empty())
            .map(|part| value(resource, part))
            .collect::<Option<_>>()?,
    };
    Some(Line { resource: resource.to_owned(), values })
}

/// `0=fffff`, `1=  16`.
fn value(resource: &str, part: &str) -> Option<(CacheId, Value)> {
    let (id, text) = part.split_once('=')?;
    let id = CacheId(id.trim().parse().ok()?);
    let value = match is_cache(resource) {
        true => Value::Mask(WayMask::parse(text).ok()?),
        false => Value::Limit(text.trim().parse().ok()?),
    };
    Some((id, value))
}

/// The text that sets these values, which a group takes in one write: all of it or none.
pub fn format(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        let values: Vec<String> = line
            .values
            .iter()
            .map(|(id, value)| match value {
                Value::Mask(mask) => format!("{id}={mask}"),
                Value::Limit(limit) => format!("{id}={limit}"),
            })
            .collect();
        text += &format!("{}:{}\n", line.resource, values.join(";"));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mask(id: u32, bits: u64) -> (CacheId, Value) {
        (CacheId(id), Value::Mask(WayMask::from_bits(bits)))
    }

    #[test]
    fn the_kernels_forms_are_read() {
        let lines = parse(
            "  SMBA:0=2048;1=  64\n    MB:0=  100;1=4294967295\nL3CODE:0=fff;2=00f\nL3DATA:0=1;2=ff0;\n",
        )
        .unwrap();
        let limit = |id, value| (CacheId(id), Value::Limit(value));
        assert_eq!(lines[0], Line { resource: "SMBA".into(), values: vec![limit(0, 2048), limit(1, 64)] });
        assert_eq!(lines[1].values, [limit(0, 100), limit(1, u32::MAX)]);
        assert_eq!(lines[2], Line { resource: "L3CODE".into(), values: vec![mask(0, 0xfff), mask(2, 0xf)] });
        assert_eq!(lines[3].values, [mask(0, 1), mask(2, 0xff0)]);
        assert_eq!(parse("L3:uninitialized\n").unwrap()[0].values, []);
        assert_eq!((level("L3CODE"), level("MB"), level("L"), level("L2")), (Some(3), None, None, Some(2)));
        for text in ["L3", "L3:0", "L3:x=1", "L3:0=", "L3:0=1,1=2", "MB:0=f", ":0=1"] {
            assert_eq!(parse(text), Err(text.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_schemata_or_an_error(text in "([LMB0-9a-f:;= \n]|\\PC){0,80}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_written_reads_back(
            masks in prop::collection::vec((0u32..300, any::<u64>()), 1..5),
            limits in prop::collection::vec((0u32..300, any::<u32>()), 1..5),
        ) {
            let lines = vec![
                Line { resource: "L3DATA".into(), values: masks.into_iter().map(|(id, bits)| mask(id, bits)).collect() },
                Line {
                    resource: "MB".into(),
                    values: limits.into_iter().map(|(id, limit)| (CacheId(id), Value::Limit(limit))).collect(),
                },
            ];
            prop_assert_eq!(parse(&format(&lines)).unwrap(), lines);
        }
    }
}

//! A share of a cache as people ask for it: `4w`, `2MiB`, `50%`, or the mask itself, `0xf0`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::cache::{MaskError, MaskRules, WayMask};
use crate::units::{format_bytes, parse_percent, parse_size_bytes};

/// A share of a cache.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Share {
    /// So many ways.
    Ways(u32),
    /// At least so many bytes.
    Bytes(u64),
    /// At least so much of all ways, 0–100.
    Percent(f64),
    /// These ways.
    Mask(WayMask),
}

/// A share that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShareError {
    /// Text that is none.
    #[error(
        "`{0}` is not a share of a cache; write ways (4w), a size (2MiB), a percentage (50%) or a mask (0xf0)"
    )]
    Text(String),
    /// More than there is.
    #[error("{share} is more than the {} ways of this cache{}", full.ways(), size(.way_bytes, .full))]
    TooMuch {
        /// As asked for.
        share: String,
        /// All ways.
        full: WayMask,
        /// Bytes of one way.
        way_bytes: Option<u64>,
    },
    /// Bytes asked for of a cache of unknown size.
    #[error(
        "the size of this cache is not known, so {share} is no number of ways; write ways (4w) or a percentage (50%)"
    )]
    UnknownSize {
        /// As asked for.
        share: String,
    },
    /// No legal mask.
    #[error(transparent)]
    Mask(#[from] MaskError),
}

fn size(way_bytes: &Option<u64>, full: &WayMask) -> String {
    way_bytes.map_or_else(String::new, |bytes| {
        format!(", which are {}", format_bytes(bytes as f64 * f64::from(full.ways())))
    })
}

impl Share {
    /// The mask it is on a cache with these rules: the lowest ways outside `taken`, rounded up to whole ways and to the fewest
    /// the CPU takes. Ways and masks are taken at their word.
    ///
    /// # Errors
    /// As [`ShareError`] says, but [`ShareError::Text`].
    pub fn mask(
        self,
        rules: &MaskRules,
        way_bytes: Option<u64>,
        taken: WayMask,
    ) -> Result<WayMask, ShareError> {
        let all = rules.full_mask.ways();
        let ways = match self {
            Self::Mask(mask) => return Ok(mask.check(rules).map(|()| mask)?),
            Self::Ways(ways) => ways,
            Self::Bytes(bytes) => {
                let way = way_bytes.filter(|way| *way > 0);
                let way = way.ok_or_else(|| ShareError::UnknownSize { share: self.to_string() })?;
                u32::try_from(bytes.div_ceil(way)).unwrap_or(u32::MAX).max(rules.min_ways)
            }
            // Half of 11 ways is 6; a hair's breadth over a whole number is a matter of binary fractions.
            Self::Percent(pct) => {
                ((pct / 100.0 * f64::from(all) - 1e-9).ceil().max(0.0) as u32).max(rules.min_ways)
            }
        };
        if ways > all {
            return Err(ShareError::TooMuch { share: self.to_string(), full: rules.full_mask, way_bytes });
        }
        Ok(rules.place(ways, taken)?)
    }
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let wrong = || ShareError::Text(text.to_owned());
        let trimmed = text.trim();
        let share = if let Some(ways) = trimmed.strip_suffix(['w', 'W']) {
            Self::Ways(ways.trim().parse().map_err(|_| wrong())?)
        } else if trimmed.ends_with('%') {
            Self::Percent(parse_percent(trimmed).map_err(|_| wrong())?)
        } else if trimmed.starts_with("0x") || trimmed.starts_with("0X") {
            Self::Mask(WayMask::parse(trimmed).map_err(|_| wrong())?)
        } else if trimmed.ends_with(|last: char| last.is_ascii_digit()) {
            // `--l3 4` may mean ways, bytes or a mask: whoever means ways would get one.
            return Err(wrong());
        } else {
            Self::Bytes(parse_size_bytes(trimmed).map_err(|_| wrong())?)
        };
        match share {
            Self::Percent(0.0) | Self::Bytes(0) => Err(wrong()),
            share => Ok(share),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ways(ways) => write!(f, "{ways}w"),
            Self::Bytes(bytes) => f.write_str(&format_bytes(*bytes as f64)),
            Self::Percent(pct) => write!(f, "{pct}%"),
            Self::Mask(mask) => write!(f, "{mask:#}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAY: u64 = 3 << 19; // 1.5 MiB

    fn mask(text: &str, min_ways: u32) -> Result<u64, ShareError> {
        let rules = MaskRules { full_mask: WayMask::lowest(11), min_ways, sparse: false };
        text.parse::<Share>()?.mask(&rules, Some(WAY), WayMask::default()).map(WayMask::bits)
    }

    #[test]
    fn shares_become_whole_ways() {
        for (text, bits) in [
            ("4w", 0xf),
            ("1.5MiB", 0x1),
            ("2MiB", 0x3),
            ("16.5MiB", 0x7ff),
            ("50%", 0x3f),
            ("100%", 0x7ff),
            ("1%", 0x1),
            ("0xf0", 0xf0),
        ] {
            assert_eq!(mask(text, 1), Ok(bits), "{text}");
        }
        assert_eq!((mask("1%", 2), mask("64KiB", 2)), (Ok(3), Ok(3)));
    }

    #[test]
    fn what_cannot_be_had_is_said() {
        let error = |text| mask(text, 2).unwrap_err().to_string();
        assert_eq!(error("12w"), "12w is more than the 11 ways of this cache, which are 16.5MiB");
        assert_eq!(error("17MiB"), "17.0MiB is more than the 11 ways of this cache, which are 16.5MiB");
        assert!(error("0w").contains("empty") && error("1w").contains("no fewer than 2"));
        assert!(error("0x5").contains("holes") && error("0x800").contains("too wide"));
        for text in ["", "w", "4", "0%", "0B", "101%", "-1w", "x", "0xg", "4 sheep", "1e999MiB"] {
            assert_eq!(mask(text, 1), Err(ShareError::Text(text.to_owned())));
        }
        let rules = MaskRules { full_mask: WayMask::lowest(11), min_ways: 1, sparse: false };
        assert!(matches!(
            Share::Bytes(1).mask(&rules, None, WayMask::default()),
            Err(ShareError::UnknownSize { .. })
        ));
    }
}

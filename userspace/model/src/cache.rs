//! A share of a cache: way masks with the rules they must keep, and the numbers classes, monitors and caches go by.
//!
//! Source: Intel SDM vol. 3B, 19.19 (CAT); `Documentation/filesystems/resctrl.rst`, "Cache Bit Masks".

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Class of service: the number under which the hardware knows what a task may use; 0 is the default class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClosId(pub u32);

/// Resource monitoring id: the number under which the hardware counts occupancy and traffic; 0 is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rmid(pub u32);

/// One cache among those of its level, as sysfs numbers them (`cache/index*/id`); there may be gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CacheId(pub u32);

impl fmt::Display for CacheId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Ways of a cache, one bit each. Written in hexadecimal, as the kernel does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WayMask(u64);

/// A way mask that is not legal, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MaskError {
    /// No way at all.
    #[error("the mask is empty; a class needs at least {min_ways} of the ways {full:#}")]
    Empty {
        /// Fewest ways a mask may have.
        min_ways: u32,
        /// All ways of the cache.
        full: WayMask,
    },
    /// Ways the cache has not.
    #[error("mask {mask:#} is too wide: this cache has {} ways, which are {full:#}", full.ways())]
    TooWide {
        /// The mask.
        mask: WayMask,
        /// All ways of the cache.
        full: WayMask,
    },
    /// Ways that are not next to each other, on a CPU that wants them so.
    #[error("mask {mask:#} has holes, and this CPU takes only ways next to each other; write it like 0x3c")]
    Holes {
        /// The mask.
        mask: WayMask,
    },
    /// Fewer ways next to each other than the CPU takes.
    #[error("mask {mask:#} has only {} ways, and this CPU takes no fewer than {min_ways}", mask.ways())]
    TooFew {
        /// The mask.
        mask: WayMask,
        /// Fewest ways a mask may have.
        min_ways: u32,
    },
    /// Text that is no mask.
    #[error("the text is not a mask; write it in hexadecimal, like 0xff0")]
    NotHex,
    /// So many ways next to each other are not free.
    #[error(
        "there are no {ways} ways next to each other outside {taken:#}, which exclusive or locked classes hold; ask for fewer"
    )]
    NoRoom {
        /// Ways asked for.
        ways: u32,
        /// Ways that may not be used.
        taken: WayMask,
    },
}

/// What masks a cache takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskRules {
    /// All its ways.
    pub full_mask: WayMask,
    /// Fewest ways next to each other that a mask may have (`min_cbm_bits`).
    pub min_ways: u32,
    /// Whether the ways of a mask may be apart (`sparse_masks`).
    pub sparse: bool,
}

impl WayMask {
    /// A mask of the bits given, legal or not.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The lowest `count` ways; all 64 where there are more.
    pub fn lowest(count: u32) -> Self {
        Self(1u64.checked_shl(count).map_or(u64::MAX, |bit| bit - 1))
    }

    /// Parses hexadecimal text, with or without `0x`.
    ///
    /// # Errors
    /// [`MaskError::NotHex`].
    pub fn parse(text: &str) -> Result<Self, MaskError> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex {
            return Err(MaskError::NotHex);
        }
        u64::from_str_radix(digits, 16).map(Self).map_err(|_| MaskError::NotHex)
    }

    /// Its bits, way 0 lowest.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// How many ways it has, 0–64.
    pub fn ways(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether it has no way.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether its ways are next to each other; an empty mask is not.
    pub fn is_contiguous(self) -> bool {
        self.longest_run() == self.ways() && self.0 != 0
    }

    /// The most ways next to each other, 0–64.
    pub fn longest_run(self) -> u32 {
        let mut bits = self.0;
        let mut run = 0;
        while bits != 0 {
            bits &= bits << 1;
            run += 1;
        }
        run
    }

    /// Ways that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Ways that are in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Ways of this mask that the other has not.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether a cache with these rules takes it.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn check(self, rules: &MaskRules) -> Result<(), MaskError> {
        let MaskRules { full_mask: full, min_ways, sparse } = *rules;
        if self.is_empty() {
            return Err(MaskError::Empty { min_ways, full });
        }
        if !self.without(full).is_empty() {
            return Err(MaskError::TooWide { mask: self, full });
        }
        if !sparse && !self.is_contiguous() {
            return Err(MaskError::Holes { mask: self });
        }
        // The kernel compares the length of the run of a contiguous mask, and of a sparse one the number of its ways
        // (`cbm_validate`).
        if self.ways() < min_ways {
            return Err(MaskError::TooFew { mask: self, min_ways });
        }
        Ok(())
    }
}

impl MaskRules {
    /// The lowest `ways` ways next to each other that are not in `taken`.
    ///
    /// # Errors
    /// [`MaskError::NoRoom`] where there are none, [`MaskError::TooFew`] and [`MaskError::Empty`] where a mask of so few is not legal.
    pub fn place(&self, ways: u32, taken: WayMask) -> Result<WayMask, MaskError> {
        WayMask::lowest(ways.min(self.full_mask.ways())).check(self)?;
        let free = self.full_mask.without(taken);
        let run = WayMask::lowest(ways).bits();
        (0..64)
            .map(|first| WayMask(run << first))
            .find(|mask| mask.ways() == ways && mask.without(free).is_empty())
            .ok_or(MaskError::NoRoom { ways, taken })
    }
}

impl fmt::Display for WayMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

impl Serialize for WayMask {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

impl<'de> Deserialize<'de> for WayMask {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(ways: u32, min_ways: u32, sparse: bool) -> MaskRules {
        MaskRules { full_mask: WayMask::lowest(ways), min_ways, sparse }
    }

    #[test]
    fn each_rule_has_its_error() {
        let strict = rules(12, 2, false);
        let mask = WayMask::from_bits;
        let full = WayMask::lowest(12);
        assert_eq!(mask(0xff0).check(&strict), Ok(()));
        assert_eq!(mask(0).check(&strict), Err(MaskError::Empty { min_ways: 2, full }));
        assert_eq!(mask(0x1fff).check(&strict), Err(MaskError::TooWide { mask: mask(0x1fff), full }));
        assert_eq!(mask(0x5).check(&strict), Err(MaskError::Holes { mask: mask(5) }));
        assert_eq!(mask(0x4).check(&strict), Err(MaskError::TooFew { mask: mask(4), min_ways: 2 }));
        assert_eq!(mask(0x5).check(&rules(12, 1, true)), Ok(()));
        assert_eq!(
            mask(0x1fff).check(&strict).unwrap_err().to_string(),
            "mask 0x1fff is too wide: this cache has 12 ways, which are 0xfff"
        );
    }

    #[test]
    fn ways_are_placed_outside_what_is_taken() {
        let rules = rules(12, 1, false);
        assert_eq!(rules.place(4, WayMask::default()), Ok(WayMask::from_bits(0xf)));
        assert_eq!(rules.place(4, WayMask::from_bits(0x7)), Ok(WayMask::from_bits(0x78)));
        assert_eq!(rules.place(12, WayMask::default()), Ok(WayMask::from_bits(0xfff)));
        let taken = WayMask::from_bits(0x0f0);
        assert_eq!(rules.place(5, taken), Err(MaskError::NoRoom { ways: 5, taken }));
        assert_eq!(
            rules.place(13, WayMask::default()),
            Err(MaskError::NoRoom { ways: 13, taken: WayMask::default() })
        );
        assert!(matches!(rules.place(0, taken), Err(MaskError::Empty { .. })));
    }

    #[test]
    fn masks_are_hexadecimal() {
        for (text, bits) in [("fff", 0xfff), ("0xF0", 0xf0), (" 1 ", 1), ("ffffffffffffffff", u64::MAX)] {
            assert_eq!(WayMask::parse(text), Ok(WayMask(bits)), "{text}");
        }
        for text in ["", "0x", "-1", "+1", "g", "1ffffffffffffffff", "1 1"] {
            assert_eq!(WayMask::parse(text), Err(MaskError::NotHex), "{text}");
        }
        let json = serde_json::to_string(&WayMask(0x3c)).unwrap();
        assert_eq!(
            (json.as_str(), serde_json::from_str::<WayMask>(&json).unwrap()),
            ("\"0x3c\"", WayMask(0x3c))
        );
    }

    #[test]
    fn runs_of_64_ways_do_not_overflow() {
        assert_eq!(WayMask::lowest(64).longest_run(), 64);
        assert_eq!(WayMask::lowest(99), WayMask(u64::MAX));
        assert_eq!(rules(64, 1, false).place(64, WayMask::default()), Ok(WayMask(u64::MAX)));
        assert_eq!((WayMask(0b1101_1101).longest_run(), WayMask(0).is_contiguous()), (3, false));
    }
}

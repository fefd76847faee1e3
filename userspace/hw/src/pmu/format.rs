//! Bit fields of a PMU's event encoding, possibly in several pieces: `config:0-7,32-35`.
//!
//! Source: `Documentation/ABI/testing/sysfs-bus-event_source-devices-format`.

/// Where the bits of one field go. The lowest bits of a value fill the first range, the next bits the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// Which of `config`, `config1`, `config2`, `config3`.
    pub word: usize,
    /// Bit ranges, both ends included, in the order values fill them.
    pub ranges: Vec<(u8, u8)>,
}

/// The words a field can be in, by position.
pub const WORDS: [&str; 4] = ["config", "config1", "config2", "config3"];

impl Format {
    /// Parses a field's description.
    pub fn parse(text: &str) -> Option<Self> {
        let (word, ranges) = text.trim().split_once(':')?;
        let word = WORDS.iter().position(|name| *name == word)?;
        let bit = |text: &str| text.parse::<u8>().ok().filter(|bit| *bit < 64);
        let range = |part: &str| {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let (low, high) = (bit(low)?, bit(high)?);
            (low <= high).then_some((low, high))
        };
        let ranges: Vec<(u8, u8)> = ranges.split(',').map(range).collect::<Option<_>>()?;
        let format = Self { word, ranges };
        // Overlapping pieces would make `place` depend on their order.
        (format.width_bits() == format.mask().count_ones()).then_some(format)
    }

    /// Bits of a value it takes.
    pub fn width_bits(&self) -> u32 {
        self.ranges.iter().map(|(low, high)| u32::from(high - low) + 1).sum()
    }

    /// Largest value it takes.
    pub fn max(&self) -> u64 {
        low_bits(self.width_bits())
    }

    fn mask(&self) -> u64 {
        self.ranges.iter().fold(0, |mask, (low, high)| mask | low_bits(u32::from(high - low) + 1) << low)
    }

    /// Puts `value` into its place in `config`, replacing what was there; false and nothing changed where it does
    /// not fit.
    #[must_use]
    pub fn place(&self, value: u64, config: &mut [u64; 4]) -> bool {
        if value > self.max() {
            return false;
        }
        let word = &mut config[self.word];
        *word &= !self.mask();
        let mut taken = 0;
        for (low, high) in &self.ranges {
            let width = u32::from(high - low) + 1;
            *word |= (value >> taken & low_bits(width)) << low;
            taken = (taken + width).min(63);
        }
        true
    }
}

fn low_bits(count: u32) -> u64 {
    u64::MAX >> (64 - count.clamp(1, 64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_go_where_the_description_says() {
        let cases: [(&str, u64, [u64; 4]); 6] = [
            ("config:0-7", 0x3c, [0x3c, 0, 0, 0]),
            ("config:0-7,32-35", 0xabc, [0xa_0000_00bc, 0, 0, 0]),
            ("config1:0-63", u64::MAX, [0, u64::MAX, 0, 0]),
            ("config2:18", 1, [0, 0, 1 << 18, 0]),
            ("config3:32-63", 0xdead_beef, [0, 0, 0, 0xdead_beef << 32]),
            ("config:21,63,0", 0b101, [1 << 21 | 1, 0, 0, 0]),
        ];
        for (text, value, expected) in cases {
            let mut config = [0; 4];
            assert!(Format::parse(text).unwrap().place(value, &mut config), "{text}");
            assert_eq!(config, expected, "{text}");
        }
    }

    #[test]
    fn a_later_value_replaces_an_earlier_one_and_nothing_else() {
        let format = Format::parse("config:8-15").unwrap();
        let mut config = [0xffff_ffff, 0, 0, 0];
        assert!(format.place(0x12, &mut config));
        assert_eq!(config[0], 0xffff_12ff);
        assert!(!format.place(0x100, &mut config));
        assert_eq!(config[0], 0xffff_12ff);
    }

    #[test]
    fn other_descriptions_are_refused() {
        for text in
            ["", "config", "config:", "config4:0", "config:7-0", "config:64", "config:0-7,4", "config:a"]
        {
            assert_eq!(Format::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_format_or_none(text in "(config[0-4]?:)?[0-9,:x-]{0,20}") {
            if let Some(format) = Format::parse(&text) {
                let mut config = [0; 4];
                prop_assert!(format.place(format.max(), &mut config));
                prop_assert_eq!(config[format.word].count_ones(), format.width_bits());
            }
        }
    }
}

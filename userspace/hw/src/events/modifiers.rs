//! What follows an event's name: `:u`, `:k`, `:ppp`. Source: `perf-list(1)`, "EVENT MODIFIERS".
//!
//! One difference from perf: guests are excluded only on demand (`:H`), so that one rule serves PMUs that know no
//! guests.

/// Which modes an event counts in, and how. The default counts everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Modifiers {
    /// Not in user mode.
    pub exclude_user: bool,
    /// Not in kernel mode.
    pub exclude_kernel: bool,
    /// Not in hypervisor mode.
    pub exclude_hv: bool,
    /// Not on the host (`:G`).
    pub exclude_host: bool,
    /// Not in guests (`:H`).
    pub exclude_guest: bool,
    /// Not in the idle task (`:I`).
    pub exclude_idle: bool,
    /// Skid allowed, 0 (any) to 3 (none). For sampling: the kernel refuses it for counting, which ignores it.
    pub precise_ip: u8,
    /// Always on the PMU, or an error (`:D`).
    pub pinned: bool,
    /// Alone on the PMU (`:e`).
    pub exclusive: bool,
}

impl Modifiers {
    /// Parses the letters after the colon.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut modifiers = Self::default();
        let has = |letter: char| text.contains(letter);
        for letter in text.chars() {
            match letter {
                'u' | 'k' | 'h' | 'G' | 'H' | 'I' | 'D' | 'e' => {}
                'p' => modifiers.precise_ip += 1,
                'P' => return Err("write the skid out as `:p`, `:pp` or `:ppp` instead of `:P`".to_owned()),
                other => {
                    return Err(format!(
                        "unknown modifier `{other}`; there are u k h (modes), G H I, p pp ppp, D e"
                    ));
                }
            }
            if modifiers.precise_ip > 3 {
                return Err("at most three `p`".to_owned());
            }
        }
        if has('u') || has('k') || has('h') {
            modifiers.exclude_user = !has('u');
            modifiers.exclude_kernel = !has('k');
            modifiers.exclude_hv = !has('h');
        }
        if has('G') || has('H') {
            modifiers.exclude_guest = !has('G');
            modifiers.exclude_host = !has('H');
        }
        modifiers.exclude_idle = has('I');
        modifiers.pinned = has('D');
        modifiers.exclusive = has('e');
        Ok(modifiers)
    }

    /// Whether user and kernel mode are both counted, as numbers the kernel keeps per task count them.
    pub fn counts_everywhere(&self) -> bool {
        let modes = Self { exclude_hv: false, precise_ip: 0, pinned: false, exclusive: false, ..*self };
        modes == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_exclude_what_is_not_named() {
        let excluded = |text: &str| {
            let m = Modifiers::parse(text).unwrap();
            (m.exclude_user, m.exclude_kernel, m.exclude_hv, m.exclude_host, m.exclude_guest)
        };
        assert_eq!(excluded(""), (false, false, false, false, false));
        assert_eq!(excluded("u"), (false, true, true, false, false));
        assert_eq!(excluded("k"), (true, false, true, false, false));
        assert_eq!(excluded("uk"), (false, false, true, false, false));
        assert_eq!(excluded("H"), (false, false, false, false, true));
        assert_eq!(excluded("uG"), (false, true, true, true, false));
    }

    #[test]
    fn precision_counts_its_letters() {
        assert_eq!(Modifiers::parse("upp").unwrap().precise_ip, 2);
        for text in ["pppp", "z", "P", "u,k", "ü"] {
            assert!(Modifiers::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn both_modes_are_everywhere() {
        assert!(Modifiers::parse("uk").unwrap().counts_everywhere());
        assert!(!Modifiers::parse("u").unwrap().counts_everywhere());
        assert!(!Modifiers::parse("I").unwrap().counts_everywhere());
    }
}

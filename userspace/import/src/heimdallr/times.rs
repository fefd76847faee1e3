//! What GNU time prints by default: `0.01user 0.00system 1:02:03.45elapsed 99%CPU (… 2048maxresident)k`.

/// Times of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    pub user_ns: u64,
    pub system_ns: u64,
    pub elapsed_ns: u64,
    pub max_rss_bytes: u64,
    /// The command exited with another code than 0, or by a signal.
    pub failed: bool,
}

/// Reads the last lines time printed into a log; those before may be the command's failure.
pub fn parse(log: &str) -> Option<Times> {
    let line = log.lines().rfind(|line| line.contains("elapsed"))?;
    let before = |unit: &str| {
        let (text, _) = line.split_once(unit)?;
        let number = |c: char| c.is_ascii_digit() || ".:".contains(c);
        text.get(text.rfind(|c| !number(c)).map_or(0, |at| at + 1)..)
    };
    Some(Times {
        user_ns: clock_ns(before("user")?)?,
        system_ns: clock_ns(before("system")?)?,
        elapsed_ns: clock_ns(before("elapsed")?)?,
        max_rss_bytes: before("maxresident")?.parse::<u64>().ok()?.checked_mul(1024)?,
        failed: log.lines().any(|line| line.starts_with("Command ")),
    })
}

/// `[[hours:]minutes:]seconds[.fraction]`, of any number of digits.
fn clock_ns(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let seconds =
        whole.split(':').try_fold(0_u64, |sum, part| sum.checked_mul(60)?.checked_add(part.parse().ok()?))?;
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let scale = 10_u64.pow(9 - fraction.len() as u32);
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction.parse::<u64>().ok()?.checked_mul(scale)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_minutes_of_any_length() {
        for (elapsed, seconds) in [
            ("0:02.50", 2.5),
            ("2:34.00", 154.0),
            ("12:34.25", 754.25),
            ("1:02:03", 3723.0),
            ("101:00:00", 363_600.0),
        ] {
            let log = format!(
                "0.51user 1.25system {elapsed}elapsed 99%CPU (0avgtext+0avgdata 2048maxresident)k\n0inputs+8outputs (0major+96minor)pagefaults 0swaps\n"
            );
            let times = parse(&log).unwrap();
            assert_eq!(times.elapsed_ns, (seconds * 1e9) as u64, "{elapsed}");
            assert_eq!((times.user_ns, times.system_ns), (510_000_000, 1_250_000_000));
            assert_eq!((times.max_rss_bytes, times.failed), (2 << 20, false));
        }
    }

    #[test]
    fn failures_and_other_texts() {
        let log = "Command exited with non-zero status 3\n0.00user 0.00system 0:00.01elapsed 0%CPU (0avgtext+0avgdata 900maxresident)k\n";
        assert!(parse(log).unwrap().failed);
        for log in [
            "",
            "real 0m1.2s",
            "xuser ysystem zelapsed wmaxresident",
            "99999999999999999999elapsed",
            "1.user 1system 1elapsed 1maxresident",
        ] {
            assert_eq!(parse(log), None, "{log}");
        }
    }
}

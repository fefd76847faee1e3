//! RFC 3339 back into nanoseconds, the only clock arithmetic a profile needs.

/// Nanoseconds since the Unix epoch of a UTC time like `2026-11-20T10:00:00.25Z`.
pub fn unix_ns(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock, ':')?;
    let is_valid = (1970..=2262).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let seconds = is_valid.then(|| ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction_ns(fraction)?)
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let parts: Vec<i64> =
        text.split(separator).map(|part| part.parse().ok().filter(|n| *n >= 0)).collect::<Option<_>>()?;
    parts.try_into().ok()
}

fn fraction_ns(digits: &str) -> Option<i64> {
    let is_number = digits.chars().all(|c| c.is_ascii_digit());
    is_number.then(|| format!("{digits:0<9}")[..9].parse().ok())?
}

/// Days from 1970-01-01 in the Gregorian calendar. Years are counted from March, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let march_year = if month > 2 { year } else { year - 1 };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::unix_ns;

    #[test]
    fn known_instants() {
        assert_eq!(unix_ns("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(unix_ns("2000-02-29T12:00:00Z"), Some(951_825_600_000_000_000));
        assert_eq!(unix_ns("2026-11-20T10:00:00.25Z"), Some(1_795_168_800_250_000_000));
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "Z",
            "yesterday",
            "2026-11-20",
            "2026-13-01T00:00:00Z",
            "2026-11-20T10:00:00.xZ",
            "9999-01-01T00:00:00Z",
        ] {
            assert_eq!(unix_ns(text), None, "{text}");
        }
    }
}

//! Wall-clock times as RFC 3339 text in UTC. The calendar is the proleptic Gregorian one.

const SECONDS_PER_DAY: u64 = 86_400;

/// `2026-01-31T23:59:59.123Z` of nanoseconds since the Unix epoch.
pub fn rfc3339(unix_ns: u64) -> String {
    let seconds = unix_ns / 1_000_000_000;
    let milliseconds = unix_ns / 1_000_000 % 1000;
    let (year, month, day) = civil_from_days(seconds / SECONDS_PER_DAY);
    let of_day = seconds % SECONDS_PER_DAY;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

/// Year, month and day of a count of days since 1970-01-01.
///
/// Years are counted from 1 March, so that the leap day is the last of its year and month lengths follow
/// the 153-days-in-5-months rule; an era is the 400 years after which the calendar repeats.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    const DAYS_PER_ERA: u64 = 146_097;
    const DAYS_FROM_0000_03_01_TO_1970_01_01: u64 = 719_468;
    let days = days + DAYS_FROM_0000_03_01_TO_1970_01_01;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let leap_days = day_of_era / 1460 + day_of_era / 146_096;
    let year_of_era = (day_of_era + day_of_era / 36_524 - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Reads `2026-01-31`, `2026-01-31T12:30`, `2026-01-31T12:30:00`, with `Z` and fractions of a second or without, as nanoseconds since the Unix
/// epoch. Other zones than UTC are not read. `None`: another form, no such day, or before 1970.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let text = text.trim().trim_end_matches(['Z', 'z']);
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, "0:0:0"));
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let parts: Option<Vec<u64>> = clock.split(':').map(|part| part.parse().ok()).collect();
    let (hour, minute, second) = match *parts?.as_slice() {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let days = days_from_civil(year, month, day)?;
    if hour > 23 || minute > 59 || second > 59 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction_ns: u64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction_ns)
}

/// Days since 1970-01-01 of a date that exists, until the year 2500.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..2500).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let days = (365 * year + year / 4 - year / 100 + year / 400 + of_year).checked_sub(719_468)?;
    (civil_from_days(days) == (year + u64::from(month <= 2), month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants() {
        // `date -u -d @SECONDS +%FT%T`
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_704_067_199, "2023-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(rfc3339(seconds * 1_000_000_000), text);
        }
        assert_eq!(rfc3339(1_700_000_000_987_654_321), "2023-11-14T22:13:20.987Z");
    }

    #[test]
    fn what_is_written_is_read_back() {
        for unix_ns in [0, 951_782_400_000_000_000, 1_700_000_000_987_000_000, 4_107_542_400_000_000_000] {
            assert_eq!(parse_rfc3339(&rfc3339(unix_ns)), Some(unix_ns));
        }
        assert_eq!(parse_rfc3339("2023-11-14"), Some(1_699_920_000_000_000_000));
        assert_eq!(parse_rfc3339("2023-11-14 22:13"), Some(1_700_000_000_000_000_000 - 20_000_000_000));
        for text in [
            "",
            "2023",
            "2023-02-29",
            "2023-11-31",
            "2023-00-01",
            "1969-12-31",
            "2023-11-14T24:00",
            "2023-11-14T1",
            "2023-11-14T10:00:00.x",
            "2023-11-14T10:00:00+01:00",
            "99999999999999999999-01-01",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_eight_centuries_follows_the_one_before() {
        let mut expected = (1970, 1, 1);
        for day in 0..292_194 {
            assert_eq!(civil_from_days(day), expected);
            expected = next_day(expected);
        }
    }

    fn next_day((year, month, day): (u64, u64, u64)) -> (u64, u64, u64) {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u64::from(leap),
            _ => 31,
        };
        match (month, day) {
            (12, 31) => (year + 1, 1, 1),
            (_, day) if day == last => (year, month + 1, 1),
            _ => (year, month, day + 1),
        }
    }
}

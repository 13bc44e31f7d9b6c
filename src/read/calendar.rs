//! Days since an epoch as dates, and parts of a day as times.

use std::io::Write;

const DAYS_IN_400_YEARS: i64 = 146_097;
/// From 0000-03-01, where a year of this reckoning begins, to 1970-01-01.
const EPOCH: i64 = 719_468;

/// Appends the day so many days after 1970-01-01 as `2026-11-22`; years before 1 with ` BC`.
pub fn put_date(days: i64, out: &mut Vec<u8>) {
    let before_christ = put_day(days, out);
    if before_christ {
        out.extend_from_slice(b" BC");
    }
}

/// Appends a day and a time as `2026-11-22 04:05:06.7`, then `zone`.
pub fn put_timestamp(nanos: i128, zone: &str, out: &mut Vec<u8>) {
    const DAY: i128 = 86_400_000_000_000;
    let before_christ = put_day(nanos.div_euclid(DAY) as i64, out);
    out.push(b' ');
    put_time(nanos.rem_euclid(DAY), out);
    out.extend_from_slice(zone.as_bytes());
    if before_christ {
        out.extend_from_slice(b" BC");
    }
}

/// Appends nanoseconds as `04:05:06.7`; hours may be many.
pub fn put_time(nanos: i128, out: &mut Vec<u8>) {
    let seconds = nanos / 1_000_000_000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    if hours < 100 {
        put_two(hours as i64, out);
    } else {
        // Nothing is wrong with writing to memory.
        let _ = write!(out, "{hours}");
    }
    out.push(b':');
    put_two(minutes as i64, out);
    out.push(b':');
    put_two((seconds % 60) as i64, out);
    let fraction = nanos % 1_000_000_000;
    if fraction != 0 {
        let _ = write!(out, ".{fraction:09}");
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// After "`days_from_civil`" turned round: <https://howardhinnant.github.io/date_algorithms.html>
fn put_day(days: i64, out: &mut Vec<u8>) -> bool {
    let days = days + EPOCH;
    let era = days.div_euclid(DAYS_IN_400_YEARS);
    let of_era = days.rem_euclid(DAYS_IN_400_YEARS);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (year, before_christ) = if year > 0 {
        (year, false)
    } else {
        (1 - year, true)
    };
    if year < 10_000 {
        put_two(year / 100, out);
        put_two(year % 100, out);
    } else {
        let _ = write!(out, "{year}");
    }
    out.push(b'-');
    put_two(month, out);
    out.push(b'-');
    put_two(day, out);
    before_christ
}

fn put_two(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(days: i64) -> String {
        let mut out = Vec::new();
        put_date(days, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn days_are_dates() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (20_779, "2026-11-22"),
            (11_016, "2000-02-29"),
            (-25_509, "1900-02-28"),
            (-25_508, "1900-03-01"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "10000-01-01"),
            (-719_162, "0001-01-01"),
            (-719_163, "0001-12-31 BC"),
        ] {
            assert_eq!(date(days), expected);
        }
    }

    /// Against another calendar, over all years that it knows.
    #[test]
    fn every_day_follows_the_day_before() {
        let mut day = jiff::civil::date(1583, 1, 1);
        let epoch = jiff::civil::date(1970, 1, 1);
        while day.year() < 2600 {
            let days = i64::from((day - epoch).get_days());
            assert_eq!(date(days), day.to_string());
            day = day.saturating_add(jiff::Span::new().days(13));
        }
    }

    #[test]
    fn times_have_the_digits_that_they_need() {
        let text = |nanos, zone| {
            let mut out = Vec::new();
            put_timestamp(nanos, zone, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(0, ""), "1970-01-01 00:00:00");
        assert_eq!(text(1_500_000_000, "+00"), "1970-01-01 00:00:01.5+00");
        assert_eq!(text(-1, ""), "1969-12-31 23:59:59.999999999");
        assert_eq!(
            text(-86_400_000_000_000 * 719_163, ""),
            "0001-12-31 00:00:00 BC"
        );
        let mut out = Vec::new();
        put_time(30 * 3_600_000_000_000 + 61_020_000_000, &mut out);
        assert_eq!(out, b"30:01:01.02");
    }
}

//! Patterns against texts that fit them, that nearly do, and against jiff for every day.

use super::*;
use proptest::prelude::*;

fn pattern(written: &str) -> Pattern {
    Pattern::new(written, None).unwrap()
}

/// The whole moment as the server writes it.
fn read(pattern: &Pattern, text: &str) -> Result<String, Unread> {
    let mut out = Vec::new();
    pattern.read(text.as_bytes())?.put(&mut out);
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn every_word_reads_its_part() {
    for (written, text, expected) in [
        ("YYYYMMDD", "20261121", "2026-11-21 00:00:00"),
        ("YYYYMMDD", " 20261121 ", "2026-11-21 00:00:00"),
        ("DD-MON-YYYY", "21-NOV-2026", "2026-11-21 00:00:00"),
        ("DD-MON-YYYY", "01-jan-1999", "1999-01-01 00:00:00"),
        (
            "Month DD, YYYY",
            "September 01, 2026",
            "2026-09-01 00:00:00",
        ),
        ("FMMonth FMDD, YYYY", "May 1, 2026", "2026-05-01 00:00:00"),
        ("FMMM/FMDD/YYYY", "1/5/2026", "2026-01-05 00:00:00"),
        ("FMMM/FMDD/YYYY", "01/05/2026", "2026-01-05 00:00:00"),
        ("mm/dd/yyyy", "02/29/2024", "2024-02-29 00:00:00"),
        ("YYYYDDD", "2024366", "2024-12-31 00:00:00"),
        ("YYYYDDD", "2026059", "2026-02-28 00:00:00"),
        ("YYYY-MM", "2026-11", "2026-11-01 00:00:00"),
        ("YYYY", "2026", "2026-01-01 00:00:00"),
        ("YYYYMMDDHH24MISS", "20261121051002", "2026-11-21 05:10:02"),
        (
            "YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"",
            "2026-11-21T05:10:02Z",
            "2026-11-21 05:10:02",
        ),
        (
            "YYYY-MM-DD HH24:MI:SS.MS",
            "2026-11-21 05:10:02.007",
            "2026-11-21 05:10:02.007000",
        ),
        (
            "YYYY-MM-DD HH24:MI:SS.US",
            "2026-11-21 05:10:02.000007",
            "2026-11-21 05:10:02.000007",
        ),
        (
            "YYYY-MM-DD HH24:MI:SS.FF1",
            "2026-11-21 05:10:02.5",
            "2026-11-21 05:10:02.500000",
        ),
        (
            "YYYY-MM-DD HH24:MI:SS.FMUS",
            "2026-11-21 05:10:02.25",
            "2026-11-21 05:10:02.250000",
        ),
        (
            "MM/DD/YYYY HH12:MI AM",
            "11/21/2026 12:05 AM",
            "2026-11-21 00:05:00",
        ),
        (
            "MM/DD/YYYY HH12:MI AM",
            "11/21/2026 12:05 pm",
            "2026-11-21 12:05:00",
        ),
        (
            "MM/DD/YYYY FMHH:MI:SS P.M.",
            "11/21/2026 5:10:02 p.m.",
            "2026-11-21 17:10:02",
        ),
        (
            "YYYY-MM-DD HH24:MITZH:TZM",
            "2026-11-21 05:10-05:30",
            "2026-11-21 05:10:00-05:30",
        ),
        (
            "YYYY-MM-DD HH24:MITZH:TZM",
            "2026-11-21 05:10-00:30",
            "2026-11-21 05:10:00-00:30",
        ),
        (
            "YYYY-MM-DD HH24:MITZH",
            "2026-11-21 05:10+14",
            "2026-11-21 05:10:00+14:00",
        ),
        (
            "\"día \"DD\"/\"MM\"/\"YYYY",
            "día 21/11/2026",
            "2026-11-21 00:00:00",
        ),
    ] {
        assert_eq!(
            read(&pattern(written), text).as_deref(),
            Ok(expected),
            "{written}: {text}"
        );
    }
}

#[test]
fn a_text_that_does_not_fit_is_told_from_a_day_that_does_not_exist() {
    use Unread::{Calendar, Form};
    for (written, text, unread) in [
        ("YYYYMMDD", "", Form),
        ("YYYYMMDD", "2026112", Form),
        ("YYYYMMDD", "202611211", Form),
        ("YYYYMMDD", "2026-11-21", Form),
        ("YYYYMMDD", "20261301", Calendar),
        ("YYYYMMDD", "20260229", Calendar),
        ("YYYYMMDD", "20260431", Calendar),
        ("YYYYMMDD", "20260100", Calendar),
        ("YYYYMMDD", "00000000", Calendar),
        ("YYYYMMDD", "19000229", Calendar),
        ("YYYYMMDD", "２０２６１１２１", Form),
        ("YYYYDDD", "2026366", Calendar),
        ("YYYYDDD", "2026000", Calendar),
        ("DD-MON-YYYY", "21-NOX-2026", Form),
        ("DD-MON-YYYY", "21-NOVEMBER-2026", Form),
        ("DD-MON-YYYY", "1-NOV-2026", Form),
        ("FMDD-MON-YYYY", "-NOV-2026", Form),
        ("FMDD-MON-YYYY", "32-NOV-2026", Calendar),
        ("HH24:MI:SS", "24:00:00", Calendar),
        ("HH24:MI:SS", "23:60:00", Calendar),
        ("HH24:MI:SS", "23:59:60", Calendar),
        ("HH24:MI:SS", "5:00:00", Form),
        ("HH12:MI AM", "13:00 PM", Calendar),
        ("HH12:MI AM", "00:00 AM", Calendar),
        ("HH12:MI AM", "11:00", Form),
        ("HH12:MI AM", "11:00 XM", Form),
        ("YYYY-MM-DD HH24TZH", "2026-11-21 05+16", Calendar),
        ("YYYY-MM-DD HH24TZH", "2026-11-21 0505", Form),
    ] {
        assert_eq!(
            read(&pattern(written), text),
            Err(unread),
            "{written}: {text}"
        );
    }
}

#[test]
fn years_of_two_digits_have_the_century_that_was_declared() {
    let pattern = Pattern::new("MM/DD/YY", Some(30)).unwrap();
    for (text, expected) in [
        ("01/02/00", "2000"),
        ("01/02/29", "2029"),
        ("01/02/30", "1930"),
        ("01/02/99", "1999"),
    ] {
        assert_eq!(
            read(&pattern, text),
            Ok(format!("{expected}-01-02 00:00:00"))
        );
    }
    let all = |pivot| read(&Pattern::new("YY", Some(pivot)).unwrap(), "00");
    assert_eq!(all(0), Ok("1900-01-01 00:00:00".into()));
    assert_eq!(all(100), Ok("2000-01-01 00:00:00".into()));
}

#[test]
fn a_pattern_that_leaves_doubt_is_refused_and_says_what_to_write() {
    for (written, pivot, said) in [
        ("YYYY-MM-DDTHH24", None, "`T` begins no word of a pattern"),
        ("YYYY-QQ", None, "`Q` begins no word of a pattern"),
        ("YYYY1MM", None, "`1` begins no word"),
        ("YYYY\"x", None, "not closed"),
        ("YYYYMMYYYY", None, "one part stands in it twice"),
        ("MON MM YYYY", None, "one part stands in it twice"),
        ("YYYY YY", Some(30), "write YYYY or YY"),
        ("YYYYMMDDD", None, "leave out the month"),
        ("MM/DD/YY", None, "needs `pivot`"),
        (
            "MM/DD/YYYY",
            Some(30),
            "`pivot` is for a year of two digits",
        ),
        ("YY", Some(101), "from 0 to 100"),
        ("HH:MI", None, "need AM"),
        ("HH24:MI AM", None, "HH24 goes without AM"),
        ("YYYY DD", None, "DD needs a month"),
        ("HH24:SS", None, "SS needs MI"),
        ("MI:SS", None, "MI needs HH24"),
        ("HH24.MS", None, "need SS"),
        ("TZM", None, "TZM needs TZH"),
        ("FMMMFMDDYYYY", None, "`FM` needs something behind"),
        ("FM-DD", None, "`FM` stands before a word"),
        ("YYYY-MM-FM", None, "`FM` stands before a word"),
        ("FMYYYY", None, "all its digits"),
    ] {
        let error = Pattern::new(written, pivot).unwrap_err().to_string();
        assert!(error.contains(said), "{written}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn days_are_those_of_jiff(year in 1_i16..=9999, month in 0_i8..15, day in 0_i8..34) {
        let text = format!("{year:04}{month:02}{day:02}");
        let ours = read(&pattern("YYYYMMDD"), &text);
        match jiff::civil::Date::new(year, month, day) {
            Ok(date) => {
                prop_assert_eq!(ours, Ok(format!("{date} 00:00:00")));
                let of_year = format!("{year:04}.{:03}", date.day_of_year());
                prop_assert_eq!(
                    read(&pattern("YYYY.DDD"), &of_year),
                    Ok(format!("{date} 00:00:00"))
                );
                let named = date.strftime("%d-%b-%Y").to_string();
                prop_assert_eq!(
                    read(&pattern("DD-MON-YYYY"), &named),
                    Ok(format!("{date} 00:00:00"))
                );
            }
            Err(_) => prop_assert_eq!(ours, Err(Unread::Calendar)),
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,24}", digits in "[0-9:. APM+-]{0,24}") {
        for written in ["YYYYMMDD", "FMMM/FMDD/YYYY FMHH12:MI:SS.FMUS AM TZH:TZM", "DD-MON-YYYY"] {
            let _ = read(&pattern(written), &text);
            let _ = read(&pattern(written), &digits);
        }
    }
}

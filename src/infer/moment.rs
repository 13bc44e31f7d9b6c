//! How dates and times are written.
//!
//! In: the texts of a column, one after the other. Out: the patterns that all of them fit, in the
//! words that `pattern` of a source file takes, tried by what will read them.

use crate::encode::Type;
use crate::read::value::Pattern;
use std::sync::LazyLock;

/// Dates that need a pattern, the likelier first. `FM`: one digit or two.
const DATES: [&str; 28] = [
    "YYYY/MM/DD",
    "YYYY.MM.DD",
    "MM/DD/YYYY",
    "DD/MM/YYYY",
    "FMMM/FMDD/YYYY",
    "FMDD/FMMM/YYYY",
    "MM-DD-YYYY",
    "DD-MM-YYYY",
    "FMMM-FMDD-YYYY",
    "FMDD-FMMM-YYYY",
    "DD.MM.YYYY",
    "FMDD.FMMM.YYYY",
    "DD-MON-YYYY",
    "FMDD-MON-YYYY",
    "DD MON YYYY",
    "FMDD MON YYYY",
    "DDMONYYYY",
    "MON DD, YYYY",
    "MON FMDD, YYYY",
    "MONTH FMDD, YYYY",
    "MM/DD/YY",
    "DD/MM/YY",
    "FMMM/FMDD/YY",
    "FMDD/FMMM/YY",
    "DD-MON-YY",
    "FMDD-MON-YY",
    "MM-DD-YY",
    "DD.MM.YY",
];

/// Timestamps that need a pattern.
const TIMESTAMPS: [&str; 20] = [
    "MM/DD/YYYY HH24:MI:SS",
    "DD/MM/YYYY HH24:MI:SS",
    "MM/DD/YYYY HH24:MI",
    "DD/MM/YYYY HH24:MI",
    "MM/DD/YYYY HH12:MI:SS AM",
    "DD/MM/YYYY HH12:MI:SS AM",
    "MM/DD/YYYY HH12:MI AM",
    "FMMM/FMDD/YYYY FMHH24:MI:SS",
    "FMDD/FMMM/YYYY FMHH24:MI:SS",
    "FMMM/FMDD/YYYY FMHH24:MI",
    "FMMM/FMDD/YYYY FMHH12:MI:SS AM",
    "FMMM/FMDD/YYYY FMHH12:MI AM",
    "YYYY/MM/DD HH24:MI:SS",
    "YYYY-MM-DD HH12:MI:SS AM",
    "DD-MON-YYYY HH24:MI:SS",
    "DD-MON-YY HH12:MI:SS AM",
    "DD.MM.YYYY HH24:MI:SS",
    "DD.MM.YYYY HH24:MI",
    "DDMONYYYY:HH24:MI:SS",
    "YYYYMMDDHH24MISS",
];

/// Two-digit years below it are of this century.
pub const PIVOT: u32 = 50;

static COMPILED_DATES: LazyLock<Vec<Pattern>> = LazyLock::new(|| compiled(&DATES));
static COMPILED_TIMESTAMPS: LazyLock<Vec<Pattern>> = LazyLock::new(|| compiled(&TIMESTAMPS));

fn compiled(written: &[&str]) -> Vec<Pattern> {
    let compile =
        |written: &&str| Pattern::new(written, has_short_year(written).then_some(PIVOT)).ok();
    written.iter().filter_map(compile).collect()
}

/// The year has two digits.
pub fn has_short_year(pattern: &str) -> bool {
    pattern.contains("YY") && !pattern.contains("YYYY")
}

/// A day of eight digits, in a year that data is about; other numbers of eight digits are seldom all
/// such days.
pub fn is_compact_date(text: &[u8]) -> bool {
    let year = || {
        text.iter()
            .take(4)
            .fold(0, |year, digit| year * 10 + u32::from(*digit - b'0'))
    };
    text.len() == 8
        && text.iter().all(u8::is_ascii_digit)
        && ((1800..2200).contains(&year()) || year() == 9999)
        && is_day(text)
}

/// A day as the server writes it.
pub fn is_iso_date(text: &[u8]) -> bool {
    text.len() == 10 && text.get(4) == Some(&b'-') && is_day(text)
}

fn is_day(text: &[u8]) -> bool {
    Type::Date.encode(text, &mut Vec::new()).is_ok()
}

/// The patterns that are still possible, a bit for each.
#[derive(Debug, Clone, Copy)]
pub struct Patterns {
    dates: u32,
    timestamps: u32,
}

impl Default for Patterns {
    fn default() -> Patterns {
        Patterns {
            dates: (1 << DATES.len()) - 1,
            timestamps: (1 << TIMESTAMPS.len()) - 1,
        }
    }
}

impl Patterns {
    pub fn observe(&mut self, text: &[u8]) {
        // The shortest has 6 bytes, and all begin with a digit or the name of a month.
        let may = text.len() >= 6 && text.first().is_some_and(u8::is_ascii_alphanumeric);
        self.dates = keep(self.dates, may, &COMPILED_DATES, text);
        self.timestamps = keep(self.timestamps, may, &COMPILED_TIMESTAMPS, text);
    }

    /// The patterns that every text fitted.
    pub fn dates(self) -> Vec<&'static str> {
        left(self.dates, &COMPILED_DATES)
    }

    pub fn timestamps(self) -> Vec<&'static str> {
        left(self.timestamps, &COMPILED_TIMESTAMPS)
    }

    pub fn is_empty(self) -> bool {
        self.dates == 0 && self.timestamps == 0
    }
}

fn keep(alive: u32, may: bool, patterns: &[Pattern], text: &[u8]) -> u32 {
    if alive == 0 || !may {
        return 0;
    }
    let fitting = (0..patterns.len()).filter(|at| alive >> at & 1 == 1 && patterns[*at].fits(text));
    fitting.fold(0, |kept, at| kept | 1 << at)
}

fn left(alive: u32, patterns: &'static [Pattern]) -> Vec<&'static str> {
    let alive = (0..patterns.len()).filter(|at| alive >> at & 1 == 1);
    alive.map(|at| patterns[at].as_written()).collect()
}

#[cfg(test)]
mod tests {
    use super::{COMPILED_DATES, COMPILED_TIMESTAMPS, DATES, TIMESTAMPS};

    #[test]
    fn every_pattern_is_one_that_a_source_file_takes() {
        assert_eq!(COMPILED_DATES.len(), DATES.len());
        assert_eq!(COMPILED_TIMESTAMPS.len(), TIMESTAMPS.len());
    }
}

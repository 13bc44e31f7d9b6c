//! How dates and times are written.
//!
//! In: the texts of a column, one after the other. Out: the patterns that all of them fit, in the
//! words that `pattern` of a source file takes (those of PostgreSQL's `to_char`).

/// Dates that need a pattern, the likelier first. `FM`: one digit or two.
pub const DATES: [&str; 28] = [
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
pub const TIMESTAMPS: [&str; 20] = [
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

const MONTHS: [&str; 12] = [
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
];

/// The parts of a pattern; of two that begin alike the longer comes first.
const WORDS: [&str; 11] = [
    "YYYY", "YY", "MONTH", "MON", "MM", "MI", "DD", "HH24", "HH12", "SS", "AM",
];

/// Says whether a text is a day, or a moment, as the pattern writes it.
pub fn fits(pattern: &str, text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    let (mut year, mut month, mut day, mut short) = (2000, 1, 1, false);
    while !pattern.is_empty() {
        if let Some(rest) = pattern.strip_prefix("FM") {
            (pattern, short) = (rest, true);
            continue;
        }
        let word = WORDS.iter().find(|word| pattern.starts_with(**word));
        let Some(word) = word else {
            let Some(rest) = text.strip_prefix(&pattern.as_bytes()[..1]) else {
                return false;
            };
            (pattern, text) = (&pattern[1..], rest);
            continue;
        };
        pattern = &pattern[word.len()..];
        let taken = match *word {
            "MON" | "MONTH" => {
                let found = MONTHS.iter().position(|name| {
                    let name = if *word == "MON" { &name[..3] } else { name };
                    let start = text.get(..name.len());
                    start.is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
                });
                let Some(index) = found else { return false };
                month = index as u32 + 1;
                if *word == "MON" { 3 } else { MONTHS[index].len() }
            }
            "AM" => match text.get(..2) {
                Some(half) if half.eq_ignore_ascii_case(b"am") || half.eq_ignore_ascii_case(b"pm") => 2,
                _ => return false,
            },
            number => {
                let most = if number == "YYYY" { 4 } else { 2 };
                let Some((value, taken)) = digits(text, if short { 1 } else { most }, most) else {
                    return false;
                };
                let in_range = match number {
                    "YYYY" => {
                        year = value;
                        (1000..=9999).contains(&value)
                    }
                    "MM" => {
                        month = value;
                        (1..=12).contains(&value)
                    }
                    "DD" => {
                        day = value;
                        (1..=31).contains(&value)
                    }
                    "HH24" => value < 24,
                    "HH12" => (1..=12).contains(&value),
                    "MI" | "SS" => value < 60,
                    _ => true,
                };
                if !in_range {
                    return false;
                }
                taken
            }
        };
        short = false;
        text = &text[taken..];
    }
    text.is_empty() && day <= days_in(year, month)
}

fn digits(text: &[u8], least: usize, most: usize) -> Option<(u32, usize)> {
    let count = text.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    let value = text[..count].iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    (count >= least).then_some((value, count))
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A day of eight digits, in a year that data is about; other numbers of eight digits are seldom all
/// such days.
pub fn is_compact_date(text: &[u8]) -> bool {
    text.len() == 8
        && digits(text, 4, 4).is_some_and(|(year, _)| (1800..2200).contains(&year) || year == 9999)
        && fits("YYYYMMDD", text)
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
        self.dates = keep(self.dates, may, &DATES, text);
        self.timestamps = keep(self.timestamps, may, &TIMESTAMPS, text);
    }

    /// The patterns that every text fitted.
    pub fn dates(self) -> Vec<&'static str> {
        left(self.dates, &DATES)
    }

    pub fn timestamps(self) -> Vec<&'static str> {
        left(self.timestamps, &TIMESTAMPS)
    }

    pub fn is_empty(self) -> bool {
        self.dates == 0 && self.timestamps == 0
    }
}

fn keep(alive: u32, may: bool, patterns: &[&str], text: &[u8]) -> u32 {
    if alive == 0 || !may {
        return 0;
    }
    let fitting = (0..patterns.len()).filter(|at| alive >> at & 1 == 1 && fits(patterns[*at], text));
    fitting.fold(0, |kept, at| kept | 1 << at)
}

fn left(alive: u32, patterns: &[&'static str]) -> Vec<&'static str> {
    (0..patterns.len())
        .filter(|at| alive >> at & 1 == 1)
        .map(|at| patterns[at])
        .collect()
}

//! A date and a time as a clock on the wall shows them, and how the server writes them.
//!
//! Out: `YYYY-MM-DD`, `HH:MM:SS`, with a fraction and an offset where there is one.

/// What was read of a date or a time; what a pattern does not have is the first or zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub year: u32,
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub micros: u32,
    /// Seconds east of Greenwich, if the text says them.
    pub offset: Option<i32>,
    /// The sign of an offset, which -00:30 has even where its hours are zero.
    pub west: bool,
}

impl Default for Moment {
    fn default() -> Moment {
        Moment {
            year: 0,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            micros: 0,
            offset: None,
            west: false,
        }
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 0,
    }
}

impl Moment {
    /// Sets month and day from the day of the year; one that is too large leaves no day.
    pub(super) fn set_day_of_year(&mut self, mut day: u32) {
        let months = (1..=12).find(|month| {
            let days = days_in(self.year, *month);
            let ends = day <= days;
            if !ends {
                day -= days;
            }
            ends
        });
        self.month = months.unwrap_or(0);
        self.day = day;
    }

    pub(super) fn is_in_the_calendar(&self) -> bool {
        (1..=9999).contains(&self.year) && (1..=days_in(self.year, self.month)).contains(&self.day)
    }

    pub(super) fn is_on_the_clock(&self) -> bool {
        self.hour < 24 && self.minute < 60 && self.second < 60
    }

    pub(super) fn put_date(&self, out: &mut Vec<u8>) {
        two(self.year / 100, out);
        two(self.year % 100, out);
        out.push(b'-');
        two(self.month, out);
        out.push(b'-');
        two(self.day, out);
    }

    pub(super) fn put_time(&self, out: &mut Vec<u8>) {
        two(self.hour, out);
        out.push(b':');
        two(self.minute, out);
        out.push(b':');
        two(self.second, out);
        if self.micros > 0 {
            out.push(b'.');
            two(self.micros / 10_000, out);
            two(self.micros / 100 % 100, out);
            two(self.micros % 100, out);
        }
    }

    /// Writes all of it.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        self.put_date(out);
        out.push(b' ');
        self.put_time(out);
        if let Some(offset) = self.offset {
            put_offset(offset, out);
        }
    }
}

/// Writes an offset in seconds east of Greenwich as `+HH:MM`, with seconds where it has some.
pub(super) fn put_offset(offset: i32, out: &mut Vec<u8>) {
    out.push(if offset < 0 { b'-' } else { b'+' });
    let seconds = offset.unsigned_abs();
    two(seconds / 3600, out);
    out.push(b':');
    two(seconds / 60 % 60, out);
    if !seconds.is_multiple_of(60) {
        out.push(b':');
        two(seconds % 60, out);
    }
}

fn two(value: u32, out: &mut Vec<u8>) {
    out.push(b'0' + (value / 10 % 10) as u8);
    out.push(b'0' + (value % 10) as u8);
}

/// Reads the date and the clock of a timestamp without an offset, as the server writes it or as ISO
/// 8601 does; `None` for every other text. Digits of the fraction are not looked at.
pub(super) fn as_the_server_writes(text: &[u8]) -> Option<Moment> {
    let number = |digits: &[u8]| -> Option<u32> {
        let digits = std::str::from_utf8(digits).ok()?;
        let clean = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        clean.then(|| digits.parse().ok())?
    };
    let end = text.iter().position(|byte| matches!(byte, b' ' | b'T'));
    let (date, time) = text.split_at(end.unwrap_or(text.len()));
    let (year, month, day) = match *date {
        [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] | [y1, y2, y3, y4, m1, m2, d1, d2] => {
            ([y1, y2, y3, y4], [m1, m2], [d1, d2])
        }
        _ => return None,
    };
    let mut moment = Moment {
        year: number(&year)?,
        month: number(&month)?,
        day: number(&day)?,
        ..Moment::default()
    };
    if let Some(time) = time.get(1..) {
        let mut parts = time.splitn(3, |byte| *byte == b':');
        moment.hour = number(parts.next()?)?;
        moment.minute = number(parts.next()?)?;
        if let Some(second) = parts.next() {
            let point = memchr::memchr(b'.', second).unwrap_or(second.len());
            let (whole, fraction) = second.split_at(point);
            moment.second = number(whole)?;
            if !fraction.iter().skip(1).all(u8::is_ascii_digit) {
                return None;
            }
        }
    }
    (moment.is_in_the_calendar() && moment.is_on_the_clock()).then_some(moment)
}

/// What a number of a timestamp counts, since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
}

impl Unit {
    pub(super) fn name(self) -> &'static str {
        match self {
            Unit::Seconds => "seconds",
            Unit::Milliseconds => "milliseconds",
            Unit::Microseconds => "microseconds",
        }
    }

    /// Writes the timestamp in UTC. A fraction is read up to the microsecond.
    pub(super) fn put(self, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let places = match self {
            Unit::Seconds => 6,
            Unit::Milliseconds => 3,
            Unit::Microseconds => 0,
        };
        let (digits, negative) = match text {
            [b'-', rest @ ..] => (rest, true),
            _ => (text, false),
        };
        let point = memchr::memchr(b'.', digits).unwrap_or(digits.len());
        let (whole, fraction) = digits.split_at(point);
        let fraction = fraction.get(1..);
        // More digits than this are no time that a timestamp can hold.
        if whole.is_empty() || whole.len() > 18 || fraction.is_some_and(<[u8]>::is_empty) {
            return None;
        }
        let fraction = fraction.unwrap_or_default();
        if fraction.len() > places {
            return None;
        }
        let mut micros = 0_i128;
        let zeros = std::iter::repeat_n(&b'0', places - fraction.len());
        for byte in whole.iter().chain(fraction).chain(zeros) {
            if !byte.is_ascii_digit() {
                return None;
            }
            micros = micros * 10 + i128::from(byte - b'0');
        }
        let micros = i64::try_from(if negative { -micros } else { micros }).ok()?;
        let timestamp = jiff::Timestamp::from_microsecond(micros).ok()?;
        let clock = jiff::tz::TimeZone::UTC.to_datetime(timestamp);
        let moment = Moment {
            year: u32::try_from(clock.year()).ok().filter(|year| *year > 0)?,
            month: clock.month().unsigned_abs().into(),
            day: clock.day().unsigned_abs().into(),
            hour: clock.hour().unsigned_abs().into(),
            minute: clock.minute().unsigned_abs().into(),
            second: clock.second().unsigned_abs().into(),
            micros: clock.subsec_nanosecond().unsigned_abs() / 1000,
            ..Moment::default()
        };
        moment.put(out);
        Some(())
    }
}

//! The time by which a run must have published its build, or else leave the alias alone.
//!
//! In: `06:30`, `2h` or an RFC 3339 time, as somebody typed it. Out: a [`Deadline`]. A time of day is one
//! of this machine's clock, as in a crontab, and means the nearest one: for a run that begins at 23:00 or
//! at 05:00 `06:30` is ahead, for one that begins late, at 06:40, it is over. So a run that was started
//! too late does not publish in the middle of the day.

use crate::config::Env;
use crate::problem::Problem;
use crate::units::Span;
use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Where the compiled time zone database may be.
const ZONES: [&str; 4] = [
    "/usr/share/zoneinfo",
    "/usr/lib/zoneinfo",
    "/usr/share/lib/zoneinfo",
    "/etc/zoneinfo",
];

/// A moment that nothing is published after.
#[derive(Debug, Clone)]
pub struct Deadline {
    at: Timestamp,
    /// For people, with its offset from UTC.
    said: String,
}

/// Beneath the problem of a run that its deadline has ended.
#[derive(Debug)]
struct Passed(String);

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Passed {}

/// Whether it was a deadline that ended the work.
pub fn is_passed(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Passed>().is_some()
}

impl Deadline {
    /// Reads what somebody typed.
    ///
    /// # Errors
    /// Status 2 for anything that is none of the three.
    pub fn read(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Deadline> {
        let text = text.trim();
        let at = if let Ok(span) = text.parse::<Span>() {
            now.checked_add(span.0)
                .with_context(|| Problem::usage(format!("--deadline {text}")))?
        } else if let Ok(at) = text.parse::<Timestamp>() {
            at
        } else if let Some(time) = time_of_day(text) {
            nearest(time, now, zone)
                .with_context(|| Problem::usage(format!("--deadline {text}")))?
        } else {
            bail!(
                Problem::usage(format!("--deadline {text} is not a time"))
                    .hint("write 06:30 (this machine's clock), 2h or 90m (from now), or 2026-11-23T06:30:00Z")
            );
        };
        let said = at.to_zoned(zone.clone());
        Ok(Deadline {
            at,
            said: said.strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
        })
    }

    /// The time that is left; nothing once it is over.
    pub fn left(&self) -> Duration {
        let left = self.at.duration_since(Timestamp::now());
        Duration::try_from(left).unwrap_or_default()
    }

    /// Fails when it is over; `when` says what was next, `hint` what to do.
    ///
    /// # Errors
    /// Status 1.
    pub fn check(&self, when: &str, hint: &str) -> Result<()> {
        match self.left().is_zero() {
            true => Err(self.passed(when, hint)),
            false => Ok(()),
        }
    }

    /// The error of work that it ended.
    pub fn passed(&self, when: &str, hint: &str) -> anyhow::Error {
        let said = format!("the deadline, {}, passed {when}", self.said);
        anyhow::Error::new(Passed(said.clone())).context(Problem::refused(said).hint(hint))
    }
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.left() {
            left if left.is_zero() => write!(f, "the deadline was {}", self.said),
            left => write!(f, "the deadline is {}, in {}", self.said, about(left)),
        }
    }
}

/// `2 h 05 min`, `4 min`, `12 s`.
pub fn about(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..100 => format!("{seconds} s"),
        100..5400 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `6:30`, `06:30`, `06:30:15`.
fn time_of_day(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let mut number = || {
        let part = parts.next()?;
        let digits = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<i8>().ok())?
    };
    let (hour, minute) = (number()?, number()?);
    let second = match text.matches(':').count() {
        1 => 0,
        2 => number()?,
        _ => return None,
    };
    Time::new(hour, minute, second, 0).ok()
}

/// The time of day that is nearest to now, before or after.
fn nearest(time: Time, now: Timestamp, zone: &TimeZone) -> Result<Timestamp> {
    let today = now.to_zoned(zone.clone()).date();
    let days = [today.yesterday()?, today, today.tomorrow()?];
    let mut at = Vec::new();
    for day in days {
        at.push(day.to_datetime(time).to_zoned(zone.clone())?.timestamp());
    }
    at.into_iter()
        .min_by_key(|at| at.duration_since(now).abs())
        .context("find the day")
}

/// The zone of this machine's clock: that of `TZ`, else of /etc/localtime, else UTC.
///
/// # Errors
/// Status 2 when `TZ` names a zone that the system does not know.
pub fn local_zone(env: Env) -> Result<TimeZone> {
    let Some(named) = env("TZ") else {
        let file = std::fs::read("/etc/localtime");
        let zone = file.ok().map(|bytes| TimeZone::tzif("local", &bytes));
        return Ok(zone.and_then(Result::ok).unwrap_or(TimeZone::UTC));
    };
    let name = named.strip_prefix(':').unwrap_or(&named);
    if matches!(name, "" | "UTC") {
        return Ok(TimeZone::UTC);
    }
    for folder in ZONES {
        // An absolute path stands for itself.
        let path = Path::new(folder).join(name);
        if path.is_file()
            && let Ok(bytes) = std::fs::read(path)
            && let Ok(zone) = TimeZone::tzif(name, &bytes)
        {
            return Ok(zone);
        }
    }
    TimeZone::posix(name).map_err(|_| {
        anyhow::Error::new(
            Problem::usage(format!("TZ={named} is no time zone that this system knows"))
                .hint("correct TZ, or write the deadline with its offset: 2026-11-23T06:30:00Z"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, now: &str, zone: &TimeZone) -> String {
        let deadline = Deadline::read(text, now.parse().unwrap(), zone);
        deadline.map_or_else(|error| format!("{error:#}"), |deadline| deadline.said)
    }

    #[test]
    fn a_time_of_day_is_the_nearest_one_of_the_local_clock() {
        let utc = TimeZone::UTC;
        let at = |now| read("06:30", now, &utc);
        assert_eq!(at("2026-11-22T23:00:00Z"), "2026-11-23 06:30:00 +00:00");
        assert_eq!(at("2026-11-23T05:00:00Z"), "2026-11-23 06:30:00 +00:00");
        // Started late: it is over.
        assert_eq!(at("2026-11-23T06:40:00Z"), "2026-11-23 06:30:00 +00:00");
        assert_eq!(
            read("0:15", "2026-11-22T23:50:00Z", &utc),
            "2026-11-23 00:15:00 +00:00"
        );
        let east = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(
            read("06:30", "2026-11-23T03:00:00Z", &east),
            "2026-11-23 06:30:00 +02:00"
        );
    }

    #[test]
    fn a_span_and_a_full_time_are_read_and_nothing_else_is() {
        let utc = TimeZone::UTC;
        let now = "2026-11-22T23:00:00Z";
        assert_eq!(read("2h", now, &utc), "2026-11-23 01:00:00 +00:00");
        assert_eq!(
            read("2026-11-23T06:30:00+01:00", now, &utc),
            "2026-11-23 05:30:00 +00:00"
        );
        for wrong in [
            "", "soon", "6", "25:00", "06:60", "06:30:", "6:3:1:1", "-1:30", "2 weeks",
        ] {
            assert!(read(wrong, now, &utc).contains("is not a time"), "{wrong}");
        }
    }

    #[test]
    fn the_zone_is_that_of_the_variable() {
        let said = |zone: &str| {
            let env = |_: &str| Some(zone.to_owned());
            let zone = local_zone(&env);
            zone.map(|zone| read("12:00", "2026-07-01T10:00:00Z", &zone))
        };
        assert_eq!(said("").unwrap(), "2026-07-01 12:00:00 +00:00");
        assert_eq!(said("EST5").unwrap(), "2026-07-01 12:00:00 -05:00");
        assert!(said("Nowhere/At_All").is_err());
    }

    #[test]
    fn an_error_of_a_deadline_is_known_as_one() {
        let now = Timestamp::now();
        let deadline = Deadline::read("1h", now, &TimeZone::UTC).unwrap();
        assert!(deadline.check("while x", "").is_ok());
        let over = Deadline::read("2001-01-01T00:00:00Z", now, &TimeZone::UTC).unwrap();
        let error = over.check("while `load`", "later").unwrap_err();
        assert!(is_passed(&error.context("run")));
        assert_eq!(about(Duration::from_secs(7500)), "2 h 05 min");
        assert_eq!(about(Duration::from_secs(240)), "4 min");
    }
}

//! The clock of a place: which offset from UTC it had when it showed a time.
//!
//! In: a TZif file of the time zone database (RFC 8536), as operating systems have it. Out: the offset
//! for a time on the wall. Where the clocks go back an hour is shown twice, where they go forward one
//! is left out; what to do then is declared, and without a declaration such a time is a reject.

use super::moment::Moment;
use super::parse::What;
use anyhow::{Context, Result};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// A zone and what to do with times that its clocks showed twice or never.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    name: String,
    zone: TimeZone,
    pub ambiguous: Option<Choice>,
    pub skipped: Option<Choice>,
}

/// Which of two instants is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Earlier,
    Later,
}

impl Zone {
    /// Reads the zone of this name from the bytes of its TZif file.
    ///
    /// # Errors
    /// The bytes are no such file.
    pub fn new(name: &str, tzif: &[u8]) -> Result<Zone> {
        Ok(Zone {
            name: name.to_owned(),
            zone: TimeZone::tzif(name, tzif).context("read the rules of the time zone")?,
            ambiguous: None,
            skipped: None,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The offset at a time on the wall, in seconds east of Greenwich.
    pub(super) fn offset(&self, moment: &Moment) -> Result<i32, What> {
        let clock = clock(moment).ok_or(What::NoTimestamp)?;
        let seconds = |offset: Offset| offset.seconds();
        match self.zone.to_ambiguous_timestamp(clock).offset() {
            AmbiguousOffset::Unambiguous { offset } => Ok(seconds(offset)),
            // The clocks went back: the first time round they had the offset from before.
            AmbiguousOffset::Fold { before, after } => match self.ambiguous {
                Some(Choice::Earlier) => Ok(seconds(before)),
                Some(Choice::Later) => Ok(seconds(after)),
                None => Err(What::Twice),
            },
            // The clocks went forward: with the offset from before, the instant is the later one.
            AmbiguousOffset::Gap { before, after } => match self.skipped {
                Some(Choice::Earlier) => Ok(seconds(after)),
                Some(Choice::Later) => Ok(seconds(before)),
                None => Err(What::Skipped),
            },
        }
    }
}

fn clock(moment: &Moment) -> Option<DateTime> {
    let small = |value: u32| i8::try_from(value).ok();
    DateTime::new(
        i16::try_from(moment.year).ok()?,
        small(moment.month)?,
        small(moment.day)?,
        small(moment.hour)?,
        small(moment.minute)?,
        small(moment.second)?,
        0,
    )
    .ok()
}

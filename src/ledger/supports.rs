//! Which schema versions a service understands: `5..7`, `5`, `5..`.

use crate::problem::Problem;
use anyhow::{Result, bail};
use std::fmt;
use std::str::FromStr;

/// A range of schema versions, both ends included.
///
/// It has two sides, because a new service must not start on a database that was rolled back and
/// lacks its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Supports {
    pub min: i32,
    /// Without it every later version.
    pub max: Option<i32>,
}

impl Supports {
    /// Whether the service understands this version.
    pub fn contains(self, version: i32) -> bool {
        version >= self.min && self.max.is_none_or(|max| version <= max)
    }
}

impl FromStr for Supports {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Supports> {
        let number = |part: &str| match part.bytes().all(|byte| byte.is_ascii_digit()) {
            true => part.parse::<i32>().ok(),
            false => None,
        };
        let (min, max) = match text.trim().split_once("..") {
            None => (number(text.trim()), Some(number(text.trim()))),
            Some((min, "")) => (number(min), None),
            Some((min, max)) => (number(min), Some(number(max))),
        };
        let range = match (min, max) {
            (Some(min), None) => Supports { min, max: None },
            (Some(min), Some(Some(max))) if min <= max => Supports {
                min,
                max: Some(max),
            },
            (Some(min), Some(Some(max))) => bail!(
                Problem::usage(format!("`{text}` holds no version: {min} is above {max}"))
                    .hint(format!("write {max}..{min}"))
            ),
            _ => bail!(
                Problem::usage(format!("`{text}` is no range of schema versions"))
                    .hint("write 5..7, 5 for one version, or 5.. for 5 and every later one")
            ),
        };
        Ok(range)
    }
}

impl fmt::Display for Supports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max {
            None => write!(f, "{}..", self.min),
            Some(max) if max == self.min => write!(f, "{max}"),
            Some(max) => write!(f, "{}..{max}", self.min),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_it_is_written_and_written_as_it_is_read() {
        for (text, inside, outside) in [
            ("5..7", vec![5, 6, 7], vec![4, 8]),
            ("5", vec![5], vec![4, 6]),
            ("5..", vec![5, 6, i32::MAX], vec![4]),
            ("0..0", vec![0], vec![1]),
        ] {
            let range: Supports = text.parse().unwrap();
            assert!(
                inside.iter().all(|version| range.contains(*version)),
                "{text}"
            );
            assert!(
                !outside.iter().any(|version| range.contains(*version)),
                "{text}"
            );
            assert_eq!(range.to_string().parse::<Supports>().unwrap(), range);
        }
    }

    #[test]
    fn nonsense_is_no_range() {
        for text in [
            "",
            "..",
            "..7",
            "7..5",
            "a",
            "5..b",
            "5...7",
            "-1..2",
            "+5",
            "5-7",
            "5..7..9",
            "99999999999",
        ] {
            let error = text.parse::<Supports>().unwrap_err();
            assert_eq!(crate::problem::status_of(&error) as u8, 2, "{text}");
            assert!(crate::problem::hint_of(&error).is_some(), "{text}");
        }
    }
}

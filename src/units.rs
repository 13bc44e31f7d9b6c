//! Durations, sizes and shares as people write them in configuration: `36h`, `64MiB`, `0.1%`.

use anyhow::{Result, bail};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Splits `10m` into `10` and `m`; the number may have a fraction.
fn number_and_unit(text: &str) -> Result<(f64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    match text[..end].parse::<f64>() {
        Ok(number) => Ok((number, text[end..].trim())),
        Err(_) => bail!("`{text}` does not begin with a number"),
    }
}

/// A length of time such as `90s`, `10m`, `1h 30m`, `36h`, `7d`, `2w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut seconds = 0.0;
        let mut rest = text.trim();
        loop {
            let (number, after) = number_and_unit(rest)?;
            let end = after
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(after.len());
            let unit = match &after[..end] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" | "min" => 60.0,
                "h" => 3600.0,
                "d" => 86400.0,
                "w" => 7.0 * 86400.0,
                _ => bail!(
                    "`{text}` is not a duration: write a number and ms, s, m, h, d or w, as in 90s or 1h 30m"
                ),
            };
            seconds += number * unit;
            rest = after[end..].trim();
            if rest.is_empty() {
                break;
            }
        }
        Duration::try_from_secs_f64(seconds)
            .map(Span)
            .map_err(|_| anyhow::anyhow!("`{text}` is too long a duration"))
    }
}

/// `93784` seconds as `1 d 2 h`.
pub fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86400, seconds % 86400 / 3600),
    }
}

/// A number of bytes such as `64MiB`, `2GB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (number, unit) = number_and_unit(text)?;
        let factor: u64 = match unit {
            "" | "B" => 1,
            "kB" | "KB" => 1_000,
            "KiB" => 1 << 10,
            "MB" => 1_000_000,
            "MiB" => 1 << 20,
            "GB" => 1_000_000_000,
            "GiB" => 1 << 30,
            "TB" => 1_000_000_000_000,
            "TiB" => 1 << 40,
            _ => bail!(
                "`{text}` is not a size: write a number and B, KiB, MiB, GiB, TiB, kB, MB, GB or TB"
            ),
        };
        Ok(Bytes((number * factor as f64) as u64))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1024 => write!(f, "{} B", self.0),
            1024..1_048_576 => write!(f, "{:.1} KiB", bytes / 1024.0),
            1_048_576..1_073_741_824 => write!(f, "{:.1} MiB", bytes / 1_048_576.0),
            1_073_741_824..1_099_511_627_776 => {
                write!(f, "{:.2} GiB", bytes / 1_073_741_824.0)
            }
            _ => write!(f, "{:.2} TiB", bytes / 1_099_511_627_776.0),
        }
    }
}

/// A share such as `20%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

impl FromStr for Percent {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match number_and_unit(text)? {
            (number, "%") => Ok(Percent(number)),
            _ => bail!("`{text}` is not a share: write it as `20%`"),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

macro_rules! deserialize_from_text {
    ($($unit:ty: $pattern:literal),* $(,)?) => {$(
        impl<'de> Deserialize<'de> for $unit {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $unit {
            fn schema_name() -> Cow<'static, str> {
                stringify!($unit).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    )*};
}
deserialize_from_text!(
    Span: r"^([0-9.]+ *(ms|s|m|min|h|d|w) *)+$",
    Bytes: r"^[0-9.]+ *(B|kB|KB|KiB|MB|MiB|GB|GiB|TB|TiB)?$",
    Percent: r"^[0-9.]+ *%$",
);

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_two_units() {
        assert_eq!(age(93_784), "1 d 2 h");
    }

    #[test]
    fn units_are_read_as_written() {
        assert_eq!(
            "36h".parse::<Span>().unwrap().0,
            Duration::from_secs(129_600)
        );
        assert_eq!("1.5m".parse::<Span>().unwrap().0, Duration::from_secs(90));
        assert_eq!(
            "1h 30m".parse::<Span>().unwrap().0,
            Duration::from_secs(5400)
        );
        assert_eq!(
            "2w".parse::<Span>().unwrap().0,
            Duration::from_secs(14 * 86_400)
        );
        assert_eq!("2TiB".parse::<Bytes>().unwrap().0, 2 << 40);
        assert_eq!("1TB".parse::<Bytes>().unwrap().0, 1_000_000_000_000);
        assert_eq!(Bytes(3 << 40).to_string(), "3.00 TiB");
        assert_eq!("64MiB".parse::<Bytes>().unwrap().0, 64 << 20);
        assert_eq!("0.1%".parse::<Percent>().unwrap().0, 0.1);
        for wrong in ["", "h", "10", "10 weeks", "-3s", "1h 30", "1h m"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
        assert!("20".parse::<Percent>().is_err());
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
    }
}

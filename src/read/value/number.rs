//! Numbers as files print them: thousands in groups, points that are not written, signs at either end.
//!
//! In: the text of a number and how its source spells it. Out: a plain decimal. A separator must
//! stand where it belongs: a comma elsewhere may be a decimal comma, and guessing would change the
//! number a thousandfold.
//!
//! An overpunched sign is the zone of the last digit of a zoned decimal number, in the characters that
//! its EBCDIC bytes C0 to C9 (positive) and D0 to D9 (negative) are translated to: `{` and `A` to `I`,
//! `}` and `J` to `R`. A plain last digit is unsigned, and so positive.

/// How a source spells its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Number {
    /// What stands between groups of three digits.
    pub thousands: Option<u8>,
    /// What stands before the fraction; `None` for whole numbers.
    pub point: Option<u8>,
    /// How many of the digits lie behind a point that is not written.
    pub implied: usize,
    pub sign: Sign,
}

/// Where the sign of a number stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sign {
    #[default]
    Leading,
    Trailing,
    Overpunch,
}

impl Sign {
    /// The text without its sign, the digit that a sign was punched over, and whether the number is
    /// negative.
    fn take(self, text: &[u8]) -> Option<(&[u8], Option<u8>, bool)> {
        Some(match (self, text) {
            (Sign::Leading, [b'-', rest @ ..]) => (rest, None, true),
            (Sign::Leading, [b'+', rest @ ..]) => (rest, None, false),
            (Sign::Trailing, [rest @ .., b'-']) => (rest, None, true),
            (Sign::Trailing, [rest @ .., b'+']) => (rest, None, false),
            (Sign::Leading | Sign::Trailing, _) => (text, None, false),
            (Sign::Overpunch, [rest @ .., last]) => {
                let (digit, negative) = match last {
                    b'0'..=b'9' => (*last, false),
                    b'{' => (b'0', false),
                    b'}' => (b'0', true),
                    b'A'..=b'I' => (last - b'A' + b'1', false),
                    b'J'..=b'R' => (last - b'J' + b'1', true),
                    _ => return None,
                };
                (rest, Some(digit), negative)
            }
            (Sign::Overpunch, []) => return None,
        })
    }
}

impl Number {
    /// Writes a number as a plain decimal; `None` if it is not spelled so.
    pub fn plain(&self, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (text, last, negative) = self.sign.take(text.trim_ascii())?;
        if negative {
            out.push(b'-');
        }
        let start = out.len();
        let (mut group, mut groups, mut fraction) = (0, 0, None);
        for byte in text.iter().copied().chain(last) {
            match (byte, &mut fraction) {
                (b'0'..=b'9', Some(digits)) => *digits += 1,
                (b'0'..=b'9', None) => group += 1,
                (_, None) if Some(byte) == self.thousands => {
                    if group == 0 || group > 3 || (groups > 0 && group < 3) {
                        return None;
                    }
                    groups += 1;
                    group = 0;
                    continue;
                }
                (_, None) if Some(byte) == self.point => {
                    if out.len() == start {
                        out.push(b'0');
                    }
                    out.push(b'.');
                    fraction = Some(0);
                    continue;
                }
                _ => return None,
            }
            out.push(byte);
        }
        let digits = group + groups;
        if (groups > 0 && group != 3) || digits + fraction.unwrap_or(0) == 0 {
            return None;
        }
        if fraction == Some(0) {
            out.pop();
        }
        move_point(out, start, self.implied);
        Some(())
    }

    /// Writes a percentage as its fraction of one: `12.5%` is 0.125.
    pub(super) fn percent(&self, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let text = text.trim_ascii().strip_suffix(b"%")?;
        self.plain(text, out)?;
        let start = usize::from(out.first() == Some(&b'-'));
        move_point(out, start, 2);
        Some(())
    }
}

/// Moves the point of the number that begins at `start` so many digits to the left.
fn move_point(out: &mut Vec<u8>, start: usize, places: usize) {
    if places == 0 {
        return;
    }
    let digits = out.get(start..).unwrap_or_default();
    let mut whole = digits.len();
    if let Some(point) = memchr::memchr(b'.', digits) {
        out.remove(start + point);
        whole = point;
    }
    // At least one digit stays before the point.
    let missing = (places + 1).saturating_sub(whole);
    out.splice(start..start, std::iter::repeat_n(b'0', missing));
    out.insert(start + whole + missing - places, b'.');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(number: &Number, text: &str) -> Option<String> {
        let mut out = Vec::new();
        number.plain(text.as_bytes(), &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[track_caller]
    fn reads(number: &Number, pairs: &[(&str, &str)]) {
        for (text, expected) in pairs {
            assert_eq!(plain(number, text).as_deref(), Some(*expected), "{text:?}");
        }
    }

    #[track_caller]
    fn refuses(number: &Number, texts: &[&str]) {
        for text in texts {
            assert_eq!(plain(number, text), None, "{text:?}");
        }
    }

    fn decimal() -> Number {
        Number {
            point: Some(b'.'),
            ..Number::default()
        }
    }

    #[test]
    fn integers_have_digits_and_a_sign() {
        let number = Number::default();
        reads(
            &number,
            &[("0", "0"), (" 007 ", "007"), ("+5", "5"), ("-12", "-12")],
        );
        refuses(
            &number,
            &[
                "", " ", "-", "+", "1.0", "1,000", "1e5", "--1", "5-", "1 2", "- 1", "٣", "0x1",
            ],
        );
    }

    #[test]
    fn separators_stand_between_groups_of_three() {
        let number = Number {
            thousands: Some(b','),
            ..decimal()
        };
        reads(
            &number,
            &[
                ("1,234,567.5", "1234567.5"),
                ("-12,345", "-12345"),
                ("1234", "1234"),
                (".5", "0.5"),
                ("-.25", "-0.25"),
                ("5.", "5"),
            ],
        );
        refuses(
            &number,
            &[
                "1,23",
                "1234,567",
                ",123",
                "1,,234",
                "1,234,",
                "12,34.5",
                "1,2345",
                "1.234,5",
                ".",
                ",",
                "1.2.3",
                "1,234,56.0",
            ],
        );
        let european = Number {
            thousands: Some(b'.'),
            point: Some(b','),
            ..Number::default()
        };
        reads(
            &european,
            &[("1.234,50", "1234.50"), ("0,5", "0.5"), ("12", "12")],
        );
        refuses(&european, &["1,234.50", "12.5"]);
    }

    #[test]
    fn signs_stand_where_they_were_declared() {
        let trailing = Number {
            sign: Sign::Trailing,
            ..decimal()
        };
        reads(
            &trailing,
            &[("12.50-", "-12.50"), ("12+", "12"), ("12", "12")],
        );
        refuses(&trailing, &["-12", "12--", "-", "12 -", ""]);
        let punched = Number {
            sign: Sign::Overpunch,
            implied: 2,
            ..Number::default()
        };
        reads(
            &punched,
            &[
                ("0012345{", "001234.50"),
                ("12}", "-1.20"),
                ("1A", "0.11"),
                ("I", "0.09"),
                ("J", "-0.01"),
                ("00R", "-0.09"),
                ("123", "1.23"),
                ("{", "0.00"),
            ],
        );
        refuses(
            &punched,
            &["", "-12", "12-", "1a", "A1", "12S", "12@", "1.2C"],
        );
    }

    #[test]
    fn a_point_that_is_not_written_must_not_be_written_either() {
        let implied = Number {
            implied: 3,
            ..Number::default()
        };
        reads(
            &implied,
            &[
                ("5", "0.005"),
                ("-5", "-0.005"),
                ("1234", "1.234"),
                ("000", "0.000"),
            ],
        );
        refuses(&implied, &["1.234", "1.", "", "-"]);
    }

    #[test]
    fn a_percentage_is_a_fraction_of_one() {
        let percent = |text: &str| {
            let mut out = Vec::new();
            decimal().percent(text.as_bytes(), &mut out)?;
            Some(String::from_utf8(out).unwrap())
        };
        for (text, expected) in [
            ("12.5%", "0.125"),
            ("100 %", "1.00"),
            ("-3%", "-0.03"),
            (" 0.25%", "0.0025"),
            ("1234%", "12.34"),
            (".5%", "0.005"),
        ] {
            assert_eq!(percent(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["12.5", "%", "12%%", "", "1,000%"] {
            assert_eq!(percent(text), None, "{text}");
        }
    }

    /// The character of a digit with a sign punched over it.
    fn punched(digit: u8, negative: bool) -> char {
        let characters = if negative { "}JKLMNOPQR" } else { "{ABCDEFGHI" };
        characters.chars().nth(usize::from(digit)).unwrap()
    }

    proptest! {
        #[test]
        fn an_overpunched_number_is_the_number_that_was_punched(
            value in any::<i64>(),
            width in 1_usize..22,
            implied in 0_usize..10,
        ) {
            let digits = format!("{:0width$}", value.unsigned_abs());
            let (rest, last) = digits.split_at(digits.len() - 1);
            let text = format!("{rest}{}", punched(last.parse().unwrap(), value < 0));
            let number = Number { sign: Sign::Overpunch, implied, ..Number::default() };
            let read = plain(&number, &text).unwrap();
            prop_assert_eq!(read.starts_with('-'), value < 0);
            let fraction = read.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            prop_assert_eq!(fraction, implied);
            prop_assert_eq!(read.replace('.', "").parse::<i64>().unwrap(), value);
        }

        #[test]
        fn grouped_numbers_lose_nothing_but_their_separators(value in any::<i64>(), cents in 0_u32..100) {
            let whole = value.unsigned_abs().to_string();
            let mut grouped = String::new();
            for (index, digit) in whole.chars().enumerate() {
                if index > 0 && (whole.len() - index) % 3 == 0 {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            let sign = if value < 0 { "-" } else { "" };
            let number = Number { thousands: Some(b','), ..decimal() };
            prop_assert_eq!(
                plain(&number, &format!("{sign}{grouped}.{cents:02}")),
                Some(format!("{sign}{whole}.{cents:02}"))
            );
        }
    }
}

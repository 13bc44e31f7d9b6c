//! Figures of the values that are looked at: counts and averages, never a value.

use super::digest::without_padding;
use super::field::{FieldKind, day, number};
use super::profile::{ColumnProfile, NumberFigures, TextFigures};

/// An average under way.
#[derive(Debug, Clone, Copy, Default)]
struct Average {
    sum: f64,
    count: u64,
}

impl Average {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn merge(&mut self, other: Average) {
        self.sum += other.sum;
        self.count += other.count;
    }

    fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// What is counted of one column.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    looked_at: u64,
    text: TextFigures,
    number: NumberFigures,
    average: Average,
}

impl Figures {
    pub fn look(&mut self, kind: FieldKind, value: &[u8]) {
        self.looked_at += 1;
        match kind {
            FieldKind::Text => self.look_at_text(value),
            FieldKind::PaddedText => self.look_at_text(without_padding(value)),
            FieldKind::Integer
            | FieldKind::Float
            | FieldKind::Decimal
            | FieldKind::ScaledDecimal => self.look_at_number(kind, value),
            FieldKind::Day | FieldKind::Time => {
                if let Some(day) = day(kind, value) {
                    self.average.add(day);
                }
            }
            FieldKind::Other => {}
        }
    }

    fn look_at_text(&mut self, value: &[u8]) {
        let figures = &mut self.text;
        figures.bytes += value.len() as u64;
        let wide = !value.is_ascii();
        // Continuation bytes of UTF-8 begin no character.
        let chars = match wide {
            true => value.iter().filter(|byte| **byte & 0xc0 != 0x80).count(),
            false => value.len(),
        };
        figures.longest = figures.longest.max(chars as u64);
        figures.wide += u64::from(wide);
        figures.garbled += u64::from(wide && looks_garbled(value));
        figures.padded += u64::from(is_padded(value));
        let small = value.iter().any(u8::is_ascii_lowercase);
        figures.upper += u64::from(!small && value.iter().any(u8::is_ascii_uppercase));
    }

    fn look_at_number(&mut self, kind: FieldKind, value: &[u8]) {
        let Some(found) = number(kind, value) else {
            return;
        };
        let figures = &mut self.number;
        figures.negative += u64::from(found.value < 0.0);
        figures.zero += u64::from(found.value == 0.0);
        figures.broken += u64::from(found.has_fraction);
        if found.value != 0.0 && !found.value.is_nan() {
            // Neither an infinity nor what a double cannot hold may spoil the average.
            self.average
                .add(found.value.abs().clamp(1e-300, 1e300).log10());
        }
    }

    pub fn merge(&mut self, other: &Figures) {
        self.looked_at += other.looked_at;
        let (text, more) = (&mut self.text, &other.text);
        text.bytes += more.bytes;
        text.longest = text.longest.max(more.longest);
        text.wide += more.wide;
        text.garbled += more.garbled;
        text.padded += more.padded;
        text.upper += more.upper;
        let (number, more) = (&mut self.number, &other.number);
        number.negative += more.negative;
        number.zero += more.zero;
        number.broken += more.broken;
        self.average.merge(other.average);
    }

    /// Writes the figures of its kind into a profile. The average of fewer than `few` values would tell them.
    pub fn write(&self, kind: FieldKind, few: u64, profile: &mut ColumnProfile) {
        profile.looked_at = self.looked_at;
        let average = self.average.value().filter(|_| self.looked_at >= few);
        match kind {
            FieldKind::Text | FieldKind::PaddedText => profile.text = Some(self.text),
            FieldKind::Integer
            | FieldKind::Float
            | FieldKind::Decimal
            | FieldKind::ScaledDecimal => {
                profile.number = Some(NumberFigures {
                    magnitude: average,
                    ..self.number
                });
            }
            FieldKind::Day | FieldKind::Time => profile.day = average,
            FieldKind::Other => {}
        }
    }
}

/// White space at an end: space, tab, line ends, and the no-break space U+00A0.
fn is_padded(value: &[u8]) -> bool {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let no_break = "\u{a0}".as_bytes();
    value.first().is_some_and(blank)
        || value.last().is_some_and(blank)
        || value.starts_with(no_break)
        || value.ends_with(no_break)
}

/// UTF-8 that was read as Windows-1252 or Latin-1, and the character that stands for a byte that was no text.
fn looks_garbled(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else {
        return false;
    };
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let next = chars.peek().copied();
        let garbled = match char {
            '\u{fffd}' => true,
            'Ã' | 'Â' => next.is_some_and(|next| {
                !(next.is_ascii_alphanumeric() || next.is_whitespace() || ".,;:-".contains(next))
            }),
            'â' => next == Some('€'),
            _ => false,
        };
        if garbled {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(values: &[&str]) -> TextFigures {
        let mut figures = Figures::default();
        for value in values {
            figures.look(FieldKind::Text, value.as_bytes());
        }
        figures.text
    }

    #[test]
    fn texts_are_counted_by_what_they_look_like() {
        let figures = text(&["LAMP", "Lamp ", "\u{a0}x", "MÃ¼ller", "Ã, b", "ÄÖ", "7", ""]);
        assert_eq!(figures.longest, 7);
        assert_eq!((figures.wide, figures.garbled), (4, 1));
        assert_eq!((figures.padded, figures.upper), (2, 1));
        let parts = [text(&["LAMP"]), text(&["Lamp "])];
        assert_eq!(parts[0].bytes + parts[1].bytes, 9);
    }
}

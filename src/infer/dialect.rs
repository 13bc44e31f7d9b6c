//! Which bytes of a text are syntax: the delimiter, the quote, the escape, the mark of comments.
//!
//! In: a text. Out: the [`Choice`] under which most records have the same number of fields, or
//! `None` where no delimiter gives two fields to most of them.
//!
//! Every candidate is tried on the first lines with the cutter of the load; what the first lines
//! cannot show (a quote that comes late) is tried once more on the whole sample.

use super::records::{self, Record};
use crate::read::dialect::{Dialect, Escape};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// What candidates are tried on.
const HEAD_BYTES: usize = 128 << 10;

/// Delimiters, the likelier first, and how much each is believed.
const DELIMITERS: [(u8, f64); 11] = [
    (b',', 1.0),
    (b'\t', 1.0),
    (b'|', 1.0),
    (b';', 0.95),
    (b'^', 0.95),
    (0x1F, 1.0),
    (0x01, 1.0),
    (0x1E, 0.9),
    (b'~', 0.7),
    (b':', 0.6),
    (b'!', 0.4),
];

const COMMENTS: [&str; 5] = ["#", "//", "--", "%", ";"];

/// What is syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syntax {
    pub delimiter: u8,
    pub quote: Option<u8>,
    pub escape: Escape,
    pub comment: Option<&'static str>,
}

/// A syntax, and what it makes of the text.
#[derive(Debug, Clone)]
pub struct Choice {
    pub syntax: Syntax,
    pub survey: Survey,
}

/// What a syntax makes of a text.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    pub records: u64,
    /// Records that cannot be cut, and a quote that is never closed.
    pub faults: u64,
    pub unclosed: bool,
    /// Records by number of fields.
    pub widths: BTreeMap<usize, u64>,
    pub quoted_fields: u64,
    pub quoted_records: u64,
    /// Quoted fields that hold a delimiter or a line end, and so are the reason for quotes.
    pub needed_quotes: u64,
    pub comments: u64,
}

impl Syntax {
    /// As the load takes it.
    pub fn dialect(&self) -> Dialect {
        Dialect {
            delimiter: self.delimiter,
            quote: self.quote,
            escape: self.escape,
            header: false,
            ..Dialect::default()
        }
    }

    /// Cuts a text and counts.
    pub fn survey(&self, text: &[u8], whole: bool) -> Survey {
        let (text, comments) = match self.comment {
            None => (Cow::Borrowed(text), 0),
            Some(mark) => records::without_comments(text, mark),
        };
        let mut survey = Survey {
            comments,
            ..Survey::default()
        };
        let ended = records::each(&text, &self.dialect(), &mut |record: Record| {
            survey.records += 1;
            if record.fault.is_some() {
                survey.faults += 1;
                return ControlFlow::Continue(());
            }
            let mut quoted = 0;
            for index in 0..record.fields.len() {
                let (value, in_quotes) = record.fields.get(index);
                if in_quotes {
                    quoted += 1;
                    let syntax =
                        |byte: &u8| *byte == self.delimiter || *byte == b'\n' || *byte == b'\r';
                    survey.needed_quotes += u64::from(value.iter().any(syntax));
                }
            }
            survey.quoted_fields += quoted;
            survey.quoted_records += u64::from(quoted > 0);
            *survey.widths.entry(record.fields.len()).or_default() += 1;
            ControlFlow::Continue(())
        });
        if let Err(error) = ended {
            // The start of a file may end inside of a quoted field.
            let cut_off = match error {
                crate::read::split::SplitError::UnclosedQuote { byte, .. } => {
                    !whole
                        && text.len() as u64 - byte.min(text.len() as u64) < (text.len() / 4) as u64
                }
                _ => false,
            };
            survey.unclosed = !cut_off;
        }
        survey
    }
}

impl Survey {
    /// The usual number of fields, and how many records have it. Of equally usual ones the larger.
    pub fn usual(&self) -> (usize, u64) {
        let most = self
            .widths
            .iter()
            .max_by_key(|(width, count)| (**count, **width));
        most.map_or((0, 0), |(width, count)| (*width, *count))
    }

    /// Share of the records with the usual number of fields.
    pub fn share(&self) -> f64 {
        match self.records {
            0 => 0.0,
            records => self.usual().1 as f64 / records as f64,
        }
    }
}

/// Chooses; `None` where there is no delimiter.
pub fn choose(text: &[u8], whole: bool) -> Option<Choice> {
    let (head, is_all) = records::head(text, whole, HEAD_BYTES);
    let mut best: Option<(f64, Choice)> = None;
    for (delimiter, belief) in DELIMITERS {
        if memchr::memchr(delimiter, head).is_none() {
            continue;
        }
        let Some(choice) = choose_rest(delimiter, head, is_all) else {
            continue;
        };
        let score = score(&choice, belief * flanked_by_digits(delimiter, head));
        let least = if choice.survey.records < 10 { 0.4 } else { 0.5 };
        let lonely = matches!(delimiter, b':' | b'!' | b'~') && choice.survey.share() < 0.95;
        if choice.survey.usual().0 < 2 || choice.survey.share() < least || lonely || score < 0.3 {
            continue;
        }
        if best.as_ref().is_none_or(|(most, _)| score > *most) {
            best = Some((score, choice));
        }
    }
    let (_, choice) = best?;
    let (delimiter, comment) = (choice.syntax.delimiter, choice.syntax.comment);
    // What only comes after the first lines.
    let whole_survey = choice.syntax.survey(text, whole);
    let late_quotes = memchr::memchr(b'"', text).is_some()
        && (whole_survey.faults > 0 || whole_survey.unclosed || choice.syntax.quote.is_none());
    let choice = match late_quotes && !is_all {
        true => quoting(delimiter, comment, text, whole)?,
        false => Choice {
            survey: whole_survey,
            ..choice
        },
    };
    Some(choice)
}

/// The quote, the escape and the comment that go with a delimiter.
fn choose_rest(delimiter: u8, text: &[u8], whole: bool) -> Option<Choice> {
    let plain = quoting(delimiter, None, text, whole)?;
    let mut best = plain;
    for mark in COMMENTS {
        let is_comment = |line: &[u8]| line.starts_with(mark.as_bytes());
        if mark.as_bytes().first() == Some(&delimiter) || !records::lines(text).any(is_comment) {
            continue;
        }
        let Some(without) = quoting(delimiter, Some(mark), text, whole) else {
            continue;
        };
        if without.survey.records == 0 || without.survey.unclosed || without.survey.usual().0 < 2 {
            continue;
        }
        // Comments are lines that are not like the records: another number of fields.
        let usual = without.survey.usual().0;
        let like_records = records::lines(text)
            .filter(|line| is_comment(line))
            .filter(|line| fields_of(line, &without.syntax) == usual)
            .count() as u64;
        if like_records * 2 < without.survey.comments
            && (without.survey.share() > best.survey.share()
                || best.survey.unclosed
                || best.survey.faults > without.survey.faults)
        {
            best = without;
        }
    }
    Some(best)
}

fn fields_of(line: &[u8], syntax: &Syntax) -> usize {
    1 + memchr::memchr_iter(syntax.delimiter, line).count()
}

/// The quote and the escape, for a delimiter.
fn quoting(
    delimiter: u8,
    comment: Option<&'static str>,
    text: &[u8],
    whole: bool,
) -> Option<Choice> {
    let plain = Syntax {
        delimiter,
        quote: None,
        escape: Escape::Doubled,
        comment,
    };
    let mut best = Choice {
        survey: plain.survey(text, whole),
        syntax: plain,
    };
    let has_backslash = memchr::memchr(b'\\', text).is_some();
    for quote in *b"\"~'`" {
        if quote == delimiter || !may_quote(quote, delimiter, text) {
            continue;
        }
        for escape in [Escape::Doubled, Escape::Backslash] {
            if escape == Escape::Backslash && !has_backslash {
                continue;
            }
            let syntax = Syntax {
                quote: Some(quote),
                escape,
                ..plain
            };
            let survey = syntax.survey(text, whole);
            if survey.unclosed || survey.quoted_fields == 0 {
                continue;
            }
            // One apostrophe at the start of a name is no quoting, and neither are a few names in
            // quotes, where the delimiter is one that nobody needs quotes for.
            let often = survey.quoted_records * 2 > survey.records;
            let by_custom = matches!(delimiter, b',' | b';' | b':');
            let usual = often || (quote == b'"' && (by_custom || survey.needed_quotes > 0));
            let sound =
                survey.faults * 50 <= survey.records && survey.faults < survey.quoted_fields;
            let better = match (survey.faults < best.survey.faults, best.syntax.quote) {
                (true, Some(_)) => true,
                (_, Some(_)) => false,
                (_, None) => survey.share() >= best.survey.share() * 0.999,
            };
            if usual && sound && better {
                best = Choice { syntax, survey };
            }
        }
    }
    if best.syntax.quote.is_none() && has_backslash {
        let syntax = Syntax {
            escape: Escape::Backslash,
            ..plain
        };
        let survey = syntax.survey(text, whole);
        let most = survey.share() > best.survey.share() + 0.001;
        if most && !survey.unclosed && survey.usual().0 == best.survey.usual().0 {
            best = Choice { syntax, survey };
        }
    }
    Some(best)
}

/// A quote stands at the beginning of some field.
pub fn may_quote(quote: u8, delimiter: u8, text: &[u8]) -> bool {
    memchr::memchr_iter(quote, text).any(|at| match at.checked_sub(1).map(|before| text[before]) {
        None => true,
        Some(before) => before == delimiter || before == b'\n' || before == b'\r',
    })
}

fn score(choice: &Choice, belief: f64) -> f64 {
    let survey = &choice.survey;
    if survey.records == 0 || survey.unclosed {
        return 0.0;
    }
    let width = survey.usual().0 as f64;
    let quoted = survey.quoted_records as f64 / survey.records as f64;
    survey.share() * belief * (1.0 + 0.15 * width.log2()) + 0.5 * quoted
}

/// A comma or colon that stands between digits is mostly part of a number or a time.
fn flanked_by_digits(delimiter: u8, text: &[u8]) -> f64 {
    let price = match delimiter {
        b',' => 0.5,
        b':' => 0.2,
        _ => return 1.0,
    };
    let (mut all, mut between) = (0u64, 0u64);
    for at in memchr::memchr_iter(delimiter, text) {
        let digit = |at: Option<usize>| {
            at.and_then(|at| text.get(at))
                .is_some_and(u8::is_ascii_digit)
        };
        all += 1;
        between += u64::from(digit(at.checked_sub(1)) && digit(Some(at + 1)));
    }
    if between * 10 > all * 9 { price } else { 1.0 }
}

/// The syntax of a text whose lines are one field each.
pub fn single_column(text: &[u8], whole: bool) -> Choice {
    let unused = *b",\t|;^"
        .iter()
        .find(|byte| memchr::memchr(**byte, text).is_none())
        .unwrap_or(&0x1F);
    let syntax = Syntax {
        delimiter: unused,
        quote: None,
        escape: Escape::Doubled,
        comment: None,
    };
    let plain = Choice {
        survey: syntax.survey(text, whole),
        syntax,
    };
    quoting(unused, None, text, whole).unwrap_or(plain)
}

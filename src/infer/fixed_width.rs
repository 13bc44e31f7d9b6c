//! Fixed-width text: records whose fields begin at the same place in every line.
//!
//! In: a text that no delimiter fits. Out: a layout that is a guess wherever two fields touch: where
//! one ends and the next begins can be seen only at blanks that stand in every line, and where
//! letters give way to digits in every line.

use super::cells::{Cell, Table};
use super::dialect::Choice;
use super::{Found, Note, Setting, counted, name, of, records};
use std::collections::BTreeMap;

/// Lines that are looked at for the layout.
const MOST_LINES: usize = 20_000;

/// One position of a line, over all lines.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    lines: u64,
    blank: u64,
    digit: u64,
    /// The character of all lines so far.
    same: Option<char>,
}

impl Position {
    fn is_blank(&self) -> bool {
        self.blank == self.lines
    }
    fn is_digit(&self) -> bool {
        self.digit == self.lines
    }
    fn has_no_digit(&self) -> bool {
        self.digit == 0
    }
}

/// Looks at a text; `None` if it is not of fixed width.
pub fn find(text: &[u8], whole: bool, choice: Option<&Choice>) -> Option<Found> {
    let text = records::whole_lines(text, whole);
    let all: Vec<&[u8]> = records::lines(text).map(records::bare).collect();
    if choice.is_some_and(|choice| is_delimited(&all, choice)) {
        return None;
    }
    let empty = all.iter().take_while(|line| line.is_empty()).count();
    let lines: Vec<&[u8]> = all[empty..]
        .iter()
        .copied()
        .filter(|line| !line.is_empty())
        .collect();
    let lengths = lengths(&lines);
    let longest = *lengths.keys().next_back()?;
    let mut by_count: Vec<(u64, usize)> = lengths
        .iter()
        .map(|(length, count)| (*count, *length))
        .collect();
    by_count.sort_unstable_by(|a, b| b.cmp(a));
    let two_usual: u64 = by_count.iter().take(2).map(|(count, _)| count).sum();
    let enough = lines.len() >= if lengths.len() == 1 { 2 } else { 5 };
    let few_lengths = two_usual * 100 >= lines.len() as u64 * 95 && longest >= 20 && enough;
    let is_ascii = text.is_ascii();
    let positions = positions(&lines, is_ascii);
    let mut starts = starts(&positions, lines.len().min(MOST_LINES) as u64);
    join_words(&mut starts, &positions, &lines, is_ascii);
    let layout = layout(&starts, positions.len());
    let aligned =
        lines.len() >= 3 && longest >= 12 && layout.len() >= if lines.len() < 6 { 4 } else { 3 };
    let of_few_lengths = few_lengths && layout.len() >= 2;
    if !of_few_lengths && !aligned {
        return None;
    }
    let longest = positions.len();
    let names = name::numbered(layout.len());
    let mut table = Table::new(layout.len());
    for line in &lines {
        let owned: Vec<Vec<u8>> = layout
            .iter()
            .map(|field| cut(line, *field, is_ascii))
            .collect();
        let cells: Vec<Cell> = owned.iter().map(|text| Cell::plain(text)).collect();
        table.observe(&cells);
    }
    let records = lines.len() as u64;
    let usual = lengths.get(&longest).copied().unwrap_or(by_count[0].0);
    let unit = if is_ascii { "bytes" } else { "chars" };
    let same = match lengths.len() {
        1 => Note::seen(format!(
            "{} are {longest} long, and no delimiter fits",
            of(usual, records)
        )),
        few => Note::seen(format!(
            "{} are {longest} long, the others shorter ({} lengths); no delimiter fits",
            of(usual, records),
            few
        )),
    };
    let mut format = vec![Setting::new("kind", "fixed_width", same)];
    let entries: Vec<toml::Value> = layout
        .iter()
        .zip(&names)
        .map(|((start, length), name)| {
            let mut entry = toml::Table::new();
            entry.insert("name".into(), name.column.as_str().into());
            entry.insert("start".into(), (*start as i64 + 1).into());
            entry.insert("length".into(), (*length as i64).into());
            toml::Value::Table(entry)
        })
        .collect();
    let note = Note::guessed(format!(
        "{}, cut where every record has a blank, or digits begin in every record: fields that touch cannot be told apart in a file, so compare this with the layout that comes with it",
        counted(layout.len() as u64, "field")
    ));
    if empty > 0 {
        format.push(Setting::new(
            "skip_lines",
            empty as i64,
            Note::seen(format!(
                "{} before the first record",
                counted(empty as u64, "empty line")
            )),
        ));
    }
    format.push(Setting::new("layout", entries, note));
    format.push(Setting::new(
        "start_from",
        1,
        Note::seen("the first position is 1"),
    ));
    format.push(Setting::new(
        "unit",
        unit,
        Note::seen(match is_ascii {
            true => "every character is one byte",
            false => {
                "some characters are longer than one byte, and the fields line up by characters"
            }
        }),
    ));
    if lengths.len() > 1 {
        let note = Note::seen(format!("{} end early", of(records - usual, records)));
        format.push(Setting::new("short_rows", "pad", note));
    }
    Some(Found {
        kind: "fixed_width",
        records,
        rejected: 0,
        notes: Vec::new(),
        format,
        names,
        table,
        empty_is_null: true,
    })
}

/// Nearly every record has its delimiters, and they are what the lines have in common.
fn is_delimited(lines: &[&[u8]], choice: &Choice) -> bool {
    let delimiter = choice.syntax.delimiter;
    let long = |line: &&&[u8]| line.len() >= 20;
    let of_one_length = lines.len() >= 10
        && lines.iter().filter(long).count() == lines.len()
        && lines.windows(2).all(|pair| pair[0].len() == pair[1].len());
    if of_one_length {
        // Commas in a text move from line to line while its field stays where it is.
        let places = |line: &[u8]| -> Vec<usize> { memchr::memchr_iter(delimiter, line).collect() };
        let first = places(lines[lines.len() / 2]);
        let same = lines.iter().filter(|line| places(line) == first).count();
        return same * 10 >= lines.len() * 9;
    }
    let survey = &choice.survey;
    let alone = survey.widths.get(&1).copied().unwrap_or(0) + survey.faults;
    survey.share() > 0.9 || survey.quoted_fields > 0 || alone * 20 <= survey.records
}

/// Lines by length in characters.
fn lengths(lines: &[&[u8]]) -> BTreeMap<usize, u64> {
    let mut lengths = BTreeMap::new();
    for line in lines {
        let length = line.iter().filter(|byte| (**byte & 0xC0) != 0x80).count();
        *lengths.entry(length).or_default() += 1;
    }
    lengths
}

fn positions(lines: &[&[u8]], is_ascii: bool) -> Vec<Position> {
    let mut positions: Vec<Position> = Vec::new();
    let mut enter = |at: usize, c: char| {
        if positions.len() <= at {
            positions.resize(at + 1, Position::default());
        }
        let position = &mut positions[at];
        position.same = match position.lines {
            0 => Some(c),
            _ => position.same.filter(|same| *same == c),
        };
        position.lines += 1;
        position.blank += u64::from(c == ' ');
        position.digit += u64::from(c.is_ascii_digit());
    };
    for line in lines.iter().take(MOST_LINES) {
        match is_ascii {
            true => {
                for (at, byte) in line.iter().enumerate() {
                    enter(at, char::from(*byte));
                }
            }
            false => {
                for (at, c) in String::from_utf8_lossy(line).chars().enumerate() {
                    enter(at, c);
                }
            }
        }
    }
    positions
}

/// Where fields begin.
fn starts(positions: &[Position], lines: u64) -> Vec<usize> {
    let mut starts = vec![0];
    for at in 1..positions.len() {
        let (before, here) = (positions[at - 1], positions[at]);
        let behind_blank = before.is_blank() && !here.is_blank();
        // The same letters in every line belong to the digits behind them: SKU0001, SKU0002.
        let start = starts.last().copied().unwrap_or(0);
        let is_prefix = positions[start..at].iter().all(|one| one.same.is_some());
        let class = (before.is_digit() && here.has_no_digit() && !here.is_blank())
            || (here.is_digit() && before.has_no_digit() && !before.is_blank() && !is_prefix);
        // What only a few long lines have says nothing about the others.
        if (behind_blank || class) && here.lines * 4 >= lines {
            starts.push(at);
        }
    }
    // Blanks in front of the first value belong to it.
    if starts.len() > 1 && positions[..starts[1]].iter().all(Position::is_blank) {
        starts.remove(1);
    }
    starts
}

/// Takes out the begin of a second word that only some lines have, one blank behind the first: `LAMP`,
/// `TABLE SMALL`. A field of its own stands beside blanks of different number, or in most lines.
fn join_words(starts: &mut Vec<usize>, positions: &[Position], lines: &[&[u8]], is_ascii: bool) {
    let all = starts.clone();
    let mut number = 0;
    starts.retain(|start| {
        number += 1;
        let (Some(before), Some(two_before)) = (start.checked_sub(1), start.checked_sub(2)) else {
            return true;
        };
        let alone = positions[before].is_blank() && !positions[two_before].is_blank();
        if !alone || positions[two_before].blank == 0 {
            return true;
        }
        let end = all.get(number).copied().unwrap_or(positions.len());
        let (mut seen, mut with, mut joined) = (0, 0, 0);
        for line in lines.iter().take(MOST_LINES) {
            seen += 1;
            if cut(line, (*start, end - start), is_ascii).is_empty() {
                continue;
            }
            with += 1;
            joined += u64::from(!cut(line, (two_before, 1), is_ascii).is_empty());
        }
        !(joined == with && 2 * with < seen)
    });
}

/// Start and length of each field, without gaps.
fn layout(starts: &[usize], length: usize) -> Vec<(usize, usize)> {
    let ends = starts.iter().skip(1).copied().chain([length]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| (*start, end - start))
        .collect()
}

/// A field without the blanks around it.
fn cut(line: &[u8], (start, length): (usize, usize), is_ascii: bool) -> Vec<u8> {
    match is_ascii {
        true => {
            let end = line.len().min(start + length);
            line.get(start..end)
                .unwrap_or_default()
                .trim_ascii()
                .to_vec()
        }
        false => {
            let text: String = String::from_utf8_lossy(line)
                .chars()
                .skip(start)
                .take(length)
                .collect();
            text.trim().as_bytes().to_vec()
        }
    }
}

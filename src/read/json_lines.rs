//! Records that are JSON texts, one a line.
//!
//! In: a chunk and the paths that columns take. Out: the fields of each record: the text of a string,
//! a number as it is written, an object or an array as JSON text; `null` and what is not there are
//! null. Where an array is exploded, each of its items is a record of its own, with the place of the
//! line; a line without items is one record that is skipped.

use anyhow::{Result, bail, ensure};

use super::delimited::{CutFault, Fields, Place};
use super::dialect::Dialect;
use super::json_path::{Node, Step, path};
use super::json_scan::{Found, Scanner, unescape};
use super::lines::Lines;
use super::records::{Cut, CutRecords};
use super::split::Chunk;

/// What is taken of each record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonLines {
    explode: Option<Vec<Step>>,
    record: Node,
    /// Of an item of the exploded array.
    item: Node,
    /// Of each field: it is taken as JSON text, a string with its quotes.
    as_json: Vec<bool>,
}

impl JsonLines {
    /// Takes nothing yet. `explode`: the path of the array whose items are the records.
    ///
    /// # Errors
    /// It is no path.
    pub fn new(explode: Option<&str>) -> Result<JsonLines> {
        let explode = explode.map(path).transpose()?;
        if explode.iter().flatten().any(|step| *step == Step::Each) {
            bail!("`explode` names the array itself, without []");
        }
        Ok(JsonLines {
            explode,
            ..JsonLines::default()
        })
    }

    /// Takes a value as the next field.
    ///
    /// # Errors
    /// No path, or one into an array that is not exploded.
    pub fn take(&mut self, text: &str, as_json: bool) -> Result<()> {
        let steps = path(text)?;
        let field = self.as_json.len();
        self.as_json.push(as_json);
        let mut parts = steps.split(|step| *step == Step::Each);
        let (before, item) = (parts.next().unwrap_or_default(), parts.next());
        ensure!(
            parts.next().is_none(),
            "`{text}`: one array can be exploded"
        );
        let Some(item) = item else {
            self.record.at(&steps, Some(field));
            return Ok(());
        };
        match &self.explode {
            Some(explode) if explode == before => self.item.at(item, Some(field)),
            _ => bail!(
                "`{text}` takes each item of an array: name the array with `explode` under [format]"
            ),
        };
        Ok(())
    }

    /// Call when all is taken.
    pub fn finish(mut self) -> JsonLines {
        if let Some(explode) = &self.explode {
            self.record.at(explode, None).explodes = true;
        }
        self
    }

    /// How many fields are taken.
    pub fn fields(&self) -> usize {
        self.as_json.len()
    }
}

/// What the rows of one line repeat of it, at most, in records of the greatest length: a long text
/// beside many small items would else become more than any memory.
const MOST_REPEATED: usize = 16;

/// Cuts the lines of one chunk.
pub(super) struct JsonCutter<'c, 'p> {
    lines: Lines<'c>,
    paths: &'p JsonLines,
    found: Vec<Found>,
    /// Items of the line under way that are to come.
    items: Option<Items>,
    records: u64,
    /// What the items of a line may repeat of it.
    most_repeated: usize,
}

/// An array that is being exploded; it was read before, and is JSON.
struct Items {
    place: Place,
    /// Of the next item.
    at: usize,
    end: usize,
    /// Bytes of fields that the items so far had from outside of them.
    repeated: usize,
}

impl<'c, 'p> JsonCutter<'c, 'p> {
    pub(super) fn new(chunk: &'c Chunk, dialect: &Dialect, paths: &'p JsonLines) -> Self {
        JsonCutter {
            lines: Lines::new(chunk, dialect),
            paths,
            found: vec![None; paths.fields()],
            items: None,
            records: 0,
            most_repeated: dialect.max_record_bytes.saturating_mul(MOST_REPEATED),
        }
    }

    /// Reads a line, and cuts it unless its items are the records.
    fn line(&mut self, place: Place, end: usize, fields: &mut Fields<'c>) -> Result<Cut, CutFault> {
        let start = place.byte as usize;
        let mut scanner = Scanner {
            text: &self.lines.bytes[..end],
            at: start,
            line: start,
            found: &mut self.found,
            exploded: None,
        };
        scanner.space();
        if !matches!(scanner.text.get(scanner.at), Some(b'{' | b'[')) {
            return Err(scanner.fault("neither an object nor an array"));
        }
        scanner.value(Some(&self.paths.record), 0)?;
        scanner.space();
        if scanner.at != end {
            return Err(scanner.fault("something behind the value"));
        }
        if self.paths.explode.is_none() {
            return self.fill(start, fields);
        }
        let Some((from, to)) = scanner.exploded else {
            return Ok(Cut::Skipped);
        };
        match self.lines.bytes[from] {
            b'n' => return Ok(Cut::Skipped),
            b'[' => {}
            _ => {
                scanner.at = from;
                return Err(scanner.fault("no array where `explode` expects one"));
            }
        }
        scanner.at = from + 1;
        if scanner.take(b']') {
            return Ok(Cut::Skipped);
        }
        let at = scanner.at;
        self.items = Some(Items {
            place,
            at,
            end: to,
            repeated: 0,
        });
        self.item(fields)
    }

    /// Cuts the next item.
    fn item(&mut self, fields: &mut Fields<'c>) -> Result<Cut, CutFault> {
        let Some(items) = &mut self.items else {
            return Ok(Cut::Skipped);
        };
        let start = items.place.byte as usize;
        let mut scanner = Scanner {
            text: &self.lines.bytes[..items.end],
            at: items.at,
            line: start,
            found: &mut self.found,
            exploded: None,
        };
        // It cannot fail: the line was read.
        let read = scanner.value(Some(&self.paths.item), 0);
        let (from, to) = (items.at, scanner.at);
        let more = read.is_ok() && scanner.take(b',');
        items.at = scanner.at;
        let outside = self.found.iter().flatten();
        let outside = outside.filter(|(start, end)| *start < from || *end > to);
        items.repeated += outside.map(|(start, end)| end - start).sum::<usize>();
        let too_many = items.repeated > self.most_repeated;
        if !more {
            self.items = None;
        }
        read?;
        if too_many {
            return Err(CutFault::Json {
                what: "an item too many: what the items of the line repeat of it is over 16 times `max_record_bytes`",
                at: from - start,
            });
        }
        self.fill(start, fields)
    }

    /// Fills the fields with what was found.
    fn fill(&self, line: usize, fields: &mut Fields<'c>) -> Result<Cut, CutFault> {
        let bytes = self.lines.bytes;
        for (found, as_json) in self.found.iter().zip(&self.paths.as_json) {
            let Some((start, end)) = *found else {
                fields.add_null();
                continue;
            };
            match bytes[start] {
                b'n' => fields.add_null(),
                b'"' if !as_json => {
                    let string = &bytes[start + 1..end - 1];
                    if memchr::memchr(b'\\', string).is_none() {
                        fields.add(start + 1, end - 1);
                        continue;
                    }
                    fields
                        .add_text(start + 1, end - 1, |out| unescape(string, out))
                        .map_err(|at| CutFault::Json {
                            what: "half of a surrogate pair",
                            at: start + 1 + at - line,
                        })?;
                }
                _ => fields.add(start, end),
            }
        }
        Ok(Cut::Fields)
    }
}

impl<'c> CutRecords<'c> for JsonCutter<'c, '_> {
    fn next(&mut self, fields: &mut Fields<'c>) -> Option<(Place, Cut)> {
        fields.begin(self.lines.bytes);
        let (place, cut) = match &self.items {
            Some(items) => (items.place, self.item(fields)),
            None => {
                let (place, end) = self.lines.next()?;
                (place, self.line(place, end, fields))
            }
        };
        let record = self.records;
        self.records += 1;
        let cut = cut.unwrap_or_else(|fault| {
            fields.clear();
            Cut::Fault(fault)
        });
        Some((Place { record, ..place }, cut))
    }

    fn records(&self) -> u64 {
        self.records
    }

    fn lines(&self) -> u64 {
        self.lines.lines()
    }
}

#[cfg(test)]
#[path = "json_lines_tests.rs"]
mod tests;

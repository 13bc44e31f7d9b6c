//! What a source declares about the spelling of a column: from the text in the file to the text that
//! the server would read.
//!
//! In: the text of a field, decoded. Out: the same value as PostgreSQL spells it, a null, or a
//! [`Misspelt`] that says what was expected. The steps are chosen once, when the source is read, and
//! run in one order: trim, split, then for each text case, padding, lookup and at last `parse`. A text
//! is a null as it stands, without its blanks, or as the lookup gives it. Nothing is guessed: whatever
//! a declaration leaves open is an error of the configuration, and whatever does not fit it is a
//! reject. No value of the data is ever part of a message.

mod key_part;
mod list;
mod moment;
mod number;
mod numbered;
mod parse;
mod pattern;
mod text;
mod zone;

pub use key_part::{KeyPattern, file_name};
pub use moment::Unit;
pub use number::{Number, Sign};
pub use numbered::Numbered;
pub use parse::{Misspelt, Parse, What};
pub use pattern::{Part, Pattern};
pub use text::Trim;
pub use zone::{Choice, Zone};

use super::nulls::Nulls;
use std::collections::HashMap;
use std::sync::Arc;

/// How one column of one object comes to its values.
#[derive(Debug, Clone)]
pub struct Spelling {
    pub from: Origin,
    /// A text in quotes may be a null.
    pub null_quoted: bool,
    pub steps: Steps,
}

/// Where the text of a column comes from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// The field of the column's plan.
    Field,
    /// These fields, one after the other; nulls among them are left out.
    Fields {
        fields: Vec<usize>,
        separator: Vec<u8>,
    },
    /// The number of the record in its object, of which so many lie before the chunk.
    Record { before: u64 },
    /// The same for the whole object: the value, encoded.
    Value(Vec<u8>),
}

/// What a text goes through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steps {
    pub trim: Option<Trim>,
    /// What stands between the elements of an array.
    pub split: Option<String>,
    /// For each text, in this order.
    pub each: Vec<Step>,
}

/// One step from a text to the next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Upper,
    Lower,
    /// Filled up in front, to so many characters; an empty text stays empty.
    Pad {
        with: char,
        to: usize,
    },
    /// Replaced by what a table holds for it.
    Lookup(Arc<HashMap<Vec<u8>, Vec<u8>>>),
    Parse {
        how: Parse,
        /// `Parse::expected`, for messages.
        expected: Arc<str>,
    },
}

/// Memory that one value leaves to the next.
#[derive(Debug, Default)]
pub struct Buffers {
    now: Vec<u8>,
    next: Vec<u8>,
    list: Vec<u8>,
}

impl Spelling {
    /// Says whether a text outside of quotes can become anything but itself.
    #[must_use]
    pub fn changes_texts(&self) -> bool {
        let Origin::Field = self.from else {
            return true;
        };
        let Steps { trim, split, each } = &self.steps;
        trim.is_some() || split.is_some() || !each.is_empty()
    }

    /// The fields that it reads, given that of its column.
    #[must_use]
    pub fn fields<'f>(&'f self, field: &'f usize) -> &'f [usize] {
        match &self.from {
            Origin::Field => std::slice::from_ref(field),
            Origin::Fields { fields, .. } => fields,
            Origin::Record { .. } | Origin::Value(_) => &[],
        }
    }

    /// The most bytes that it adds to a record beside those that its fields become. What is parsed
    /// becomes a value of fixed size, or one that is no longer than its text.
    #[must_use]
    pub fn more_bytes(&self) -> usize {
        let from = match &self.from {
            Origin::Field => 0,
            Origin::Fields { fields, separator } => fields.len() * separator.len(),
            Origin::Record { .. } => 20,
            Origin::Value(encoded) => encoded.len(),
        };
        match self.steps.split {
            Some(_) => from + 24,
            None => from + self.steps.more_bytes(),
        }
    }

    /// The most bytes that it adds to each byte of a text: an element of a list may be one byte.
    #[must_use]
    pub fn more_each(&self) -> usize {
        match self.steps.split {
            Some(_) => self.steps.more_bytes(),
            None => 0,
        }
    }

    /// Says whether a text becomes a value in another spelling.
    #[must_use]
    pub fn parses(&self) -> bool {
        let is_parse = |step: &Step| matches!(step, Step::Parse { .. });
        self.steps.each.iter().any(is_parse)
    }
}

impl Steps {
    /// The most bytes that the steps add to one text.
    fn more_bytes(&self) -> usize {
        let steps = self.each.iter().map(|step| match step {
            Step::Pad { with, to } => with.len_utf8() * to,
            Step::Lookup(table) => table.values().map(Vec::len).max().unwrap_or(0),
            Step::Parse { .. } | Step::Upper | Step::Lower => 0,
        });
        steps.sum()
    }

    /// Takes a text through all steps; `None` is a null. `nullable`: without its blanks the text may
    /// be a null; what a lookup gives always may.
    ///
    /// # Errors
    /// The text is not spelled as declared.
    pub fn apply<'b>(
        &self,
        text: &'b [u8],
        nulls: &Nulls,
        nullable: bool,
        buffers: &'b mut Buffers,
    ) -> Result<Option<&'b [u8]>, Misspelt> {
        let of_texts = nullable.then_some(nulls);
        let Some(text) = self.trimmed(text, of_texts) else {
            return Ok(None);
        };
        let Some(separator) = &self.split else {
            return self.one(text, nulls, buffers);
        };
        let mut list = std::mem::take(&mut buffers.list);
        list::open(&mut list);
        let mut outcome = Ok(());
        for element in list::elements(text, separator.as_bytes()) {
            let is_null = |text| of_texts.is_some_and(|nulls| nulls.contains(text));
            let element = match self.trimmed(element, of_texts) {
                Some(element) if !is_null(element) => self.one(element, nulls, buffers),
                _ => Ok(None),
            };
            match element {
                Ok(element) => list::push(element, &mut list),
                Err(misspelt) => {
                    outcome = Err(misspelt);
                    break;
                }
            }
        }
        list::close(&mut list);
        buffers.list = list;
        outcome.map(|()| Some(buffers.list.as_slice()))
    }

    /// The text without its blanks; `None` where that is a null.
    pub(super) fn trimmed<'t>(&self, text: &'t [u8], nulls: Option<&Nulls>) -> Option<&'t [u8]> {
        let Some(trim) = self.trim else {
            return Some(text);
        };
        let trimmed = trim.apply(text);
        let changed = trimmed.len() < text.len();
        let is_null = changed && nulls.is_some_and(|nulls| nulls.contains(trimmed));
        (!is_null).then_some(trimmed)
    }

    fn one<'b>(
        &self,
        text: &'b [u8],
        nulls: &Nulls,
        buffers: &'b mut Buffers,
    ) -> Result<Option<&'b [u8]>, Misspelt> {
        let Buffers { now, next, .. } = buffers;
        let Some((first, others)) = self.each.split_first() else {
            return Ok(Some(text));
        };
        first.apply(text, now)?;
        if first.may_give_null() && nulls.contains(now) {
            return Ok(None);
        }
        for step in others {
            step.apply(now, next)?;
            std::mem::swap(now, next);
            if step.may_give_null() && nulls.contains(now) {
                return Ok(None);
            }
        }
        Ok(Some(now.as_slice()))
    }
}

impl Step {
    /// The step that reads texts of this form.
    #[must_use]
    pub fn parse(how: Parse) -> Step {
        let expected = how.expected().into();
        Step::Parse { how, expected }
    }

    /// Writes what becomes of `text`.
    fn apply(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Misspelt> {
        out.clear();
        match self {
            Step::Upper => text::upper(text, out),
            Step::Lower => text::lower(text, out),
            Step::Pad { with, to } => text::pad(text, *with, *to, out),
            Step::Lookup(table) => match table.get(text) {
                Some(found) => out.extend_from_slice(found),
                None => return Err(Misspelt::unlisted()),
            },
            Step::Parse { how, expected } => how.apply(text, out).map_err(|what| Misspelt {
                what,
                expected: Arc::clone(expected),
            })?,
        }
        Ok(())
    }

    fn may_give_null(&self) -> bool {
        matches!(self, Step::Lookup(_))
    }
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;

//! One record to one encoded row.
//!
//! In: the fields of a record. Out: the row appended to a [`RowBuffer`], or why there is none. There
//! are two ways, which write the same: the quick one for records whose values are everyday ones,
//! and the full one, which knows every form of every type and says what is wrong. A record that the
//! quick way gives up is begun again by the full one, which does not stop at the first fault.

use super::delimited::Fields;
use super::encoding::Encoding;
use super::parse::{ColumnPlan, Reason, RowPlan};
use super::plain::PlainFields;
use super::row_buffer::RowBuffer;
use super::value::{Buffers, Origin, Spelling};
use crate::encode::quick::{Memory, Quick};
use crate::encode::{put_field_count, put_null};
use std::io::Write;

/// Everything that is wrong with a record: the column, where one is to blame, and why.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Vec<(Option<usize>, Reason)>);

/// A reason that is not one column's.
impl From<Reason> for Refused {
    fn from(reason: Reason) -> Refused {
        Refused(vec![(None, reason)])
    }
}

/// Memory that one chunk leaves to the next.
#[derive(Debug, Default)]
pub(super) struct RowScratch {
    row: Vec<u8>,
    texts: TextScratch,
    memories: Vec<Memory>,
}

/// Memory for the texts of one value.
#[derive(Debug, Default)]
struct TextScratch {
    decoded: Vec<u8>,
    /// What is put together from several fields, or printed.
    made: Vec<u8>,
    buffers: Buffers,
}

/// Encodes the records of one chunk.
pub(super) struct RowEncoder<'p> {
    plan: &'p RowPlan,
    /// The chunk's text needs no decoding and holds no NUL.
    as_it_is: bool,
    columns: Vec<QuickColumn<'p>>,
    /// The columns are the first fields, one after the other.
    in_order: bool,
    /// The record under way, the first of the chunk is 1; whoever goes through the records sets it.
    pub(super) record: u64,
    scratch: &'p mut RowScratch,
}

/// What the quick way needs of a column.
struct QuickColumn<'p> {
    field: usize,
    quick: Quick,
    /// A field of less than so many bytes may be a null.
    null_below: usize,
    plan: &'p ColumnPlan,
}

impl<'p> RowEncoder<'p> {
    pub(super) fn new(plan: &'p RowPlan, as_it_is: bool, scratch: &'p mut RowScratch) -> Self {
        let mut precisions = Vec::new();
        let columns = plan.columns.iter().map(|column| QuickColumn {
            field: column.field,
            quick: match column.spelling.as_deref() {
                Some(spelling) if spelling.changes_texts() => Quick::None,
                _ => Quick::of(&column.ty, &mut precisions),
            },
            null_below: match column.spelling.as_deref().map(|spelling| &spelling.from) {
                None | Some(Origin::Field) => {
                    column.nulls.longest().map_or(0, |longest| longest + 1)
                }
                Some(_) => 0,
            },
            plan: column,
        });
        let columns: Vec<QuickColumn> = columns.collect();
        let mut places = columns.iter().enumerate();
        scratch
            .memories
            .resize_with(precisions.len(), Memory::default);
        scratch.memories.iter_mut().for_each(Memory::clear);
        RowEncoder {
            plan,
            as_it_is,
            in_order: places.all(|(place, column)| column.field == place),
            columns,
            record: 0,
            scratch,
        }
    }

    /// Encodes a record whose fields need no decoding and hold no escape.
    #[inline(always)]
    pub(super) fn plain(
        &mut self,
        fields: PlainFields,
        out: &mut RowBuffer,
    ) -> Result<(), Refused> {
        let written = match self.in_order {
            true => self.quick::<true>(fields, out.room()),
            false => self.quick::<false>(fields, out.room()),
        };
        match written {
            Some(written) => {
                out.wrote(written);
                Ok(())
            }
            None => self.full(&fields, out),
        }
    }

    /// Writes the row, if all its values are everyday ones, and returns its length. `IN_ORDER`: the
    /// columns are the first fields, one after the other.
    #[inline(always)]
    fn quick<const IN_ORDER: bool>(
        &mut self,
        fields: PlainFields,
        out: &mut [u8],
    ) -> Option<usize> {
        *out.first_chunk_mut()? = (self.columns.len() as i16).to_be_bytes();
        let mut at = 2;
        let mut next = fields.start;
        let mut ends = fields.ends.iter();
        for column in &self.columns {
            let (start, end) = match IN_ORDER {
                true => (next, *ends.next()? as usize),
                false => fields.place(column.field)?,
            };
            next = end + 1;
            let window = fields.bytes.get(start..)?;
            let length = end.wrapping_sub(start);
            let out = out.get_mut(at..)?;
            at += if length < column.null_below && column.plan.nulls.contains(window.get(..length)?)
            {
                if column.plan.not_null {
                    return None;
                }
                *out.first_chunk_mut()? = [0xFF; 4];
                4
            } else if column.quick == Quick::None {
                other(column, &fields, self.record, self.scratch, out)?
            } else {
                column
                    .quick
                    .put(window, length, &mut self.scratch.memories, out)?
            };
        }
        Some(at)
    }

    /// Encodes a record that was cut with care.
    pub(super) fn cut(&mut self, fields: &Fields, out: &mut RowBuffer) -> Result<(), Refused> {
        if fields.len() != self.plan.fields {
            let (found, wanted) = (fields.len(), self.plan.fields);
            return Err(Reason::Fields { found, wanted }.into());
        }
        let encoding = (!self.as_it_is).then_some(self.plan.dialect.encoding);
        self.full(&CutTexts { fields, encoding }, out)
    }

    #[inline(never)]
    fn full(&mut self, texts: &impl Texts, out: &mut RowBuffer) -> Result<(), Refused> {
        let scratch = &mut *self.scratch;
        let row = &mut scratch.row;
        row.clear();
        put_field_count(self.plan.columns.len() as i16, row);
        let mut faults = Vec::new();
        for (index, column) in self.plan.columns.iter().enumerate() {
            let put = match column.spelling.as_deref() {
                None => put(column, texts, self.as_it_is, &mut scratch.texts, row),
                Some(how) => spelled(column, how, texts, self.record, &mut scratch.texts, row),
            };
            if let Err(reason) = put {
                faults.push((Some(index), reason));
            }
        }
        if !faults.is_empty() {
            return Err(Refused(faults));
        }
        out.append(row);
        Ok(())
    }
}

/// A value of a type without a quick way, or one that is not spelled as the server spells it.
#[inline(never)]
fn other(
    column: &QuickColumn,
    fields: &PlainFields,
    record: u64,
    scratch: &mut RowScratch,
    out: &mut [u8],
) -> Option<usize> {
    let row = &mut scratch.row;
    row.clear();
    match column.plan.spelling.as_deref() {
        None => column
            .plan
            .ty
            .encode_clean(fields.get(column.field), row)
            .ok()?,
        Some(how) => spelled(column.plan, how, fields, record, &mut scratch.texts, row).ok()?,
    }
    out.get_mut(..row.len())?.copy_from_slice(row);
    Some(row.len())
}

/// Where the full way takes its texts from.
trait Texts {
    /// A field as it reads.
    fn text<'a>(&'a self, field: usize, decoded: &'a mut Vec<u8>) -> Result<&'a [u8], Reason>;

    /// A field as it is written in the file, without its quotes.
    fn written(&self, field: usize) -> &[u8];

    /// A field that is null by itself, whatever its text.
    fn is_null(&self, _: usize) -> bool {
        false
    }

    /// Whether a field stands in quotes.
    fn quoted(&self, field: usize) -> bool;
}

impl Texts for PlainFields<'_> {
    fn text<'a>(&'a self, field: usize, _: &'a mut Vec<u8>) -> Result<&'a [u8], Reason> {
        Ok(self.get(field))
    }

    fn written(&self, field: usize) -> &[u8] {
        self.get(field)
    }

    fn quoted(&self, _: usize) -> bool {
        false
    }
}

struct CutTexts<'f> {
    fields: &'f Fields<'f>,
    /// None where the chunk needs no decoding.
    encoding: Option<Encoding>,
}

impl Texts for CutTexts<'_> {
    fn text<'a>(&'a self, field: usize, decoded: &'a mut Vec<u8>) -> Result<&'a [u8], Reason> {
        let (text, _quoted) = self.fields.get(field);
        match self.encoding {
            None => Ok(text),
            Some(encoding) => encoding.decode(text, decoded).map_err(|offset| {
                // Escapes before it are only in the file.
                let raw = self.fields.raw(field);
                let written = encoding.decode(raw, &mut Vec::new()).err();
                let place = self.fields.start(field) + written.unwrap_or(offset);
                let byte = Some(place as u64);
                Reason::Encoding { byte, encoding }
            }),
        }
    }

    fn written(&self, field: usize) -> &[u8] {
        self.fields.raw(field)
    }

    fn is_null(&self, field: usize) -> bool {
        self.fields.is_null(field)
    }

    fn quoted(&self, field: usize) -> bool {
        self.fields.get(field).1
    }
}

/// Says whether a field is a null. A null mark is compared as it reads and, escapes included (`\\N`),
/// as it is written.
fn is_null(column: &ColumnPlan, field: usize, text: &[u8], texts: &impl Texts) -> bool {
    texts.is_null(field)
        || column.nulls.contains(text)
        || column.nulls.contains(texts.written(field))
}

fn null(column: &ColumnPlan, out: &mut Vec<u8>) -> Result<(), Reason> {
    if column.not_null {
        return Err(Reason::Null);
    }
    put_null(out);
    Ok(())
}

/// Writes one value as it stands in its field. `clean`: no text holds a NUL.
fn put(
    column: &ColumnPlan,
    texts: &impl Texts,
    clean: bool,
    scratch: &mut TextScratch,
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    let text = texts.text(column.field, &mut scratch.decoded)?;
    if is_null(column, column.field, text, texts) {
        return null(column, out);
    }
    match clean {
        true => column.ty.encode_clean(text, out),
        false => column.ty.encode(text, out),
    }
    .map_err(Reason::Value)
}

/// Writes one value of a column whose source says how its values come about.
fn spelled(
    column: &ColumnPlan,
    spelling: &Spelling,
    texts: &impl Texts,
    record: u64,
    scratch: &mut TextScratch,
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    let TextScratch {
        decoded,
        made,
        buffers,
    } = scratch;
    let may_be_null = |field| spelling.null_quoted || !texts.quoted(field) || texts.is_null(field);
    let mut nullable = true;
    let text: &[u8] = match &spelling.from {
        Origin::Value(encoded) => {
            out.extend_from_slice(encoded);
            return Ok(());
        }
        Origin::Record { before } => {
            made.clear();
            // Writing to memory does not fail.
            let _ = write!(made, "{}", before + record);
            made.as_slice()
        }
        Origin::Field => {
            let text = texts.text(column.field, decoded)?;
            nullable = may_be_null(column.field);
            if nullable && is_null(column, column.field, text, texts) {
                return null(column, out);
            }
            text
        }
        Origin::Fields { fields, separator } => {
            made.clear();
            let mut parts = 0;
            for field in fields {
                let text = texts.text(*field, decoded)?;
                let nullable = may_be_null(*field);
                if nullable && is_null(column, *field, text, texts) {
                    continue;
                }
                let nulls = nullable.then_some(&column.nulls);
                let Some(part) = spelling.steps.trimmed(text, nulls) else {
                    continue;
                };
                if parts > 0 {
                    made.extend_from_slice(separator);
                }
                parts += 1;
                made.extend_from_slice(part);
            }
            if parts == 0 {
                return null(column, out);
            }
            made.as_slice()
        }
    };
    match spelling.steps.apply(text, &column.nulls, nullable, buffers) {
        Ok(Some(text)) => column.ty.encode(text, out).map_err(Reason::Value),
        Ok(None) => null(column, out),
        Err(misspelt) => Err(Reason::Spelling(misspelt)),
    }
}

//! One record to one encoded row.
//!
//! In: the fields of a record. Out: the row appended to a [`RowBuffer`], or why there is none. There
//! are two ways, which write the same: the quick one for records whose values are everyday ones,
//! and the full one, which knows every form of every type and says what is wrong. A record that the
//! quick way gives up is begun again by the full one.

use super::delimited::Fields;
use super::encoding::Encoding;
use super::money;
use super::parse::{ColumnPlan, Reason, RowPlan};
use super::plain::PlainFields;
use super::row_buffer::RowBuffer;
use crate::dataset::Spelling;
use crate::encode::quick::{Memory, Quick};
use crate::encode::{put_field_count, put_null};

/// The column, where one is to blame, and why.
pub(super) type Refused = (Option<usize>, Reason);

/// Memory that one chunk leaves to the next.
#[derive(Debug, Default)]
pub(super) struct RowScratch {
    row: Vec<u8>,
    decoded: Vec<u8>,
    amount: Vec<u8>,
    memories: Vec<Memory>,
}

/// Encodes the records of one chunk.
pub(super) struct RowEncoder<'p> {
    plan: &'p RowPlan,
    /// The chunk's text needs no decoding and holds no NUL.
    as_it_is: bool,
    columns: Vec<QuickColumn<'p>>,
    /// The columns are the first fields, one after the other.
    in_order: bool,
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
            quick: match column.spelling {
                None => Quick::of(&column.ty, &mut precisions),
                Some(_) => Quick::None,
            },
            null_below: column.nulls.longest().map_or(0, |longest| longest + 1),
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
                other(column.plan, window.get(..length)?, self.scratch, out)?
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
            return Err((None, Reason::Fields { found, wanted }));
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
        for (index, column) in self.plan.columns.iter().enumerate() {
            let refused = |reason| (Some(index), reason);
            let text = texts
                .text(column.field, &mut scratch.decoded)
                .map_err(refused)?;
            // A null mark is compared as it reads and, escapes included (`\\N`), as it is written.
            if texts.is_null(column.field)
                || column.nulls.contains(text)
                || column.nulls.contains(texts.written(column.field))
            {
                if column.not_null {
                    return Err(refused(Reason::Null));
                }
                put_null(row);
            } else {
                put(column, text, self.as_it_is, &mut scratch.amount, row).map_err(refused)?;
            }
        }
        out.append(row);
        Ok(())
    }
}

/// A value of a type without a quick way.
#[inline(never)]
fn other(
    column: &ColumnPlan,
    text: &[u8],
    scratch: &mut RowScratch,
    out: &mut [u8],
) -> Option<usize> {
    scratch.row.clear();
    put(column, text, true, &mut scratch.amount, &mut scratch.row).ok()?;
    out.get_mut(..scratch.row.len())?
        .copy_from_slice(&scratch.row);
    Some(scratch.row.len())
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
}

impl Texts for PlainFields<'_> {
    fn text<'a>(&'a self, field: usize, _: &'a mut Vec<u8>) -> Result<&'a [u8], Reason> {
        Ok(self.get(field))
    }

    fn written(&self, field: usize) -> &[u8] {
        self.get(field)
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
}

/// Writes one value that is no null. `clean`: the text holds no NUL.
fn put(
    column: &ColumnPlan,
    text: &[u8],
    clean: bool,
    amount: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    let text = match column.spelling {
        None => text,
        Some(Spelling::Money) => money::amount(text, amount).ok_or(Reason::Money)?,
    };
    match clean {
        true => column.ty.encode_clean(text, out),
        false => column.ty.encode(text, out),
    }
    .map_err(Reason::Value)
}

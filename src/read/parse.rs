//! Records of one chunk to encoded rows: a pure function, run on many chunks at once.
//!
//! In: a [`Chunk`] and the [`RowPlan`] of its object. Out: [`Parsed`]: finished COPY binary rows
//! and the rejects, both in the order of the records. Places in it count from the chunk's start;
//! whoever consumes the chunks in order adds what came before. No value of the data is kept in a
//! reject.

use super::delimited::{Cutter, Fields};
use super::dialect::Dialect;
use super::encoding::{Encoding, whole_chunk_is_utf8};
use super::money;
use super::split::Chunk;
use crate::dataset::Spelling;
use crate::encode::{Fault, Type, put_field_count, put_null};
use std::fmt;

/// Rejects of one source that are kept with their places; further ones are only counted.
pub const MAX_LISTED_REJECTS: usize = 100_000;

/// How the fields of one object become the columns of one table.
#[derive(Debug, Clone)]
pub struct RowPlan {
    pub dialect: Dialect,
    /// Fields that every record must have.
    pub fields: usize,
    /// In the order of the COPY column list.
    pub columns: Vec<ColumnPlan>,
}

/// One column of the row.
#[derive(Debug, Clone)]
pub struct ColumnPlan {
    pub name: String,
    /// Index of its field in the record.
    pub field: usize,
    pub not_null: bool,
    /// Texts that mean NULL.
    pub nulls: Vec<Vec<u8>>,
    pub spelling: Option<Spelling>,
    pub ty: Type,
}

impl ColumnPlan {
    /// A null mark is compared as it is written in the file, escapes included (`\\N`), and as it
    /// reads.
    fn is_null(&self, text: &[u8], raw: &[u8]) -> bool {
        self.nulls.iter().any(|null| null == text || null == raw)
    }
}

impl RowPlan {
    /// Most encoded bytes that one byte of input can become: the memory a chunk may need.
    ///
    /// A value of `n` bytes encodes to at most its type's expansion times `n + 1`, the one being
    /// its delimiter; so the widest field bounds the row. The field count adds two bytes a row.
    pub fn expansion(&self) -> f64 {
        let mut by_field = vec![0.0; self.fields.max(1)];
        for column in &self.columns {
            by_field[column.field] += column.ty.expansion();
        }
        by_field
            .iter()
            .fold(0.0, |most: f64, field| most.max(*field))
            + 2.0 / by_field.len() as f64
    }
}

/// What one chunk became.
#[derive(Debug, Default)]
pub struct Parsed {
    /// COPY binary rows, without header and trailer.
    pub rows: Vec<u8>,
    pub row_count: u64,
    pub records: u64,
    pub lines: u64,
    pub rejected: u64,
    /// Every rejected record, counted from the start of the chunk: a row is traced past them.
    pub rejected_records: Vec<u64>,
    /// At most [`MAX_LISTED_REJECTS`].
    pub rejects: Vec<Reject>,
}

/// A record that cannot become a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Reject {
    /// Counted from the start of the chunk, the first is 0.
    pub record: u64,
    /// Lines before the record, from the start of the chunk.
    pub line: u64,
    /// Bytes before the record, from the start of the chunk.
    pub byte: u64,
    /// Index into [`RowPlan::columns`].
    pub column: Option<usize>,
    pub reason: Reason,
}

/// Why a record was rejected.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    Fields {
        found: usize,
        wanted: usize,
    },
    Cut(super::delimited::CutFault),
    /// A byte that the encoding does not define, at this offset in the field.
    Encoding {
        offset: usize,
        encoding: Encoding,
    },
    Null,
    Money,
    Value(Fault),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Fields { found, wanted } => write!(f, "has {found} fields, expected {wanted}"),
            Reason::Cut(fault) => fault.fmt(f),
            Reason::Encoding { offset, encoding } => {
                write!(
                    f,
                    "byte {offset} of the field is not valid {}",
                    encoding.label()
                )
            }
            Reason::Null => f.write_str("is null, and the column is declared not null"),
            Reason::Money => f.write_str("is not an amount such as $1,234.00 or ($60.80)"),
            Reason::Value(fault) => write!(f, "{fault}, expected {}", fault.expected()),
        }
    }
}

/// Parses and encodes every record of a chunk.
pub fn parse(chunk: &Chunk, plan: &RowPlan) -> Parsed {
    let mut parsed = Parsed {
        rows: Vec::with_capacity(chunk.bytes.len() * 2),
        ..Parsed::default()
    };
    // One check for the whole chunk is several times cheaper than one for each field.
    let checked = match plan.dialect.encoding {
        Encoding::Utf8 => whole_chunk_is_utf8(&chunk.bytes),
        Encoding::Iso8859_1 | Encoding::Windows1252 => chunk.bytes.is_ascii(),
    };
    let mut row = RowEncoder {
        plan,
        checked,
        decoded: Vec::new(),
        amount: Vec::new(),
    };
    let mut cutter = Cutter::new(chunk, &plan.dialect);
    let mut fields = Fields::default();
    while let Some((place, cut)) = cutter.next(&mut fields) {
        let start = parsed.rows.len();
        let outcome = match cut {
            Ok(()) => row.encode(&fields, &mut parsed.rows),
            Err(fault) => Err((None, Reason::Cut(fault))),
        };
        match outcome {
            Ok(()) => parsed.row_count += 1,
            Err((column, reason)) => {
                parsed.rows.truncate(start);
                parsed.rejected += 1;
                parsed.rejected_records.push(place.record);
                if parsed.rejects.len() < MAX_LISTED_REJECTS {
                    parsed.rejects.push(Reject {
                        record: place.record,
                        line: place.line,
                        byte: place.byte,
                        column,
                        reason,
                    });
                }
            }
        }
    }
    parsed.records = cutter.records();
    parsed.lines = cutter.lines();
    parsed
}

struct RowEncoder<'p> {
    plan: &'p RowPlan,
    /// The chunk's text needs no decoding.
    checked: bool,
    decoded: Vec<u8>,
    amount: Vec<u8>,
}

impl RowEncoder<'_> {
    fn encode(
        &mut self,
        fields: &Fields,
        out: &mut Vec<u8>,
    ) -> Result<(), (Option<usize>, Reason)> {
        if fields.len() != self.plan.fields {
            let (found, wanted) = (fields.len(), self.plan.fields);
            return Err((None, Reason::Fields { found, wanted }));
        }
        put_field_count(self.plan.columns.len() as i16, out);
        for (index, column) in self.plan.columns.iter().enumerate() {
            let (raw, _quoted) = fields.get(column.field);
            let text = if self.checked {
                raw
            } else {
                let encoding = self.plan.dialect.encoding;
                match encoding.decode(raw, &mut self.decoded) {
                    Ok(text) => text,
                    Err(offset) => {
                        return Err((Some(index), Reason::Encoding { offset, encoding }));
                    }
                }
            };
            if column.is_null(text, fields.raw(column.field)) {
                if column.not_null {
                    return Err((Some(index), Reason::Null));
                }
                put_null(out);
                continue;
            }
            let text = match column.spelling {
                None => text,
                Some(Spelling::Money) => match money::amount(text, &mut self.amount) {
                    Some(amount) => amount,
                    None => return Err((Some(index), Reason::Money)),
                },
            };
            if let Err(fault) = column.ty.encode(text, out) {
                return Err((Some(index), Reason::Value(fault)));
            }
        }
        Ok(())
    }
}

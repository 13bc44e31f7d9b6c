//! Field text to values of PostgreSQL's binary COPY format.
//!
//! In: the text of one field, valid UTF-8, and the [`Type`] of its column. Out: a length word and
//! the binary value, appended to a buffer; the format is that of the manual's page on COPY and
//! of the types' receive functions.
//!
//! What is accepted is a subset of what the server's input functions accept under
//! `DateStyle = ISO`, and every accepted text gives exactly the value the server would read.
//! Whatever depends on a setting, or that the server would round, cut or drop without a word, is
//! a [`Fault`]. Pure functions without allocation per value; nulls are the caller's decision.

mod array;
mod bytea;
mod date;
mod fault;
mod float;
mod inet;
mod integer;
mod interval;
mod json;
pub mod line;
mod numeric;
pub mod quick;
pub mod row;
mod short;
mod text;
mod time;
mod timestamp;
mod uuid;

pub use fault::{Fault, Wanted};
pub use numeric::Precision;
pub use text::Labels;

/// What opens a binary COPY: the signature, no flags, no extension.
pub const COPY_HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What ends a binary COPY: a field count of -1.
pub const COPY_TRAILER: [u8; 2] = [0xff, 0xff];

/// The server takes no field of 1 GiB (`MaxAllocSize`), and adds a few bytes of its own.
const MAX_FIELD_BYTES: u32 = 0x3FFF_FFFF - 64;

/// Digits of fractional seconds when the column does not say.
const FULL_PRECISION: u8 = 6;

/// Appends a null.
#[inline]
pub fn put_null(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xff; 4]);
}

/// Appends the count of fields that opens every row.
#[inline]
pub fn put_field_count(columns: i16, out: &mut Vec<u8>) {
    out.extend_from_slice(&columns.to_be_bytes());
}

/// A column's type, with what its modifier says. Limits are in characters, precisions of times in
/// digits of fractional seconds (0 to 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric(Option<Precision>),
    Text,
    Varchar(Option<u32>),
    Bpchar(Option<u32>),
    Name,
    Date,
    Time(u8),
    Timestamp(u8),
    /// `zone`: offset in seconds east of UTC of texts that do not say theirs.
    Timestamptz {
        precision: u8,
        zone: Option<i32>,
    },
    Interval(u8),
    Uuid,
    Json,
    Jsonb,
    Bytea,
    Inet,
    Cidr,
    Enum(Labels),
    /// One-dimensional. `element_oid` is `pg_type.typelem` of the array type.
    Array {
        element: Box<Type>,
        element_oid: u32,
    },
}

impl Type {
    /// This type, reading texts without an offset as at `seconds` east of Greenwich; None unless
    /// it is `timestamptz`.
    #[must_use]
    pub fn with_zone(self, seconds: i32) -> Option<Type> {
        match self {
            Type::Timestamptz { precision, .. } => Some(Type::Timestamptz {
                precision,
                zone: Some(seconds),
            }),
            _ => None,
        }
    }

    /// Returns the built-in scalar type of a `pg_type` OID, with `pg_attribute.atttypmod` (-1:
    /// none); None if there is no encoder for it, as for `money`, `timetz`, `bit`, `xml`,
    /// `"char"`, the geometric types and intervals with restricted fields.
    ///
    /// OIDs of built-in types never change: `src/include/catalog/pg_type.dat` in PostgreSQL.
    #[must_use]
    pub fn scalar(oid: u32, typmod: i32) -> Option<Type> {
        // Lengths are stored plus the 4 bytes of a length word.
        let limit = typmod
            .checked_sub(4)
            .and_then(|limit| u32::try_from(limit).ok());
        let precision = match u8::try_from(typmod) {
            Ok(precision) => precision.min(FULL_PRECISION),
            Err(_) => FULL_PRECISION,
        };
        Some(match oid {
            16 => Type::Bool,
            17 => Type::Bytea,
            19 => Type::Name,
            20 => Type::Int8,
            21 => Type::Int2,
            23 => Type::Int4,
            25 => Type::Text,
            114 => Type::Json,
            650 => Type::Cidr,
            700 => Type::Float4,
            701 => Type::Float8,
            869 => Type::Inet,
            1042 => Type::Bpchar(limit),
            1043 => Type::Varchar(limit),
            1082 => Type::Date,
            1083 => Type::Time(precision),
            1114 => Type::Timestamp(precision),
            1184 => Type::Timestamptz {
                precision,
                zone: None,
            },
            1186 => Type::Interval(interval_precision(typmod)?),
            1700 => Type::Numeric(Precision::from_typmod(typmod)),
            2950 => Type::Uuid,
            3802 => Type::Jsonb,
            _ => return None,
        })
    }

    /// Returns the enum type of these labels.
    #[must_use]
    pub fn enumeration(labels: Vec<String>) -> Type {
        Type::Enum(Labels::new(labels))
    }

    /// Returns the one-dimensional array type of `element`, whose OID the server checks.
    #[must_use]
    pub fn array(element: Type, element_oid: u32) -> Type {
        Type::Array {
            element: Box::new(element),
            element_oid,
        }
    }

    /// Appends `text` as a value: its length as a 32-bit word, and its bytes.
    ///
    /// `text` is valid UTF-8; that is not checked again.
    ///
    /// # Errors
    /// The text is not exactly a value of this type; `out` is as it was.
    pub fn encode(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if memchr::memchr(0, text).is_some() {
            return Err(Fault::Nul);
        }
        self.encode_clean(text, out)
    }

    /// As [`Type::encode`], for a text of which the caller knows that it holds no NUL: one look at
    /// a whole chunk is cheaper than one at each field.
    ///
    /// # Errors
    /// As [`Type::encode`].
    #[inline]
    pub fn encode_clean(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = out.len();
        let result = self.put(text, out);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    #[inline]
    fn put(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if text.len() > MAX_FIELD_BYTES as usize {
            return Err(Fault::Bytes(MAX_FIELD_BYTES));
        }
        match self {
            Type::Bool => integer::put_bool(text, out),
            Type::Int2 => integer::put_int2(text, out),
            Type::Int4 => integer::put_int4(text, out),
            Type::Int8 => integer::put_int8(text, out),
            Type::Float4 => float::put_float4(text, out),
            Type::Float8 => float::put_float8(text, out),
            Type::Numeric(precision) => numeric::put_numeric(text, *precision, out),
            Type::Text => text::put_bytes(text, out),
            Type::Varchar(limit) | Type::Bpchar(limit) => text::put_limited(text, *limit, out),
            Type::Name => text::put_name(text, out),
            Type::Date => date::put_date(text, out),
            Type::Time(precision) => time::put_time(text, *precision, out),
            Type::Timestamp(precision) => timestamp::put_timestamp(text, *precision, out),
            Type::Timestamptz { precision, zone } => {
                timestamp::put_timestamptz(text, *precision, *zone, out)
            }
            Type::Interval(precision) => interval::put_interval(text, *precision, out),
            Type::Uuid => uuid::put_uuid(text, out),
            Type::Json => json::put_json(text, out),
            Type::Jsonb => json::put_jsonb(text, out),
            Type::Bytea => bytea::put_bytea(text, out),
            Type::Inet => inet::put_inet(text, out),
            Type::Cidr => inet::put_cidr(text, out),
            Type::Enum(labels) => labels.put(text, out),
            Type::Array {
                element,
                element_oid,
            } => array::put_array(text, element, *element_oid, out),
        }
    }

    /// Says whether values of this type are single numbers.
    #[must_use]
    pub fn is_number(&self) -> bool {
        matches!(
            self,
            Type::Int2 | Type::Int4 | Type::Int8 | Type::Float4 | Type::Float8 | Type::Numeric(_)
        )
    }

    /// Returns a factor that bounds memory: a text of n bytes, or a null (n = 0), encodes to at
    /// most `factor * (n + 1)` bytes, the length word included.
    ///
    /// The worst case is the shortest text: a `bigint` takes 12 bytes for one digit, so 6.
    #[must_use]
    pub fn expansion(&self) -> f64 {
        match self {
            // At least 4: a null is a length word for no text at all, and so is an empty text.
            Type::Bool
            | Type::Int2
            | Type::Int4
            | Type::Float4
            | Type::Text
            | Type::Varchar(_)
            | Type::Bpchar(_)
            | Type::Name
            | Type::Date
            | Type::Time(_)
            | Type::Timestamp(_)
            | Type::Timestamptz { .. }
            | Type::Uuid
            | Type::Json
            | Type::Jsonb
            | Type::Bytea
            | Type::Enum(_) => 4.0,
            // "1": 12 bytes for 1 + 1.
            Type::Int8 | Type::Float8 => 6.0,
            // "1": header of 12 bytes and one group for 1 + 1; more digits cost less each.
            Type::Numeric(_) => 7.0,
            // "1d": 20 bytes for 2 + 1.
            Type::Interval(_) => 20.0 / 3.0,
            // "::": 24 bytes for 2 + 1.
            Type::Inet | Type::Cidr => 8.0,
            // Elements of together m bytes with their commas (m + 1 >= 2) lie in braces: 24 bytes
            // and at most e * (m + 1) for m + 3. "{1}" and long arrays are the two ends; "{}" is
            // 16 bytes for 2 + 1.
            Type::Array { element, .. } => {
                let element = element.expansion();
                (6.0 + element / 2.0).max(element)
            }
        }
    }

    /// Returns the type's name in SQL; an enum is called `enum`, since its own name is not
    /// known here.
    #[must_use]
    pub fn sql_name(&self) -> String {
        let limited = |name: &str, limit: &Option<u32>| match limit {
            None => name.to_owned(),
            Some(limit) => format!("{name}({limit})"),
        };
        let timed = |name: &str, precision: u8, zone: &str| match precision {
            FULL_PRECISION => format!("{name}{zone}"),
            _ => format!("{name}({precision}){zone}"),
        };
        let plain = match self {
            Type::Bool => "boolean",
            Type::Int2 => "smallint",
            Type::Int4 => "integer",
            Type::Int8 => "bigint",
            Type::Float4 => "real",
            Type::Float8 => "double precision",
            Type::Numeric(None) => "numeric",
            Type::Numeric(Some(Precision { precision, scale })) => {
                return format!("numeric({precision},{scale})");
            }
            Type::Text => "text",
            Type::Varchar(limit) => return limited("character varying", limit),
            Type::Bpchar(None) => "bpchar",
            Type::Bpchar(limit) => return limited("character", limit),
            Type::Name => "name",
            Type::Date => "date",
            Type::Time(precision) => return timed("time", *precision, " without time zone"),
            Type::Timestamp(precision) => {
                return timed("timestamp", *precision, " without time zone");
            }
            Type::Timestamptz { precision, .. } => {
                return timed("timestamp", *precision, " with time zone");
            }
            Type::Interval(precision) => return timed("interval", *precision, ""),
            Type::Uuid => "uuid",
            Type::Json => "json",
            Type::Jsonb => "jsonb",
            Type::Bytea => "bytea",
            Type::Inet => "inet",
            Type::Cidr => "cidr",
            Type::Enum(_) => "enum",
            Type::Array { element, .. } => return format!("{}[]", element.sql_name()),
        };
        plain.to_owned()
    }
}

/// Digits of fractional seconds of an interval's modifier; None if its fields are restricted,
/// as in `interval day to hour`. The fields are in the upper half, all set when unrestricted,
/// the precision in the lower, all set when not given.
fn interval_precision(typmod: i32) -> Option<u8> {
    if typmod < 0 {
        return Some(FULL_PRECISION);
    }
    if typmod >> 16 & 0x7FFF != 0x7FFF {
        return None;
    }
    match typmod & 0xFFFF {
        0xFFFF => Some(FULL_PRECISION),
        precision => Some(u8::try_from(precision).ok()?.min(FULL_PRECISION)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_text_leaves_the_buffer_as_it_was() {
        let types = [
            (Type::array(Type::Int4, 23), "{1,2,x}"),
            (Type::Bytea, r"\x00zz"),
            (Type::Jsonb, "[1"),
            (Type::Numeric(None), "1x"),
            (Type::Text, "a\0"),
        ];
        for (encoder, text) in types {
            let mut out = b"before".to_vec();
            assert!(encoder.encode(text.as_bytes(), &mut out).is_err());
            assert_eq!(out, b"before");
        }
    }

    #[test]
    fn the_shortest_texts_stay_within_the_expansion() {
        let types = [
            (Type::Bool, "t"),
            (Type::Int8, "1"),
            (Type::Float8, "1"),
            (Type::Numeric(None), "1"),
            (Type::Text, ""),
            (Type::Interval(6), "1d"),
            (Type::Cidr, "::"),
            (Type::array(Type::Numeric(None), 1700), "{1}"),
            (Type::array(Type::Bool, 16), "{}"),
            (Type::array(Type::Int8, 20), "{1,2,3,4,5,6,7,8,9}"),
        ];
        for (encoder, text) in types {
            let mut out = Vec::new();
            assert_eq!(encoder.encode(text.as_bytes(), &mut out), Ok(()));
            let most = encoder.expansion() * (text.len() + 1) as f64;
            assert!(
                out.len() as f64 <= most,
                "{text:?}: {} of {most}",
                out.len()
            );
            assert!(
                encoder.expansion() >= 4.0,
                "a null is four bytes for no text"
            );
        }
    }

    #[test]
    fn modifiers_are_read() {
        assert_eq!(Type::scalar(1043, 7), Some(Type::Varchar(Some(3))));
        assert_eq!(Type::scalar(1043, -1), Some(Type::Varchar(None)));
        assert_eq!(Type::scalar(1114, 3), Some(Type::Timestamp(3)));
        assert_eq!(Type::scalar(1186, -1), Some(Type::Interval(6)));
        assert_eq!(Type::scalar(1186, 0x7FFF_0003), Some(Type::Interval(3)));
        // interval day to hour
        assert_eq!(Type::scalar(1186, (0x0408 << 16) | 0xFFFF), None);
        // money
        assert_eq!(Type::scalar(790, -1), None);
    }
}

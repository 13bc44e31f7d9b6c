//! Rows of binary COPY to lines of its text format, which are shorter where values are.
//!
//! In: rows as the encoders wrote them, and the types of their columns. Out: a line for each, of
//! the same values: PostgreSQL manual, COPY, "Text Format". It is made from the very bytes that a
//! binary COPY would send, so what is accepted, routed and sorted does not depend on the format.
//!
//! A value is spelled so that the server reads exactly it, under the settings that every session
//! of ours has: dates as ISO 8601, offsets always given. Of two such spellings the shorter one is
//! taken.

mod moment;
mod number;

use super::Type;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Bytes that no encoder writes for a row of these types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("encoded bytes are no row of the table; this is a fault of overnight")]
pub struct NoRow;

/// Appends a line for every row in `rows`, which have columns of these types.
///
/// # Errors
/// The bytes are no such rows; what was written before stays.
pub fn put_lines(rows: &[u8], types: &[Type], out: &mut Vec<u8>) -> Result<(), NoRow> {
    let mut rest = rows;
    while !rest.is_empty() {
        rest = put_line(rest, types, out).ok_or(NoRow)?;
    }
    Ok(())
}

/// Appends the row at the start of `rows`; returns the rows behind it.
fn put_line<'r>(rows: &'r [u8], types: &[Type], out: &mut Vec<u8>) -> Option<&'r [u8]> {
    let (count, mut rest) = rows.split_first_chunk()?;
    if usize::from(u16::from_be_bytes(*count)) != types.len() {
        return None;
    }
    for (place, ty) in types.iter().enumerate() {
        if place > 0 {
            out.push(b'\t');
        }
        let value;
        (value, rest) = take(rest)?;
        match value {
            None => out.extend_from_slice(b"\\N"),
            Some(value) => put(ty, value, out)?,
        }
    }
    out.push(b'\n');
    Some(rest)
}

/// Takes a length word and so many bytes off the front; a null is none.
fn take(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    match usize::try_from(i32::from_be_bytes(*length)) {
        Err(_) => Some((None, rest)),
        Ok(length) => {
            let (value, rest) = rest.split_at_checked(length)?;
            Some((Some(value), rest))
        }
    }
}

/// Appends a value as a field of a line.
#[inline]
fn put(ty: &Type, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match ty {
        Type::Text
        | Type::Varchar(_)
        | Type::Bpchar(_)
        | Type::Name
        | Type::Json
        | Type::Enum(_) => escape(value, out),
        Type::Jsonb => escape(json(value)?, out),
        Type::Bytea | Type::Array { .. } => {
            let mut text = Vec::new();
            spell(ty, value, &mut text)?;
            escape(&text, out);
        }
        // Their spellings hold nothing that is escaped.
        _ => spell(ty, value, out)?,
    }
    Some(())
}

/// Appends a value as its type's input function reads it.
fn spell(ty: &Type, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match ty {
        Type::Bool => match value {
            [0] => out.push(b'f'),
            [1] => out.push(b't'),
            _ => return None,
        },
        Type::Int2 => number::put_whole(i16::from_be_bytes(value.try_into().ok()?).into(), out),
        Type::Int4 => number::put_whole(i32::from_be_bytes(value.try_into().ok()?).into(), out),
        Type::Int8 => number::put_whole(i64::from_be_bytes(value.try_into().ok()?), out),
        Type::Float4 => {
            let value = f32::from_be_bytes(value.try_into().ok()?);
            number::put_float(value, value.is_infinite(), out)?;
        }
        Type::Float8 => {
            let value = f64::from_be_bytes(value.try_into().ok()?);
            number::put_float(value, value.is_infinite(), out)?;
        }
        Type::Numeric(precision) => number::put_numeric(value, precision.is_some(), out)?,
        Type::Text
        | Type::Varchar(_)
        | Type::Bpchar(_)
        | Type::Name
        | Type::Json
        | Type::Enum(_) => out.extend_from_slice(value),
        Type::Jsonb => out.extend_from_slice(json(value)?),
        Type::Date => moment::put_date(i32::from_be_bytes(value.try_into().ok()?), out),
        Type::Time(_) => moment::put_clock(i64::from_be_bytes(value.try_into().ok()?), out),
        Type::Timestamp(_) => {
            moment::put_timestamp(i64::from_be_bytes(value.try_into().ok()?), "", out);
        }
        Type::Timestamptz { .. } => {
            moment::put_timestamp(i64::from_be_bytes(value.try_into().ok()?), "+00", out);
        }
        Type::Interval(_) => moment::put_interval(value, out)?,
        Type::Uuid => hex(value, out),
        Type::Bytea => {
            out.extend_from_slice(b"\\x");
            hex(value, out);
        }
        Type::Inet | Type::Cidr => put_network(value, out)?,
        Type::Array { element, .. } => put_array(element, value, out)?,
    }
    Some(())
}

/// The text of a `jsonb`, behind its version.
fn json(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(&[1])
}

/// Appends a text so that it ends neither its field nor its line.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b'\\' | b'\t' | b'\n' | b'\r');
    let mut rest = text;
    while let Some(at) = rest.iter().position(special) {
        let (plain, found) = rest.split_at(at);
        out.extend_from_slice(plain);
        out.push(b'\\');
        out.push(match found.first() {
            Some(b'\t') => b't',
            Some(b'\n') => b'n',
            Some(b'\r') => b'r',
            _ => b'\\',
        });
        rest = found.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Family, bits, whether it is a `cidr`, count of address bytes, address.
fn put_network(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (&[_, bits, cidr, _], address) = value.split_first_chunk()?;
    let most = match *address {
        [a, b, c, d] => {
            write!(out, "{}", Ipv4Addr::new(a, b, c, d)).ok()?;
            32
        }
        _ => {
            let address: [u8; 16] = address.try_into().ok()?;
            write!(out, "{}", Ipv6Addr::from(address)).ok()?;
            128
        }
    };
    if bits != most || cidr == 1 {
        write!(out, "/{bits}").ok()?;
    }
    Some(())
}

/// Every element in quotes, so that none is taken for a null or ends early.
fn put_array(element: &Type, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (dimensions, rest) = value.split_first_chunk()?;
    let mut rest = match i32::from_be_bytes(*dimensions) {
        0 => &[][..],
        // Behind the flag for nulls, the element's type, length and lower bound.
        1 => rest.get(16..)?,
        _ => return None,
    };
    out.push(b'{');
    let mut text = Vec::new();
    let mut first = true;
    while !rest.is_empty() {
        if !first {
            out.push(b',');
        }
        first = false;
        let item;
        (item, rest) = take(rest)?;
        let Some(item) = item else {
            out.extend_from_slice(b"NULL");
            continue;
        };
        text.clear();
        spell(element, item, &mut text)?;
        out.push(b'"');
        for byte in &text {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(*byte);
        }
        out.push(b'"');
    }
    out.push(b'}');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::{Precision, put_field_count, put_null};
    use super::*;

    fn line(ty: &Type, text: &str) -> String {
        let mut rows = Vec::new();
        put_field_count(1, &mut rows);
        ty.encode(text.as_bytes(), &mut rows).unwrap();
        let mut out = Vec::new();
        put_lines(&rows, std::slice::from_ref(ty), &mut out).unwrap();
        let line = String::from_utf8(out).unwrap();
        line.strip_suffix('\n').unwrap().to_owned()
    }

    #[test]
    fn values_are_spelled_as_the_server_reads_them() {
        let cents = Type::Numeric(Some(Precision {
            precision: 6,
            scale: 2,
        }));
        let instant = Type::Timestamptz {
            precision: 6,
            zone: Some(-6 * 3600),
        };
        for (ty, text, expected) in [
            (Type::Bool, "yes", "t"),
            (Type::Int2, "-32768", "-32768"),
            (Type::Int8, "-9223372036854775808", "-9223372036854775808"),
            (Type::Float8, "1.50e2", "150"),
            (Type::Float8, "-0", "-0"),
            (Type::Float4, "3.4e38", "3.4e38"),
            (Type::Float4, "inf", "Infinity"),
            (cents.clone(), "4.50", "4.5"),
            (cents.clone(), "0.05", ".05"),
            (cents.clone(), "-1234.00", "-1234"),
            (cents, "0", "0"),
            (Type::Numeric(None), "4.50", "4.50"),
            (Type::Numeric(None), "0.000", "0.000"),
            (Type::Numeric(None), "100000000.0001", "100000000.0001"),
            (Type::Numeric(None), "1e1000", "1e1000"),
            (Type::Numeric(None), "1.50e-1000", "150e-1002"),
            (Type::Numeric(None), "0e-1000", "0e-1000"),
            (Type::Numeric(None), "NaN", "NaN"),
            (Type::Numeric(None), "-inf", "-Infinity"),
            (Type::Text, "a\tb\\N\n\r", "a\\tb\\\\N\\n\\r"),
            (Type::Text, "", ""),
            (Type::Text, "\\.", "\\\\."),
            (Type::Jsonb, "[1]", "[1]"),
            (Type::Bytea, r"\x00ff", r"\\x00ff"),
            (Type::Date, "2000-02-29", "2000-02-29"),
            (Type::Date, "0044-03-15 BC", "0044-03-15 BC"),
            (Type::Date, "-infinity", "-infinity"),
            (Type::Time(6), "09:05:00.250", "09:05:00.25"),
            (Type::Time(6), "24:00:00", "24:00:00"),
            (
                Type::Timestamp(6),
                "1999-12-31 23:59:59.999999",
                "1999-12-31 23:59:59.999999",
            ),
            (instant, "2026-11-21 20:00:00", "2026-11-22 02:00:00+00"),
            (
                Type::Interval(6),
                "1 year -3 days +00:00:01",
                "12 mon -3 day 00:00:01",
            ),
            (Type::Interval(6), "0 days", "00:00:00"),
            (Type::Interval(6), "-90 minutes", "-01:30:00"),
            (Type::Inet, "10.0.0.1", "10.0.0.1"),
            (Type::Inet, "10.0.0.1/8", "10.0.0.1/8"),
            (Type::Cidr, "::/0", "::/0"),
            (Type::Cidr, "10.0.0.0/32", "10.0.0.0/32"),
            (
                Type::array(Type::Text, 25),
                r#"{a,NULL,"NULL","q\"\\"}"#,
                r#"{"a",NULL,"NULL","q\\"\\\\"}"#,
            ),
            (Type::array(Type::Int4, 23), "{}", "{}"),
        ] {
            assert_eq!(line(&ty, text), expected, "{} {text:?}", ty.sql_name());
        }
    }

    #[test]
    fn rows_become_lines_and_other_bytes_do_not() {
        let types = [Type::Int4, Type::Text, Type::Text];
        let mut rows = Vec::new();
        for number in ["7", "8"] {
            put_field_count(3, &mut rows);
            Type::Int4.encode(number.as_bytes(), &mut rows).unwrap();
            put_null(&mut rows);
            Type::Text.encode(b"", &mut rows).unwrap();
        }
        let mut out = b"before\n".to_vec();
        assert_eq!(put_lines(&rows, &types, &mut out), Ok(()));
        assert_eq!(out, b"before\n7\t\\N\t\n8\t\\N\t\n");
        for end in 1..rows.len() {
            let whole = end == rows.len() / 2;
            let read = put_lines(&rows[..end], &types, &mut Vec::new());
            assert_eq!(read.is_ok(), whole, "{end}");
        }
        assert_eq!(put_lines(&rows, &types[..2], &mut Vec::new()), Err(NoRow));
    }
}

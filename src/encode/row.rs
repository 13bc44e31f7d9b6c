//! Rows of binary COPY, looked at again: for routing, sorting and counting.
//!
//! In: bytes that [`Type::encode`](super::Type::encode) and its neighbours wrote. Out: where a row
//! ends and where its fields lie. A row is a 16-bit count of fields, and for each a 32-bit length
//! (-1 for a null) and so many bytes: PostgreSQL manual, COPY, "Binary Format". Bytes that are no
//! row give `None`, never a panic.

/// Returns the length in bytes of the row at the start of `rows`.
#[inline]
pub fn row_length(rows: &[u8]) -> Option<usize> {
    let count = u16::from_be_bytes(*rows.first_chunk()?);
    let mut at = 2;
    for _ in 0..count {
        let length = i32::from_be_bytes(*rows.get(at..)?.first_chunk()?);
        at += 4 + usize::try_from(length).unwrap_or(0);
    }
    (at <= rows.len()).then_some(at)
}

/// Goes through the fields of the row at the start of `row`; a null is `None`.
#[inline]
pub fn fields(row: &[u8]) -> RowFields<'_> {
    RowFields {
        left: row
            .first_chunk()
            .map_or(0, |count| u16::from_be_bytes(*count)),
        rest: row.get(2..).unwrap_or_default(),
    }
}

/// The fields of one row, in the order of the COPY columns.
#[derive(Debug, Clone)]
pub struct RowFields<'r> {
    left: u16,
    rest: &'r [u8],
}

impl<'r> RowFields<'r> {
    /// What follows the fields that were taken.
    #[inline]
    pub fn after(self) -> &'r [u8] {
        self.rest
    }
}

impl<'r> Iterator for RowFields<'r> {
    type Item = Option<&'r [u8]>;

    #[inline]
    fn next(&mut self) -> Option<Option<&'r [u8]>> {
        self.left = self.left.checked_sub(1)?;
        let (length, rest) = self.rest.split_first_chunk()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            self.rest = rest;
            return Some(None);
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Type, put_field_count, put_null};
    use super::*;

    #[test]
    fn what_was_written_is_found_again() {
        let mut rows = Vec::new();
        put_field_count(3, &mut rows);
        Type::Int4.encode(b"7", &mut rows).unwrap();
        put_null(&mut rows);
        Type::Text.encode(b"", &mut rows).unwrap();
        let length = rows.len();
        put_field_count(0, &mut rows);
        assert_eq!(row_length(&rows), Some(length));
        let found: Vec<_> = fields(&rows).collect();
        assert_eq!(found, [Some(&[0, 0, 0, 7][..]), None, Some(&[][..])]);
        assert_eq!(row_length(&rows[length..]), Some(2));
        for end in 0..length {
            assert_eq!(row_length(&rows[..end]), None);
            assert!(fields(&rows[..end]).count() <= 3);
        }
    }
}

//! Rows for tests: two fields to sort by, and the number of the row.

use super::SortKey;
use crate::encode::{Type, put_field_count, put_null};
use proptest::prelude::*;
use std::ops::Range;

/// Rows whose right order is known.
#[derive(Debug, Clone)]
pub struct Rows {
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
struct Row {
    text: Option<String>,
    number: i64,
    place: usize,
}

impl Row {
    fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_field_count(3, &mut out);
        let mut put = |type_: Type, text: &str| type_.encode(text.as_bytes(), &mut out).unwrap();
        put(Type::Int8, &self.number.to_string());
        put(Type::Int4, &self.place.to_string());
        match &self.text {
            Some(text) => Type::Text.encode(text.as_bytes(), &mut out).unwrap(),
            None => put_null(&mut out),
        }
        out
    }
}

impl Rows {
    /// Texts of very different lengths that share their beginnings, nulls, equal rows.
    pub fn any(count: Range<usize>) -> impl Strategy<Value = Rows> {
        let text = prop_oneof![
            1 => Just(None),
            3 => "[ab]{0,3}".prop_map(Some),
            3 => "(abcdefghijkl){0,7}[ab]{0,2}".prop_map(Some),
        ];
        proptest::collection::vec((text, -2_i64..3), count).prop_map(|rows| Rows {
            rows: rows
                .into_iter()
                .enumerate()
                .map(|(place, (text, number))| Row {
                    text,
                    number,
                    place,
                })
                .collect(),
        })
    }

    /// Rows that come from the last to the first.
    pub fn counting(count: usize) -> Rows {
        let row = |place| Row {
            text: Some("the same".to_owned()),
            number: -(place as i64),
            place,
        };
        Rows {
            rows: (0..count).map(row).collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn key(&self) -> SortKey {
        SortKey::new(&[(2, &Type::Text), (0, &Type::Int8)]).unwrap()
    }

    /// The same rows in pieces.
    pub fn pieces(&self, rows: usize) -> impl Iterator<Item = Rows> {
        self.rows.chunks(rows).map(|rows| Rows {
            rows: rows.to_vec(),
        })
    }

    pub fn batches(&self, rows: usize) -> Vec<Vec<u8>> {
        let batch = |rows: &[Row]| rows.iter().flat_map(Row::encoded).collect();
        self.rows.chunks(rows.max(1)).map(batch).collect()
    }

    pub fn in_input_order(&self) -> Vec<Vec<u8>> {
        self.rows.iter().map(Row::encoded).collect()
    }

    /// As a plain stable sort has them, nulls last.
    pub fn sorted(&self) -> Vec<Vec<u8>> {
        let mut rows = self.rows.clone();
        rows.sort_by_key(|row| (row.text.is_none(), row.text.clone(), row.number));
        rows.iter().map(Row::encoded).collect()
    }

    pub fn largest(&self) -> usize {
        let lengths = self.rows.iter().map(|row| row.encoded().len());
        lengths.max().unwrap_or(0)
    }
}

/// The key of rows of one `bigint`.
pub fn numbers() -> SortKey {
    SortKey::new(&[(0, &Type::Int8)]).unwrap()
}

/// Rows of one `bigint`.
pub fn rows_of(numbers: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    for number in numbers {
        put_field_count(1, &mut out);
        Type::Int8
            .encode(number.to_string().as_bytes(), &mut out)
            .unwrap();
    }
    out
}

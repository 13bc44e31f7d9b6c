//! The values of all records, column by column.
//!
//! In: one record after the other, whatever the format. Out: what each column holds, and which
//! columns tell the records apart. Nothing of the values is kept but counts, lengths and hashes.

use super::column::Column;
use super::key::Keys;

/// One value.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'v> {
    /// `None` where the format itself says null.
    pub text: Option<&'v [u8]>,
    pub form: Form,
}

/// What the format says of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text that may be anything.
    Plain,
    /// Text that its writer declared to be text: a string of JSON.
    Text,
    /// An object or an array.
    Nested,
}

impl<'v> Cell<'v> {
    pub fn plain(text: &'v [u8]) -> Cell<'v> {
        Cell {
            text: Some(text),
            form: Form::Plain,
        }
    }
}

/// What was seen of a table.
#[derive(Debug)]
pub struct Table {
    pub rows: u64,
    pub columns: Vec<Column>,
    pub keys: Keys,
}

impl Table {
    pub fn new(columns: usize) -> Table {
        Table {
            rows: 0,
            columns: vec![Column::default(); columns],
            keys: Keys::new(columns),
        }
    }

    /// Takes one record; missing values at its end are nulls.
    pub fn observe(&mut self, cells: &[Cell]) {
        self.rows += 1;
        for (index, column) in self.columns.iter_mut().enumerate() {
            match cells.get(index) {
                Some(cell) => column.observe(cell),
                None => column.observe(&Cell {
                    text: None,
                    form: Form::Plain,
                }),
            }
        }
        let values = cells
            .iter()
            .map(|cell| cell.text.filter(|text| !text.is_empty()));
        self.keys.observe(values);
    }
}

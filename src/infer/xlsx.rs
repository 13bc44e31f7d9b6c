//! Workbooks: one sheet as a table.
//!
//! In: a whole workbook. Out: the sheet that holds most, its first row as the names of the columns.

use super::Found;
use anyhow::Result;

/// Looks at the sheets.
///
/// # Errors
/// Not the whole workbook; a damaged one; no sheet that holds anything.
#[cfg(feature = "xlsx")]
pub fn find(bytes: &[u8], whole: bool) -> Result<Found> {
    use super::cells::{Cell, Form, Table};
    use super::{Note, Setting, counted, name};
    use crate::read::container;
    use anyhow::{Context, bail, ensure};
    use calamine::{Data, Range, Reader, Xlsx};
    use std::io::Cursor;

    ensure!(
        whole,
        "the workbook is too long to be looked at: its directory stands at its end"
    );
    container::check_whole(Cursor::new(bytes)).context("read the workbook")?;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).context("read the workbook")?;
    let mut sheets: Vec<(String, Range<Data>)> = Vec::new();
    for sheet in book.sheet_names() {
        let range = book
            .worksheet_range(&sheet)
            .context("read a sheet of the workbook")?;
        if !range.is_empty() {
            sheets.push((sheet, range));
        }
    }
    let filled = sheets.len();
    let Some((sheet, range)) = sheets.into_iter().max_by_key(|(_, range)| range.height()) else {
        bail!("no sheet of the workbook holds anything");
    };
    let mut rows = range
        .rows()
        .filter(|row| row.iter().any(|cell| *cell != Data::Empty));
    let header: Vec<String> = rows
        .next()
        .unwrap_or_default()
        .iter()
        .map(spell::cell)
        .map(Option::unwrap_or_default)
        .collect();
    let mut table = Table::new(header.len());
    for row in rows {
        let texts: Vec<(Option<String>, Form)> = row
            .iter()
            .map(|cell| (spell::cell(cell), spell::form(cell)))
            .collect();
        let cells: Vec<Cell> = texts
            .iter()
            .map(|(text, form)| Cell {
                text: text.as_ref().map(String::as_bytes),
                form: *form,
            })
            .collect();
        table.observe(&cells);
    }
    let records = table.rows;
    let mut format = vec![Setting::new(
        "kind",
        "xlsx",
        Note::seen("the file is a workbook of Excel"),
    )];
    let note = match filled {
        1 => Note::seen(format!(
            "the only sheet that holds anything, {}",
            counted(records, "row")
        )),
        several => Note::guessed(format!(
            "of {several} sheets the one with the most rows, {}",
            counted(records, "row")
        )),
    };
    format.push(Setting::new("sheet", sheet, note));
    format.push(Setting::new(
        "header",
        true,
        Note::guessed("the first row that holds anything"),
    ));
    Ok(Found {
        kind: "xlsx",
        records,
        rejected: 0,
        notes: Vec::new(),
        format,
        names: name::of_header(&header),
        table,
        empty_is_null: true,
    })
}

/// This program was built without workbooks.
///
/// # Errors
/// Always.
#[cfg(not(feature = "xlsx"))]
pub fn find(_bytes: &[u8], _whole: bool) -> Result<Found> {
    anyhow::bail!(
        "this is a workbook of Excel, and this program was built without the feature `xlsx`"
    )
}

#[cfg(feature = "xlsx")]
mod spell {
    use super::super::cells::Form;
    use calamine::Data;

    /// The text of a cell; `None` where it is empty.
    pub fn cell(cell: &Data) -> Option<String> {
        Some(match cell {
            Data::Empty | Data::Error(_) => return None,
            Data::Int(value) => value.to_string(),
            // Fifteen digits are what a spreadsheet holds.
            Data::Float(value) => format!("{value:.14e}")
                .parse::<f64>()
                .unwrap_or(*value)
                .to_string(),
            Data::Bool(value) => value.to_string(),
            Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
            Data::DateTime(moment) => {
                let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
                let time = format!("{hour:02}:{minute:02}:{second:02}");
                match (moment.as_f64() < 1.0, (hour, minute, second)) {
                    (true, _) => time,
                    (false, (0, 0, 0)) => format!("{year:04}-{month:02}-{day:02}"),
                    (false, _) => format!("{year:04}-{month:02}-{day:02} {time}"),
                }
            }
        })
    }

    /// A text that a spreadsheet keeps as a text is none of its numbers.
    pub fn form(cell: &Data) -> Form {
        match cell {
            Data::String(_) => Form::Text,
            _ => Form::Plain,
        }
    }
}

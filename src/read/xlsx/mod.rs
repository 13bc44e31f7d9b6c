//! One sheet of a workbook as rows.
//!
//! In: an `.xlsx` file, which is a zip: it is kept in a temporary file first. Out: delimited text as
//! [`super::rows`] writes it, one line for each row of the sheet, so that line numbers are the
//! sheet's; rows without a cell are empty lines, which are no records. Cells are read as a
//! stream on a thread of their own; the shared strings of the workbook are in memory.
//!
//! Every part of the workbook is read to its end and compared with its length and checksum before the
//! first cell is read: the reader of cells stops at the end of the table, skips what it does not
//! understand, and takes a missing part for an empty one.
//!
//! A cell that holds an error, or a date that is none, is a fault of its record with the cell's
//! name, never its neighbours' text.

mod spell;

use super::container;
use super::faults::Faults;
use super::rows::{BLOCKS_AHEAD, BlockReader, Rows, Sent, send};
use super::spool::Spooled;
use super::text::{XlsxOptions, refused};
use calamine::{DataRef, Reader, SheetType, SheetVisible, Xlsx, XlsxError};
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

/// A sheet has no more: <https://support.microsoft.com/office/excel-specifications-and-limits-1672b34d-7043-467e-8e27-269d656771c3>
const MOST_ROWS: u32 = 1 << 20;
const MOST_COLUMNS: u32 = 1 << 14;

/// The parts of a workbook, unpacked: more is a bomb, or no table.
const MOST_UNPACKED_BYTES: u64 = 16 << 30;
/// Shared strings are held in memory.
const MOST_STRING_BYTES: u64 = 2 << 30;

type Workbook = Xlsx<BufReader<Spooled>>;

/// Opens a workbook and finds the sheet.
///
/// # Errors
/// The reader's own; the temporary file; a file that is no workbook or is protected by a password;
/// no such sheet, or several and none is named.
pub fn rows(
    input: impl Read,
    options: &XlsxOptions,
    directory: &Path,
    faults: Arc<Faults>,
) -> io::Result<BlockReader> {
    let spooled = Spooled::of(input, directory)?;
    if spooled.length() == 0 {
        // The caller says that it is empty.
        return Ok(BlockReader::new(Vec::new(), faults));
    }
    check_parts(&spooled)?;
    let mut book: Workbook = Xlsx::new(spooled.from(0)).map_err(broken)?;
    let sheet = sheet(&mut book, options.sheet.as_deref())?;
    let header_row = options.header_row;
    let (sender, receiver) = sync_channel(BLOCKS_AHEAD);
    let run = move || {
        let ended = read(&mut book, &sheet, header_row, &sender);
        // Nobody reads any more, or will see it.
        let _ = sender.send(ended.map(|()| None));
    };
    thread::Builder::new()
        .name("xlsx".into())
        .spawn(run)
        .map_err(|error| io::Error::new(error.kind(), format!("start a thread: {error}")))?;
    Ok(BlockReader::new(vec![receiver], faults))
}

/// Looks at the list of parts before one of them is unpacked, then reads each for its checksum.
fn check_parts(spooled: &Spooled) -> io::Result<()> {
    let head = spooled.exactly(0, spooled.length().min(8) as usize)?;
    if head.starts_with(&[0xD0, 0xCF, 0x11, 0xE0]) {
        return Err(refused(
            "this is an old workbook (.xls), or one with a password",
            "save it as .xlsx without a password",
        ));
    }
    let mut parts = zip::ZipArchive::new(spooled.from(0)).map_err(|_| {
        refused(
            "this is no workbook (.xlsx): it is no whole zip archive",
            "ask for a whole one, or say what it is with `kind` under [format]",
        )
    })?;
    let unpacked = parts.decompressed_size().unwrap_or(0);
    let strings = parts
        .by_name("xl/sharedStrings.xml")
        .map_or(0, |part| part.size());
    if unpacked > u128::from(MOST_UNPACKED_BYTES) || strings > MOST_STRING_BYTES {
        return Err(refused(
            "the parts of this workbook are larger than any table",
            "it is not unpacked: ask whoever delivers it what it is",
        ));
    }
    container::check_whole(spooled.clone())
}

/// The sheet to read: the one that is named, or the only visible one that holds something.
fn sheet(book: &mut Workbook, wanted: Option<&str>) -> io::Result<String> {
    let sheets: Vec<(String, bool)> = book
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.typ == SheetType::WorkSheet)
        .map(|sheet| (sheet.name.clone(), sheet.visible == SheetVisible::Visible))
        .collect();
    let list = |names: &[String]| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    };
    let all: Vec<String> = sheets.iter().map(|(name, _)| name.clone()).collect();
    if let Some(wanted) = wanted {
        return match all.iter().find(|name| *name == wanted) {
            Some(name) => Ok(name.clone()),
            None => Err(refused(
                format!("the workbook has no sheet `{wanted}`"),
                format!(
                    "it has {}: say which with `sheet` under [format]",
                    list(&all)
                ),
            )),
        };
    }
    if let [only] = all.as_slice() {
        return Ok(only.clone());
    }
    let mut filled = Vec::new();
    for (name, _) in sheets.into_iter().filter(|(_, visible)| *visible) {
        let mut cells = book.worksheet_cells_reader(&name).map_err(broken)?;
        loop {
            match cells.next_cell().map_err(broken)? {
                None => break,
                Some(cell) if *cell.get_value() == DataRef::Empty => {}
                Some(_) => {
                    filled.push(name.clone());
                    break;
                }
            }
        }
    }
    match filled.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(refused(
            "no visible sheet of the workbook holds anything",
            "name a hidden one with `sheet` under [format], if one is meant",
        )),
        _ => Err(refused(
            format!(
                "several sheets of the workbook hold something: {}",
                list(&filled)
            ),
            "say which with `sheet` under [format]",
        )),
    }
}

/// Writes all rows of a sheet; ends early when nobody reads any more.
fn read(
    book: &mut Workbook,
    sheet: &str,
    header_row: Option<usize>,
    sender: &SyncSender<Sent>,
) -> io::Result<()> {
    let since_1904 = book.has_1904_epoch();
    let mut cells = book.worksheet_cells_reader(sheet).map_err(broken)?;
    let mut table = Table {
        rows: Rows::default(),
        row: 0,
        column: 0,
        width: None,
        header_row,
    };
    let mut text = Vec::new();
    while let Some(cell) = cells.next_cell().map_err(broken)? {
        let (row, column) = cell.get_position();
        if row >= MOST_ROWS || column >= MOST_COLUMNS {
            return Err(disorder("a cell lies outside of any sheet"));
        }
        let value = cell.get_value();
        if *value == DataRef::Empty {
            continue;
        }
        if row < table.row || (row == table.row && column < table.column) {
            return Err(disorder("its cells are not in order"));
        }
        while table.row < row {
            table.end_row();
        }
        if table.rows.block.bytes.len() >= super::rows::BLOCK_BYTES
            && table.column == 0
            && !send(sender, table.rows.take())
        {
            return Ok(());
        }
        table.nulls_until(column);
        text.clear();
        match spell::put(value, since_1904, &mut text) {
            Ok(()) => table.rows.value(&text),
            Err(why) => {
                let place = spell::name(row, column);
                table.rows.fault(format!("{why} (cell {place})").into());
            }
        }
        table.column += 1;
    }
    if table.column > 0 {
        table.end_row();
    }
    send(sender, table.rows.take());
    Ok(())
}

/// The rows being written.
struct Table {
    rows: Rows,
    /// The row under way, and how many of its fields are written.
    row: u32,
    column: u32,
    /// Columns of the table, once its header was there.
    width: Option<u32>,
    header_row: Option<usize>,
}

impl Table {
    fn nulls_until(&mut self, column: u32) {
        while self.column < column {
            self.rows.null();
            self.column += 1;
        }
    }

    fn end_row(&mut self) {
        if self.column == 0 {
            self.rows.skip_line();
        } else {
            let is_header = match self.header_row {
                Some(header) => self.row as usize <= header,
                None => self.width.is_none(),
            };
            if is_header {
                self.width = Some(self.width.unwrap_or(0).max(self.column));
            }
            self.nulls_until(self.width.unwrap_or(0));
            self.rows.end();
        }
        self.row += 1;
        self.column = 0;
    }
}

fn disorder(said: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("read the workbook: {said}"))
}

/// What the reader of workbooks says, where it cannot show a value.
fn broken(error: XlsxError) -> io::Error {
    let said = match error {
        XlsxError::Password => {
            return refused("the workbook has a password", "save it without one");
        }
        XlsxError::Io(error) => return error,
        XlsxError::Zip(_) => "a part of it cannot be unpacked",
        XlsxError::Xml(_) | XlsxError::XmlAttr(_) => "a part of it is not well-formed",
        XlsxError::XmlEof(_) => "a part of it ends early",
        XlsxError::FileNotFound(_) | XlsxError::RelationshipNotFound => "a part of it is missing",
        XlsxError::NotAWorksheet(_) => "what `sheet` names is no table of cells",
        _ => "a cell is not what its type says",
    };
    disorder(said)
}

#[cfg(test)]
mod tests;

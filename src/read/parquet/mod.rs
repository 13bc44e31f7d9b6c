//! Parquet files as rows.
//!
//! In: a file of columns, whose index is at its end: it is kept in a temporary file first. Out:
//! delimited text as [`super::rows`] writes it, in the order of the file. Row groups are decoded on
//! a few threads at once, each a few blocks ahead of the reader, so memory is bounded by pages and
//! blocks and not by row groups.
//!
//! Every type of the format has a spelling that PostgreSQL reads (see `spell`); a list of scalars is
//! an array. A column of nested records has none: it is an error unless it is ignored.
//!
//! Checksums of pages are compared where the file has them (feature `crc` of the decoder). The format
//! has none for the footer, which holds the schema: only the store's checksum covers that.

mod columns;
mod spell;

use super::faults::Faults;
use super::rows::{BLOCKS_AHEAD, BlockReader, Rows, Sent, send};
use super::spool::Spooled;
use super::text::{ParquetOptions, refused};
use bytes::Bytes;
use columns::{Column, Shape};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::{ChunkReader, FileReader, Length};
use parquet::file::serialized_reader::SerializedFileReader;
use std::collections::VecDeque;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// Row groups decoded at once.
const THREADS: usize = 4;

/// Rows decoded of each column before they are written.
const BATCH_ROWS: usize = 2048;

type File = SerializedFileReader<Spooled>;

/// Opens a file.
///
/// # Errors
/// The reader's own; the temporary file; a file that is no Parquet, is encrypted or broken, or has
/// a column of nested records that nobody ignores.
pub fn rows(
    input: impl Read,
    options: &ParquetOptions,
    directory: &Path,
    faults: Arc<Faults>,
) -> io::Result<BlockReader> {
    let spooled = Spooled::of(input, directory)?;
    if spooled.length() == 0 {
        // The caller says that it is empty.
        return Ok(BlockReader::new(Vec::new(), faults));
    }
    let head = spooled.exactly(0, spooled.length().min(4) as usize)?;
    match head.as_slice() {
        b"PAR1" => {}
        b"PARE" => {
            return Err(refused(
                "this Parquet file is encrypted",
                "ask whoever delivers it for a file without encryption",
            ));
        }
        _ => {
            return Err(refused(
                "this is no Parquet file: it does not begin with PAR1",
                "say what it is with `kind` under [format]",
            ));
        }
    }
    let file = SerializedFileReader::new(spooled).map_err(broken)?;
    let shapes = columns::shapes(
        file.metadata().file_metadata().schema_descr(),
        &options.ignore,
    )?;
    check_counts(file.metadata())?;
    let groups = file.num_row_groups();
    let mut header = Rows::default();
    header.header(shapes.iter().map(|shape| shape.name.as_str()));
    let (first, from_first) = sync_channel(2);
    // There is room for both.
    let _ = first.send(Ok(Some(header.take())));
    let _ = first.send(Ok(None));
    let mut receivers = vec![from_first];
    let mut waiting = VecDeque::new();
    for group in 0..groups {
        let (sender, receiver) = sync_channel(BLOCKS_AHEAD);
        waiting.push_back((group, sender));
        receivers.push(receiver);
    }
    let work = Arc::new(Work {
        file,
        shapes,
        waiting: Mutex::new(waiting),
    });
    for _ in 0..THREADS.min(groups) {
        let work = Arc::clone(&work);
        thread::Builder::new()
            .name("parquet".into())
            .spawn(move || work.run())
            .map_err(|error| io::Error::new(error.kind(), format!("start a thread: {error}")))?;
    }
    Ok(BlockReader::new(receivers, faults))
}

/// Compares the counts of rows that the footer says several times. It has no checksum of its own, and
/// a count that is too small would lose rows in silence.
fn check_counts(metadata: &ParquetMetaData) -> io::Result<()> {
    let mut rows = 0_i64;
    for (number, group) in metadata.row_groups().iter().enumerate() {
        rows = rows.saturating_add(group.num_rows());
        // A column of lists has more values than rows.
        let fits = |column: &ColumnChunkMetaData| {
            column.column_descr().max_rep_level() > 0 || column.num_values() == group.num_rows()
        };
        if !group.columns().iter().all(fits) {
            return Err(damaged(format!(
                "the columns of row group {number} do not have its number of rows"
            )));
        }
    }
    if rows != metadata.file_metadata().num_rows() {
        return Err(damaged(
            "the row groups do not have the file's number of rows",
        ));
    }
    Ok(())
}

fn damaged(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("read Parquet data: {what}"))
}

/// What the threads share.
struct Work {
    file: File,
    shapes: Vec<Shape>,
    /// Row groups that nobody has begun. They are begun in the order in which the reader needs them,
    /// or it could wait for one that no thread is free for.
    waiting: Mutex<VecDeque<(usize, SyncSender<Sent>)>>,
}

impl Work {
    /// Decodes row groups until there are no more, or nobody reads any more.
    fn run(&self) {
        loop {
            let next = match self.waiting.lock() {
                Ok(mut waiting) => waiting.pop_front(),
                Err(_) => return,
            };
            let Some((group, sender)) = next else { return };
            let ended = self.decode(group, &sender);
            if sender.send(ended.map(|()| None)).is_err() {
                return;
            }
        }
    }

    /// Decodes one row group; ends early when nobody reads any more.
    fn decode(&self, group: usize, sender: &SyncSender<Sent>) -> io::Result<()> {
        let reader = self.file.get_row_group(group).map_err(broken)?;
        let expected = reader.metadata().num_rows();
        let mut columns = Vec::with_capacity(self.shapes.len());
        for shape in &self.shapes {
            let place = reader.metadata().column(shape.leaf);
            let start = place.dictionary_page_offset();
            // The decoder would panic.
            if start.unwrap_or(place.data_page_offset()) < 0 || place.compressed_size() < 0 {
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    format!(
                        "read Parquet data: column `{}` of row group {group} lies nowhere",
                        shape.name
                    ),
                ));
            }
            let column = reader.get_column_reader(shape.leaf).map_err(broken)?;
            columns.push(Column::new(shape, column));
        }
        let mut rows = Rows::default();
        let mut done = 0;
        while done < expected {
            let wanted = BATCH_ROWS.min((expected - done) as usize);
            for column in &mut columns {
                let read = column.read(wanted).map_err(broken)?;
                if read != wanted {
                    return Err(io::Error::new(
                        ErrorKind::InvalidData,
                        format!(
                            "read Parquet data: column `{}` of row group {group} ends {} rows early",
                            column.name(),
                            expected - done - read as i64
                        ),
                    ));
                }
            }
            for _ in 0..wanted {
                for column in &mut columns {
                    column.put(&mut rows)?;
                }
                rows.end();
                if let Some(block) = rows.full()
                    && !send(sender, block)
                {
                    return Ok(());
                }
            }
            done += wanted as i64;
        }
        send(sender, rows.take());
        Ok(())
    }
}

impl Length for Spooled {
    fn len(&self) -> u64 {
        self.length()
    }
}

impl ChunkReader for Spooled {
    type T = BufReader<Spooled>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        Ok(self.exactly(start, length)?.into())
    }
}

fn broken(error: ParquetError) -> io::Error {
    let kind = match error {
        ParquetError::EOF(_) => ErrorKind::UnexpectedEof,
        ParquetError::NYI(_) => ErrorKind::Unsupported,
        _ => ErrorKind::InvalidData,
    };
    io::Error::new(kind, format!("read Parquet data: {error}"))
}

#[cfg(test)]
mod tests;

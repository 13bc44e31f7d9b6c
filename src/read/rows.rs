//! Rows of a format that is no text, written as delimited text for the parser.
//!
//! In: values, one field after the other. Out: blocks of text in one dialect that no file is
//! declared in: fields end with 1F, records with `\n`, a backslash makes the next byte data, and a
//! field that is just 1E is a null. The first record holds the names.
//!
//! The rule that is easy to break: a value that would read as something else than itself (a null
//! mark, an empty line) is never written; it is a fault with a reason, and its record a reject.

use super::dialect::{Dialect, Escape};
use super::encoding::Encoding;
use super::faults::{Faults, Why};
use std::borrow::Cow;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

const DELIMITER: u8 = 0x1F;

/// How a null is written.
pub const NULL: &str = "\x1E";

/// Rows are handed on when they are so long.
pub const BLOCK_BYTES: usize = 256 << 10;

/// Blocks that one thread may be ahead of the reader.
pub const BLOCKS_AHEAD: usize = 4;

/// The dialect that is written here.
pub fn dialect(max_record_bytes: usize) -> Dialect {
    Dialect {
        delimiter: DELIMITER,
        quote: None,
        escape: Escape::Backslash,
        header: true,
        encoding: Encoding::Utf8,
        max_record_bytes,
        ..Dialect::default()
    }
}

/// Text of whole records, and what is wrong in it.
#[derive(Debug, Default, PartialEq)]
pub struct Block {
    pub bytes: Vec<u8>,
    /// Offsets of bytes FF in `bytes`.
    pub faults: Vec<(usize, Cow<'static, str>)>,
}

/// Writes rows of a fixed number of fields.
#[derive(Debug, Default)]
pub struct Rows {
    pub block: Block,
    /// Where the record under way begins.
    start: usize,
    fields: usize,
}

impl Rows {
    /// Writes the names as the first record.
    pub fn header<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            self.value(name.as_bytes());
        }
        self.end();
    }

    /// Adds a field of any bytes.
    pub fn value(&mut self, value: &[u8]) {
        if value == NULL.as_bytes() {
            return self.fault("is the control character 1E, which stands for null here".into());
        }
        self.delimit();
        let out = &mut self.block.bytes;
        let special = |byte: u8| matches!(byte, DELIMITER | b'\n' | b'\r' | b'\\');
        if !value.iter().any(|byte| special(*byte)) {
            out.extend_from_slice(value);
            return;
        }
        for &byte in value {
            if special(byte) {
                out.push(b'\\');
            }
            out.push(byte);
        }
    }

    /// Adds a field of text without control characters and backslashes, such as a number.
    pub fn plain(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.delimit();
        write(&mut self.block.bytes);
    }

    pub fn null(&mut self) {
        self.delimit();
        self.block.bytes.extend_from_slice(NULL.as_bytes());
    }

    /// Adds a field that cannot be a value, with the reason for its record's reject.
    pub fn fault(&mut self, why: Cow<'static, str>) {
        self.delimit();
        self.block.faults.push((self.block.bytes.len(), why));
        self.block.bytes.push(0xFF);
    }

    /// Ends the record.
    pub fn end(&mut self) {
        if self.fields == 1 && self.block.bytes.len() == self.start {
            // An empty line is no record.
            self.fields = 0;
            self.fault("is an empty text, the only field of its record".into());
        }
        self.block.bytes.push(b'\n');
        self.start = self.block.bytes.len();
        self.fields = 0;
    }

    /// Adds an empty line, which is no record.
    pub fn skip_line(&mut self) {
        self.block.bytes.push(b'\n');
        self.start = self.block.bytes.len();
        self.fields = 0;
    }

    /// Takes the whole records written so far, if they are many.
    pub fn full(&mut self) -> Option<Block> {
        (self.block.bytes.len() >= BLOCK_BYTES).then(|| self.take())
    }

    pub fn take(&mut self) -> Block {
        self.start = 0;
        std::mem::take(&mut self.block)
    }

    fn delimit(&mut self) {
        if self.fields > 0 {
            self.block.bytes.push(DELIMITER);
        }
        self.fields += 1;
    }
}

/// One element of an array literal.
pub fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// What a thread sends: blocks, and at last that there are no more.
pub type Sent = io::Result<Option<Block>>;

/// Hands on the blocks; false when nobody reads any more.
pub fn send(sender: &SyncSender<Sent>, block: Block) -> bool {
    block.bytes.is_empty() || sender.send(Ok(Some(block))).is_ok()
}

/// Reads the blocks of several threads, all of one before those of the next.
pub struct BlockReader {
    threads: std::vec::IntoIter<Receiver<Sent>>,
    thread: Option<Receiver<Sent>>,
    block: Vec<u8>,
    taken: usize,
    /// Bytes of the blocks before.
    before: u64,
    faults: Arc<Faults>,
    failed: bool,
}

impl BlockReader {
    pub fn new(threads: Vec<Receiver<Sent>>, faults: Arc<Faults>) -> BlockReader {
        let mut threads = threads.into_iter();
        BlockReader {
            thread: threads.next(),
            threads,
            block: Vec::new(),
            taken: 0,
            before: 0,
            faults,
            failed: false,
        }
    }

    /// Takes the next block; false after the last.
    fn next(&mut self) -> io::Result<bool> {
        loop {
            let Some(thread) = &self.thread else {
                return Ok(false);
            };
            match thread.recv() {
                Ok(Ok(Some(block))) => {
                    self.before += self.block.len() as u64;
                    for (at, why) in block.faults {
                        self.faults.push(self.before + at as u64, Why::Said(why));
                    }
                    (self.block, self.taken) = (block.bytes, 0);
                    return Ok(true);
                }
                Ok(Ok(None)) => self.thread = self.threads.next(),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(io::Error::other("the thread that read the file is gone")),
            }
        }
    }
}

impl Read for BlockReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::Error::other("reading failed before"));
        }
        while self.taken == self.block.len() {
            match self.next() {
                Ok(true) => {}
                Ok(false) => return Ok(0),
                Err(error) => {
                    self.failed = true;
                    return Err(error);
                }
            }
        }
        let count = out.len().min(self.block.len() - self.taken);
        out[..count].copy_from_slice(&self.block[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{Chunk, Cutter, Fields, Splitter};
    use std::sync::mpsc::sync_channel;

    fn records(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let dialect = Dialect {
            header: false,
            ..dialect(1 << 20)
        };
        let mut splitter = Splitter::new(text, &dialect, 7);
        let mut records = Vec::new();
        while let Some(chunk) = splitter.next(Vec::new()).unwrap() {
            let chunk: Chunk = chunk;
            let mut cutter = Cutter::new(&chunk, &dialect);
            let mut fields = Fields::default();
            while let Some((_, outcome)) = cutter.next(&mut fields) {
                outcome.unwrap();
                records.push(
                    (0..fields.len())
                        .map(|i| fields.get(i).0.to_vec())
                        .collect(),
                );
            }
        }
        records
    }

    #[test]
    fn every_value_reads_as_itself() {
        let values: [&[u8]; 9] = [
            b"plain",
            b"",
            b"a\x1Fb",
            b"two\nlines\r\n",
            b"\r",
            b"\\N",
            b"back\\",
            b"\x1E\x1E",
            "Zoë".as_bytes(),
        ];
        let mut rows = Rows::default();
        for value in values {
            rows.value(value);
            rows.null();
            rows.value(value);
            rows.end();
        }
        let expected: Vec<Vec<Vec<u8>>> = values
            .iter()
            .map(|value| vec![value.to_vec(), b"\x1E".to_vec(), value.to_vec()])
            .collect();
        assert_eq!(records(&rows.block.bytes), expected);
        assert_eq!(rows.block.faults, []);
    }

    #[test]
    fn what_would_read_as_something_else_is_a_fault() {
        let mut rows = Rows::default();
        rows.value(b"\x1E");
        rows.value(b"x");
        rows.end();
        rows.value(b"");
        rows.end();
        rows.skip_line();
        rows.value(b"y");
        rows.end();
        assert_eq!(rows.block.bytes, b"\xFF\x1Fx\n\xFF\n\ny\n");
        let places: Vec<usize> = rows.block.faults.iter().map(|fault| fault.0).collect();
        assert_eq!(places, [0, 4]);
    }

    #[test]
    fn blocks_of_threads_come_in_order_with_their_faults() {
        let faults = Arc::new(Faults::default());
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| sync_channel(8)).unzip();
        for (number, sender) in senders.iter().enumerate().rev() {
            for _ in 0..2 {
                let mut rows = Rows::default();
                rows.value(number.to_string().as_bytes());
                rows.fault(format!("fault of {number}").into());
                rows.end();
                assert!(send(sender, rows.take()));
            }
            sender.send(Ok(None)).unwrap();
        }
        let mut reader = BlockReader::new(receivers, Arc::clone(&faults));
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        assert_eq!(
            text,
            b"0\x1F\xFF\n0\x1F\xFF\n1\x1F\xFF\n1\x1F\xFF\n2\x1F\xFF\n2\x1F\xFF\n"
        );
        assert_eq!(faults.at(14), Some(Why::Said("fault of 1".into())));
        assert_eq!(faults.at(15), None);
    }

    #[test]
    fn a_thread_that_is_gone_is_no_end() {
        let (sender, receiver) = sync_channel(1);
        sender
            .send(Ok(Some(Block {
                bytes: b"x\n".to_vec(),
                faults: Vec::new(),
            })))
            .unwrap();
        drop(sender);
        let mut reader = BlockReader::new(vec![receiver], Arc::default());
        assert!(reader.read_to_end(&mut Vec::new()).is_err());
        assert!(reader.read(&mut [0]).is_err());
    }
}

//! Raw bytes with a buffer: to look ahead, and to tell the errors of the reader from those of the data.

use std::io::{self, BufRead, Chain, Cursor, Read};

/// How much is asked of the reader at once.
const BUFFER_BYTES: usize = 128 << 10;

/// A reader with a buffer, which knows whether an error was its own.
pub(in crate::read) struct Raw<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The reader has failed: the error that comes out of a decoder is not about the data.
    pub(super) failed: bool,
}

impl<R: Read> Raw<R> {
    pub(in crate::read) fn new(reader: R) -> Self {
        Raw {
            reader,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            failed: false,
        }
    }

    /// Looks at the next bytes without taking them: at least `wanted` (at most half the buffer), or
    /// fewer where the data ends.
    pub(in crate::read) fn peek(&mut self, wanted: usize) -> io::Result<&[u8]> {
        if self.end - self.start < wanted && self.buffer.len() - self.start < wanted {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        while self.end - self.start < wanted {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = true;
                    return Err(error);
                }
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    /// What was looked at and then the reader itself, with no buffer between.
    pub(in crate::read) fn into_rest(mut self) -> Chain<Cursor<Vec<u8>>, R> {
        self.buffer.truncate(self.end);
        let mut buffered = Cursor::new(self.buffer);
        buffered.set_position(self.start as u64);
        buffered.chain(self.reader)
    }

    /// Takes the next `count` bytes to the end of `out`; false when the data ends before.
    pub(super) fn append(&mut self, mut count: usize, out: &mut Vec<u8>) -> io::Result<bool> {
        while count > 0 {
            let buffered = self.fill_buf()?;
            if buffered.is_empty() {
                return Ok(false);
            }
            let some = buffered.len().min(count);
            out.extend_from_slice(&buffered[..some]);
            self.consume(some);
            count -= some;
        }
        Ok(true)
    }

    /// Takes the next `count` bytes away; false when the data ends before.
    pub(in crate::read) fn skip(&mut self, mut count: u64) -> io::Result<bool> {
        while count > 0 {
            let buffered = self.fill_buf()?.len();
            if buffered == 0 {
                return Ok(false);
            }
            let some = usize::try_from(count).unwrap_or(buffered).min(buffered);
            self.consume(some);
            count -= some as u64;
        }
        Ok(true)
    }
}

impl<R: Read> BufRead for Raw<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.start == self.end {
            match self.reader.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => (self.start, self.end) = (0, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = true;
                    return Err(error);
                }
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }
}

impl<R: Read> Read for Raw<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

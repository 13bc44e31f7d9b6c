//! Encoded rows of one chunk, in memory that is used again.
//!
//! In: rows, written in place or appended. Out: the bytes of all rows. Bytes behind the last row are
//! left over from earlier: they are there to be written over, and never handed out.

/// Rows, and room for more.
#[derive(Debug)]
pub(super) struct RowBuffer {
    bytes: Vec<u8>,
    length: usize,
    /// Where the last row begins.
    last: usize,
}

/// Room that is made at least.
const ROOM: usize = 64 << 10;

impl RowBuffer {
    /// Takes memory to use, and makes it as large as it will probably have to be: a little more than
    /// the rows that were in it, or `expected` bytes. Only what was not written before is zeroed.
    pub(super) fn new(mut memory: Vec<u8>, expected: usize) -> RowBuffer {
        let wanted = match memory.len() {
            0 => expected,
            before => before + before / 8 + ROOM,
        };
        memory.resize(wanted, 0);
        RowBuffer {
            bytes: memory,
            length: 0,
            last: 0,
        }
    }

    /// The bytes behind the last row.
    #[inline(always)]
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.length..).unwrap_or_default()
    }

    /// So many bytes of the room are a row now.
    #[inline(always)]
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.last = self.length;
        self.length += bytes;
    }

    pub(super) fn append(&mut self, row: &[u8]) {
        let end = self.length + row.len();
        if end > self.bytes.len() {
            let wanted = (end + ROOM).max(self.bytes.len() + self.bytes.len() / 2);
            self.bytes.resize(wanted, 0);
        }
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(row);
            self.last = self.length;
            self.length = end;
        }
    }

    /// The rows, and where the last of them begins.
    pub(super) fn finish(mut self) -> (Vec<u8>, usize) {
        self.bytes.truncate(self.length);
        (self.bytes, self.last)
    }
}

//! Memory that chunks and rows leave to those that come after them.
//!
//! A load allocates a few buffers at its start and passes them around: a fresh megabyte for every
//! chunk would cost a page fault for each 4 KiB of it.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Buffers that nobody uses now.
#[derive(Debug, Clone, Default)]
pub struct Buffers {
    idle: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// More than this are given back to the system.
const MOST_IDLE: usize = 16;
/// Buffers of long records are not kept: they would add up to more than the budget.
const LARGEST_KEPT: usize = 4 << 20;

impl Buffers {
    /// A buffer that was used before, with whatever is in it, or an empty one.
    pub fn take(&self) -> Vec<u8> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop().unwrap_or_default()
    }

    /// Gives a buffer back.
    pub fn put(&self, buffer: Vec<u8>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE && buffer.capacity() <= LARGEST_KEPT {
            idle.push(buffer);
        }
    }

    /// Bytes to send; their buffer comes back when they are sent.
    pub fn lend(&self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent {
            bytes,
            buffers: self.clone(),
        })
    }
}

struct Lent {
    bytes: Vec<u8>,
    buffers: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.buffers.put(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_bytes_are_sent() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take();
        buffer.extend_from_slice(b"rows");
        let place = buffer.as_ptr();
        let bytes = buffers.lend(buffer);
        assert_eq!(bytes, b"rows"[..]);
        assert!(buffers.take().is_empty(), "it is still lent");
        drop(bytes);
        let again = buffers.take();
        assert_eq!(again.as_ptr(), place);
    }
}

//! Decodes all members of a gzip object (RFC 1952), and accepts zero padding after the last one.
//!
//! In: raw bytes that begin with a gzip header. Out: the decoded bytes.
//! The rule that is easy to break: after a member there may be another one, zero bytes up to the
//! end, or nothing. The decoder underneath knows the first and the last of these only and calls
//! padding an invalid header, so the bytes that it took for a header are kept and looked at again.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

use super::broken;
use super::raw::Raw;

/// Checksum and length at the end of a member.
const TRAILER_BYTES: usize = 8;
/// The fixed part of the header of a member.
const HEADER_BYTES: usize = 10;

/// A reader of the decoded bytes of all members.
pub(super) struct Gzip<R> {
    decoder: MultiGzDecoder<Noted<R>>,
    state: State,
}

enum State {
    Reading,
    Ended,
    Failed,
}

impl<R: Read> Gzip<R> {
    pub(super) fn new(raw: Raw<R>) -> Self {
        Self::reading(raw, Vec::with_capacity(TRAILER_BYTES + HEADER_BYTES), false)
    }

    /// Goes on behind a member that somebody else has read.
    pub(super) fn after_member(raw: Raw<R>) -> Self {
        Self::reading(raw, vec![0; TRAILER_BYTES], true)
    }

    fn reading(raw: Raw<R>, noted: Vec<u8>, after_body: bool) -> Self {
        Gzip {
            decoder: MultiGzDecoder::new(Noted {
                raw,
                noted,
                after_body,
            }),
            state: State::Reading,
        }
    }

    /// Says whether only zero bytes followed the last member, reading on to the end of the object.
    fn is_padding(&mut self) -> io::Result<bool> {
        // Without a valid header in hand the decoder stopped at the header of a member; it was not
        // the first one if compressed data came before.
        if self.decoder.header().is_some() {
            return Ok(false);
        }
        let input = self.decoder.get_mut();
        let Some(instead) = input.noted.get(TRAILER_BYTES..) else {
            return Ok(false);
        };
        if instead.is_empty() || !is_zero(instead) || !input.after_body {
            return Ok(false);
        }
        loop {
            let rest = input.raw.fill_buf()?;
            if rest.is_empty() {
                return Ok(true);
            }
            if !is_zero(rest) {
                return Ok(false);
            }
            let count = rest.len();
            input.raw.consume(count);
        }
    }

    fn explain(&mut self, error: io::Error) -> io::Result<usize> {
        self.state = State::Failed;
        if self.decoder.get_ref().raw.failed {
            return Err(error);
        }
        if self.is_padding()? {
            self.state = State::Ended;
            return Ok(0);
        }
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Err(broken("gzip", error.kind(), "ends early"));
        }
        Err(broken("gzip", io::ErrorKind::InvalidData, error))
    }
}

impl<R: Read> Read for Gzip<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.state {
            State::Ended => Ok(0),
            State::Failed => Err(broken("gzip", io::ErrorKind::InvalidData, "failed before")),
            State::Reading => match self.decoder.read(out) {
                Ok(count) => Ok(count),
                Err(error) => self.explain(error),
            },
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// The raw bytes, with a note of the first ones taken outside of compressed data.
///
/// The decoder takes compressed data through [`BufRead`], headers and trailers through [`Read`].
/// So after a member the note holds its trailer and what stood where a next header belongs; tests
/// that cut a file at every byte hold this against another version of the decoder.
struct Noted<R> {
    raw: Raw<R>,
    noted: Vec<u8>,
    after_body: bool,
}

impl<R: Read> BufRead for Noted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.raw.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.noted.clear();
        self.after_body = true;
        self.raw.consume(count);
    }
}

impl<R: Read> Read for Noted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.raw.read(out)?;
        let room = TRAILER_BYTES + HEADER_BYTES - self.noted.len();
        self.noted.extend(out[..count].iter().take(room));
        Ok(count)
    }
}

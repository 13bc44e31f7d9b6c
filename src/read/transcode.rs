//! Turns text of any encoding into UTF-8.
//!
//! In: the bytes of one file. Out: UTF-8, as a reader, in which every malformed sequence is one byte
//! FF: no UTF-8 has it, so the field that holds it is rejected, and only that one. [`Faults`]
//! remembers at which byte of the file each stood.
//!
//! The rule that is easy to break: what comes out must not depend on how many bytes a read brings;
//! a character may be cut anywhere.

use super::encoding::Encoding;
use super::faults::{Faults, Why};
use encoding_rs::DecoderResult;
use std::io::{self, Read};
use std::sync::Arc;

/// What is asked of the raw reader at once.
const INPUT_BYTES: usize = 64 << 10;
/// Three bytes for each of one, and room for a last character.
const OUTPUT_BYTES: usize = 3 * INPUT_BYTES + 16;

/// Stands for a malformed sequence in text that is cut into fields.
pub const NO_TEXT: &[u8] = b"\xFF";

/// A reader of UTF-8.
pub struct Transcoder<R> {
    raw: R,
    input: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes of the file before `start`.
    at: u64,
    output: Box<[u8]>,
    taken: usize,
    filled: usize,
    /// Bytes given out before `output`.
    before: u64,
    way: Way,
    malformed: &'static [u8],
    faults: Arc<Faults>,
    state: State,
}

enum Way {
    Stream(Box<encoding_rs::Decoder>),
    /// Of single bytes: what 80 to FF are.
    Table(Box<[Option<char>; 128]>),
}

#[derive(PartialEq)]
enum State {
    Reading,
    /// The raw reader has ended.
    Draining,
    Ended,
}

impl<R: Read> Transcoder<R> {
    /// Prepares to read. `malformed`: what stands for a malformed sequence. Marks of byte order are
    /// text here, and come out as U+FEFF. UTF-16 of unknown byte order is read as little-endian.
    pub fn new(
        raw: R,
        encoding: Encoding,
        malformed: &'static [u8],
        faults: Arc<Faults>,
    ) -> Transcoder<R> {
        Transcoder {
            raw,
            input: vec![0; INPUT_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            at: 0,
            output: vec![0; OUTPUT_BYTES].into_boxed_slice(),
            taken: 0,
            filled: 0,
            before: 0,
            way: way(encoding),
            malformed,
            faults,
            state: State::Reading,
        }
    }

    /// Fills the output again, which was given out whole.
    fn step(&mut self) -> io::Result<()> {
        self.before += self.filled as u64;
        (self.taken, self.filled) = (0, 0);
        if self.start == self.end && self.state == State::Reading {
            let count = loop {
                match self.raw.read(&mut self.input) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other?,
                }
            };
            (self.start, self.end) = (0, count);
            if count == 0 {
                self.state = State::Draining;
            }
        }
        match &mut self.way {
            Way::Table(_) => self.by_table(),
            Way::Stream(_) => self.by_decoder(),
        }
        Ok(())
    }

    fn by_decoder(&mut self) {
        let Way::Stream(decoder) = &mut self.way else {
            return;
        };
        let last = self.state == State::Draining;
        loop {
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(
                &self.input[self.start..self.end],
                &mut self.output[self.filled..OUTPUT_BYTES - self.malformed.len()],
                last,
            );
            self.start += read;
            self.at += read as u64;
            self.filled += written;
            match result {
                DecoderResult::InputEmpty if last => {
                    self.state = State::Ended;
                    return;
                }
                DecoderResult::InputEmpty | DecoderResult::OutputFull => return,
                DecoderResult::Malformed(length, after) => {
                    let byte = self.at - u64::from(length) - u64::from(after);
                    let at = self.before + self.filled as u64;
                    self.faults.push(at, Why::Byte(byte));
                    let end = self.filled + self.malformed.len();
                    self.output[self.filled..end].copy_from_slice(self.malformed);
                    self.filled = end;
                    // Room for a whole character, or the decoder could not go on.
                    if end + 16 > OUTPUT_BYTES {
                        return;
                    }
                }
            }
        }
    }

    fn by_table(&mut self) {
        let Way::Table(table) = &self.way else {
            return;
        };
        if self.state == State::Draining {
            self.state = State::Ended;
        }
        // Three bytes for each: all of the input has room.
        while self.start < self.end {
            let rest = &self.input[self.start..self.end];
            let ascii = encoding_rs::Encoding::ascii_valid_up_to(rest);
            let end = self.filled + ascii;
            self.output[self.filled..end].copy_from_slice(&rest[..ascii]);
            self.filled = end;
            let mut used = ascii;
            for byte in rest[ascii..].iter().take_while(|byte| !byte.is_ascii()) {
                let room = &mut self.output[self.filled..];
                self.filled += match table[usize::from(byte & 0x7F)] {
                    Some(character) => character.encode_utf8(room).len(),
                    None => {
                        let (place, byte) = (self.filled as u64, used as u64);
                        self.faults
                            .push(self.before + place, Why::Byte(self.at + byte));
                        room[..self.malformed.len()].copy_from_slice(self.malformed);
                        self.malformed.len()
                    }
                };
                used += 1;
            }
            self.start += used;
            self.at += used as u64;
        }
    }
}

impl<R: Read> Read for Transcoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.filled {
            if self.state == State::Ended || out.is_empty() {
                return Ok(0);
            }
            self.step()?;
        }
        let count = out.len().min(self.filled - self.taken);
        out[..count].copy_from_slice(&self.output[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}

fn way(encoding: Encoding) -> Way {
    let stream = |found: &'static encoding_rs::Encoding| {
        Way::Stream(Box::new(found.new_decoder_without_bom_handling()))
    };
    match encoding {
        Encoding::Utf8 => stream(encoding_rs::UTF_8),
        Encoding::Utf16 => stream(encoding_rs::UTF_16LE),
        Encoding::Whatwg(found) if !found.is_single_byte() => stream(found),
        _ => {
            let mut table = Box::new([None; 128]);
            for (place, byte) in table.iter_mut().zip(0x80..=0xFF) {
                *place = match encoding {
                    Encoding::Whatwg(found) => of_single_byte(found, byte),
                    _ => encoding.of_byte(byte),
                };
            }
            Way::Table(table)
        }
    }
}

/// Browsers read the bytes that a Windows code page leaves undefined as control characters; the
/// tables of its vendor call them undefined, and a loader must too.
/// <https://www.unicode.org/Public/MAPPINGS/VENDORS/MICSFT/WINDOWS/>
fn of_single_byte(encoding: &'static encoding_rs::Encoding, byte: u8) -> Option<char> {
    let bytes = [byte];
    let text = encoding.decode_without_bom_handling_and_without_replacement(&bytes)?;
    let character = text.chars().next()?;
    let undefined =
        encoding.name().starts_with("windows-") && ('\u{80}'..='\u{9F}').contains(&character);
    (!undefined).then_some(character)
}

#[cfg(test)]
#[path = "transcode_tests.rs"]
mod tests;

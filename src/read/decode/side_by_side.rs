//! Unpacks the frames of one object on several threads, and gives their contents in order.
//!
//! In: raw bytes that begin with a frame of a [`Format`]. Out: the decoded bytes. The thread that reads
//! finds the frames and gathers them to batches of about 1 MiB of content; the threads unpack a batch
//! each. What is under way is bounded by its content. Behind the last frame that can be found so,
//! the rest is read as any other object is: so errors, padding and garbage are those of that reader.

use super::frames::Format;
use super::gzip::Gzip;
use super::raw::Raw;
use super::{broken, stream};
use flate2::bufread::MultiGzDecoder;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use zstd::bulk::Decompressor;

/// Content that makes a batch: long against the handing over, short against the memory.
const BATCH_BYTES: usize = 1 << 20;
/// Content of the batches under way, at most (one batch may be longer).
const UNDER_WAY_BYTES: usize = 32 << 20;

/// Whole frames, one behind the other.
struct Batch {
    frames: Vec<u8>,
    content_bytes: usize,
    /// Memory to unpack into.
    content: Vec<u8>,
    answer: mpsc::Sender<Unpacked>,
}

struct Unpacked {
    /// The memory, to be used again.
    frames: Vec<u8>,
    content: io::Result<Vec<u8>>,
}

/// A reader of the decoded bytes.
pub(super) struct SideBySide<R: Read> {
    format: Format,
    raw: Option<Raw<R>>,
    batches: Option<mpsc::Sender<Batch>>,
    threads: Vec<JoinHandle<()>>,
    /// Answers to come, in order, with the size of their content.
    under_way: VecDeque<(usize, mpsc::Receiver<Unpacked>)>,
    under_way_bytes: usize,
    /// Frames are no longer looked for.
    behind: Option<Behind>,
    /// The last frame found held nothing: bgzip ends so.
    last_was_empty: bool,
    now: Vec<u8>,
    given: usize,
    spare: Vec<Vec<u8>>,
    rest: Option<Rest<R>>,
    failed: bool,
}

/// What stands behind the frames.
enum Behind {
    End,
    /// Something else, for the other reader.
    Other,
    Error(io::Error),
}

enum Rest<R: Read> {
    Gzip(Box<Gzip<R>>),
    Zstd(stream::Stream<zstd::stream::read::Decoder<'static, Raw<R>>>),
}

impl<R: Read> Read for Rest<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Rest::Gzip(gzip) => gzip.read(out),
            Rest::Zstd(zstd) => zstd.read(out),
        }
    }
}

impl<R: Read> SideBySide<R> {
    /// Starts the threads.
    pub(super) fn new(format: Format, raw: Raw<R>, threads: usize) -> io::Result<Self> {
        let (batches, waiting) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let threads = (0..threads.max(1))
            .map(|_| {
                let waiting = Arc::clone(&waiting);
                thread::Builder::new()
                    .name("decompress".into())
                    .spawn(move || unpack_all(format, &waiting))
            })
            .collect::<io::Result<_>>()?;
        Ok(SideBySide {
            format,
            raw: Some(raw),
            batches: Some(batches),
            threads,
            under_way: VecDeque::new(),
            under_way_bytes: 0,
            behind: None,
            last_was_empty: false,
            now: Vec::new(),
            given: 0,
            spare: Vec::new(),
            rest: None,
            failed: false,
        })
    }

    /// Hands batches to the threads as long as there is room.
    fn hand_out(&mut self) -> io::Result<()> {
        let most = 2 * self.threads.len();
        while self.behind.is_none()
            && self.under_way.len() < most
            && (self.under_way_bytes < UNDER_WAY_BYTES || self.under_way.is_empty())
        {
            let (mut frames, mut content) = (self.memory(), self.memory());
            frames.clear();
            content.clear();
            let content_bytes = self.gather(&mut frames);
            if frames.is_empty() {
                break;
            }
            let (answer, answered) = mpsc::channel();
            let batch = Batch {
                frames,
                content_bytes,
                content,
                answer,
            };
            let sent = self.batches.as_ref().map(|batches| batches.send(batch));
            if !matches!(sent, Some(Ok(()))) {
                return Err(gone());
            }
            self.under_way_bytes += content_bytes;
            self.under_way.push_back((content_bytes, answered));
        }
        Ok(())
    }

    fn memory(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Appends whole frames; returns the size of their content.
    fn gather(&mut self, frames: &mut Vec<u8>) -> usize {
        let mut content_bytes = 0;
        let Some(raw) = &mut self.raw else { return 0 };
        // A batch of blocks without content ends too.
        while content_bytes < BATCH_BYTES && frames.len() < BATCH_BYTES {
            let length = frames.len();
            match self.format.take(raw, frames) {
                Ok(Some(content)) => {
                    content_bytes += content;
                    self.last_was_empty = content == 0;
                }
                Ok(None) => {
                    self.behind = Some(match raw.peek(1) {
                        Ok([]) if self.format == Format::Bgzip && !self.last_was_empty => {
                            Behind::Error(broken(
                                "gzip",
                                io::ErrorKind::UnexpectedEof,
                                "ends early: the empty block at the end of bgzip data is missing",
                            ))
                        }
                        Ok([]) => Behind::End,
                        Ok(_) => Behind::Other,
                        Err(error) => Behind::Error(error),
                    });
                    break;
                }
                Err(error) => {
                    frames.truncate(length);
                    self.behind = Some(Behind::Error(error));
                    break;
                }
            }
        }
        content_bytes
    }

    /// Waits for the next content; false when all frames were given.
    fn advance(&mut self) -> io::Result<bool> {
        self.hand_out()?;
        let Some((content_bytes, answer)) = self.under_way.pop_front() else {
            return Ok(false);
        };
        self.under_way_bytes -= content_bytes;
        let unpacked = answer.recv().map_err(|_| gone())?;
        let used = std::mem::replace(&mut self.now, unpacked.content?);
        self.given = 0;
        self.spare.push(unpacked.frames);
        self.spare.push(used);
        Ok(true)
    }

    fn give(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(rest) = &mut self.rest {
                return rest.read(out);
            }
            let ready = &self.now[self.given..];
            if !ready.is_empty() || out.is_empty() {
                let count = ready.len().min(out.len());
                out[..count].copy_from_slice(&ready[..count]);
                self.given += count;
                return Ok(count);
            }
            if self.advance()? {
                continue;
            }
            match self.behind.take() {
                Some(Behind::Error(error)) => return Err(error),
                Some(Behind::Other) => {
                    let raw = self.raw.take().ok_or_else(gone)?;
                    self.rest = Some(match self.format {
                        Format::Bgzip => Rest::Gzip(Box::new(Gzip::after_member(raw))),
                        Format::Zstd => Rest::Zstd(stream::zstd(raw)?),
                    });
                }
                Some(Behind::End) | None => {
                    self.behind = Some(Behind::End);
                    return Ok(0);
                }
            }
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("a thread that decompresses has ended")
}

impl<R: Read> Read for SideBySide<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            let kind = io::ErrorKind::InvalidData;
            return Err(broken(self.format.name(), kind, "failed before"));
        }
        let given = self.give(out);
        self.failed = given.is_err();
        given
    }
}

impl<R: Read> Drop for SideBySide<R> {
    fn drop(&mut self) {
        self.batches = None;
        self.under_way.clear();
        for thread in self.threads.drain(..) {
            // It has nothing to say: a batch that it lost was noticed by its missing answer.
            let _ = thread.join();
        }
    }
}

/// What one thread does until there are no more batches.
fn unpack_all(format: Format, waiting: &Mutex<mpsc::Receiver<Batch>>) {
    let mut zstd = None;
    loop {
        let batch = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(batch) = batch else { return };
        let Batch {
            frames,
            content_bytes,
            mut content,
            answer,
        } = batch;
        let done = match format {
            Format::Bgzip => inflate(&frames, content_bytes, &mut content),
            Format::Zstd => unpack_zstd(&mut zstd, &frames, content_bytes, &mut content),
        };
        // Nobody waits for it any more when the reader has gone.
        let _ = answer.send(Unpacked {
            frames,
            content: done.map(|()| content),
        });
    }
}

fn inflate(members: &[u8], content_bytes: usize, content: &mut Vec<u8>) -> io::Result<()> {
    content.resize(content_bytes, 0);
    let mut decoder = MultiGzDecoder::new(members);
    let read = decoder
        .read_exact(content)
        .and_then(|()| decoder.read(&mut [0]));
    match read {
        Ok(0) => Ok(()),
        Ok(_) => Err(wrong(Format::Bgzip, "more content than a block says")),
        Err(error) => Err(wrong(Format::Bgzip, error)),
    }
}

fn unpack_zstd(
    decompressor: &mut Option<Decompressor<'static>>,
    frames: &[u8],
    content_bytes: usize,
    content: &mut Vec<u8>,
) -> io::Result<()> {
    let decompressor = match decompressor {
        Some(decompressor) => decompressor,
        none => none.insert(Decompressor::new()?),
    };
    content.reserve_exact(content_bytes);
    match decompressor.decompress_to_buffer(frames, content) {
        Ok(count) if count == content_bytes => Ok(()),
        Ok(_) => Err(wrong(Format::Zstd, "less content than a frame says")),
        Err(error) => Err(wrong(Format::Zstd, error)),
    }
}

fn wrong(format: Format, what: impl std::fmt::Display) -> io::Error {
    broken(format.name(), io::ErrorKind::InvalidData, what)
}

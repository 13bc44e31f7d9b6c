//! What a container may expand to, and the meters that see when it is too much.
//!
//! A bomb is a small file that fills disks and memory. What comes out of every decoder is counted:
//! against the limit in bytes, and against what went in, for the decoder itself and for the whole
//! object. The count is made before the bytes are handed on, so the error comes at the limit.

use super::Refusal;
use crate::units::Bytes;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a source allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that come out of all decoders of one object, archives in archives counted at each level.
    pub expanded_bytes: u64,
    /// Bytes out for each byte in; looked at beyond 64 MiB.
    pub expansion: u64,
    /// Members of all archives of one object.
    pub members: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            expanded_bytes: 256 << 30,
            expansion: 250,
            members: 10_000,
        }
    }
}

/// Expansion is not looked at before this much came out: what is small is harmless.
const HARMLESS_BYTES: u64 = 64 << 20;

/// Why reading ended, kept from the decoders in between, which would put it into words of their own.
#[derive(Debug)]
pub(super) enum Cause {
    /// The raw reader's own error.
    Raw(io::Error),
    Refused(Refusal),
}

/// The counts of one object.
#[derive(Debug)]
pub(super) struct Meter {
    limits: Limits,
    /// Read from the raw reader.
    stored: Count,
    expanded: AtomicU64,
    members: AtomicU64,
    cause: Mutex<Option<Cause>>,
}

pub(super) type Count = Arc<AtomicU64>;

impl Meter {
    pub(super) fn new(limits: Limits) -> Arc<Meter> {
        Arc::new(Meter {
            limits,
            stored: Count::default(),
            expanded: AtomicU64::new(0),
            members: AtomicU64::new(0),
            cause: Mutex::new(None),
        })
    }

    /// What ended the reading, if it was the raw reader or a limit.
    pub(super) fn take_cause(&self) -> Option<Cause> {
        self.cause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Keeps the cause; what is returned stands for it on the way up.
    fn fail(&self, cause: Cause) -> io::Error {
        let stand_in = match &cause {
            Cause::Raw(error) => io::Error::new(error.kind(), error.to_string()),
            Cause::Refused(refusal) => io::Error::new(io::ErrorKind::InvalidData, refusal.clone()),
        };
        let mut kept = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get_or_insert(cause);
        stand_in
    }

    /// Counts members of an archive.
    pub(super) fn members(&self, more: u64) -> Result<(), Refusal> {
        let members = self.members.fetch_add(more, Ordering::Relaxed) + more;
        let most = self.limits.members;
        if members > most {
            return Err(Refusal {
                said: format!("it holds more than {most} members"),
                hint: "`max_members` under [format] allows more".into(),
            });
        }
        Ok(())
    }

    /// Counts what came out of a decoder: `own` in all, from what `input` counts.
    fn expanded(&self, more: u64, own: u64, input: &Count) -> Result<(), Refusal> {
        let expanded = self.expanded.fetch_add(more, Ordering::Relaxed) + more;
        let Limits {
            expanded_bytes,
            expansion,
            ..
        } = self.limits;
        if expanded > expanded_bytes {
            return Err(Refusal {
                said: format!("it expands to more than {}", Bytes(expanded_bytes)),
                hint: "`max_expanded_bytes` under [format] allows more".into(),
            });
        }
        let within = |out: u64, input: &Count| {
            out <= HARMLESS_BYTES || out / expansion.max(1) <= input.load(Ordering::Relaxed)
        };
        if !within(own, input) || !within(expanded, &self.stored) {
            return Err(Refusal {
                said: format!("it expands to more than {expansion} times its size"),
                hint: "what does is most likely a bomb; `max_expansion` under [format] allows more"
                    .into(),
            });
        }
        Ok(())
    }
}

/// The raw bytes, counted.
pub(super) struct Stored<R> {
    inner: R,
    meter: Arc<Meter>,
}

impl<R> Stored<R> {
    pub(super) fn new(inner: R, meter: &Arc<Meter>) -> Self {
        let meter = Arc::clone(meter);
        Stored { inner, meter }
    }
}

impl<R: Read> Read for Stored<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(out) {
            Ok(count) => {
                self.meter.stored.fetch_add(count as u64, Ordering::Relaxed);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.meter.fail(Cause::Raw(error))),
        }
    }
}

/// What goes into a decoder, counted.
pub(super) struct Taken<R> {
    inner: R,
    count: Count,
}

impl<R> Taken<R> {
    pub(super) fn new(inner: R) -> (Self, Count) {
        let count = Count::default();
        let taken = Taken {
            inner,
            count: Arc::clone(&count),
        };
        (taken, count)
    }
}

impl<R: Read> Read for Taken<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// What comes out of a decoder, counted and limited.
pub(super) struct Expanded<R> {
    inner: R,
    own: u64,
    input: Count,
    meter: Arc<Meter>,
}

impl<R> Expanded<R> {
    pub(super) fn new(inner: R, input: Count, meter: &Arc<Meter>) -> Self {
        Expanded {
            inner,
            own: 0,
            input,
            meter: Arc::clone(meter),
        }
    }
}

impl<R: Read> Read for Expanded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.own += count as u64;
        match self.meter.expanded(count as u64, self.own, &self.input) {
            Ok(()) => Ok(count),
            Err(refusal) => Err(self.meter.fail(Cause::Refused(refusal))),
        }
    }
}

//! Reads one pinned object as ranges that are fetched side by side and delivered in order.
//!
//! In: a [`RawObject`]. Out: its bytes, every one exactly once, through a channel.
//!
//! Every request names the pinned version (`If-Match`, and the version id if there is one), and
//! every answer is checked against it too, since some servers ignore `If-Match`. The SDK retries a
//! request until the headers of the answer arrive, not a body that breaks, stalls or ends early:
//! that is done here, from the first byte that is missing.
//!
//! A part is read into memory whole, in a task of its own, so that a slow consumer never looks
//! like a stalled server.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Bucket;
use crate::fetch::{BLOCK_BYTES, FetchError, RawObject, Result, Version};
use crate::switch;

/// Bytes that one request asks for. The S3 performance guidelines advise 8 to 16 MiB.
pub const PART_BYTES: u64 = 8 * 1024 * 1024;

/// Parts of one object that are in memory at a time: being fetched, waiting, or being delivered.
pub const PARTS_IN_FLIGHT: usize = 3;

/// Attempts for one part, the first one included; each continues where the last one ended.
pub const ATTEMPTS: u32 = 5;

/// Longest pause between two attempts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

impl Bucket {
    pub(in crate::fetch) async fn read(
        &self,
        object: &RawObject,
        out: mpsc::Sender<Bytes>,
    ) -> Result<()> {
        if object.size == 0 {
            return self.still_empty(object).await;
        }
        let closed = || FetchError::Closed {
            key: self.address(&object.key),
        };
        let mut ranges = ranges(object.size);
        let mut flying = VecDeque::with_capacity(PARTS_IN_FLIGHT);
        let mut sent = 0;
        loop {
            while flying.len() < PARTS_IN_FLIGHT
                && let Some(range) = ranges.next()
            {
                flying.push_back(Flying::start(self, object, range));
            }
            let Some(mut part) = flying.pop_front() else {
                break;
            };
            let mut bytes = tokio::select! {
                landed = &mut part.task => landed.unwrap_or_else(|panic| Err(FetchError::Other {
                    action: "read",
                    key: self.address(&object.key),
                    detail: panic.to_string(),
                }))?,
                () = out.closed() => return Err(closed()),
            };
            sent += bytes.len() as u64;
            while !bytes.is_empty() {
                let block = bytes.split_to(BLOCK_BYTES.min(bytes.len()));
                out.send(block).await.map_err(|_| closed())?;
            }
        }
        match sent == object.size {
            true => Ok(()),
            false => Err(self.truncated(object, sent, "the parts do not add up")),
        }
    }

    pub(in crate::fetch) async fn read_start(
        &self,
        object: &RawObject,
        bytes: u64,
    ) -> Result<Bytes> {
        match object.size.min(bytes) {
            0 => Ok(Bytes::new()),
            end => self.part(object, 0..end).await,
        }
    }

    /// There is no range of nothing: an empty object is looked at instead.
    async fn still_empty(&self, object: &RawObject) -> Result<()> {
        let head = self.head(&object.key, version_id(object)).await?;
        let length = head.content_length().and_then(|n| u64::try_from(n).ok());
        self.same_version(object, head.e_tag(), length)
    }

    /// Fetches the bytes of `range` into memory, in as many attempts as it takes.
    async fn part(&self, object: &RawObject, range: Range<u64>) -> Result<Bytes> {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut bytes = BytesMut::with_capacity(length);
        let mut attempt = 1;
        loop {
            let from = range.start + bytes.len() as u64;
            let ended = self.append(object, from..range.end, &mut bytes).await;
            let error = match ended {
                Err(error) if !error.retryable() => return Err(error),
                // Also when only the end of the answer did not come: nothing is left to ask for.
                _ if bytes.len() == length => return Ok(bytes.freeze()),
                Ok(()) => self.truncated(
                    object,
                    range.start + bytes.len() as u64,
                    "the answer ended early",
                ),
                Err(error) => error,
            };
            if attempt == ATTEMPTS {
                return Err(error);
            }
            let pause = self.backoff(attempt);
            tracing::info!(%error, attempt, ?pause, "resuming a download");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Asks for `range` once and appends what comes; `Ok` also if that is less than the range.
    async fn append(&self, object: &RawObject, range: Range<u64>, to: &mut BytesMut) -> Result<()> {
        let stall = self.0.patience.stall;
        let mut answer = self.get(object, &range).await?;
        self.check_answer(object, &range, &answer)?;
        let mut at = range.start;
        loop {
            let chunk = match tokio::time::timeout(stall, answer.body.next()).await {
                Ok(None) => return Ok(()),
                Ok(Some(Ok(chunk))) => chunk,
                Ok(Some(Err(error))) => {
                    return Err(self.truncated(object, at, &super::failure::chain(&error)));
                }
                Err(_) => {
                    return Err(FetchError::Stalled {
                        key: self.address(&object.key),
                        received: at,
                        after: stall,
                    });
                }
            };
            at += chunk.len() as u64;
            if at > range.end {
                return Err(self.broken(object, "the server sends more than was asked for"));
            }
            to.extend_from_slice(&chunk);
        }
    }

    async fn get(&self, object: &RawObject, range: &Range<u64>) -> Result<GetObjectOutput> {
        self.0
            .client
            .get_object()
            .bucket(&self.0.bucket)
            .key(self.full_key(&object.key))
            .range(format!("bytes={}-{}", range.start, range.end - 1))
            .set_version_id(version_id(object).map(str::to_owned))
            .set_if_match(
                etag(object)
                    .filter(|_| switch::on("fetch.if_match"))
                    .map(|etag| format!("\"{etag}\"")),
            )
            .set_request_payer(self.0.payer.clone())
            .set_expected_bucket_owner(self.0.owner.clone())
            .send()
            .await
            .map_err(|error| self.failure("read", &object.key, error))
    }

    /// Checks that the answer is of the pinned version and begins where it was asked to.
    fn check_answer(
        &self,
        object: &RawObject,
        asked: &Range<u64>,
        answer: &GetObjectOutput,
    ) -> Result<()> {
        let length = answer.content_length().and_then(|n| u64::try_from(n).ok());
        let (start, total) = match answer.content_range() {
            Some(text) => content_range(text)
                .ok_or_else(|| self.broken(object, "Content-Range is not one"))?,
            // A server without ranges sends everything: fine if that is what was asked for.
            None => (0, length),
        };
        self.same_version(object, answer.e_tag(), total)?;
        match start == asked.start || !switch::on("fetch.same_range") {
            true => Ok(()),
            false => Err(self.broken(object, "the server sends another range than was asked for")),
        }
    }

    fn same_version(
        &self,
        object: &RawObject,
        found: Option<&str>,
        size: Option<u64>,
    ) -> Result<()> {
        let replaced = |detail: String| {
            Err(FetchError::Replaced {
                key: self.address(&object.key),
                detail,
            })
        };
        if let (Some(pinned), Some(found)) = (etag(object), found)
            && pinned != super::bare(found)
            && switch::on("fetch.same_etag")
        {
            return replaced("its entity tag changed".to_owned());
        }
        match size {
            Some(size) if size != object.size && switch::on("fetch.same_size") => {
                replaced(format!("{size} bytes instead of {}", object.size))
            }
            _ => Ok(()),
        }
    }

    fn truncated(&self, object: &RawObject, received: u64, detail: &str) -> FetchError {
        FetchError::Truncated {
            key: self.address(&object.key),
            expected: object.size,
            received,
            detail: detail.to_owned(),
        }
    }

    fn broken(&self, object: &RawObject, detail: &str) -> FetchError {
        FetchError::Other {
            action: "read",
            key: self.address(&object.key),
            detail: detail.to_owned(),
        }
    }

    /// The pause after attempt number `attempt`: doubled each time, capped, with jitter.
    fn backoff(&self, attempt: u32) -> Duration {
        let doubled = self.0.patience.first_backoff * 2_u32.saturating_pow(attempt - 1);
        doubled
            .min(LONGEST_BACKOFF)
            .mul_f64(rand::random_range(0.5..=1.0))
    }
}

/// A part that is being fetched; dropped, it stops.
struct Flying {
    task: JoinHandle<Result<Bytes>>,
}

impl Flying {
    fn start(bucket: &Bucket, object: &RawObject, range: Range<u64>) -> Flying {
        let (bucket, object) = (bucket.clone(), object.clone());
        Flying {
            task: tokio::spawn(async move { bucket.part(&object, range).await }),
        }
    }
}

impl Drop for Flying {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn version_id(object: &RawObject) -> Option<&str> {
    match &object.version {
        Version::Object { id, .. } => id.as_deref(),
        Version::File { .. } => None,
    }
}

fn etag(object: &RawObject) -> Option<&str> {
    match &object.version {
        Version::Object { etag, .. } => etag.as_deref(),
        Version::File { .. } => None,
    }
}

/// Cuts `0..size` into parts.
fn ranges(size: u64) -> impl Iterator<Item = Range<u64>> {
    (0..size.div_ceil(PART_BYTES))
        .map(move |n| n * PART_BYTES..size.min((n + 1).saturating_mul(PART_BYTES)))
}

/// Start and total of `bytes 0-8388607/123456789`, or of `…/*` (RFC 9110, section 14.4).
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.parse().ok()?;
    match total {
        "*" => Some((start, None)),
        total => Some((start, Some(total.parse().ok()?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_an_object_without_gaps() {
        for size in [
            1,
            PART_BYTES - 1,
            PART_BYTES,
            PART_BYTES + 1,
            7 * PART_BYTES / 2,
        ] {
            let mut next = 0;
            for range in ranges(size) {
                assert_eq!(range.start, next);
                assert!(range.end > range.start && range.end - range.start <= PART_BYTES);
                next = range.end;
            }
            assert_eq!(next, size);
        }
        assert_eq!(ranges(0).count(), 0);
    }

    #[test]
    fn content_range_is_read_as_the_rfc_writes_it() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(content_range("bytes */10"), None);
        assert_eq!(content_range("items 5-9/10"), None);
    }
}

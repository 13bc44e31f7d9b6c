//! Fetches small objects before their turn, so that the time of one request is not waited for once an
//! object.
//!
//! In: the objects of one table. Out: the same objects in the same order; one of at most a part comes
//! with the request for all of its bytes under way. A larger one is fetched when it is read, in parts
//! that overlap anyway.
//!
//! The objects of a table hold together no more than their share of the memory bound: as many
//! bytes as the parts of those that are read at once. Shares are taken in file order, so the object
//! whose turn it is always has one.

use super::budget::{Budget, Share};
use crate::fetch::s3::{PART_BYTES, PARTS_IN_FLIGHT};
use crate::fetch::{BLOCK_BYTES, FetchError, Location, REQUESTS_AT_ONCE, RawObject};
use anyhow::Result;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Bytes of one object in memory while it is read, at most.
pub const OBJECT_BYTES: usize = PARTS_IN_FLIGHT * PART_BYTES as usize;

/// An object whose turn comes.
pub struct Fetched<'o> {
    pub object: &'o RawObject,
    /// The request for all of its bytes, if it is under way.
    request: Option<Request>,
    /// Held until the object is read.
    _share: Share,
}

/// A request under way; dropped, it stops.
struct Request(JoinHandle<Result<Bytes, FetchError>>);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The objects in their order, with requests under way for those that follow; `at_once`: objects that
/// are read at once.
///
/// # Errors
/// None but that of a budget that was closed, which is never done.
pub fn fetch_ahead<'o>(
    location: &'o Location,
    objects: &'o [RawObject],
    at_once: usize,
) -> impl Stream<Item = Result<Fetched<'o>>> {
    let budget = Budget::new(at_once * OBJECT_BYTES);
    stream::iter(objects)
        .then(move |object| {
            let budget = budget.clone();
            async move {
                let bytes = usize::try_from(object.size).unwrap_or(usize::MAX);
                let share = budget.take(bytes.min(OBJECT_BYTES)).await?;
                Ok(Fetched {
                    object,
                    request: Request::start(location, object),
                    _share: share,
                })
            }
        })
        // Ready at once: only the number of requests under way is bounded here.
        .map(std::future::ready)
        .buffered(REQUESTS_AT_ONCE)
}

impl Request {
    /// Only where a request takes time, and one is enough.
    fn start(location: &Location, object: &RawObject) -> Option<Request> {
        if !matches!(location, Location::S3(_)) || !(1..=PART_BYTES).contains(&object.size) {
            return None;
        }
        let (location, object) = (location.clone(), object.clone());
        let request = async move { location.read_start(&object, object.size).await };
        Some(Request(tokio::spawn(request)))
    }

    async fn bytes(mut self, key: &str) -> Result<Bytes, FetchError> {
        (&mut self.0).await.unwrap_or_else(|panic| {
            Err(FetchError::Other {
                action: "read",
                key: key.to_owned(),
                detail: panic.to_string(),
            })
        })
    }
}

impl Fetched<'_> {
    /// Sends all bytes of the object, as [`Location::read`] does.
    ///
    /// # Errors
    /// As [`Location::read`].
    pub async fn send(
        &mut self,
        location: &Location,
        out: mpsc::Sender<Bytes>,
    ) -> Result<(), FetchError> {
        let Some(request) = self.request.take() else {
            return location.read(self.object, out).await;
        };
        let mut bytes = request.bytes(&self.object.key).await?;
        while !bytes.is_empty() {
            let block = bytes.split_to(BLOCK_BYTES.min(bytes.len()));
            let closed = |_| FetchError::Closed {
                key: self.object.key.clone(),
            };
            out.send(block).await.map_err(closed)?;
        }
        Ok(())
    }
}

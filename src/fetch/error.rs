//! What can go wrong while fetching, in the terms a caller branches on.
//!
//! In: answers of S3, of the network and of the disk. Out: one [`FetchError`] whose text names the
//! object or the endpoint and says what to do.
//!
//! `Display` is the whole story: there is no `source()`, so that a chain never says it twice.
//! Only names, codes and counts go in; never a secret and never content.

use crate::printable::Printable;
use std::time::Duration;

/// The result of fetching.
pub type Result<T, E = FetchError> = std::result::Result<T, E>;

/// Why something could not be fetched. `key` is always the full address (`s3://bucket/key` or path).
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchError {
    /// The text of a location, or a key, is not one.
    #[error("`{text}` is not a usable location: {reason}")]
    BadLocation {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The bucket does not exist.
    #[error(
        "bucket `{bucket}` does not exist at `{endpoint}`: check its name, region and endpoint"
    )]
    NoBucket {
        /// The name of the bucket.
        bucket: String,
        /// Where it was looked for.
        endpoint: String,
    },
    /// The folder does not exist or is not a folder.
    #[error("`{path}` is not a folder: create it, or correct the input location")]
    NoFolder {
        /// The folder.
        path: String,
    },
    /// The object is not there (any more).
    #[error("`{shown}` does not exist", shown = Printable(key))]
    Missing {
        /// Address of the object.
        key: String,
    },
    /// The object is no longer the version that was pinned.
    #[error("`{shown}` was replaced after it was pinned ({detail}): start the run again to read the new version", shown = Printable(key))]
    Replaced {
        /// Address of the object.
        key: String,
        /// What differs.
        detail: String,
    },
    /// The credentials were understood but do not allow this, or are not right.
    #[error("access to `{shown}` denied ({code}): {advice}", shown = Printable(key))]
    Denied {
        /// Address of the object or of the prefix.
        key: String,
        /// The error code of the server, or the HTTP status.
        code: String,
        /// What to check.
        advice: &'static str,
    },
    /// No credentials were found.
    #[error("find AWS credentials for `{shown}`: {detail}; tried {tried}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, give the machine a role, or ask for anonymous access to public data", shown = Printable(key))]
    Credentials {
        /// Address of the location.
        key: String,
        /// The providers that were asked, in order.
        tried: &'static str,
        /// What the chain of providers said.
        detail: String,
    },
    /// Fewer bytes came than the object has, after all attempts.
    #[error("`{shown}` ended at byte {received} of {expected} ({detail})", shown = Printable(key))]
    Truncated {
        /// Address of the object.
        key: String,
        /// Bytes in the pinned version.
        expected: u64,
        /// Offset of the first byte that did not come.
        received: u64,
        /// How it ended.
        detail: String,
    },
    /// The bytes that came do not have the checksum that the store keeps.
    #[error("`{shown}` does not match its stored {kind} checksum (stored {stored}, computed {computed}): the content was damaged in the store or on the way", shown = Printable(key))]
    Corrupt {
        /// Key of the object.
        key: String,
        /// Which checksum.
        kind: super::ChecksumKind,
        /// What the store keeps, in base64.
        stored: String,
        /// What the bytes give, in base64.
        computed: String,
    },
    /// No connection, or no answer.
    #[error("reach `{endpoint}`: {detail}; check the endpoint, the network and the proxy")]
    Unreachable {
        /// The server that was called.
        endpoint: String,
        /// What the network said.
        detail: String,
    },
    /// The connection stayed open, but no byte came.
    #[error("`{shown}` stalled at byte {received}: nothing came for {after:?}", shown = Printable(key))]
    Stalled {
        /// Address of the object.
        key: String,
        /// Offset of the first byte that did not come.
        received: u64,
        /// The limit that was waited for.
        after: Duration,
    },
    /// The server answered that it cannot serve now (5xx, 408, 429), after all attempts.
    #[error("`{endpoint}` cannot serve `{shown}` now: {status} {code}", shown = Printable(key))]
    Server {
        /// The server that answered.
        endpoint: String,
        /// Address of the object or of the prefix.
        key: String,
        /// HTTP status.
        status: u16,
        /// The error code of the server.
        code: String,
    },
    /// The receiver of the bytes is gone.
    #[error("reading `{shown}` was given up by its reader", shown = Printable(key))]
    Closed {
        /// Address of the object.
        key: String,
    },
    /// Anything else.
    #[error("{action} `{shown}`: {detail}", shown = Printable(key))]
    Other {
        /// A verb phrase.
        action: &'static str,
        /// Address of the object, prefix or file.
        key: String,
        /// What was said.
        detail: String,
    },
}

impl FetchError {
    /// Whether the same request can succeed later with nothing changed by a human.
    pub fn retryable(&self) -> bool {
        matches!(
            self,
            FetchError::Truncated { .. }
                | FetchError::Unreachable { .. }
                | FetchError::Stalled { .. }
                | FetchError::Server { .. }
        )
    }

    /// An error of the disk.
    pub(super) fn disk(
        action: &'static str,
        path: &std::path::Path,
        error: &std::io::Error,
    ) -> FetchError {
        let key = path.display().to_string();
        match error.kind() {
            std::io::ErrorKind::NotFound => FetchError::Missing { key },
            std::io::ErrorKind::PermissionDenied => FetchError::Denied {
                key,
                code: "permission denied".to_owned(),
                advice: "the user that runs this program needs to read it",
            },
            _ => FetchError::Other {
                action,
                key,
                detail: error.to_string(),
            },
        }
    }
}

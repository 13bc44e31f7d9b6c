//! S3, or a server that speaks its protocol, as the place of raw files.
//!
//! In: `bucket/prefix/` and [`S3Options`]. Out: listings, pinned versions, bytes, uploads.
//! This folder is the only user of the S3 client; the types of the client stay inside.
//!
//! `client` makes the client, `parts` reads, `upload` writes, `failure` turns what the client
//! says into a [`FetchError`].

use std::fmt;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ChecksumMode, ChecksumType, RequestPayer};
use jiff::Timestamp;

use super::digest;
use super::{Checksum, ChecksumKind, FetchError, Listed, RawObject, Result, Version};

mod client;
mod failure;
mod parts;
mod upload;

pub use client::{Keys, PathStyle, Patience, S3Options};
pub use parts::{ATTEMPTS, PART_BYTES, PARTS_IN_FLIGHT};
pub use upload::Upload;

/// A bucket and a prefix, with a client that may read it. Cheap to clone.
#[derive(Clone)]
pub struct Bucket(Arc<Inner>);

struct Inner {
    client: Client,
    bucket: String,
    /// Empty, or ending with `/`.
    prefix: String,
    /// For messages.
    endpoint: String,
    payer: Option<RequestPayer>,
    owner: Option<String>,
    patience: Patience,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.0.bucket, self.0.prefix)
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({self} at {})", self.0.endpoint)
    }
}

impl Bucket {
    /// Opens `rest` (`bucket/prefix`) of the location `text`.
    pub(super) async fn open(text: &str, rest: &str, options: &S3Options) -> Result<Bucket> {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(FetchError::BadLocation {
                text: text.to_owned(),
                reason: "expected `s3://bucket/prefix/`",
            });
        }
        let made = client::make(text, options).await?;
        Ok(Bucket(Arc::new(Inner {
            client: made.client,
            bucket: bucket.to_owned(),
            prefix: super::folder_prefix(prefix),
            endpoint: made.endpoint,
            payer: options.request_payer.then_some(RequestPayer::Requester),
            owner: options.expected_bucket_owner.clone(),
            patience: options.patience.clone(),
        })))
    }

    pub(super) async fn list(&self, under: &str) -> Result<Vec<Listed>> {
        let prefix = format!("{}{}", self.0.prefix, super::folder_prefix(under));
        let mut found = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = self
                .0
                .client
                .list_objects_v2()
                .bucket(&self.0.bucket)
                .prefix(&prefix)
                .set_continuation_token(next.take())
                .set_request_payer(self.0.payer.clone())
                .set_expected_bucket_owner(self.0.owner.clone())
                .customize()
                .config_override(self.0.patience.small_answers())
                .send()
                .await
                .map_err(|e| self.failure("list", under, e))?;
            for object in page.contents() {
                let Some(key) = object.key().and_then(|k| k.strip_prefix(&self.0.prefix)) else {
                    continue;
                };
                // Consoles make an empty object `folder/` to show an empty folder.
                if key.is_empty() || key.ends_with('/') {
                    continue;
                }
                found.push(Listed {
                    key: key.to_owned(),
                    size: self.size(key, object.size())?,
                    etag: object.e_tag().map(bare),
                    modified: timestamp(object.last_modified()),
                });
            }
            match page.next_continuation_token() {
                Some(token) if page.is_truncated() == Some(true) => next = Some(token.to_owned()),
                Some(_) | None if page.is_truncated() == Some(true) => {
                    return Err(FetchError::Other {
                        action: "list",
                        key: self.address(under),
                        detail: "the server left out the token of the next page".to_owned(),
                    });
                }
                _ => break,
            }
        }
        // S3 lists in the order of the bytes; directory buckets and some other servers do not.
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    pub(super) async fn names(&self) -> Result<Vec<String>> {
        let page = self
            .0
            .client
            .list_objects_v2()
            .bucket(&self.0.bucket)
            .prefix(&self.0.prefix)
            .delimiter("/")
            .set_request_payer(self.0.payer.clone())
            .set_expected_bucket_owner(self.0.owner.clone())
            .customize()
            .config_override(self.0.patience.small_answers())
            .send()
            .await
            .map_err(|e| self.failure("list", "", e))?;
        let folders = page
            .common_prefixes()
            .iter()
            .filter_map(|folder| folder.prefix());
        let objects = page.contents().iter().filter_map(|object| object.key());
        let names = folders
            .chain(objects)
            .filter_map(|name| name.strip_prefix(&self.0.prefix));
        Ok(names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect())
    }

    pub(super) async fn pin(&self, key: &str) -> Result<RawObject> {
        let head = self.head(key, None).await?;
        Ok(RawObject {
            key: key.to_owned(),
            size: self.size(key, head.content_length())?,
            modified: timestamp(head.last_modified()),
            checksum: full_object_checksum(&head),
            version: Version::Object {
                // A bucket whose versioning was never on, or is off, says `null` or nothing.
                id: head
                    .version_id()
                    .filter(|id| *id != "null")
                    .map(str::to_owned),
                etag: head.e_tag().map(bare),
            },
        })
    }

    pub(super) async fn exists(&self, key: &str) -> Result<Option<Listed>> {
        match self.head(key, None).await {
            Ok(head) => Ok(Some(Listed {
                key: key.to_owned(),
                size: self.size(key, head.content_length())?,
                etag: head.e_tag().map(bare),
                modified: timestamp(head.last_modified()),
            })),
            Err(FetchError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks what is under `key`, of the version `id` if there is one.
    async fn head(&self, key: &str, id: Option<&str>) -> Result<HeadObjectOutput> {
        self.0
            .client
            .head_object()
            .bucket(&self.0.bucket)
            .key(self.full_key(key))
            .set_version_id(id.map(str::to_owned))
            .checksum_mode(ChecksumMode::Enabled)
            .set_request_payer(self.0.payer.clone())
            .set_expected_bucket_owner(self.0.owner.clone())
            .customize()
            .config_override(self.0.patience.small_answers())
            .send()
            .await
            .map_err(|e| self.failure("look at", key, e))
    }

    /// The key in the bucket of a key relative to the location.
    fn full_key(&self, key: &str) -> String {
        format!("{}{key}", self.0.prefix)
    }

    /// How messages name an object.
    fn address(&self, key: &str) -> String {
        format!("{self}{key}")
    }

    fn size(&self, key: &str, size: Option<i64>) -> Result<u64> {
        size.and_then(|size| u64::try_from(size).ok())
            .ok_or_else(|| FetchError::Other {
                action: "look at",
                key: self.address(key),
                detail: "the server does not say how many bytes it has".to_owned(),
            })
    }
}

/// The strongest checksum of the whole content that the answer has.
///
/// The sum of a multipart upload can be a sum of the sums of its parts (`COMPOSITE`, written with
/// `-` and the number of parts): that says nothing about bytes that are read in other ranges.
fn full_object_checksum(head: &HeadObjectOutput) -> Option<Checksum> {
    let full = match head.checksum_type() {
        Some(ChecksumType::FullObject) => true,
        Some(_) => false,
        // Servers that know no types: an entity tag with `-` tells of a multipart upload.
        None => !head.e_tag().is_some_and(|etag| etag.contains('-')),
    };
    let sums = [
        (ChecksumKind::Sha256, head.checksum_sha256()),
        (ChecksumKind::Crc64Nvme, head.checksum_crc64_nvme()),
        (ChecksumKind::Crc32c, head.checksum_crc32_c()),
        (ChecksumKind::Crc32, head.checksum_crc32()),
    ];
    sums.into_iter()
        .filter(|_| full)
        .find_map(|(kind, value)| Some((kind, value.filter(|value| !value.contains('-'))?)))
        .map(|(kind, value)| Checksum {
            kind,
            base64: value.to_owned(),
        })
        .or_else(|| md5(head))
}

/// The MD5 of an object without a checksum: its entity tag, if it was put at once and is not encrypted.
///
/// "The ETag may or may not be an MD5 digest of the object data" (Amazon S3 API Reference, "Object"): it
/// is one without encryption, and with SSE-S3 at Amazon; not with SSE-KMS and SSE-C, and not
/// after a multipart upload. Other servers that encrypt keep the MD5 of something else, so that
/// there any encryption counts. Tags of another form are no checksum.
fn md5(head: &HeadObjectOutput) -> Option<Checksum> {
    let is_plain =
        head.server_side_encryption().is_none() && head.sse_customer_algorithm().is_none();
    let tag = head
        .e_tag()
        .filter(|tag| is_plain && !tag.starts_with("W/"))?;
    digest::md5_of_tag(&bare(tag))
}

/// An entity tag without its quotes, and without the mark of a weak one that proxies add.
fn bare(etag: &str) -> String {
    let strong = etag.strip_prefix("W/").unwrap_or(etag);
    strong.trim_matches('"').to_owned()
}

fn timestamp(time: Option<&DateTime>) -> Timestamp {
    time.and_then(|time| {
        Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).unwrap_or(0)).ok()
    })
    .unwrap_or(Timestamp::UNIX_EPOCH)
}

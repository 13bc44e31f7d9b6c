//! Writes one object: small ones with one `PutObject`, others as a multipart upload. Removes one.
//!
//! In: bytes. Out: an object that appears whole or not at all. Holds up to one part in memory;
//! parts are sent one after another and retried by the SDK. Each request carries the CRC-64/NVME of
//! its bytes, and the end of a multipart upload that of the whole object: the store refuses what does
//! not have it, and keeps it for those who read.
//!
//! S3 allows 10,000 parts (Amazon S3 User Guide, "multipart upload limits"): 78 GiB here.
//! An upload that was begun and never ended keeps its parts, and costs, until it is aborted:
//! dropping one aborts it if the runtime still runs; a lifecycle rule of the bucket does the rest.

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};

use super::{Bucket, PART_BYTES};
use crate::fetch::digest::{Sum, crc64nvme};
use crate::fetch::{FetchError, Result};

/// An object that is being written.
#[derive(Debug)]
pub struct Upload {
    bucket: Bucket,
    key: String,
    buffer: BytesMut,
    /// The id of a multipart upload that is neither completed nor aborted.
    begun: Option<String>,
    parts: Vec<CompletedPart>,
    /// CRC-64/NVME of all parts so far.
    sum: Sum,
}

impl Bucket {
    pub(in crate::fetch) fn writer(&self, key: &str) -> Upload {
        Upload {
            bucket: self.clone(),
            key: key.to_owned(),
            buffer: BytesMut::new(),
            begun: None,
            parts: Vec::new(),
            sum: Sum::default(),
        }
    }

    pub(in crate::fetch) async fn remove(&self, key: &str) -> Result<()> {
        let removed = self
            .0
            .client
            .delete_object()
            .bucket(&self.0.bucket)
            .key(self.full_key(key))
            .set_request_payer(self.0.payer.clone())
            .set_expected_bucket_owner(self.0.owner.clone())
            .customize()
            .config_override(self.0.patience.small_answers())
            .send()
            .await
            .map_err(|e| self.failure("remove", key, e));
        match removed {
            // S3 itself does not say so; other servers may.
            Ok(_) | Err(FetchError::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Upload {
    pub(in crate::fetch) async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        let part_bytes = usize::try_from(PART_BYTES).unwrap_or(usize::MAX);
        while !bytes.is_empty() {
            // Only when more follows is a full buffer sent: an object of one part is put at once.
            if self.buffer.len() == part_bytes {
                self.send_part().await?;
            }
            let room = part_bytes - self.buffer.len();
            self.buffer
                .extend_from_slice(&bytes.split_to(room.min(bytes.len())));
        }
        Ok(())
    }

    pub(in crate::fetch) async fn finish(mut self) -> Result<()> {
        if self.begun.is_none() {
            return self.put().await;
        }
        if !self.buffer.is_empty() {
            self.send_part().await?;
        }
        let inner = &self.bucket.0;
        let parts = std::mem::take(&mut self.parts);
        inner
            .client
            .complete_multipart_upload()
            .bucket(&inner.bucket)
            .key(self.bucket.full_key(&self.key))
            .set_upload_id(self.begun.clone())
            .checksum_type(ChecksumType::FullObject)
            .checksum_crc64_nvme(self.sum.base64())
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts))
                    .build(),
            )
            .set_request_payer(inner.payer.clone())
            .set_expected_bucket_owner(inner.owner.clone())
            .send()
            .await
            .map_err(|e| self.bucket.failure("finish writing", &self.key, e))?;
        self.begun = None;
        Ok(())
    }

    async fn put(&mut self) -> Result<()> {
        let inner = &self.bucket.0;
        let body = std::mem::take(&mut self.buffer).freeze();
        inner
            .client
            .put_object()
            .bucket(&inner.bucket)
            .key(self.bucket.full_key(&self.key))
            .checksum_crc64_nvme(crc64nvme(&body))
            .body(body.into())
            .set_request_payer(inner.payer.clone())
            .set_expected_bucket_owner(inner.owner.clone())
            .send()
            .await
            .map_err(|e| self.bucket.failure("write", &self.key, e))?;
        Ok(())
    }

    async fn send_part(&mut self) -> Result<()> {
        let upload_id = self.begin().await?;
        let inner = &self.bucket.0;
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let body = std::mem::take(&mut self.buffer).freeze();
        let sum = crc64nvme(&body);
        self.sum.update(&body);
        let sent = inner
            .client
            .upload_part()
            .bucket(&inner.bucket)
            .key(self.bucket.full_key(&self.key))
            .upload_id(upload_id)
            .part_number(number)
            .checksum_crc64_nvme(&sum)
            .body(body.into())
            .set_request_payer(inner.payer.clone())
            .set_expected_bucket_owner(inner.owner.clone())
            .send()
            .await
            .map_err(|e| self.bucket.failure("write", &self.key, e))?;
        self.parts.push(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(sent.e_tag)
                .checksum_crc64_nvme(sum)
                .build(),
        );
        Ok(())
    }

    /// The id of the multipart upload, which begins with its first part.
    async fn begin(&mut self) -> Result<String> {
        if let Some(id) = &self.begun {
            return Ok(id.clone());
        }
        let inner = &self.bucket.0;
        let begun = inner
            .client
            .create_multipart_upload()
            .bucket(&inner.bucket)
            .key(self.bucket.full_key(&self.key))
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_type(ChecksumType::FullObject)
            .set_request_payer(inner.payer.clone())
            .set_expected_bucket_owner(inner.owner.clone())
            .send()
            .await
            .map_err(|e| self.bucket.failure("begin writing", &self.key, e))?;
        let id = begun.upload_id.ok_or_else(|| FetchError::Other {
            action: "begin writing",
            key: self.bucket.address(&self.key),
            detail: "the server gave no upload id".to_owned(),
        })?;
        self.begun = Some(id.clone());
        Ok(id)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.begun.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let bucket = self.bucket.clone();
        let key = bucket.full_key(&self.key);
        runtime.spawn(async move {
            let inner = &bucket.0;
            let aborted = inner
                .client
                .abort_multipart_upload()
                .bucket(&inner.bucket)
                .key(key)
                .upload_id(id)
                .set_expected_bucket_owner(inner.owner.clone())
                .send()
                .await;
            if let Err(error) = aborted {
                tracing::warn!(error = %super::failure::chain(&error), "abort an unfinished upload");
            }
        });
    }
}

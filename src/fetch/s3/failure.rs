//! Turns what the S3 client says into a [`FetchError`].
//!
//! In: an error of the client. Out: the case a caller branches on, with the names a reader needs.
//! The codes are those of "Error responses" in the Amazon S3 API Reference. A HEAD has no body and
//! so no code: there the HTTP status alone decides.
//!
//! The message of the server is shown only where no case fits: it repeats the access key for a
//! wrong signature.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::Bucket;
use crate::fetch::FetchError;

impl Bucket {
    /// Why `action` on `key` failed.
    pub(super) fn failure<E>(
        &self,
        action: &'static str,
        key: &str,
        error: SdkError<E, HttpResponse>,
    ) -> FetchError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let key = self.address(key);
        let endpoint = self.0.endpoint.clone();
        let Some(answer) = error.raw_response() else {
            return match &error {
                SdkError::TimeoutError(_) => FetchError::Unreachable {
                    endpoint,
                    detail: "no answer in time".to_owned(),
                },
                SdkError::DispatchFailure(failure) if !failure.is_user() => {
                    FetchError::Unreachable {
                        endpoint,
                        detail: chain(&error),
                    }
                }
                _ => FetchError::Other {
                    action,
                    key,
                    detail: chain(&error),
                },
            };
        };
        let status = answer.status().as_u16();
        let meta = error.as_service_error().map(|service| service.meta());
        let code = meta
            .and_then(|meta| meta.code())
            .map_or_else(|| format!("HTTP status {status}"), str::to_owned);
        match (status, code.as_str()) {
            (_, "NoSuchBucket") => FetchError::NoBucket {
                bucket: self.0.bucket.clone(),
                endpoint,
            },
            (301 | 307, _)
            | (400, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                let region = answer.headers().get("x-amz-bucket-region");
                FetchError::Other {
                    action,
                    key,
                    detail: match region {
                        Some(region) => {
                            format!("the bucket is in another region: set region `{region}`")
                        }
                        None => format!(
                            "the bucket is in another region or at another endpoint ({code})"
                        ),
                    },
                }
            }
            // An S3 service names a missing bucket or key; a listing of nothing is empty.
            (404, _) if action == "list" => FetchError::Other {
                action,
                key,
                detail: format!(
                    "`{endpoint}` answers {code}: is it an S3 service, and the bucket there?"
                ),
            },
            (404, _) => FetchError::Missing { key },
            (412, _) => FetchError::Replaced {
                key,
                detail: "its entity tag changed".to_owned(),
            },
            (416, _) => FetchError::Replaced {
                key,
                detail: "it is shorter now".to_owned(),
            },
            (401 | 403, _) | (400, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => {
                FetchError::Denied {
                    advice: advice(&code),
                    key,
                    code,
                }
            }
            (408 | 429 | 500..=599, _) | (400, "RequestTimeout") => FetchError::Server {
                endpoint,
                key,
                status,
                code,
            },
            // Headers that say yes and an answer that cannot be understood: a connection that
            // broke while a small answer was read, or not an S3 server at all.
            (200..=299, _) => FetchError::Unreachable {
                endpoint,
                detail: chain(&error),
            },
            _ => FetchError::Other {
                action,
                key,
                detail: match meta.and_then(|meta| meta.message()) {
                    Some(message) => format!("{code}: {message}"),
                    None => code,
                },
            },
        }
    }
}

fn advice(code: &str) -> &'static str {
    match code {
        "InvalidAccessKeyId" => "the server does not know the access key",
        "SignatureDoesNotMatch" => "the secret key does not belong to the access key",
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => {
            "the temporary credentials have expired: get new ones"
        }
        "RequestTimeTooSkewed" => "the clock of this machine is wrong",
        _ => {
            "the credentials need s3:ListBucket, s3:GetObject and, for a bucket with versions, s3:GetObjectVersion; a HEAD of a missing object says the same without s3:ListBucket"
        }
    }
}

/// An error and its sources, as one sentence without repetitions.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let said = source.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = source.source();
    }
    text
}

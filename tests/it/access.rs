//! What is said when a location cannot be reached or may not be read.

use std::time::{Duration, Instant};

use overnight::fetch::{FetchError, Keys, Location, S3Options};
use tempfile::TempDir;

use crate::fetch::{options, place};

#[tokio::test]
async fn wrong_keys_are_denied_with_a_reason_and_without_the_secret() {
    let place = place().await;
    for (access, secret, said) in [
        (
            place.server.access_key.as_str(),
            "hush-hush",
            "SignatureDoesNotMatch",
        ),
        ("nobody", "hush-hush", "access key"),
    ] {
        let mut options = options(&place.server);
        options.keys = Some(Keys::new(access, secret, None));
        let location = Location::open("s3://overnight/raw/", &options)
            .await
            .unwrap();
        let error = location.list("").await.unwrap_err();
        assert!(matches!(error, FetchError::Denied { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert!(!format!("{error} {error:?} {location:?}").contains("hush"));
    }
    let mut options = options(&place.server);
    options.keys = None;
    options.anonymous = true;
    let location = Location::open("s3://overnight/raw/", &options)
        .await
        .unwrap();
    let error = location.exists("x").await.unwrap_err();
    assert!(matches!(error, FetchError::Denied { .. }), "{error}");
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_named() {
    let place = place().await;
    let location = Location::open("s3://nowhere", &options(&place.server))
        .await
        .unwrap();
    let error = location.list("").await.unwrap_err();
    assert!(matches!(error, FetchError::NoBucket { .. }), "{error}");
    assert!(error.to_string().contains("nowhere"));
    assert!(error.to_string().contains(&place.server.endpoint));
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unreachable_within_seconds() {
    let place = place().await;
    let mut options = options(&place.server);
    options.endpoint = Some("http://127.0.0.1:1".to_owned());
    let location = Location::open("s3://overnight", &options).await.unwrap();
    let started = Instant::now();
    let error = location.list("").await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// The environment belongs to the process: this test runs itself in one that has no credentials.
#[tokio::test]
async fn a_machine_without_credentials_is_told_what_to_set() {
    if std::env::var_os("OVERNIGHT_TEST_WITHOUT_CREDENTIALS").is_none() {
        let home = TempDir::new().unwrap();
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "access::a_machine_without_credentials_is_told_what_to_set",
            ])
            .env_clear()
            .env("HOME", home.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("OVERNIGHT_TEST_WITHOUT_CREDENTIALS", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&status.stdout);
        assert!(
            status.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    }
    let options = S3Options {
        endpoint: Some("http://127.0.0.1:1".to_owned()),
        ..S3Options::default()
    };
    let error = Location::open("s3://overnight/raw", &options)
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::Credentials { .. }), "{error}");
    let said = error.to_string();
    for part in [
        "s3://overnight/raw",
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "IMDS",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn a_text_that_is_no_location_is_refused() {
    let options = S3Options::default();
    for text in ["s3://", "s3:///x", "https://host/x", "file://relative"] {
        let error = Location::open(text, &options).await.unwrap_err();
        assert!(matches!(error, FetchError::BadLocation { .. }), "{error}");
    }
    let error = Location::open("/does/not/exist", &options)
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::NoFolder { .. }), "{error}");
}

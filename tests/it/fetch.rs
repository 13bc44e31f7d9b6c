//! Fetching over real HTTP, with every fault that a store can have.

use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use overnight::fetch::s3::{ATTEMPTS, PART_BYTES};
use overnight::fetch::{
    ChecksumKind, Digest, FetchError, Keys, Listed, Location, Patience, RawObject, S3Options,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::s3::{Fault, S3Server};

const PART: usize = PART_BYTES as usize;

/// An endpoint with its files, and a location in its bucket.
pub struct Place {
    pub server: S3Server,
    pub location: Location,
    _files: TempDir,
}

pub async fn place() -> Place {
    let files = TempDir::new().unwrap();
    let server = S3Server::start(files.path());
    let text = format!("s3://{}/raw", server.bucket);
    let location = Location::open(&text, &options(&server)).await.unwrap();
    Place {
        server,
        location,
        _files: files,
    }
}

impl Place {
    /// Puts an object below the prefix of the location and pins it.
    async fn put(&self, key: &str, content: &[u8]) -> RawObject {
        self.server.put(&format!("raw/{key}"), content.to_vec());
        let listed = self.location.exists(key).await.unwrap().unwrap();
        self.location.pin(&listed).await.unwrap()
    }

    fn fault(&self, key: &str, nth: usize, fault: Fault) {
        self.server.fault(&format!("raw/{key}"), nth, fault);
    }

    fn gets(&self, key: &str) -> usize {
        self.server.gets(&format!("raw/{key}"))
    }
}

pub fn options(server: &S3Server) -> S3Options {
    S3Options {
        endpoint: Some(server.endpoint.clone()),
        keys: Some(Keys::new(&server.access_key, &server.secret_key, None)),
        patience: Patience {
            stall: Duration::from_millis(400),
            first_backoff: Duration::from_millis(5),
            ..Patience::default()
        },
        ..S3Options::default()
    }
}

/// Bytes that are the same nowhere: a part in the wrong place is noticed.
pub fn content(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut content = Vec::with_capacity(bytes + 8);
    while content.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.truncate(bytes);
    content
}

/// Everything that `read` sends, and how it ended.
pub async fn read(location: &Location, object: &RawObject) -> (Vec<u8>, Result<(), FetchError>) {
    let (out, mut blocks) = mpsc::channel::<Bytes>(4);
    let collect = async {
        let mut all = Vec::new();
        while let Some(block) = blocks.recv().await {
            all.extend_from_slice(&block);
        }
        all
    };
    let (all, ended) = tokio::join!(collect, location.read(object, out));
    (all, ended)
}

pub async fn reads_exactly(location: &Location, object: &RawObject, content: &[u8]) {
    let (all, ended) = read(location, object).await;
    ended.unwrap();
    assert_eq!(all.len(), content.len());
    assert!(all == content, "the bytes of {} differ", object.key);
}

pub fn keys(listed: &[Listed]) -> Vec<&str> {
    listed.iter().map(|l| l.key.as_str()).collect()
}

#[tokio::test]
async fn a_listing_has_every_object_below_the_folder_in_order() {
    let place = place().await;
    for n in 0..1_203 {
        place
            .server
            .put(&format!("raw/many/{n:05}.txt"), format!("{n}"));
    }
    place.server.put("raw/many-more/x", "not below `many`");
    place.server.put("elsewhere", "not below the prefix");
    let listed = place.location.list("many").await.unwrap();
    let expected: Vec<String> = (0..1_203).map(|n| format!("many/{n:05}.txt")).collect();
    assert_eq!(keys(&listed), expected);
    assert_eq!(listed[1_202].size, 4);
    assert!(listed.iter().all(|l| l.etag.is_some()));
    assert_eq!(listed, place.location.list("many/").await.unwrap());
    assert_eq!(place.location.list("").await.unwrap().len(), 1_204);
    assert_eq!(place.location.list("nothing/here").await.unwrap(), []);
}

#[tokio::test]
async fn pinning_records_version_size_and_checksum() {
    let place = place().await;
    let object = place.put("a/b.csv", b"123456789").await;
    assert_eq!(object.key, "a/b.csv");
    assert_eq!(object.size, 9);
    // The MD5 of the content, as S3 makes entity tags of objects put at once.
    assert_eq!(
        object.version.to_string(),
        "etag:25f9e794323b453885f5181f1b624d0b"
    );
    assert_eq!(
        object.checksum.unwrap().to_string(),
        "crc64nvme:rosUhgp5mIg="
    );
    let gone = Listed {
        key: "gone".to_owned(),
        size: 0,
        etag: None,
        modified: jiff::Timestamp::UNIX_EPOCH,
    };
    let error = place.location.pin(&gone).await.unwrap_err();
    assert!(matches!(error, FetchError::Missing { .. }), "{error}");
    assert!(error.to_string().contains("s3://overnight/raw/gone"));
    assert_eq!(place.location.exists("gone").await.unwrap(), None);
}

#[tokio::test]
async fn objects_of_every_size_arrive_whole() {
    let place = place().await;
    for size in [0, 1, PART - 1, PART, PART + 1, 7 * PART / 2] {
        let content = content(size);
        let object = place.put("sized", &content).await;
        reads_exactly(&place.location, &object, &content).await;
        let start = place.location.read_start(&object, 100).await.unwrap();
        assert!(start == content[..size.min(100)]);
    }
}

#[tokio::test]
async fn what_was_uploaded_is_what_is_read() {
    let place = place().await;
    for size in [0, 10, PART, 2 * PART + 5] {
        let content = content(size);
        let mut upload = place.location.writer("up/loaded").await.unwrap();
        for piece in content.chunks(3_000_001) {
            upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        upload.finish().await.unwrap();
        let listed = place.location.list("up").await.unwrap();
        assert_eq!(
            (keys(&listed), listed[0].size),
            (vec!["up/loaded"], size as u64)
        );
        let object = place.location.pin(&listed[0]).await.unwrap();
        // Each part is sent with its checksum, and the end of the upload with that of the whole.
        let sum = |bytes: &[u8]| {
            let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes);
            base64::engine::general_purpose::STANDARD.encode(sum.to_be_bytes())
        };
        let mut sums: Vec<String> = content.chunks(PART).map(sum).collect();
        sums.push(sum(&content));
        match size > PART {
            true => assert_eq!(place.server.sums_of_parts(), sums),
            false => assert!(object.checksum.is_some()),
        }
        reads_exactly(&place.location, &object, &content).await;
    }
}

#[tokio::test]
async fn an_unfinished_upload_leaves_no_object() {
    let place = place().await;
    let mut upload = place.location.writer("half").await.unwrap();
    upload.write(Bytes::from(content(PART + 1))).await.unwrap();
    drop(upload);
    assert_eq!(place.location.list("").await.unwrap(), []);
}

#[tokio::test]
async fn a_body_that_breaks_stalls_or_ends_early_is_resumed() {
    let place = place().await;
    let content = content(2 * PART + 100);
    let pause = Duration::from_secs(3);
    let faults = [
        ("slow-down", Fault::SlowDown),
        ("internal", Fault::InternalError),
        ("cut-0", Fault::Cut(0)),
        ("cut-1", Fault::Cut(1)),
        ("cut-mid", Fault::Cut(3_000_001)),
        ("cut-last", Fault::Cut(PART - 1)),
        ("short-0", Fault::Short(0)),
        ("short-mid", Fault::Short(70_000)),
        ("chunked-0", Fault::ShortChunked(0)),
        ("chunked-mid", Fault::ShortChunked(4096)),
        ("stall-0", Fault::Stall(0, pause)),
        ("stall-end", Fault::StallAtEnd(pause)),
        ("stall-mid", Fault::Stall(5_000_000, pause)),
    ];
    for (key, fault) in faults {
        let object = place.put(key, &content).await;
        // The first requests for the first parts, and a resumed one.
        place.fault(key, 1, fault.clone());
        place.fault(key, 2, fault.clone());
        place.fault(key, 4, fault);
        reads_exactly(&place.location, &object, &content).await;
        // Nothing is asked for again when only the end of the answer is missing.
        let resumed = place.gets(key) > 3;
        assert_eq!(
            resumed,
            key != "stall-end",
            "{key}: {} GETs",
            place.gets(key)
        );
    }
}

#[tokio::test]
async fn a_body_that_is_cut_again_and_again_is_resumed_where_it_ended() {
    let place = place().await;
    let content = content(PART);
    for nth in 1..ATTEMPTS as usize {
        place.fault("cut", nth, Fault::Cut(1_000_000 + nth));
    }
    let object = place.put("cut", &content).await;
    reads_exactly(&place.location, &object, &content).await;
    assert_eq!(place.gets("cut"), ATTEMPTS as usize);
}

#[tokio::test]
async fn after_the_last_attempt_the_error_says_what_happened() {
    let place = place().await;
    let content = content(1_000_000);
    let always = 1..=4 * ATTEMPTS as usize;

    let object = place.put("cut", &content).await;
    place
        .server
        .faults("raw/cut", always.clone(), Fault::Cut(10_000));
    let error = read(&place.location, &object).await.1.unwrap_err();
    assert!(
        matches!(&error, FetchError::Truncated { expected: 1_000_000, received, .. }
            if *received <= 50_000),
        "{error}"
    );
    assert!(error.retryable() && error.to_string().contains("s3://overnight/raw/cut"));
    assert_eq!(place.gets("cut"), ATTEMPTS as usize);

    let object = place.put("short", &content).await;
    place
        .server
        .faults("raw/short", always.clone(), Fault::Short(10_000));
    let error = read(&place.location, &object).await.1.unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::Truncated {
                expected: 1_000_000,
                received: 50_000,
                ..
            }
        ),
        "{error}"
    );

    let object = place.put("stall", &content).await;
    let stall = Fault::Stall(10_000, Duration::from_secs(60));
    place.server.faults("raw/stall", always.clone(), stall);
    let error = read(&place.location, &object).await.1.unwrap_err();
    assert!(matches!(error, FetchError::Stalled { .. }), "{error}");

    let object = place.put("denied", &content).await;
    place.fault("denied", 1, Fault::AccessDenied);
    let error = read(&place.location, &object).await.1.unwrap_err();
    assert!(matches!(error, FetchError::Denied { .. }), "{error}");
    assert!(!error.retryable() && error.to_string().contains("AccessDenied"));
    assert_eq!(place.gets("denied"), 1);

    let object = place.put("gone", &content).await;
    place.server.delete("raw/gone");
    let error = read(&place.location, &object).await.1.unwrap_err();
    assert!(matches!(error, FetchError::Missing { .. }), "{error}");
}

#[tokio::test]
async fn a_storm_of_slow_downs_ends_in_a_named_error() {
    let place = place().await;
    let object = place.put("storm", b"content").await;
    place.server.faults("raw/storm", 1..1_000, Fault::SlowDown);
    let error = read(&place.location, &object).await.1.unwrap_err();
    assert!(
        matches!(&error, FetchError::Server { status: 503, code, .. } if code == "SlowDown"),
        "{error}"
    );
    // The SDK asks up to three times for the headers, in each of our attempts.
    assert!(place.gets("storm") <= 3 * ATTEMPTS as usize);
}

#[tokio::test]
async fn an_object_replaced_between_two_ranges_is_never_mixed() {
    // The parts that are in flight beside the nth one may be answered before the change, but not
    // the last one.
    let old = content(7 * PART);
    for ignores_if_match in [false, true] {
        for nth in [1, 2, 4] {
            for same_size in [false, true] {
                let place = place().await;
                if ignores_if_match {
                    place.server.ignore_if_match();
                }
                let new = vec![b'n'; if same_size { old.len() } else { PART }];
                let object = place.put("swapped", &old).await;
                place.fault("swapped", nth, Fault::ReplaceWith(new));
                let (all, ended) = read(&place.location, &object).await;
                let error = ended.unwrap_err();
                assert!(matches!(error, FetchError::Replaced { .. }), "{error}");
                assert!(all.len() < old.len() && all == old[..all.len()]);
            }
        }
    }
}

#[tokio::test]
async fn an_object_replaced_before_reading_is_not_read() {
    let place = place().await;
    for (old, new) in [("one", "two"), ("", "something"), ("", "")] {
        let object = place.put("early", old.as_bytes()).await;
        place.server.put("raw/early", new);
        let (all, ended) = read(&place.location, &object).await;
        assert_eq!(all, b"");
        match old == new {
            true => ended.unwrap(),
            false => assert!(matches!(ended.unwrap_err(), FetchError::Replaced { .. })),
        }
    }
}

#[tokio::test]
async fn without_a_stored_checksum_the_md5_of_the_entity_tag_is_compared() {
    let place = place().await;
    let content = content(100_000);
    let key = "raw/tagged";
    place.server.put_without_checksum(key, content.clone());
    let listed = place.location.exists("tagged").await.unwrap().unwrap();
    let object = place.location.pin(&listed).await.unwrap();
    assert_eq!(object.checksum.as_ref().unwrap().kind, ChecksumKind::Md5);
    for (nth, flips) in [(1, false), (2, true)] {
        if flips {
            place.fault("tagged", nth, Fault::Flip(50_000));
        }
        let (bytes, ended) = read(&place.location, &object).await;
        ended.unwrap();
        let mut digest = Digest::new(&object);
        digest.update(&bytes);
        let error = digest.finish().err();
        assert_eq!(error.is_some(), flips, "{error:?}");
        if let Some(error) = error {
            assert!(error.to_string().contains("stored md5 checksum"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_wrong_bit_is_found_by_the_stored_checksum() {
    let place = place().await;
    let content = content(PART + 1_000);
    let object = place.put("flipped", &content).await;
    place.fault("flipped", 1, Fault::Flip(700));
    for right in [false, true] {
        let (all, ended) = read(&place.location, &object).await;
        ended.unwrap();
        assert_eq!(all == content, right);
        let mut digest = Digest::new(&object);
        digest.update(&all);
        match (right, digest.finish()) {
            (true, Ok(sha256)) => assert_eq!(sha256.len(), 64),
            (false, Err(FetchError::Corrupt { kind, .. })) => {
                assert_eq!(kind, ChecksumKind::Crc64Nvme);
            }
            (_, other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_consumer_that_pauses_longer_than_the_stall_limit_gets_every_byte() {
    let place = place().await;
    let content = content(5 * PART + 3);
    let object = place.put("paused", &content).await;
    let (out, mut blocks) = mpsc::channel::<Bytes>(1);
    let location = place.location.clone();
    let reading = tokio::spawn(async move { location.read(&object, out).await });
    let mut all = Vec::new();
    let mut pauses = 0;
    while let Some(block) = blocks.recv().await {
        all.extend_from_slice(&block);
        if all.len() > pauses * 2 * PART {
            pauses += 1;
            tokio::time::sleep(Duration::from_millis(1_500)).await;
        }
    }
    reading.await.unwrap().unwrap();
    assert!(all == content && pauses >= 3);
    // Six parts, none of them asked for twice.
    assert_eq!(place.gets("paused"), 6);
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_reading() {
    let place = place().await;
    let object = place.put("left", &content(4 * PART)).await;
    let (out, mut blocks) = mpsc::channel::<Bytes>(1);
    let location = place.location.clone();
    let reading = tokio::spawn(async move { location.read(&object, out).await });
    blocks.recv().await.unwrap();
    drop(blocks);
    let ended = reading.await.unwrap();
    assert!(matches!(ended, Err(FetchError::Closed { .. })));
}

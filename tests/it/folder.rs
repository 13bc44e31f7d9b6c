//! Fetching from a real folder, whose files change under the reader.

use bytes::Bytes;
use overnight::fetch::{FetchError, Location, RawObject, S3Options, Version};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::fetch::{content, keys, read, reads_exactly};

async fn folder() -> (TempDir, Location) {
    let dir = TempDir::new().unwrap();
    let text = format!("file://{}", dir.path().display());
    let location = Location::open(&text, &S3Options::default()).await.unwrap();
    (dir, location)
}

async fn put(location: &Location, key: &str, content: &[u8]) -> RawObject {
    let mut upload = location.writer(key).await.unwrap();
    upload.write(Bytes::copy_from_slice(content)).await.unwrap();
    upload.finish().await.unwrap();
    let listed = location.exists(key).await.unwrap().unwrap();
    location.pin(&listed).await.unwrap()
}

#[tokio::test]
async fn a_folder_behaves_like_a_bucket() {
    let (_dir, location) = folder().await;
    for size in [0, 1, 1 << 20, (1 << 20) + 1, 3_500_000] {
        let content = content(size);
        let object = put(&location, "a/file", &content).await;
        assert!(matches!(object.version, Version::File { .. }));
        reads_exactly(&location, &object, &content).await;
        let start = location.read_start(&object, 100).await.unwrap();
        assert!(start == content[..size.min(100)]);
    }
    for key in ["a/z", "a.b", "a0", "b/c/d", "ab/x"] {
        put(&location, key, b"1").await;
    }
    // By bytes of the whole key, as S3 does it, not folder by folder.
    let all = location.list("").await.unwrap();
    assert_eq!(keys(&all), ["a.b", "a/file", "a/z", "a0", "ab/x", "b/c/d"]);
    let below = location.list("a/").await.unwrap();
    assert_eq!(keys(&below), ["a/file", "a/z"]);
    assert_eq!(location.list("nothing/here").await.unwrap(), []);
    assert_eq!(location.exists("nothing").await.unwrap(), None);
    for key in ["../x", "/etc/passwd", "a/../../x", ""] {
        let error = location.exists(key).await.unwrap_err();
        assert!(matches!(error, FetchError::BadLocation { .. }), "{key}");
    }
}

#[tokio::test]
async fn an_unfinished_file_is_not_listed_and_does_not_stay() {
    let (dir, location) = folder().await;
    let mut upload = location.writer("half").await.unwrap();
    upload.write(Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(location.list("").await.unwrap(), []);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    drop(upload);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_folder_leaves_nothing_out_in_silence() {
    let (dir, location) = folder().await;
    put(&location, "real", b"content").await;
    std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
    let listed = location.list("").await.unwrap();
    assert_eq!(keys(&listed), ["link", "real"]);
    let object = location.pin(&listed[0]).await.unwrap();
    reads_exactly(&location, &object, b"content").await;
    for target in ["/etc/hostname", "missing", "."] {
        let link = dir.path().join("odd");
        std::os::unix::fs::symlink(target, &link).unwrap();
        let error = location.list("").await.unwrap_err();
        assert!(error.to_string().contains("odd"), "{error}");
        std::fs::remove_file(link).unwrap();
    }
}

#[tokio::test]
async fn a_file_that_changes_is_replaced() {
    let (dir, location) = folder().await;
    let path = dir.path().join("file");
    let content = content(4 << 20);
    type Change = fn(&std::path::Path);
    let changes: [(&str, Change); 4] = [
        ("appended", |path| {
            let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
            std::io::Write::write_all(&mut file, b"more").unwrap();
        }),
        ("cut", |path| {
            let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(1_000).unwrap();
        }),
        ("another file of the same size and time", |path| {
            let modified = std::fs::metadata(path).unwrap().modified().unwrap();
            let other = path.with_extension("new");
            std::fs::copy(path, &other).unwrap();
            let file = std::fs::OpenOptions::new()
                .write(true)
                .open(&other)
                .unwrap();
            file.set_modified(modified).unwrap();
            std::fs::rename(other, path).unwrap();
        }),
        ("removed", |path| std::fs::remove_file(path).unwrap()),
    ];
    for (name, change) in changes {
        // Before the reading.
        let object = put(&location, "file", &content).await;
        change(&path);
        let error = read(&location, &object).await.1.unwrap_err();
        let expected = matches!(
            (name, &error),
            ("removed", FetchError::Missing { .. }) | (_, FetchError::Replaced { .. })
        );
        assert!(expected, "{name}: {error}");

        // While it waits for its consumer.
        let object = put(&location, "file", &content).await;
        let (out, mut blocks) = mpsc::channel::<Bytes>(1);
        let reader = location.clone();
        let reading = tokio::spawn(async move { reader.read(&object, out).await });
        let mut all = blocks.recv().await.unwrap().to_vec();
        change(&path);
        while let Some(block) = blocks.recv().await {
            all.extend_from_slice(&block);
        }
        let error = reading.await.unwrap().unwrap_err();
        assert!(
            matches!(error, FetchError::Replaced { .. }),
            "{name}: {error}"
        );
        assert!(all.len() <= content.len() && all == content[..all.len()]);
    }
}

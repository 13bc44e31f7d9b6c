//! A real S3 endpoint on this machine, with signatures, for tests and for trying things out.
//!
//! In: a folder for its files. Out: an HTTP endpoint with one bucket. It is the file server of the
//! crate `s3s-fs` with `If-Match` on GET and entity tags in listings added, and a script of faults:
//! what to do wrong with the nth GET of a key.
//!
//! It runs on a thread and a runtime of its own, so that a test may block.

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder as Connection;
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

/// What goes wrong with one GET.
#[derive(Clone, Debug)]
pub enum Fault {
    /// 503, "please reduce your request rate".
    SlowDown,
    /// 500.
    InternalError,
    /// 403.
    AccessDenied,
    /// The connection is closed after so many bytes of the body.
    Cut(usize),
    /// The body ends after so many bytes, and the headers agree with it.
    Short(usize),
    /// The body ends after so many bytes; its length was never announced.
    ShortChunked(usize),
    /// Nothing more comes for so long after so many bytes of the body.
    Stall(usize, Duration),
    /// All bytes come, but the end of a body whose length was never announced takes so long.
    StallAtEnd(Duration),
    /// One bit of the byte at this place of the body is wrong.
    Flip(usize),
    /// The body is changed as a whole, at this place. The headers say its old length, unless the
    /// length changes: then they say none.
    Edit(fn(&mut Vec<u8>, usize), usize),
    /// The headers of the answer are changed.
    Headers(fn(&mut GetObjectOutput)),
    /// 400, as for temporary credentials whose time is over.
    ExpiredToken,
    /// The object is gone, from now on.
    Gone,
    /// This answer is right; afterwards the object has this content.
    ReplaceWith(Vec<u8>),
}

/// A server that runs until it is dropped.
pub struct S3Server {
    /// `http://127.0.0.1:port`.
    pub endpoint: String,
    /// The access key that it knows.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// The bucket that it has.
    pub bucket: String,
    shared: Arc<Shared>,
    handle: Handle,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    files: FileSystem,
    bucket: String,
    faults: Mutex<HashMap<(String, usize), Fault>>,
    gets: Mutex<HashMap<String, usize>>,
    /// GETs that did not say which version they want.
    loose: Mutex<HashMap<String, usize>>,
    ignores_if_match: AtomicBool,
    /// How long each GET and each HEAD takes at least.
    delay: Mutex<Duration>,
    in_flight: InFlight,
    /// The CRC-64/NVME that came with each part, and with each whole of parts.
    sums: Mutex<Vec<String>>,
    /// Content and entity tag are two files: nobody may look while they are being written.
    writing: tokio::sync::RwLock<()>,
}

/// GETs being answered, of each number of its key: how many now, and the most so far.
type InFlight = Mutex<HashMap<usize, (usize, usize)>>;

/// One GET being answered, until it is dropped.
struct Flight<'f>(&'f InFlight, usize);

impl Flight<'_> {
    fn begin(flights: &InFlight, nth: usize) -> Flight<'_> {
        let mut counts = lock(flights);
        let (now, most) = counts.entry(nth).or_default();
        *now += 1;
        *most = (*most).max(*now);
        Flight(flights, nth)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if let Some((now, _)) = lock(self.0).get_mut(&self.1) {
            *now -= 1;
        }
    }
}

impl S3Server {
    /// Starts on a free port with the bucket `overnight`; its files are kept in `dir`.
    pub fn start(dir: &Path) -> S3Server {
        S3Server::start_at(dir, 0, "overnight")
    }

    /// Starts on this port (0: a free one) with this bucket.
    pub fn start_at(dir: &Path, port: u16, bucket: &str) -> S3Server {
        let (access_key, secret_key) = ("overnight-test-key", "overnight-test-secret");
        std::fs::create_dir_all(dir.join(bucket)).expect("create the folder of the bucket");
        let shared = Arc::new(Shared {
            files: FileSystem::new(dir).expect("open the folder of the endpoint"),
            bucket: bucket.to_owned(),
            faults: Mutex::default(),
            gets: Mutex::default(),
            loose: Mutex::default(),
            ignores_if_match: AtomicBool::new(false),
            delay: Mutex::default(),
            in_flight: InFlight::default(),
            sums: Mutex::default(),
            writing: tokio::sync::RwLock::default(),
        });
        let mut service = S3ServiceBuilder::new(Endpoint(shared.clone()));
        service.set_auth(Known(access_key, secret_key));
        let service = service.build();

        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("start a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind(("127.0.0.1", port))
                    .await
                    .expect("listen on this machine");
                let address = listener.local_addr().expect("an address");
                tell.send((address, Handle::current())).expect("a starter");
                tokio::select! {
                    () = serve(listener, service) => {}
                    _ = stopped => {}
                }
            });
            // Not waiting for requests that are stalling on purpose.
            runtime.shutdown_background();
        });
        let (address, handle) = told.recv().expect("the endpoint starts");
        S3Server {
            endpoint: format!("http://{address}"),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            bucket: bucket.to_owned(),
            shared,
            handle,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Puts an object, with the checksum that S3 adds to new objects (CRC-64/NVME).
    pub fn put(&self, key: &str, content: impl Into<Bytes>) {
        let (shared, key, content) = (self.shared.clone(), key.to_owned(), content.into());
        self.run(async move { shared.put(&key, content, true).await })
            .expect("put an object");
    }

    /// Puts an object as servers do that know no checksums but the entity tag.
    pub fn put_without_checksum(&self, key: &str, content: impl Into<Bytes>) {
        let (shared, key, content) = (self.shared.clone(), key.to_owned(), content.into());
        self.run(async move { shared.put(&key, content, false).await })
            .expect("put an object");
    }

    /// Deletes an object.
    pub fn delete(&self, key: &str) {
        let (shared, key) = (self.shared.clone(), key.to_owned());
        self.run(async move {
            let _writing = shared.writing.write().await;
            let input = DeleteObjectInput {
                bucket: shared.bucket.clone(),
                key,
                ..DeleteObjectInput::default()
            };
            shared.files.delete_object(request(input)).await
        })
        .expect("delete an object");
    }

    /// Does this to the nth GET (1 is the first) of `key`, counted from the start of the server.
    pub fn fault(&self, key: &str, nth: usize, fault: Fault) {
        lock(&self.shared.faults).insert((key.to_owned(), nth), fault);
    }

    /// Does this to each of these GETs of `key`.
    pub fn faults(&self, key: &str, nths: impl IntoIterator<Item = usize>, fault: Fault) {
        for nth in nths {
            self.fault(key, nth, fault.clone());
        }
    }

    /// How often `key` was asked for by GET.
    pub fn gets(&self, key: &str) -> usize {
        lock(&self.shared.gets).get(key).copied().unwrap_or(0)
    }

    /// How often `key` was asked for by GET without `If-Match`.
    pub fn gets_without_if_match(&self, key: &str) -> usize {
        lock(&self.shared.loose).get(key).copied().unwrap_or(0)
    }

    /// Answers no GET and no HEAD sooner than after this time.
    pub fn delay(&self, time: Duration) {
        *lock(&self.shared.delay) = time;
    }

    /// How many of the nth GETs of their keys were being answered at once, at most.
    pub fn most_gets_in_flight(&self, nth: usize) -> usize {
        lock(&self.shared.in_flight)
            .get(&nth)
            .map_or(0, |(_, most)| *most)
    }

    /// The checksums of the parts that were uploaded, and behind them that of the whole.
    pub fn sums_of_parts(&self) -> Vec<String> {
        lock(&self.shared.sums).clone()
    }

    /// Behaves like a server that does not know `If-Match`.
    pub fn ignore_if_match(&self) {
        self.shared.ignores_if_match.store(true, Ordering::Relaxed);
    }

    fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let (tell, told) = mpsc::channel();
        self.handle.spawn(async move { tell.send(work.await) });
        told.recv().expect("the endpoint is running")
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            continue;
        };
        let service = service.clone();
        tokio::spawn(async move {
            let http = Connection::new(TokioExecutor::new());
            // A client that goes away in the middle is not our business.
            let _ = http.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

impl Shared {
    async fn wait(&self) {
        let delay = *lock(&self.delay);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    async fn put(&self, key: &str, content: Bytes, with_checksum: bool) -> S3Result<()> {
        let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &content);
        let sum = base64::engine::general_purpose::STANDARD.encode(sum.to_be_bytes());
        let body = stream::iter([Ok::<_, std::io::Error>(content)]);
        let _writing = self.writing.write().await;
        let input = PutObjectInput {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            body: Some(StreamingBlob::wrap(body)),
            checksum_crc64nvme: with_checksum.then_some(sum),
            ..PutObjectInput::default()
        };
        self.files.put_object(request(input)).await.map(|_| ())
    }
}

/// The service: everything is the file server's except where it says otherwise.
struct Endpoint(Arc<Shared>);

/// The one pair of keys that is known; for any other access key the answer is that of AWS.
struct Known(&'static str, &'static str);

#[async_trait::async_trait]
impl S3Auth for Known {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match access_key == self.0 {
            true => Ok(SecretKey::from(self.1)),
            false => Err(s3_error!(InvalidAccessKeyId)),
        }
    }
}

/// Hands a request on to the file server, beside others (`read`) or alone (`write`). It is written
/// as `async_trait` would write it, because that does not look into macros.
macro_rules! hand_on {
    ($($lock:ident $name:ident($input:ty) -> $output:ty;)*) => {$(
        fn $name<'s, 'f>(
            &'s self,
            request: S3Request<$input>,
        ) -> Pin<Box<dyn Future<Output = S3Result<S3Response<$output>>> + Send + 'f>>
        where
            's: 'f,
            Self: 'f,
        {
            Box::pin(async move {
                let _guard = self.0.writing.$lock().await;
                self.0.files.$name(request).await
            })
        }
    )*};
}

#[async_trait::async_trait]
impl S3 for Endpoint {
    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let (key, wanted) = (request.input.key.clone(), request.input.if_match.clone());
        let nth = {
            let mut gets = lock(&self.0.gets);
            let nth = gets.entry(key.clone()).or_default();
            *nth += 1;
            *nth
        };
        if wanted.is_none() {
            *lock(&self.0.loose).entry(key.clone()).or_default() += 1;
        }
        let fault = lock(&self.0.faults).get(&(key.clone(), nth)).cloned();
        let _flight = Flight::begin(&self.0.in_flight, nth);
        self.0.wait().await;
        match fault {
            Some(Fault::SlowDown) => return Err(s3_error!(SlowDown)),
            Some(Fault::InternalError) => return Err(s3_error!(InternalError)),
            Some(Fault::AccessDenied) => return Err(s3_error!(AccessDenied)),
            Some(Fault::ExpiredToken) => return Err(s3_error!(ExpiredToken)),
            Some(Fault::Gone) => return Err(s3_error!(NoSuchKey)),
            _ => {}
        }
        let mut answer = {
            let _reading = self.0.writing.read().await;
            self.0.files.get_object(request).await?
        };
        if let (Some(ETagCondition::ETag(wanted)), Some(found)) = (wanted, &answer.output.e_tag)
            && !self.0.ignores_if_match.load(Ordering::Relaxed)
            && !found.strong_cmp(&wanted)
        {
            return Err(s3_error!(PreconditionFailed));
        }
        match fault {
            Some(Fault::ReplaceWith(content)) => {
                // The answer goes on reading the file that it has open.
                self.0.put(&key, Bytes::from(content), true).await?;
            }
            Some(Fault::Edit(edit, place)) => {
                if let Some(body) = answer.output.body.take() {
                    let mut bytes = collected(body).await?;
                    edit(&mut bytes, place);
                    if answer.output.content_length != Some(bytes.len() as i64) {
                        answer.output.content_length = None;
                    }
                    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
                    answer.output.body = Some(StreamingBlob::wrap(body));
                }
            }
            Some(Fault::Headers(change)) => change(&mut answer.output),
            Some(fault) => {
                match fault {
                    Fault::Short(bytes) => answer.output.content_length = Some(bytes as i64),
                    Fault::ShortChunked(_) | Fault::StallAtEnd(_) => {
                        answer.output.content_length = None
                    }
                    _ => {}
                }
                answer.output.body = answer.output.body.map(|body| damaged(body, fault));
            }
            None => {}
        }
        Ok(answer)
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let _reading = self.0.writing.read().await;
        let bucket = request.input.bucket.clone();
        let mut answer = self.0.files.list_objects_v2(request).await?;
        for object in answer.output.contents.iter_mut().flatten() {
            let input = HeadObjectInput {
                bucket: bucket.clone(),
                key: object.key.clone().unwrap_or_default(),
                ..HeadObjectInput::default()
            };
            object.e_tag = self
                .0
                .files
                .head_object(self::request(input))
                .await?
                .output
                .e_tag;
        }
        Ok(answer)
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let sum = request.input.checksum_crc64nvme.clone();
        lock(&self.0.sums).push(sum.unwrap_or_default());
        let _reading = self.0.writing.read().await;
        self.0.files.upload_part(request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let sum = request.input.checksum_crc64nvme.clone();
        lock(&self.0.sums).push(sum.unwrap_or_default());
        let _writing = self.0.writing.write().await;
        self.0.files.complete_multipart_upload(request).await
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.0.wait().await;
        let _reading = self.0.writing.read().await;
        self.0.files.head_object(request).await
    }

    hand_on! {
        read head_bucket(HeadBucketInput) -> HeadBucketOutput;
        read get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
        read list_buckets(ListBucketsInput) -> ListBucketsOutput;
        read list_objects(ListObjectsInput) -> ListObjectsOutput;
        read create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
        read list_parts(ListPartsInput) -> ListPartsOutput;
        read abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
        write create_bucket(CreateBucketInput) -> CreateBucketOutput;
        write put_object(PutObjectInput) -> PutObjectOutput;
        write copy_object(CopyObjectInput) -> CopyObjectOutput;
        write delete_object(DeleteObjectInput) -> DeleteObjectOutput;
        write delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;
    }
}

async fn collected(mut body: StreamingBlob) -> S3Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(|_| s3_error!(InternalError))?);
    }
    Ok(bytes)
}

/// The body with its fault.
fn damaged(body: StreamingBlob, fault: Fault) -> StreamingBlob {
    let start = (body, 0_usize, Some(fault));
    StreamingBlob::wrap(stream::unfold(start, |(mut body, at, fault)| async move {
        let place = match fault {
            Some(Fault::Cut(n) | Fault::Short(n) | Fault::ShortChunked(n)) => Some(n),
            Some(Fault::Stall(n, _) | Fault::Flip(n)) => Some(n),
            _ => None,
        };
        if place == Some(at) {
            match fault {
                Some(Fault::Cut(_)) => {
                    // What was sent so far must be on its way, or the client sees no answer at
                    // all instead of one that is cut.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let gone = std::io::Error::other("the script closes the connection");
                    return Some((Err(gone), (body, at, None)));
                }
                Some(Fault::Short(_) | Fault::ShortChunked(_)) => return None,
                Some(Fault::Stall(_, time)) => tokio::time::sleep(time).await,
                _ => {}
            }
        }
        let next = body.next().await;
        if let (None, Some(Fault::StallAtEnd(time))) = (&next, &fault) {
            tokio::time::sleep(*time).await;
        }
        let mut chunk = match next? {
            Ok(chunk) => chunk,
            Err(error) => {
                return Some((
                    Err(std::io::Error::other(error.to_string())),
                    (body, at, None),
                ));
            }
        };
        let flips = matches!(fault, Some(Fault::Flip(_)));
        let mut next = (at + chunk.len(), fault);
        if let Some(n) = place
            && (at..at + chunk.len()).contains(&n)
        {
            if flips {
                let mut bytes = chunk.to_vec();
                bytes[n - at] ^= 1;
                chunk = Bytes::from(bytes);
                next.1 = None;
            } else if n > at {
                // Up to the place now; the rest of the chunk comes afterwards, if ever.
                let rest = chunk.split_off(n - at);
                let rest = stream::iter([Ok::<_, std::io::Error>(rest)]);
                let body_after =
                    body.map(|part| part.map_err(|e| std::io::Error::other(e.to_string())));
                body = StreamingBlob::wrap(rest.chain(body_after));
                next.0 = n;
            } else {
                // The stall is over.
                next.1 = None;
            }
        }
        Some((Ok(chunk), (body, next.0, next.1)))
    }))
}

/// A request that did not come over HTTP.
fn request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: Default::default(),
        uri: Default::default(),
        headers: Default::default(),
        extensions: Default::default(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic while it was locked")
}

//! An S3 endpoint on this machine, to try overnight without a cloud.
//!
//! ```text
//! cargo run --example s3_endpoint -- --dir /tmp/bucket
//! cargo run --example s3_endpoint -- put fixtures/night_1 s3://overnight/raw/ --s3-endpoint http://127.0.0.1:PORT
//! ```
//!
//! Prints one line of JSON (endpoint, bucket, access_key, secret_key) and serves until its standard
//! input closes or SIGTERM comes: give it a pipe, not `/dev/null`. The keys are fixed and public;
//! it listens on 127.0.0.1 alone.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::{Parser, Subcommand};
use overnight::fetch::{Location, S3Options};
use tokio::signal::unix::{SignalKind, signal};

#[allow(
    dead_code,
    clippy::expect_used,
    reason = "tests use the rest, the faults above all, and fail by panicking"
)]
#[path = "../tests/it/s3.rs"]
mod s3;

#[derive(Parser)]
#[command(
    about = "Serves a folder of its own as an S3 bucket",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Folder for the files of the endpoint.
    #[arg(long, required = true)]
    dir: Option<PathBuf>,
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The bucket to create.
    #[arg(long, default_value = "overnight")]
    bucket: String,
    /// Puts every file below this folder into the bucket before it says that it is ready.
    #[arg(long)]
    seed: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Puts the files of a folder into a bucket, markers last
    Put {
        folder: String,
        /// s3://BUCKET/PREFIX
        to: String,
        /// The endpoint; the keys are found as the AWS tools find them
        #[arg(long, env = "OVERNIGHT_S3_ENDPOINT", value_name = "URL")]
        s3_endpoint: Option<String>,
    },
}

/// Files of this name say that the files beside them are complete.
const MARKER: &str = "_SUCCESS";

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(Command::Put {
        folder,
        to,
        s3_endpoint,
    }) = args.command
    {
        return put(&folder, &to, s3_endpoint)
            .await
            .with_context(|| format!("put the files of `{folder}` into `{to}`"));
    }
    let dir = args.dir.context("a folder is needed")?;
    let server = s3::S3Server::start_at(&dir, args.port, &args.bucket);
    if let Some(folder) = &args.seed {
        seed(&server, folder)
            .await
            .with_context(|| format!("put the files of `{}`", folder.display()))?;
    }
    let ready = serde_json::json!({
        "endpoint": server.endpoint,
        "bucket": server.bucket,
        "access_key": server.access_key,
        "secret_key": server.secret_key,
    });
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{ready}")?;
    stdout.flush()?;

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (closed, stdin_closed) = tokio::sync::oneshot::channel();
    // A thread of its own, which ends with the process: such a wait cannot be cancelled.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = closed.send(());
    });
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = stdin_closed => {}
    }
    Ok(())
}

async fn seed(server: &s3::S3Server, folder: &std::path::Path) -> Result<()> {
    let text = folder
        .to_str()
        .context("the name of the folder is not UTF-8")?;
    for file in Location::open(text, &S3Options::default())
        .await?
        .list("")
        .await?
    {
        server.put(&file.key, std::fs::read(folder.join(&file.key))?);
    }
    Ok(())
}

/// Whoever reads meanwhile waits for the marker: it goes first and comes back last.
async fn put(folder: &str, to: &str, endpoint: Option<String>) -> Result<()> {
    let from = Location::open(folder, &S3Options::default()).await?;
    let options = S3Options {
        endpoint,
        ..S3Options::default()
    };
    let to = Location::open(to, &options).await?;
    let is_marker = |key: &str| key.rsplit('/').next() == Some(MARKER);
    let (markers, files): (Vec<_>, Vec<_>) = from
        .list("")
        .await?
        .into_iter()
        .partition(|file| is_marker(&file.key));
    for marker in &markers {
        to.remove(&marker.key).await?;
    }
    let mut bytes = 0;
    for file in files.iter().chain(&markers) {
        let pinned = from.pin(file).await?;
        let content: Bytes = from.read_start(&pinned, pinned.size).await?;
        bytes += content.len();
        let mut object = to.writer(&file.key).await?;
        object.write(content).await?;
        object.finish().await?;
    }
    let mut stdout = std::io::stdout().lock();
    writeln!(
        stdout,
        "put {} objects, {bytes} bytes, into {to}",
        files.len() + markers.len()
    )?;
    Ok(())
}

//! An S3 endpoint on this machine, to try overnight without a cloud.
//!
//! Prints one line of JSON (endpoint, bucket, access_key, secret_key) and serves until its standard
//! input closes or SIGTERM comes: give it a pipe, not `/dev/null`. The keys are fixed and public;
//! it listens on 127.0.0.1 alone.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use overnight::fetch::{Location, S3Options};
use tokio::signal::unix::{SignalKind, signal};

#[allow(dead_code, reason = "tests use the rest, the faults above all")]
#[path = "../tests/it/s3.rs"]
mod s3;

#[derive(Parser)]
#[command(about = "Serves a folder of its own as an S3 bucket")]
struct Args {
    /// Folder for the files of the endpoint.
    #[arg(long)]
    dir: PathBuf,
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

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let server = s3::S3Server::start_at(&args.dir, args.port, &args.bucket);
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

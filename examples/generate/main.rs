//! Generates the raw files of the two example datasets into a folder or a bucket.
//!
//! ```text
//! cargo run --example generate -- --out fixtures/night_1
//! cargo run --release --example generate -- --out /data/raw --plans 6000 --pharmacy-rows 250000000
//! cargo run --release --example generate -- --out s3://my-bucket/raw/ --pharmacy-rows 5000000
//! cargo run --example generate -- --check fixtures/night_2 --night 2
//! ```
//!
//! `--check DIR` generates into a folder beside the system's temporary files, compares the text
//! of every file with `DIR`, and removes it again. Credentials for S3 are found as the AWS tools
//! find them.

#![allow(clippy::disallowed_macros)]

mod raw;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs, process};

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use overnight::fetch::{PathStyle, S3Options};
use raw::bucket::Bucket;
use raw::sink::{Folder, Sink};
use raw::{Options, compare};

/// Generates raw files for the example datasets `planinfo` and `druginfo`.
#[derive(Parser)]
struct Arguments {
    /// Where to: s3://BUCKET/PREFIX or a folder; it gets `planinfo/` and `druginfo/`
    #[arg(
        long,
        value_name = "LOCATION",
        required_unless_present = "check",
        conflicts_with = "check"
    )]
    out: Option<String>,

    /// S3 endpoint, for services other than AWS
    #[arg(long, env = "OVERNIGHT_S3_ENDPOINT", value_name = "URL")]
    s3_endpoint: Option<String>,

    /// S3 region; default: as the AWS tools find it
    #[arg(long, env = "OVERNIGHT_S3_REGION", value_name = "REGION")]
    s3_region: Option<String>,

    /// Bucket in the path instead of the host name
    #[arg(
        long,
        env = "OVERNIGHT_S3_PATH_STYLE",
        value_enum,
        default_value_t = InPath::Auto,
        value_name = "WHEN"
    )]
    s3_path_style: InPath,

    /// Folder whose files must have the text that would be generated
    #[arg(long, value_name = "DIR")]
    check: Option<PathBuf>,

    /// The same seed gives the same files
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Which night: each one changes a little of the night before
    #[arg(long, default_value_t = 1)]
    night: u64,

    /// Plans on offer
    #[arg(long, default_value_t = 60)]
    plans: u64,

    /// Drug packages in the NDC directory
    #[arg(long, default_value_t = 250)]
    drugs: u64,

    /// Rows of the pharmacy networks, over all parts
    #[arg(long, default_value_t = 3_000)]
    pharmacy_rows: u64,

    /// Files that the pharmacy networks are divided into
    #[arg(long, default_value_t = 6)]
    pharmacy_parts: u64,

    /// Write the pharmacy rows in another order than that of their key
    #[arg(long)]
    shuffle: bool,

    /// How the big files are compressed
    #[arg(long, value_enum, default_value_t = Compression::Zstd)]
    compress: Compression,
}

#[derive(Clone, Copy, ValueEnum)]
enum Compression {
    Zstd,
    Gzip,
    None,
}

#[derive(Clone, Copy, ValueEnum)]
enum InPath {
    Auto,
    True,
    False,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let options = Options {
        seed: arguments.seed,
        night: arguments.night,
        plans: arguments.plans,
        drugs: arguments.drugs,
        pharmacy_rows: arguments.pharmacy_rows,
        pharmacy_parts: arguments.pharmacy_parts,
        shuffle: arguments.shuffle,
        compress: match arguments.compress {
            Compression::Zstd => raw::Compress::Zstd,
            Compression::Gzip => raw::Compress::Gzip,
            Compression::None => raw::Compress::None,
        },
    };
    if let Some(folder) = &arguments.check {
        return check(&options, folder);
    }
    let Some(out) = &arguments.out else {
        bail!("say where to with `--out`");
    };
    let started = Instant::now();
    raw::generate(&options, sink(out, arguments, &options)?.as_ref())?;
    eprintln!(
        "wrote night {} to `{out}` in {:.1} s, {} pharmacy rows asked for",
        options.night,
        started.elapsed().as_secs_f64(),
        options.pharmacy_rows
    );
    Ok(())
}

/// The place that `--out` names.
fn sink(out: &str, arguments: &Arguments, options: &Options) -> Result<Box<dyn Sink>> {
    let keys = raw::keys(options);
    if !out.contains("://") {
        return Ok(Box::new(Folder::create(out.as_ref(), &keys)?));
    }
    let s3 = S3Options {
        endpoint: arguments.s3_endpoint.clone(),
        region: arguments.s3_region.clone(),
        path_style: match arguments.s3_path_style {
            InPath::Auto => PathStyle::Auto,
            InPath::True => PathStyle::True,
            InPath::False => PathStyle::False,
        },
        ..S3Options::default()
    };
    Ok(Box::new(Bucket::open(out, &s3, &keys)?))
}

fn check(options: &Options, folder: &Path) -> Result<()> {
    let fresh = env::temp_dir().join(format!("overnight-generate-{}", process::id()));
    let keys = raw::keys(options);
    let outcome = Folder::create(&fresh, &keys)
        .and_then(|sink| raw::generate(options, &sink))
        .and_then(|()| compare::same_text(folder, &fresh, &keys));
    fs::remove_dir_all(&fresh).with_context(|| format!("remove `{}`", fresh.display()))?;
    outcome
}

//! Generates the table `lineitem` of TPC-H as text: `|` between the fields, none at the end, a header.
//!
//! ```text
//! cargo run --release --example lineitem -- --out /tmp/lineitem --scale 1 --parts 6 --zstd
//! ```
//!
//! Scale 1 has 6,001,215 rows. The rows are those of the official generator, in order of their key,
//! from part to part; `lineitem_1.tbl` and so on appear under their names when they are complete.

#![allow(clippy::disallowed_macros)]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tpchgen::generators::LineItemGenerator;

const HEADER: &[u8] = b"l_orderkey|l_partkey|l_suppkey|l_linenumber|l_quantity|l_extendedprice|l_discount|l_tax|\
l_returnflag|l_linestatus|l_shipdate|l_commitdate|l_receiptdate|l_shipinstruct|l_shipmode|l_comment\n";

/// Generates the table lineitem of TPC-H as delimited text.
#[derive(Parser)]
struct Arguments {
    /// Folder for the parts
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Scale factor: 1 gives 6,001,215 rows
    #[arg(long, default_value_t = 1.0)]
    scale: f64,

    /// Files that the rows are divided into
    #[arg(long, default_value_t = 6)]
    parts: i32,

    /// Compress each part with Zstandard
    #[arg(long)]
    zstd: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(rows) => {
            eprintln!("wrote {rows} rows");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<u64> {
    ensure!(
        arguments.scale > 0.0 && arguments.scale <= 1000.0,
        "the scale is more than 0 and at most 1000"
    );
    ensure!(
        (1..=1000).contains(&arguments.parts),
        "1 to 1000 parts are possible"
    );
    let out = &arguments.out;
    fs::create_dir_all(out).with_context(|| format!("make the folder `{}`", out.display()))?;
    let end = if arguments.zstd { ".zst" } else { "" };
    (1..=arguments.parts)
        .map(|part| {
            let path = out.join(format!("lineitem_{part}.tbl{end}"));
            write_part(arguments, part, &path)
                .with_context(|| format!("write `{}`", path.display()))
        })
        .sum()
}

/// Writes one part under a hidden name and gives it its own at the end.
fn write_part(arguments: &Arguments, part: i32, path: &Path) -> Result<u64> {
    let hidden = path.with_extension("unfinished");
    let file = BufWriter::with_capacity(1 << 18, File::create(&hidden)?);
    let generator = LineItemGenerator::new(arguments.scale, part, arguments.parts);
    let rows = if arguments.zstd {
        let mut file = zstd::stream::write::Encoder::new(file, 3)?;
        let rows = write_rows(&generator, &mut file)?;
        file.finish()?.flush()?;
        rows
    } else {
        let mut file = file;
        let rows = write_rows(&generator, &mut file)?;
        file.flush()?;
        rows
    };
    fs::rename(&hidden, path)?;
    Ok(rows)
}

fn write_rows(generator: &LineItemGenerator<'_>, file: &mut impl Write) -> Result<u64> {
    file.write_all(HEADER)?;
    let mut line = Vec::with_capacity(256);
    let mut rows = 0;
    for item in generator.iter() {
        line.clear();
        // The crate ends every line with a delimiter, as the official generator does.
        write!(line, "{item}")?;
        line.pop();
        line.push(b'\n');
        file.write_all(&line)?;
        rows += 1;
    }
    Ok(rows)
}

//! Runs one step of the reading path so many times, for `scripts/instructions` to count.
//!
//! `instructions` alone lists the steps with what a figure is counted for and how many of these a
//! pass has. The script counts runs of one and of two passes: the difference is one pass, without
//! the start of the process and without making the input.
#![allow(clippy::expect_used)]
#![allow(clippy::disallowed_macros)]

#[path = "../benches/inputs/mod.rs"]
mod inputs;

use overnight::read::parse::{RowPlan, Scratch, parse};
use overnight::read::{Encoding, decode};
use std::hint::black_box;

const STEPS: [&str; 8] = [
    "parse_wide",
    "parse_lineitem",
    "cut_plain",
    "cut_quoted",
    "split_plain",
    "split_quoted",
    "decompress_zstd",
    "decompress_gzip",
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => {
            for step in STEPS {
                let (unit, count) = run(step, 0);
                println!("{step} {unit} {count}");
            }
        }
        [step, passes] if STEPS.contains(&step.as_str()) => {
            run(step, passes.parse().expect("a number of passes"));
        }
        _ => {
            eprintln!("usage: instructions [STEP PASSES]");
            std::process::exit(2);
        }
    }
}

/// Runs the passes; returns what a figure is given for and how many a pass has.
fn run(step: &str, passes: usize) -> (&'static str, f64) {
    let (kind, variant) = step.split_once('_').expect("a name of STEPS");
    match kind {
        "parse" => {
            let (text, plan) = table(variant);
            let chunk = inputs::chunk(text);
            let (mut memory, mut scratch) = (Vec::new(), Scratch::default());
            repeat(passes, || {
                // As in a load, where buffers are used again.
                let parsed = parse(&chunk, &plan, std::mem::take(&mut memory), &mut scratch);
                memory = parsed.rows;
                parsed.row_count as usize
            });
            ("row", inputs::ROWS as f64)
        }
        "decompress" => {
            let text = inputs::wide_text();
            let stored = match variant {
                "zstd" => inputs::zstd(&text),
                _ => inputs::gzip(&text),
            };
            repeat(passes, || {
                let (_, mut decoded) =
                    decode::open(stored.as_slice(), 0).expect("known compression");
                inputs::drain(&mut decoded)
            });
            ("MB", text.len() as f64 / 1e6)
        }
        _ => {
            let (text, quote) = match variant {
                "quoted" => (inputs::quoted_lineitem_text(), Some(b'"')),
                _ => (inputs::lineitem_text(), None),
            };
            let dialect = inputs::dialect(quote, Encoding::Utf8);
            let megabytes = text.len() as f64 / 1e6;
            if kind == "split" {
                repeat(passes, || inputs::split(&text, &dialect));
            } else {
                let chunk = inputs::chunk(text);
                repeat(passes, || inputs::cut(&chunk, &dialect));
            }
            ("MB", megabytes)
        }
    }
}

fn table(name: &str) -> (Vec<u8>, RowPlan) {
    match name {
        "wide" => (inputs::wide_text(), inputs::wide_plan()),
        _ => (inputs::lineitem_text(), inputs::lineitem_plan()),
    }
}

fn repeat(passes: usize, mut pass: impl FnMut() -> usize) {
    for _ in 0..passes {
        assert!(black_box(pass()) > 0, "a pass did nothing");
    }
}

//! What each step from raw bytes to COPY rows costs on one core: `cargo bench --bench parse`.
//!
//! A filter runs a part: `cargo bench --bench parse -- encode`. Times of a shared machine drift;
//! `scripts/instructions` counts instead and is what tells whether a change made the path longer.
#![allow(clippy::expect_used)]

#[path = "inputs/formats.rs"]
mod formats;
mod inputs;
#[path = "inputs/packed.rs"]
mod packed;
#[path = "inputs/shapes.rs"]
mod shapes;
#[path = "inputs/values.rs"]
mod values;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use overnight::read::parse::{RowPlan, Scratch, parse};
use overnight::read::{Dialect, Encoding, decode};

fn main() {
    divan::main();
}

const SPELLINGS: [&str; 2] = ["plain", "quoted"];

fn text_and_dialect(spelling: &str) -> (Vec<u8>, Dialect) {
    match spelling {
        "quoted" => (
            inputs::quoted_lineitem_text(),
            inputs::dialect(Some(b'"'), Encoding::Utf8),
        ),
        _ => (
            inputs::lineitem_text(),
            inputs::dialect(None, Encoding::Utf8),
        ),
    }
}

/// A stream into chunks of whole records.
#[divan::bench(args = SPELLINGS)]
fn split(bencher: Bencher, spelling: &str) {
    let (text, dialect) = text_and_dialect(spelling);
    bencher
        .counter(BytesCount::of_slice(&text))
        .bench(|| inputs::split(&text, &dialect));
}

/// A chunk into fields.
#[divan::bench(args = SPELLINGS)]
fn cut(bencher: Bencher, spelling: &str) {
    let (text, dialect) = text_and_dialect(spelling);
    let chunk = inputs::chunk(text);
    bencher
        .counter(BytesCount::of_slice(&chunk.bytes))
        .bench(|| inputs::cut(&chunk, &dialect));
}

/// The same fields by other readers: pipes, 16 columns of `lineitem`, nothing quoted.
mod readers {
    use super::*;
    use overnight::read::Newline;
    use overnight::read::plain::{Line, Marks};

    const FIELDS: usize = 16;

    #[divan::bench]
    fn csv(bencher: Bencher) {
        through(bencher, |text| {
            let mut reader = csv::ReaderBuilder::new()
                .delimiter(b'|')
                .quoting(false)
                .has_headers(false)
                .from_reader(text);
            let mut record = csv::ByteRecord::new();
            let mut fields = 0;
            while reader.read_byte_record(&mut record).expect("whole records") {
                fields += record.len();
            }
            fields
        });
    }

    #[divan::bench]
    fn csv_core(bencher: Bencher) {
        through(bencher, |text| {
            let mut reader = csv_core::ReaderBuilder::new()
                .delimiter(b'|')
                .quoting(false)
                .build();
            let (mut output, mut ends) = ([0; 4096], [0; 64]);
            let (mut text, mut fields) = (text, 0);
            loop {
                let (outcome, read, _, ended) = reader.read_record(text, &mut output, &mut ends);
                text = &text[read..];
                match outcome {
                    csv_core::ReadRecordResult::Record => fields += ended,
                    csv_core::ReadRecordResult::End => return fields,
                    // Asked once more, an empty text is the end.
                    csv_core::ReadRecordResult::InputEmpty => {}
                    other => panic!("{other:?}"),
                }
            }
        });
    }

    #[divan::bench]
    fn simd_csv(bencher: Bencher) {
        through(bencher, |text| {
            let mut reader = simd_csv::ZeroCopyReaderBuilder::new()
                .delimiter(b'|')
                .has_headers(false)
                .from_reader(text);
            let mut fields = 0;
            while let Some(record) = reader.read_byte_record().expect("whole records") {
                fields += record.len();
            }
            fields
        });
    }

    /// What loads use: the ends of all fields and lines first, then the fields as slices.
    #[divan::bench]
    fn marks(bencher: Bencher) {
        let mut marks = Marks::default();
        through(bencher, move |text| {
            assert!(marks.find(text, b'|', Newline::Lf));
            let mut fields = 0;
            for (_, line) in marks.records(text, FIELDS) {
                if let Line::Fields(found) = line {
                    std::hint::black_box(found.get(FIELDS - 1));
                    fields += found.ends.len();
                }
            }
            fields
        });
    }

    fn through(bencher: Bencher, mut read: impl FnMut(&[u8]) -> usize) {
        let text = inputs::lineitem_text();
        assert_eq!(read(&text), inputs::ROWS * FIELDS);
        bencher
            .counter(BytesCount::of_slice(&text))
            .bench_local(|| read(&text));
    }
}

/// Chunks to COPY rows: the two tables that every change is held against.
mod rows {
    use super::*;

    #[divan::bench]
    fn wide(bencher: Bencher) {
        table(bencher, inputs::wide_text(), &inputs::wide_plan());
    }

    #[divan::bench]
    fn lineitem(bencher: Bencher) {
        table(bencher, inputs::lineitem_text(), &inputs::lineitem_plan());
    }

    #[divan::bench(args = ["trailing delimiter", "comment", "padded"])]
    fn spelled(bencher: Bencher, how: &str) {
        let (text, plan) = shapes::spelled(how);
        table(bencher, text, &plan);
    }

    #[divan::bench]
    fn fixed_width(bencher: Bencher) {
        let (text, plan) = shapes::fixed_width();
        table(bencher, text, &plan);
    }

    #[divan::bench]
    fn json_lines(bencher: Bencher) {
        let (text, plan) = shapes::json_lines();
        table(bencher, text, &plan);
    }

    fn table(bencher: Bencher, text: Vec<u8>, plan: &RowPlan) {
        let chunk = inputs::chunk(text);
        assert_eq!(
            parse(&chunk, plan, Vec::new(), &mut Scratch::default()).row_count,
            inputs::ROWS as u64
        );
        bencher
            .counter(ItemsCount::new(inputs::ROWS))
            .counter(BytesCount::of_slice(&chunk.bytes))
            .bench(|| parse(&chunk, plan, Vec::new(), &mut Scratch::default()));
    }
}

/// What counting and hashing the rows of a chunk adds: the profile of the table.
mod measure {
    use super::*;
    use overnight::measure::{Collector, FieldKind, FieldShape, RowShape};

    #[divan::bench]
    fn wide(bencher: Bencher) {
        table(bencher, inputs::wide_text(), &inputs::wide_plan());
    }

    #[divan::bench]
    fn lineitem(bencher: Bencher) {
        table(bencher, inputs::lineitem_text(), &inputs::lineitem_plan());
    }

    fn table(bencher: Bencher, text: Vec<u8>, plan: &RowPlan) {
        let chunk = inputs::chunk(text);
        let parsed = parse(&chunk, plan, Vec::new(), &mut Scratch::default());
        let fields = plan.columns.iter().map(|column| FieldShape {
            name: column.name.clone(),
            kind: FieldKind::of(&column.ty).expect("measured on the client"),
            key: 0,
        });
        let shape = RowShape::new(fields.collect());
        // In a large table nearly all rows are outside the samples.
        let mut before = Collector::new(&shape);
        for _ in 0..100 {
            before.add_rows(&parsed.rows);
        }
        bencher
            .counter(ItemsCount::new(inputs::ROWS))
            .counter(BytesCount::of_slice(&parsed.rows))
            .bench(|| {
                let mut collector = Collector::new(&shape);
                collector.add_rows(&parsed.rows);
                collector
            });
    }
}

/// Megabytes a second of what comes out.
mod decompress {
    use super::*;

    #[divan::bench]
    fn zstd(bencher: Bencher) {
        through(bencher, inputs::zstd);
    }

    #[divan::bench]
    fn gzip(bencher: Bencher) {
        through(bencher, inputs::gzip);
    }

    #[divan::bench]
    fn bzip2(bencher: Bencher) {
        through(bencher, packed::bzip2);
    }

    #[divan::bench]
    fn xz(bencher: Bencher) {
        through(bencher, packed::xz);
    }

    fn through(bencher: Bencher, compress: fn(&[u8]) -> Vec<u8>) {
        let text = inputs::wide_text();
        let stored = compress(&text);
        bencher.counter(BytesCount::of_slice(&text)).bench(|| {
            let (_, mut decoded) = decode::open(stored.as_slice(), 0).expect("known compression");
            inputs::drain(&mut decoded)
        });
    }
}

/// Megabytes a second of an object in many frames, by whoever reads (0 threads) and side by side.
mod frames {
    use super::*;

    const THREADS: [usize; 4] = [0, 1, 2, 4];

    #[divan::bench(args = THREADS)]
    fn zstd(bencher: Bencher, threads: usize) {
        through(bencher, packed::zstd_frames, threads);
    }

    #[divan::bench(args = THREADS)]
    fn bgzip(bencher: Bencher, threads: usize) {
        through(bencher, packed::bgzip, threads);
    }

    fn through(bencher: Bencher, compress: fn(&[u8]) -> Vec<u8>, threads: usize) {
        let text = inputs::wide_text().repeat(16);
        let stored = compress(&text);
        bencher.counter(BytesCount::of_slice(&text)).bench(|| {
            let opened = decode::open(stored.as_slice(), threads);
            let (_, mut decoded) = opened.expect("known compression");
            inputs::drain(&mut decoded)
        });
    }
}

/// The lineitem table in the formats that become text first, to text, on the threads that each has. What is
/// counted are the bytes of the delimited file with the same rows, so that figures compare.
mod text {
    use super::*;
    use overnight::read::text::{ParquetOptions, TextFormat, XlsxOptions};
    use overnight::read::xml;

    #[divan::bench]
    fn delimited(bencher: Bencher) {
        let format = TextFormat::Plain(Encoding::Utf8);
        through(bencher, &inputs::lineitem_text(), &format);
    }

    #[divan::bench(args = ["utf-16le", "shift_jis", "windows-1251"])]
    fn encoding(bencher: Bencher, label: &str) {
        let encoding = Encoding::from_label(label).expect("a known label");
        let file = formats::encoded(&inputs::lineitem_text(), label);
        through(bencher, &file, &TextFormat::Plain(encoding));
    }

    #[divan::bench]
    fn xml(bencher: Bencher) {
        let field = |number| xml::Field {
            column: format!("c{number}"),
            from: None,
        };
        let options = xml::Options {
            rows: "/rows/row".into(),
            fields: (0..16).map(field).collect(),
            ignore: Vec::new(),
            encoding: None,
            max_record_bytes: 1 << 20,
        };
        let file = formats::xml(&inputs::lineitem_text());
        through(bencher, &file, &TextFormat::Xml(options));
    }

    #[cfg(feature = "parquet")]
    #[divan::bench]
    fn parquet(bencher: Bencher) {
        let file = formats::parquet(&inputs::lineitem_text());
        through(
            bencher,
            &file,
            &TextFormat::Parquet(ParquetOptions::default()),
        );
    }

    #[cfg(feature = "xlsx")]
    #[divan::bench]
    fn xlsx(bencher: Bencher) {
        let file = formats::xlsx(&inputs::lineitem_text());
        through(bencher, &file, &TextFormat::Xlsx(XlsxOptions::default()));
    }

    fn through(bencher: Bencher, file: &[u8], format: &TextFormat) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        bencher
            .counter(BytesCount::new(inputs::lineitem_text().len()))
            .bench(|| {
                let mut text = overnight::read::text::open(file, format, folder.path())
                    .expect("a file of its format");
                inputs::drain(&mut text.reader)
            });
    }
}

/// A thousand values of a type: microseconds here are nanoseconds a value.
#[divan::bench(args = values::names())]
fn encode(bencher: Bencher, name: &str) {
    let (ty, texts) = values::values(name);
    let mut out = Vec::with_capacity(1 << 20);
    bencher
        .counter(ItemsCount::new(texts.len()))
        .bench_local(|| {
            out.clear();
            for text in &texts {
                ty.encode(text.as_bytes(), &mut out)
                    .expect("a text of its type");
            }
            out.len()
        });
}

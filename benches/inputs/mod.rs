//! The fixed inputs of the measurements: two tables as text, their row plans, texts of each type.
//!
//! Everything is made here, from one seed, so that a figure of today can be held against one of
//! last year. A change of an input is a change of every figure: record them again.

use overnight::encode::{Precision, Type};
use overnight::read::parse::{ColumnPlan, RowPlan};
use overnight::read::{Chunk, Cutter, Dialect, Encoding, Escape, Fields, Newline, Splitter};
use std::io::{Read, Write};

/// Rows of each of the two tables: a chunk of about one megabyte.
pub const ROWS: usize = 10_000;

/// The splitter is asked for chunks of this size: a few from each text.
const CHUNK_BYTES: usize = 256 << 10;

/// A small generator of numbers (splitmix64), so that no library can change the inputs.
pub struct Numbers(u64);

impl Numbers {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    pub fn cents(&mut self, most: u64) -> String {
        let cents = self.below(most);
        format!("{}.{:02}", cents / 100, cents % 100)
    }

    pub fn date(&mut self) -> String {
        let (month, day) = (self.between(1, 12), self.between(1, 28));
        format!("{}-{month:02}-{day:02}", self.between(1992, 1998))
    }

    pub fn one_of(&mut self, texts: &[&'static str]) -> &'static str {
        texts[self.below(texts.len() as u64) as usize]
    }
}

pub fn numbers() -> Numbers {
    Numbers(20_261_122)
}

/// W: the network of pharmacies of a plan, 20 short columns, half of them `numeric(6,2)`.
pub fn wide_text() -> Vec<u8> {
    let mut numbers = numbers();
    let mut text = String::new();
    for row in 0..ROWS {
        text += &format!(
            "H{:04}|{:03}|0|10{:010}|{:05}|",
            1000 + row / 2000,
            row / 500 % 4,
            1_000_000_000 + row as u64 * 4_271,
            numbers.below(99_999),
        );
        for _ in 0..4 {
            text += numbers.one_of(&["Y|", "N|"]);
        }
        text += numbers.one_of(&["0|", "1|"]);
        text += &match numbers.below(4) {
            0 => " ".to_owned(),
            _ => numbers.cents(300),
        };
        for _ in 0..6 {
            text += &format!("|{}", numbers.cents(1_500));
        }
        let selected = numbers.below(8) > 0;
        for _ in 0..3 {
            let fee = numbers.cents(1_500);
            text += &format!("|{}", if selected { &fee } else { "." });
        }
        text.push('\n');
    }
    text.into_bytes()
}

/// L: `lineitem` of the TPC-H benchmark, as its generator prints it but for the last delimiter.
pub fn lineitem_text() -> Vec<u8> {
    lineitem(|comment| comment)
}

/// L with every comment in quotes, some with a delimiter, a doubled quote or a newline in it.
pub fn quoted_lineitem_text() -> Vec<u8> {
    let mut numbers = numbers();
    lineitem(|comment| {
        let odd = match numbers.below(100) {
            0 => " | and",
            1 => " \"\"and\"\"",
            2 => "\nand",
            _ => "",
        };
        format!("\"{comment}{odd}\"")
    })
}

fn lineitem(mut comment: impl FnMut(String) -> String) -> Vec<u8> {
    let mut numbers = numbers();
    let mut text = String::new();
    for row in 0..ROWS {
        let quantity = numbers.between(1, 50);
        text += &format!(
            "{}|{}|{}|{}|{quantity}|{}|0.{:02}|0.{:02}|{}|{}|{}|{}|{}|{}|{}|{}\n",
            row / 4 + 1,
            numbers.between(1, 200_000),
            numbers.between(1, 10_000),
            row % 4 + 1,
            numbers.cents(10_000_000),
            numbers.below(11),
            numbers.below(9),
            numbers.one_of(&["A", "N", "R"]),
            numbers.one_of(&["F", "O"]),
            numbers.date(),
            numbers.date(),
            numbers.date(),
            numbers.one_of(&[
                "DELIVER IN PERSON",
                "COLLECT COD",
                "NONE",
                "TAKE BACK RETURN"
            ]),
            numbers.one_of(&["AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"]),
            comment(format!(
                "{} {} {}",
                numbers.one_of(&["carefully", "furiously", "slyly", "quickly"]),
                numbers.one_of(&["final requests", "regular deposits", "ironic accounts"]),
                numbers.one_of(&["sleep", "haggle after the", "nag", "boost"]),
            )),
        );
    }
    text.into_bytes()
}

pub fn chunk(text: Vec<u8>) -> Chunk {
    Chunk {
        bytes: text,
        byte: 0,
        newline: Newline::Lf,
    }
}

/// Pipes and no header; quotes are data or not.
pub fn dialect(quote: Option<u8>, encoding: Encoding) -> Dialect {
    Dialect {
        delimiter: b'|',
        quote,
        escape: Escape::Doubled,
        header: false,
        encoding,
        ..Dialect::default()
    }
}

pub fn wide_plan() -> RowPlan {
    let mut types = vec![Type::Text; 5];
    types.extend(vec![Type::Bool; 5]);
    types.extend(vec![numeric(6, 2); 10]);
    plan(types, Encoding::Windows1252, &["", " ", "."])
}

pub fn lineitem_plan() -> RowPlan {
    let mut types = vec![Type::Int4; 4];
    types.extend(vec![numeric(15, 2); 4]);
    types.extend(vec![Type::Bpchar(Some(1)); 2]);
    types.extend(vec![Type::Date; 3]);
    types.push(Type::Bpchar(Some(25)));
    types.push(Type::Bpchar(Some(10)));
    types.push(Type::Varchar(Some(44)));
    plan(types, Encoding::Utf8, &[])
}

fn plan(types: Vec<Type>, encoding: Encoding, nulls: &[&str]) -> RowPlan {
    let column = |(field, ty)| ColumnPlan {
        name: format!("c{field}"),
        field,
        not_null: false,
        nulls: nulls.iter().map(|null| null.as_bytes().to_vec()).collect(),
        spelling: None,
        ty,
    };
    RowPlan {
        dialect: dialect(None, encoding),
        fields: types.len(),
        columns: types.into_iter().enumerate().map(column).collect(),
        faults: None,
    }
}

/// Splits the whole text and returns the number of chunks.
pub fn split(text: &[u8], dialect: &Dialect) -> usize {
    let mut splitter = Splitter::new(text, dialect, CHUNK_BYTES);
    let mut chunks = 0;
    let mut reuse = Vec::new();
    while let Some(chunk) = splitter.next(reuse).expect("text that can be cut") {
        chunks += 1;
        reuse = chunk.bytes;
    }
    chunks
}

/// Cuts a chunk and returns the number of fields.
pub fn cut(chunk: &Chunk, dialect: &Dialect) -> usize {
    let mut cutter = Cutter::new(chunk, dialect);
    let mut fields = Fields::default();
    let mut count = 0;
    while cutter.next(&mut fields).is_some() {
        count += fields.len();
    }
    count
}

/// Reads to the end and returns the number of bytes.
pub fn drain(reader: &mut dyn Read) -> usize {
    let mut buffer = vec![0; 64 << 10];
    let mut bytes = 0;
    loop {
        match reader.read(&mut buffer).expect("whole data") {
            0 => return bytes,
            count => bytes += count,
        }
    }
}

pub fn numeric(precision: u16, scale: i16) -> Type {
    Type::Numeric(Some(Precision { precision, scale }))
}

pub fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).expect("compress in memory")
}

pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).expect("compress in memory");
    encoder.finish().expect("compress in memory")
}

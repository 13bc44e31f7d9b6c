//! The table L in the other formats: the same values, so that the formats can be held against each
//! other.

use super::inputs;
use overnight::read::fixed_width::{Extent, FixedWidth};
use overnight::read::json_lines::JsonLines;
use overnight::read::parse::RowPlan;
use overnight::read::{Dialect, Footer, Shape};
use std::sync::Arc;

fn records() -> Vec<Vec<String>> {
    let text = String::from_utf8(inputs::lineitem_text()).expect("text");
    let lines = text.lines();
    lines
        .map(|line| line.split('|').map(str::to_owned).collect())
        .collect()
}

fn with(dialect: Dialect) -> RowPlan {
    let plan = inputs::lineitem_plan();
    RowPlan { dialect, ..plan }
}

/// A delimiter behind every record, comments that do not come, short rows that are padded.
pub fn spelled(how: &str) -> (Vec<u8>, RowPlan) {
    let plain = inputs::lineitem_plan().dialect;
    let (end, dialect) = match how {
        "trailing delimiter" => (
            "|\n",
            Dialect {
                trailing_delimiter: true,
                ..plain
            },
        ),
        "comment" => (
            "\n",
            Dialect {
                comment: Some(b"#".to_vec()),
                footer: Footer::Records(1),
                ..plain
            },
        ),
        _ => (
            "\n",
            Dialect {
                pad_short: true,
                ..plain
            },
        ),
    };
    let text: String = records()
        .iter()
        .map(|record| record.join("|") + end)
        .collect();
    (text.into_bytes(), with(dialect))
}

/// Every field as wide as its longest value.
pub fn fixed_width() -> (Vec<u8>, RowPlan) {
    let records = records();
    let width = |field: usize| {
        let lengths = records.iter().map(|record| record[field].len());
        lengths.max().unwrap_or_default().max(1)
    };
    let widths: Vec<usize> = (0..records[0].len()).map(width).collect();
    let mut start = 0;
    let extents = widths.iter().map(|length| {
        let extent = Extent {
            start,
            length: *length,
        };
        start += length;
        extent
    });
    let layout = FixedWidth {
        extents: extents.collect(),
        trim: true,
        ..FixedWidth::default()
    };
    let mut text = String::new();
    for record in &records {
        for (value, width) in record.iter().zip(&widths) {
            text += &format!("{value:width$}");
        }
        text.push('\n');
    }
    let dialect = Dialect {
        shape: Shape::FixedWidth(Arc::new(layout)),
        quote: None,
        ..Dialect::default()
    };
    (text.into_bytes(), with(dialect))
}

/// An object a line, with numbers where the columns are numbers.
pub fn json_lines() -> (Vec<u8>, RowPlan) {
    let names = [
        "orderkey",
        "partkey",
        "suppkey",
        "linenumber",
        "quantity",
        "extendedprice",
        "discount",
        "tax",
        "returnflag",
        "linestatus",
        "shipdate",
        "commitdate",
        "receiptdate",
        "shipinstruct",
        "shipmode",
        "comment",
    ];
    let mut paths = JsonLines::new(None).expect("no path");
    for name in names {
        paths.take(name, false).expect("a path");
    }
    let mut text = String::new();
    for record in records() {
        let mut members = Vec::new();
        for (index, (name, value)) in names.iter().zip(&record).enumerate() {
            members.push(match index < 8 {
                true => format!("\"{name}\":{value}"),
                false => format!("\"{name}\":\"{value}\""),
            });
        }
        text += &format!("{{{}}}\n", members.join(","));
    }
    let dialect = Dialect {
        shape: Shape::JsonLines(Arc::new(paths.finish())),
        quote: None,
        ..Dialect::default()
    };
    (text.into_bytes(), with(dialect))
}

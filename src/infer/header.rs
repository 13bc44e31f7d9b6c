//! Whether the first record is a header.
//!
//! In: the first record, and what the columns hold in all others. Out: the answer and what speaks for
//! it: a header is what columns of numbers, days or codes of one form do not hold. Where all columns
//! are text of any form it is a guess.

use super::column::Column;
use super::edges::Edges;
use super::name::{self, Name};
use super::{Note, counted};

/// What the first record is, and what speaks for it.
pub struct Header {
    pub is_header: bool,
    pub note: Note,
}

/// Decides. `columns`: what the other records hold; `repeated`: whether one of them has the same text as
/// the first.
pub fn decide(columns: &[Column], repeated: &[bool], first: &[String], edges: &Edges) -> Header {
    let (mut for_it, mut against) = (0u64, 0u64);
    let folded: Vec<Name> = name::of_header(first);
    for (index, text) in first.iter().enumerate() {
        let Some(column) = columns.get(index) else {
            continue;
        };
        let is_year = text.len() == 4 && (text.starts_with("19") || text.starts_with("20"));
        match column.would_fit(text.as_bytes(), &folded[index].column) {
            Some(false) => for_it += 1,
            Some(true) if !is_year => against += 1,
            _ if repeated.get(index) == Some(&true) => against += 1,
            _ => {}
        }
    }
    let is = |is_header, note| Header { is_header, note };
    match (for_it, against) {
        (1.., 0) => is(
            true,
            Note::seen(format!(
                "{} of one form, and the first record does not have it",
                columns_hold(for_it)
            )),
        ),
        (0, 1..) => is(
            false,
            Note::seen(format!(
                "{} of one form, and the first record has it too",
                columns_hold(against)
            )),
        ),
        (1.., 1..) => is(
            for_it > against,
            Note::guessed(format!(
                "the first record is unlike the others in {}, and like them in {}",
                counted(for_it, "column"),
                counted(against, "column")
            )),
        ),
        (0, 0) => without_evidence(columns, first, edges),
    }
}

fn columns_hold(count: u64) -> String {
    match count {
        1 => "1 column holds values".into(),
        count => format!("{} columns hold values", crate::units::grouped(count)),
    }
}

/// Every column is text of any form.
fn without_evidence(columns: &[Column], first: &[String], edges: &Edges) -> Header {
    let named: Vec<&str> = first
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
        .collect();
    let distinct: std::collections::BTreeSet<&&str> = named.iter().collect();
    let like_names = !named.is_empty()
        && distinct.len() == named.len()
        && named
            .iter()
            .all(|text| text.len() <= 128 && text.contains(|c: char| c.is_alphabetic()));
    let alone = edges.records - edges.start == 1;
    let is_header = match (first.len(), alone) {
        (0, _) => false,
        (1, false) => {
            like_names
                && !first[0].contains(' ')
                && columns.first().is_some_and(Column::has_values)
                && first[0].contains('_')
        }
        (1, true) => false,
        (_, true) => like_names && named.len() == first.len(),
        (_, false) => like_names,
    };
    let what = match (alone, is_header) {
        (true, true) => "the only record, and all of its fields could be names",
        (true, false) => "the only record, and it does not look like names",
        (false, true) => "every column is text; the first record could be names",
        (false, false) => "every column is text; the first record does not look like names",
    };
    Header {
        is_header,
        note: Note::guessed(what),
    }
}

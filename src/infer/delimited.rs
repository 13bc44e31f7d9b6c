//! Delimited text: from the syntax to the proposal.
//!
//! In: a text and its syntax. Out: the keys of `[format]`, the names of the columns and what they hold.

use super::cells::{Cell, Table};
use super::dialect::{self, Choice, Syntax};
use super::edges::{Edges, Scan};
use super::header::{self, Header};
use super::name::{self, Name};
use super::records::{self, Record};
use super::syntax_keys::{delimiter, quote};
use super::{Found, Note, Setting, counted, of};
use std::borrow::Cow;
use std::ops::ControlFlow;

/// Fewer records repeat a text by chance.
const FEW_RECORDS: usize = 8;

/// Looks at a delimited text; without a choice of syntax every line is one field.
pub fn find(text: &[u8], whole: bool, choice: Option<Choice>) -> Found {
    let found_delimiter = choice.is_some();
    let choice = choice.unwrap_or_else(|| dialect::single_column(text, whole));
    let syntax = choice.syntax;
    let text = records::whole_lines(text, whole);
    let (text, comments) = match syntax.comment {
        None => (Cow::Borrowed(text), 0),
        Some(mark) => records::without_comments(text, mark),
    };
    let scan = Scan::new(&text, &syntax);
    let edges = scan.edges(&text, whole);
    let first = scan.texts(edges.start);
    let body = Body::read(&text, &syntax, &edges, first, &[edges.width]);
    let again = body.headers;
    // Where it is typed, a header that comes again is no value: what it was is decided without it.
    let (body, header) = {
        let with = header::decide(&body.table.columns, &body.repeated, first, &edges);
        match again {
            0 => (body, with),
            _ => {
                let without = Body::without(first, &text, &syntax, &edges, &[edges.width]);
                let header =
                    header::decide(&without.table.columns, &without.repeated, first, &edges);
                match header.is_header && !header.note.guessed {
                    true => (without, header),
                    false => (body, with),
                }
            }
        }
    };
    let again = if body.skips_headers { again } else { 0 };
    let trailing = match header.is_header {
        true => edges.extra_field,
        false => edges.always_empty_last,
    };
    let fields = match (header.is_header, trailing) {
        (true, _) => edges.first_width,
        (false, trailing) => edges.width - usize::from(trailing),
    };
    let before_data = edges.start + usize::from(header.is_header);
    let records = edges.records.saturating_sub(before_data + edges.behind) as u64;
    let wanted = fields + usize::from(trailing);
    let first_counts = u64::from(!header.is_header && edges.first_width == wanted);
    let of_width = |width: usize| body.widths.get(&width).copied().unwrap_or(0);
    let fitting = of_width(wanted) + first_counts;
    let short = of_width(wanted.saturating_sub(1))
        + u64::from(!header.is_header && edges.first_width + 1 == wanted);
    let pad = wanted > 2 && short >= 10 && short * 20 >= records && short + fitting == records;
    let body = match pad || wanted != edges.width {
        false => body,
        true => {
            let fits = [wanted, wanted - usize::from(pad)];
            match again {
                0 => Body::read(&text, &syntax, &edges, first, &fits),
                _ => Body::without(first, &text, &syntax, &edges, &fits),
            }
        }
    };
    let mut table = body.table;
    if !header.is_header {
        let cells: Vec<Cell> = first
            .iter()
            .map(|text| Cell::plain(text.as_bytes()))
            .collect();
        if cells.len() >= fields || pad {
            table.observe(&cells[..fields.min(cells.len())]);
        }
    }
    table.columns.truncate(fields);
    table.columns.resize(fields, Default::default());
    let rejected = (records - fitting.min(records)) * u64::from(!pad) + body.not_text + again;

    let mut format = vec![Setting::new(
        "kind",
        "delimited",
        Note::seen(match found_delimiter {
            true => format!(
                "{} have {}",
                of(fitting, records),
                counted(wanted as u64, "field")
            ),
            false => format!(
                "no delimiter in {}: each is one field",
                counted(records, "record")
            ),
        }),
    )];
    format.push(delimiter(&syntax, found_delimiter));
    format.extend(quote(&choice, &text));
    if let Some(mark) = syntax.comment {
        let note = format!(
            "{} with it, and have another number of fields",
            match comments {
                1 => "1 line begins".to_owned(),
                count => format!("{} lines begin", crate::units::grouped(count)),
            }
        );
        format.push(Setting::new("comment", mark, Note::seen(note)));
    }
    let mut notes = Vec::new();
    if edges.start > 0 && comments == 0 {
        let note = Note::seen(format!(
            "{} before the first record of {}{}",
            counted(edges.lines, "line"),
            counted(edges.first_width as u64, "field"),
            match edges.padded {
                0 => "",
                _ => ", filled up with delimiters",
            }
        ));
        format.push(Setting::new("skip_lines", edges.lines as i64, note));
    } else if edges.lines > 0 && edges.lines_are_empty && comments == 0 {
        notes.push(Note::seen(format!(
            "{} before the first record; empty lines are no records",
            counted(edges.lines, "empty line")
        )));
    }
    if again > 0 {
        notes.push(Note::seen(format!(
            "the header comes again {}: those records are rejected",
            match again {
                1 => "once".to_owned(),
                count => format!("{} times", crate::units::grouped(count)),
            }
        )));
    }
    let names = names(&header, first, fields);
    format.push(Setting::new("header", header.is_header, header.note));
    if !header.is_header {
        let list: Vec<toml::Value> = names
            .iter()
            .map(|name| name.column.as_str().into())
            .collect();
        format.push(Setting::new(
            "names",
            list,
            Note::guessed("the file has no names: call the columns what they are"),
        ));
    }
    if trailing {
        let text = format!(
            "each of {} ends with one delimiter more",
            counted(edges.usual, "record")
        );
        let note = match header.is_header {
            true => Note::seen(format!("{text} than the header")),
            false => Note::guessed(format!("{text}, or its last field is always empty")),
        };
        format.push(Setting::new("trailing_delimiter", true, note));
    }
    if edges.behind > 0 {
        let blank = if edges.behind_after_blank_line {
            ", after an empty line"
        } else {
            ""
        };
        let note = Note::guessed(format!(
            "the last {} not like the others{blank}",
            match edges.behind {
                1 => "record is".to_owned(),
                count => format!("{count} records are"),
            }
        ));
        format.push(Setting::new("footer", edges.behind as i64, note));
    }
    if pad {
        let note = Note::guessed(format!(
            "{} lack the last field, which may be left out where it is empty",
            of(short, records)
        ));
        format.push(Setting::new("short_rows", "pad", note));
    }
    Found {
        kind: "delimited",
        records,
        rejected,
        notes,
        format,
        names,
        table,
        empty_is_null: true,
    }
}

/// The records between the edges, but for the first.
struct Body {
    table: Table,
    widths: std::collections::BTreeMap<usize, u64>,
    /// Records of the right width that hold a NUL or bytes that are no text.
    not_text: u64,
    /// For each field of the first record, whether another record has the same text there.
    repeated: Vec<bool>,
    /// Records that are the first one again, and whether they were left out.
    headers: u64,
    skips_headers: bool,
}

impl Body {
    fn read(text: &[u8], syntax: &Syntax, edges: &Edges, first: &[String], fits: &[usize]) -> Body {
        Body::scan(text, syntax, edges, first, fits, false)
    }

    /// Leaves out the records that are the header again.
    fn without(
        first: &[String],
        text: &[u8],
        syntax: &Syntax,
        edges: &Edges,
        fits: &[usize],
    ) -> Body {
        Body::scan(text, syntax, edges, first, fits, true)
    }

    fn scan(
        text: &[u8],
        syntax: &Syntax,
        edges: &Edges,
        first: &[String],
        fits: &[usize],
        skips_headers: bool,
    ) -> Body {
        let width = fits.iter().copied().max().unwrap_or(0);
        let suspicious = memchr::memchr(0, text).is_some() || std::str::from_utf8(text).is_err();
        let mut body = Body {
            table: Table::new(width),
            widths: Default::default(),
            not_text: 0,
            repeated: vec![false; first.len()],
            headers: 0,
            skips_headers,
        };
        let end = edges.records - edges.behind.min(edges.records);
        let mut index = 0;
        let _ended = records::each(text, &syntax.dialect(), &mut |record: Record| {
            let at = index;
            index += 1;
            if at <= edges.start {
                return ControlFlow::Continue(());
            }
            if at >= end {
                return ControlFlow::Break(());
            }
            let count = record.fields.len();
            *body.widths.entry(count).or_default() += 1;
            if record.fault.is_some() || !fits.contains(&count) {
                return ControlFlow::Continue(());
            }
            let texts = (0..count.min(width)).map(|field| record.fields.get(field).0);
            if suspicious {
                let is_text = |text: &[u8]| {
                    memchr::memchr(0, text).is_none() && std::str::from_utf8(text).is_ok()
                };
                if !texts.clone().all(is_text) {
                    body.not_text += 1;
                    return ControlFlow::Continue(());
                }
            }
            let mut same = 0;
            for (text, first) in texts.clone().zip(first) {
                same += usize::from(text == first.as_bytes());
            }
            if same == first.len() && same > 1 && count == same {
                body.headers += 1;
                if skips_headers {
                    return ControlFlow::Continue(());
                }
            }
            // Two that are alike by chance say nothing.
            if edges.records >= FEW_RECORDS && same > 0 && same < first.len() {
                for ((text, first), repeated) in texts.clone().zip(first).zip(&mut body.repeated) {
                    *repeated |= text == first.as_bytes() && !text.is_empty();
                }
            }
            let row: Vec<Cell> = texts.map(Cell::plain).collect();
            body.table.observe(&row);
            ControlFlow::Continue(())
        });
        body
    }
}

fn names(header: &Header, first: &[String], fields: usize) -> Vec<Name> {
    match header.is_header {
        true => name::of_header(first),
        false => name::numbered(fields),
    }
}

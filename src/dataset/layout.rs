//! Where the fields of a fixed-width record are: from the source file or a CSV file beside it.
//!
//! In: starts that count from zero or one, as `start_from` says. Out: names and places that count
//! from zero. It must be said which: a layout that is read one place off looks almost right.

use super::format_file::{ExtentFile, FormatFile, LayoutFile, RecordTypeFile, UnitFile};
use super::source::fold;
use crate::read::fixed_width::{Extent, FixedWidth, RecordType};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;

/// Reads the layout of a source: the names of its fields and where they are. The file that it names
/// is added to `companions`.
///
/// # Errors
/// A key is missing, or a place makes no sense; a file that cannot be read.
pub(super) fn read(
    file: &FormatFile,
    path: &Path,
    companions: &mut Vec<String>,
) -> Result<(Vec<String>, FixedWidth)> {
    let layout = file.layout.as_ref().context(
        "`kind = \"fixed_width\"` needs `layout`: a CSV file beside this one, or `[{ name = \"id\", start = 1, length = 9 }, ...]`",
    )?;
    let first = file.start_from.context(
        "`kind = \"fixed_width\"` needs `start_from`: 1 if the layout calls the first place of a record 1, 0 if it calls it 0",
    )?;
    ensure!(first <= 1, "`start_from = {first}`: write 0 or 1");
    let fields = match layout {
        LayoutFile::Fields(fields) => fields.clone(),
        LayoutFile::File(name) => {
            ensure!(
                Path::new(name).file_name() == Some(std::ffi::OsStr::new(name))
                    && name.ends_with(".csv"),
                "`layout = \"{name}\"`: name a .csv file in the folder of this source file"
            );
            companions.push(name.clone());
            let path = path.with_file_name(name);
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("read the layout `{}`", path.display()))?;
            from_csv(&text).with_context(|| format!("read the layout `{}`", path.display()))?
        }
    };
    ensure!(!fields.is_empty(), "`layout` has no fields");
    let extents = fields
        .iter()
        .map(|field| {
            extent(field.start, field.length, first)
                .with_context(|| format!("field `{}` of the layout", field.name))
        })
        .collect::<Result<_>>()?;
    let record_type = file.record_type.as_ref();
    let layout = FixedWidth {
        extents,
        chars: file.unit == Some(UnitFile::Chars),
        trim: file.trim.unwrap_or(true),
        record_type: record_type
            .map(|wanted| record_type_of(wanted, first).context("`record_type`"))
            .transpose()?,
    };
    let names = fields.into_iter().map(|field| field.name).collect();
    Ok((names, layout))
}

fn extent(start: usize, length: usize, first: usize) -> Result<Extent> {
    ensure!(length > 0, "`length = 0`: a field has at least one place");
    let Some(start) = start.checked_sub(first) else {
        bail!("`start = 0` is before the first place: with `start_from = 1` that is 1");
    };
    Ok(Extent { start, length })
}

fn record_type_of(wanted: &RecordTypeFile, first: usize) -> Result<RecordType> {
    let values = wanted.value.0.iter();
    let values: Vec<Vec<u8>> = values.map(|value| value.trim().into()).collect();
    ensure!(
        !values.is_empty() && values.iter().all(|value| value.is_ascii()),
        "`value` is one text of ASCII characters, or a list of them"
    );
    Ok(RecordType {
        extent: extent(wanted.start, wanted.length, first)?,
        values,
    })
}

/// Names that the columns of a layout file go by.
const NAME: [&str; 3] = ["name", "column", "field"];
const START: [&str; 1] = ["start"];
const LENGTH: [&str; 2] = ["length", "width"];
const END: [&str; 1] = ["end"];

fn from_csv(text: &str) -> Result<Vec<ExtentFile>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<String> = csv.headers()?.iter().map(fold).collect();
    let place = |names: &[&str]| {
        let mut known = names.iter();
        known.find_map(|name| header.iter().position(|column| column == name))
    };
    let missing =
        |what| format!("its header names no column `{what}`: it needs name, start and length");
    let name = place(&NAME).with_context(|| missing("name"))?;
    let start = place(&START).with_context(|| missing("start"))?;
    let (length, end) = (place(&LENGTH), place(&END));
    ensure!(length.or(end).is_some(), missing("length"));
    let mut fields = Vec::new();
    for record in csv.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let number = |index: usize| -> Result<usize> {
            let text = record.get(index).unwrap_or_default().trim();
            text.parse()
                .with_context(|| format!("line {line}: `{text}` is not a number"))
        };
        let start = number(start)?;
        let length = match (length, end) {
            (Some(length), _) => number(length)?,
            (None, Some(end)) => (number(end)? + 1).saturating_sub(start),
            (None, None) => 0,
        };
        fields.push(ExtentFile {
            name: record.get(name).unwrap_or_default().to_owned(),
            start,
            length,
        });
    }
    Ok(fields)
}

//! `[format]` of a source file: from its keys to what reads the files.
//!
//! Every combination of keys that would promise what nothing does is refused here, before a file is
//! looked at.

use super::format_file::{EscapeFile, FormatFile, Kind, ShortRows};
use super::layout;
use crate::read::dialect::{Dialect, Escape, Footer, Shape, Skip};
use crate::read::encoding::Encoding;
use crate::read::json_lines::JsonLines;
use crate::read::line_glob::LineGlob;
use crate::read::{rows, text};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::sync::Arc;

/// What the files of a source are, once they are taken out of their containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    Delimited,
    FixedWidth,
    JsonLines,
    /// One row for each element at this path.
    Xml {
        rows: String,
        /// Instead of what a document says of itself.
        encoding: Option<Encoding>,
    },
    Parquet,
    /// The sheet of this name; without one, the only sheet.
    Xlsx {
        sheet: Option<String>,
    },
}

impl Format {
    /// How a null is written by what turns the format into text, if that is done.
    pub(super) fn null_of_rows(&self) -> Option<String> {
        match self {
            Format::Delimited | Format::FixedWidth | Format::JsonLines => None,
            Format::Xml { .. } | Format::Parquet | Format::Xlsx { .. } => {
                Some(rows::NULL.to_owned())
            }
        }
    }
}

/// How much may come out of a container, where the source file says it; see the container for what
/// holds otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unpacking {
    pub max_expanded_bytes: Option<u64>,
    /// Bytes that come out for each byte that goes in.
    pub max_expansion: Option<u64>,
    pub max_members: Option<u64>,
}

/// What `[format]` says.
pub(super) struct FormatRead {
    pub(super) format: Format,
    pub(super) dialect: Dialect,
    pub(super) names: Option<Vec<String>>,
    pub(super) null: Vec<String>,
    pub(super) unpacking: Unpacking,
    /// Files beside the source file that it names.
    pub(super) companions: Vec<String>,
}

impl FormatRead {
    /// Reads the keys. `path` is the source file's: a layout lies beside it.
    pub(super) fn new(file: FormatFile, path: &Path) -> Result<FormatRead> {
        let kind = file.kind.unwrap_or(Kind::Delimited);
        file.check_kind(kind)?;
        let mut companions = Vec::new();
        let (dialect, names) = match kind {
            Kind::Delimited => (delimited(&file)?, file.names.clone()),
            Kind::FixedWidth => {
                let (fields, layout) = layout::read(&file, path, &mut companions)?;
                ensure!(
                    layout.chars || !common(&file)?.encoding.is_transcoded(),
                    "`unit = \"bytes\"` cannot be counted in this encoding, whose text is turned into UTF-8 first: write `unit = \"chars\"`"
                );
                (
                    lines(&file, Shape::FixedWidth(Arc::new(layout)))?,
                    Some(fields),
                )
            }
            Kind::JsonLines => {
                let encoding = common(&file)?.encoding;
                ensure!(
                    encoding == Encoding::Utf8 || encoding.is_transcoded(),
                    "`encoding` of JSON is utf-8 (RFC 8259): remove the key"
                );
                let paths = JsonLines::new(file.explode.as_deref())?;
                let dialect = lines(&file, Shape::JsonLines(Arc::new(paths)))?;
                (dialect, Some(Vec::new()))
            }
            // What the readers of these kinds write, with what stands around the rows of a sheet.
            Kind::Xml | Kind::Parquet | Kind::Xlsx => {
                let common = common(&file)?;
                let written = rows::dialect(common.max_record_bytes);
                let dialect = Dialect {
                    delimiter: written.delimiter,
                    quote: written.quote,
                    escape: written.escape,
                    encoding: written.encoding,
                    header: header(&file)?,
                    ..common
                };
                (dialect, file.names.clone())
            }
        };
        dialect.check()?;
        let format = match kind {
            Kind::Delimited => Format::Delimited,
            Kind::FixedWidth => Format::FixedWidth,
            Kind::JsonLines => Format::JsonLines,
            Kind::Xml => Format::Xml {
                encoding: encoding(&file)?,
                rows: file.rows.context(
                    "`kind = \"xml\"` needs `rows = \"/path/to/element\"`, the path of the element that is a row",
                )?,
            },
            Kind::Parquet => Format::Parquet,
            Kind::Xlsx => Format::Xlsx { sheet: file.sheet },
        };
        if matches!(kind, Kind::Parquet | Kind::Xlsx) {
            text::check_built_with(kind.key())?;
        }
        let mut null = file.null.unwrap_or_else(|| match kind {
            // Where a value can be absent, an empty one is a value.
            Kind::JsonLines | Kind::Parquet => Vec::new(),
            _ => vec![String::new()],
        });
        null.extend(format.null_of_rows());
        Ok(FormatRead {
            format,
            dialect,
            names,
            null,
            companions,
            unpacking: Unpacking {
                max_expanded_bytes: file.max_expanded_bytes.map(|bytes| bytes.0),
                max_expansion: file.max_expansion,
                max_members: file.max_members,
            },
        })
    }
}

fn header(file: &FormatFile) -> Result<bool> {
    let header = file.header.unwrap_or(true);
    if header == file.names.is_some() {
        bail!(if header {
            "`names` is for files without a header: remove it, or set `header = false`"
        } else {
            "`header = false` needs `names = [...]`, the names of the file's columns in order"
        });
    }
    ensure!(
        header || file.header_lines.is_none(),
        "`header_lines` is for files with a header: remove it, or `header = false`"
    );
    Ok(header)
}

fn delimited(file: &FormatFile) -> Result<Dialect> {
    Ok(Dialect {
        delimiter: one_byte("delimiter", file.delimiter.as_deref().unwrap_or(","))?,
        quote: match file.quote.as_deref() {
            Some("none") => None,
            Some(quote) => Some(one_byte("quote", quote)?),
            None => Some(b'"'),
        },
        escape: match file.escape {
            Some(EscapeFile::Backslash) => Escape::Backslash,
            Some(EscapeFile::Double) | None => Escape::Doubled,
        },
        trailing_delimiter: file.trailing_delimiter.unwrap_or(false),
        header: header(file)?,
        ..common(file)?
    })
}

/// A record is a line; the layout or the paths say what it holds.
fn lines(file: &FormatFile, shape: Shape) -> Result<Dialect> {
    Ok(Dialect {
        shape,
        quote: None,
        escape: Escape::Doubled,
        header: false,
        ..common(file)?
    })
}

/// What every kind has.
fn common(file: &FormatFile) -> Result<Dialect> {
    Ok(Dialect {
        encoding: encoding(file)?.unwrap_or(Encoding::Utf8),
        max_record_bytes: file
            .max_record_bytes
            .map_or(16 << 20, |bytes| bytes.0 as usize),
        skip: match (file.skip_lines, &file.skip_until) {
            (Some(_), Some(_)) => bail!("write `skip_lines` or `skip_until`, not both"),
            (Some(lines), None) => Skip::Lines(lines),
            (None, Some(pattern)) => Skip::Until(line_glob("skip_until", pattern)?),
            (None, None) => Skip::Nothing,
        },
        header_lines: file.header_lines.unwrap_or(1),
        comment: file.comment.clone().map(String::into_bytes),
        footer: match (file.footer, &file.footer_from) {
            (Some(_), Some(_)) => bail!("write `footer` or `footer_from`, not both"),
            (Some(records), None) => Footer::Records(records),
            (None, Some(pattern)) => Footer::From(line_glob("footer_from", pattern)?),
            (None, None) => Footer::None,
        },
        pad_short: file.short_rows == Some(ShortRows::Pad),
        ..Dialect::default()
    })
}

fn encoding(file: &FormatFile) -> Result<Option<Encoding>> {
    let read = |label: &String| {
        Encoding::from_label(label).with_context(|| {
            format!(
                "encoding `{label}` is not known: write utf-8, utf-16, windows-1252, iso-8859-1, shift_jis, gbk or another label of the WHATWG Encoding Standard (in which iso-8859-9 is windows-1254 and iso-8859-11 is windows-874)"
            )
        })
    };
    file.encoding.as_ref().map(read).transpose()
}

fn line_glob(key: &str, pattern: &str) -> Result<LineGlob> {
    LineGlob::new(pattern).with_context(|| {
        format!("`{key} = \"{pattern}\"` is not a glob for a line such as `Total*`")
    })
}

fn one_byte(key: &str, text: &str) -> Result<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => bail!(
            "`{key} = \"{}\"` must be one ASCII character",
            text.escape_default()
        ),
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;

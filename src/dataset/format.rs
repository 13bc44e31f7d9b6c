//! `[format]` of a source file: from its keys to what reads the files.
//!
//! Every combination of keys that would promise what nothing does is refused here, before a file is
//! looked at.

use super::format_file::{EscapeFile, FormatFile, Kind};
use crate::read::dialect::{Dialect, Escape};
use crate::read::encoding::Encoding;
use anyhow::{Context, Result, bail};

/// What the files of a source are, once they are taken out of their containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    Delimited,
    FixedWidth,
    JsonLines,
    /// One row for each element at this path.
    Xml {
        rows: String,
    },
    Parquet,
    /// The sheet of this name; without one, the only sheet.
    Xlsx {
        sheet: Option<String>,
    },
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
}

/// The delimiter of the text that tables without a text of their own are turned into.
const UNIT_SEPARATOR: u8 = 0x1F;

impl FormatRead {
    pub(super) fn new(file: FormatFile) -> Result<FormatRead> {
        let kind = file.kind.unwrap_or(Kind::Delimited);
        file.check_kind(kind)?;
        let dialect = match kind {
            Kind::Delimited => delimited(&file)?,
            Kind::FixedWidth | Kind::JsonLines => Dialect {
                quote: None,
                header: false,
                ..common(&file)?
            },
            // What the reader of the kind writes: see `read::text`.
            Kind::Xml | Kind::Parquet | Kind::Xlsx => Dialect {
                delimiter: UNIT_SEPARATOR,
                quote: None,
                escape: Escape::Backslash,
                header: file.header.unwrap_or(true),
                encoding: Encoding::Utf8,
                ..common(&file)?
            },
        };
        dialect.check()?;
        let format = match kind {
            Kind::Delimited => Format::Delimited,
            Kind::FixedWidth => Format::FixedWidth,
            Kind::JsonLines => Format::JsonLines,
            Kind::Xml => Format::Xml {
                rows: file.rows.context(
                    "`kind = \"xml\"` needs `rows = \"/path/to/element\"`, the path of the element that is a row",
                )?,
            },
            Kind::Parquet => Format::Parquet,
            Kind::Xlsx => Format::Xlsx { sheet: file.sheet },
        };
        Ok(FormatRead {
            format,
            dialect,
            names: file.names,
            null: file.null.unwrap_or_else(|| match kind {
                // Where a value can be absent, an empty one is a value.
                Kind::JsonLines | Kind::Parquet => Vec::new(),
                _ => vec![String::new()],
            }),
            unpacking: Unpacking {
                max_expanded_bytes: file.max_expanded_bytes.map(|bytes| bytes.0),
                max_expansion: file.max_expansion,
                max_members: file.max_members,
            },
        })
    }
}

fn delimited(file: &FormatFile) -> Result<Dialect> {
    let header = file.header.unwrap_or(true);
    if header == file.names.is_some() {
        bail!(if header {
            "`names` is for files without a header: remove it, or set `header = false`"
        } else {
            "`header = false` needs `names = [...]`, the names of the file's columns in order"
        });
    }
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
        header,
        ..common(file)?
    })
}

/// What every kind has.
fn common(file: &FormatFile) -> Result<Dialect> {
    Ok(Dialect {
        encoding: match file.encoding.as_deref() {
            None => Encoding::Utf8,
            Some(label) => Encoding::from_label(label).with_context(|| {
                format!("encoding `{label}` is not known: write utf-8, windows-1252 or iso-8859-1")
            })?,
        },
        max_record_bytes: file
            .max_record_bytes
            .map_or(16 << 20, |bytes| bytes.0 as usize),
        ..Dialect::default()
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

//! `[format]` of a source file: from its keys to what reads the files.
//!
//! Every combination of keys that would promise what nothing does is refused here, before a file is
//! looked at.

use super::format_file::{EscapeFile, FormatFile, Kind};
use crate::read::dialect::{Dialect, Escape};
use crate::read::encoding::Encoding;
use crate::read::{rows, text};
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
}

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
            // What the readers of these kinds write.
            Kind::Xml | Kind::Parquet | Kind::Xlsx => Dialect {
                header: file.header.unwrap_or(true),
                ..rows::dialect(common(&file)?.max_record_bytes)
            },
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
            names: file.names,
            null,
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
        encoding: encoding(file)?.unwrap_or(Encoding::Utf8),
        max_record_bytes: file
            .max_record_bytes
            .map_or(16 << 20, |bytes| bytes.0 as usize),
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

fn one_byte(key: &str, text: &str) -> Result<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => bail!(
            "`{key} = \"{}\"` must be one ASCII character",
            text.escape_default()
        ),
    }
}

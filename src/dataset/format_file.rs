//! The keys of `[format]` of a source file, as they are written, and which kind takes which.

use super::file::{OneOrMore, deserialize_either};
use crate::units::Bytes;
use anyhow::{Result, bail};
use serde::Deserialize;

/// `[format]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FormatFile {
    pub(super) kind: Option<Kind>,
    pub(super) encoding: Option<String>,
    pub(super) null: Option<Vec<String>>,
    pub(super) max_record_bytes: Option<Bytes>,

    pub(super) delimiter: Option<String>,
    pub(super) quote: Option<String>,
    pub(super) escape: Option<EscapeFile>,
    pub(super) trailing_delimiter: Option<bool>,

    pub(super) header: Option<bool>,
    pub(super) header_lines: Option<usize>,
    pub(super) names: Option<Vec<String>>,

    pub(super) skip_lines: Option<u64>,
    pub(super) skip_until: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) footer: Option<usize>,
    pub(super) footer_from: Option<String>,

    pub(super) short_rows: Option<ShortRows>,
    pub(super) long_rows: Option<LongRows>,

    pub(super) layout: Option<LayoutFile>,
    pub(super) start_from: Option<usize>,
    pub(super) unit: Option<UnitFile>,
    pub(super) trim: Option<bool>,
    pub(super) record_type: Option<RecordTypeFile>,

    pub(super) explode: Option<String>,
    pub(super) rows: Option<String>,
    pub(super) sheet: Option<String>,

    pub(super) max_expanded_bytes: Option<Bytes>,
    pub(super) max_expansion: Option<u64>,
    pub(super) max_members: Option<u64>,
}

/// What a raw file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Delimited,
    FixedWidth,
    JsonLines,
    Xml,
    Parquet,
    Xlsx,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EscapeFile {
    Double,
    Backslash,
}

/// What becomes of a record with fewer fields than it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ShortRows {
    Reject,
    Pad,
}

/// What becomes of a record with more fields than it should have: never anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LongRows {
    Reject,
}

/// What starts and lengths of a layout count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum UnitFile {
    Bytes,
    Chars,
}

/// A field of a fixed-width record.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtentFile {
    pub(super) name: String,
    pub(super) start: usize,
    pub(super) length: usize,
}

/// Which fixed-width records are this source's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordTypeFile {
    pub(super) start: usize,
    pub(super) length: usize,
    pub(super) value: OneOrMore,
}

/// The fields of a fixed-width record, or the CSV file beside the source file that lists them.
#[derive(Debug)]
pub(super) enum LayoutFile {
    File(String),
    Fields(Vec<ExtentFile>),
}

deserialize_either!(
    LayoutFile,
    "the name of a CSV file, or `[{ name = \"id\", start = 1, length = 9 }, ...]`",
    visit_str(name: &str) => anyhow::Ok(LayoutFile::File(name.to_owned())),
    visit_seq(fields: Vec<ExtentFile>) => LayoutFile::Fields(fields),
);

impl Kind {
    /// As it is written.
    pub(super) fn key(self) -> &'static str {
        match self {
            Kind::Delimited => "delimited",
            Kind::FixedWidth => "fixed_width",
            Kind::JsonLines => "json_lines",
            Kind::Xml => "xml",
            Kind::Parquet => "parquet",
            Kind::Xlsx => "xlsx",
        }
    }
}

/// Kinds whose records are lines of text.
const LINES: &[Kind] = &[
    Kind::Delimited,
    Kind::FixedWidth,
    Kind::JsonLines,
    Kind::Xlsx,
];
const TEXT: &[Kind] = &[
    Kind::Delimited,
    Kind::FixedWidth,
    Kind::JsonLines,
    Kind::Xml,
];
const DELIMITED: &[Kind] = &[Kind::Delimited];
const WITH_HEADER: &[Kind] = &[Kind::Delimited, Kind::Xlsx];
const WITH_SHORT_ROWS: &[Kind] = &[Kind::Delimited, Kind::FixedWidth, Kind::Xlsx];
const FIXED_WIDTH: &[Kind] = &[Kind::FixedWidth];

impl FormatFile {
    /// Checks that every key belongs to the kind: one that nothing reads would promise something.
    ///
    /// # Errors
    /// A key that is there for another kind, which is named.
    pub(super) fn check_kind(&self, kind: Kind) -> Result<()> {
        let keys: [(&str, bool, &[Kind]); 22] = [
            ("encoding", self.encoding.is_some(), TEXT),
            ("delimiter", self.delimiter.is_some(), DELIMITED),
            ("quote", self.quote.is_some(), DELIMITED),
            ("escape", self.escape.is_some(), DELIMITED),
            (
                "trailing_delimiter",
                self.trailing_delimiter.is_some(),
                DELIMITED,
            ),
            ("header", self.header.is_some(), WITH_HEADER),
            ("header_lines", self.header_lines.is_some(), WITH_HEADER),
            ("names", self.names.is_some(), WITH_HEADER),
            ("skip_lines", self.skip_lines.is_some(), LINES),
            ("skip_until", self.skip_until.is_some(), LINES),
            ("comment", self.comment.is_some(), LINES),
            ("footer", self.footer.is_some(), LINES),
            ("footer_from", self.footer_from.is_some(), LINES),
            ("short_rows", self.short_rows.is_some(), WITH_SHORT_ROWS),
            ("long_rows", self.long_rows.is_some(), WITH_SHORT_ROWS),
            ("layout", self.layout.is_some(), FIXED_WIDTH),
            ("start_from", self.start_from.is_some(), FIXED_WIDTH),
            ("unit", self.unit.is_some(), FIXED_WIDTH),
            ("trim", self.trim.is_some(), FIXED_WIDTH),
            ("record_type", self.record_type.is_some(), FIXED_WIDTH),
            ("explode", self.explode.is_some(), &[Kind::JsonLines]),
            ("sheet", self.sheet.is_some(), &[Kind::Xlsx]),
        ];
        let rows = ("rows", self.rows.is_some(), [Kind::Xml].as_slice());
        for (key, there, kinds) in keys.into_iter().chain([rows]) {
            if there && !kinds.contains(&kind) {
                let kinds: Vec<String> = kinds
                    .iter()
                    .map(|kind| format!("kind = \"{}\"", kind.key()))
                    .collect();
                bail!(
                    "`{key}` is for {}, and this source is of kind = \"{}\": remove the key, or set the kind",
                    kinds.join(" or "),
                    kind.key()
                );
            }
        }
        Ok(())
    }
}

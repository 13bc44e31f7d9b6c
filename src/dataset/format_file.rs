//! The keys of `[format]` of a source file, as they are written, and which kind takes which.

use super::form::{OneOrMore, deserialize_either};
use crate::units::Bytes;
use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::Deserialize;

/// What the files are, and how they are spelled.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FormatFile {
    /// What the files are.
    #[schemars(extend("default" = "delimited", "examples" = ["fixed_width"]))]
    pub(super) kind: Option<Kind>,
    /// What the bytes of text mean: a label such as `utf-8`, `utf-16`, `windows-1252`,
    /// `iso-8859-1`, `shift_jis`. Not for Parquet and Excel, which say it themselves; an XML
    /// document may.
    #[schemars(extend("default" = "utf-8", "examples" = ["windows-1252"]))]
    pub(super) encoding: Option<String>,
    /// Texts that mean NULL, compared whole and exactly. The default of `json_lines` and `parquet`
    /// is `[]`.
    #[schemars(extend("default" = [""], "examples" = [["", ".", "NA"]]))]
    pub(super) null: Option<Vec<String>>,
    /// A longer record is an error: one quote that is not closed would swallow the rest of the
    /// file. At most 1 GiB.
    #[schemars(extend("default" = "16MiB", "examples" = ["64MiB"]))]
    pub(super) max_record_bytes: Option<Bytes>,

    /// One ASCII character between the fields.
    #[schemars(extend("default" = ",", "examples" = ["|"]))]
    pub(super) delimiter: Option<String>,
    /// One ASCII character around fields, or `none`: quotes are data.
    #[schemars(extend("default" = "\"", "examples" = ["none"]))]
    pub(super) quote: Option<String>,
    /// How a quote is written inside quotes.
    #[schemars(extend("default" = "double", "examples" = ["backslash"]))]
    pub(super) escape: Option<EscapeFile>,
    /// Every record ends with one delimiter more; the header may.
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub(super) trailing_delimiter: Option<bool>,

    /// The first record has the names of the fields. With `false`, `names` lists them.
    #[schemars(extend("default" = true, "examples" = [false]))]
    pub(super) header: Option<bool>,
    /// The header is so many records, whose names are joined by a blank, 1 to 100.
    #[schemars(extend("default" = 1, "examples" = [2]))]
    pub(super) header_lines: Option<usize>,
    /// The names of the fields in order, for `header = false`.
    #[schemars(extend("x-default" = "none", "examples" = [["code", "name", "price"]]))]
    pub(super) names: Option<Vec<String>>,

    /// So many lines before the header, or before the first record where there is none, are no
    /// data.
    #[schemars(extend("default" = 0, "examples" = [3]))]
    pub(super) skip_lines: Option<u64>,
    /// A glob for a whole line: all lines before the first that matches are no data.
    #[schemars(extend("x-default" = "none", "examples" = ["id,*"]))]
    pub(super) skip_until: Option<String>,
    /// A line that begins so is no record.
    #[schemars(extend("x-default" = "none", "examples" = ["#"]))]
    pub(super) comment: Option<String>,
    /// So many records at the end are no data, 1 to 1000.
    #[schemars(extend("x-default" = "none", "examples" = [1]))]
    pub(super) footer: Option<usize>,
    /// A glob for a whole line: the record whose first line matches, and everything behind it, is
    /// no data.
    #[schemars(extend("x-default" = "none", "examples" = ["Total*"]))]
    pub(super) footer_from: Option<String>,

    /// What becomes of a record with fewer fields than it should have. A row of an Excel sheet that
    /// ends early is always filled up.
    #[schemars(extend("default" = "reject", "examples" = ["pad"]))]
    pub(super) short_rows: Option<ShortRows>,
    /// What becomes of a record with more fields than it should have: never anything else.
    #[schemars(extend("default" = "reject", "examples" = ["reject"]))]
    pub(super) long_rows: Option<LongRows>,

    /// The fields of a fixed-width record, or the name of a CSV file beside the source file with
    /// the columns `name`, `start` and `length`. Required for `fixed_width`.
    #[schemars(extend("x-default" = "none", "examples" = [[{ "name": "code", "start": 1, "length": 5 }], "layout.csv"]))]
    pub(super) layout: Option<LayoutFile>,
    /// 1 if the layout calls the first place of a record 1, 0 if it calls it 0. Required for
    /// `fixed_width`.
    #[schemars(extend("x-default" = "none", "examples" = [1]))]
    pub(super) start_from: Option<usize>,
    /// What starts and lengths of the layout count.
    #[schemars(extend("default" = "bytes", "examples" = ["chars"]))]
    pub(super) unit: Option<UnitFile>,
    /// Blanks around a fixed-width value are no part of it.
    #[schemars(extend("default" = true, "examples" = [false]))]
    pub(super) trim: Option<bool>,
    /// Only the fixed-width records with this text at this place are the source's.
    #[schemars(extend("x-default" = "all records", "examples" = [{ "start": 1, "length": 2, "value": "01" }]))]
    pub(super) record_type: Option<RecordTypeFile>,

    /// Path of a JSON array; each of its items is a record.
    #[schemars(extend("x-default" = "none", "examples" = ["order.items"]))]
    pub(super) explode: Option<String>,
    /// Path of the XML elements that are records, from the root. Required for `xml`.
    #[schemars(extend("x-default" = "none", "examples" = ["/feed/list/item"]))]
    pub(super) rows: Option<String>,
    /// Name of the Excel sheet.
    #[schemars(extend("x-default" = "the only visible sheet that holds anything", "examples" = ["Prices"]))]
    pub(super) sheet: Option<String>,

    /// The most that one object may unpack to.
    #[schemars(extend("default" = "256GiB", "examples" = ["64GiB"]))]
    pub(super) max_expanded_bytes: Option<Bytes>,
    /// The most bytes that may come out of a container for each byte that goes in, looked at beyond
    /// 64 MiB.
    #[schemars(extend("default" = 250, "examples" = [1100]))]
    pub(super) max_expansion: Option<u64>,
    /// The most members that all archives of one object may have.
    #[schemars(extend("default" = 10000, "examples" = [50000]))]
    pub(super) max_members: Option<u64>,
}

/// What a raw file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Fields between delimiters.
    Delimited,
    /// Lines with fields at fixed places.
    FixedWidth,
    /// Lines that are JSON texts.
    JsonLines,
    /// One record for each element at a path.
    Xml,
    /// Rows of Parquet files.
    Parquet,
    /// Rows of a sheet of Excel.
    Xlsx,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum EscapeFile {
    /// A quote is written twice.
    Double,
    /// A backslash makes the next character data.
    Backslash,
}

/// What becomes of a record with fewer fields than it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ShortRows {
    /// A reject.
    Reject,
    /// The fields that it lacks are null.
    Pad,
}

/// What becomes of a record with more fields than it should have: never anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LongRows {
    Reject,
}

/// What starts and lengths of a layout count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum UnitFile {
    Bytes,
    Chars,
}

/// A field of a fixed-width record.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtentFile {
    /// Name of the field, which a column goes by.
    #[schemars(extend("examples" = ["code"]))]
    pub(super) name: String,
    /// Its first place.
    #[schemars(extend("examples" = [1]))]
    pub(super) start: usize,
    /// How many places it has.
    #[schemars(extend("examples" = [5]))]
    pub(super) length: usize,
}

/// Which fixed-width records are this source's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordTypeFile {
    /// First place of the type, counted as in the layout.
    #[schemars(extend("examples" = [1]))]
    pub(super) start: usize,
    /// How many places it has.
    #[schemars(extend("examples" = [2]))]
    pub(super) length: usize,
    /// The type, or the types, of this source's records.
    #[schemars(extend("examples" = [["01", "02"]]))]
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

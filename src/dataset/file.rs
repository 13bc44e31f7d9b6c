//! The keys of `dataset.toml` and of source files, as they are written.
//!
//! Unknown keys are errors, because a misspelt key that is ignored would change what is loaded
//! without a word; every error names the file and the line.

use super::column_keys::ColumnFile;
use super::expect::Expect;
use super::expect_change::Level;
use super::form::deserialize_either;
use super::format_file::FormatFile;
use super::release::{Approval, External};
use super::subset::SubsetFile;
use crate::units::Span;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The keys of `dataset.toml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetFile {
    /// The schema version that the services were built against: that of
    /// `overnight.declare_version(N)` in the first schema file.
    #[schemars(extend("examples" = [3]))]
    pub schema_version: i32,
    /// Prefix of the raw objects below the input location.
    #[schemars(extend("default" = "", "examples" = ["planinfo/"]))]
    #[serde(default)]
    pub files_under: String,
    /// When the inputs are complete: a marker below the prefix, or `{ min_age = "10m" }`.
    #[schemars(extend("x-default" = "at once", "examples" = ["_SUCCESS", { "min_age": "10m" }]))]
    pub ready_when: Option<Ready>,
    /// The newest input must not be older than this.
    #[schemars(extend("x-default" = "none", "examples" = ["36h"]))]
    pub max_age: Option<Span>,
    /// Roles that get SELECT in the build and CONNECT when the alias moves.
    #[schemars(extend("default" = [], "examples" = [["planinfo_reader"]]))]
    #[serde(default)]
    pub readers: Vec<String>,
    /// How many published builds are kept, the live one included; at least 2.
    #[schemars(extend("default" = 3, "examples" = [5]))]
    #[serde(default = "default_keep")]
    pub keep: usize,
    /// Who looks through the alias after a flip.
    #[schemars(extend("x-default" = "the first reader, if this tool may become it", "examples" = [{ "user": "planinfo_reader", "password": "env:PLANINFO_READER_PASSWORD" }]))]
    pub probe: Option<Probe>,
    /// What happens when the columns of a table do not look like those of the last published build,
    /// where its source file says nothing else.
    #[schemars(extend("default" = "refuse", "examples" = ["warn"]))]
    #[serde(default)]
    pub profile: Level,
    /// Tables and indexes that are read before the golden queries, so that the first service does not wait for the disk.
    #[schemars(extend("default" = [], "examples" = [["plan", "plan_pkey"]]))]
    #[serde(default)]
    pub warm: Vec<String>,
    /// An external command or URL that checks each build before it is sealed.
    #[schemars(extend("x-default" = "none", "examples" = [{ "command": ["./gates/compare"], "timeout": "10m" }]))]
    pub external: Option<External>,
    /// A build waits for `overnight rotate` by an operator.
    #[schemars(extend("x-default" = "builds are published by the run", "examples" = [{ "expires": "12h" }]))]
    pub approval: Option<Approval>,
    /// A service that was not seen for so long no longer keeps the alias from moving.
    #[schemars(extend("default" = "30d", "examples" = ["90d"]))]
    #[serde(default = "default_consumers_expire")]
    pub consumers_expire: Span,
    /// The readers may register as consumers with their own login: CONNECT on the control database, and
    /// their rows of one table.
    #[schemars(extend("default" = false, "examples" = [true]))]
    #[serde(default)]
    pub consumers_register: bool,
    /// What a small copy for developers holds: `overnight subset`.
    #[schemars(extend("x-default" = "1 % of every table, and what it refers to", "examples" = [{ "tables": { "plan": { "percent": 1 } } }]))]
    #[serde(default)]
    pub subset: SubsetFile,
}

fn default_consumers_expire() -> Span {
    Span(Duration::from_secs(30 * 24 * 3600))
}

fn default_keep() -> usize {
    3
}

/// When the inputs of a night are complete.
#[derive(Debug)]
pub enum Ready {
    /// An object of this name lies below the prefix.
    Marker(String),
    /// No input is younger than this.
    Settled(Settled),
}

/// `{ min_age = "10m" }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    /// No input is younger than this.
    #[schemars(extend("examples" = ["10m"]))]
    pub min_age: Span,
}

/// The login that looks through the alias after a flip.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Role that logs in.
    #[schemars(extend("examples" = ["planinfo_reader"]))]
    pub user: String,
    /// Its password: `env:NAME` or `file:PATH`.
    #[schemars(extend("x-default" = "libpq's own places", "examples" = ["env:PLANINFO_READER_PASSWORD"]))]
    pub password: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceFile {
    /// The table that the rows go into, with its schema if that is not `public`.
    #[schemars(extend("examples" = ["price"]))]
    pub(super) table: String,
    /// Glob for keys below the prefix of the dataset; behind each `!` one for the members of archives.
    #[schemars(extend("examples" = ["spuf/*.zip!pricing*.txt"]))]
    pub(super) files: String,
    /// What the files are, and how they are spelled.
    #[schemars(extend("x-default" = "delimited text", "examples" = [{ "delimiter": "|", "quote": "none" }]))]
    #[serde(default)]
    pub(super) format: FormatFile,
    /// For each column that is not simply found by its name: where its text is, and how it is spelled.
    #[schemars(extend("x-default" = "by name", "examples" = [{ "premium": "Premium ($)" }]))]
    #[serde(default)]
    pub(super) columns: BTreeMap<String, ColumnFile>,
    /// Names in the file that are not loaded.
    #[schemars(extend("default" = [], "examples" = [["Internal note", "#9"]]))]
    #[serde(default)]
    pub(super) ignore: Vec<String>,
    /// Columns of the table that no file fills: they get their default.
    #[schemars(extend("default" = [], "examples" = [["remark"]]))]
    #[serde(default)]
    pub(super) absent: Vec<String>,
    /// Columns of the table by which the rows are sorted while they are loaded.
    #[schemars(extend("default" = [], "examples" = [["plan", "drug"]]))]
    #[serde(default)]
    pub(super) order_by: Vec<String>,
    /// The list of `--rejects` shows the rejected records themselves.
    #[schemars(extend("default" = false, "examples" = [true]))]
    #[serde(default)]
    pub(super) keep_raw: bool,
    /// What a night's load must look like; otherwise it is not published.
    #[schemars(extend("x-default" = "at least one row, and no reject", "examples" = [{ "rows": { "min": 100 }, "rejects": { "max": "0.1%" } }]))]
    #[serde(default)]
    pub(super) expect: Expect,
}

deserialize_either!(
    Ready,
    "the name of a marker, or `{ min_age = \"10m\" }`",
    visit_str(name: &str) => anyhow::Ok(Ready::Marker(name.to_owned())),
    visit_map(settled: Settled) => Ready::Settled(settled),
);

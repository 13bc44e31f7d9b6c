//! Reads a folder of numbered SQL files and checks them without a server.
//!
//! In: a folder such as `sql/planinfo/schema`. Out: its [`NumberedFile`]s in numeric order, each with
//! text, digest and directives. A name that is not `NNN_words.sql` is an error, never skipped, and so are
//! a directive that would be ignored, and whatever only psql could run.
//!
//! Directives are `--` comments before the first statement: `-- no-transaction` runs each statement on
//! its own (for VACUUM, CREATE INDEX CONCURRENTLY), `-- timeout: 30min` bounds the whole file. What
//! `-- overnight: key = value` means is for [`super::header`] to say.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::editor_files::is_left_by_editor;
use anyhow::{Context, Result, anyhow, bail, ensure};
use ring::digest::{SHA256, digest};

use crate::postgres::sql::{self, Control, Statement, transaction_control};

/// One numbered SQL file, read whole and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedFile {
    pub number: u32,
    /// File name, such as `010_plan.sql`.
    pub name: String,
    pub path: PathBuf,
    pub text: String,
    /// SHA-256 of the text, in hexadecimal digits.
    pub digest: String,
    /// The same of what the file does: its statements without comments and layout, and its header.
    pub statements_digest: String,
    /// False after `-- no-transaction`: each statement commits on its own.
    pub transaction: bool,
    /// Upper bound for the whole file.
    pub timeout: Option<Duration>,
    /// The `key = value` lines of the header, with their places in the file.
    pub header: Vec<(u32, String)>,
}

/// Reads the numbered files of `folder`, sorted by number and then by name; a missing folder has none.
///
/// Hidden files and `README.md` are passed over.
///
/// # Errors
/// Other names, text that is not UTF-8, and all that [`NumberedFile::new`] refuses:
/// the message names file and line.
pub fn read_folder(folder: &Path) -> Result<Vec<NumberedFile>> {
    let mut files: Vec<NumberedFile> = Vec::new();
    if !folder.try_exists()? {
        return Ok(files);
    }
    let reading = || format!("read folder `{}`", folder.display());
    for entry in fs::read_dir(folder).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_left_by_editor(&path) || name == "README.md" {
            continue;
        }
        file_number(&name).with_context(|| format!("read `{}`", path.display()))?;
        let bytes = fs::read(&path).with_context(|| format!("read `{}`", path.display()))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.as_bytes().get(..error.utf8_error().valid_up_to());
            let newlines = valid.unwrap_or_default().split(|c| *c == b'\n').count();
            anyhow!("`{}` line {newlines}: not UTF-8 text", path.display())
        })?;
        files.push(NumberedFile::new(&path, text)?);
    }
    files.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
    Ok(files)
}

/// Fails where two files have one number: their order is then undefined.
///
/// # Errors
/// Names both.
pub fn refuse_twice(files: &[NumberedFile]) -> Result<()> {
    for pair in files.windows(2) {
        if let [first, second] = pair {
            ensure!(
                first.number != second.number,
                "`{}` and `{}` have the same number",
                first.path.display(),
                second.path.display()
            );
        }
    }
    Ok(())
}

impl NumberedFile {
    /// Checks `text` as the content of the file at `path`.
    ///
    /// # Errors
    /// A name that is not `NNN_words.sql`; text that cannot be cut into statements; a wrong or misplaced
    /// directive; transaction control where the tool holds the transaction, or left open at the end.
    pub fn new(path: &Path, text: String) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut file = Self {
            number: file_number(&name).with_context(|| format!("read `{}`", path.display()))?,
            name: name.into_owned(),
            path: path.to_owned(),
            digest: hex(digest(&SHA256, text.as_bytes()).as_ref()),
            statements_digest: String::new(),
            text,
            transaction: true,
            timeout: None,
            header: Vec::new(),
        };
        let (transaction, timeout) = file.directives()?;
        file.header = file.header_lines()?;
        file.transaction = transaction;
        file.timeout = timeout;
        file.check_transaction_control()?;
        file.statements_digest = file.digest_of_statements()?;
        Ok(file)
    }

    fn digest_of_statements(&self) -> Result<String> {
        let mut text = sql::without_layout(&self.text)
            .map_err(|error| anyhow!("{}: {}", self.place(error.line), error.problem))?;
        text += &format!("\n{} {:?}", self.transaction, self.timeout);
        for (_, line) in &self.header {
            text += &format!("\n{line}");
        }
        Ok(hex(digest(&SHA256, text.as_bytes()).as_ref()))
    }

    /// Cuts the text into its statements.
    ///
    /// # Errors
    /// None for a file made by [`NumberedFile::new`]; otherwise what [`sql::split`] refuses.
    pub fn statements(&self) -> Result<Vec<Statement<'_>>> {
        sql::split(&self.text)
            .map_err(|error| anyhow!("{}: {}", self.place(error.line), error.problem))
    }

    /// Names a line of this file in messages.
    pub fn place(&self, line: u32) -> String {
        format!("`{}` line {line}", self.path.display())
    }

    fn directives(&self) -> Result<(bool, Option<Duration>)> {
        let header_ends = self.statements()?.first().map_or(u32::MAX, |s| s.line);
        let comments = sql::line_comments(&self.text)
            .map_err(|error| anyhow!("{}: {}", self.place(error.line), error.problem))?;
        let (mut transaction, mut timeout) = (true, None);
        for (line, comment) in comments {
            if header_line(comment).is_some() {
                ensure!(
                    line < header_ends,
                    "{}: the header `{comment}` must stand before the first statement",
                    self.place(line)
                );
                continue;
            }
            let found = directive(comment).map_err(|e| anyhow!("{}: {e}", self.place(line)))?;
            let Some(found) = found else { continue };
            ensure!(
                line < header_ends,
                "{}: the directive `{comment}` must stand before the first statement",
                self.place(line)
            );
            match found {
                Directive::NoTransaction => transaction = false,
                Directive::Timeout(_) if timeout.is_some() => {
                    bail!("{}: a second timeout", self.place(line));
                }
                Directive::Timeout(duration) => timeout = Some(duration),
            }
        }
        Ok((transaction, timeout))
    }

    fn header_lines(&self) -> Result<Vec<(u32, String)>> {
        let comments = sql::line_comments(&self.text)
            .map_err(|error| anyhow!("{}: {}", self.place(error.line), error.problem))?;
        let lines = comments.into_iter();
        let lines = lines.filter_map(|(line, text)| Some((line, header_line(text)?.to_owned())));
        Ok(lines.collect())
    }

    fn check_transaction_control(&self) -> Result<()> {
        let mut opened = None;
        for statement in self.statements()? {
            let Some(control) = transaction_control(statement.text) else {
                continue;
            };
            ensure!(
                !self.transaction,
                "{}: the file runs in one transaction already; `{}` is possible after \
                 `-- no-transaction`",
                self.place(statement.line),
                sql::leading_word(statement.text).to_ascii_uppercase()
            );
            match control {
                Control::Opens => opened = Some(statement.line),
                Control::Ends => opened = None,
                Control::Within => {}
            }
        }
        match opened {
            Some(line) => bail!("{}: a transaction that is never ended", self.place(line)),
            None => Ok(()),
        }
    }
}

/// The keys and values of `overnight: key = value`.
fn header_line(comment: &str) -> Option<&str> {
    let (word, rest) = comment.split_once(':')?;
    let ours = word.trim_end().eq_ignore_ascii_case("overnight") && rest.contains('=');
    ours.then(|| rest.trim())
}

enum Directive {
    NoTransaction,
    Timeout(Duration),
}

/// Reads one comment; near misses are errors, since ignoring them would change how the file runs.
fn directive(comment: &str) -> Result<Option<Directive>> {
    let lower = comment.to_ascii_lowercase();
    let (ours, text) = match lower.strip_prefix("overnight:") {
        Some(rest) => (true, rest.trim()),
        None => (false, lower.as_str()),
    };
    if text == "no-transaction" {
        return Ok(Some(Directive::NoTransaction));
    }
    if let Some(value) = text.strip_prefix("timeout:") {
        return Ok(Some(Directive::Timeout(duration(value.trim())?)));
    }
    let folded: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    ensure!(
        folded != "notransaction",
        "write the directive as `-- no-transaction`"
    );
    let bare = text.strip_prefix("timeout").unwrap_or_default();
    ensure!(
        duration(bare.trim_start_matches([' ', '='])).is_err(),
        "write the directive as `-- timeout: 30min`"
    );
    ensure!(
        !ours,
        "unknown directive `{comment}`: known are `no-transaction` and `timeout: 30min`"
    );
    Ok(None)
}

/// A whole number with a unit of the server's settings: `ms`, `s`, `min`, `h`, `d`.
fn duration(text: &str) -> Result<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    let number: u64 = number.parse().unwrap_or(0);
    let total = number.checked_mul(milliseconds).unwrap_or(0);
    // The server counts statement_timeout in milliseconds in a 32-bit integer.
    ensure!(
        (1..=i32::MAX as u64).contains(&total),
        "`{text}` is not a duration such as 90s, 30min or 2h (at most 24d)"
    );
    Ok(Duration::from_millis(total))
}

fn file_number(name: &str) -> Result<u32> {
    let parts = name.strip_suffix(".sql").and_then(|s| s.split_once('_'));
    let number = parts.and_then(|(number, words)| {
        let words_fit = !words.is_empty()
            && words
                .bytes()
                .all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        let digits = number.len() >= 3 && number.bytes().all(|c| c.is_ascii_digit());
        if words_fit && digits {
            number.parse().ok()
        } else {
            None
        }
    });
    number.with_context(|| {
        format!("`{name}` is not named `NNN_words.sql` (digits, then a-z, 0-9 and _)")
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<NumberedFile> {
        NumberedFile::new(Path::new("sql/d/derive/010_a.sql"), text.to_owned())
    }

    fn refusal(text: &str) -> String {
        file(text).map_or_else(|e| format!("{e:#}"), |_| "accepted".to_owned())
    }

    #[test]
    fn directives_count_only_in_the_header() {
        let read = file("-- Fills a.\n\n-- no-transaction\n-- timeout: 30min\nvacuum;").unwrap();
        assert!(!read.transaction);
        assert_eq!(read.timeout, Some(Duration::from_secs(1800)));
        assert!(
            file("-- notes: no-transaction is not needed\nselect 1")
                .unwrap()
                .transaction
        );
        assert_eq!(
            refusal("select 1;\n-- no-transaction\n"),
            "`sql/d/derive/010_a.sql` line 2: the directive `no-transaction` must stand before the first statement"
        );
    }

    #[test]
    fn a_directive_that_would_be_ignored_is_an_error() {
        for text in [
            "-- no_transaction",
            "-- No Transaction",
            "-- timeout 30min",
            "-- timeout=5s",
            "-- timeout: soon",
            "-- timeout: 0s",
            "-- timeout: 30",
            "-- timeout: 99999999999999h",
            "-- overnight: parallel",
            "-- timeout: 1s\n-- timeout: 2s",
        ] {
            assert!(refusal(text).contains("line "), "{text}: {}", refusal(text));
        }
        assert!(!file("-- overnight: no-transaction").unwrap().transaction);
    }

    #[test]
    fn transaction_control_belongs_to_the_tool() {
        assert!(refusal("create table a();\n/* x */ Commit").contains("line 2"));
        assert!(refusal("-- no-transaction\nbegin;\nselect 1").contains("line 2: a transaction"));
        assert!(file("-- no-transaction\nbegin; select 1; end; begin; rollback work;").is_ok());
        assert!(file("prepare transactions as select 1").is_ok());
        assert!(refusal("prepare transaction 'x'").contains("PREPARE"));
    }

    #[test]
    fn names_carry_the_number() {
        assert_eq!(file_number("010_plan.sql").unwrap(), 10);
        assert_eq!(file_number("1000_a_1.sql").unwrap(), 1000);
        for name in [
            "10_a.sql",
            "010.sql",
            "010_.sql",
            "010_A.sql",
            "010_a.SQL",
            "x",
            "010-a.sql",
        ] {
            assert!(file_number(name).is_err(), "{name}");
        }
    }
}

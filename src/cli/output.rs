//! The printer: data on stdout, messages on stderr, and how things look.
//!
//! No write ends the work that it reports. Messages that cannot be written are lost: the reader of
//! stderr has gone away, or its disk is full. Data that cannot be written is an error of the command,
//! status 3, but only once its work is done; a reader of stdout that has gone away (`| head`) wanted no
//! more of it. Text is printed without control characters, since names in it are chosen by others.

use super::{log, screen, terminal};
use crate::printable::{self, Printable};
pub use crate::units::age;
use anyhow::{Context, Result};
use serde::Serialize;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Version of everything that `--json` prints.
pub const JSON_FORMAT: u32 = 1;

#[derive(Serialize)]
struct Versioned<'a, T> {
    format: u32,
    #[serde(flatten)]
    data: &'a T,
}

/// Prints one JSON document with its format version.
pub fn json<T: Serialize>(data: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(&Versioned {
        format: JSON_FORMAT,
        data,
    })
    .context("write JSON")?;
    raw(&text);
    Ok(())
}

/// Prints lines of data. A failure is kept for [`lost`].
pub fn line(text: &str) -> Result<()> {
    raw(&printable::lines(text));
    Ok(())
}

/// Prints a document that is no text for people, as it is. A failure is kept for [`lost`].
pub fn raw(text: &str) {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    if let Err(error) = written {
        lose(error);
    }
}

/// Whether messages have the time, as the lines of the log have.
static STAMPED: AtomicBool = AtomicBool::new(false);

/// From now on every message begins with the time, unless a person is looking at stderr: a log
/// that many nights share is read by it.
pub fn stamp_messages() {
    STAMPED.store(!stderr_is_terminal(), Ordering::Relaxed);
}

/// The first failure to write data, other than that its reader has gone away.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Keeps a failure to write to stdout.
pub fn lose(error: io::Error) {
    if error.kind() != ErrorKind::BrokenPipe {
        let _ = LOST.set(error);
    }
}

/// Why data of this command was not written, if it was not.
pub fn lost() -> Option<&'static io::Error> {
    LOST.get()
}

/// Prints a message. One that cannot be written is lost.
pub fn message(text: &str) {
    let text = match STAMPED.load(Ordering::Relaxed) {
        true => format!("{}  {}\n", log::now(), printable::lines(text)),
        false => format!("{}\n", printable::lines(text)),
    };
    screen::suspended(|| write_message(text.as_bytes()));
}

/// Writes to stderr, above the progress bars if the caller has suspended them.
pub fn write_message(bytes: &[u8]) {
    let _ = io::stderr().lock().write_all(bytes);
}

/// Prints a message from a panic hook: it takes no lock, because its thread may hold any, and cannot
/// panic itself.
pub fn last_words(text: &str) {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match rustix::io::write(rustix::stdio::stderr(), rest) {
            Ok(written @ 1..) => rest = rest.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Ok(0) | Err(_) => return,
        }
    }
}

/// Prints an error and what can be done.
pub fn error(text: &str, hint: Option<&str>) {
    message(&format!("error: {text}"));
    if let Some(hint) = hint {
        message(&format!("hint: {hint}"));
    }
}

/// Whether a person is looking at stderr.
pub fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Columns aligned under their heads; numbers to the right.
pub fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    // A cell is one line, whatever name it holds.
    let printable =
        |row: &Vec<String>| row.iter().map(|cell| Printable(cell).to_string()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(printable).collect();
    let mut widths: Vec<usize> = heads.iter().map(|head| head.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let numeric: Vec<bool> = (0..heads.len())
        .map(|column| {
            let mut cells = rows
                .iter()
                .map(|row| row[column].as_str())
                .filter(|cell| !cell.is_empty())
                .peekable();
            cells.peek().is_some()
                && cells.all(|cell| cell.starts_with(|c: char| c.is_ascii_digit()))
        })
        .collect();
    let mut out = String::new();
    let mut push = |cells: Vec<&str>| {
        let mut text = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            if numeric[column] {
                text += &pad;
                text += cell;
            } else {
                text += cell;
                text += &pad;
            }
            text += "  ";
        }
        out += text.trim_end();
        out.push('\n');
    };
    push(heads.to_vec());
    for row in &rows {
        push(row.iter().map(String::as_str).collect());
    }
    out.truncate(out.trim_end().len());
    out
}

/// Lines no longer than the terminal at stdout is wide; as they are where it is a file or a pipe.
pub fn cut_to_terminal(text: &str) -> String {
    match terminal::width(io::stdout()) {
        Some(width) => cut(text, width),
        None => text.to_owned(),
    }
}

fn cut(text: &str, width: usize) -> String {
    let cut_line = |line: &str| match line.chars().count() > width {
        true => line
            .chars()
            .take(width.saturating_sub(1))
            .chain(['…'])
            .collect(),
        false => line.to_owned(),
    };
    text.lines()
        .map(cut_line)
        .collect::<Vec<String>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_words_left_and_numbers_right() {
        let rows = [
            vec!["load".into(), "1.25".into()],
            vec!["verify".into(), "10.5".into()],
        ];
        assert_eq!(
            table(&["stage", "s"], &rows),
            "stage      s\nload    1.25\nverify  10.5"
        );
        assert_eq!(cut("abcdef\nabc", 4), "abc…\nabc");
    }
}

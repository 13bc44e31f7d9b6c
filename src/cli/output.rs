//! The printer: data on stdout, messages on stderr, and how things look.

use super::screen;
use crate::problem::Problem;
use anyhow::{Context, Result};
use serde::Serialize;
use std::io::{IsTerminal, Write};

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
    line(&text)
}

/// Prints a line of data. A reader that has gone away (`| head`) is not an error worth a page.
pub fn line(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context(Problem::dependency("write to standard output"))
        }
        _ => Ok(()),
    }
}

/// Prints a message.
pub fn message(text: &str) {
    screen::suspended(|| eprintln!("{text}"));
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
    let mut widths: Vec<usize> = heads.iter().map(|head| head.chars().count()).collect();
    for row in rows {
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
    for row in rows {
        push(row.iter().map(String::as_str).collect());
    }
    out.truncate(out.trim_end().len());
    out
}

/// `93784` seconds as `1 d 2 h`.
pub fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86400, seconds % 86400 / 3600),
    }
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
        assert_eq!(age(93_784), "1 d 2 h");
    }
}

//! Writes the `CREATE TABLE` of a proposal.
//!
//! In: a [`Proposal`] and the table's name. Out: a numbered SQL file; what speaks for a column's type
//! stands behind the column. A key is declared only where the whole file was looked at.

use super::source_file::{Subject, guesses, looked_at};
use super::{Proposal, key};
use std::fmt::Write;

/// The text of `sql/<dataset>/schema/NNN_<table>.sql`. `first`: it declares the version too.
pub fn schema_file(proposal: &Proposal, subject: &Subject, first: bool) -> String {
    let mut out = format!(
        "-- Table `{}`, proposed from `{}`: {}, {} in all.\n",
        subject.table,
        plain(subject.key),
        looked_at(proposal),
        guesses(proposal)
    );
    if first {
        out += "select overnight.declare_version(1);\n";
    }
    let _ = writeln!(out, "\ncreate table {} (", subject.table);
    let name_width = proposal
        .columns
        .iter()
        .map(|column| column.name.chars().count())
        .max()
        .unwrap_or(0)
        .min(32);
    let proven = !proposal.key.is_empty() && key::is_proven(proposal.records, proposal.whole);
    let last = proposal.columns.len() - 1;
    for (index, column) in proposal.columns.iter().enumerate() {
        let comma = if index < last || proven { "," } else { "" };
        let notes: Vec<String> = column
            .notes
            .iter()
            .map(|note| {
                format!(
                    "{}{}",
                    if note.guessed { "guessed: " } else { "" },
                    plain(&note.text)
                )
            })
            .collect();
        let behind = if notes.is_empty() {
            String::new()
        } else {
            format!(" -- {}", notes.join("; "))
        };
        let _ = writeln!(
            out,
            "    {:name_width$} {}{comma}{behind}",
            column.name, column.sql_type
        );
    }
    let list = proposal.key.join(", ");
    if proven {
        for note in &proposal.key_notes {
            let _ = writeln!(
                out,
                "    -- {}{}",
                if note.guessed { "guessed: " } else { "" },
                note.text
            );
        }
        let _ = writeln!(out, "    primary key ({list})");
    }
    out += ");\n";
    if !proven && !proposal.key.is_empty() {
        let notes: Vec<&str> = proposal
            .key_notes
            .iter()
            .map(|note| note.text.as_str())
            .collect();
        let _ = writeln!(
            out,
            "-- guessed: primary key ({list}): {}",
            notes.join("; ")
        );
    }
    out
}

/// A line end in a comment would end it.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

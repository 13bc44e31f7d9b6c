//! Writes the source file of a proposal.
//!
//! In: a [`Proposal`], and which files of which table it is about. Out: TOML in which every key has what
//! speaks for it as a comment above it.

use super::{Note, Proposal, ProposedColumn, Setting, counted, of};
use crate::units::grouped;
use std::fmt::Write;

/// What a proposal is about.
#[derive(Debug, Clone)]
pub struct Subject<'s> {
    /// The file that was looked at.
    pub key: &'s str,
    /// How many files the glob matched, and the glob.
    pub matched: usize,
    pub files: &'s str,
    pub table: &'s str,
}

/// Lists of names are broken before this column.
const LINE: usize = 100;

/// The text of `sources/<dataset>/<table>.toml`.
pub fn source_file(proposal: &Proposal, subject: &Subject) -> String {
    let mut out = String::new();
    comment(
        &mut out,
        &format!("Proposed from `{}`: {}.", subject.key, looked_at(proposal)),
    );
    comment(
        &mut out,
        "Each key has its evidence above it. What is marked `guessed:` the file cannot show: check it.",
    );
    for note in &proposal.notes {
        line(&mut out, note);
    }
    if !proposal.containers.is_empty() {
        let layers: Vec<String> = proposal
            .containers
            .iter()
            .map(ToString::to_string)
            .collect();
        let inside = match (&proposal.member, proposal.members) {
            (None, _) => String::new(),
            (Some(_), 1) => ", one file in the archive".to_owned(),
            (Some(member), members) => format!(", `{member}` of {members} files in the archive"),
        };
        comment(
            &mut out,
            &format!(
                "Packed as {}{inside}: found by the content, there is nothing to declare.",
                layers.join(" of ")
            ),
        );
    }
    assign(&mut out, "table", &subject.table.into());
    if subject.matched > 1 {
        line(
            &mut out,
            &Note::guessed(format!(
                "{} are called alike; this one was looked at",
                counted(subject.matched as u64, "file")
            )),
        );
    }
    assign(&mut out, "files", &subject.files.into());
    out += "\n[format]\n";
    for setting in &proposal.format {
        write_setting(&mut out, setting);
    }
    let ruled: Vec<&ProposedColumn> = proposal
        .columns
        .iter()
        .filter(|column| column.from.is_some() || !column.rules.is_empty())
        .collect();
    if !ruled.is_empty() {
        out += "\n[columns]\n";
        for column in ruled {
            write_column(&mut out, column);
        }
    }
    let is_empty = proposal.rejected >= proposal.records;
    if is_empty || proposal.rejected > 0 {
        out += "\n[expect]\n";
    }
    if is_empty {
        comment(
            &mut out,
            "no record that loads was seen, and a table without rows is published only if that is expected",
        );
        out += "rows = { min = 0 }\n";
    }
    if proposal.rejected > 0 {
        comment(
            &mut out,
            &format!(
                "{} are rejected as they are: another number of fields, or bytes that are no text; see them before you allow them",
                of(proposal.rejected, proposal.records)
            ),
        );
        let most = match proposal.whole {
            true => proposal.rejected.to_string(),
            false => format!(
                "\"{:.2}%\"",
                (proposal.rejected as f64 * 200.0 / proposal.records.max(1) as f64).max(0.01)
            ),
        };
        let _ = writeln!(out, "rejects = {{ max = {most} }}");
    }
    out
}

/// The text of `sources/<dataset>/dataset.toml`. `from`: the location that the files were found in.
pub fn dataset_file(from: &str) -> String {
    format!(
        "# A proposal. The files were found in `{from}`: run with --from, or say `from` in overnight.toml.\n\
         schema_version = 1\n\
         # Roles that may read, and who looks through the alias after a run:\n\
         # readers = [\"…\"]\n\
         # When the files of a night are complete, and how old they may be:\n\
         # ready_when = \"_SUCCESS\"\n\
         # max_age = \"36h\"\n"
    )
}

/// `all of it, 4,515,603 bytes, 21,478 records`.
pub(super) fn looked_at(proposal: &Proposal) -> String {
    let part = if proposal.whole {
        "all of it"
    } else {
        "its start"
    };
    format!(
        "{part} was looked at, {}, {}",
        counted(proposal.bytes, "byte"),
        counted(proposal.records, "record")
    )
}

fn write_setting(out: &mut String, setting: &Setting) {
    for note in &setting.notes {
        line(out, note);
    }
    assign(out, setting.key, &setting.value);
}

fn write_column(out: &mut String, column: &ProposedColumn) {
    for note in &column.notes {
        line(out, note);
    }
    let name = key(&column.name);
    match (&column.from, column.rules.as_slice()) {
        (Some(from), []) => {
            let _ = writeln!(out, "{name} = {}", text(from));
        }
        (from, rules) => {
            let from = from.as_ref().map(|from| format!("from = {}", text(from)));
            let rules = rules.iter().map(|(key, value)| format!("{key} = {value}"));
            let parts: Vec<String> = from.into_iter().chain(rules).collect();
            let _ = writeln!(out, "{name} = {{ {} }}", parts.join(", "));
        }
    }
}

fn assign(out: &mut String, name: &str, value: &toml::Value) {
    let on_one_line = format!("{name} = {value}");
    match value {
        toml::Value::Array(items) if on_one_line.len() > LINE => {
            let _ = writeln!(out, "{name} = [");
            let mut current = String::new();
            for item in items {
                let item = format!("{item},");
                let full = !current.is_empty() && current.len() + item.len() + 5 > LINE;
                if full || (!current.is_empty() && matches!(items[0], toml::Value::Table(_))) {
                    let _ = writeln!(out, "    {}", current.trim_end());
                    current.clear();
                }
                current += &item;
                current.push(' ');
            }
            let _ = writeln!(out, "    {}\n]", current.trim_end());
        }
        _ => {
            let _ = writeln!(out, "{on_one_line}");
        }
    }
}

fn text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn key(name: &str) -> String {
    let bare = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { text(name) }
}

fn line(out: &mut String, note: &Note) {
    let guessed = if note.guessed { "guessed: " } else { "" };
    comment(out, &format!("{guessed}{}", note.text));
}

/// Control characters could end the comment.
fn comment(out: &mut String, text: &str) {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let _ = writeln!(out, "# {text}");
}

/// `3 guesses`, for whoever reads on.
pub(super) fn guesses(proposal: &Proposal) -> String {
    let settings = proposal.format.iter().flat_map(|setting| &setting.notes);
    let columns = proposal.columns.iter().flat_map(|column| &column.notes);
    let notes = proposal.notes.iter().chain(&proposal.key_notes);
    let count = notes
        .chain(settings)
        .chain(columns)
        .filter(|note| note.guessed)
        .count();
    match count {
        1 => "1 guess".into(),
        count => format!("{} guesses", grouped(count as u64)),
    }
}

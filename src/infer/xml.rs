//! Repeated elements of an XML document.
//!
//! In: a document. Out: the path of the elements that come most often below one parent, which are the
//! rows, and a column for each text or attribute below them.

use super::cells::{Cell, Form, Table};
use super::{Found, Note, Setting, counted, name};
use anyhow::{Context, Result, bail};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use std::collections::BTreeMap;

/// Says whether a text is a document.
pub fn is_document(text: &[u8]) -> bool {
    let start = text.trim_ascii_start();
    let named = |text: &[u8]| {
        text.first()
            .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
    };
    start.starts_with(b"<?xml")
        || start.starts_with(b"<!--")
        || start.strip_prefix(b"<").is_some_and(named)
            && start.contains(&b'>')
            && start.trim_ascii_end().ends_with(b">")
}

/// One step through the document.
enum Step<'s> {
    Start(&'s [String], &'s [(String, String)]),
    Text(&'s [String], &'s str),
}

/// The texts below each row.
#[derive(Default)]
struct Values {
    paths: Vec<String>,
    /// Paths that come several times in one row.
    lists: Vec<bool>,
    rows: Vec<Vec<(usize, String)>>,
}

impl Values {
    fn put(&mut self, path: String, value: &str) {
        let known = self.paths.iter().position(|known| *known == path);
        let place = known.unwrap_or(self.paths.len());
        if known.is_none() {
            self.paths.push(path);
            self.lists.push(false);
        }
        let Some(row) = self.rows.last_mut() else {
            return;
        };
        match row.iter().any(|(at, _)| *at == place) {
            false => row.push((place, value.to_owned())),
            true => self.lists[place] = true,
        }
    }
}

/// Looks at all elements.
///
/// # Errors
/// Not well formed, or without an element that could be a row.
pub fn find(text: &[u8], whole: bool) -> Result<Found> {
    let text = String::from_utf8_lossy(text);
    let mut counts: BTreeMap<Vec<String>, u64> = BTreeMap::new();
    walk(&text, whole, &mut |step| {
        if let Step::Start(path, _) = step {
            *counts.entry(path.to_vec()).or_default() += 1;
        }
    })?;
    let row = row(&counts)?;
    let rows = counts.get(&row).copied().unwrap_or(0);
    let mut values = Values::default();
    walk(&text, whole, &mut |step| match step {
        Step::Start(path, attributes) if path.starts_with(&row) => {
            let below = path[row.len()..].join("/");
            if below.is_empty() {
                values.rows.push(Vec::new());
            }
            let prefix = if below.is_empty() {
                String::new()
            } else {
                format!("{below}/")
            };
            for (key, value) in attributes {
                values.put(format!("{prefix}@{key}"), value);
            }
        }
        Step::Text(path, value) if path.starts_with(&row) => {
            let below = path[row.len()..].join("/");
            values.put(if below.is_empty() { ".".into() } else { below }, value);
        }
        Step::Start(..) | Step::Text(..) => {}
    })?;
    let Values {
        paths,
        lists,
        rows: all,
    } = values;
    let mut table = Table::new(paths.len());
    for record in &all {
        let cells: Vec<Cell> = (0..paths.len())
            .map(|place| Cell {
                text: record
                    .iter()
                    .find(|(at, _)| *at == place)
                    .map(|(_, text)| text.as_bytes()),
                form: Form::Plain,
            })
            .collect();
        table.observe(&cells);
    }
    let mut names = name::of_paths(&paths);
    for ((name, path), is_list) in names.iter_mut().zip(&paths).zip(lists) {
        if is_list {
            name.from = Some(format!("{path}[]"));
            name.sql = Some("text[]".into());
            name.notes.push(Note::seen("comes several times in a row"));
        }
    }
    let path = format!("/{}", row.join("/"));
    Ok(Found {
        kind: "xml",
        records: rows,
        rejected: 0,
        notes: Vec::new(),
        format: vec![
            Setting::new("kind", "xml", Note::seen("the file is a document of XML")),
            Setting::new(
                "rows",
                path,
                Note::guessed(format!(
                    "the element that comes most often below one other: {}",
                    counted(rows, "time")
                )),
            ),
        ],
        names,
        table,
        empty_is_null: true,
    })
}

/// The element that is a row: of those whose parent comes once, the one that comes most often.
fn row(counts: &BTreeMap<Vec<String>, u64>) -> Result<Vec<String>> {
    let below_one =
        |path: &[String]| path.len() >= 2 && counts.get(&path[..path.len() - 1]) == Some(&1);
    let found = counts
        .iter()
        .filter(|(path, _)| below_one(path))
        .max_by_key(|(path, count)| (**count, std::cmp::Reverse(path.len())));
    match found {
        Some((path, _)) => Ok(path.clone()),
        None => bail!("the document of XML has no element that could be a row"),
    }
}

fn walk(text: &str, whole: bool, visit: &mut dyn FnMut(Step)) -> Result<()> {
    let mut reader = Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    let mut said = String::new();
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(_) if !whole => return Ok(()),
            Err(error) => return Err(error).context("read the document of XML"),
        };
        match event {
            Event::Start(element) => {
                said.clear();
                path.push(local(&element));
                visit(Step::Start(&path, &attributes(&element)));
            }
            Event::Empty(element) => {
                path.push(local(&element));
                visit(Step::Start(&path, &attributes(&element)));
                path.pop();
            }
            Event::Text(text) => said += &text.xml10_content(),
            Event::CData(text) => said += &text.xml10_content(),
            // What it stands for is a character; which one decides nothing here.
            Event::GeneralRef(_) => said.push('x'),
            Event::End(_) => {
                if !said.trim().is_empty() {
                    visit(Step::Text(&path, said.trim()));
                }
                said.clear();
                path.pop();
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn local(element: &BytesStart) -> String {
    let name = element.local_name();
    let name: &str = name.as_ref();
    name.to_owned()
}

fn attributes(element: &BytesStart) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for attribute in element.attributes().flatten() {
        let key: &str = attribute.key.as_ref();
        if key == "xmlns" || key.starts_with("xmlns:") {
            continue;
        }
        let key = key.rsplit(':').next().unwrap_or(key).to_owned();
        let value = attribute
            .normalized_value(XmlVersion::default())
            .unwrap_or_default();
        found.push((key, value.into_owned()));
    }
    found
}

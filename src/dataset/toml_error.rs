//! What is wrong in a TOML file: the line, the key, and what was probably meant.
//!
//! In: an error of the reader and the text. Out: one sentence without the path of the file, which the
//! caller knows. The reader says what a value is and not which key it belongs to; that is found by its
//! place.

use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

/// `line 13: columns.paid.false: write a list: ["Nein"]`.
pub fn describe(text: &str, error: &Error) -> String {
    let Some(span) = error.span() else {
        return reworded(error.message(), None);
    };
    let line = 1 + text[..span.start.min(text.len())].matches('\n').count();
    let value = text.get(span.clone());
    let message = reworded(error.message(), value);
    let key = DeTable::parse(text)
        .ok()
        .and_then(|table| path_to(table.get_ref(), &span));
    match key {
        Some(key) => format!("line {line}: {key}: {message}"),
        None => format!("line {line}: {message}"),
    }
}

/// The path of the key whose value the span is in; `None` for a span that is no value.
fn path_to(table: &DeTable, wanted: &Range<usize>) -> Option<String> {
    let (key, value) = table.iter().find(|(_, value)| holds(value, wanted))?;
    let key = key.get_ref().as_ref();
    Some(match inside(value.get_ref(), wanted) {
        Some(rest) => format!("{key}.{rest}"),
        None => key.to_owned(),
    })
}

fn inside(value: &DeValue, wanted: &Range<usize>) -> Option<String> {
    match value {
        DeValue::Table(table) => path_to(table, wanted),
        DeValue::Array(items) => {
            let item = items.iter().find(|item| holds(item, wanted))?;
            inside(item.get_ref(), wanted)
        }
        _ => None,
    }
}

/// A table under a header has the span of the header alone, so its keys are looked at as well.
fn holds(value: &Spanned<DeValue>, wanted: &Range<usize>) -> bool {
    let span = value.span();
    let within = span.start <= wanted.start && wanted.end <= span.end;
    within || inside(value.get_ref(), wanted).is_some()
}

/// The reader's message with the field's words; `value` is the text that it is about.
fn reworded(message: &str, value: Option<&str>) -> String {
    if message.starts_with("invalid type") && message.ends_with("expected a sequence") {
        let value = value.map(str::trim).filter(|value| !value.contains('\n'));
        return format!("write a list: [{}]", value.unwrap_or("…"));
    }
    for (what, noun) in [("unknown field `", "key"), ("unknown variant `", "word")] {
        let Some((wrong, rest)) = message
            .strip_prefix(what)
            .and_then(|rest| rest.split_once('`'))
        else {
            continue;
        };
        let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        return match nearest(wrong, &known) {
            Some(meant) => format!("unknown {noun} `{wrong}`: did you mean `{meant}`?"),
            None => format!("unknown {noun} `{wrong}`{rest}"),
        };
    }
    message.to_owned()
}

/// The known word that is at most a third of its letters away.
fn nearest<'k>(wrong: &str, known: &[&'k str]) -> Option<&'k str> {
    let distances = known.iter().map(|word| (distance(wrong, word), *word));
    let (letters, word) = distances.min()?;
    (letters * 3 <= word.chars().count().max(3)).then_some(word)
}

/// Letters to insert, to remove, to replace or to swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j - 1] + same)
                .min(rows[i - 1][j] + 1)
                .min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::super::file::SourceFile;
    use super::super::parse_toml;
    use std::path::Path;

    #[track_caller]
    fn says(text: &str, expected: &str) {
        let error = parse_toml::<SourceFile>(Path::new("a.toml"), text).unwrap_err();
        assert_eq!(format!("{error:#}"), format!("read `a.toml`: {expected}"));
    }

    #[test]
    fn a_mistake_names_its_line_its_key_and_what_was_meant() {
        let head = "table = \"t\"\nfiles = \"f\"\n";
        says(
            &format!(
                "{head}[columns]\npaid = {{ parse = \"boolean\", true = [\"Ja\"], false = \"Nein\" }}\n"
            ),
            "line 4: columns.paid.false: write a list: [\"Nein\"]",
        );
        says(
            &format!("{head}ignore = \"note\"\n"),
            "line 3: ignore: write a list: [\"note\"]",
        );
        says(
            &format!("{head}[format]\ndelimitr = \"|\"\n"),
            "line 4: unknown key `delimitr`: did you mean `delimiter`?",
        );
        says(
            "tabel = \"t\"\n",
            "line 1: unknown key `tabel`: did you mean `table`?",
        );
        says(
            &format!("{head}[columns]\npaid = {{ parse = \"bolean\" }}\n"),
            "line 4: columns.paid.parse: unknown word `bolean`: did you mean `boolean`?",
        );
        says(
            &format!("{head}[format]\nheader = \"yes\"\n"),
            "line 4: format.header: invalid type: string \"yes\", expected a boolean",
        );
    }
}

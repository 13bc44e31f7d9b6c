//! Values that stand in the key of an object: its file name, or a part by pattern.
//!
//! In: a key such as `druginfo/2026/pricing_20261121.zip!prices.txt` and a pattern such as
//! `pricing_{date}.zip!*`. Out: what stands in the place of the braces. A pattern is held against the
//! end of the key, folder by folder; `*` is any text within one.

use anyhow::{Result, bail, ensure};
use std::collections::HashSet;

/// A key with one part marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPattern {
    written: String,
    /// One for each folder, and the last for the file.
    names: Vec<Vec<Piece>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Any,
    Value,
}

/// Folders are set apart by slashes, the members of an archive by `!`.
const BETWEEN: [char; 2] = ['/', '!'];

/// The last name of a key: of the member, where the object is an archive.
#[must_use]
pub fn file_name(key: &str) -> &str {
    key.rsplit(BETWEEN).next().unwrap_or(key)
}

impl KeyPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// It marks no part or several, or a part whose end cannot be told.
    pub fn new(written: &str) -> Result<KeyPattern> {
        let names: Vec<Vec<Piece>> = written.split(BETWEEN).map(pieces).collect::<Result<_>>()?;
        let values = names
            .iter()
            .flatten()
            .filter(|piece| **piece == Piece::Value);
        ensure!(
            values.count() == 1,
            "it must name one part in braces, as in `pricing_{{date}}.txt`"
        );
        for pair in names.iter().flat_map(|pieces| pieces.windows(2)) {
            let open = pair.iter().all(|piece| !matches!(piece, Piece::Text(_)));
            ensure!(
                !open,
                "something must stand between `*` and the braces, or the part has no end"
            );
        }
        Ok(KeyPattern {
            written: written.to_owned(),
            names,
        })
    }

    /// The pattern, as the source has it.
    #[must_use]
    pub fn as_written(&self) -> &str {
        &self.written
    }

    /// The part of a key; the shortest, where several would do. `None` if the key does not fit.
    #[must_use]
    pub fn find<'k>(&self, key: &'k str) -> Option<&'k str> {
        let names: Vec<&str> = key.split(BETWEEN).collect();
        let names = names.get(names.len().checked_sub(self.names.len())?..)?;
        let mut value = None;
        for (pieces, name) in self.names.iter().zip(names) {
            let found = fit(pieces, name, &mut HashSet::new())?;
            value = value.or(found);
        }
        value
    }
}

fn pieces(name: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let end = rest.find(['*', '{', '}']).unwrap_or(rest.len());
        match c {
            '*' => {
                pieces.push(Piece::Any);
                rest = &rest[1..];
            }
            '{' => {
                let Some(close) = rest.find('}') else {
                    bail!("a brace is not closed");
                };
                pieces.push(Piece::Value);
                rest = &rest[close + 1..];
            }
            '}' => bail!("a brace is closed that was not opened"),
            _ => {
                pieces.push(Piece::Text(rest[..end].to_owned()));
                rest = &rest[end..];
            }
        }
    }
    Ok(pieces)
}

/// Whether the pieces make up the name, and what the value among them is. `failed`: how many pieces
/// and bytes were left where nothing fitted; trying these again and again would take years with a
/// dozen `*`.
fn fit<'k>(
    pieces: &[Piece],
    name: &'k str,
    failed: &mut HashSet<(usize, usize)>,
) -> Option<Option<&'k str>> {
    let Some((first, others)) = pieces.split_first() else {
        return name.is_empty().then_some(None);
    };
    let place = (pieces.len(), name.len());
    if failed.contains(&place) {
        return None;
    }
    let mut ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
    let found = match first {
        Piece::Text(text) => {
            let rest = name.strip_prefix(text.as_str());
            rest.and_then(|rest| fit(others, rest, failed))
        }
        Piece::Any => ends.find_map(|at| fit(others, &name[at..], failed)),
        // There is at least one character of it.
        Piece::Value => ends
            .skip(1)
            .find_map(|at| fit(others, &name[at..], failed).map(|_| Some(&name[..at]))),
    };
    if found.is_none() {
        failed.insert(place);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_key_is_found_by_what_stands_around_it() {
        for (pattern, key, expected) in [
            (
                "pricing_{date}.txt",
                "druginfo/pricing_20261121.txt",
                Some("20261121"),
            ),
            ("pricing_{date}.txt", "pricing_20261121.txt.gz", None),
            (
                "pricing_{date}.txt*",
                "pricing_20261121.txt.gz",
                Some("20261121"),
            ),
            ("pricing_{date}.txt", "pricing_.txt", None),
            ("{year}/*.csv", "raw/2026/a.csv", Some("2026")),
            ("{year}/*.csv", "a.csv", None),
            ("*_{state}.csv", "plan_x_OH.csv", Some("x_OH")),
            ("*_*_{state}.csv", "plan_x_OH.csv", Some("OH")),
            ("{kind}_*.csv", "plan_x_OH.csv", Some("plan")),
            ("p{date}.zip!*.txt", "a/p1.zip!dir.txt", Some("1")),
            ("{name}.txt", "a/p1.zip!dir/é.txt", Some("é")),
            ("{all}", "x/y", Some("y")),
        ] {
            let found = KeyPattern::new(pattern).unwrap();
            assert_eq!(found.find(key), expected, "{pattern} in {key}");
        }
        assert_eq!(file_name("a/b/c.txt"), "c.txt");
        assert_eq!(file_name("a/b.zip!c/d.txt"), "d.txt");
        assert_eq!(file_name("c.txt"), "c.txt");
    }

    #[test]
    fn many_stars_do_not_keep_a_key_from_being_found_or_not() {
        let pattern = format!("{}{{date}}b", "*a".repeat(20));
        let pattern = KeyPattern::new(&pattern).unwrap();
        assert_eq!(pattern.find(&"a".repeat(200)), None);
        let key = format!("{}7b", "a".repeat(20));
        assert_eq!(pattern.find(&key), Some("7"));
    }

    #[test]
    fn a_pattern_that_leaves_doubt_is_refused() {
        for (pattern, said) in [
            ("pricing_*.txt", "one part in braces"),
            ("{a}_{b}.txt", "one part in braces"),
            ("{a}*.txt", "must stand between"),
            ("x_{date.txt", "not closed"),
            ("x_date}.txt", "not opened"),
        ] {
            let error = KeyPattern::new(pattern).unwrap_err().to_string();
            assert!(error.contains(said), "{pattern}: {error}");
        }
    }
}

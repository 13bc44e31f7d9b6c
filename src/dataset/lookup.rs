//! Lookup tables: what stands for what, in the source file or in a CSV file beside it.
//!
//! A CSV file is UTF-8, comma-separated, and begins with the header `from,to`: a first line that is
//! data would be lost without a word otherwise.

use super::column_keys::LookupKey;
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use std::path::Path;

/// The table, by bytes; `source` is the path of the source file.
pub fn table(key: &LookupKey, source: &Path) -> Result<HashMap<Vec<u8>, Vec<u8>>> {
    let table = match key {
        LookupKey::Here(table) => table
            .iter()
            .map(|(from, to)| (from.clone().into_bytes(), to.clone().into_bytes()))
            .collect(),
        LookupKey::File(name) => {
            ensure!(
                !name.contains(['/', '\\']) && name.ends_with(".csv"),
                "`lookup = \"{name}\"` names a file beside the source file, such as `states.csv`"
            );
            let path = source.with_file_name(name);
            read(&path).with_context(|| format!("read `{}`", path.display()))?
        }
    };
    ensure!(
        !table.is_empty(),
        "`lookup` lists nothing: every record would be rejected"
    );
    let nul = |text: &Vec<u8>| text.contains(&0);
    ensure!(
        !table.values().any(nul),
        "`lookup` gives a NUL, which PostgreSQL cannot store"
    );
    Ok(table)
}

fn read(path: &Path) -> Result<HashMap<Vec<u8>, Vec<u8>>> {
    let text = std::fs::read_to_string(path)?;
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<&str> = reader.headers()?.iter().collect();
    ensure!(
        header == ["from", "to"],
        "the first line of a lookup table is `from,to`, and each further line a text and what stands for it"
    );
    let mut table = HashMap::new();
    for pair in reader.byte_records() {
        let pair = pair?;
        let line = pair.position().map_or(0, |position| position.line());
        let [from, to] = [0, 1].map(|field| pair.get(field).unwrap_or_default().to_vec());
        if table.insert(from, to).is_some() {
            bail!("line {line} lists a text that was listed before");
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<HashMap<Vec<u8>, Vec<u8>>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.csv"), text).unwrap();
        table(
            &LookupKey::File("t.csv".into()),
            &folder.path().join("source.toml"),
        )
    }

    #[test]
    fn a_table_is_read_from_a_file_beside_the_source() {
        let table =
            read_text("\u{feff}from,to\nA,active\n\"B,C\",\"x \"\"y\"\"\"\n,none\n").unwrap();
        assert_eq!(table.len(), 3);
        assert_eq!(table[&b"B,C".to_vec()], b"x \"y\"");
        assert_eq!(table[&Vec::new()], b"none");
    }

    #[test]
    fn a_table_that_leaves_doubt_is_refused() {
        for (text, said) in [
            ("A,active\n", "`from,to`"),
            (
                "from,to\nA,active\nB,x\nA,other\n",
                "line 4 lists a text that was listed before",
            ),
            ("from,to\nA,active,more\n", "found record with 3 fields"),
            ("from,to\n", "lists nothing"),
            ("from,to\nA,\"a\0\"\n", "NUL"),
        ] {
            let error = format!("{:#}", read_text(text).unwrap_err());
            assert!(error.contains(said), "{text}: {error}");
        }
        let other = LookupKey::File("../t.csv".into());
        let error = table(&other, Path::new("sources/x/item.toml")).unwrap_err();
        assert!(error.to_string().contains("beside the source file"));
    }
}

//! SQL files: cut into statements and tokens, and read for the tables that they declare.

use overnight::postgres::sql::{leading_word, line_comments, split, tokens, transaction_control};
use overnight::schema::declared::declared;
use overnight::schema::numbered::NumberedFile;
use std::path::Path;

pub fn sql(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = tokens(&text);
    let _ = line_comments(&text);
    let _ = (leading_word(&text), transaction_control(&text));
    if let Ok(statements) = split(&text) {
        let mut end = 0;
        for statement in &statements {
            assert!(statement.byte >= end && !statement.text.is_empty());
            end = statement.byte + statement.text.len();
            assert_eq!(text.get(statement.byte..end), Some(statement.text));
            let newlines = text[..statement.byte].matches('\n').count();
            assert_eq!(statement.line as usize, newlines + 1);
            // A mark of byte order is none at the start of a file.
            if !statement.text.starts_with('\u{feff}') {
                let again = split(statement.text).map(|again| again.len());
                assert_eq!(again, Ok(1), "a statement is not one by itself");
            }
            let _ = transaction_control(statement.text);
        }
    }
    if let Ok(file) = NumberedFile::new(Path::new("001_fuzz.sql"), text.into_owned())
        && let Ok(found) = declared(&[file])
    {
        let columns: usize = found.tables.iter().map(|table| table.columns.len()).sum();
        assert!(found.tables.len() + columns <= data.len());
    }
}

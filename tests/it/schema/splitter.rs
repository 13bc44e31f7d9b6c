//! Cutting SQL into statements, against psql and against itself.

use std::path::Path;

use overnight::postgres::sql::{Control, Problem, leading_word, split, transaction_control};
use overnight::schema::catalog::snapshot;
use proptest::prelude::*;

use super::rich_database;
use crate::support::database::{Database, value};

#[tokio::test]
async fn psql_and_the_splitter_make_the_same_catalog() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/schema/fixtures");
    for name in ["900_lexical.sql", "010_rich.sql"] {
        let path = folder.join(name);
        let (by_psql, by_us) = (rich_database().await, rich_database().await);
        by_psql.psql(&path).await;
        let client = by_us.open().await;
        let text = std::fs::read_to_string(&path).unwrap();
        for statement in split(&text).unwrap() {
            let prepared = client.batch_execute(statement.text).await;
            prepared.unwrap_or_else(|e| panic!("line {}: {e:?}", statement.line));
            // One statement, not several: the server would take them all in one message.
            let count = split(statement.text).unwrap().len();
            assert_eq!(count, 1);
        }
        let expected = snapshot(&by_psql.open().await).await.unwrap();
        assert!(expected.entries.len() > 10);
        assert_eq!(expected.diff(&snapshot(&client).await.unwrap()), [""; 0]);
    }
}

#[tokio::test]
async fn the_server_sees_one_statement_in_each_piece() {
    // PREPARE-less proof: the extended protocol refuses a text of several statements.
    let database = Database::new().await;
    let client = database.open().await;
    let text = include_str!("fixtures/900_lexical.sql");
    for statement in split(text).unwrap() {
        if let Err(error) = client.prepare(statement.text).await {
            let message = error.as_db_error().unwrap().message().to_owned();
            assert!(
                !message.contains("multiple commands"),
                "line {}",
                statement.line
            );
        }
        client.batch_execute(statement.text).await.unwrap();
    }
    assert_eq!(
        value(
            &client,
            "select count(*) from pg_class where relname = 'made'"
        )
        .await,
        "1"
    );
}

#[test]
fn places_are_lines_and_bytes_of_the_file() {
    let sql = "\u{feff}-- head\n select 1 ; /* é\n */ select\n  'é' ,x -- tail\n;\n;;";
    let pieces = split(sql).unwrap();
    let places: Vec<_> = pieces.iter().map(|s| (s.text, s.line)).collect();
    assert_eq!(places, [("select 1", 2), ("select\n  'é' ,x", 3)]);
    for piece in &pieces {
        assert!(sql[piece.byte..].starts_with(piece.text));
    }
    assert_eq!(pieces[1].line_at(1), 3);
    assert_eq!(pieces[1].line_at(14), 4);
    assert_eq!(pieces[1].line_at(9999), 4);
}

#[test]
fn unfinished_and_foreign_things_are_refused_where_they_begin() {
    for (sql, line, problem) in [
        ("select 1;\n'x", 2, Problem::Unclosed("a string")),
        ("select E'\\'", 1, Problem::Unclosed("a string")),
        ("\nselect \"x", 2, Problem::Unclosed("a quoted name")),
        ("\n\n/* /* */ \n", 3, Problem::Unclosed("a comment")),
        ("/*/", 1, Problem::Unclosed("a comment")),
        ("do $x$ $y$\n$x $x", 1, Problem::Unclosed("a dollar quote")),
        ("select (\n(1);", 1, Problem::Unclosed("a parenthesis")),
        ("select 1);", 1, Problem::Unopened),
        (
            "create function f() returns int\nbegin atomic select 1;",
            2,
            Problem::Unclosed("a BEGIN ATOMIC body"),
        ),
        ("select 1;\n\\! id", 2, Problem::MetaCommand),
        ("select 1 \\gexec", 1, Problem::MetaCommand),
        ("select (1 \\; 2)", 1, Problem::MetaCommand),
        (
            "copy t (a)\nfrom\nstdin with (format csv)",
            3,
            Problem::ClientCopy,
        ),
        ("copy (select 1) to STDOUT", 1, Problem::ClientCopy),
        (
            "set local standard_conforming_strings = off",
            1,
            Problem::StringSyntax,
        ),
        ("select '\0'", 1, Problem::Nul),
        ("select \0", 1, Problem::Nul),
    ] {
        let error = split(sql).expect_err(sql);
        assert_eq!((error.line, error.problem), (line, problem), "{sql}");
    }
    for sql in [
        "copy t from '/x'",
        "copy stdin from '/x'",
        "select '\\'",
        "select $$\\! $$",
        "-- \\!",
        "select 1 as copy, stdin",
    ] {
        assert_eq!(
            split(sql)
                .unwrap_or_else(|e| panic!("{sql}: {e}"))
                .len()
                .min(1),
            usize::from(!sql.starts_with("--"))
        );
    }
}

#[test]
fn transaction_control_is_seen_behind_comments_and_case() {
    use Control::{Ends, Opens, Within};
    for (sql, control) in [
        ("/* x */ BeGiN", Some(Opens)),
        ("start transaction read only", Some(Opens)),
        ("start_something()", None),
        ("commit", Some(Ends)),
        ("commit work and chain", Some(Opens)),
        ("commit and no chain", Some(Ends)),
        ("end", Some(Ends)),
        ("abort", Some(Ends)),
        ("rollback", Some(Ends)),
        ("rollback transaction to savepoint a", Some(Within)),
        ("rollback to a", Some(Within)),
        ("savepoint a", Some(Within)),
        ("release a", Some(Within)),
        ("prepare transaction 'x'", Some(Ends)),
        ("prepare x as select 1", None),
        ("\"begin\"", None),
        ("set session authorization x", None),
        ("", None),
    ] {
        assert_eq!(transaction_control(sql), control, "{sql}");
    }
    assert_eq!(leading_word("-- c\n(select 1)"), "");
    assert_eq!(leading_word(" Select 1"), "select");
}

/// Takes white space, comments and semicolons off the front of a gap between statements.
fn is_gap(text: &str) -> bool {
    split(text).is_ok_and(|pieces| pieces.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn pieces_and_gaps_give_the_text_again(parts in proptest::collection::vec(
        prop::sample::select(vec![
            ";", "\n", " ", "'", "''", "E'", "\\'", "\"", "$$", "$a$", "$1", "--", "/*", "*/", "(", ")", "x", "é",
            "begin atomic", "end", "case", "create function", "create or replace procedure", "as", "copy",
            " from ", "stdin", "\u{feff}", "1", "U&", "-", "*", "/", "\r", "\\",
        ]), 0..25)
    ) {
        let sql = parts.concat();
        if let Ok(pieces) = split(&sql) {
            let mut at = 0;
            for piece in &pieces {
                prop_assert!(is_gap(&sql[at..piece.byte]), "{:?}", &sql[at..piece.byte]);
                prop_assert_eq!(&sql[piece.byte..piece.byte + piece.text.len()], piece.text);
                let line = 1 + sql[..piece.byte].matches('\n').count();
                prop_assert_eq!(piece.line as usize, line);
                prop_assert!(!piece.text.is_empty());
                at = piece.byte + piece.text.len();
            }
            prop_assert!(is_gap(&sql[at..]));
        }
    }

    #[test]
    fn statements_that_are_written_come_out_again(bodies in proptest::collection::vec(
        prop::sample::select(vec![
            "select ';'", "select E'\\';'", "select $$;'$$", "select \";\"", "select (1; 2)", "select /* ; */ 1",
            "create function f() begin atomic select case when 1 then 2 end; end", "select 1 -- ;\n+ 1",
        ]), 0..12)
    ) {
        let sql: String = bodies.iter().map(|body| format!("\n{body} ;")).collect();
        let pieces = split(&sql).unwrap();
        let texts: Vec<&str> = pieces.iter().map(|piece| piece.text).collect();
        prop_assert_eq!(texts, bodies);
    }
}

//! Reading a folder of numbered files and running them.

use std::fs;
use std::path::Path;

use overnight::schema::numbered::{NumberedFile, read_folder};
use overnight::schema::run::{SqlFailure, offending_rows, run};

use super::file;
use crate::support::database::{Database, value};

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn refusal(files: &[(&str, &[u8])]) -> String {
    match read_folder(folder(files).path()) {
        Ok(files) => format!("accepted {} files", files.len()),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn files_come_in_numeric_order_with_their_digest() {
    let files: [(&str, &[u8]); 5] = [
        ("1000_last.sql", b"select 1"),
        ("020_second.sql", b""),
        ("010_first.sql", b"abc"),
        (".hidden", b"\xff"),
        ("README.md", b"# words"),
    ];
    let read = read_folder(folder(&files).path()).unwrap();
    let names: Vec<(u32, &str)> = read.iter().map(|f| (f.number, f.name.as_str())).collect();
    assert_eq!(
        names,
        [
            (10, "010_first.sql"),
            (20, "020_second.sql"),
            (1000, "1000_last.sql")
        ]
    );
    // FIPS 180-2, appendix B.1: the digest of "abc".
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(read[0].digest, abc);
    assert!(
        read_folder(Path::new("/no/such/folder"))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn what_would_be_skipped_or_misread_is_refused_by_name_and_line() {
    assert!(refusal(&[("010_a.sql.old", b"")]).contains("`010_a.sql.old` is not named"));
    assert!(refusal(&[("notes.txt", b"")]).contains("notes.txt"));
    assert!(
        refusal(&[("010_a.sql", b"select 1;\n\\! touch /tmp/x\n")])
            .contains("010_a.sql` line 2: a backslash")
    );
    assert!(
        refusal(&[("010_a.sql", b"\n\ncopy t from stdin;\n1\n\\.\n")])
            .contains("010_a.sql` line 3: COPY")
    );
    assert!(refusal(&[("010_a.sql", b"\n'\xff'")]).contains("010_a.sql` line 2: not UTF-8"));
}

#[tokio::test]
async fn a_file_is_all_or_nothing() {
    let database = Database::new().await;
    let client = database.open().await;
    let text = "create table kept (i int);\ninsert into kept values (1), (2);\nselect * from kept;\ncreate table kept ();";
    let error = run(&client, &file("010_a.sql", text)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`sql/d/any/010_a.sql` line 4: relation \"kept\" already exists (SQLSTATE 42P07)"
    );
    assert_eq!(
        value(&client, "select to_regclass('kept') is null").await,
        "t"
    );

    let text = text.replace("\ncreate table kept ();", "");
    client
        .batch_execute("set search_path = pg_catalog")
        .await
        .unwrap();
    let steps = run(&client, &file("010_a.sql", &text)).await.unwrap();
    let steps: Vec<_> = steps
        .iter()
        .map(|s| (s.line, s.what.as_str(), s.rows))
        .collect();
    assert_eq!(
        steps,
        [
            (1, "create table", 0),
            (2, "insert into", 2),
            (3, "select", 2)
        ]
    );
    assert_eq!(
        value(&client, "select to_regclass('public.kept')").await,
        "public.kept"
    );
}

#[tokio::test]
async fn no_value_is_told_when_a_statement_fails() {
    let database = Database::new().await;
    let client = database.open().await;
    run(&client, &file("010_a.sql", "create table t (i int primary key, s text); insert into t values (1, 'secret'), (2, 'secret')")).await.unwrap();
    for text in [
        "select s::int from t",
        "update t set i = 4711",
        "insert into t values (4711, 4), (4711, 5)",
    ] {
        let error = run(&client, &file("020_b.sql", text)).await.unwrap_err();
        let told = format!("{error:#} {error:?}");
        assert!(!told.contains("secret") && !told.contains("4711"), "{told}");
        assert!(told.contains("020_b.sql` line 1"), "{told}");
    }
}

#[tokio::test]
async fn statements_outside_a_transaction_stay() {
    let database = Database::new().await;
    let text = "-- no-transaction\ncreate table t (i int);\nvacuum t;\ncreate index concurrently on t (i);\nnonsense";
    let error = run(&database.open().await, &file("010_a.sql", text))
        .await
        .unwrap_err();
    assert_eq!(error.downcast_ref::<SqlFailure>().unwrap().line, 5);
    assert_eq!(
        value(
            &database.open().await,
            "select count(*) from pg_index where indrelid = 't'::regclass"
        )
        .await,
        "1"
    );
}

#[tokio::test]
async fn a_timeout_holds_for_the_whole_file() {
    let database = Database::new().await;
    for head in ["", "-- no-transaction\n"] {
        let text =
            format!("{head}-- timeout: 400ms\nselect pg_sleep(0.25);\nselect pg_sleep(0.25);");
        let error = run(&database.open().await, &file("010_a.sql", &text))
            .await
            .unwrap_err();
        let failure = error.downcast_ref::<SqlFailure>().unwrap();
        assert_eq!(failure.code.as_deref(), Some("57014"));
        assert!(
            failure.message.contains("timeout of 400ms is over"),
            "{failure}"
        );
        assert!(
            text.lines()
                .nth(failure.line as usize - 1)
                .unwrap()
                .contains("sleep")
        );
    }
}

#[tokio::test]
async fn offending_rows_are_counted_on_the_server() {
    let database = Database::new().await;
    let client = database.open().await;
    run(
        &client,
        &file(
            "010_a.sql",
            "create table t (i int); insert into t select generate_series(1, 500)",
        ),
    )
    .await
    .unwrap();
    let check = file(
        "010_c.sql",
        "select i, i from t where i > 497 order by i; -- three\nwith x as (select 1) table x;\nvalues (1), (2) limit 0;\nselect * from t",
    );
    let found = offending_rows(&client, &check, 100).await.unwrap();
    let found: Vec<_> = found.iter().map(|o| (o.line, o.rows, o.more)).collect();
    assert_eq!(
        found,
        [(1, 3, false), (2, 1, false), (3, 0, false), (4, 100, true)]
    );

    let error = offending_rows(&client, &file("020_d.sql", "\ndelete from t"), 1)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("020_d.sql` line 2"), "{error:#}");
    let error = offending_rows(&client, &file("030_e.sql", "-- nothing"), 1)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("could never fail"), "{error:#}");
    let error = offending_rows(
        &client,
        &file("040_f.sql", "select 1,\n\n  nothing from t"),
        1,
    )
    .await
    .unwrap_err();
    assert!(
        error.to_string().contains("line 3 (statement of line 1)"),
        "{error:#}"
    );
    assert_eq!(value(&client, "select count(*) from t").await, "500");
}

#[test]
fn a_deep_path_is_named_as_it_was_given() {
    let file = NumberedFile::new(Path::new("sql/p/schema/010_a.sql"), String::new()).unwrap();
    assert_eq!(file.place(3), "`sql/p/schema/010_a.sql` line 3");
}

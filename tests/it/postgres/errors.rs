//! What is said about errors, and that no value from the data is among it.

use crate::support::cluster::{ADMIN, LOADER};
use crate::support::database::Database;
use futures_util::SinkExt;
use overnight::postgres::{
    Session, copy_position_of, explain, explain_chain, is_cancelled, sqlstate,
};

const SETUP: &str = "
CREATE SCHEMA s;
CREATE TABLE s.parent (id int PRIMARY KEY, name text UNIQUE CHECK (name <> 'canary-check'), note varchar(12) NOT NULL);
CREATE TABLE s.child (id int REFERENCES s.parent, d date);
CREATE TYPE s.mood AS ENUM ('sad');
CREATE DOMAIN s.small AS text CHECK (value <> 'canary');
CREATE TABLE s.span (r int4range, EXCLUDE USING gist (r WITH &&));
INSERT INTO s.parent VALUES (1, 'canary', 'x');
INSERT INTO s.child VALUES (1);
INSERT INTO s.span VALUES ('[1,5)');
CREATE FUNCTION s.shout(t text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'bad: %', t USING DETAIL = t, HINT = t;
END $$;
CREATE FUNCTION s.disguise(t text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING MESSAGE = t, ERRCODE = '42P01';
END $$;
CREATE FUNCTION s.dynamic(t text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE 'SELECT ' || t; RETURN 1;
END $$;
CREATE FUNCTION s.assertion(t text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  ASSERT false, t; RETURN 1;
END $$;
";

async fn admin(database: &Database) -> Session {
    let server = database.server(ADMIN).await;
    server.connect(&database.name, "test").await.unwrap()
}

async fn said(session: &Session, sql: &str) -> String {
    explain(&session.batch_execute(sql).await.unwrap_err())
}

#[tokio::test]
async fn errors_name_the_place_and_never_the_value() {
    let database = Database::new().await;
    let session = admin(&database).await;
    session.batch_execute(SETUP).await.unwrap();
    let cases = [
        (
            "INSERT INTO s.parent VALUES (2, 'canary', 'x')",
            "unique constraint violated, table `s.parent`, constraint `parent_name_key` (SQLSTATE 23505)",
        ),
        (
            "INSERT INTO s.child VALUES (77001)",
            "foreign key violated, table `s.child`, constraint `child_id_fkey` (SQLSTATE 23503)",
        ),
        (
            "DELETE FROM s.parent WHERE name = 'canary'",
            "foreign key violated, table `s.child`, constraint `child_id_fkey` (SQLSTATE 23503)",
        ),
        (
            "INSERT INTO s.parent VALUES (3, 'canary-check', 'x')",
            "check constraint violated, table `s.parent`, constraint `parent_name_check` (SQLSTATE 23514)",
        ),
        (
            "INSERT INTO s.parent VALUES (4, 'canary-null', NULL)",
            "null in a column that must not be null, table `s.parent`, column `note` (SQLSTATE 23502)",
        ),
        (
            "INSERT INTO s.span VALUES ('[3,77001)')",
            "exclusion constraint violated, table `s.span`, constraint `span_r_excl` (SQLSTATE 23P01)",
        ),
        (
            "SELECT 'canary'::s.small",
            "check constraint violated, constraint `small_check`, type `small` (SQLSTATE 23514)",
        ),
        (
            "INSERT INTO s.parent VALUES (5, 'x', 'canary-canary-canary')",
            "text too long for its type (SQLSTATE 22001)",
        ),
        (
            "SELECT 'canary'::int",
            "text is not a valid value of its type (SQLSTATE 22P02)",
        ),
        (
            "SELECT 'canary'::s.mood",
            "text is not a valid value of its type (SQLSTATE 22P02)",
        ),
        (
            "SELECT '{canary'::json",
            "text is not a valid value of its type (SQLSTATE 22P02)",
        ),
        (
            "SELECT '99canary'::date",
            "not a valid date or time (SQLSTATE 22007)",
        ),
        (
            "SELECT '770010000000'::int",
            "number out of range (SQLSTATE 22003)",
        ),
        (
            "SELECT s.shout('canary')",
            "a function raised an exception (its text may hold data: the log of the server has it), in function `s.shout(text)`, line 3 (SQLSTATE P0001)",
        ),
        (
            "DO $$ BEGIN RAISE EXCEPTION 'canary' USING ERRCODE = '23505', TABLE = 't'; END $$",
            "unique constraint violated, table `t`, in function `inline_code_block`, line 1 (SQLSTATE 23505)",
        ),
        (
            "SELECT s.disguise('canary')",
            "a function raised an error (its text may hold data: the log of the server has it), in function `s.disguise(text)`, line 3 (SQLSTATE 42P01)",
        ),
        (
            "SELECT s.dynamic('canary canary canary')",
            "syntax error in a statement inside a function, in function `s.dynamic(text)`, line 3 (SQLSTATE 42601)",
        ),
        (
            "SELECT s.assertion('canary')",
            "an assertion failed (its text may hold data: the log of the server has it), in function `s.assertion(text)`, line 3 (SQLSTATE P0004)",
        ),
        (
            "SELEC 1",
            "syntax error at or near \"SELEC\" (SQLSTATE 42601)",
        ),
        (
            "SELECT * FROM s.nope",
            "relation \"s.nope\" does not exist (SQLSTATE 42P01)",
        ),
        (
            "DROP TABLE s.parent",
            "cannot drop table s.parent because other objects depend on it: constraint child_id_fkey on table s.child depends on table s.parent (SQLSTATE 2BP01)",
        ),
    ];
    for (sql, expected) in cases {
        let shown = said(&session, sql).await;
        assert_eq!(shown, expected, "{sql}");
        assert!(
            !shown.contains("canary") && !shown.contains("77001"),
            "{shown}"
        );
    }
    session
        .batch_execute("CREATE DATABASE errors_busy")
        .await
        .unwrap();
    let other = database
        .server(LOADER)
        .await
        .connect("errors_busy", "y")
        .await
        .unwrap();
    let shown = said(&session, "DROP DATABASE errors_busy").await;
    assert!(
        shown.contains("is being accessed by other users: There is 1 other session"),
        "{shown}"
    );
    other.close().await;
    session.close().await;
}

#[tokio::test]
async fn an_error_in_copied_data_tells_line_and_column_only() {
    let database = Database::new().await;
    let session = admin(&database).await;
    session
        .batch_execute("CREATE TABLE public.t (a int, b date)")
        .await
        .unwrap();
    let sink = session.copy_in("COPY public.t FROM STDIN").await.unwrap();
    futures_util::pin_mut!(sink);
    sink.send(&b"1\t2020-01-01\n2\tcanary, line 9\n"[..])
        .await
        .unwrap();
    let error = sink.finish().await.unwrap_err();
    assert_eq!(
        explain(&error),
        "not a valid date or time, column `b`, line 2 of the COPY (SQLSTATE 22007)"
    );
    let position = copy_position_of(&error).unwrap();
    assert_eq!((position.line, position.column.as_deref()), (2, Some("b")));
    let chain = anyhow::Error::from(error)
        .context("copy into `t`")
        .context("load `x`");
    let shown = explain_chain(&chain);
    assert_eq!(
        shown,
        "load `x`: copy into `t`: not a valid date or time, column `b`, line 2 of the COPY (SQLSTATE 22007)"
    );
    session.close().await;
}

#[tokio::test]
async fn chains_do_not_repeat_themselves() {
    let database = Database::new().await;
    let session = admin(&database).await;
    let error = session
        .batch_execute("SET statement_timeout = 50; SELECT pg_sleep(10)")
        .await
        .unwrap_err();
    assert!(is_cancelled(&error));
    assert_eq!(sqlstate(&error), Some("57014"));
    let inner = std::io::Error::other("disk on fire");
    let outer = anyhow::Error::from(std::io::Error::other(inner)).context("write");
    assert_eq!(explain_chain(&outer), "write: disk on fire");
    session.close().await;
}

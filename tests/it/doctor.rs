//! `overnight doctor`: a sound server has no problem, each thing that is wrong is named with what to
//! do, and looking changes nothing.

use crate::brake::{Server, psql};
use crate::support::standby::Pair;
use crate::support::{Ended, Project};
use serde_json::Value;

/// Findings of one level that hold a text.
fn found<'j>(told: &'j Value, level: &str, text: &str) -> Vec<&'j Value> {
    let all = told["findings"].as_array().unwrap().iter();
    all.filter(|found| found["level"] == level && found["finding"].as_str().unwrap().contains(text))
        .collect()
}

fn doctor(project: &Project) -> Ended {
    project.overnight(&["doctor", "--json"])
}

/// What somebody does, where, the level and words of the finding, and how it is undone.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const CASES: &[Case] = &[
    (
        "postgres",
        "alter role overnight nocreatedb",
        "problem",
        "may not create databases",
        "alter role overnight createdb",
    ),
    (
        "postgres",
        "revoke pg_signal_backend from overnight",
        "problem",
        "may not end sessions",
        "grant pg_signal_backend to overnight",
    ),
    (
        "postgres",
        "grant pg_read_server_files to overnight",
        "warning",
        "is a member of pg_read_server_files",
        "revoke pg_read_server_files from overnight",
    ),
    (
        "postgres",
        "alter role overnight bypassrls",
        "warning",
        "has bypassrls",
        "alter role overnight nobypassrls",
    ),
    (
        "postgres",
        "grant connect on database doc to public",
        "problem",
        "every role may connect to `doc`",
        "revoke connect on database doc from public",
    ),
    (
        "doc",
        "grant create on schema public to public",
        "problem",
        "every role may create objects in schema public of `doc`",
        "revoke create on schema public from public",
    ),
    (
        "postgres",
        "grant create on database doc to doc_reader",
        "problem",
        "owns or may create objects in doc",
        "revoke create on database doc from doc_reader",
    ),
    (
        "postgres",
        "revoke connect on database doc from doc_reader",
        "problem",
        "may not connect to `doc`",
        "grant connect on database doc to doc_reader",
    ),
    (
        "postgres",
        "alter role doc_reader createrole",
        "warning",
        "more than it needs: createrole",
        "alter role doc_reader nocreaterole",
    ),
    (
        "postgres",
        "grant overnight to doc_reader",
        "problem",
        "is a member of the role of overnight",
        "revoke overnight from doc_reader",
    ),
    (
        "postgres",
        "alter database doc owner to overnight_admin",
        "problem",
        "`doc` belongs to `overnight_admin`",
        "alter database doc owner to overnight",
    ),
    (
        "postgres",
        "alter database doc set work_mem = '8MB'",
        "warning",
        "the next build will not have: work_mem",
        "alter database doc reset work_mem",
    ),
    (
        "postgres",
        "alter role overnight set log_error_verbosity = 'default'",
        "warning",
        "log_error_verbosity is default",
        "alter role overnight reset log_error_verbosity",
    ),
    (
        "postgres",
        "create database doc_20200101t000000z",
        "warning",
        "the ledger does not know it",
        "drop database doc_20200101t000000z",
    ),
    (
        "doc",
        "begin; create table t (); prepare transaction 'forgotten'",
        "problem",
        "1 prepared transactions in `doc`",
        "rollback prepared 'forgotten'",
    ),
    (
        "postgres",
        "select pg_create_physical_replication_slot('dead', true)",
        "warning",
        "nobody reads the slot `dead`",
        "select pg_drop_replication_slot('dead')",
    ),
    (
        "doc",
        "select pg_create_logical_replication_slot('cdc', 'test_decoding')",
        "problem",
        "the logical slot `cdc` is in a build",
        "select pg_drop_replication_slot('cdc')",
    ),
    (
        "postgres",
        "update pg_database set datcollversion = '1' where datname = 'doc'",
        "problem",
        "its default collation was version 1",
        "update pg_database set datcollversion = null where datname = 'doc'",
    ),
    (
        "control_doc",
        "update ledger.build set server_version = '9.6.1'",
        "warning",
        "was made by PostgreSQL 9.6.1",
        "update ledger.build set server_version = current_setting('server_version')",
    ),
    (
        "control_doc",
        "update ledger.dataset set held = true, held_by = 'anna', hold_reason = 'a check'",
        "warning",
        "`doc` is held by anna (a check)",
        "update ledger.dataset set held = false, held_by = null, hold_reason = null",
    ),
    (
        "control_doc",
        "update ledger.flip set state = 'switched'",
        "warning",
        "a move of `doc` is switched and not confirmed",
        "update ledger.flip set state = 'confirmed'",
    ),
];

#[test]
fn the_doctor_finds_each_thing_that_is_wrong_and_changes_nothing() {
    let settings = [
        "wal_level = logical",
        "max_wal_senders = 2",
        "max_prepared_transactions = 2",
        "max_wal_size = '2GB'",
    ];
    let server = Server::start(None, &settings);
    let mut project = Project::new("doc");
    server.adopt(&mut project, "");
    // Before the first run there is no ledger, and none is made.
    project.items(10, "one");
    let told = doctor(&project).code(0).json();
    assert_eq!(told["healthy"], true);
    assert!(!found(&told, "ok", "below `doc/`").is_empty(), "{told}");
    let control = "select count(*)::text from pg_database where datname = 'control_doc'";
    assert_eq!(server.ask("postgres", control), "0");
    project.run().code(0);
    let kept = "select (select count(*) from ledger.event) || ' ' || (select count(*) from ledger.finding)";
    let before = server.ask("control_doc", kept);
    let told = doctor(&project).code(0).json();
    for text in ["control_doc", "doc_reader", "may not", "not be looked at"] {
        assert!(found(&told, "problem", text).is_empty(), "{text}: {told}");
    }

    for (database, wrong, level, text, repair) in CASES {
        let url = server.embedded.admin_target().url_for(database, None);
        psql(&url, wrong).unwrap();
        let ended = doctor(&project).code(i32::from(*level == "problem"));
        let told = ended.json();
        let named = found(&told, level, text);
        assert_eq!(named.len(), 1, "{wrong}: {told:#}");
        assert!(
            named[0]["todo"]
                .as_str()
                .is_some_and(|todo| !todo.is_empty()),
            "{told}"
        );
        assert_eq!(told["healthy"], *level != "problem");
        psql(&url, repair).unwrap();
    }

    // Everything was put right again, and what people read says the same.
    let told = project.overnight(&["doctor", "doc"]).code(0).stdout;
    assert!(told.contains("0 problems"), "{told}");
    assert!(!told.contains("PROBLEM"), "{told}");
    assert_eq!(server.ask("control_doc", kept), before);

    let from = ("OVERNIGHT_FROM".to_owned(), "/nowhere".to_owned());
    project.env.push(from);
    let told = doctor(&project).code(1).json();
    assert_eq!(found(&told, "problem", "/nowhere").len(), 1, "{told}");
    project.env.pop();
    // As a superuser everything is allowed, which is too much.
    let admin = server.embedded.admin_target().url_for("postgres", None);
    project.env.push(("OVERNIGHT_TARGET".into(), admin));
    let told = doctor(&project).json();
    assert_eq!(found(&told, "warning", "is a superuser").len(), 1, "{told}");
    project.env.pop();
    // A disk that is too small for one more build.
    project.write("overnight.toml", "[brake]\nserver_disk = \"32MiB\"\n");
    let told = doctor(&project).code(1).json();
    assert_eq!(
        found(&told, "problem", "the declared disk of the server").len(),
        1,
        "{told}"
    );
}

#[test]
fn the_doctor_asks_every_replica() {
    let pair = Pair::start();
    let mut project = Project::new("doc_replica");
    pair.adopt(&mut project, true);
    project.items(10, "one");
    project.run().code(0);
    let told = doctor(&project).json();
    assert_eq!(
        found(&told, "ok", "`east` has every live build").len(),
        1,
        "{told}"
    );
    pair.stop_standby();
    let told = doctor(&project).code(1).json();
    assert_eq!(
        found(&told, "problem", "ask the replica `east`").len(),
        1,
        "{told}"
    );
    pair.start_standby();
    project.write("overnight.toml", "");
    let told = doctor(&project).code(1).json();
    assert_eq!(found(&told, "problem", "no [[replica]]").len(), 1, "{told}");
}

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
        "problem",
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
    // Nothing would watch the disk of a server on this machine.
    let told = doctor(&project).code(1).json();
    let disk = found(&told, "problem", "nothing watches the disk");
    assert_eq!(disk.len(), 1, "{told}");
    assert!(
        disk[0]["todo"]
            .as_str()
            .unwrap()
            .contains("grant pg_monitor to overnight")
    );
    project.items(10, "one");
    let text = "WARN doc: nothing watches the disk of the server";
    project
        .overnight(&["run", "doc", "--no-rotate"])
        .code(0)
        .says(&[text]);
    let dropped =
        "select pg_terminate_backend(pid) from pg_stat_activity where datname ~ '^doc|^control'";
    server.admin(dropped);
    for database in server
        .ask(
            "postgres",
            "select datname from pg_database where datname ~ '^(doc_2|control_doc)'",
        )
        .lines()
    {
        server.admin(&format!("drop database {database}"));
    }
    server.admin("grant pg_monitor to overnight");
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

/// The lines that warn of a move, as a run says them.
fn warned(ended: &Ended) -> Vec<&str> {
    let lines = ended.stderr.lines();
    lines
        .filter(|line| line.contains("the move would be refused"))
        .collect()
}

#[test]
fn what_will_stop_the_next_run_is_a_problem_and_a_warning_at_its_start() {
    let server = Server::start(None, &["max_wal_size = '2GB'"]);
    let mut project = Project::new("pre");
    server.adopt(
        &mut project,
        "flip_window = \"1s\"\nflip_limit = \"300ms\"\n",
    );
    server.admin("grant pg_monitor to overnight");
    project.items(10, "one");
    let ended = project.run().code(0);
    assert!(warned(&ended).is_empty(), "{}", ended.stderr);
    doctor(&project).code(0);

    // A superuser who stays connected; golden queries and no reader to ask them as.
    let url = server.embedded.admin_target().url_for("pre", None);
    let mut stays = std::process::Command::new("psql")
        .args(["-XAtc", "select pg_sleep(600)", &url])
        .env("PGAPPNAME", "a visitor")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let there = "select count(*) from pg_stat_activity where datname = 'pre' and application_name = 'a visitor'";
    while server.ask("postgres", there) != "1" {
        assert!(stays.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    project.items(11, "two");
    let told = doctor(&project).code(1).json();
    let visitor = "the live `pre` is in use by overnight_admin (a visitor, process";
    assert_eq!(found(&told, "problem", visitor).len(), 1, "{told:#}");
    let ended = project.run().code(3);
    let warnings = warned(&ended);
    assert!(
        warnings.len() == 1 && warnings[0].contains(visitor),
        "{}",
        ended.stderr
    );
    let before_the_load = |ended: &Ended, text: &str| {
        ended.stderr.find(text).unwrap() < ended.stderr.find("pre: create").unwrap()
    };
    assert!(before_the_load(&ended, visitor), "{}", ended.stderr);
    stays.kill().unwrap();
    stays.wait().unwrap();
    while server.ask("postgres", there) != "0" {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }

    let toml = project.path("sources/pre/dataset.toml");
    let good = std::fs::read_to_string(&toml).unwrap();
    std::fs::write(
        &toml,
        good.replace("probe = { user = \"pre_reader\" }\n", ""),
    )
    .unwrap();
    project.sql("golden/010_all.sql", "select id from item;\n");
    let reader = "golden queries run as the reader `pre_reader`";
    let told = doctor(&project).code(1).json();
    let named = found(&told, "problem", reader);
    assert_eq!(named.len(), 1, "{told:#}");
    assert!(
        named[0]["todo"]
            .as_str()
            .unwrap()
            .contains("grant pre_reader to overnight")
    );
    let ended = project.run().code(2);
    assert!(before_the_load(&ended, reader), "{}", ended.stderr);
    server.admin("grant pre_reader to overnight");
    server.admin("update pg_database set datcollversion = null where datname = 'pre'");
    doctor(&project).code(0);

    // A hold, and a right that is gone.
    server.admin("alter role overnight nocreatedb");
    project
        .overnight(&["hold", "pre", "--reason", "a look"])
        .code(0);
    project.items(12, "three");
    let ended = project.run();
    assert_ne!(ended.code, 0);
    let warnings = warned(&ended).join("\n");
    for text in [
        "`pre` is held by",
        "may not create databases",
        "alter role overnight createdb",
    ] {
        assert!(warnings.contains(text), "{}", ended.stderr);
    }
    let told = doctor(&project).code(1).json();
    assert_eq!(
        found(&told, "problem", "`pre` is held by").len(),
        1,
        "{told:#}"
    );
}

#[test]
fn a_lost_ledger_and_a_foreign_database_are_problems() {
    let server = Server::start(None, &["max_wal_size = '2GB'"]);
    let mut project = Project::new("lost");
    server.adopt(&mut project, "");
    server.admin("grant pg_monitor to overnight");
    server.admin("create database lost");
    project.items(10, "one");
    let told = doctor(&project).code(1).json();
    let foreign = "a database named `lost` exists and overnight did not make it";
    assert_eq!(found(&told, "problem", foreign).len(), 1, "{told:#}");
    server.admin("drop database lost");
    project.run().code(0);
    project.items(11, "two");
    project.run().code(0);
    doctor(&project).code(0);

    server.admin("drop database control_lost");
    let ended = doctor(&project).code(1);
    let told = ended.json();
    let adopt = |text: &str| {
        let named = found(&told, "problem", text);
        assert_eq!(named.len(), 1, "{told:#}");
        assert!(
            named[0]["todo"]
                .as_str()
                .unwrap()
                .contains("overnight reconcile --adopt")
        );
    };
    adopt("`control_lost` does not know builds that are there: `lost_2");
    adopt("the database `lost` carries the stamp of overnight");
    assert!(!ended.stdout.contains("drop"), "{}", ended.stdout);
}

#[test]
fn one_dataset_does_not_hide_another_and_other_projects_are_not_judged() {
    let server = Server::start(None, &["max_wal_size = '2GB'"]);
    let mut project = Project::new("doc_a");
    server.adopt(&mut project, "");
    server.admin("grant pg_monitor to overnight");
    server.admin("create role doc_b_reader login");
    project.items(10, "one");
    project.run().code(0);
    let other = Project::new("doc_b");
    let mut other = other;
    server.admin("drop role doc_b_reader");
    server.adopt(&mut other, "router = \"pointer\"\n");
    other.control.clone_from(&project.control);
    other.items(10, "one");
    other.run().code(0);
    // Two projects, two routers, one ledger.
    for (this, beyond) in [(&project, "doc_b"), (&other, "doc_a")] {
        let told = doctor(this).code(0).json();
        let text = format!("the ledger has `{beyond}`, and this project does not");
        assert_eq!(found(&told, "ok", &text).len(), 1, "{told:#}");
    }
    // One that was renamed is this project's, and stays until somebody looks.
    let (sources, sql) = (project.path("sources/doc_a"), project.path("sql/doc_a"));
    let renamed = |path: &std::path::Path| path.with_file_name("doc_c");
    for path in [&sources, &sql] {
        std::fs::rename(path, renamed(path)).unwrap();
    }
    let told = doctor(&project).json();
    let text = "the ledger has `doc_a`, and this project does not: 1 databases,";
    assert_eq!(found(&told, "warning", text).len(), 1, "{told:#}");
    for path in [&sources, &sql] {
        std::fs::rename(renamed(path), path).unwrap();
    }

    // A second dataset of one project that is broken on the server.
    for part in ["sources", "sql"] {
        let from = other.path(&format!("{part}/doc_b"));
        let copied = std::process::Command::new("cp")
            .arg("-r")
            .arg(from)
            .arg(project.path(part))
            .status();
        assert!(copied.unwrap().success());
    }
    project.input("../doc_b/items.csv", "id,name,price,seen\n");
    server.admin("alter database doc_a allow_connections false");
    let changed = "update pg_database set datcollversion = '1' where datname ~ '^doc_b_2'";
    server.admin(changed);
    project.write("overnight.toml", "router = \"pointer\"\n");
    let told = doctor(&project).code(1).json();
    assert_eq!(
        found(&told, "problem", "the live `doc_a` could not be looked at").len(),
        2,
        "{told:#}"
    );
    assert_eq!(
        found(
            &told,
            "problem",
            "of the live `doc_b` its default collation"
        )
        .len(),
        1,
        "{told:#}"
    );
    // Asked about one, it is silent about the other.
    let told = project.overnight(&["doctor", "doc_b", "--json"]).json();
    assert!(found(&told, "problem", "doc_a").is_empty(), "{told:#}");
    project.write("sources/doc_a/item.toml", "tabel = \"item\"\n");
    let told = doctor(&project).code(1).json();
    assert_eq!(found(&told, "problem", "`tabel`").len(), 1, "{told:#}");
    assert_eq!(
        found(
            &told,
            "problem",
            "of the live `doc_b` its default collation"
        )
        .len(),
        1,
        "{told:#}"
    );
}

#[test]
fn secrets_and_rights_that_are_too_wide_are_named() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start(None, &["max_wal_size = '2GB'"]);
    let mut project = Project::new("wide");
    server.adopt(&mut project, "");
    server.admin("grant pg_monitor to overnight");
    project.items(10, "one");
    project.run().code(0);
    let told = doctor(&project).code(0).json();
    for text in [
        "every user of this machine",
        "may read",
        "members of the reader",
    ] {
        assert!(found(&told, "warning", text).is_empty(), "{told:#}");
    }
    let secret = project.path("secret");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let toml = project.path("sources/wide/dataset.toml");
    let text = std::fs::read_to_string(&toml).unwrap();
    let with = format!(
        "{{ user = \"wide_reader\", password = \"file:{}\" }}",
        secret.display()
    );
    std::fs::write(&toml, text.replace("{ user = \"wide_reader\" }", &with)).unwrap();
    project.write(
        "overnight.toml",
        "target = \"postgres://overnight:hunter2@db/\"\n",
    );
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&secret, 0o644);
    mode(&project.path("overnight.toml"), 0o644);
    server.admin("create role shadow login");
    server.admin("grant wide_reader to shadow");
    server.ask("wide", "grant select on item to public");
    let told = doctor(&project).code(0).json();
    for text in [
        format!("`{}` holds a secret", secret.display()),
        format!(
            "`{}` holds a secret",
            project.path("overnight.toml").display()
        ),
        "members of the reader `wide_reader` of `wide` read what it reads: shadow".into(),
        "every role that may connect to `wide` may read public.item".into(),
    ] {
        assert_eq!(found(&told, "warning", &text).len(), 1, "{text}: {told:#}");
    }
    let check = project.overnight(&["check"]).code(0);
    check.says(&["holds a secret, and every user of this machine may read it"]);
    mode(&secret, 0o600);
    mode(&project.path("overnight.toml"), 0o600);
    let told = doctor(&project).code(0).json();
    assert!(
        found(&told, "warning", "holds a secret").is_empty(),
        "{told:#}"
    );
}

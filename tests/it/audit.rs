//! The audit trail: what was done is listed, and whoever changes it afterwards is found out.

use crate::support::{Project, check_invariants};

#[test]
fn what_was_done_is_listed_with_who_when_and_why_and_cannot_be_changed_unseen() {
    let project = Project::new("audit");
    let name = project.name.clone();
    for night in 1..=2 {
        project.items(5 + night, "x");
        project.run().code(0);
    }
    project
        .overnight(&["rollback", &name, "--reason", "wrong premiums"])
        .code(0);
    project.overnight(&["release", &name]).code(0);
    let told = project.overnight(&["audit", &name]).code(0).stdout;
    let kinds: Vec<&str> = told
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().nth(2).unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "verified", "rotate", "verified", "rotate", "rollback", "release"
        ]
    );
    // A build is named once: the reason of an event is more than its name, or nothing.
    for line in told.lines().skip(1) {
        let builds = line.matches(&format!("{name}_2")).count();
        assert!(builds <= 1, "{line}");
    }
    let rollback = told.lines().nth(5).unwrap();
    assert!(
        rollback.contains("overnight@") && rollback.ends_with("wrong premiums"),
        "{told}"
    );
    let json = project
        .overnight(&["audit", "--json", "--limit", "2"])
        .code(0)
        .json();
    assert_eq!(json["events"].as_array().unwrap().len(), 2);
    assert_eq!(json["events"][0]["kind"], "rollback");
    assert_eq!(json["events"][0]["position"], 5);
    assert_eq!(json["events"][0]["build"], project.live());

    let whole = project.overnight(&["audit", "--verify"]).code(0).stdout;
    assert!(
        whole.starts_with("audit: 6 events, none was changed or taken out; the last hash is "),
        "{whole}"
    );
    let hash = project.ledger("select encode(hash, 'hex') from ledger.event where position = 6");
    assert!(whole.trim_end().ends_with(&hash), "{whole}");

    // The owner of the ledger itself is refused.
    for change in [
        "update ledger.event set actor = 'somebody'",
        "delete from ledger.event where position = 6",
        "truncate ledger.event",
    ] {
        let error = project
            .cluster()
            .sql_as("overnight", &project.control, change)
            .unwrap_err();
        assert_eq!(error.code().unwrap().code(), "55000", "{change}");
    }

    // Whoever gets around that is seen; each change is taken back before the next.
    for (change, fault) in [
        (
            "update ledger.event set actor = 'somebody' where position = 2",
            "event 2 (rotate at",
        ),
        (
            "update ledger.event set detail = 'planned' where position = 5",
            "event 5 (rollback at",
        ),
        (
            "update ledger.event set at = at - interval '1 microsecond' where position = 1",
            "event 1 (verified at",
        ),
        (
            "delete from ledger.event where position = 3",
            "event 3 is missing",
        ),
        (
            "delete from ledger.event where position > 4",
            "events 5 to 6 are missing",
        ),
        (
            "update ledger.event set position = position - 1 where position > 3; delete from ledger.event where id = 3",
            "event 3 ",
        ),
        (
            "insert into ledger.event (dataset, kind, actor) values ('audit', 'hold', 'nobody')",
            "stands outside of the chain",
        ),
        (
            "delete from ledger.event_head",
            "the end of the chain is missing",
        ),
        (
            "update ledger.event_head set hash = 'x'",
            "the end of the chain is another",
        ),
    ] {
        let sql = format!(
            "create table kept as select * from ledger.event; create table kept_head as select * from ledger.event_head;
             set session_replication_role = replica; {change}"
        );
        project.cluster().sql(&project.control, &sql).unwrap();
        let ended = project.overnight(&["audit", "--verify"]).code(1).says(&[
            "error: the events of the ledger are not as they were written",
            "hint: somebody with the rights of the ledger's owner",
        ]);
        assert!(
            ended.stdout.contains("audit: NOT AS IT WAS WRITTEN") && ended.stdout.contains(fault),
            "{change}: {}",
            ended.stdout
        );
        let json = project
            .overnight(&["audit", &name, "--verify", "--json"])
            .code(1)
            .json();
        assert_eq!(json["whole"], false, "{change}");
        project
            .cluster()
            .sql(
                &project.control,
                "set session_replication_role = replica;
                 delete from ledger.event; delete from ledger.event_head;
                 insert into ledger.event overriding system value select * from kept;
                 insert into ledger.event_head select * from kept_head;
                 drop table kept, kept_head",
            )
            .unwrap();
        project.overnight(&["audit", "--verify"]).code(0);
    }
    project
        .overnight(&["audit", "nothing", "--verify"])
        .code(2)
        .says(&["`nothing` was never run on this server"]);
    // The chain continues: verified and rotated. The build that was rolled back stays.
    project.items(9, "y");
    project.run().code(0);
    let whole = project.overnight(&["audit", "--verify"]).code(0).stdout;
    assert!(
        whole.starts_with("audit: 8 events, none was changed"),
        "{whole}"
    );
    check_invariants(&project);
}

#[test]
fn events_written_at_the_same_time_stand_in_one_chain() {
    let project = Project::new("audit_crowd");
    project.items(5, "x");
    project.run().code(0);
    let holds: Vec<_> = (0..8)
        .map(|_| project.start(&["hold", &project.name, "--reason", "many"]))
        .collect();
    for hold in holds {
        let ended = crate::support::project::ended(hold.wait_with_output().unwrap());
        ended.code(0);
    }
    let json = project
        .overnight(&["audit", "--verify", "--json"])
        .code(0)
        .json();
    assert_eq!(json["chains"][0]["events"], 10);
    assert_eq!(json["whole"], true);
}

#[test]
fn a_ledger_from_before_the_chain_is_chained_as_it_stands() {
    let project = Project::new("audit_older");
    project.items(5, "x");
    project.run().code(0);
    project
        .cluster()
        .sql(
            &project.control,
            &(undone(include_str!("../../src/ledger/schema_13.sql"))
                + &undone(include_str!("../../src/ledger/schema_12.sql"))),
        )
        .unwrap();
    // What an older release has left: the same rows, and none of what the step makes.
    project
        .cluster()
        .sql(
            &project.control,
            "drop trigger added on ledger.event; drop trigger kept on ledger.event;
             drop function ledger.event_added(); drop function ledger.event_kept();
             drop function ledger.event_hash(bytea, ledger.event); drop function ledger.event_field(text);
             drop table ledger.event_head;
             alter table ledger.event drop column position, drop column hash;
             alter table ledger.flip drop column group_name, drop column act;
             delete from ledger.version where version >= 10",
        )
        .unwrap();
    let whole = project.overnight(&["audit", "--verify"]).code(0).stdout;
    assert!(
        whole.starts_with("audit_older: 2 events, none was changed"),
        "{whole}"
    );
}

/// Takes out the tables and columns that a step of the ledger makes.
fn undone(step: &str) -> String {
    let mut undone = String::new();
    for line in step.lines() {
        let words: Vec<&str> = line
            .split([' ', ',', ';', '('])
            .filter(|word| !word.is_empty())
            .collect();
        match words.as_slice() {
            ["create", "table", table, ..] => {
                undone += &format!("drop table if exists {table} cascade;")
            }
            ["create", "schema", schema, ..] => undone += &format!("drop schema {schema} cascade;"),
            ["alter", "table", table, clauses @ ..] => {
                for clause in clauses.windows(3) {
                    let column = match clause {
                        ["add", "constraint", _] => continue,
                        ["add", "column", column] | ["add", column, _] => column,
                        _ => continue,
                    };
                    undone += &format!("alter table {table} drop column {column};");
                }
            }
            _ => {}
        }
    }
    undone
}

//! A reader who may connect to the control database tries to keep commands from their work.

use super::Row;
use crate::support::{Project, check_invariants};
use serde_json::json;
use std::time::{Duration, Instant};

/// No command waits for a reader longer than this.
const LIMIT: Duration = Duration::from_secs(15);

#[test]
fn a_reader_can_take_no_lock_that_a_command_needs() {
    let row = Row::begin(
        "reader_locks",
        "reader takes locks in the control database: commands that it stops",
        ["1 night, 5 commands: 0", "10 nights, 50 commands: 0"],
    );
    let nights = row.pick(1, 10);
    let project = Project::new("reader_locks");
    project.write(
        &format!("sources/{}/dataset.toml", project.name),
        &format!(
            "schema_version = 1\nfiles_under = \"{0}/\"\nreaders = [\"{1}\"]\nprobe = {{ user = \"{1}\" }}\nkeep = 3\nconsumers_register = true\n",
            project.name, project.reader
        ),
    );
    for rows in [10, 11] {
        project.items(rows, "night");
        project.run().code(0);
    }
    let cluster = project.cluster();
    let guard = [
        "guard",
        &project.name,
        "--consumer",
        "api",
        "--supports",
        "1..",
    ];
    let mut command = project.command(&guard);
    command.env("OVERNIGHT_TARGET", cluster.url("postgres", &project.reader));
    Project::finish(&mut command).code(0);

    let reader = cluster
        .block_on(cluster.client(&project.reader, &project.control))
        .unwrap();
    let mut bad = Vec::new();
    // What it may take, it takes, and keeps in an open transaction.
    let mut taken = 0;
    for sql in takes(&project) {
        let sql = format!("savepoint one; {sql}");
        cluster.block_on(reader.batch_execute("begin")).unwrap();
        match cluster.block_on(reader.batch_execute(&sql)) {
            Ok(()) => {
                taken += 1;
                if sql.contains("ledger_lock") {
                    bad.push(format!("a reader may: {sql}"));
                }
            }
            Err(_) => cluster
                .block_on(reader.batch_execute("rollback to savepoint one"))
                .unwrap(),
        }
    }
    let mut commands = 0;
    for night in 0..nights {
        project.items(12 + night, "night");
        let name = project.name.as_str();
        for arguments in [
            &["run", name][..],
            &["rollback", name, "--reason", "torture"],
            &["release", name],
            &["hold", name],
            &["release", name],
        ] {
            let began = Instant::now();
            let told = project.overnight(arguments);
            commands += 1;
            if told.code != 0 || began.elapsed() > LIMIT {
                bad.push(format!("{arguments:?} in {:?}: {told:?}", began.elapsed()));
            }
        }
    }
    drop(reader);
    check_invariants(&project);
    row.end(
        &format!(
            "{taken} locks taken, {commands} commands, {} stopped",
            bad.len()
        ),
        &json!({"taken": taken, "commands": commands, "bad": bad.len()}),
        &bad,
    );
}

/// Everything that a reader could try, with what it knows of the program.
fn takes(project: &Project) -> Vec<String> {
    let name = &project.name;
    let mut all: Vec<String> = (0..3)
        .map(|key| format!("select pg_advisory_lock({key})"))
        .collect();
    for kind in ["Build", "Move"] {
        let text = format!("overnight {kind} {name}");
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let key = i64::from_be_bytes(digest.as_ref()[..8].try_into().unwrap()) & i64::MAX;
        all.push(format!("select pg_advisory_lock({key})"));
    }
    for key in [0x6f76_6572_i64, 0x6f76_6573] {
        all.push(format!("select pg_advisory_lock({key})"));
    }
    let tables = [
        format!("ledger_lock.\"{name} build\""),
        format!("ledger_lock.\"{name} move\""),
        "ledger_lock.datasets".into(),
        "ledger_lock.grants".into(),
        "ledger_lock.aliases".into(),
        "ledger.dataset".into(),
        "ledger.version".into(),
        "ledger.lock_holder".into(),
    ];
    for table in tables {
        for mode in ["share update exclusive", "access share", "share"] {
            all.push(format!("lock table {table} in {mode} mode nowait"));
        }
    }
    all.push("select from ledger.consumer for update".into());
    all.push("select from overnight.alias".into());
    all
}

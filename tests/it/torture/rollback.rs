//! Back to yesterday, while the raw files are out of reach and tonight's build is loading.

use super::{Row, percentile, seconds};
use crate::support::invariants::wait_for_session;
use crate::support::project::ended;
use crate::support::{Project, check_invariants};
use serde_json::json;
use std::process::Command;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(5);

#[test]
fn going_back_takes_seconds_without_the_raw_files_and_beside_a_load() {
    let row = Row::begin(
        "rollback",
        "rollback, start to confirmed, with S3 off and another build loading",
        ["5 s", "p99 5 s of 100"],
    );
    let times = row.pick(5, 100);
    let project = Project::slow("torture_rollback");
    let mut nights = Vec::new();
    for rows in [10, 11] {
        project.items(rows, "night");
        project.run().code(0);
        nights.push(project.live());
    }
    // At 20 ms a row it is still loading when everything else is done.
    project.items(100_000, "slow");
    let mut loading = project.start(&["run", &project.name]);
    wait_for_session(&project, "overnight load %");

    let (mut bad, mut taken) = (Vec::new(), Vec::new());
    for n in 0..times {
        let mut command = project.command(&["rollback", &project.name, "--reason", "torture"]);
        s3_is_off(&mut command);
        let began = Instant::now();
        let told = Project::finish(&mut command);
        taken.push(began.elapsed());
        let confirmed = project.ledger("select state from ledger.flip order by id desc limit 1");
        if told.code != 0 || confirmed != "confirmed" || project.live() != nights[0] {
            bad.push(format!("rollback {n}: {confirmed}, {told:?}"));
            break;
        }
        project.overnight(&["release", &project.name]).code(0);
        let forward = ["rotate", &project.name, &nights[1]];
        project.overnight(&forward).code(0);
    }
    if let Some(status) = loading.try_wait().unwrap() {
        bad.push(format!("the load was over: {status}"));
    }
    let sent = Command::new("kill")
        .args(["-TERM", &loading.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    ended(loading.wait_with_output().unwrap()).code(143);
    check_invariants(&project);

    let slow = percentile(&taken, row.pick(1.0, 0.99));
    if slow > LIMIT {
        bad.push(format!("{slow:?}"));
    }
    row.end(
        &format!("{} of {times} rollbacks", seconds(slow)),
        &json!({"rollbacks": times, "slow_s": slow.as_secs_f64(), "bad": bad.len()}),
        &bad,
    );
}

/// The raw files are in a bucket whose endpoint nobody answers at.
fn s3_is_off(command: &mut Command) {
    command
        .env("OVERNIGHT_FROM", "s3://overnight/raw")
        .env("OVERNIGHT_S3_ENDPOINT", "http://127.0.0.1:9")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", "us-east-1");
}

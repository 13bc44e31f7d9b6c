//! Every run has a row in the ledger: one that made no build, one that is under way, one that was killed.

use crate::support::invariants::wait_for_session;
use crate::support::project::ended;
use crate::support::{Project, check_invariants};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

fn status(project: &Project) -> Value {
    let json = project
        .overnight(&["status", &project.name, "--json"])
        .code(0)
        .json();
    json["datasets"][0].clone()
}

/// Waits until the status of a dataset is as wanted.
#[track_caller]
fn wait_for(project: &Project, what: &str, right: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let status = status(project);
        if right(&status) {
            return status;
        }
        assert!(Instant::now() < end, "{what}: {status}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_run_that_ends_before_a_build_exists_is_in_the_ledger() {
    let mut project = Project::new("runs_early");
    project.items(5, "item");
    project.run().code(0);
    let live = project.live();
    let done = status(&project)["last_run"].clone();
    assert_eq!(done["state"], "done");
    assert_eq!(done["status"], 0);
    assert_eq!(done["builds"], serde_json::json!([live]));
    assert_eq!(done["datasets"], serde_json::json!(["runs_early"]));
    assert_eq!(
        done["project"],
        project
            .folder
            .path()
            .canonicalize()
            .unwrap()
            .display()
            .to_string()
    );

    // The place of the raw files is out of reach.
    for (name, value) in [
        ("OVERNIGHT_FROM", "s3://overnight/raw"),
        ("OVERNIGHT_S3_ENDPOINT", "http://127.0.0.1:9"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
    ] {
        project.env.push((name.into(), value.into()));
    }
    project.run().code(3);
    project.env.clear();
    let failed = status(&project)["last_run"].clone();
    assert_eq!(failed["state"], "failed");
    assert_eq!(failed["status"], 3);
    assert_eq!(failed["stage"], "plan");
    assert_eq!(failed["builds"], serde_json::json!([]));
    assert!(
        failed["error"].as_str().unwrap().contains("127.0.0.1:9"),
        "{failed}"
    );
    for command in ["status", "builds"] {
        let told = project.overnight(&[command, &project.name]).code(0).stdout;
        assert!(told.contains("FAILED (3) after "), "{command}: {told}");
        assert!(told.contains("127.0.0.1:9"), "{command}: {told}");
    }
    // The alias is well: a night that failed is no broken alias.
    let told = project.overnight(&["status", &project.name]).code(0).stdout;
    assert!(
        told.starts_with(&format!("runs_early: `{live}` is live\n")),
        "{told}"
    );

    // Good again.
    project.items(6, "item");
    project.run().code(0);
    assert_eq!(status(&project)["last_run"]["state"], "done");
    check_invariants(&project);
}

#[test]
fn a_run_shows_its_stage_while_it_works_and_what_it_had_done_when_it_was_killed() {
    let project = Project::slow("runs_killed");
    project.items(5, "item");
    project.run().code(0);
    project.items(100_000, "slow");
    let mut loading = project.start(&["run", &project.name]);
    wait_for_session(&project, "overnight load %");
    let seen = wait_for(&project, "the load is shown", |status| {
        status["running"][0]["stage"] == "load"
    });
    let run = &seen["running"][0];
    assert_eq!(run["pid"], loading.id());
    assert!(run["stage_since"].is_string());
    assert!(run["stage_seconds_before"].is_number(), "{run}");
    let build = run["builds"][0].as_str().unwrap().to_owned();
    let told = project.overnight(&["status", &project.name]).code(0).stdout;
    assert!(told.contains("\n  running    load since "), "{told}");
    let told = project.overnight(&["builds", &project.name]).code(0).stdout;
    let line = told.lines().find(|line| line.starts_with(&build)).unwrap();
    assert!(line.contains("running: load"), "{told}");

    // Another run finds it at work. That is a run too, and not the last that matters.
    project.run().code(75);
    let busy =
        "select count(*)::text from ledger.run where status = 75 and error like '%locked by%'";
    assert_eq!(project.ledger(busy), "1");
    assert_eq!(status(&project)["last_run"]["state"], "done");

    loading.kill().unwrap();
    loading.wait().unwrap();
    let seen = wait_for(&project, "it is known to be gone", |status| {
        status["running"] == serde_json::json!([])
    });
    assert_eq!(seen["last_run"]["state"], "killed");
    assert_eq!(seen["last_run"]["stage"], "load");
    let told = project.overnight(&["status", &project.name]).code(0).stdout;
    assert!(
        told.contains("KILLED in load: it ended without a word"),
        "{told}"
    );
    let report = project.overnight(&["report", &build]).code(0).stdout;
    let stages = report.split("STAGES\n").nth(1).unwrap();
    let load = stages
        .lines()
        .find(|line| line.starts_with("load "))
        .unwrap();
    assert!(load.ends_with("not ended"), "{report}");
    let json = project
        .overnight(&["report", &build, "--json"])
        .code(0)
        .json();
    assert_eq!(json["runs"][0]["state"], "killed");
    assert_eq!(json["run_stages"][0]["stage"], "plan");
    assert!(json["run_stages"][0]["seconds"].is_number());

    // The next run closes its row.
    project.items(6, "item");
    project.run().code(0);
    let closed =
        "select (ended_at is not null and status is null)::text from ledger.run where pid = ";
    assert_eq!(project.ledger(&format!("{closed}{}", loading.id())), "true");
    check_invariants(&project);
}

#[test]
fn a_stopped_run_keeps_the_signal() {
    let project = Project::slow("runs_stopped");
    project.items(100_000, "slow");
    let loading = project.start(&["run", &project.name]);
    wait_for_session(&project, "overnight load %");
    let sent = Command::new("kill")
        .args(["-TERM", &loading.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    ended(loading.wait_with_output().unwrap()).code(143);
    let last = status(&project)["last_run"].clone();
    assert_eq!(last["status"], 143);
    assert_eq!(last["stage"], "load");
    assert_eq!(last["error"], "stopped by a signal");
    check_invariants(&project);
}

#[test]
fn details_of_builds_dropped_long_ago_are_pruned_and_the_audit_trail_stays() {
    let project = Project::new("runs_pruned");
    project.items(5, "item");
    project.run().code(0);
    let old = "insert into ledger.build (dataset, name, nonce, state, schema_version, input_digest, tool_version,
                   created_at, dropped_at)
               select 'runs_pruned', 'runs_pruned_old_' || n, 'x', 'dropped', 1, 'x', '0.1.0',
                   clock_timestamp() - interval '200 days', clock_timestamp() - n * interval '1 day'
               from generate_series(40, 120) n order by n desc;
               insert into ledger.input (build, source, key, version, bytes)
               select id, 'item', 'items.csv', 'v', 1 from ledger.build where name like 'runs_pruned_old_%';
               insert into ledger.run (datasets, command, actor, host, pid, project, tool_version,
                   session_pid, session_start, started_at, ended_at, status)
               select array['runs_pruned'], 'run', 'x', 'x', 0, 'x', 'x', 0, now(), now() - d, now() - d, 0
               from unnest(array[interval '399 days', interval '401 days']) d;
               insert into ledger.delivery (event, hook, dataset, kind, document, state, created_at, ended_at)
               select 'e' || n, 'h', 'runs_pruned', 'failed', '{}', s, now() - interval '40 days', now() - interval '31 days'
               from unnest(array['delivered', 'waiting']) with ordinality as d(s, n)";
    project.cluster().sql(&project.control, old).unwrap();
    project.overnight(&["retire", &project.name]).code(0);
    // Ninety days after the drop, but never of the newest thirty builds.
    let kept = "select count(*)::text from ledger.input i join ledger.build b on b.id = i.build
                where b.name like 'runs_pruned_old_%'";
    assert_eq!(project.ledger(kept), "50");
    assert_eq!(
        project.ledger("select count(*)::text from ledger.build"),
        "82"
    );
    assert_eq!(
        project.ledger("select count(*)::text from ledger.run where command = 'run'"),
        "1"
    );
    assert_eq!(
        project.ledger("select string_agg(state, ' ') from ledger.delivery"),
        "waiting"
    );
    project.overnight(&["audit", "--verify"]).code(0);
}

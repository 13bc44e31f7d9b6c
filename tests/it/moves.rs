//! Moves that meet an obstacle, another command or the death of a process.

use crate::support::cluster::{ADMIN, Cluster, LOADER, private};
use crate::support::invariants::{sessions_end, wait_for_session};
use crate::support::project::{Ended, ended};
use crate::support::{Project, check_invariants};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

fn is_stopped(child: &Child) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state == Some('T')
}

fn finish(child: Child) -> Ended {
    ended(child.wait_with_output().unwrap())
}

/// Two published builds and one that waits, in this order.
fn three_nights(project: &Project) -> [String; 3] {
    project.items(10, "one");
    project.run().code(0);
    let first = project.live();
    project.items(11, "two");
    project.run().code(0);
    let second = project.live();
    project.items(12, "three");
    project
        .overnight(&["run", &project.name, "--no-rotate"])
        .code(0);
    let third = project.ledger("select name from ledger.build where state = 'verified'");
    [first, second, third]
}

/// A session with a name on a database.
fn session(cluster: &Cluster, role: &str, database: &str, name: &str) -> tokio_postgres::Client {
    let client = cluster.block_on(cluster.client(role, database)).unwrap();
    cluster
        .block_on(client.batch_execute(&format!("set application_name = '{name}'")))
        .unwrap();
    client
}

#[test]
fn a_move_that_cannot_succeed_ends_no_session_and_gives_way_to_a_hold_and_to_a_rollback() {
    let project = Project::new("moves_blocked");
    let [first, second, third] = three_nights(&project);
    let (name, cluster) = (project.name.as_str(), project.cluster());
    let admin = session(cluster, ADMIN, name, "nightly backup");
    let service = session(cluster, &project.reader, name, "api");
    let rotate = [
        "rotate",
        name,
        "--flip-limit",
        "300ms",
        "--flip-window",
        "60s",
    ];
    let waits = || {
        let status = project.overnight(&["status", name]).code(0).stdout;
        status.contains("for sessions that cannot be ended")
    };

    let moving = project.start(&rotate);
    until("status names who blocks", waits);
    let status = project.overnight(&["status", name]).code(0).stdout;
    for part in [
        "waits      `overnight rotate moves_blocked` until 20",
        &format!("{ADMIN} (nightly backup, server process "),
        ", superuser)",
    ] {
        assert!(status.contains(part), "{part}: {status}");
    }
    assert!(!status.contains("api"), "{status}");
    let json = project.overnight(&["status", name, "--json"]).json();
    let moving_now = &json["datasets"][0]["moving"];
    assert_eq!(moving_now["waits_for"][0]["application"], "nightly backup");
    // Two looks later a hold ends it.
    std::thread::sleep(Duration::from_secs(2));
    project
        .overnight(&["hold", name, "--reason", "wait"])
        .code(0);
    finish(moving).code(1).says(&[
        "was held by",
        "nothing was changed",
        &format!("`{third}` waits"),
        "no other session is ended meanwhile",
    ]);
    cluster.block_on(service.batch_execute("select 1")).unwrap();
    assert_eq!(project.live(), second);
    project.overnight(&["release", name]).code(0);

    // A rollback takes precedence; it waits for the same session then.
    let moving = project.start(&rotate);
    until("status names who blocks", waits);
    let back = project.start(&["rollback", name, "--reason", "bad", "--flip-window", "60s"]);
    finish(moving)
        .code(1)
        .says(&["gave way to `overnight rollback moves_blocked`"]);
    cluster.block_on(service.batch_execute("select 1")).unwrap();
    drop(admin);
    finish(back).code(0).says(&[
        "disconnected by the move: ",
        &format!("{} (api, server process ", project.reader),
    ]);
    assert!(cluster.block_on(service.batch_execute("select 1")).is_err());
    assert_eq!(project.live(), first);
    check_invariants(&project);
}

#[test]
fn a_move_whose_process_is_frozen_is_ended_by_a_rollback() {
    for pooled in [false, true] {
        let mut project = Project::new(&format!("moves_frozen_{pooled}"));
        if pooled {
            project.behind_poolers(&["transaction"], "");
        }
        let [first, second, third] = three_nights(&project);
        let name = project.name.as_str();
        let mut rotate = project.command(&["rotate", name]);
        let frozen = rotate
            .env("OVERNIGHT_CRASHPOINT", "flip.before_commit:1:stop")
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        until("the move is frozen", || is_stopped(&frozen));
        let began = Instant::now();
        project
            .overnight(&["rollback", name, "--reason", "bad"])
            .code(0)
            .says(&[&format!("ends the move of `overnight rotate {name}`")]);
        assert!(began.elapsed() < Duration::from_secs(40));
        assert_eq!(project.live(), first);
        // It comes back and changes nothing.
        signal(&frozen, "-CONT");
        finish(frozen).code(3).says(&["the connection was lost"]);
        assert_eq!(project.live(), first);
        check_invariants(&project);
        project.overnight(&["release", name]).code(0);
        project.overnight(&["rotate", name, &third]).code(0);
        assert_ne!(project.live(), second);
        check_invariants(&project);
    }
}

#[test]
fn a_run_whose_build_another_command_has_published_is_done() {
    let project = Project::new("moves_published");
    project.items(10, "one");
    let mut run = project.command(&["run", &project.name]);
    let frozen = run
        .env("OVERNIGHT_CRASHPOINT", "seal.after_commit:1:stop")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    until("the run is frozen", || is_stopped(&frozen));
    project.overnight(&["rotate", &project.name]).code(0);
    let live = project.live();
    signal(&frozen, "-CONT");
    finish(frozen)
        .code(0)
        .says(&["is live already: another command has published it"]);
    assert_eq!(project.live(), live);
    check_invariants(&project);
}

#[test]
fn a_run_ends_the_create_database_of_one_that_has_died() {
    let project = Project::on(private(), "moves_created");
    project.items(10, "one");
    project.run().code(0);
    project.items(11, "two");
    let cluster = project.cluster();
    // Keeps CREATE DATABASE waiting as a checkpoint would.
    let holder = cluster.block_on(cluster.client(ADMIN, "postgres")).unwrap();
    cluster
        .block_on(holder.batch_execute("begin; alter database template0 rename to template00"))
        .unwrap();
    let creating = "select pid from pg_stat_activity where query like 'create database \"moves_created_%' and state = 'active'";
    let mut run = project.start(&["run", &project.name]);
    until("CREATE DATABASE waits", || {
        !cluster.one("postgres", creating).is_empty()
    });
    let pid = cluster.one("postgres", creating);
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(
        cluster.one("postgres", creating),
        pid,
        "it outlives its client"
    );
    let next = project.start(&["run", &project.name]);
    until("the next run has ended it", || {
        let alive = format!("select count(*) from pg_stat_activity where pid = {pid}");
        cluster.one("postgres", &alive) == "0"
    });
    drop(holder);
    finish(next)
        .code(0)
        .says(&["that has died is still finishing CREATE DATABASE"]);
    assert_eq!(project.service("select count(*) from item"), "11");
    check_invariants(&project);
}

#[test]
fn a_lock_is_held_for_hours_without_holding_back_vacuum() {
    let project = Project::slow("moves_horizon");
    project.items(700, "slow");
    let run = project.start(&["run", &project.name]);
    wait_for_session(&project, "overnight load %");
    let held = "select concat_ws(' ', a.state, a.backend_xid::text, a.backend_xmin::text)
                from pg_locks l join pg_stat_activity a using (pid)
                join pg_class c on c.oid = l.relation
                where c.relname = 'moves_horizon build' and l.granted";
    assert_eq!(project.ledger(held), "idle in transaction");
    // Longer than a transaction of control may pause.
    let old = "select count(*) from pg_locks l join pg_stat_activity a using (pid)
               join pg_class c on c.oid = l.relation
               where c.relname = 'moves_horizon build' and a.xact_start < clock_timestamp() - interval '12 s'";
    until("the lock is 12 s old", || project.ledger(old) == "1");
    assert_eq!(project.ledger(held), "idle in transaction");
    finish(run).code(0);
    assert!(sessions_end(&project));
    check_invariants(&project);
}

#[test]
fn a_transaction_of_control_that_pauses_is_ended_by_the_server() {
    let project = Project::new("moves_idle");
    project.items(10, "one");
    let mut run = project.command(&["run", &project.name]);
    let mut frozen = run
        .env("OVERNIGHT_CRASHPOINT", "seal.before_commit:1:stop")
        .spawn()
        .unwrap();
    until("the run is frozen", || is_stopped(&frozen));
    // Beside the session that holds the locks.
    let open = "select count(*) from pg_stat_activity a where state = 'idle in transaction'
                and datname = current_database() and not exists (
                    select from pg_locks l join pg_class c on c.oid = l.relation
                    where l.pid = a.pid and c.relnamespace = 'ledger_lock'::regnamespace)";
    assert_eq!(project.ledger(open), "1");
    until("the server has ended it", || project.ledger(open) == "0");
    frozen.kill().unwrap();
    frozen.wait().unwrap();
    project.run().code(0);
    check_invariants(&project);
}

#[test]
fn status_names_what_keeps_services_from_connecting() {
    let project = Project::new("moves_closed");
    project.items(10, "one");
    project.run().code(0);
    let (name, cluster) = (project.name.as_str(), project.cluster());
    let other = session(cluster, LOADER, "postgres", "by hand");
    cluster
        .block_on(other.batch_execute(
            "begin; alter database moves_closed rename to moves_closed_for_a_moment",
        ))
        .unwrap();
    let status = project.overnight(&["status", name]).stdout;
    let line = format!("BLOCKED    new connections wait for {LOADER} (by hand, server process ");
    assert!(status.contains(&line), "{status}");
    cluster.block_on(other.batch_execute("rollback")).unwrap();
    let status = project.overnight(&["status", name]).code(0).stdout;
    assert!(!status.contains("BLOCKED"), "{status}");
    check_invariants(&project);
}

//! A server that takes connections and never answers, or goes away: a run ends, in time, and names the server.

use crate::support::cluster::{self, LOADER, cluster};
use crate::support::invariants::wait_for_session;
use crate::support::project::{Ended, ended};
use crate::support::stall::StallingProxy;
use crate::support::{Project, check_invariants};
use std::process::Child;
use std::time::{Duration, Instant};

fn proxy() -> StallingProxy {
    let embedded = &cluster().embedded;
    let (_, port) = embedded.target().reach();
    StallingProxy::before(embedded.socket_folder(), port.parse().unwrap())
}

/// The end of a run that must end by itself; one that hangs is killed.
fn ends(mut run: Child, limit: Duration) -> Ended {
    let end = Instant::now() + limit;
    while run.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            run.kill().unwrap();
            let told = ended(run.wait_with_output().unwrap());
            panic!("still there after {limit:?}: {}", told.stderr);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    ended(run.wait_with_output().unwrap())
}

fn url(proxy: &StallingProxy) -> String {
    proxy.url("postgres", LOADER)
}

fn start(project: &Project, target: &str, more: &[&str]) -> Child {
    let arguments = [&["run", project.name.as_str()], more].concat();
    project
        .command(&arguments)
        .env("OVERNIGHT_TARGET", target)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

/// Ends what the server still holds for a client that it does not hear.
fn end_sessions(project: &Project) {
    let sql = format!(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity
         where usename = '{LOADER}' and (starts_with(datname, '{0}') or datname = '{1}')",
        project.name, project.control
    );
    project.cluster().sql("postgres", &sql).unwrap();
}

/// A run with a deadline, whose server stops answering when it is sent `text`; from the start where there is none.
fn the_deadline_fires(name: &str, stage: &str, text: &str) {
    let project = Project::new(name);
    project.items(10, "x");
    project.run().code(0);
    project.items(11, "x");
    let proxy = proxy();
    match text {
        "" => proxy.stall(),
        text => proxy.stall_at(text),
    }
    // Nothing but the deadline ends it: a new connection may wait longer than that.
    let target = format!("{}&connect_timeout=120", url(&proxy));
    let run = start(
        &project,
        &target,
        &["--deadline", "25s", "--wait-for", "5m"],
    );
    let told = ends(run, Duration::from_secs(180)).code(1);
    told.says(&[&format!("passed during the stage `{stage}`")]);
    assert!(proxy.is_stalled());
    end_sessions(&project);
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "11");
    check_invariants(&project);
}

#[test]
fn the_deadline_fires_while_the_first_connection_has_no_answer() {
    the_deadline_fires("stall_plan", "plan", "");
}

#[test]
fn the_deadline_fires_while_the_database_is_created() {
    the_deadline_fires("stall_create", "create", "create database \"stall_create_");
}

#[test]
fn the_deadline_fires_in_the_schema_files_and_in_the_rehearsal() {
    the_deadline_fires("stall_schema", "schema", "overnight.declare_version(1)");
    the_deadline_fires("stall_rehearse", "rehearse", "pg_get_constraintdef");
}

#[test]
fn the_deadline_fires_in_the_load() {
    the_deadline_fires("stall_load", "load", "copy \"public\".\"item\"");
}

#[test]
fn the_deadline_fires_while_gates_are_asked_and_while_the_build_is_sealed() {
    the_deadline_fires("stall_verify", "verify", "insert into overnight.finished");
    the_deadline_fires("stall_seal", "seal", "set verified_at");
}

#[test]
fn without_a_deadline_a_server_that_never_answers_is_given_up() {
    let project = Project::new("stall_watchdog");
    project.items(10, "x");
    let proxy = proxy();
    proxy.stall_at("insert into overnight.sql_file");
    let told = ends(start(&project, &url(&proxy), &[]), Duration::from_secs(240)).code(3);
    assert!(
        told.stderr
            .contains("is given up: the server answers no new connection either")
            || told.stderr.contains(" has not answered for "),
        "{}",
        told.stderr
    );
    end_sessions(&project);
    project.run().code(0);
    check_invariants(&project);
}

#[test]
fn a_run_whose_server_goes_away_in_copy_names_the_server_and_no_input_file() {
    let server = cluster::private();
    let project = Project::on(server, "stall_crash");
    project.sql(
        "schema/020_slow.sql",
        "create function slow() returns trigger language plpgsql as
             $$ begin perform pg_catalog.pg_sleep(0.02); return new; end $$;
         create trigger slow before insert on item for each row execute function slow();",
    );
    // More than the channels between the reader and the server hold.
    project.items(
        1_000_000,
        "a name that makes the file larger than what is buffered",
    );
    let run = project.start(&["run", &project.name]);
    wait_for_session(&project, "overnight load %");
    std::thread::sleep(Duration::from_millis(500));
    server.crash();
    let told = ended(run.wait_with_output().unwrap()).code(3);
    let error = told
        .stderr
        .lines()
        .find(|line| line.contains("error: run "));
    for text in ["items.csv", "given up", "stopped"] {
        assert!(!error.unwrap().contains(text), "{text}: {}", told.stderr);
    }
    told.says(&[
        "the server at ",
        " went away during the stage `load`",
        "COPY into \"public\".\"item\"",
        "hint: the alias was not touched; look at the log of the server and at its disks",
    ]);
    project.sql("schema/020_slow.sql", "select 1;");
    project.items(10, "x");
    project.run().code(0);
    // The server is there again: the sentence names the build.
    project.write_bytes("in/stall_crash/items.csv", b"id,name,price,seen\n");
    let folder = project.path("in");
    let mut gone = project.command(&["run", &project.name]);
    gone.env("OVERNIGHT_FROM", "s3://nowhere/raw")
        .env("OVERNIGHT_S3_ENDPOINT", "http://127.0.0.1:9")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", "us-east-1");
    let told = Project::finish(&mut gone).code(3);
    told.says(&[&format!(
        "; services stay on `{}`, verified 20",
        project.live()
    )]);
    assert!(folder.exists());
    check_invariants(&project);
}

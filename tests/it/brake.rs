//! A load that would take what others need: it waits, or it is given up before the server is in
//! trouble, and services notice nothing.

use crate::disk::SmallDisk;
use crate::support::standby::Pair;
use crate::support::{Project, project::items};
use overnight::embedded::{Embedded, Options, stop};
use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::time::{Duration, Instant};

fn options() -> Options {
    Options {
        path: std::env::var_os("PATH"),
        ..Options::default()
    }
}

/// A server with settings of its own; with a disk, all of it lies there: data and log.
pub struct Server {
    runtime: tokio::runtime::Runtime,
    home: tempfile::TempDir,
    pub embedded: Embedded,
    disk: Option<SmallDisk>,
}

impl Server {
    pub fn start(megabytes: Option<usize>, settings: &[&str]) -> Server {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let home = tempfile::Builder::new()
            .prefix("overnight-brake-")
            .tempdir_in("/tmp")
            .unwrap();
        let disk = megabytes.map(|size| SmallDisk::mount(home.path(), size));
        let begin = || {
            runtime
                .block_on(Embedded::ensure_running(home.path(), &options()))
                .unwrap()
        };
        let embedded = begin();
        let mut server = Server {
            runtime,
            home,
            embedded,
            disk,
        };
        for setting in settings {
            server.admin(&format!("alter system set {setting}"));
        }
        server
            .runtime
            .block_on(stop(server.home.path(), &options()))
            .unwrap();
        let embedded = server
            .runtime
            .block_on(Embedded::ensure_running(server.home.path(), &options()))
            .unwrap();
        server.embedded = embedded;
        server
    }

    pub fn adopt(&self, project: &mut Project, toml: &str) {
        let target = self.embedded.target().url_for("postgres", None);
        project.env.push(("OVERNIGHT_TARGET".into(), target));
        self.admin(&format!("create role {} login", project.reader));
        project.write("overnight.toml", toml);
    }

    pub fn ask(&self, database: &str, sql: &str) -> String {
        psql(&self.embedded.admin_target().url_for(database, None), sql).unwrap()
    }

    pub fn admin(&self, sql: &str) {
        self.ask("postgres", sql);
    }

    fn free(&self) -> u64 {
        self.disk.as_ref().unwrap().free()
    }
}

pub fn psql(url: &str, sql: &str) -> Result<String, String> {
    let output = std::process::Command::new("psql")
        .args(["-XAtc", sql, url])
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = self.runtime.block_on(stop(self.home.path(), &options()));
        drop(self.disk.take());
        if !std::thread::panicking() {
            stopped.unwrap();
        }
    }
}

/// Reads what a process says until a line has `text`; then goes on reading, so that it never waits.
fn wait_for_line(child: &mut Child, text: &str) -> std::thread::JoinHandle<String> {
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut all = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "ended: {all}");
        all += &line;
        if line.contains(text) {
            break;
        }
    }
    std::thread::spawn(move || {
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        all + &rest
    })
}

/// Data and log share one small volume: a server that cannot write its log stops for everybody. A load
/// that would fill it is given up before; one that only has to wait for room goes on.
pub fn full_log_volume() {
    let settings = [
        "wal_level = replica",
        "max_wal_size = '64MB'",
        "min_wal_size = '32MB'",
        "wal_recycle = off",
    ];
    let server = Server::start(Some(220), &settings);
    let mut project = Project::new("brake_full");
    let folder = server.embedded.data();
    let toml = format!(
        "[brake]\nfolders = [\"{}\"]\npatience = \"2s\"\n",
        folder.display()
    );
    server.adopt(&mut project, &toml);
    project.items(10, "one");
    project.run().code(0);
    let live = server.ask("brake_full", "select build from overnight.build");
    let pid = server.embedded.pid();
    server.admin("checkpoint");
    let free = server.free();
    assert!(free > 60 << 20, "{free} bytes are free before");

    project.input(
        "items.csv",
        items(400_000, &"a row that takes its room ".repeat(10)),
    );
    let mut run = project.start(&["run", "brake_full"]);
    let said = wait_for_line(&mut run, "the load waits: the disk of");
    // A service beside it never notices.
    let url = server.embedded.admin_target().url_for("brake_full", None);
    let status = loop {
        assert_eq!(psql(&url, "select count(*) from item").unwrap(), "10");
        if let Some(status) = run.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let said = said.join().unwrap();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(
        said.contains("the disk of") && said.contains("less than"),
        "{said}"
    );
    assert!(!said.contains("No space left"), "{said}");

    // The same server, its live build, and the room that there was.
    assert_eq!(server.embedded.pid(), pid);
    let log = std::fs::read_to_string(server.embedded.log()).unwrap();
    assert!(!log.contains("PANIC"), "{log}");
    assert_eq!(
        server.ask("brake_full", "select build from overnight.build"),
        live
    );
    let databases = "select count(*) from pg_database where starts_with(datname, 'brake_full_')";
    assert_eq!(server.ask("postgres", databases), "0");
    server.admin("checkpoint");
    let end = Instant::now() + Duration::from_secs(10);
    while server.free() + (40 << 20) < free {
        assert!(
            Instant::now() < end,
            "{free} were free, {} are",
            server.free()
        );
        server.admin("checkpoint");
        std::thread::sleep(Duration::from_millis(100));
    }
    let failure = "select failure from ledger.build order by id desc limit 1";
    let failure = server.ask(&project.control, failure);
    assert!(failure.contains("the disk of"), "{failure}");

    // Somebody else's file takes the room: the load waits until it is gone, and then goes on.
    let mark = 44 << 20;
    let ballast = server.home.path().join("ballast");
    let size = server.free() - mark + (8 << 20);
    std::fs::write(&ballast, vec![0; usize::try_from(size).unwrap()]).unwrap();
    let patient = format!("[brake]\nfolders = [\"{}\"]\n", folder.display());
    project.write("overnight.toml", &patient);
    project.items(11, "two");
    let mut run = project.start(&["run", "brake_full", "--json"]);
    let said = wait_for_line(&mut run, "the load waits: the disk of");
    std::fs::remove_file(&ballast).unwrap();
    let mut told = String::new();
    run.stdout
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert_eq!(
        run.wait().unwrap().code(),
        Some(0),
        "{}",
        said.join().unwrap()
    );
    assert_eq!(server.ask("brake_full", "select count(*) from item"), "11");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert!(
        told["datasets"][0]["live_latency"]["probes"].as_u64() > Some(0),
        "{told}"
    );
}

#[test]
fn a_load_waits_for_a_replica_that_falls_behind_and_goes_on_when_it_has_caught_up() {
    let pair = Pair::start();
    let mut project = Project::new("brake_lag");
    pair.adopt(&mut project, true);
    let toml = std::fs::read_to_string(project.path("overnight.toml")).unwrap();
    let brake = "[brake]\nlag = \"1MiB\"\nevery = \"100ms\"\n";
    project.write("overnight.toml", &format!("{brake}{toml}"));
    project.items(10, "one");
    project.run().code(0);
    pair.pause();
    // CREATE DATABASE alone writes more than the mark.
    project.items(11, "two");
    let mut run = project.start(&["run", "brake_lag", "--json"]);
    let said = wait_for_line(&mut run, "the load waits: the replica `east` is");
    pair.resume();
    let mut told = String::new();
    run.stdout
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert_eq!(
        run.wait().unwrap().code(),
        Some(0),
        "{}",
        said.join().unwrap()
    );
    assert_eq!(
        pair.ask_replica("brake_lag", "select count(*) from item"),
        "11"
    );

    // One that never does ends the run, and the alias stays.
    pair.pause();
    project.items(12, "three");
    let impatient = format!("{brake}patience = \"1s\"\n{toml}");
    project.write("overnight.toml", &impatient);
    project
        .run()
        .code(3)
        .says(&["the load waited 1 s and nothing got better", "east"]);
    assert_eq!(pair.ask("brake_lag", "select count(*) from item"), "11");
    let builds = "select count(*) from pg_database where datname ~ '^brake_lag_'";
    assert_eq!(pair.ask("postgres", builds), "1");
}

#[test]
fn a_build_larger_than_its_budget_is_given_up() {
    let project = Project::new("brake_budget");
    project.items(10, "one");
    project.run().code(0);
    project.items(11, "two");
    // An empty database is larger.
    project.write("overnight.toml", "[brake]\nmax_build = \"1MiB\"\n");
    project.refuses(3, &["the build has grown to", "`max_build` is 1.0 MiB"]);
    assert_eq!(project.service("select count(*) from item"), "10");
    // A disk that is declared too small for what lies on it already.
    project.write("overnight.toml", "[brake]\nserver_disk = \"1MiB\"\n");
    project.refuses(3, &["the declared disk of the server has 0 B free"]);
}

#[test]
fn services_that_get_slow_make_the_load_wait() {
    let project = Project::new("brake_live");
    project.items(10, "one");
    let first = project
        .overnight(&["run", "brake_live", "--json"])
        .code(0)
        .json();
    assert!(first["datasets"][0]["live_latency"].is_null(), "{first}");
    project.items(11, "two");
    let second = project
        .overnight(&["run", "brake_live", "--json"])
        .code(0)
        .json();
    let live = &second["datasets"][0]["live_latency"];
    assert!(
        live["probes"].as_u64() > Some(0) && live["failed"] == 0,
        "{second}"
    );
    assert!(
        live["max_ms"].as_f64() >= live["p50_ms"].as_f64(),
        "{second}"
    );

    // No server connects in a tenth of a millisecond.
    project.items(50_000, "three");
    project.write(
        "overnight.toml",
        "live_latency_limit = \"0.1ms\"\n[brake]\npatience = \"1s\"\nevery = \"100ms\"\n",
    );
    project.refuses(3, &["the load waits: a query through the live alias took"]);
    assert_eq!(project.service("select count(*) from item"), "11");
}

#[test]
fn a_run_leaves_connections_to_services_and_tries_again_when_there_are_none() {
    let server = Server::start(None, &["max_connections = 30"]);
    let mut project = Project::new("brake_room");
    server.adopt(&mut project, "spare_connections = 10\n");
    project.items(10, "one");
    let flags = ["run", "brake_room", "--connections", "16", "-v"];
    let said = ["to leave connections to services, 5 load side by side and not 16"];
    project.overnight(&flags).code(0).says(&said);
    let target = server.embedded.target();
    let take = |most: usize| -> Vec<_> {
        let taken = (0..most).map_while(|_| {
            server.runtime.block_on(async {
                let (client, connection) = tokio_postgres::Config::new()
                    .host_path(server.embedded.socket_folder())
                    .user(target.user())
                    .dbname("postgres")
                    .connect(tokio_postgres::NoTls)
                    .await
                    .ok()?;
                tokio::spawn(connection);
                Some(client)
            })
        });
        taken.collect()
    };
    // Services have taken all but those that are left to them; then all but a few.
    for (most, rows, says) in [
        (17, 11, "10 are left to services; waiting for others to end"),
        (27, 12, "no connection is left for"),
    ] {
        let taken = take(most);
        assert!(taken.len() >= 17, "{}", taken.len());
        project.items(rows, "two");
        let mut run = project.start(&["run", "brake_room"]);
        let said = wait_for_line(&mut run, says);
        drop(taken);
        assert_eq!(
            run.wait().unwrap().code(),
            Some(0),
            "{}",
            said.join().unwrap()
        );
        let rows_now = server.ask("brake_room", "select count(*) from item");
        assert_eq!(rows_now, rows.to_string());
    }
}

#[test]
fn statements_have_the_limit_that_was_declared_and_control_its_own() {
    let project = Project::new("brake_limit");
    project.items(10, "one");
    project.run().code(0);
    project.sql("derive/110_slow.sql", "select pg_catalog.pg_sleep(60);\n");
    project.write("overnight.toml", "statement_limit = \"500ms\"\n");
    project.refuses(3, &["derive/110_slow.sql", "statement timeout"]);
    let limits = project.cluster().block_on(async {
        let server = overnight::postgres::Server::new(project.cluster().target(), "test".into());
        let ledger = overnight::ledger::Ledger::open(&server, &project.control, "limits");
        let ledger = ledger.await.unwrap();
        let sql =
            "select current_setting('statement_timeout') || ' ' || current_setting('lock_timeout')";
        let row = ledger.session.query_one(sql, &[]).await.unwrap();
        row.get::<_, String>(0)
    });
    assert_eq!(limits, "15min 1min");
}

#[test]
fn a_load_waits_while_more_log_than_declared_lies_on_the_server() {
    let server = Server::start(None, &["wal_level = replica"]);
    let mut project = Project::new("brake_log");
    server.adopt(&mut project, "");
    project.items(10, "one");
    project.run().code(0);
    project.items(11, "two");
    project.write(
        "overnight.toml",
        "progress_every = \"500ms\"\n[brake]\nwal = \"1MiB\"\npatience = \"3s\"\n",
    );
    let reckoned = "the load waits: the log since the last checkpoint, or held by a slot, is";
    let told = project.run().code(3).says(&[reckoned]);
    let mut lines = told.stderr.lines();
    let waits = lines.find(|line| line.contains("brake_log: load WAITS since "));
    assert!(
        waits
            .is_some_and(|line| line.contains("the log since the last checkpoint")
                && !line.contains(" left")),
        "{}",
        told.stderr
    );
    // Whoever may look at the folder is told its size.
    server.admin("grant pg_monitor to overnight");
    project.run().code(3).says(&["the load waits: pg_wal is"]);
    assert_eq!(server.ask("brake_log", "select count(*) from item"), "10");
    project.write("overnight.toml", "[brake]\nwal = \"0\"\n");
    project.run().code(0);
    assert_eq!(server.ask("brake_log", "select count(*) from item"), "11");
}

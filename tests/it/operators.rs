//! What somebody at a terminal, or a script, gets from each command.

use crate::support::cluster::{ADMIN, LOADER};
use crate::support::{Project, check_invariants};
use std::process::Command;

fn exists(project: &Project, database: &str) -> bool {
    let sql = format!("select count(*) from pg_database where datname = '{database}'");
    project.cluster().one("postgres", &sql) == "1"
}

#[test]
fn a_plan_tells_what_a_run_would_do_and_leaves_nothing() {
    let project = Project::new("operators_plan");
    project.sql(
        "derive/110_seen.sql",
        "update item set seen = '2026-01-01' where seen is null;\n",
    );
    project.items(100, "item");
    project.input("readme.txt", "not a source");
    let told = project.overnight(&["plan", "operators_plan"]).code(0);
    for text in [
        "1 objects",
        "item",
        "3 statements that put indexes and keys back",
        "no source uses `operators_plan/readme.txt`",
        "no earlier build",
        "(this machine's); indexes are built on ",
    ] {
        assert!(told.stdout.contains(text), "{text}: {}", told.stdout);
    }
    assert_eq!(project.databases(), Vec::<String>::new());
    let status = project.overnight(&["status", "operators_plan"]).code(0);
    assert!(
        status.stdout.contains("nothing is live"),
        "{}",
        status.stdout
    );
    assert!(!status.stdout.contains("FAILED"), "{}", status.stdout);
    check_invariants(&project);

    project.run().code(0);
    let live = project.live();
    let plan = project
        .overnight(&["plan", "operators_plan", "--json"])
        .code(0)
        .json();
    assert_eq!(plan["format"], 1);
    assert_eq!(plan["dataset"], "operators_plan");
    assert_eq!(plan["unchanged"], true);
    assert_eq!(plan["live"], live.as_str());
    assert_eq!(plan["objects"], 1);
    assert_eq!(plan["tables"][0]["table"], "item");
    assert_eq!(plan["tables"][0]["columns"][0][0], "id");
    assert_eq!(plan["put_back"].as_array().unwrap().len(), 3);
    assert_eq!(plan["behind"], serde_json::json!([]));
    assert_eq!(plan["index_sessions"], plan["server"]["cores"]);
    assert_eq!(
        plan["sql"],
        serde_json::json!(["schema/010_tables.sql", "derive/110_seen.sql"])
    );
    assert!(plan["disk_bytes"].as_u64().unwrap() > 1 << 20);
    assert_eq!(project.databases(), ["operators_plan"]);
    assert_eq!(project.live(), live);

    // SQL that would fail after the load fails here.
    project.sql("derive/120_wrong.sql", "update item set nothing = 1;\n");
    let told = project.overnight(&["plan", "operators_plan"]);
    told.code(2).says(&["derive/120_wrong.sql", "nothing"]);
    assert_eq!(project.databases(), ["operators_plan"]);
    check_invariants(&project);
}

#[test]
fn a_check_needs_no_server_and_names_every_mistake() {
    let mut project = Project::new("operators_check");
    project.env = vec![(
        "OVERNIGHT_TARGET".into(),
        "postgresql://nobody@127.0.0.1:1/".into(),
    )];
    let told = project.overnight(&["check"]).code(0);
    assert_eq!(
        told.stdout,
        "operators_check: 1 sources and 1 SQL files are well-formed\n"
    );
    let json = project.overnight(&["check", "--json"]).code(0).json();
    assert_eq!(json["datasets"][0]["ok"], true);

    project.source("item", "table = \"item\"\nfilez = \"items*\"\n");
    project
        .overnight(&["check", "operators_check"])
        .code(2)
        .says(&["item.toml", "filez", "line 2"]);
    project.source("item", "table = \"item\"\nfiles = \"items*\"\n");
    project.sql("schema/010_again.sql", "select 1;\n");
    project
        .overnight(&["check"])
        .code(2)
        .says(&["010_tables.sql", "010_again.sql"]);
    project
        .overnight(&["check", "operators_other"])
        .code(2)
        .says(&["operators_other"]);
}

#[test]
fn looking_at_a_fresh_server_changes_nothing() {
    let project = Project::new("operators_fresh");
    let told = project.overnight(&["status"]).code(0);
    assert!(
        told.stdout.contains("nothing was ever run"),
        "{}",
        told.stdout
    );
    project.overnight(&["builds", "operators_fresh"]).code(0);
    let json = project.overnight(&["status", "--json"]).code(0).json();
    assert_eq!(json["datasets"], serde_json::json!([]));
    assert!(!exists(&project, &project.control));
}

#[test]
fn status_and_builds_show_what_is_live_what_waits_and_what_failed() {
    let project = Project::new("operators_status");
    project.items(1234, "item");
    project.run().code(0);
    let live = project.live();
    project.items(1235, "item");
    project
        .overnight(&["run", "operators_status", "--no-rotate"])
        .code(0);
    let waiting = project.ledger("select name from ledger.build where state = 'verified'");
    project.input("items.csv", "id,name,price,seen\nx,bad,1,2026-11-01\n");
    project.run().code(1);

    let told = project
        .overnight(&["status", "operators_status"])
        .code(0)
        .stdout;
    for text in [
        &format!("`{live}` is live"),
        "1,234",
        &format!("`{waiting}` is verified; `overnight rotate operators_status` publishes it"),
        "FAILED",
        "1 record was rejected",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }
    let json = project
        .overnight(&["status", "operators_status", "--json"])
        .code(0)
        .json();
    let status = &json["datasets"][0];
    assert_eq!(status["live"], live.as_str());
    assert_eq!(status["rows"], 1234);
    assert_eq!(status["schema_version"], 1);
    assert_eq!(status["waiting"], serde_json::json!([waiting]));
    assert!(
        status["last_failure"]["reason"]
            .as_str()
            .unwrap()
            .contains("rejected")
    );
    assert!(status["bytes_on_disk"].as_i64().unwrap() > 1 << 20);

    let told = project
        .overnight(&["builds", "operators_status"])
        .code(0)
        .stdout;
    let states: Vec<&str> = told
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().nth(1).unwrap())
        .collect();
    assert_eq!(states, ["failed", "verified", "live"]);
    project
        .overnight(&["status", "operators_nowhere"])
        .code(2)
        .says(&["never run"]);
    project
        .overnight(&["builds", "operators_nowhere"])
        .code(2)
        .says(&["operators_nowhere"]);
    check_invariants(&project);
}

#[test]
fn the_printed_url_is_one_that_psql_takes_as_it_is() {
    let project = Project::new("operators_url");
    project.items(7, "item");
    project.run().code(0);
    let psql = |flags: &[&str]| {
        let url = project
            .overnight(&[&["url", "operators_url"], flags].concat())
            .code(0)
            .stdout;
        let output = Command::new("psql")
            .args([
                url.trim(),
                "-XAtc",
                "select current_user || ' ' || count(*) from item",
            ])
            .env_remove("PGHOST")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(psql(&[]), "overnight 7\n");
    assert_eq!(
        psql(&["--role", &project.reader]),
        format!("{} 7\n", project.reader)
    );
    let json = project
        .overnight(&["url", "operators_url", "--json"])
        .code(0)
        .json();
    assert!(json["url"].as_str().unwrap().starts_with("postgresql://"));
}

#[test]
fn the_same_inputs_are_not_built_twice_unless_forced() {
    let project = Project::new("operators_unchanged");
    project.items(10, "item");
    project.run().code(0);
    let first = project.live();
    let told = project.run().code(0);
    assert!(
        told.stdout.contains("inputs unchanged, nothing to do"),
        "{}",
        told.stdout
    );
    assert_eq!(project.live(), first);
    let json = project
        .overnight(&["run", "operators_unchanged", "--json"])
        .code(0)
        .json();
    assert_eq!(json["datasets"][0]["outcome"], "unchanged");
    project
        .overnight(&["run", "operators_unchanged", "--force"])
        .code(0);
    assert_ne!(project.live(), first);
    // SQL is an input as well.
    let second = project.live();
    project.sql(
        "checks/010_names.sql",
        "select id from item where name = '';\n",
    );
    project.run().code(0);
    assert_ne!(project.live(), second);
    check_invariants(&project);
}

#[test]
fn one_dataset_that_fails_does_not_keep_the_other_from_its_night() {
    let project = Project::new("operators_two");
    let other = "operators_two_other";
    for part in ["sources", "sql"] {
        let (from, to) = (
            project.path(part).join("operators_two"),
            project.path(part).join(other),
        );
        let status = Command::new("cp")
            .arg("-r")
            .args([&from, &to])
            .status()
            .unwrap();
        assert!(status.success());
    }
    project.write(
        &format!("sources/{other}/dataset.toml"),
        &format!(
            "schema_version = 1\nfiles_under = \"{other}/\"\nreaders = [\"{0}\"]\n",
            project.reader
        ),
    );
    project.input("items.csv", "id,name,price,seen\nx,bad,1,2026-11-01\n");
    project.write(
        &format!("in/{other}/items.csv"),
        &crate::support::project::items(20, "item"),
    );
    let told = project
        .overnight(&["run", "operators_two", other, "--json"])
        .code(1)
        .says(&["error: run `operators_two`: "]);
    let json = told.json();
    assert_eq!(json["datasets"][0]["outcome"], "failed");
    assert_eq!(json["datasets"][0]["status"], 1);
    assert_eq!(json["datasets"][1]["outcome"], "published");
    assert!(!exists(&project, "operators_two"));
    assert_eq!(
        project.cluster().one(other, "select count(*) from item"),
        "20"
    );
    // A broken dependency is worse than a refusal.
    std::fs::remove_dir_all(project.path("in").join(other)).unwrap();
    project.items(5, "item");
    let ended = project.overnight(&["run", other, "operators_two"]);
    assert_ne!(ended.code, 0);
    assert_eq!(project.service("select count(*) from item"), "5");
}

#[test]
fn without_a_postgres_the_reason_is_named() {
    let mut project = Project::new("operators_nowhere_to_go");
    project.items(5, "item");
    project.env = vec![(
        "OVERNIGHT_TARGET".into(),
        "postgresql://overnight@127.0.0.1:1/postgres".into(),
    )];
    for command in ["run", "status"] {
        project
            .overnight(&[command, "operators_nowhere_to_go"])
            .code(3)
            .says(&["127.0.0.1:1", "hint: "]);
    }
    project.env = vec![
        (
            "OVERNIGHT_TARGET".into(),
            "postgresql://no_such_role@/postgres".into(),
        ),
        (
            "PGHOST".into(),
            project
                .cluster()
                .embedded
                .socket_folder()
                .display()
                .to_string(),
        ),
    ];
    project.run().code(3).says(&["no_such_role"]);
}

#[test]
fn a_role_that_may_not_create_databases_is_told_what_it_needs() {
    let mut project = Project::new("operators_createdb");
    let cluster = project.cluster();
    cluster
        .sql("postgres", "create role operators_poor login")
        .unwrap();
    project.items(5, "item");
    project.env = vec![(
        "OVERNIGHT_TARGET".into(),
        cluster.url("postgres", "operators_poor"),
    )];
    let hint = "hint: the role needs CREATEDB";
    project
        .run()
        .code(3)
        .says(&["create the control database", hint]);
    // Also where somebody made the control database for it.
    cluster
        .sql(
            "postgres",
            &format!("create database {} owner operators_poor", project.control),
        )
        .unwrap();
    project
        .run()
        .code(3)
        .says(&["create the database `operators_createdb_", hint]);
    assert_eq!(project.ledger("select state from ledger.build"), "failed");
    assert_eq!(project.databases(), Vec::<String>::new());
    cluster
        .sql("postgres", &format!("drop database {}; ", project.control))
        .unwrap();
    cluster.sql("postgres", "drop role operators_poor").unwrap();
}

#[test]
fn a_control_database_of_somebody_else_or_of_a_newer_release_is_refused() {
    let project = Project::new("operators_control");
    let cluster = project.cluster();
    project.items(5, "item");
    cluster
        .sql(
            "postgres",
            &format!("create database {} owner overnight", project.control),
        )
        .unwrap();
    cluster
        .sql_as(
            LOADER,
            &project.control,
            "create schema theirs; create table theirs.x ()",
        )
        .unwrap();
    for command in ["run", "status", "builds"] {
        project
            .overnight(&[command, "operators_control"])
            .code(2)
            .says(&[
                "exists and is not a ledger of overnight",
                "--control-database",
            ]);
    }
    assert_eq!(
        cluster.one(
            &project.control,
            "select count(*) from pg_namespace where nspname = 'ledger'"
        ),
        "0"
    );
    cluster
        .sql(&project.control, "drop schema theirs cascade")
        .unwrap();
    project.run().code(0);
    let live = project.live();
    cluster
        .sql(
            &project.control,
            "insert into ledger.version values (99, '99.0.0')",
        )
        .unwrap();
    project.items(6, "item");
    for command in ["run", "status", "rollback"] {
        project
            .overnight(&[command, "operators_control"])
            .code(2)
            .says(&["has version 99"]);
    }
    assert_eq!(project.live(), live);
    assert_eq!(project.service("select count(*) from item"), "5");
}

#[test]
fn what_was_typed_wrong_is_status_2() {
    let project = Project::new("operators_usage");
    for (arguments, said) in [
        (&["run"][..], "DATASETS"),
        (&["run", "operators_usage", "--fast"], "--fast"),
        (&["dance"], "dance"),
        (&["run", "no_such_dataset"], "no_such_dataset"),
        (
            &["run", "operators_usage", "--workers", "0"],
            "workers = 0 is out of range",
        ),
        (
            &["run", "operators_usage", "--flip-limit", "soon"],
            "flip_limit",
        ),
        (
            &[
                "run",
                "operators_usage",
                "--target",
                "postgresql://me:hush@db/",
            ],
            "--target holds a password",
        ),
    ] {
        let ended = project.overnight(arguments).code(2).says(&[said]);
        assert!(!ended.stderr.contains("hush"), "{}", ended.stderr);
    }
    let empty = tempfile::tempdir_in("/tmp").unwrap();
    let mut command = project.command(&["check"]);
    command
        .env_remove("OVERNIGHT_PROJECT")
        .current_dir(empty.path());
    Project::finish(&mut command)
        .code(2)
        .says(&["no project", "hint: "]);
    let mut command = project.command(&["check"]);
    Project::finish(command.env("OVERNIGHT_PROJECT", empty.path()))
        .code(2)
        .says(&["no `sources/` folder"]);
    project.write("overnight.toml", "\nkeeep = 3\n");
    project
        .run()
        .code(2)
        .says(&["overnight.toml", "line 2", "keeep"]);
    assert!(!exists(&project, &project.control));
}

#[test]
fn a_run_without_a_terminal_says_again_and_again_how_far_it_is() {
    let project = Project::with_schema(
        "operators_progress",
        "create table item (id integer primary key, name text not null, price numeric(8,2), seen date);
         create function slow() returns trigger language plpgsql as
             $$ begin perform pg_catalog.pg_sleep(0.02); return new; end $$;
         create trigger slow before insert on item for each row execute function slow();",
        "table = \"item\"\nfiles = \"items*\"\n",
    );
    project.items(100, "item");
    let flags = [
        "run",
        "operators_progress",
        "--progress-every",
        "300ms",
        "--chunk",
        "500B",
    ];
    let told = project.overnight(&flags).code(0);
    let lines: Vec<&str> = told
        .stderr
        .lines()
        .filter(|line| line.contains("Z  operators_progress: load, "))
        .collect();
    assert!(lines.len() >= 3, "{}", told.stderr);
    let last = lines.last().unwrap();
    assert!(
        last.contains(" rows, ") && last.contains(" rows/s, ") && last.contains("% of "),
        "{last}"
    );
    let quiet = project.overnight(&[
        "run",
        "operators_progress",
        "--force",
        "-q",
        "--progress-every",
        "300ms",
    ]);
    assert_eq!(quiet.code(0).stderr, "");
}

/// The binary with a home of its own, as a plain user if this is root.
struct Home {
    folder: tempfile::TempDir,
    plain: bool,
}

impl Home {
    fn new(plain: bool) -> Home {
        let folder = tempfile::Builder::new()
            .prefix("overnight-home-")
            .tempdir_in("/tmp")
            .unwrap();
        let home = Home { folder, plain };
        // The build's own folder may be closed to other users.
        // By a process of its own: a file that this one has open for writing, in a child that
        // another test forks at this moment, could not be run ("text file busy").
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_overnight"))
            .arg(home.path("overnight"))
            .status();
        assert!(copied.unwrap().success());
        for file in [
            "sources/d/dataset.toml",
            "sources/d/item.toml",
            "sql/d/schema/010_tables.sql",
            "in/d/items.csv",
        ] {
            std::fs::create_dir_all(home.path(file).parent().unwrap()).unwrap();
            let text = match file {
                "sources/d/dataset.toml" => {
                    "schema_version = 1\nfiles_under = \"d/\"\nreaders = [\"d_reader\"]\n"
                        .to_owned()
                }
                "sources/d/item.toml" => "table = \"item\"\nfiles = \"items*\"\n".to_owned(),
                "in/d/items.csv" => crate::support::project::items(9, "item"),
                _ => format!(
                    "select overnight.declare_version(1);\n{}",
                    crate::support::project::TABLE
                ),
            };
            std::fs::write(home.path(file), text).unwrap();
        }
        if home.drops_rights() {
            let path = home.folder.path().to_str().unwrap();
            assert!(
                Command::new("chown")
                    .args(["-R", "nobody", path])
                    .status()
                    .unwrap()
                    .success()
            );
        }
        home
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    fn is_root() -> bool {
        Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
    }

    fn drops_rights(&self) -> bool {
        self.plain && Self::is_root()
    }

    fn overnight(&self, arguments: &[&str]) -> crate::support::Ended {
        let program = self.path("overnight");
        let mut command = if self.drops_rights() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"])
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("OVERNIGHT_HOME", self.path("data"))
            .env("OVERNIGHT_FROM", self.path("in"));
        Project::finish(&mut command)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.overnight(&["server", "stop"]);
    }
}

fn embedded_server_story(plain: bool) {
    let home = Home::new(plain);
    let told = home.overnight(&["server", "status"]).code(0);
    assert!(
        told.stdout.contains("there is no embedded server yet"),
        "{}",
        told.stdout
    );
    let told = home.overnight(&["server", "start"]).code(0);
    assert!(told.stdout.contains("runs as process"), "{}", told.stdout);
    let status = home
        .overnight(&["server", "status", "--json"])
        .code(0)
        .json();
    assert_eq!(status["state"], "running");

    // The nightly run, on a machine where nothing is configured.
    home.overnight(&["run", "d"]).code(0);
    let sql = ["--", "-XAtc", "select count(*) from item"];
    let told = home
        .overnight(&[&["server", "psql", "d"], &sql[..]].concat())
        .code(0);
    assert_eq!(told.stdout, "9\n");
    let url = home
        .overnight(&["url", "d", "--role", "d_reader"])
        .code(0)
        .stdout;
    let output = Command::new("psql")
        .args([
            url.trim(),
            "-XAtc",
            "select current_user, count(*) from item",
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "d_reader|9\n");

    let told = home.overnight(&["server", "stop"]).code(0);
    assert_eq!(told.stdout, "stopped\n");
    assert_eq!(
        home.overnight(&["server", "stop"]).code(0).stdout,
        "was not running\n"
    );
    let status = home
        .overnight(&["server", "status", "--json"])
        .code(0)
        .json();
    assert_eq!(status["state"], "stopped");
    // Its data stay, and whoever asks starts it.
    let told = home.overnight(&["status"]).code(0);
    assert!(told.stdout.contains("d: `d_"), "{}", told.stdout);
    home.overnight(&["run", "d"]).code(0);
}

#[test]
fn the_embedded_server_serves_whoever_runs_the_tests() {
    embedded_server_story(false);
}

#[test]
fn the_embedded_server_serves_a_plain_user() {
    embedded_server_story(true);
}

#[test]
fn none_of_these_stories_needs_a_superuser_but_to_arrange_it() {
    let project = Project::new("operators_roles");
    let sql = format!(
        "select string_agg(rolname, ' ' order by rolname) from pg_roles where rolname in ('{ADMIN}', '{LOADER}') and rolsuper"
    );
    assert_eq!(project.cluster().one("postgres", &sql), ADMIN);
}

/// What is asked of the operating system is asked of it, and of no program.
#[test]
fn nothing_but_the_servers_programs_is_looked_for_in_the_path() {
    let mut project = Project::new("operators_path");
    project.env.push(("PATH".into(), "/nowhere".into()));
    project.write(
        "overnight.toml",
        "[brake]\nfolders = [\"/tmp\"]\nfree = \"1B\"\nfree_min = \"1B\"\n",
    );
    let path = format!("sources/{}/dataset.toml", project.name);
    let toml = std::fs::read_to_string(project.path(&path)).unwrap();
    // The shell and what it starts are ended, the children too.
    project.write(
        &path,
        &format!("{toml}[external]\ncommand = [\"/bin/sh\", \"-c\", \"/bin/sleep 7777 & /bin/sleep 7777\"]\ntimeout = \"1s\"\n"),
    );
    project.items(5, "x");
    project
        .run()
        .code(1)
        .says(&["external: not done within 1.0 s and ended"]);
    let sleeps = |entry: std::io::Result<std::fs::DirEntry>| {
        let command = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&command)
            .contains("7777")
            .then_some(())
    };
    let left = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(sleeps)
        .count();
    assert_eq!(left, 0, "a process that the gate had started");
    project.write(&path, &toml);
    let ended = project.run().code(0);
    assert!(!ended.stderr.contains("not watched"), "{}", ended.stderr);
}

#[test]
fn a_plan_counts_an_archive_once_however_many_members_it_has() {
    let project = Project::new("operators_archive");
    project.source("item", "table = \"item\"\nfiles = \"items.zip!*.csv\"\n");
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, ids) in [("a.csv", 1..3), ("b.csv", 3..5)] {
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file(name, options).unwrap();
        let mut text = String::from("id,name,price,seen\n");
        for id in ids {
            text += &format!("{id},x,1.50,2026-01-01\n");
        }
        std::io::Write::write_all(&mut archive, text.as_bytes()).unwrap();
    }
    let bytes = archive.finish().unwrap().into_inner();
    project.input("items.zip", &bytes);
    let plan = project
        .overnight(&["plan", &project.name, "--json"])
        .code(0)
        .json();
    assert_eq!(plan["objects"], 1);
    assert_eq!(plan["bytes"], bytes.len());
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "4");
}

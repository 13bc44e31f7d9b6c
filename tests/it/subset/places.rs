//! Where a subset may go, what takes its place, and what is never dropped.

use super::{books, forget, on_a_laptop, set_rules};
use crate::support::cluster::{ADMIN, LOADER, developer};

const RULES: &str = "[subset.tables]\nbook = { limit = 3 }\n";

#[test]
fn no_subset_is_written_where_the_live_alias_is() {
    let mut project = books("subset_live", RULES);
    project.run().code(0);
    let live = project.live();
    let rows = project.service("select count(*) from book");
    // By its ledger, whatever database is named.
    let to = project.cluster().url("subset_live_copy", LOADER);
    project
        .overnight(&["subset", "subset_live", "--to", &to])
        .code(1)
        .says(&[
            "the server at",
            "hint: a subset goes to another server than the builds",
        ]);
    // And where the embedded server is the one of the builds.
    project.env.push((
        "OVERNIGHT_HOME".into(),
        project.cluster().home.display().to_string(),
    ));
    project
        .overnight(&["subset", "subset_live"])
        .code(1)
        .says(&["the embedded server has a live build of `subset_live`"]);
    assert_eq!(project.live(), live);
    assert_eq!(project.service("select count(*) from book"), rows);
    assert_eq!(project.databases().len(), 1);
}

#[test]
fn a_database_that_is_no_subset_is_never_replaced_and_a_forged_one_never_dropped() {
    let mut project = books("subset_stranger", RULES);
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    laptop
        .sql_as(LOADER, "postgres", "create database subset_stranger")
        .unwrap();
    laptop
        .sql("subset_stranger", "create table precious as select 1 as a")
        .unwrap();
    project
        .overnight(&["subset", "subset_stranger"])
        .code(1)
        .says(&["is not a subset that overnight made; nothing was changed"]);
    // A comment alone does not make it one.
    laptop
        .sql_as(
            LOADER,
            "postgres",
            "comment on database subset_stranger is 'overnight subset; dataset=subset_stranger; role=alias; nonce=00'",
        )
        .unwrap();
    laptop
        .sql(
            "subset_stranger",
            "create schema overnight; create table overnight.subset as select 'other'::text as nonce;
             grant all on schema overnight to overnight; grant all on overnight.subset to overnight",
        )
        .unwrap();
    project
        .overnight(&["subset", "drop", "subset_stranger"])
        .code(1)
        .says(&["is not dropped: the stamp inside is not the one that its comment names"]);
    assert_eq!(laptop.one("subset_stranger", "select a from precious"), "1");
    forget(laptop, "subset_stranger");
}

#[test]
fn a_subset_that_fails_leaves_the_one_before_and_nothing_else() {
    let mut project = books("subset_fails", RULES);
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    project.overnight(&["subset", "subset_fails"]).code(0);
    let before = laptop.one("subset_fails", "select nonce from overnight.subset");
    // A mask that breaks a check: known only when the rows arrive.
    project
        .env
        .push(("OVERNIGHT_SUBSET_KEY".into(), "0123456789abcdef0123".into()));
    set_rules(
        &project,
        "[subset.tables]\nbook = { limit = 3, columns = { title = \"hash\" } }\nitem = { limit = 1, where = \"1 / (id - id) = 1\" }\n",
    );
    project
        .overnight(&["subset", "subset_fails"])
        .code(1)
        .says(&["choose rows of `item`"]);
    project.sql(
        "schema/020_more.sql",
        "create table later (id integer primary key);\n",
    );
    set_rules(&project, RULES);
    project
        .overnight(&["subset", "subset_fails"])
        .code(1)
        .says(&["was made by other SQL than the project has: `schema/020_more.sql`"]);
    // What a command that was killed has left goes with the next one.
    std::fs::remove_file(project.path("sql/subset_fails/schema/020_more.sql")).unwrap();
    laptop
        .sql_as(
            LOADER,
            "postgres",
            "create database subset_fails_subset_0123abcdn",
        )
        .unwrap();
    laptop
        .sql_as(
            LOADER,
            "postgres",
            "create database subset_fails_subset_mine",
        )
        .unwrap();
    project.overnight(&["subset", "subset_fails"]).code(0);
    let rows = laptop
        .sql(
            "postgres",
            "select datname::text from pg_database where datname like 'subset_fails%' order by 1",
        )
        .unwrap();
    let names: Vec<_> = rows
        .into_iter()
        .map(|row| row[0].clone().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "subset_fails",
            "subset_fails_subset_mine",
            "subset_fails_template"
        ]
    );
    assert_ne!(
        laptop.one("subset_fails", "select nonce from overnight.subset"),
        before
    );
    laptop
        .sql_as(LOADER, "postgres", "drop database subset_fails_subset_mine")
        .unwrap();
    forget(laptop, "subset_fails");
}

#[test]
fn a_service_that_is_connected_gets_the_new_subset_when_it_connects_again() {
    let mut project = books("subset_busy", RULES);
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    project.overnight(&["subset", "subset_busy"]).code(0);
    let client = laptop
        .block_on(laptop.client(&project.reader, "subset_busy"))
        .unwrap();
    project.overnight(&["subset", "subset_busy"]).code(0);
    assert!(laptop.block_on(client.simple_query("select 1")).is_err());
    assert_eq!(
        laptop.one("subset_busy", "select count(*) > 0 from book"),
        "t"
    );
    // A superuser's session is nobody's to end; the old subset stays.
    let before = laptop.one("subset_busy", "select nonce from overnight.subset");
    let client = laptop
        .block_on(laptop.client(ADMIN, "subset_busy"))
        .unwrap();
    project
        .overnight(&["subset", "subset_busy"])
        .code(1)
        .says(&["put the new subset in the place of `subset_busy`; the old one is as it was"]);
    assert_eq!(
        laptop
            .block_on(client.query_one("select nonce from overnight.subset", &[]))
            .unwrap()
            .get::<_, String>(0),
        before
    );
    drop(client);
    forget(laptop, "subset_busy");
}

#[test]
fn what_a_killed_command_has_left_goes_with_the_next() {
    let mut project = books("subset_killed", RULES);
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    project.overnight(&["subset", "subset_killed"]).code(0);
    // Killed between CREATE DATABASE and its comment: a bare database, and a copy of the template, as clones are.
    let bare = "subset_killed_subset_0123abcdn";
    let copy = "subset_killed_subset_0123abcdc";
    // Called alike, and with other things inside.
    let foreign = "subset_killed_subset_0123abcdd";
    for (name, template) in [
        (bare, "template0"),
        (copy, "subset_killed_template"),
        (foreign, "template0"),
    ] {
        laptop
            .sql_as(
                LOADER,
                "postgres",
                &format!("create database {name} template {template}"),
            )
            .unwrap();
    }
    laptop
        .sql_as(LOADER, foreign, "create table theirs (x integer)")
        .unwrap();
    let there = |name: &str| {
        laptop.one(
            "postgres",
            &format!("select count(*) from pg_database where datname = '{name}'"),
        )
    };
    project
        .overnight(&["subset", "drop", "subset_killed"])
        .code(0);
    assert_eq!(
        (there(bare), there(copy), there(foreign)),
        ("0".into(), "0".into(), "1".into())
    );
    laptop
        .sql_as(LOADER, "postgres", &format!("drop database {foreign}"))
        .unwrap();

    // An artifact that a killed command began to write, and one that another is writing.
    let folder = project.path("artifacts");
    std::fs::create_dir_all(&folder).unwrap();
    let (old, young) = (
        folder.join(".overnight-partial-00000001-x"),
        folder.join(".overnight-partial-00000002-x"),
    );
    for path in [&old, &young] {
        std::fs::write(path, "x").unwrap();
    }
    let days_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 24 * 60 * 60);
    std::fs::File::options()
        .write(true)
        .open(&old)
        .unwrap()
        .set_modified(days_ago)
        .unwrap();
    let to = folder.join("subset.tar.zst");
    project
        .overnight(&["subset", "subset_killed", "--to", to.to_str().unwrap()])
        .code(0);
    assert_eq!(
        (old.exists(), young.exists(), to.exists()),
        (false, true, true)
    );
}

#[test]
fn each_test_gets_a_clone_of_its_own() {
    let mut project = books("subset_clone", RULES);
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    project
        .overnight(&["subset", "clone", "subset_clone"])
        .code(1)
        .says(&[
            "has no subset of `subset_clone` to clone",
            "hint: `overnight subset pull",
        ]);
    project.overnight(&["subset", "subset_clone"]).code(0);
    let one = project
        .overnight(&["subset", "clone", "subset_clone", "--json"])
        .code(0)
        .json();
    let two = project
        .overnight(&[
            "subset",
            "clone",
            "subset_clone",
            "--name",
            "subset_clone_b",
        ])
        .code(0)
        .stdout;
    assert_eq!(two.trim(), laptop.url("subset_clone_b", LOADER));
    let name = one["name"].as_str().unwrap();
    laptop.sql(name, "delete from review").unwrap();
    laptop
        .sql("subset_clone_b", "update item set name = 'changed'")
        .unwrap();
    assert_eq!(
        laptop.one(
            "subset_clone",
            "select count(*) from item where name = 'changed'"
        ),
        "0"
    );
    assert_eq!(
        laptop.one("subset_clone_b", "select count(*) from book"),
        laptop.one(name, "select count(*) from book")
    );
    assert!(
        laptop
            .sql_as(&project.reader, name, "select 1 from book")
            .is_ok()
    );
    project
        .overnight(&[
            "subset",
            "clone",
            "subset_clone",
            "--name",
            "subset_clone_b",
        ])
        .code(1)
        .says(&["a database named `subset_clone_b` exists already"]);
    // Also with somebody connected; but never anything else.
    let _client = laptop
        .block_on(laptop.client(&project.reader, "subset_clone_b"))
        .unwrap();
    project
        .overnight(&[
            "subset",
            "clone",
            "subset_clone",
            "--drop",
            "subset_clone_b",
        ])
        .code(0);
    for other in ["subset_clone", "subset_clone_template", "postgres"] {
        project
            .overnight(&["subset", "clone", "subset_clone", "--drop", other])
            .code(1)
            .says(&["is no clone of the subset"]);
    }
    let gone = project
        .overnight(&["subset", "drop", "subset_clone", "--json"])
        .code(0)
        .json();
    assert_eq!(
        gone["dropped"],
        serde_json::json!(["subset_clone", name, "subset_clone_template"])
    );
    let left = laptop.one(
        "postgres",
        "select count(*) from pg_database where datname like 'subset_clone%'",
    );
    assert_eq!(left, "0");
}

#[test]
fn a_password_in_the_address_is_refused() {
    let project = books("subset_password", RULES);
    project
        .overnight(&[
            "subset",
            "subset_password",
            "--to",
            "postgres://me:hunter2@db/x",
        ])
        .code(2)
        .says(&["--to holds a password"]);
    developer();
}

#[test]
fn a_command_that_is_stopped_or_killed_leaves_nothing_that_stays() {
    let mut project = books("subset_stopped", RULES);
    project.sql("schema/020_slow.sql", "select pg_sleep(3);\n");
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    let databases = || {
        let rows = laptop.sql(
            "postgres",
            "select datname::text from pg_database where datname like 'subset_stopped%' order by 1",
        );
        rows.unwrap()
            .into_iter()
            .map(|row| row[0].clone().unwrap())
            .collect::<Vec<_>>()
    };
    for (signal, left) in [("-INT", 0), ("-KILL", 1)] {
        let child = project.start(&["subset", "subset_stopped"]);
        let began = std::time::Instant::now();
        while databases().is_empty() {
            assert!(began.elapsed().as_secs() < 60, "no database was begun");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let pid = child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([signal, &pid])
            .status();
        assert!(sent.unwrap().success());
        let ended = crate::support::project::ended(child.wait_with_output().unwrap());
        if signal == "-INT" {
            ended.code(130).says(&["stopped: what was begun is swept"]);
        }
        assert_eq!(databases().len(), left, "{signal}: {:?}", databases());
    }
    project.overnight(&["subset", "subset_stopped"]).code(0);
    assert_eq!(databases(), ["subset_stopped", "subset_stopped_template"]);
    forget(laptop, "subset_stopped");
}

//! Guards that nothing else in the tests would miss: what each one keeps from happening.
//!
//! `scripts/guards.txt` names for each guard of `switch.rs` a test that fails without it.

use crate::fetch::{content, options, read};
use crate::s3::{Fault, S3Server};
use crate::support::cluster::LOADER;
use crate::support::{Project, check_invariants};
use overnight::build::{Inside, strange_inside};
use overnight::fetch::Location;
use overnight::ledger::{Ledger, Lock};
use overnight::postgres::{Server, Target};
use overnight::rotate::probe::Prober;
use std::collections::BTreeSet;
use tempfile::TempDir;

fn night(project: &Project, rows: usize) -> String {
    project.items(rows, "night");
    project.run().code(0);
    project.live()
}

/// The server as the tool sees it.
fn server(project: &Project) -> Server {
    let url = project.cluster().url("postgres", LOADER);
    let target = Target::resolve(Some(&url), &|_| None).unwrap();
    Server::new(target, "overnight".into())
}

/// Lets the next intent of a move do this to the ledger, as another process would.
fn meanwhile(project: &Project, act: &str) {
    let sql = format!(
        "create function meanwhile() returns trigger language plpgsql security definer as
             $$ begin {act}; return null; end $$;
         create trigger meanwhile after insert on ledger.flip execute function meanwhile()"
    );
    project.cluster().sql(&project.control, &sql).unwrap();
}

#[test]
fn a_hold_that_comes_between_the_intent_and_the_move_stops_it() {
    let project = Project::new("guard_held");
    let old = night(&project, 10);
    meanwhile(
        &project,
        "update ledger.dataset set held = true, hold_reason = 'wait'",
    );
    project.items(11, "night");
    project
        .run()
        .code(1)
        .says(&["was held or moved by somebody meanwhile"]);
    assert_eq!(project.live(), old);
}

#[test]
fn an_alias_that_is_not_the_live_build_is_reported_and_left_alone() {
    let project = Project::new("guard_alias");
    let old = night(&project, 10);
    let cluster = project.cluster();
    for sql in [
        "alter database guard_alias rename to guard_alias_kept",
        "create database guard_alias owner overnight",
    ] {
        cluster.sql("postgres", sql).unwrap();
        project.items(11, "night");
        project.run().code(3).says(&[
            &format!("the ledger says that `{old}` is live"),
            "nothing was changed",
        ]);
    }
    cluster
        .sql("postgres", "drop database guard_alias")
        .unwrap();
    cluster
        .sql(
            "postgres",
            "alter database guard_alias_kept rename to guard_alias",
        )
        .unwrap();
    assert_eq!(project.live(), old);
    project.run().code(0);
    check_invariants(&project);
}

#[test]
fn another_database_at_the_alias_in_the_moment_of_the_move_stops_it() {
    let project = Project::new("guard_moment");
    let old = night(&project, 10);
    meanwhile(
        &project,
        "execute 'alter database guard_moment rename to guard_moment_kept'",
    );
    project.items(11, "night");
    project
        .run()
        .code(1)
        .says(&["somebody renamed it", "nothing was changed"]);
    let cluster = project.cluster();
    cluster
        .sql(
            "postgres",
            "alter database guard_moment_kept rename to guard_moment",
        )
        .unwrap();
    assert_eq!(project.live(), old);
}

#[test]
fn a_live_database_that_is_closed_or_without_connections_is_opened_at_the_next_start() {
    let project = Project::new("guard_closed");
    night(&project, 10);
    let cluster = project.cluster();
    for sql in ["allow_connections false", "connection limit 0"] {
        cluster
            .sql("postgres", &format!("alter database guard_closed {sql}"))
            .unwrap();
        // The inputs are those of the live build: nothing but the repair is done.
        project.run().code(0);
        check_invariants(&project);
    }
}

#[test]
fn a_verified_build_that_somebody_opened_is_not_verified_any_more() {
    let project = Project::new("guard_opened");
    let old = night(&project, 10);
    project.items(11, "night");
    project
        .overnight(&["run", "guard_opened", "--no-rotate"])
        .code(0);
    let waiting = project.ledger("select name from ledger.build where state = 'verified'");
    let cluster = project.cluster();
    let open = format!("alter database {waiting} allow_connections true");
    cluster.sql("postgres", &open).unwrap();
    cluster
        .sql(&waiting, "delete from item where id > 3")
        .unwrap();
    // The next night takes no build that anybody may have changed.
    project.run().code(0);
    assert_ne!(project.live(), waiting);
    assert_ne!(project.live(), old);
    assert_eq!(project.service("select count(*) from item"), "11");
    check_invariants(&project);
}

#[test]
fn a_look_through_the_alias_tells_another_build_and_a_reader_without_rights() {
    let project = Project::new("guard_look");
    let live = night(&project, 10);
    let cluster = project.cluster();
    cluster
        .sql("postgres", "create role guard_look_nobody")
        .unwrap();
    let server = server(&project);
    let look = |readers: &[&str], build: &str| {
        let prober = Prober {
            login: None,
            readers: readers.iter().map(|reader| (*reader).to_owned()).collect(),
        };
        let looked = cluster.block_on(prober.look(&server, &project.name, build));
        looked.map_err(|error| format!("{error:#}"))
    };
    look(&[&project.reader], &live).unwrap();
    let other = look(&[], "guard_look_20200101t000000z").unwrap_err();
    assert!(other.contains(&format!("leads to `{live}`")), "{other}");
    let denied = look(&["guard_look_nobody"], &live).unwrap_err();
    assert!(denied.contains("could not use the alias"), "{denied}");
    cluster
        .sql("postgres", "drop role guard_look_nobody")
        .unwrap();
}

#[test]
fn what_cannot_be_undone_is_not_begun_without_the_lock() {
    let project = Project::new("guard_lock");
    night(&project, 10);
    let server = server(&project);
    let error = project.cluster().block_on(async {
        let ledger = Ledger::open(&server, &project.control, "guard")
            .await
            .unwrap();
        ledger.lock(&project.name, Lock::Build).await.unwrap();
        ledger.check_lock(&project.name, Lock::Build).await.unwrap();
        let error = ledger
            .check_lock(&project.name, Lock::Move)
            .await
            .unwrap_err();
        ledger.session.close().await;
        error
    });
    assert!(format!("{error:#}").contains("was lost"), "{error:#}");
}

#[test]
fn a_database_without_a_stamp_is_ours_only_while_it_is_empty_and_was_never_finished() {
    let project = Project::new("guard_empty");
    night(&project, 10);
    let server = server(&project);
    let mut build = project.cluster().block_on(async {
        let ledger = Ledger::open(&server, &project.control, "guard")
            .await
            .unwrap();
        let build = ledger.builds(&project.name).await.unwrap().remove(0);
        ledger.session.close().await;
        build
    });
    build.state = overnight::ledger::State::Creating;
    let inside = |relations| Inside {
        nonces: None,
        relations,
    };
    assert_eq!(strange_inside(&build, &inside(0)), None);
    let strange = strange_inside(&build, &inside(1)).unwrap();
    assert!(
        strange.contains("holds 1 relations and no stamp"),
        "{strange}"
    );
    build.state = overnight::ledger::State::Tombstone;
    assert!(strange_inside(&build, &inside(0)).is_some());
}

#[test]
fn rows_that_the_server_did_not_take_stop_the_load() {
    let project = Project::with_schema(
        "guard_counted",
        "create table item (id integer primary key, name text, price numeric, seen date);
         create function swallow() returns trigger language plpgsql as
             $$ begin if new.id = 7 then return null; end if; return new; end $$;
         create trigger swallow before insert on item for each row execute function swallow();",
        "table = \"item\"\nfiles = \"items*\"\n",
    );
    project.items(10, "x");
    project
        .run()
        .code(3)
        .says(&["10 rows were sent and the server counted 9"]);
    assert!(project.databases().is_empty());
}

#[test]
fn a_stamp_that_is_not_the_ledgers_fails_the_verification() {
    let project = Project::new("guard_stamp");
    night(&project, 10);
    let other = "update overnight.build set nonce = 'of another tool'";
    project.cluster().sql(&project.name, other).unwrap();
    let told = project.overnight(&["verify", &project.name]).code(1);
    assert!(
        told.stdout.contains("is not the ledger's"),
        "{}",
        told.stdout
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_for_bytes_names_the_version_that_was_pinned() {
    let files = TempDir::new().unwrap();
    let server = S3Server::start(files.path());
    let text = format!("s3://{}/raw", server.bucket);
    let location = Location::open(&text, &options(&server)).await.unwrap();
    server.put("raw/object", content(100_000));
    let listed = location.exists("object").await.unwrap().unwrap();
    let object = location.pin(&listed).await.unwrap();
    read(&location, &object).await.1.unwrap();
    assert_eq!(server.gets("raw/object"), 1);
    assert_eq!(server.gets_without_if_match("raw/object"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_another_range_or_another_object_is_refused() {
    let files = TempDir::new().unwrap();
    let server = S3Server::start(files.path());
    let text = format!("s3://{}/raw", server.bucket);
    let location = Location::open(&text, &options(&server)).await.unwrap();
    let answers: [(&str, Fault, &str); 2] = [
        (
            "raw/range",
            Fault::Headers(|answer| {
                answer.content_range = Some("bytes 1-99999/100000".to_owned());
            }),
            "sends another range",
        ),
        (
            "raw/size",
            // A server that knows no entity tags: the size is what is left to compare.
            Fault::Headers(|answer| {
                answer.e_tag = None;
                answer.content_range = Some("bytes 0-99999/100001".to_owned());
            }),
            "100001 bytes instead of 100000",
        ),
    ];
    for (key, fault, says) in answers {
        server.put(key, content(100_000));
        server.fault(key, 1, fault);
        let key = key.strip_prefix("raw/").unwrap();
        let listed = location.exists(key).await.unwrap().unwrap();
        let object = location.pin(&listed).await.unwrap();
        let error = read(&location, &object).await.1.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_catalog_that_is_not_the_declared_one_stops_the_build() {
    let project = Project::with_schema(
        "guard_declared",
        "create table item (id integer primary key, name text, price numeric, seen date);
         create function more() returns trigger language plpgsql as
             $$ begin create table if not exists public.more (n integer); return new; end $$;
         create trigger more before insert on item for each row execute function more();",
        "table = \"item\"\nfiles = \"items*\"\n",
    );
    project.items(10, "x");
    project
        .run()
        .code(1)
        .says(&["after the load the catalog is not what the schema files declared"]);
    assert!(project.databases().is_empty());
}

/// The committed list is what `scripts/guards` walks through.
#[test]
fn the_list_names_every_guard_and_a_test_that_exists() {
    let root = crate::support::project::repository();
    let list = std::fs::read_to_string(root.join("scripts/guards.txt")).unwrap();
    let mut listed = BTreeSet::new();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let [guard, binary, path] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        assert!(listed.insert(guard), "{guard} is listed twice");
        let (module, test) = path.rsplit_once("::").unwrap();
        let module = module.strip_suffix("::tests").unwrap_or(module);
        let below = match binary {
            "it" => "tests/it",
            "lib" => "src",
            other => panic!("{other}"),
        };
        let file = root.join(below).join(module.replace("::", "/"));
        let source: String = [
            file.with_extension("rs"),
            file.join("mod.rs"),
            file.join("tests.rs"),
        ]
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .collect();
        assert!(source.contains(&format!("fn {test}(")), "{path}");
    }
    let known: BTreeSet<&str> = overnight::switch::NAMES.iter().copied().collect();
    assert_eq!(listed, known);
}

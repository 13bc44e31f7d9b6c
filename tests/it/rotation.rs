//! The alias moves to a verified build or stays exactly where it was.

use crate::support::cluster::{ADMIN, LOADER};
use crate::support::invariants::sessions_end;
use crate::support::{Project, check_invariants};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;

fn oid(project: &Project, database: &str) -> String {
    let sql = format!("select oid from pg_database where datname = '{database}'");
    project.cluster().one("postgres", &sql)
}

/// The one verified build that waits.
fn waiting(project: &Project) -> String {
    project.ledger("select name from ledger.build where state = 'verified'")
}

#[test]
fn a_database_that_is_not_ours_keeps_its_name() {
    let project = Project::new("rotation_stranger");
    let cluster = project.cluster();
    cluster
        .sql("postgres", "create database rotation_stranger")
        .unwrap();
    cluster
        .sql("rotation_stranger", "create table theirs as select 7 as x")
        .unwrap();
    let before = oid(&project, "rotation_stranger");
    project.items(10, "item");

    // Known before anything is built.
    project.run().code(1).says(&[
        "a database named `rotation_stranger` exists and overnight did not make it",
        "nothing was changed",
        "hint: give it another name",
    ]);
    assert_eq!(project.databases(), ["rotation_stranger"]);
    project
        .overnight(&["plan", "rotation_stranger"])
        .code(1)
        .says(&["overnight did not make it"]);

    // Building beside it is possible, and the build waits.
    project
        .overnight(&["run", "rotation_stranger", "--no-rotate"])
        .code(0);
    let build = waiting(&project);
    project
        .overnight(&["rotate", "rotation_stranger"])
        .code(1)
        .says(&["overnight did not make it"]);
    assert_eq!(waiting(&project), build);
    assert_eq!(oid(&project, "rotation_stranger"), before);
    assert_eq!(
        cluster.one("rotation_stranger", "select x from theirs"),
        "7"
    );

    cluster
        .sql("postgres", "drop database rotation_stranger")
        .unwrap();
    project.overnight(&["rotate", "rotation_stranger"]).code(0);
    assert_eq!(project.live(), build);
    check_invariants(&project);
}

/// What a client saw that always tries again.
#[derive(Default)]
struct Seen {
    /// Builds in the order in which they were seen, without repeats.
    builds: Vec<String>,
    codes: Vec<String>,
    longest: Duration,
}

/// Asks for the build every few milliseconds on one session, and on a new one after an error.
fn client_loop(project: &Project, stop: &AtomicBool) -> Seen {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster = project.cluster();
    runtime.block_on(async {
        let mut seen = Seen::default();
        let mut client = None;
        let mut failing_since = None;
        while !stop.load(Ordering::SeqCst) {
            let answer = async {
                let open = match client.take() {
                    Some(open) => open,
                    None => cluster.client(&project.reader, &project.name).await?,
                };
                let row = open.query_one("select build from overnight.build", &[]);
                let build: String = row.await?.get(0);
                client = Some(open);
                Ok::<_, tokio_postgres::Error>(build)
            };
            match answer.await {
                Ok(build) => {
                    if let Some(since) = failing_since.take() {
                        seen.longest = seen.longest.max(Instant::elapsed(&since));
                    }
                    if seen.builds.last() != Some(&build) {
                        seen.builds.push(build);
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => {
                    failing_since.get_or_insert_with(Instant::now);
                    let code = error.code().map_or("lost", SqlState::code);
                    seen.codes.push(code.to_owned());
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        seen
    })
}

#[test]
fn a_connected_service_is_moved_with_a_short_error_and_never_sees_an_old_build_again() {
    let project = Project::new("rotation_moved");
    project.items(10, "one");
    project.run().code(0);
    let old = project.live();
    project.items(11, "two");
    project
        .overnight(&["run", "rotation_moved", "--no-rotate"])
        .code(0);
    let new = waiting(&project);
    assert_eq!(project.live(), old);

    let stop = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| client_loop(&project, &stop)))
            .collect();
        std::thread::sleep(Duration::from_millis(300));
        // One is in the middle of a query.
        let cluster = project.cluster();
        let busy =
            scope.spawn(|| cluster.sql_as(&project.reader, &project.name, "select pg_sleep(30)"));
        std::thread::sleep(Duration::from_millis(300));
        project.overnight(&["rotate", "rotation_moved"]).code(0);
        let ended = busy.join().unwrap().unwrap_err();
        assert_eq!(ended.code(), Some(&SqlState::ADMIN_SHUTDOWN), "57P01");
        std::thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::SeqCst);
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect::<Vec<_>>()
    });
    for seen in &seen {
        assert_eq!(seen.builds, [old.clone(), new.clone()]);
        assert!(
            seen.longest < Duration::from_millis(1500),
            "{:?}",
            seen.longest
        );
        // Its session is ended; whoever was let in or waited in that moment is told to try again.
        let known = ["57P01", "3D000", "55000", "lost"];
        assert!(
            seen.codes.iter().all(|code| known.contains(&code.as_str())),
            "{:?}",
            seen.codes
        );
        assert!(!seen.codes.is_empty(), "its session was ended");
    }

    // The old build can still be reached by its own name, for draining.
    let drained = project
        .cluster()
        .sql_as(&project.reader, &old, "select min(name) from item")
        .unwrap();
    assert_eq!(drained[0][0].as_deref(), Some("one 1"));
    check_invariants(&project);
}

#[test]
fn a_superuser_on_the_live_build_is_named_and_nothing_changes_until_he_leaves() {
    let project = Project::new("rotation_superuser");
    project.items(10, "one");
    project.run().code(0);
    let old = project.live();
    let cluster = project.cluster();
    let admin = cluster
        .block_on(cluster.client(ADMIN, "rotation_superuser"))
        .unwrap();
    cluster
        .block_on(admin.batch_execute("set application_name = 'backup of the night'"))
        .unwrap();

    project.items(11, "two");
    let started = Instant::now();
    let flags = ["--flip-limit", "500ms", "--flip-window", "2s"];
    let run = [&["run", "rotation_superuser"], &flags[..]].concat();
    project.overnight(&run).code(3).says(&[
        "stayed in use for 2 s",
        ADMIN,
        "backup of the night",
        "superuser",
        "nothing was changed",
        "overnight rotate rotation_superuser",
    ]);
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(project.live(), old);
    // He was not thrown out either.
    cluster.block_on(admin.batch_execute("select 1")).unwrap();
    check_invariants(&project);

    drop(admin);
    project.overnight(&["rotate", "rotation_superuser"]).code(0);
    assert_eq!(
        project.service("select min(name) || ' ' || count(*) from item"),
        "two 1 11"
    );
    check_invariants(&project);
}

#[test]
fn nobody_but_the_owner_enters_a_build_before_the_move_and_nobody_at_all_once_it_is_sealed() {
    let project = Project::new("rotation_closed");
    let cluster = project.cluster();
    let enter = |role: &str, database: &str| match cluster.sql_as(role, database, "select 1") {
        Ok(_) => "entered".to_owned(),
        Err(error) => error.code().unwrap().code().to_owned(),
    };
    project.items(10, "one");

    // Half-way through the load, with the run gone: the build is open to its owner only.
    let mut command = project.command(&["run", "rotation_closed"]);
    Project::finish(command.env("OVERNIGHT_CRASHPOINT", "load.before_commit")).code(-9);
    assert!(sessions_end(&project));
    let loading = project.databases().pop().unwrap();
    assert_eq!(enter(&project.reader, &loading), "42501");
    assert_eq!(enter(LOADER, &loading), "entered");

    project
        .overnight(&["run", "rotation_closed", "--no-rotate"])
        .code(0);
    let sealed = waiting(&project);
    for role in [project.reader.as_str(), LOADER, ADMIN] {
        assert_eq!(enter(role, &sealed), "55000", "{role}");
    }

    project.overnight(&["rotate", "rotation_closed"]).code(0);
    assert_eq!(enter(&project.reader, &project.name), "entered");
    cluster
        .sql("postgres", "create role rotation_nobody login")
        .unwrap();
    assert_eq!(enter("rotation_nobody", &project.name), "42501");
    cluster
        .sql("postgres", "drop role rotation_nobody")
        .unwrap();
    check_invariants(&project);
}

/// Lets a role that is no reader look through the alias, or the reader again.
fn probe_as(project: &Project, user: &str) {
    project.write(
        &format!("sources/{}/dataset.toml", project.name),
        &format!(
            "schema_version = 1\nfiles_under = \"{0}/\"\nreaders = [\"{1}\"]\nprobe = {{ user = \"{user}\" }}\nkeep = 2\n",
            project.name, project.reader
        ),
    );
}

#[test]
fn a_look_through_the_alias_that_fails_takes_the_move_back() {
    let project = Project::new("rotation_probe");
    let cluster = project.cluster();
    cluster
        .sql("postgres", "create role rotation_probe_blind login")
        .unwrap();
    probe_as(&project, "rotation_probe_blind");

    // On a first night the alias is gone again, and the build waits.
    project.items(10, "one");
    project.run().code(1).says(&[
        "through the alias `rotation_probe`: it was taken back",
        "rotation_probe_blind",
        "hint: services are on the build they had before",
    ]);
    assert!(!project.databases().contains(&project.name));
    let first = waiting(&project);
    check_invariants(&project);
    probe_as(&project, &project.reader);
    project.overnight(&["rotate", "rotation_probe"]).code(0);
    assert_eq!(project.live(), first);

    // Later, services go on with what they had.
    project.items(11, "two");
    project.run().code(0);
    let second = project.live();
    probe_as(&project, "rotation_probe_blind");
    project.items(12, "three");
    project.run().code(1).says(&["it was taken back"]);
    assert_eq!(project.live(), second);
    assert_eq!(
        project.ledger(
            "select p.name from ledger.dataset d join ledger.build p on p.id = d.previous_build"
        ),
        first,
        "what was before it is still known"
    );
    check_invariants(&project);

    // The build was good: it waits, and is published when the look works again.
    let third = waiting(&project);
    probe_as(&project, &project.reader);
    project.overnight(&["rotate", "rotation_probe"]).code(0);
    assert_eq!(project.live(), third);
    check_invariants(&project);

    // Also on the way back: the hold of a rollback that did not happen is not set.
    probe_as(&project, "rotation_probe_blind");
    project
        .overnight(&["rollback", "rotation_probe"])
        .code(1)
        .says(&["it was taken back"]);
    assert_eq!(project.live(), third);
    assert_eq!(project.ledger("select held from ledger.dataset"), "f");
    probe_as(&project, &project.reader);
    project.overnight(&["rollback", "rotation_probe"]).code(0);
    assert_eq!(project.live(), second);
    check_invariants(&project);
    cluster
        .sql("postgres", "drop role rotation_probe_blind")
        .unwrap();
}

#[test]
fn a_move_that_another_process_has_overtaken_changes_nothing() {
    let project = Project::new("rotation_epoch");
    project.items(10, "one");
    project.run().code(0);
    let old = project.live();
    // Between this process's intent and its act somebody else moves the alias.
    let cluster = project.cluster();
    cluster
        .sql(
            &project.control,
            "create function overtake() returns trigger language plpgsql as $$
             begin update ledger.dataset set epoch = epoch + 1; update overnight.alias set epoch = epoch + 1; return null; end $$;
             create trigger overtake after insert on ledger.flip execute function overtake();
             grant update on ledger.dataset to overnight",
        )
        .unwrap();
    project.items(11, "two");
    project
        .run()
        .code(1)
        .says(&["meanwhile", "nothing was changed"]);
    assert_eq!(project.live(), old);
    cluster
        .sql(&project.control, "drop function overtake() cascade")
        .unwrap();
    check_invariants(&project);
    project.run().code(0);
    assert_eq!(project.service("select count(*) from item"), "11");
    check_invariants(&project);
}

#[test]
fn a_build_that_was_not_rotated_waits_and_is_published_by_hand_or_by_the_next_run() {
    let project = Project::new("rotation_by_hand");
    project.items(10, "one");
    let told = project
        .overnight(&["run", "rotation_by_hand", "--no-rotate"])
        .code(0);
    assert!(
        told.stdout.contains("is verified and sealed"),
        "{}",
        told.stdout
    );
    assert!(!project.databases().contains(&project.name));
    let first = waiting(&project);
    project.overnight(&["rotate", "rotation_by_hand"]).code(0);
    assert_eq!(project.live(), first);
    project
        .overnight(&["rotate", "rotation_by_hand"])
        .code(1)
        .says(&["no verified build that waits"]);
    project
        .overnight(&["rotate", "rotation_by_hand", "rotation_by_hand_no_such"])
        .code(2)
        .says(&["has no build"]);

    project.items(11, "two");
    project
        .overnight(&["run", "rotation_by_hand", "--no-rotate"])
        .code(0);
    let second = waiting(&project);
    assert_eq!(project.live(), first);
    // The same inputs: the build that waits is taken, not made again.
    project.run().code(0);
    assert_eq!(project.live(), second);
    check_invariants(&project);
}

//! The pointer: a row that services may follow, kept with every router.

use crate::support::{Project, check_invariants};
use futures_util::StreamExt;
use std::time::Duration;
use tokio_postgres::{AsyncMessage, NoTls};

fn night(project: &Project, rows: usize, prefix: &str) -> String {
    project.items(rows, prefix);
    project.run().code(0);
    project.live()
}

/// The row as a reader sees it: build, database, epoch.
fn row(project: &Project) -> Vec<String> {
    let sql = format!(
        "select build, database, epoch::text from overnight.alias where dataset = '{}'",
        project.name
    );
    let rows = project
        .cluster()
        .sql_as(&project.reader, &project.control, &sql)
        .unwrap();
    let row = rows.into_iter().next().unwrap_or_default();
    row.into_iter().map(Option::unwrap).collect()
}

#[test]
fn the_pointer_is_kept_with_a_rename_and_readers_may_read_it_and_nothing_else() {
    let project = Project::new("pointer_rename");
    let first = night(&project, 10, "one");
    assert_eq!(row(&project), [first.as_str(), "pointer_rename", "1"]);
    let second = night(&project, 11, "two");
    assert_eq!(row(&project), [second.as_str(), "pointer_rename", "2"]);
    project.overnight(&["rollback", "pointer_rename"]).code(0);
    assert_eq!(row(&project), [first.as_str(), "pointer_rename", "3"]);
    check_invariants(&project);

    let refused = |sql: &str| {
        let error = project
            .cluster()
            .sql_as(&project.reader, &project.control, sql)
            .unwrap_err();
        error.code().unwrap().code().to_owned()
    };
    assert_eq!(refused("select * from ledger.build"), "42501");
    assert_eq!(refused("update overnight.alias set build = 'x'"), "42501");
    assert_eq!(refused("create table overnight.x (a int)"), "42501");
    assert_eq!(refused("create temp table x (a int)"), "42501");
    // Whoever is no reader does not even get in.
    let cluster = project.cluster();
    cluster
        .sql("postgres", "create role pointer_nobody login")
        .unwrap();
    let error = cluster
        .sql_as("pointer_nobody", &project.control, "select 1")
        .unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42501");
    cluster.sql("postgres", "drop role pointer_nobody").unwrap();
}

#[test]
fn with_the_pointer_router_only_the_row_moves_and_listeners_are_told() {
    let mut project = Project::new("pointer_only");
    project.behind_pointer("");
    let cluster = project.cluster();
    let first = night(&project, 10, "one");
    assert_eq!(row(&project), [first.as_str(), &first, "1"]);
    assert!(
        !project.databases().contains(&project.name),
        "no database has the alias's name"
    );
    check_invariants(&project);

    // A service listens, and hears of the move what it needs to follow.
    let told = cluster.block_on(async {
        let (client, mut connection) = tokio_postgres::Config::new()
            .host_path(cluster.embedded.socket_folder())
            .user(&project.reader)
            .dbname(&project.control)
            .connect(NoTls)
            .await
            .unwrap();
        let mut messages =
            futures_util::stream::poll_fn(move |context| connection.poll_message(context));
        let (listened, ()) = tokio::join!(client.batch_execute("listen overnight_alias"), async {
            // The driver moves only while somebody polls it: until the answer has come.
            let _ = tokio::time::timeout(Duration::from_millis(500), messages.next()).await;
        });
        listened.unwrap();
        project.items(11, "two");
        let mut run = project.command(&["run", &project.name]);
        let ran = tokio::task::spawn_blocking(move || Project::finish(&mut run));
        let told = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                if let Some(Ok(AsyncMessage::Notification(told))) = messages.next().await {
                    return told;
                }
            }
        });
        let told = told.await.unwrap();
        ran.await.unwrap().code(0);
        assert_eq!(told.channel(), "overnight_alias");
        serde_json::from_str::<serde_json::Value>(told.payload()).unwrap()
    });
    let second = project.live();
    assert_ne!(second, first);
    assert_eq!(
        told,
        serde_json::json!({"dataset": "pointer_only", "build": second, "database": second, "epoch": 2})
    );
    check_invariants(&project);

    // Back, and the URL follows.
    project.overnight(&["rollback", "pointer_only"]).code(0);
    assert_eq!(project.live(), first);
    let url = project.overnight(&["url", "pointer_only"]).code(0).stdout;
    assert!(url.contains(&first), "{url}");
    let status = project
        .overnight(&["status", "pointer_only", "--json"])
        .code(0)
        .json();
    assert_eq!(status["datasets"][0]["router"], "pointer");
    assert_eq!(
        status["datasets"][0]["alias"],
        serde_json::json!([{"place": "pointer", "database": first}])
    );
    check_invariants(&project);
}

#[test]
fn a_build_that_a_reader_cannot_read_moves_no_pointer_and_is_sealed_again() {
    let mut project = Project::new("pointer_blind");
    project.behind_pointer("");
    let first = night(&project, 10, "one");
    let cluster = project.cluster();
    cluster
        .sql("postgres", "create role pointer_blind_probe login")
        .unwrap();
    let toml = "sources/pointer_blind/dataset.toml";
    let good = std::fs::read_to_string(project.path(toml)).unwrap();
    project.write(
        toml,
        &good.replace(
            "user = \"pointer_blind_reader\"",
            "user = \"pointer_blind_probe\"",
        ),
    );
    project.items(11, "two");
    project.run().code(1).says(&[
        "before services are led to it",
        "hint: the alias was not touched",
    ]);
    assert_eq!(row(&project), [first.as_str(), &first, "1"]);
    assert_eq!(
        project.ledger("select state from ledger.flip order by id desc limit 1"),
        "abandoned"
    );
    // The build waits, and nobody can enter it.
    let waiting = project.ledger("select name from ledger.build where state = 'verified'");
    let refused = cluster
        .sql_as(&project.reader, &waiting, "select 1")
        .unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "55000");
    check_invariants(&project);
    project.write(toml, &good);
    project.overnight(&["rotate", "pointer_blind"]).code(0);
    assert_eq!(project.live(), waiting);
    check_invariants(&project);
    cluster
        .sql("postgres", "drop role pointer_blind_probe")
        .unwrap();
}

#[test]
fn a_pointer_that_was_changed_by_hand_is_written_again() {
    let mut project = Project::new("pointer_hand");
    project.behind_pointer("");
    let first = night(&project, 10, "one");
    project
        .cluster()
        .sql(
            &project.control,
            "update overnight.alias set build = 'x', database = 'y'",
        )
        .unwrap();
    project
        .overnight(&["reconcile", "pointer_hand"])
        .code(0)
        .says(&["the pointer of `pointer_hand` was not what the ledger says"]);
    assert_eq!(row(&project), [first.as_str(), &first, "1"]);
    check_invariants(&project);
}

#[test]
fn who_stays_on_the_old_build_is_named_waited_for_and_ended_at_the_limit() {
    let mut project = Project::new("pointer_drain");
    project.behind_pointer("drain = \"3s\"");
    let first = night(&project, 10, "one");
    let cluster = project.cluster();
    let service = cluster
        .block_on(cluster.client(&project.reader, &first))
        .unwrap();
    cluster
        .block_on(service.batch_execute("set application_name = 'api@1'"))
        .unwrap();
    project.items(11, "two");
    let running = project.start(&["run", &project.name]);
    // Meanwhile services that follow are on the new build, and the move is not called confirmed.
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while row(&project)[2] != "2" {
        assert!(std::time::Instant::now() < end);
        std::thread::sleep(Duration::from_millis(20));
    }
    let status = project
        .overnight(&["status", &project.name, "--json"])
        .code(0)
        .json();
    let status = &status["datasets"][0];
    assert_eq!(status["unconfirmed"], true);
    assert_eq!(status["draining"][0]["application"], "api@1");
    assert_eq!(status["draining"][0]["user"], project.reader);
    assert_eq!(status["draining"][0]["address"], "local");
    let ended = crate::support::project::ended(running.wait_with_output().unwrap());
    ended.code(0).says(&[
        "1 session is still on `pointer_drain_",
        "api@1 (pointer_drain_reader, local",
    ]);
    let cut = cluster.block_on(service.batch_execute("select 1"));
    assert!(cut.is_err(), "its session was ended");
    assert_ne!(project.live(), first);
    check_invariants(&project);
}

#[test]
fn an_operator_goes_back_while_a_move_is_still_draining() {
    let mut project = Project::new("pointer_overtake");
    project.behind_pointer("drain = \"60s\"");
    let first = night(&project, 10, "one");
    let cluster = project.cluster();
    let service = cluster
        .block_on(cluster.client(&project.reader, &first))
        .unwrap();
    project.items(11, "two");
    let running = project.start(&["run", &project.name]);
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while row(&project)[2] != "2" {
        assert!(std::time::Instant::now() < end);
        std::thread::sleep(Duration::from_millis(20));
    }
    // The look must be over before the lock is free: the command waits for that.
    project.overnight(&["rollback", &project.name]).code(0);
    assert_eq!(project.live(), first);
    // Whoever stayed was right, and is left alone.
    cluster.block_on(service.batch_execute("select 1")).unwrap();
    assert_eq!(
        project.ledger("select string_agg(state, ' ' order by id) from ledger.flip"),
        "confirmed superseded confirmed"
    );
    drop(service);
    crate::support::project::ended(running.wait_with_output().unwrap()).code(0);
    check_invariants(&project);
}
